/* mayfly up: serve a component over HTTP until SIGINT or SIGTERM. This process compiles, listens and supervises; its
 * workers serve. */
#include "cli/given.h"

#include "base/log.h"
#include "io/net.h"
#include "node/process.h"
#include "node/supervisor.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define INSTANCES_MAX 1000000u
#define ARENA_MAX ((size_t)16 << 20) /* of what the options say */

struct up {
    const struct cli_options *options;
    const char *name; /* of the function */
    struct compile_options compile;
    struct arena arena;
    struct given given;
    struct host_config config;
    struct function_limits limits;
    uint32_t workers;
    int listen_fd;
};

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
static int take_limits(struct function_limits *limits, const struct cli_options *options)
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

/* CLI_DONE, or CLI_USAGE after an error. */
static int take_workers(uint32_t *workers, const struct cli_options *options)
{
    uint64_t count = supervisor_processors();
    if (options->workers && (!cli_size(options->workers, &count) || count == 0 || count > SUPERVISOR_WORKERS_MAX))
        return cli_usage("up", "--workers takes a number from 1 to %u", SUPERVISOR_WORKERS_MAX);
    *workers = (uint32_t)count;
    return CLI_DONE;
}

/* ---- in processes of the supervisor ---- */

static void forget(struct up *up)
{
    given_close(&up->given);
    arena_free(&up->arena);
    if (up->listen_fd >= 0)
        close(up->listen_fd);
    up->listen_fd = -1;
}

static bool loaded(void *arg, struct program *program, struct err *err)
{
    const struct up *up = arg;
    return cli_symbols(program, up->options, err);
}

static int work(void *arg, int channel, int image_fd)
{
    struct up *up = arg;
    const struct process_options process = {
        .config = &up->config,
        .limits = &up->limits,
        .worker = {.stats = up->options->stats != NULL, .services = {.name_servers = up->options->dns}},
        .listen_fd = up->listen_fd,
        .loaded = loaded,
        .arg = up,
    };
    int status = process_work(&process, channel, image_fd);
    forget(up);
    return status;
}

/* What cannot be served is found here, not by the workers. */
static int build(void *arg, struct err *err)
{
    struct up *up = arg;
    struct function function;
    int image_fd = cli_open(up->options->file, &up->compile, NULL, err);
    function_init(&function, &up->config, &up->limits);
    if (image_fd >= 0 && !function_load(&function, image_fd, err)) {
        close(image_fd);
        image_fd = -1;
    }
    function_end(&function);
    forget(up);
    return image_fd;
}

static void serving(void *arg)
{
    const struct up *up = arg;
    char address[NET_ADDRESS_MAX];
    net_name(up->listen_fd, address);
    printf("Serving http://%s\n", address);
    fflush(stdout);
}

/* ---- */

static bool take_given(struct up *up, struct err *err)
{
    up->config.name = up->name;
    if (!given_take(&up->given, up->options, &up->arena, err))
        return false;
    up->given.arg_count = 0; /* a command has arguments */
    return given_config(&up->given, &up->config, &up->arena, err);
}

static bool serve(struct up *up, struct err *err)
{
    struct supervisor_options supervisor = {
        .workers = up->workers, .work = work, .build = build, .serving = serving, .arg = up};
    if (!take_given(up, err))
        return false;
    supervisor.image_fd = cli_open(up->options->file, &up->compile, NULL, err);
    if (supervisor.image_fd < 0)
        return false;
    const char *address = up->options->listen ? up->options->listen : "127.0.0.1:3000";
    if (net_listen(str_of(address), &up->listen_fd, err))
        return supervise(&supervisor, err);
    close(supervisor.image_fd);
    return false;
}

int cli_up(const struct cli_options *options)
{
    struct up up = {.options = options, .listen_fd = -1, .limits = function_limits_default};
    struct err err = {0};
    char name[64];
    if (cli_compile_options("up", options, TIER_BEST, &up.compile) != CLI_DONE ||
        take_limits(&up.limits, options) != CLI_DONE || take_workers(&up.workers, options) != CLI_DONE)
        return CLI_USAGE;
    function_name(options->file, name);
    up.name = name;
    if (options->quiet)
        log_level_set(LOG_WARN);
    arena_init(&up.arena, ARENA_MAX);
    bool done = serve(&up, &err);
    forget(&up);
    if (!done && err.kind == ERR_USAGE)
        return cli_usage("up", err.remedy[0] ? "%s: %s" : "%s", err.message, err.remedy);
    if (!done)
        err_print(&err, options->file);
    return done ? CLI_DONE : CLI_FAILED;
}
