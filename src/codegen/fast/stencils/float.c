/* Operations on f32 and f64. Only lane 0 is computed: what lies in the others might be slow to compute with. Results of
 * comparisons are i32.
 *
 * Operations with one operand begin with a copy of it, because an instruction that keeps the other lanes would wait for
 * what X was before. */
#include "vector.h"

/* X = X op Y, X = X op the cell. */
#define BINARY(name, V, T, operator)                                                                                   \
    STENCIL(name##_rr)                                                                                                 \
    {                                                                                                                  \
        SET_LOW(V, LOW(V, X) operator LOW(V, Y));                                                                      \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    STENCIL(name##_rf)                                                                                                 \
    {                                                                                                                  \
        SET_LOW(V, LOW(V, X) operator CELL(T, FRAME + IMM));                                                           \
        NEXT;                                                                                                          \
    }
#define BOTH(BINARY, name, operator) BINARY(f32_##name, f32x4, f32, operator) BINARY(f64_##name, f64x2, f64, operator)
BOTH(BINARY, add, +)
BOTH(BINARY, sub, -)
BOTH(BINARY, mul, *)
BOTH(BINARY, div, /)

/* X = the lesser or greater of X and Y. Equal ones differ at most in their sign, which is or-ed or and-ed; NaNs give
 * what their sum is. */
#if defined(__aarch64__)
#define EXTREME(name, V, T, operator, join, expression)                                                                \
    STENCIL(name##_rr)                                                                                                 \
    {                                                                                                                  \
        X = (v128)(expression);                                                                                        \
        NEXT;                                                                                                          \
    }
#else
#define EXTREME(name, V, T, operator, join, expression)                                                                \
    STENCIL(name##_rr)                                                                                                 \
    {                                                                                                                  \
        T x = LOW(V, X), y = LOW(V, Y);                                                                                \
        if (__builtin_expect(__builtin_isunordered(x, y), 0)) {                                                        \
            X = SCALAR(V, x + y);                                                                                      \
            NEXT;                                                                                                      \
        }                                                                                                              \
        v128 other = SCALAR(V, y operator x ? y : x);                                                                  \
        OPAQUE_VECTOR(other);                                                                                          \
        X = SCALAR(V, x operator y ? x : y) join other;                                                                \
        NEXT;                                                                                                          \
    }
#endif
EXTREME(f32_min, f32x4, f32, <, |, vminq_f32((f32x4)X, (f32x4)Y))
EXTREME(f32_max, f32x4, f32, >, &, vmaxq_f32((f32x4)X, (f32x4)Y))
EXTREME(f64_min, f64x2, f64, <, |, vminq_f64((f64x2)X, (f64x2)Y))
EXTREME(f64_max, f64x2, f64, >, &, vmaxq_f64((f64x2)X, (f64x2)Y))

/* Signs: of the whole vector, which is no slower. */
#define SIGNS(prefix, V, one)                                                                                          \
    STENCIL(prefix##_copysign_rr)                                                                                      \
    {                                                                                                                  \
        X = (v128)(((V)X & ~((V){} + (one))) | ((V)Y & ((V){} + (one))));                                              \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    STENCIL(prefix##_neg)                                                                                              \
    {                                                                                                                  \
        X = (v128)((V)Y ^ ((V){} + (one)));                                                                            \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    STENCIL(prefix##_abs)                                                                                              \
    {                                                                                                                  \
        X = (v128)((V)Y & ~((V){} + (one)));                                                                           \
        NEXT;                                                                                                          \
    }
SIGNS(f32, u32x4, 1u << 31)
SIGNS(f64, u64x2, 1ul << 63)

/* X = op Y */
#define UNARY(name, V, function)                                                                                       \
    STENCIL(name)                                                                                                      \
    {                                                                                                                  \
        X = Y;                                                                                                         \
        OPAQUE_VECTOR(X);                                                                                              \
        X = SCALAR(V, function(LOW(V, X)));                                                                            \
        NEXT;                                                                                                          \
    }
#define UNARIES(prefix, V)                                                                                             \
    UNARY(prefix##_sqrt, V, __builtin_elementwise_sqrt)                                                                \
    UNARY(prefix##_ceil, V, __builtin_elementwise_ceil)                                                                \
    UNARY(prefix##_floor, V, __builtin_elementwise_floor)                                                              \
    UNARY(prefix##_trunc, V, __builtin_elementwise_trunc)                                                              \
    UNARY(prefix##_nearest, V, __builtin_elementwise_roundeven)
UNARIES(f32, f32x4)
UNARIES(f64, f64x2)

/* A = X op Y; the branches when that is so, and when it is not. */
#define COMPARE(name, V, operator)                                                                                     \
    STENCIL(name##_rr)                                                                                                 \
    {                                                                                                                  \
        A = (u32)(LOW(V, X) operator LOW(V, Y));                                                                       \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    STENCIL(br_##name##_rr)                                                                                            \
    {                                                                                                                  \
        if (LOW(V, X) operator LOW(V, Y))                                                                              \
            GO;                                                                                                        \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    STENCIL(brn_##name##_rr)                                                                                           \
    {                                                                                                                  \
        if (!(LOW(V, X) operator LOW(V, Y)))                                                                           \
            GO;                                                                                                        \
        NEXT;                                                                                                          \
    }
#define COMPARES(prefix, V)                                                                                            \
    COMPARE(prefix##_eq, V, ==)                                                                                        \
    COMPARE(prefix##_ne, V, !=)                                                                                        \
    COMPARE(prefix##_lt, V, <)                                                                                         \
    COMPARE(prefix##_gt, V, >)                                                                                         \
    COMPARE(prefix##_le, V, <=)                                                                                        \
    COMPARE(prefix##_ge, V, >=)
COMPARES(f32, f32x4)
COMPARES(f64, f64x2)

/* X = C ? X : Y, of any vector. */
STENCIL(select_v)
{
    if (!(u32)C) {
        X = Y;
        OPAQUE_VECTOR(X);
    }
    NEXT;
}
