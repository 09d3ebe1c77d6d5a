/* Vectors by their lanes, for the stencils that compute with them.
 *
 * Where clang does not find the right instruction for the C, a file has both: builtins of x86-64, and what arm_neon.h
 * calls those of aarch64. */
#ifndef MAYFLY_STENCIL_VECTOR_H
#define MAYFLY_STENCIL_VECTOR_H

#include "stencil.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#define VECTOR_REGISTER "w"
#else
#define VECTOR_REGISTER "x"
#endif

typedef u8 u8x16 __attribute__((vector_size(16)));
typedef s8 s8x16 __attribute__((vector_size(16)));
typedef u16 u16x8 __attribute__((vector_size(16)));
typedef s16 s16x8 __attribute__((vector_size(16)));
typedef u32 u32x4 __attribute__((vector_size(16)));
typedef s32 s32x4 __attribute__((vector_size(16)));
typedef u64 u64x2 __attribute__((vector_size(16)));
typedef s64 s64x2 __attribute__((vector_size(16)));
typedef f32 f32x4 __attribute__((vector_size(16)));
typedef f64 f64x2 __attribute__((vector_size(16)));

/* Half of one: before it is widened, after it is narrowed. */
typedef u8 u8x8 __attribute__((vector_size(8)));
typedef s8 s8x8 __attribute__((vector_size(8)));
typedef u16 u16x4 __attribute__((vector_size(8)));
typedef s16 s16x4 __attribute__((vector_size(8)));
typedef u32 u32x2 __attribute__((vector_size(8)));
typedef s32 s32x2 __attribute__((vector_size(8)));
typedef f32 f32x2 __attribute__((vector_size(8)));

/* Lane 0 of a vector, a vector of which only lane 0 counts, and X with another lane 0 and the others as they were. */
#define LOW(V, vector) (((V)(vector))[0])
#define SCALAR(V, value)                                                                                               \
    ({                                                                                                                 \
        V scalar; /* undefined: the other lanes may be anything */                                                     \
        scalar[0] = (value);                                                                                           \
        (v128) scalar;                                                                                                 \
    })
#if defined(__aarch64__) /* where scalar instructions do not keep them */
#define SET_LOW(V, value) X = SCALAR(V, value)
#else
#define SET_LOW(V, value)                                                                                              \
    do {                                                                                                               \
        V set = (V)X;                                                                                                  \
        set[0] = (value);                                                                                              \
        X = (v128)set;                                                                                                 \
    } while (0)
#endif

/* OPAQUE, of a vector. */
#define OPAQUE_VECTOR(vector) __asm__("" : "+" VECTOR_REGISTER(vector))

/* Let clang have xmm0. */
#define FREE_UNUSED                                                                                                    \
    do {                                                                                                               \
        v128 anything;                                                                                                 \
        unused = anything;                                                                                             \
    } while (0)

/* X = X op Y, X = op(Y); x and y are they, as V. */
#define VECTOR_BINARY(name, V, expression)                                                                             \
    STENCIL(name##_rr)                                                                                                 \
    {                                                                                                                  \
        FREE_UNUSED;                                                                                                   \
        V x = (V)X, y = (V)Y;                                                                                          \
        X = (v128)(expression);                                                                                        \
        NEXT;                                                                                                          \
    }
#define VECTOR_UNARY(name, V, expression)                                                                              \
    STENCIL(name)                                                                                                      \
    {                                                                                                                  \
        FREE_UNUSED;                                                                                                   \
        V y = (V)Y;                                                                                                    \
        X = (v128)(expression);                                                                                        \
        NEXT;                                                                                                          \
    }

/* M(..., lane) for every lane. */
#define LANES_2(M, ...) M(__VA_ARGS__, 0) M(__VA_ARGS__, 1)
#define LANES_4(M, ...) LANES_2(M, __VA_ARGS__) M(__VA_ARGS__, 2) M(__VA_ARGS__, 3)
#define LANES_8(M, ...) LANES_4(M, __VA_ARGS__) M(__VA_ARGS__, 4) M(__VA_ARGS__, 5) M(__VA_ARGS__, 6) M(__VA_ARGS__, 7)
#define LANES_16(M, ...)                                                                                               \
    LANES_8(M, __VA_ARGS__)                                                                                            \
    M(__VA_ARGS__, 8)                                                                                                  \
    M(__VA_ARGS__, 9)                                                                                                  \
    M(__VA_ARGS__, 10)                                                                                                 \
    M(__VA_ARGS__, 11) M(__VA_ARGS__, 12) M(__VA_ARGS__, 13) M(__VA_ARGS__, 14) M(__VA_ARGS__, 15)

#endif
