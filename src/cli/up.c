/* mayfly up: serve a component or an application until SIGINT or SIGTERM, or run one that is a command (execute.c). For
 * a component this process compiles, listens and supervises, and its workers serve; for an application it listens, and
 * a node that it begins does the rest, so that another can follow when the manifest changes (node/succession.h).
 *
 * What the options mean is in up_take.c, what the processes of a node do in up_process.c, what is said of what is
 * served in up_say.c. */
#include "cli/up.h"

#include "base/log.h"
#include "base/phase.h"
#include "compile/cache.h"
#include "io/net.h"
#include "node/builder.h"
#include "node/function.h"
#include "node/succession.h"
#include "runtime/sample.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define PORTS_TRIED 100u

static void serving(void *arg)
{
    const struct up *up = arg;
    if (!up->again)
        up_say(up);
    phase_end("serving");
    phase_over();
}

static bool make_room(struct up *up, struct err *err)
{
    uint32_t count = up->deploy.deployment.function_count;
    up->images = mem_alloc(count, sizeof *up->images);
    up->outcomes = mem_alloc(count, sizeof *up->outcomes);
    up->names = mem_alloc(count, sizeof *up->names);
    return (up->images && up->outcomes && up->names) || err_memory(err);
}

static void close_images(struct up *up)
{
    for (uint32_t i = 0; i < up->image_count; i++)
        close(up->images[i].fd);
    up->image_count = 0;
}

/* Of many functions it says which. */
static bool name_failure(const struct deploy *deploy, const struct deployed *function, struct err *err)
{
    return deploy->path ? err_within(err, "%s: %s", function->name, function->path) : false;
}

/* A descriptor of the function's image: of functions that share one the first has it made. */
static int open_image(struct up *up, uint32_t index, struct err *err)
{
    const struct deployed *function = &up->deploy.deployment.functions[index];
    struct compile_outcome *outcome = &up->outcomes[index];
    uint32_t first = function->image_of;
    if (first == index)
        return cli_open(function->path, function->composition, &up->compile, outcome, err);
    return compile_open_again(up->images[first].fd, &up->outcomes[first], outcome, err);
}

/* The number under which samples of it are counted; 0: there will be no better one. */
static uint32_t number_of(const struct up *up, uint32_t index, uint32_t *last)
{
    uint32_t first = up->deploy.deployment.functions[index].image_of;
    if (first != index)
        return up->images[first].number;
    return up->improve && up->outcomes[index].tier != TIER_BEST ? ++*last : 0;
}

/* The first image of each function. What many functions cannot be served with is found here, before any of them runs;
 * that of a single one is loaded by the first worker anyway. */
static bool open_images(struct up *up, struct err *err)
{
    const struct deployment *deployment = &up->deploy.deployment;
    uint32_t number = 0;
    for (uint32_t i = 0; i < deployment->function_count; i++) {
        const struct deployed *function = &deployment->functions[i];
        int fd = open_image(up, i, err);
        if (fd < 0)
            return name_failure(&up->deploy, function, err);
        up->images[up->image_count++] =
            (struct supervisor_image){.fd = fd, .number = number_of(up, i, &number), .generation = 1};
        up->names[i] = function->name;
        if (deployment->function_count > 1 && !function_check(function, fd, err))
            return name_failure(&up->deploy, function, err);
    }
    return true;
}

/* Zeroed. NULL: `err` says why. */
static void *share(size_t size, struct err *err)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory != MAP_FAILED)
        return memory;
    err_errno(err, "cannot map memory that processes share");
    return NULL;
}

static bool share_samples(struct up *up, struct err *err)
{
    up->samples = share(up->workers * sizeof *up->samples, err);
    return up->samples != NULL;
}

