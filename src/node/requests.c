/* A request's life in a worker, from its first slice to its end (see request.h). */
#include "node/request.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "runtime/backtrace.h"
#include "runtime/call.h"
#include "runtime/park.h"
#include "runtime/slice.h"
#include "wasi/http_spin.h"

#include <stdio.h>

#define SHED_BYTES (UINT64_C(16) << 20) /* of a memory: a millisecond's work for the kernel */

static void out_of_time(struct io_timer *timer);

static struct request *take(struct worker *worker)
{
    struct request *request = worker->pool;
    if (request) {
        worker->pool = request->next;
        return request;
    }
    request = mem_alloc(1, sizeof *request);
    if (request) {
        request->worker = worker;
        request->timer.fired = out_of_time;
    }
    return request;
}

struct request *request_new(struct worker *worker, struct function *function, uint64_t dispatched)
{
    bool room = function->running + function->fresh_count < function->deployed->limits.instances;
    struct request *request = room ? take(worker) : NULL;
    if (!request)
        return NULL;
    request->function = function;
    request->generation = NULL;
    request->dispatched = dispatched;
    request->exchange = NULL;
    request->ran = request->begun = request->entered = request->left = request->sent = 0;
    request->gone = request->asleep = request->answered = request->traced = request->too_long = false;
    request->well = request->alone = false;
    request->status = 0;
    request->depth = 0;
    request->wall_ns = function->deployed->limits.wall_ns;
    request->event.kind = EVENT_NONE;
    function_use(function);
    return request;
}

void request_dispatch(struct request *request)
{
    struct function *function = request->function;
    if (function->current && !function->fresh.first && turn_is_now(request->worker, function))
        request_begin(request, request->dispatched);
    else
        turn_wait(request);
}

static void give_request(struct request *request)
{
    if (request->event.kind)
        event_over(request);
    if (request->alone) {
        counter_set(&request->function->metrics->alone, --request->function->alone);
        event_settled(request->worker);
    }
    request->next = request->worker->pool;
    request->worker->pool = request;
}

static void enter(struct request *request)
{
    struct worker *worker = request->worker;
    request->generation = function_enter(request->function);
    request->next = worker->live;
    request->link = &worker->live;
    if (request->next)
        request->next->link = &request->next;
    worker->live = request;
}

static void leave(struct request *request)
{
    function_leave(request->function, request->generation);
    *request->link = request->next;
    if (request->next)
        request->next->link = request->link;
}

/* A command has the request in its variables, and gives its answer by standard output. */
static void call_command(struct request *request, struct store *store)
{
    uint64_t none = 0, result;
    request->entered = ticks_now();
    request->returned = guest_call_ints(store, request->generation->handler.funcref, &none, 0, &result);
    request->left = ticks_now();
}

/* A handler of before WASI 0.2. */
static void call_whole(struct request *request)
{
    request->entered = ticks_now();
    request->returned = http_spin_handle(request->host, &request->generation->whole);
    request->left = ticks_now();
}

/* The task's body: the exported handler with own handles of the request and the response-outparam. */
static void run_handler(struct task *task)
{
    struct request *request = task->arg;
    const struct handler *handler = &request->generation->handler;
    struct store *store = task->slot->store;
    struct handles *handles = (struct handles *)((char *)store + handler->handles_off);
    uint32_t given, outparam;
    uint64_t params[2], result;
    request->returned = false;
    if (request->generation->program->start_each_time && !program_start(task->slot))
        return;
    if (!host_thaw(request->host, &request->generation->frozen))
        return;
    if (request->event.kind) {
        event_call(request);
        return;
    }
    if (request->function->deployed->config.wagi_argv) {
        call_command(request, store);
        return;
    }
    if (request->generation->whole.row) {
        call_whole(request);
        return;
    }
    if (!host_give_request(request->host, handles, &given, &outparam))
        return;
    params[0] = given;
    params[1] = outparam;
    request->entered = ticks_now();
    request->returned = guest_call_ints(store, handler->funcref, params, 2, &result);
    request->left = ticks_now();
}

/* ---- the end ---- */

static void log_trap(const struct request *request, struct incident *incident)
{
    const struct trap_report *report = &request->task.report;
    char line[256], room[TRACE_SCOPE_SIZE];
    const char *name = request_scope(request, room), *colon = report->message[0] ? ": " : "";
    log_line(LOG_ERROR, name, "trap: %s%s%s", trap_text(report->trap), colon, report->message);
    incident_line(incident, "%s%s%s", trap_text(report->trap), colon, report->message);
    for (uint32_t i = 0, alike; i < report->frame_count; i += alike) {
        alike = trap_frames_alike(report, i);
        trap_describe_frame(report, i, line, sizeof line);
        log_line(LOG_ERROR, name, "%s", line);
        incident_line(incident, "%s", line);
        if (alike == 1)
            continue;
        log_line(LOG_ERROR, name, "     ... %u times more", alike - 1);
        incident_line(incident, "     ... %u times more", alike - 1);
    }
}

