/* wasi:http/types, bodies that come in: incoming-body and future-trailers, of the incoming request and of responses to
 * requests of the guest's own. They come while the guest reads; when it reads no more (finish), what is left of them is
 * skipped. A request's body that is all here is read where it lies. */
#include "wasi/object.h"

/* ---- of responses ---- */

static struct wasi_io_error *call_error(struct host *h, const struct outbound_call *call)
{
    struct wasi_io_error *error = HOST_NEW(h, struct wasi_io_error, NULL);
    if (!error)
        return NULL;
    error->message = STR("the response's body did not come whole");
    error->has_code = true;
    error->code = call->error;
    return error;
}

static bool read_call(struct host *h, struct wasi_io_input_stream *s, uint64_t size, struct str *ret_bytes,
                      bool *ret_closed, struct wasi_io_error **ret_why)
{
    struct outgoing_call *outgoing = s->source;
    struct outbound_call *call = outgoing->call;
    size_t n = call->body.len < size ? call->body.len : (size_t)size;
    if (call->body.len == 0 && call->state == OUTBOUND_FAILED)
        *ret_why = call_error(h, call);
    *ret_closed = call->body.len == 0 && call->state >= OUTBOUND_DONE;
    if (call->body.len == 0 && call->state == OUTBOUND_FAILED && !*ret_why)
        return false;
    if (n == 0)
        return true;
    char *copy = arena_copy(&h->scratch, call->body.ptr, n);
    if (!copy)
        return host_no_memory(h);
    *ret_bytes = (struct str){copy, n};
    call->face->take(call, n);
    return true;
}

static bool call_readable(struct host *h, struct wasi_io_input_stream *s)
{
    const struct outbound_call *call = ((struct outgoing_call *)s->source)->call;
    return call->body.len || call->state >= OUTBOUND_DONE;
}

static const struct input_kind input_call = {read_call, call_readable, NULL};

/* ---- of the request ---- */

static struct wasi_http_types_error_code code_of(enum http_body_fault fault)
{
#define CODE(name) WASI_HTTP_TYPES_ERROR_CODE_##name
    static const enum wasi_http_types_error_code_tag tags[HTTP_BODY_FAULT_COUNT] = {
        [HTTP_BODY_CUT] = CODE(CONNECTION_TERMINATED),     [HTTP_BODY_LATE] = CODE(CONNECTION_READ_TIMEOUT),
        [HTTP_BODY_MALFORMED] = CODE(HTTP_PROTOCOL_ERROR), [HTTP_BODY_TOO_LONG] = CODE(HTTP_REQUEST_BODY_SIZE),
        [HTTP_BODY_NO_MEMORY] = CODE(INTERNAL_ERROR),
    };
#undef CODE
    return (struct wasi_http_types_error_code){.tag = tags[fault]};
}

/* Why no more will come; HTTP_BODY_SOUND: it is whole, or will be. */
static enum http_body_fault fault_of(const struct host *h)
{
    if (h->gone)
        return HTTP_BODY_CUT;
    return h->request ? h->request->fault : HTTP_BODY_SOUND;
}

static struct str request_bytes(const struct host *h)
{
    return h->request ? h->request->body : STR("");
}

/* Nothing is here and more will be: then the client is asked for it. */
static bool request_awaited(struct host *h)
{
    bool awaited = h->request && h->request->coming && h->request->body.len == 0;
    if (awaited)
        h->face->want(h->exchange);
    return awaited;
}

static struct wasi_io_error *request_error(struct host *h)
{
    struct wasi_io_error *error = HOST_NEW(h, struct wasi_io_error, NULL);
    if (!error)
        return NULL;
    error->message = STR("the request's body did not come whole");
    error->has_code = true;
    error->code = code_of(fault_of(h));
    return error;
}

static bool read_request(struct host *h, struct wasi_io_input_stream *s, uint64_t size, struct str *ret_bytes,
                         bool *ret_closed, struct wasi_io_error **ret_why)
{
    struct str here = request_bytes(h);
    size_t n = here.len < size ? here.len : (size_t)size;
    *ret_closed = here.len == 0 && !(h->request && h->request->coming);
    if (*ret_closed && fault_of(h) && !(*ret_why = request_error(h)))
        return false;
    if (n == 0)
        return true;
    if (h->request->coming) { /* its place will be used again */
        n = n < HOST_BUFFER_BYTES ? n : HOST_BUFFER_BYTES;
        uint8_t *copy = host_buffer(h, n);
        if (!copy)
            return false;
        here.ptr = memcpy(copy, here.ptr, n);
    }
    *ret_bytes = (struct str){here.ptr, n};
    request_take(h, n);
    return true;
}

static bool request_readable(struct host *h, struct wasi_io_input_stream *s)
{
    return !request_awaited(h);
}

const struct input_kind input_request = {read_request, request_readable, NULL};

/* ---- incoming-body ---- */

