/* See net.h. */
#include "io/net.h"

#include "base/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define BACKLOG 1024
#define ACCEPTS_PER_TURN 4 /* others may be waiting for the rest */
#define RETRY_US 100000

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_storage storage;
};

static bool parse_port(struct str text, uint16_t *ret_port)
{
    uint32_t port;
    if (!str_number(text, 5, &port) || port > 65535)
        return false;
    *ret_port = (uint16_t)port;
    return true;
}

static bool parse_v6(const char *host, uint16_t port, union address *ret, socklen_t *ret_size)
{
    *ret_size = sizeof ret->v6;
    ret->v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port)};
    return inet_pton(AF_INET6, host, &ret->v6.sin6_addr) == 1;
}

static bool parse_v4(const char *host, uint16_t port, union address *ret, socklen_t *ret_size)
{
    *ret_size = sizeof ret->v4;
    ret->v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
    return inet_pton(AF_INET, host, &ret->v4.sin_addr) == 1;
}

static bool parse_address(struct str text, union address *ret, socklen_t *ret_size)
{
    char host[NET_ADDRESS_MAX];
    uint16_t port;
    size_t colon = text.len;
    while (colon > 0 && text.ptr[colon - 1] != ':')
        colon--;
    if (colon < 2 || colon > sizeof host || !parse_port(str_slice(text, colon, text.len), &port))
        return false;
    struct str name = str_slice(text, 0, colon - 1);
    bool v6 = name.len > 2 && name.ptr[0] == '[' && name.ptr[name.len - 1] == ']';
    if (v6)
        name = str_slice(name, 1, name.len - 1);
    snprintf(host, sizeof host, "%.*s", STR_ARG(name));
    return v6 ? parse_v6(host, port, ret, ret_size) : parse_v4(host, port, ret, ret_size);
}

static bool bind_and_listen(int fd, const union address *address, socklen_t size)
{
    int on = 1;
    return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 && bind(fd, &address->any, size) == 0 &&
           listen(fd, BACKLOG) == 0;
}

static bool read_address(struct str text, union address *ret, socklen_t *ret_size, struct err *err)
{
    if (parse_address(text, ret, ret_size))
        return true;
    err_set(err, ERR_USAGE, "\"%.*s\" is not an address and a port", (int)(text.len > 80 ? 80 : text.len), text.ptr);
    return err_remedy(err, "write it as 127.0.0.1:3000 or [::1]:3000");
}

bool net_connect(struct str text, unsigned seconds, int *ret_fd, struct err *err)
{
    union address address;
    socklen_t size;
    struct timeval patience = {.tv_sec = seconds};
    if (!read_address(text, &address, &size, err))
        return false;
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_errno(err, "socket");
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) != 0 ||
        connect(fd, &address.any, size) != 0) {
        err_errno(err, "cannot connect to %.*s", STR_ARG(text));
        close(fd);
        return false;
    }
    *ret_fd = fd;
    return true;
}

/* The next port; 0: there is none, or the kernel picks. */
static uint16_t next_port(union address *address)
{
    bool v6 = address->any.sa_family == AF_INET6;
    uint16_t port = ntohs(v6 ? address->v6.sin6_port : address->v4.sin_port);
    port = port ? (uint16_t)(port + 1) : 0;
    if (v6)
        address->v6.sin6_port = htons(port);
    else
        address->v4.sin_port = htons(port);
    return port;
}

bool net_listen_near(struct str text, uint32_t ports, int *ret_fd, struct err *err)
{
    union address address;
    socklen_t size;
    if (!read_address(text, &address, &size, err))
        return false;
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_errno(err, "socket");
    bool done = bind_and_listen(fd, &address, size);
    for (uint32_t tried = 1; !done && errno == EADDRINUSE && tried < ports && next_port(&address); tried++)
        done = bind_and_listen(fd, &address, size);
    if (!done) {
        bool taken = errno == EADDRINUSE;
        err_errno(err, "cannot listen on %.*s", STR_ARG(text));
        if (taken)
            err_remedy(err, ports > 1 ? "name a port from which on some are free" : "name a port that is free");
        close(fd);
        return false;
    }
    *ret_fd = fd;
    return true;
}

