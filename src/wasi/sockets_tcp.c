/* wasi:sockets/tcp and tcp-create-socket: the state machine of TcpSocketOperationalSemantics.md. Binding and listening
 * are done when they start, so their finish has only to say so. */
#include "wasi/socket.h"

#include "base/alloc.h"
#include "base/buf.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#define BACKLOG 128
#define BACKLOG_MAX 4096

typedef struct wasi_sockets_tcp_socket tcp_socket;
typedef struct result_void_wasi_sockets_network_error_code void_result;
typedef struct result_u64_wasi_sockets_network_error_code u64_result;

/* ---- life ---- */

static void free_flow(tcp_socket *tcp)
{
    if (tcp->flow)
        buf_free(&tcp->flow->pending);
    mem_free(tcp->flow);
    tcp->flow = NULL;
}

static void close_tcp(struct host *h, struct host_closer *closer)
{
    tcp_socket *tcp = IO_OWNER(closer, tcp_socket, socket.closer);
    socket_close(&tcp->socket);
    free_flow(tcp);
}

/* Room in the kernel: what waits goes first. */
static void tcp_ready(struct socket *s)
{
    tcp_socket *tcp = IO_OWNER(s, tcp_socket, socket);
    if (tcp->flow && s->writable && tcp->flow->pending.size)
        tcp_push(s, tcp->flow);
}

static tcp_socket *tcp_new(struct host *h)
{
    tcp_socket *tcp = HOST_NEW(h, tcp_socket, NULL);
    if (!tcp)
        return NULL;
    tcp->socket.watch.fd = -1;
    tcp->socket.ready = tcp_ready;
    tcp->backlog = BACKLOG;
    return tcp;
}

bool wasi_sockets_tcp_create_socket_create_tcp_socket(
    struct host *h, enum wasi_sockets_network_ip_address_family address_family,
    struct result_wasi_sockets_tcp_socket_wasi_sockets_network_error_code *ret)
{
    tcp_socket *tcp = tcp_new(h);
    if (!tcp)
        return false;
    socket_error error =
        socket_open(h, &tcp->socket, address_family == WASI_SOCKETS_NETWORK_IP_ADDRESS_FAMILY_IPV6, SOCK_STREAM);
    tcp->socket.closer.close = close_tcp;
    if (error == SOCKET_OK)
        ret->ok = tcp;
    else
        host_drop_node(h, &tcp->node, "tcp-socket");
    SOCKET_RETURN(ret, error);
}

void wasi_sockets_tcp_socket_drop(struct host *h, tcp_socket *self)
{
    if (!self->node.children) {
        socket_close(&self->socket);
        free_flow(self);
    }
    host_drop_node(h, &self->node, "tcp-socket");
}

/* After a failed attempt the kernel's socket is of no use. */
static socket_error end_with(tcp_socket *tcp, socket_error error)
{
    tcp->state = TCP_CLOSED;
    return error;
}

/* ---- binding ---- */

/* What a call from the wrong state gets: `busy` is the state in which the same thing is under way. */
static socket_error wrong_state(const tcp_socket *tcp, enum tcp_state busy)
{
    return tcp->state == busy ? SOCKET_ERROR(CONCURRENCY_CONFLICT) : SOCKET_ERROR(INVALID_STATE);
}

static socket_error start_bind(struct host *h, tcp_socket *tcp, const struct ip_endpoint *at)
{
    bool listens;
    if (tcp->state != TCP_UNBOUND)
        return wrong_state(tcp, TCP_BINDING);
    socket_error error = socket_check_local(&tcp->socket, at);
    if (error == SOCKET_OK && !socket_may_bind(h, at, &listens))
        error = SOCKET_ERROR(ACCESS_DENIED);
    if (error == SOCKET_OK)
        error = socket_bind(&tcp->socket, at, true);
    tcp->chosen_port = at->port == 0;
    if (error == SOCKET_OK)
        tcp->state = TCP_BINDING;
    return error;
}

