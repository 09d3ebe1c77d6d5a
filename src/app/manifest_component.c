/* Components: [component.ID], or written where a trigger names one. */
#include "app/manifest_reader.h"
#include "app/outbound.h"
#include "app/template.h"
#include "app/words.h"

#include "base/buf.h"

#define EXPANDED_MAX 4096u /* bytes of a host with its variables */

/* ---- templates ---- */

/* A value is given where the variable has a default. */
static bool default_of(void *arg, struct str name, struct str *ret_value, struct err *err)
{
    const struct reader *reader = arg;
    const struct manifest_variable *variable = manifest_find_variable(reader->manifest, name);
    char room[256];
    if (variable) {
        *ret_value = variable->fallback.text;
        return true;
    }
    err_set(err, ERR_INVALID, "there is no variable \"%s\"", SHOWN(name));
    return err_remedy(err, "%s", reader_nearest_variable(reader, name, room));
}

bool reader_template(struct reader *reader, const struct manifest_text *text, const char *what)
{
    struct err inner = {0};
    if (!text->text.ptr || template_check(text->text, default_of, reader, &inner))
        return true;
    reader_pass(reader, text->at, &inner, "%s \"%s\"", what, SHOWN(text->text));
    return false;
}

static void take_variables(struct reader *reader, const struct toml_node *node, void *into)
{
    struct manifest_pairs *pairs = into;
    take_pairs(reader, node, pairs);
    for (uint32_t i = 0; i < pairs->count; i++) {
        reader_check(reader, &pairs->items[i].name, "variable", words_variable);
        reader_template(reader, &pairs->items[i].value, "value");
    }
}

static bool environment_name(struct str text, struct err *err)
{
    if (text.len && str_find(text, '=') == text.len)
        return true;
    err_set(err, ERR_INVALID, "not the name of a variable");
    return err_remedy(err, "a name is not empty and has no '=' in it");
}

static void take_environment(struct reader *reader, const struct toml_node *node, void *into)
{
    struct manifest_pairs *pairs = into;
    take_pairs(reader, node, pairs);
    for (uint32_t i = 0; i < pairs->count; i++)
        reader_check(reader, &pairs->items[i].name, "environment", environment_name);
}

/* ---- hosts ---- */

static bool all_have_defaults(struct reader *reader, struct str text)
{
    struct template_part part;
    while (template_next_part(&text, &part))
        if (part.variable && !manifest_find_variable(reader->manifest, part.text)->fallback.text.ptr)
            return false;
    return true;
}

static bool host_valid(struct str text, struct err *err)
{
    struct outbound outbound;
    if (!str_eq(text, STR("insecure:allow-all")))
        return outbound_parse(text, &outbound, err);
    err_set(err, ERR_INVALID, "not SCHEME://HOST[:PORT]");
    return err_remedy(err, "write *://*:* to permit everything");
}

/* With variables it is looked at as their defaults have it, if all have one. */
static void check_host(struct reader *reader, const struct manifest_text *text)
{
    struct err inner = {0};
    struct buf expanded;
    if (template_is_literal(text->text)) {
        reader_check(reader, text, "host", host_valid);
        return;
    }
    if (!reader_template(reader, text, "host") || !all_have_defaults(reader, text->text))
        return;
    buf_init(&expanded, EXPANDED_MAX);
    bool done = template_expand(text->text, default_of, reader, &expanded, &inner);
    struct str host = {(const char *)expanded.data, expanded.size};
    if (done && !outbound_is_empty(host))
        done = host_valid(host, &inner);
    if (!done)
        reader_pass(reader, text->at, &inner, "host \"%s\", with the defaults of its variables \"%s\"",
                    SHOWN(text->text), SHOWN(host));
    buf_free(&expanded);
}

static void take_hosts(struct reader *reader, const struct toml_node *node, void *into)
{
    struct manifest_texts *texts = into;
    take_texts(reader, node, texts);
    for (uint32_t i = 0; i < texts->count; i++)
        check_host(reader, &texts->items[i]);
}

/* ---- the deprecated list: hosts without scheme, which mean http and https ---- */

