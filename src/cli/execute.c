/* mayfly up of an application with a trigger of type command: its component is run, once, with what the manifest gives
 * it. Standard streams, arguments and exit status are those of this process, as of mayfly run.
 *
 * The guest runs in a process of its own, because this one removes what was copied for it, however it ends. */
#include "cli/cli.h"

#include "base/clock.h"
#include "cli/command.h"
#include "deploy/deploy.h"
#include "node/function.h"
#include "runtime/call.h"
#include "runtime/deadline.h"
#include "runtime/slot.h"
#include "runtime/snapshot.h"
#include "runtime/stack.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct execution {
    const struct cli_options *options;
    struct deploy deploy;
    struct compile_options compile;
    struct compile_outcome compiled;
    int image_fd; /* -1: none */
    struct host_config config;
    struct program *program;
    struct slot *slot;
    struct command command;
    struct task task;
    uint64_t funcref, result;
    bool returned;
    bool cpu_over; /* the processor time that it may take was */
};

static const struct deployed *deployed_of(const struct execution *execution)
{
    return &execution->deploy.deployment.functions[0];
}

/* ---- before the guest ---- */

/* The component's name, then what follows "--". */
static bool take_arguments(struct execution *execution, struct err *err)
{
    char **args = execution->options->args;
    uint32_t count = 1;
    while (args && args[count - 1])
        count++;
    struct str *texts = ARENA_ARRAY(&execution->deploy.arena, struct str, count);
    if (!texts)
        return err_memory(err);
    texts[0] = str_of(deployed_of(execution)->name);
    for (uint32_t i = 1; i < count; i++) {
        texts[i] = str_of(args[i - 1]);
        if (!utf8_valid(texts[i].ptr, texts[i].len)) {
            err_set(err, ERR_USAGE, "an argument that is not UTF-8");
            return err_remedy(err, "components take texts in UTF-8 only");
        }
    }
    execution->config = deployed_of(execution)->config;
    execution->config.arguments = texts;
    execution->config.argument_count = count;
    return true;
}

static bool prepare(struct execution *execution, const struct function_limits *limits, struct deploy_reading *reading,
                    struct err *err)
{
    const struct cli_options *options = execution->options;
    const struct given_texts keys = cli_texts(&options->key_value), statements = cli_texts(&options->sqlite);
    struct deploy_options deploy = {.log_dir = "", /* what it prints goes elsewhere */
                                    .limits = *limits,
                                    .reading = reading};
    cli_deploy(options, &deploy);
    if (!deploy_open(&execution->deploy, &deploy, err) || !take_arguments(execution, err))
        return false;
    const struct deployed *deployed = deployed_of(execution);
    execution->image_fd =
        cli_open(deployed->path, deployed->composition, &execution->compile, &execution->compiled, err);
    if (execution->image_fd < 0)
        return err_within(err, "%s: %s", deployed->name, deployed->path);
    return deploy_fill_storage(&execution->deploy, &keys, &statements, err);
}

/* ---- the guest ---- */

static bool open_guest(struct execution *execution, struct err *err)
{
    const struct deployed *deployed = deployed_of(execution);
    uint64_t timeout_ns = deployed->limits.wall_ns;
    struct given *given = &execution->deploy.given;
    function_limit_process(&deployed->limits);
    execution->program = program_open(execution->image_fd, deployed->name, wasi_resolve, &execution->command.link, err);
    const struct image_export *entry = execution->program ? command_entry(execution->program, err) : NULL;
    if (!entry || !cli_symbols(execution->program, execution->options, err))
        return false;
    execution->funcref = entry->funcref;
    execution->program->memory_max = deployed->limits.memory_bytes;
    execution->slot = slot_acquire(execution->program, err);
    return execution->slot && (timeout_ns == UINT64_MAX || deadline_set(timeout_ns, err)) &&
           (deployed->limits.cpu_ns == UINT64_MAX || deadline_set_cpu(deployed->limits.cpu_ns, err)) &&
           command_begin(&execution->command, &execution->config, &given->storage, given->dns, execution->slot,
                         timeout_ns, err);
}

static void body(struct task *task)
{
    struct execution *execution = task->arg;
    uint64_t none = 0;
    if (execution->program->start_each_time && !program_start(execution->slot))
        return;
    execution->returned = guest_call_ints(execution->slot->store, execution->funcref, &none, 0, &execution->result);
}

/* Which of both it was. */
static void print_limit(const struct execution *execution)
{
    const struct function_limits *limits = &deployed_of(execution)->limits;
    bool cpu = execution->cpu_over;
    fprintf(stderr, "it may take %.3g s of %s (%s)\n", (double)(cpu ? limits->cpu_ns : limits->wall_ns) / NS_PER_S,
            cpu ? "processor time" : "time", cpu ? "--cpu-time" : "--timeout");
}

