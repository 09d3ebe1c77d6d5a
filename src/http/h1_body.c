/* The body of a request of HTTP/1.1: from the connection to who answers.
 *
 * A body that fits behind its head stays in the input buffer and is whole before anyone sees it. Any other comes
 * through a window, x->body, while its request is being answered: it is filled only while INPUT_SIZE bytes of it are
 * free, so one read or one decoded buffer always fits. Of a chunked one the raw bytes go through the input buffer
 * behind the head, which stays where it is, because the request's strings point into it.
 *
 * Invariants: request.body is the part of the window that was not taken. Once request.coming is false nothing is
 * received for this request any more and nothing in the window moves. */
#include "http/h1.h"

static void show(struct http_exchange *x)
{
    const char *bytes = (const char *)x->body.data;
    x->parser.request.body = (struct str){bytes + x->taken, x->body.size - x->taken};
}

static void come_to_end(struct http_exchange *x, enum http_body_fault fault)
{
    x->parser.request.coming = false;
    x->parser.request.fault = fault;
    if (fault != HTTP_BODY_SOUND) /* where the next request would begin is not known */
        x->connection->last = x->connection->unread = true;
}

void body_break(struct http_exchange *x, enum http_body_fault fault)
{
    if (x->parser.request.coming)
        come_to_end(x, fault);
}

/* ---- how it begins ---- */

static int begin_length(struct connection *c)
{
    struct http_exchange *x = c->x;
    size_t here = c->in->used - x->parser.at;
    if (x->parser.length > x->body_max)
        return 413;
    if (x->parser.length <= INPUT_SIZE - x->parser.at)
        return 0; /* stays in the input */
    if (!buf_append(&x->body, c->in->bytes + x->parser.at, here))
        return 500;
    x->body_left = x->parser.length - here;
    x->end = c->in->used = x->parser.at;
    x->parser.request.coming = true;
    return 0;
}

static enum http_body_fault fault_of(int status)
{
    static const struct {
        int status;
        enum http_body_fault fault;
    } rows[] = {{HTTP_PARSE_DONE, HTTP_BODY_SOUND}, {413, HTTP_BODY_TOO_LONG}, {500, HTTP_BODY_NO_MEMORY}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].status == status)
            return rows[i].fault;
    return HTTP_BODY_MALFORMED;
}

/* What is decoded makes way for what follows it. */
static int keep_rest(struct connection *c, char *raw, size_t used)
{
    size_t rest = (size_t)(c->in->bytes + c->in->used - raw) - used;
    memmove(raw, raw + used, rest);
    c->in->used -= used;
    c->x->end = c->in->used;
    return c->in->used < INPUT_SIZE ? HTTP_PARSE_MORE : 431;
}

/* What came of a chunked body: 0 (all of it), HTTP_PARSE_MORE, or the status to refuse it with. */
static int decode(struct connection *c)
{
    struct http_exchange *x = c->x;
    size_t size = c->in->used - x->parser.at, used = 0;
    char *raw = c->in->bytes + x->parser.at;
    int status = size ? http_chunks_decode(&x->chunks, raw, size, x->body_max, &x->body, &used) : HTTP_PARSE_MORE;
    if (status == HTTP_PARSE_MORE)
        status = keep_rest(c, raw, used);
    if (status == HTTP_PARSE_MORE)
        return status;
    if (status == HTTP_PARSE_DONE) {
        x->parser.request.trailers = x->chunks.trailers;
        x->parser.request.trailer_count = x->chunks.trailer_count;
        x->end = x->parser.at + used;
    }
    come_to_end(x, fault_of(status));
    return status;
}

static int begin_chunked(struct connection *c)
{
    http_chunks_begin(&c->x->chunks);
    c->x->parser.request.coming = true;
    int status = decode(c);
    return status == HTTP_PARSE_MORE ? 0 : status;
}

static int begin_none(struct connection *c)
{
    return 0;
}

