/* mayfly run: a command as a process, a module of WASI 0.1 or a component of WASI 0.2, or one exported function of any
 * core module or component (--invoke). Nothing is granted that was not asked for (deploy/given.h). Limits hold for all
 * code of the guest: start functions, _initialize, what is called. An exit code that the system has no room for is 255.
 * Exit codes are in cli.h. */
#include "cli/cli.h"

#include "base/arena.h"
#include "cli/command.h"
#include "cli/invoke.h"
#include "cli/typed.h"
#include "runtime/deadline.h"
#include "runtime/snapshot.h"
#include "wasi/preview1.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ARENA_BYTES ((size_t)64 << 20) /* far above what a process is started with */

struct run {
    struct arena arena;
    uint64_t memory_max, timeout_ns; /* UINT64_MAX: none */
    struct program *program;
    struct slot *slot;
    struct preload *preload; /* of what is linked at run time: then it owns program and slot; or NULL */
    struct invoke_func entry, initialize; /* initialize: funcref 0: there is none to call */
    union cell *cells;                    /* arguments of the entry, then its results */
    struct task task;
    struct compile_options compile;
    struct compile_outcome compiled;
    int image_fd; /* of an image that the cache gets when the guest has ended, or -1 */
    struct given *given;
    struct preview1 *process; /* of modules */
    struct command command;   /* of components */
    bool invoked;             /* one of its functions is called: */
    struct typed typed;
    bool returned;
};

static struct invoke_from place(const struct run *run)
{
    return (struct invoke_from){run->program, run->preload};
}

/* ---- what is asked for ---- */

/* CLI_DONE, or CLI_USAGE after an error. */
static int take_limits(struct run *run, const struct cli_options *options)
{
    run->memory_max = run->timeout_ns = UINT64_MAX;
    if (options->max_memory && !cli_size(options->max_memory, &run->memory_max))
        return cli_usage("run", "--max-memory takes bytes, or a number with K, M or G");
    if (options->timeout && !cli_duration(options->timeout, &run->timeout_ns))
        return cli_usage("run", "--timeout takes a number with ms, s, m or h");
    return CLI_DONE;
}

/* WASI 0.1 closes what its guests leave open, so the directories are its own from here on. */
static bool give_process(struct run *run, struct err *err)
{
    struct given *given = run->given;
    struct preview1 *process = run->process;
    uint32_t count = given->dir_count;
    process->args = (struct preview1_strings){given->args, given->arg_count};
    process->env = (struct preview1_strings){given->env, given->env_count};
    given->dir_count = 0;
    bool done = preview1_init(process, err);
    for (uint32_t i = 0; i < count; i++) {
        if (done)
            done = preview1_grant(process, given->dirs[i].dir, given->dirs[i].name, err);
        else
            close(given->dirs[i].dir.fd);
    }
    return done;
}

static bool give_command(struct run *run, const char *name, struct err *err)
{
    struct given *given = run->given;
    struct host_config config = {.name = name};
    return given_config(given, &config, &run->arena, err) &&
           command_begin(&run->command, &config, &given->storage, given->dns, run->slot, run->timeout_ns, err);
}

/* ---- loading and linking ---- */

static bool find_command(struct run *run, struct err *err)
{
    if (invoke_find(place(run), STR("_start"), &run->entry) && !run->entry.param_count && !run->entry.result_count)
        return true;
    err_set(err, ERR_LINK, "the module exports no function _start without parameters and results");
    return err_remedy(err, "build it as a command, or call another function with --invoke");
}

/* Before a function of a library its _initialize is called, which makes it ready. */
static bool find_invoked(struct run *run, const struct cli_options *options, struct err *err)
{
    struct str name = str_of(options->invoke);
    struct invoke_func *before = &run->initialize;
    if (!invoke_find(place(run), name, &run->entry))
        return invoke_missing(place(run), name, err);
    bool ready = str_eq(name, STR("_start")) || str_eq(name, STR("_initialize")) ||
                 !invoke_find(place(run), STR("_initialize"), before) || before->param_count || before->result_count;
    if (ready)
        before->funcref = 0;
    return invoke_arguments(&run->entry, options->invoke, options->args, &run->arena, &run->cells, err);
}

