/* Requests that a function makes of its own application (http/local.h): to a component by its id, and to whoever
 * answers a path. They are requests like others: their own instance, limits, metrics and lines in the access log.
 *
 * A guest may ask a function that asks it again. Each request knows how far it is from the one that came from outside,
 * and beyond INSIDE_DEPTH_MAX nobody is asked any more; so chains end, and what asks waits without holding anything
 * that the others need but its instance. */
#include "node/request.h"

#include "base/log.h"
#include "http/client.h"

#define CODE(name) WASI_HTTP_TYPES_ERROR_CODE_##name

static bool refuse(struct outbound_request *request, enum wasi_http_types_error_code_tag why)
{
    request->refused = true;
    request->refusal = why;
    return false;
}

/* Made with the first question, because most workers are never asked. */
static bool know_names(struct worker *worker)
{
    const struct deployment *deployment = worker->deployment;
    bool known = worker->names.count > 0, done = true;
    for (uint32_t i = 0; !known && done && i < deployment->function_count; i++)
        if (deployment->functions[i].triggers & DEPLOYED_HTTP) /* others handle no requests */
            done = map_put(&worker->names, str_of(deployment->functions[i].name), i);
    if (!done)
        map_free(&worker->names);
    return done;
}

static bool find_component(struct worker *worker, struct outbound_request *request)
{
    if (!know_names(worker))
        return refuse(request, CODE(INTERNAL_ERROR));
    return map_get(&worker->names, request->component, &request->function) ||
           refuse(request, CODE(DESTINATION_NOT_FOUND));
}

static bool check_depth(struct outbound_request *request)
{
    const struct request *caller = request->user;
    char room[TRACE_SCOPE_SIZE];
    if (!caller || caller->depth < INSIDE_DEPTH_MAX)
        return true;
    struct str to = request->to == OUTBOUND_TO_SELF ? STR("self") : request->host;
    log_line(LOG_ERROR, request_scope(caller, room),
             "a request to %.*s is not sent: %u others inside of this application led to it", STR_ARG(to),
             INSIDE_DEPTH_MAX);
    return refuse(request, CODE(LOOP_DETECTED));
}

/* What came from inside says http, but to itself an application speaks as from outside. */
static void take_origin(struct worker *worker, struct outbound_request *request)
{
    bool self = request->to == OUTBOUND_TO_SELF;
    request->secure = self && worker->options.tls;
    if (self)
        request->authority = worker->authority;
}

static struct outbound_call *begin(void *client, const struct outbound_request *request)
{
    struct worker *worker = client;
    if (request->to == OUTBOUND_TO_PEER)
        return http_client_face.begin(worker->client, request);
    struct outbound_request inside = *request;
    if (!inside.refused && check_depth(&inside) && inside.to == OUTBOUND_TO_COMPONENT)
        find_component(worker, &inside);
    take_origin(worker, &inside);
    return http_local_face.begin(worker->local, &inside);
}

const struct outbound_face inside_face = {.begin = begin};
