/* What a component of an application is given: its row in the table of functions. What it asks for and mayfly does not
 * do yet is an error that names the line: nothing is passed over in silence. */
#include "deploy/deploy_inner.h"

#include "app/outbound.h"
#include "app/template.h"

#include <stdio.h>
#include <string.h>

#define TEXT_MAX ((size_t)1 << 20) /* of a text with its variables in place */

static bool take_environment(struct deploy *deploy, const struct manifest_component *component,
                             struct host_config *config, struct err *err)
{
    const struct manifest_pairs *pairs = &component->environment;
    struct host_config common = {0};
    if (!given_config(&deploy->given, &common, &deploy->arena, err))
        return false;
    struct host_variable *rows =
        ARENA_ARRAY(&deploy->arena, struct host_variable, pairs->count + common.environment_count);
    if (!rows)
        return err_memory(err);
    for (uint32_t i = 0; i < pairs->count; i++)
        rows[i] = (struct host_variable){pairs->items[i].name.text, pairs->items[i].value.text};
    if (common.environment_count)
        memcpy(rows + pairs->count, common.environment, common.environment_count * sizeof *rows);
    config->environment = rows;
    config->environment_count = pairs->count + common.environment_count;
    return true;
}

/* Of an entry with variables nothing is said that has their values in it. */
static bool wrong_host(const struct deploy *deploy, const struct manifest_text *text, struct err *err)
{
    if (!template_is_literal(text->text) && err->kind != ERR_MEMORY && err->kind != ERR_LIMIT) {
        err_set(err, ERR_INVALID, "with its variables in place \"%.*s\" is no host", STR_ARG(text->text));
        err_remedy(err, "their values must make it SCHEME://HOST[:PORT]");
    }
    return deploy_at(deploy, text->at, err);
}

static bool grant_host(struct deploy *deploy, const struct manifest_text *text, struct grants *grants, struct buf *room,
                       struct err *err)
{
    struct outbound outbound;
    if (!deploy_expand(deploy, text, room, err))
        return false;
    struct str host = {(const char *)room->data, room->size};
    if (outbound_is_empty(host))
        return true;
    return (outbound_parse(host, &outbound, err) && outbound_grant(&outbound, grants, err)) ||
           wrong_host(deploy, text, err);
}

static bool take_hosts(struct deploy *deploy, const struct manifest_component *component, struct grants *grants,
                       struct deployed *function, struct err *err)
{
    const struct manifest_texts *hosts = &component->allowed_outbound_hosts;
    struct str *shown = ARENA_ARRAY(&deploy->arena, struct str, hosts->count);
    struct buf room;
    bool done = shown || err_memory(err);
    for (uint32_t i = 0; done && i < hosts->count; i++) /* as written: without values of variables */
        shown[i] = hosts->items[i].text;
    function->hosts = (struct deployed_texts){shown, done ? hosts->count : 0};
    buf_init(&room, TEXT_MAX);
    for (uint32_t i = 0; done && i < hosts->count; i++)
        done = grant_host(deploy, &hosts->items[i], grants, &room, err);
    if (room.data)
        explicit_bzero(room.data, room.size);
    buf_free(&room);
    return done;
}

/* The stores or databases of a component: what the node keeps, and what the function may open. */
static bool take_labels(struct deploy *deploy, enum storage_kind kind, const struct manifest_texts *texts,
                        struct storage_grants *grants, struct err *err)
{
    struct str *labels = ARENA_ARRAY(&deploy->arena, struct str, texts->count);
    if (!labels)
        return err_memory(err);
    for (uint32_t i = 0; i < texts->count; i++) {
        labels[i] = texts->items[i].text;
        if (!node_storage_add(&deploy->given.storage, kind, labels[i], err))
            return deploy_at(deploy, texts->items[i].at, err);
    }
    grants->labels[kind] = labels;
    grants->counts[kind] = texts->count;
    return true;
}

