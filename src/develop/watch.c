/* See watch.h. One loop around poll: signals, and inotify (watcher.h). Two children, each in a process group of its
 * own: `mayfly up`, which is told by SIGHUP, and `mayfly build` while something is built. The server gets no signal
 * before it can take one: its SIGHUP is blocked until it asks.
 *
 * A build may write files that the patterns of its own component name (bindings, say). So what changes while one runs
 * is a change only if its content is another than after the last build: what is generated again stops there. */
#include "develop/watch.h"

#include "app/glob.h"
#include "base/clock.h"
#include "base/sha256.h"
#include "develop/build.h"
#include "develop/say.h"
#include "develop/shell.h"
#include "develop/watcher.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATTERNS_MAX 65536u
#define MADE_MAX 1024u        /* files that changed during builds and are remembered */
#define CHOSEN_MAX 250u       /* components that a build names; of more, it builds all */
#define WAIT_MAX 10u          /* times the pause, while files do not stop changing */
#define FILE_MAX ((size_t)16 << 20) /* of a file whose content is compared */

/* Meanings of patterns: a component's number, or: */
#define MEANS_MANIFEST (UINT32_MAX - 1)
#define MEANS_SERVED (UINT32_MAX - 2)

struct made_file {
    char *path;
    uint8_t digest[32];
    bool is_known; /* the digest was taken */
    bool is_new;     /* changed in the build that just ran */
    uint32_t meaning;
};

struct watch {
    const struct watch_options *options;
    struct project project;
    struct watcher watcher;
    VEC(struct watcher_pattern) patterns;
    VEC(struct made_file) made;
    bool *stale, *building; /* of each component: to be built, in the build that runs */
    bool manifest_changed, served_changed, stopping;
    uint64_t first_ns, last_ns; /* of changes that nothing was done about; 0: none */
    pid_t up, build;            /* 0: does not run */
    int signal_fd;
};

/* ---- what changed ---- */

static void note_change(struct watch *watch)
{
    watch->last_ns = clock_now_ns();
    if (!watch->first_ns)
        watch->first_ns = watch->last_ns;
}

static void mark(struct watch *watch, uint32_t meaning)
{
    if (meaning == MEANS_MANIFEST)
        watch->manifest_changed = true;
    else if (meaning == MEANS_SERVED)
        watch->served_changed = true;
    else
        watch->stale[meaning] = true;
    note_change(watch);
}

/* The digest of a file's content; zero where there is none, or too much. */
static void digest_of(const struct watch *watch, const char *path, uint8_t ret_digest[32])
{
    struct arena arena;
    arena_init(&arena, (size_t)1 << 20);
    const char *full = project_file(&arena, watch->project.folder, str_of(path));
    int fd = full ? open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    struct stat status;
    bool fits = fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size <= (off_t)FILE_MAX;
    uint8_t *bytes = fits ? mem_alloc((size_t)status.st_size + 1, 1) : NULL;
    memset(ret_digest, 0, 32);
    ssize_t size = bytes ? read(fd, bytes, (size_t)status.st_size) : -1;
    if (size >= 0)
        sha256(bytes, (size_t)size, ret_digest);
    mem_free(bytes);
    if (fd >= 0)
        close(fd);
    arena_free(&arena);
}

static struct made_file *find_made(const struct watch *watch, uint32_t meaning, const char *path)
{
    for (size_t i = 0; i < watch->made.count; i++)
        if (watch->made.items[i].meaning == meaning && strcmp(watch->made.items[i].path, path) == 0)
            return &watch->made.items[i];
    return NULL;
}

/* A file of a component's patterns changed while something was built: it is looked at when that has ended. */
static void note_made(struct watch *watch, uint32_t meaning, const char *path)
{
    struct made_file *known = find_made(watch, meaning, path);
    if (known) {
        known->is_new = true;
        return;
    }
    struct made_file *file = VEC_PUSH(&watch->made, MADE_MAX);
    size_t size = strlen(path) + 1;
    char *copy = file ? mem_alloc(size, 1) : NULL;
    if (!copy) {
        watch->made.count -= file != NULL;
        mark(watch, meaning);
        return;
    }
    *file = (struct made_file){.path = memcpy(copy, path, size), .is_new = true, .meaning = meaning};
}

