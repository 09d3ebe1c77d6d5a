/* See h2.h. A connection of HTTP/2: its life, its list of work, its limits. */
#include "http/h2.h"

#include "base/alloc.h"

#define TURNS 16 /* reads in one run: then others take their turn */
#define HEADER_BLOCK_MAX ((size_t)262144) /* of an answer, as nghttp2 estimates it */
#define ACKS_MAX 200u
#define CONTINUATIONS_MAX 8u

uint64_t h2_now_us(const struct h2 *h2)
{
    return io_now_us(h2->connection->server->loop);
}

/* ---- what connections share ---- */

static void *memory_alloc(size_t size, void *arg)
{
    return mem_alloc(1, size);
}

static void memory_free(void *block, void *arg)
{
    mem_free(block);
}

static void *memory_calloc(size_t count, size_t size, void *arg)
{
    return mem_alloc(count, size);
}

static void *memory_realloc(void *block, size_t size, void *arg)
{
    return mem_resize(block, size, 1);
}

static nghttp2_mem memory = {NULL, memory_alloc, memory_free, memory_calloc, memory_realloc};

static void stream_free(struct h2_stream *s)
{
    struct buf *bufs[] = {&s->head, &s->tail, &s->out, &s->end, &s->x.body};
    for (size_t i = 0; i < sizeof bufs / sizeof bufs[0]; i++)
        buf_free(bufs[i]);
    http_parse_free(&s->x.parser);
    http_chunks_free(&s->x.chunks);
    mem_free(s);
}

void h2_shared_free(struct h2_shared *shared)
{
    if (!shared)
        return;
    while (shared->free) {
        struct h2_stream *s = shared->free;
        shared->free = s->next;
        stream_free(s);
    }
    nghttp2.session_callbacks_del(shared->callbacks);
    nghttp2.option_del(shared->option);
    buf_free(&shared->fields);
    mem_free(shared);
}

static void set_options(nghttp2_option *option)
{
    nghttp2.option_set_no_auto_window_update(option, 1);
    nghttp2.option_set_max_send_header_block_length(option, HEADER_BLOCK_MAX);
    nghttp2.option_set_max_outbound_ack(option, ACKS_MAX);
    nghttp2.option_set_max_continuations(option, CONTINUATIONS_MAX);
}

static struct h2_shared *shared_of(struct http_server *server)
{
    if (server->h2 || !h2_load(NULL))
        return server->h2;
    struct h2_shared *shared = mem_alloc(1, sizeof *shared);
    if (!shared)
        return NULL;
    buf_init(&shared->fields, (size_t)4 << 20);
    if (nghttp2.session_callbacks_new(&shared->callbacks) != 0 || nghttp2.option_new(&shared->option) != 0) {
        h2_shared_free(shared);
        return NULL;
    }
    set_options(shared->option);
    h2_request_callbacks(shared->callbacks);
    h2_answer_callbacks(shared->callbacks);
    return server->h2 = shared;
}

/* ---- streams ---- */

static struct h2_stream *stream_take(struct http_server *server)
{
    struct h2_shared *shared = server->h2;
    struct h2_stream *s = shared->free;
    if (s) {
        shared->free = s->next;
        shared->free_count--;
        return s;
    }
    s = mem_alloc(1, sizeof *s);
    if (!s)
        return NULL;
    buf_init(&s->x.body, BODY_WINDOW);
    buf_init(&s->head, 3 * HTTP_HEAD_BYTES_MAX);
    buf_init(&s->tail, HTTP_HEAD_BYTES_MAX);
    buf_init(&s->out, server->limits.output_bytes);
    buf_init(&s->end, HTTP_HEAD_BYTES_MAX);
    return s;
}

static void stream_timeout(struct io_timer *timer);

/* Empty its buffers; what is large is not kept. */
static void stream_empty(struct h2_stream *s)
{
    struct buf *bufs[] = {&s->head, &s->tail, &s->out, &s->end, &s->x.body};
    for (size_t i = 0; i < sizeof bufs / sizeof bufs[0]; i++) {
        if (bufs[i]->capacity > H2_KEEP_CAPACITY)
            buf_free(bufs[i]);
        bufs[i]->size = 0;
        bufs[i]->failed = bufs[i]->full = false;
    }
}

