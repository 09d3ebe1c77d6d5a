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
#include <time.h>
#include <unistd.h>

#define BATCH 256

struct epoll {
    struct backend backend;
    int fd;
    int at, count; /* events fetched, and how far they are delivered */
    bool coarse;   /* the kernel lacks epoll_pwait2: whole milliseconds */
    struct epoll_event events[BATCH];
};

static struct epoll *epoll_of(struct backend *backend)
{
    return IO_OWNER(backend, struct epoll, backend);
}

static void close_set(struct backend *backend)
{
    close(epoll_of(backend)->fd);
    mem_free(epoll_of(backend));
}

static bool add(struct backend *backend, struct io_watch *watch, bool level, struct err *err)
{
    struct epoll_event event = {.data.ptr = watch};
    event.events = level ? EPOLLIN | EPOLLEXCLUSIVE : EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    if (epoll_ctl(epoll_of(backend)->fd, EPOLL_CTL_ADD, watch->fd, &event) < 0)
        return err_errno(err, "epoll_ctl");
    return true;
}

static void forget(struct backend *backend, struct io_watch *watch)
{
    struct epoll *epoll = epoll_of(backend);
    /* By hand too, since a descriptor that another process shares outlives our close. */
    epoll_ctl(epoll->fd, EPOLL_CTL_DEL, watch->fd, NULL);
    for (int i = epoll->at; i < epoll->count; i++)
        if (epoll->events[i].data.ptr == watch)
            epoll->events[i].data.ptr = NULL;
}

static int wait_fine(struct epoll *epoll, uint64_t timeout_us)
{
    struct timespec limit = {(time_t)(timeout_us / 1000000), (long)(timeout_us % 1000000) * 1000};
    return epoll_pwait2(epoll->fd, epoll->events, BATCH, timeout_us == IO_FOREVER ? NULL : &limit, NULL);
}

static int wait_coarse(struct epoll *epoll, uint64_t timeout_us)
{
    uint64_t limit_ms = timeout_us == IO_FOREVER ? IO_FOREVER : (timeout_us + 999) / 1000;
    int limit = limit_ms == IO_FOREVER ? -1 : limit_ms > INT32_MAX ? INT32_MAX : (int)limit_ms;
    return epoll_wait(epoll->fd, epoll->events, BATCH, limit);
}

static bool wait_events(struct backend *backend, uint64_t timeout_us, struct err *err)
{
    struct epoll *epoll = epoll_of(backend);
    int count = epoll->coarse ? wait_coarse(epoll, timeout_us) : wait_fine(epoll, timeout_us);
    if (count < 0 && !epoll->coarse && (errno == ENOSYS || errno == EPERM)) {
        epoll->coarse = true;
        count = wait_coarse(epoll, timeout_us);
    }
    if (count < 0 && errno != EINTR)
        return err_errno(err, "epoll_wait");
    epoll->at = 0;
    epoll->count = count > 0 ? count : 0;
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

static void dispatch(struct backend *backend)
{
    struct epoll *epoll = epoll_of(backend);
    while (epoll->at < epoll->count) {
        struct epoll_event *event = &epoll->events[epoll->at++];
        struct io_watch *watch = event->data.ptr;
        if (watch)
            watch->ready(watch, translate(event->events));
    }
    epoll->count = 0;
}

static const struct backend_kind kind = {"epoll", add, forget, wait_events, dispatch, close_set};

struct backend *epoll_open(struct err *err)
{
    struct epoll *epoll = mem_alloc(1, sizeof *epoll);
    if (!epoll) {
        err_memory(err);
        return NULL;
    }
    epoll->backend.kind = &kind;
    epoll->fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll->fd >= 0)
        return &epoll->backend;
    err_errno(err, "epoll_create1");
    mem_free(epoll);
    return NULL;
}
