/* mayfly run: a command of WASI 0.1 as a process. Nothing is granted that was not asked for: the guest sees its
 * arguments, the variables named by --env, the directories named by --dir and the standard streams. An exit code that
 * the system has no room for is 255. Exit codes are in cli.h. */
#include "cli/cli.h"

#include "base/arena.h"
#include "cli/preload.h"
#include "runtime/backtrace.h"
#include "wasi/preview1.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STRINGS_BYTES ((size_t)64 << 20) /* far above what a process is started with */

struct run {
    struct arena strings;
    struct program *program;
    uint64_t start; /* reference to the function */
    struct slot *slot;
    struct preload *preload; /* of what is linked at run time: then it owns program and slot; or NULL */
    struct task task;
    struct preview1 *process;
    bool returned;
};

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool no_start(struct err *err)
{
    err_set(err, ERR_LINK, "the module exports no function _start without parameters and results");
    return err_remedy(err, "build it as a command, not as a library or reactor");
}

static bool find_start(struct run *run, struct err *err)
{
    const struct image_export *start = program_export(run->program, STR(""), STR("_start"));
    if (start && start->param_count == 0 && start->result_count == 0) {
        run->start = start->funcref;
        return true;
    }
    return no_start(err);
}

static bool refuse_components(void *arg, const struct image *image, const struct image_import *import, host_fn **ret_fn,
                              const void **ret_env, struct err *err)
{
    if (!image->header->component)
        return preview1_resolve(arg, image, import, ret_fn, ret_env, err);
    err_set(err, ERR_UNSUPPORTED, "a component, and 'run' takes core modules");
    return err_remedy(err, "serve it with 'mayfly up', or build a module for WASI 0.1 (wasm32-wasip1)");
}

static bool load(struct run *run, const struct cli_options *options, const struct compile_options *compile,
                 struct err *err)
{
    int image_fd = cli_open(options->file, compile, NULL, err);
    if (image_fd < 0)
        return false;
    run->program = program_load(image_fd, base_name(options->file), refuse_components, NULL, err);
    close(image_fd);
    return run->program && find_start(run, err) && cli_symbols(run->program, options, err);
}

/* The last module is the command; where others import its memory, or it theirs, does not matter. */
static bool find_linked_start(struct run *run, struct err *err)
{
    const struct preload_module *command = &run->preload->modules[run->preload->count - 1];
    struct link_extern start;
    uint32_t params = 1, results = 1;
    if (instance_export(command->slot, STR("_start"), &start) && start.row->kind == WASM_FUNC)
        link_signature(&start, &params, &results);
    if (params || results)
        return no_start(err);
    run->program = command->program;
    run->slot = run->preload->modules[0].slot;
    run->start = link_funcref(&start, run->slot);
    return true;
}

/* WASI's functions mean the memory that the command exports. */
static void use_memory(struct run *run)
{
    const struct preload_module *command = &run->preload->modules[run->preload->count - 1];
    struct preview1 *process = run->process;
    struct link_extern memory;
    process->memory_off = process->memory_size_off = 0;
    if (!instance_export(command->slot, STR("memory"), &memory) || memory.row->kind != WASM_MEMORY)
        return;
    process->memory_off = (uint64_t)link_address(&memory) - (uint64_t)run->slot->store;
    process->memory_size_off = (uint64_t)link_size(&memory) - (uint64_t)run->slot->store;
}

static bool load_linked(struct run *run, const struct cli_options *options, const struct compile_options *compile,
                        struct err *err)
{
    if (!preload_link(run->preload, options, compile, refuse_components, run->process, err) ||
        !find_linked_start(run, err))
        return false;
    for (uint32_t i = 0; i < run->preload->count; i++)
        if (!cli_symbols(run->preload->modules[i].program, options, err))
            return false;
    return true;
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
            char *text = arena_alloc(&run->strings, size);
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
    char *host = arena_copy(&run->strings, text, size + 1);
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

static void body(struct task *task)
{
    struct run *run = task->arg;
    if (run->program->start_each_time && !program_start(run->slot))
        return;
    run->returned = guest_call(task->slot->store, run->start, NULL, 0, 0, NULL);
}

static void print_trap(const struct trap_report *report)
{
    char line[256];
    fprintf(stderr, "trap: %s%s%s\n", trap_text(report->trap), report->message[0] ? ": " : "", report->message);
    for (uint32_t i = 0; i < report->frame_count; i++) {
        trap_describe_frame(report, i, line, sizeof line);
        fprintf(stderr, "%s\n", line);
    }
}

static int exit_code(const struct run *run)
{
    if (run->process->exited)
        return run->process->exit_code < 255 ? (int)run->process->exit_code : 255;
    if (run->returned)
        return 0;
    print_trap(&run->task.report);
    return CLI_TRAPPED;
}

static bool execute(struct run *run, struct err *err)
{
    if (!run->preload)
        run->slot = slot_acquire(run->program, err);
    if (!run->slot)
        return false;
    preview1_begin(run->process, run->slot->store, &run->program->image);
    if (run->preload)
        use_memory(run);
    return task_start(&run->task, run->slot, body, run, run->process, err);
}

static void finish(struct run *run)
{
    if (run->preload)
        preload_free(run->preload);
    else if (run->slot)
        slot_destroy(run->slot);
    if (run->program && !run->preload)
        program_unload(run->program);
    preview1_free(run->process);
    stack_drain();
    arena_free(&run->strings);
}

int cli_run(const struct cli_options *options)
{
    static struct preview1 process;
    static struct preload preload;
    static const char *args[CLI_ARGS_MAX + 1], *env[CLI_LIST_MAX];
    struct run run = {.process = &process, .preload = options->preload.count ? &preload : NULL};
    const struct compile_options compile = cli_compile_options(options);
    struct err err = {0};
    uint32_t count = 0;
    arena_init(&run.strings, STRINGS_BYTES);
    args[count++] = base_name(options->file);
    for (char **at = options->args; at && *at && count <= CLI_ARGS_MAX; at++)
        args[count++] = *at;
    process.args = (struct preview1_strings){args, count};
    signal(SIGPIPE, SIG_IGN);
    bool done = take_env(&run, &options->env, env, &err) && take_dirs(&run, &options->dir, &err) &&
                (run.preload ? load_linked : load)(&run, options, &compile, &err) && execute(&run, &err);
    if (!done)
        err_print(&err, run.preload && preload.file ? preload.file : options->file);
    int code = done ? exit_code(&run) : err.kind == ERR_USAGE ? CLI_USAGE : CLI_FAILED;
    finish(&run);
    return code;
}
