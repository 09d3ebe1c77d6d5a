/* An io_uring: made, restricted, mapped, entered. Private to io/ and to the benchmarks.
 *
 * By system calls and not with liburing: mayfly links nothing but the C library and opens others only where they are
 * used, most of liburing is inline functions that no table of dlopen can hold, and what is left of it for one ring with
 * two operations is this file.
 *
 * Invariants:
 *   - A ring bypasses the filters of seccomp, so it is born disabled, and before it is enabled the kernel is told the
 *     few operations that it may ever be asked for (io_uring_register(2), IORING_REGISTER_RESTRICTIONS). After that
 *     it takes no registrations at all.
 *   - The thread that enables the ring is the only one that enters it (IORING_SETUP_SINGLE_ISSUER).
 *   - A child process sees none of its memory: the compiler's child must not write submissions of its parent.
 *   - Completions are made only in ring_enter (IORING_SETUP_DEFER_TASKRUN), never by an interruption. */
#ifndef MAYFLY_IO_RING_H
#define MAYFLY_IO_RING_H

#include "base/err.h"

#include <linux/io_uring.h>
#include <stddef.h>

struct ring {
    int fd;
    void *queues, *submissions; /* the mappings */
    size_t queues_size, submissions_size;
    uint32_t *sq_head, *sq_tail, *cq_head, *cq_tail;
    uint32_t sq_size, sq_mask, cq_mask;
    uint32_t tail; /* of the submissions written */
    struct io_uring_sqe *sqes;
    struct io_uring_cqe *cqes;
};

/* Needs Linux 6.1. ERR_SYSTEM where the kernel, kernel.io_uring_disabled or a filter refuses. */
bool ring_open(struct ring *ret_ring, uint32_t submissions, uint32_t completions, struct err *err);
void ring_close(struct ring *ring);
/* `flags`: the IOSQE_* bits that submissions may have. */
bool ring_restrict(struct ring *ring, const uint8_t *operations, size_t count, uint8_t flags, struct err *err);
bool ring_enable(struct ring *ring, struct err *err);

/* A cleared submission, or NULL while the queue is full; it goes with the next ring_enter. */
struct io_uring_sqe *ring_submission(struct ring *ring);
/* Submit what was written, wait until there are `least` completions, at most `timeout_us` (UINT64_MAX: for ever). 0, or
 * the error: EINTR, EAGAIN and EBUSY pass, and what was not submitted stays. */
int ring_enter(struct ring *ring, uint32_t least, uint64_t timeout_us);
/* How many completions are there, and the next one of them. */
uint32_t ring_ready(const struct ring *ring);
bool ring_take(struct ring *ring, struct io_uring_cqe *ret_completion);

#endif