static void stream_begin(struct h2_stream *s)
{
    memset(s->pseudo, 0, sizeof s->pseudo);
    s->fields_at = s->list_size = s->out_at = 0;
    s->received = s->unread = s->skipped = 0;
    s->stage = H2_HEAD;
    s->refused = 0;
    s->listed = s->given = s->closed = s->reset = s->deferred = s->whole = s->skips = false;
    s->timer.fired = stream_timeout;
}

static void exchange_begin(struct http_exchange *x, struct connection *c)
{
    x->connection = c;
    x->ops = &h2_exchange_ops;
    x->user = NULL;
    x->answer = HTTP_UNANSWERED;
    x->wants_room = x->wants_body = x->owes_continue = false;
    x->taken = 0;
    http_parse_begin(&x->parser, 0);
    x->parser.minor = 1;
    http_chunks_begin(&x->chunks);
}

struct h2_stream *h2_stream_new(struct h2 *h2, int32_t id)
{
    struct h2_stream *s = stream_take(h2->connection->server);
    if (!s)
        return NULL;
    stream_begin(s);
    exchange_begin(&s->x, h2->connection);
    s->h2 = h2;
    s->id = id;
    s->next = h2->streams;
    s->link = &h2->streams;
    if (s->next)
        s->next->link = &s->next;
    h2->streams = s;
    h2->stream_count++;
    return s;
}

/* The service hears of it when it has an exchange that it did not answer. */
static void tell_gone(struct h2_stream *s)
{
    const struct http_service *service = &s->h2->connection->server->service;
    bool owed = s->given && s->x.answer != HTTP_ANSWERED;
    s->x.answer = HTTP_ANSWERED;
    if (owed && service->gone)
        service->gone(service->arg, &s->x);
}

static void stream_end(struct h2_stream *s)
{
    struct h2 *h2 = s->h2;
    struct http_server *server = h2->connection->server;
    tell_gone(s);
    h2_drop_output(s);
    io_timer_stop(server->loop, &s->timer);
    *s->link = s->next;
    if (s->next)
        s->next->link = s->link;
    if (--h2->stream_count == 0)
        h2->idle_us = h2_now_us(h2);
    if (server->h2->free_count == H2_POOL_KEEP) {
        stream_free(s);
        return;
    }
    stream_empty(s);
    s->next = server->h2->free;
    server->h2->free = s;
    server->h2->free_count++;
}

bool h2_usable(const struct h2_stream *s)
{
    return !s->closed && !s->reset && !s->h2->connection->doomed;
}

void h2_poke(struct h2 *h2)
{
    struct connection *c = h2->connection;
    if (!c->running)
        io_post(c->server->loop, &c->post);
}

void h2_reset(struct h2_stream *s, uint32_t code)
{
    if (!h2_usable(s))
        return;
    s->reset = true;
    h2_drop_output(s);
    if (nghttp2.submit_rst_stream(s->h2->session, NGHTTP2_FLAG_NONE, s->id, code) != 0)
        s->h2->connection->doomed = true;
    h2_list(s);
}

/* ---- time ---- */

static bool waits_for_body(const struct h2_stream *s)
{
    return s->skips ||
           (s->x.parser.request.coming && (s->stage == H2_GATHER_BODY || (s->stage == H2_SERVED && s->x.wants_body)));
}

void h2_set_timer(struct h2_stream *s)
{
    struct http_server *server = s->h2->connection->server;
    uint64_t body = waits_for_body(s) ? s->body_us + server->limits.body_us : UINT64_MAX;
    uint64_t out = s->out.size > s->out_at ? s->out_us + server->limits.write_us : UINT64_MAX;
    uint64_t when = body < out ? body : out;
    if (when == UINT64_MAX)
        io_timer_stop(server->loop, &s->timer);
    else
        io_timer_set(server->loop, &s->timer, when);
}

static void stream_timeout(struct io_timer *timer)
{
    struct h2_stream *s = IO_OWNER(timer, struct h2_stream, timer);
    const struct http_limits *limits = &s->h2->connection->server->limits;
    uint64_t now = h2_now_us(s->h2);
    if (waits_for_body(s) && now >= s->body_us + limits->body_us) {
        if (s->stage == H2_GATHER_BODY) {
            s->refused = 408;
            s->stage = H2_READY;
        }
        h2_break_body(s, HTTP_BODY_LATE);
        h2_list(s);
        if (s->skips)
            h2_reset(s, NGHTTP2_NO_ERROR);
    }
    if (s->out.size > s->out_at && now >= s->out_us + limits->write_us)
        h2_reset(s, NGHTTP2_CANCEL);
    h2_set_timer(s);
    h2_poke(s->h2);
}

