/* Vectors of integers: lane by lane, and what has no scalar counterpart. */
#include "vector.h"

/* What clang does not find in C. */
#if defined(__aarch64__)
#define COUNT_BITS(y) vcntq_u8(y)
#define MULTIPLY_Q15(x, y) vqrdmulhq_s16(x, y)
#define MULTIPLY_PAIRS(x, y) vpaddq_s32(vmull_s16(vget_low_s16(x), vget_low_s16(y)), vmull_high_s16(x, y))
#define ADD_PAIRS_S8(y) vpaddlq_s8(y)
#define ADD_PAIRS_U8(y) vpaddlq_u8(y)
#define ADD_PAIRS_S16(y) vpaddlq_s16(y)
#define ADD_PAIRS_U16(y) vpaddlq_u16(y)
#define NARROW_8_S(x, y) vqmovn_high_s16(vqmovn_s16(x), y)
#define NARROW_8_U(x, y) vqmovun_high_s16(vqmovun_s16(x), y)
#define NARROW_16_S(x, y) vqmovn_high_s32(vqmovn_s32(x), y)
#define NARROW_16_U(x, y) vqmovun_high_s32(vqmovun_s32(x), y)
#else
/* Every half of a byte has 16 values. */
#define BIT_COUNTS (s8x16){0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4}
#define COUNT_HALF(y) (u8x16) __builtin_ia32_pshufb128(BIT_COUNTS, (s8x16)((y) & 15))
#define COUNT_BITS(y) COUNT_HALF(y) + COUNT_HALF((y) >> 4)
/* Of numbers from -1 to 1, of which -1 times -1 does not fit and comes out as -1; the greatest has its bits inverted.
 */
#define MULTIPLY_Q15(x, y)                                                                                             \
    ({                                                                                                                 \
        s16x8 product = (s16x8)__builtin_ia32_pmulhrsw128(x, y);                                                       \
        product ^ (product == (s16)0x8000);                                                                            \
    })
#define MULTIPLY_PAIRS(x, y) __builtin_ia32_pmaddwd128(x, y)
#define ADD_PAIRS_S8(y) __builtin_ia32_pmaddubsw128((s8x16){} + 1, y)
#define ADD_PAIRS_U8(y) __builtin_ia32_pmaddubsw128((s8x16)(y), (s8x16){} + 1)
#define ADD_PAIRS_S16(y) __builtin_ia32_pmaddwd128(y, (s16x8){} + 1)
#define ADD_PAIRS_U16(y) ((u32x4)(y) & 0xffff) + ((u32x4)(y) >> 16)
#define NARROW_8_S(x, y) __builtin_ia32_packsswb128(x, y)
#define NARROW_8_U(x, y) __builtin_ia32_packuswb128(x, y)
#define NARROW_16_S(x, y) __builtin_ia32_packssdw128(x, y)
#define NARROW_16_U(x, y) __builtin_ia32_packusdw128(x, y)
#endif

/* Bits. */
VECTOR_BINARY(v128_and, v128, x &y)
VECTOR_BINARY(v128_andnot, v128, x & ~y)
VECTOR_BINARY(v128_or, v128, x | y)
VECTOR_BINARY(v128_xor, v128, x ^ y)
VECTOR_UNARY(v128_not, v128, ~y)

/* X = X where Z has ones, Y elsewhere. */
#define SELECT(name)                                                                                                   \
    STENCIL(name)                                                                                                      \
    {                                                                                                                  \
        X = ((X ^ Y) & Z) ^ Y;                                                                                         \
        NEXT;                                                                                                          \
    }
SELECT(v128_bitselect)
SELECT(i8x16_relaxed_laneselect)
SELECT(i16x8_relaxed_laneselect)
SELECT(i32x4_relaxed_laneselect)
SELECT(i64x2_relaxed_laneselect)

