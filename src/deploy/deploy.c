/* See deploy.h. */
#include "deploy/deploy_inner.h"

#include "base/map.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARENA_MAX ((size_t)64 << 20) /* of what options and manifests say */

bool deploy_make_room(struct deploy *deploy, uint32_t count, struct err *err)
{
    deploy->functions = ARENA_ARRAY(&deploy->arena, struct deployed, count);
    deploy->deployment.functions = deploy->functions;
    deploy->deployment.function_count = count;
    return deploy->functions || err_memory(err);
}

char *deploy_text(struct deploy *deploy, struct str text)
{
    char *copy = arena_alloc(&deploy->arena, text.len + 1);
    if (!copy)
        return NULL;
    memcpy(copy, text.len ? text.ptr : "", text.len);
    copy[text.len] = '\0';
    return copy;
}

/* The file's name without folders and ending: the function's name in the log. */
static char *function_name(struct arena *arena, const char *path)
{
    const char *base = given_base_name(path);
    char *name = arena_copy(arena, base, strlen(base) + 1);
    char *dot = name ? strrchr(name, '.') : NULL;
    if (dot && dot != name)
        *dot = '\0';
    return name;
}

static bool list_texts(struct deploy *deploy, const struct given_texts *first, const struct given_texts *second,
                       struct deployed_texts *ret, struct err *err)
{
    struct str *rows = ARENA_ARRAY(&deploy->arena, struct str, first->count + second->count);
    if (!rows)
        return err_memory(err);
    ret->items = rows;
    for (uint32_t i = 0; i < first->count; i++)
        rows[ret->count++] = str_of(first->items[i]);
    for (uint32_t i = 0; i < second->count; i++)
        rows[ret->count++] = str_of(second->items[i]);
    return true;
}

/* One file is one function, which gets what the options say. */
static bool deploy_file(struct deploy *deploy, struct err *err)
{
    const struct deploy_options *options = &deploy->options;
    char *name = function_name(&deploy->arena, options->given.file);
    if (deploy->runtime.provider_count) {
        err_set(err, ERR_UNSUPPORTED, "%s:%u: providers of variables are for applications, and this is a component",
                options->runtime_config, deploy->runtime.providers[0].at.line);
        return err_remedy(err, "give it its variables by --variable");
    }
    if (options->profile)
        return err_set(err, ERR_USAGE, "--profile is for applications, and this is a component");
    if (options->components.count || options->direct_mounts || options->transient)
        return err_set(err, ERR_USAGE,
                       "--component-id, --direct-mounts and --allow-transient-write are for applications, "
                       "and this is a component");
    if (!name)
        return err_memory(err);
    if (!deploy_make_room(deploy, 1, err) || !given_take(&deploy->given, &options->given, &deploy->arena, err))
        return false;
    struct deployed *function = &deploy->functions[0];
    *function = (struct deployed){.name = name,
                                  .path = options->given.file,
                                  .config.name = name,
                                  .limits = options->limits,
                                  .triggers = DEPLOYED_HTTP,
                                  .snapshot = options->snapshot};
    deploy->given.grants.blocked = deploy->blocked;
    deploy->given.arg_count = 0; /* a command has arguments */
    static const struct given_texts no_more;
    const struct given_options *given = &options->given;
    return list_texts(deploy, &given->allow_outbound, &given->allow_net, &function->hosts, err) &&
           list_texts(deploy, &given->allow_listen, &no_more, &function->listens, err) &&
           given_config(&deploy->given, &function->config, &deploy->arena, err);
}

/* Functions of one file share its image. One with dependencies is not of a file alone. */
static bool find_images(struct deploy *deploy, struct err *err)
{
    struct map firsts = {0};
    bool done = true;
    for (uint32_t i = 0; i < deploy->deployment.function_count; i++) {
        struct deployed *function = &deploy->functions[i];
        function->image_of = i;
        if (!function->composition && !map_get(&firsts, str_of(function->path), &function->image_of))
            done = done && map_put(&firsts, str_of(function->path), i);
    }
    map_free(&firsts);
    return done || err_memory(err);
}

/* ---- from which files ---- */

static struct deploy_file look_at(const char *path)
{
    struct stat status;
    struct deploy_file file = {.path = path};
    if (stat(path, &status) == 0) {
        file.changed = status.st_mtim;
        file.size = (uint64_t)status.st_size;
        file.inode = status.st_ino;
    }
    return file;
}

void deploy_watch(struct deploy *deploy, const char *path)
{
    if (deploy->file_count < DEPLOY_FILES_MAX)
        deploy->files[deploy->file_count++] = look_at(path);
}

