/* wasi:http/types, what goes out: response-outparam, outgoing-response, outgoing-body; and how the host sends the
 * response.
 *
 * A body is gathered until the guest is done, so that the response can say its length and leave in one piece.
 * It is sent in pieces as soon as it is longer than HOST_STREAM_BYTES, or when the guest waits: for a client may send
 * what it waits for only after it has seen the head. In both cases only once the outparam is set.
 *
 * A guest that waits when its response is complete, and nothing of the request is coming any more, goes on without a
 * client: the end goes out and the exchange is over. */
#include "wasi/object.h"

#include "base/log.h"

#include <stdio.h>

typedef struct wasi_http_outgoing_response response_t;
typedef struct wasi_http_outgoing_body body_t;
typedef struct result_void_wasi_http_types_error_code finish_result;

/* ---- outgoing-response ---- */

bool wasi_http_types_outgoing_response_constructor(struct host *h, struct wasi_http_fields *headers, response_t **ret)
{
    response_t *response = HOST_NEW(h, response_t, NULL);
    if (!response || !host_release(h, &headers->node, "fields"))
        return false;
    headers->immutable = true;
    response->status = 200;
    response->fields = headers;
    *ret = response;
    return true;
}

bool wasi_http_types_outgoing_response_status_code(struct host *h, response_t *self, uint16_t *ret)
{
    *ret = (uint16_t)self->status;
    return true;
}

bool wasi_http_types_outgoing_response_set_status_code(struct host *h, response_t *self, uint16_t status_code,
                                                       struct result_void_void *ret)
{
    ret->err = status_code < 100 || status_code > 999;
    if (!ret->err)
        self->status = status_code;
    return true;
}

bool wasi_http_types_outgoing_response_headers(struct host *h, response_t *self, struct wasi_http_fields **ret)
{
    *ret = fields_view(h, self->fields, &self->node);
    return *ret != NULL;
}

/* Once. */
bool wasi_http_types_outgoing_response_body(struct host *h, response_t *self,
                                            struct result_wasi_http_outgoing_body_void *ret)
{
    ret->err = self->body != NULL;
    if (ret->err)
        return true;
    body_t *body = HOST_NEW(h, body_t, NULL);
    if (!body)
        return false;
    body->sized = fields_length(self->fields, &body->length);
    self->body = body;
    ret->ok = body;
    return true;
}

void wasi_http_outgoing_response_drop(struct host *h, response_t *self)
{
    host_release(h, &self->node, "outgoing-response");
}

/* ---- outgoing-body ---- */

static bool is_current(const struct host *h, const body_t *body)
{
    return h->response && h->response->body == body;
}

/* The answer to HEAD may tell a length and have no bytes (RFC 9110 section 9.3.2). */
static bool is_head(const struct host *h)
{
    return h->request && str_eq(h->request->method, STR("HEAD"));
}

static struct wasi_http_types_error_code size_code(const body_t *body, uint64_t written)
{
    struct wasi_http_types_error_code code = {.tag = body->of_request
                                                         ? WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_BODY_SIZE
                                                         : WASI_HTTP_TYPES_ERROR_CODE_HTTP_RESPONSE_BODY_SIZE};
    code.http_request_body_size = (struct option_u64){true, written}; /* where the response's is, too */
    return code;
}

/* The body of a request on its way has its end, or will never have one. */
static void end_request_body(body_t *body)
{
    const struct wasi_http_fields *trailers = body->trailers;
    struct outgoing_call *outgoing = body->call;
    if (!outgoing)
        return;
    struct outbound_call *call = outgoing->call;
    if (call && body->state == BODY_FINISHED)
        call->face->finish(call, trailers ? trailers->items : NULL, trailers ? trailers->count : 0);
    else if (call)
        call->face->corrupt(call);
    body->call = NULL;
    outgoing_leave(outgoing, false);
}

