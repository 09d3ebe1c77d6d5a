/* Answers of HTTP/2 (RFC 9113 section 8.3.2): from a status, fields and bytes to what nghttp2 is to send.
 *
 * Content waits in the stream until nghttp2 takes it, a frame at a time, as the client's windows permit; its bytes go
 * from there straight into the connection's output. */
#include "http/h2.h"

#include <string.h>

#define HEAD_MAX ((size_t)65536) /* names and values of a response, as for HTTP/1.1 */
#define FRAME_HEAD 9
#define EXTRA_FIELDS 3 /* status, date, content-length */

/* ---- what waits to be sent ---- */

void h2_drop_output(struct h2_stream *s)
{
    s->h2->queued -= s->out.size - s->out_at;
    s->out.size = s->out_at = 0;
}

static bool queue(struct h2_stream *s, struct str bytes)
{
    struct h2 *h2 = s->h2;
    size_t left = s->out.size - s->out_at;
    if (bytes.len > h2->connection->server->limits.output_bytes - h2->queued)
        return false;
    if (s->out_at && s->out_at >= left) { /* what is sent makes way */
        memmove(s->out.data, s->out.data + s->out_at, left);
        s->out.size = left;
        s->out_at = 0;
    }
    if (!buf_append(&s->out, bytes.ptr, bytes.len)) {
        s->out.failed = s->out.full = false;
        return false;
    }
    h2->queued += bytes.len;
    if (left == 0)
        s->out_us = h2_now_us(h2);
    h2_set_timer(s);
    return true;
}

/* nghttp2 found nothing to send before: there is something now. */
static void resume(struct h2_stream *s)
{
    if (s->deferred && nghttp2.session_resume_data(s->h2->session, s->id) != 0)
        s->h2->connection->doomed = true;
    s->deferred = false;
    h2_poke(s->h2);
}

/* ---- fields ---- */

static bool add(struct buf *fields, const char *name, size_t name_size, const char *value, size_t value_size)
{
    const nghttp2_nv field = {(uint8_t *)name, (uint8_t *)value, name_size, value_size, NGHTTP2_NV_FLAG_NONE};
    return buf_append(fields, &field, sizeof field);
}

/* Blanks around a value are no part of it (RFC 9110 section 5.5), and HTTP/2 knows none. */
static struct str trim(struct str value)
{
    while (value.len && (value.ptr[value.len - 1] == ' ' || value.ptr[value.len - 1] == '\t'))
        value.len--;
    while (value.len && (value.ptr[0] == ' ' || value.ptr[0] == '\t'))
        value = str_slice(value, 1, value.len);
    return value;
}

/* Fields of the connection are left out: HTTP/2 has none (RFC 9113 section 8.2.2). nghttp2 turns names to lower case.
 */
static bool add_fields(struct buf *to, const struct http_head *head, bool *ret_dated)
{
    size_t size = 0;
    for (size_t i = 0; i < head->count; i++) {
        struct str name = head->fields[i].name, value = head->fields[i].value;
        if (!http_is_token(name) || !http_is_value(value))
            return false;
        if (http_is_hop_name(name) || http_is_same(name, STR("content-length")))
            continue;
        *ret_dated |= http_is_same(name, STR("date"));
        value = trim(value);
        size += name.len + value.len;
        if (size > HEAD_MAX || !add(to, name.ptr, name.len, value.ptr, value.len))
            return false;
    }
    return true;
}

static struct str number(char room[20], uint64_t value)
{
    struct http_out out = {room, 0, 20};
    http_out_number(&out, value, 10);
    return (struct str){room, out.size};
}

static ssize_t read_content(nghttp2_session *session, int32_t id, uint8_t *room, size_t size, uint32_t *flags,
                            nghttp2_data_source *source, void *arg);