bool wasi_sockets_tcp_tcp_socket_start_bind(struct host *h, tcp_socket *self, struct wasi_sockets_network *network,
                                            const wasi_endpoint *local_address, void_result *ret)
{
    const struct ip_endpoint at = socket_endpoint(local_address);
    SOCKET_RETURN(ret, start_bind(h, self, &at));
}

/* What started is done: go on to `next`. */
static socket_error finish(tcp_socket *tcp, enum tcp_state state, enum tcp_state next)
{
    if (tcp->state != state)
        return SOCKET_ERROR(NOT_IN_PROGRESS);
    tcp->state = next;
    return SOCKET_OK;
}

bool wasi_sockets_tcp_tcp_socket_finish_bind(struct host *h, tcp_socket *self, void_result *ret)
{
    SOCKET_RETURN(ret, finish(self, TCP_BINDING, TCP_BOUND));
}

/* ---- connecting ---- */

static socket_error start_connect(struct host *h, tcp_socket *tcp, const struct ip_endpoint *to)
{
    union ip_sockaddr address;
    socklen_t size = ip_to_sockaddr(to, &address);
    if (tcp->state != TCP_UNBOUND && tcp->state != TCP_BOUND)
        return wrong_state(tcp, TCP_CONNECTING);
    socket_error error = socket_check_remote(&tcp->socket, to);
    if (error == SOCKET_OK && !socket_may_reach(h, to, "connecting to"))
        error = SOCKET_ERROR(ACCESS_DENIED);
    if (error != SOCKET_OK)
        return end_with(tcp, error);
    if (connect(tcp->socket.watch.fd, &address.any, size) < 0 && errno != EINPROGRESS)
        return end_with(tcp, errno == EADDRNOTAVAIL || errno == EAGAIN ? SOCKET_ERROR(ADDRESS_IN_USE)
                                                                       : socket_error_of(errno));
    error = socket_watch(&tcp->socket);
    tcp->state = TCP_CONNECTING;
    return error == SOCKET_OK ? error : end_with(tcp, error);
}

bool wasi_sockets_tcp_tcp_socket_start_connect(struct host *h, tcp_socket *self, struct wasi_sockets_network *network,
                                               const wasi_endpoint *remote_address, void_result *ret)
{
    const struct ip_endpoint to = socket_endpoint(remote_address);
    SOCKET_RETURN(ret, start_connect(h, self, &to));
}

static socket_error connected(tcp_socket *tcp)
{
    int failure = 0;
    if (tcp->state != TCP_CONNECTING)
        return SOCKET_ERROR(NOT_IN_PROGRESS);
    if (!socket_ready(&tcp->socket, POLLOUT))
        return SOCKET_ERROR(WOULD_BLOCK);
    socket_error error = socket_get_option(&tcp->socket, SOL_SOCKET, SO_ERROR, &failure);
    if (error == SOCKET_OK && failure)
        error = socket_error_of(failure);
    return error == SOCKET_OK ? error : end_with(tcp, error);
}

bool wasi_sockets_tcp_tcp_socket_finish_connect(
    struct host *h, tcp_socket *self,
    struct result_tuple_wasi_io_input_stream_wasi_io_output_stream_wasi_sockets_network_error_code *ret)
{
    socket_error error = connected(self);
    if (error == SOCKET_OK) {
        if (!tcp_streams(h, self, &ret->ok.f0, &ret->ok.f1))
            return false;
        self->state = TCP_CONNECTED;
    }
    SOCKET_RETURN(ret, error);
}

/* ---- listening ---- */

/* What was bound without a grant, to a port that the kernel chose, is for connecting only. */
static bool may_listen(struct host *h, tcp_socket *tcp)
{
    wasi_endpoint name;
    if (socket_name(&tcp->socket, false, &name) != SOCKET_OK)
        return false;
    struct ip_endpoint at = socket_endpoint(&name), asked = at;
    asked.port = tcp->chosen_port ? 0 : at.port;
    if (grants_listen(h->config->grants, &at) || grants_listen(h->config->grants, &asked))
        return true;
    socket_deny(h, &asked, "accepting connections at", PERMIT_LISTEN);
    return false;
}

