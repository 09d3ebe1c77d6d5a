/* wasi:http/types and outgoing-handler, requests that a guest makes: outgoing-request, request-options,
 * future-incoming-response, incoming-response; and what of them is granted.
 *
 * A request goes to an origin that a rule names (grants.h); the addresses that its host leads to are checked one by
 * one. The connection is the client's (outbound.h). A call is held by what shows its response and by what writes its
 * body; when the guest drops the former, or its activity ends, the call ends. */
#include "wasi/object.h"

#include "base/log.h"

#include <stdio.h>

#define CALLS_MAX 128u            /* of one activity that are not dropped */
#define TARGET_MAX ((size_t)8192) /* bytes of a path with its query */
#define AUTHORITY_MAX ((size_t)300)
#define BODY_MIN ((size_t)512) /* of a buffer of an earlier body that is used again */

#define CODE(name) WASI_HTTP_TYPES_ERROR_CODE_##name

typedef struct wasi_http_outgoing_request request_t;
typedef struct result_void_void unit_result;
typedef enum wasi_http_types_error_code_tag code_tag;

/* ---- outgoing-request ---- */

bool wasi_http_types_outgoing_request_constructor(struct host *h, struct wasi_http_fields *headers, request_t **ret)
{
    request_t *request = HOST_NEW(h, request_t, NULL);
    if (!request || !host_release(h, &headers->node, "fields"))
        return false;
    headers->immutable = true;
    request->fields = headers;
    request->method.tag = WASI_HTTP_TYPES_METHOD_GET;
    *ret = request;
    return true;
}

/* Once. */
bool wasi_http_types_outgoing_request_body(struct host *h, request_t *self,
                                           struct result_wasi_http_outgoing_body_void *ret)
{
    ret->err = self->body != NULL;
    if (ret->err)
        return true;
    self->body = HOST_NEW(h, struct wasi_http_outgoing_body, NULL);
    if (!self->body)
        return false;
    self->body->of_request = true;
    self->body->bytes = host_bytes_left(h, BODY_MIN, &self->body->capacity); /* of an earlier one */
    self->body->sized = fields_length(self->fields, &self->body->length);
    ret->ok = self->body;
    return true;
}

bool wasi_http_types_outgoing_request_method(struct host *h, request_t *self, struct wasi_http_types_method *ret)
{
    *ret = self->method;
    return true;
}

/* Keeps a text that a guest gave, in the place of another. False: trap. */
static bool keep(struct host *h, struct str text, struct str *place)
{
    host_text_give(h, *place);
    *place = host_text_take(h, text);
    return place->ptr != NULL;
}

bool wasi_http_types_outgoing_request_set_method(struct host *h, request_t *self,
                                                 const struct wasi_http_types_method *method, unit_result *ret)
{
    bool other = method->tag == WASI_HTTP_TYPES_METHOD_OTHER;
    ret->err = other && (!http_is_token(method->other) || method->other.len > 64);
    if (ret->err)
        return true;
    self->method.tag = method->tag;
    return !other || keep(h, method->other, &self->method.other);
}

bool wasi_http_types_outgoing_request_path_with_query(struct host *h, request_t *self, struct option_str *ret)
{
    *ret = self->path;
    return true;
}

/* Printable ASCII without what ends a target or a URI. */
static bool is_printable(struct str text, const char *without)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] <= ' ' || text.ptr[i] > '~' || strchr(without, text.ptr[i]))
            return false;
    return true;
}

static bool is_target(struct str text)
{
    bool begins = text.len == 0 || text.ptr[0] == '/' || text.ptr[0] == '?' || str_eq(text, STR("*"));
    return begins && text.len <= TARGET_MAX && is_printable(text, "#");
}

static bool set_text(struct host *h, const struct option_str *from, bool valid, struct option_str *to, unit_result *ret)
{
    ret->err = from->some && !valid;
    if (ret->err)
        return true;
    to->some = from->some;
    return !from->some || keep(h, from->value, &to->value);
}

bool wasi_http_types_outgoing_request_set_path_with_query(struct host *h, request_t *self,
                                                          const struct option_str *path_with_query, unit_result *ret)
{
    bool valid = path_with_query->some && is_target(path_with_query->value);
    return set_text(h, path_with_query, valid, &self->path, ret);
}

bool wasi_http_types_outgoing_request_scheme(struct host *h, request_t *self, struct option_wasi_http_types_scheme *ret)
{
    *ret = self->scheme;
    return true;
}

