/* See doctor.h. A check adds what it finds; those behind the manifest run when it can be read. Only cures that take
 * nothing away are offered: an upgrade keeps the old manifest beside the new one. */
#include "develop/doctor.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/vec.h"
#include "deploy/deploy.h"
#include "develop/build.h"
#include "develop/say.h"
#include "develop/shell.h"
#include "develop/tools.h"
#include "develop/upgrade.h"
#include "wasm/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARENA_MAX ((size_t)16 << 20)
#define BACKUP ".v1_backup"
#define SECTIONS_MAX 100000u /* of a module that are looked at */

/* What is found beyond DOCTOR_FINDINGS_MAX is left out. */
static struct doctor_finding *find(struct doctor *doctor, const char *check, struct manifest_place at)
{
    struct doctor_finding *finding =
        vec_push((void **)&doctor->findings, &doctor->count, &doctor->capacity, sizeof *finding, DOCTOR_FINDINGS_MAX);
    if (finding)
        *finding = (struct doctor_finding){.check = check, .at = at};
    return finding;
}

static struct doctor_finding *found(struct doctor *doctor, const char *check, struct manifest_place at,
                                    const char *format, ...) __attribute__((format(printf, 4, 5)));

static struct doctor_finding *found(struct doctor *doctor, const char *check, struct manifest_place at,
                                    const char *format, ...)
{
    static struct doctor_finding lost; /* where there is no room */
    char message[sizeof lost.err.message];
    struct doctor_finding *finding = find(doctor, check, at);
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    finding = finding ? finding : &lost;
    err_set(&finding->err, ERR_INVALID, "%s", message);
    return finding;
}

/* ---- the manifest ---- */

static void take_problems(struct doctor *doctor, const struct manifest_problems *problems)
{
    for (size_t i = 0; i < problems->count; i++) {
        const struct manifest_problem *problem = &problems->items[i];
        struct doctor_finding *finding = find(doctor, "manifest", problem->at);
        if (!finding)
            continue;
        finding->warning = problem->warning;
        finding->err = problem->err;
    }
}

/* False: no further check can be made of it. */
static bool check_manifest(struct doctor *doctor, const char *profile, struct manifest *ret_manifest, struct err *err)
{
    struct manifest_problems problems = {0};
    struct buf text;
    buf_init(&text, TOML_SIZE_MAX);
    bool read = project_read(doctor->path, &text, err);
    struct str all = {(const char *)text.data, text.size};
    bool old = read && upgrade_needed(all), done = false;
    if (old) {
        struct doctor_finding *finding =
            found(doctor, "version", (struct manifest_place){1, 1}, "this is a manifest of version 1");
        finding->cure = DOCTOR_UPGRADE;
        err_remedy(&finding->err, "make one of version 2 out of it: mayfly doctor --fix");
    } else if (read) {
        struct err first = {0};
        done = manifest_read(ret_manifest, all, str_of(profile ? profile : ""), &problems, &first);
        take_problems(doctor, &problems);
        if (!done && !problems.error_count)
            *err = first;
    }
    manifest_problems_free(&problems);
    buf_free(&text);
    return done;
}

/* ---- what it needs ---- */

static void check_tools(struct doctor *doctor, const struct manifest_text *command, const char *folder)
{
    struct str rest = command->text, program, target = tools_rust_target(command->text);
    bool cargo = true;
    while (tools_next(&rest, &program)) {
        if (tools_there(program, folder))
            continue;
        struct doctor_finding *finding = found(doctor, "tool", command->at, "%.*s is not installed", STR_ARG(program));
        err_remedy(&finding->err, "%s", tools_remedy(program));
        cargo &= !str_eq(program, STR("cargo"));
    }
    if (!target.len || !cargo || tools_has_rust_target(target, folder))
        return;
    struct doctor_finding *finding =
        found(doctor, "target", command->at, "Rust lacks the target %.*s", STR_ARG(target));
    err_remedy(&finding->err, "rustup target add %.*s", STR_ARG(target));
    finding->subject = project_text(&doctor->arena, target);
    finding->cure = finding->subject && tools_there(STR("rustup"), folder) ? DOCTOR_ADD_TARGET : DOCTOR_NONE;
}

/* Has the module a custom section that says what it is as a component (component/embed.h)? Only heads of sections are
 * read, and so many of them. */
static bool says_component(int fd)
{
    uint64_t offset = 8;
    for (unsigned i = 0; i < SECTIONS_MAX; i++) {
        uint8_t bytes[32], id;
        uint32_t size, len;
        ssize_t count = pread(fd, bytes, sizeof bytes, (off_t)offset);
        if (count <= 0)
            return false;
        struct reader in = {bytes, bytes, bytes + count, NULL};
        if (!reader_u8(&in, &id) || !reader_u32(&in, &size))
            return false;
        offset += reader_offset(&in) + (uint64_t)size;
        if (id == 0 && reader_u32(&in, &len) &&
            str_starts((struct str){(const char *)in.at, reader_left(&in)}, STR("component-type")))
            return true;
    }
    return false;
}

