/* See worker.h. The hot path is `serve`: everything it touches is resident and pooled. */
#include "node/request.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "http/client.h"
#include "runtime/resident.h"
#include "runtime/slice.h"
#include "wasi/grants.h"

#include <unistd.h>

#define ACCEPT_PAUSE_US UINT64_C(200) /* another worker is awake within that */
#define RETIRE_US UINT64_C(1000000) /* clients that are between two requests have so long for the next */

/* ---- the server's events ---- */

/* Of a path that is the host's own; NULL: there is none. */
static const struct deployed_answer *find_own(const struct deployment *deployment, struct str target)
{
    struct str path = str_slice(target, 0, str_find(target, '?'));
    for (uint32_t i = 0; i < deployment->own_count; i++)
        if (str_eq(path, deployment->own[i].path))
            return &deployment->own[i].answer;
    return NULL;
}

/* NULL: none answers it, or an answer that needs none, which is then at *ret_answer. */
static struct function *find_function(const struct worker *worker, const struct http_exchange *x,
                                      const struct deployed_answer **ret_answer)
{
    const struct deployment *deployment = worker->deployment;
    const struct http_local_origin *inside = http_local_origin(x);
    struct route_match match;
    *ret_answer = NULL;
    if (inside && inside->to == OUTBOUND_TO_COMPONENT)
        return &worker->functions[inside->function];
    if (!deployment->router)
        return &worker->functions[0];
    struct str target = http_request(x)->target;
    if (str_starts(target, STR(ROUTE_RESERVED))) {
        *ret_answer = find_own(deployment, target);
        return NULL;
    }
    if (!router_match(deployment->router, target, &match))
        return NULL;
    *ret_answer = deployment->routes[match.route].answer;
    return *ret_answer ? NULL : &worker->functions[deployment->routes[match.route].function];
}

/* Without a request of ours. */
static bool refuse(struct worker *worker, struct function *function, struct http_exchange *x, unsigned status)
{
    if (function) {
        function_use(function);
        counter_add(&function->metrics->answers[status / 100], 1);
    }
    if (function && status == 503)
        counter_add(&function->metrics->limits[METRICS_LIMIT_INSTANCES], 1);
    if (!function)
        counter_add(&worker->metrics->unrouted, 1);
    answer_refusal(worker, function, x, status);
    http_fail(x, status);
    return true;
}

/* Of a route that needs no function. */
static bool give(struct worker *worker, struct http_exchange *x, const struct deployed_answer *answer)
{
    counter_add(&worker->metrics->fixed, 1);
    answer_refusal(worker, NULL, x, answer->status);
    return http_respond(x, answer->status, answer->fields, answer->field_count, answer->body);
}

/* The server gave it. */
static void refused(void *arg, const struct http_exchange *x, unsigned status)
{
    struct worker *worker = arg;
    const struct deployed_answer *answer;
    struct function *function = status == 413 ? find_function(worker, x, &answer) : NULL;
    counter_add(&worker->metrics->refusals[metrics_refusal_of(status)], 1);
    if (function) {
        function_use(function);
        counter_add(&function->metrics->limits[METRICS_LIMIT_BODY], 1);
    }
    answer_refusal(worker, worker->deployment->router ? function : &worker->functions[0], x, status);
}

static uint64_t body_max(void *arg, const struct http_exchange *x)
{
    const struct deployed_answer *answer;
    const struct function *function = find_function(arg, x, &answer);
    return function ? function->deployed->limits.body_bytes : UINT64_MAX;
}

/* What a request owes to the one that asked for it, which is still there: it waits, or its call would be dropped. Who
 * goes on without a client hands down what is left of its time, or chains of such would go on for long. */
static void inherit(struct request *request, const struct http_exchange *x)
{
    const struct http_local_origin *inside = http_local_origin(x);
    const struct request *caller = inside ? inside->user : NULL;
    request->depth = inside ? (caller ? caller->depth : 0) + 1 : 0;
    uint64_t left_ns = caller && caller->alone ? request_wall_left_ns(caller) : UINT64_MAX;
    if (left_ns < request->wall_ns)
        request->wall_ns = left_ns;
}