/* RFC 3986, section 3.1. */
static bool is_scheme(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z', digit = c >= '0' && c <= '9';
        if (!letter && !(i && (digit || c == '+' || c == '-' || c == '.')))
            return false;
    }
    return text.len > 0 && text.len <= 64;
}

bool wasi_http_types_outgoing_request_set_scheme(struct host *h, request_t *self,
                                                 const struct option_wasi_http_types_scheme *scheme, unit_result *ret)
{
    bool other = scheme->some && scheme->value.tag == WASI_HTTP_TYPES_SCHEME_OTHER;
    ret->err = other && !is_scheme(scheme->value.other);
    if (ret->err)
        return true;
    self->scheme.some = scheme->some;
    if (scheme->some)
        self->scheme.value.tag = scheme->value.tag;
    return !other || keep(h, scheme->value.other, &self->scheme.value.other);
}

bool wasi_http_types_outgoing_request_authority(struct host *h, request_t *self, struct option_str *ret)
{
    *ret = self->authority;
    return true;
}

/* Host and port of an authority; *ret_port keeps what it is when there is none. The host may be empty before a port:
 * bindings that must have an authority (Spin's for Rust) say so that there is none. */
static bool split_authority(struct str authority, struct str *ret_host, uint16_t *ret_port)
{
    struct ip_address address;
    size_t close = authority.len && authority.ptr[0] == '[' ? str_find(authority, ']') + 1 : 0;
    size_t colon = close ? close : str_find(authority, ':');
    uint32_t port = 0;
    if (close > authority.len || (colon < authority.len && authority.ptr[colon] != ':'))
        return false;
    struct str host = str_slice(authority, 0, colon);
    for (size_t i = colon + 1; i < authority.len; i++) {
        if (authority.ptr[i] < '0' || authority.ptr[i] > '9' || port > 65535)
            return false;
        port = port * 10 + (uint32_t)(authority.ptr[i] - '0');
    }
    bool numeric = ip_parse(host, &address), none = host.len == 0 && authority.len > 1;
    if (port > 65535 || (!numeric && !none && (close || !io_name_valid(host))) || (numeric && address.v6 && !close))
        return false;
    *ret_host = close ? str_slice(host, 1, host.len - 1) : host;
    if (colon + 1 < authority.len)
        *ret_port = (uint16_t)port;
    return true;
}

/* RFC 9110, section 4.2: host and port; no user information. */
static bool is_authority(struct str text)
{
    struct str host;
    uint16_t port;
    return text.len <= AUTHORITY_MAX && split_authority(text, &host, &port);
}

bool wasi_http_types_outgoing_request_set_authority(struct host *h, request_t *self, const struct option_str *authority,
                                                    unit_result *ret)
{
    bool valid = authority->some && is_authority(authority->value);
    return set_text(h, authority, valid, &self->authority, ret);
}

bool wasi_http_types_outgoing_request_headers(struct host *h, request_t *self, struct wasi_http_fields **ret)
{
    *ret = fields_view(h, self->fields, &self->node);
    return *ret != NULL;
}

static void free_request(struct host *h, request_t *request);

void wasi_http_outgoing_request_drop(struct host *h, request_t *self)
{
    if (host_release(h, &self->node, "outgoing-request"))
        free_request(h, self);
}

/* ---- request-options ---- */

struct wasi_http_request_options {
    struct host_node node;
    struct option_u64 connect, first_byte, between_bytes; /* ns */
};

typedef struct wasi_http_request_options options_t;

bool wasi_http_types_request_options_constructor(struct host *h, options_t **ret)
{
    *ret = HOST_NEW(h, options_t, NULL);
    return *ret != NULL;
}

/* Any time is supported. */
#define TIMEOUT(name, field)                                                                                           \
    bool wasi_http_types_request_options_##name(struct host *h, options_t *self, struct option_u64 *ret)               \
    {                                                                                                                  \
        *ret = self->field;                                                                                            \
        return true;                                                                                                   \
    }                                                                                                                  \
    bool wasi_http_types_request_options_set_##name(struct host *h, options_t *self,                                   \
                                                    const struct option_u64 *duration, unit_result *ret)               \
    {                                                                                                                  \
        self->field = *duration;                                                                                       \
        ret->err = false;                                                                                              \
        return true;                                                                                                   \
    }
