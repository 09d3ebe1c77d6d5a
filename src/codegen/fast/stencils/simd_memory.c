/* Vectors made from less than 16 bytes of memory, and their lanes in memory; move.c has whole ones. */
#include "vector.h"

/* X = what is made of the value in memory, a T. */
#define LOAD(name, T, expression)                                                                                      \
    STENCIL(name##_rx)                                                                                                 \
    {                                                                                                                  \
        T value = CELL(T, CONTEXT + B + IMM);                                                                          \
        X = (v128)(expression);                                                                                        \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    STENCIL(name##_ra)                                                                                                 \
    {                                                                                                                  \
        T value = CELL(T, B + IMM);                                                                                    \
        X = (v128)(expression);                                                                                        \
        NEXT;                                                                                                          \
    }
#define LOAD_WIDE(name, T, V) LOAD(name, T, __builtin_convertvector(value, V))
LOAD_WIDE(v128_load8x8_s, s8x8, s16x8)
LOAD_WIDE(v128_load8x8_u, u8x8, u16x8)
LOAD_WIDE(v128_load16x4_s, s16x4, s32x4)
LOAD_WIDE(v128_load16x4_u, u16x4, u32x4)
LOAD_WIDE(v128_load32x2_s, s32x2, s64x2)
LOAD_WIDE(v128_load32x2_u, u32x2, u64x2)
LOAD(v128_load8_splat, u8, (u8x16){} + value)
LOAD(v128_load16_splat, u16, (u16x8){} + value)
LOAD(v128_load32_splat, u32, (u32x4){} + value)
LOAD(v128_load64_splat, u64, (u64x2){} + value)
LOAD(v128_load32_zero, u32, (u32x4){value})
LOAD(v128_load64_zero, u64, (u64x2){value})

/* A lane of X, loaded and stored. */
#define LANE(bits, V, lane)                                                                                            \
    STENCIL(v128_load##bits##_lane_##lane##_ra)                                                                        \
    {                                                                                                                  \
        V x = (V)X;                                                                                                    \
        x[lane] = CELL(u##bits, B + IMM);                                                                              \
        X = (v128)x;                                                                                                   \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    STENCIL(v128_store##bits##_lane_##lane##_ra)                                                                       \
    {                                                                                                                  \
        CELL(u##bits, B + IMM) = ((V)X)[lane];                                                                         \
        NEXT;                                                                                                          \
    }
LANES_16(LANE, 8, u8x16)
LANES_8(LANE, 16, u16x8)
LANES_4(LANE, 32, u32x4)
LANES_2(LANE, 64, u64x2)
