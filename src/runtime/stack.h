/* Guest stacks: where tasks run. Reused in last-in-first-out order, so that the next task finds a warm one.
 *
 *     base            guard region, never accessible: overflowing guest code faults here
 *     low             reserve: only host functions called near the limit and signal frames reach here
 *     limit           host calls below this trap
 *     high
 *
 * Old contents stay: guest code cannot read what it has not written on a native stack.
 */
#ifndef MAYFLY_RUNTIME_STACK_H
#define MAYFLY_RUNTIME_STACK_H

#include "base/err.h"

#define STACK_GUARD ((uint64_t)65536)
#define STACK_RESERVE ((uint64_t)131072)
#define STACK_SIZE ((uint64_t)1 << 20) /* unless stack_set_size says otherwise */
#define STACK_SIZE_MIN ((uint64_t)65536)
#define STACK_SIZE_MAX ((uint64_t)1 << 30)
#define STACK_WARM ((uint64_t)32768) /* what stack_trim leaves of a stack */

struct stack {
    uint64_t base, low, limit, high;
    struct stack *next;
};

/* Of stacks that are made from now on: bytes between `limit` and `high`, from STACK_SIZE_MIN to STACK_SIZE_MAX. */
void stack_set_size(uint64_t size);
struct stack *stack_acquire(struct err *err);
void stack_release(struct stack *stack);
/* Free stacks that nobody uses, but for so many that were used last; of those, what deep calls took becomes the
 * system's again. */
void stack_trim(uint32_t kept);
/* All of them, at the end of a process or a test. */
void stack_drain(void);

#endif