TIMEOUT(connect_timeout, connect)
TIMEOUT(first_byte_timeout, first_byte)
TIMEOUT(between_bytes_timeout, between_bytes)
#undef TIMEOUT

void wasi_http_request_options_drop(struct host *h, options_t *self)
{
    host_drop_node(h, &self->node, "request-options");
}

/* ---- calls ---- */

static void end_call(struct outgoing_call *outgoing)
{
    if (!outgoing->call)
        return;
    host_disown(&outgoing->closer);
    outgoing->call->face->drop(outgoing->call);
    outgoing->call = NULL;
    outgoing->host->call_count--;
}

static void close_call(struct host *h, struct host_closer *closer)
{
    end_call(IO_OWNER(closer, struct outgoing_call, closer));
}

static void free_body(struct host *h, struct wasi_http_outgoing_body *body)
{
    if (body->trailers)
        fields_leave(h, body->trailers);
    host_bytes_give(h, body->bytes, body->capacity);
    host_node_free(h, &body->node);
}

void outgoing_leave(struct outgoing_call *call, bool reader)
{
    struct host *h = call->host;
    *(reader ? &call->readers : &call->writers) -= 1;
    if (!reader)
        free_body(h, call->body);
    if (call->readers == 0)
        end_call(call);
    if (call->readers || call->writers)
        return;
    host_text_give(h, call->authority);
    host_bytes_give(h, call->bytes, call->capacity);
    host_node_free(h, &call->node);
}

static void changed(struct outbound_call *call)
{
    host_wake(((struct outgoing_call *)call->owner)->host);
}

static bool permits(void *owner, const struct ip_endpoint *to)
{
    struct outgoing_call *outgoing = owner;
    char text[IP_TEXT_MAX], value[2 * IP_TEXT_MAX];
    if (grants_origin_address(outgoing->host->config->grants, outgoing->secure, outgoing->name, to))
        return true;
    bool blocked = grants_blocked(outgoing->host->config->grants, &to->address);
    ip_endpoint_text(to, text);
    snprintf(value, sizeof value, "%s://%s", outgoing->secure ? "https" : "http", text);
    host_denied(outgoing->host, blocked ? PERMIT_UNBLOCK : PERMIT_OUTBOUND, str_of(value),
                "%.*s leads to the %s address %s", STR_ARG(outgoing->name), blocked ? "blocked" : "private", text);
    return false;
}

/* ---- outgoing-handler ---- */

struct wasi_http_future_incoming_response {
    struct host_node node;
    struct outgoing_call *call; /* NULL once it was given away */
    bool taken;
};

struct wasi_http_incoming_response {
    struct host_node node;
    struct outgoing_call *call;
    struct wasi_http_fields *fields;
    bool consumed;
};

typedef struct wasi_http_future_incoming_response future_t;
typedef struct wasi_http_incoming_response incoming_t;

static const struct str method_words[] = {
#define METHOD(name) [WASI_HTTP_TYPES_METHOD_##name] = {#name, sizeof(#name) - 1}
    METHOD(GET),     METHOD(HEAD),    METHOD(POST),  METHOD(PUT),   METHOD(DELETE),
    METHOD(CONNECT), METHOD(OPTIONS), METHOD(TRACE), METHOD(PATCH),
#undef METHOD
};

/* Hosts that Spin has for what stays inside of an application; for itself also none at all. */
static void take_inside(struct outbound_request *out)
{
    if (out->host.len == 0 || http_is_same(out->host, STR(GRANT_SELF_HOST))) {
        out->to = OUTBOUND_TO_SELF;
    } else if (grants_inside(out->host)) {
        out->to = OUTBOUND_TO_COMPONENT;
        out->component = str_slice(out->host, 0, out->host.len - (sizeof GRANT_INSIDE_SUFFIX - 1));
    }
}

/* Where it goes, or why it cannot. */
static int take_origin(const request_t *request, struct outbound_request *out)
{
    if (request->scheme.some && request->scheme.value.tag == WASI_HTTP_TYPES_SCHEME_OTHER)
        return CODE(HTTP_REQUEST_URI_INVALID);
    out->secure = !request->scheme.some || request->scheme.value.tag == WASI_HTTP_TYPES_SCHEME_HTTPS;
    out->port = out->secure ? 443 : 80;
    if (request->authority.some && (!split_authority(request->authority.value, &out->host, &out->port) || !out->port))
        return CODE(HTTP_REQUEST_URI_INVALID);
    if (out->host.len)
        out->authority = request->authority.value;
    else
        out->port = out->secure ? 443 : 80;
    take_inside(out);
    return -1;
}