/* What a component's build makes is nothing that it is built from, also where a pattern says so. */
static bool is_result(struct watch *watch, uint32_t meaning, const char *path)
{
    const struct manifest_source *source = &watch->project.manifest.components[meaning].source;
    struct arena_mark mark = arena_mark(&watch->project.arena);
    const char *normal =
        source->kind == MANIFEST_SOURCE_PATH ? glob_normal(&watch->project.arena, source->path.text) : NULL;
    bool same = normal && strcmp(normal, path) == 0;
    arena_rewind(&watch->project.arena, mark);
    return same;
}

static void changed(void *arg, uint32_t meaning, const char *path)
{
    struct watch *watch = arg;
    bool component = meaning != MEANS_MANIFEST && meaning != MEANS_SERVED;
    if (component && path && is_result(watch, meaning, path))
        return;
    struct made_file *made = component && path && !watch->build ? find_made(watch, meaning, path) : NULL;
    if (made)
        made->is_known = false; /* what it was then is not what is built next */
    if (component && watch->build && path)
        note_made(watch, meaning, path);
    else
        mark(watch, meaning);
}

static void judge_made(struct watch *watch)
{
    for (size_t i = 0; i < watch->made.count; i++) {
        struct made_file *file = &watch->made.items[i];
        uint8_t digest[32];
        if (!file->is_new)
            continue;
        file->is_new = false;
        digest_of(watch, file->path, digest);
        if (!file->is_known || memcmp(digest, file->digest, sizeof digest) != 0)
            mark(watch, file->meaning);
        file->is_known = true;
        memcpy(file->digest, digest, sizeof digest);
    }
}

static void forget_made(struct watch *watch)
{
    for (size_t i = 0; i < watch->made.count; i++)
        mem_free(watch->made.items[i].path);
    VEC_FREE(&watch->made);
}

/* ---- what to watch ---- */

static bool add_pattern(struct watch *watch, const char *folder, struct str pattern, uint32_t meaning, struct err *err)
{
    struct arena *arena = &watch->project.arena;
    uint32_t count = 0;
    const char *path = project_file(arena, folder, pattern);
    const char *normal = path ? glob_normal(arena, str_of(path)) : NULL;
    const struct str *all = normal ? glob_alternatives(arena, str_of(normal), &count) : NULL;
    if (!all)
        return err_memory(err);
    for (uint32_t i = 0; i < count; i++) {
        struct watcher_pattern *row = VEC_PUSH(&watch->patterns, PATTERNS_MAX);
        if (!row)
            return err_set(err, ERR_LIMIT, "more than %u patterns to watch, or no memory for them", PATTERNS_MAX);
        *row = (struct watcher_pattern){all[i], meaning};
    }
    return true;
}

/* A name with what stands for itself in patterns. */
static struct str literal(struct watch *watch, struct str path)
{
    char *text = arena_alloc(&watch->project.arena, path.len * 2 + 1);
    size_t used = 0;
    for (size_t i = 0; text && i < path.len; i++) {
        if (strchr("*?[\\", path.ptr[i]))
            text[used++] = '\\';
        text[used++] = path.ptr[i];
    }
    return (struct str){text, used};
}

static bool add_served(struct watch *watch, const struct manifest_component *component, struct err *err)
{
    if (component->source.kind == MANIFEST_SOURCE_PATH &&
        !add_pattern(watch, ".", literal(watch, component->source.path.text), MEANS_SERVED, err))
        return false;
    for (uint32_t i = 0; i < component->files.count; i++) {
        const struct manifest_mount *mount = &component->files.items[i];
        struct str pattern = mount->pattern.text.ptr ? mount->pattern.text : literal(watch, mount->source.text);
        if (!add_pattern(watch, ".", pattern, MEANS_SERVED, err))
            return false;
    }
    return true;
}

