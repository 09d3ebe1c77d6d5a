/* See machine.h; aarch64.S is the other half. */
#include "runtime/machine.h"

#include <asm/sigcontext.h>
#include <elf.h>
#include <string.h>

#define SYNDROME_IS_WRITE 0x40 /* ESR_EL1.ISS.WnR of a data abort */
#define FP 29
#define LR 30
/* Functions begin with `stp x29, x30, [sp, #-16]!; mov x29, sp` and give up their frames with `ldp x29, x30, [sp],
 * #16`. */
#define POP_FRAME 0xa8c17bfdu
#define TAIL_MAX 8 /* instructions of ours behind that, a return or jump included */
#define FRAME_WORDS 20

void machine_open(size_t signal_frame)
{
}

/* stp x29, x30, [sp, #-16]!; mov x29, sp */
enum { DWARF_SP = 31 };
const struct machine_frames machine_frames = {
    EM_AARCH64,
    4,
    LR,
    3,
    10,
    {CFA_DEF, DWARF_SP, 0},
    {CFA_ADVANCE | 1, CFA_DEF_OFFSET, 16, CFA_OFFSET | FP, 2, CFA_OFFSET | LR, 1, CFA_ADVANCE | 1, CFA_DEF_REGISTER,
     FP},
};

uint64_t machine_pc(const ucontext_t *context)
{
    return context->uc_mcontext.pc;
}

uint64_t machine_fp(const ucontext_t *context)
{
    return context->uc_mcontext.regs[FP];
}

/* The syndrome stands in one of the records behind the registers. */
bool machine_may_write(const ucontext_t *context)
{
    const uint8_t *at = context->uc_mcontext.__reserved, *end = at + sizeof context->uc_mcontext.__reserved;
    struct _aarch64_ctx head;
    struct esr_context syndrome;
    for (; (size_t)(end - at) >= sizeof syndrome; at += head.size) {
        memcpy(&head, at, sizeof head);
        if (head.magic == ESR_MAGIC) {
            memcpy(&syndrome, at, sizeof syndrome);
            return syndrome.esr & SYNDROME_IS_WRITE;
        }
        if (head.size == 0 || head.size > (size_t)(end - at))
            break;
    }
    return true;
}

/* `udf #NUMBER` is the number. */
enum trap machine_trap(const uint8_t *pc)
{
    uint32_t word;
    memcpy(&word, pc, sizeof word);
    return word > TRAP_NONE && word < TRAP_COUNT ? (enum trap)word : TRAP_UNREACHABLE;
}

static bool ends_block(uint32_t word)
{
    bool jumps = (word & 0xfc000000u) == 0x14000000u;
    bool jumps_to_register = (word & 0xff9ffc1fu) == 0xd61f0000u; /* br, and alike ret */
    return jumps || jumps_to_register;
}

uint64_t machine_return_address(const ucontext_t *context, const struct stack *stack, uint64_t entry)
{
    uint64_t pc = context->uc_mcontext.pc, lr = context->uc_mcontext.regs[LR];
    const uint32_t *code = (const uint32_t *)pc;
    if (pc - entry <= sizeof *code)
        return lr;
    for (unsigned i = 1; i <= TAIL_MAX && pc - entry >= i * sizeof *code && !ends_block(code[-(int)i]); i++)
        if (code[-(int)i] == POP_FRAME)
            return lr;
    return 0;
}

void machine_leave(ucontext_t *context, struct activation *activation)
{
    context->uc_mcontext.pc = (uint64_t)guest_exit;
    context->uc_mcontext.regs[0] = (uint64_t)activation;
}

/* The interrupted address goes on the stack. */
bool machine_preempt(ucontext_t *context, const struct stack *stack)
{
    uint64_t sp = context->uc_mcontext.sp;
    if (sp < stack->low + PREEMPT_RESERVE || sp > stack->high)
        return false;
    sp -= 16;
    *(uint64_t *)sp = context->uc_mcontext.pc;
    context->uc_mcontext.sp = sp;
    context->uc_mcontext.pc = (uint64_t)guest_preempt;
    return true;
}

/* x19 = arg, x20 = begin, x21 to x29, the return address, d8 to d15. */
uint64_t machine_first_frame(const struct stack *stack, void (*begin)(void *), void *arg)
{
    const uint64_t frame[FRAME_WORDS] = {[0] = (uint64_t)arg, [1] = (uint64_t)begin, [11] = (uint64_t)stack_begin};
    uint64_t top = stack->high - sizeof frame;
    memcpy((void *)top, frame, sizeof frame);
    return top;
}
