/* For tests of host functions without a runtime: what stands in the place of room-runtime. Traps are noted in the
 * store; nothing else is called. Included once per program. */
#ifndef MAYFLY_TESTS_SUPPORT_ALONE_H
#define MAYFLY_TESTS_SUPPORT_ALONE_H

#include "runtime/call.h"
#include "runtime/task.h"
#include "runtime/trap.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

_Thread_local struct task *task_current;

/* The first one counts. */
bool trap_raise(struct store *store, enum trap trap, const char *format, ...)
{
    va_list args;
    if (store->trap)
        return false;
    store->trap = trap;
    va_start(args, format);
    if (format)
        vsnprintf(store->trap_message, sizeof store->trap_message, format, args);
    va_end(args);
    return false;
}

bool guest_interrupted(struct store *store, uint32_t interrupt)
{
    return trap_raise(store, (enum trap)interrupt, NULL);
}

bool guest_call(struct store *store, uint64_t funcref, const uint8_t *types, uint32_t param_count,
                uint32_t result_count, union cell *v)
{
    abort();
}

bool task_spawn(struct task *task, struct slot *slot, void (*body)(struct task *task), void *arg, struct err *err)
{
    abort();
}

void task_resume(struct task *task)
{
    abort();
}

void task_suspend(void)
{
    abort();
}

void task_abandon(struct task *task)
{
    abort();
}

#endif