static bool add_sources(struct watch *watch, uint32_t index, struct err *err)
{
    const struct manifest_component *component = &watch->project.manifest.components[index];
    const struct manifest_build *build = &component->build;
    const char *folder = project_text(&watch->project.arena, build->workdir.text.len ? build->workdir.text : STR("."));
    if (!folder)
        return err_memory(err);
    if (build->commands.given && !build->watch.count)
        say("%s:%u: component %.*s says nothing of what it is built from: watch = [\"src/**/*\"]", watch->project.path,
            build->commands.at.line, STR_ARG(component->id.text));
    for (uint32_t i = 0; build->commands.given && i < build->watch.count; i++)
        if (!add_pattern(watch, folder, build->watch.items[i].text, index, err))
            return false;
    return true;
}

static bool set_patterns(struct watch *watch, struct err *err)
{
    const struct manifest *manifest = &watch->project.manifest;
    const char *slash = strrchr(watch->project.path, '/'), *name = slash ? slash + 1 : watch->project.path;
    watch->patterns.count = 0;
    if (!add_pattern(watch, ".", literal(watch, str_of(name)), MEANS_MANIFEST, err) ||
        !add_pattern(watch, ".", STR(".env"), MEANS_SERVED, err)) /* values of variables */
        return false;
    for (uint32_t i = 0; i < manifest->component_count; i++)
        if (!add_served(watch, &manifest->components[i], err) ||
            (!watch->options->skip_build && !add_sources(watch, i, err)))
            return false;
    return watcher_set(&watch->watcher, watch->project.folder, watch->patterns.items, watch->patterns.count, err);
}

/* ---- the manifest ---- */

static bool is_missing(struct watch *watch, const struct manifest_component *component)
{
    const struct manifest_source *source = &component->source;
    struct arena_mark mark = arena_mark(&watch->project.arena);
    const char *path = source->kind == MANIFEST_SOURCE_PATH
                           ? project_file(&watch->project.arena, watch->project.folder, source->path.text)
                           : NULL;
    bool missing = path && access(path, R_OK) != 0;
    arena_rewind(&watch->project.arena, mark);
    return missing;
}

static bool same_build(const struct manifest_build *a, const struct manifest_build *b)
{
    bool same = a->commands.count == b->commands.count && str_eq(a->workdir.text, b->workdir.text);
    for (uint32_t i = 0; same && i < a->commands.count; i++)
        same = str_eq(a->commands.items[i].text, b->commands.items[i].text);
    return same;
}

static bool make_room(struct watch *watch, struct err *err)
{
    uint32_t count = watch->project.manifest.component_count;
    watch->stale = ARENA_ARRAY(&watch->project.arena, bool, count);
    watch->building = ARENA_ARRAY(&watch->project.arena, bool, count);
    return (watch->stale && watch->building) || err_memory(err);
}

/* What is to be built because the manifest says something else than before, or there is nothing yet; what was to be
 * built still is. */
static void compare_builds(struct watch *watch, const struct project *before, const bool *stale_before)
{
    const struct manifest *manifest = &watch->project.manifest;
    for (uint32_t i = 0; i < manifest->component_count; i++) {
        const struct manifest_component *component = &manifest->components[i];
        uint32_t old = manifest_find_component(&before->manifest, component->id.text);
        watch->stale[i] = old == MANIFEST_NONE || stale_before[old] || is_missing(watch, component) ||
                          !same_build(&component->build, &before->manifest.components[old].build);
    }
}

/* One that cannot be read changes nothing, and it is said why. */
static bool take_manifest(struct watch *watch, struct err *err)
{
    struct project before = watch->project;
    bool *stale = watch->stale, *building = watch->building;
    struct err mistake = {0};
    watch->manifest_changed = false;
    if (!project_open(&watch->project, watch->options->from, watch->options->profile, &mistake) ||
        !make_room(watch, &mistake)) {
        project_close(&watch->project);
        watch->project = before;
        watch->stale = stale;
        watch->building = building;
        if (mistake.kind)
            say("%s: %s", before.path, mistake.message);
        say("Not taken up: the manifest; what it said before holds");
        return true;
    }
    compare_builds(watch, &before, stale);
    forget_made(watch); /* numbers of components are others */
    watch->served_changed = true;
    bool done = set_patterns(watch, err);
    project_close(&before);
    return done;
}

/* ---- children ---- */

