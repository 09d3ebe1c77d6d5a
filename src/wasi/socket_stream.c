/* The two streams of a TCP connection. Reads go straight to the kernel. Of a write the kernel takes what it will; the
 * rest waits in the flow, is sent when there is room, and until then nothing more may be written. */
#include "wasi/socket.h"

#include "base/alloc.h"
#include "base/buf.h"

#include <errno.h>
#include <poll.h>

#define LINGER_NS UINT64_C(10000000000) /* that dropping a stream waits for what it was given */

typedef struct wasi_sockets_tcp_socket tcp_socket;

static bool is_open(const tcp_socket *tcp)
{
    return tcp->socket.watch.fd >= 0;
}

static struct io_loop *loop_of(const tcp_socket *tcp)
{
    return tcp->socket.host->pool->loop;
}

/* ---- input ---- */

static bool ends_stream(int error)
{
    return error == ECONNRESET || error == ECONNABORTED || error == EPIPE || error == ENOTCONN;
}

static bool tcp_read(struct host *h, struct wasi_io_input_stream *s, uint64_t size, struct str *ret_bytes,
                     bool *ret_closed, struct wasi_io_error **ret_why)
{
    tcp_socket *tcp = s->source;
    *ret_closed = tcp->flow->shut_in;
    if (*ret_closed || size == 0)
        return true;
    size = size < SOCKET_ROOM ? size : SOCKET_ROOM;
    char *bytes = arena_alloc(&h->scratch, (size_t)size);
    if (!bytes)
        return host_no_memory(h);
    ssize_t n = io_recv(loop_of(tcp), &tcp->socket.watch, bytes, (size_t)size);
    if (n == -EAGAIN) {
        tcp->socket.readable = false;
        return true;
    }
    *ret_closed = n <= 0;
    *ret_bytes = (struct str){bytes, n > 0 ? (size_t)n : 0};
    if (n >= 0 || ends_stream((int)-n))
        return true;
    *ret_why = error_of_system(h, (int)n);
    return *ret_why != NULL;
}

static bool tcp_input_ready(struct host *h, struct wasi_io_input_stream *s)
{
    tcp_socket *tcp = s->source;
    return tcp->flow->shut_in || socket_ready(&tcp->socket, POLLIN);
}

static const struct input_kind tcp_input = {tcp_read, tcp_input_ready, NULL};

/* ---- output ---- */

static size_t left(const struct tcp_flow *flow)
{
    return flow->pending.size - flow->at;
}

void tcp_push(struct socket *s, struct tcp_flow *flow)
{
    while (left(flow) && !flow->failed) {
        ssize_t n = io_send(s->host->pool->loop, &s->watch, flow->pending.data + flow->at, left(flow));
        if (n == -EAGAIN)
            s->writable = false;
        if (n == -EAGAIN)
            return;
        if (n < 0)
            flow->failed = (int)-n;
        else
            flow->at += (size_t)n;
    }
    flow->pending.size = flow->at = 0;
    if (flow->shut_out)
        shutdown(s->watch.fd, SHUT_WR);
}

/* Never waits for ever: on a broken connection the write says what is wrong. */
static size_t tcp_room(struct host *h, struct wasi_io_output_stream *s)
{
    tcp_socket *tcp = s->target;
    if (tcp->flow->failed || tcp->flow->shut_out)
        return SOCKET_ROOM;
    return !left(tcp->flow) && socket_ready(&tcp->socket, POLLOUT) ? SOCKET_ROOM : 0;
}

static bool fail(struct host *h, int error, struct wasi_io_error **ret_why)
{
    *ret_why = ends_stream(error) ? NULL : error_of_system(h, -error);
    return false;
}

static bool tcp_write(struct host *h, struct wasi_io_output_stream *s, struct str bytes, struct wasi_io_error **ret_why)
{
    tcp_socket *tcp = s->target;
    struct tcp_flow *flow = tcp->flow;
    ssize_t n = 0;
    if (flow->shut_out)
        return false;
    if (flow->failed)
        return fail(h, flow->failed, ret_why);
    if (bytes.len && !left(flow))
        n = io_send(loop_of(tcp), &tcp->socket.watch, bytes.ptr, bytes.len);
    if (n < 0 && n != -EAGAIN) {
        flow->failed = (int)-n;
        return fail(h, flow->failed, ret_why);
    }
    n = n > 0 ? n : 0;
    if ((size_t)n == bytes.len)
        return true;
    tcp->socket.writable = false;
    return buf_append(&flow->pending, bytes.ptr + n, bytes.len - (size_t)n) || fail(h, ENOMEM, ret_why);
}

/* What the stream took must not be lost with it. */
static void tcp_drop_output(struct host *h, struct wasi_io_output_stream *s)
{
    tcp_socket *tcp = s->target;
    uint64_t until = clock_now_ns() + LINGER_NS;
    while (left(tcp->flow) && !tcp->flow->failed && is_open(tcp) && clock_now_ns() < until)
        if (!host_wait(h, until))
            return;
}

static const struct output_kind tcp_output = {tcp_room, tcp_write, tcp_drop_output, false};

/* ---- both ---- */

socket_error tcp_shutdown(struct socket *s, struct tcp_flow *flow, bool in, bool out)
{
    int how = in && out && !left(flow) ? SHUT_RDWR : in ? SHUT_RD : SHUT_WR;
    bool now = in || !left(flow); /* the end of output comes behind what is pending */
    if (now && shutdown(s->watch.fd, how) < 0)
        return socket_error_of(errno);
    flow->shut_in |= in;
    flow->shut_out |= out;
    return SOCKET_OK;
}

bool tcp_streams(struct host *h, tcp_socket *tcp, struct wasi_io_input_stream **ret_in,
                 struct wasi_io_output_stream **ret_out)
{
    struct wasi_io_input_stream *in = HOST_NEW(h, struct wasi_io_input_stream, &tcp->node);
    struct wasi_io_output_stream *out = HOST_NEW(h, struct wasi_io_output_stream, &tcp->node);
    tcp->flow = mem_alloc(1, sizeof *tcp->flow);
    if (!in || !out)
        return false;
    if (!tcp->flow)
        return host_no_memory(h);
    buf_init(&tcp->flow->pending, 2 * SOCKET_ROOM);
    in->kind = &tcp_input;
    in->source = tcp;
    out->kind = &tcp_output;
    out->target = tcp;
    *ret_in = in;
    *ret_out = out;
    return true;
}