static bool serve(void *arg, struct http_exchange *x)
{
    struct worker *worker = arg;
    uint64_t dispatched = ticks_now();
    const struct deployed_answer *answer;
    struct function *function = find_function(worker, x, &answer);
    if (!function)
        return answer ? give(worker, x, answer) : refuse(worker, NULL, x, 404);
    function_fetch(function);
    if (!function->current && program_failed_just_now(worker, function))
        return refuse(worker, function, x, 500);
    struct request *request = request_new(worker, function, dispatched);
    if (!request)
        return refuse(worker, function, x, 503);
    request->exchange = x;
    inherit(request, x);
    x->user = request;
    request_dispatch(request);
    return true;
}

static void ready(void *arg, struct http_exchange *x)
{
    struct request *request = x->user;
    (void)arg;
    if (request->generation)
        host_ready(request->host);
}

static void gone(void *arg, struct http_exchange *x)
{
    (void)arg;
    request_gone(x->user);
}

static void suspend(struct host *host)
{
    (void)host;
    task_suspend();
}

static void resume(struct host *host)
{
    turn_resume(host_user(host));
}

/* ---- life ---- */

/* For who looks at the page: the log has it too. */
static void denied(void *arg, const struct host_config *config, const char *what, const char *remedy)
{
    const struct worker *worker = arg;
    const struct deployed *deployed = IO_OWNER(config, const struct deployed, config);
    struct incidents *incidents = worker->options.incidents;
    struct incident *incident =
        incident_begin(incidents, INCIDENT_DENIED, (uint32_t)(deployed - worker->deployment->functions));
    incident_line(incident, "%s", what);
    incident_line(incident, "to permit it: %s", remedy);
    incident_end(incidents, incident);
}

/* Requests that guests make go out by this worker's client, or stay inside. */
static bool serve_outbound(struct worker *worker, struct err *err)
{
    struct host_services all = worker->options.services;
    worker->client = http_client_new(worker->loop, err);
    worker->local = worker->client ? http_local_new(worker->loop, &worker->service, err) : NULL;
    all.outbound = &inside_face;
    all.outbound_client = worker;
    all.denied = denied;
    all.arg = worker;
    host_pool_serve(worker->hosts, &all);
    return worker->local != NULL;
}

/* What is loaded from files, for clients and for what was granted: once guests run, there may be none. */
static void prepare(struct worker *worker)
{
    bool names = false, tls = false;
    http_server_prepare();
    for (uint32_t i = 0; i < worker->deployment->function_count; i++) {
        const struct host_config *config = &worker->deployment->functions[i].config;
        if (!names && grants_names(config->grants))
            host_pool_prepare_names(worker->hosts, config->name);
        if (!tls && grants_tls(config->grants))
            http_client_prepare_tls(worker->client);
        names |= grants_names(config->grants);
        tls |= grants_tls(config->grants);
    }
}

static bool make_functions(struct worker *worker, struct err *err)
{
    uint32_t count = worker->deployment->function_count;
    worker->functions = mem_alloc(count, sizeof *worker->functions);
    if (!worker->functions)
        return err_memory(err);
    for (uint32_t i = 0; i < count; i++) {
        function_init(&worker->functions[i], &worker->deployment->functions[i]);
        function_count_in(&worker->functions[i], worker->metrics, count, i);
        worker->functions[i].hosts = worker->hosts;
    }
    return true;
}

static bool open_server(struct worker *worker, int listen_fd, struct err *err)
{
    struct http_limits limits = http_limits_default;
    worker->service = (struct http_service){.handle = serve,
                                            .ready = ready,
                                            .gone = gone,
                                            .body_max = body_max,
                                            .refused = refused,
                                            .arg = worker,
                                            .connections = &worker->metrics->connections};
    limits.body_bytes = UINT64_MAX;
    limits.accept_pause_us = worker->options.alone ? 0 : ACCEPT_PAUSE_US;
    if (listen_fd >= 0)
        net_name(listen_fd, worker->address);
    worker->authority = listen_fd >= 0 ? str_of(worker->address) : STR("localhost");
    worker->server = http_server_new(worker->loop, &worker->service, &limits, err);
    if (worker->server)
        http_server_set_tls(worker->server, worker->options.tls);
    return worker->server && (listen_fd < 0 || http_server_listen(worker->server, listen_fd, err));
}