static bool submit_head(struct h2_stream *s, const struct http_head *head, bool content)
{
    struct http_server *server = s->x.connection->server;
    struct buf *fields = &server->h2->fields;
    char status[20], length[20];
    struct str code = number(status, head->status), size = number(length, head->length);
    const nghttp2_data_provider provider = {{.ptr = s}, read_content};
    bool dated = false;
    if (head->status < 200 || head->status > 999)
        return false;
    http_date_update(&server->date, io_wall_s(server->loop));
    fields->size = 0;
    fields->failed = false;
    if (!add(fields, ":status", 7, code.ptr, code.len) || !add_fields(fields, head, &dated) ||
        (!dated && !add(fields, "date", 4, server->date.text, HTTP_DATE_SIZE)) ||
        (head->framing == HTTP_FRAME_LENGTH && !add(fields, "content-length", 14, size.ptr, size.len)))
        return false;
    return nghttp2.submit_response(s->h2->session, s->id, (const nghttp2_nv *)fields->data,
                                   fields->size / sizeof(nghttp2_nv), content ? &provider : NULL) == 0;
}

/* ---- trailers: kept until the content is sent ---- */

static bool keep_trailers(struct h2_stream *s, const struct http_field *trailers, size_t count)
{
    s->end.size = 0;
    for (size_t i = 0; i < count; i++) {
        if (!http_is_trailer(&trailers[i]))
            continue;
        struct str name = trailers[i].name, value = trim(trailers[i].value);
        const size_t sizes[2] = {name.len, value.len};
        buf_append(&s->end, sizes, sizeof sizes);
        buf_append(&s->end, name.ptr, name.len);
        buf_append(&s->end, value.ptr, value.len);
    }
    return !s->end.failed;
}

static bool submit_trailers(struct h2_stream *s)
{
    struct buf *fields = &s->x.connection->server->h2->fields;
    const char *p = (const char *)s->end.data, *end = p + s->end.size;
    fields->size = 0;
    fields->failed = false;
    while (p < end) {
        size_t sizes[2];
        memcpy(sizes, p, sizeof sizes);
        p += sizeof sizes;
        add(fields, p, sizes[0], p + sizes[0], sizes[1]);
        p += sizes[0] + sizes[1];
    }
    return !fields->failed && nghttp2.submit_trailer(s->h2->session, s->id, (const nghttp2_nv *)fields->data,
                                                     fields->size / sizeof(nghttp2_nv)) == 0;
}

/* ---- what nghttp2 asks for ---- */

static ssize_t read_content(nghttp2_session *session, int32_t id, uint8_t *room, size_t size, uint32_t *flags,
                            nghttp2_data_source *source, void *arg)
{
    struct h2_stream *s = source->ptr;
    size_t left = s->out.size - s->out_at;
    if (left == 0 && !s->whole) {
        s->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (left > size || !s->whole)
        return (ssize_t)(left < size ? left : size);
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (s->end.size) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        if (!submit_trailers(s))
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    return (ssize_t)left;
}

static void sent(struct h2_stream *s, size_t size)
{
    s->out_at += size;
    s->h2->queued -= size;
    s->out_us = h2_now_us(s->h2);
    if (s->out_at == s->out.size) {
        s->out.size = s->out_at = 0;
        if (s->x.wants_room)
            h2_list(s);
    }
    h2_set_timer(s);
}

static int send_content(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t size,
                        nghttp2_data_source *source, void *arg)
{
    struct h2_stream *s = source->ptr;
    struct connection *c = s->x.connection;
    if (c->pending.size)
        return NGHTTP2_ERR_WOULDBLOCK;
    if (!output_append(c, head, FRAME_HEAD) || (size && !output_append(c, s->out.data + s->out_at, size)))
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    sent(s, size);
    return 0;
}

static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    int32_t id = frame->hd.stream_id;
    bool content = frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS;
    bool last = content && frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    struct h2_stream *s = last ? nghttp2.session_get_stream_user_data(session, id) : NULL;
    if (s && nghttp2.session_get_stream_remote_close(session, id) == 0)
        h2_skip_body(s);
    return 0;
}

void h2_answer_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2.session_callbacks_set_send_data_callback(callbacks, send_content);
    nghttp2.session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
}

/* ---- operations of the exchange ---- */

static bool may_begin(const struct h2_stream *s)
{
    return s->x.answer == HTTP_UNANSWERED && h2_usable(s);
}