/* Once. */
bool wasi_http_types_outgoing_body_write(struct host *h, body_t *self, struct result_wasi_io_output_stream_void *ret)
{
    ret->err = self->streamed;
    if (ret->err)
        return true;
    self->streamed = true;
    ret->ok = HOST_NEW(h, struct wasi_io_output_stream, &self->node);
    if (!ret->ok)
        return false;
    ret->ok->kind = &output_body;
    ret->ok->body = self;
    return true;
}

/* As long as it was said to be; the answer to HEAD may have nothing. */
static bool is_whole(const struct host *h, const body_t *body)
{
    bool empty_head = body->written == 0 && !body->of_request && is_head(h);
    return !body->sized || body->written == body->length || empty_head;
}

bool wasi_http_types_outgoing_body_finish(struct host *h, body_t *this, const struct option_wasi_http_fields *trailers,
                                          finish_result *ret)
{
    if (!host_release(h, &this->node, "outgoing-body"))
        return false;
    if (trailers->some && !host_release(h, &trailers->value->node, "fields"))
        return false;
    this->trailers = trailers->some ? trailers->value : NULL;
    ret->err = !is_whole(h, this);
    this->state = ret->err ? BODY_CORRUPT : BODY_FINISHED;
    if (ret->err)
        ret->error = size_code(this, this->written);
    if (this->of_request)
        end_request_body(this);
    return true;
}

/* Not finished: what the client gets must not look whole. */
void wasi_http_outgoing_body_drop(struct host *h, body_t *self)
{
    if (!host_release(h, &self->node, "outgoing-body"))
        return;
    self->state = BODY_CORRUPT;
    if (self->of_request)
        end_request_body(self);
}

static struct wasi_io_error *new_error(struct host *h, struct str message)
{
    struct wasi_io_error *error = HOST_NEW(h, struct wasi_io_error, NULL);
    if (error)
        error->message = message;
    return error;
}

static struct wasi_io_error *size_error(struct host *h, const body_t *body, uint64_t written)
{
    struct wasi_io_error *error = new_error(h, STR("more bytes than content-length says"));
    if (!error)
        return NULL;
    error->has_code = true;
    error->code = size_code(body, written);
    return error;
}

/* The buffer doubles. */
static bool make_room(struct host *h, body_t *body, size_t size)
{
    size_t capacity = body->capacity ? body->capacity : 512;
    if (size <= body->capacity - body->size)
        return true;
    while (capacity - body->size < size)
        capacity *= 2;
    char *bytes = host_bytes_take(h, capacity);
    if (!bytes)
        return host_no_memory(h);
    if (body->size)
        memcpy(bytes, body->bytes, body->size);
    host_bytes_give(h, body->bytes, body->capacity);
    body->bytes = bytes;
    body->capacity = capacity;
    return true;
}

static size_t body_max(const struct host *h)
{
    return h->config->body_max ? h->config->body_max : HOST_BODY_DEFAULT;
}

/* ---- a request on its way takes its body as it comes ---- */

static size_t call_room(const body_t *body)
{
    struct outbound_call *call = body->call->call;
    size_t room = call ? call->face->room(call) : SIZE_MAX;
    return room < HOST_STREAM_BYTES ? room : HOST_STREAM_BYTES;
}

static bool write_call(struct host *h, body_t *body, struct str bytes, struct wasi_io_error **ret_why)
{
    struct outbound_call *call = body->call->call;
    /* A request that fails early fails while its body would still be in a buffer: guests look for the reason where the
     * response comes, and some end when the first write fails. */
    if (call && call->state == OUTBOUND_FAILED && bytes.len <= HOST_STREAM_BYTES &&
        body->written <= HOST_STREAM_BYTES - bytes.len) {
        body->written += bytes.len;
        return true;
    }
    if (!call || !call->face->write(call, bytes)) {
        if (call && call->state == OUTBOUND_FAILED && (*ret_why = new_error(h, STR("the request failed")))) {
            (*ret_why)->has_code = true;
            (*ret_why)->code = call->error;
        }
        return false;
    }
    body->written += bytes.len;
    return true;
}

