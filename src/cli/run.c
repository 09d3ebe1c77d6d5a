/* mayfly run: a command of WASI 0.1 as a process, or one exported function of any core module (--invoke). Nothing is
 * granted that was not asked for: the guest sees its arguments, the variables named by --env, the directories named by
 * --dir and the standard streams. Limits hold for all code of the guest: start functions, _initialize, what is called.
 * An exit code that the system has no room for is 255. Exit codes are in cli.h. */
#include "cli/cli.h"

#include "base/arena.h"
#include "cli/invoke.h"
#include "runtime/backtrace.h"
#include "runtime/deadline.h"
#include "wasi/preview1.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
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
    struct preview1 *process;
    bool returned;
};

static struct invoke_from place(const struct run *run)
{
    return (struct invoke_from){run->program, run->preload};
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
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

/* NAME=VALUE as it is, NAME with the value that this process has; one that it lacks is left out. */
static bool take_env(struct run *run, const struct cli_list *wanted, const char **ret_items, struct err *err)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < wanted->count; i++) {
        const char *item = wanted->items[i], *value = strchr(item, '=') ? NULL : getenv(item);
        if (strchr(item, '=')) {
            ret_items[count++] = item;
        } else if (value) {
            size_t size = strlen(item) + strlen(value) + 2;
            char *text = arena_alloc(&run->arena, size);
            if (!text)
                return err_memory(err);
            snprintf(text, size, "%s=%s", item, value);
            ret_items[count++] = text;
        }
    }
    run->process->env = (struct preview1_strings){ret_items, count};
    return true;
}

/* HOST[::GUEST][:ro] */
static bool take_dir(struct run *run, const char *text, struct err *err)
{
    size_t size = strlen(text);
    bool read_only = size > 3 && strcmp(text + size - 3, ":ro") == 0;
    char *host = arena_copy(&run->arena, text, size + 1);
    if (!host)
        return err_memory(err);
    if (read_only)
        host[size - 3] = '\0';
    char *guest = strstr(host, "::");
    if (guest) {
        *guest = '\0';
        guest += 2;
    }
    return preview1_grant(run->process, host, guest ? guest : host, !read_only, err);
}

static bool take_dirs(struct run *run, const struct cli_list *wanted, struct err *err)
{
    bool done = preview1_init(run->process, err);
    for (uint32_t i = 0; done && i < wanted->count; i++)
        done = take_dir(run, wanted->items[i], err);
    return done;
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

static bool find_entry(struct run *run, const struct cli_options *options, struct err *err)
{
    return options->invoke ? find_invoked(run, options, err) : find_command(run, err);
}

static bool is_module(const struct image *image, struct err *err)
{
    if (!image->header->component)
        return true;
    err_set(err, ERR_UNSUPPORTED, "a component, and 'run' takes core modules");
    return err_remedy(err, "serve it with 'mayfly up', or build a module for WASI 0.1 (wasm32-wasip1)");
}

static bool resolve(void *arg, const struct image *image, const struct image_import *import, host_fn **ret_fn,
                    const void **ret_env, struct err *err)
{
    return is_module(image, err) && preview1_resolve(arg, image, import, ret_fn, ret_env, err);
}

/* The guest's time begins once everything is compiled. */
static bool start_clock(const struct run *run, struct err *err)
{
    return run->timeout_ns == UINT64_MAX || deadline_set(run->timeout_ns, err);
}

static bool load(struct run *run, const struct cli_options *options, struct err *err)
{
    run->compile.undigested = run->compile.tier == TIER_FAST;
    run->image_fd = cli_open(options->file, &run->compile, &run->compiled, err);
    if (run->image_fd < 0)
        return false;
    run->program = program_open(run->image_fd, base_name(options->file), resolve, NULL, err);
    if (!run->program || !is_module(&run->program->image, err) || !find_entry(run, options, err) ||
        !cli_symbols(run->program, options, err))
        return false;
    run->program->memory_max = run->memory_max;
    run->slot = slot_acquire(run->program, err);
    return run->slot && start_clock(run, err);
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

/* The last module is the command; where others import its memory, or it theirs, does not matter. */
static bool load_linked(struct run *run, const struct cli_options *options, struct err *err)
{
    struct preload *preload = run->preload;
    if (!preload_load(preload, options, &run->compile, resolve, err))
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
    run->returned =
        guest_call(store, entry->funcref, entry->types, entry->param_count, entry->result_count, run->cells);
}

static bool execute(struct run *run, struct err *err)
{
    preview1_begin(run->process, run->slot->store, &run->program->image);
    if (run->preload)
        use_memory(run);
    return task_start(&run->task, run->slot, body, run, run->process, err);
}

/* ---- what came of it ---- */

static void print_trap(const struct trap_report *report)
{
    char line[256], escaped[sizeof line];
    fprintf(stderr, "trap: %s%s%s\n", trap_text(report->trap), report->message[0] ? ": " : "", report->message);
    for (uint32_t i = 0; i < report->frame_count; i++) {
        trap_describe_frame(report, i, line, sizeof line);
        cli_escape(str_of(line), escaped, sizeof escaped);
        fprintf(stderr, "%s\n", escaped);
    }
}

/* `done`: the task ran. */
static int exit_code(const struct run *run, bool done, const struct err *err, const char *file)
{
    const struct trap_report *report = done ? &run->task.report : run->preload ? &run->preload->report : NULL;
    if (run->process->exited)
        return run->process->exit_code < 255 ? (int)run->process->exit_code : 255;
    if (run->returned)
        return invoke_print(&run->entry, run->cells);
    if (report && report->trap) {
        print_trap(report);
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
    if (run->preload)
        preload_free(run->preload);
    else if (run->slot)
        slot_destroy(run->slot);
    if (run->program && !run->preload)
        program_unload(run->program);
    preview1_free(run->process);
    stack_drain();
    arena_free(&run->arena);
}

/* The guest's own arguments: those of a function that is called by name are its parameters. */
static struct preview1_strings arguments(const struct cli_options *options)
{
    static const char *args[CLI_ARGS_MAX + 1];
    uint32_t count = 0;
    args[count++] = base_name(options->file);
    for (char **at = options->args; !options->invoke && at && *at && count <= CLI_ARGS_MAX; at++)
        args[count++] = *at;
    return (struct preview1_strings){args, count};
}

int cli_run(const struct cli_options *options)
{
    static struct preview1 process;
    static struct preload preload;
    static const char *env[CLI_LIST_MAX];
    struct run run = {.process = &process, .preload = options->preload.count ? &preload : NULL, .image_fd = -1};
    struct err err = {0};
    if (take_limits(&run, options) != CLI_DONE ||
        cli_compile_options("run", options, TIER_FAST, &run.compile) != CLI_DONE)
        return CLI_USAGE;
    arena_init(&run.arena, ARENA_BYTES);
    process.args = arguments(options);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file beyond `ulimit -f` is the guest's error, not this process's end */
    bool done = take_env(&run, &options->env, env, &err) && take_dirs(&run, &options->dir, &err) &&
                (run.preload ? load_linked : load)(&run, options, &err) && execute(&run, &err);
    deadline_clear();
    int code = exit_code(&run, done, &err, options->file);
    finish(&run);
    return code;
}
