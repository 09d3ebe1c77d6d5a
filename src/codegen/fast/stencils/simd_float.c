/* Vectors of floats, and conversions between them and vectors of integers. */
#include "vector.h"

/* FIRST: x if it compares so with y, otherwise y; as bits.
 * EXTREME: the lesser or greater of x and y. Equal ones differ at most in their sign, which is or-ed or and-ed; NaNs
 * give what their sum is. */
#if defined(__aarch64__)
#define FIRST(bits, what, letter, operator, x, y)                                                                      \
    (((bits)(x operator y) & (bits)(x)) | (~(bits)(x operator y) & (bits)(y)))
#define EXTREME(name, V, bits, what, letter, operator, join, suffix) VECTOR_BINARY(name, V, v##what##q_##suffix(x, y))
#else
#define FIRST(bits, what, letter, operator, x, y) (bits) __builtin_ia32_##what##p##letter(x, y)
#define EXTREME(name, V, bits, what, letter, operator, join, suffix)                                                   \
    VECTOR_BINARY(name, V,                                                                                             \
                  __builtin_ia32_blendvp##letter(                                                                      \
                      x + y,                                                                                           \
                      (V)(FIRST(bits, what, letter, operator, y, x) join FIRST(bits, what, letter, operator, x, y)),   \
                      (V)((x == x) & (y == y))))
