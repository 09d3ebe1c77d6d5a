/* Answers of HTTP/1.1: from a status, fields and bytes to a framed message (RFC 9112 section 6). */
#include "http/h1.h"

#define HEAD_RESERVE ((size_t)16384) /* a response head up to this size never needs an early flush */

static bool keeps(const struct http_exchange *x)
{
    /* Whether a client that was not told to go on sends its body nobody can know (RFC 9110 section 10.1.1). */
    const struct http_server *server = x->connection->server;
    return x->parser.keep_alive && !server->retiring && !server->draining && !x->owes_continue;
}

void exchange_close(struct connection *c)
{
    struct http_exchange *x = c->x;
    c->at = x->end;
    c->begun = true;
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

static void frame_stream(const struct http_exchange *x, struct http_head *head)
{
    if (exchange_declared(head->fields, head->count, &head->length))
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
    bool content = exchange_has_content(x, head->status);
    head->framing = HTTP_FRAME_LENGTH;
    head->length = body.len;
    if (!content)
        exchange_frame_nothing(head, body.len);
    if (!write_head(x, head))
        return false;
    bool sent = !content || output_append(x->connection, body.ptr, body.len);
    x->answer = HTTP_ANSWERED;
    exchange_end(x, !head->close && sent);
    return true;
}

static bool h1_respond(void *exchange, unsigned status, const struct http_field *fields, size_t count, struct str body)
{
    struct http_exchange *x = exchange;
    struct http_head head = {.status = status, .fields = fields, .count = count};
    if (x->answer != HTTP_UNANSWERED || x->connection->doomed)
        return false;
    return answer(x, &head, body);
}

/* ---- streams ---- */

static bool h1_start(void *exchange, unsigned status, const struct http_field *fields, size_t count)
{
    struct http_exchange *x = exchange;
    struct http_head head = {.status = status, .fields = fields, .count = count};
    if (x->answer != HTTP_UNANSWERED || x->connection->doomed)
        return false;
    if (status < 300 && x->parser.request.coming) /* who answers well so early may want the body still */
        body_continue(x->connection);
    x->content = exchange_has_content(x, status);
    if (x->content)
        frame_stream(x, &head);
    else
        exchange_frame_nothing(&head, 0);
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

static bool h1_write(void *exchange, struct str bytes)
{
    struct http_exchange *x = exchange;
    struct connection *c = x->connection;
    if (x->answer != HTTP_STREAMING || c->doomed)
        return false;
    if (!x->content || bytes.len == 0) /* the head is to go out */
        return c->running || output_flush(c);
    if (x->framing == HTTP_FRAME_LENGTH && bytes.len > x->left)
        return false;
    x->left -= x->framing == HTTP_FRAME_LENGTH ? bytes.len : 0;
    bool sent = x->framing == HTTP_FRAME_CHUNKED ? write_chunk(c, bytes) : output_append(c, bytes.ptr, bytes.len);
    return sent && (c->running || output_flush(c));
}

static size_t h1_room(void *exchange)
{
    struct http_exchange *x = exchange;
    size_t pending = output_pending(x->connection);
    x->wants_room |= pending > 0;
    return pending < STREAM_ROOM ? STREAM_ROOM - pending : 0;
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

static bool h1_finish(void *exchange, const struct http_field *trailers, size_t count)
{
    struct http_exchange *x = exchange;
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

static void h1_fail(struct http_exchange *x, unsigned status)
{
    struct connection *c = x->connection;
    char room[EXCHANGE_PLAIN_SIZE];
    struct http_head head;
    struct str body = exchange_plain(status, room, &head);
    head.close = c->phase != PHASE_ANSWER;
    if (c->phase != PHASE_ANSWER) { /* the rest of the request cannot be told from the next one */
        x->end = c->in ? c->in->used : 0;
        x->parser.request.coming = false;
        c->unread = true;
        c->phase = PHASE_ANSWER;
    }
    if (x->answer == HTTP_UNANSWERED && !c->doomed && answer(x, &head, body))
        return;
    c->doomed = true;
    x->answer = HTTP_ANSWERED;
    if (!c->running)
        io_post(c->server->loop, &c->post);
}

bool h1_continue(struct connection *c)
{
    static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
    return output_append(c, line, sizeof line - 1);
}

const struct http_exchange_ops h1_exchange_ops = {
    .face = {h1_want, h1_take, h1_respond, h1_start, h1_write, h1_room, h1_finish},
    .fail = h1_fail,
};
