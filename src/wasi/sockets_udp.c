/* wasi:sockets/udp and udp-create-socket. A socket that was bound without a grant to listen hears only from whom it may
 * send to: other datagrams are dropped as they are received. */
#include "wasi/socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#define DATAGRAM_MAX ((size_t)65536)
#define RECEIVE_MAX 64u /* datagrams of one call */
#define RECEIVE_BYTES ((size_t)1 << 20)
#define REFUSED_MAX 4096u /* dropped in one call: more than a queue holds, unless it is filled meanwhile */

struct wasi_sockets_incoming_datagram_stream {
    struct host_node node;
    struct wasi_sockets_udp_socket *udp;
};

struct wasi_sockets_outgoing_datagram_stream {
    struct host_node node;
    struct wasi_sockets_udp_socket *udp;
    uint64_t permit;
};

typedef struct wasi_sockets_udp_socket udp_socket;
typedef struct wasi_sockets_incoming_datagram_stream incoming;
typedef struct wasi_sockets_outgoing_datagram_stream outgoing;
/* result<tuple<A, B>, error-code> */
#define RESULT_OF_TWO(a, b) struct result_tuple_##a##_##b##_wasi_sockets_network_error_code

typedef RESULT_OF_TWO(wasi_sockets_incoming_datagram_stream, wasi_sockets_outgoing_datagram_stream) streams_result;
typedef struct result_void_wasi_sockets_network_error_code void_result;
typedef struct result_u64_wasi_sockets_network_error_code u64_result;

/* ---- life ---- */

bool wasi_sockets_udp_create_socket_create_udp_socket(
    struct host *h, enum wasi_sockets_network_ip_address_family address_family,
    struct result_wasi_sockets_udp_socket_wasi_sockets_network_error_code *ret)
{
    udp_socket *udp = HOST_NEW(h, udp_socket, NULL);
    if (!udp)
        return false;
    socket_error error =
        socket_open(h, &udp->socket, address_family == WASI_SOCKETS_NETWORK_IP_ADDRESS_FAMILY_IPV6, SOCK_DGRAM);
    if (error == SOCKET_OK)
        ret->ok = udp;
    else
        host_drop_node(h, &udp->node, "udp-socket");
    SOCKET_RETURN(ret, error);
}

void wasi_sockets_udp_socket_drop(struct host *h, udp_socket *self)
{
    if (!self->node.children)
        socket_close(&self->socket);
    host_drop_node(h, &self->node, "udp-socket");
}

static socket_error start_bind(struct host *h, udp_socket *udp, const struct ip_endpoint *at)
{
    bool listens;
    if (udp->state != UDP_UNBOUND)
        return udp->state == UDP_BINDING ? SOCKET_ERROR(CONCURRENCY_CONFLICT) : SOCKET_ERROR(INVALID_STATE);
    socket_error error = socket_check_local(&udp->socket, at);
    if (error == SOCKET_OK && !socket_may_bind(h, at, &listens))
        error = SOCKET_ERROR(ACCESS_DENIED);
    if (error == SOCKET_OK)
        error = socket_bind(&udp->socket, at, false);
    if (error != SOCKET_OK)
        return error;
    udp->listens = listens;
    udp->state = UDP_BINDING;
    return SOCKET_OK;
}

bool wasi_sockets_udp_udp_socket_start_bind(struct host *h, udp_socket *self, struct wasi_sockets_network *network,
                                            const wasi_endpoint *local_address, void_result *ret)
{
    const struct ip_endpoint at = socket_endpoint(local_address);
    SOCKET_RETURN(ret, start_bind(h, self, &at));
}

bool wasi_sockets_udp_udp_socket_finish_bind(struct host *h, udp_socket *self, void_result *ret)
{
    if (self->state != UDP_BINDING)
        SOCKET_RETURN(ret, SOCKET_ERROR(NOT_IN_PROGRESS));
    self->state = UDP_BOUND;
    SOCKET_RETURN(ret, socket_watch(&self->socket));
}

/* ---- streams ---- */

static bool name_of(const udp_socket *udp, struct ip_endpoint *ret)
{
    union ip_sockaddr name = {0};
    socklen_t size = sizeof name;
    return getsockname(udp->socket.watch.fd, &name.any, &size) == 0 && ip_from_sockaddr(&name, ret);
}

/* With its peer the kernel forgets a port that it chose; to the guest the socket is bound to that. */
static socket_error disconnect(udp_socket *udp)
{
    const struct sockaddr none = {.sa_family = AF_UNSPEC};
    struct ip_endpoint before, after;
    if (!udp->connected)
        return SOCKET_OK;
    bool known = name_of(udp, &before);
    if (connect(udp->socket.watch.fd, &none, sizeof none) < 0)
        return socket_error_of(errno);
    udp->connected = false;
    if (!known || !name_of(udp, &after))
        return SOCKET_ERROR(UNKNOWN);
    bool kept = after.port == before.port;
    after.port = before.port;
    return kept ? SOCKET_OK : socket_bind(&udp->socket, &after, false);
}

