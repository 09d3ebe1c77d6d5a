/* What concerns more than one value of a manifest: references, dependencies that exclude each other, ids and routes
 * that are there twice. */
#include "app/cron.h"
#include "app/manifest_reader.h"
#include "app/outbound.h"
#include "app/route.h"
#include "app/template.h"
#include "app/words.h"

#include <stdio.h>

/* ---- dependencies ---- */

/* What of a component would be lost when it is another one's part, or NULL. */
static const char *own_permission(const struct manifest_component *component)
{
    const struct {
        const char *name;
        bool there;
    } all[] = {
        {"ai_models", component->ai_models.count},
        {"allowed_http_hosts", component->allowed_http_hosts.count},
        {"allowed_outbound_hosts", component->allowed_outbound_hosts.count},
        {"dependencies", component->dependencies.count},
        {"environment", component->environment.count},
        {"files", component->files.count},
        {"key_value_stores", component->key_value_stores.count},
        {"sqlite_databases", component->sqlite_databases.count},
        {"variables", component->variables.count},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].there)
            return all[i].name;
    return NULL;
}

static void check_target(struct reader *reader, struct manifest_dependency *dependency)
{
    const struct manifest_text *id = &dependency->component;
    char room[256];
    if (dependency->kind != MANIFEST_DEPENDENCY_COMPONENT || !id->text.ptr || !words_kebab(id->text, NULL))
        return;
    if (!map_get(&reader->manifest->component_map, id->text, &dependency->component_index)) {
        reader_error(reader, id->at, ERR_INVALID, reader_nearest_component(reader, id->text, room),
                     "there is no component \"%s\"", SHOWN(id->text));
        return;
    }
    const char *own = own_permission(&reader->components.items[dependency->component_index]);
    if (own)
        reader_error(
            reader, id->at, ERR_INVALID,
            "take it out there: a dependency gets what inherit_configuration says of the component that has it",
            "component \"%s\" is no dependency, because it has \"%s\" of its own", SHOWN(id->text), own);
}

/* Of the import that a dependency stands for. */
static void check_import(struct reader *reader, const struct manifest_dependency *dependency)
{
    struct words_import import;
    if (!words_import(dependency->name.text, &import, NULL))
        return;
    bool package = dependency->kind == MANIFEST_DEPENDENCY_PACKAGE;
    if (import.plain.len && package && !dependency->package.text.ptr)
        reader_error(reader, dependency->name.at, ERR_INVALID,
                     "write which: { package = \"ns:name\", version = \"1.0\" }", "dependency \"%s\" names no package",
                     SHOWN(import.plain));
    if (!import.plain.len && !import.interface.len && dependency->export_name.text.ptr &&
        dependency->kind != MANIFEST_DEPENDENCY_URL && dependency->kind != MANIFEST_DEPENDENCY_COMPONENT)
        reader_error(reader, dependency->export_name.at, ERR_INVALID,
                     "leave \"export\" out, or name one interface: \"ns:name/interface\"",
                     "dependency \"%s\" is a whole package, which no single export stands for",
                     SHOWN(dependency->name.text));
}

static void check_overlap(struct reader *reader, const struct manifest_dependencies *all)
{
    struct words_import a, b;
    for (uint32_t i = 0; i < all->count; i++)
        for (uint32_t k = 0; k < i; k++)
            if (words_import(all->items[i].name.text, &a, NULL) && words_import(all->items[k].name.text, &b, NULL) &&
                words_imports_overlap(&a, &b))
                reader_error(reader, all->items[i].name.at, ERR_INVALID,
                             "give them versions that are not compatible, or different interfaces",
                             "dependencies \"%s\" and \"%s\" overlap", SHOWN(all->items[i].name.text),
                             SHOWN(all->items[k].name.text));
}

/* One setting for all, or one for each. */
static void settle_inheritance(struct reader *reader, struct manifest_component *component)
{
    struct manifest_dependencies *all = &component->dependencies;
    if (!component->dependencies_inherit.given)
        return;
    for (uint32_t i = 0; i < all->count; i++) {
        if (all->items[i].inherit_given) {
            reader_error(reader, component->dependencies_inherit.at, ERR_INVALID, "use one or the other",
                         "component \"%s\" has both \"dependencies_inherit_configuration\" and "
                         "\"inherit_configuration\" of a dependency",
                         SHOWN(component->id.text));
            return;
        }
        if (component->dependencies_inherit.value)
            all->items[i].inherit = MANIFEST_INHERIT_ALL;
    }
}

/* ---- components ---- */

/* Requests to components of the application must find one. */
static void check_chain(struct reader *reader, const struct manifest_text *host)
{
    struct outbound outbound;
    char room[256];
    if (template_is_literal(host->text) && outbound_parse(host->text, &outbound, NULL) &&
        outbound.kind == OUTBOUND_COMPONENT && outbound.name.len &&
        !map_get(&reader->manifest->component_map, outbound.name, NULL))
        reader_warn(reader, host->at, reader_nearest_component(reader, outbound.name, room),
                    "host \"%s\" names no component of this application", SHOWN(host->text));
}

