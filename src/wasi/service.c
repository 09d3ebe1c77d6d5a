/* See service.h. */
#include "wasi/service.h"

#include <stdio.h>

static const enum grant_scheme protocols[STORAGE_KINDS] = {
    [STORAGE_REDIS] = GRANT_REDIS,
    [STORAGE_POSTGRES] = GRANT_POSTGRES,
    [STORAGE_MYSQL] = GRANT_MYSQL,
    [STORAGE_MQTT] = GRANT_MQTT,
};

static struct storage_ask ask_of(const struct service_session *session, enum storage_operation operation,
                                 const struct storage_value *values, size_t count)
{
    return (struct storage_ask){session->kind, STR(""), operation, values, count};
}

/* ---- what is granted ---- */

static bool is_v6(struct str host)
{
    return str_find(host, ':') < host.len;
}

/* `what` was denied; a grant of that server permits it, if its address is not blocked. */
static void deny(struct host *h, enum grant_scheme scheme, const char *what, const char *server, bool blocked)
{
    char value[2 * IO_NAME_MAX];
    snprintf(value, sizeof value, "%s://%s", grant_scheme_name(scheme), server);
    host_denied(h, blocked ? PERMIT_UNBLOCK : PERMIT_OUTBOUND, str_of(value), "%s", what);
}

static bool is_granted(struct host *h, const struct service_address *address)
{
    char what[2 * IO_NAME_MAX], server[IO_NAME_MAX + 16];
    struct ip_address numeric;
    if (grants_service(h->config->grants, address->scheme, address->host, address->port))
        return true;
    snprintf(server, sizeof server, is_v6(address->host) ? "[%.*s]:%u" : "%.*s:%u", STR_ARG(address->host),
             address->port);
    snprintf(what, sizeof what, "a connection to %s://%s", grant_scheme_name(address->scheme), server);
    deny(h, address->scheme, what, server,
         ip_parse(address->host, &numeric) && grants_blocked(h->config->grants, &numeric));
    return false;
}

/* The name led to an address that is not granted; `where` is that address and its port. */
static void deny_address(struct host *h, const struct service_address *address, struct str where)
{
    char what[2 * IO_NAME_MAX + 2 * IP_TEXT_MAX], server[IP_TEXT_MAX];
    struct ip_address found;
    size_t colon = where.len;
    while (colon > 0 && where.ptr[colon - 1] != ':')
        colon--;
    bool blocked =
        colon > 1 && ip_parse(str_slice(where, 0, colon - 1), &found) && grants_blocked(h->config->grants, &found);
    snprintf(server, sizeof server, "%.*s", (int)(where.len < IP_TEXT_MAX ? where.len : IP_TEXT_MAX - 1), where.ptr);
    snprintf(what, sizeof what, "%.*s leads to the %s address %s", STR_ARG(address->host),
             blocked ? "blocked" : "private", server);
    deny(h, address->scheme, what, server, blocked);
}

/* ---- sessions ---- */

static void end_session(struct service_session *session)
{
    const struct storage_value number = storage_integer(session->number);
    const struct storage_ask ask = ask_of(session, STORAGE_LINK_END, &number, 1);
    host_disown(&session->closer);
    storage_tell(session->host, &ask);
}

static void close_session(struct host *h, struct host_closer *closer)
{
    end_session(IO_OWNER(closer, struct service_session, closer));
}

void service_drop(struct host *h, struct service_session *session)
{
    if (!host_release(h, &session->node, "connection"))
        return;
    end_session(session);
    h->session_count--;
    host_node_free(h, &session->node);
}

static struct service_session *new_session(struct host *h, enum storage_kind kind, size_t size)
{
    struct service_session *session = host_new(h, size, NULL);
    if (!session)
        return NULL;
    session->host = h;
    session->kind = kind;
    session->number = ++h->pool->last_session;
    session->closer.close = close_session;
    host_own(h, &session->closer); /* before it waits: it may be made and the activity end */
    h->session_count++;
    return session;
}

