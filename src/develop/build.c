/* See build.h. */
#include "develop/build.h"

#include "base/clock.h"
#include "base/nearest.h"
#include "develop/dependencies.h"
#include "develop/say.h"
#include "develop/shell.h"
#include "develop/tools.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

static bool at_place(const struct project *project, struct manifest_place at, struct err *err)
{
    return err_within(err, "%s:%u", project->path, at.line);
}

/* ---- which ---- */

static bool no_component(const struct project *project, const char *id, struct err *err)
{
    struct nearest nearest = nearest_to(str_of(id));
    for (uint32_t i = 0; i < project->manifest.component_count; i++)
        nearest_consider(&nearest, project->manifest.components[i].id.text);
    err_set(err, ERR_INVALID, "%s: there is no component \"%s\"", project->path, id);
    if (nearest.found.len)
        return err_remedy(err, "did you mean \"%.*s\"?", STR_ARG(nearest.found));
    return err_remedy(err, "a component is [component.ID]");
}

static bool choose(const struct project *project, const struct build_choice *choice, bool *ret_chosen, struct err *err)
{
    const struct manifest *manifest = &project->manifest;
    for (uint32_t i = 0; i < manifest->component_count; i++)
        ret_chosen[i] = !choice || !choice->count;
    for (uint32_t i = 0; choice && i < choice->count; i++) {
        uint32_t index = manifest_find_component(manifest, str_of(choice->ids[i]));
        if (index == MANIFEST_NONE)
            return no_component(project, choice->ids[i], err);
        ret_chosen[index] = true;
    }
    return true;
}

/* ---- in which order ---- */

/* Whether one of what `component` is made of is `other`. */
static bool needs(const struct manifest *manifest, uint32_t component, uint32_t other)
{
    const struct manifest_dependencies *all = &manifest->components[component].dependencies;
    const struct manifest_source *source = &manifest->components[other].source;
    for (uint32_t i = 0; i < all->count; i++) {
        const struct manifest_dependency *one = &all->items[i];
        if (one->kind == MANIFEST_DEPENDENCY_COMPONENT && one->component_index == other)
            return true;
        if (one->kind == MANIFEST_DEPENDENCY_PATH && source->kind == MANIFEST_SOURCE_PATH &&
            str_eq(one->path.text, source->path.text))
            return true;
    }
    return false;
}

static bool is_ready(const struct manifest *manifest, uint32_t component, const bool *waiting)
{
    for (uint32_t i = 0; manifest->components[component].dependencies.count && i < manifest->component_count; i++)
        if (waiting[i] && i != component && needs(manifest, component, i))
            return false;
    return true;
}

/* The next of those that wait: the first that needs no other one of them, or, where they need each other, the first. */
static uint32_t take_next(const struct manifest *manifest, bool *waiting)
{
    uint32_t first = MANIFEST_NONE;
    for (uint32_t i = 0; i < manifest->component_count; i++) {
        if (!waiting[i])
            continue;
        if (first == MANIFEST_NONE)
            first = i;
        if (is_ready(manifest, i, waiting)) {
            first = i;
            break;
        }
    }
    if (first != MANIFEST_NONE)
        waiting[first] = false;
    return first;
}

/* ---- one of them ---- */

const char *build_folder(struct project *project, const struct manifest_component *component, struct err *err)
{
    const struct manifest_text *workdir = &component->build.workdir;
    struct stat status;
    if (!workdir->text.len)
        return project->folder;
    if (workdir->text.ptr[0] == '/') {
        err_set(err, ERR_INVALID, "workdir \"%.*s\" is absolute", STR_ARG(workdir->text));
        err_remedy(err, "write it relative to the folder of the manifest");
        return at_place(project, workdir->at, err), NULL;
    }
    const char *folder = project_file(&project->arena, project->folder, workdir->text);
    if (!folder)
        return err_memory(err), NULL;
    if (stat(folder, &status) == 0 && S_ISDIR(status.st_mode))
        return folder;
    err_set(err, ERR_SYSTEM, "workdir \"%.*s\" is no folder", STR_ARG(workdir->text));
    return at_place(project, workdir->at, err), NULL;
}

static bool failed(const struct project *project, const struct manifest_component *component,
                   const struct manifest_text *command, const char *folder, int status, struct err *err)
{
    char room[64];
    err_set(err, ERR_SYSTEM, "component %.*s: `%.*s` ended with %s", STR_ARG(component->id.text),
            (int)(command->text.len < 120 ? command->text.len : 120), command->text.ptr, shell_status(status, room));
    tools_explain(command->text, folder, err);
    return at_place(project, command->at, err);
}

static bool run_command(struct project *project, const struct manifest_component *component,
                        const struct manifest_text *command, const char *folder, struct err *err)
{
    const char *text = project_text(&project->arena, command->text);
    int status = 0;
    if (!text)
        return err_memory(err);
    return shell_run(text, folder, &status, err) &&
           (status == 0 || failed(project, component, command, folder, status, err));
}

static bool build_component(struct project *project, const struct manifest_component *component, bool describe,
                            struct err *err)
{
    const struct manifest_texts *commands = &component->build.commands;
    const char *folder = build_folder(project, component, err);
    bool named = component->build.workdir.text.len > 0;
    if (!folder)
        return false;
    if (commands->count && describe)
        dependencies_describe(project, component, folder);
    for (uint32_t i = 0; i < commands->count; i++) {
        const struct manifest_text *command = &commands->items[i];
        char step[32] = "";
        if (commands->count > 1)
            snprintf(step, sizeof step, " (%u of %u)", i + 1, commands->count);
        say("Building %.*s%s%s%s: %.*s", STR_ARG(component->id.text), step, named ? " in " : "", named ? folder : "",
            STR_ARG(command->text));
        if (!run_command(project, component, command, folder, err))
            return false;
    }
    return true;
}

/* ---- all ---- */

static bool nothing(const struct manifest *manifest, const bool *chosen)
{
    for (uint32_t i = 0; i < manifest->component_count; i++)
        if (chosen[i] && manifest->components[i].build.commands.count)
            return false;
    return true;
}

bool build_components(struct project *project, const struct build_choice *choice, struct err *err)
{
    const struct manifest *manifest = &project->manifest;
    bool *waiting = ARENA_ARRAY(&project->arena, bool, manifest->component_count);
    uint64_t began = clock_now_ns();
    unsigned built = 0;
    if (!waiting)
        return err_memory(err);
    if (!choose(project, choice, waiting, err))
        return false;
    if (nothing(manifest, waiting)) {
        say("Nothing to build: no component has a build command ([component.ID.build] with command = \"...\")");
        return true;
    }
    for (uint32_t next; (next = take_next(manifest, waiting)) != MANIFEST_NONE;) {
        const struct manifest_component *component = &manifest->components[next];
        if (!build_component(project, component, !(choice && choice->undescribed), err))
            return false;
        built += component->build.commands.count > 0;
    }
    say("Built %u %s in %.1f s", built, built == 1 ? "component" : "components",
        (double)(clock_now_ns() - began) / NS_PER_S);
    return true;
}
