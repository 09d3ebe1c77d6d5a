/* See socket.h. */
#include "wasi/socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

/* ---- life ---- */

static void close_at_end(struct host *h, struct host_closer *closer)
{
    socket_close(IO_OWNER(closer, struct socket, closer));
}

static void happened(struct io_watch *watch, unsigned events)
{
    struct socket *s = IO_OWNER(watch, struct socket, watch);
    s->readable |= (events & (IO_IN | IO_END | IO_ERROR)) != 0;
    s->writable |= (events & (IO_OUT | IO_ERROR)) != 0;
    if (s->ready)
        s->ready(s);
    host_wake(s->host);
}

socket_error socket_adopt(struct host *h, struct socket *s, bool v6, int fd)
{
    if (h->socket_count == SOCKETS_MAX || h->pool->socket_count >= h->pool->socket_max) {
        close(fd);
        return SOCKET_ERROR(NEW_SOCKET_LIMIT);
    }
    h->socket_count++;
    h->pool->socket_count++;
    s->host = h;
    s->v6 = v6;
    s->watch = (struct io_watch){.ready = happened, .fd = fd};
    s->closer.close = close_at_end;
    host_own(h, &s->closer);
    return SOCKET_OK;
}

/* A socket can be made and configured without a grant (wasi:sockets, create-tcp-socket: it is an object in memory until
 * it is bound or connected). One of UDP could already send, should a guest ever take over this process, so where
 * nothing is granted one of TCP stands in for it; nothing that would tell them apart is permitted. */
static int type_granted(const struct host *h, int type)
{
    const struct grants *grants = h->config->grants;
    return grants_any(grants, GRANT_NET) || grants_any(grants, GRANT_LISTEN) ? type : SOCK_STREAM;
}

