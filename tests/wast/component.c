/* See component.h. Everything lives until the process that runs the file ends. */
#include "component.h"

#include "base/alloc.h"
#include "component/decode.h"
#include "component/plan.h"
#include "runtime/snapshot.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARENA_BYTES ((size_t)256 << 20)

/* The host's side of an instance. */
struct host {
    struct arena arena, scratch;
    struct activity activity;
};

struct arena *host_scratch(struct host *host)
{
    return &host->scratch;
}

struct arena *host_arena(struct host *host)
{
    return &host->arena;
}

struct activity *host_activity(struct host *host)
{
    return &host->activity;
}

static bool map_file(const char *path, const uint8_t **ret_bytes, size_t *ret_size, struct err *err)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0)
        return err_errno(err, "cannot open %s", path);
    *ret_size = (size_t)status.st_size;
    *ret_bytes = mmap(NULL, *ret_size + 1, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    return *ret_bytes != MAP_FAILED || err_errno(err, "cannot map %s", path);
}

/* A core module has version 1 and layer 0; whatever else is in the component suite means to be a component. */
bool component_file(const char *path)
{
    static const uint8_t core[] = {0, 'a', 's', 'm', 1, 0, 0, 0};
    const uint8_t *bytes;
    size_t size;
    struct err err = {0};
    if (!map_file(path, &bytes, &size, &err))
        return false;
    bool is_core = size >= sizeof core && memcmp(bytes, core, sizeof core) == 0;
    bool component = component_is(bytes, size) || (strstr(path, "/component/") && !is_core);
    munmap((void *)bytes, size + 1);
    return component;
}

bool component_validate_file(const char *path, struct err *err)
{
    const uint8_t *bytes;
    size_t size;
    struct arena arena;
    if (!map_file(path, &bytes, &size, err))
        return false;
    arena_init(&arena, ARENA_BYTES);
    bool valid = component_validate(bytes, size, &arena, err);
    arena_free(&arena);
    munmap((void *)bytes, size + 1);
    return valid;
}

static bool resolve(void *arg, const struct image *image, const struct image_import *import, host_fn **ret_fn,
                    const void **ret_env, struct err *err)
{
    struct arena *arena = arg;
    struct canon_env *env;
    if (!canon_env_make(arena, image, import, NULL, &env, err))
        return false;
    *ret_env = env;
    *ret_fn = canon_link(import);
    return *ret_fn || err_set(err, ERR_LINK, "import %.*s is not defined", STR_ARG(env->name));
}

static struct program *compile(struct components *all, const char *path, struct err *err)
{
    static struct arena environments;
    int source = open(path, O_RDONLY | O_CLOEXEC);
    if (source < 0) {
        err_errno(err, "cannot open %s", path);
        return NULL;
    }
    if (!environments.max)
        arena_init(&environments, ARENA_BYTES);
    int image = compiler_run(all->compiler, source, &all->options, NULL, err);
    close(source);
    if (image < 0)
        return NULL;
    struct program *program = program_load(image, path, resolve, &environments, err);
    close(image);
    return program;
}

/* Compiled once, however many instances there are. */
static struct program *program_of_file(struct components *all, const char *path, struct err *err)
{
    struct component_program *known = all->programs;
    while (known && strcmp(known->path, path) != 0)
        known = known->next;
    if (known)
        return known->program;
    known = mem_alloc(1, sizeof *known);
    if (!known) {
        err_memory(err);
        return NULL;
    }
    snprintf(known->path, sizeof known->path, "%s", path);
    known->program = compile(all, path, err);
    if (!known->program)
        return NULL;
    known->next = all->programs;
    all->programs = known;
    return known->program;
}

static void start(struct task *task)
{
    bool *started = task->arg;
    *started = program_start(task->slot);
}

static bool trap_error(const struct task *task, struct err *err)
{
    const struct trap_report *report = &task->report;
    return err_set(err, ERR_TRAP, "%s", report->message[0] ? report->message : trap_text(report->trap));
}

bool component_instantiate(struct components *all, const char *path, const char *name, struct err *err)
{
    all->current = NULL;
    struct component_instance *made = mem_alloc(1, sizeof *made);
    if (!made || !(made->host = mem_alloc(1, sizeof *made->host)))
        return err_memory(err);
    snprintf(made->name, sizeof made->name, "%s", name ? name : "");
    arena_init(&made->host->arena, ARENA_BYTES);
    arena_init(&made->host->scratch, ARENA_BYTES);
    struct program *program = program_of_file(all, path, err);
    if (!program || !(made->slot = slot_acquire(program, err)))
        return false;
    struct task task = {0};
    bool started = true;
    if (program->start_each_time && !task_start(&task, made->slot, start, &started, made->host, err))
        return false;
    if (!started)
        return trap_error(&task, err);
    made->next = all->instances;
    all->instances = all->current = made;
    return true;
}

bool component_find(struct components *all, const char *name, struct str field, struct component_call *ret_call,
                    struct err *err)
{
    struct component_instance *instance = name ? all->instances : all->current;
    while (name && instance && strcmp(instance->name, name) != 0)
        instance = instance->next;
    if (!instance)
        return err_set(err, ERR_USAGE, "no instance %s", name ? name : "");
    const struct program *program = instance->slot->program;
    const struct image_export *row = program_export(program, STR(""), field);
    if (!row)
        return err_set(err, ERR_USAGE, "no export %.*s", STR_ARG(field));
    ret_call->instance = instance;
    arena_init(&ret_call->arena, ARENA_BYTES);
    return datum_func_open(&program->image, row, NULL, &ret_call->arena, &ret_call->func, err);
}

static void call_body(struct task *task)
{
    struct component_call *call = task->arg;
    call->returned = datum_call(task->slot->store, &call->func, call->args, &call->arena, &call->result);
}

bool component_invoke(struct component_call *call, struct err *err)
{
    struct store *store = call->instance->slot->store;
    call->returned = false;
    if (!task_start(&call->task, call->instance->slot, call_body, call, call->instance->host, err))
        return false;
    if (call->returned)
        return true;
    if (call->task.report.trap)
        return trap_error(&call->task, err);
    return err_set(err, ERR_TRAP, "%s", store->trap_message[0] ? store->trap_message : trap_text(store->trap));
}
