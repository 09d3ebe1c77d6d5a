/* See loop.h. Timers are a pairing heap: intrusive, so that arming one cannot fail. */
#include "io/backend.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

static void read_clocks(struct io_loop *loop)
{
    struct timespec now;
    loop->now_us = clock_now_ns() / 1000;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    loop->wall_s = now.tv_sec;
}

static struct backend *open_backend(enum io_kind kind, struct err *err)
{
    struct err why = {0};
    struct backend *backend = kind == IO_EPOLL ? NULL : uring_open(kind == IO_AUTO ? &why : err);
    if (backend)
        return backend;
    if (kind == IO_URING && err && err->kind == ERR_SYSTEM)
        err_remedy(err, "see kernel.io_uring_disabled and what confines the process, or let epoll do it");
    if (kind == IO_URING)
        return NULL;
    if (kind == IO_AUTO)
        log_line(LOG_DEBUG, NULL, "the event loop uses epoll: %s", why.message);
    return epoll_open(err);
}

struct io_loop *io_loop_open(enum io_kind kind, struct err *err)
{
    struct io_loop *loop = mem_alloc(1, sizeof *loop);
    if (!loop) {
        err_memory(err);
        return NULL;
    }
    loop->posts_tail = &loop->posts;
    loop->backend = open_backend(kind, err);
    if (!loop->backend) {
        mem_free(loop);
        return NULL;
    }
    read_clocks(loop);
    return loop;
}

struct io_loop *io_loop_new(struct err *err)
{
    return io_loop_open(IO_EPOLL, err);
}

const char *io_loop_name(const struct io_loop *loop)
{
    return loop->backend->kind->name;
}

void io_loop_free(struct io_loop *loop)
{
    if (!loop)
        return;
    loop->backend->kind->close(loop->backend);
    mem_free(loop);
}

uint64_t io_now_us(const struct io_loop *loop)
{
    return loop->now_us;
}

int64_t io_wall_s(const struct io_loop *loop)
{
    return loop->wall_s;
}

void io_stop(struct io_loop *loop)
{
    loop->stopped = true;
}

/* ---- timers ---- */

static struct io_timer *heap_merge(struct io_timer *a, struct io_timer *b)
{
    if (!a || !b)
        return a ? a : b;
    if (b->key_us < a->key_us) {
        struct io_timer *swap = a;
        a = b;
        b = swap;
    }
    b->back = a;
    b->next = a->child;
    if (a->child)
        a->child->back = b;
    a->child = b;
    return a;
}

/* The children of a removed root become one heap: pair them up, then fold the pairs. */
static struct io_timer *heap_fold(struct io_timer *list)
{
    struct io_timer *pairs = NULL, *root = NULL;
    while (list) {
        struct io_timer *a = list, *b = a->next;
        list = b ? b->next : NULL;
        a->next = NULL;
        if (b)
            b->next = NULL;
        a = heap_merge(a, b);
        a->next = pairs;
        pairs = a;
    }
    while (pairs) {
        struct io_timer *next = pairs->next;
        pairs->next = NULL;
        root = heap_merge(root, pairs);
        pairs = next;
    }
    if (root)
        root->back = NULL;
    return root;
}

static void heap_insert(struct io_loop *loop, struct io_timer *timer)
{
    timer->key_us = timer->when_us;
    timer->child = timer->next = timer->back = NULL;
    loop->timers = heap_merge(loop->timers, timer);
}

static void heap_remove(struct io_loop *loop, struct io_timer *timer)
{
    struct io_timer *rest = heap_fold(timer->child);
    if (timer == loop->timers) {
        loop->timers = rest;
        return;
    }
    if (timer->back->child == timer)
        timer->back->child = timer->next;
    else
        timer->back->next = timer->next;
    if (timer->next)
        timer->next->back = timer->back;
    loop->timers = heap_merge(loop->timers, rest);
}