bool wasi_http_types_incoming_body_stream(struct host *h, struct wasi_http_incoming_body *self,
                                          struct result_wasi_io_input_stream_void *ret)
{
    ret->err = self->streamed;
    if (self->streamed)
        return true;
    self->streamed = true;
    ret->ok = HOST_NEW(h, struct wasi_io_input_stream, &self->node);
    if (!ret->ok)
        return false;
    ret->ok->kind = self->call ? &input_call : &input_request;
    ret->ok->source = self->call;
    return true;
}

bool wasi_http_types_incoming_body_finish(struct host *h, struct wasi_http_incoming_body *this,
                                          struct wasi_http_future_trailers **ret)
{
    struct outgoing_call *call = this->call;
    if (this->node.children)
        return host_trap(h, "incoming-body finished before its stream was dropped");
    struct wasi_http_future_trailers *trailers = HOST_NEW(h, struct wasi_http_future_trailers, NULL);
    if (!trailers)
        return false;
    trailers->call = call; /* which it holds in place of the body */
    host_drop_node(h, &this->node, "incoming-body");
    *ret = trailers;
    return true;
}

void wasi_http_incoming_body_drop(struct host *h, struct wasi_http_incoming_body *self)
{
    struct outgoing_call *call = self->node.children ? NULL : self->call;
    host_drop_node(h, &self->node, "incoming-body");
    if (call)
        outgoing_leave(call, true);
}

/* ---- future-trailers ---- */

/* ---- the way to the trailers ----
 * What is left of the body is in it, and may come faster than it is taken: only so much of it at a time. */

#define TAKES 16u

static bool request_trailers_here(struct host *h)
{
    for (unsigned i = 0; i < TAKES && h->request && h->request->coming && h->request->body.len; i++)
        request_take(h, h->request->body.len);
    h->again |= h->request && h->request->coming && h->request->body.len;
    return !(h->request && h->request->coming) || (request_awaited(h), false);
}

static bool call_trailers_here(struct host *h, struct outbound_call *call)
{
    for (unsigned i = 0; i < TAKES && call->body.len && call->state < OUTBOUND_DONE; i++)
        call->face->take(call, call->body.len);
    h->again |= call->body.len && call->state < OUTBOUND_DONE;
    return call->state >= OUTBOUND_DONE;
}

static bool trailers_here(struct host *h, struct outgoing_call *outgoing)
{
    if (!outgoing)
        return request_trailers_here(h);
    return !outgoing->call || call_trailers_here(h, outgoing->call);
}

static bool trailers_ready(struct host *h, const struct wasi_io_pollable *p)
{
    return trailers_here(h, ((struct wasi_http_future_trailers *)p->object)->call);
}

bool wasi_http_types_future_trailers_subscribe(struct host *h, struct wasi_http_future_trailers *self,
                                               struct wasi_io_pollable **ret)
{
    *ret = pollable_new(h, &self->node, trailers_ready, self, HOST_FOREVER);
    return *ret != NULL;
}

typedef struct result_option_wasi_http_fields_wasi_http_types_error_code trailers_result;

static bool trailers_of_request(struct host *h, trailers_result *ret)
{
    enum http_body_fault fault = fault_of(h);
    ret->err = fault != HTTP_BODY_SOUND;
    if (ret->err) {
        ret->error = code_of(fault);
        return true;
    }
    ret->ok.some = h->request && h->request->trailer_count;
    if (!ret->ok.some)
        return true;
    ret->ok.value = fields_of_message(h, h->request->trailers, h->request->trailer_count, NULL);
    return ret->ok.value != NULL;
}

static bool trailers_of_call(struct host *h, const struct outbound_call *call, trailers_result *ret)
{
    ret->err = call->state == OUTBOUND_FAILED;
    if (ret->err) {
        ret->error = call->error;
        return true;
    }
    ret->ok.some = call->trailer_count > 0;
    if (!ret->ok.some)
        return true;
    ret->ok.value = fields_copied(h, call->trailers, call->trailer_count, NULL);
    return ret->ok.value != NULL;
}

/* some(ok(ok(trailers))) the first time that they are known, some(err) after that. */
bool wasi_http_types_future_trailers_get(
    struct host *h, struct wasi_http_future_trailers *self,
    struct option_result_result_option_wasi_http_fields_wasi_http_types_error_code_void *ret)
{
    ret->some = trailers_here(h, self->call);
    if (!ret->some)
        return true;
    ret->value.err = self->taken;
    if (self->taken)
        return true;
    self->taken = true;
    return self->call ? trailers_of_call(h, self->call->call, &ret->value.ok) : trailers_of_request(h, &ret->value.ok);
}

void wasi_http_future_trailers_drop(struct host *h, struct wasi_http_future_trailers *self)
{
    struct outgoing_call *call = self->node.children ? NULL : self->call;
    host_drop_node(h, &self->node, "future-trailers");
    if (call)
        outgoing_leave(call, true);
}