static bool start(struct watch *watch, const char *const *args, size_t count, bool holds_hangup, pid_t *ret_pid)
{
    const struct shell_options options = {.apart = true, .holds_hangup = holds_hangup};
    char **argv = ARENA_ARRAY(&watch->project.arena, char *, count + 2);
    struct err err = {0};
    if (argv) {
        argv[0] = "mayfly";
        memcpy(argv + 1, args, count * sizeof *argv);
        argv[count + 1] = NULL;
    }
    if (argv && shell_start("/proc/self/exe", argv, &options, ret_pid, &err))
        return true;
    say("cannot start mayfly: %s", argv ? err.message : "out of memory");
    return false;
}

/* What is built is stale no more, unless it fails. */
static void start_build(struct watch *watch)
{
    struct arena_mark mark = arena_mark(&watch->project.arena);
    const struct manifest *manifest = &watch->project.manifest;
    const char *args[6 + 2 * CHOSEN_MAX] = {"build", "--from", watch->project.path};
    size_t count = 3;
    uint32_t chosen = 0;
    if (watch->options->profile) {
        args[count++] = "--profile";
        args[count++] = watch->options->profile;
    }
    size_t fixed = count;
    for (uint32_t i = 0; i < manifest->component_count; i++) {
        watch->building[i] = watch->stale[i] && manifest->components[i].build.commands.given;
        watch->stale[i] = false;
        if (!watch->building[i] || ++chosen > CHOSEN_MAX)
            continue;
        args[count++] = "--component-id";
        args[count++] = project_text(&watch->project.arena, manifest->components[i].id.text);
        if (!args[count - 1])
            chosen = CHOSEN_MAX + 1;
    }
    if (chosen)
        start(watch, args, chosen > CHOSEN_MAX ? fixed : count, false, &watch->build);
    arena_rewind(&watch->project.arena, mark);
}

static void start_up(struct watch *watch)
{
    struct arena_mark mark = arena_mark(&watch->project.arena);
    size_t given = 0, count = 2;
    while (watch->options->up_args && watch->options->up_args[given])
        given++;
    const char **args = ARENA_ARRAY(&watch->project.arena, const char *, given + 4);
    if (!args) {
        say("cannot start mayfly up: out of memory");
        return;
    }
    args[0] = "up";
    args[1] = watch->project.path;
    if (watch->options->profile) {
        args[count++] = "--profile";
        args[count++] = watch->options->profile;
    }
    if (given)
        memcpy(args + count, watch->options->up_args, given * sizeof *args);
    start(watch, args, count + given, true, &watch->up);
    arena_rewind(&watch->project.arena, mark);
}

static bool all_there(struct watch *watch)
{
    for (uint32_t i = 0; i < watch->project.manifest.component_count; i++)
        if (is_missing(watch, &watch->project.manifest.components[i]))
            return false;
    return true;
}

/* Where a file is missing, the change that brings it is waited for. */
static void serve(struct watch *watch)
{
    if (watch->up && !all_there(watch))
        return;
    watch->served_changed = false;
    if (watch->up)
        kill(watch->up, SIGHUP);
    else
        start_up(watch);
}

/* ---- rounds ---- */

static bool any_stale(const struct watch *watch)
{
    for (uint32_t i = 0; i < watch->project.manifest.component_count; i++)
        if (watch->stale[i] && watch->project.manifest.components[i].build.commands.given)
            return true;
    return false;
}

static void clear_screen(const struct watch *watch)
{
    if (watch->options->clear && isatty(STDOUT_FILENO)) {
        fputs("\x1b[H\x1b[2J\x1b[3J", stdout);
        fflush(stdout);
    }
}

static bool act(struct watch *watch, struct err *err)
{
    watch->first_ns = watch->last_ns = 0;
    clear_screen(watch);
    if (watch->manifest_changed && !take_manifest(watch, err))
        return false;
    if (!watch->options->skip_build && any_stale(watch))
        start_build(watch);
    if (!watch->build && watch->served_changed)
        serve(watch);
    return true;
}

