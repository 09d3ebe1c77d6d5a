/* What signal handlers and stacks need to know about the machine; one file per architecture, beside its assembly.
 *
 * All that takes a context is safe in a signal handler. */
#ifndef MAYFLY_RUNTIME_MACHINE_H
#define MAYFLY_RUNTIME_MACHINE_H

#include "runtime/guest.h"
#include "runtime/stack.h"

#include <stddef.h>
#include <ucontext.h>

/* Once per process, before anything is preempted. `signal_frame`: what a signal's frame takes of a stack. */
void machine_open(size_t signal_frame);

/* Where the interrupted code is. */
uint64_t machine_pc(const ucontext_t *context);
uint64_t machine_fp(const ucontext_t *context);

/* Was the access that faulted a write? True where the system does not say. */
bool machine_may_write(const ucontext_t *context);

/* The trap that an illegal instruction stands for; one that no generator makes on purpose counts as unreachable. */
enum trap machine_trap(const uint8_t *pc);

/* The return address of the interrupted function where the frame pointer is still, or again, its caller's; 0 where it
 * is the function's own. `entry`: its first instruction. Nothing is certain about the address. */
uint64_t machine_return_address(const ucontext_t *context, const struct stack *stack, uint64_t entry);

/* Continue in guest_exit. */
void machine_leave(ucontext_t *context, struct activation *activation);

/* Continue in guest_preempt, if there is enough of the stack; guest code has nothing below its stack pointer. */
bool machine_preempt(ucontext_t *context, const struct stack *stack);

/* Put on a new stack what stack_switch takes off to continue in stack_begin, which calls `begin`; its stack pointer. */
uint64_t machine_first_frame(const struct stack *stack, void (*begin)(void *), void *arg);

/* What debuggers are told of a function's frame: DWARF call frame instructions (DWARF 4, section 6.4.2) where it
 * begins, and those of the instructions that every function begins with. */
struct machine_frames {
    uint16_t elf_machine;
    uint8_t code_unit, return_register;
    uint8_t begin_size, body_size;
    uint8_t begin[8], body[12];
};
extern const struct machine_frames machine_frames;

enum {
    CFA_ADVANCE = 0x40,
    CFA_OFFSET = 0x80, /* in units of -8 */
    CFA_DEF = 0x0c,
    CFA_DEF_REGISTER = 0x0d,
    CFA_DEF_OFFSET = 0x0e,
};

#endif