static size_t body_room(struct host *h, struct wasi_io_output_stream *s)
{
    body_t *body = s->body;
    if (body->call)
        return call_room(body);
    if (!is_current(h, body) || h->response_state == RESPONSE_SET)
        return HOST_STREAM_BYTES;
    if (h->response_state != RESPONSE_STREAMING || !h->exchange)
        return HOST_STREAM_BYTES; /* the write will say that it is closed */
    size_t room = h->face->room(h->exchange);
    return room > body->size ? room - body->size : 0;
}

static bool body_write(struct host *h, struct wasi_io_output_stream *s, struct str bytes,
                       struct wasi_io_error **ret_why)
{
    body_t *body = s->body;
    if (!body->of_request && (h->gone || h->response_state == RESPONSE_FAILED))
        return false;
    if (body->sized && bytes.len > body->length - body->written) {
        *ret_why = size_error(h, body, body->written + bytes.len);
        body->state = BODY_CORRUPT;
        return false;
    }
    if (body->call)
        return write_call(h, body, bytes, ret_why);
    if (bytes.len > body_max(h) - body->size) {
        *ret_why = new_error(h, STR("the response is not sent yet, and its body is too large to be kept"));
        return false;
    }
    if (!make_room(h, body, bytes.len))
        return false;
    if (bytes.len)
        memcpy(body->bytes + body->size, bytes.ptr, bytes.len);
    body->size += bytes.len;
    body->written += bytes.len;
    return !is_current(h, body) || body->size < HOST_STREAM_BYTES || response_push(h);
}

const struct output_kind output_body = {body_room, body_write, NULL, false};

/* ---- errors ---- */

bool wasi_http_types_http_error_code(struct host *h, struct wasi_io_error *err_,
                                     struct option_wasi_http_types_error_code *ret)
{
    ret->some = err_->has_code;
    if (ret->some)
        ret->value = err_->code;
    return true;
}

/* The status that stands for an error which the guest gives instead of a response. */
static unsigned status_of(enum wasi_http_types_error_code_tag tag)
{
    switch (tag) {
    case WASI_HTTP_TYPES_ERROR_CODE_DNS_TIMEOUT:
    case WASI_HTTP_TYPES_ERROR_CODE_CONNECTION_TIMEOUT:
    case WASI_HTTP_TYPES_ERROR_CODE_CONNECTION_READ_TIMEOUT:
    case WASI_HTTP_TYPES_ERROR_CODE_CONNECTION_WRITE_TIMEOUT:
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_RESPONSE_TIMEOUT: return 504;
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_DENIED: return 403;
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_LENGTH_REQUIRED: return 411;
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_BODY_SIZE: return 413;
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_METHOD_INVALID: return 405;
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_URI_INVALID: return 400;
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_URI_TOO_LONG: return 414;
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_HEADER_SECTION_SIZE:
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_HEADER_SIZE:
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_TRAILER_SECTION_SIZE:
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_TRAILER_SIZE: return 431;
    case WASI_HTTP_TYPES_ERROR_CODE_LOOP_DETECTED: return 508;
    case WASI_HTTP_TYPES_ERROR_CODE_CONFIGURATION_ERROR:
    case WASI_HTTP_TYPES_ERROR_CODE_INTERNAL_ERROR: return 500;
    default: return 502; /* something that this function called */
    }
}

/* ---- response-outparam ---- */

bool wasi_http_types_response_outparam_set(
    struct host *h, struct wasi_http_response_outparam *param,
    const struct result_wasi_http_outgoing_response_wasi_http_types_error_code *response)
{
    host_drop_node(h, &param->node, "response-outparam");
    if (h->response_state != RESPONSE_NONE)
        return host_trap(h, "the response was set before");
    h->response_state = RESPONSE_SET;
    if (response->err) {
        h->failure = status_of(response->error.tag);
        return true;
    }
    if (!host_release(h, &response->ok->node, "outgoing-response"))
        return false;
    h->response = response->ok;
    body_t *body = h->response->body;
    return !body || body->size < HOST_STREAM_BYTES || response_push(h) || !h->store->trap;
}

