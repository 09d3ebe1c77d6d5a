/* The event loop: one per worker process, single-threaded, no locks.
 *
 * The face is the same for both backends (epoll.c, uring.c), of which one is chosen when the loop is made. It is a face
 * of readiness: a watch tells when a descriptor may have become readable or writable, `io_recv` and `io_send` move the
 * bytes, by system calls, when the owner asks. So no bytes are read ahead of their owner, and none are in the kernel's
 * hands after a call has returned; uring.c says what else was measured.
 *
 * Invariants:
 *   - Notifications are edges: after one, the owner reads until `io_recv` gives less than was asked
 *     (or would block), or remembers that it has not. Nothing is said twice.
 *   - A watch, timer or post is embedded in its owner's object; the loop allocates nothing for it.
 *     After io_unwatch, io_timer_stop or io_post_cancel the object may be freed, at any time, also
 *     inside a callback: no event of the current turn reaches it any more.
 *   - Times are microseconds of the monotonic clock. `io_now_us` is read once per turn.
 */
#ifndef MAYFLY_IO_LOOP_H
#define MAYFLY_IO_LOOP_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct iovec;
struct io_loop;

/* The object of type `type` whose member `member` is at `pointer`. */
#define IO_OWNER(pointer, type, member) ((type *)((char *)(pointer) - offsetof(type, member)))

enum io_event {
    IO_IN = 1,    /* bytes or a connection may be waiting */
    IO_OUT = 2,   /* there may be room again */
    IO_END = 4,   /* the peer will send no more: after what is waiting comes the end */
    IO_ERROR = 8, /* the connection is broken in both directions */
};

struct io_watch {
    void (*ready)(struct io_watch *watch, unsigned events); /* a set of enum io_event */
    int fd;
    uint32_t entry; /* the backend's */
};

/* A timer may be moved later without touching the heap: `when_us` is the truth, `key_us` (never
 * later) its place in the heap; when that is reached and the truth is later, it goes back in. So a
 * timeout that every request pushes on costs one store. */
struct io_timer {
    void (*fired)(struct io_timer *timer);
    uint64_t when_us, key_us;
    struct io_timer *child, *next, *back; /* pairing heap: first child, sibling, parent or previous */
    bool armed;
};

/* Work to do later in this thread, before the loop next waits. */
struct io_post {
    void (*run)(struct io_post *post);
    struct io_post *next;
    bool queued;
};

/* IO_AUTO: io_uring, or epoll where the kernel or the process's sandbox refuses the former. */
enum io_kind { IO_AUTO, IO_EPOLL, IO_URING };

struct io_loop *io_loop_open(enum io_kind kind, struct err *err);
/* With epoll, which costs least to open: for loops that live shortly. */
struct io_loop *io_loop_new(struct err *err);
/* "epoll" or "io_uring". */
const char *io_loop_name(const struct io_loop *loop);
/* The loop owns no watches: unwatch them first. NULL is fine. */
void io_loop_free(struct io_loop *loop);

/* Run until io_stop. False only when the kernel refuses to wait. */
bool io_run(struct io_loop *loop, struct err *err);
void io_stop(struct io_loop *loop);
uint64_t io_now_us(const struct io_loop *loop);
/* Seconds since 1970, read once per turn. */
int64_t io_wall_s(const struct io_loop *loop);

/* Watch a connected descriptor, for input and output, until io_unwatch. `watch->fd` and
 * `watch->ready` are set by the caller; the descriptor is non-blocking and stays the caller's. What cannot be watched
 * is refused here or told as IO_ERROR. */
bool io_watch(struct io_loop *loop, struct io_watch *watch, struct err *err);
/* Watch a descriptor that others may watch too (a listening socket) or that only gives input (a
 * pipe, a signal descriptor): told again every turn while there is something to take. */
bool io_watch_level(struct io_loop *loop, struct io_watch *watch, struct err *err);
/* Call before closing the descriptor. */
void io_unwatch(struct io_loop *loop, struct io_watch *watch);

/* Arm, or move if armed. A time that has passed fires in the next turn. */
void io_timer_set(struct io_loop *loop, struct io_timer *timer, uint64_t when_us);
void io_timer_stop(struct io_loop *loop, struct io_timer *timer);

/* Queue once; queueing again before it ran does nothing. */
void io_post(struct io_loop *loop, struct io_post *post);
void io_post_cancel(struct io_loop *loop, struct io_post *post);

/* As recv and sendmsg: bytes moved, 0 at the end of input, or -errno (-EAGAIN: not now). Never
 * raise SIGPIPE. */
ssize_t io_recv(struct io_loop *loop, struct io_watch *watch, void *ret_bytes, size_t size);
ssize_t io_send(struct io_loop *loop, struct io_watch *watch, const void *bytes, size_t size);
ssize_t io_sendv(struct io_loop *loop, struct io_watch *watch, const struct iovec *parts, int count);

/* Deliver signals as calls on the loop. They are blocked for the process from here on. */
struct io_signals {
    struct io_watch watch;
    void (*raised)(struct io_signals *signals, int number);
};
bool io_signals_open(struct io_loop *loop, struct io_signals *signals, const int *numbers, size_t count,
                     struct err *err);
void io_signals_close(struct io_loop *loop, struct io_signals *signals);

#endif
