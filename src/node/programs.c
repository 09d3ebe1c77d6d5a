/* Programs of a worker's functions: loaded when they are asked for, replaced between two requests, unloaded when they
 * are cold (see request.h). */
#include "node/request.h"

#include "base/log.h"
#include "runtime/stack.h"

#include <malloc.h>
#include <unistd.h>

#define COOLING_US UINT64_C(10000000) /* what was not used for so long to twice as long is given back */
#define REQUESTS_KEPT 64u
#define STACKS_KEPT 16u
#define PROGRAMS_KEPT 256u /* beyond, those that have no slots any more are unloaded */
#define RETRY_US UINT64_C(1000000) /* after a program could not be loaded, until that is tried again */

/* ---- loading ---- */

static bool tell_loaded(struct worker *worker, const struct function *function, struct err *err)
{
    struct program *program = function->current->program;
    program->sample_number = function->image_number;
    return !worker->options.loaded || worker->options.loaded(worker->options.arg, program, err);
}

static void tell_replaced(const struct worker *worker, const struct function *function, const struct err *err)
{
    if (worker->options.replaced)
        worker->options.replaced(worker->options.arg, function, err);
}

void function_failed(const struct worker *worker, const struct function *function, const char *what,
                     const struct err *err)
{
    struct incidents *incidents = worker->options.incidents;
    struct incident *incident = incident_begin(incidents, INCIDENT_FAILED, (uint32_t)(function - worker->functions));
    const char *semicolon = err->remedy[0] ? "; " : "";
    log_line(LOG_ERROR, function->deployed->name, "%s: %s%s%s", what, err->message, semicolon, err->remedy);
    incident_line(incident, "%s: %s%s%s", what, err->message, semicolon, err->remedy);
    incident_end(incidents, incident);
}

/* Those that wait for it go nowhere. A reload that fails leaves what there was. */
static void not_loaded(struct worker *worker, struct function *function, const struct err *err)
{
    if (function->current) {
        tell_replaced(worker, function, err);
        return;
    }
    function_failed(worker, function, "not loaded", err);
    function->failed_us = io_now_us(worker->loop);
    while (function->fresh.first)
        request_turn_away(function->fresh.first, 500);
}

static bool begin_load(struct worker *worker, struct function *function, struct err *err)
{
    if (function_load_begin(function, function->image_fd, err))
        return true;
    not_loaded(worker, function, err);
    return false;
}

void worker_load_step(struct worker *worker, struct function *function)
{
    uint64_t began = ticks_now();
    struct err err = {0};
    bool first = !function->current;
    if (!function->loading && !begin_load(worker, function, &err))
        return;
    enum program_step step = function_load_step(function, &err);
    turn_charge(worker, function, began);
    if (step == PROGRAM_READY && !tell_loaded(worker, function, &err))
        log_line(LOG_ERROR, function->deployed->name, "%s", err.message);
    if (step == PROGRAM_FAILED)
        not_loaded(worker, function, &err);
    worker->loaded += step == PROGRAM_READY && first;
    if (step == PROGRAM_READY && !first)
        tell_replaced(worker, function, NULL);
}

/* Samples are taken while there is an image that somebody wants them of. */
static void count_sampled(struct worker *worker, uint32_t before, uint32_t now)
{
    struct err err = {0};
    worker->sampled += (now != 0) - (before != 0);
    if (!worker->options.samples)
        return;
    if (worker->sampled == 0)
        sample_close();
    else if (!sample_open(worker->options.samples, &err))
        log_line(LOG_WARN, NULL, "no samples: %s", err.message);
}

void worker_serve(struct worker *worker, uint32_t index, const struct worker_image *image)
{
    struct function *function = &worker->functions[index];
    struct err err = {0};
    if (function->image_fd >= 0)
        close(function->image_fd);
    function->image_fd = image->fd;
    function->image_generation = image->generation;
    function->failed_us = 0;
    count_sampled(worker, function->image_number, image->number);
    function->image_number = image->number;
    if (!function->current && !function->loading)
        tell_replaced(worker, function, NULL);
    else if (begin_load(worker, function, &err))
        turn_settle(worker, function);
}

bool worker_load(struct worker *worker, uint32_t index, struct err *err)
{
    struct function *function = &worker->functions[index];
    bool done = function_load(function, function->image_fd, err);
    worker->loaded += done;
    return done && tell_loaded(worker, function, err);
}

bool program_failed_just_now(const struct worker *worker, struct function *function)
{
    if (function->failed_us && io_now_us(worker->loop) - function->failed_us < RETRY_US)
        return true;
    function->failed_us = 0;
    return false;
}

/* ---- getting cold ---- */

uint32_t programs_slots(const struct worker *worker)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < worker->deployment->function_count; i++)
        if (worker->functions[i].current)
            count += worker->functions[i].current->program->slot_count;
    return count;
}

/* Whether the function has something that may be given back later. */
static bool cool_function(struct worker *worker, struct function *function)
{
    if (!function->current)
        return false;
    bool warm = slot_trim(function->current->program) || function->running;
    bool idle = !function->running && !function->loading && !function->fresh.first;
    if (worker->loaded > PROGRAMS_KEPT && idle && function->current->program->slot_count == 0) {
        function_end(function);
        worker->loaded--;
    }
    return warm;
}

/* What many requests at once left is the system's again, and of a function that nobody asks for nothing stays. */
static void cool(struct io_timer *timer)
{
    struct worker *worker = IO_OWNER(timer, struct worker, cooling);
    uint32_t had = programs_slots(worker);
    bool warm = false;
    for (uint32_t i = 0; i < worker->deployment->function_count; i++)
        warm |= cool_function(worker, &worker->functions[i]);
    if (requests_free(worker, REQUESTS_KEPT) || programs_slots(worker) < had)
        malloc_trim(0);
    stack_trim(STACKS_KEPT);
    if (warm)
        io_timer_set(worker->loop, timer, io_now_us(worker->loop) + COOLING_US);
}

void programs_warm(struct worker *worker)
{
    worker->cooling.fired = cool;
    if (!worker->cooling.armed)
        io_timer_set(worker->loop, &worker->cooling, io_now_us(worker->loop) + COOLING_US);
}
