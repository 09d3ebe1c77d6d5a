/* See function.h. */
#include "node/function.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "component/handles.h"
#include "runtime/slice.h"
#include "runtime/stack.h"
#include "wasi/http_spin.h"

const struct function_limits function_limits_default = {
    .wall_ns = 60 * NS_PER_S,
    .cpu_ns = 10 * NS_PER_S,
    .memory_bytes = UINT64_C(1) << 30,
    .body_bytes = UINT64_C(1) << 40,
    .stack_bytes = STACK_SIZE,
    .handles = HANDLE_CAPACITY - 1,
    .instances = 1000,
};

#define TYPES_BYTES ((size_t)65536)

/* A generation in the making: its start functions are tried, and then perhaps frozen. */
struct loading {
    struct generation *generation;
    uint64_t ran_ns; /* of the time that start functions may take */
    bool freezes;    /* the second of both is under way */
    struct program_trial trial;
    struct freezing freezing;
};

void function_limit_process(const struct function_limits *limits)
{
    stack_set_size(limits->stack_bytes);
    handle_max = limits->handles;
}

static void list_init(struct request_list *list)
{
    list->first = NULL;
    list->last = &list->first;
}

void function_init(struct function *function, const struct deployed *deployed)
{
    const struct function_limits *limits = &deployed->limits;
    *function = (struct function){.deployed = deployed, .image_fd = -1};
    function->allowance_ns = limits->wall_ns < limits->cpu_ns ? limits->wall_ns : limits->cpu_ns;
    list_init(&function->fresh);
    list_init(&function->ready);
}

void function_count_in(struct function *function, struct metrics_worker *block, uint32_t function_count, uint32_t index)
{
    function->metrics = &block->functions[index];
    function->used = metrics_used(block, function_count) + index;
}

/* ---- generations ---- */

static void generation_free(struct generation *generation)
{
    if (generation->program)
        program_unload(generation->program);
    wasi_link_free(&generation->link);
    arena_free(&generation->types);
    mem_free(generation);
}

static void retire(struct generation *generation)
{
    generation->retired = true;
    if (generation->running == 0)
        generation_free(generation);
}

/* Of the executor wagi: a component, or a core module of WASI 0.1. */
static bool find_command(struct generation *generation, struct err *err)
{
    bool component = generation->program->image.header->component;
    const struct image_export *row = component
                                         ? program_export(generation->program, STR("wasi:cli/run@0.2*"), STR("run"))
                                         : program_export(generation->program, STR(""), STR("_start"));
    if (row && row->param_count == 0 && row->result_count == component) {
        generation->handler = (struct handler){row->funcref, component ? row->canon.handles_off : 0};
        program_expect(generation->program, row);
        return true;
    }
    row = component ? program_export(generation->program, STR(""), STR("_start")) : NULL; /* of a module made one */
    if (row && row->param_count == 0 && row->result_count == 0) {
        generation->handler = (struct handler){row->funcref, row->canon.handles_off};
        program_expect(generation->program, row);
        return true;
    }
    if (!component) {
        err_set(err, ERR_LINK,
                "the module exports no function _start without parameters and results, which the "
                "executor wagi calls");
        return err_remedy(err, "build it as a command of WASI 0.1");
    }
    err_set(err, ERR_LINK, "the component does not export wasi:cli/run@0.2 (run), which the executor wagi calls");
    return err_remedy(err, "build it for the wasi:cli/command world, or leave the executor out for one that handles "
                           "requests");
}

/* Of before WASI 0.2; NULL: none is exported. */
static const struct image_export *find_whole(const struct generation *generation)
{
    const struct image_export *row = program_export(generation->program, HTTP_SPIN_INTERFACE, HTTP_SPIN_FUNCTION);
    return row && http_spin_is(image_str(&generation->program->image, row->signature)) ? row : NULL;
}

static bool open_whole(struct generation *generation, const struct image_export *row, struct err *err)
{
    const struct image *image = &generation->program->image;
    generation->handler = (struct handler){row->funcref, row->canon.handles_off};
    program_expect(generation->program, row);
    if (!datum_func_open(image, row, NULL, &generation->types, &generation->whole, err))
        return false;
    return generation->whole.bytes = true;
}

static bool find_handler(struct generation *generation, struct err *err)
{
    const struct image_export *row =
        program_export(generation->program, STR("wasi:http/incoming-handler@0.2*"), STR("handle"));
    if (row && row->param_count == 2 && row->result_count == 0) {
        generation->handler = (struct handler){row->funcref, row->canon.handles_off};
        program_expect(generation->program, row);
        return true;
    }
    if ((row = find_whole(generation)))
        return open_whole(generation, row, err);
    if (!generation->program->image.header->component) {
        err_set(err, ERR_LINK, "a core module that does not say what it is as a component");
        return err_remedy(err, "make a component of it, with wasm-tools component new, or for Rust by building it for "
                               "wasm32-wasip2; a command of WASI 0.1 can be served by the executor wagi");
    }
    err_set(err, ERR_LINK, "the component does not export wasi:http/incoming-handler@0.2 (handle)");
    return err_remedy(err, "serve a component built for the wasi:http/proxy world");
}

