/* See worker.h. The hot path is `serve`: everything it touches is resident and pooled. */
#include "node/worker.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "http/client.h"
#include "io/ticks.h"
#include "node/access.h"
#include "runtime/backtrace.h"
#include "runtime/call.h"
#include "runtime/park.h"
#include "runtime/slice.h"
#include "wasi/grants.h"
#include "wasi/trace.h"

#include <malloc.h>

/* Slots of one program from which on a request that begins has one that waits put aside (runtime/park.h), and how many
 * of those that wait longest are looked at for it. */
#define RESIDENT_SLOTS 128u
#define LOOK_AT 8u

#define COOLING_US UINT64_C(10000000) /* what was not used for so long to twice as long is given back */
#define REQUESTS_KEPT 64u

/* A request on its way: an instance, its task, its host objects. */
struct request {
    struct task task;
    struct worker *worker;
    struct function *function;
    struct generation *generation; /* of the function */
    struct slot *slot;
    struct host *host;
    struct http_exchange *exchange; /* NULL once answered or gone */
    struct request *next, **link;  /* in the pool; among those that run, with `link` */
    struct request *later;         /* among the preempted ones, while `queued` */
    struct request *after, **before; /* in a list of those that are asleep, or of the blocked ones; or NULL */
    struct request_list *list;
    struct parked *parked;         /* the instance, while it is put aside */
    struct io_timer timer;         /* of its end, once it waited */
    bool returned, gone, queued;
    uint64_t ran;                  /* time stamp counter: so long it ran, as far as its task has stopped */
    uint64_t dispatched, entered, left; /* time stamp counter; 0: not yet */
    bool answered;      /* and counted */
    unsigned status;    /* of an answer that was begun; 0: there is none */
    uint64_t sent;      /* bytes of its body */
    char trace[TRACE_ID_SIZE]; /* once it is gone: the trace that it belonged to, if `traced` */
    bool traced, too_long; /* its body was */
};

struct worker {
    struct io_loop *loop;
    struct http_server *server;
    struct function *function;
    struct host_pool *hosts;
    struct http_client *client;
    struct access_log *access; /* or NULL */
    struct metrics_worker *metrics;
    uint64_t tick_factor;
    struct request *pool, *live;
    struct request *first_preempted, **last_preempted;
    struct io_post turn; /* of the first preempted one */
    struct request_list blocked; /* they would go on, but for others in their slots */
    struct io_post unblock;
    struct io_timer cooling; /* while there is memory that was used and may not be again */
    bool stats;
    uint64_t requests, traps;
    uint64_t began_tsc, began_ns;
    struct histogram starts, pages;
};

static void out_of_time(struct io_timer *timer);

static void list_add(struct request_list *list, struct request *request)
{
    request->list = list;
    request->after = NULL;
    request->before = list->last;
    *list->last = request;
    list->last = &request->after;
}

static void list_leave(struct request *request)
{
    if (!request->list)
        return;
    *request->before = request->after;
    if (request->after)
        request->after->before = request->before;
    else
        request->list->last = request->before;
    request->list = NULL;
}

static struct request *take_request(struct worker *worker)
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

static void begin_request(struct request *request)
{
    struct worker *worker = request->worker;
    request->generation = function_enter(request->function);
    request->next = worker->live;
    request->link = &worker->live;
    if (request->next)
        request->next->link = &request->next;
    worker->live = request;
}

static void end_request(struct request *request)
{
    function_leave(request->function, request->generation);
    *request->link = request->next;
    if (request->next)
        request->next->link = request->link;
}

static void give_request(struct request *request)
{
    request->next = request->worker->pool;
    request->worker->pool = request;
}