void wasi_http_response_outparam_drop(struct host *h, struct wasi_http_response_outparam *self)
{
    host_drop_node(h, &self->node, "response-outparam");
}

/* ---- sending ---- */

static bool start(struct host *h)
{
    const struct wasi_http_fields *fields = h->response->fields;
    const body_t *body = h->response->body;
    uint64_t said;
    uint16_t status = h->response->status;
    bool all_here = body ? body->state == BODY_FINISHED && !body->sized && !body->trailers
                         : !is_head(h) && !fields_length(fields, &said);
    uint32_t count = fields->count;
    const struct http_field *items = fields->items;
    char digits[24];
    if (all_here && status != 204 && status != 304) { /* say its length after all */
        struct http_field *longer = ARENA_ARRAY(&h->arena, struct http_field, count + 1);
        if (!longer)
            return host_no_memory(h);
        if (count)
            memcpy(longer, items, count * sizeof *items);
        int n = snprintf(digits, sizeof digits, "%zu", body ? body->size : 0);
        longer[count++] = (struct http_field){STR("content-length"), {digits, (size_t)n}};
        items = longer;
    }
    return h->face->start(h->exchange, status, items, count);
}

/* Send the head if it is not sent, and what there is of the body. */
bool response_push(struct host *h)
{
    body_t *body = h->response ? h->response->body : NULL;
    if (!h->response || !h->exchange || h->response_state == RESPONSE_FAILED || (body && body->state == BODY_CORRUPT))
        return false;
    if (h->response_state == RESPONSE_SET) {
        if (!start(h)) {
            h->response_state = RESPONSE_NONE; /* nothing was sent: the end of the activity answers */
            h->failure = 502;
            h->response = NULL;
            return false;
        }
        h->response_state = RESPONSE_STREAMING;
    }
    bool sent = h->face->write(h->exchange, body ? (struct str){body->bytes, body->size} : STR(""));
    if (body)
        body->size = 0;
    if (!sent)
        h->response_state = RESPONSE_FAILED;
    return sent;
}

/* It says how long its body is, and has none. */
static bool lacks_body(const struct host *h, const response_t *response)
{
    uint64_t length = 0;
    return !response->body && response->status != 304 && !is_head(h) && fields_length(response->fields, &length) &&
           length;
}

/* Is there something for the client to see? What is on its way to the guest already needs no answer to come. */
static bool wants_push(const struct host *h, const response_t *response)
{
    const body_t *body = response->body;
    if (!body)
        return h->response_state == RESPONSE_SET && !lacks_body(h, response);
    if (body->state == BODY_FINISHED)
        return h->response_state == RESPONSE_SET || body->size;
    return body->flushed || !h->again;
}

/* ---- the end ---- */

static enum host_outcome complain(struct host *h, enum host_outcome outcome, const char *what)
{
    char room[TRACE_SCOPE_SIZE];
    log_line(LOG_ERROR, host_scope(h, room), "%s", what);
    return outcome;
}

/* Only a stream can carry them. */
static enum host_outcome end_with_trailers(struct host *h)
{
    const struct wasi_http_fields *trailers = h->response->body->trailers;
    if (!response_push(h))
        return h->response_state == RESPONSE_FAILED ? HOST_BROKEN : HOST_UNANSWERED;
    h->face->finish(h->exchange, trailers->items, trailers->count);
    return HOST_ANSWERED;
}

