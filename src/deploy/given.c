/* See given.h. */
#include "deploy/given.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *given_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void take_args(struct given *given, const struct given_options *options)
{
    given->args[given->arg_count++] = given_base_name(options->file ? options->file : "");
    for (char *const *at = options->args; at && *at && given->arg_count <= GIVEN_ARGS_MAX; at++)
        given->args[given->arg_count++] = *at;
}

/* NAME=VALUE as it is, NAME with the value that this process has; one that it lacks is left out. */
static bool take_env(struct given *given, const struct given_texts *wanted, struct arena *arena, struct err *err)
{
    for (uint32_t i = 0; i < wanted->count; i++) {
        const char *item = wanted->items[i], *value = strchr(item, '=') ? NULL : getenv(item);
        if (strchr(item, '=')) {
            given->env[given->env_count++] = item;
        } else if (value) {
            size_t size = strlen(item) + strlen(value) + 2;
            char *text = arena_alloc(arena, size);
            if (!text)
                return err_memory(err);
            snprintf(text, size, "%s=%s", item, value);
            given->env[given->env_count++] = text;
        }
    }
    return true;
}

/* HOST[::GUEST][:ro] */
static bool take_dir(struct given *given, const char *text, struct arena *arena, struct err *err)
{
    struct given_dir *row = &given->dirs[given->dir_count];
    size_t size = strlen(text);
    bool read_only = size > 3 && strcmp(text + size - 3, ":ro") == 0;
    char *host = arena_copy(arena, text, size + 1);
    if (!host)
        return err_memory(err);
    if (read_only)
        host[size - 3] = '\0';
    char *guest = strstr(host, "::");
    if (guest) {
        *guest = '\0';
        guest += 2;
    }
    row->name = guest ? guest : host;
    if (!files_grant(host, !read_only, &row->dir, err))
        return false;
    given->dir_count++;
    return true;
}

/* LABEL, or LABEL=ADDRESS of the server that keeps the store. */
static bool take_store(struct given *given, const char *text, struct err *err)
{
    const char *equals = strstr(text, "://") ? strchr(text, '=') : NULL;
    struct str label = {text, equals ? (size_t)(equals - text) : strlen(text)};
    return node_storage_add(&given->storage, STORAGE_STORE, label, err) &&
           (!equals || node_storage_serve(&given->storage, label, equals + 1, err));
}

static bool take_storage(struct given *given, const struct given_options *options, struct err *err)
{
    node_storage_init(&given->storage, options->state_dir ? options->state_dir : ".mayfly");
    for (uint32_t i = 0; i < options->key_value_store.count; i++)
        if (!take_store(given, options->key_value_store.items[i], err))
            return false;
    for (uint32_t i = 0; i < options->sqlite_database.count; i++)
        if (!node_storage_add(&given->storage, STORAGE_DATABASE, str_of(options->sqlite_database.items[i]), err))
            return false;
    return true;
}

static bool add_grants(struct grants *grants, enum grant_kind kind, const struct given_texts *texts, struct err *err)
{
    for (uint32_t i = 0; i < texts->count; i++)
        if (!grants_add(grants, kind, str_of(texts->items[i]), err))
            return false;
    return true;
}

static bool take_grants(struct grants *grants, const struct given_options *options, struct err *err)
{
    return add_grants(grants, GRANT_NET, &options->allow_net, err) &&
           add_grants(grants, GRANT_LISTEN, &options->allow_listen, err) &&
           add_grants(grants, GRANT_OUTBOUND, &options->allow_outbound, err);
}

bool given_take(struct given *given, const struct given_options *options, struct arena *arena, struct err *err)
{
    take_args(given, options);
    if (!take_env(given, &options->env, arena, err))
        return false;
    for (uint32_t i = 0; i < options->dir.count; i++)
        if (!take_dir(given, options->dir.items[i], arena, err))
            return false;
    given->dns = options->dns;
    return given_take_variables(given, &options->variable, arena, err) && take_storage(given, options, err) &&
           take_grants(&given->grants, options, err) &&
           node_storage_reach(&given->storage, &given->grants, &given->storage.grants.net, err);
}

/* ---- to components, whose texts are UTF-8 ---- */

static bool check_text(const char *text, const char *what, struct str *ret_text, struct err *err)
{
    *ret_text = str_of(text);
    if (utf8_valid(text, ret_text->len))
        return true;
    err_set(err, ERR_USAGE, "%s that is not UTF-8", what);
    return err_remedy(err, "components take texts in UTF-8 only");
}

static bool list_args(struct host_config *config, const struct given *given, struct arena *arena, struct err *err)
{
    struct str *args = ARENA_ARRAY(arena, struct str, given->arg_count);
    if (!args)
        return err_memory(err);
    for (uint32_t i = 0; i < given->arg_count; i++)
        if (!check_text(given->args[i], "an argument", &args[i], err))
            return false;
    config->arguments = args;
    config->argument_count = given->arg_count;
    return true;
}

static bool list_env(struct host_config *config, const struct given *given, struct arena *arena, struct err *err)
{
    struct host_variable *rows = ARENA_ARRAY(arena, struct host_variable, given->env_count);
    if (!rows)
        return err_memory(err);
    for (uint32_t i = 0; i < given->env_count; i++) {
        struct str text;
        if (!check_text(given->env[i], "a variable", &text, err))
            return false;
        size_t end = str_find(text, '=');
        rows[i] = (struct host_variable){str_slice(text, 0, end), str_slice(text, end + 1, text.len)};
    }
    config->environment = rows;
    config->environment_count = given->env_count;
    return true;
}

static bool list_dirs(struct host_config *config, const struct given *given, struct arena *arena, struct err *err)
{
    struct host_directory *rows = ARENA_ARRAY(arena, struct host_directory, given->dir_count);
    if (!rows)
        return err_memory(err);
    for (uint32_t i = 0; i < given->dir_count; i++) {
        rows[i].dir = given->dirs[i].dir;
        if (!check_text(given->dirs[i].name, "a directory's name", &rows[i].name, err))
            return false;
    }
    config->directories = rows;
    config->directory_count = given->dir_count;
    return true;
}

bool given_config(const struct given *given, struct host_config *config, struct arena *arena, struct err *err)
{
    config->variables = given->variables;
    config->variable_count = given->variable_count;
    config->grants = &given->grants;
    config->storage = &given->storage.grants;
    return list_args(config, given, arena, err) && list_env(config, given, arena, err) &&
           list_dirs(config, given, arena, err);
}

void given_close(struct given *given)
{
    grants_free(&given->grants);
    node_storage_close(&given->storage);
    for (uint32_t i = 0; i < given->dir_count; i++)
        close(given->dirs[i].dir.fd);
    given->dir_count = 0;
}