int body_begin(struct connection *c)
{
    static int (*const kinds[])(struct connection *) = {
        [HTTP_BODY_NONE] = begin_none, [HTTP_BODY_LENGTH] = begin_length, [HTTP_BODY_CHUNKED] = begin_chunked};
    struct http_exchange *x = c->x;
    struct http_request *request = &x->parser.request;
    bool asked = x->parser.expect_continue && x->parser.body != HTTP_BODY_NONE;
    bool here = c->in->used > x->parser.at;
    x->end = x->parser.at;
    x->taken = 0;
    request->coming = false;
    request->fault = HTTP_BODY_SOUND;
    if (x->parser.body != HTTP_BODY_NONE)
        server_bounds_body(c->server, x);
    int status = kinds[x->parser.body](c);
    x->owes_continue = asked && !here && (x->parser.body == HTTP_BODY_CHUNKED || x->parser.length);
    show(x);
    return status;
}

/* ---- more of it ---- */

static bool has_room(const struct http_exchange *x)
{
    return BODY_WINDOW - x->body.size >= INPUT_SIZE;
}

/* Straight into the window, never beyond the body's end. */
static bool receive_length(struct connection *c)
{
    struct http_exchange *x = c->x;
    size_t room = BODY_WINDOW - x->body.size, want = x->body_left < room ? (size_t)x->body_left : room;
    void *bytes = buf_extend(&x->body, want);
    if (!bytes) {
        body_break(x, HTTP_BODY_NO_MEMORY);
        return true;
    }
    size_t n = connection_receive(c, bytes, want);
    x->body.size -= want - n;
    x->body_left -= n;
    if (x->body_left == 0)
        come_to_end(x, HTTP_BODY_SOUND);
    return n > 0;
}

static bool receive_chunked(struct connection *c)
{
    size_t n = connection_receive(c, c->in->bytes + c->in->used, INPUT_SIZE - c->in->used);
    c->in->used += n;
    return n > 0 && (decode(c), true);
}

bool body_receive(struct connection *c)
{
    struct http_exchange *x = c->x;
    if (!x->parser.request.coming || !has_room(x))
        return false;
    bool moved = x->parser.body == HTTP_BODY_CHUNKED ? receive_chunked(c) : receive_length(c);
    if (!moved && c->ended) {
        body_break(x, HTTP_BODY_CUT);
        moved = true;
    }
    show(x);
    return moved;
}

void h1_take(void *exchange, size_t size)
{
    struct http_exchange *x = exchange;
    struct connection *c = x->connection;
    struct http_request *request = &x->parser.request;
    if (!request->coming) {
        request->body = (struct str){request->body.ptr + size, request->body.len - size};
        return;
    }
    if (size == 0)
        return;
    x->taken += size;
    size_t left = x->body.size - x->taken;
    if (left == 0 || x->taken >= INPUT_SIZE) { /* what is taken makes way */
        memmove(x->body.data, x->body.data + x->taken, left);
        x->body.size = left;
        x->taken = 0;
    }
    show(x);
    while (!c->doomed && body_receive(c))
        continue;
    if (c->doomed && !c->running)
        io_post(c->server->loop, &c->post);
}

void h1_want(void *exchange)
{
    struct http_exchange *x = exchange;
    struct connection *c = x->connection;
    if (!x->parser.request.coming)
        return;
    x->wants_body = true;
    body_continue(c);
    if (!c->running)
        h1_wait(c);
}

/* ---- the client that waits for a word ---- */

void body_continue(struct connection *c)
{
    struct http_exchange *x = c->x;
    if (!x->owes_continue || x->answer != HTTP_UNANSWERED)
        return;
    x->owes_continue = false;
    h1_continue(c);
    if (!c->running)
        output_flush(c);
}

/* ---- nobody wants the rest ---- */

bool body_skip(struct connection *c)
{
    struct http_exchange *x = c->x;
    x->skipped += x->body.size;
    x->body.size = x->taken = 0;
    return x->skipped <= BODY_SKIP && body_receive(c);
}
