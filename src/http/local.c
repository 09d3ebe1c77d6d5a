/* See local.h. `face` is what the caller holds, `x` what the service holds; a call is freed when both have let go of
 * it.
 *
 * Invariants: the service and the caller are called in `move` only, which the loop runs. `over`: the service has no
 * exchange any more. What the caller sees is never changed once its state is DONE or FAILED. */
#include "http/local.h"

#include "base/alloc.h"
#include "http/connection.h"

#define CODE(name) WASI_HTTP_TYPES_ERROR_CODE_##name
#define NUMBER_SIZE 24u /* a length as text */

/* A body on its way. */
struct pipe {
    struct buf bytes; /* from `at` on not taken */
    size_t at;
};

/* Texts and fields in one piece of memory. */
struct kept {
    struct http_field *items;
    uint32_t count;
    char *at; /* what is free of it */
};

struct local_call {
    struct outbound_call face;
    struct http_exchange x;
    struct http_local *local;
    struct local_call *next, **link;
    struct io_post post;
    struct io_timer timer;
    struct http_local_origin origin;
    struct pipe up, down;                     /* the request's body, the response's */
    struct kept head, tail, answer, trailers; /* what both requests and responses have before and behind it */
    uint64_t came;                            /* bytes of the request's body */
    uint64_t first_byte_us, between_us, moved_us;
    bool begun, sent, dropped, over;
    bool moving, tell_caller, tell_callee;
};

struct http_local {
    struct io_loop *loop;
    const struct http_service *service;
    struct local_call *calls;
    uint32_t count;
    size_t held; /* of bodies, by all of them */
    bool closed;
};

/* ---- bodies ---- */

static struct str pipe_view(const struct pipe *pipe)
{
    size_t left = pipe->bytes.size - pipe->at;
    return left ? (struct str){(const char *)pipe->bytes.data + pipe->at, left} : (struct str){NULL, 0};
}

static size_t pipe_room(const struct pipe *pipe)
{
    size_t left = pipe->bytes.size - pipe->at;
    return left < HTTP_LOCAL_ROOM ? HTTP_LOCAL_ROOM - left : 0;
}

static bool pipe_put(struct local_call *call, struct pipe *pipe, struct str bytes)
{
    struct http_local *local = call->local;
    if (pipe->at) { /* what is taken makes way */
        pipe->bytes.size -= pipe->at;
        memmove(pipe->bytes.data, pipe->bytes.data + pipe->at, pipe->bytes.size);
        pipe->at = 0;
    }
    if (bytes.len > HTTP_LOCAL_HELD - local->held || (bytes.len && !buf_append(&pipe->bytes, bytes.ptr, bytes.len)))
        return false;
    local->held += bytes.len;
    return true;
}

static void pipe_take(struct local_call *call, struct pipe *pipe, size_t size)
{
    pipe->at += size;
    call->local->held -= size;
}

static void pipe_free(struct local_call *call, struct pipe *pipe)
{
    pipe_take(call, pipe, pipe->bytes.size - pipe->at);
    buf_free(&pipe->bytes);
}

/* ---- heads ---- */

static bool kept_begin(struct kept *kept, const struct http_field *fields, size_t count, size_t more)
{
    size_t size = (count + 1) * sizeof *fields + NUMBER_SIZE + sizeof "content-length" + more;
    for (size_t i = 0; i < count; i++)
        size += fields[i].name.len + fields[i].value.len;
    kept->items = mem_alloc(1, size);
    kept->at = (char *)(kept->items + count + 1);
    return kept->items != NULL;
}

static struct str kept_text(struct kept *kept, struct str text)
{
    char *copy = kept->at;
    if (text.len)
        memcpy(copy, text.ptr, text.len);
    kept->at += text.len;
    return (struct str){copy, text.len};
}

/* Names of messages that come in are in lower case. */
static void kept_add(struct kept *kept, struct str name, struct str value)
{
    char *lower = kept->at;
    for (size_t i = 0; i < name.len; i++)
        lower[i] = (char)http_token_lower[(uint8_t)name.ptr[i]];
    kept->at += name.len;
    kept->items[kept->count++] = (struct http_field){{lower, name.len}, kept_text(kept, value)};
}