static void record(struct request *request, uint32_t pages)
{
    struct worker *worker = request->worker;
    uint64_t before = request->entered - request->begun, after = ticks_now() - request->left;
    histogram_add(&worker->starts, before + after);
    histogram_add(&worker->pages, pages);
}

double worker_ns_per_tick(const struct worker *worker)
{
    return (double)(clock_now_ns() - worker->began_ns) / (double)(ticks_now() - worker->began_tsc);
}

/* Its time is over: which of both, the one of which less is left. A timer may be a little early by the other clock. */
static void log_limit(const struct request *request, struct incident *incident)
{
    const struct function_limits *limits = &request->function->deployed->limits;
    bool cpu = request_cpu_left_ns(request) < request_wall_left_ns(request);
    char room[TRACE_SCOPE_SIZE], words[128];
    counter_add(&request->function->metrics->limits[cpu ? METRICS_LIMIT_CPU : METRICS_LIMIT_TIME], 1);
    snprintf(words, sizeof words, "a request may take %.3g s of %s (%s)",
             (double)(cpu ? limits->cpu_ns : request->wall_ns) / NS_PER_S, cpu ? "processor time" : "time",
             cpu ? "--cpu-time" : "--timeout");
    log_line(LOG_ERROR, request_scope(request, room), "ended: %s", words);
    incident_line(incident, "%s", words);
}

/* Why it did not come to its end by itself: it trapped, or its time is over, or both. */
static void report(const struct request *request, bool trapped, bool late)
{
    const struct worker *worker = request->worker;
    struct incidents *incidents = worker->options.incidents;
    struct incident *incident = incident_begin(incidents, late ? INCIDENT_LIMIT : INCIDENT_TRAP,
                                               (uint32_t)(request->function - worker->functions));
    if (late)
        log_limit(request, incident);
    if (trapped)
        log_trap(request, incident);
    incident_end(incidents, incident);
}

/* ---- giving back ---- */

static void go(struct request *request)
{
    leave(request);
    give_request(request);
}

/* Others may have the slot. False: later. A large memory takes milliseconds to give back: that is done in parts,
 * between which others have their turn, and until then the request counts as running. */
static bool give_slot(struct request *request)
{
    struct worker *worker = request->worker;
    struct slot *slot = request->slot;
    if (slot->grown_count && !slot->parked && slot_grown_bytes(slot) > SHED_BYTES) {
        list_add(&worker->leaving, request);
        io_post(worker->loop, &worker->shed);
        return false;
    }
    slot_release(slot);
    return true;
}

static void leave_at_last(struct request *request)
{
    list_leave(request);
    slot_release(request->slot);
    go(request);
}

static void shed(struct io_post *post)
{
    struct worker *worker = IO_OWNER(post, struct worker, shed);
    struct request *request = worker->leaving.first;
    if (!request)
        return;
    struct function *function = request->function;
    uint64_t began = ticks_now();
    if (!slot_shed(request->slot, SHED_BYTES))
        leave_at_last(request);
    turn_charge(worker, function, began);
    turn_settle(worker, function);
    if (worker->leaving.first)
        io_post(worker->loop, post);
}

void requests_open(struct worker *worker)
{
    worker->leaving.last = &worker->leaving.first;
    worker->shed.run = shed;
}

void requests_leave(struct worker *worker)
{
    io_post_cancel(worker->loop, &worker->shed);
    while (worker->leaving.first)
        leave_at_last(worker->leaving.first);
}

/* ---- */

/* A command may end by saying so. */
static bool left_well(const struct request *request)
{
    uint8_t status = 1;
    return request->function->deployed->config.wagi_argv && request->task.report.trap == TRAP_EXIT &&
           host_exited(request->host, &status) && status == 0;
}

void request_finish(struct request *request)
{
    struct worker *worker = request->worker;
    bool trapped = !request->returned && !left_well(request);
    uint32_t pages = request->slot->hot_count;
    enum trap trap = trapped ? request->task.report.trap : TRAP_NONE;
    bool late = trap == TRAP_DEADLINE, ended = request->gone && (late || trap == TRAP_CANCELLED);
    worker->traps += trapped && !ended;
    if (trapped && !ended)
        report(request, true, late);
    answer_count_end(request, trap, ended);
    io_timer_stop(worker->loop, &request->timer);
    enum host_outcome outcome = host_end(request->host, trapped);
    if (outcome != HOST_ANSWERED && request->exchange)
        answer_fail(request, late ? 504 : 500);
    function_note_slot(request->function, request->slot);
    if (!give_slot(request))
        return;
    if (worker->options.stats && !trapped)
        record(request, pages);
    go(request);
}

