/* Answers: from a status, fields and bytes to a framed message (RFC 9112 section 6). */
#include "http/connection.h"

#define HEAD_RESERVE ((size_t)16384) /* a response head up to this size never needs an early flush */

static bool keeps(const struct http_exchange *x)
{
    /* Whether a client that was not told to go on sends its body nobody can know (RFC 9110 section 10.1.1). */
    return x->parser.keep_alive && !x->connection->server->draining && !x->owes_continue;
}

void exchange_close(struct connection *c)
{
    struct http_exchange *x = c->x;
    c->at = x->end;
    if (c->in && c->in->used == c->at)
        c->in->used = c->at = 0;
    c->x = NULL;
    c->phase = PHASE_HEAD;
    exchange_give(c->server, x);
}

void exchange_end(struct http_exchange *x, bool keep)
{
    struct connection *c = x->connection;
    bool late = !c->running, coming = x->parser.request.coming;
    c->last |= !keep;
    x->skipped = 0;
    if (coming && !c->last) {
        c->phase = PHASE_SKIP;
    } else {
        c->unread |= coming;
        exchange_close(c);
    }
    if (!late)
        return;
    output_flush(c);
    io_post(c->server->loop, &c->post); /* not here: the caller's stack belongs to the service */
}

/* ---- heads ---- */

static bool has_content(const struct http_exchange *x, unsigned status)
{
    return status != 204 && status != 205 && status != 304 && !str_eq(x->parser.request.method, STR("HEAD"));
}

/* The content-length that the service gave, if it gave one number. */
static bool declared_length(const struct http_field *fields, size_t count, uint64_t *ret_length)
{
    for (size_t i = 0; i < count; i++)
        if (http_is_same(fields[i].name, STR("content-length")))
            return http_read_length(fields[i].value, ret_length);
    return false;
}

/* RFC 9110 section 8.6: no content-length in a 204; HEAD and 304 may tell what a GET would have. */
static void frame_without_content(const struct http_exchange *x, struct http_head *head, size_t body)
{
    head->framing = HTTP_FRAME_NONE;
    if (head->status == 204)
        return;
    if (declared_length(head->fields, head->count, &head->length)) {
        head->framing = HTTP_FRAME_LENGTH;
        return;
    }
    if (head->status != 205 && body == 0)
        return;
    head->framing = HTTP_FRAME_LENGTH;
    head->length = head->status == 205 ? 0 : body;
}

static void frame_stream(const struct http_exchange *x, struct http_head *head)
{
    if (declared_length(head->fields, head->count, &head->length))
        head->framing = HTTP_FRAME_LENGTH;
    else
        head->framing = x->parser.minor ? HTTP_FRAME_CHUNKED : HTTP_FRAME_CLOSE;
}

static bool write_head(struct http_exchange *x, struct http_head *head)
{
    struct connection *c = x->connection;
    http_date_update(&c->server->date, io_wall_s(c->server->loop));
    head->close |= !keeps(x) || head->framing == HTTP_FRAME_CLOSE;
    head->keep = !head->close && x->parser.minor == 0;
    if (!output_reserve(c, HEAD_RESERVE))
        return false;
    if (http_head_write(&c->server->out, head, &c->server->date))
        return true;
    return output_reserve(c, OUTPUT_SIZE) && http_head_write(&c->server->out, head, &c->server->date);
}

/* ---- whole answers ---- */

static bool answer(struct http_exchange *x, struct http_head *head, struct str body)
{
    bool content = has_content(x, head->status);
    head->framing = HTTP_FRAME_LENGTH;
    head->length = body.len;
    if (!content)
        frame_without_content(x, head, body.len);
    if (!write_head(x, head))
        return false;
    bool sent = !content || output_append(x->connection, body.ptr, body.len);
    x->answer = HTTP_ANSWERED;
    exchange_end(x, !head->close && sent);
    return true;
}

bool http_respond(struct http_exchange *x, unsigned status, const struct http_field *fields, size_t count,
                  struct str body)
{
    struct http_head head = {.status = status, .fields = fields, .count = count};
    if (x->answer != HTTP_UNANSWERED || x->connection->doomed)
        return false;
    return answer(x, &head, body);
}

/* ---- streams ---- */

bool http_start(struct http_exchange *x, unsigned status, const struct http_field *fields, size_t count)
{
    struct http_head head = {.status = status, .fields = fields, .count = count};
    if (x->answer != HTTP_UNANSWERED || x->connection->doomed)
        return false;
    x->content = has_content(x, status);
    if (x->content)
        frame_stream(x, &head);
    else
        frame_without_content(x, &head, 0);
    if (!write_head(x, &head))
        return false;
    x->answer = HTTP_STREAMING;
    x->framing = head.framing;
    x->left = head.length;
    x->parser.keep_alive &= !head.close;
    return true;
}

