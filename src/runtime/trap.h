/* Traps: how guest code stops, and what is known about it afterwards.
 *
 * Guest code traps by an instruction (`ud1` with the trap's number), by a fault in a guard region, or
 * because a host function or helper returned false. The signal handler turns the first two into a jump
 * to the innermost activation's exit (runtime/guest.h); host frames are never jumped over.
 */
#ifndef MAYFLY_RUNTIME_TRAP_H
#define MAYFLY_RUNTIME_TRAP_H

#include "base/err.h"
#include "image/context.h"

/* For host functions: record why the guest must trap, and return false. The first reason of an
 * activation wins. The message is kept in the store and cut to its size. */
bool trap_raise(struct store *store, enum trap trap, const char *format, ...) __attribute__((format(printf, 3, 4)));

const char *trap_text(enum trap trap);

#define TRAP_FRAMES_MAX 48

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