/* The task's body: the exported handler with own handles of the request and the response-outparam. */
static void run_handler(struct task *task)
{
    struct request *request = task->arg;
    const struct image_export *handler = request->generation->handler;
    struct store *store = task->slot->store;
    struct handles *handles = (struct handles *)((char *)store + handler->canon.handles_off);
    uint32_t given, outparam;
    uint64_t params[2], result;
    request->returned = false;
    if (request->generation->program->start_each_time && !program_start(task->slot))
        return;
    if (!host_thaw(request->host, &request->generation->frozen))
        return;
    if (!host_give_request(request->host, handles, &given, &outparam))
        return;
    params[0] = given;
    params[1] = outparam;
    request->entered = ticks_now();
    request->returned = guest_call_ints(store, handler->funcref, params, 2, &result);
    request->left = ticks_now();
}

/* The function, and the trace that the request belongs to. */
static const char *scope_of(const struct request *request, char room[TRACE_SCOPE_SIZE])
{
    struct str id = {request->traced ? request->trace : NULL, TRACE_ID_SIZE};
    if (request->exchange && !request->answered)
        id = trace_id(http_request(request->exchange));
    return trace_scope(request->function->name, id, room);
}

static void log_trap(const struct request *request)
{
    const struct trap_report *report = &request->task.report;
    char line[256], room[TRACE_SCOPE_SIZE];
    const char *name = scope_of(request, room);
    log_line(LOG_ERROR, name, "trap: %s%s%s", trap_text(report->trap), report->message[0] ? ": " : "", report->message);
    for (uint32_t i = 0, alike; i < report->frame_count; i += alike) {
        alike = trap_frames_alike(report, i);
        trap_describe_frame(report, i, line, sizeof line);
        log_line(LOG_ERROR, name, "%s", line);
        if (alike > 1)
            log_line(LOG_ERROR, name, "     ... %u times more", alike - 1);
    }
}

static void record(struct request *request, uint32_t pages)
{
    struct worker *worker = request->worker;
    uint64_t before = request->entered - request->dispatched, after = ticks_now() - request->left;
    histogram_add(&worker->starts, before + after);
    histogram_add(&worker->pages, pages);
}

/* ---- time ---- */

static double ns_per_tick(const struct worker *worker)
{
    return (double)(clock_now_ns() - worker->began_ns) / (double)(ticks_now() - worker->began_tsc);
}

static uint64_t less(uint64_t whole, uint64_t part)
{
    return whole > part ? whole - part : 0;
}

/* What is left of a limit on the time since dispatch, and on that which it ran. */
static uint64_t wall_left_ns(const struct request *request)
{
    double past = (double)(ticks_now() - request->dispatched) * ns_per_tick(request->worker);
    return less(request->function->limits.wall_ns, (uint64_t)past);
}

static uint64_t cpu_left_ns(const struct request *request)
{
    return less(request->function->limits.cpu_ns, (uint64_t)((double)request->ran * ns_per_tick(request->worker)));
}

/* Its time is over: which of both, the one of which less is left. A timer may be a little early by the other clock. */
static void report_limit(const struct request *request)
{
    const struct function_limits *limits = &request->function->limits;
    bool cpu = cpu_left_ns(request) < wall_left_ns(request);
    char room[TRACE_SCOPE_SIZE];
    counter_add(&request->function->metrics->limits[cpu ? METRICS_LIMIT_CPU : METRICS_LIMIT_TIME], 1);
    log_line(LOG_ERROR, scope_of(request, room), "ended: a request may take %.3g s of %s (%s)",
             (double)(cpu ? limits->cpu_ns : limits->wall_ns) / NS_PER_S, cpu ? "processor time" : "time",
             cpu ? "--cpu-time" : "--timeout");
}

/* ---- the answer, counted ----
 *
 * A guest answers by way of this file, which then knows what became of it, whichever way it ends. Where nothing can go
 * wrong any more it is counted before it is sent, so that who has the answer finds it counted. */

static uint64_t ns_of(const struct worker *worker, uint64_t ticks)
{
    return metrics_ns(ticks, worker->tick_factor);
}