bool net_listen(struct str text, int *ret_fd, struct err *err)
{
    return net_listen_near(text, 1, ret_fd, err);
}

static void name(const union address *address, char ret_text[NET_ADDRESS_MAX])
{
    char host[INET6_ADDRSTRLEN] = "?";
    if (address->any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &address->v6.sin6_addr, host, sizeof host);
        snprintf(ret_text, NET_ADDRESS_MAX, "[%s]:%u", host, ntohs(address->v6.sin6_port));
    } else {
        inet_ntop(AF_INET, &address->v4.sin_addr, host, sizeof host);
        snprintf(ret_text, NET_ADDRESS_MAX, "%s:%u", host, ntohs(address->v4.sin_port));
    }
}

void net_name(int fd, char ret_text[NET_ADDRESS_MAX])
{
    union address address = {0};
    socklen_t size = sizeof address;
    getsockname(fd, &address.any, &size);
    name(&address, ret_text);
}

void net_peer_name(int fd, char ret_text[NET_ADDRESS_MAX])
{
    union address address = {0};
    socklen_t size = sizeof address;
    getpeername(fd, &address.any, &size);
    name(&address, ret_text);
}

static void try_later(struct net_acceptor *acceptor)
{
    io_timer_set(acceptor->loop, &acceptor->retry, io_now_us(acceptor->loop) + RETRY_US);
}

static void pause_accepting(struct net_acceptor *acceptor)
{
    if (!acceptor->complained)
        log_line(LOG_WARN, NULL, "no descriptors left (%s): accepting pauses", strerror(errno));
    acceptor->complained = true;
    io_unwatch(acceptor->loop, &acceptor->watch);
    acceptor->watching = false;
    try_later(acceptor);
}

static bool out_of_descriptors(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static void watch_again(struct net_acceptor *acceptor)
{
    acceptor->watching = io_watch_level(acceptor->loop, &acceptor->watch, NULL);
    if (!acceptor->watching)
        try_later(acceptor);
}

/* Of processes that wait for the same socket the kernel wakes the one that has been watching it for longest: whoever
 * got something goes to the end of the queue. One that is awake would still be there before those that are woken, and
 * get nearly all of many clients that come at once: so it stays away for as long as that takes. */
static void queue_again(struct net_acceptor *acceptor)
{
    io_unwatch(acceptor->loop, &acceptor->watch);
    acceptor->watching = false;
    if (acceptor->pause_us)
        io_timer_set(acceptor->loop, &acceptor->retry, io_now_us(acceptor->loop) + acceptor->pause_us);
    else
        watch_again(acceptor);
}

static void acceptor_ready(struct io_watch *watch, unsigned events)
{
    struct net_acceptor *acceptor = IO_OWNER(watch, struct net_acceptor, watch);
    unsigned got = 0;
    for (int i = 0; i < ACCEPTS_PER_TURN && acceptor->watching; i++) {
        int on = 1, fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && errno == ECONNABORTED)
            continue;
        if (fd < 0 && out_of_descriptors(errno))
            pause_accepting(acceptor);
        if (fd < 0)
            break;
        got++;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        acceptor->accepted(acceptor, fd);
    }
    if (got && acceptor->watching)
        queue_again(acceptor);
}

static void acceptor_retry(struct io_timer *timer)
{
    watch_again(IO_OWNER(timer, struct net_acceptor, retry));
}

bool net_accept_start(struct net_acceptor *acceptor, struct io_loop *loop, int fd, struct err *err)
{
    acceptor->loop = loop;
    acceptor->watch.fd = fd;
    acceptor->watch.ready = acceptor_ready;
    acceptor->retry.fired = acceptor_retry;
    acceptor->watching = io_watch_level(loop, &acceptor->watch, err);
    return acceptor->watching;
}

void net_accept_stop(struct net_acceptor *acceptor)
{
    if (acceptor->watching)
        io_unwatch(acceptor->loop, &acceptor->watch);
    acceptor->watching = false;
    io_timer_stop(acceptor->loop, &acceptor->retry);
}