/* What failed, and what was not begun then, is built with the next change. */
static void build_failed(struct watch *watch)
{
    if (!any_stale(watch) && !watch->manifest_changed)
        watch->first_ns = watch->last_ns = 0;
    for (uint32_t i = 0; i < watch->project.manifest.component_count; i++)
        watch->stale[i] |= watch->building[i];
    watch->served_changed = false;
    say(watch->up ? "Not built: what was built before keeps serving" : "Not built: nothing serves yet");
}

static void build_ended(struct watch *watch, int status)
{
    struct err err = {0};
    if (!watcher_read(&watch->watcher, &err)) /* what the build wrote, while it counts as that */
        say("%s", err.message);
    watch->build = 0;
    judge_made(watch);
    if (watch->stopping)
        return;
    if (status != 0) {
        build_failed(watch);
        return;
    }
    if (watch->served_changed && !any_stale(watch) && !watch->manifest_changed)
        watch->first_ns = watch->last_ns = 0; /* that is what was built */
    watch->served_changed = true;
    serve(watch);
}

static void up_ended(struct watch *watch, int status)
{
    char room[64];
    watch->up = 0;
    if (!watch->stopping)
        say("mayfly up ended with %s; it starts again with the next change", shell_status(status, room));
}

static void reap(struct watch *watch)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        if (pid == watch->build)
            build_ended(watch, status);
        else if (pid == watch->up)
            up_ended(watch, status);
    }
}

static void stop(struct watch *watch, int number)
{
    watch->stopping = true;
    if (watch->build)
        kill(-watch->build, SIGTERM);
    if (watch->up)
        kill(watch->up, number);
}

/* ---- the loop ---- */

static bool open_signals(struct watch *watch, struct err *err)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &signals, NULL) != 0)
        return err_errno(err, "sigprocmask");
    watch->signal_fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    return watch->signal_fd >= 0 || err_errno(err, "signalfd");
}

static void take_signals(struct watch *watch)
{
    struct signalfd_siginfo info;
    while (read(watch->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            reap(watch);
        else
            stop(watch, (int)info.ssi_signo);
    }
}

/* Milliseconds until something is to be done about changes; -1: nothing is. */
static int wait_ms(const struct watch *watch)
{
    if (!watch->first_ns || watch->build || watch->stopping)
        return -1;
    uint64_t pause = watch->options->debounce_ns, now = clock_now_ns();
    uint64_t when = watch->last_ns + pause, latest = watch->first_ns + WAIT_MAX * pause;
    when = when < latest ? when : latest;
    return when <= now ? 0 : (int)((when - now) / 1000000u) + 1;
}

static bool turn(struct watch *watch, struct err *err)
{
    struct pollfd polled[] = {{watch->signal_fd, POLLIN, 0}, {watch->watcher.fd, POLLIN, 0}};
    int wait = wait_ms(watch);
    int ready = wait ? poll(polled, 2, wait) : 0;
    if (ready < 0 && errno != EINTR)
        return err_errno(err, "poll");
    if (ready <= 0 && wait_ms(watch) == 0 && !act(watch, err))
        return false;
    if (!watcher_read(&watch->watcher, err))
        return false;
    take_signals(watch);
    return true;
}

static bool run(struct watch *watch, struct err *err)
{
    if (!open_signals(watch, err) ||
        !project_open(&watch->project, watch->options->from, watch->options->profile, err) || !make_room(watch, err) ||
        !watcher_open(&watch->watcher, changed, watch, err) || !set_patterns(watch, err))
        return false;
    for (uint32_t i = 0; i < watch->project.manifest.component_count; i++)
        watch->stale[i] = true;
    watch->served_changed = true;
    if (!act(watch, err))
        return false;
    while (!watch->stopping || watch->up || watch->build)
        if (!turn(watch, err))
            return false;
    return true;
}

bool watch_run(const struct watch_options *options, struct err *err)
{
    struct watch watch = {.options = options, .signal_fd = -1, .watcher.fd = -1};
    bool done = run(&watch, err);
    if (!done)
        stop(&watch, SIGTERM);
    watcher_close(&watch.watcher);
    forget_made(&watch);
    VEC_FREE(&watch.patterns);
    if (watch.signal_fd >= 0)
        close(watch.signal_fd);
    project_close(&watch.project);
    return done;
}
