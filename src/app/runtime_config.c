/* See runtime_config.h. What can have several types (providers, stores, databases) has a table of them: a new type is a
 * row with a function that reads its keys, and until there is one, a row without. */
#include "app/runtime_config.h"

#include "app/manifest_reader.h"
#include "app/words.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/nearest.h"

#include <stdio.h>

#define ARENA_MAX ((size_t)64 << 20)

/* ---- values that have types ---- */

struct type {
    struct str name;
    reader_take *take; /* NULL: mayfly does not have it */
};

static void pass_over(struct reader *reader, const struct toml_node *node, void *into)
{
    (void)reader;
    (void)node;
    (void)into;
}

static const struct type *find_type(const struct type *types, size_t count, struct str name)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(types[i].name, name))
            return &types[i];
    return NULL;
}

static void unknown_type(struct reader *reader, const struct toml_node *node, const struct type *types, size_t count)
{
    char remedy[256];
    size_t n = 0;
    struct nearest nearest = nearest_to(node->text);
    for (size_t i = 0; i < count; i++)
        nearest_consider(&nearest, types[i].name);
    if (nearest.found.len)
        snprintf(remedy, sizeof remedy, "did you mean \"%.*s\"?", STR_ARG(nearest.found));
    else
        for (size_t i = 0; i < count && n < sizeof remedy; i++)
            if (types[i].take)
                n += (size_t)snprintf(remedy + n, sizeof remedy - n, "%s\"%.*s\"", n ? ", " : "it may be ",
                                      STR_ARG(types[i].name));
    reader_error(reader, place_of(node), ERR_INVALID, remedy, "unknown type \"%s\" of %s", SHOWN(node->text),
                 reader->where);
}

/* The row of the table's "type"; NULL: noted. */
static const struct type *type_of(struct reader *reader, const struct toml_node *table, const struct type *types,
                                  size_t count)
{
    const struct toml_node *name = toml_member(table, STR("type"));
    if (!name) {
        reader_error(reader, key_place(table), ERR_INVALID, NULL, "%s lacks \"type\"", reader->where);
        return NULL;
    }
    if (!reader_is(reader, name, TOML_TEXT))
        return NULL;
    const struct type *type = find_type(types, count, name->text);
    if (!type)
        unknown_type(reader, name, types, count);
    else if (!type->take)
        reader_error(reader, place_of(name), ERR_UNSUPPORTED, "take that out of the file",
                     "mayfly does not have the type \"%.*s\" of %s yet", STR_ARG(type->name), reader->where);
    return type && type->take ? type : NULL;
}

/* ---- providers of variables ---- */

static void take_static(struct reader *reader, const struct toml_node *node, void *into)
{
    static const struct reader_key keys[] = {
        {"type", pass_over, 0, true},
        READER_REQUIRED(runtime_provider, values, "values", take_pairs),
    };
    ((struct runtime_provider *)into)->type = RUNTIME_STATIC;
    READER_TABLE(reader, node, keys, into);
}

static void take_environment(struct reader *reader, const struct toml_node *node, void *into)
{
    static const struct reader_key keys[] = {
        {"type", pass_over, 0, true},
        READER_KEY(runtime_provider, prefix, "prefix", take_text),
        READER_KEY(runtime_provider, dotenv_path, "dotenv_path", take_text),
    };
    struct runtime_provider *provider = into;
    provider->type = RUNTIME_ENVIRONMENT;
    READER_TABLE(reader, node, keys, into);
    if (provider->prefix.text.ptr && provider->prefix.text.len == 0)
        reader_error(reader, provider->prefix.at, ERR_INVALID, "leave it out for SPIN_VARIABLE, or write one",
                     "an empty prefix");
}

