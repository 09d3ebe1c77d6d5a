/* See fiber.h. */
#include "services/fiber.h"

#include "runtime/announce.h"
#include "runtime/guest.h"
#include "runtime/machine.h"

/* Back to the loop. `record`: of the fiber's stack, or NULL if it does not come back. */
static void leave(struct fiber *fiber, void **record)
{
    stack_announce(record, fiber->outer_bottom, fiber->outer_size);
    stack_switch(&fiber->sp, fiber->loop_sp);
    stack_arrived(fiber->record, &fiber->outer_bottom, &fiber->outer_size);
}

static void begin(void *arg)
{
    struct fiber *fiber = arg;
    stack_arrived(NULL, &fiber->outer_bottom, &fiber->outer_size);
    fiber->body(fiber->arg);
    fiber->done = true;
    leave(fiber, NULL);
    __builtin_unreachable();
}

void fiber_go_on(struct fiber *fiber)
{
    void *record = NULL;
    stack_announce(&record, (const void *)fiber->stack->low, fiber->stack->high - fiber->stack->low);
    stack_switch(&fiber->loop_sp, fiber->sp);
    stack_arrived(record, NULL, NULL);
    if (!fiber->done)
        return;
    stack_release(fiber->stack);
    fiber->stack = NULL;
}

bool fiber_start(struct fiber *fiber, void (*body)(void *arg), void *arg, struct err *err)
{
    *fiber = (struct fiber){.stack = stack_acquire(err), .body = body, .arg = arg};
    if (!fiber->stack)
        return false;
    fiber->sp = machine_first_frame(fiber->stack, begin, fiber);
    fiber_go_on(fiber);
    return true;
}

void fiber_wait(struct fiber *fiber)
{
    leave(fiber, &fiber->record);
}
