/* Walking guest frames and telling what was found. */
#ifndef MAYFLY_RUNTIME_BACKTRACE_H
#define MAYFLY_RUNTIME_BACKTRACE_H

#include "runtime/task.h"

/* A position in guest code: an address in text, and the frame pointer of its function. */
struct frame {
    uint64_t pc, fp;
};

/* Go to the caller's frame; false when that is not guest code, or the chain leaves the stack. Safe in a
 * signal handler: every address is checked against the stack first. */
bool frame_outer(const struct stack *stack, struct frame *frame);

/* Fill task->report with the guest frames from (pc, fp) outwards, through outer activations. The first report
 * of a task stays. */
void trap_report_here(struct task *task, enum trap trap, uint64_t pc, uint64_t fp);

/* The same for code that was interrupted anywhere: its function may not have begun or have given up its own frame. */
void trap_report_interrupted(struct task *task, enum trap trap, const ucontext_t *context);

/* One line per frame, "  0: NAME (core instance 1, wasm offset 0x1234)", into `text` (size bytes, always
 * terminated). Returns what snprintf would. */
int trap_describe_frame(const struct trap_report *report, uint32_t index, char *text, size_t size);
/* How many frames from this one on are at the same place: recursion is told in two lines. At least 1. */
uint32_t trap_frames_alike(const struct trap_report *report, uint32_t index);

#endif