static void take_url(struct reader *reader, const struct toml_node *node, void *into)
{
    struct manifest_text *url = into;
    struct err inner = {0};
    take_text(reader, node, into);
    if (!url->text.ptr)
        return;
    bool has_user = memchr(url->text.ptr, '@', url->text.len) != NULL;
    if (has_user) /* what stands before it is nobody's business */
        reader_error(reader, url->at, ERR_INVALID, "write https://HOST[:PORT]", "a name or password in \"%s\" of %s",
                     SHOWN(node->key), reader->where);
    else if (!words_url(url->text, &inner))
        reader_pass(reader, url->at, &inner, "\"%s\" in %s", SHOWN(node->key), reader->where);
}

static void take_vault(struct reader *reader, const struct toml_node *node, void *into)
{
    static const struct reader_key keys[] = {
        {"type", pass_over, 0, true},
        READER_REQUIRED(runtime_provider, url, "url", take_url),
        READER_REQUIRED(runtime_provider, token, "token", take_text),
        READER_REQUIRED(runtime_provider, mount, "mount", take_text),
        READER_KEY(runtime_provider, prefix, "prefix", take_text),
    };
    ((struct runtime_provider *)into)->type = RUNTIME_VAULT;
    READER_TABLE(reader, node, keys, into);
}

static const struct type provider_types[] = {
    {STR("static"), take_static},
    {STR("env"), take_environment},
    {STR("vault"), take_vault},
    {STR("azure_key_vault"), NULL},
};

static void take_providers(struct reader *reader, const struct toml_node *node, void *into)
{
    struct runtime_config *config = into;
    if (!reader_is(reader, node, TOML_ARRAY) || !reader_fits(reader, node, RUNTIME_PROVIDERS_MAX))
        return;
    struct runtime_provider *providers = reader_array(reader, node->count, sizeof *providers);
    size_t before = reader_enter(reader, node->key);
    config->providers = providers;
    for (uint32_t i = 0; providers && i < node->count; i++) {
        const struct toml_node *item = &node->items[i];
        const struct type *type =
            reader_is(reader, item, TOML_TABLE)
                ? type_of(reader, item, provider_types, sizeof provider_types / sizeof *provider_types)
                : NULL;
        struct runtime_provider *provider = &providers[config->provider_count];
        provider->at = place_of(item);
        if (!type)
            continue;
        type->take(reader, item, provider);
        config->provider_count++;
    }
    reader_leave(reader, before);
}

/* ---- stores and databases ---- */

static void check_path(struct reader *reader, const struct runtime_store *store)
{
    if (store->path.text.ptr && store->path.text.len == 0)
        reader_error(reader, store->path.at, ERR_INVALID, "write the folder where it lies", "an empty path");
}

static void take_spin_store(struct reader *reader, const struct toml_node *node, void *into)
{
    static const struct reader_key keys[] = {
        {"type", pass_over, 0, true},
        READER_REQUIRED(runtime_store, path, "path", take_text),
    };
    ((struct runtime_store *)into)->type = RUNTIME_SPIN;
    READER_TABLE(reader, node, keys, into);
    check_path(reader, into);
}

static void take_attach(struct reader *reader, const struct toml_node *node, void *into)
{
    struct manifest_truth truth = {0};
    (void)into;
    take_truth(reader, node, &truth);
    if (truth.value)
        reader_error(reader, truth.at, ERR_UNSUPPORTED,
                     "take that out of the file: a statement reaches its own file only",
                     "mayfly does not have \"allow_attach_file\"");
}

static void take_spin_database(struct reader *reader, const struct toml_node *node, void *into)
{
    static const struct reader_key keys[] = {
        {"type", pass_over, 0, true},
        READER_REQUIRED(runtime_store, path, "path", take_text),
        {"allow_attach_file", take_attach, 0, false},
    };
    ((struct runtime_store *)into)->type = RUNTIME_SPIN;
    READER_TABLE(reader, node, keys, into);
    check_path(reader, into);
}

