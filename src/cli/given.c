/* See given.h. */
#include "cli/given.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *given_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Those of a function that is called by name are its parameters, not the guest's arguments. */
static void take_args(struct given *given, const struct cli_options *options)
{
    given->args[given->arg_count++] = given_base_name(options->file);
    for (char **at = options->args; !options->invoke && at && *at && given->arg_count <= CLI_ARGS_MAX; at++)
        given->args[given->arg_count++] = *at;
}

/* NAME=VALUE as it is, NAME with the value that this process has; one that it lacks is left out. */
static bool take_env(struct given *given, const struct cli_list *wanted, struct arena *arena, struct err *err)
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

bool given_take(struct given *given, const struct cli_options *options, struct arena *arena, struct err *err)
{
    take_args(given, options);
    if (!take_env(given, &options->env, arena, err))
        return false;
    for (uint32_t i = 0; i < options->dir.count; i++)
        if (!take_dir(given, options->dir.items[i], arena, err))
            return false;
    given->dns = options->dns;
    return cli_grants(options, &given->grants, err);
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
    config->grants = &given->grants;
    return list_args(config, given, arena, err) && list_env(config, given, arena, err) &&
           list_dirs(config, given, arena, err);
}

void given_close(struct given *given)
{
    grants_free(&given->grants);
    for (uint32_t i = 0; i < given->dir_count; i++)
        close(given->dirs[i].dir.fd);
    given->dir_count = 0;
}