void io_timer_set(struct io_loop *loop, struct io_timer *timer, uint64_t when_us)
{
    /* Never within this turn, or a timer that sets itself again would keep the turn from ending. */
    timer->when_us = when_us > loop->now_us ? when_us : loop->now_us + 1;
    if (timer->armed && timer->key_us <= timer->when_us)
        return;
    if (timer->armed)
        heap_remove(loop, timer);
    timer->armed = true;
    heap_insert(loop, timer);
}

void io_timer_stop(struct io_loop *loop, struct io_timer *timer)
{
    if (!timer->armed)
        return;
    heap_remove(loop, timer);
    timer->armed = false;
}

static void run_timers(struct io_loop *loop)
{
    while (loop->timers && loop->timers->key_us <= loop->now_us) {
        struct io_timer *timer = loop->timers;
        heap_remove(loop, timer);
        if (timer->when_us > timer->key_us) { /* also when it is due: timers of one turn fire in order */
            heap_insert(loop, timer);
            continue;
        }
        timer->armed = false;
        timer->fired(timer);
    }
}

/* ---- posts ---- */

void io_post(struct io_loop *loop, struct io_post *post)
{
    if (post->queued)
        return;
    post->queued = true;
    post->next = NULL;
    *loop->posts_tail = post;
    loop->posts_tail = &post->next;
}

void io_post_cancel(struct io_loop *loop, struct io_post *post)
{
    if (!post->queued)
        return;
    struct io_post **at = &loop->posts;
    while (*at != post)
        at = &(*at)->next;
    *at = post->next;
    if (!post->next)
        loop->posts_tail = at;
    post->queued = false;
}

/* Only what was queued when the turn began: work that queues more work lets the sockets speak. */
static void run_posts(struct io_loop *loop)
{
    struct io_post last = {.run = NULL};
    if (!loop->posts)
        return;
    io_post(loop, &last);
    for (struct io_post *post = loop->posts; post; post = loop->posts) {
        io_post_cancel(loop, post);
        if (post == &last)
            break;
        post->run(post);
    }
}

/* ---- the loop ---- */

static uint64_t patience_us(const struct io_loop *loop)
{
    if (loop->posts)
        return 0;
    if (!loop->timers)
        return IO_FOREVER;
    return loop->timers->key_us > loop->now_us ? loop->timers->key_us - loop->now_us : 0;
}

bool io_run(struct io_loop *loop, struct err *err)
{
    const struct backend_kind *kind = loop->backend->kind;
    loop->stopped = false;
    read_clocks(loop);
    while (!loop->stopped) {
        if (!kind->wait(loop->backend, patience_us(loop), err))
            return false;
        read_clocks(loop);
        run_timers(loop);
        kind->dispatch(loop->backend);
        run_posts(loop);
    }
    return true;
}

/* ---- signals ---- */

static void signals_ready(struct io_watch *watch, unsigned events)
{
    struct io_signals *signals = IO_OWNER(watch, struct io_signals, watch);
    struct signalfd_siginfo info;
    if (read(watch->fd, &info, sizeof info) == (ssize_t)sizeof info)
        signals->raised(signals, (int)info.ssi_signo);
}

bool io_signals_open(struct io_loop *loop, struct io_signals *signals, const int *numbers, size_t count,
                     struct err *err)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < count; i++)
        sigaddset(&set, numbers[i]);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return err_errno(err, "sigprocmask");
    signals->watch.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (signals->watch.fd < 0)
        return err_errno(err, "signalfd");
    signals->watch.ready = signals_ready;
    if (io_watch_level(loop, &signals->watch, err))
        return true;
    close(signals->watch.fd);
    return false;
}

void io_signals_close(struct io_loop *loop, struct io_signals *signals)
{
    io_unwatch(loop, &signals->watch);
    close(signals->watch.fd);
}

bool io_watch(struct io_loop *loop, struct io_watch *watch, struct err *err)
{
    return loop->backend->kind->add(loop->backend, watch, false, err);
}

bool io_watch_level(struct io_loop *loop, struct io_watch *watch, struct err *err)
{
    return loop->backend->kind->add(loop->backend, watch, true, err);
}

void io_unwatch(struct io_loop *loop, struct io_watch *watch)
{
    loop->backend->kind->remove(loop->backend, watch);
}
