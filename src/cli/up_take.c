/* What the options of `mayfly up` mean that are no mere names: limits, workers, compiler, sandbox, log. Each says what
 * is wrong with them, and then returns CLI_USAGE. */
#include "cli/up.h"

#include "base/log.h"
#include "component/handles.h"
#include "runtime/stack.h"

#include <pwd.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define INSTANCES_MAX 1000000u
#define HANDLES_MIN 8u /* a request and where its answer goes are two */

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
    up->compile.best_if_kept = up->improve;
    if (up->improve)
        up->compile.tier = TIER_FAST;
    up->compile.undigested = up->compile.tier == TIER_FAST; /* the builder keeps it, when there is time */
    return CLI_DONE;
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

void up_take_environment(struct cli_options *options)
{
    static const struct {
        const char *variable;
        size_t field;
    } rows[] = {
        {"SPIN_HTTP_LISTEN_ADDR", offsetof(struct cli_options, listen)},
        {"SPIN_TLS_CERT", offsetof(struct cli_options, tls_cert)},
        {"SPIN_TLS_KEY", offsetof(struct cli_options, tls_key)},
        {"SPIN_LOG_DIR", offsetof(struct cli_options, log_dir)},
        {"RUNTIME_CONFIG_FILE", offsetof(struct cli_options, runtime_config_file)},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char **field = (const char **)((char *)options + rows[i].field), *value = getenv(rows[i].variable);
        if (!*field && value && value[0])
            *field = value;
    }
}

int up_take(struct up *up)
{
    const struct cli_options *options = up->options;
    if (take_tier(up) != CLI_DONE || take_limits(&up->limits, options) != CLI_DONE ||
        take_workers(&up->workers, options) != CLI_DONE || take_sandbox(&up->sandbox, options) != CLI_DONE ||
        take_log_level(options) != CLI_DONE)
        return CLI_USAGE;
    if (!options->tls_cert != !options->tls_key)
        return cli_usage("up", "--tls-cert and --tls-key belong together");
    return CLI_DONE;
}
