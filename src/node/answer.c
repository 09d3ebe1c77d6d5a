/* The answer, counted (see request.h).
 *
 * A guest answers by way of this file, which then knows what became of it, whichever way it ends. Where nothing can go
 * wrong any more it is counted before it is sent, so that who has the answer finds it counted. */
#include "node/request.h"
#include "node/route_fields.h"

static uint64_t ns_of(const struct worker *worker, uint64_t ticks)
{
    return metrics_ns(ticks, worker->options.tick_factor);
}

const char *request_scope(const struct request *request, char room[TRACE_SCOPE_SIZE])
{
    struct str id = {request->traced ? request->trace : NULL, TRACE_ID_SIZE};
    if (request->exchange && !request->answered)
        id = trace_id(http_request(request->exchange));
    return trace_scope(request->function->deployed->name, id, room);
}

static void stage_line(struct request *request, unsigned status, bool whole)
{
    const struct http_request *from = http_request(request->exchange);
    const struct access_entry entry = {
        .function = str_of(request->function->deployed->name),
        .method = from->method,
        .target = from->target,
        .trace = trace_id(from),
        .status = status,
        .whole = whole,
        .bytes = request->sent,
        .ns = ns_of(request->worker, request_end_ticks(request) - request->dispatched),
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
    histogram_add(&metrics->latency, ns_of(request->worker, request_end_ticks(request) - request->dispatched));
    if (request->worker->access)
        access_commit(request->worker->access);
}

/* For what the log says of it later. */
static void keep_trace(struct request *request)
{
    struct str id = trace_id(http_request(request->exchange));
    request->traced = id.ptr != NULL;
    if (id.ptr)
        memcpy(request->trace, id.ptr, TRACE_ID_SIZE);
}

/* ---- the guest's side ---- */

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
    if (!done)
        return false;
    request->exchange = NULL;
    count_answer(request, status, true);
    return true;
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
    request->exchange = NULL;
    return whole;
}

static bool face_added(void *x, struct http_added *ret)
{
    const struct request *request = x;
    return route_fields(request->worker->deployment, request->exchange, ret);
}

/* Of a function's requests half may be without clients, so that those never have all places. Who drains the worker
 * waits for them as for events. */
static bool face_part(void *x)
{
    struct request *request = x;
    struct function *function = request->function;
    uint32_t most = function->deployed->limits.instances;
    if (function->alone >= most - most / 2)
        return false;
    keep_trace(request);
    counter_add(&function->metrics->bytes_in, http_request(request->exchange)->body.len); /* it has them now */
    counter_set(&function->metrics->alone, ++function->alone);
    request->alone = true;
    request->worker->events++;
    return true;
}

const struct http_face request_face = {face_want, face_take,   face_respond, face_start, face_write,
                                       face_room, face_finish, face_added,   face_part};

/* ---- without the guest ---- */

void answer_fail(struct request *request, unsigned status)
{
    bool begun = request->status != 0;
    stage_answer(request, begun ? request->status : status, !begun);
    count_answer(request, begun ? request->status : status, !begun);
    http_fail(request->exchange, status);
}

void answer_lost(struct request *request)
{
    keep_trace(request);
    stage_answer(request, request->status, false);
    count_answer(request, request->status, false);
}

void answer_refusal(struct worker *worker, const struct function *function, const struct http_exchange *x,
                    unsigned status)
{
    const struct http_request *from = http_request(x);
    const struct access_entry entry = {
        .function = function ? str_of(function->deployed->name) : STR(""),
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

void answer_count_end(const struct request *request, enum trap trap, bool ended)
{
    const struct worker *worker = request->worker;
    struct metrics_function *metrics = request->function->metrics;
    bool memory = trap == TRAP_OUT_OF_MEMORY || (!request->parked && request->slot->account->refused);
    counter_add(&metrics->cpu_ns, ns_of(worker, request->ran));
    if (!request->parked && request->slot->account->used > metrics->memory_bytes)
        counter_set(&metrics->memory_bytes, request->slot->account->used);
    if (request->entered)
        histogram_add(&metrics->starts, ns_of(worker, request->entered - request->begun));
    if (trap && trap != TRAP_DEADLINE && !ended)
        counter_add(&metrics->traps, 1);
    if (memory)
        counter_add(&metrics->limits[METRICS_LIMIT_MEMORY], 1);
}
