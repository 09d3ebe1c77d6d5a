/* A call with a connection: its request goes out, its response comes in, at the same time.
 *
 * What the peer sends is read into `raw` and understood there; content moves on to `body`, of which no more is read
 * while HTTP_CALL_ROOM bytes wait. A peer that stops taking the request may still answer it (RFC 9112, section 9.5), so
 * a failed send ends the request only. */
#include "http/call.h"

#include "base/alloc.h"

#include <errno.h>

#define CODE(name) WASI_HTTP_TYPES_ERROR_CODE_##name

/* ---- the connection ---- */

static ssize_t errno_of_tls(ssize_t result)
{
    switch (result) {
    case TLS_AGAIN: return -EAGAIN;
    case TLS_CUT: return -ECONNRESET;
    case TLS_FAILED: return -EPROTO;
    default: return result;
    }
}

ssize_t call_read(struct http_call *call, void *ret_bytes, size_t size)
{
    if (call->tls)
        return errno_of_tls(tls_read(call->tls, ret_bytes, size));
    return io_recv(call->client->loop, &call->watch, ret_bytes, size);
}

static ssize_t send_some(struct http_call *call)
{
    const void *bytes = call->out.data + call->out_at;
    size_t size = call->out.size - call->out_at;
    if (call->tls)
        return errno_of_tls(tls_write(call->tls, bytes, size));
    return io_send(call->client->loop, &call->watch, bytes, size);
}

/* ---- the request ---- */

void call_send(struct http_call *call)
{
    while (call->phase == CALL_OPEN && !call->closed && call->out_at < call->out.size) {
        ssize_t n = send_some(call);
        if (n == -EAGAIN)
            return;
        if (n <= 0) {
            call->closed = true;
            break;
        }
        call->out_at += (size_t)n;
        call->moved_us = io_now_us(call->client->loop);
    }
    if (!call->kept && (call->closed || call->out_at == call->out.size))
        call->out.size = call->out_at = 0;
}

size_t call_room(struct outbound_call *face)
{
    const struct http_call *call = (struct http_call *)face;
    size_t waiting = call->out.size - call->out_at;
    if (call->closed)
        return SIZE_MAX;
    return call->phase == CALL_OPEN && waiting < HTTP_CALL_ROOM ? HTTP_CALL_ROOM - waiting : 0;
}

static bool append(struct http_call *call, const void *bytes, size_t size)
{
    if (call->out_at > HTTP_CALL_ROOM) { /* what is sent makes way */
        memmove(call->out.data, call->out.data + call->out_at, call->out.size - call->out_at);
        call->out.size -= call->out_at;
        call->out_at = 0;
    }
    return buf_append(&call->out, bytes, size);
}

static bool append_chunk(struct http_call *call, struct str bytes)
{
    char room[HTTP_CHUNK_LINE];
    struct str line = http_chunk_line(room, bytes.len);
    return append(call, line.ptr, line.len) && append(call, bytes.ptr, bytes.len) && append(call, "\r\n", 2);
}

bool call_write(struct outbound_call *face, struct str bytes)
{
    struct http_call *call = (struct http_call *)face;
    if (call->closed || call->sent)
        return false;
    if (bytes.len == 0)
        return true;
    if (!(call->framing == OUTBOUND_CHUNKED ? append_chunk(call, bytes) : append(call, bytes.ptr, bytes.len))) {
        call_fail(call, CODE(INTERNAL_ERROR));
        return false;
    }
    call_send(call);
    call_set_timer(call);
    return true;
}

static bool append_trailers(struct http_call *call, const struct http_field *trailers, size_t count)
{
    bool done = append(call, "0\r\n", 3);
    for (size_t i = 0; done && i < count; i++)
        if (http_is_trailer(&trailers[i]))
            done = append(call, trailers[i].name.ptr, trailers[i].name.len) && append(call, ": ", 2) &&
                   append(call, trailers[i].value.ptr, trailers[i].value.len) && append(call, "\r\n", 2);
    return done && append(call, "\r\n", 2);
}