static enum host_outcome end_whole(struct host *h)
{
    const response_t *response = h->response;
    const body_t *body = response->body;
    if (lacks_body(h, response))
        return complain(h, HOST_UNANSWERED, "the response has no body, of the length that it said");
    if (body && body->state != BODY_FINISHED)
        return complain(h, HOST_UNANSWERED, "the response's body was not finished, or not as long as it said");
    if (body && body->trailers)
        return end_with_trailers(h);
    struct str bytes = {body ? body->bytes : NULL, body ? body->size : 0};
    if (h->face->respond(h->exchange, response->status, response->fields->items, response->fields->count, bytes))
        return HOST_ANSWERED;
    return complain(h, HOST_UNANSWERED, "the response cannot be sent: its status, a field, or the connection");
}

static enum host_outcome end_stream(struct host *h)
{
    const body_t *body = h->response->body;
    if (body && body->state != BODY_FINISHED)
        return complain(h, HOST_BROKEN, "the response's body was not finished, or not as long as it said");
    if (!response_push(h))
        return HOST_BROKEN;
    const struct wasi_http_fields *trailers = body ? body->trailers : NULL;
    h->face->finish(h->exchange, trailers ? trailers->items : NULL, trailers ? trailers->count : 0);
    return HOST_ANSWERED;
}

/* A plain answer in place of the one that the guest did not give. */
static enum host_outcome end_failure(struct host *h)
{
    static const struct http_field type = {{"content-type", 12}, {"text/plain; charset=utf-8", 25}};
    char text[64];
    int n = snprintf(text, sizeof text, "%u the function failed\n", h->failure);
    return h->face->respond(h->exchange, h->failure, &type, 1, (struct str){text, (size_t)n}) ? HOST_ANSWERED
                                                                                              : HOST_UNANSWERED;
}

/* ---- on its own ---- */

/* Both directions of the exchange have come to their end. */
static bool is_over(const struct host *h)
{
    const body_t *body = h->response ? h->response->body : NULL;
    bool whole = h->response ? h->response_state == RESPONSE_STREAMING && (!body || body->state == BODY_FINISHED)
                             : h->response_state == RESPONSE_SET && h->failure;
    return whole && !h->request->coming && !h->request->fault && !h->config->wagi_argv;
}

/* The client waits for the end, and the guest for something else: from here on it has no client. */
static bool go_on_alone(struct host *h)
{
    const body_t *body = h->response ? h->response->body : NULL;
    const struct wasi_http_fields *trailers = body ? body->trailers : NULL;
    if (!request_part(h) || (!h->response && end_failure(h) != HOST_ANSWERED))
        return false;
    if (h->response)
        h->face->finish(h->exchange, trailers ? trailers->items : NULL, trailers ? trailers->count : 0);
    h->exchange = NULL;
    return true;
}

void host_yielding(struct host *h)
{
    if (!h->exchange || (h->response && wants_push(h, h->response) && !response_push(h)) || h->tied || !is_over(h))
        return;
    h->tied = !go_on_alone(h);
}

/* The guest did everything for its response, whatever became of it then. */
bool response_complete(const struct host *h)
{
    const body_t *body = h->response ? h->response->body : NULL;
    if (h->failure)
        return true;
    return h->response_state != RESPONSE_NONE && h->response_state != RESPONSE_FAILED &&
           (!body || body->state == BODY_FINISHED);
}

/* A body that the guest returned without having finished or dropped ends there. The specification has no word for it;
 * Spin's SDK for Go leaves all bodies so, and the runtimes that it is used with take them as finished. */
static void end_body(const struct host *h)
{
    body_t *body = h->response ? h->response->body : NULL;
    if (body && body->state == BODY_OPEN)
        body->state = is_whole(h, body) ? BODY_FINISHED : BODY_CORRUPT;
}

enum host_outcome response_end(struct host *h)
{
    if (h->failure)
        return end_failure(h);
    end_body(h);
    switch (h->response_state) {
    case RESPONSE_SET: return end_whole(h);
    case RESPONSE_STREAMING: return end_stream(h);
    case RESPONSE_FAILED: return HOST_BROKEN;
    default: return complain(h, HOST_UNANSWERED, "returned without setting a response");
    }
}
