/* mayfly up: serve a component over HTTP until SIGINT or SIGTERM. */
#include "cli/given.h"

#include "base/log.h"
#include "io/net.h"
#include "node/worker.h"
#include "wasi/link.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define INSTANCES_MAX 1000000u
#define ARENA_MAX ((size_t)16 << 20) /* of what the options say */

struct up {
    struct io_loop *loop;
    struct io_signals signals;
    struct worker *worker;
    struct program *program;
    struct wasi_link link;
    struct compile_options compile;
    struct arena arena;
    struct given given;
    struct host_config config;
    struct worker_limits limits;
    int listen_fd;
    bool draining;
};

static void drained(void *arg)
{
    struct up *up = arg;
    io_stop(up->loop);
}

/* The first signal lets running requests finish, the second ends at once. */
static void on_signal(struct io_signals *signals, int number)
{
    struct up *up = IO_OWNER(signals, struct up, signals);
    (void)number;
    if (up->draining)
        io_stop(up->loop);
    up->draining = true;
    worker_drain(up->worker, drained, up);
}

/* The file's name without folders and ending: the function's name in the log. */
static void function_name(const char *path, char name[64])
{
    const char *slash = strrchr(path, '/');
    snprintf(name, 64, "%s", slash ? slash + 1 : path);
    char *dot = strrchr(name, '.');
    if (dot && dot != name)
        *dot = '\0';
}

/* CLI_DONE, or CLI_USAGE after an error. */
static int take_limits(struct worker_limits *limits, const struct cli_options *options)
{
    uint64_t instances = limits->instances;
    if ((options->timeout && !cli_duration(options->timeout, &limits->wall_ns)) ||
        (options->cpu_time && !cli_duration(options->cpu_time, &limits->cpu_ns)))
        return cli_usage("up", "--timeout and --cpu-time take a number with ms, s, m or h");
    if ((options->max_memory && !cli_size(options->max_memory, &limits->memory_bytes)) ||
        (options->max_body && !cli_size(options->max_body, &limits->body_bytes)))
        return cli_usage("up", "--max-memory and --max-body take bytes, or a number with K, M or G");
    if (options->max_instances &&
        (!cli_size(options->max_instances, &instances) || instances == 0 || instances > INSTANCES_MAX))
        return cli_usage("up", "--max-instances takes a number from 1 to %u", INSTANCES_MAX);
    limits->instances = (uint32_t)instances;
    return CLI_DONE;
}

static bool load(struct up *up, const struct cli_options *options, const char *name, struct err *err)
{
    int image_fd = cli_open(options->file, &up->compile, NULL, err);
    if (image_fd < 0)
        return false;
    up->program = program_load(image_fd, name, wasi_resolve, &up->link, err);
    close(image_fd);
    return up->program && cli_symbols(up->program, options, err);
}

static bool listen_on(struct up *up, const struct cli_options *options, struct err *err)
{
    return net_listen(str_of(options->listen ? options->listen : "127.0.0.1:3000"), &up->listen_fd, err);
}

static bool start(struct up *up, const struct cli_options *options, const char *name, struct err *err)
{
    static const int numbers[] = {SIGINT, SIGTERM};
    const struct worker_options worker = {.limits = up->limits,
                                          .config = &up->config,
                                          .stats = options->stats != NULL,
                                          .services = {.name_servers = options->dns}};
    up->config.name = name;
    if (!given_take(&up->given, options, &up->arena, err))
        return false;
    up->given.arg_count = 0; /* a command has arguments */
    if (!given_config(&up->given, &up->config, &up->arena, err) || !load(up, options, name, err) ||
        !listen_on(up, options, err))
        return false;
    up->loop = io_loop_new(err);
    if (!up->loop || !io_signals_open(up->loop, &up->signals, numbers, 2, err))
        return false;
    up->signals.raised = on_signal;
    up->worker = worker_new(up->loop, up->program, up->listen_fd, &worker, err);
    return up->worker != NULL;
}

static bool serve(struct up *up, struct err *err)
{
    char address[NET_ADDRESS_MAX];
    net_name(up->listen_fd, address);
    printf("Serving http://%s\n", address);
    fflush(stdout);
    return io_run(up->loop, err);
}

static void log_stats(const struct up *up)
{
    struct buf text;
    buf_init(&text, 65536);
    worker_stats(up->worker, &text);
    fprintf(stderr, "start-stats: %.*s\n", (int)text.size, (const char *)text.data);
    buf_free(&text);
}

static void finish(struct up *up)
{
    worker_free(up->worker);
    if (up->loop && up->signals.raised)
        io_signals_close(up->loop, &up->signals);
    io_loop_free(up->loop);
    if (up->program)
        program_unload(up->program);
    wasi_link_free(&up->link);
    given_close(&up->given);
    arena_free(&up->arena);
    if (up->listen_fd >= 0)
        close(up->listen_fd);
}

int cli_up(const struct cli_options *options)
{
    struct up up = {.listen_fd = -1, .limits = worker_limits_default};
    struct err err = {0};
    char name[64];
    if (cli_compile_options("up", options, TIER_BEST, &up.compile) != CLI_DONE ||
        take_limits(&up.limits, options) != CLI_DONE)
        return CLI_USAGE;
    function_name(options->file, name);
    if (options->quiet)
        log_level_set(LOG_WARN);
    wasi_link_init(&up.link);
    arena_init(&up.arena, ARENA_MAX);
    bool done = start(&up, options, name, &err) && serve(&up, &err);
    if (done && options->stats)
        log_stats(&up);
    finish(&up);
    if (!done && err.kind == ERR_USAGE)
        return cli_usage("up", err.remedy[0] ? "%s: %s" : "%s", err.message, err.remedy);
    if (!done)
        err_print(&err, options->file);
    return done ? CLI_DONE : CLI_FAILED;
}
