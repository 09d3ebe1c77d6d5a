/* See server.h. This file holds the server itself: its pools, accepting, draining. */
#include "http/connection.h"

#include "base/alloc.h"
#include "base/counter.h"
#include "http/h2_library.h"

#include <unistd.h>

#define SECOND_US UINT64_C(1000000)

const struct http_limits http_limits_default = {
    .head_bytes = HTTP_HEAD_BYTES_MAX,
    .body_bytes = UINT64_C(1) << 40,
    .output_bytes = (size_t)64 << 20,
    .connections = 16384,
    .head_us = 10 * SECOND_US,
    .body_us = 30 * SECOND_US,
    .idle_us = 75 * SECOND_US,
    .write_us = 30 * SECOND_US,
};

/* ---- pools: last in, first out, so that the same warm memory serves again ---- */

struct input *input_take(struct http_server *server)
{
    struct input *in = server->free_inputs;
    if (in) {
        server->free_inputs = in->next;
        server->free_input_count--;
    } else {
        in = mem_resize(NULL, 1, sizeof *in); /* what is never received is never touched */
    }
    if (in)
        in->used = 0;
    return in;
}

void input_give(struct http_server *server, struct input *in)
{
    if (server->free_input_count == POOL_KEEP) {
        mem_free(in);
        return;
    }
    in->next = server->free_inputs;
    server->free_inputs = in;
    server->free_input_count++;
}

struct http_exchange *exchange_take(struct connection *c)
{
    struct http_server *server = c->server;
    struct http_exchange *x = server->free_exchanges;
    if (x) {
        server->free_exchanges = x->next;
        server->free_exchange_count--;
    } else {
        x = mem_alloc(1, sizeof *x);
        if (!x)
            return NULL;
        buf_init(&x->body, BODY_WINDOW);
    }
    x->connection = c;
    x->user = NULL;
    x->answer = HTTP_UNANSWERED;
    x->wants_room = x->wants_body = x->owes_continue = false;
    return x;
}

static void exchange_free(struct http_exchange *x)
{
    buf_free(&x->body);
    http_parse_free(&x->parser);
    http_chunks_free(&x->chunks);
    mem_free(x);
}

void exchange_give(struct http_server *server, struct http_exchange *x)
{
    if (server->free_exchange_count == POOL_KEEP) {
        exchange_free(x);
        return;
    }
    if (x->body.capacity > KEEP_CAPACITY || server->free_exchange_count >= BODY_KEEP)
        buf_free(&x->body);
    x->body.size = 0;
    x->body.failed = false;
    x->next = server->free_exchanges;
    server->free_exchanges = x;
    server->free_exchange_count++;
}

static struct connection *connection_take(struct http_server *server)
{
    struct connection *c = server->free_connections;
    if (!c)
        return mem_alloc(1, sizeof *c);
    server->free_connections = c->next;
    server->free_connection_count--;
    memset(c, 0, sizeof *c);
    return c;
}

static void resume_accepting(struct http_server *server)
{
    if (!server->accepting || server->retiring || server->draining || server->acceptor.watching ||
        server->acceptor.retry.armed)
        return;
    net_accept_start(&server->acceptor, server->loop, server->listen_fd, NULL);
}

static void count_open(const struct http_server *server)
{
    if (server->service.connections)
        counter_set(server->service.connections, server->open_count);
}

static void unlink_connection(struct connection *c)
{
    struct http_server *server = c->server;
    if (c->previous)
        c->previous->next = c->next;
    else
        server->open = c->next;
    if (c->next)
        c->next->previous = c->previous;
    server->open_count--;
    count_open(server);
}

static void check_drained(struct http_server *server)
{
    void (*done)(void *) = server->drained;
    if ((!server->retiring && !server->draining) || server->open_count || !done)
        return;
    server->drained = NULL;
    io_timer_stop(server->loop, &server->patience);
    done(server->drained_arg);
}

void connection_give(struct connection *c)
{
    struct http_server *server = c->server;
    unlink_connection(c);
    if (server->free_connection_count == POOL_KEEP) {
        mem_free(c);
    } else {
        c->next = server->free_connections;
        server->free_connections = c;
        server->free_connection_count++;
    }
    resume_accepting(server);
    check_drained(server);
}

/* ---- accepting ---- */