static void keep_host(struct reader *reader, struct manifest_texts *hosts, const char *scheme, struct str host,
                      struct manifest_place at)
{
    struct buf text;
    buf_init(&text, EXPANDED_MAX);
    bool done = buf_printf(&text, "%s://%.*s", scheme, STR_ARG(host));
    const char *copy = done ? arena_copy(reader->arena, text.data, text.size) : NULL;
    if (copy)
        hosts->items[hosts->count++] = (struct manifest_text){{copy, text.size}, at};
    else
        reader_no_memory(reader);
    buf_free(&text);
}

static struct str without_scheme(struct str text)
{
    size_t skip = str_starts(text, STR("https://")) ? 8 : str_starts(text, STR("http://")) ? 7 : 0;
    text = str_slice(text, skip, text.len);
    if (text.len && text.ptr[text.len - 1] == '/')
        text.len--;
    return text;
}

static bool old_host_valid(struct str text, struct err *err)
{
    char room[EXPANDED_MAX];
    struct str host = without_scheme(text);
    struct outbound outbound;
    if (str_eq(text, STR("insecure:allow-all")))
        return true;
    if (host.len && host.len < sizeof room - 8 &&
        !str_starts(str_slice(host, str_find(host, '/'), host.len), STR("//"))) {
        memcpy(room, "http://", 7);
        memcpy(room + 7, host.ptr, host.len);
        return outbound_parse((struct str){room, host.len + 7}, &outbound, err);
    }
    err_set(err, ERR_INVALID, "not a host");
    return err_remedy(err, "use allowed_outbound_hosts");
}

static void convert_host(struct reader *reader, struct manifest_texts *hosts, const struct manifest_text *old)
{
    struct str host = without_scheme(old->text);
    bool all = str_eq(old->text, STR("insecure:allow-all"));
    if (all || str_eq(host, STR("self")))
        keep_host(reader, hosts, "http", STR("self"), old->at);
    if (!all && str_eq(host, STR("self")))
        return;
    keep_host(reader, hosts, "http", all ? STR("*:*") : host, old->at);
    keep_host(reader, hosts, "https", all ? STR("*:*") : host, old->at);
}

/* Hosts of the old list behind those of the new one. */
static void convert_hosts(struct reader *reader, struct manifest_component *component)
{
    struct manifest_texts *hosts = &component->allowed_outbound_hosts, *old = &component->allowed_http_hosts;
    struct manifest_texts both = *hosts;
    if (!old->given)
        return;
    reader_warn(reader, old->at, "write allowed_outbound_hosts = [\"https://example.com\"] instead",
                "\"allowed_http_hosts\" is deprecated");
    both.items = reader_array(reader, hosts->count + (size_t)old->count * 3, sizeof *both.items);
    if (!both.items)
        return;
    if (hosts->count)
        memcpy(both.items, hosts->items, hosts->count * sizeof *both.items);
    for (uint32_t i = 0; i < old->count; i++)
        if (reader_check(reader, &old->items[i], "host", old_host_valid))
            convert_host(reader, &both, &old->items[i]);
    *hosts = both;
}

/* ---- files ---- */

static bool pattern_valid(struct str text, struct err *err)
{
    struct str last = text;
    for (size_t slash; (slash = str_find(last, '/')) < last.len;)
        last = str_slice(last, slash + 1, last.len);
    if (text.len && text.ptr[0] != '/' && !str_eq(last, STR(".")) && !str_eq(last, STR("..")))
        return true;
    err_set(err, ERR_INVALID,
            !text.len            ? "an empty pattern"
            : text.ptr[0] == '/' ? "an absolute pattern"
                                 : "a pattern that ends in '.' or '..'");
    return err_remedy(err, "write names of files from the folder of the manifest: assets/**/*, or { source = "
                           "\"assets\", destination = \"/\" }");
}

static bool has_parent(struct str path)
{
    while (path.len) {
        size_t slash = str_find(path, '/');
        if (str_eq(str_slice(path, 0, slash), STR("..")))
            return true;
        path = str_slice(path, slash + (slash < path.len), path.len);
    }
    return false;
}

static bool mount_source_valid(struct str text, struct err *err)
{
    if (text.len && text.ptr[0] != '/')
        return true;
    err_set(err, ERR_INVALID, text.len ? "an absolute path" : "an empty path");
    return err_remedy(err, "write it relative to the folder of the manifest");
}