static void kept_add_length(struct kept *kept, uint64_t length)
{
    char room[NUMBER_SIZE];
    struct http_out out = {room, 0, sizeof room};
    http_out_number(&out, length, 10);
    kept_add(kept, STR("content-length"), (struct str){room, out.size});
}

/* Without what belongs to a connection, or says where the message ends. */
static void kept_add_all(struct kept *kept, const struct http_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!http_is_hop_name(fields[i].name) && !http_is_same(fields[i].name, STR("content-length")) &&
            !http_is_same(fields[i].name, STR("host")))
            kept_add(kept, fields[i].name, fields[i].value);
}

static bool kept_trailers(struct kept *kept, const struct http_field *trailers, size_t count)
{
    if (!count)
        return true;
    if (!kept_begin(kept, trailers, count, 0))
        return false;
    for (size_t i = 0; i < count; i++)
        if (http_is_trailer(&trailers[i]))
            kept_add(kept, trailers[i].name, trailers[i].value);
    return true;
}

/* ---- telling ---- */

static void tell(struct local_call *call, bool *whom)
{
    *whom = true;
    if (!call->moving)
        io_post(call->local->loop, &call->post);
}

/* What the caller's options say of time; otherwise the limits of its own request hold. */
static uint64_t deadline_us(const struct local_call *call)
{
    if (call->face.state == OUTBOUND_WAITING && call->sent && call->first_byte_us)
        return call->moved_us + call->first_byte_us;
    if (call->face.state == OUTBOUND_ANSWERED && !call->face.body.len && call->between_us)
        return call->moved_us + call->between_us;
    return UINT64_MAX;
}

static void set_timer(struct local_call *call)
{
    uint64_t when_us = deadline_us(call);
    if (when_us == UINT64_MAX)
        io_timer_stop(call->local->loop, &call->timer);
    else
        io_timer_set(call->local->loop, &call->timer, when_us);
}

static void moved(struct local_call *call)
{
    call->moved_us = io_now_us(call->local->loop);
    set_timer(call);
}

static void show_request(struct local_call *call)
{
    call->x.parser.request.body = pipe_view(&call->up);
    if (call->x.wants_body)
        tell(call, &call->tell_callee);
    call->x.wants_body = false;
}

static void show_response(struct local_call *call)
{
    call->face.body = pipe_view(&call->down);
    moved(call);
    tell(call, &call->tell_caller);
}

static void settle(struct local_call *call, enum outbound_state state)
{
    if (call->face.state >= OUTBOUND_DONE)
        return;
    call->face.state = state;
    set_timer(call);
    tell(call, &call->tell_caller);
}

static void fail(struct local_call *call, enum wasi_http_types_error_code_tag tag)
{
    if (call->face.state < OUTBOUND_DONE)
        call->face.error = (struct wasi_http_types_error_code){.tag = tag};
    settle(call, OUTBOUND_FAILED);
}

/* ---- the callee's side ---- */

static struct local_call *call_of(void *exchange)
{
    return IO_OWNER((struct http_exchange *)exchange, struct local_call, x);
}

static void answer_over(struct local_call *call, enum outbound_state state)
{
    call->x.answer = HTTP_ANSWERED;
    call->over = true;
    if (state == OUTBOUND_FAILED)
        fail(call, CODE(HTTP_RESPONSE_INCOMPLETE));
    settle(call, state);
    tell(call, &call->tell_caller);
}

static void local_want(void *exchange)
{
    struct local_call *call = call_of(exchange);
    call->x.wants_body |= call->x.parser.request.coming;
}

static void local_take(void *exchange, size_t size)
{
    struct local_call *call = call_of(exchange);
    pipe_take(call, &call->up, size);
    call->x.parser.request.body = pipe_view(&call->up);
    if (call->x.parser.request.coming)
        tell(call, &call->tell_caller);
}

static bool fields_fit(const struct http_head *head)
{
    for (size_t i = 0; i < head->count; i++)
        if (!http_is_token(head->fields[i].name) || !http_is_value(head->fields[i].value))
            return false;
    return true;
}