struct worker *worker_new(struct io_loop *loop, const struct deployment *deployment, int listen_fd,
                          const struct worker_options *options, struct err *err)
{
    static const struct host_runtime runtime = {suspend, resume};
    struct worker *worker = mem_alloc(1, sizeof *worker);
    if (!worker) {
        err_memory(err);
        return NULL;
    }
    worker->loop = loop;
    worker->deployment = deployment;
    worker->options = *options;
    worker->metrics = options->metrics;
    worker->began_tsc = ticks_now();
    worker->began_ns = clock_now_ns();
    resident_open();
    turns_open(worker);
    requests_open(worker);
    bool logs = options->access_fd < 0 ||
                (worker->access = access_new(loop, options->access_fd, &options->metrics->log_lost, err));
    if (logs && (worker->hosts = host_pool_new(loop, &runtime, err)) && make_functions(worker, err) &&
        slice_open(err) && open_server(worker, listen_fd, err) && serve_outbound(worker, err) &&
        events_open(worker, err)) {
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

void worker_retire(struct worker *worker, void (*done)(void *arg), void *arg)
{
    events_close(worker);
    worker->drained = done;
    worker->drained_arg = arg;
    http_server_retire(worker->server, RETIRE_US, events_drain, worker);
}

void worker_drain(struct worker *worker, void (*done)(void *arg), void *arg)
{
    events_close(worker);
    worker->drained = done;
    worker->drained_arg = arg;
    http_server_drain(worker->server, events_drain, worker);
}

static void free_functions(struct worker *worker)
{
    for (uint32_t i = 0; worker->functions && i < worker->deployment->function_count; i++) {
        struct function *function = &worker->functions[i];
        while (function->fresh.first)
            request_drop(function->fresh.first);
        function_end(function);
        if (function->image_fd >= 0)
            close(function->image_fd);
    }
    mem_free(worker->functions);
}

void worker_free(struct worker *worker)
{
    if (!worker)
        return;
    resident_close();
    slice_close();
    sample_close();
    turns_close(worker);
    events_close(worker);
    worker->drained = NULL;
    io_timer_stop(worker->loop, &worker->cooling);
    http_server_free(worker->server);
    http_local_close(worker->local);
    requests_leave(worker);
    while (worker->live) {
        request_abandon(worker->live);
        requests_leave(worker);
    }
    free_functions(worker);
    subscribers_free(worker);
    http_local_free(worker->local);
    map_free(&worker->names);
    mem_free(worker->times);
    turns_close(worker);
    host_pool_free(worker->hosts);
    http_client_free(worker->client);
    access_free(worker->access);
    requests_free(worker, 0);
    mem_free(worker);
}

void worker_stats(const struct worker *worker, struct buf *ret_text)
{
    double ns = worker_ns_per_tick(worker);
    const struct histogram *starts = &worker->starts, *pages = &worker->pages;
    buf_printf(ret_text,
               "{\"requests\": %llu, \"traps\": %llu, \"start_ns\": {\"p50\": %.0f, \"p90\": %.0f, \"p99\": %.0f, "
               "\"p999\": %.0f}, \"pages_restored\": {\"p50\": %llu, \"p99\": %llu}, \"slots\": %u}",
               (unsigned long long)worker->requests, (unsigned long long)worker->traps,
               ns * (double)histogram_quantile(starts, 0.5), ns * (double)histogram_quantile(starts, 0.9),
               ns * (double)histogram_quantile(starts, 0.99), ns * (double)histogram_quantile(starts, 0.999),
               (unsigned long long)histogram_quantile(pages, 0.5), (unsigned long long)histogram_quantile(pages, 0.99),
               programs_slots(worker));
}