bool http_server_adopt(struct http_server *server, int fd)
{
    struct connection *c = server->open_count < server->limits.connections ? connection_take(server) : NULL;
    if (!c) {
        close(fd);
        return false;
    }
    c->server = server;
    c->watch.fd = fd;
    buf_init(&c->pending, server->limits.output_bytes);
    c->next = server->open;
    if (c->next)
        c->next->previous = c;
    server->open = c;
    server->open_count++;
    count_open(server);
    connection_begin(c);
    return true;
}

static void accepted(struct net_acceptor *acceptor, int fd)
{
    struct http_server *server = IO_OWNER(acceptor, struct http_server, acceptor);
    http_server_adopt(server, fd);
    if (server->open_count >= server->limits.connections)
        net_accept_stop(acceptor);
}

bool http_server_listen(struct http_server *server, int fd, struct err *err)
{
    server->acceptor.accepted = accepted;
    server->acceptor.pause_us = server->limits.accept_pause_us;
    server->listen_fd = fd;
    server->accepting = net_accept_start(&server->acceptor, server->loop, fd, err);
    return server->accepting;
}

void http_peer(const struct http_exchange *x, char ret_text[NET_ADDRESS_MAX])
{
    net_peer_name(x->connection ? x->connection->watch.fd : -1, ret_text);
}

/* ---- life ---- */

struct http_server *http_server_new(struct io_loop *loop, const struct http_service *service,
                                    const struct http_limits *limits, struct err *err)
{
    struct http_server *server = mem_alloc(1, sizeof *server);
    char *output = mem_alloc(1, OUTPUT_SIZE);
    if (!server || !output) {
        mem_free(server);
        mem_free(output);
        err_memory(err);
        return NULL;
    }
    server->loop = loop;
    server->service = *service;
    server->limits = limits ? *limits : http_limits_default;
    if (server->limits.head_bytes > HTTP_HEAD_BYTES_MAX)
        server->limits.head_bytes = HTTP_HEAD_BYTES_MAX;
    server->out = (struct http_out){output, 0, OUTPUT_SIZE};
    return server;
}

void http_server_prepare(void)
{
    h2_load(NULL);
}

void http_server_set_tls(struct http_server *server, struct tls_context *context)
{
    server->tls = context;
}

static void stop_accepting(struct http_server *server, void (*done)(void *arg), void *arg)
{
    server->drained = done;
    server->drained_arg = arg;
    if (server->accepting)
        net_accept_stop(&server->acceptor);
}

static void out_of_patience(struct io_timer *timer)
{
    struct http_server *server = IO_OWNER(timer, struct http_server, patience);
    http_server_drain(server, server->drained, server->drained_arg);
}

void http_server_retire(struct http_server *server, uint64_t patience_us, void (*done)(void *arg), void *arg)
{
    if (server->retiring || server->draining)
        return;
    server->retiring = true;
    stop_accepting(server, done, arg);
    server->patience.fired = out_of_patience;
    io_timer_set(server->loop, &server->patience, io_now_us(server->loop) + patience_us);
    for (struct connection *c = server->open, *next; c; c = next) {
        next = c->next;
        if (c->protocol->retire)
            c->protocol->retire(c);
    }
    check_drained(server);
}

void http_server_drain(struct http_server *server, void (*done)(void *arg), void *arg)
{
    server->draining = true;
    stop_accepting(server, done, arg);
    for (struct connection *c = server->open, *next; c; c = next) {
        next = c->next;
        c->protocol->drain(c);
    }
    check_drained(server);
}

uint32_t http_server_connections(const struct http_server *server)
{
    return server->open_count;
}

static void free_pools(struct http_server *server)
{
    while (server->free_connections) {
        struct connection *c = server->free_connections;
        server->free_connections = c->next;
        mem_free(c);
    }
    while (server->free_exchanges) {
        struct http_exchange *x = server->free_exchanges;
        server->free_exchanges = x->next;
        exchange_free(x);
    }
    while (server->free_inputs) {
        struct input *in = server->free_inputs;
        server->free_inputs = in->next;
        mem_free(in);
    }
}

void http_server_free(struct http_server *server)
{
    if (!server)
        return;
    if (server->accepting)
        net_accept_stop(&server->acceptor);
    server->draining = true;
    server->drained = NULL;
    io_timer_stop(server->loop, &server->patience);
    while (server->open)
        connection_end(server->open);
    free_pools(server);
    h2_shared_free(server->h2);
    mem_free(server->out.data);
    mem_free(server);
}