/* The head is the caller's. */
static bool give_head(struct local_call *call, const struct http_head *head)
{
    if (!fields_fit(head) || !kept_begin(&call->answer, head->fields, head->count, 0))
        return false;
    kept_add_all(&call->answer, head->fields, head->count);
    if (head->framing == HTTP_FRAME_LENGTH)
        kept_add_length(&call->answer, head->length);
    call->face.status = head->status;
    call->face.fields = call->answer.items;
    call->face.field_count = call->answer.count;
    call->face.state = OUTBOUND_ANSWERED;
    return true;
}

static bool open_to_answer(const struct local_call *call)
{
    return call->x.answer == HTTP_UNANSWERED && !call->over && call->face.state == OUTBOUND_WAITING;
}

static bool local_respond(void *exchange, unsigned status, const struct http_field *fields, size_t count,
                          struct str body)
{
    struct local_call *call = call_of(exchange);
    struct http_head head = {
        .status = status, .fields = fields, .count = count, .framing = HTTP_FRAME_LENGTH, .length = body.len};
    bool content = exchange_has_content(&call->x, status);
    if (!content)
        exchange_frame_nothing(&head, body.len);
    if (!open_to_answer(call) || !give_head(call, &head))
        return false;
    bool whole = !content || pipe_put(call, &call->down, body);
    show_response(call);
    answer_over(call, whole ? OUTBOUND_DONE : OUTBOUND_FAILED);
    return true;
}

static bool local_start(void *exchange, unsigned status, const struct http_field *fields, size_t count)
{
    struct local_call *call = call_of(exchange);
    struct http_exchange *x = &call->x;
    struct http_head head = {.status = status, .fields = fields, .count = count, .framing = HTTP_FRAME_CHUNKED};
    x->content = exchange_has_content(x, status);
    if (!x->content)
        exchange_frame_nothing(&head, 0);
    else if (exchange_declared(fields, count, &head.length))
        head.framing = HTTP_FRAME_LENGTH;
    if (!open_to_answer(call) || !give_head(call, &head))
        return false;
    x->answer = HTTP_STREAMING;
    x->framing = head.framing;
    x->left = head.length;
    show_response(call);
    return true;
}

static bool local_write(void *exchange, struct str bytes)
{
    struct local_call *call = call_of(exchange);
    struct http_exchange *x = &call->x;
    if (x->answer != HTTP_STREAMING || call->dropped || call->face.state != OUTBOUND_ANSWERED)
        return false;
    if (!x->content || bytes.len == 0)
        return true;
    if (x->framing == HTTP_FRAME_LENGTH && bytes.len > x->left)
        return false;
    x->left -= x->framing == HTTP_FRAME_LENGTH ? bytes.len : 0;
    if (!pipe_put(call, &call->down, bytes))
        return false;
    show_response(call);
    return true;
}

static size_t local_room(void *exchange)
{
    struct local_call *call = call_of(exchange);
    call->x.wants_room |= call->face.body.len > 0;
    return pipe_room(&call->down);
}

static bool local_finish(void *exchange, const struct http_field *trailers, size_t count)
{
    struct local_call *call = call_of(exchange);
    struct http_exchange *x = &call->x;
    if (x->answer != HTTP_STREAMING)
        return false;
    bool whole = !(x->content && x->framing == HTTP_FRAME_LENGTH && x->left);
    whole = whole && kept_trailers(&call->trailers, trailers, count);
    call->face.trailers = call->trailers.items;
    call->face.trailer_count = call->trailers.count;
    answer_over(call, whole ? OUTBOUND_DONE : OUTBOUND_FAILED);
    return whole;
}

static void local_fail(struct http_exchange *x, unsigned status)
{
    char room[EXCHANGE_PLAIN_SIZE];
    struct http_head head;
    struct str body = exchange_plain(status, room, &head);
    if (!local_respond(x, status, head.fields, head.count, body))
        answer_over(call_of(x), OUTBOUND_FAILED);
}

static const struct http_exchange_ops local_ops = {
    .face = {local_want, local_take, local_respond, local_start, local_write, local_room, local_finish, NULL},
    .fail = local_fail,
};

const struct http_local_origin *http_local_origin(const struct http_exchange *x)
{
    return x->ops == &local_ops ? &IO_OWNER(x, const struct local_call, x)->origin : NULL;
}

