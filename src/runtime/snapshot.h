/* Start functions, and the template that instances begin with behind them.
 *
 * A program is tried once, in a slot whose imports all refuse. If its start functions asked the host for nothing, what
 * they wrote becomes part of the template. Otherwise they run in every instance, unless the embedder runs them once
 * with the real host and freezes what they left.
 *
 * Start functions are guest code: a trial goes on in steps, between which others may have the thread.
 */
#ifndef MAYFLY_RUNTIME_SNAPSHOT_H
#define MAYFLY_RUNTIME_SNAPSHOT_H

#include "runtime/task.h"

/* A trial that is under way. Its task is at this address. */
struct program_trial {
    struct program *program;
    struct slot *slot; /* NULL: nothing is left to be run */
    struct task task;
    bool returned;
};

/* Begin with the trial of a program that program_open opened and that has no slots. Nothing runs yet. False: no slot
 * can be made. */
bool program_try(struct program *program, struct program_trial *ret_trial, struct err *err);
enum program_step {
    PROGRAM_READY,   /* the program makes instances; the trial is over */
    PROGRAM_GOES_ON, /* it was preempted: step again */
    PROGRAM_FAILED,  /* ERR_TRAP: instantiation traps, or was ended by TRAP_DEADLINE; the trial is over */
};
/* From the loop, between slice_enter and slice_leave (runtime/slice.h), or alone on the thread. */
enum program_step program_try_step(struct program_trial *trial, struct err *err);
/* It will not go on. */
void program_try_abandon(struct program_trial *trial);

/* Inside a task: run the start functions of the slot's program, in order. False: one trapped. */
bool program_start(struct slot *slot);

/* Bytes of a frozen instance: of the pages that are kept, and of what it grew by. */
#define PROGRAM_FREEZE_MAX ((uint64_t)64 << 20)

/* The start functions of start_each_time have run in `slot`, and nothing runs there any more: what they left becomes
 * the template. What of it belongs to the host is the caller's to take away before. No slot of the program but this one
 * may be there, and it must be destroyed. False: it cannot be, `err` says why, and all is as before. */
bool program_freeze(struct program *program, struct slot *slot, struct err *err);
/* Undo it: start functions run in every instance again. No slot may be there. */
void program_unfreeze(struct program *program);
/* What it keeps of the page at `slot_off`, or NULL. */
const uint8_t *program_snapshot_page(const struct program *program, uint64_t slot_off);
/* For who unloads it. */
void program_drop_snapshot(struct program *program);

#endif
