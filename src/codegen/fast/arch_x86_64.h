/* Registers of x86-64 as the fast generator deals them out. Numbers are the machine's; vector registers follow at 16.
 */
#ifndef MAYFLY_FAST_ARCH_X86_64_H
#define MAYFLY_FAST_ARCH_X86_64_H

#include "codegen/fast/stencil.h"

#include <emmintrin.h>
#include <string.h>

enum {
    RAX,
    RCX,
    RDX,
    RBX,
    RSP,
    RBP,
    RSI,
    RDI,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
    XMM0,
    XMM15 = XMM0 + 15,
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
    (1u << RBX | 1u << RSI | 1u << RDI | 1u << R8 | 1u << R9 | 1u << R10 | 1u << R11 | 1u << R13 | 1u << R14 |         \
     1u << R15)
#define ALLOCATABLE_VECS (0x1ffeu << XMM0)

/* The calling convention's (docs/architecture.md). */
#define PARAM_INTS {R13, R14, R15, RDI, RSI, RDX}
#define PARAM_VEC_FIRST XMM0
#define RESULT_INTS {RAX, RDX}
#define RESULT_VEC_FIRST XMM0
#define C_PARAM_INTS {RDI, RSI, RDX, RCX, R8, R9}

#define HAVE_PICK_32 1 /* shuffles of 32-bit lanes by an immediate: simd_lane.c of the stencils */

#define CODE_FILLER 0xcc /* int3 */
/* As far as a branch reaches. */
#define CODE_REACH ((uint64_t)1 << 31)

/* What stands at `at` to go to `to`. */
static inline uint32_t branch_word(uint32_t at, uint32_t to)
{
    return to - (at + 4);
}

static inline void fill_register(uint8_t *code, const struct stencil_field *field, uint8_t r)
{
    code[field->at] |= (uint8_t)((r & 7) << field->shift);
    code[field->rex] |= (uint8_t)((r >> 3 & 1) << field->rex_shift);
}

static inline void fill_number(uint8_t *code, const struct stencil_field *field, uint64_t number)
{
    memcpy(code + field->at, &number, field->hole == HOLE_IMM8 ? 1 : field->hole == HOLE_IMM32 ? 4 : 8);
}

/* Bit i of the result: one[i] == other[i]. */
static inline uint32_t equal_words(const uint32_t one[32], const uint32_t other[32])
{
    uint32_t equal = 0;
    for (unsigned i = 0; i < 32; i += 16) {
        __m128i same[4];
        for (unsigned k = 0; k < 4; k++)
            same[k] = _mm_cmpeq_epi32(_mm_loadu_si128((const __m128i *)(const void *)(one + i + 4 * k)),
                                      _mm_loadu_si128((const __m128i *)(const void *)(other + i + 4 * k)));
        __m128i bytes = _mm_packs_epi16(_mm_packs_epi32(same[0], same[1]), _mm_packs_epi32(same[2], same[3]));
        equal |= (uint32_t)_mm_movemask_epi8(bytes) << i;
    }
    return equal;
}

/* A distance counts from `offset` bytes behind its target on. */
static inline void fill_offset(uint8_t *code, const struct stencil_field *field, uint32_t offset)
{
    memcpy(code + field->at, &offset, sizeof offset);
}

/* Let the word at `place`, which holds an offset so far, lead to `target` plus that offset. False: too far away. */
static inline bool relocate_word(uint32_t *word, uint32_t place, uint32_t target)
{
    *word += target - (place + 4);
    return true;
}

#endif