#endif
#define EXTREMES(name, V, bits, letter, suffix)                                                                        \
    EXTREME(name##_min, V, bits, min, letter, <, |, suffix)                                                            \
    EXTREME(name##_max, V, bits, max, letter, >, &, suffix)                                                            \
    EXTREME(name##_relaxed_min, V, bits, min, letter, <, |, suffix)                                                    \
    EXTREME(name##_relaxed_max, V, bits, max, letter, >, &, suffix)                                                    \
    VECTOR_BINARY(name##_pmin, V, FIRST(bits, min, letter, <, y, x))                                                   \
    VECTOR_BINARY(name##_pmax, V, FIRST(bits, max, letter, >, y, x))

/* X = X * Y + Z, or Z - X * Y; rounded twice. */
#define MULTIPLY_ADD(name, V, sign)                                                                                    \
    STENCIL(name)                                                                                                      \
    {                                                                                                                  \
        V product = sign(V) X * (V)Y;                                                                                  \
        X = (v128)(product + (V)Z);                                                                                    \
        NEXT;                                                                                                          \
    }

#define OPERATIONS(name, V, bits, letter, suffix)                                                                      \
    VECTOR_BINARY(name##_add, V, x + y)                                                                                \
    VECTOR_BINARY(name##_sub, V, x - y)                                                                                \
    VECTOR_BINARY(name##_mul, V, x *y)                                                                                 \
    VECTOR_BINARY(name##_div, V, x / y)                                                                                \
    EXTREMES(name, V, bits, letter, suffix)                                                                            \
    VECTOR_BINARY(name##_eq, V, x == y)                                                                                \
    VECTOR_BINARY(name##_ne, V, x != y)                                                                                \
    VECTOR_BINARY(name##_lt, V, x < y)                                                                                 \
    VECTOR_BINARY(name##_gt, V, x > y)                                                                                 \
    VECTOR_BINARY(name##_le, V, x <= y)                                                                                \
    VECTOR_BINARY(name##_ge, V, x >= y)                                                                                \
    VECTOR_UNARY(name##_neg, V, -y)                                                                                    \
    VECTOR_UNARY(name##_abs, V, __builtin_elementwise_abs(y))                                                          \
    VECTOR_UNARY(name##_sqrt, V, __builtin_elementwise_sqrt(y))                                                        \
    VECTOR_UNARY(name##_ceil, V, __builtin_elementwise_ceil(y))                                                        \
    VECTOR_UNARY(name##_floor, V, __builtin_elementwise_floor(y))                                                      \
    VECTOR_UNARY(name##_trunc, V, __builtin_elementwise_trunc(y))                                                      \
    VECTOR_UNARY(name##_nearest, V, __builtin_elementwise_roundeven(y))                                                \
    MULTIPLY_ADD(name##_relaxed_madd, V, +)                                                                            \
    MULTIPLY_ADD(name##_relaxed_nmadd, V, -)

OPERATIONS(f32x4, f32x4, u32x4, s, f32)
OPERATIONS(f64x2, f64x2, u64x2, d, f64)

/* Conversions from integers, and between floats. */
#define LOW_TWO(V, vector) __builtin_shufflevector((V)(vector), (V)(vector), 0, 1)
#define ZERO_ABOVE(T, vector) __builtin_shufflevector(vector, (T){}, 0, 1, 2, 3)
VECTOR_UNARY(f32x4_convert_i32x4_s, s32x4, __builtin_convertvector(y, f32x4))
VECTOR_UNARY(f32x4_convert_i32x4_u, u32x4, __builtin_convertvector(y, f32x4))
VECTOR_UNARY(f64x2_convert_low_i32x4_s, s32x4, __builtin_convertvector(LOW_TWO(s32x4, y), f64x2))
VECTOR_UNARY(f64x2_convert_low_i32x4_u, u32x4, __builtin_convertvector(LOW_TWO(u32x4, y), f64x2))
VECTOR_UNARY(f64x2_promote_low_f32x4, f32x4, __builtin_convertvector(LOW_TWO(f32x4, y), f64x2))
VECTOR_UNARY(f32x4_demote_f64x2_zero, f64x2, ZERO_ABOVE(f32x2, __builtin_convertvector(y, f32x2)))

/* To the nearest integer that the type holds, a NaN to 0. */
#if defined(__aarch64__)
#define F32_TO_S32(y) vcvtq_s32_f32(y)
#define F32_TO_U32(y) vcvtq_u32_f32(y)
#define F64_TO_S32(y) vcombine_s32(vqmovn_s64(vcvtq_s64_f64(y)), vdup_n_s32(0))
#define F64_TO_U32(y) vcombine_u32(vqmovn_u64(vcvtq_u64_f64(y)), vdup_n_u32(0))
#else
/* For all that does not fit, the instruction gives the smallest integer; its bits inverted are the greatest. */
#define F32_TO_S32(y)                                                                                                  \
    ({                                                                                                                 \
        f32x4 number = (f32x4)((u32x4)(y == y) & (u32x4)y);                                                            \
        __builtin_ia32_cvttps2dq(number) ^ (number >= 0x1p31f);                                                        \
    })
/* The sum of what is below 2^31 and of what is above. maxps(y, 0) of a NaN is 0. */
#define F32_TO_U32(y)                                                                                                  \
    ({                                                                                                                 \
        f32x4 number = __builtin_ia32_maxps(y, (f32x4){}), above = number - 0x1p31f;                                   \
        s32x4 rest = __builtin_ia32_cvttps2dq(above) ^ (above >= 0x1p31f);                                             \
        (u32x4) __builtin_ia32_cvttps2dq(number) + (u32x4)__builtin_elementwise_max(rest, (s32x4){});                  \
    })
/* minpd(y, limit) of a NaN is the limit, which is 0 then. */
#define F64_TO_S32(y)                                                                                                  \
    ({                                                                                                                 \
        f64x2 limit = (f64x2)((u64x2)(y == y) & (u64x2)((f64x2){} + 0x7fffffff));                                      \
        __builtin_ia32_cvttpd2dq(__builtin_ia32_minpd(y, limit));                                                      \
    })
/* Added to 2^52, an integer is in the lower bits. */
#define F64_TO_U32(y)                                                                                                  \
    ({                                                                                                                 \
        f64x2 number = __builtin_ia32_minpd(__builtin_ia32_maxpd(y, (f64x2){}), (f64x2){} + 0xffffffff);               \
        u32x4 sum = (u32x4)(__builtin_elementwise_trunc(number) + 0x1p52);                                             \
        __builtin_shufflevector(sum, (u32x4){}, 0, 2, 4, 4);                                                           \
    })
#endif
#define TRUNCATE(from, zero, FROM, V)                                                                                  \
    VECTOR_UNARY(i32x4_trunc_sat_##from##_s##zero, V, FROM##_TO_S32(y))                                                \
    VECTOR_UNARY(i32x4_trunc_sat_##from##_u##zero, V, FROM##_TO_U32(y))                                                \
    VECTOR_UNARY(i32x4_relaxed_trunc_##from##_s##zero, V, FROM##_TO_S32(y))                                            \
    VECTOR_UNARY(i32x4_relaxed_trunc_##from##_u##zero, V, FROM##_TO_U32(y))
TRUNCATE(f32x4, , F32, f32x4)
TRUNCATE(f64x2, _zero, F64, f64x2)
