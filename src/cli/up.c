/* mayfly up: serve a component over HTTP until SIGINT or SIGTERM. This process compiles, listens and supervises; its
 * workers serve. */
#include "cli/given.h"

#include "base/log.h"
#include "component/handles.h"
#include "io/net.h"
#include "node/admin.h"
#include "node/builder.h"
#include "node/process.h"
#include "runtime/stack.h"

#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define INSTANCES_MAX 1000000u
#define HANDLES_MIN 8u /* a request and where its answer goes are two */
#define ARENA_MAX ((size_t)16 << 20) /* of what the options say */

struct up {
    const struct cli_options *options;
    const char *name; /* of the function */
    struct compile_options compile;
    bool improve; /* begin with what is there or made fast, and make it better */
    struct compile_outcome outcome;
    struct samples *samples; /* of each worker, shared by all processes */
    struct arena arena;
    struct given given;
    struct host_config config;
    struct function_limits limits;
    struct sandbox_options sandbox;
    struct metrics metrics;
    uint32_t workers;
    int listen_fd, admin_fd, access_fd; /* -1: not open */
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
    uint64_t instances = limits->instances, handles = limits->handles;
    if ((options->timeout && !cli_duration(options->timeout, &limits->wall_ns)) ||
        (options->cpu_time && !cli_duration(options->cpu_time, &limits->cpu_ns)))
        return cli_usage("up", "--timeout and --cpu-time take a number with ms, s, m or h");
    if ((options->max_memory && !cli_size(options->max_memory, &limits->memory_bytes)) ||
        (options->max_body && !cli_size(options->max_body, &limits->body_bytes)))
        return cli_usage("up", "--max-memory and --max-body take bytes, or a number with K, M or G");
    if (options->max_stack && (!cli_size(options->max_stack, &limits->stack_bytes) ||
                               limits->stack_bytes < STACK_SIZE_MIN || limits->stack_bytes > STACK_SIZE_MAX))
        return cli_usage("up", "--max-stack takes a size from 64K to 1G");
    if (options->max_handles &&
        (!cli_size(options->max_handles, &handles) || handles < HANDLES_MIN || handles >= HANDLE_CAPACITY))
        return cli_usage("up", "--max-handles takes a number from %u to %u", HANDLES_MIN, HANDLE_CAPACITY - 1);
    limits->handles = (uint32_t)handles;
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

/* Without a tier, or with "auto", the first image is the cache's best or a fast one, and is not waited for longer than
 * that. CLI_DONE, or CLI_USAGE after an error. */
static int take_tier(struct up *up)
{
    struct cli_options options = *up->options;
    bool asked = options.tier && strcmp(options.tier, "auto") == 0;
    up->improve = asked || (!options.tier && !options.opt);
    options.tier = up->improve ? "best" : options.tier;
    if (cli_compile_options("up", &options, TIER_BEST, &up->compile) != CLI_DONE)
        return CLI_USAGE;
    if (!up->improve)
        return CLI_DONE;
    up->compile.tier = TIER_FAST;
    up->compile.best_if_kept = true;
    up->compile.undigested = true; /* the builder keeps it, when there is time */
    return CLI_DONE;
}

static enum io_kind io_kind(const char *name)
{
    if (!name || strcmp(name, "epoll") == 0)
        return IO_EPOLL;
    return strcmp(name, "uring") == 0 ? IO_URING : IO_AUTO;
}

/* CLI_DONE, or CLI_USAGE after an error. */
static int take_sandbox(struct sandbox_options *sandbox, const struct cli_options *options)
{
    const char *mode = options->sandbox ? options->sandbox : "on";
    const struct passwd *user = options->user ? getpwnam(options->user) : NULL;
    if (options->user && !user)
        return cli_usage("up", "--user: there is no user \"%s\"", options->user);
    *sandbox = (struct sandbox_options){
        .mode = mode[1] == 'f'   ? SANDBOX_OFF
                : mode[0] == 'r' ? SANDBOX_REQUIRE
                                 : SANDBOX_ON,
        .change_user = user != NULL,
        .user = user ? user->pw_uid : 0,
        .group = user ? user->pw_gid : 0,
        .inspected = options->gdb || options->perf,
        .moves_code = options->perf != NULL,
        .name_servers = options->dns,
    };
    return CLI_DONE;
}

/* ---- in processes of the supervisor ---- */

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void forget(struct up *up)
{
    if (up->samples)
        munmap(up->samples, up->workers * sizeof *up->samples);
    up->samples = NULL;
    given_close(&up->given);
    arena_free(&up->arena);
    metrics_close(&up->metrics);
    close_fd(&up->listen_fd);
    close_fd(&up->admin_fd);
    close_fd(&up->access_fd);
}

static bool prepare(void *arg, struct err *err)
{
    const struct up *up = arg;
    return !up->options->perf || symbols_prepare_perf(err);
}

static bool loaded(void *arg, struct program *program, struct err *err)
{
    const struct up *up = arg;
    return cli_symbols(program, up->options, err);
}

static int work(void *arg, const struct supervisor_seat *seat)
{
    struct up *up = arg;
    close_fd(&up->admin_fd);
    const struct process_options process = {
        .config = &up->config,
        .limits = &up->limits,
        .worker = {.stats = up->options->stats != NULL,
                   .access_fd = up->access_fd,
                   .services = {.name_servers = up->options->dns}},
        .snapshot = up->options->snapshot != NULL,
        .files = {up->options->tls_cert, up->options->tls_key},
        .samples = &up->samples[seat->index],
        .sandbox = up->sandbox,
        .listen_fd = up->listen_fd,
        .io = io_kind(up->options->io),
        .prepare = prepare,
        .metrics = &up->metrics,
        .loaded = loaded,
        .arg = up,
    };
    int status = process_work(&process, seat);
    forget(up);
    return status;
}

static int tell(void *arg, const struct supervisor_seat *seat)
{
    struct up *up = arg;
    close(seat->image_fd);
    given_close(&up->given);
    close_fd(&up->listen_fd);
    close_fd(&up->access_fd);
    int status = admin_work(&up->metrics, up->admin_fd, seat->channel);
    forget(up);
    return status;
}

static int certify(void *arg, const struct supervisor_seat *seat)
{
    struct up *up = arg;
    const struct certificate_files files = {up->options->tls_cert, up->options->tls_key};
    close(seat->image_fd);
    forget(up);
    return certificate_work(&files, seat->channel);
}

static int build(void *arg, const struct supervisor_seat *seat)
{
    struct up *up = arg;
    struct builder_options builder = {.path = up->options->file,
                                      .first = up->compile,
                                      .best = up->compile,
                                      .improve = up->improve,
                                      .served = &up->outcome,
                                      .config = &up->config,
                                      .limits = &up->limits,
                                      .sandbox = &up->sandbox,
                                      .samples = up->samples,
                                      .workers = up->workers};
    close_fd(&up->listen_fd);
    close_fd(&up->admin_fd);
    close_fd(&up->access_fd);
    metrics_close(&up->metrics); /* compilers are forks of this process, and might be a hostile module's */
    builder.best.tier = TIER_BEST;
    builder.best.undigested = builder.best.best_if_kept = false;
    int status = builder_work(&builder, seat);
    forget(up);
    return status;
}

/* The log's line comes first: who waits for the other finds it. */
static void serving(void *arg)
{
    const struct up *up = arg;
    char address[NET_ADDRESS_MAX];
    if (up->admin_fd >= 0) {
        net_name(up->admin_fd, address);
        log_line(LOG_INFO, NULL, "metrics at http://%s/metrics", address);
    }
    net_name(up->listen_fd, address);
    printf("Serving %s://%s\n", up->options->tls_cert ? "https" : "http", address);
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

static bool share_samples(struct up *up, struct err *err)
{
    void *samples =
        mmap(NULL, up->workers * sizeof *up->samples, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (samples == MAP_FAILED)
        return err_errno(err, "cannot map memory that processes share");
    up->samples = samples;
    return true;
}

/* As many descriptors as may be had: each client takes one. */
static void raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* Standard output under a number of its own. A pipe or terminal that others share is opened anew, so that nobody waits
 * who writes to it; a file is not, because then each would write at a place of its own. */
static int open_output(struct err *err)
{
    struct stat stat;
    bool stream = fstat(STDOUT_FILENO, &stat) == 0 && (S_ISFIFO(stat.st_mode) || S_ISCHR(stat.st_mode));
    int fd = stream ? open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC) : -1;
    if (fd < 0)
        fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (fd < 0)
        err_errno(err, "cannot write the access log to standard output");
    return fd;
}

static bool open_access_log(struct up *up, struct err *err)
{
    const char *path = up->options->access_log;
    if (!path)
        return true;
    if (strcmp(path, "-") == 0)
        up->access_fd = open_output(err);
    else if ((up->access_fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0640)) < 0)
        err_errno(err, "cannot open the access log %s", path);
    return up->access_fd >= 0;
}

/* What the processes share. */
static bool open_shared(struct up *up, struct err *err)
{
    const struct cli_options *options = up->options;
    return net_listen(str_of(options->listen ? options->listen : "127.0.0.1:3000"), &up->listen_fd, err) &&
           (!options->admin || net_listen(str_of(options->admin), &up->admin_fd, err)) && open_access_log(up, err);
}

/* Of an image that was given as the file nobody knows. */
static enum metrics_tier tier_of(const struct compile_outcome *outcome)
{
    if (outcome->cached && outcome->image_bytes == outcome->source_bytes)
        return METRICS_TIER_UNKNOWN;
    return outcome->tier == TIER_FAST ? METRICS_TIER_FAST : METRICS_TIER_BEST;
}

static bool serve(struct up *up, struct err *err)
{
    struct supervisor_options supervisor = {.workers = up->workers,
                                            .metrics = &up->metrics,
                                            .work = work,
                                            .build = build,
                                            .tell = up->options->admin ? tell : NULL,
                                            .certify = up->options->tls_cert ? certify : NULL,
                                            .serving = serving,
                                            .arg = up};
    raise_descriptors();
    if (!take_given(up, err) || !share_samples(up, err))
        return false;
    supervisor.image_fd = cli_open(up->options->file, &up->compile, &up->outcome, err);
    if (supervisor.image_fd < 0)
        return false;
    supervisor.improve = up->improve && up->outcome.tier != TIER_BEST;
    supervisor.tier = up->improve || up->compile.tier != TIER_FAST ? METRICS_TIER_BEST : METRICS_TIER_FAST;
    /* Metrics come behind compiling: a compiler is a fork of this process, and might be a hostile module's. */
    if (open_shared(up, err) && metrics_open(&up->metrics, up->workers, &up->name, 1, err)) {
        counter_set(&up->metrics.node->tier, tier_of(&up->outcome));
        return supervise(&supervisor, err);
    }
    close(supervisor.image_fd);
    return false;
}

/* CLI_DONE, or CLI_USAGE after an error. */
static int take_log_level(const struct cli_options *options)
{
    static const char *const names[] = {
        [LOG_ERROR] = "error", [LOG_WARN] = "warn", [LOG_INFO] = "info", [LOG_DEBUG] = "debug"};
    if (options->quiet && options->log_level)
        return cli_usage("up", "--quiet has no meaning beside --log-level");
    if (options->quiet)
        log_level_set(LOG_WARN);
    for (unsigned i = 0; options->log_level && i < sizeof names / sizeof names[0]; i++)
        if (strcmp(options->log_level, names[i]) == 0)
            log_level_set((enum log_level)i);
    return CLI_DONE;
}

int cli_up(const struct cli_options *options)
{
    struct up up = {
        .options = options, .listen_fd = -1, .admin_fd = -1, .access_fd = -1, .limits = function_limits_default};
    struct err err = {0};
    char name[64];
    if (take_tier(&up) != CLI_DONE || take_limits(&up.limits, options) != CLI_DONE ||
        take_workers(&up.workers, options) != CLI_DONE || take_sandbox(&up.sandbox, options) != CLI_DONE ||
        take_log_level(options) != CLI_DONE)
        return CLI_USAGE;
    if (!options->tls_cert != !options->tls_key)
        return cli_usage("up", "--tls-cert and --tls-key belong together");
    function_name(options->file, name);
    up.name = name;
    arena_init(&up.arena, ARENA_MAX);
    bool done = serve(&up, &err);
    forget(&up);
    if (!done && err.kind == ERR_USAGE)
        return cli_usage("up", err.remedy[0] ? "%s: %s" : "%s", err.message, err.remedy);
    if (!done)
        err_print(&err, options->file);
    return done ? CLI_DONE : CLI_FAILED;
}
