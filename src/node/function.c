/* See function.h. */
#include "node/function.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "component/handles.h"
#include "node/freeze.h"
#include "runtime/slot.h"
#include "runtime/stack.h"

const struct function_limits function_limits_default = {
    .wall_ns = 60 * NS_PER_S,
    .cpu_ns = 10 * NS_PER_S,
    .memory_bytes = UINT64_C(1) << 30,
    .body_bytes = UINT64_C(1) << 40,
    .stack_bytes = STACK_SIZE,
    .handles = HANDLE_CAPACITY - 1,
    .instances = 1000,
};

void function_limit_process(const struct function_limits *limits)
{
    stack_set_size(limits->stack_bytes);
    handle_max = limits->handles;
}

void function_init(struct function *function, const struct host_config *config, const struct function_limits *limits,
                   struct metrics_function *metrics)
{
    *function = (struct function){.name = config->name, .config = *config, .limits = *limits, .metrics = metrics};
    function->allowance_ns = limits->wall_ns < limits->cpu_ns ? limits->wall_ns : limits->cpu_ns;
}

static void generation_free(struct generation *generation)
{
    if (generation->program)
        program_unload(generation->program);
    wasi_link_free(&generation->link);
    mem_free(generation);
}

static void retire(struct generation *generation)
{
    generation->retired = true;
    if (generation->running == 0)
        generation_free(generation);
}

static bool find_handler(struct generation *generation, struct err *err)
{
    const struct image_export *row =
        program_export(generation->program, STR("wasi:http/incoming-handler@0.2*"), STR("handle"));
    generation->handler = row;
    if (row && row->param_count == 2 && row->result_count == 0)
        return true;
    err_set(err, ERR_LINK, "the component does not export wasi:http/incoming-handler@0.2 (handle)");
    return err_remedy(err, "serve a component built for the wasi:http/proxy world");
}

static void tell_frozen(const struct function *function, const struct generation *generation)
{
    log_line(LOG_INFO, function->name,
             "every instance begins behind the start functions: %llu KiB, %u standard streams",
             (unsigned long long)(generation->program->snapshot_count * IMAGE_PAGE / 1024), generation->frozen.count);
}

/* Start functions run once more, and all instances begin behind them, if that can be. */
static bool freeze(const struct function *function, struct generation *generation, struct err *err)
{
    struct program *program = generation->program;
    struct err why = {0};
    if (!function->freezing || !program->start_each_time)
        return true;
    bool done = program_run_once(program, function->freezing, &function->config, function->allowance_ns,
                                 &generation->frozen, &why);
    if (done && slot_limit(program, function->limits.memory_bytes, &why)) {
        tell_frozen(function, generation);
        return true;
    }
    log_line(LOG_WARN, function->name, "no snapshot, start functions run in every instance: %s", why.message);
    if (!done)
        return true;
    program_unfreeze(program);
    generation->frozen.count = 0;
    return slot_limit(program, function->limits.memory_bytes, err);
}

bool function_load(struct function *function, int image_fd, struct err *err)
{
    struct generation *generation = mem_alloc(1, sizeof *generation);
    if (!generation)
        return err_memory(err);
    wasi_link_init(&generation->link);
    generation->asleep.last = &generation->asleep.first;
    generation->program = program_load(image_fd, function->name, wasi_resolve, &generation->link, err);
    if (!generation->program || !find_handler(generation, err) ||
        !slot_limit(generation->program, function->limits.memory_bytes, err) || !freeze(function, generation, err)) {
        generation_free(generation);
        return false;
    }
    function_end(function);
    function->current = generation;
    return true;
}

void function_end(struct function *function)
{
    if (function->current)
        retire(function->current);
    function->current = NULL;
}

struct generation *function_enter(struct function *function)
{
    struct generation *generation = function->current;
    generation->running++;
    counter_set(&function->metrics->running, ++function->running);
    return generation;
}

void function_leave(struct function *function, struct generation *generation)
{
    counter_set(&function->metrics->running, --function->running);
    generation->running--;
    if (generation->retired && generation->running == 0)
        generation_free(generation);
}