/* One of which nobody knows what it is as a component. */
static bool is_core_module(const char *path)
{
    static const uint8_t head[8] = {0, 'a', 's', 'm', 1, 0, 0, 0};
    uint8_t bytes[8] = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool core = fd >= 0 && read(fd, bytes, sizeof bytes) == sizeof bytes && memcmp(bytes, head, sizeof head) == 0 &&
                !says_component(fd);
    if (fd >= 0)
        close(fd);
    return core;
}

/* A command of WASI 0.1 may be one. */
static bool is_wagi(const struct manifest *manifest, const struct manifest_component *component)
{
    for (uint32_t i = 0; i < manifest->trigger_count; i++) {
        const struct manifest_trigger *trigger = &manifest->triggers[i];
        if (trigger->type == MANIFEST_TRIGGER_HTTP && trigger->component != MANIFEST_NONE &&
            &manifest->components[trigger->component] == component && trigger->http.executor == MANIFEST_EXECUTOR_WAGI)
            return true;
    }
    return false;
}

static void check_source(struct doctor *doctor, const struct manifest *manifest,
                         const struct manifest_component *component)
{
    const struct manifest_text *source = &component->source.path;
    const char *path = project_file(&doctor->arena, doctor->folder, source->text);
    struct stat status;
    if (component->source.kind != MANIFEST_SOURCE_PATH || !path)
        return;
    if (stat(path, &status) != 0) {
        bool builds = component->build.commands.count;
        struct doctor_finding *finding =
            found(doctor, "source", source->at, "component %.*s: there is no %s", STR_ARG(component->id.text), path);
        err_remedy(&finding->err, builds ? "mayfly build -c %.*s" : "put it there, or say how %.*s is built",
                   STR_ARG(component->id.text));
        finding->subject = project_text(&doctor->arena, component->id.text);
        finding->cure = builds && finding->subject ? DOCTOR_BUILD : DOCTOR_NONE;
    } else if (is_core_module(path) && !is_wagi(manifest, component)) {
        struct doctor_finding *finding = found(doctor, "source", source->at, "component %.*s: %s is a core module",
                                               STR_ARG(component->id.text), path);
        err_remedy(&finding->err,
                   "make a component of it: for Rust, build for wasm32-wasip2; else wasm-tools component new");
    }
}

static void check_files(struct doctor *doctor, const struct manifest_component *component)
{
    for (uint32_t i = 0; i < component->files.count; i++) {
        const struct manifest_text *source = &component->files.items[i].source;
        const char *path = source->text.ptr ? project_file(&doctor->arena, doctor->folder, source->text) : NULL;
        struct stat status;
        if (path && stat(path, &status) != 0)
            found(doctor, "files", source->at, "component %.*s: there is no %s", STR_ARG(component->id.text), path);
    }
}

static void check_component(struct doctor *doctor, struct project *project, const struct manifest_component *component)
{
    struct err err = {0};
    const char *folder = component->build.commands.count ? build_folder(project, component, &err) : NULL;
    if (component->build.commands.count && !folder) {
        struct doctor_finding *finding = find(doctor, "workdir", component->build.workdir.at);
        if (finding)
            finding->err = err;
    }
    for (uint32_t i = 0; folder && i < component->build.commands.count; i++)
        check_tools(doctor, &component->build.commands.items[i], folder);
    check_source(doctor, &project->manifest, component);
    check_files(doctor, component);
}

/* "PATH:LINE: ..." is a place, and what is said of it. */
static void take_place(struct doctor_finding *finding, const char *path)
{
    char *message = finding->err.message, *end;
    size_t len = strlen(path);
    if (strncmp(message, path, len) != 0 || message[len] != ':')
        return;
    unsigned long line = strtoul(message + len + 1, &end, 10);
    if (!line || strncmp(end, ": ", 2) != 0)
        return;
    finding->at = (struct manifest_place){(uint32_t)line, 1};
    memmove(message, end + 2, strlen(end + 2) + 1);
}

/* What `mayfly up` would refuse, if nothing else is wrong: among that, what mayfly does not have. */
static void check_deployment(struct doctor *doctor, const struct doctor_options *given, struct err *err)
{
    const struct deploy_options options = {.given = {.file = doctor->path, .variable = given->variable},
                                           .profile = given->profile,
                                           .runtime_config = given->runtime_config,
                                           .log_dir = ""};
    struct deploy *deploy = doctor->count ? NULL : ARENA_NEW(&doctor->arena, struct deploy);
    struct err mistake = {0};
    if (!deploy)
        return;
    if (!deploy_open(deploy, &options, &mistake)) {
        struct doctor_finding *finding = find(doctor, "deployment", (struct manifest_place){0, 0});
        if (finding && mistake.kind) {
            finding->err = mistake;
            take_place(finding, doctor->path);
        }
        if (mistake.kind == ERR_MEMORY)
            *err = mistake;
    }
    deploy_close(deploy);
}

