/* Registers of aarch64 as the fast generator deals them out. It has numbers for sixteen of each kind: 0 to 7 are the
 * machine's, from 8 on it means x20 and those that follow; vector registers follow at 16. */
#ifndef MAYFLY_FAST_ARCH_AARCH64_H
#define MAYFLY_FAST_ARCH_AARCH64_H

#include "codegen/fast/stencil.h"

#include <string.h>

enum {
    X0,
    X1,
    X2,
    X3,
    X4,
    X5,
    X6,
    X7,
    X20,
    X21,
    X22,
    X23,
    X24,
    X25,
    X26,
    V0 = 16,
    V15 = V0 + 15,
};

#define REG_CONTEXT X20
/* Never allocated: moves between registers and cells use them. Stencils have x8 to x15 for themselves. */
#define REG_SCRATCH X6
#define REG_SCRATCH_2 X7
#define REG_SCRATCH_VEC V15
#define REG_REFERENCE X2 /* of an indirect call; no parameter, and constants do not go through it */
#define REG_EXCEPTION X0 /* at a landing pad */

/* What values live in. */
#define ALLOCATABLE_INTS                                                                                               \
    (1u << X2 | 1u << X3 | 1u << X4 | 1u << X5 | 1u << X21 | 1u << X22 | 1u << X23 | 1u << X24 | 1u << X25 | 1u << X26)
#define ALLOCATABLE_VECS (0x7fffu << V0)

/* The calling convention's (docs/architecture.md). */
#define PARAM_INTS {X21, X22, X23, X24, X25, X26}
#define PARAM_VEC_FIRST V0
#define RESULT_INTS {X0, X1}
#define RESULT_VEC_FIRST V0
#define C_PARAM_INTS {X0, X1, X2, X3, X4, X5}

#define HAVE_PICK_32 0

/* Code is filled up with udf #0. */
#define CODE_FILLER 0
/* As far as a branch reaches. */
#define CODE_REACH ((uint64_t)1 << 27)

/* What stands at `at` to go to `to`. */
static inline uint32_t branch_word(uint32_t at, uint32_t to)
{
    return 0x14000000u | ((to - at) >> 2 & 0x3ffffffu);
}

/* Bits of an instruction, whatever was there. */
static inline void fill_bits(uint8_t *at, uint32_t bits, unsigned width, unsigned shift)
{
    uint32_t word, mask = ((1u << width) - 1) << shift;
    memcpy(&word, at, sizeof word);
    word = (word & ~mask) | (bits << shift & mask);
    memcpy(at, &word, sizeof word);
}

/* Bit i of the result: one[i] == other[i]. */
static inline uint32_t equal_words(const uint32_t one[32], const uint32_t other[32])
{
    uint32_t equal = 0;
    for (unsigned i = 0; i < 32; i++)
        equal |= (uint32_t)(one[i] == other[i]) << i;
    return equal;
}

static inline void fill_register(uint8_t *code, const struct stencil_field *field, uint8_t r)
{
    fill_bits(code + field->at, r >= X20 && r < V0 ? r - X20 + 20u : r & 15u, 5, field->shift);
}

static inline void fill_number(uint8_t *code, const struct stencil_field *field, uint64_t number)
{
    fill_bits(code + field->at, number >> field->shift & 0xffff, 16, field->rex);
}

/* Of a constant: its stencil has the offset as IMM, because the two that make an address have no room for it. */
static inline void fill_offset(uint8_t *code, const struct stencil_field *field, uint32_t offset)
{
}

/* Let the instruction at `place`, which holds an offset so far, lead to `target` plus that offset: a branch, or one of
 * the two that make an address of a page and the rest. Both places count from a whole page. False: too far away. */
static inline bool relocate_word(uint32_t *word, uint32_t place, uint32_t target)
{
    int64_t distance = (int64_t)target - place;
    if ((*word & 0x9f000000u) == 0x90000000u) { /* adrp */
        uint32_t offset = (*word >> 29 & 3) | (*word >> 3 & 0x1ffffcu);
        uint32_t pages = ((target + offset) >> 12) - (place >> 12);
        *word = (*word & 0x9f00001fu) | (pages & 3) << 29 | (pages >> 2 & 0x7ffffu) << 5;
        return true;
    }
    if ((*word & 0xffc00000u) == 0x91000000u) { /* add */
        *word = (*word & 0xffc003ffu) | ((target + (*word >> 10)) & 0xfffu) << 10;
        return true;
    }
    *word |= (uint32_t)(distance >> 2) & 0x3ffffffu;
    return distance >= -(int64_t)CODE_REACH && distance < (int64_t)CODE_REACH;
}

#endif