static int take_target(struct host *h, const request_t *request, struct outbound_request *out)
{
    struct str path = request->path.some ? request->path.value : (struct str){NULL, 0};
    bool other = request->method.tag == WASI_HTTP_TYPES_METHOD_OTHER;
    out->method = other ? request->method.other : method_words[request->method.tag];
    if (str_eq(out->method, STR("CONNECT"))) /* would make a tunnel, which nothing here can use */
        return CODE(HTTP_REQUEST_METHOD_INVALID);
    out->target = path;
    if (path.len == 0)
        out->target = STR("/");
    if (str_eq(path, STR("*")) && !str_eq(out->method, STR("OPTIONS")))
        return CODE(HTTP_REQUEST_URI_INVALID);
    if (path.len == 0 || path.ptr[0] != '?')
        return -1;
    char *text = arena_alloc(&h->scratch, path.len + 1); /* the call copies it */
    if (!text)
        return CODE(INTERNAL_ERROR);
    text[0] = '/';
    memcpy(text + 1, path.ptr, path.len);
    out->target = (struct str){text, path.len + 1};
    return -1;
}

/* RFC 9112, section 6: how the body's end will be known. */
static int take_body(const request_t *request, struct outbound_request *out)
{
    const struct wasi_http_outgoing_body *body = request->body;
    enum wasi_http_types_method_tag method = request->method.tag;
    bool expects = method == WASI_HTTP_TYPES_METHOD_POST || method == WASI_HTTP_TYPES_METHOD_PUT ||
                   method == WASI_HTTP_TYPES_METHOD_PATCH;
    if (!body) {
        if (fields_length(request->fields, &out->length) && out->length)
            return CODE(HTTP_REQUEST_BODY_SIZE);
        out->body = expects ? OUTBOUND_LENGTH : OUTBOUND_NO_BODY;
        return -1;
    }
    if (body->state == BODY_CORRUPT)
        return CODE(HTTP_REQUEST_BODY_SIZE);
    bool whole = body->state == BODY_FINISHED && !body->trailers;
    out->body = body->sized || whole ? OUTBOUND_LENGTH : OUTBOUND_CHUNKED;
    out->length = body->sized ? body->length : body->size;
    return -1;
}

/* A request that is not granted fails as others do, with its response: guests are used to that. */
static void check_grant(struct host *h, struct outbound_request *out)
{
    char value[AUTHORITY_MAX + 64];
    struct ip_address address;
    bool self = out->to == OUTBOUND_TO_SELF;
    struct str to = self ? STR("self") : out->authority;
    if (self ? grants_self(h->config->grants) : grants_origin(h->config->grants, out->secure, out->host, out->port))
        return;
    bool blocked = !self && ip_parse(out->host, &address) && grants_blocked(h->config->grants, &address);
    snprintf(value, sizeof value, "%s://%.*s", out->secure ? "https" : "http", STR_ARG(to));
    host_denied(h, blocked ? PERMIT_UNBLOCK : PERMIT_OUTBOUND, str_of(value), "a request to %s", value);
    out->refused = true;
    out->refusal = CODE(HTTP_REQUEST_DENIED);
}

static uint64_t us_of(const struct option_u64 *ns)
{
    return ns->some ? ns->value / 1000 + 1 : 0;
}

static void take_options(const struct option_wasi_http_request_options *options, struct outbound_request *out)
{
    const uint64_t max_us = UINT64_MAX >> 2; /* far, and still to be added to */
    if (!options->some)
        return;
    out->connect_us = us_of(&options->value->connect) & max_us;
    out->first_byte_us = us_of(&options->value->first_byte) & max_us;
    out->between_us = us_of(&options->value->between_bytes) & max_us;
}

/* From now on what the body's handle writes is the call's. */
static void join(struct outgoing_call *outgoing, struct wasi_http_outgoing_body *body)
{
    body->call = outgoing;
    outgoing->body = body;
    outgoing->writers = 1;
    outgoing->bytes = body->bytes;
    outgoing->capacity = body->capacity;
    body->bytes = NULL;
    body->size = body->capacity = 0;
}