bool doctor_examine(struct doctor *ret, const struct doctor_options *options, struct err *err)
{
    struct project project = {0};
    struct err mistake = {0};
    *ret = (struct doctor){0};
    arena_init(&ret->arena, ARENA_MAX);
    if (!(ret->path = project_find(&ret->arena, options->from, err)))
        return false;
    if (!(ret->folder = project_folder_of(&ret->arena, ret->path)))
        return err_memory(err);
    if (!check_manifest(ret, options->profile, &project.manifest, &mistake)) {
        if (mistake.kind)
            *err = mistake;
        return !mistake.kind;
    }
    project.path = ret->path;
    project.folder = ret->folder;
    arena_init(&project.arena, ARENA_MAX);
    for (uint32_t i = 0; i < project.manifest.component_count; i++)
        check_component(ret, &project, &project.manifest.components[i]);
    project_close(&project);
    check_deployment(ret, options, &mistake);
    if (mistake.kind)
        *err = mistake;
    return !mistake.kind;
}

void doctor_close(struct doctor *doctor)
{
    mem_free(doctor->findings);
    arena_free(&doctor->arena);
    *doctor = (struct doctor){0};
}

/* ---- cures ---- */

const char *doctor_describe(const struct doctor_finding *finding, char room[256])
{
    switch (finding->cure) {
    case DOCTOR_UPGRADE: return "write a manifest of version 2, and keep the old one as spin.toml" BACKUP;
    case DOCTOR_BUILD: snprintf(room, 256, "mayfly build -c %.200s", finding->subject); return room;
    case DOCTOR_ADD_TARGET: snprintf(room, 256, "rustup target add %.200s", finding->subject); return room;
    default: return NULL;
    }
}

static bool write_text(const char *path, const struct buf *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bool done = fd >= 0 && file_write(fd, text->data, text->size);
    return (fd < 0 || close(fd) == 0) && done;
}

/* The new one is whole before the old one moves. */
static bool replace_manifest(const char *path, const struct buf *text, struct err *err)
{
    char fresh[PATH_MAX], backup[PATH_MAX];
    int size = snprintf(fresh, sizeof fresh, "%s.v2_new", path);
    if (size < 0 || size >= (int)sizeof fresh)
        return err_set(err, ERR_LIMIT, "%s: the path is too long", path);
    snprintf(backup, sizeof backup, "%.*s" BACKUP, PATH_MAX - (int)sizeof BACKUP, path);
    if (access(backup, F_OK) == 0) {
        err_set(err, ERR_SYSTEM, "%s is there already", backup);
        return err_remedy(err, "move it away");
    }
    if (!write_text(fresh, text))
        return err_errno(err, "cannot write %s", fresh);
    if (rename(path, backup) == 0 && rename(fresh, path) == 0)
        return true;
    return err_errno(err, "cannot replace %s", path);
}

static bool upgrade(const char *path, struct err *err)
{
    struct buf old, new;
    buf_init(&old, TOML_SIZE_MAX);
    buf_init(&new, TOML_SIZE_MAX);
    bool done = project_read(path, &old, err) &&
                upgrade_text((struct str){(const char *)old.data, old.size}, &new, err) &&
                replace_manifest(path, &new, err);
    buf_free(&old);
    buf_free(&new);
    return done;
}

static bool build(const struct doctor *doctor, const char *component, const char *profile, struct err *err)
{
    struct project project;
    const struct build_choice choice = {&component, 1, false};
    bool done = project_open(&project, doctor->path, profile, err) && build_components(&project, &choice, err);
    project_close(&project);
    return done;
}

static bool add_target(const char *target, struct err *err)
{
    char command[300], room[64];
    int status = 0;
    snprintf(command, sizeof command, "rustup target add %.200s", target);
    say("%s", command);
    if (!shell_run(command, NULL, &status, err))
        return false;
    return status == 0 || err_set(err, ERR_SYSTEM, "`%s` ended with %s", command, shell_status(status, room));
}

bool doctor_treat(const struct doctor *doctor, const struct doctor_finding *finding, const char *profile,
                  struct err *err)
{
    switch (finding->cure) {
    case DOCTOR_UPGRADE: return upgrade(doctor->path, err);
    case DOCTOR_BUILD: return build(doctor, finding->subject, profile, err);
    case DOCTOR_ADD_TARGET: return add_target(finding->subject, err);
    default: return err_set(err, ERR_UNSUPPORTED, "there is no cure for that");
    }
}