static enum service_opening opening_of(const struct storage_answer *answer)
{
    switch (answer->status) {
    case STORAGE_DONE: return SERVICE_OPEN;
    case STORAGE_DENIED: return SERVICE_DENIED;
    case STORAGE_CROWDED: return SERVICE_CROWDED;
    default: return SERVICE_FAILED;
    }
}

static bool connect_session(struct host *h, struct service_session *session, const struct service_address *address,
                            struct service_opened *ret)
{
    const struct storage_grants *storage = h->config->storage;
    const struct storage_value values[] = {storage_integer(session->number),
                                           storage_integer(storage ? storage->net : 0),
                                           storage_text(address->host),
                                           storage_integer(address->port),
                                           storage_text(address->user),
                                           storage_text(address->password),
                                           storage_text(address->path),
                                           storage_text(address->query),
                                           storage_integer(service_address_secure(address))};
    const struct storage_ask ask = ask_of(session, STORAGE_LINK, values, sizeof values / sizeof *values);
    struct storage_answer answer;
    if (!storage_ask(h, &ask, &answer))
        return false;
    *ret = (struct service_opened){opening_of(&answer), NULL, answer.message};
    if (ret->opening == SERVICE_DENIED) {
        deny_address(h, address, answer.message);
        ret->message = STR("the host leads to no address that is granted");
    }
    if (ret->opening == SERVICE_OPEN)
        ret->session = session;
    else
        service_drop(h, session);
    return true;
}

/* In Spin's words, which guests may look for: the address as the guest wrote it, or where it leads. */
static bool refuse(struct host *h, const struct service_address *address, struct str written,
                   struct service_opened *ret)
{
    size_t size = written.len + address->host.len + 64;
    char *text = arena_alloc(&h->scratch, size);
    if (!text)
        return host_no_memory(h);
    int len = written.len ? snprintf(text, size, "address %.*s is not permitted", STR_ARG(written))
                          : snprintf(text, size, "address %s://%.*s:%u is not permitted",
                                     grant_scheme_name(address->scheme), STR_ARG(address->host), address->port);
    *ret = (struct service_opened){SERVICE_DENIED, NULL, {text, (size_t)len}};
    return true;
}

bool service_open(struct host *h, enum storage_kind kind, const struct service_address *address, struct str written,
                  size_t size, struct service_opened *ret)
{
    if (!is_granted(h, address))
        return refuse(h, address, written, ret);
    *ret = (struct service_opened){SERVICE_CROWDED, NULL, STR("too many connections are open")};
    if (h->session_count == STORAGE_SESSIONS_MAX)
        return true;
    struct service_session *session = new_session(h, kind, size);
    return session && connect_session(h, session, address, ret);
}

bool service_open_text(struct host *h, enum storage_kind kind, struct str text, size_t size, struct service_opened *ret)
{
    struct service_address address;
    struct err err = {0};
    char *room = arena_alloc(&h->scratch, text.len + 1), *copy = arena_copy(&h->scratch, text.ptr, text.len);
    if (!room || !copy)
        return host_no_memory(h);
    const struct str own = {copy, text.len};
    bool words = kind == STORAGE_POSTGRES && str_find(own, '=') < str_find(own, '/');
    bool parsed =
        words ? service_address_words(own, room, &address, &err) : service_address_parse(own, room, &address, &err);
    if (parsed && grant_protocol(address.scheme) == protocols[kind])
        return service_open(h, kind, &address, kind == STORAGE_POSTGRES ? STR("") : own, size, ret);
    const char *message = parsed ? "the address has the scheme of another service" : err.message;
    size_t length = strlen(message);
    char *why = arena_copy(&h->scratch, message, length);
    *ret = (struct service_opened){SERVICE_INVALID, NULL, {why, length}};
    return why || host_no_memory(h);
}

bool service_ask(struct host *h, const struct service_session *session, enum storage_operation operation,
                 struct storage_value *values, size_t count, struct storage_answer *ret)
{
    values[0] = storage_integer(session->number);
    const struct storage_ask ask = ask_of(session, operation, values, count);
    return storage_ask(h, &ask, ret);
}