static int status_of(const struct execution *execution, bool ran, const struct err *err)
{
    const struct trap_report *report = &execution->task.report;
    uint8_t status;
    if (execution->command.host && host_exited(execution->command.host, &status))
        return status;
    if (ran && execution->returned)
        return (execution->result & 0xff) != 0; /* result: 0 is ok */
    struct trap_report host = {0};
    if (ran && !report->trap && execution->slot->store->trap) { /* between calls of the guest */
        host.trap = execution->slot->store->trap;
        memcpy(host.message, execution->slot->store->trap_message, sizeof host.message);
        report = &host;
    }
    if (ran && report->trap) {
        cli_print_trap(report);
        if (report->trap == TRAP_DEADLINE)
            print_limit(execution);
        return CLI_TRAPPED;
    }
    err_print(err, deployed_of(execution)->name);
    return CLI_FAILED;
}

static void close_guest(struct execution *execution)
{
    command_end(&execution->command, !execution->returned);
    if (execution->slot)
        slot_destroy(execution->slot);
    if (execution->program)
        program_unload(execution->program);
    wasi_link_free(&execution->command.link);
    stack_drain();
}

static int run_guest(struct execution *execution)
{
    struct err err = {0};
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file beyond `ulimit -f` is the guest's error, not this process's end */
    wasi_link_init(&execution->command.link);
    bool ran = open_guest(execution, &err) &&
               command_run(&execution->command, &execution->task, execution->slot, body, execution, &err);
    execution->cpu_over = deadline_cpu_is_over();
    deadline_clear();
    int status = status_of(execution, ran, &err);
    close_guest(execution);
    return status;
}

/* ---- its process ---- */

static volatile sig_atomic_t child;

static void pass_on(int number)
{
    if (child > 0)
        kill(child, number);
}

static const int passed[] = {SIGTERM, SIGHUP, SIGQUIT};

/* SIGINT of a terminal comes to both. */
static void handle_signals(bool parent)
{
    signal(SIGINT, parent ? SIG_IGN : SIG_DFL);
    for (size_t i = 0; i < sizeof passed / sizeof *passed; i++)
        signal(passed[i], parent ? pass_on : SIG_DFL);
}

static void finish(struct execution *execution)
{
    if (execution->image_fd >= 0) {
        compile_keep(execution->image_fd, &execution->compiled);
        close(execution->image_fd);
    }
    deploy_close(&execution->deploy);
}

/* Its exit status, or its end by a signal, which becomes this process's. */
static int wait_for_guest(struct execution *execution)
{
    int status = 0;
    while (waitpid((pid_t)child, &status, 0) < 0)
        if (errno != EINTR)
            return CLI_FAILED;
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    finish(execution);
    signal(WTERMSIG(status), SIG_DFL);
    raise(WTERMSIG(status));
    return CLI_TRAPPED;
}

/* Signals wait until there is somebody to pass them on to. */
static void hold_signals(bool held)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof passed / sizeof *passed; i++)
        sigaddset(&set, passed[i]);
    sigprocmask(held ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
}

static int run_apart(struct execution *execution)
{
    struct err err = {0};
    pid_t parent = getpid();
    fflush(NULL);
    hold_signals(true);
    handle_signals(true);
    pid_t pid = fork();
    if (pid == 0) {
        handle_signals(false);
        hold_signals(false);
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        int status = getppid() == parent ? run_guest(execution) : CLI_FAILED;
        deploy_close(&execution->deploy);
        exit(status);
    }
    child = pid;
    hold_signals(false);
    if (pid > 0)
        return wait_for_guest(execution);
    err_errno(&err, "fork");
    err_print(&err, NULL);
    return CLI_FAILED;
}

int cli_execute(const struct cli_options *options, const struct compile_options *compile,
                const struct function_limits *limits, struct deploy_reading *reading)
{
    static struct execution execution;
    struct err err = {0};
    execution = (struct execution){.options = options, .compile = *compile, .image_fd = -1};
    if (prepare(&execution, limits, reading, &err)) {
        int status = run_apart(&execution);
        finish(&execution);
        return status;
    }
    finish(&execution);
    if (err.kind == ERR_USAGE)
        return cli_usage("up", err.remedy[0] ? "%s: %s" : "%s", err.message, err.remedy);
    if (err.kind)
        err_print(&err, options->file ? options->file : "spin.toml");
    return CLI_FAILED;
}
