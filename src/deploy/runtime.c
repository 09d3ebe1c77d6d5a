/* What of the runtime configuration file (app/runtime_config.h) holds for the whole deployment. What it says of
 * variables is in variables.c. Once all is made the file is forgotten: there is a token of a Vault in it, perhaps. */
#include "deploy/deploy_inner.h"

#include <string.h>
#include <sys/stat.h>

static bool at_place(const struct deploy *deploy, struct manifest_place at, struct err *err)
{
    return err_within(err, "%s:%u", deploy->options.runtime_config, at.line);
}

/* Options go before the file. */
static bool take_defaults(struct deploy *deploy, struct err *err)
{
    const struct runtime_config *runtime = &deploy->runtime;
    struct deploy_options *options = &deploy->options;
    if (!options->given.state_dir && runtime->state_dir.text.ptr &&
        !(options->given.state_dir = deploy_text(deploy, runtime->state_dir.text)))
        return err_memory(err);
    if (!options->log_dir && runtime->log_dir.text.ptr &&
        !(options->log_dir = deploy_text(deploy, runtime->log_dir.text)))
        return err_memory(err);
    if (!options->memory_given && runtime->max_instance_memory.given)
        options->limits.memory_bytes = runtime->max_instance_memory.value;
    return true;
}

static bool take_blocked(struct deploy *deploy, struct err *err)
{
    const struct runtime_config *runtime = &deploy->runtime;
    struct ip_range *ranges = ARENA_ARRAY(&deploy->arena, struct ip_range, runtime->blocked_count);
    if (!ranges)
        return err_memory(err);
    if (runtime->blocked_count)
        memcpy(ranges, runtime->blocked, runtime->blocked_count * sizeof *ranges);
    deploy->blocked.ranges = ranges;
    deploy->blocked.count = runtime->blocked_count;
    deploy->blocked.private = runtime->block_private;
    return true;
}

bool deploy_read_runtime(struct deploy *deploy, struct err *err)
{
    const char *path = deploy->options.runtime_config;
    struct manifest_problems problems = {0};
    deploy->blocked.names_reach_private = deploy->options.allow_private;
    if (!path)
        return true;
    deploy_watch(deploy, path);
    bool done = runtime_config_load(&deploy->runtime, path, &problems, err);
    bool short_of_memory = !done && err->kind == ERR_MEMORY; /* what was found then need not be true */
    if (!short_of_memory)
        manifest_problems_print(&problems, path);
    if (!done && !short_of_memory && problems.error_count)
        err->kind = ERR_NONE;
    else if (!done)
        err_within(err, "--runtime-config-file %s", path);
    manifest_problems_free(&problems);
    return done && take_defaults(deploy, err) && take_blocked(deploy, err);
}

/* ---- stores and databases ---- */

/* Relative to the folder of the file. */
static const char *beside_file(struct deploy *deploy, struct str path)
{
    const char *file = deploy->options.runtime_config;
    size_t before = path.len && path.ptr[0] == '/' ? 0 : (size_t)(given_base_name(file) - file);
    char *text = arena_alloc(&deploy->arena, before + path.len + 1);
    if (!text)
        return NULL;
    memcpy(text, file, before);
    memcpy(text + before, path.ptr, path.len);
    text[before + path.len] = '\0';
    return text;
}

/* A folder is what an engine keeps to, so it has one; Spin has a file there. */
static bool check_folder(const struct deploy *deploy, const struct runtime_store *store, const char *path,
                         struct err *err)
{
    struct stat status;
    if (stat(path, &status) != 0 || S_ISDIR(status.st_mode))
        return true;
    err_set(err, ERR_UNSUPPORTED, "%s is a file, and mayfly keeps a folder there", path);
    err_remedy(err, "move the file of a database to FOLDER/data.sqlite, and write path = \"FOLDER\"");
    return at_place(deploy, store->path.at, err);
}

static bool place_stores(struct deploy *deploy, enum storage_kind kind, const struct runtime_stores *stores,
                         struct err *err)
{
    for (uint32_t i = 0; i < stores->count; i++) {
        const struct runtime_store *store = &stores->items[i];
        if (store->type == RUNTIME_REDIS) {
            const char *url = deploy_text(deploy, store->url.text);
            if (!url || !node_storage_serve(&deploy->given.storage, store->label.text, url, err))
                return url ? at_place(deploy, store->url.at, err) : err_memory(err);
            continue;
        }
        /* As Spin has it: a store's path is relative to the file, a database's to where we are. */
        const char *path =
            kind == STORAGE_STORE ? beside_file(deploy, store->path.text) : deploy_text(deploy, store->path.text);
        if (!path)
            return err_memory(err);
        if (!check_folder(deploy, store, path, err))
            return false;
        node_storage_place(&deploy->given.storage, kind, store->label.text, path);
    }
    return true;
}

bool deploy_place_storage(struct deploy *deploy, struct err *err)
{
    return place_stores(deploy, STORAGE_STORE, &deploy->runtime.key_value_stores, err) &&
           place_stores(deploy, STORAGE_DATABASE, &deploy->runtime.sqlite_databases, err);
}
