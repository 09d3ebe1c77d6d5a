/* What loop.c asks of a backend, and the loop's state that both see. Private to io/. */
#ifndef MAYFLY_IO_BACKEND_H
#define MAYFLY_IO_BACKEND_H

#include "io/loop.h"

struct backend;

struct io_loop {
    struct backend *backend;
    struct io_timer *timers; /* the root of the heap: the earliest */
    struct io_post *posts, **posts_tail;
    uint64_t now_us;
    int64_t wall_s;
    bool stopped;
};

#define IO_FOREVER UINT64_MAX

struct backend *backend_open(struct err *err);
void backend_close(struct backend *backend);
bool backend_add(struct backend *backend, struct io_watch *watch, bool level, struct err *err);
void backend_remove(struct backend *backend, struct io_watch *watch);
/* Wait at most `timeout_us` for events; they are kept for backend_dispatch. */
bool backend_wait(struct backend *backend, uint64_t timeout_us, struct err *err);
/* Call `ready` of every watch that has events and was not removed since. */
void backend_dispatch(struct backend *backend);

#endif
