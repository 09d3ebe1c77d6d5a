/* How stencils are written: the machine code of one operation each, as clang makes it, with holes for registers and
 * immediates (stencils.py finds them; fast/stencil.h says what the generator gets).
 *
 * A stencil is a function that gets its operands in sample registers and goes on to the next one by a tail call.
 * Stencils are compiled to assembly; there, every sample register becomes a hole for any register, and every
 * placeholder number becomes an immediate. So the code must be right for whichever registers and numbers are filled in:
 *
 * - Registers that a generator fills in are pairwise different, but for those of the stencil's name that says
 *   otherwise. What a stencil assigns to is an output; all other operands stay what they are.
 * - An i32 in a register is zero-extended, always: a stencil may rely on that and must keep it. Of an f32 or f64 only
 *   lane 0 counts.
 * - No stencil calls, spills or has a frame; all scratch registers that it needs are among the few that the
 *   architecture sets aside (stencils.py refuses others).
 * - Placeholders are plain numbers, compiled twice with different values: no code may depend on them. IMM and IMM2 have
 *   32 bits, signed; SHIFT is below 32; IMM64 has 64. On aarch64, where no instruction has so many, they are values
 * that clang knows nothing about.
 *
 * Names: operation, then where operands come from: r register, i immediate, f frame cell at FRAME + IMM, x linear
 * memory at CONTEXT + B + IMM, c at CONTEXT + IMM, a at the address B + IMM.
 */
#ifndef MAYFLY_STENCIL_H
#define MAYFLY_STENCIL_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;
typedef signed char s8;
typedef short s16;
typedef int s32;
typedef long s64;
typedef float f32;
typedef double f64;
typedef u64 v128 __attribute__((vector_size(16)));

#if defined(__aarch64__)
#define NUMBER(type, assembly)                                                                                         \
    ({                                                                                                                 \
        type number_;                                                                                                  \
        __asm__(assembly : "=r"(number_));                                                                             \
        number_;                                                                                                       \
    })
#define NUMBER_32(name) NUMBER(s32, "movz %w0, #" name "_0\n\tmovk %w0, #" name "_1, lsl #16")
#define IMM NUMBER_32("IMM")
#define IMM2 NUMBER_32("IMM2")
#define SHIFT NUMBER(s32, "movz %w0, #SHIFT_0")
#define IMM64                                                                                                          \
    NUMBER(u64, "movz %x0, #IMM64_0\n\tmovk %x0, #IMM64_1, lsl #16\n\t"                                                \
                "movk %x0, #IMM64_2, lsl #32\n\tmovk %x0, #IMM64_3, lsl #48")
#endif

#define GUEST __attribute__((preserve_none))

/* The first vector is not an operand: x86-64 has instructions that take their mask from xmm0. */
#define STENCIL_PARAMS                                                                                                 \
    char *CONTEXT, char *FRAME, u64 A, u64 B, u64 C, u64 D, v128 unused, v128 X, v128 Y, v128 Z, v128 W
#define STENCIL_ARGS CONTEXT, FRAME, A, B, C, D, unused, X, Y, Z, W

GUEST void CONT(STENCIL_PARAMS);
GUEST void TAKEN(STENCIL_PARAMS);

#define STENCIL(name) GUEST void s_##name(STENCIL_PARAMS)

/* Ways out: to the next stencil; to the label; to a trap of image/traps.def. */
#define NEXT __attribute__((musttail)) return CONT(STENCIL_ARGS)
#define GO __attribute__((musttail)) return TAKEN(STENCIL_ARGS)
#define TRAP_WHEN(condition, name)                                                                                     \
    do {                                                                                                               \
        GUEST void TRAP_##name(STENCIL_PARAMS);                                                                        \
        char *p;                                                                                                       \
        u64 i;                                                                                                         \
        v128 v; /* undefined: nothing need be kept */                                                                  \
        if (__builtin_expect((condition), 0)) __attribute__                                                            \
            ((musttail)) return TRAP_##name(p, p, i, i, i, i, v, v, v, v, v);                                          \
    } while (0)

/* Keep clang from looking through a value: it stays what it is, in its width. */
#define OPAQUE(value) __asm__("" : "+r"(value))

/* Unaligned, and aliasing anything. */
#define CELL(type, address) (((struct { type value; } __attribute__((packed, may_alias)) *)(address))->value)

#endif