static bool share_denials(struct up *up, struct err *err)
{
    up->denials = share(sizeof *up->denials, err);
    return up->denials != NULL;
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

/* `accepts`: requests, not only who asks how it goes. */
static bool listen_there(struct up *up, bool accepts, struct err *err)
{
    const struct cli_options *options = up->options;
    return (!accepts || net_listen_near(str_of(options->listen ? options->listen : "127.0.0.1:3000"),
                                        options->find_free_port ? PORTS_TRIED : 1, &up->listen_fd, err)) &&
           (!options->admin || net_listen(str_of(options->admin), &up->admin_fd, err));
}

/* What the processes share. The sockets of an application are there before its nodes. */
static bool open_shared(struct up *up, struct err *err)
{
    return node_storage_open(&up->deploy.given.storage, up->workers, up->options->dns, err) &&
           (up->parent >= 0 || listen_there(up, true, err)) && open_access_log(up, err);
}

/* Of an image that was given as the file nobody knows. */
static enum metrics_tier tier_of(const struct compile_outcome *outcome)
{
    if (outcome->cached && outcome->image_bytes == outcome->source_bytes)
        return METRICS_TIER_UNKNOWN;
    return outcome->tier == TIER_FAST ? METRICS_TIER_FAST : METRICS_TIER_BEST;
}

static enum metrics_tier tier_of_all(const struct up *up)
{
    uint32_t count = up->deploy.deployment.function_count;
    enum metrics_tier tier = count ? tier_of(&up->outcomes[0]) : METRICS_TIER_BEST;
    for (uint32_t i = 1; i < count; i++)
        if (tier_of(&up->outcomes[i]) != tier)
            return METRICS_TIER_MIXED;
    return tier;
}

/* When a manifest has changed to that. */
static bool check_served(const struct up *up, struct err *err)
{
    const struct deployment *deployment = &up->deploy.deployment;
    const char *path = up->deploy.path;
    if (deployment->function_count && (deployment->functions[0].triggers & DEPLOYED_COMMAND)) {
        err_set(err, ERR_UNSUPPORTED, "%s: a command is not served", path);
        return err_remedy(err, "end mayfly, and run it with 'mayfly up'");
    }
    if (up->parent >= 0 && up->listen_fd < 0 && deployment->router->count) {
        err_set(err, ERR_UNSUPPORTED, "%s: there are routes now, and nothing listens", path);
        return err_remedy(err, "end mayfly and begin it again, or begin with --listen");
    }
    return true;
}

static bool open_deploy(struct up *up, struct err *err)
{
    struct deploy_options options = {.log_dir = up->options->log_dir,
                                     .truncate_logs = up->options->truncate_logs && !up->again,
                                     .follow = cli_texts(&up->options->follow),
                                     .limits = up->limits,
                                     .snapshot = up->options->snapshot != NULL,
                                     .reading = up->again ? NULL : up->reading};
    cli_deploy(up->options, &options);
    return deploy_open(&up->deploy, &options, err) && check_served(up, err);
}

static bool changed(void *arg)
{
    const struct up *up = arg;
    return deploy_changed(&up->deploy);
}

static bool fill_storage(struct up *up, struct err *err)
{
    const struct given_texts keys = cli_texts(&up->options->key_value), statements = cli_texts(&up->options->sqlite);
    return deploy_fill_storage(&up->deploy, &keys, &statements, err);
}

static bool serve(struct up *up, struct err *err)
{
    if (!open_deploy(up, err) || !make_room(up, err) || !share_samples(up, err) || !open_images(up, err))
        return false;
    struct supervisor_options supervisor = {.workers = up->workers,
                                            .images = up->images,
                                            .function_count = up->deploy.deployment.function_count,
                                            .metrics = &up->metrics,
                                            .work = up_work,
                                            .build = up_build,
                                            .tell = up->options->admin ? up_tell : NULL,
                                            .certify = up->options->tls_cert ? up_certify : NULL,
                                            .serving = serving,
                                            .parent = up->parent,
                                            .changed = changed,
                                            .arg = up};
    for (uint32_t i = 0; i < up->deploy.deployment.function_count; i++) {
        supervisor.improve |= up->images[i].number != 0;
        supervisor.cache |= up->outcomes[i].kept_later;
    }
    supervisor.keep = node_storage_any(&up->deploy.given.storage) ? up_keep : NULL;
    supervisor.tier = up->improve || up->compile.tier != TIER_FAST ? METRICS_TIER_BEST : METRICS_TIER_FAST;
    /* These come behind compiling: a compiler is a fork of this process, and might be a hostile module's. */
    if ((!up->again && !fill_storage(up, err)) || !open_shared(up, err) || !share_denials(up, err) ||
        !metrics_open(&up->metrics, up->workers, up->names, up->deploy.deployment.function_count, err))
        return false;
    counter_set(&up->metrics.node->tier, tier_of_all(up));
    for (uint32_t i = 0; i < up->deploy.deployment.function_count; i++)
        metrics_tiers(&up->metrics)[i] = (uint8_t)tier_of(&up->outcomes[i]);
    up->image_count = 0; /* the supervisor's from here on */
    return supervise(&supervisor, err);
}

/* Until the end; what went wrong is printed. */
static int serve_all(struct up *up)
{
    struct err err = {0};
    bool done = serve(up, &err);
    close_images(up);
    up_forget(up);
    if (!done && err.kind == ERR_USAGE)
        return cli_usage("up", err.remedy[0] ? "%s: %s" : "%s", err.message, err.remedy);
    if (!done && err.kind)
        err_print(&err, up->options->file ? up->options->file : "spin.toml");
    return done ? CLI_DONE : CLI_FAILED;
}

static int node(void *arg, const struct succession_seat *seat)
{
    struct up *up = arg;
    up->parent = seat->channel;
    up->again = !seat->first;
    return serve_all(up);
}

/* The first node has it. */
static void forget_reading(void *arg)
{
    struct up *up = arg;
    deploy_reading_free(up->reading);
}

/* Of a command there may be some. */
static bool no_arguments(const struct cli_options *options)
{
    if (!options->args || !options->args[0])
        return true;
    cli_usage("up", "'%s' is an argument of a command, and this is none", options->args[0]);
    return false;
}

/* As Spin does it, only a trigger of type http is a reason to listen, beside --listen: then it says whether all is
 * well.
 */
static int serve_application(struct up *up)
{
    struct err err = {0};
    int status = CLI_FAILED;
    bool accepts = up->reading->listens || up->options->listen;
    raise_descriptors();
    if (!accepts && (up->options->tls_cert || up->options->find_free_port))
        status = cli_usage(
            "up", "%s is for requests, and no trigger is of type http: --listen has mayfly listen nevertheless",
            up->options->tls_cert ? "--tls-cert" : "--find-free-port");
    else if (!(up->fired = share(sizeof *up->fired, &err)) || !listen_there(up, accepts, &err) ||
             !succession_run(node, forget_reading, up, &status, &err))
        err_print(&err, up->options->file ? up->options->file : "spin.toml");
    up_forget(up);
    return status;
}

static int execute(struct up *up)
{
    if (!up->options->timeout) /* unless the manifest says it */
        up->limits.wall_ns = UINT64_MAX;
    if (!up->options->cpu_time)
        up->limits.cpu_ns = UINT64_MAX;
    return cli_execute(up->options, &up->compile, &up->limits, up->reading);
}

static int up_application(struct up *up)
{
    struct deploy_reading reading;
    struct deploy_options deploy = {0};
    cli_deploy(up->options, &deploy);
    deploy_read(&reading, &deploy);
    up->reading = &reading;
    int status = CLI_USAGE;
    if (reading.command)
        status = execute(up);
    else if (no_arguments(up->options))
        status = serve_application(up);
    deploy_reading_free(&reading);
    return status;
}

int cli_up(const struct cli_options *given)
{
    struct cli_options taken = *given, *options = &taken;
    struct up up = {.options = options,
                    .listen_fd = -1,
                    .admin_fd = -1,
                    .access_fd = -1,
                    .parent = -1,
                    .limits = function_limits_default};
    struct err err = {0};
    up_take_environment(options);
    if (up_take(&up) != CLI_DONE)
        return CLI_USAGE;
    if (options->cache_dir && !cache_choose(options->cache_dir, &err))
        return cli_usage("up", "%s", err.message);
    if (options->disable_cache)
        cache_disable();
    if (options->direct_mounts && options->transient)
        return cli_usage("up", "with --direct-mounts nothing is copied, and with --allow-transient-write everything");
    if (options->build && cli_build_project(options->file, options->profile, NULL) != CLI_DONE)
        return CLI_FAILED;
    phase_begin();
    if (deploy_is_application(options->file))
        return up_application(&up);
    if (!no_arguments(options))
        return CLI_USAGE;
    raise_descriptors();
    return serve_all(&up);
}