static bool take_storage(struct deploy *deploy, const struct manifest_component *component, struct host_config *config,
                         struct err *err)
{
    struct storage_grants *grants = ARENA_NEW(&deploy->arena, struct storage_grants);
    if (!grants)
        return err_memory(err);
    *grants = deploy->given.storage.grants;
    config->storage = grants;
    return node_storage_reach(&deploy->given.storage, config->grants, &grants->net, err) &&
           take_labels(deploy, STORAGE_STORE, &component->key_value_stores, grants, err) &&
           take_labels(deploy, STORAGE_DATABASE, &component->sqlite_databases, grants, err);
}

static void take_limits(struct function_limits *limits, const struct manifest_limits *given)
{
    if (given->timeout_ns.given)
        limits->wall_ns = given->timeout_ns.value;
    if (given->cpu_ns.given)
        limits->cpu_ns = given->cpu_ns.value;
    if (given->memory_bytes.given)
        limits->memory_bytes = given->memory_bytes.value;
    if (given->body_bytes.given)
        limits->body_bytes = given->body_bytes.value;
    if (given->instances.given)
        limits->instances = (uint32_t)given->instances.value;
}

static unsigned trigger_bit(enum manifest_trigger_type type)
{
    static const unsigned bits[] = {[MANIFEST_TRIGGER_HTTP] = DEPLOYED_HTTP,
                                    [MANIFEST_TRIGGER_REDIS] = DEPLOYED_REDIS,
                                    [MANIFEST_TRIGGER_CRON] = DEPLOYED_CRON,
                                    [MANIFEST_TRIGGER_COMMAND] = DEPLOYED_COMMAND};
    return bits[type];
}

/* What calls it. Whoever leads to it must want the same of it. */
static bool take_triggers(struct deploy *deploy, const struct manifest_component *component, struct deployed *ret,
                          struct err *err)
{
    static const struct str usual = STR("${SCRIPT_NAME} ${ARGS}");
    const struct manifest *manifest = &deploy->manifest;
    uint32_t index = (uint32_t)(component - manifest->components), found = 0;
    struct str *argv = ARENA_NEW(&deploy->arena, struct str);
    if (!argv)
        return err_memory(err);
    for (uint32_t i = 0; i < manifest->trigger_count; i++) {
        const struct manifest_trigger *trigger = &manifest->triggers[i];
        bool wagi = trigger->http.executor == MANIFEST_EXECUTOR_WAGI;
        struct str own = trigger->http.argv.text.ptr ? trigger->http.argv.text : usual;
        if (trigger->component != index)
            continue;
        if (found++ && (wagi != (ret->config.wagi_argv != NULL) || (wagi && !str_eq(own, *argv)))) {
            err_set(err, ERR_UNSUPPORTED, "another trigger of component \"%.*s\" has another executor",
                    STR_ARG(component->id.text));
            err_remedy(err, "make a second component of the same source");
            return deploy_at(deploy, trigger->at, err);
        }
        *argv = own;
        ret->triggers |= trigger_bit(trigger->type);
        ret->config.wagi_argv = wagi ? argv : NULL;
    }
    ret->snapshot &= ret->config.wagi_argv == NULL; /* its streams are those of its request */
    return true;
}

/* ---- dependencies ---- */

_Static_assert((int)COMPOSE_AI_MODELS == MANIFEST_INHERIT_AI_MODELS &&
                   (int)COMPOSE_OUTBOUND_HOSTS == MANIFEST_INHERIT_OUTBOUND_HOSTS &&
                   (int)COMPOSE_ENVIRONMENT == MANIFEST_INHERIT_ENVIRONMENT &&
                   (int)COMPOSE_FILES == MANIFEST_INHERIT_FILES &&
                   (int)COMPOSE_KEY_VALUE == MANIFEST_INHERIT_KEY_VALUE &&
                   (int)COMPOSE_SQLITE == MANIFEST_INHERIT_SQLITE &&
                   (int)COMPOSE_VARIABLES == MANIFEST_INHERIT_VARIABLES && (int)COMPOSE_ALL == MANIFEST_INHERIT_ALL,
               "the same sets");