/* A destination that is not absolute means the one below the root, as Spin has it. */
static void root_destination(struct reader *reader, struct manifest_text *destination)
{
    struct str text = destination->text;
    if (!text.ptr || (text.len && text.ptr[0] == '/'))
        return;
    reader_warn(reader, destination->at, "begin it with '/'", "destination \"%s\" is not absolute", SHOWN(text));
    char *rooted = reader_array(reader, text.len + 1, 1);
    if (!rooted)
        return;
    rooted[0] = '/';
    if (text.len)
        memcpy(rooted + 1, text.ptr, text.len);
    destination->text = (struct str){rooted, text.len + 1};
}

static void take_placement(struct reader *reader, const struct toml_node *node, struct manifest_mount *mount)
{
    static const struct reader_key keys[] = {
        READER_REQUIRED(manifest_mount, source, "source", take_text),
        READER_REQUIRED(manifest_mount, destination, "destination", take_text),
    };
    READER_TABLE(reader, node, keys, mount);
    reader_check(reader, &mount->source, "source", mount_source_valid);
    if (has_parent(mount->destination.text))
        reader_error(reader, mount->destination.at, ERR_INVALID, "write where the guest finds the files, from '/' on",
                     "destination \"%s\" has a '..' in it", SHOWN(mount->destination.text));
    root_destination(reader, &mount->destination);
}

static void take_files(struct reader *reader, const struct toml_node *node, void *into)
{
    struct manifest_mounts *mounts = into;
    if (!reader_is(reader, node, TOML_ARRAY) || !reader_fits(reader, node, MANIFEST_LIST_MAX))
        return;
    mounts->items = reader_array(reader, node->count, sizeof *mounts->items);
    size_t before = reader_enter(reader, node->key);
    for (uint32_t i = 0; mounts->items && i < node->count; i++) {
        const struct toml_node *item = &node->items[i];
        struct manifest_mount *mount = &mounts->items[mounts->count];
        mounts->count += item->kind == TOML_TEXT || item->kind == TOML_TABLE;
        if (item->kind == TOML_TEXT) {
            mount->pattern = (struct manifest_text){item->text, place_of(item)};
            reader_check(reader, &mount->pattern, "files", pattern_valid);
        } else if (item->kind == TOML_TABLE)
            take_placement(reader, item, mount);
        else
            reader_error(reader, place_of(item), ERR_INVALID,
                         "write \"assets/**/*\" or { source = \"assets\", destination = \"/\" }",
                         "an entry of %s must be a string or a table, not %s", reader->where,
                         toml_kind_name(item->kind));
    }
    reader_leave(reader, before);
}

static void take_globs(struct reader *reader, const struct toml_node *node, void *into)
{
    struct manifest_texts *texts = into;
    take_texts(reader, node, texts);
    for (uint32_t i = 0; i < texts->count; i++)
        reader_check(reader, &texts->items[i], "pattern", words_glob);
}

/* ---- the rest ---- */

static void take_labels(struct reader *reader, const struct toml_node *node, void *into)
{
    struct manifest_texts *texts = into;
    take_texts(reader, node, texts);
    for (uint32_t i = 0; i < texts->count; i++)
        reader_check(reader, &texts->items[i], "label", words_label);
}

/* They are no reason not to run: components name models that they ask only sometimes, or never. */
static void take_models(struct reader *reader, const struct toml_node *node, void *into)
{
    struct manifest_texts *texts = into;
    take_texts(reader, node, texts);
    if (texts->count)
        reader_warn(reader, key_place(node), "whatever the component asks of a model fails with model-not-supported",
                    "mayfly does not have models yet");
}

static void take_build(struct reader *reader, const struct toml_node *node, void *into)
{
    static const struct reader_key keys[] = {
        READER_REQUIRED(manifest_build, commands, "command", take_command),
        READER_KEY(manifest_build, workdir, "workdir", take_text),
        READER_KEY(manifest_build, watch, "watch", take_texts),
    };
    size_t before = reader_enter(reader, node->key);
    READER_TABLE(reader, node, keys, into);
    reader_leave(reader, before);
}