static void take_redis_store(struct reader *reader, const struct toml_node *node, void *into)
{
    static const struct reader_key keys[] = {
        {"type", pass_over, 0, true},
        READER_REQUIRED(runtime_store, url, "url", take_text),
    };
    ((struct runtime_store *)into)->type = RUNTIME_REDIS;
    READER_TABLE(reader, node, keys, into);
}

static const struct type store_types[] = {
    {STR("spin"), take_spin_store},
    {STR("redis"), take_redis_store},
    {STR("azure_cosmos"), NULL},
    {STR("aws_dynamo"), NULL},
};

static const struct type database_types[] = {
    {STR("spin"), take_spin_database},
    {STR("libsql"), NULL},
};

static void read_stores(struct reader *reader, const struct toml_node *node, const struct type *types, size_t count,
                        struct runtime_stores *into)
{
    if (!reader_is(reader, node, TOML_TABLE) || !reader_fits(reader, node, RUNTIME_STORES_MAX))
        return;
    into->items = reader_array(reader, node->count, sizeof *into->items);
    size_t outer = reader_enter(reader, node->key);
    for (uint32_t i = 0; into->items && i < node->count; i++) {
        const struct toml_node *item = &node->items[i];
        struct runtime_store *store = &into->items[into->count];
        if (!reader_is(reader, item, TOML_TABLE))
            continue;
        size_t inner = reader_enter(reader, item->key);
        const struct type *type = type_of(reader, item, types, count);
        store->label = (struct manifest_text){item->key, key_place(item)};
        reader_check(reader, &store->label, "label", words_label);
        if (type) {
            type->take(reader, item, store);
            into->count++;
        }
        reader_leave(reader, inner);
    }
    reader_leave(reader, outer);
}

static void take_stores(struct reader *reader, const struct toml_node *node, void *into)
{
    read_stores(reader, node, store_types, sizeof store_types / sizeof *store_types, into);
}

static void take_databases(struct reader *reader, const struct toml_node *node, void *into)
{
    read_stores(reader, node, database_types, sizeof database_types / sizeof *database_types, into);
}

/* ---- the network ---- */

static void take_network(struct reader *reader, const struct toml_node *node, struct runtime_config *config)
{
    struct ip_range *range = &config->blocked[config->blocked_count];
    if (!reader_is(reader, node, TOML_TEXT))
        return;
    if (str_eq(node->text, STR("private")))
        config->block_private = true;
    else if (ip_parse_range(node->text, range))
        config->blocked_count++;
    else
        reader_error(reader, place_of(node), ERR_INVALID, "write \"10.0.0.0/8\", \"2001:db8::/32\", or \"private\"",
                     "\"%s\" is no network", SHOWN(node->text));
}

static void take_blocked(struct reader *reader, const struct toml_node *node, void *into)
{
    struct runtime_config *config = into;
    if (!reader_is(reader, node, TOML_ARRAY) || !reader_fits(reader, node, RUNTIME_BLOCKED_MAX))
        return;
    config->blocked = reader_array(reader, node->count, sizeof *config->blocked);
    size_t before = reader_enter(reader, node->key);
    for (uint32_t i = 0; config->blocked && i < node->count; i++)
        take_network(reader, &node->items[i], config);
    reader_leave(reader, before);
}

/* ---- the whole ---- */

/* What Spin has there and mayfly has not. */
static void refuse(struct reader *reader, const struct toml_node *node, void *into)
{
    (void)into;
    reader_error(reader, key_place(node), ERR_UNSUPPORTED, "take that out of the file",
                 "mayfly does not have \"%s\" yet", SHOWN(node->key));
}

static void take_outbound(struct reader *reader, const struct toml_node *node, void *into)
{
    static const struct reader_key keys[] = {
        {"block_networks", take_blocked, 0, false},
        {"max_socket_connections", refuse, 0, false},
        {"max_total_connections", refuse, 0, false},
    };
    size_t before = reader_enter(reader, node->key);
    READER_TABLE(reader, node, keys, into);
    reader_leave(reader, before);
}

