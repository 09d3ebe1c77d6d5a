/* Requests of HTTP/2 (RFC 9113 section 8): from what nghttp2 reads to struct http_request.
 *
 * nghttp2 has checked frames, the order and form of fields, pseudo-fields, fields that belong to connections, and that
 * the body is as long as content-length says. What is left is what HTTP/1.1's parser checks as well, and what bounds a
 * request.
 *
 * Bytes of fields lie in one buffer in the order in which they came, so that sizes alone say where each is; strings are
 * made of them when the block is complete and the buffer moves no more. */
#include "http/h2.h"

#define HTTP_FIELD_OVERHEAD 32u /* RFC 9113 section 6.5.2 */

static struct h2_stream *stream_of(nghttp2_session *session, int32_t id)
{
    return nghttp2.session_get_stream_user_data(session, id);
}

/* ---- the head, field by field ---- */

static enum h2_pseudo pseudo_of(struct str name)
{
    static const struct str names[H2_PSEUDO_COUNT] = {
        [H2_METHOD] = {":method", 7},
        [H2_PATH] = {":path", 5},
        [H2_SCHEME] = {":scheme", 7},
        [H2_AUTHORITY] = {":authority", 10},
    };
    enum h2_pseudo i = 0;
    while (i < H2_PSEUDO_COUNT && !str_eq(names[i], name))
        i++;
    return i;
}

static void take_pseudo(struct h2_stream *s, struct str name, struct str value)
{
    enum h2_pseudo which = pseudo_of(name);
    if (which == H2_PSEUDO_COUNT)
        return;
    s->pseudo[which].there = true;
    s->pseudo[which].at = s->head.size;
    s->pseudo[which].size = value.len;
    if (!buf_append(&s->head, value.ptr, value.len))
        s->refused = 500;
    s->fields_at = s->head.size;
}

static bool append_field(struct buf *to, struct http_field *field, struct str name, struct str value)
{
    field->name = (struct str){NULL, name.len};
    field->value = (struct str){NULL, value.len};
    return buf_append(to, name.ptr, name.len) && buf_append(to, value.ptr, value.len);
}

static void take_field(struct h2_stream *s, struct str name, struct str value)
{
    struct http_parser *parser = &s->x.parser;
    int lacking;
    struct http_field *field = http_parse_room(parser, &lacking);
    if (!field) {
        s->refused = lacking;
        return;
    }
    parser->request.field_count++;
    if (!append_field(&s->head, field, name, value))
        s->refused = 500;
}

static bool fits(struct h2_stream *s, struct str name, struct str value)
{
    s->list_size += name.len + value.len + HTTP_FIELD_OVERHEAD;
    return s->list_size <= s->x.connection->server->limits.head_bytes;
}

static void take_head(struct h2_stream *s, struct str name, struct str value)
{
    if (s->refused)
        return;
    if (!fits(s, name, value))
        s->refused = str_eq(name, STR(":path")) ? 414 : 431;
    else if (name.len && name.ptr[0] == ':')
        take_pseudo(s, name, value);
    else
        take_field(s, name, value);
}

static void take_trailer(struct h2_stream *s, struct str name, struct str value)
{
    struct http_chunks *chunks = &s->x.chunks;
    int lacking = 431;
    if (!s->x.parser.request.coming)
        return;
    struct http_field *field = fits(s, name, value) ? http_chunks_room(chunks, &lacking) : NULL;
    if (field && append_field(&s->tail, field, name, value))
        chunks->trailer_count++;
    else
        h2_break_body(s, !field && lacking == 431 ? HTTP_BODY_MALFORMED : HTTP_BODY_NO_MEMORY);
}

/* ---- the head, when all of it is there ---- */

/* Strings of fields in a row from `at` on. */
static void place_fields(const struct buf *bytes, size_t at, struct http_field *fields, uint32_t count)
{
    const char *p = count ? (const char *)bytes->data + at : NULL;
    for (uint32_t i = 0; i < count; i++) {
        fields[i].name.ptr = p;
        p += fields[i].name.len;
        fields[i].value.ptr = p;
        p += fields[i].value.len;
    }
}

static struct str pseudo_field(const struct h2_stream *s, enum h2_pseudo which)
{
    return (struct str){s->pseudo[which].size ? (const char *)s->head.data + s->pseudo[which].at : "",
                        s->pseudo[which].size};
}

