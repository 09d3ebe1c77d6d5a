/* Time slices: no guest holds its thread for long while others wait.
 *
 * A timer of this thread ticks once per SLICE_NS while guests run. A guest that had the thread at one tick and has it
 * still at the next is preempted if it is in image text (runtime/task.h): its task goes on when whoever runs guests
 * says so. Short runs pay for nothing but a few stores: the timer starts when a guest runs, is not touched from one to
 * the next, and ends itself when none has run for a while.
 *
 * A run may also take only so long: from then on each tick does what trap_interrupt says, with TRAP_DEADLINE. Both have
 * the grain of a tick, and of host code that runs long (runtime/deadline.h).
 */
#ifndef MAYFLY_RUNTIME_SLICE_H
#define MAYFLY_RUNTIME_SLICE_H

#include "base/err.h"

#include <stdint.h>

#define SLICE_NS 1000000u

/* Makes this thread's timer. Excludes deadlines (runtime/deadline.h) on the thread, whose signal it is. */
bool slice_open(struct err *err);
/* Ends it; no signal has an effect afterwards. */
void slice_close(void);

/* Around whatever starts or resumes a task from the loop. `allowance_ns`: how long the guest may run; 0 ends it at the
 * first tick. */
void slice_enter(uint64_t allowance_ns);
void slice_leave(void);

#endif
