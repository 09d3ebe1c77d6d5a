/* Registers of x86-64 as the fast generator deals them out. Numbers are the machine's; vector registers follow at 16. */
#ifndef MAYFLY_FAST_ARCH_X86_64_H
#define MAYFLY_FAST_ARCH_X86_64_H

enum {
    RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15,
    XMM0, XMM15 = XMM0 + 15,
};

#define REG_CONTEXT R12
#define REG_FRAME RBP
/* Never allocated: stencils use them, and so do moves between registers and cells. */
#define REG_SCRATCH RAX
#define REG_SCRATCH_2 RCX
#define REG_SCRATCH_VEC XMM15
#define REG_REFERENCE R11 /* of an indirect call; no parameter, and constants do not go through it */
#define REG_EXCEPTION RAX /* at a landing pad */

/* What values live in. Stencils keep rax, rcx, rdx, xmm0 and xmm13 to xmm15 for themselves. */
#define ALLOCATABLE_INTS                                                                                               \
    (1u << RBX | 1u << RSI | 1u << RDI | 1u << R8 | 1u << R9 | 1u << R10 | 1u << R11 | 1u << R13 | 1u << R14 | 1u << R15)
#define ALLOCATABLE_VECS (0x1ffeu << XMM0)

/* The calling convention's (docs/architecture.md). */
#define PARAM_INTS {R13, R14, R15, RDI, RSI, RDX}
#define PARAM_VEC_FIRST XMM0
#define RESULT_INTS {RAX, RDX}
#define RESULT_VEC_FIRST XMM0
#define C_PARAM_INTS {RDI, RSI, RDX, RCX, R8, R9}

#define HAVE_PICK_32 1 /* shuffles of 32-bit lanes by an immediate: simd_lane.c of the stencils */

#endif
