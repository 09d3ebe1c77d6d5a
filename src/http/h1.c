/* HTTP/1.1 on a connection: bytes in, requests out (RFC 9112).
 *
 * `h1_run` is a loop of steps, one function per phase, until one says that it waits: for input, for the service, or for
 * the client to take output. A request of the usual kind costs one recv and one send.
 *
 * Requests are parsed where they were received. The input buffer is given back whenever nothing of a request is in it,
 * so idle connections are small. */
#include "http/h1.h"

#include <string.h>

#define PROBE_US UINT64_C(1000000)

/* The service is told when it still has the exchange. */
static void h1_end(struct connection *c)
{
    struct http_server *server = c->server;
    struct http_exchange *x = c->x;
    if (!x)
        return;
    if (c->phase == PHASE_ANSWER && x->answer != HTTP_ANSWERED && server->service.gone)
        server->service.gone(server->service.arg, x);
    exchange_give(server, x);
}

static void refuse(struct connection *c, int status)
{
    server_refuses(c->server, c->x, (unsigned)status);
    http_fail(c->x, (unsigned)status);
}

/* ---- input ---- */

/* The peer sends no more: what it began is dropped, and what it is owed is still sent. */
static void end_of_input(struct connection *c)
{
    if (c->x)
        exchange_give(c->server, c->x);
    if (c->in)
        c->in->used = 0;
    c->at = 0;
    c->x = NULL;
    c->phase = PHASE_HEAD;
    c->last = true;
}

/* Read into the input buffer. False: nothing came. */
static bool receive_input(struct connection *c)
{
    if (!c->in && c->readable)
        c->in = input_take(c->server);
    size_t n = c->in ? connection_receive(c, c->in->bytes + c->in->used, INPUT_SIZE - c->in->used) : 0;
    if (c->in)
        c->in->used += n;
    c->doomed |= !c->in && c->readable;
    if (n == 0 && c->ended)
        end_of_input(c);
    return n > 0;
}

/* ---- the head ---- */

/* Views into the buffer forbid moving a request once it is begun: move it before, when the rest of the
 * buffer might not hold its head and a chunk line or trailers. */
static void make_room(struct connection *c)
{
    size_t need = c->server->limits.head_bytes + INPUT_SIZE / 4;
    if (c->at == 0 || INPUT_SIZE - c->at >= need)
        return;
    c->in->used -= c->at;
    memmove(c->in->bytes, c->in->bytes + c->at, c->in->used);
    c->at = 0;
}

static bool begin_request(struct connection *c)
{
    c->x = exchange_take(c);
    if (!c->x) {
        c->doomed = true;
        return false;
    }
    make_room(c);
    c->x->ops = &h1_exchange_ops;
    c->x->start = c->at;
    http_parse_begin(&c->x->parser, c->at);
    if (c->tls)
        c->x->parser.request.scheme = STR("https");
    return true;
}

static void begin_body(struct connection *c);

/* The version is none of ours: perhaps that of who knows that we speak HTTP/2 (RFC 9113 section 3.3). Only a
 * connection's first words are taken for that. */
static bool turn_to_h2(struct connection *c)
{
    static const struct str preface = {"PRI * HTTP/2.0", 14};
    struct str bytes = {c->in->bytes + c->at, c->in->used - c->at};
    if (c->begun || c->tls || c->at || !str_starts(bytes, preface))
        return false;
    if (!h2_begin(c))
        return false;
    exchange_give(c->server, c->x);
    c->x = NULL;
    c->phase = PHASE_LEFT;
    return true;
}

/* A connection whose first line names no version of HTTP is not answered in one: it may be that of a client of HTTP/2
 * with another preface than ours (RFC 9113 section 3.4). */
static bool speaks_otherwise(const struct connection *c)
{
    struct str line = {c->in->bytes + c->at, c->in->used - c->at};
    line.len = str_find(line, '\n');
    return !c->begun && !c->at && !memmem(line.ptr, line.len, "HTTP/", 5) && !memmem(line.ptr, line.len, "http/", 5);
}