/* When the guest returned, or now. */
static uint64_t end_ticks(const struct request *request)
{
    return request->left ? request->left : ticks_now();
}

static void stage_line(struct request *request, unsigned status, bool whole)
{
    const struct http_request *from = http_request(request->exchange);
    const struct access_entry entry = {
        .function = str_of(request->function->name),
        .method = from->method,
        .target = from->target,
        .trace = trace_id(from),
        .status = status,
        .whole = whole,
        .bytes = request->sent,
        .ns = ns_of(request->worker, end_ticks(request) - request->dispatched),
    };
    access_stage(request->worker->access, &entry);
}

/* Before the exchange may be gone: what is told of it afterwards. */
static void stage_answer(struct request *request, unsigned status, bool whole)
{
    if (request->worker->access)
        stage_line(request, status, whole);
    request->too_long = http_request(request->exchange)->fault == HTTP_BODY_TOO_LONG;
}

static void count_answer(struct request *request, unsigned status, bool whole)
{
    struct metrics_function *metrics = request->function->metrics;
    request->answered = true;
    counter_add(&metrics->answers[status < 600 ? status / 100 : 5], 1);
    counter_add(&metrics->bytes_out, request->sent);
    if (!whole)
        counter_add(&metrics->broken, 1);
    if (request->too_long)
        counter_add(&metrics->limits[METRICS_LIMIT_BODY], 1);
    histogram_add(&metrics->latency, ns_of(request->worker, end_ticks(request) - request->dispatched));
    if (request->worker->access)
        access_commit(request->worker->access);
}

static void face_want(void *x)
{
    http_want(((struct request *)x)->exchange);
}

static void face_take(void *x, size_t size)
{
    struct request *request = x;
    counter_add(&request->function->metrics->bytes_in, size);
    http_take(request->exchange, size);
}

static bool face_respond(void *x, unsigned status, const struct http_field *fields, size_t count, struct str body)
{
    struct request *request = x;
    request->sent = body.len;
    stage_answer(request, status, true);
    bool done = http_respond(request->exchange, status, fields, count, body);
    if (done)
        count_answer(request, status, true);
    return done;
}

static bool face_start(void *x, unsigned status, const struct http_field *fields, size_t count)
{
    struct request *request = x;
    bool done = http_start(request->exchange, status, fields, count);
    if (done)
        request->status = status;
    return done;
}

static bool face_write(void *x, struct str bytes)
{
    struct request *request = x;
    bool done = http_write(request->exchange, bytes);
    if (done)
        request->sent += bytes.len;
    return done;
}

static size_t face_room(void *x)
{
    return http_room(((struct request *)x)->exchange);
}

static bool face_finish(void *x, const struct http_field *trailers, size_t count)
{
    struct request *request = x;
    stage_answer(request, request->status, true);
    count_answer(request, request->status, true);
    bool whole = http_finish(request->exchange, trailers, count);
    if (!whole)
        counter_add(&request->function->metrics->broken, 1);
    return whole;
}

static const struct http_face request_face = {face_want,  face_take, face_respond, face_start,
                                              face_write, face_room, face_finish};

/* The guest gave no answer, or not to its end. */
static void fail(struct request *request, unsigned status)
{
    bool begun = request->status != 0;
    stage_answer(request, begun ? request->status : status, !begun);
    count_answer(request, begun ? request->status : status, !begun);
    http_fail(request->exchange, status);
}

/* ---- the end ---- */

/* What the request took, when its task is over. */
static void count_end(const struct request *request, enum trap trap, bool ended)
{
    const struct worker *worker = request->worker;
    struct metrics_function *metrics = request->function->metrics;
    bool memory = trap == TRAP_OUT_OF_MEMORY || (!request->parked && request->slot->account->refused);
    counter_add(&metrics->cpu_ns, ns_of(worker, request->ran));
    if (request->entered)
        histogram_add(&metrics->starts, ns_of(worker, request->entered - request->dispatched));
    if (trap && trap != TRAP_DEADLINE && !ended)
        counter_add(&metrics->traps, 1);
    if (memory)
        counter_add(&metrics->limits[METRICS_LIMIT_MEMORY], 1);
}