static bool is_component(const struct run *run)
{
    return !run->preload && run->program && run->program->image.header->component;
}

static bool resolve(void *arg, const struct image *image, const struct image_import *import, host_fn **ret_fn,
                    const void **ret_env, struct err *err)
{
    struct run *run = arg;
    return image->header->component ? wasi_resolve(&run->command.link, image, import, ret_fn, ret_env, err)
                                    : preview1_resolve(NULL, image, import, ret_fn, ret_env, err);
}

static bool find_component(struct run *run, const struct cli_options *options, struct err *err)
{
    run->invoked = options->invoke != NULL;
    if (run->invoked)
        return typed_open(run->program, options->invoke, options->args, &run->arena, &run->typed, err);
    const struct image_export *entry = command_entry(run->program, err);
    run->cells = entry ? ARENA_ARRAY(&run->arena, union cell, 1) : NULL;
    if (!run->cells)
        return entry ? err_memory(err) : false;
    run->entry = (struct invoke_func){entry->funcref, image_bytes(&run->program->image) + entry->types_first,
                                      entry->param_count, entry->result_count};
    return true;
}

static bool find_entry(struct run *run, const struct cli_options *options, struct err *err)
{
    if (is_component(run))
        return find_component(run, options, err);
    return options->invoke ? find_invoked(run, options, err) : find_command(run, err);
}

/* The guest's time begins once everything is compiled. */
static bool start_clock(const struct run *run, struct err *err)
{
    return run->timeout_ns == UINT64_MAX || deadline_set(run->timeout_ns, err);
}

static bool load(struct run *run, const struct cli_options *options, struct err *err)
{
    run->compile.undigested = run->compile.tier == TIER_FAST;
    run->image_fd = cli_open(options->file, NULL, &run->compile, &run->compiled, err);
    if (run->image_fd < 0)
        return false;
    const char *name = given_base_name(options->file);
    run->program = program_open(run->image_fd, name, resolve, run, err);
    if (!run->program || !find_entry(run, options, err) || !cli_symbols(run->program, options, err))
        return false;
    run->program->memory_max = run->memory_max;
    run->slot = slot_acquire(run->program, err);
    if (!run->slot || !start_clock(run, err))
        return false;
    return is_component(run) ? give_command(run, name, err) : give_process(run, err);
}

/* WASI's functions mean the memory that the command exports, from its start function on. */
static void use_memory(void *arg)
{
    const struct run *run = arg;
    const struct preload *preload = run->preload;
    const struct preload_module *command = &preload->modules[preload->count - 1];
    uint64_t store = (uint64_t)preload->modules[0].slot->store;
    struct preview1 *process = run->process;
    struct link_extern memory;
    process->memory_off = process->memory_size_off = 0;
    if (!command->slot || !instance_export(command->slot, STR("memory"), &memory) || memory.row->kind != WASM_MEMORY)
        return;
    process->memory_off = (uint64_t)link_address(&memory) - store;
    process->memory_size_off = (uint64_t)link_size(&memory) - store;
}

static bool resolve_module(void *arg, const struct image *image, const struct image_import *import, host_fn **ret_fn,
                           const void **ret_env, struct err *err)
{
    if (!image->header->component)
        return preview1_resolve(arg, image, import, ret_fn, ret_env, err);
    err_set(err, ERR_UNSUPPORTED, "a component, and --preload links core modules");
    return err_remedy(err, "compose components before they are run");
}

/* The last module is the command; where others import its memory, or it theirs, does not matter. */
static bool load_linked(struct run *run, const struct cli_options *options, struct err *err)
{
    struct preload *preload = run->preload;
    if (!preload_load(preload, options, &run->compile, resolve_module, err) || !give_process(run, err))
        return false;
    for (uint32_t i = 0; i < preload->count; i++)
        if (!cli_symbols(preload->modules[i].program, options, err))
            return false;
    preload->modules[0].program->memory_max = run->memory_max;
    run->process->find_memory = use_memory;
    run->process->find_arg = run;
    if (!start_clock(run, err) || !preload_link(preload, run->process, err) || !find_entry(run, options, err))
        return false;
    run->program = preload->modules[preload->count - 1].program;
    run->slot = preload->modules[0].slot;
    return true;
}