/* What events call. Later versions of both have asynchronous functions. */
static const struct event_export {
    unsigned trigger;
    struct str interface, name, signature, later;
    const char *what, *remedy;
} event_exports[EVENT_COUNT] = {
    [EVENT_CRON] = {DEPLOYED_CRON,
                    {"", 0},
                    {"handle-cron-event", 17},
                    {"func(record{timestamp: u64}) -> result<_, variant{other(string)}>", 65},
                    {"", 0},
                    "handle-cron-event as fermyon:spin-cron@2 has it, which the trigger cron calls",
                    "build it for the world spin-cron, as version 0.2 of spin-cron-sdk does"},
    [EVENT_REDIS] = {DEPLOYED_REDIS,
                     {"fermyon:spin/inbound-redis", 26},
                     {"handle-message", 14},
                     {"func(list<u8>) -> result<_, enum{success, error}>", 49},
                     {"spin:redis/inbound-redis@3*", 27},
                     "fermyon:spin/inbound-redis (handle-message), which the trigger redis calls",
                     "build it for the world redis-trigger of Spin"},
};

static bool find_event(struct generation *generation, enum event_kind kind, struct err *err)
{
    const struct event_export *wanted = &event_exports[kind];
    const struct image *image = &generation->program->image;
    const struct image_export *row = program_export(generation->program, wanted->interface, wanted->name);
    struct str signature = row ? image_str(image, row->signature) : STR("");
    if (str_eq(signature, wanted->signature)) {
        if (!generation->handler.funcref)
            generation->handler = (struct handler){row->funcref, row->canon.handles_off};
        program_expect(generation->program, row);
        return datum_func_open(image, row, NULL, &generation->types, &generation->events[kind], err);
    }
    const struct image_export *later =
        wanted->later.len ? program_export(generation->program, wanted->later, wanted->name) : NULL;
    struct str interface = later ? image_str(image, later->interface) : (struct str){NULL, 0};
    if (later || str_starts(signature, STR("async func")))
        err_set(err, ERR_UNSUPPORTED, "%.*s%s%.*s is asynchronous, which mayfly does not have yet", STR_ARG(interface),
                later ? " " : "", STR_ARG(wanted->name));
    else
        err_set(err, ERR_LINK, "the component does not export %s", wanted->what);
    return err_remedy(err, "%s", wanted->remedy);
}

static bool find_entries(struct generation *generation, const struct deployed *deployed, struct err *err)
{
    bool wagi = deployed->config.wagi_argv != NULL;
    if ((deployed->triggers & DEPLOYED_HTTP) && !(wagi ? find_command(generation, err) : find_handler(generation, err)))
        return false;
    for (unsigned kind = EVENT_NONE + 1; kind < EVENT_COUNT; kind++)
        if ((deployed->triggers & event_exports[kind].trigger) && !find_event(generation, (enum event_kind)kind, err))
            return false;
    return true;
}

/* Nothing of it has run. NULL: `err` says why. */
static struct generation *generation_open(const struct deployed *deployed, int image_fd, struct err *err)
{
    struct generation *generation = mem_alloc(1, sizeof *generation);
    if (!generation) {
        err_memory(err);
        return NULL;
    }
    wasi_link_init(&generation->link);
    list_init(&generation->asleep);
    arena_init(&generation->types, TYPES_BYTES);
    generation->program =
        program_open(image_fd, deployed->name, deployed->config.wagi_argv ? wasi_resolve_command : wasi_resolve,
                     &generation->link, err);
    if (generation->program && find_entries(generation, deployed, err)) {
        generation->program->memory_max = deployed->limits.memory_bytes;
        return generation;
    }
    generation_free(generation);
    return NULL;
}

/* ---- loading ---- */

static void loading_free(struct function *function)
{
    mem_free(function->loading);
    function->loading = NULL;
}

static void give_up(struct function *function)
{
    struct loading *loading = function->loading;
    if (!loading)
        return;
    if (loading->freezes)
        freeze_abandon(&loading->freezing);
    else
        program_try_abandon(&loading->trial);
    generation_free(loading->generation);
    loading_free(function);
}

bool function_load_begin(struct function *function, int image_fd, struct err *err)
{
    struct loading *loading = mem_alloc(1, sizeof *loading);
    if (!loading)
        return err_memory(err);
    give_up(function);
    loading->generation = generation_open(function->deployed, image_fd, err);
    if (loading->generation && program_try(loading->generation->program, &loading->trial, err)) {
        function->loading = loading;
        return true;
    }
    if (loading->generation)
        generation_free(loading->generation);
    mem_free(loading);
    return false;
}

static void tell_frozen(const struct function *function, const struct generation *generation)
{
    log_line(LOG_INFO, function->deployed->name,
             "every instance begins behind the start functions: %llu KiB, %u standard streams",
             (unsigned long long)(generation->program->snapshot_count * IMAGE_PAGE / 1024), generation->frozen.count);
}

