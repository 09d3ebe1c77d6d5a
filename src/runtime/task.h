/* Tasks: an activity of an instance on a stack of its own.
 *
 * A worker is single-threaded: at most one task runs, `task_current`. A task runs until its body returns, or
 * until host code suspends it; the worker's loop then goes on and resumes it later. A task that guest code
 * keeps busy can be preempted by signal at any instruction of image text.
 *
 * Host code in a task may start or resume another one of the same store (`task_spawn`, `task_resume`): the tasks then
 * nest, and suspending or ending the inner one continues the outer one. The threads of components are such tasks. A
 * preemption stops all of them at once, and the outermost, resumed from the loop, goes on with the innermost: so host
 * code in between never sees one.
 */
#ifndef MAYFLY_RUNTIME_TASK_H
#define MAYFLY_RUNTIME_TASK_H

#include "runtime/guest.h"
#include "runtime/slot.h"
#include "runtime/stack.h"
#include "runtime/trap.h"

#include <ucontext.h>

enum task_state { TASK_IDLE, TASK_RUNNING, TASK_SUSPENDED, TASK_PREEMPTED, TASK_DONE };

struct task {
    enum task_state state;
    struct slot *slot;
    struct task *next, **link; /* among the slot's tasks */
    struct stack *stack;
    uint64_t sp;      /* the task's, while it does not run */
    uint64_t guest_fp; /* the store's, while the task does not run */
    uint64_t loop_sp; /* the worker's, while the task runs; or that of: */
    struct task *outer; /* the task that started or resumed it, while it runs */
    struct task *frozen; /* of an outermost one that was preempted: the innermost, which goes on */
    struct activation *activation;
    void (*body)(struct task *task);
    void *arg;
    void *fiber; /* for AddressSanitizer: its record of the stack left behind, and that of whoever resumed it */
    const void *outer_bottom;
    size_t outer_size;
    struct trap_report report;
};

extern _Thread_local struct task *task_current;

/* Run `body` in `slot` on a guest stack, now, until it is done or suspends. The slot's store gets `host`.
 * The task is the caller's and must stay until TASK_DONE; its stack is given back then. */
bool task_start(struct task *task, struct slot *slot, void (*body)(struct task *task), void *arg, void *host,
                struct err *err);
/* The same from inside a task of the slot's store, which waits until the new one suspends or is done. The activity goes
 * on: traps, deadlines and the host's object are the outer task's. */
bool task_spawn(struct task *task, struct slot *slot, void (*body)(struct task *task), void *arg, struct err *err);
/* Continue a suspended task, or from the loop a preempted one. */
void task_resume(struct task *task);
/* From inside a task: return to whoever started or resumed it. */
void task_suspend(void);
/* Give up a task that is not running: its frames are dropped. */
void task_abandon(struct task *task);

/* Call guest code from inside a task. `types`: param_count + result_count type codes. `v`: arguments, then
 * results, a cell each. False: trapped, task->report has the details of the innermost trap. */
bool guest_call(struct store *store, uint64_t funcref, const uint8_t *types, uint32_t param_count,
                uint32_t result_count, union cell *v);

/* For a signal handler: if the interrupted code may be preempted, make it continue in guest_preempt. */
bool task_preempt_at(ucontext_t *context);
/* For a signal handler: whatever host code runs in the task is to yield when it asks (guest_goes_on). */
void task_want_yield(void);
/* From inside a task: as if it were preempted here. */
void task_yield(void);

/* Where the guest's words are, besides memories, globals, tables and objects: the stacks of the tasks of the store of
 * `first`, that of the running one from `here` on, and the values spilled for calls. Suspended tasks have their
 * registers on their stacks; the running one's are put there by the caller (__builtin_unwind_init). */
typedef void task_range_fn(void *arg, uint64_t low, uint64_t high);
void task_each_range(const struct slot *first, uint64_t here, task_range_fn *visit, void *arg);

#endif