static socket_error start_listen(struct host *h, tcp_socket *tcp)
{
    if (tcp->state != TCP_BOUND)
        return wrong_state(tcp, TCP_STARTING_TO_LISTEN);
    if (!may_listen(h, tcp))
        return end_with(tcp, SOCKET_ERROR(ACCESS_DENIED));
    if (listen(tcp->socket.watch.fd, tcp->backlog) < 0)
        return end_with(tcp, socket_error_of(errno));
    socket_error error = socket_watch(&tcp->socket);
    tcp->state = TCP_STARTING_TO_LISTEN;
    return error == SOCKET_OK ? error : end_with(tcp, error);
}

bool wasi_sockets_tcp_tcp_socket_start_listen(struct host *h, tcp_socket *self, void_result *ret)
{
    SOCKET_RETURN(ret, start_listen(h, self));
}

bool wasi_sockets_tcp_tcp_socket_finish_listen(struct host *h, tcp_socket *self, void_result *ret)
{
    SOCKET_RETURN(ret, finish(self, TCP_STARTING_TO_LISTEN, TCP_LISTENS));
}

static socket_error accept_one(tcp_socket *listener, int *ret_fd)
{
    int fd, on = 1;
    if (listener->state != TCP_LISTENS)
        return SOCKET_ERROR(INVALID_STATE);
    do
        fd = accept4(listener->socket.watch.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    if (fd < 0 && errno == EAGAIN)
        listener->socket.readable = false;
    if (fd < 0)
        return socket_error_of(errno);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    *ret_fd = fd;
    return SOCKET_OK;
}

bool wasi_sockets_tcp_tcp_socket_accept(
    struct host *h, tcp_socket *self,
    struct
    result_tuple_wasi_sockets_tcp_socket_wasi_io_input_stream_wasi_io_output_stream_wasi_sockets_network_error_code
        *ret)
{
    int fd = -1;
    tcp_socket *tcp = tcp_new(h);
    if (!tcp)
        return false;
    socket_error error = accept_one(self, &fd);
    if (error == SOCKET_OK)
        error = socket_adopt(h, &tcp->socket, self->socket.v6, fd);
    tcp->socket.closer.close = close_tcp;
    if (error == SOCKET_OK)
        error = socket_watch(&tcp->socket);
    if (error != SOCKET_OK) {
        socket_close(&tcp->socket);
        host_drop_node(h, &tcp->node, "tcp-socket");
        SOCKET_RETURN(ret, error);
    }
    tcp->state = TCP_CONNECTED;
    ret->ok.f0 = tcp;
    ret->err = false;
    return tcp_streams(h, tcp, &ret->ok.f1, &ret->ok.f2);
}

/* ---- what it is ---- */

bool wasi_sockets_tcp_tcp_socket_local_address(
    struct host *h, tcp_socket *self,
    struct result_wasi_sockets_network_ip_socket_address_wasi_sockets_network_error_code *ret)
{
    if (self->state == TCP_UNBOUND || self->state == TCP_BINDING || self->state == TCP_CLOSED)
        SOCKET_RETURN(ret, wrong_state(self, TCP_BINDING));
    SOCKET_RETURN(ret, socket_name(&self->socket, false, &ret->ok));
}

bool wasi_sockets_tcp_tcp_socket_remote_address(
    struct host *h, tcp_socket *self,
    struct result_wasi_sockets_network_ip_socket_address_wasi_sockets_network_error_code *ret)
{
    if (self->state != TCP_CONNECTED)
        SOCKET_RETURN(ret, wrong_state(self, TCP_CONNECTING));
    SOCKET_RETURN(ret, socket_name(&self->socket, true, &ret->ok));
}

bool wasi_sockets_tcp_tcp_socket_is_listening(struct host *h, tcp_socket *self, bool *ret)
{
    *ret = self->state == TCP_LISTENS;
    return true;
}

bool wasi_sockets_tcp_tcp_socket_address_family(struct host *h, tcp_socket *self,
                                                enum wasi_sockets_network_ip_address_family *ret)
{
    *ret = self->socket.v6 ? WASI_SOCKETS_NETWORK_IP_ADDRESS_FAMILY_IPV6 : WASI_SOCKETS_NETWORK_IP_ADDRESS_FAMILY_IPV4;
    return true;
}

/* ---- options ---- */

static socket_error set_backlog(tcp_socket *tcp, uint64_t value)
{
    if (value == 0)
        return SOCKET_ERROR(INVALID_ARGUMENT);
    if (tcp->state == TCP_CONNECTING || tcp->state == TCP_CONNECTED || tcp->state == TCP_CLOSED)
        return SOCKET_ERROR(INVALID_STATE);
    tcp->backlog = value < BACKLOG_MAX ? (int)value : BACKLOG_MAX;
    if (tcp->state == TCP_LISTENS && listen(tcp->socket.watch.fd, tcp->backlog) < 0)
        return socket_error_of(errno);
    return SOCKET_OK;
}

bool wasi_sockets_tcp_tcp_socket_set_listen_backlog_size(struct host *h, tcp_socket *self, uint64_t value,
                                                         void_result *ret)
{
    SOCKET_RETURN(ret, set_backlog(self, value));
}

bool wasi_sockets_tcp_tcp_socket_keep_alive_enabled(struct host *h, tcp_socket *self,
                                                    struct result_bool_wasi_sockets_network_error_code *ret)
{
    int value = 0;
    socket_error error = socket_get_option(&self->socket, SOL_SOCKET, SO_KEEPALIVE, &value);
    ret->ok = value != 0;
    SOCKET_RETURN(ret, error);
}

bool wasi_sockets_tcp_tcp_socket_set_keep_alive_enabled(struct host *h, tcp_socket *self, bool value, void_result *ret)
{
    SOCKET_RETURN(ret, socket_set_option(&self->socket, SOL_SOCKET, SO_KEEPALIVE, value));
}

/* The kernel counts whole seconds, up to 32767. */
#define KEEP_SECONDS_MAX 32767u
#define KEEP_COUNT_MAX 127u

static bool get_seconds(const tcp_socket *tcp, int name, u64_result *ret)
{
    int seconds = 0;
    socket_error error = socket_get_option(&tcp->socket, IPPROTO_TCP, name, &seconds);
    ret->ok = (uint64_t)seconds * NS_PER_S;
    SOCKET_RETURN(ret, error);
}

static bool set_seconds(const tcp_socket *tcp, int name, uint64_t ns, void_result *ret)
{
    uint64_t seconds = ns / NS_PER_S + (ns % NS_PER_S != 0);
    if (ns == 0)
        SOCKET_RETURN(ret, SOCKET_ERROR(INVALID_ARGUMENT));
    seconds = seconds < KEEP_SECONDS_MAX ? seconds : KEEP_SECONDS_MAX;
    SOCKET_RETURN(ret, socket_set_option(&tcp->socket, IPPROTO_TCP, name, (int)seconds));
}

bool wasi_sockets_tcp_tcp_socket_keep_alive_idle_time(struct host *h, tcp_socket *self, u64_result *ret)
{
    return get_seconds(self, TCP_KEEPIDLE, ret);
}

bool wasi_sockets_tcp_tcp_socket_set_keep_alive_idle_time(struct host *h, tcp_socket *self, uint64_t value,
                                                          void_result *ret)
{
    return set_seconds(self, TCP_KEEPIDLE, value, ret);
}

bool wasi_sockets_tcp_tcp_socket_keep_alive_interval(struct host *h, tcp_socket *self, u64_result *ret)
{
    return get_seconds(self, TCP_KEEPINTVL, ret);
}

bool wasi_sockets_tcp_tcp_socket_set_keep_alive_interval(struct host *h, tcp_socket *self, uint64_t value,
                                                         void_result *ret)
{
    return set_seconds(self, TCP_KEEPINTVL, value, ret);
}

bool wasi_sockets_tcp_tcp_socket_keep_alive_count(struct host *h, tcp_socket *self,
                                                  struct result_u32_wasi_sockets_network_error_code *ret)
{
    int value = 0;
    socket_error error = socket_get_option(&self->socket, IPPROTO_TCP, TCP_KEEPCNT, &value);
    ret->ok = (uint32_t)value;
    SOCKET_RETURN(ret, error);
}

bool wasi_sockets_tcp_tcp_socket_set_keep_alive_count(struct host *h, tcp_socket *self, uint32_t value,
                                                      void_result *ret)
{
    int count = value < KEEP_COUNT_MAX ? (int)value : (int)KEEP_COUNT_MAX;
    if (value == 0)
        SOCKET_RETURN(ret, SOCKET_ERROR(INVALID_ARGUMENT));
    SOCKET_RETURN(ret, socket_set_option(&self->socket, IPPROTO_TCP, TCP_KEEPCNT, count));
}

bool wasi_sockets_tcp_tcp_socket_hop_limit(struct host *h, tcp_socket *self,
                                           struct result_u8_wasi_sockets_network_error_code *ret)
{
    SOCKET_RETURN(ret, socket_hop_limit(&self->socket, &ret->ok));
}

bool wasi_sockets_tcp_tcp_socket_set_hop_limit(struct host *h, tcp_socket *self, uint8_t value, void_result *ret)
{
    SOCKET_RETURN(ret, socket_set_hop_limit(&self->socket, value));
}

bool wasi_sockets_tcp_tcp_socket_receive_buffer_size(struct host *h, tcp_socket *self, u64_result *ret)
{
    SOCKET_RETURN(ret, socket_buffer_size(&self->socket, SO_RCVBUF, &ret->ok));
}

bool wasi_sockets_tcp_tcp_socket_set_receive_buffer_size(struct host *h, tcp_socket *self, uint64_t value,
                                                         void_result *ret)
{
    SOCKET_RETURN(ret, socket_set_buffer_size(&self->socket, SO_RCVBUF, value));
}

bool wasi_sockets_tcp_tcp_socket_send_buffer_size(struct host *h, tcp_socket *self, u64_result *ret)
{
    SOCKET_RETURN(ret, socket_buffer_size(&self->socket, SO_SNDBUF, &ret->ok));
}

bool wasi_sockets_tcp_tcp_socket_set_send_buffer_size(struct host *h, tcp_socket *self, uint64_t value,
                                                      void_result *ret)
{
    SOCKET_RETURN(ret, socket_set_buffer_size(&self->socket, SO_SNDBUF, value));
}

/* ---- waiting, ending ---- */

static bool tcp_pollable(struct host *h, const struct wasi_io_pollable *p)
{
    tcp_socket *tcp = p->object;
    switch (tcp->state) {
    case TCP_CONNECTING: return socket_ready(&tcp->socket, POLLOUT);
    case TCP_LISTENS: return socket_ready(&tcp->socket, POLLIN);
    default: return true;
    }
}

bool wasi_sockets_tcp_tcp_socket_subscribe(struct host *h, tcp_socket *self, struct wasi_io_pollable **ret)
{
    *ret = pollable_new(h, &self->node, tcp_pollable, self, HOST_FOREVER);
    return *ret != NULL;
}

bool wasi_sockets_tcp_tcp_socket_shutdown(struct host *h, tcp_socket *self,
                                          enum wasi_sockets_tcp_shutdown_type shutdown_type, void_result *ret)
{
    bool in = shutdown_type != WASI_SOCKETS_TCP_SHUTDOWN_TYPE_SEND;
    bool out = shutdown_type != WASI_SOCKETS_TCP_SHUTDOWN_TYPE_RECEIVE;
    if (self->state != TCP_CONNECTED)
        SOCKET_RETURN(ret, wrong_state(self, TCP_CONNECTING));
    SOCKET_RETURN(ret, tcp_shutdown(&self->socket, self->flow, in, out));
}
