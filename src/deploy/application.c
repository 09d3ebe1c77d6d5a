/* An application: from its manifest to functions and routes (see deploy.h).
 *
 * A component of the manifest that answers requests is a function. What the manifest asks for and mayfly does not do
 * yet is an error that names the line: nothing is passed over in silence. */
#include "deploy/deploy_inner.h"

#include "base/nearest.h"

#include <string.h>

/* "spin.toml:12: ..." in front of what is wrong. */
bool deploy_at(const struct deploy *deploy, struct manifest_place at, struct err *err)
{
    return err_within(err, "%s:%u", deploy->path, at.line);
}

bool deploy_not_yet(const struct deploy *deploy, struct manifest_place at, const char *what, struct err *err)
{
    err_set(err, ERR_UNSUPPORTED, "%s:%u: mayfly does not have %s yet", deploy->path, at.line, what);
    return err_remedy(err, "take that out of the manifest");
}

/* What an application is given stands in its manifest. */
static bool check_options(const struct given_options *options, struct err *err)
{
    if (!options->dir.count && !options->allow_net.count && !options->allow_listen.count &&
        !options->allow_outbound.count && !options->key_value_store.count && !options->sqlite_database.count)
        return true;
    err_set(err, ERR_USAGE, "--dir, --allow-... and the like are for a component without a manifest");
    return err_remedy(err, "write into spin.toml what each component may use");
}

static bool read_manifest(struct deploy *deploy, struct err *err)
{
    const char *profile = deploy->options.profile;
    struct manifest_problems problems = {0};
    bool done;
    if (!deploy_take_reading(deploy, &problems, &done, err)) {
        deploy_watch(deploy, deploy->path);
        done = manifest_load(&deploy->manifest, deploy->path, str_of(profile ? profile : ""), &problems, err);
    }
    bool short_of_memory = !done && err->kind == ERR_MEMORY; /* what was found then need not be true */
    if (!short_of_memory)
        manifest_problems_print(&problems, deploy->path);
    if (!done && !short_of_memory && problems.error_count)
        err->kind = ERR_NONE;
    manifest_problems_free(&problems);
    return done;
}

/* ---- some components only ---- */

static bool is_wanted(const struct deploy *deploy, uint32_t component)
{
    const struct given_texts *ids = &deploy->options.components;
    for (size_t i = 0; component != MANIFEST_NONE && i < ids->count; i++)
        if (str_eq(str_of(ids->items[i]), deploy->manifest.components[component].id.text))
            return true;
    return false;
}

/* Triggers that lead elsewhere are taken out, answers too, as Spin does it; what no trigger names is not served. */
bool deploy_choose_components(struct deploy *deploy, struct err *err)
{
    struct manifest *manifest = &deploy->manifest;
    const struct given_texts *ids = &deploy->options.components;
    uint32_t count = 0;
    for (size_t i = 0; i < ids->count; i++) {
        struct nearest nearest = nearest_to(str_of(ids->items[i]));
        if (manifest_find_component(manifest, str_of(ids->items[i])) != MANIFEST_NONE)
            continue;
        for (uint32_t k = 0; k < manifest->component_count; k++)
            nearest_consider(&nearest, manifest->components[k].id.text);
        err_set(err, ERR_INVALID, "%s: there is no component \"%s\"", deploy->path, ids->items[i]);
        return nearest.found.len ? err_remedy(err, "did you mean \"%.*s\"?", STR_ARG(nearest.found)) : false;
    }
    for (uint32_t i = 0; ids->count && i < manifest->trigger_count; i++)
        if (is_wanted(deploy, manifest->triggers[i].component))
            manifest->triggers[count++] = manifest->triggers[i];
    if (ids->count)
        manifest->trigger_count = count;
    if (count || !ids->count)
        return true;
    err_set(err, ERR_INVALID, "%s: no trigger names component \"%s\"", deploy->path, ids->items[0]);
    return err_remedy(err, "name one that a trigger calls");
}

bool deploy_application(struct deploy *deploy, struct err *err)
{
    const struct given_options *wanted = &deploy->options.given;
    const struct manifest *manifest = &deploy->manifest;
    struct deploy_choice choice;
    uint32_t mounts = 0;
    if (!check_options(wanted, err) || !given_take(&deploy->given, wanted, &deploy->arena, err) ||
        !read_manifest(deploy, err) || !deploy_choose_components(deploy, err) || !deploy_choose(deploy, &choice, err) ||
        !deploy_fetch(deploy, &choice, err) || !deploy_variables(deploy, err) ||
        !deploy_make_room(deploy, choice.function_count, err))
        return false;
    deploy->given.arg_count = 0;
    deploy->deployment.name = manifest->application.name.text;
    deploy->deployment.version = manifest->application.version.text;
    deploy->deployment.manifest = deploy->path;
    deploy->deployment.description = manifest->application.description.text;
    if (!wanted->state_dir && !(deploy->given.storage.folder = deploy_path(deploy, STR(".mayfly"))))
        return err_memory(err);
    uint32_t grants = choice.function_count + manifest->trigger_count; /* of functions, and of servers of triggers */
    deploy->grants = ARENA_ARRAY(&deploy->arena, struct grants, grants);
    if (!deploy->grants)
        return err_memory(err);
    for (uint32_t i = 0; i < manifest->component_count; i++)
        mounts += manifest->components[i].files.count + 1;
    deploy->folders = ARENA_ARRAY(&deploy->arena, int, mounts);
    if (!deploy->folders)
        return err_memory(err);
    memset(deploy->grants, 0, grants * sizeof *deploy->grants);
    for (uint32_t i = 0; i < manifest->component_count; i++)
        if (choice.functions[i] != MANIFEST_NONE &&
            !deploy_component(deploy, &manifest->components[i], &deploy->functions[choice.functions[i]], err))
            return false;
    return deploy_subscriptions(deploy, &choice, err);
}