static bool answer(struct h2_stream *s, struct http_head *head, struct str body)
{
    bool content = exchange_has_content(&s->x, head->status);
    head->framing = HTTP_FRAME_LENGTH;
    head->length = body.len;
    if (!content)
        exchange_frame_nothing(head, body.len);
    if (!content || body.len == 0)
        body = STR("");
    if (!queue(s, body))
        return false;
    if (!submit_head(s, head, body.len > 0)) {
        h2_drop_output(s);
        return false;
    }
    s->whole = true;
    s->x.answer = HTTP_ANSWERED;
    h2_poke(s->h2);
    return true;
}

static bool h2_respond(void *x, unsigned status, const struct http_field *fields, size_t count, struct str body)
{
    struct h2_stream *s = h2_stream_of(x);
    struct http_head head = {.status = status, .fields = fields, .count = count};
    return may_begin(s) && answer(s, &head, body);
}

static bool h2_start(void *exchange, unsigned status, const struct http_field *fields, size_t count)
{
    struct http_exchange *x = exchange;
    struct h2_stream *s = h2_stream_of(x);
    struct http_head head = {.status = status, .fields = fields, .count = count};
    if (!may_begin(s))
        return false;
    if (status < 300 && x->parser.request.coming)
        h2_continue(s);
    x->content = exchange_has_content(x, status);
    if (!x->content)
        exchange_frame_nothing(&head, 0);
    else if (exchange_declared(fields, count, &head.length))
        head.framing = HTTP_FRAME_LENGTH;
    /* Its end comes later, without content too: it would tell the client that nobody wants more of the request. */
    if (!submit_head(s, &head, true))
        return false;
    x->answer = HTTP_STREAMING;
    x->framing = head.framing;
    x->left = head.length;
    h2_poke(s->h2);
    return true;
}

static bool h2_write(void *exchange, struct str bytes)
{
    struct http_exchange *x = exchange;
    struct h2_stream *s = h2_stream_of(x);
    bool counted = x->framing == HTTP_FRAME_LENGTH;
    if (x->answer != HTTP_STREAMING || !h2_usable(s))
        return false;
    if (!x->content || bytes.len == 0)
        return true;
    if ((counted && bytes.len > x->left) || !queue(s, bytes))
        return false;
    x->left -= counted ? bytes.len : 0;
    resume(s);
    return true;
}

static size_t h2_room(void *exchange)
{
    struct http_exchange *x = exchange;
    const struct h2_stream *s = h2_stream_of(x);
    size_t left = s->out.size - s->out_at;
    x->wants_room |= left > 0;
    return left < STREAM_ROOM ? STREAM_ROOM - left : 0;
}

static bool h2_finish(void *exchange, const struct http_field *trailers, size_t count)
{
    struct http_exchange *x = exchange;
    struct h2_stream *s = h2_stream_of(x);
    if (x->answer != HTTP_STREAMING)
        return false;
    bool whole = h2_usable(s) && !(x->content && x->framing == HTTP_FRAME_LENGTH && x->left) &&
                 keep_trailers(s, trailers, count);
    x->answer = HTTP_ANSWERED;
    s->whole = whole;
    if (whole)
        resume(s);
    else
        h2_reset(s, NGHTTP2_INTERNAL_ERROR);
    h2_poke(s->h2);
    return whole;
}

void h2_fail(struct http_exchange *x, unsigned status)
{
    struct h2_stream *s = h2_stream_of(x);
    char room[EXCHANGE_PLAIN_SIZE];
    struct http_head head;
    struct str body = exchange_plain(status, room, &head);
    if (may_begin(s) && answer(s, &head, body))
        return;
    x->answer = HTTP_ANSWERED;
    h2_reset(s, NGHTTP2_INTERNAL_ERROR);
    h2_poke(s->h2);
}

const struct http_exchange_ops h2_exchange_ops = {
    .face = {h2_want, h2_take, h2_respond, h2_start, h2_write, h2_room, h2_finish},
    .fail = h2_fail,
};