/* What still waits, or was stopped, and will not go on. Its exchange is gone. */
void request_abandon(struct request *request)
{
    answer_count_end(request, TRAP_NONE, true);
    turn_wake(request);
    io_timer_stop(request->worker->loop, &request->timer);
    list_leave(request);
    if (!request->parked)
        task_abandon(&request->task);
    host_end(request->host, true);
    if (request->parked) {
        parked_drop(request->parked);
        request->parked = NULL;
        go(request);
    } else if (give_slot(request)) {
        go(request);
    }
}

void request_drop(struct request *request)
{
    io_timer_stop(request->worker->loop, &request->timer);
    if (request->list == &request->function->fresh)
        request->function->fresh_count--;
    list_leave(request);
    give_request(request);
}

void request_turn_away(struct request *request, unsigned status)
{
    if (request->exchange)
        answer_fail(request, status);
    request_drop(request);
}

/* ---- the beginning ---- */

static bool take_slot(struct request *request, struct err *err)
{
    struct worker *worker = request->worker;
    struct program *program = request->function->current->program;
    turn_make_room(request->function->current);
    request->slot = slot_acquire(program, err);
    for (uint32_t i = 0; !request->slot && i < worker->deployment->function_count; i++)
        if (worker->functions[i].current)
            slot_drop_free(worker->functions[i].current->program);
    if (!request->slot) /* others may have had what the kernel has too little of */
        request->slot = slot_acquire(program, err);
    return request->slot != NULL;
}

/* An instance and its host's side. */
static bool take_instance(struct request *request, struct err *err)
{
    struct function *function = request->function;
    if (!take_slot(request, err))
        return false;
    request->host = host_begin(request->worker->hosts, &function->deployed->config, request->slot->store, request);
    if (!request->host)
        slot_release(request->slot);
    return request->host || err_memory(err);
}

static void run(struct request *request, uint64_t began)
{
    uint64_t allowance_ns = request->function->allowance_ns;
    slice_enter(request->wall_ns < allowance_ns ? request->wall_ns : allowance_ns);
    if (!task_start(&request->task, request->slot, run_handler, request, request->host, NULL)) {
        request->returned = false;
        request->task.report = (struct trap_report){.trap = TRAP_OUT_OF_MEMORY};
        request->task.state = TASK_DONE;
    }
    slice_leave();
    turn_stopped(request, began);
}

void request_begin(struct request *request, uint64_t began)
{
    struct worker *worker = request->worker;
    struct err err = {0};
    if (!take_instance(request, &err)) {
        function_failed(worker, request->function, "no instance", &err);
        counter_add(&request->function->metrics->limits[METRICS_LIMIT_INSTANCES], 1);
        request_turn_away(request, 503);
        return;
    }
    worker->requests++;
    request->begun = began;
    enter(request);
    if (request->exchange)
        host_take_request(request->host, http_request(request->exchange), &request_face, request);
    run(request, began);
    if (!worker->cooling.armed)
        programs_warm(worker);
}

/* ---- what happens to it ---- */

static void forget_fresh(struct request *request)
{
    struct function *function = request->function;
    request_drop(request);
    turn_settle(request->worker, function);
}

/* A preempted guest may be in the middle of reading what goes with the exchange: it does not go on, nor does one that
 * was put aside. */
void request_gone(struct request *request)
{
    struct worker *worker = request->worker;
    struct function *function = request->function;
    answer_lost(request);
    request->exchange = NULL;
    if (!request->generation) {
        forget_fresh(request);
        return;
    }
    if (request->task.state == TASK_PREEMPTED || request->parked) {
        host_gone_aside(request->host);
        request_abandon(request);
        turn_settle(worker, function);
        return;
    }
    request->gone = true;
    host_gone(request->host);
}

/* It waits: it is woken to end, or ends where it was put aside, or has not begun. */

static void out_of_time(struct io_timer *timer)
{
    struct request *request = IO_OWNER(timer, struct request, timer);
    struct worker *worker = request->worker;
    struct function *function = request->function;
    bool woken = request->list == &worker->blocked;
    if (request->generation && turn_bring_back(request)) {
        host_interrupt(request->host, TRAP_DEADLINE);
        if (woken) /* it waited for its slot only */
            turn_run(request);
        return;
    }
    report(request, false, true);
    if (!request->generation) {
        request_turn_away(request, 504);
    } else {
        if (request->exchange)
            answer_fail(request, 504);
        host_gone_aside(request->host);
        request_abandon(request);
    }
    turn_settle(worker, function);
}

/* ---- those that are not in use ---- */

bool requests_free(struct worker *worker, uint32_t kept)
{
    struct request **at = &worker->pool;
    bool any = false;
    for (uint32_t i = 0; *at && i < kept; i++)
        at = &(*at)->next;
    while (*at) {
        struct request *request = *at;
        *at = request->next;
        mem_free(request);
        any = true;
    }
    return any;
}