/* What the guest wrote of the body before, and its end. */
static void send_body(struct wasi_http_outgoing_body *body, struct outgoing_call *outgoing)
{
    const struct wasi_http_fields *trailers = body->trailers;
    struct outbound_call *call = outgoing->call;
    bool finished = body->state == BODY_FINISHED;
    call->face->write(call, (struct str){body->bytes, body->size});
    if (finished)
        call->face->finish(call, trailers ? trailers->items : NULL, trailers ? trailers->count : 0);
    join(outgoing, body);
    if (finished)
        outgoing_leave(outgoing, false);
}

/* ---- the trace ---- */

static bool names_trace(const struct wasi_http_fields *fields)
{
    for (uint32_t i = 0; i < fields->count; i++)
        if (http_is_same(fields->items[i].name, STR("traceparent")))
            return true;
    return false;
}

/* W3C Trace Context, section 4.3: a request that says nothing of a trace belongs to that of the request which it is
 * sent for. Both fields go on as they came. */
static bool add_trace(struct host *h, const struct wasi_http_fields *fields, struct outbound_request *out)
{
    const struct http_request *from = h->request;
    struct str parent = from ? trace_parent(from) : (struct str){NULL, 0};
    out->fields = fields->items;
    out->field_count = fields->count;
    if (!parent.ptr || names_trace(fields))
        return true;
    struct http_field *all = ARENA_ARRAY(&h->scratch, struct http_field, fields->count + from->field_count);
    if (!all) /* the call copies them */
        return host_no_memory(h);
    size_t count = 0;
    for (uint32_t i = 0; i < fields->count; i++)
        if (!http_is_same(fields->items[i].name, STR("tracestate"))) /* means nothing without the other */
            all[count++] = fields->items[i];
    all[count++] = (struct http_field){STR("traceparent"), parent};
    for (uint32_t i = 0; i < from->field_count; i++)
        if (str_eq(from->fields[i].name, STR("tracestate")))
            all[count++] = from->fields[i];
    out->fields = all;
    out->field_count = count;
    return true;
}

/* False: trap. */
static bool begin_call(struct host *h, request_t *request, struct outbound_request *out, future_t *future)
{
    struct outgoing_call *outgoing = HOST_NEW(h, struct outgoing_call, NULL);
    struct ip_address address;
    if (!outgoing || !add_trace(h, request->fields, out))
        return false;
    outgoing->host = h;
    outgoing->readers = 1;
    outgoing->secure = out->secure;
    outgoing->authority = out->authority; /* which was the request's */
    outgoing->name = out->host;
    if (!out->authority.len)
        host_text_give(h, request->authority.value);
    request->authority = (struct option_str){0};
    outgoing->closer.close = close_call;
    bool looks_up = !out->refused && out->to == OUTBOUND_TO_PEER && !ip_parse(out->host, &address);
    out->resolver = looks_up ? host_resolver(h) : NULL;
    out->permits = permits;
    out->tenant = h->config;
    out->user = host_user(h);
    out->changed = changed;
    out->owner = outgoing;
    outgoing->call = h->pool->services.outbound->begin(h->pool->services.outbound_client, out);
    if (!outgoing->call)
        return host_no_memory(h);
    h->call_count++;
    host_own(h, &outgoing->closer);
    future->call = outgoing;
    if (request->body)
        send_body(request->body, outgoing);
    else if (out->body == OUTBOUND_LENGTH)
        outgoing->call->face->finish(outgoing->call, NULL, 0);
    request->body = NULL;
    return true;
}

/* What is to be sent and where, or the code of why not. */
static int prepare(struct host *h, const request_t *request, struct outbound_request *out)
{
    int error = take_origin(request, out);
    if (error < 0)
        error = take_target(h, request, out);
    if (error < 0)
        error = take_body(request, out);
    if (error < 0)
        check_grant(h, out);
    if (error < 0 && !h->pool->services.outbound)
        error = CODE(CONFIGURATION_ERROR);
    if (error < 0 && h->call_count == CALLS_MAX)
        error = CODE(CONNECTION_LIMIT_REACHED);
    return error;
}

/* The body of a request that is never sent. What a handle still writes to it goes nowhere. */
static void leave_body(struct host *h, struct wasi_http_outgoing_body *body)
{
    struct outgoing_call *nowhere;
    if (body->node.released) {
        free_body(h, body);
        return;
    }
    nowhere = HOST_NEW(h, struct outgoing_call, NULL);
    if (!nowhere)
        return;
    nowhere->host = h;
    join(nowhere, body);
}