static bool over_limit(struct connection *c, size_t head)
{
    if (head <= c->server->limits.head_bytes)
        return false;
    refuse(c, c->x->parser.in_fields ? 431 : 414);
    return true;
}

/* True when the head is complete or refused, or none. */
static bool parse_request(struct connection *c)
{
    struct http_parser *parser = &c->x->parser;
    int status = http_parse_head(parser, c->in->bytes, c->in->used);
    if (status == HTTP_PARSE_MORE)
        return over_limit(c, c->in->used - c->x->start);
    if (status == 505 && turn_to_h2(c))
        return true;
    if (status == 400 && speaks_otherwise(c))
        c->doomed = true;
    else if (status != HTTP_PARSE_DONE)
        refuse(c, status);
    else if (!over_limit(c, parser->at - c->x->start))
        begin_body(c);
    return true;
}

static bool step_head(struct connection *c)
{
    if (c->last || c->pending.size)
        return false;
    if (c->in && c->in->used > c->at) {
        if (!c->x && !begin_request(c))
            return false;
        if (c->in->used > c->x->parser.scanned || c->x->parser.scanned == c->x->start)
            if (parse_request(c))
                return true;
    }
    return receive_input(c);
}

/* ---- the body and the answer ---- */

static void dispatch(struct connection *c)
{
    struct http_exchange *x = c->x;
    const struct http_service *service = &c->server->service;
    c->phase = PHASE_ANSWER;
    if (str_eq(x->parser.request.method, STR("CONNECT")))
        refuse(c, 501);
    else if (!service->handle(service->arg, x) && c->x == x && c->phase == PHASE_ANSWER)
        http_fail(x, 500);
}

static void begin_body(struct connection *c)
{
    struct http_exchange *x = c->x;
    int status = body_begin(c);
    if (status) {
        refuse(c, status);
    } else if (x->parser.body == HTTP_BODY_CHUNKED || x->parser.request.coming) {
        dispatch(c);
    } else {
        c->phase = PHASE_BODY;
        body_continue(c);
    }
}

/* A body that stays in the input buffer. */
static bool step_body(struct connection *c)
{
    struct http_exchange *x = c->x;
    size_t length = x->parser.body == HTTP_BODY_NONE ? 0 : (size_t)x->parser.length, end = x->parser.at + length;
    if (c->in->used < end)
        return receive_input(c);
    x->end = end;
    x->owes_continue = false;
    x->parser.request.body = (struct str){c->in->bytes + x->parser.at, length};
    dispatch(c);
    return true;
}

static bool may_go_on(const struct connection *c)
{
    const struct http_exchange *x = c->x;
    if (!x || c->phase != PHASE_ANSWER || c->doomed)
        return false;
    return (x->wants_room && x->answer == HTTP_STREAMING && !output_pending(c)) ||
           (x->wants_body && (x->parser.request.body.len || !x->parser.request.coming));
}

static void tell_ready(struct connection *c)
{
    const struct http_service *service = &c->server->service;
    bool running = c->running;
    if (!may_go_on(c))
        return;
    c->x->wants_room = c->x->wants_body = false;
    if (!service->ready)
        return;
    c->running = true;
    service->ready(service->arg, c->x);
    c->running = running;
}

static bool step_answer(struct connection *c)
{
    if (!body_receive(c))
        return false;
    tell_ready(c);
    return true;
}

static bool step_skip(struct connection *c)
{
    struct http_exchange *x = c->x;
    bool moved = body_skip(c), over = x->skipped > BODY_SKIP;
    if (over)
        c->last = c->unread = true;
    if (!over && x->parser.request.coming)
        return moved;
    exchange_close(c);
    return true;
}

static bool step_left(struct connection *c)
{
    return false;
}

/* ---- the loop ---- */