/* Crumbs of cookies are one field again (RFC 9113 section 8.2.3). The joined value lies behind all others, in memory
 * that was reserved before strings were made. */
static void join_cookies(struct h2_stream *s)
{
    struct http_request *r = &s->x.parser.request;
    struct http_field *first = NULL, *fields = http_parse_fields(&s->x.parser);
    char *joined = (char *)s->head.data + s->head.size;
    size_t size = 0;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < r->field_count; i++) {
        bool cookie = str_eq(fields[i].name, STR("cookie"));
        if (cookie && first)
            memcpy(joined + size, "; ", 2), size += 2;
        if (cookie) {
            memcpy(joined + size, fields[i].value.ptr, fields[i].value.len);
            size += fields[i].value.len;
        }
        if (!cookie || !first)
            fields[kept++] = fields[i];
        if (cookie && !first)
            first = &fields[kept - 1];
    }
    if (first && kept < r->field_count)
        first->value = (struct str){joined, size};
    r->field_count = kept;
}

/* The host field and :authority are one thing: who has one gets the other (RFC 9113 section 8.3.1). */
static int take_authority(struct h2_stream *s)
{
    struct http_parser *parser = &s->x.parser;
    struct http_request *r = &parser->request;
    r->authority = pseudo_field(s, H2_AUTHORITY);
    parser->host_from_target = s->pseudo[H2_AUTHORITY].there;
    if (!http_is_host(r->authority))
        return 400;
    for (uint32_t i = 0; i < r->field_count; i++) {
        const struct http_field *field = &r->fields[i];
        int status = http_parse_known(parser, field);
        if (status == 0 && str_eq(field->name, STR("host")) && !str_eq(field->value, r->authority))
            status = 400;
        if (status)
            return status;
    }
    if (parser->seen_host || !s->pseudo[H2_AUTHORITY].there)
        return 0;
    int lacking;
    struct http_field *host = http_parse_room(parser, &lacking);
    if (!host)
        return lacking;
    *host = (struct http_field){STR("host"), r->authority};
    r->field_count++;
    r->fields = http_parse_fields(parser);
    return 0;
}

/* 0, or the status to refuse with what HTTP/1.1 refuses with it. */
static int take_line(struct h2_stream *s)
{
    struct http_request *r = &s->x.parser.request;
    struct str scheme = pseudo_field(s, H2_SCHEME);
    bool secure = http_is_same(scheme, STR("https"));
    r->method = pseudo_field(s, H2_METHOD);
    r->scheme = secure ? STR("https") : STR("http");
    if (r->method.len > HTTP_MAX_METHOD)
        return 501;
    if (!http_is_token(r->method))
        return 400;
    if (str_eq(r->method, STR("CONNECT"))) {
        r->target = pseudo_field(s, H2_AUTHORITY);
        return 0;
    }
    r->target = pseudo_field(s, H2_PATH);
    if (!secure && !http_is_same(scheme, STR("http")))
        return 400;
    if (str_eq(r->target, STR("*")))
        return str_eq(r->method, STR("OPTIONS")) ? 0 : 400;
    return http_is_target(r->target) && r->target.ptr[0] == '/' ? 0 : 400;
}

/* Room for all cookies in a row, before there are strings. */
static bool reserve_cookies(struct h2_stream *s)
{
    size_t size = s->head.size, more = size + 2 * (size_t)HTTP_MAX_FIELDS;
    if (!buf_extend(&s->head, more))
        return false;
    s->head.size = size;
    return true;
}

static int take_request(struct h2_stream *s)
{
    struct http_parser *parser = &s->x.parser;
    int status;
    if (s->refused)
        return s->refused;
    if (!reserve_cookies(s))
        return 500;
    struct http_field *fields = http_parse_fields(parser);
    parser->request.fields = fields;
    place_fields(&s->head, s->fields_at, fields, parser->request.field_count);
    join_cookies(s);
    status = take_line(s);
    return status ? status : take_authority(s);
}

