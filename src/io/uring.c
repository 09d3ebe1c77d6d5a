/* The io_uring backend: one system call per turn takes the new watches and the events.
 *
 * A connection is a poll request that completes again with each edge (IORING_POLL_ADD_MULTI), a shared or one-way
 * descriptor one that completes once and is made again every turn. The bytes are moved as ever, by recv and send. What
 * else was measured (bench/bench_uring.c; docs/performance.md has the figures): receiving by the ring into buffers that
 * connections share saves a system call and costs as much for the request and the copy, holds what the owner
 * did not ask for yet, and must be stopped and begun again to make clients wait. Sending by the ring is faster when
 * many requests come at once and slower when one does; but then `io_send` could not say what the kernel took.
 *
 * Invariants:
 *   - The kernel is never given memory to read or write, the guest's least of all: a poll request has none.
 *   - A completion says the entry and its generation. An entry outlives its watch, until its request is cancelled; its
 *     next watch has another generation, so a completion that comes late finds nobody.
 *   - A removal cancels before it returns, so that the kernel holds no reference to the descriptor when its owner
 *     closes it. Only while the kernel has a whole batch of other events to deliver can that wait for the next turn.
 *   - Nothing is in the submission queue for longer than the kernel refuses to take it: watches wait in a list, where
 *     removing one that was not submitted yet costs nothing. */
#include "io/backend.h"
#include "io/ring.h"

#include "base/alloc.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>

#define SUBMISSIONS 64u
#define COMPLETIONS 256u /* of more the kernel keeps a list */
#define ENTRIES_FIRST 64u

enum state {
    FREE,
    ARM,    /* queued: the request is to be made */
    ARMED,  /* the kernel has it */
    CANCEL, /* queued: the kernel has a request that is to end */
    BROKEN, /* the kernel refused; stays so */
};

struct entry {
    struct io_watch *watch; /* NULL: removed */
    uint32_t generation, next;
    uint8_t state;
    bool level;
};

/* Lists are chains of entry numbers; 0 is none. */
struct uring {
    struct backend backend;
    struct ring ring;
    struct entry *entries;
    uint32_t count, used; /* allocated; ever taken */
    uint32_t free, queue, queue_last;
    bool enabled;
};

static struct uring *uring_of(struct backend *backend)
{
    return IO_OWNER(backend, struct uring, backend);
}

/* ---- entries ---- */

static bool grow(struct uring *uring)
{
    uint32_t count = uring->count ? 2 * uring->count : ENTRIES_FIRST;
    struct entry *entries = count > uring->count ? mem_resize(uring->entries, count, sizeof *entries) : NULL;
    if (!entries)
        return false;
    uring->entries = entries;
    uring->count = count;
    return true;
}

/* 0 without memory. */
static uint32_t take_entry(struct uring *uring)
{
    uint32_t number = uring->free;
    if (number) {
        uring->free = uring->entries[number].next;
        return number;
    }
    if (uring->used + 1 >= uring->count && !grow(uring))
        return 0;
    number = ++uring->used;
    uring->entries[number] = (struct entry){.watch = NULL};
    return number;
}

static void give_entry(struct uring *uring, uint32_t number)
{
    struct entry *entry = &uring->entries[number];
    entry->watch = NULL;
    entry->state = FREE;
    entry->generation++;
    entry->next = uring->free;
    uring->free = number;
}

static void enqueue(struct uring *uring, uint32_t number, enum state state)
{
    struct entry *entry = &uring->entries[number];
    entry->state = state;
    entry->next = 0;
    if (uring->queue)
        uring->entries[uring->queue_last].next = number;
    else
        uring->queue = number;
    uring->queue_last = number;
}

static uint64_t name_of(const struct uring *uring, uint32_t number)
{
    return (uint64_t)uring->entries[number].generation << 32 | number;
}

/* ---- requests ---- */

static void write_arm(struct uring *uring, uint32_t number, struct io_uring_sqe *sqe)
{
    const struct entry *entry = &uring->entries[number];
    sqe->opcode = IORING_OP_POLL_ADD;
    sqe->fd = entry->watch->fd;
    sqe->len = entry->level ? 0 : IORING_POLL_ADD_MULTI;
    sqe->poll32_events = entry->level ? POLLIN | EPOLLEXCLUSIVE : POLLIN | POLLOUT | POLLRDHUP;
    sqe->user_data = name_of(uring, number);
}

/* By name and not by descriptor, which may be another connection's by now. */
static void write_cancel(struct uring *uring, uint32_t number, struct io_uring_sqe *sqe)
{
    sqe->opcode = IORING_OP_ASYNC_CANCEL;
    sqe->fd = -1;
    sqe->addr = name_of(uring, number);
    sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
}