/* The task is over: complete the response, restore the slot. */
static void finish(struct request *request)
{
    struct worker *worker = request->worker;
    bool trapped = !request->returned;
    uint32_t pages = request->slot->hot_count;
    enum trap trap = trapped ? request->task.report.trap : TRAP_NONE;
    bool late = trap == TRAP_DEADLINE, ended = request->gone && (late || trap == TRAP_CANCELLED);
    worker->traps += trapped && !ended;
    if (trapped && !ended)
        log_trap(request);
    if (late && !ended)
        report_limit(request);
    count_end(request, trap, ended);
    io_timer_stop(worker->loop, &request->timer);
    enum host_outcome outcome = host_end(request->host, trapped);
    if (outcome != HOST_ANSWERED && request->exchange)
        fail(request, late ? 504 : 500);
    slot_release(request->slot);
    end_request(request);
    if (worker->stats && !trapped)
        record(request, pages);
    give_request(request);
}

/* ---- turns ---- */

static void queue(struct request *request)
{
    struct worker *worker = request->worker;
    request->later = NULL;
    request->queued = true;
    if (!worker->first_preempted)
        worker->last_preempted = &worker->first_preempted;
    *worker->last_preempted = request;
    worker->last_preempted = &request->later;
    io_post(worker->loop, &worker->turn);
}

static void fall_asleep(struct request *request)
{
    struct io_loop *loop = request->worker->loop;
    list_add(&request->generation->asleep, request);
    if (!request->timer.armed)
        io_timer_set(loop, &request->timer, io_now_us(loop) + wall_left_ns(request) / 1000);
}

/* Its task ran, since `began`, and stopped. */
static void after_run(struct request *request, uint64_t began)
{
    struct worker *worker = request->worker;
    enum task_state state = request->task.state;
    request->ran += end_ticks(request) - began;
    if (state == TASK_DONE)
        finish(request);
    else if (state == TASK_PREEMPTED)
        queue(request);
    else
        fall_asleep(request);
    if (worker->blocked.first)
        io_post(worker->loop, &worker->unblock);
}

/* ---- parking ---- */

static bool put_aside(struct request *request)
{
    request->parked = slot_park(request->slot);
    if (request->parked && request->list == &request->generation->asleep)
        list_leave(request);
    return request->parked != NULL;
}

/* So that a request of the function can begin: one that has waited long gives up its slot. */
static void make_room(struct generation *generation)
{
    struct request *request = generation->asleep.first;
    if (generation->program->free_slots || generation->program->slot_count < RESIDENT_SLOTS)
        return;
    for (uint32_t i = 0; request && i < LOOK_AT; i++, request = request->after)
        if (slot_can_park(request->slot) && slot_grown_bytes(request->slot) <= PARK_GROWN_CHEAP && put_aside(request))
            return;
}

/* Into its slot again, whoever is there. False: not now. */
static bool bring_back(struct request *request)
{
    struct slot *slot = request->slot;
    if (!request->parked)
        return true;
    if (slot->tasks && !(slot_can_park(slot) && put_aside(slot->tasks->arg)))
        return false;
    if (!slot_unpark(request->parked))
        return false;
    request->parked = NULL;
    return true;
}

static void run_on(struct request *request)
{
    list_leave(request);
    if (!bring_back(request)) {
        list_add(&request->worker->blocked, request);
        return;
    }
    uint64_t wall_ns = wall_left_ns(request), cpu_ns = cpu_left_ns(request), began = ticks_now();
    slice_enter(request->gone ? 0 : wall_ns < cpu_ns ? wall_ns : cpu_ns);
    task_resume(&request->task);
    slice_leave();
    after_run(request, began);
}