static void tell_unfrozen(const struct function *function, const struct err *err)
{
    log_line(LOG_WARN, function->deployed->name, "no snapshot, start functions run in every instance: %s",
             err->message);
}

static bool see_slot(const struct function *function, struct program *program, struct err *err)
{
    return slot_limit(program, function->deployed->limits.memory_bytes, err);
}

static enum program_step tried(struct function *function, struct err *err)
{
    struct loading *loading = function->loading;
    struct program *program = loading->generation->program;
    struct err why = {0};
    if (!see_slot(function, program, err))
        return PROGRAM_FAILED;
    if (!function->deployed->snapshot || !function->hosts || !program->start_each_time)
        return PROGRAM_READY;
    loading->freezes = freeze_begin(&loading->freezing, program, function->hosts, &function->deployed->config,
                                    function->allowance_ns, &why);
    if (loading->freezes)
        return PROGRAM_GOES_ON;
    tell_unfrozen(function, &why);
    return PROGRAM_READY;
}

/* Without a snapshot it is served as well. */
static enum program_step frozen(struct function *function, bool done, struct err *why, struct err *err)
{
    struct generation *generation = function->loading->generation;
    function->loading->freezes = false;
    if (done && see_slot(function, generation->program, why)) {
        tell_frozen(function, generation);
        return PROGRAM_READY;
    }
    tell_unfrozen(function, why);
    if (done) {
        program_unfreeze(generation->program);
        generation->frozen.count = 0;
    }
    return see_slot(function, generation->program, err) ? PROGRAM_READY : PROGRAM_FAILED;
}

/* One slice of it. */
static enum program_step run_slice(struct function *function, struct err *err)
{
    struct loading *loading = function->loading;
    uint64_t began_ns = clock_now_ns(), allowed_ns = function->allowance_ns;
    enum program_step step;
    slice_enter(loading->ran_ns < allowed_ns ? allowed_ns - loading->ran_ns : 0);
    if (loading->freezes)
        step = freeze_step(&loading->freezing, &loading->generation->frozen, err);
    else
        step = program_try_step(&loading->trial, err);
    slice_leave();
    loading->ran_ns += clock_now_ns() - began_ns;
    return step;
}

static enum program_step go_on(struct function *function, struct err *err)
{
    struct err why = {0};
    if (function->loading->freezes) {
        enum program_step step = run_slice(function, &why);
        return step == PROGRAM_GOES_ON ? step : frozen(function, step == PROGRAM_READY, &why, err);
    }
    enum program_step step = run_slice(function, err);
    return step == PROGRAM_READY ? tried(function, err) : step;
}

static void replace(struct function *function, struct generation *generation)
{
    function->near_count = 0;
    if (function->current)
        retire(function->current);
    function->current = generation;
    if (!function->metrics)
        return;
    function_use(function);
    counter_set(&function->metrics->generation, function->image_generation);
}

enum program_step function_load_step(struct function *function, struct err *err)
{
    struct generation *generation = function->loading->generation;
    enum program_step step = go_on(function, err);
    if (step == PROGRAM_GOES_ON)
        return step;
    if (step == PROGRAM_READY)
        replace(function, generation);
    else
        generation_free(generation);
    loading_free(function);
    return step;
}

bool function_load(struct function *function, int image_fd, struct err *err)
{
    enum program_step step = PROGRAM_GOES_ON;
    if (!function_load_begin(function, image_fd, err))
        return false;
    while (step == PROGRAM_GOES_ON)
        step = function_load_step(function, err);
    return step == PROGRAM_READY;
}

bool function_check(const struct deployed *deployed, int image_fd, struct err *err)
{
    struct generation *generation = generation_open(deployed, image_fd, err);
    if (generation)
        generation_free(generation);
    return generation != NULL;
}

void function_end(struct function *function)
{
    give_up(function);
    if (function->current)
        retire(function->current);
    function->current = NULL;
}

/* ---- requests ---- */

static void note(struct function *function, const void *place)
{
    if (function->near_count < FUNCTION_NEAR_MAX)
        function->near[function->near_count++] = place;
}

void function_note_slot(struct function *function, const struct slot *slot)
{
    const struct generation *generation = function->current;
    if (slot == function->near_slot || !generation || slot->program != generation->program)
        return;
    function->near_slot = slot;
    function->near_count = 0;
    note(function, generation);
    note(function, &generation->program->free_slots);
    note(function, slot);
    note(function, slot->hot);
    note(function, function->metrics);
    note(function, &function->metrics->starts);
    note(function, (const char *)slot->store + FUNCREF_CONTEXT(generation->handler.funcref));
    note(function, slot->store);
    note(function, generation->program->image.base + FUNCREF_CODE(generation->handler.funcref));
    for (uint32_t i = 0; i < slot->hot_count && i < 4; i++) {
        note(function, slot->hot[i].page);
        note(function, slot->hot[i].source ? slot->hot[i].source : slot->hot[i].page + 2048);
    }
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
