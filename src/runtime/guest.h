/* The border between C and guest code, in assembly (x86_64.S, aarch64.S).
 *
 * An activation is one call from the host into guest code. Activations of a task nest (a host function may
 * call back into the guest); a trap ends the innermost one only, whose caller then returns failure in its
 * turn. No C frame is ever jumped over.
 */
#ifndef MAYFLY_RUNTIME_GUEST_H
#define MAYFLY_RUNTIME_GUEST_H

#include "image/context.h"

#include <stdbool.h>

struct activation {
    uint64_t sp; /* where guest_exit continues; offset known to the assembly */
    struct activation *outer;
    uint64_t outer_fp; /* the guest frame that called the host, which made this activation; 0: none */
};

/* Registers of the calling convention (docs/architecture.md); offsets known to the assembly. */
struct guest_regs {
    uint64_t ints[CONTEXT_INT_REGS];
    union cell vecs[CONTEXT_VEC_REGS];
    uint64_t result_ints[CONTEXT_RESULT_INT_REGS];
    union cell result_vecs[CONTEXT_RESULT_VEC_REGS];
};

_Static_assert(offsetof(struct guest_regs, vecs) == 48, "x86_64.S, aarch64.S");
_Static_assert(offsetof(struct guest_regs, result_ints) == 176, "x86_64.S, aarch64.S");
_Static_assert(offsetof(struct guest_regs, result_vecs) == 192, "x86_64.S, aarch64.S");
_Static_assert(offsetof(struct activation, sp) == 0, "x86_64.S, aarch64.S");

/* Call guest code on the current stack. True: returned, results stored. False: left by guest_exit. */
bool guest_enter(struct activation *activation, struct guest_regs *regs, uint64_t code, uint64_t context);

/* Leave guest code: continue after guest_enter with false. Reached by the signal handler too (machine_leave). */
void guest_exit(struct activation *activation) __attribute__((noreturn));

/* Continue at a landing pad: frame pointer, stack pointer, and the exception in the register that pads
 * expect. */
void guest_land(uint64_t pad, uint64_t fp, uint64_t sp, uint64_t exception) __attribute__((noreturn));

/* Save callee-saved registers and the stack pointer at *save, continue where `load` was saved. */
void stack_switch(uint64_t *save, uint64_t load);

/* First code of a new stack: see machine_first_frame. */
void stack_begin(void);

/* Where the signal handler sends preempted guest code, with the interrupted address pushed on the guest's
 * stack: saves every register, calls task_preempted, restores, continues. */
void guest_preempt(void);

/* Bytes of stack that guest_preempt and what it calls need. */
#define PREEMPT_RESERVE 16384u

#endif
