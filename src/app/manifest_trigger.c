/* Triggers: [[trigger.TYPE]]. What each type has beyond its components stands in a table of keys here; types that
 * others serve are named as not supported. */
#include "app/manifest_reader.h"
#include "app/words.h"
#include "http/parse.h"

/* ---- components ---- */

/* The index of a new component. */
static uint32_t inline_component(struct reader *reader, const struct toml_node *node)
{
    size_t index = reader->components.count;
    struct manifest_component component = {.is_inline = true};
    size_t before = reader_enter(reader, STR("component"));
    take_component(reader, node, &component);
    reader_leave(reader, before);
    if (index == MANIFEST_COMPONENTS_MAX) {
        reader_error(reader, component.at, ERR_LIMIT, NULL, "more than %u components", MANIFEST_COMPONENTS_MAX);
        return MANIFEST_NONE;
    }
    struct manifest_component *place = VEC_PUSH(&reader->components, MANIFEST_COMPONENTS_MAX);
    if (!place) {
        reader_no_memory(reader);
        return MANIFEST_NONE;
    }
    *place = component;
    return (uint32_t)index;
}

/* A component's index, by its id or as it is written here. */
static uint32_t read_specification(struct reader *reader, const struct toml_node *node, struct manifest_text *ret_id)
{
    struct manifest *manifest = reader->manifest;
    struct manifest_text id = {node->text, place_of(node)};
    char room[256];
    uint32_t index = MANIFEST_NONE;
    if (node->kind == TOML_TABLE)
        return inline_component(reader, node);
    if (node->kind != TOML_TEXT) {
        reader_error(reader, place_of(node), ERR_INVALID, "write the id of a [component.ID], or the component itself",
                     "a component in %s must be a string or a table, not %s", reader->where,
                     toml_kind_name(node->kind));
        return MANIFEST_NONE;
    }
    *ret_id = id;
    if (!reader_check(reader, &id, "component", words_kebab) || map_get(&manifest->component_map, id.text, &index))
        return index;
    reader_error(reader, id.at, ERR_INVALID, reader_nearest_component(reader, id.text, room),
                 "there is no component \"%s\"", SHOWN(id.text));
    return MANIFEST_NONE;
}

static void take_main(struct reader *reader, const struct toml_node *node, void *into)
{
    struct manifest_trigger *trigger = into;
    trigger->component = read_specification(reader, node, &trigger->component_id);
}

/* ---- roles ---- */

static void read_role(struct reader *reader, const struct toml_node *node, struct manifest_role *role)
{
    bool many = node->kind == TOML_ARRAY;
    uint32_t count = many ? node->count : 1;
    struct manifest_text id;
    if (many && !reader_fits(reader, node, MANIFEST_LIST_MAX))
        return;
    role->components = reader_array(reader, count, sizeof *role->components);
    for (uint32_t i = 0; role->components && i < count; i++)
        role->components[role->component_count++] = read_specification(reader, many ? &node->items[i] : node, &id);
}

static void take_roles(struct reader *reader, const struct toml_node *node, struct manifest_roles *roles, bool chains)
{
    if (!reader_is(reader, node, TOML_TABLE) || !reader_fits(reader, node, MANIFEST_LIST_MAX))
        return;
    roles->items = reader_array(reader, node->count, sizeof *roles->items);
    size_t outer = reader_enter(reader, node->key);
    for (uint32_t i = 0; roles->items && i < node->count; i++) {
        const struct toml_node *item = &node->items[i];
        struct manifest_role *role = &roles->items[roles->count++];
        role->name = (struct manifest_text){item->key, key_place(item)};
        if (chains)
            take_chain(reader, item, &role->dependencies);
        else
            read_role(reader, item, role);
    }
    reader_leave(reader, outer);
}

static void take_component_roles(struct reader *reader, const struct toml_node *node, void *into)
{
    take_roles(reader, node, into, false);
}

static void take_dependency_roles(struct reader *reader, const struct toml_node *node, void *into)
{
    take_roles(reader, node, into, true);
}

/* ---- http ---- */

static void take_route(struct reader *reader, const struct toml_node *node, void *into)
{
    static const struct reader_key keys[] = {{"private", take_truth, 0, true}};
    struct manifest_http *http = into;
    struct manifest_truth truth = {0};
    if (node->kind == TOML_TEXT) {
        http->route = (struct manifest_text){node->text, place_of(node)};
        return;
    }
    if (node->kind == TOML_TABLE) {
        size_t before = reader_enter(reader, node->key);
        READER_TABLE(reader, node, keys, &truth);
        reader_leave(reader, before);
    } else
        reader_error(reader, place_of(node), ERR_INVALID, "write a path, or { private = true }",
                     "\"route\" in %s must be a string or a table, not %s", reader->where, toml_kind_name(node->kind));
    if (truth.given && !truth.value)
        reader_error(reader, truth.at, ERR_INVALID, "write the route as a string if it is not private",
                     "\"private\" in a route can only be true");
    http->is_private = true;
}

