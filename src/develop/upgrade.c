/* See upgrade.h. The old text becomes a tree (app/toml.h), and the new one is written from it: keys that are called
 * alike keep their values, whatever they are; the reader of version 2 checks them. Components that named no
 * allowed_outbound_hosts could reach every database in version 1, and still can. */
#include "develop/upgrade.h"

#include "app/toml.h"
#include "app/words.h"

#include <inttypes.h>
#include <stdlib.h>

#define ARENA_MAX ((size_t)64 << 20)

struct upgrade {
    struct arena arena;
    struct toml_node root;
    struct buf *out;
    struct str type; /* of the trigger */
};

/* ---- values as TOML ---- */

static void put_text(struct buf *out, struct str text)
{
    buf_append(out, "\"", 1);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", c);
        else if (c < ' ' || c == 0x7f)
            buf_printf(out, "\\u%04x", c);
        else
            buf_append(out, &c, 1);
    }
    buf_append(out, "\"", 1);
}

static void put_key(struct buf *out, struct str key)
{
    bool bare = key.len > 0;
    for (size_t i = 0; i < key.len; i++)
        bare &= strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", key.ptr[i]) != NULL;
    if (bare)
        buf_append(out, key.ptr, key.len);
    else
        put_text(out, key);
}

/* At most TOML_DEPTH_MAX deep. */
static void put_value(struct buf *out, const struct toml_node *node)
{
    bool table = node->kind == TOML_TABLE;
    switch (node->kind) {
    case TOML_TEXT: put_text(out, node->text); return;
    case TOML_INTEGER: buf_printf(out, "%" PRId64, node->integer); return;
    case TOML_FLOAT: buf_printf(out, "%.17g", node->number); return;
    case TOML_BOOLEAN: buf_printf(out, node->truth ? "true" : "false"); return;
    case TOML_DATE: buf_append(out, node->text.ptr, node->text.len); return;
    default: break;
    }
    buf_printf(out, table ? "{ " : "[");
    for (uint32_t i = 0; i < node->count; i++) {
        buf_printf(out, i ? ", " : "");
        if (table) {
            put_key(out, node->items[i].key);
            buf_printf(out, " = ");
        }
        put_value(out, &node->items[i]);
    }
    buf_printf(out, table ? " }" : "]");
}

static void put_line(struct buf *out, struct str key, const struct toml_node *node)
{
    put_key(out, key);
    buf_printf(out, " = ");
    put_value(out, node);
    buf_printf(out, "\n");
}

/* The member `name` of a table, as `key`, if it is there. */
static void put_member(struct buf *out, const struct toml_node *table, const char *name, const char *key)
{
    const struct toml_node *node = toml_member(table, str_of(name));
    if (node)
        put_line(out, str_of(key), node);
}

static void put_rest(struct buf *out, const struct toml_node *table, struct str but)
{
    for (uint32_t i = 0; table && table->kind == TOML_TABLE && i < table->count; i++)
        if (!str_eq(table->items[i].key, but))
            put_line(out, table->items[i].key, &table->items[i]);
}

/* ---- what version 1 has ---- */

static const char *const root_keys[] = {"spin_manifest_version",
                                        "spin_version",
                                        "name",
                                        "version",
                                        "description",
                                        "authors",
                                        "trigger",
                                        "variables",
                                        "component"};
static const char *const component_keys[] = {"id",
                                             "source",
                                             "trigger",
                                             "description",
                                             "config",
                                             "environment",
                                             "files",
                                             "exclude_files",
                                             "allowed_http_hosts",
                                             "allowed_outbound_hosts",
                                             "key_value_stores",
                                             "sqlite_databases",
                                             "ai_models",
                                             "build"};

static bool wrong(const struct toml_node *node, struct err *err, const char *what)
{
    return err_set(err, ERR_INVALID, "line %u: %s", node->key_line ? node->key_line : node->line, what);
}

static bool known(const struct toml_node *table, const char *const *keys, size_t count, struct err *err)
{
    for (uint32_t i = 0; i < table->count; i++) {
        size_t key = 0;
        while (key < count && !str_eq(table->items[i].key, str_of(keys[key])))
            key++;
        if (key < count)
            continue;
        err_set(err, ERR_INVALID, "line %u: version 1 has no \"%.*s\" here", table->items[i].key_line,
                (int)(table->items[i].key.len < 64 ? table->items[i].key.len : 64), table->items[i].key.ptr);
        return err_remedy(err, "take it out, and start this again");
    }
    return true;
}

