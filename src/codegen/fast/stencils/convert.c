/* Conversions between numbers. i32_wrap_i64 and the extensions are in integer.c. */
#include "vector.h"

/* A = X truncated, which traps when X is not inside what the type holds, or gives the nearest number, for a NaN 0. */
#define TRAP_UNLESS(inside)                                                                                            \
    do {                                                                                                               \
        TRAP_WHEN(x != x, BAD_CONVERSION);                                                                             \
        TRAP_WHEN(!(inside), INTEGER_OVERFLOW);                                                                        \
    } while (0)

#define UNSIGNED_i32(n) ((u32)(n))
#define UNSIGNED_i64(n) ((u64)(n))

#if defined(__aarch64__)

/* The instruction saturates. */
#define REGISTER_i32 "%w0"
#define REGISTER_i64 "%x0"
#define REGISTER_f32 "%s1"
#define REGISTER_f64 "%d1"
#define TRUNCATE(name, to, from, V, T, instruction, inside)                                                            \
    STENCIL(to##_trunc_##name)                                                                                         \
    {                                                                                                                  \
        from x = LOW(V, X);                                                                                            \
        TRAP_UNLESS(inside);                                                                                           \
        A = UNSIGNED_##to((T)x);                                                                                       \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    STENCIL(to##_trunc_sat_##name)                                                                                     \
    {                                                                                                                  \
        T n;                                                                                                           \
        __asm__(instruction " " REGISTER_##to ", " REGISTER_##from : "=r"(n) : "w"(X));                                \
        A = UNSIGNED_##to(n);                                                                                          \
        NEXT;                                                                                                          \
    }
#define SIGNED(to, from, V, T, end, low) TRUNCATE(from##_s, to, from, V, T, "fcvtzs", (low) && x < (from)(end))
#define UNSIGNED(to, from, V, T, end) TRUNCATE(from##_u, to, from, V, T, "fcvtzu", x > -1 && x < (from)(end) * 2)
#define UNSIGNED_32 UNSIGNED
#define UNSIGNED_64 UNSIGNED

#else

/* Every answer is a signed integer, the smallest one where it does not fit; only that needs a closer look. */
#define i32_OF_f32 __builtin_ia32_cvttss2si
#define i32_OF_f64 __builtin_ia32_cvttsd2si
#define i64_OF_f32 __builtin_ia32_cvttss2si64
#define i64_OF_f64 __builtin_ia32_cvttsd2si64
#define UNLIKELY(condition) __builtin_expect((condition), 0)

/* The smallest integer is the one from which 1 cannot be subtracted. `low`: that a negative number is inside. */
#define IS_SMALLEST(T, n) UNLIKELY(__builtin_sub_overflow((T)(n), 1, &(T){0}))
#define SIGNED(to, from, V, T, end, low)                                                                               \
    STENCIL(to##_trunc_##from##_s)                                                                                     \
    {                                                                                                                  \
        from x = LOW(V, X);                                                                                            \
        A = UNSIGNED_##to(to##_OF_##from((V)X));                                                                       \
        if (IS_SMALLEST(T, A))                                                                                         \
            TRAP_UNLESS((low) && x < 0);                                                                               \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    STENCIL(to##_trunc_sat_##from##_s)                                                                                 \
    {                                                                                                                  \
        from x = LOW(V, X);                                                                                            \
        A = UNSIGNED_##to(to##_OF_##from((V)X));                                                                       \
        if (IS_SMALLEST(T, A) && !(x < 0))                                                                             \
            A = x > 0 ? A - 1 : 0;                                                                                     \
        NEXT;                                                                                                          \
    }
#define UNSIGNED_32(to, from, V, T, end)                                                                               \
    STENCIL(to##_trunc_##from##_u)                                                                                     \
    {                                                                                                                  \
        from x = LOW(V, X);                                                                                            \
        u64 n = (u64)i64_OF_##from((V)X);                                                                              \
        if (UNLIKELY(n >> 32))                                                                                         \
            TRAP_UNLESS(0);                                                                                            \
        A = n;                                                                                                         \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    STENCIL(to##_trunc_sat_##from##_u)                                                                                 \
    {                                                                                                                  \
        from x = LOW(V, X);                                                                                            \
        u64 n = (u64)i64_OF_##from((V)X);                                                                              \
        if (UNLIKELY(n >> 32))                                                                                         \
            n = x > 0 ? (T) - 1 : 0;                                                                                   \
        A = n;                                                                                                         \
        NEXT;                                                                                                          \
    }
/* Of a number in the upper half, what it is above `end`. */
#define UNSIGNED_64(to, from, V, T, end)                                                                               \
    STENCIL(to##_trunc_##from##_u)                                                                                     \
    {                                                                                                                  \
        from x = LOW(V, X);                                                                                            \
        s64 n = i64_OF_##from((V)X);                                                                                   \
        if (UNLIKELY(n < 0)) {                                                                                         \
            n = i64_OF_##from((V)SCALAR(V, x - (from)(end)));                                                          \
            TRAP_UNLESS(n >= 0);                                                                                       \
            n ^= (s64)(T)(end);                                                                                        \
        }                                                                                                              \
        A = (u64)n;                                                                                                    \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    STENCIL(to##_trunc_sat_##from##_u)                                                                                 \
    {                                                                                                                  \
        from x = LOW(V, X);                                                                                            \
        s64 n = i64_OF_##from((V)X);                                                                                   \
        if (UNLIKELY(n < 0)) {                                                                                         \
            n = i64_OF_##from((V)SCALAR(V, x - (from)(end)));                                                          \
            n = n >= 0 ? n ^ (s64)(T)(end) : x > 0 ? -1 : 0;                                                           \
        }                                                                                                              \
        A = (u64)n;                                                                                                    \
        NEXT;                                                                                                          \
    }

#endif

SIGNED(i32, f32, f32x4, s32, 0x1p31, x >= -0x1p31f)
SIGNED(i32, f64, f64x2, s32, 0x1p31, x > -0x1p31 - 1)
SIGNED(i64, f32, f32x4, s64, 0x1p63, x >= -0x1p63f)
SIGNED(i64, f64, f64x2, s64, 0x1p63, x >= -0x1p63)
UNSIGNED_32(i32, f32, f32x4, u32, 0x1p31)
UNSIGNED_32(i32, f64, f64x2, u32, 0x1p31)
UNSIGNED_64(i64, f32, f32x4, u64, 0x1p63)
UNSIGNED_64(i64, f64, f64x2, u64, 0x1p63)

/* X = A, an integer. On x86-64 the other lanes are made zero first, so as not to wait for what they were. */
#if defined(__aarch64__)
#define FRESH
#else
#define FRESH                                                                                                          \
    X = (v128){0, 0};                                                                                                  \
    OPAQUE_VECTOR(X)
#endif
#define CONVERT(to, V)                                                                                                 \
    STENCIL(to##_convert_i32_s)                                                                                        \
    {                                                                                                                  \
        FRESH;                                                                                                         \
        SET_LOW(V, (to)(s32)A);                                                                                        \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    STENCIL(to##_convert_i32_u)                                                                                        \
    {                                                                                                                  \
        FRESH;                                                                                                         \
        SET_LOW(V, (to)(s64)A);                                                                                        \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    STENCIL(to##_convert_i64_s)                                                                                        \
    {                                                                                                                  \
        FRESH;                                                                                                         \
        SET_LOW(V, (to)(s64)A);                                                                                        \
        NEXT;                                                                                                          \
    }
CONVERT(f32, f32x4)
CONVERT(f64, f64x2)
STENCIL(f64_convert_i64_u)
{
    X = SCALAR(f64x2, (f64)A);
    NEXT;
}
/* In the upper half, half of it is converted, rounded to odd so that the last bit cannot change how it is rounded. */
STENCIL(f32_convert_i64_u)
{
#if defined(__aarch64__)
    X = SCALAR(f32x4, (f32)A);
#else
    FRESH;
    if (UNLIKELY((s64)A < 0)) {
        SET_LOW(f32x4, (f32)(s64)(A >> 1 | (A & 1)));
        OPAQUE_VECTOR(X);
        SET_LOW(f32x4, LOW(f32x4, X) + LOW(f32x4, X));
        NEXT;
    }
    SET_LOW(f32x4, (f32)(s64)A);
#endif
    NEXT;
}

/* X = Y, the other size. */
STENCIL(f32_demote_f64)
{
    X = Y;
    OPAQUE_VECTOR(X);
    X = SCALAR(f32x4, (f32)LOW(f64x2, X));
    NEXT;
}
STENCIL(f64_promote_f32)
{
    X = Y;
    OPAQUE_VECTOR(X);
    X = SCALAR(f64x2, (f64)LOW(f32x4, X));
    NEXT;
}

/* A = the bits of X; X = the bits that are A. */
STENCIL(i32_reinterpret_f32)
{
    A = LOW(u32x4, X);
    NEXT;
}
STENCIL(i64_reinterpret_f64)
{
    A = LOW(u64x2, X);
    NEXT;
}
STENCIL(f32_reinterpret_i32)
{
    X = (v128){(u32)A, 0};
    NEXT;
}
STENCIL(f64_reinterpret_i64)
{
    X = (v128){A, 0};
    NEXT;
}