static void take_executor_type(struct reader *reader, const struct toml_node *node, void *into)
{
    static const struct str names[] = {{"http", 4}, {"spin", 4}, {"wagi", 4}};
    enum manifest_executor *executor = into;
    char room[256];
    if (!reader_is(reader, node, TOML_TEXT))
        return;
    for (size_t i = 0; i < 3; i++)
        if (str_eq(node->text, names[i])) {
            *executor = i == 2 ? MANIFEST_EXECUTOR_WAGI : MANIFEST_EXECUTOR_HTTP;
            return;
        }
    reader_error(reader, place_of(node), ERR_INVALID,
                 reader_nearest(reader, node->text, (struct reader_words){names, 3, sizeof *names},
                                "an executor is \"http\" or \"wagi\"", room),
                 "no executor \"%s\"", SHOWN(node->text));
}

static void take_executor(struct reader *reader, const struct toml_node *node, void *into)
{
    static const struct reader_key keys[] = {
        READER_REQUIRED(manifest_http, executor, "type", take_executor_type),
        READER_KEY(manifest_http, argv, "argv", take_text),
        READER_KEY(manifest_http, entrypoint, "entrypoint", take_text),
    };
    struct manifest_http *http = into;
    size_t before = reader_enter(reader, node->key);
    READER_TABLE(reader, node, keys, http);
    reader_leave(reader, before);
    if (http->executor == MANIFEST_EXECUTOR_HTTP && (http->argv.text.ptr || http->entrypoint.text.ptr))
        reader_error(reader, place_of(node), ERR_INVALID, "write type = \"wagi\", or leave them out",
                     "only the executor \"wagi\" has \"argv\" and \"entrypoint\"");
}

static void take_status(struct reader *reader, const struct toml_node *node, void *into)
{
    uint32_t *status = into;
    if (!reader_is(reader, node, TOML_INTEGER))
        return;
    if (node->integer >= 200 && node->integer <= 999)
        *status = (uint32_t)node->integer;
    else
        reader_error(reader, place_of(node), ERR_INVALID, "write a number from 200 to 999",
                     "%lld is no status of an answer", (long long)node->integer);
}

static bool header_name(struct str text, struct err *err)
{
    if (http_is_token(text))
        return true;
    err_set(err, ERR_INVALID, "not the name of a header");
    return err_remedy(err, "a name is letters, digits and some of the signs: content-type");
}

static bool header_value(struct str text, struct err *err)
{
    if (http_is_value(text))
        return true;
    err_set(err, ERR_INVALID, "not the value of a header");
    return err_remedy(err, "a value has no line ends and other control characters");
}

static void take_headers(struct reader *reader, const struct toml_node *node, void *into)
{
    struct manifest_pairs *pairs = into;
    take_pairs(reader, node, pairs);
    for (uint32_t i = 0; i < pairs->count; i++) {
        reader_check(reader, &pairs->items[i].name, "header", header_name);
        reader_check(reader, &pairs->items[i].value, "header", header_value);
    }
}

static void take_answer(struct reader *reader, const struct toml_node *node, void *into)
{
    static const struct reader_key keys[] = {
        READER_KEY(manifest_answer, status, "status_code", take_status),
        READER_KEY(manifest_answer, headers, "headers", take_headers),
        READER_KEY(manifest_answer, body, "body", take_text),
    };
    struct manifest_answer *answer = into;
    size_t before = reader_enter(reader, node->key);
    answer->given = true;
    answer->status = 200;
    answer->at = place_of(node);
    READER_TABLE(reader, node, keys, answer);
    reader_leave(reader, before);
}

/* ---- by type ---- */

#define COMMON                                                                                                         \
    READER_KEY(manifest_trigger, id, "id", take_text),                                                                 \
        READER_KEY(manifest_trigger, components, "components", take_component_roles),                                  \
        READER_KEY(manifest_trigger, dependencies, "dependencies", take_dependency_roles)
#define COMPONENT {"component", take_main, 0, true}

static const struct reader_key http_keys[] = {
    COMMON,
    {"component", take_main, 0, false},
    READER_REQUIRED(manifest_trigger, http, "route", take_route),
    READER_KEY(manifest_trigger, http, "executor", take_executor),
    READER_KEY(manifest_trigger, http.answer, "static_response", take_answer)};
static const struct reader_key redis_keys[] = {COMMON, COMPONENT,
                                               READER_REQUIRED(manifest_trigger, redis.channel, "channel", take_text),
                                               READER_KEY(manifest_trigger, redis.address, "address", take_text)};
