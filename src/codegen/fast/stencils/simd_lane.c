/* Lanes of vectors: splats, single lanes, shuffles. A lane's number is part of the stencil's name. */
#include "vector.h"

/* X = B, or lane 0 of Y, in every lane. */
#define SPLAT(name, V, value)                                                                                          \
    STENCIL(name##_splat)                                                                                              \
    {                                                                                                                  \
        __typeof__(((V){})[0]) lane = (value);                                                                         \
        X = (v128)((V){} + lane);                                                                                      \
        NEXT;                                                                                                          \
    }
SPLAT(i8x16, u8x16, (u8)B)
SPLAT(i16x8, u16x8, (u16)B)
SPLAT(i32x4, u32x4, (u32)B)
SPLAT(i64x2, u64x2, B)
STENCIL(f32x4_splat)
{
    X = (v128)__builtin_shufflevector((f32x4)Y, (f32x4)Y, 0, 0, 0, 0);
    NEXT;
}
STENCIL(f64x2_splat)
{
    X = (v128)__builtin_shufflevector((f64x2)Y, (f64x2)Y, 0, 0);
    NEXT;
}

/* A = a lane of X. */
#define EXTRACT(name, V, T, lane)                                                                                      \
    STENCIL(name##_##lane)                                                                                             \
    {                                                                                                                  \
        A = (T)((V)X)[lane];                                                                                           \
        NEXT;                                                                                                          \
    }
#define EXTRACT_SIGNED(name, V, lane)                                                                                  \
    STENCIL(name##_##lane)                                                                                             \
    {                                                                                                                  \
        s32 extended = ((V)X)[lane];                                                                                   \
        OPAQUE(extended);                                                                                              \
        A = (u32)extended;                                                                                             \
        NEXT;                                                                                                          \
    }
LANES_16(EXTRACT_SIGNED, i8x16_extract_lane_s, s8x16)
LANES_16(EXTRACT, i8x16_extract_lane_u, u8x16, u32)
LANES_8(EXTRACT_SIGNED, i16x8_extract_lane_s, s16x8)
LANES_8(EXTRACT, i16x8_extract_lane_u, u16x8, u32)
LANES_4(EXTRACT, i32x4_extract_lane, u32x4, u32)
LANES_2(EXTRACT, i64x2_extract_lane, u64x2, u64)

/* X = a lane of Y. */
#define EXTRACT_FLOAT(name, V, lane)                                                                                   \
    STENCIL(name##_##lane)                                                                                             \
    {                                                                                                                  \
        X = SCALAR(V, ((V)Y)[lane]);                                                                                   \
        NEXT;                                                                                                          \
    }
LANES_4(EXTRACT_FLOAT, f32x4_extract_lane, f32x4)
LANES_2(EXTRACT_FLOAT, f64x2_extract_lane, f64x2)

/* X with another lane: B, or lane 0 of Y. */
#define REPLACE(name, V, T, value, lane)                                                                               \
    STENCIL(name##_##lane)                                                                                             \
    {                                                                                                                  \
        V x = (V)X;                                                                                                    \
        x[lane] = (T)(value);                                                                                          \
        X = (v128)x;                                                                                                   \
        NEXT;                                                                                                          \
    }
LANES_16(REPLACE, i8x16_replace_lane, u8x16, u8, B)
LANES_8(REPLACE, i16x8_replace_lane, u16x8, u16, B)
LANES_4(REPLACE, i32x4_replace_lane, u32x4, u32, B)
LANES_2(REPLACE, i64x2_replace_lane, u64x2, u64, B)
LANES_4(REPLACE, f32x4_replace_lane, f32x4, f32, LOW(f32x4, Y))
LANES_2(REPLACE, f64x2_replace_lane, f64x2, f64, LOW(f64x2, Y))

/* The bytes of `vector` that are named by `index`, of which one with the high bit gives 0. On x86-64, others must be
 * below 16. */
#if defined(__aarch64__)
#define PICK(vector, index) vqtbl1q_u8((u8x16)(vector), (u8x16)(index))
#define BELOW_16(index) (index)
#else
#define PICK(vector, index) __builtin_ia32_pshufb128((s8x16)(vector), (s8x16)(index))
#define BELOW_16(index) __builtin_elementwise_add_sat((u8x16)(index), (u8x16){} + 0x70)
#endif

/* Bytes of X and Y. Z has the numbers of those of X, and W of those of Y; the other one has 0x80 there. */
STENCIL(i8x16_shuffle_rr)
{
    X = (v128)PICK(X, Z) | (v128)PICK(Y, W);
    NEXT;
}
/* X = the bytes of X that Y names, 0 for what is not below 16. */
#define SWIZZLE(name)                                                                                                  \
    STENCIL(name##_rr)                                                                                                 \
    {                                                                                                                  \
        X = (v128)PICK(X, BELOW_16(Y));                                                                                \
        NEXT;                                                                                                          \
    }
SWIZZLE(i8x16_swizzle)
SWIZZLE(i8x16_relaxed_swizzle)
/* Bytes of X by the numbers in Z. */
STENCIL(i8x16_shuffle_r)
{
    X = (v128)PICK(X, Z);
    NEXT;
}

/* A 64-bit lane of X, then one of Y; and two lanes of Y. */
#define PAIR(first, second)                                                                                            \
    STENCIL(i64x2_pair_##first##second)                                                                                \
    {                                                                                                                  \
        X = (v128)__builtin_shufflevector((u64x2)X, (u64x2)Y, first, 2 + second);                                      \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    STENCIL(i64x2_both_##first##second)                                                                                \
    {                                                                                                                  \
        X = (v128)__builtin_shufflevector((u64x2)Y, (u64x2)Y, first, second);                                          \
        NEXT;                                                                                                          \
    }
PAIR(0, 0)
PAIR(0, 1)
PAIR(1, 0)
PAIR(1, 1)

/* 32-bit lanes by two bits of SHIFT each: two of X, then two of Y; and all four of Y. */
#if defined(__x86_64__)
STENCIL(i32x4_pick_rr)
{
    __asm__("shufps %2, %1, %0" : "+x"(X) : "x"(Y), "i"(SHIFT));
    NEXT;
}
STENCIL(i32x4_pick_r)
{
    __asm__("pshufd %2, %1, %0" : "=x"(X) : "x"(Y), "i"(SHIFT));
    NEXT;
}
#endif