/* A short body is handed over whole, and until it is there its client holds no instance. */
static void begin_body(struct h2_stream *s, bool coming)
{
    struct http_parser *parser = &s->x.parser;
    bool known = parser->body == HTTP_BODY_LENGTH, asked = parser->expect_continue;
    parser->body = coming ? parser->body : HTTP_BODY_NONE;
    parser->request.coming = coming;
    parser->request.body = STR("");
    s->stage = H2_READY;
    if (coming)
        server_bounds_body(s->x.connection->server, &s->x);
    if (coming && known && parser->length > s->x.body_max)
        s->refused = 413;
    if (!coming || s->refused)
        return;
    s->x.owes_continue = asked;
    s->body_us = h2_now_us(s->h2);
    if (!known || parser->length > H2_GATHER)
        return;
    s->stage = H2_GATHER_BODY;
    h2_set_timer(s);
}

/* ---- interim answers (RFC 9113 section 8.1) ---- */

void h2_continue(struct h2_stream *s)
{
    const nghttp2_nv status = {(uint8_t *)":status", (uint8_t *)"100", 7, 3, NGHTTP2_NV_FLAG_NONE};
    if (!s->x.owes_continue || s->x.answer != HTTP_UNANSWERED)
        return;
    s->x.owes_continue = false;
    nghttp2.submit_headers(s->h2->session, NGHTTP2_FLAG_NONE, s->id, NULL, &status, 1, NULL);
}

/* ---- the body ---- */

static void show(struct h2_stream *s)
{
    const struct http_exchange *x = &s->x;
    s->x.parser.request.body =
        (struct str){x->body.size > x->taken ? (const char *)x->body.data + x->taken : "", x->body.size - x->taken};
}

void h2_break_body(struct h2_stream *s, enum http_body_fault fault)
{
    struct http_request *r = &s->x.parser.request;
    if (!r->coming)
        return;
    r->coming = false;
    r->fault = fault;
    h2_list(s);
}

bool h2_body_ready(const struct h2_stream *s)
{
    const struct http_request *r = &s->x.parser.request;
    return s->x.wants_body && (r->body.len || !r->coming);
}

static void make_way(struct h2_stream *s)
{
    struct http_exchange *x = &s->x;
    size_t left = x->body.size - x->taken;
    if (x->taken && left)
        memmove(x->body.data, x->body.data + x->taken, left);
    x->body.size = left;
    x->taken = 0;
}

/* Never more than the window holds: it is opened for what was taken only. */
static void take_data(struct h2_stream *s, const uint8_t *bytes, size_t size)
{
    struct http_exchange *x = &s->x;
    s->received += size;
    s->body_us = h2_now_us(s->h2);
    if (s->received > x->body_max) {
        h2_break_body(s, HTTP_BODY_TOO_LONG);
        return;
    }
    if (x->body.size + size > BODY_WINDOW)
        make_way(s);
    if (!buf_append(&x->body, bytes, size))
        h2_break_body(s, HTTP_BODY_NO_MEMORY);
    show(s);
    if (x->wants_body)
        h2_list(s);
    h2_set_timer(s);
}

static void end_body(struct h2_stream *s)
{
    struct http_request *r = &s->x.parser.request;
    if (!r->coming)
        return;
    place_fields(&s->tail, 0, s->x.chunks.trailers, s->x.chunks.trailer_count);
    r->trailers = s->x.chunks.trailers;
    r->trailer_count = s->x.chunks.trailer_count;
    r->coming = false;
    if (s->stage == H2_GATHER_BODY)
        s->stage = H2_READY;
    h2_set_timer(s);
    h2_list(s);
}

static void open_window(struct h2_stream *s, size_t size)
{
    s->unread -= size;
    if (nghttp2.session_consume_stream(s->h2->session, s->id, size) != 0)
        s->h2->connection->doomed = true;
}

void h2_take(void *x, size_t size)
{
    struct h2_stream *s = h2_stream_of(x);
    struct http_request *r = &s->x.parser.request;
    if (!r->coming) {
        r->body = (struct str){r->body.ptr + size, r->body.len - size};
        return;
    }
    s->x.taken += size;
    if (s->x.taken == s->x.body.size)
        make_way(s);
    show(s);
    if (size && h2_usable(s))
        open_window(s, size);
    h2_poke(s->h2);
}

