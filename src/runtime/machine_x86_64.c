/* See machine.h; x86_64.S is the other half. */
#include "runtime/machine.h"

#include <elf.h>
#include <string.h>
#include <sys/platform/x86.h>

#define FAULT_IS_WRITE 2 /* page-fault error code, bit 1 */
#define DIRECTION_FLAG 0x400
/* `push rbp` is one byte long. */
#define PUSH_SIZE 1
#define POP_RBP 0x5d
#define LEAVE 0xc9
#define RET 0xc3

/* Which state components XSAVE saves for preempted guests; known to x86_64.S. */
uint64_t guest_xsave_mask, guest_xsave_size;

/* Which vector state a preempted guest may hold: x87, SSE, AVX, AVX-512 as far as the system enables them. The room
 * that signal frames take is more than that state's. No CPUID here: it costs a virtual machine tens of microseconds. */
void machine_open(size_t signal_frame)
{
    uint32_t low, high;
    if (!CPU_FEATURE_PRESENT(OSXSAVE))
        return;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    guest_xsave_mask = ((uint64_t)high << 32 | low) & 0xe7;
    guest_xsave_size = signal_frame;
}

/* push rbp; mov rbp, rsp */
enum { DWARF_RBP = 6, DWARF_RSP = 7, DWARF_RETURN = 16 };
const struct machine_frames machine_frames = {
    EM_X86_64,
    1,
    DWARF_RETURN,
    5,
    8,
    {CFA_DEF, DWARF_RSP, 8, CFA_OFFSET | DWARF_RETURN, 1},
    {CFA_ADVANCE | 1, CFA_DEF_OFFSET, 16, CFA_OFFSET | DWARF_RBP, 2, CFA_ADVANCE | 3, CFA_DEF_REGISTER, DWARF_RBP},
};

static uint64_t reg(const ucontext_t *context, int which)
{
    return (uint64_t)context->uc_mcontext.gregs[which];
}

uint64_t machine_pc(const ucontext_t *context)
{
    return reg(context, REG_RIP);
}

uint64_t machine_fp(const ucontext_t *context)
{
    return reg(context, REG_RBP);
}

bool machine_may_write(const ucontext_t *context)
{
    return reg(context, REG_ERR) & FAULT_IS_WRITE;
}

/* `ud1l NUMBER(%eax), %eax`: 67 0f b9 40 NUMBER; a plain ud2 is what no generator emits on purpose. */
enum trap machine_trap(const uint8_t *pc)
{
    static const uint8_t ud1[] = {0x67, 0x0f, 0xb9, 0x40};
    bool ours = memcmp(pc, ud1, sizeof ud1) == 0 && pc[4] < TRAP_COUNT;
    return ours ? (enum trap)pc[4] : TRAP_UNREACHABLE;
}

/* Functions begin with `push rbp; mov rbp, rsp` and end with `pop rbp` or `leave`, then a return or jump. */
uint64_t machine_return_address(const ucontext_t *context, const struct stack *stack, uint64_t entry)
{
    uint64_t pc = reg(context, REG_RIP), at = reg(context, REG_RSP);
    const uint8_t *code = (const uint8_t *)pc;
    if (pc - entry == PUSH_SIZE)
        at += 8;
    else if (pc != entry && code[0] != RET && code[-1] != POP_RBP && code[-1] != LEAVE)
        return 0;
    bool inside = at >= stack->low && at + 8 <= stack->high && at % 8 == 0;
    return inside ? *(const uint64_t *)at : 0;
}

void machine_leave(ucontext_t *context, struct activation *activation)
{
    greg_t *regs = context->uc_mcontext.gregs;
    regs[REG_RIP] = (greg_t)(uintptr_t)guest_exit;
    regs[REG_RDI] = (greg_t)(uintptr_t)activation;
    regs[REG_EFL] &= ~(greg_t)DIRECTION_FLAG;
}

/* The interrupted address goes on the stack. */
bool machine_preempt(ucontext_t *context, const struct stack *stack)
{
    greg_t *regs = context->uc_mcontext.gregs;
    uint64_t sp = (uint64_t)regs[REG_RSP];
    if (!guest_xsave_size || sp < stack->low + PREEMPT_RESERVE || sp > stack->high)
        return false;
    sp -= 8;
    *(uint64_t *)sp = (uint64_t)regs[REG_RIP];
    regs[REG_RSP] = (greg_t)sp;
    regs[REG_RIP] = (greg_t)(uintptr_t)guest_preempt;
    return true;
}

/* r15, r14, r13 = begin, r12 = arg, rbx, rbp, return address. */
uint64_t machine_first_frame(const struct stack *stack, void (*begin)(void *), void *arg)
{
    uint64_t *top = (uint64_t *)(stack->high - 72); /* aligned so that begin sees what a call leaves */
    const uint64_t frame[8] = {0, 0, (uint64_t)begin, (uint64_t)arg, 0, 0, (uint64_t)stack_begin, 0};
    memcpy(top, frame, sizeof frame);
    return (uint64_t)top;
}