void call_finish(struct outbound_call *face, const struct http_field *trailers, size_t count)
{
    struct http_call *call = (struct http_call *)face;
    if (call->closed || call->sent)
        return;
    if (call->framing == OUTBOUND_CHUNKED && !append_trailers(call, trailers, count))
        call_fail(call, CODE(INTERNAL_ERROR));
    call->sent = true;
    call_send(call);
    call_set_timer(call);
}

/* ---- the response: its head ---- */

/* The views into `raw` become views into a copy that stays. */
static char *keep(const char *bytes, size_t size, struct http_field *fields, uint32_t count)
{
    char *copy = mem_alloc(1, size ? size : 1);
    if (!copy)
        return NULL;
    memcpy(copy, bytes, size);
    for (uint32_t i = 0; i < count; i++) {
        fields[i].name.ptr = copy + (fields[i].name.ptr - bytes);
        fields[i].value.ptr = copy + (fields[i].value.ptr - bytes);
    }
    return copy;
}

static void drop_raw(struct http_call *call, size_t size)
{
    call->raw_used -= size;
    memmove(call->raw, call->raw + size, call->raw_used);
}

/* RFC 9110, section 15.2: any number of them may come before the answer. */
static bool skip_informational(struct http_call *call)
{
    if (call->parser.status == 101) {
        call_fail(call, CODE(HTTP_UPGRADE_FAILED));
        return false;
    }
    if (++call->informational > HTTP_INFORMATIONAL_MAX) {
        call_fail(call, CODE(HTTP_PROTOCOL_ERROR));
        return false;
    }
    drop_raw(call, call->parser.at);
    http_parse_begin_response(&call->parser, 0);
    return true;
}

/* RFC 9112, section 6.3. */
static bool has_content(const struct http_call *call)
{
    unsigned status = call->parser.status;
    return !call->of_head && status != 204 && status != 304;
}

static bool take_head(struct http_call *call)
{
    struct http_parser *parser = &call->parser;
    static const enum call_input inputs[] = {
        [HTTP_BODY_NONE] = INPUT_CLOSE, [HTTP_BODY_LENGTH] = INPUT_LENGTH, [HTTP_BODY_CHUNKED] = INPUT_CHUNKED};
    if (parser->status < 200)
        return skip_informational(call);
    call->head = keep(call->raw, parser->at, http_parse_fields(parser), parser->request.field_count);
    if (!call->head) {
        call_fail(call, CODE(INTERNAL_ERROR));
        return false;
    }
    drop_raw(call, parser->at);
    call->face.status = parser->status;
    call->face.fields = http_parse_fields(parser);
    call->face.field_count = parser->request.field_count;
    call->face.state = OUTBOUND_ANSWERED;
    call->input = inputs[parser->body];
    call->left = parser->length;
    http_chunks_begin(&call->chunks);
    if (has_content(call))
        return true;
    call_done(call);
    return false;
}

static void refuse_head(struct http_call *call, int status)
{
    static const struct {
        int status;
        enum wasi_http_types_error_code_tag tag;
    } rows[] = {{431, CODE(HTTP_RESPONSE_HEADER_SECTION_SIZE)},
                {500, CODE(INTERNAL_ERROR)},
                {501, CODE(HTTP_RESPONSE_TRANSFER_CODING)},
                {413, CODE(HTTP_RESPONSE_BODY_SIZE)}};
    enum wasi_http_types_error_code_tag tag = CODE(HTTP_PROTOCOL_ERROR);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].status == status)
            tag = rows[i].tag;
    call_fail(call, tag);
}

/* Each step: whether another may follow at once. */
static bool read_head(struct http_call *call)
{
    int status = http_parse_head(&call->parser, call->raw, call->raw_used);
    if (status == HTTP_PARSE_DONE)
        return take_head(call);
    if (status != HTTP_PARSE_MORE)
        refuse_head(call, status);
    else if (call->raw_used == HTTP_RESPONSE_HEAD)
        call_fail(call, CODE(HTTP_RESPONSE_HEADER_SECTION_SIZE));
    return false;
}

/* ---- the response: its body ---- */