static void take_tools(struct reader *reader, const struct toml_node *node, void *into)
{
    struct manifest_component *component = into;
    take_tables(reader, node, &component->tools);
    read_limits(reader, component->tools, &component->limits);
}

static void take_profile_build(struct reader *reader, const struct toml_node *node, void *into)
{
    static const struct reader_key keys[] = {{"command", take_command, 0, true}};
    size_t before = reader_enter(reader, node->key);
    READER_TABLE(reader, node, keys, into);
    reader_leave(reader, before);
}

static void take_profiles(struct reader *reader, const struct toml_node *node, void *into)
{
    static const struct reader_key keys[] = {
        READER_KEY(manifest_profile, source, "source", take_source),
        READER_KEY(manifest_profile, environment, "environment", take_environment),
        READER_KEY(manifest_profile, dependencies, "dependencies", take_dependencies),
        READER_KEY(manifest_profile, commands, "build", take_profile_build),
    };
    struct manifest_profiles *profiles = into;
    if (!reader_is(reader, node, TOML_TABLE) || !reader_fits(reader, node, MANIFEST_PROFILES_MAX))
        return;
    profiles->items = reader_array(reader, node->count, sizeof *profiles->items);
    size_t outer = reader_enter(reader, node->key);
    for (uint32_t i = 0; profiles->items && i < node->count; i++) {
        struct manifest_profile *profile = &profiles->items[profiles->count++];
        profile->name = (struct manifest_text){node->items[i].key, key_place(&node->items[i])};
        size_t before = reader_enter(reader, node->items[i].key);
        READER_TABLE(reader, &node->items[i], keys, profile);
        reader_leave(reader, before);
    }
    reader_leave(reader, outer);
}

void take_component(struct reader *reader, const struct toml_node *node, void *into)
{
    static const struct reader_key keys[] = {
        READER_REQUIRED(manifest_component, source, "source", take_source),
        READER_KEY(manifest_component, description, "description", take_text),
        READER_KEY(manifest_component, variables, "variables", take_variables),
        READER_KEY(manifest_component, environment, "environment", take_environment),
        READER_KEY(manifest_component, files, "files", take_files),
        READER_KEY(manifest_component, exclude_files, "exclude_files", take_globs),
        READER_KEY(manifest_component, allowed_http_hosts, "allowed_http_hosts", take_texts),
        READER_KEY(manifest_component, allowed_outbound_hosts, "allowed_outbound_hosts", take_hosts),
        READER_KEY(manifest_component, key_value_stores, "key_value_stores", take_labels),
        READER_KEY(manifest_component, sqlite_databases, "sqlite_databases", take_labels),
        READER_KEY(manifest_component, ai_models, "ai_models", take_models),
        READER_KEY(manifest_component, targets, "targets", take_targets),
        READER_KEY(manifest_component, build, "build", take_build),
        {"tool", take_tools, 0, false},
        READER_KEY(manifest_component, dependencies_inherit, "dependencies_inherit_configuration", take_truth),
        READER_KEY(manifest_component, dependencies, "dependencies", take_dependencies),
        READER_KEY(manifest_component, profiles, "profile", take_profiles),
    };
    struct manifest_component *component = into;
    component->at = key_place(node);
    READER_TABLE(reader, node, keys, component);
    convert_hosts(reader, component);
}

void take_components(struct reader *reader, const struct toml_node *node, void *into)
{
    (void)into;
    if (!reader_is(reader, node, TOML_TABLE) || !reader_fits(reader, node, MANIFEST_COMPONENTS_MAX))
        return;
    size_t outer = reader_enter(reader, node->key);
    for (uint32_t i = 0; i < node->count; i++) {
        const struct toml_node *item = &node->items[i];
        struct manifest_component *component = VEC_PUSH(&reader->components, MANIFEST_COMPONENTS_MAX);
        if (!component) {
            reader_no_memory(reader);
            break;
        }
        component->id = (struct manifest_text){item->key, key_place(item)};
        reader_check(reader, &component->id, "component", words_kebab);
        size_t before = reader_enter(reader, item->key);
        take_component(reader, item, component);
        reader_leave(reader, before);
    }
    reader_leave(reader, outer);
}