void h2_skip_body(struct h2_stream *s)
{
    s->skips = true;
    s->skipped += s->unread;
    s->body_us = h2_now_us(s->h2);
    if (s->skipped > BODY_SKIP)
        h2_reset(s, NGHTTP2_NO_ERROR);
    else if (s->unread)
        open_window(s, s->unread);
    h2_set_timer(s);
}

void h2_want(void *x)
{
    struct h2_stream *s = h2_stream_of(x);
    if (!s->x.parser.request.coming || !h2_usable(s))
        return;
    s->x.wants_body = true;
    s->body_us = h2_now_us(s->h2);
    h2_continue(s);
    h2_set_timer(s);
    if (h2_body_ready(s))
        h2_list(s);
    h2_poke(s->h2);
}

/* ---- callbacks ---- */

/* A stream that was passed over cannot begin any more (RFC 9113 section 5.1.1). nghttp2 ignores it, as it must what
 * comes for streams that ended; the identifiers between the last two that began are certain. */
static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *head, void *arg)
{
    const struct h2 *h2 = arg;
    bool passed_over = head->stream_id > h2->before_last_id && head->stream_id < h2->last_id;
    if (head->type != NGHTTP2_HEADERS || !passed_over || head->stream_id % 2 == 0)
        return 0;
    return nghttp2.session_terminate_session(session, NGHTTP2_PROTOCOL_ERROR) ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct h2 *h2 = arg;
    h2->in_head = true;
    h2->head_us = h2_now_us(h2);
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    h2->before_last_id = h2->last_id;
    h2->last_id = frame->hd.stream_id;
    struct h2_stream *s = h2_stream_new(h2, frame->hd.stream_id);
    if (!s)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    return nghttp2.session_set_stream_user_data(session, s->id, s) ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_size,
                     const uint8_t *value, size_t value_size, uint8_t flags, void *arg)
{
    struct h2_stream *s = stream_of(session, frame->hd.stream_id);
    void (*take)(struct h2_stream *, struct str, struct str) =
        frame->headers.cat == NGHTTP2_HCAT_REQUEST ? take_head : take_trailer;
    if (s)
        take(s, (struct str){(const char *)name, name_size}, (struct str){(const char *)value, value_size});
    return 0;
}

static void end_head(struct h2_stream *s, bool coming)
{
    s->refused = take_request(s);
    begin_body(s, coming);
    if (s->stage == H2_READY)
        h2_list(s);
    else
        h2_continue(s);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct h2 *h2 = arg;
    bool headers = frame->hd.type == NGHTTP2_HEADERS, last = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    struct h2_stream *s = headers || frame->hd.type == NGHTTP2_DATA ? stream_of(session, frame->hd.stream_id) : NULL;
    h2->in_head &= !headers;
    if (!s)
        return 0;
    if (headers && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        end_head(s, !last);
    else if (last)
        end_body(s);
    return 0;
}

/* The connection's window is for what is under way: one stream that nobody reads stops no other. */
static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes, size_t size, void *arg)
{
    struct h2_stream *s = stream_of(session, id);
    if (nghttp2.session_consume_connection(session, size) != 0)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (!s || s->reset)
        return 0;
    s->unread += size;
    if (s->skips)
        h2_skip_body(s);
    else if (s->x.parser.request.coming && s->x.answer != HTTP_ANSWERED)
        take_data(s, bytes, size);
    return 0;
}

/* Streams that the client breaks off, or that nghttp2 does because of what it sent, cost more than they bring. */
static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *arg)
{
    struct h2_stream *s = stream_of(session, id);
    struct h2 *h2 = arg;
    if (!s)
        return 0;
    bool broken = code != NGHTTP2_NO_ERROR || !s->whole || s->out.size > s->out_at;
    if (broken && !s->reset)
        h2_fault(h2);
    h2->in_head &= s->stage != H2_HEAD;
    s->closed = true;
    h2_list(s);
    return 0;
}

static int on_invalid(nghttp2_session *session, const nghttp2_frame *frame, int code, void *arg)
{
    struct h2 *h2 = arg;
    h2->in_head &= frame->hd.type != NGHTTP2_HEADERS;
    h2_fault(h2);
    return 0;
}

void h2_request_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2.session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
    nghttp2.session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2.session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2.session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2.session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2.session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2.session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid);
}