static void check_component(struct reader *reader, struct manifest_component *component)
{
    struct manifest_dependencies *all = &component->dependencies;
    for (uint32_t i = 0; i < all->count; i++) {
        check_import(reader, &all->items[i]);
        check_target(reader, &all->items[i]);
    }
    check_overlap(reader, all);
    settle_inheritance(reader, component);
    for (uint32_t i = 0; i < component->allowed_outbound_hosts.count; i++)
        check_chain(reader, &component->allowed_outbound_hosts.items[i]);
}

/* ---- triggers ---- */

static void check_redis(struct reader *reader, const struct manifest_trigger *trigger)
{
    const struct manifest_redis *redis = &trigger->redis;
    reader_template(reader, &redis->channel, "channel");
    reader_template(reader, &redis->address, "address");
    if (!redis->address.text.ptr && !reader->manifest->application.redis_address.text.ptr)
        reader_error(reader, trigger->at, ERR_INVALID,
                     "write address = \"redis://host:6379\" here or in [application.trigger.redis]",
                     "a redis trigger without an address");
}

static bool is_cron(struct str text, struct err *err)
{
    struct cron cron;
    return cron_parse(text, &cron, err);
}

static void check_cron(struct reader *reader, const struct manifest_text *text)
{
    struct cron cron;
    if (reader_check(reader, text, "cron_expression", is_cron) && text->text.ptr &&
        cron_parse(text->text, &cron, NULL) && cron_next(&cron, 0) == CRON_NEVER)
        reader_warn(reader, text->at, "look at its day, month and weekday: all of them must be right at once",
                    "the time of cron_expression \"%s\" never comes", SHOWN(text->text));
}

static void check_trigger(struct reader *reader, struct manifest_trigger *trigger)
{
    for (uint32_t i = 0; i < trigger->dependencies.count; i++) {
        struct manifest_dependencies *chain = &trigger->dependencies.items[i].dependencies;
        for (uint32_t k = 0; k < chain->count; k++)
            check_target(reader, &chain->items[k]);
    }
    if (trigger->type == MANIFEST_TRIGGER_REDIS)
        check_redis(reader, trigger);
    if (trigger->type == MANIFEST_TRIGGER_CRON)
        check_cron(reader, &trigger->cron_expression);
}

static void check_trigger_ids(struct reader *reader)
{
    struct map seen = {0};
    for (size_t i = 0; i < reader->triggers.count; i++) {
        const struct manifest_text *id = &reader->triggers.items[i].id;
        uint32_t other = 0;
        if (!id->text.ptr)
            continue;
        if (map_get(&seen, id->text, &other))
            reader_error(reader, id->at, ERR_INVALID, "give each trigger its own id, or none",
                         "the trigger in line %u has the id \"%s\" too", reader->triggers.items[other].at.line,
                         SHOWN(id->text));
        else if (!map_put(&seen, id->text, (uint32_t)i))
            reader_no_memory(reader);
    }
    map_free(&seen);
}

/* ---- routes ---- */

struct routes {
    struct reader *reader;
    struct route_spec *specs;
    uint32_t *triggers; /* whose */
    size_t count;
};

static void duplicate(void *arg, uint32_t replaced, uint32_t by)
{
    struct routes *routes = arg;
    const struct manifest_trigger *triggers = routes->reader->triggers.items;
    const struct manifest_text *old = &triggers[routes->triggers[replaced]].http.route;
    const struct manifest_text *new = &triggers[routes->triggers[by]].http.route;
    reader_warn(routes->reader, old->at, "take one of them out",
                "the route \"%s\" answers nothing, because that in line %u has the same paths", SHOWN(old->text),
                new->at.line);
}

/* False: it is none. */
static bool check_route(struct reader *reader, const struct manifest_text *route)
{
    struct err inner = {0};
    if (!route_check(route->text, &inner)) {
        reader_pass(reader, route->at, &inner, "route \"%s\"", SHOWN(route->text));
        return false;
    }
    if (route_reserved(route->text))
        reader_warn(reader, route->at, "use another path", "the paths of route \"%s\" are the host's own",
                    SHOWN(route->text));
    return true;
}

static void compile_routes(struct reader *reader, struct routes *routes)
{
    struct router router;
    struct err inner = {0};
    if (!router_compile(&router, routes->specs, routes->count, duplicate, routes, &inner)) {
        reader_pass(reader, (struct manifest_place){0, 0}, &inner, "routes");
        return;
    }
    router_free(&router);
}

static void check_routes(struct reader *reader)
{
    size_t most = reader->triggers.count;
    struct routes routes = {.reader = reader};
    routes.specs = reader_array(reader, most, sizeof *routes.specs);
    routes.triggers = reader_array(reader, most, sizeof *routes.triggers);
    for (size_t i = 0; routes.specs && routes.triggers && i < most; i++) {
        const struct manifest_text *route = &reader->triggers.items[i].http.route;
        if (!route->text.ptr || !check_route(reader, route))
            continue;
        routes.triggers[routes.count] = (uint32_t)i;
        routes.specs[routes.count++] = (struct route_spec){route->text, false};
    }
    if (!reader->no_memory)
        compile_routes(reader, &routes);
}

void check_manifest(struct reader *reader)
{
    for (size_t i = 0; i < reader->components.count; i++)
        check_component(reader, &reader->components.items[i]);
    for (size_t i = 0; i < reader->triggers.count; i++)
        check_trigger(reader, &reader->triggers.items[i]);
    check_trigger_ids(reader);
    check_routes(reader);
}
