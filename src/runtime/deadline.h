/* Deadlines: a guest whose time is over ends, wherever it is.
 *
 * A timer of this thread sends its first signal at the deadline and one per DEADLINE_TICK_NS from then on, until the
 * deadline is cleared. Before that, and for guests without one, there is no timer and nothing to pay. Each signal does
 * what trap_interrupt says:
 *
 *     in image text      the innermost activation ends there, with TRAP_DEADLINE
 *     in host code       store->interrupt is set; a system call that blocks returns EINTR; whoever runs long or waits
 *                        tests guest_goes_on (runtime/trap.h) and fails
 *     outside of tasks   nothing; the next task is interrupted like any other
 *
 * Signals go on because one alone may be lost: it may come between a test and the system call that then blocks, or in a
 * helper too short to test anything.
 */
#ifndef MAYFLY_RUNTIME_DEADLINE_H
#define MAYFLY_RUNTIME_DEADLINE_H

#include "base/err.h"

#define DEADLINE_TICK_NS 1000000u
#define DEADLINE_NS_MAX ((uint64_t)1 << 62) /* 146 years */

/* All guests that this thread runs from now on end `after_ns` (at most DEADLINE_NS_MAX) from now. Replaces an earlier
 * deadline. */
bool deadline_set(uint64_t after_ns, struct err *err);
/* The same of the processor time that this thread takes, beside a deadline: the earlier of both counts. Its signals
 * only come while it takes some. */
bool deadline_set_cpu(uint64_t after_ns, struct err *err);
/* Whether that was it. */
bool deadline_cpu_is_over(void);
/* Ends the timers; no signal has an effect afterwards. Nothing when there is no deadline. */
void deadline_clear(void);

#endif