socket_error udp_set_peer(struct host *h, udp_socket *udp,
                          const struct option_wasi_sockets_network_ip_socket_address *to)
{
    union ip_sockaddr address;
    struct ip_endpoint peer = to->some ? socket_endpoint(&to->value) : (struct ip_endpoint){0};
    if (udp->state != UDP_BOUND)
        return SOCKET_ERROR(INVALID_STATE);
    socket_error error = to->some ? socket_check_remote(&udp->socket, &peer) : SOCKET_OK;
    if (error == SOCKET_OK && to->some && !socket_may_reach(h, &peer, "sending datagrams to"))
        error = SOCKET_ERROR(ACCESS_DENIED);
    if (error == SOCKET_OK)
        error = disconnect(udp);
    if (error != SOCKET_OK || !to->some)
        return error;
    if (connect(udp->socket.watch.fd, &address.any, ip_to_sockaddr(&peer, &address)) < 0)
        return socket_error_of(errno);
    udp->connected = true;
    udp->peer = peer;
    return SOCKET_OK;
}

bool wasi_sockets_udp_udp_socket_stream(struct host *h, udp_socket *self,
                                        const struct option_wasi_sockets_network_ip_socket_address *remote_address,
                                        streams_result *ret)
{
    if (self->streams)
        return host_trap(h, "udp-socket.stream before the streams of the last call were dropped");
    socket_error error = udp_set_peer(h, self, remote_address);
    if (error != SOCKET_OK)
        SOCKET_RETURN(ret, error);
    incoming *in = HOST_NEW(h, incoming, &self->node);
    outgoing *out = HOST_NEW(h, outgoing, &self->node);
    if (!in || !out)
        return false;
    in->udp = out->udp = self;
    self->streams = 2;
    ret->err = false;
    ret->ok.f0 = in;
    ret->ok.f1 = out;
    return true;
}

void wasi_sockets_incoming_datagram_stream_drop(struct host *h, incoming *self)
{
    self->udp->streams -= self->node.children == 0;
    host_drop_node(h, &self->node, "incoming-datagram-stream");
}

void wasi_sockets_outgoing_datagram_stream_drop(struct host *h, outgoing *self)
{
    self->udp->streams -= self->node.children == 0;
    host_drop_node(h, &self->node, "outgoing-datagram-stream");
}

/* ---- receiving ---- */

/* One datagram into `buffer`: its size, or -errno. */
static ssize_t receive_one(udp_socket *udp, char *buffer, struct ip_endpoint *ret_from)
{
    union ip_sockaddr from = {0};
    ssize_t n;
    struct iovec part = {buffer, DATAGRAM_MAX};
    struct msghdr message = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &part, .msg_iovlen = 1};
    do
        n = recvmsg(udp->socket.watch.fd, &message, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    return ip_from_sockaddr(&from, ret_from) ? n : -EPROTO;
}

static bool may_hear(struct host *h, const udp_socket *udp, const struct ip_endpoint *from)
{
    if (udp->connected) /* what came before the connection was made is still in the queue */
        return ip_same(&from->address, &udp->peer.address) && from->port == udp->peer.port;
    return udp->listens || socket_reaches(h, from);
}

/* False: trap. *ret_error when the first attempt failed. */
static bool receive(struct host *h, udp_socket *udp, struct wasi_sockets_udp_incoming_datagram *items, size_t max,
                    size_t *ret_count, socket_error *ret_error)
{
    size_t count = 0, bytes = 0;
    char *buffer = arena_alloc(&h->scratch, DATAGRAM_MAX);
    if (!buffer)
        return host_no_memory(h);
    for (unsigned refused = 0; count < max && bytes < RECEIVE_BYTES && refused < REFUSED_MAX;) {
        struct ip_endpoint from;
        ssize_t n = receive_one(udp, buffer, &from);
        if (n == -EAGAIN)
            udp->socket.readable = false;
        if (n < 0 && n != -EAGAIN && count == 0)
            *ret_error = socket_error_of((int)-n);
        if (n < 0)
            break;
        if (!may_hear(h, udp, &from)) {
            refused++;
            continue;
        }
        const uint8_t *data = arena_copy(&h->scratch, buffer, (size_t)n);
        if (!data)
            return host_no_memory(h);
        items[count].data = (struct list_u8){data, (size_t)n};
        items[count++].remote_address = socket_wasi_endpoint(&from);
        bytes += (size_t)n;
    }
    *ret_count = count;
    return true;
}

