/* See world.h. Everything lives until the process that runs the file ends. */
#include "world.h"

#include "base/alloc.h"
#include "wasm/body.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool print_nothing(struct store *store, const void *env, union cell *v)
{
    return true;
}

static bool resolve_host(void *arg, const struct image *image, const struct image_import *import, host_fn **ret_fn,
                         const void **ret_env, struct err *err)
{
    *ret_fn = print_nothing;
    *ret_env = NULL;
    return true;
}

static bool resolve_import(void *arg, struct str module, struct str name, struct link_extern *ret_extern)
{
    const struct world *world = arg;
    for (const struct registration *r = world->registered; r; r = r->next)
        if (str_eq(str_of(r->name), module))
            return instance_export(r->slot, name, ret_extern);
    return false;
}

static struct program *compile(struct world *world, const char *path, struct err *err)
{
    int source = open(path, O_RDONLY | O_CLOEXEC);
    if (source < 0) {
        err_errno(err, "cannot open %s", path);
        return NULL;
    }
    int image = compiler_run(&world->compiler, source, &world->options, NULL, err);
    close(source);
    if (image < 0)
        return NULL;
    struct program *program = program_load(image, path, resolve_host, NULL, err);
    close(image);
    return program;
}

static struct slot *instantiate(struct world *world, const char *path, struct err *err)
{
    struct slot *slot = NULL;
    struct program *program = compile(world, path, err);
    if (!program || !instance_link(world->first, program, resolve_import, world, NULL, &slot, NULL, err))
        return NULL;
    return slot;
}

static bool set_name(char to[WORLD_NAME_MAX], const char *name)
{
    return (size_t)snprintf(to, WORLD_NAME_MAX, "%s", name ? name : "") < WORLD_NAME_MAX;
}

static bool add_registration(struct world *world, struct slot *slot, const char *as)
{
    struct registration *r = mem_alloc(1, sizeof *r);
    if (!r || !set_name(r->name, as))
        return false;
    r->slot = slot;
    r->next = world->registered;
    world->registered = r;
    return true;
}

bool world_open(struct world *world, const struct script_options *options, struct err *err)
{
    memset(world, 0, sizeof *world);
    world->options = (struct compile_options){.tier = options->tier,
                                              .opt_level = options->opt_level,
                                              .mix_seed = options->mix_seed,
                                              .open = true,
                                              .host = "host"};
    if (!trap_install(err))
        return false;
    world->first = instantiate(world, SOURCE_DIR "/tests/wast/spectest.wasm", err);
    return world->first && (add_registration(world, world->first, "spectest") || err_memory(err));
}

static bool is_single(const struct wasm_module *module, struct err *err)
{
    if (module->memory_count > 1)
        return err_set(err, ERR_INVALID, "multiple memories");
    return module->table_count <= 1 || err_set(err, ERR_INVALID, "multiple tables");
}

static bool validate_bytes(const void *bytes, size_t size, bool single, struct err *err)
{
    struct arena arena;
    struct wasm_module *module;
    arena_init(&arena, (size_t)1 << 30);
    struct wasm_body_scratch *scratch = wasm_body_scratch_new(err);
    bool valid = scratch && wasm_load(bytes, size, &arena, &module, err);
    for (uint32_t i = valid ? module->imported_funcs : 0; valid && i < module->func_count; i++)
        valid = wasm_body_read(module, i, scratch, NULL, NULL, err);
    valid = valid && (!single || is_single(module, err));
    wasm_body_scratch_free(scratch);
    arena_free(&arena);
    return valid;
}

static bool validate_file(const char *path, bool single, struct err *err)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0)
        return err_errno(err, "cannot open %s", path);
    size_t size = (size_t)status.st_size;
    void *bytes = mmap(NULL, size ? size : 1, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (bytes == MAP_FAILED)
        return err_errno(err, "cannot map %s", path);
    bool valid = validate_bytes(bytes, size, single, err);
    munmap(bytes, size ? size : 1);
    return valid;
}

bool world_validate(const char *path, struct err *err)
{
    return validate_file(path, false, err);
}

bool world_validate_single(const char *path, struct err *err)
{
    return validate_file(path, true, err);
}

bool world_instantiate(struct world *world, const char *path, const char *name, struct err *err)
{
    world->current = NULL;
    struct instance *instance = mem_alloc(1, sizeof *instance);
    if (!instance || !set_name(instance->name, name))
        return err_memory(err);
    instance->slot = instantiate(world, path, err);
    if (!instance->slot)
        return false;
    instance->next = world->instances;
    world->instances = world->current = instance;
    return true;
}

bool world_define(struct world *world, const char *path, const char *name)
{
    struct definition *definition = mem_alloc(1, sizeof *definition);
    if (!definition || !set_name(definition->name, name))
        return false;
    snprintf(definition->path, sizeof definition->path, "%s", path);
    definition->next = world->definitions;
    world->definitions = definition;
    return true;
}

bool world_definition(struct world *world, const char *module, const char **ret_path, struct err *err)
{
    const struct definition *definition = world->definitions;
    while (definition && module && strcmp(definition->name, module) != 0)
        definition = definition->next;
    if (!definition)
        return err_set(err, ERR_USAGE, "no module definition %s", module ? module : "");
    *ret_path = definition->path;
    return true;
}

static struct instance *find_instance(const struct world *world, const char *name)
{
    struct instance *instance = world->instances;
    while (instance && name && strcmp(instance->name, name) != 0)
        instance = instance->next;
    return name ? instance : world->current;
}

bool world_register(struct world *world, const char *name, const char *as)
{
    const struct instance *instance = find_instance(world, name);
    return instance && add_registration(world, instance->slot, as);
}

bool world_find(struct world *world, const char *name, struct str field, enum wasm_extern_kind kind,
                struct link_extern *ret_extern, struct err *err)
{
    const struct instance *instance = find_instance(world, name);
    if (!instance)
        return err_set(err, ERR_USAGE, "no instance %s", name ? name : "");
    return (instance_export(instance->slot, field, ret_extern) && ret_extern->row->kind == kind) ||
           err_set(err, ERR_USAGE, "no export %.*s", STR_ARG(field));
}

static void call_body(struct task *task)
{
    struct world_call *call = task->arg;
    struct slot *first = task->slot;
    const uint8_t *types = link_signature(&call->func, &call->param_count, &call->result_count);
    for (uint32_t i = 0; i < call->param_count; i++)
        if (call->host_any[i])
            call->values[i].u64 = gc_internalize(&call->func.slot->gc, call->values[i].u64);
    call->returned = guest_call(first->store, link_funcref(&call->func, first), types, call->param_count,
                                call->result_count, call->values);
}

bool world_invoke(struct world *world, struct world_call *call, struct err *err)
{
    memset(&world->task, 0, sizeof world->task);
    if (!task_start(&world->task, world->first, call_body, call, NULL, err))
        return false;
    return call->returned || err_set(err, ERR_TRAP, "%s", trap_text(world->task.report.trap));
}