static const struct toml_node *member_of_kind(const struct toml_node *table, const char *name, enum toml_kind kind)
{
    const struct toml_node *node = toml_member(table, str_of(name));
    return node && node->kind == kind ? node : NULL;
}

/* ---- hosts ---- */

static void put_host(struct buf *out, bool *some, const char *scheme, struct str host)
{
    struct buf text;
    buf_init(&text, 4096);
    if (buf_printf(&text, "%s%.*s", scheme, STR_ARG(host))) {
        buf_printf(out, *some ? ", " : "");
        put_text(out, (struct str){(const char *)text.data, text.size});
        *some = true;
    }
    buf_free(&text);
}

static struct str plain_host(struct str text)
{
    size_t skip = str_starts(text, STR("https://")) ? 8 : str_starts(text, STR("http://")) ? 7 : 0;
    text = str_slice(text, skip, text.len);
    if (text.len && text.ptr[text.len - 1] == '/')
        text.len--;
    return text;
}

static void put_http_hosts(struct buf *out, bool *some, const struct toml_node *hosts)
{
    bool all = false;
    for (uint32_t i = 0; i < hosts->count; i++)
        all |= hosts->items[i].kind == TOML_TEXT && str_eq(hosts->items[i].text, STR("insecure:allow-all"));
    if (all) {
        put_host(out, some, "http://", STR("*:*"));
        put_host(out, some, "https://", STR("*:*"));
        put_host(out, some, "http://", STR("self"));
        return;
    }
    for (uint32_t i = 0; i < hosts->count; i++) {
        if (hosts->items[i].kind != TOML_TEXT)
            continue;
        struct str host = plain_host(hosts->items[i].text);
        put_host(out, some, "http://", host);
        if (!str_eq(host, STR("self")))
            put_host(out, some, "https://", host);
    }
}

static void put_hosts(struct buf *out, const struct toml_node *component)
{
    const struct toml_node *hosts = member_of_kind(component, "allowed_outbound_hosts", TOML_ARRAY);
    const struct toml_node *http = member_of_kind(component, "allowed_http_hosts", TOML_ARRAY);
    bool some = false;
    buf_printf(out, "allowed_outbound_hosts = [");
    for (uint32_t i = 0; hosts && i < hosts->count; i++) {
        buf_printf(out, some ? ", " : "");
        put_value(out, &hosts->items[i]);
        some = true;
    }
    if (!hosts) {
        put_host(out, &some, "redis://", STR("*:*"));
        put_host(out, &some, "mysql://", STR("*:*"));
        put_host(out, &some, "postgres://", STR("*:*"));
    }
    if (http)
        put_http_hosts(out, &some, http);
    buf_printf(out, "]\n");
}

/* ---- parts ---- */

/* An id that version 2 takes: under_scores and mixedCase become words with '-'. NULL: out of memory. */
static bool take_id(struct upgrade *upgrade, const struct toml_node *component, struct str *ret_id, struct err *err)
{
    const struct toml_node *node = member_of_kind(component, "id", TOML_TEXT);
    if (!node)
        return wrong(component, err, "a component without \"id\"");
    *ret_id = node->text;
    if (words_kebab(node->text, NULL))
        return true;
    char *made = arena_copy(&upgrade->arena, node->text.ptr, node->text.len);
    if (!made)
        return err_memory(err);
    for (size_t i = 0; i < node->text.len; i++)
        made[i] = (char)(made[i] == '_' ? '-' : made[i] >= 'A' && made[i] <= 'Z' ? made[i] - 'A' + 'a' : made[i]);
    *ret_id = (struct str){made, node->text.len};
    return words_kebab(*ret_id, err) || err_within(err, "line %u: component \"%.*s\"", node->line,
                                                   (int)(node->text.len < 64 ? node->text.len : 64), node->text.ptr);
}

static void put_application(struct upgrade *upgrade)
{
    static const char *const keys[] = {"name", "version", "description", "authors"};
    struct buf *out = upgrade->out;
    const struct toml_node *trigger = toml_member(&upgrade->root, STR("trigger"));
    buf_printf(out, "spin_manifest_version = 2\n\n[application]\n");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        put_member(out, &upgrade->root, keys[i], keys[i]);
    if (trigger->count > 1) {
        buf_printf(out, "\n[application.trigger.");
        put_key(out, upgrade->type);
        buf_printf(out, "]\n");
        put_rest(out, trigger, STR("type"));
    }
    const struct toml_node *variables = member_of_kind(&upgrade->root, "variables", TOML_TABLE);
    if (variables && variables->count) {
        buf_printf(out, "\n[variables]\n");
        put_rest(out, variables, STR(""));
    }
}

