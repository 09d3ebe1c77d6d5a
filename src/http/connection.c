/* A connection: events of the loop in, its protocol to act on them, and its end.
 *
 * A read is tried only when the kernel announced something that was not read yet, and again only when the last one
 * filled the buffer or the peer's end was announced. */
#include "http/connection.h"

#include "http/tls.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINGER_US UINT64_C(1000000)
#define LINGER_BYTES ((size_t)1 << 20)
#define LINGER_READS 64 /* in one turn */

void connection_end(struct connection *c)
{
    struct http_server *server = c->server;
    c->doomed = true;
    c->protocol->end(c);
    if (server->out_owner == c) {
        server->out_owner = NULL;
        server->out.size = 0;
    }
    if (c->in)
        input_give(server, c->in);
    buf_free(&c->pending);
    tls_close(c->tls);
    io_unwatch(server->loop, &c->watch);
    io_timer_stop(server->loop, &c->timer);
    io_post_cancel(server->loop, &c->post);
    close(c->watch.fd);
    connection_give(c);
}

/* ---- input ---- */

size_t connection_receive(struct connection *c, void *bytes, size_t room)
{
    if (!c->readable)
        return 0;
    if (c->tls)
        return secure_receive(c, bytes, room);
    ssize_t n = io_recv(c->server->loop, &c->watch, bytes, room);
    c->readable = n == (ssize_t)room || (n > 0 && c->ending);
    c->ended |= n == 0;
    c->doomed |= n < 0 && n != -EAGAIN;
    return n > 0 ? (size_t)n : 0;
}

void connection_give_input(struct connection *c)
{
    if (!c->in || c->x || c->in->used > c->at)
        return;
    input_give(c->server, c->in);
    c->in = NULL;
    c->at = 0;
}

/* ---- the end of a conversation: our side is shut, and what the client still sends is dropped ---- */

static bool discard(struct connection *c)
{
    if (!c->in && !(c->in = input_take(c->server))) {
        c->doomed = true;
        return false;
    }
    ssize_t n = io_recv(c->server->loop, &c->watch, c->in->bytes, INPUT_SIZE);
    c->discarded += n > 0 ? (size_t)n : 0;
    c->doomed |= n == 0 || (n < 0 && n != -EAGAIN) || c->discarded > LINGER_BYTES;
    return n > 0;
}

static void linger_run(struct connection *c)
{
    int reads = 0;
    while (!c->doomed && discard(c))
        if (++reads == LINGER_READS) {
            io_post(c->server->loop, &c->post);
            return;
        }
    if (c->doomed)
        connection_end(c);
}

static void linger_end(struct connection *c)
{
}

static const struct protocol linger_protocol = {linger_run, connection_end, NULL, linger_end, linger_end};

void connection_close(struct connection *c)
{
    if (!c->readable && !c->unread && !(c->in && c->in->used > c->at)) {
        c->doomed = true;
        return;
    }
    tls_goodbye(c->tls);
    shutdown(c->watch.fd, SHUT_WR);
    c->protocol = &linger_protocol;
    c->at = 0;
    c->doomed |= c->ended;
    io_timer_set(c->server->loop, &c->timer, io_now_us(c->server->loop) + LINGER_US);
}

/* ---- events ---- */

static void connection_ready(struct io_watch *watch, unsigned events)
{
    struct connection *c = IO_OWNER(watch, struct connection, watch);
    c->readable |= (events & (IO_IN | IO_END)) != 0;
    if (c->tls && c->readable)
        tls_arrived(c->tls);
    c->ending |= (events & IO_END) != 0;
    c->doomed |= (events & IO_ERROR) != 0;
    if (events & IO_OUT) {
        c->readable |= c->tls != NULL; /* reading may have waited for room to write */
        if (c->pending.size && !c->doomed)
            output_resume(c);
    }
    c->protocol->run(c);
}

static void connection_timeout(struct io_timer *timer)
{
    struct connection *c = IO_OWNER(timer, struct connection, timer);
    c->protocol->timeout(c);
}

static void connection_later(struct io_post *post)
{
    struct connection *c = IO_OWNER(post, struct connection, post);
    c->protocol->run(c);
}

void connection_begin(struct connection *c)
{
    const struct http_server *server = c->server;
    bool secure = server->tls != NULL;
    c->watch.ready = connection_ready;
    c->timer.fired = connection_timeout;
    c->post.run = connection_later;
    c->protocol = secure ? &handshake_protocol : &h1_protocol;
    if (!io_watch(server->loop, &c->watch, NULL) || (secure && !secure_begin(c))) {
        connection_end(c);
        return;
    }
    io_timer_set(server->loop, &c->timer,
                 io_now_us(server->loop) + (secure ? server->limits.head_us : server->limits.idle_us));
}
