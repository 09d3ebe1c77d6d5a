/* See worker.h. The hot path is `serve`: everything it touches is resident and pooled. */
#include "node/worker.h"

#include "base/alloc.h"
#include "base/log.h"
#include "http/client.h"
#include "io/ticks.h"
#include "node/histogram.h"
#include "runtime/backtrace.h"
#include "runtime/call.h"

#include <time.h>

#define INSTANCES_MAX 1000u /* of the function at once; beyond: 503 */

/* A request on its way: an instance, its task, its host objects. */
struct activity {
    struct task task;
    struct worker *worker;
    struct slot *slot;
    struct host *host;
    struct http_exchange *exchange; /* NULL once answered or gone */
    struct activity *next, **link;  /* in the pool; among those that run, with `link` */
    bool returned;
    uint64_t dispatched, entered, left; /* time stamp counter */
};

struct worker {
    struct io_loop *loop;
    struct http_server *server;
    struct program *program;
    const struct image_export *handler;
    struct host_pool *hosts;
    struct http_client *client;
    struct host_config config;
    struct activity *pool, *live;
    uint32_t running;
    bool stats;
    uint64_t requests, traps;
    uint64_t began_tsc, began_ns;
    struct histogram starts, pages;
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static struct activity *take_activity(struct worker *worker)
{
    struct activity *activity = worker->pool;
    if (activity) {
        worker->pool = activity->next;
        return activity;
    }
    if (worker->running >= INSTANCES_MAX)
        return NULL;
    activity = mem_alloc(1, sizeof *activity);
    if (activity)
        activity->worker = worker;
    return activity;
}

static void begin_activity(struct activity *activity)
{
    struct worker *worker = activity->worker;
    worker->running++;
    activity->next = worker->live;
    activity->link = &worker->live;
    if (activity->next)
        activity->next->link = &activity->next;
    worker->live = activity;
}

static void end_activity(struct activity *activity)
{
    activity->worker->running--;
    *activity->link = activity->next;
    if (activity->next)
        activity->next->link = activity->link;
}

static void give_activity(struct activity *activity)
{
    activity->next = activity->worker->pool;
    activity->worker->pool = activity;
}

/* The task's body: the exported handler with own handles of the request and the response-outparam. */
static void run_handler(struct task *task)
{
    struct activity *activity = task->arg;
    const struct image_export *handler = activity->worker->handler;
    struct store *store = task->slot->store;
    struct handles *handles = (struct handles *)((char *)store + handler->canon.handles_off);
    uint32_t request, outparam;
    uint64_t params[2], result;
    activity->returned = false;
    if (activity->worker->program->start_each_time && !program_start(task->slot))
        return;
    if (!host_give_request(activity->host, handles, &request, &outparam))
        return;
    params[0] = request;
    params[1] = outparam;
    activity->entered = ticks_now();
    activity->returned = guest_call_ints(store, handler->funcref, params, 2, &result);
    activity->left = ticks_now();
}

static void log_trap(const struct activity *activity)
{
    const struct trap_report *report = &activity->task.report;
    const char *name = activity->worker->config.name;
    char line[256];
    log_line(LOG_ERROR, name, "trap: %s%s%s", trap_text(report->trap), report->message[0] ? ": " : "", report->message);
    for (uint32_t i = 0; i < report->frame_count; i++) {
        trap_describe_frame(report, i, line, sizeof line);
        log_line(LOG_ERROR, name, "%s", line);
    }
}

static void record(struct activity *activity, uint32_t pages)
{
    struct worker *worker = activity->worker;
    uint64_t before = activity->entered - activity->dispatched, after = ticks_now() - activity->left;
    histogram_add(&worker->starts, before + after);
    histogram_add(&worker->pages, pages);
}

/* The task is over: complete the response, restore the slot. */
static void finish(struct activity *activity)
{
    struct worker *worker = activity->worker;
    bool trapped = !activity->returned;
    uint32_t pages = activity->slot->hot_count;
    if (trapped) {
        worker->traps++;
        log_trap(activity);
    }
    enum host_outcome outcome = host_end(activity->host, trapped);
    if (outcome != HOST_ANSWERED && activity->exchange)
        http_fail(activity->exchange, 500);
    slot_release(activity->slot);
    end_activity(activity);
    if (worker->stats && !trapped)
        record(activity, pages);
    give_activity(activity);
}

static void suspend(struct host *host)
{
    (void)host;
    task_suspend();
}

static void resume(struct host *host)
{
    struct activity *activity = host_user(host);
    task_resume(&activity->task);
    if (activity->task.state == TASK_DONE)
        finish(activity);
}

static bool refuse(struct worker *worker, struct http_exchange *x, const struct err *err)
{
    if (err->kind)
        log_line(LOG_ERROR, worker->config.name, "no instance: %s", err->message);
    http_fail(x, 503);
    return true;
}

static bool serve(void *arg, struct http_exchange *x)
{
    struct worker *worker = arg;
    struct err err = {0};
    uint64_t dispatched = ticks_now();
    struct activity *activity = take_activity(worker);
    if (!activity)
        return refuse(worker, x, &err);
    activity->dispatched = dispatched;
    activity->exchange = x;
    activity->slot = slot_acquire(worker->program, &err);
    activity->host =
        activity->slot ? host_begin(worker->hosts, &worker->config, activity->slot->store, activity) : NULL;
    if (!activity->host) {
        if (activity->slot)
            slot_release(activity->slot);
        give_activity(activity);
        return refuse(worker, x, &err);
    }
    x->user = activity;
    worker->requests++;
    begin_activity(activity);
    host_take_request(activity->host, http_request(x), &http_exchange_sink, x);
    if (!task_start(&activity->task, activity->slot, run_handler, activity, activity->host, &err)) {
        activity->returned = false;
        activity->task.report = (struct trap_report){.trap = TRAP_OUT_OF_MEMORY};
        activity->task.state = TASK_DONE;
    }
    if (activity->task.state == TASK_DONE)
        finish(activity);
    return true;
}

static void drained(void *arg, struct http_exchange *x)
{
    struct activity *activity = x->user;
    (void)arg;
    host_drained(activity->host);
}

static void gone(void *arg, struct http_exchange *x)
{
    struct activity *activity = x->user;
    (void)arg;
    activity->exchange = NULL;
    host_gone(activity->host);
}

static bool find_handler(struct worker *worker, struct err *err)
{
    worker->handler = program_export(worker->program, STR("wasi:http/incoming-handler@0.2*"), STR("handle"));
    if (worker->handler && worker->handler->param_count == 2 && worker->handler->result_count == 0)
        return true;
    err_set(err, ERR_LINK, "the component does not export wasi:http/incoming-handler@0.2 (handle)");
    return err_remedy(err, "serve a component built for the wasi:http/proxy world");
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

struct worker *worker_new(struct io_loop *loop, struct program *program, int listen_fd,
                          const struct worker_options *options, struct err *err)
{
    static const struct host_runtime runtime = {suspend, resume};
    struct worker *worker = mem_alloc(1, sizeof *worker);
    if (!worker) {
        err_memory(err);
        return NULL;
    }
    worker->loop = loop;
    worker->program = program;
    worker->config.name = options->name;
    worker->config.grants = options->grants;
    worker->stats = options->stats;
    worker->began_tsc = ticks_now();
    worker->began_ns = now_ns();
    const struct http_service service = {serve, drained, gone, worker};
    bool done = find_handler(worker, err) && (worker->hosts = host_pool_new(loop, &runtime, err)) &&
                (worker->server = http_server_new(loop, &service, NULL, err)) &&
                http_server_listen(worker->server, listen_fd, err);
    if (done && serve_outbound(worker, &options->services, err))
        return worker;
    worker_free(worker);
    return NULL;
}

void worker_drain(struct worker *worker, void (*done)(void *arg), void *arg)
{
    http_server_drain(worker->server, done, arg);
}

/* What still waits when everything ends. Its exchange is gone. */
static void abandon(struct activity *activity)
{
    task_abandon(&activity->task);
    host_end(activity->host, true);
    slot_release(activity->slot);
    end_activity(activity);
    give_activity(activity);
}

void worker_free(struct worker *worker)
{
    if (!worker)
        return;
    http_server_free(worker->server);
    while (worker->live)
        abandon(worker->live);
    host_pool_free(worker->hosts);
    http_client_free(worker->client);
    while (worker->pool) {
        struct activity *activity = worker->pool;
        worker->pool = activity->next;
        mem_free(activity);
    }
    mem_free(worker);
}

void worker_stats(const struct worker *worker, struct buf *ret_text)
{
    double ns_per_tick = (double)(now_ns() - worker->began_ns) / (double)(ticks_now() - worker->began_tsc);
    const struct histogram *starts = &worker->starts, *pages = &worker->pages;
    buf_printf(
        ret_text,
        "{\"requests\": %llu, \"traps\": %llu, \"start_ns\": {\"p50\": %.0f, \"p90\": %.0f, \"p99\": %.0f, "
        "\"p999\": %.0f}, \"pages_restored\": {\"p50\": %llu, \"p99\": %llu}, \"slots\": %u}",
        (unsigned long long)worker->requests, (unsigned long long)worker->traps,
        ns_per_tick * (double)histogram_quantile(starts, 0.5), ns_per_tick * (double)histogram_quantile(starts, 0.9),
        ns_per_tick * (double)histogram_quantile(starts, 0.99), ns_per_tick * (double)histogram_quantile(starts, 0.999),
        (unsigned long long)histogram_quantile(pages, 0.5), (unsigned long long)histogram_quantile(pages, 0.99),
        worker->program->slot_count);
}