bool udp_receive(struct host *h, udp_socket *udp, uint64_t max_results,
                 struct result_list_wasi_sockets_udp_incoming_datagram_wasi_sockets_network_error_code *ret)
{
    size_t max = max_results < RECEIVE_MAX ? (size_t)max_results : RECEIVE_MAX, count = 0;
    socket_error error = SOCKET_OK;
    struct wasi_sockets_udp_incoming_datagram *items =
        ARENA_ARRAY(&h->scratch, struct wasi_sockets_udp_incoming_datagram, max);
    if (!items)
        return host_no_memory(h);
    if (max && udp->failed) {
        error = socket_error_of(udp->failed);
        udp->failed = 0;
        SOCKET_RETURN(ret, error);
    }
    if (max && !receive(h, udp, items, max, &count, &error))
        return false;
    if (error == SOCKET_OK)
        ret->ok = (struct list_wasi_sockets_udp_incoming_datagram){items, count};
    SOCKET_RETURN(ret, error);
}

bool wasi_sockets_udp_incoming_datagram_stream_receive(
    struct host *h, incoming *self, uint64_t max_results,
    struct result_list_wasi_sockets_udp_incoming_datagram_wasi_sockets_network_error_code *ret)
{
    return udp_receive(h, self->udp, max_results, ret);
}

bool udp_readable(struct host *h, udp_socket *udp)
{
    if (udp->failed)
        return true;
    unsigned refused = 0;
    for (; refused < REFUSED_MAX && socket_ready(&udp->socket, POLLIN); refused++) {
        union ip_sockaddr from = {0};
        struct ip_endpoint endpoint;
        socklen_t size = sizeof from;
        char byte;
        ssize_t n = recvfrom(udp->socket.watch.fd, &byte, 1, MSG_PEEK, &from.any, &size);
        if (n < 0 && errno == EAGAIN)
            continue;
        if (n < 0)
            udp->failed = errno;
        if (n < 0)
            return true;
        if (ip_from_sockaddr(&from, &endpoint) && may_hear(h, udp, &endpoint))
            return true;
        recv(udp->socket.watch.fd, &byte, 1, 0);
    }
    return refused == REFUSED_MAX;
}

static bool incoming_ready(struct host *h, const struct wasi_io_pollable *p)
{
    return udp_readable(h, ((incoming *)p->object)->udp);
}

bool wasi_sockets_udp_incoming_datagram_stream_subscribe(struct host *h, incoming *self, struct wasi_io_pollable **ret)
{
    *ret = pollable_new(h, &self->node, incoming_ready, self, HOST_FOREVER);
    return *ret != NULL;
}

/* ---- sending ---- */

bool wasi_sockets_udp_outgoing_datagram_stream_check_send(struct host *h, outgoing *self, u64_result *ret)
{
    self->permit = socket_ready(&self->udp->socket, POLLOUT) ? UDP_SEND_MAX : 0;
    ret->ok = self->permit;
    ret->err = false;
    return true;
}

socket_error udp_send(struct host *h, udp_socket *udp, const struct wasi_sockets_udp_outgoing_datagram *datagram)
{
    const struct option_wasi_sockets_network_ip_socket_address *remote = &datagram->remote_address;
    struct ip_endpoint to = remote->some ? socket_endpoint(&remote->value) : udp->peer;
    union ip_sockaddr address;
    socklen_t size = ip_to_sockaddr(&to, &address);
    ssize_t n;
    if (!remote->some && !udp->connected)
        return SOCKET_ERROR(INVALID_ARGUMENT);
    socket_error error = socket_check_remote(&udp->socket, &to);
    if (error == SOCKET_OK && udp->connected &&
        !(ip_same(&to.address, &udp->peer.address) && to.port == udp->peer.port))
        error = SOCKET_ERROR(INVALID_ARGUMENT);
    if (error != SOCKET_OK)
        return error;
    if (!udp->connected && !socket_may_reach(h, &to, "sending datagrams to"))
        return SOCKET_ERROR(ACCESS_DENIED);
    do
        n = sendto(udp->socket.watch.fd, datagram->data.ptr, datagram->data.len, MSG_NOSIGNAL,
                   udp->connected ? NULL : &address.any, udp->connected ? 0 : size);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        udp->socket.writable = false;
    return n < 0 ? socket_error_of(errno) : SOCKET_OK;
}