static void suspend(struct host *host)
{
    (void)host;
    task_suspend();
}

static void resume(struct host *host)
{
    run_on(host_user(host));
}

static void take_turn(struct io_post *post)
{
    struct worker *worker = IO_OWNER(post, struct worker, turn);
    struct request *request = worker->first_preempted;
    if (!request)
        return;
    worker->first_preempted = request->later;
    request->queued = false;
    run_on(request);
    if (worker->first_preempted)
        io_post(worker->loop, &worker->turn);
}

/* Somebody has left a slot, perhaps theirs. Each is tried once. */
static void try_blocked(struct io_post *post)
{
    struct worker *worker = IO_OWNER(post, struct worker, unblock);
    struct request_list tried = {.last = &tried.first};
    while (worker->blocked.first) {
        struct request *request = worker->blocked.first;
        list_leave(request);
        list_add(&tried, request);
    }
    while (tried.first)
        run_on(tried.first);
}

/* An answer without an instance. */
static void tell_refusal(struct worker *worker, const struct http_exchange *x, unsigned status)
{
    const struct http_request *from = http_request(x);
    const struct access_entry entry = {
        .function = str_of(worker->function->name),
        .method = from->method,
        .target = from->target,
        .trace = from->fields ? trace_id(from) : (struct str){NULL, 0},
        .status = status,
        .whole = true,
    };
    if (!worker->access)
        return;
    access_stage(worker->access, &entry);
    access_commit(worker->access);
}

static bool refuse(struct worker *worker, struct http_exchange *x, const struct err *err)
{
    const struct function *function = worker->function;
    if (err->kind)
        log_line(LOG_ERROR, function->name, "no instance: %s", err->message);
    counter_add(&function->metrics->limits[METRICS_LIMIT_INSTANCES], 1);
    counter_add(&function->metrics->answers[5], 1);
    tell_refusal(worker, x, 503);
    http_fail(x, 503);
    return true;
}

/* The server gave it. */
static void refused(void *arg, const struct http_exchange *x, unsigned status)
{
    struct worker *worker = arg;
    counter_add(&worker->metrics->refusals[metrics_refusal_of(status)], 1);
    if (status == 413)
        counter_add(&worker->function->metrics->limits[METRICS_LIMIT_BODY], 1);
    tell_refusal(worker, x, status);
}

/* An instance and its host's side. */
static bool take_instance(struct request *request, struct err *err)
{
    struct function *function = request->function;
    make_room(function->current);
    request->slot = slot_acquire(function->current->program, err);
    if (!request->slot)
        return false;
    request->host = host_begin(request->worker->hosts, &function->config, request->slot->store, request);
    if (!request->host)
        slot_release(request->slot);
    return request->host || err_memory(err);
}

static void run_request(struct request *request, uint64_t allowance_ns)
{
    slice_enter(allowance_ns);
    if (!task_start(&request->task, request->slot, run_handler, request, request->host, NULL)) {
        request->returned = false;
        request->task.report = (struct trap_report){.trap = TRAP_OUT_OF_MEMORY};
        request->task.state = TASK_DONE;
    }
    slice_leave();
    after_run(request, request->dispatched);
}

static bool serve(void *arg, struct http_exchange *x)
{
    struct worker *worker = arg;
    struct function *function = worker->function;
    struct err err = {0};
    uint64_t dispatched = ticks_now();
    struct request *request = function->running < function->limits.instances ? take_request(worker) : NULL;
    if (!request)
        return refuse(worker, x, &err);
    request->function = function;
    request->dispatched = dispatched;
    request->exchange = x;
    request->ran = request->entered = request->left = request->sent = 0;
    request->gone = request->answered = request->traced = false;
    request->status = 0;
    if (!take_instance(request, &err)) {
        give_request(request);
        return refuse(worker, x, &err);
    }
    x->user = request;
    worker->requests++;
    begin_request(request);
    host_take_request(request->host, http_request(x), &request_face, request);
    run_request(request, function->allowance_ns);
    if (!worker->cooling.armed)
        io_timer_set(worker->loop, &worker->cooling, io_now_us(worker->loop) + COOLING_US);
    return true;
}