/* The connection's own timer: for output that the client does not take, for a header block, for the next request. */
static uint64_t deadline_us(const struct connection *c)
{
    const struct h2 *h2 = c->h2;
    const struct http_limits *limits = &c->server->limits;
    uint64_t when = UINT64_MAX;
    if (c->pending.size)
        when = h2->unsent_us + limits->write_us;
    if (h2->in_head && h2->head_us + limits->head_us < when)
        when = h2->head_us + limits->head_us;
    if (h2->stream_count == 0 && !c->pending.size)
        when = h2->idle_us + limits->idle_us;
    return when;
}

static void set_timer(struct connection *c)
{
    struct h2 *h2 = c->h2;
    size_t unsent = c->pending.size - c->pending_at;
    if (unsent != h2->unsent)
        h2->unsent_us = h2_now_us(h2);
    h2->unsent = unsent;
    uint64_t when = deadline_us(c);
    if (when != UINT64_MAX)
        io_timer_set(c->server->loop, &c->timer, when);
}

/* ---- limits ---- */

void h2_fault(struct h2 *h2)
{
    uint64_t now = h2_now_us(h2), healed = (now - h2->fault_us) * H2_FAULTS_PER_SECOND / 1000000;
    if (healed) {
        h2->faults = healed < h2->faults ? h2->faults - (uint32_t)healed : 0;
        h2->fault_us = now;
    }
    if (++h2->faults <= H2_FAULTS || h2->calmed)
        return;
    h2->calmed = true;
    if (nghttp2.session_terminate_session(h2->session, NGHTTP2_ENHANCE_YOUR_CALM) != 0)
        h2->connection->doomed = true;
}

/* ---- the list of work ---- */

void h2_list(struct h2_stream *s)
{
    struct h2 *h2 = s->h2;
    if (s->listed)
        return;
    s->listed = true;
    s->later = NULL;
    *h2->work_end = s;
    h2->work_end = &s->later;
}

static void dispatch(struct h2_stream *s)
{
    const struct http_service *service = &s->h2->connection->server->service;
    s->stage = H2_SERVED;
    if (s->refused || str_eq(s->x.parser.request.method, STR("CONNECT"))) {
        unsigned status = s->refused ? (unsigned)s->refused : 501;
        server_refuses(s->h2->connection->server, &s->x, status);
        h2_fail(&s->x, status);
        return;
    }
    s->given = true;
    if (!service->handle(service->arg, &s->x) && s->x.answer != HTTP_ANSWERED)
        h2_fail(&s->x, 500);
}

static void tell_ready(struct h2_stream *s)
{
    const struct http_service *service = &s->h2->connection->server->service;
    bool room = s->x.wants_room && s->x.answer == HTTP_STREAMING && s->out.size == s->out_at;
    if (!s->given || s->x.answer == HTTP_ANSWERED || !service->ready || (!room && !h2_body_ready(s)))
        return;
    s->x.wants_room = s->x.wants_body = false;
    service->ready(service->arg, &s->x);
}

static void work_on(struct h2_stream *s)
{
    if (s->closed)
        stream_end(s);
    else if (s->reset)
        tell_gone(s);
    else if (s->stage == H2_READY)
        dispatch(s);
    else if (s->stage == H2_SERVED)
        tell_ready(s);
}

/* What is listed meanwhile has its turn next time. */
static void work(struct h2 *h2)
{
    struct h2_stream *s = h2->work, *next;
    h2->work = NULL;
    h2->work_end = &h2->work;
    for (; s; s = next) {
        next = s->later;
        s->listed = false;
        work_on(s);
    }
}

/* ---- the loop ---- */

static void fail_session(struct connection *c, ssize_t result)
{
    if (result < 0)
        c->doomed = true;
}

/* What is not sent stays with nghttp2 while the client takes nothing. */
static void send_frames(struct connection *c)
{
    while (!c->doomed && !c->pending.size) {
        const uint8_t *bytes;
        ssize_t size = nghttp2.session_mem_send(c->h2->session, &bytes);
        fail_session(c, size);
        if (size <= 0)
            return;
        output_append(c, bytes, (size_t)size);
    }
}