static bool (*const steps[PHASE_COUNT])(struct connection *c) = {
    [PHASE_HEAD] = step_head, [PHASE_BODY] = step_body, [PHASE_ANSWER] = step_answer,
    [PHASE_SKIP] = step_skip, [PHASE_LEFT] = step_left,
};

/* A client that sends as fast as it is served takes turns with the others: what a step may cost, and a turn. */
static const uint8_t costs[PHASE_COUNT] = {
    [PHASE_HEAD] = 1, [PHASE_BODY] = 1, [PHASE_ANSWER] = 32, [PHASE_SKIP] = 32, [PHASE_LEFT] = 1,
};
#define TURN 4096u

static void settle(struct connection *c);

static void h1_run(struct connection *c)
{
    unsigned cost = 0;
    tell_ready(c);
    c->running = true;
    while (!c->doomed && cost < TURN) {
        cost += costs[c->phase];
        if (!steps[c->phase](c))
            break;
    }
    c->running = false;
    if (cost >= TURN)
        io_post(c->server->loop, &c->post);
    settle(c);
}

/* It said that it sends no more: it may wait for its answer all the same, or be gone. */
static bool may_be_gone(const struct connection *c)
{
    return c->phase == PHASE_ANSWER && c->ending && !c->pending.size && c->x->answer == HTTP_UNANSWERED &&
           c->x->parser.minor;
}

static uint64_t patience_us(const struct connection *c)
{
    const struct http_limits *limits = &c->server->limits;
    if (may_be_gone(c))
        return PROBE_US;
    if (c->pending.size || (c->phase == PHASE_ANSWER && !c->x->wants_body))
        return limits->write_us;
    if (c->phase == PHASE_BODY || c->phase == PHASE_ANSWER || c->phase == PHASE_SKIP)
        return limits->body_us;
    return c->x ? limits->head_us : limits->idle_us;
}

static void set_timer(struct connection *c)
{
    bool in_head = c->phase == PHASE_HEAD && c->x && !c->pending.size;
    if (in_head && c->head_timed)
        return;
    c->head_timed = in_head;
    io_timer_set(c->server->loop, &c->timer, io_now_us(c->server->loop) + patience_us(c));
}

void h1_wait(struct connection *c)
{
    set_timer(c);
}

/* What follows when a step or a late answer is done: flush, timers, closing, or another protocol. */
static void settle(struct connection *c)
{
    output_flush(c);
    c->last |= c->server->draining && c->phase == PHASE_HEAD && !c->x;
    if (c->phase == PHASE_HEAD && c->last && !c->doomed && !c->pending.size)
        connection_close(c);
    if (c->doomed) {
        connection_end(c);
        return;
    }
    if (c->protocol != &h1_protocol) {
        c->protocol->run(c);
        return;
    }
    connection_give_input(c);
    set_timer(c);
    if (may_go_on(c)) /* all that was written went out at once: no event will say so */
        io_post(c->server->loop, &c->post);
}

/* The service has limits of its own, but what it waits for from the client comes in time or not at all. A client of
 * which nobody knows whether it is there is sent a word that all clients pass over (RFC 9110 section 15.2): if it is
 * gone, its system says so. */
static void wait_on(struct connection *c)
{
    if (may_be_gone(c))
        h1_continue(c);
    else if (c->x->wants_body)
        body_break(c->x, HTTP_BODY_LATE);
    h1_run(c);
}

static void h1_timeout(struct connection *c)
{
    if (c->phase == PHASE_ANSWER && !c->pending.size) {
        wait_on(c);
        return;
    }
    bool unfinished = !c->pending.size && c->x && (c->phase == PHASE_HEAD || c->phase == PHASE_BODY);
    if (!unfinished) {
        connection_end(c);
        return;
    }
    refuse(c, 408);
    settle(c);
}

static void h1_drain(struct connection *c)
{
    if (c->phase == PHASE_HEAD && !c->x && !output_pending(c) && !c->running)
        connection_end(c);
}

const struct protocol h1_protocol = {h1_run, h1_timeout, NULL, h1_drain, h1_end};
