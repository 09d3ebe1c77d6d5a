/* What the canonical ABI keeps of one activity of a store (a request, a command) outside the guest's reach: calls
 * between component instances, threads, streams and what waits for them. async.h says what these are.
 *
 * It is part of the host's object and all zero bytes when an activity begins; what it points to lies in the host's
 * arena and dies with the activity, so that a trap in the middle of anything leaves nothing behind. Who ends an
 * activity calls activity_end first, because threads have stacks.
 */
#ifndef MAYFLY_COMPONENT_ACTIVITY_H
#define MAYFLY_COMPONENT_ACTIVITY_H

#include "base/arena.h"
#include "component/handles.h"

struct call;
struct thread;
struct pooled;

#define ACTIVITY_CALLS_MAX 4096u /* in progress at the same time */
#define ACTIVITY_THREADS_MAX 512u /* with stacks of their own */
#define ACTIVITY_POOL_STEP 64u   /* objects are made in sizes of so many bytes and used again */
#define ACTIVITY_POOLS 24u

struct activity {
    struct thread *current;                /* whose code runs; NULL: none that has been asked for */
    struct thread *first_waiting, *last_waiting; /* in the order in which they began to */
    struct thread *threads;                /* all that have a stack */
    uint32_t thread_count;
    struct call **calls;                   /* by number - 1; ACTIVITY_CALLS_MAX, made on first use */
    uint32_t call_count, free_call;        /* free_call: number of one whose place is free, or 0 */
    struct pooled *free[ACTIVITY_POOLS];
};

/* Drop what threads still hold. The activity runs no more. */
void activity_end(struct activity *activity);

#endif