/* What the last protocol left in the buffer comes first. */
static bool receive(struct connection *c)
{
    if (!c->in && c->readable)
        c->in = input_take(c->server);
    if (!c->in) {
        c->doomed |= c->readable;
        return false;
    }
    size_t size = c->in->used ? c->in->used : connection_receive(c, c->in->bytes, INPUT_SIZE);
    c->in->used = 0;
    if (size)
        fail_session(c, nghttp2.session_mem_recv(c->h2->session, (const uint8_t *)c->in->bytes, size));
    c->doomed |= size == 0 && c->ended; /* without its answers to ours nothing can go on */
    return size > 0;
}

static void h2_end(struct connection *c)
{
    struct h2 *h2 = c->h2;
    if (!h2)
        return;
    bool doomed = c->doomed;
    c->doomed = true; /* for the operations of exchanges */
    while (h2->streams)
        stream_end(h2->streams);
    nghttp2.session_del(h2->session);
    mem_free(h2);
    c->h2 = NULL;
    c->doomed = doomed;
}

static bool is_over(const struct connection *c)
{
    return !c->doomed && !c->pending.size && !nghttp2.session_want_read(c->h2->session) &&
           !nghttp2.session_want_write(c->h2->session);
}

static void settle(struct connection *c)
{
    output_flush(c);
    if (is_over(c)) {
        h2_end(c);
        c->unread = true; /* what the client did not know when it sent it */
        connection_close(c);
        if (!c->doomed) {
            c->protocol->run(c);
            return;
        }
    }
    if (c->doomed) {
        connection_end(c);
        return;
    }
    connection_give_input(c);
    set_timer(c);
    if (c->h2->work)
        io_post(c->server->loop, &c->post);
}

static void h2_run(struct connection *c)
{
    int turns = 0;
    bool more = true;
    c->running = true;
    while (!c->doomed && more && turns++ < TURNS) {
        more = receive(c);
        work(c->h2);
        send_frames(c);
        more |= c->h2->work != NULL;
    }
    c->running = false;
    if (more)
        io_post(c->server->loop, &c->post);
    settle(c);
}

static void h2_timeout(struct connection *c)
{
    const struct h2 *h2 = c->h2;
    uint64_t now = h2_now_us(h2);
    bool idle = h2->stream_count == 0 && !c->pending.size;
    if (now < deadline_us(c)) {
        set_timer(c);
        return;
    }
    if (!idle || nghttp2.session_terminate_session(h2->session, NGHTTP2_NO_ERROR) != 0) {
        connection_end(c);
        return;
    }
    h2_run(c);
}

/* A client may have begun streams that are still on their way: they are served (RFC 9113 section 6.8). */
static void h2_retire(struct connection *c)
{
    if (nghttp2.submit_shutdown_notice(c->h2->session) != 0)
        c->doomed = true;
    if (!c->running)
        h2_run(c);
}

/* Streams that the client began without knowing are its to try again (RFC 9113 section 6.8). */
static void h2_drain(struct connection *c)
{
    nghttp2_session *session = c->h2->session;
    int32_t last = nghttp2.session_get_last_proc_stream_id(session);
    if (nghttp2.submit_goaway(session, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, NULL, 0) != 0)
        c->doomed = true;
    if (!c->running)
        h2_run(c);
}

const struct protocol h2_protocol = {h2_run, h2_timeout, h2_retire, h2_drain, h2_end};

/* ---- the beginning ---- */

static bool submit_settings(const struct connection *c, nghttp2_session *session)
{
    const nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, H2_STREAMS},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, (uint32_t)H2_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)c->server->limits.head_bytes},
    };
    return nghttp2.submit_settings(session, NGHTTP2_FLAG_NONE, entries, sizeof entries / sizeof entries[0]) == 0 &&
           nghttp2.session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, H2_CONNECTION_WINDOW) == 0;
}

bool h2_begin(struct connection *c)
{
    struct h2_shared *shared = shared_of(c->server);
    struct h2 *h2 = shared ? mem_alloc(1, sizeof *h2) : NULL;
    if (!h2)
        return false;
    if (nghttp2.session_server_new3(&h2->session, shared->callbacks, h2, shared->option, &memory) != 0) {
        mem_free(h2);
        return false;
    }
    if (!submit_settings(c, h2->session)) {
        nghttp2.session_del(h2->session);
        mem_free(h2);
        return false;
    }
    h2->connection = c;
    h2->work_end = &h2->work;
    h2->idle_us = h2->fault_us = h2_now_us(h2);
    c->h2 = h2;
    c->protocol = &h2_protocol;
    return true;
}
