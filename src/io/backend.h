/* What loop.c asks of a backend, and the loop's state. Private to io/. */
#ifndef MAYFLY_IO_BACKEND_H
#define MAYFLY_IO_BACKEND_H

#include "io/loop.h"

struct backend;

/* Chosen when the loop is made; called once per turn and once per watch, never per byte moved. */
struct backend_kind {
    const char *name;
    bool (*add)(struct backend *backend, struct io_watch *watch, bool level, struct err *err);
    void (*remove)(struct backend *backend, struct io_watch *watch);
    /* Wait at most `timeout_us` for events; they are kept for `dispatch`. */
    bool (*wait)(struct backend *backend, uint64_t timeout_us, struct err *err);
    /* Call `ready` of every watch that has events and was not removed since. */
    void (*dispatch)(struct backend *backend);
    void (*close)(struct backend *backend);
};

struct backend {
    const struct backend_kind *kind;
};

struct io_loop {
    struct backend *backend;
    struct io_timer *timers; /* the root of the heap: the earliest */
    struct io_post *posts, **posts_tail;
    uint64_t now_us;
    int64_t wall_s;
    bool stopped;
};

#define IO_FOREVER UINT64_MAX

struct backend *epoll_open(struct err *err);
/* Fails with ERR_SYSTEM where the kernel or the process's sandbox does not give a ring. */
struct backend *uring_open(struct err *err);

#endif