/* Arithmetic and comparisons. U and S: the vector with unsigned and with signed lanes. */
#define ARITHMETIC(name, U, S)                                                                                         \
    VECTOR_BINARY(name##_add, U, x + y)                                                                                \
    VECTOR_BINARY(name##_sub, U, x - y)                                                                                \
    VECTOR_UNARY(name##_neg, U, -y)                                                                                    \
    VECTOR_UNARY(name##_abs, S, __builtin_elementwise_abs(y))                                                          \
    VECTOR_BINARY(name##_eq, U, x == y)                                                                                \
    VECTOR_BINARY(name##_ne, U, x != y)                                                                                \
    VECTOR_BINARY(name##_lt_s, S, x < y)                                                                               \
    VECTOR_BINARY(name##_gt_s, S, x > y)                                                                               \
    VECTOR_BINARY(name##_le_s, S, x <= y)                                                                              \
    VECTOR_BINARY(name##_ge_s, S, x >= y)
ARITHMETIC(i8x16, u8x16, s8x16)
ARITHMETIC(i16x8, u16x8, s16x8)
ARITHMETIC(i32x4, u32x4, s32x4)
ARITHMETIC(i64x2, u64x2, s64x2)
VECTOR_BINARY(i16x8_mul, u16x8, x *y)
VECTOR_BINARY(i32x4_mul, u32x4, x *y)
VECTOR_BINARY(i64x2_mul, u64x2, x *y)

/* What lanes of 64 bits lack. */
#define NARROWER(name, U, S)                                                                                           \
    VECTOR_BINARY(name##_lt_u, U, x < y)                                                                               \
    VECTOR_BINARY(name##_gt_u, U, x > y)                                                                               \
    VECTOR_BINARY(name##_le_u, U, x <= y)                                                                              \
    VECTOR_BINARY(name##_ge_u, U, x >= y)                                                                              \
    VECTOR_BINARY(name##_min_s, S, __builtin_elementwise_min(x, y))                                                    \
    VECTOR_BINARY(name##_min_u, U, __builtin_elementwise_min(x, y))                                                    \
    VECTOR_BINARY(name##_max_s, S, __builtin_elementwise_max(x, y))                                                    \
    VECTOR_BINARY(name##_max_u, U, __builtin_elementwise_max(x, y))
NARROWER(i8x16, u8x16, s8x16)
NARROWER(i16x8, u16x8, s16x8)
NARROWER(i32x4, u32x4, s32x4)

/* What only those of 8 and 16 bits have. `wide`: the vector with lanes that hold a sum. */
typedef u16 u16x16 __attribute__((vector_size(32)));
typedef u32 u32x8 __attribute__((vector_size(32)));
#define NARROWEST(name, U, S, wide)                                                                                    \
    VECTOR_BINARY(name##_add_sat_s, S, __builtin_elementwise_add_sat(x, y))                                            \
    VECTOR_BINARY(name##_add_sat_u, U, __builtin_elementwise_add_sat(x, y))                                            \
    VECTOR_BINARY(name##_sub_sat_s, S, __builtin_elementwise_sub_sat(x, y))                                            \
    VECTOR_BINARY(name##_sub_sat_u, U, __builtin_elementwise_sub_sat(x, y))                                            \
    VECTOR_BINARY(                                                                                                     \
        name##_avgr_u, U,                                                                                              \
        __builtin_convertvector((__builtin_convertvector(x, wide) + __builtin_convertvector(y, wide) + 1) >> 1, U))
NARROWEST(i8x16, u8x16, s8x16, u16x16)
NARROWEST(i16x8, u16x8, s16x8, u32x8)

VECTOR_UNARY(i8x16_popcnt, u8x16, COUNT_BITS(y))

/* X = X shifted by B, which counts modulo the width. */
#define SHIFT_RR(name, V, mask, operator)                                                                              \
    STENCIL(name##_rr)                                                                                                 \
    {                                                                                                                  \
        V x = (V)X;                                                                                                    \
        X = (v128)(x operator((V){} + (__typeof__(x[0]))(B & (mask))));                                                \
        NEXT;                                                                                                          \
    }
#define SHIFTS(name, U, mask)                                                                                          \
    SHIFT_RR(name##_shl, U, mask, <<)                                                                                  \
    SHIFT_RR(name##_shr_u, U, mask, >>)
SHIFTS(i8x16, u8x16, 7)
SHIFTS(i16x8, u16x8, 15)
SHIFTS(i32x4, u32x4, 31)
SHIFTS(i64x2, u64x2, 63)
SHIFT_RR(i16x8_shr_s, s16x8, 15, >>)
SHIFT_RR(i32x4_shr_s, s32x4, 31, >>)
SHIFT_RR(i64x2_shr_s, s64x2, 63, >>)
STENCIL(i8x16_shr_s_rr)
{
    u16 n = (u16)(8 + (B & 7));
    s16x8 low = (s16x8)__builtin_shufflevector((u8x16)X, (u8x16)X, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
    s16x8 high =
        (s16x8)__builtin_shufflevector((u8x16)X, (u8x16)X, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 15);
    X = (v128)NARROW_8_S(low >> (s16)n, high >> (s16)n);
    NEXT;
}

/* Halves, widened. */
#define HALF_8(y, first)                                                                                               \
    __builtin_shufflevector(y, y, first, first + 1, first + 2, first + 3, first + 4, first + 5, first + 6, first + 7)
#define HALF_4(y, first) __builtin_shufflevector(y, y, first, first + 1, first + 2, first + 3)
#define HALF_2(y, first) __builtin_shufflevector(y, y, first, first + 1)
#define WIDE(HALF, y, first, W) __builtin_convertvector(HALF(y, first), W)
#define WIDEN(to, from, sign, V, W, HALF, middle)                                                                      \
    VECTOR_UNARY(to##_extend_low_##from##_##sign, V, WIDE(HALF, y, 0, W))                                              \
    VECTOR_UNARY(to##_extend_high_##from##_##sign, V, WIDE(HALF, y, middle, W))                                        \
    VECTOR_BINARY(to##_extmul_low_##from##_##sign, V, WIDE(HALF, x, 0, W) * WIDE(HALF, y, 0, W))                       \
    VECTOR_BINARY(to##_extmul_high_##from##_##sign, V, WIDE(HALF, x, middle, W) * WIDE(HALF, y, middle, W))
WIDEN(i16x8, i8x16, s, s8x16, s16x8, HALF_8, 8)
WIDEN(i16x8, i8x16, u, u8x16, u16x8, HALF_8, 8)
WIDEN(i32x4, i16x8, s, s16x8, s32x4, HALF_4, 4)
WIDEN(i32x4, i16x8, u, u16x8, u32x4, HALF_4, 4)
WIDEN(i64x2, i32x4, s, s32x4, s64x2, HALF_2, 2)
WIDEN(i64x2, i32x4, u, u32x4, u64x2, HALF_2, 2)

/* Sums of neighbours, and of their products. */
VECTOR_UNARY(i16x8_extadd_pairwise_i8x16_s, s8x16, ADD_PAIRS_S8(y))
VECTOR_UNARY(i16x8_extadd_pairwise_i8x16_u, u8x16, ADD_PAIRS_U8(y))
VECTOR_UNARY(i32x4_extadd_pairwise_i16x8_s, s16x8, ADD_PAIRS_S16(y))
VECTOR_UNARY(i32x4_extadd_pairwise_i16x8_u, u16x8, ADD_PAIRS_U16(y))
VECTOR_BINARY(i32x4_dot_i16x8_s, s16x8, MULTIPLY_PAIRS(x, y))
/* Of the relaxed one, the right operand has 7 bits, or the sum wraps. */
#define MULTIPLY_PAIRS_8(x, y)                                                                                         \
    (u16x8)((s16x8)((u16x8)(x) << 8) >> 8) * (u16x8)((s16x8)((u16x8)(y) << 8) >> 8) +                                  \
        (u16x8)((s16x8)(x) >> 8) * (u16x8)((s16x8)(y) >> 8)
VECTOR_BINARY(i16x8_relaxed_dot_i8x16_i7x16_s, u8x16, MULTIPLY_PAIRS_8(x, y))
STENCIL(i32x4_relaxed_dot_i8x16_i7x16_add_s)
{
    FREE_UNUSED;
    s16x8 sums = (s16x8)(MULTIPLY_PAIRS_8(X, Y));
    X = (v128)((u32x4)ADD_PAIRS_S16(sums) + (u32x4)Z);
    NEXT;
}

VECTOR_BINARY(i16x8_q15mulr_sat_s, s16x8, MULTIPLY_Q15(x, y))
VECTOR_BINARY(i16x8_relaxed_q15mulr_s, s16x8, MULTIPLY_Q15(x, y))

/* The lanes of both, halved in width. */
VECTOR_BINARY(i8x16_narrow_i16x8_s, s16x8, NARROW_8_S(x, y))
VECTOR_BINARY(i8x16_narrow_i16x8_u, s16x8, NARROW_8_U(x, y))
VECTOR_BINARY(i16x8_narrow_i32x4_s, s32x4, NARROW_16_S(x, y))
VECTOR_BINARY(i16x8_narrow_i32x4_u, s32x4, NARROW_16_U(x, y))

/* A = a test of X. */
#define TEST(name, expression)                                                                                         \
    STENCIL(name)                                                                                                      \
    {                                                                                                                  \
        A = (u32)(expression);                                                                                         \
        NEXT;                                                                                                          \
    }
TEST(v128_any_true, __builtin_reduce_or(X) != 0)
#define ALL_TRUE(name, V) TEST(name##_all_true, __builtin_reduce_or((V)((V)X == 0)) == 0)
ALL_TRUE(i8x16, u8x16)
ALL_TRUE(i16x8, u16x8)
ALL_TRUE(i32x4, u32x4)
ALL_TRUE(i64x2, u64x2)

/* The sign bits. */
typedef _Bool bools16 __attribute__((ext_vector_type(16)));
typedef _Bool bools8 __attribute__((ext_vector_type(8)));
typedef _Bool bools4 __attribute__((ext_vector_type(4)));
typedef _Bool bools2 __attribute__((ext_vector_type(2)));
#define BITMASK(name, V, bools, T, mask)                                                                               \
    TEST(name##_bitmask, ((union {                                                                                     \
                             bools of;                                                                                 \
                             T bits;                                                                                   \
                         }){.of = __builtin_convertvector((V)X < 0, bools)})                                           \
                             .bits &(mask))
BITMASK(i8x16, s8x16, bools16, u16, 0xffff)
BITMASK(i16x8, s16x8, bools8, u8, 0xff)
BITMASK(i32x4, s32x4, bools4, u8, 15)
BITMASK(i64x2, s64x2, bools2, u8, 3)
