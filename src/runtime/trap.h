/* Traps: how guest code stops, and what is known about it afterwards.
 *
 * Guest code traps by an instruction (`ud1` with the trap's number), by a fault in a guard region,
 * because a host function or helper returned false, or because its time is over (runtime/deadline.h). Signal handlers
 * turn all but the third into a jump to the innermost activation's exit (runtime/guest.h); host frames are never
 * jumped over.
 */
#ifndef MAYFLY_RUNTIME_TRAP_H
#define MAYFLY_RUNTIME_TRAP_H

#include "base/err.h"
#include "image/context.h"

#include <signal.h>
#include <time.h>
#include <ucontext.h>

/* For host functions: record why the guest must trap, and return false. The first reason of an
 * activation wins. The message is kept in the store and cut to its size. */
bool trap_raise(struct store *store, enum trap trap, const char *format, ...) __attribute__((format(printf, 3, 4)));

#define INTERRUPT_YIELD UINT32_MAX /* in store->interrupt: others wait for their turn */

bool guest_interrupted(struct store *store, uint32_t interrupt);

/* For host functions and helpers that run long or wait: may they go on? To be asked between chunks of work (of a
 * millisecond at most, or of more than a kilobyte), after every system call that was interrupted, and once before
 * returning to the guest. False: the guest must end; the reason is raised, and the caller returns false in turn. Others
 * may have run meanwhile: the store is as it was, the rest of the world may not be. */
static inline bool guest_goes_on(struct store *store)
{
    uint32_t interrupt = __atomic_load_n(&store->interrupt, __ATOMIC_RELAXED);
    return __builtin_expect(!interrupt, 1) || guest_interrupted(store, interrupt);
}

/* For helpers without a way to fail: end the innermost activation from here. Nothing of the helper may be left to
 * release. `return_address` is the helper's. */
void trap_leave(struct store *store, enum trap trap, uint64_t return_address) __attribute__((noreturn));

/* For a signal handler: the current task's guest must end. If the interrupted code is image text, it ends there;
 * otherwise host code that tests guest_goes_on ends it. A short host function may do neither, so whoever calls this
 * goes on doing so until the task is done. Outside of tasks it does nothing.
 *
 * Unlike after other traps, the instance may be in the middle of anything, making an object for instance: nothing may
 * enter it again, and its store ends or its slot is released. */
void trap_interrupt(ucontext_t *context, enum trap trap);

const char *trap_text(enum trap trap);

#define TRAP_FRAMES_MAX 48

/* The signal of timers that interrupt guests. Debuggers let it pass. */
#define TRAP_CLOCK_SIGNAL SIGALRM

/* For those timers: install the handlers of traps and this one, which runs on the alternate stack, and make a timer of
 * this thread, on this clock, that sends the signal. One handler per process at a time: the last one. */
bool trap_clock_open(void (*handler)(int number, siginfo_t *info, void *context), clockid_t clock, timer_t *ret_timer,
                     struct err *err);

/* The guest frames at a trap, innermost first. */
struct trap_report {
    enum trap trap;
    char message[sizeof((struct store *)0)->trap_message]; /* the host's reason, or empty */
    uint32_t frame_count;
    uint64_t frames[TRAP_FRAMES_MAX]; /* addresses in image text: of the trapping instruction, then return addresses */
};

/* Install the handlers for SIGSEGV, SIGBUS, SIGILL and SIGFPE, and once per thread their alternate stack. An
 * embedder that replaced the handlers calls it again before it runs guests. */
bool trap_install(struct err *err);

#endif