/* ---- running ---- */

static void body(struct task *task)
{
    struct run *run = task->arg;
    struct store *store = task->slot->store;
    const struct invoke_func *entry = &run->entry;
    if (run->program->start_each_time && !run->preload && !program_start(run->slot))
        return;
    if (run->initialize.funcref && !guest_call(store, run->initialize.funcref, NULL, 0, 0, NULL))
        return;
    if (run->invoked)
        run->returned = typed_call(store, &run->typed, &run->arena);
    else
        run->returned =
            guest_call(store, entry->funcref, entry->types, entry->param_count, entry->result_count, run->cells);
}

static bool execute(struct run *run, struct err *err)
{
    if (is_component(run))
        return command_run(&run->command, &run->task, run->slot, body, run, err);
    preview1_begin(run->process, run->slot->store, &run->program->image);
    if (run->preload)
        use_memory(run);
    return task_start(&run->task, run->slot, body, run, run->process, err);
}

/* ---- what came of it ---- */

/* What the guest said. False: it did not return. */
static bool own_code(const struct run *run, int *ret_code)
{
    uint8_t status;
    if (run->command.host && host_exited(run->command.host, &status))
        *ret_code = status;
    else if (run->process->exited)
        *ret_code = run->process->exit_code < 255 ? (int)run->process->exit_code : 255;
    else if (run->returned && run->invoked)
        *ret_code = typed_print(&run->typed);
    else if (run->returned && is_component(run))
        *ret_code = run->cells[0].u32 != 0; /* result: 0 is ok */
    else if (run->returned)
        *ret_code = invoke_print(&run->entry, run->cells);
    else
        return false;
    return true;
}

/* `done`: the task ran. */
static int exit_code(const struct run *run, bool done, const struct err *err, const char *file)
{
    const struct trap_report *report = done ? &run->task.report : run->preload ? &run->preload->report : NULL;
    int code;
    if (own_code(run, &code))
        return code;
    struct trap_report host = {0};
    if (report && !report->trap && run->slot && run->slot->store->trap) { /* between calls of the guest */
        host.trap = run->slot->store->trap;
        memcpy(host.message, run->slot->store->trap_message, sizeof host.message);
        report = &host;
    }
    if (report && report->trap) {
        cli_print_trap(report);
        return CLI_TRAPPED;
    }
    err_print(err, run->preload && run->preload->file ? run->preload->file : file);
    return err->kind == ERR_USAGE ? CLI_USAGE : err->kind == ERR_TRAP ? CLI_TRAPPED : CLI_FAILED;
}

static void finish(struct run *run)
{
    if (run->image_fd >= 0) {
        compile_keep(run->image_fd, &run->compiled);
        close(run->image_fd);
    }
    command_end(&run->command, !run->returned);
    if (run->preload)
        preload_free(run->preload);
    else if (run->slot)
        slot_destroy(run->slot);
    if (run->program && !run->preload)
        program_unload(run->program);
    wasi_link_free(&run->command.link);
    preview1_free(run->process);
    given_close(run->given);
    stack_drain();
    arena_free(&run->arena);
}

int cli_run(const struct cli_options *options)
{
    static struct preview1 process;
    static struct preload preload;
    static struct given given;
    struct run run = {.process = &process, .given = &given, .image_fd = -1};
    struct given_options wanted;
    struct err err = {0};
    if (take_limits(&run, options) != CLI_DONE ||
        cli_compile_options("run", options, TIER_FAST, &run.compile) != CLI_DONE)
        return CLI_USAGE;
    if (options->preload.count)
        run.preload = &preload;
    arena_init(&run.arena, ARENA_BYTES);
    wasi_link_init(&run.command.link);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file beyond `ulimit -f` is the guest's error, not this process's end */
    cli_given(options, &wanted);
    bool done = given_take(&given, &wanted, &run.arena, &err) &&
                (run.preload ? load_linked : load)(&run, options, &err) && execute(&run, &err);
    deadline_clear();
    int code = exit_code(&run, done, &err, options->file);
    finish(&run);
    return code;
}