static void take_folder(struct reader *reader, const struct toml_node *node, void *into)
{
    struct manifest_text *text = into;
    take_text(reader, node, into);
    if (text->text.ptr && text->text.len == 0)
        reader_error(reader, text->at, ERR_UNSUPPORTED, "write a folder, or take it out of the file",
                     "mayfly keeps no stores in memory: an empty \"%s\"", SHOWN(node->key));
}

static void take_bytes(struct reader *reader, const struct toml_node *node, void *into)
{
    if (!reader_is(reader, node, TOML_INTEGER))
        return;
    if (node->integer <= 0)
        reader_error(reader, place_of(node), ERR_INVALID, NULL, "\"%s\" must be a number of bytes", SHOWN(node->key));
    else
        *(struct manifest_amount *)into = (struct manifest_amount){true, (uint64_t)node->integer, place_of(node)};
}

static void read_root(struct reader *reader, const struct toml_node *root, struct runtime_config *config)
{
    static const struct reader_key keys[] = {
        READER_KEY(runtime_config, state_dir, "state_dir", take_folder),
        READER_KEY(runtime_config, log_dir, "log_dir", take_text),
        READER_KEY(runtime_config, max_instance_memory, "max_instance_memory", take_bytes),
        {"variables_provider", take_providers, 0, false},
        {"config_provider", take_providers, 0, false}, /* as it was called before */
        READER_KEY(runtime_config, key_value_stores, "key_value_store", take_stores),
        READER_KEY(runtime_config, sqlite_databases, "sqlite_database", take_databases),
        {"outbound_networking", take_outbound, 0, false},
        {"llm_compute", refuse, 0, false},
        {"client_tls", refuse, 0, false},
        {"outbound_http", refuse, 0, false},
        {"outbound_redis", refuse, 0, false},
        {"outbound_pg", refuse, 0, false},
        {"outbound_mysql", refuse, 0, false},
        {"outbound_mqtt", refuse, 0, false},
    };
    const struct toml_node *old = toml_member(root, STR("config_provider"));
    if (old && toml_member(root, STR("variables_provider"))) {
        reader_error(reader, key_place(old), ERR_INVALID, "write variables_provider for all of them",
                     "both \"config_provider\" and \"variables_provider\"");
        return;
    }
    READER_TABLE(reader, root, keys, config);
}

bool runtime_config_read(struct runtime_config *ret, struct str text, struct manifest_problems *problems,
                         struct err *err)
{
    struct runtime_config config = {0};
    struct manifest_problems own = {0};
    struct reader reader = {
        .title = "the runtime configuration", .arena = &config.arena, .problems = problems ? problems : &own};
    arena_init(&config.arena, ARENA_MAX);
    const struct toml_node *root = reader_document(&reader, text);
    if (root)
        read_root(&reader, root, &config);
    bool done = reader_finish(&reader, err);
    manifest_problems_free(&own);
    if (done)
        *ret = config;
    else
        runtime_config_free(&config);
    return done;
}

bool runtime_config_load(struct runtime_config *ret, const char *path, struct manifest_problems *problems,
                         struct err *err)
{
    struct buf text;
    buf_init(&text, TOML_SIZE_MAX);
    bool done = file_read(path, &text, err) &&
                runtime_config_read(ret, (struct str){(const char *)text.data, text.size}, problems, err);
    if (text.data)
        explicit_bzero(text.data, text.size); /* there may be a token in it */
    buf_free(&text);
    return done;
}

void runtime_config_free(struct runtime_config *config)
{
    for (uint32_t i = 0; i < config->provider_count; i++) {
        struct str token = config->providers[i].token.text;
        if (token.ptr)
            explicit_bzero((char *)token.ptr, token.len);
    }
    arena_free(&config->arena);
    *config = (struct runtime_config){0};
}