static bool put_trigger(struct upgrade *upgrade, const struct toml_node *component, struct err *err)
{
    struct buf *out = upgrade->out;
    struct str id;
    if (!take_id(upgrade, component, &id, err))
        return false;
    buf_printf(out, "\n[[trigger.");
    put_key(out, upgrade->type);
    buf_printf(out, "]]\nid = \"trigger-%.*s\"\ncomponent = \"%.*s\"\n", STR_ARG(id), STR_ARG(id));
    put_rest(out, member_of_kind(component, "trigger", TOML_TABLE), STR(""));
    return true;
}

static bool put_component(struct upgrade *upgrade, const struct toml_node *component, struct err *err)
{
    static const char *const before[] = {"source", "description", "config", "environment", "files", "exclude_files"};
    static const char *const behind[] = {"key_value_stores", "sqlite_databases", "ai_models"};
    struct buf *out = upgrade->out;
    struct str id;
    if (!take_id(upgrade, component, &id, err))
        return false;
    buf_printf(out, "\n[component.%.*s]\n", STR_ARG(id));
    for (size_t i = 0; i < sizeof before / sizeof *before; i++)
        put_member(out, component, before[i], strcmp(before[i], "config") == 0 ? "variables" : before[i]);
    put_hosts(out, component);
    for (size_t i = 0; i < sizeof behind / sizeof *behind; i++)
        put_member(out, component, behind[i], behind[i]);
    const struct toml_node *build = member_of_kind(component, "build", TOML_TABLE);
    if (build) {
        buf_printf(out, "\n[component.%.*s.build]\n", STR_ARG(id));
        put_rest(out, build, STR(""));
    }
    return true;
}

/* ---- the whole ---- */

static bool read_tree(struct upgrade *upgrade, struct str text, struct err *err)
{
    struct toml_mistake mistake = {0};
    arena_init(&upgrade->arena, ARENA_MAX);
    if (toml_read(&upgrade->arena, text, &upgrade->root, &mistake, err))
        return true;
    bool placed = err && err->kind != ERR_MEMORY && mistake.line;
    return placed ? err_within(err, "line %u", mistake.line) : false;
}

static bool is_old(const struct toml_node *root)
{
    const struct toml_node *version = toml_member(root, STR("spin_manifest_version"));
    return (version && version->kind == TOML_TEXT && str_eq(version->text, STR("1"))) ||
           (!version && toml_member(root, STR("spin_version")));
}

bool upgrade_needed(struct str text)
{
    struct upgrade upgrade = {0};
    bool old = read_tree(&upgrade, text, NULL) && is_old(&upgrade.root);
    arena_free(&upgrade.arena);
    return old;
}

static bool check(struct upgrade *upgrade, struct err *err)
{
    const struct toml_node *root = &upgrade->root;
    const struct toml_node *trigger = member_of_kind(root, "trigger", TOML_TABLE);
    const struct toml_node *type = trigger ? member_of_kind(trigger, "type", TOML_TEXT) : NULL;
    const struct toml_node *components = toml_member(root, STR("component"));
    if (!known(root, root_keys, sizeof root_keys / sizeof *root_keys, err))
        return false;
    if (!type) {
        err_set(err, ERR_INVALID, "the manifest lacks the type of its trigger");
        return err_remedy(err, "write trigger = { type = \"http\" }");
    }
    if (components && (components->kind != TOML_ARRAY || !components->listed))
        return wrong(components, err, "components of version 1 are [[component]]");
    upgrade->type = type->text;
    for (uint32_t i = 0; components && i < components->count; i++)
        if (!known(&components->items[i], component_keys, sizeof component_keys / sizeof *component_keys, err))
            return false;
    return true;
}

static bool write_all(struct upgrade *upgrade, struct err *err)
{
    const struct toml_node *components = toml_member(&upgrade->root, STR("component"));
    put_application(upgrade);
    for (uint32_t i = 0; components && i < components->count; i++)
        if (!put_trigger(upgrade, &components->items[i], err))
            return false;
    for (uint32_t i = 0; components && i < components->count; i++)
        if (!put_component(upgrade, &components->items[i], err))
            return false;
    return !upgrade->out->failed || err_memory(err);
}

bool upgrade_text(struct str text, struct buf *ret_text, struct err *err)
{
    struct upgrade upgrade = {.out = ret_text};
    bool done = read_tree(&upgrade, text, err) && check(&upgrade, err) && write_all(&upgrade, err);
    arena_free(&upgrade.arena);
    return done;
}
