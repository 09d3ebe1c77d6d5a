/* See ring.h. */
#include "io/ring.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RESTRICTIONS_MAX 8

static int setup(uint32_t submissions, struct io_uring_params *params)
{
    return (int)syscall(SYS_io_uring_setup, submissions, params);
}

static int register_with(int fd, unsigned what, const void *argument, unsigned count)
{
    return (int)syscall(SYS_io_uring_register, fd, what, argument, count);
}

static void *map(int fd, size_t size, uint64_t offset)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, (off_t)offset);
    if (at == MAP_FAILED)
        return NULL;
    if (madvise(at, size, MADV_DONTFORK) == 0)
        return at;
    munmap(at, size);
    return NULL;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* The kernel takes submissions by way of an array of their numbers; ours are always in order. */
static void fill_array(struct ring *ring, const struct io_uring_params *params)
{
    uint32_t *array = (uint32_t *)((char *)ring->queues + params->sq_off.array);
    for (uint32_t i = 0; i < params->sq_entries; i++)
        array[i] = i;
}

static bool map_queues(struct ring *ring, const struct io_uring_params *params)
{
    ring->queues_size = larger(params->sq_off.array + params->sq_entries * sizeof(uint32_t),
                               params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe));
    ring->submissions_size = params->sq_entries * sizeof(struct io_uring_sqe);
    ring->queues = map(ring->fd, ring->queues_size, IORING_OFF_SQ_RING);
    ring->submissions = ring->queues ? map(ring->fd, ring->submissions_size, IORING_OFF_SQES) : NULL;
    if (!ring->submissions)
        return false;
    char *base = ring->queues;
    ring->sq_head = (uint32_t *)(base + params->sq_off.head);
    ring->sq_tail = (uint32_t *)(base + params->sq_off.tail);
    ring->cq_head = (uint32_t *)(base + params->cq_off.head);
    ring->cq_tail = (uint32_t *)(base + params->cq_off.tail);
    ring->cqes = (struct io_uring_cqe *)(base + params->cq_off.cqes);
    ring->sqes = ring->submissions;
    ring->sq_size = params->sq_entries;
    ring->sq_mask = params->sq_entries - 1;
    ring->cq_mask = params->cq_entries - 1;
    fill_array(ring, params);
    return true;
}

bool ring_open(struct ring *ret_ring, uint32_t submissions, uint32_t completions, struct err *err)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_R_DISABLED |
                 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE,
        .cq_entries = completions,
    };
    const uint32_t needed = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG | IORING_FEAT_CQE_SKIP;
    struct ring ring = {.fd = setup(submissions, &params)};
    if (ring.fd < 0)
        return err_errno(err, "io_uring_setup");
    bool complete = (params.features & needed) == needed;
    if (complete && map_queues(&ring, &params)) {
        *ret_ring = ring;
        return true;
    }
    errno = complete ? errno : ENOSYS;
    err_errno(err, "io_uring_setup");
    ring_close(&ring);
    return false;
}

void ring_close(struct ring *ring)
{
    if (ring->submissions)
        munmap(ring->submissions, ring->submissions_size);
    if (ring->queues)
        munmap(ring->queues, ring->queues_size);
    close(ring->fd);
}

bool ring_restrict(struct ring *ring, const uint8_t *operations, size_t count, uint8_t flags, struct err *err)
{
    struct io_uring_restriction rows[RESTRICTIONS_MAX] = {
        {.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED, .sqe_flags = flags}};
    for (size_t i = 0; i < count && i + 1 < RESTRICTIONS_MAX; i++) {
        rows[i + 1].opcode = IORING_RESTRICTION_SQE_OP;
        rows[i + 1].sqe_op = operations[i];
    }
    if (register_with(ring->fd, IORING_REGISTER_RESTRICTIONS, rows, (unsigned)count + 1) < 0)
        return err_errno(err, "io_uring_register(restrictions)");
    return true;
}

bool ring_enable(struct ring *ring, struct err *err)
{
    if (register_with(ring->fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) < 0)
        return err_errno(err, "io_uring_register(enable)");
    return true;
}

struct io_uring_sqe *ring_submission(struct ring *ring)
{
    if (ring->tail - __atomic_load_n(ring->sq_head, __ATOMIC_ACQUIRE) >= ring->sq_size)
        return NULL;
    struct io_uring_sqe *sqe = &ring->sqes[ring->tail++ & ring->sq_mask];
    memset(sqe, 0, sizeof *sqe);
    return sqe;
}

int ring_enter(struct ring *ring, uint32_t least, uint64_t timeout_us)
{
    struct __kernel_timespec limit = {(int64_t)(timeout_us / 1000000), (int64_t)(timeout_us % 1000000) * 1000};
    struct io_uring_getevents_arg argument = {.ts = timeout_us == UINT64_MAX ? 0 : (uintptr_t)&limit};
    uint32_t count = ring->tail - __atomic_load_n(ring->sq_head, __ATOMIC_ACQUIRE);
    __atomic_store_n(ring->sq_tail, ring->tail, __ATOMIC_RELEASE);
    long result = syscall(SYS_io_uring_enter, ring->fd, count, least, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG,
                          &argument, sizeof argument);
    return result >= 0 || errno == ETIME ? 0 : errno;
}

bool ring_take(struct ring *ring, struct io_uring_cqe *ret_completion)
{
    uint32_t head = *ring->cq_head;
    if (head == __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE))
        return false;
    *ret_completion = ring->cqes[head & ring->cq_mask];
    __atomic_store_n(ring->cq_head, head + 1, __ATOMIC_RELEASE);
    return true;
}

uint32_t ring_ready(const struct ring *ring)
{
    return __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE) - *ring->cq_head;
}