static const struct reader_key cron_keys[] = {
    COMMON, COMPONENT, READER_REQUIRED(manifest_trigger, cron_expression, "cron_expression", take_text)};
static const struct reader_key command_keys[] = {COMMON, COMPONENT};

#define KEYS(keys) keys, sizeof(keys) / sizeof *(keys)

static const struct type {
    struct str name;
    const struct reader_key *keys;
    size_t count;
} types[] = {
    [MANIFEST_TRIGGER_HTTP] = {{"http", 4}, KEYS(http_keys)},
    [MANIFEST_TRIGGER_REDIS] = {{"redis", 5}, KEYS(redis_keys)},
    [MANIFEST_TRIGGER_CRON] = {{"cron", 4}, KEYS(cron_keys)},
    [MANIFEST_TRIGGER_COMMAND] = {{"command", 7}, KEYS(command_keys)},
};

static enum manifest_trigger_type type_of(struct str name)
{
    size_t type = 0;
    while (type < MANIFEST_TRIGGER_OTHER && !str_eq(types[type].name, name))
        type++;
    return (enum manifest_trigger_type)type;
}

/* Exactly one of a component and an answer; dependencies only around a component. */
static void check_http(struct reader *reader, const struct manifest_trigger *trigger)
{
    bool component = toml_member(trigger->config, STR("component")) != NULL, answer = trigger->http.answer.given;
    if (component == answer)
        reader_error(reader, trigger->at, ERR_INVALID, "give it one of them", "an http trigger has %s",
                     component ? "both \"component\" and \"static_response\""
                               : "neither \"component\" nor \"static_response\"");
    for (uint32_t i = 0; i < trigger->dependencies.count; i++)
        if (!str_eq(trigger->dependencies.items[i].name.text, STR("middleware")))
            reader_error(reader, trigger->dependencies.items[i].name.at, ERR_INVALID,
                         "write dependencies.middleware = [...]", "an http trigger has no dependencies called \"%s\"",
                         SHOWN(trigger->dependencies.items[i].name.text));
}

static void read_trigger(struct reader *reader, const struct toml_node *node, const struct toml_node *list,
                         struct manifest_trigger *trigger)
{
    trigger->type = type_of(list->key);
    trigger->type_name = (struct manifest_text){list->key, key_place(list)};
    trigger->at = place_of(node);
    trigger->component = MANIFEST_NONE;
    trigger->config = node;
    if (trigger->type == MANIFEST_TRIGGER_OTHER)
        return;
    const struct type *type = &types[trigger->type];
    reader_table(reader, node, type->keys, type->count, trigger);
    trigger->id_given = trigger->id.text.len > 0;
    if (trigger->type == MANIFEST_TRIGGER_HTTP)
        check_http(reader, trigger);
}

static void read_list(struct reader *reader, const struct toml_node *list)
{
    char room[256];
    struct manifest_trigger trigger;
    if (list->kind == TOML_TABLE) {
        reader_error(reader, key_place(list), ERR_INVALID, "write [[trigger.TYPE]], once for each trigger",
                     "%s must be a list of tables, not a table", reader->where);
        return;
    }
    if (!reader_is(reader, list, TOML_ARRAY))
        return;
    if (type_of(list->key) == MANIFEST_TRIGGER_OTHER)
        reader_error(reader, key_place(list), ERR_UNSUPPORTED,
                     reader_nearest(reader, list->key, READER_WORDS(types, MANIFEST_TRIGGER_OTHER, name),
                                    "there are http, redis, cron and command", room),
                     "no trigger of type \"%s\" is supported", SHOWN(list->key));
    for (uint32_t i = 0; i < list->count; i++) {
        if (reader->triggers.count == MANIFEST_TRIGGERS_MAX) {
            reader_error(reader, place_of(&list->items[i]), ERR_LIMIT, NULL, "more than %u triggers",
                         MANIFEST_TRIGGERS_MAX);
            return;
        }
        memset(&trigger, 0, sizeof trigger);
        read_trigger(reader, &list->items[i], list, &trigger);
        struct manifest_trigger *place = VEC_PUSH(&reader->triggers, MANIFEST_TRIGGERS_MAX);
        if (!place) {
            reader_no_memory(reader);
            return;
        }
        *place = trigger;
    }
}

void take_triggers(struct reader *reader, const struct toml_node *node, void *into)
{
    (void)into;
    if (!reader_is(reader, node, TOML_TABLE) || !reader_fits(reader, node, MANIFEST_LIST_MAX))
        return;
    size_t outer = reader_enter(reader, node->key);
    for (uint32_t i = 0; i < node->count; i++) {
        size_t before = reader_enter(reader, node->items[i].key);
        read_list(reader, &node->items[i]);
        reader_leave(reader, before);
    }
    reader_leave(reader, outer);
}