/* What many requests at once left is the system's again, and of a function that nobody asks for nothing stays. */
static void cool(struct io_timer *timer)
{
    struct worker *worker = IO_OWNER(timer, struct worker, cooling);
    struct request **at = &worker->pool;
    struct program *program = worker->function->current->program;
    uint32_t had = program->slot_count, slots = slot_trim(program);
    bool gave = program->slot_count < had;
    for (uint32_t i = 0; *at && i < REQUESTS_KEPT; i++)
        at = &(*at)->next;
    while (*at) {
        struct request *request = *at;
        *at = request->next;
        mem_free(request);
        gave = true;
    }
    if (gave)
        malloc_trim(0);
    if (slots || worker->function->running)
        io_timer_set(worker->loop, timer, io_now_us(worker->loop) + COOLING_US);
}

static void ready(void *arg, struct http_exchange *x)
{
    struct request *request = x->user;
    (void)arg;
    host_ready(request->host);
}

/* What still waits, or was stopped, and will not go on. Its exchange is gone. */
static void abandon(struct request *request)
{
    count_end(request, TRAP_NONE, true);
    io_timer_stop(request->worker->loop, &request->timer);
    list_leave(request);
    if (!request->parked)
        task_abandon(&request->task);
    host_end(request->host, true);
    if (request->parked)
        parked_drop(request->parked);
    else
        slot_release(request->slot);
    request->parked = NULL;
    end_request(request);
    give_request(request);
}

/* It waits: it is woken to end, or ends where it was put aside. */
static void out_of_time(struct io_timer *timer)
{
    struct request *request = IO_OWNER(timer, struct request, timer);
    bool woken = request->list == &request->worker->blocked;
    if (bring_back(request)) {
        host_interrupt(request->host, TRAP_DEADLINE);
        if (woken) /* it waited for its slot only */
            run_on(request);
        return;
    }
    report_limit(request);
    if (request->exchange)
        fail(request, 504);
    host_gone_aside(request->host);
    abandon(request);
}

static void leave_queue(struct request *request)
{
    struct worker *worker = request->worker;
    struct request **at = &worker->first_preempted;
    while (*at != request)
        at = &(*at)->later;
    *at = request->later;
    request->queued = false;
    if (!*at)
        worker->last_preempted = at;
}

/* For what the log says of it later. */
static void keep_trace(struct request *request)
{
    struct str id = trace_id(http_request(request->exchange));
    request->traced = id.ptr != NULL;
    if (id.ptr)
        memcpy(request->trace, id.ptr, TRACE_ID_SIZE);
}

/* A preempted guest may be in the middle of reading what goes with the exchange: it does not go on, nor does one that
 * was put aside. */
static void gone(void *arg, struct http_exchange *x)
{
    struct request *request = x->user;
    (void)arg;
    keep_trace(request);
    stage_answer(request, request->status, false);
    count_answer(request, request->status, false);
    request->exchange = NULL;
    if (request->task.state == TASK_PREEMPTED || request->parked) {
        if (request->queued)
            leave_queue(request);
        host_gone_aside(request->host);
        abandon(request);
        return;
    }
    request->gone = true;
    host_gone(request->host);
}

/* Requests that guests make go out by this worker's client. */
static bool serve_outbound(struct worker *worker, const struct host_services *services, struct err *err)
{
    struct host_services all = *services;
    worker->client = http_client_new(worker->loop, err);
    all.outbound = &http_client_face;
    all.outbound_client = worker->client;
    host_pool_serve(worker->hosts, &all);
    return worker->client != NULL;
}