socket_error socket_open(struct host *h, struct socket *s, bool v6, int type)
{
    int on = 1, fd;
    s->watch.fd = -1;
    if (!h->pool->loop)
        return SOCKET_ERROR(NOT_SUPPORTED);
    fd = socket(v6 ? AF_INET6 : AF_INET, type_granted(h, type) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno == EAFNOSUPPORT ? SOCKET_ERROR(NOT_SUPPORTED) : socket_error_of(errno);
    if (v6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (type == SOCK_STREAM) /* guests cannot ask for it, and their streams write whole messages */
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return socket_adopt(h, s, v6, fd);
}

void socket_close(struct socket *s)
{
    if (s->watch.fd < 0)
        return;
    if (s->watched)
        io_unwatch(s->host->pool->loop, &s->watch);
    host_disown(&s->closer);
    close(s->watch.fd);
    s->watch.fd = -1;
    s->watched = false;
    s->host->socket_count--;
    s->host->pool->socket_count--;
}

socket_error socket_watch(struct socket *s)
{
    struct err err;
    s->readable = s->writable = true; /* unknown: the first question asks the kernel */
    s->watched = s->watched || io_watch(s->host->pool->loop, &s->watch, &err);
    return s->watched ? SOCKET_OK : SOCKET_ERROR(OUT_OF_MEMORY);
}

bool socket_ready(struct socket *s, short events)
{
    bool *flag = events == POLLIN ? &s->readable : &s->writable;
    struct pollfd entry = {s->watch.fd, events, 0};
    if (!*flag)
        return false;
    *flag = false; /* first: what happens after the question is told by the loop */
    *flag = poll(&entry, 1, 0) > 0;
    return *flag;
}

/* ---- errors ---- */

static const struct {
    int error;
    socket_error code;
} errors[] = {
#define ERROR(number, name) {number, SOCKET_ERROR(name)}
    ERROR(EACCES, ACCESS_DENIED),
    ERROR(EPERM, ACCESS_DENIED),
    ERROR(EOPNOTSUPP, NOT_SUPPORTED),
    ERROR(EAFNOSUPPORT, INVALID_ARGUMENT),
    ERROR(EINVAL, INVALID_ARGUMENT),
    ERROR(EDESTADDRREQ, INVALID_ARGUMENT),
    ERROR(ENOMEM, OUT_OF_MEMORY),
    ERROR(ENOBUFS, OUT_OF_MEMORY),
    ERROR(ETIMEDOUT, TIMEOUT),
    ERROR(EALREADY, CONCURRENCY_CONFLICT),
    ERROR(EAGAIN, WOULD_BLOCK),
    ERROR(EINPROGRESS, WOULD_BLOCK),
    ERROR(ENOTCONN, INVALID_STATE),
    ERROR(EISCONN, INVALID_STATE),
    ERROR(EMFILE, NEW_SOCKET_LIMIT),
    ERROR(ENFILE, NEW_SOCKET_LIMIT),
    ERROR(EADDRNOTAVAIL, ADDRESS_NOT_BINDABLE),
    ERROR(EADDRINUSE, ADDRESS_IN_USE),
    ERROR(EHOSTUNREACH, REMOTE_UNREACHABLE),
    ERROR(EHOSTDOWN, REMOTE_UNREACHABLE),
    ERROR(ENETUNREACH, REMOTE_UNREACHABLE),
    ERROR(ENETDOWN, REMOTE_UNREACHABLE),
    ERROR(ENONET, REMOTE_UNREACHABLE),
    ERROR(ECONNREFUSED, CONNECTION_REFUSED),
    ERROR(ECONNRESET, CONNECTION_RESET),
    ERROR(EPIPE, CONNECTION_RESET),
    ERROR(ECONNABORTED, CONNECTION_ABORTED),
    ERROR(EMSGSIZE, DATAGRAM_TOO_LARGE),
#undef ERROR
};

socket_error socket_error_of(int error)
{
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        if (errors[i].error == error)
            return errors[i].code;
    return SOCKET_ERROR(UNKNOWN);
}

/* ---- addresses ---- */

struct ip_endpoint socket_endpoint(const wasi_endpoint *from)
{
    struct ip_endpoint to = {0};
    if (from->tag == WASI_SOCKETS_NETWORK_IP_SOCKET_ADDRESS_IPV4) {
        const struct wasi_sockets_network_ipv4_address *a = &from->ipv4.address;
        to.port = from->ipv4.port;
        memcpy(to.address.bytes, (uint8_t[]){a->f0, a->f1, a->f2, a->f3}, 4);
        return to;
    }
    const struct wasi_sockets_network_ipv6_address *a = &from->ipv6.address;
    const uint16_t groups[8] = {a->f0, a->f1, a->f2, a->f3, a->f4, a->f5, a->f6, a->f7};
    to.address.v6 = true;
    to.port = from->ipv6.port;
    to.flow = from->ipv6.flow_info;
    to.scope = from->ipv6.scope_id;
    for (int i = 0; i < 8; i++) {
        to.address.bytes[2 * i] = (uint8_t)(groups[i] >> 8);
        to.address.bytes[2 * i + 1] = (uint8_t)groups[i];
    }
    return to;
}

struct wasi_sockets_network_ip_address socket_wasi_address(const struct ip_address *from)
{
    const uint8_t *b = from->bytes;
    struct wasi_sockets_network_ip_address to = {.tag = WASI_SOCKETS_NETWORK_IP_ADDRESS_IPV4};
#define GROUP(i) (uint16_t)(b[2 * (i)] << 8 | b[2 * (i) + 1])
    if (!from->v6) {
        to.ipv4 = (struct wasi_sockets_network_ipv4_address){b[0], b[1], b[2], b[3]};
    } else {
        to.tag = WASI_SOCKETS_NETWORK_IP_ADDRESS_IPV6;
        to.ipv6 = (struct wasi_sockets_network_ipv6_address){GROUP(0), GROUP(1), GROUP(2), GROUP(3),
                                                             GROUP(4), GROUP(5), GROUP(6), GROUP(7)};
    }
#undef GROUP
    return to;
}

wasi_endpoint socket_wasi_endpoint(const struct ip_endpoint *from)
{
    struct wasi_sockets_network_ip_address address = socket_wasi_address(&from->address);
    wasi_endpoint to = {.tag = WASI_SOCKETS_NETWORK_IP_SOCKET_ADDRESS_IPV4};
    if (from->address.v6) {
        to.tag = WASI_SOCKETS_NETWORK_IP_SOCKET_ADDRESS_IPV6;
        to.ipv6 = (struct wasi_sockets_network_ipv6_socket_address){from->port, from->flow, address.ipv6, from->scope};
    } else {
        to.ipv4 = (struct wasi_sockets_network_ipv4_socket_address){from->port, address.ipv4};
    }
    return to;
}

socket_error socket_name(const struct socket *s, bool remote, wasi_endpoint *ret)
{
    union ip_sockaddr name = {0};
    socklen_t size = sizeof name;
    struct ip_endpoint endpoint;
    if ((remote ? getpeername : getsockname)(s->watch.fd, &name.any, &size) < 0)
        return socket_error_of(errno);
    if (!ip_from_sockaddr(&name, &endpoint))
        return SOCKET_ERROR(UNKNOWN);
    *ret = socket_wasi_endpoint(&endpoint);
    return SOCKET_OK;
}

socket_error socket_check_local(const struct socket *s, const struct ip_endpoint *at)
{
    bool fits = at->address.v6 == s->v6 && ip_is_unicast(&at->address) && !ip_is_mapped(&at->address);
    return fits ? SOCKET_OK : SOCKET_ERROR(INVALID_ARGUMENT);
}

socket_error socket_check_remote(const struct socket *s, const struct ip_endpoint *to)
{
    return ip_is_any(&to->address) || to->port == 0 ? SOCKET_ERROR(INVALID_ARGUMENT) : socket_check_local(s, to);
}

socket_error socket_bind(struct socket *s, const struct ip_endpoint *at, bool reuse)
{
    union ip_sockaddr address;
    socklen_t size = ip_to_sockaddr(at, &address);
    int on = reuse && at->port;
    if (on && setsockopt(s->watch.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        return socket_error_of(errno);
    return bind(s->watch.fd, &address.any, size) < 0 ? socket_error_of(errno) : SOCKET_OK;
}

/* ---- what is granted ---- */

bool socket_reaches(const struct host *h, const struct ip_endpoint *to)
{
    if (grants_connect(h->config->grants, to))
        return true;
    for (uint32_t i = 0; i < h->named_count; i++) {
        const struct host_named *named = &h->named[i];
        if (ip_same(&named->address, &to->address) && grants_connect_named(h->config->grants, named->name, to))
            return true;
    }
    return false;
}

void socket_deny(struct host *h, const struct ip_endpoint *endpoint, const char *verb, enum host_permit permit)
{
    char text[IP_TEXT_MAX];
    ip_endpoint_text(endpoint, text);
    bool blocked = permit == PERMIT_NET && grants_blocked(h->config->grants, &endpoint->address);
    host_denied(h, blocked ? PERMIT_UNBLOCK : permit, str_of(text), "%s %s", verb, text);
}

bool socket_may_reach(struct host *h, const struct ip_endpoint *to, const char *verb)
{
    if (socket_reaches(h, to))
        return true;
    socket_deny(h, to, verb, PERMIT_NET);
    return false;
}

bool socket_may_bind(struct host *h, const struct ip_endpoint *at, bool *ret_listens)
{
    *ret_listens = grants_listen(h->config->grants, at);
    if (*ret_listens || (at->port == 0 && grants_any(h->config->grants, GRANT_NET)))
        return true;
    socket_deny(h, at, "binding to", PERMIT_LISTEN);
    return false;
}

/* ---- options ---- */

socket_error socket_get_option(const struct socket *s, int level, int name, int *ret)
{
    socklen_t size = sizeof *ret;
    return getsockopt(s->watch.fd, level, name, ret, &size) < 0 ? socket_error_of(errno) : SOCKET_OK;
}

socket_error socket_set_option(const struct socket *s, int level, int name, int value)
{
    return setsockopt(s->watch.fd, level, name, &value, sizeof value) < 0 ? socket_error_of(errno) : SOCKET_OK;
}

socket_error socket_hop_limit(const struct socket *s, uint8_t *ret)
{
    int value = 0;
    socket_error error = s->v6 ? socket_get_option(s, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &value)
                               : socket_get_option(s, IPPROTO_IP, IP_TTL, &value);
    *ret = (uint8_t)value;
    return error;
}

socket_error socket_set_hop_limit(const struct socket *s, uint8_t value)
{
    if (value == 0)
        return SOCKET_ERROR(INVALID_ARGUMENT);
    return s->v6 ? socket_set_option(s, IPPROTO_IPV6, IPV6_UNICAST_HOPS, value)
                 : socket_set_option(s, IPPROTO_IP, IP_TTL, value);
}

socket_error socket_buffer_size(const struct socket *s, int name, uint64_t *ret)
{
    int value = 0;
    socket_error error = socket_get_option(s, SOL_SOCKET, name, &value);
    *ret = (uint64_t)value / 2;
    return error;
}

socket_error socket_set_buffer_size(const struct socket *s, int name, uint64_t value)
{
    if (value == 0)
        return SOCKET_ERROR(INVALID_ARGUMENT);
    return socket_set_option(s, SOL_SOCKET, name, value > INT32_MAX / 2 ? INT32_MAX / 2 : (int)value);
}