/* Of the folder of the manifest, or of the cache. */
static const char *source_path(struct deploy *deploy, const struct manifest_source *source)
{
    const char *fetched = deploy_find_source(deploy, source);
    return fetched ? fetched : deploy_path(deploy, source->path.text);
}

static const char *dependency_path(struct deploy *deploy, const struct manifest_dependency *dependency)
{
    const char *fetched = deploy_find_source(deploy, dependency);
    if (dependency->kind == MANIFEST_DEPENDENCY_COMPONENT)
        return source_path(deploy, &deploy->manifest.components[dependency->component_index].source);
    return fetched ? fetched : deploy_path(deploy, dependency->path.text);
}

/* "spin.toml:12" */
static const char *place_text(struct deploy *deploy, struct manifest_place at)
{
    size_t size = strlen(deploy->path) + 16;
    char *text = arena_alloc(&deploy->arena, size);
    if (text)
        snprintf(text, size, "%s:%u", deploy->path, at.line);
    return text;
}

static bool list_dependencies(struct deploy *deploy, const struct manifest_component *component,
                              struct composition *ret, struct err *err)
{
    const struct manifest_dependencies *all = &component->dependencies;
    struct compose_dependency *items = ARENA_ARRAY(&deploy->arena, struct compose_dependency, all->count);
    if (!items)
        return err_memory(err);
    for (uint32_t i = 0; i < all->count; i++) {
        const struct manifest_dependency *from = &all->items[i];
        items[i].name = from->name.text;
        items[i].export_name = from->export_name.text;
        items[i].inherit = from->inherit;
        items[i].place = place_text(deploy, from->name.at);
        items[i].path = dependency_path(deploy, from);
        if (!items[i].place || !items[i].path)
            return err_memory(err);
    }
    *ret = (struct composition){items, all->count};
    return true;
}

static bool take_dependencies(struct deploy *deploy, const struct manifest_component *component, struct deployed *ret,
                              struct err *err)
{
    struct composition *composition = ARENA_NEW(&deploy->arena, struct composition);
    if (!composition)
        return err_memory(err);
    if (!list_dependencies(deploy, component, composition, err))
        return false;
    ret->composition = composition->count ? composition : NULL;
    return true;
}

bool deploy_dependencies(const struct manifest *manifest, const char *path, const struct manifest_component *component,
                         struct arena *arena, struct composition *ret, struct err *err)
{
    struct deploy deploy = {.arena = *arena, .manifest = *manifest, .path = path};
    bool done = deploy_fetch_dependencies(&deploy, component, err) && list_dependencies(&deploy, component, ret, err);
    *arena = deploy.arena;
    return done;
}

bool deploy_component(struct deploy *deploy, const struct manifest_component *component, struct deployed *ret,
                      struct err *err)
{
    const struct manifest_limits limits = manifest_limits_of(&deploy->manifest, component);
    struct grants *grants = &deploy->grants[deploy->grant_count++];
    char *name = deploy_text(deploy, component->id.text);
    const char *path = source_path(deploy, &component->source);
    if (!name || !path)
        return err_memory(err);
    *ret = (struct deployed){.name = name,
                             .path = path,
                             .description = component->description.text,
                             .config.name = name,
                             .config.manifest = deploy->path,
                             .config.manifest_line = component->at.line,
                             .limits = deploy->options.limits};
    grants->blocked = deploy->blocked;
    ret->config.grants = grants;
    ret->snapshot = limits.snapshot.given ? limits.snapshot.value : deploy->options.snapshot;
    take_limits(&ret->limits, &limits);
    return take_triggers(deploy, component, ret, err) && take_dependencies(deploy, component, ret, err) &&
           take_environment(deploy, component, &ret->config, err) &&
           deploy_component_variables(deploy, component, &ret->config, err) &&
           take_hosts(deploy, component, grants, ret, err) && deploy_files(deploy, component, &ret->config, err) &&
           take_storage(deploy, component, &ret->config, err);
}