bool wasi_sockets_udp_outgoing_datagram_stream_send(struct host *h, outgoing *self,
                                                    struct list_wasi_sockets_udp_outgoing_datagram datagrams,
                                                    u64_result *ret)
{
    socket_error error = SOCKET_OK;
    size_t sent = 0;
    if (datagrams.len > self->permit)
        return host_trap(h, "send of %zu datagrams where check-send allowed %llu", datagrams.len,
                         (unsigned long long)self->permit);
    while (sent < datagrams.len && error == SOCKET_OK) {
        error = udp_send(h, self->udp, &datagrams.ptr[sent]);
        sent += error == SOCKET_OK;
    }
    self->permit -= sent;
    if (sent || error == SOCKET_ERROR(WOULD_BLOCK))
        error = SOCKET_OK;
    if (error == SOCKET_OK)
        ret->ok = sent;
    SOCKET_RETURN(ret, error);
}

static bool outgoing_ready(struct host *h, const struct wasi_io_pollable *p)
{
    return socket_ready(&((outgoing *)p->object)->udp->socket, POLLOUT);
}

bool wasi_sockets_udp_outgoing_datagram_stream_subscribe(struct host *h, outgoing *self, struct wasi_io_pollable **ret)
{
    *ret = pollable_new(h, &self->node, outgoing_ready, self, HOST_FOREVER);
    return *ret != NULL;
}

/* ---- what it is ---- */

bool wasi_sockets_udp_udp_socket_local_address(
    struct host *h, udp_socket *self,
    struct result_wasi_sockets_network_ip_socket_address_wasi_sockets_network_error_code *ret)
{
    if (self->state != UDP_BOUND)
        SOCKET_RETURN(ret,
                      self->state == UDP_BINDING ? SOCKET_ERROR(CONCURRENCY_CONFLICT) : SOCKET_ERROR(INVALID_STATE));
    SOCKET_RETURN(ret, socket_name(&self->socket, false, &ret->ok));
}

bool wasi_sockets_udp_udp_socket_remote_address(
    struct host *h, udp_socket *self,
    struct result_wasi_sockets_network_ip_socket_address_wasi_sockets_network_error_code *ret)
{
    if (!self->connected)
        SOCKET_RETURN(ret, SOCKET_ERROR(INVALID_STATE));
    SOCKET_RETURN(ret, socket_name(&self->socket, true, &ret->ok));
}

bool wasi_sockets_udp_udp_socket_address_family(struct host *h, udp_socket *self,
                                                enum wasi_sockets_network_ip_address_family *ret)
{
    *ret = self->socket.v6 ? WASI_SOCKETS_NETWORK_IP_ADDRESS_FAMILY_IPV6 : WASI_SOCKETS_NETWORK_IP_ADDRESS_FAMILY_IPV4;
    return true;
}

bool wasi_sockets_udp_udp_socket_unicast_hop_limit(struct host *h, udp_socket *self,
                                                   struct result_u8_wasi_sockets_network_error_code *ret)
{
    SOCKET_RETURN(ret, socket_hop_limit(&self->socket, &ret->ok));
}

bool wasi_sockets_udp_udp_socket_set_unicast_hop_limit(struct host *h, udp_socket *self, uint8_t value,
                                                       void_result *ret)
{
    SOCKET_RETURN(ret, socket_set_hop_limit(&self->socket, value));
}

bool wasi_sockets_udp_udp_socket_receive_buffer_size(struct host *h, udp_socket *self, u64_result *ret)
{
    SOCKET_RETURN(ret, socket_buffer_size(&self->socket, SO_RCVBUF, &ret->ok));
}

bool wasi_sockets_udp_udp_socket_set_receive_buffer_size(struct host *h, udp_socket *self, uint64_t value,
                                                         void_result *ret)
{
    SOCKET_RETURN(ret, socket_set_buffer_size(&self->socket, SO_RCVBUF, value));
}

bool wasi_sockets_udp_udp_socket_send_buffer_size(struct host *h, udp_socket *self, u64_result *ret)
{
    SOCKET_RETURN(ret, socket_buffer_size(&self->socket, SO_SNDBUF, &ret->ok));
}

bool wasi_sockets_udp_udp_socket_set_send_buffer_size(struct host *h, udp_socket *self, uint64_t value,
                                                      void_result *ret)
{
    SOCKET_RETURN(ret, socket_set_buffer_size(&self->socket, SO_SNDBUF, value));
}

/* What starts is done at once, so there is nothing to wait for but on a socket that has no streams. */
static bool socket_is_ready(struct host *h, const struct wasi_io_pollable *p)
{
    udp_socket *udp = p->object;
    return !udp->direct || (udp->full && socket_ready(&udp->socket, POLLOUT)) || udp_readable(h, udp);
}

bool wasi_sockets_udp_udp_socket_subscribe(struct host *h, udp_socket *self, struct wasi_io_pollable **ret)
{
    *ret = pollable_new(h, &self->node, socket_is_ready, self, HOST_FOREVER);
    return *ret != NULL;
}