/* What is loaded from files, for clients and for what was granted: once guests run, there may be none. */
static void prepare(struct worker *worker)
{
    const struct host_config *config = &worker->function->config;
    http_server_prepare();
    if (grants_names(config->grants))
        host_pool_prepare_names(worker->hosts, config->name);
    if (grants_tls(config->grants))
        http_client_prepare_tls(worker->client);
}

struct worker *worker_new(struct io_loop *loop, struct function *function, int listen_fd,
                          const struct worker_options *options, struct err *err)
{
    static const struct host_runtime runtime = {suspend, resume};
    struct worker *worker = mem_alloc(1, sizeof *worker);
    if (!worker) {
        err_memory(err);
        return NULL;
    }
    worker->loop = loop;
    worker->function = function;
    worker->turn.run = take_turn;
    worker->unblock.run = try_blocked;
    worker->cooling.fired = cool;
    worker->blocked.last = &worker->blocked.first;
    worker->stats = options->stats;
    worker->began_tsc = ticks_now();
    worker->began_ns = clock_now_ns();
    worker->metrics = options->metrics;
    worker->tick_factor = options->tick_factor;
    const struct http_service service = {serve, ready, gone, refused, worker, &options->metrics->connections};
    struct http_limits http = http_limits_default;
    http.body_bytes = function->limits.body_bytes;
    bool done = (options->access_fd < 0 ||
                 (worker->access = access_new(loop, options->access_fd, &options->metrics->log_lost, err))) &&
                (worker->hosts = host_pool_new(loop, &runtime, err)) &&
                (worker->server = http_server_new(loop, &service, &http, err)) && slice_open(err);
    if (done)
        http_server_set_tls(worker->server, options->tls);
    if (done && http_server_listen(worker->server, listen_fd, err) && serve_outbound(worker, &options->services, err)) {
        prepare(worker);
        return worker;
    }
    worker_free(worker);
    return NULL;
}

void worker_set_tls(struct worker *worker, struct tls_context *tls)
{
    http_server_set_tls(worker->server, tls);
}

struct host_pool *worker_hosts(const struct worker *worker)
{
    return worker->hosts;
}

void worker_drain(struct worker *worker, void (*done)(void *arg), void *arg)
{
    http_server_drain(worker->server, done, arg);
}

void worker_free(struct worker *worker)
{
    if (!worker)
        return;
    slice_close();
    io_post_cancel(worker->loop, &worker->turn);
    io_post_cancel(worker->loop, &worker->unblock);
    io_timer_stop(worker->loop, &worker->cooling);
    http_server_free(worker->server);
    while (worker->live)
        abandon(worker->live);
    host_pool_free(worker->hosts);
    http_client_free(worker->client);
    access_free(worker->access);
    while (worker->pool) {
        struct request *request = worker->pool;
        worker->pool = request->next;
        mem_free(request);
    }
    mem_free(worker);
}

void worker_stats(const struct worker *worker, struct buf *ret_text)
{
    double ns = ns_per_tick(worker);
    const struct histogram *starts = &worker->starts, *pages = &worker->pages;
    buf_printf(ret_text,
               "{\"requests\": %llu, \"traps\": %llu, \"start_ns\": {\"p50\": %.0f, \"p90\": %.0f, \"p99\": %.0f, "
               "\"p999\": %.0f}, \"pages_restored\": {\"p50\": %llu, \"p99\": %llu}, \"slots\": %u}",
               (unsigned long long)worker->requests, (unsigned long long)worker->traps,
               ns * (double)histogram_quantile(starts, 0.5), ns * (double)histogram_quantile(starts, 0.9),
               ns * (double)histogram_quantile(starts, 0.99), ns * (double)histogram_quantile(starts, 0.999),
               (unsigned long long)histogram_quantile(pages, 0.5), (unsigned long long)histogram_quantile(pages, 0.99),
               worker->function->current->program->slot_count);
}