/* ---- from the loop ---- */

static void begin_exchange(struct local_call *call)
{
    const struct http_service *service = call->local->service;
    struct http_exchange *x = &call->x;
    call->begun = true;
    if (x->parser.length > x->body_max || call->came > x->body_max) {
        if (service->refused)
            service->refused(service->arg, x, 413);
        http_fail(x, 413);
    } else if (!service->handle(service->arg, x) && !call->over) {
        http_fail(x, 500);
    }
}

static void end_exchange(struct local_call *call)
{
    const struct http_service *service = call->local->service;
    call->over = true;
    if (call->begun && service->gone)
        service->gone(service->arg, &call->x);
}

static void free_call(struct local_call *call)
{
    struct http_local *local = call->local;
    io_post_cancel(local->loop, &call->post);
    io_timer_stop(local->loop, &call->timer);
    *call->link = call->next;
    if (call->next)
        call->next->link = call->link;
    local->count--;
    pipe_free(call, &call->up);
    pipe_free(call, &call->down);
    mem_free(call->head.items);
    mem_free(call->tail.items);
    mem_free(call->answer.items);
    mem_free(call->trailers.items);
    mem_free(call);
}

static void move(struct io_post *post)
{
    struct local_call *call = IO_OWNER(post, struct local_call, post);
    const struct http_service *service = call->local->service;
    bool ended = call->dropped || call->face.state >= OUTBOUND_DONE;
    call->moving = true;
    if (ended && !call->over)
        end_exchange(call);
    else if (!call->begun && !call->over)
        begin_exchange(call);
    if (call->tell_callee && !call->over && service->ready) {
        call->tell_callee = false;
        service->ready(service->arg, &call->x);
    }
    call->tell_callee &= !call->over;
    if (call->tell_caller && !call->dropped) {
        call->tell_caller = false;
        call->face.changed(&call->face);
    }
    call->moving = false;
    if (call->dropped && call->over)
        free_call(call);
    else if (call->dropped || call->tell_caller || call->tell_callee)
        io_post(call->local->loop, post);
}

static void timed_out(struct io_timer *timer)
{
    fail(IO_OWNER(timer, struct local_call, timer), CODE(CONNECTION_READ_TIMEOUT));
}

/* ---- the caller's side ---- */

static bool takes_more(const struct local_call *call)
{
    return !call->sent && !call->over && call->face.state != OUTBOUND_FAILED;
}

static size_t caller_room(struct outbound_call *face)
{
    const struct local_call *call = (struct local_call *)face;
    return takes_more(call) ? pipe_room(&call->up) : SIZE_MAX;
}

/* Beyond what its function takes, a body has a fault, as one that a client sends; what follows goes nowhere, so that
 * who writes it comes to its end and finds the answer. */
static bool caller_write(struct outbound_call *face, struct str bytes)
{
    struct local_call *call = (struct local_call *)face;
    struct http_request *request = &call->x.parser.request;
    if (!takes_more(call))
        return false;
    call->came += bytes.len;
    if (request->fault)
        return true;
    if (call->came > call->x.body_max) {
        request->coming = false;
        request->fault = HTTP_BODY_TOO_LONG;
    } else if (!pipe_put(call, &call->up, bytes)) {
        fail(call, CODE(INTERNAL_ERROR));
        return false;
    }
    show_request(call);
    return true;
}

static void caller_finish(struct outbound_call *face, const struct http_field *trailers, size_t count)
{
    struct local_call *call = (struct local_call *)face;
    struct http_request *request = &call->x.parser.request;
    if (!takes_more(call))
        return;
    if (!kept_trailers(&call->tail, trailers, count)) {
        fail(call, CODE(INTERNAL_ERROR));
        return;
    }
    request->trailers = call->tail.items;
    request->trailer_count = call->tail.count;
    request->coming = false;
    call->sent = true;
    show_request(call);
    moved(call);
}

static void caller_corrupt(struct outbound_call *face)
{
    fail((struct local_call *)face, CODE(HTTP_PROTOCOL_ERROR));
}

