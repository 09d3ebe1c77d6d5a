/* Triggers of type redis: from their addresses and channels, with variables in place, to servers and who listens to
 * which of their channels. A server is reached as if one was granted it: see app/outbound.h.
 *
 * An address may have a password in it, so nothing of it is told but host and port; or, where it has variables, the
 * text with their names. */
#include "deploy/deploy_inner.h"

#include "app/outbound.h"
#include "app/template.h"

#include <stdio.h>
#include <string.h>

#define SERVER_MAX 300u

/* A copy in the arena of the text with its variables in place. */
static bool expand(struct deploy *deploy, const struct manifest_text *text, struct str *ret, struct err *err)
{
    struct buf room;
    buf_init(&room, SERVICE_ADDRESS_MAX);
    bool done = deploy_expand(deploy, text, &room, err);
    struct str whole = {(const char *)room.data, room.size};
    const char *copy = done ? deploy_text(deploy, whole) : NULL;
    if (copy)
        *ret = (struct str){copy, room.size};
    if (room.data)
        explicit_bzero(room.data, room.size);
    buf_free(&room);
    return copy || (done ? err_memory(err) : false);
}

static bool parse(struct deploy *deploy, struct str text, struct service_address *ret, struct err *err)
{
    char *room = arena_alloc(&deploy->arena, text.len + 1);
    if (!room)
        return err_memory(err);
    if (!service_address_parse(text, room, ret, err))
        return false;
    if (grant_protocol(ret->scheme) == GRANT_REDIS)
        return true;
    err_set(err, ERR_INVALID, "the address of a trigger redis has another scheme");
    return err_remedy(err, "write it as redis://HOST[:PORT], or rediss://HOST[:PORT] over TLS");
}

/* `server`: SCHEME://HOST:PORT */
static bool grant(struct deploy *deploy, const char *server, struct storage_grants *storage, struct err *err)
{
    struct grants *grants = &deploy->grants[deploy->grant_count++];
    struct outbound outbound;
    grants->blocked = deploy->blocked;
    *storage = deploy->given.storage.grants;
    return outbound_parse(str_of(server), &outbound, err) && outbound_grant(&outbound, grants, err) &&
           node_storage_reach(&deploy->given.storage, grants, &storage->net, err);
}

/* What is told of it. */
static bool show(struct deploy *deploy, const struct manifest_text *text, const char *server, const char **ret,
                 struct err *err)
{
    *ret = deploy_text(deploy, template_is_literal(text->text) ? str_of(server) : text->text);
    return *ret || err_memory(err);
}

static bool add_server(struct deploy *deploy, const struct manifest_text *text, struct str address,
                       struct deployed_subscription *ret, struct err *err)
{
    struct service_address *to = &ret->address;
    char server[SERVER_MAX];
    if (!parse(deploy, address, to, err))
        return false;
    bool v6 = str_find(to->host, ':') < to->host.len;
    int size = snprintf(server, sizeof server, v6 ? "%s://[%.*s]:%u" : "%s://%.*s:%u", grant_scheme_name(to->scheme),
                        STR_ARG(to->host), to->port);
    if (size < 0 || size >= (int)sizeof server)
        return err_set(err, ERR_LIMIT, "the name of the server is too long");
    return show(deploy, text, server, &ret->shown, err) && grant(deploy, server, &ret->storage, err);
}

static bool add_listener(struct deploy *deploy, const struct deploy_choice *choice,
                         const struct manifest_trigger *trigger, struct str *addresses,
                         struct deployed_subscription *subscriptions, struct deployed_listener *ret, struct err *err)
{
    uint32_t *count = &deploy->deployment.subscription_count, i = 0;
    const struct manifest_text *own = &trigger->redis.address;
    const struct manifest_text *from = own->text.ptr ? own : &deploy->manifest.application.redis_address;
    struct str address;
    if (!expand(deploy, from, &address, err) || !expand(deploy, &trigger->redis.channel, &ret->channel, err))
        return false;
    while (i < *count && !str_eq(addresses[i], address))
        i++;
    if (i == *count && !add_server(deploy, from, address, &subscriptions[i], err))
        return deploy_at(deploy, from->at, err);
    addresses[i] = address;
    *count += i == *count;
    ret->subscription = i;
    ret->shown = trigger->redis.channel.text;
    ret->function = choice->functions[trigger->component];
    return true;
}

bool deploy_subscriptions(struct deploy *deploy, const struct deploy_choice *choice, struct err *err)
{
    const struct manifest *manifest = &deploy->manifest;
    struct deployment *deployment = &deploy->deployment;
    struct deployed_subscription *subscriptions =
        ARENA_ARRAY(&deploy->arena, struct deployed_subscription, manifest->trigger_count);
    struct deployed_listener *listeners =
        ARENA_ARRAY(&deploy->arena, struct deployed_listener, manifest->trigger_count);
    struct str *addresses = ARENA_ARRAY(&deploy->arena, struct str, manifest->trigger_count);
    if (!subscriptions || !listeners || !addresses)
        return err_memory(err);
    deployment->subscriptions = subscriptions;
    deployment->listeners = listeners;
    for (uint32_t i = 0; i < manifest->trigger_count; i++)
        if (manifest->triggers[i].type == MANIFEST_TRIGGER_REDIS &&
            !add_listener(deploy, choice, &manifest->triggers[i], addresses, subscriptions,
                          &listeners[deployment->listener_count++], err))
            return false;
    return true;
}