bool deploy_changed(const struct deploy *deploy)
{
    for (uint32_t i = 0; i < deploy->file_count; i++) {
        const struct deploy_file *was = &deploy->files[i], is = look_at(was->path);
        if (is.changed.tv_sec != was->changed.tv_sec || is.changed.tv_nsec != was->changed.tv_nsec ||
            is.size != was->size || is.inode != was->inode)
            return true;
    }
    return deploy->asks_vault || deploy->copies || deploy_lacks_source(deploy);
}

static bool is_folder(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

bool deploy_is_application(const char *file)
{
    size_t size = file ? strlen(file) : 0;
    return !file || is_folder(file) || (size > 5 && strcmp(file + size - 5, ".toml") == 0);
}

/* In the folder, or the file itself. */
static bool find_manifest(struct deploy *deploy, struct err *err)
{
    const char *path = deploy->options.given.file ? deploy->options.given.file : ".";
    size_t size = strlen(path);
    struct stat status;
    if (!is_folder(path)) {
        deploy->path = path;
        return true;
    }
    size_t room = size + sizeof "/spin.toml";
    char *file = arena_alloc(&deploy->arena, room);
    if (!file)
        return err_memory(err);
    snprintf(file, room, "%s/spin.toml", path);
    deploy->path = strncmp(file, "./", 2) == 0 ? file + 2 : file;
    if (stat(file, &status) == 0)
        return true;
    err_set(err, ERR_SYSTEM, "there is no spin.toml");
    return err_remedy(err, "name a component, a spin.toml, or a folder with one");
}

void deploy_read(struct deploy_reading *ret, const struct deploy_options *options)
{
    struct deploy deploy = {.options = *options};
    const char *profile = options->profile;
    *ret = (struct deploy_reading){0};
    arena_init(&deploy.arena, ARENA_MAX);
    if (find_manifest(&deploy, &ret->err)) {
        ret->file = look_at(deploy.path);
        ret->done =
            manifest_load(&deploy.manifest, deploy.path, str_of(profile ? profile : ""), &ret->problems, &ret->err);
    } else {
        ret->taken = true; /* there is nothing to take */
    }
    if (ret->done && deploy_choose_components(&deploy, NULL)) /* else deploy_open says why not */
        for (uint32_t i = 0; i < deploy.manifest.trigger_count; i++) {
            ret->command |= deploy.manifest.triggers[i].type == MANIFEST_TRIGGER_COMMAND;
            ret->listens |= deploy.manifest.triggers[i].type == MANIFEST_TRIGGER_HTTP;
        }
    ret->manifest = deploy.manifest;
    arena_free(&deploy.arena);
}

void deploy_reading_free(struct deploy_reading *reading)
{
    manifest_problems_free(&reading->problems);
    manifest_free(&reading->manifest);
    *reading = (struct deploy_reading){.taken = true};
}

bool deploy_take_reading(struct deploy *deploy, struct manifest_problems *problems, bool *ret_done, struct err *err)
{
    struct deploy_reading *reading = deploy->options.reading;
    if (!reading || reading->taken || deploy->file_count == DEPLOY_FILES_MAX)
        return false;
    deploy->files[deploy->file_count] = reading->file;
    deploy->files[deploy->file_count++].path = deploy->path;
    deploy->manifest = reading->manifest;
    *problems = reading->problems;
    *err = reading->err;
    *ret_done = reading->done;
    *reading = (struct deploy_reading){.taken = true};
    return true;
}

bool deploy_open(struct deploy *ret, const struct deploy_options *options, struct err *err)
{
    *ret = (struct deploy){.options = *options};
    arena_init(&ret->arena, ARENA_MAX);
    bool application = deploy_is_application(options->given.file);
    bool done = (!application || find_manifest(ret, err)) && deploy_read_runtime(ret, err) &&
                (application ? deploy_application(ret, err) : deploy_file(ret, err)) && find_images(ret, err) &&
                deploy_place_storage(ret, err) && deploy_follow(ret, err) && deploy_open_logs(ret, err);
    runtime_config_free(&ret->runtime);
    return done;
}

void deploy_close_dirs(struct deploy *deploy)
{
    given_close(&deploy->given);
    for (uint32_t i = 0; i < deploy->folder_count; i++)
        close(deploy->folders[i]);
    for (uint32_t i = 0; i < deploy->log_count; i++)
        close(deploy->logs[i]);
    deploy->folder_count = deploy->log_count = 0;
}

void deploy_close(struct deploy *deploy)
{
    deploy_close_dirs(deploy);
    deploy_remove_copies(deploy);
    for (uint32_t i = 0; i < deploy->grant_count; i++)
        grants_free(&deploy->grants[i]);
    deploy->grant_count = 0;
    router_free(&deploy->router);
    runtime_config_free(&deploy->runtime);
    manifest_free(&deploy->manifest);
    arena_free(&deploy->arena);
}