static bool write_chunk(struct connection *c, struct str bytes)
{
    char room[HTTP_CHUNK_LINE];
    struct str line = http_chunk_line(room, bytes.len);
    return output_append(c, line.ptr, line.len) && output_append(c, bytes.ptr, bytes.len) &&
           output_append(c, "\r\n", 2);
}

bool http_write(struct http_exchange *x, struct str bytes)
{
    struct connection *c = x->connection;
    if (x->answer != HTTP_STREAMING || c->doomed)
        return false;
    if (!x->content || bytes.len == 0)
        return true;
    if (x->framing == HTTP_FRAME_LENGTH && bytes.len > x->left)
        return false;
    x->left -= x->framing == HTTP_FRAME_LENGTH ? bytes.len : 0;
    bool sent = x->framing == HTTP_FRAME_CHUNKED ? write_chunk(c, bytes) : output_append(c, bytes.ptr, bytes.len);
    return sent && (c->running || output_flush(c));
}

size_t http_room(struct http_exchange *x)
{
    size_t pending = output_pending(x->connection);
    x->wants_room |= pending > 0;
    return pending < STREAM_ROOM ? STREAM_ROOM - pending : 0;
}

void http_flush(struct http_exchange *x)
{
    output_flush(x->connection);
}

static bool write_trailers(struct connection *c, const struct http_field *trailers, size_t count)
{
    bool sent = output_append(c, "0\r\n", 3);
    for (size_t i = 0; i < count && sent; i++) {
        const struct http_field *field = &trailers[i];
        if (!http_is_trailer(field))
            continue;
        sent = output_append(c, field->name.ptr, field->name.len) && output_append(c, ": ", 2) &&
               output_append(c, field->value.ptr, field->value.len) && output_append(c, "\r\n", 2);
    }
    return sent && output_append(c, "\r\n", 2);
}

bool http_finish(struct http_exchange *x, const struct http_field *trailers, size_t count)
{
    struct connection *c = x->connection;
    if (x->answer != HTTP_STREAMING)
        return false;
    bool whole = !c->doomed && !(x->content && x->framing == HTTP_FRAME_LENGTH && x->left);
    if (whole && x->content && x->framing == HTTP_FRAME_CHUNKED)
        whole = write_trailers(c, trailers, count);
    c->doomed |= !whole;
    x->answer = HTTP_ANSWERED;
    exchange_end(x, keeps(x));
    return whole;
}

/* ---- failures ---- */

void http_fail(struct http_exchange *x, unsigned status)
{
    struct connection *c = x->connection;
    char text[64];
    struct http_out body = {text, 0, sizeof text};
    static const struct http_field fields[] = {{{"content-type", 12}, {"text/plain; charset=utf-8", 25}},
                                               {{"retry-after", 11}, {"1", 1}}};
    struct http_head head = {
        .status = status, .fields = fields, .count = status == 503 ? 2 : 1, .close = c->phase != PHASE_ANSWER};
    struct str reason = http_reason(status);
    http_out_number(&body, status, 10);
    http_out_append(&body, " ", 1);
    http_out_append(&body, reason.ptr, reason.len);
    http_out_append(&body, "\n", 1);
    if (c->phase != PHASE_ANSWER) { /* the rest of the request cannot be told from the next one */
        x->end = c->in ? c->in->used : 0;
        x->parser.request.coming = false;
        c->unread = true;
        c->phase = PHASE_ANSWER;
    }
    if (x->answer == HTTP_UNANSWERED && !c->doomed && answer(x, &head, (struct str){text, body.size}))
        return;
    c->doomed = true;
    x->answer = HTTP_ANSWERED;
    if (!c->running)
        io_post(c->server->loop, &c->post);
}

/* ---- as a face ---- */

static void face_want(void *x)
{
    http_want(x);
}

static void face_take(void *x, size_t size)
{
    http_take(x, size);
}

static bool face_respond(void *x, unsigned status, const struct http_field *fields, size_t count, struct str body)
{
    return http_respond(x, status, fields, count, body);
}

static bool face_start(void *x, unsigned status, const struct http_field *fields, size_t count)
{
    return http_start(x, status, fields, count);
}

static bool face_write(void *x, struct str bytes)
{
    return http_write(x, bytes);
}

static size_t face_room(void *x)
{
    return http_room(x);
}

static bool face_finish(void *x, const struct http_field *trailers, size_t count)
{
    return http_finish(x, trailers, count);
}

const struct http_face http_exchange_face = {face_want,  face_take, face_respond, face_start,
                                             face_write, face_room, face_finish};