/* Move what is queued to the kernel's queue, as far as that goes. */
static void write_requests(struct uring *uring)
{
    while (uring->queue) {
        uint32_t number = uring->queue;
        struct entry *entry = &uring->entries[number];
        bool gone = entry->state == ARM && !entry->watch;
        struct io_uring_sqe *sqe = gone ? NULL : ring_submission(&uring->ring);
        if (!gone && !sqe)
            return;
        uring->queue = entry->next;
        if (!gone && entry->state == ARM) {
            write_arm(uring, number, sqe);
            entry->state = ARMED;
            continue;
        }
        if (!gone)
            write_cancel(uring, number, sqe);
        give_entry(uring, number);
    }
}

/* ---- the face ---- */

static bool add(struct backend *backend, struct io_watch *watch, bool level, struct err *err)
{
    struct uring *uring = uring_of(backend);
    uint32_t number = take_entry(uring);
    if (!number)
        return err_memory(err);
    uring->entries[number].watch = watch;
    uring->entries[number].level = level;
    watch->entry = number;
    enqueue(uring, number, ARM);
    return true;
}

static void forget(struct backend *backend, struct io_watch *watch)
{
    struct uring *uring = uring_of(backend);
    struct entry *entry = &uring->entries[watch->entry];
    entry->watch = NULL;
    if (entry->state == BROKEN)
        give_entry(uring, watch->entry);
    if (entry->state != ARMED)
        return;
    enqueue(uring, watch->entry, CANCEL);
    write_requests(uring);
    ring_enter(&uring->ring, 0, 0); /* what it does not take now, it takes in the next turn */
}

static bool wait_events(struct backend *backend, uint64_t timeout_us, struct err *err)
{
    struct uring *uring = uring_of(backend);
    if (!uring->enabled && !ring_enable(&uring->ring, err))
        return false;
    uring->enabled = true;
    write_requests(uring);
    bool wait = timeout_us && !uring->queue && !ring_ready(&uring->ring);
    int error = ring_enter(&uring->ring, wait, timeout_us);
    if (error == 0 || error == EINTR || error == EAGAIN || error == EBUSY)
        return true;
    errno = error;
    return err_errno(err, "io_uring_enter");
}

static unsigned translate(int32_t result)
{
    unsigned events = 0;
    if (result < 0)
        return IO_IN | IO_OUT | IO_ERROR;
    events |= result & POLLIN ? IO_IN : 0;
    events |= result & POLLOUT ? IO_OUT : 0;
    events |= result & POLLRDHUP ? IO_END : 0;
    events |= result & (POLLERR | POLLHUP | POLLNVAL) ? IO_ERROR : 0;
    return events;
}

/* The request was not broken but ended: the completion queue was full, or memory short. */
static bool is_passing(int32_t result)
{
    return result == -ECANCELED || result == -ENOMEM || result == -EAGAIN;
}

static void deliver(struct uring *uring, const struct io_uring_cqe *completion)
{
    uint32_t number = (uint32_t)completion->user_data, generation = (uint32_t)(completion->user_data >> 32);
    struct entry *entry = &uring->entries[number];
    struct io_watch *watch = number ? entry->watch : NULL;
    bool again = completion->res >= 0 || is_passing(completion->res);
    if (!watch || entry->generation != generation)
        return;
    if (!(completion->flags & IORING_CQE_F_MORE) && again)
        enqueue(uring, number, ARM);
    else if (!again)
        entry->state = BROKEN;
    if (!is_passing(completion->res)) /* what there is to say, the next request says */
        watch->ready(watch, translate(completion->res));
}

static void dispatch(struct backend *backend)
{
    struct uring *uring = uring_of(backend);
    struct io_uring_cqe completion;
    for (uint32_t count = ring_ready(&uring->ring); count && ring_take(&uring->ring, &completion); count--)
        deliver(uring, &completion);
}

static void close_ring(struct backend *backend)
{
    struct uring *uring = uring_of(backend);
    ring_close(&uring->ring);
    mem_free(uring->entries);
    mem_free(uring);
}

static const struct backend_kind kind = {"io_uring", add, forget, wait_events, dispatch, close_ring};

struct backend *uring_open(struct err *err)
{
    static const uint8_t operations[] = {IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL};
    struct uring *uring = mem_alloc(1, sizeof *uring);
    if (!uring) {
        err_memory(err);
        return NULL;
    }
    uring->backend.kind = &kind;
    if (!ring_open(&uring->ring, SUBMISSIONS, COMPLETIONS, err)) {
        mem_free(uring);
        return NULL;
    }
    if (ring_restrict(&uring->ring, operations, sizeof operations, IOSQE_CQE_SKIP_SUCCESS, err))
        return &uring->backend;
    close_ring(&uring->backend);
    return NULL;
}
