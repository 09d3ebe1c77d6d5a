/* Output: one buffer per worker, filled by the connection that is being served and sent when control
 * leaves it; what the kernel does not take moves to the connection's own buffer.
 *
 * Order is kept because while a connection has pending output everything goes behind it. */
#include "http/connection.h"

#include <errno.h>
#include <sys/uio.h>

size_t output_pending(const struct connection *c)
{
    size_t waiting = c->server->out_owner == c ? c->server->out.size : 0;
    return c->pending.size - c->pending_at + waiting;
}

static ssize_t transport_send(struct connection *c, const void *bytes, size_t size)
{
    return c->tls ? secure_send(c, bytes, size) : io_send(c->server->loop, &c->watch, bytes, size);
}

static ssize_t transport_sendv(struct connection *c, const struct iovec *parts, int count)
{
    return c->tls ? secure_sendv(c, parts, count) : io_sendv(c->server->loop, &c->watch, parts, count);
}

static bool lose(struct connection *c)
{
    c->doomed = true;
    if (!c->running)
        io_post(c->server->loop, &c->post);
    if (c->server->out_owner == c)
        c->server->out.size = 0;
    return false;
}

static bool keep_pending(struct connection *c, const void *bytes, size_t size)
{
    if (size && c->pending.size == 0)
        io_timer_set(c->server->loop, &c->timer, io_now_us(c->server->loop) + c->server->limits.write_us);
    return buf_append(&c->pending, bytes, size) || lose(c);
}

/* What the kernel took of `size` bytes: all that it would; -1 when the connection is lost. */
static ssize_t taken(struct connection *c, ssize_t result)
{
    if (result == -EAGAIN)
        return 0;
    if (result < 0)
        lose(c);
    return result < 0 ? -1 : result;
}

bool output_flush(struct connection *c)
{
    struct http_out *out = &c->server->out;
    if (c->server->out_owner != c || out->size == 0)
        return !c->doomed;
    size_t size = out->size;
    ssize_t sent = 0;
    if (c->doomed)
        return lose(c);
    if (c->pending.size == 0)
        sent = taken(c, transport_send(c, out->data, size));
    out->size = 0;
    if (sent < 0)
        return false;
    return (size_t)sent == size || keep_pending(c, out->data + sent, size - (size_t)sent);
}

static void own_output(struct connection *c)
{
    struct http_server *server = c->server;
    if (server->out_owner && server->out_owner != c)
        output_flush(server->out_owner);
    server->out_owner = c;
}

bool output_reserve(struct connection *c, size_t size)
{
    own_output(c);
    if (c->server->out.capacity - c->server->out.size < size)
        output_flush(c);
    return !c->doomed && c->server->out.capacity - c->server->out.size >= size;
}

/* More than the buffer holds: send both with one call and keep the rest of both. */
static bool append_large(struct connection *c, const void *bytes, size_t size)
{
    struct http_out *out = &c->server->out;
    struct iovec parts[2] = {{out->data, out->size}, {(void *)bytes, size}};
    if (c->pending.size)
        return output_flush(c) && keep_pending(c, bytes, size);
    ssize_t sent = taken(c, transport_sendv(c, parts, 2));
    if (sent < 0)
        return false;
    size_t head = (size_t)sent < out->size ? (size_t)sent : out->size, body = (size_t)sent - head;
    size_t held = out->size;
    out->size = 0;
    return keep_pending(c, out->data + head, held - head) && keep_pending(c, (const char *)bytes + body, size - body);
}

bool output_append(struct connection *c, const void *bytes, size_t size)
{
    own_output(c);
    if (c->doomed)
        return false;
    return http_out_append(&c->server->out, bytes, size) || append_large(c, bytes, size);
}

bool output_resume(struct connection *c)
{
    while (c->pending_at < c->pending.size) {
        ssize_t sent = taken(c, transport_send(c, c->pending.data + c->pending_at, c->pending.size - c->pending_at));
        if (sent <= 0)
            return false;
        c->pending_at += (size_t)sent;
    }
    c->pending.size = c->pending_at = 0;
    if (c->pending.capacity > KEEP_CAPACITY)
        buf_free(&c->pending);
    return true;
}
