/* See preload.h. */
#include "cli/preload.h"

#include "runtime/task.h"

#include <string.h>
#include <unistd.h>

#define HOST_MODULES "wasi_snapshot_preview1,wasi_unstable"

static bool find_import(void *arg, struct str module, struct str name, struct link_extern *ret_extern)
{
    const struct preload *preload = arg;
    for (uint32_t i = 0; i < preload->count; i++)
        if (preload->modules[i].slot && str_eq(preload->modules[i].name, module))
            return instance_export(preload->modules[i].slot, name, ret_extern);
    return false;
}

/* WASI's functions mean the command's memory, so that a module of another one cannot use them. */
static bool check_memory(const struct program *program, struct err *err)
{
    const struct image *image = &program->image;
    bool own = false;
    for (uint64_t i = 0; i < image_memories_count(image); i++)
        own |= image_memories(image)[i].owner != 0;
    if (!own || image_imports_count(image) == 0)
        return true;
    err_set(err, ERR_UNSUPPORTED, "a preloaded module that has a memory of its own and imports WASI");
    return err_remedy(err, "let it import the memory of another preloaded module");
}

static bool load(struct preload *preload, struct str name, const char *file, const struct compile_options *compile,
                 program_resolver *resolve, struct err *err)
{
    struct preload_module *module = &preload->modules[preload->count];
    preload->file = file;
    int image_fd = cli_open(file, NULL, compile, NULL, err);
    if (image_fd < 0)
        return false;
    *module = (struct preload_module){name, file, program_open(image_fd, file, resolve, NULL, err), NULL};
    close(image_fd);
    if (!module->program)
        return false;
    preload->count++;
    return name.len == 0 || check_memory(module->program, err);
}

/* NAME=FILE */
static bool load_named(struct preload *preload, const char *text, const struct compile_options *compile,
                       program_resolver *resolve, struct err *err)
{
    const char *equals = strchr(text, '=');
    preload->file = text;
    if (!equals || equals == text || !equals[1])
        return err_set(err, ERR_USAGE, "--preload takes NAME=FILE");
    struct str name = {text, (size_t)(equals - text)};
    return load(preload, name, equals + 1, compile, resolve, err);
}

bool preload_load(struct preload *preload, const struct cli_options *options, const struct compile_options *compile,
                  program_resolver *resolve, struct err *err)
{
    struct compile_options open = *compile;
    open.open = true;
    open.host = HOST_MODULES;
    for (uint32_t i = 0; i < options->preload.count; i++)
        if (!load_named(preload, options->preload.items[i], &open, resolve, err))
            return false;
    return load(preload, STR(""), options->file, &open, resolve, err);
}

struct calling {
    uint64_t funcref;
    bool returned;
};

static void call(struct task *task)
{
    struct calling *calling = task->arg;
    calling->returned = guest_call(task->slot->store, calling->funcref, NULL, 0, 0, NULL);
}

/* A library of WASI's kind is ready after its function _initialize. */
static bool initialize(struct preload *preload, struct preload_module *module, void *host, struct err *err)
{
    struct slot *first = preload->modules[0].slot;
    struct link_extern found;
    struct task task = {0};
    uint32_t params, results;
    if (!instance_export(module->slot, STR("_initialize"), &found) || found.row->kind != WASM_FUNC)
        return true;
    link_signature(&found, &params, &results);
    if (params || results)
        return true;
    struct calling calling = {.funcref = link_funcref(&found, first)};
    if (!task_start(&task, first, call, &calling, host, err))
        return false;
    if (calling.returned)
        return true;
    preload->report = task.report;
    return err_set(err, ERR_TRAP, "_initialize traps: %s", trap_text(task.report.trap));
}

bool preload_link(struct preload *preload, void *host, struct err *err)
{
    for (uint32_t i = 0; i < preload->count; i++) {
        struct preload_module *module = &preload->modules[i];
        preload->file = module->file;
        if (!instance_link(preload->modules[0].slot, module->program, find_import, preload, host, &module->slot,
                           &preload->report, err))
            return false;
        if (module->name.len && !initialize(preload, module, host, err))
            return false;
    }
    return true;
}

void preload_free(struct preload *preload)
{
    if (preload->count && preload->modules[0].slot)
        slot_destroy(preload->modules[0].slot);
    while (preload->count)
        program_unload(preload->modules[--preload->count].program);
}