static void caller_take(struct outbound_call *face, size_t size)
{
    struct local_call *call = (struct local_call *)face;
    pipe_take(call, &call->down, size);
    call->face.body = pipe_view(&call->down);
    if (call->x.wants_room && !call->over)
        tell(call, &call->tell_callee);
    call->x.wants_room = false;
    moved(call);
}

static void caller_drop(struct outbound_call *face)
{
    struct local_call *call = (struct local_call *)face;
    tell(call, &call->dropped);
}

/* ---- the beginning ---- */

static bool keep_request(struct local_call *call, const struct outbound_request *request)
{
    struct http_parser *parser = &call->x.parser;
    struct kept *head = &call->head;
    size_t texts = request->method.len + request->target.len + request->authority.len;
    if (!kept_begin(head, request->fields, request->field_count, texts))
        return false;
    kept_add_all(head, request->fields, request->field_count);
    if (request->body == OUTBOUND_LENGTH)
        kept_add_length(head, request->length);
    parser->length = request->body == OUTBOUND_LENGTH ? request->length : 0;
    parser->request = (struct http_request){.method = kept_text(head, request->method),
                                            .target = kept_text(head, request->target),
                                            .authority = kept_text(head, request->authority),
                                            .scheme = request->secure ? STR("https") : STR("http"),
                                            .fields = head->items,
                                            .field_count = head->count,
                                            .coming = request->body != OUTBOUND_NO_BODY};
    return true;
}

static struct local_call *new_call(struct http_local *local, const struct outbound_request *request)
{
    struct local_call *call = mem_alloc(1, sizeof *call);
    if (!call)
        return NULL;
    call->local = local;
    call->x.ops = &local_ops;
    call->post.run = move;
    call->timer.fired = timed_out;
    call->face.face = &http_local_face;
    call->face.changed = request->changed;
    call->face.owner = request->owner;
    call->origin = (struct http_local_origin){request->to, request->function, request->user};
    call->first_byte_us = request->first_byte_us;
    call->between_us = request->between_us;
    call->sent = request->body == OUTBOUND_NO_BODY;
    buf_init(&call->up.bytes, HTTP_LOCAL_BYTES);
    buf_init(&call->down.bytes, HTTP_LOCAL_BYTES);
    call->next = local->calls;
    call->link = &local->calls;
    if (call->next)
        call->next->link = &call->next;
    local->calls = call;
    local->count++;
    return call;
}

static struct outbound_call *begin(void *client, const struct outbound_request *request)
{
    struct http_local *local = client;
    const struct http_service *service = local->service;
    struct local_call *call = new_call(local, request);
    if (!call)
        return NULL;
    if (request->refused)
        fail(call, request->refusal);
    else if (local->closed)
        fail(call, CODE(DESTINATION_UNAVAILABLE));
    else if (local->count > HTTP_LOCAL_MAX)
        fail(call, CODE(CONNECTION_LIMIT_REACHED));
    else if (!keep_request(call, request))
        fail(call, CODE(INTERNAL_ERROR));
    call->over = call->face.state == OUTBOUND_FAILED;
    if (call->over)
        return &call->face;
    call->x.body_max = service->body_max ? service->body_max(service->arg, &call->x) : UINT64_MAX;
    io_post(local->loop, &call->post);
    moved(call);
    return &call->face;
}

const struct outbound_face http_local_face = {begin,          caller_room, caller_write, caller_finish,
                                              caller_corrupt, caller_take, caller_drop};

/* ---- life ---- */

struct http_local *http_local_new(struct io_loop *loop, const struct http_service *service, struct err *err)
{
    struct http_local *local = mem_alloc(1, sizeof *local);
    if (!local) {
        err_memory(err);
        return NULL;
    }
    local->loop = loop;
    local->service = service;
    return local;
}

/* Ending one may drop others, which stay in the list until the loop runs again. */
void http_local_close(struct http_local *local)
{
    if (!local)
        return;
    local->closed = true;
    for (struct local_call *call = local->calls; call; call = call->next) {
        if (!call->over)
            end_exchange(call);
        fail(call, CODE(CONNECTION_TERMINATED));
    }
}

void http_local_free(struct http_local *local)
{
    while (local && local->calls)
        free_call(local->calls);
    mem_free(local);
}