/* The request and its headers are gone; its body has a handle of its own. */
static void free_request(struct host *h, request_t *request)
{
    fields_leave(h, request->fields);
    if (request->body)
        leave_body(h, request->body);
    host_text_give(h, request->path.value);
    host_text_give(h, request->authority.value);
    host_text_give(h, request->method.other);
    host_text_give(h, request->scheme.value.other);
    host_node_free(h, &request->node);
}

bool wasi_http_outgoing_handler_handle(struct host *h, request_t *request,
                                       const struct option_wasi_http_request_options *options,
                                       struct result_wasi_http_future_incoming_response_wasi_http_types_error_code *ret)
{
    struct outbound_request out = {0};
    if (request->node.children)
        return host_trap(h, "outgoing-request handed over before its headers were dropped");
    host_release(h, &request->node, "outgoing-request");
    int error = prepare(h, request, &out);
    take_options(options, &out);
    ret->err = error >= 0;
    if (ret->err)
        ret->error = (struct wasi_http_types_error_code){.tag = (code_tag)error};
    else
        ret->ok = HOST_NEW(h, future_t, NULL);
    bool done = ret->err || (ret->ok && begin_call(h, request, &out, ret->ok));
    free_request(h, request);
    if (options->some)
        host_drop_node(h, &options->value->node, "request-options");
    return done;
}

/* ---- future-incoming-response ---- */

static bool has_answer(const future_t *future)
{
    return future->taken || future->call->call->state != OUTBOUND_WAITING;
}

static bool future_ready(struct host *h, const struct wasi_io_pollable *p)
{
    return has_answer(p->object);
}

bool wasi_http_types_future_incoming_response_subscribe(struct host *h, future_t *self, struct wasi_io_pollable **ret)
{
    *ret = pollable_new(h, &self->node, future_ready, self, HOST_FOREVER);
    return *ret != NULL;
}

/* The response takes the future's place. A call that failed behind its head is one whose body will fail. */
static bool give_response(struct host *h, future_t *future, struct wasi_http_incoming_response **ret)
{
    const struct outbound_call *call = future->call->call;
    incoming_t *response = HOST_NEW(h, incoming_t, NULL);
    if (!response)
        return false;
    response->fields = fields_copied(h, call->fields, call->field_count, NULL);
    response->call = future->call;
    future->call = NULL;
    *ret = response;
    return response->fields != NULL;
}

bool wasi_http_types_future_incoming_response_get(
    struct host *h, future_t *self,
    struct option_result_result_wasi_http_incoming_response_wasi_http_types_error_code_void *ret)
{
    ret->some = has_answer(self);
    if (!ret->some)
        return true;
    ret->value.err = self->taken;
    if (self->taken)
        return true;
    self->taken = true;
    const struct outbound_call *call = self->call->call;
    ret->value.ok.err = call->status == 0;
    if (!ret->value.ok.err)
        return give_response(h, self, &ret->value.ok.ok);
    ret->value.ok.error = call->error;
    return true;
}

void wasi_http_future_incoming_response_drop(struct host *h, future_t *self)
{
    struct outgoing_call *call = self->node.children ? NULL : self->call;
    host_drop_node(h, &self->node, "future-incoming-response");
    if (call)
        outgoing_leave(call, true);
}

/* ---- incoming-response ---- */

bool wasi_http_types_incoming_response_status(struct host *h, incoming_t *self, uint16_t *ret)
{
    *ret = (uint16_t)self->call->call->status;
    return true;
}

bool wasi_http_types_incoming_response_headers(struct host *h, incoming_t *self, struct wasi_http_fields **ret)
{
    *ret = fields_view(h, self->fields, &self->node);
    return *ret != NULL;
}

/* Once. */
bool wasi_http_types_incoming_response_consume(struct host *h, incoming_t *self,
                                               struct result_wasi_http_incoming_body_void *ret)
{
    ret->err = self->consumed;
    if (self->consumed)
        return true;
    ret->ok = HOST_NEW(h, struct wasi_http_incoming_body, NULL);
    if (!ret->ok)
        return false;
    self->consumed = true;
    ret->ok->call = self->call;
    self->call->readers++;
    return true;
}

void wasi_http_incoming_response_drop(struct host *h, incoming_t *self)
{
    if (!host_release(h, &self->node, "incoming-response"))
        return;
    fields_leave(h, self->fields);
    outgoing_leave(self->call, true);
    host_node_free(h, &self->node);
}
