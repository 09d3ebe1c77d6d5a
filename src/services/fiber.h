/* A call of a library that waits in the middle, on a stack of its own: where the library would wait it calls us, and
 * the loop goes on meanwhile.
 *
 * A fiber runs until it waits or is done, and goes on where it waited. It is never given up: what waits in it is told
 * that its time is over, and goes on to its end. */
#ifndef MAYFLY_SERVICES_FIBER_H
#define MAYFLY_SERVICES_FIBER_H

#include "runtime/stack.h"

#include <stddef.h>

struct fiber {
    struct stack *stack; /* NULL: it is not running, or done */
    uint64_t sp, loop_sp;
    void (*body)(void *arg);
    void *arg;
    bool done;
    void *record; /* for AddressSanitizer, as in runtime/task.h */
    const void *outer_bottom;
    size_t outer_size;
};

/* Run `body` until it waits or is done. */
bool fiber_start(struct fiber *fiber, void (*body)(void *arg), void *arg, struct err *err);
/* Go on with one that waits. */
void fiber_go_on(struct fiber *fiber);
/* Inside of it: wait. */
void fiber_wait(struct fiber *fiber);
static inline bool fiber_waits(const struct fiber *fiber)
{
    return fiber->stack != NULL;
}

#endif
