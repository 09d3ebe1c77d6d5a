/* The epoll backend.
 *
 * Connections are registered once, edge-triggered, for both directions: no epoll_ctl between accept
 * and close, and the kernel does not poll a socket again that it has just reported, which a
 * level-triggered entry costs on every wait. Closing a descriptor removes it from the set, so a
 * removal only has to make sure that the events already fetched do not reach a dead object.
 */
#include "io/backend.h"

#include "base/alloc.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define BATCH 256

struct backend {
    int fd;
    int at, count; /* events fetched, and how far they are delivered */
    bool coarse;   /* the kernel lacks epoll_pwait2: whole milliseconds */
    struct epoll_event events[BATCH];
};

struct backend *backend_open(struct err *err)
{
    struct backend *backend = mem_alloc(1, sizeof *backend);
    if (!backend) {
        err_memory(err);
        return NULL;
    }
    backend->fd = epoll_create1(EPOLL_CLOEXEC);
    if (backend->fd >= 0)
        return backend;
    err_errno(err, "epoll_create1");
    mem_free(backend);
    return NULL;
}

void backend_close(struct backend *backend)
{
    close(backend->fd);
    mem_free(backend);
}

bool backend_add(struct backend *backend, struct io_watch *watch, bool level, struct err *err)
{
    struct epoll_event event = {.data.ptr = watch};
    event.events = level ? EPOLLIN | EPOLLEXCLUSIVE : EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    if (epoll_ctl(backend->fd, EPOLL_CTL_ADD, watch->fd, &event) < 0)
        return err_errno(err, "epoll_ctl");
    return true;
}

void backend_remove(struct backend *backend, struct io_watch *watch)
{
    /* By hand too, since a descriptor that another process shares outlives our close. */
    epoll_ctl(backend->fd, EPOLL_CTL_DEL, watch->fd, NULL);
    for (int i = backend->at; i < backend->count; i++)
        if (backend->events[i].data.ptr == watch)
            backend->events[i].data.ptr = NULL;
}

static int wait_fine(struct backend *backend, uint64_t timeout_us)
{
    struct timespec limit = {(time_t)(timeout_us / 1000000), (long)(timeout_us % 1000000) * 1000};
    return epoll_pwait2(backend->fd, backend->events, BATCH, timeout_us == IO_FOREVER ? NULL : &limit, NULL);
}

static int wait_coarse(struct backend *backend, uint64_t timeout_us)
{
    uint64_t limit_ms = timeout_us == IO_FOREVER ? IO_FOREVER : (timeout_us + 999) / 1000;
    int limit = limit_ms == IO_FOREVER ? -1 : limit_ms > INT32_MAX ? INT32_MAX : (int)limit_ms;
    return epoll_wait(backend->fd, backend->events, BATCH, limit);
}

bool backend_wait(struct backend *backend, uint64_t timeout_us, struct err *err)
{
    int count = backend->coarse ? wait_coarse(backend, timeout_us) : wait_fine(backend, timeout_us);
    if (count < 0 && !backend->coarse && (errno == ENOSYS || errno == EPERM)) {
        backend->coarse = true;
        count = wait_coarse(backend, timeout_us);
    }
    if (count < 0 && errno != EINTR)
        return err_errno(err, "epoll_wait");
    backend->at = 0;
    backend->count = count > 0 ? count : 0;
    return true;
}

static unsigned translate(uint32_t events)
{
    unsigned result = 0;
    result |= events & EPOLLIN ? IO_IN : 0;
    result |= events & EPOLLOUT ? IO_OUT : 0;
    result |= events & EPOLLRDHUP ? IO_END : 0;
    result |= events & (EPOLLERR | EPOLLHUP) ? IO_ERROR : 0;
    return result;
}

void backend_dispatch(struct backend *backend)
{
    while (backend->at < backend->count) {
        struct epoll_event *event = &backend->events[backend->at++];
        struct io_watch *watch = event->data.ptr;
        if (watch)
            watch->ready(watch, translate(event->events));
    }
    backend->count = 0;
}

ssize_t io_recv(struct io_loop *loop, struct io_watch *watch, void *ret_bytes, size_t size)
{
    ssize_t n;
    do
        n = recv(watch->fd, ret_bytes, size, 0);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

ssize_t io_send(struct io_loop *loop, struct io_watch *watch, const void *bytes, size_t size)
{
    ssize_t n;
    do
        n = send(watch->fd, bytes, size, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

ssize_t io_sendv(struct io_loop *loop, struct io_watch *watch, const struct iovec *parts, int count)
{
    struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = (size_t)count};
    ssize_t n;
    do
        n = sendmsg(watch->fd, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}