static bool keep_content(struct http_call *call, size_t size)
{
    if (!buf_append(&call->body, call->raw, size)) {
        call_fail(call, CODE(INTERNAL_ERROR));
        return false;
    }
    drop_raw(call, size);
    return true;
}

static bool read_length(struct http_call *call)
{
    size_t n = call->raw_used < call->left ? call->raw_used : (size_t)call->left;
    call->left -= n;
    if (keep_content(call, n) && call->left == 0)
        call_done(call);
    return false;
}

static bool read_close(struct http_call *call)
{
    keep_content(call, call->raw_used);
    return false;
}

static bool read_chunks(struct http_call *call)
{
    size_t used = 0;
    int status = call->raw_used
                     ? http_chunks_decode(&call->chunks, call->raw, call->raw_used, SIZE_MAX, &call->body, &used)
                     : HTTP_PARSE_MORE;
    if (status == HTTP_PARSE_DONE) {
        call->tail = keep(call->raw, used, call->chunks.trailers, call->chunks.trailer_count);
        call->face.trailers = call->chunks.trailers;
        call->face.trailer_count = call->tail ? call->chunks.trailer_count : 0;
        drop_raw(call, used);
        if (call->tail)
            call_done(call);
        else
            call_fail(call, CODE(INTERNAL_ERROR));
        return false;
    }
    if (status == HTTP_PARSE_MORE)
        drop_raw(call, used);
    else
        call_fail(call, status == 500   ? CODE(INTERNAL_ERROR)
                        : status == 431 ? CODE(HTTP_RESPONSE_TRAILER_SECTION_SIZE)
                                        : CODE(HTTP_PROTOCOL_ERROR));
    if (call->phase != CALL_OVER && call->raw_used == HTTP_RESPONSE_HEAD)
        call_fail(call, CODE(HTTP_RESPONSE_TRAILER_SECTION_SIZE));
    return false;
}

static bool (*const readers[])(struct http_call *call) = {
    [INPUT_HEAD] = read_head, [INPUT_LENGTH] = read_length, [INPUT_CHUNKED] = read_chunks, [INPUT_CLOSE] = read_close};

/* The peer sends no more: `clean` when it said so. */
static void end_of_input(struct http_call *call, bool clean)
{
    if (call->kept && !call->heard)
        call_again(call);
    else if (call->input == INPUT_CLOSE && clean)
        call_done(call);
    else
        call_fail(call, call->heard ? CODE(HTTP_RESPONSE_INCOMPLETE) : CODE(CONNECTION_TERMINATED));
}

static void show_body(struct http_call *call)
{
    size_t left = call->body.size - call->body_at;
    call->face.body = left ? (struct str){(const char *)call->body.data + call->body_at, left} : (struct str){NULL, 0};
}

void call_receive(struct http_call *call)
{
    while (call->phase == CALL_OPEN && call->body.size - call->body_at < HTTP_CALL_ROOM) {
        ssize_t n = call_read(call, call->raw + call->raw_used, HTTP_RESPONSE_HEAD - call->raw_used);
        if (n == -EAGAIN)
            break;
        if (n == -EPROTO && call->tls)
            call_fail_tls(call);
        else if (n <= 0)
            end_of_input(call, n == 0);
        if (n <= 0)
            break;
        call->heard = true;
        call->raw_used += (size_t)n;
        while (readers[call->input](call))
            continue;
        if (call->face.state != OUTBOUND_WAITING) /* a head that comes in drops does not get more time for each */
            call->moved_us = io_now_us(call->client->loop);
    }
    show_body(call);
}

void call_take(struct outbound_call *face, size_t size)
{
    struct http_call *call = (struct http_call *)face;
    call->body_at += size;
    size_t left = call->body.size - call->body_at;
    if (call->body_at >= HTTP_CALL_ROOM / 2 || left == 0) { /* what is taken makes way */
        if (left)
            memmove(call->body.data, call->body.data + call->body_at, left);
        call->body.size = left;
        call->body_at = 0;
    }
    if (left < HTTP_CALL_ROOM / 2)
        call_receive(call);
    show_body(call);
    call_set_timer(call);
}
