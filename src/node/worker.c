/* See worker.h. The hot path is `serve`: everything it touches is resident and pooled. */
#include "node/worker.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "http/client.h"
#include "io/ticks.h"
#include "node/histogram.h"
#include "runtime/backtrace.h"
#include "runtime/call.h"
#include "runtime/park.h"
#include "runtime/slice.h"
#include "wasi/grants.h"

/* Slots of one program from which on a request that begins has one that waits put aside (runtime/park.h), and how many
 * of those that wait longest are looked at for it. */
#define RESIDENT_SLOTS 128u
#define LOOK_AT 8u

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
    uint64_t ran;                  /* time stamp counter: so long before it was preempted or waited */
    uint64_t dispatched, entered, left; /* time stamp counter */
};

struct worker {
    struct io_loop *loop;
    struct http_server *server;
    struct function *function;
    struct host_pool *hosts;
    struct http_client *client;
    struct request *pool, *live;
    struct request *first_preempted, **last_preempted;
    struct io_post turn; /* of the first preempted one */
    struct request_list blocked; /* they would go on, but for others in their slots */
    struct io_post unblock;
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
    if (!host_give_request(request->host, handles, &given, &outparam))
        return;
    params[0] = given;
    params[1] = outparam;
    request->entered = ticks_now();
    request->returned = guest_call_ints(store, handler->funcref, params, 2, &result);
    request->left = ticks_now();
}

static void log_trap(const struct request *request)
{
    const struct trap_report *report = &request->task.report;
    const char *name = request->function->name;
    char line[256];
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

static void log_limit(const struct request *request)
{
    const struct function_limits *limits = &request->function->limits;
    bool cpu = wall_left_ns(request) > 0;
    log_line(LOG_ERROR, request->function->name, "ended: a request may take %.3g s of %s (%s)",
             (double)(cpu ? limits->cpu_ns : limits->wall_ns) / NS_PER_S, cpu ? "processor time" : "time",
             cpu ? "--cpu-time" : "--timeout");
}

/* ---- the end ---- */

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
        log_limit(request);
    io_timer_stop(worker->loop, &request->timer);
    enum host_outcome outcome = host_end(request->host, trapped);
    if (outcome != HOST_ANSWERED && request->exchange)
        http_fail(request->exchange, late ? 504 : 500);
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
    request->ran += ticks_now() - began;
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

static bool refuse(const struct function *function, struct http_exchange *x, const struct err *err)
{
    if (err->kind)
        log_line(LOG_ERROR, function->name, "no instance: %s", err->message);
    http_fail(x, 503);
    return true;
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
        return refuse(function, x, &err);
    request->function = function;
    request->dispatched = dispatched;
    request->exchange = x;
    request->ran = 0;
    request->gone = false;
    if (!take_instance(request, &err)) {
        give_request(request);
        return refuse(function, x, &err);
    }
    x->user = request;
    worker->requests++;
    begin_request(request);
    host_take_request(request->host, http_request(x), http_face(x), x);
    run_request(request, function->allowance_ns);
    return true;
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
    if (bring_back(request)) {
        host_interrupt(request->host, TRAP_DEADLINE);
        return;
    }
    log_limit(request);
    if (request->exchange)
        http_fail(request->exchange, 504);
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

/* A preempted guest may be in the middle of reading what goes with the exchange: it does not go on, nor does one that
 * was put aside. */
static void gone(void *arg, struct http_exchange *x)
{
    struct request *request = x->user;
    (void)arg;
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
    worker->blocked.last = &worker->blocked.first;
    worker->stats = options->stats;
    worker->began_tsc = ticks_now();
    worker->began_ns = clock_now_ns();
    const struct http_service service = {serve, ready, gone, worker};
    struct http_limits http = http_limits_default;
    http.body_bytes = function->limits.body_bytes;
    bool done = (worker->hosts = host_pool_new(loop, &runtime, err)) &&
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
    http_server_free(worker->server);
    while (worker->live)
        abandon(worker->live);
    host_pool_free(worker->hosts);
    http_client_free(worker->client);
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
