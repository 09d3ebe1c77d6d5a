/* Integer operations. Results of comparisons are i32. */
#include "stencil.h"

/* What assembly wants to be told by architecture. */
#if defined(__x86_64__)
#define CC(x86, arm) x86
#else
#define CC(x86, arm) arm
#endif

/* A = A op B, in its three forms. */
#define BINARY_RF(name, type, expression)                                                                              \
    STENCIL(name##_rr)                                                                                                 \
    {                                                                                                                  \
        type a = (type)A, b = (type)B;                                                                                 \
        A = (type)(expression);                                                                                        \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    STENCIL(name##_rf)                                                                                                 \
    {                                                                                                                  \
        type a = (type)A, b = CELL(type, FRAME + IMM);                                                                 \
        A = (type)(expression);                                                                                        \
        NEXT;                                                                                                          \
    }
#define BINARY(name, type, expression)                                                                                 \
    BINARY_RF(name, type, expression)                                                                                  \
    STENCIL(name##_ri)                                                                                                 \
    {                                                                                                                  \
        type a = (type)A, b = (type)IMM;                                                                               \
        A = (type)(expression);                                                                                        \
        NEXT;                                                                                                          \
    }
#define BOTH(BINARY, name, expression) BINARY(i32_##name, u32, expression) BINARY(i64_##name, u64, expression)

BOTH(BINARY, add, a + b)
BOTH(BINARY_RF, sub, a - b) /* of an immediate: the sum with its opposite */
BOTH(BINARY, mul, a *b)
BOTH(BINARY, and, a &b)
BOTH(BINARY, or, a | b)
BOTH(BINARY_RF, xor, a ^ b)
/* clang would see the sign of the number. */
#if defined(__x86_64__)
#define XOR_IMM(width) __asm__("xor %1, %" width "0" : "+r"(A) : "i"(IMM) : "cc")
#else
#define XOR_IMM(width) __asm__("eor %" width "0, %" width "0, %" width "1" : "+r"(A) : "r"((s64)IMM))
#endif
STENCIL(i32_xor_ri)
{
    XOR_IMM(CC("k", "w"));
    NEXT;
}
STENCIL(i64_xor_ri)
{
    XOR_IMM(CC("q", "x"));
    NEXT;
}

/* A = B + C and A = B + IMM, which leave the operands alone. */
STENCIL(i32_add_rrr)
{
    A = (u32)(B + C);
    NEXT;
}
STENCIL(i64_add_rrr)
{
    A = B + C;
    NEXT;
}
STENCIL(i32_add_rri)
{
    A = (u32)((u32)B + (u32)IMM);
    NEXT;
}
STENCIL(i64_add_rri)
{
    A = B + (u64)IMM;
    NEXT;
}

/* A = A shifted by B or SHIFT. */
#define SHIFTS(name, type, mask, expression)                                                                           \
    STENCIL(name##_rr)                                                                                                 \
    {                                                                                                                  \
        type a = (type)A;                                                                                              \
        u32 n = (u32)B & mask;                                                                                         \
        A = (type)(expression);                                                                                        \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    STENCIL(name##_ri)                                                                                                 \
    {                                                                                                                  \
        type a = (type)A;                                                                                              \
        u32 n = SHIFT;                                                                                                 \
        A = (type)(expression);                                                                                        \
        NEXT;                                                                                                          \
    }
SHIFTS(i32_shl, u32, 31, a << n)
SHIFTS(i32_shr_u, u32, 31, a >> n)
SHIFTS(i32_shr_s, u32, 31, (s32)a >> n)
SHIFTS(i32_rotl, u32, 31, a << n | a >> (-n & 31))
SHIFTS(i64_shl, u64, 63, a << n)
SHIFTS(i64_shr_u, u64, 63, a >> n)
SHIFTS(i64_shr_s, u64, 63, (s64)a >> n)
SHIFTS(i64_rotl, u64, 63, a << n | a >> (-n & 63))
STENCIL(i32_rotr_rr)
{
    u32 n = (u32)B & 31;
    A = (u32)((u32)A >> n | (u32)A << (-n & 31));
    NEXT;
}
STENCIL(i64_rotr_rr)
{
    u32 n = (u32)B & 63;
    A = A >> n | A << (-n & 63);
    NEXT;
}

/* A = A op B, which may trap. */
#define DIVIDE(name, type, signed_type, min)                                                                           \
    STENCIL(name##_div_s_rr)                                                                                           \
    {                                                                                                                  \
        TRAP_WHEN((type)B == 0, DIVIDE_BY_ZERO);                                                                       \
        TRAP_WHEN((type)A == (min) && (signed_type)B == -1, INTEGER_OVERFLOW);                                         \
        A = (type)((signed_type)A / (signed_type)B);                                                                   \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    STENCIL(name##_div_u_rr)                                                                                           \
    {                                                                                                                  \
        TRAP_WHEN((type)B == 0, DIVIDE_BY_ZERO);                                                                       \
        A = (type)A / (type)B;                                                                                         \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    STENCIL(name##_rem_s_rr)                                                                                           \
    {                                                                                                                  \
        TRAP_WHEN((type)B == 0, DIVIDE_BY_ZERO);                                                                       \
        A = (signed_type)B == -1 ? 0 : (type)((signed_type)A % (signed_type)B);                                        \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    STENCIL(name##_rem_u_rr)                                                                                           \
    {                                                                                                                  \
        TRAP_WHEN((type)B == 0, DIVIDE_BY_ZERO);                                                                       \
        A = (type)A % (type)B;                                                                                         \
        NEXT;                                                                                                          \
    }
DIVIDE(i32, u32, s32, 1u << 31)
DIVIDE(i64, u64, s64, 1ul << 63)

/* A = op B */
#define UNARY(name, expression)                                                                                        \
    STENCIL(name)                                                                                                      \
    {                                                                                                                  \
        A = (u64)(expression);                                                                                         \
        NEXT;                                                                                                          \
    }
UNARY(i32_clz, (u32)((u32)B ? __builtin_clz((u32)B) : 32))
UNARY(i32_ctz, (u32)((u32)B ? __builtin_ctz((u32)B) : 32))
UNARY(i32_popcnt, (u32)__builtin_popcount((u32)B))
UNARY(i64_clz, (u32)(B ? __builtin_clzl(B) : 64))
UNARY(i64_ctz, (u32)(B ? __builtin_ctzl(B) : 64))
UNARY(i64_popcnt, (u32)__builtin_popcountl(B))
UNARY(i32_eqz, (u32)((u32)B == 0))
UNARY(i64_eqz, (u32)(B == 0))
UNARY(i32_extend8_s, (u32)(s8)B)
UNARY(i32_extend16_s, (u32)(s16)B)
UNARY(i64_extend8_s, (s8)B)
UNARY(i64_extend16_s, (s16)B)
UNARY(i64_extend32_s, (s32)B)
UNARY(i32_wrap_i64, (u32)B)
UNARY(i64_extend_i32_s, (s32)B)

/* Comparisons: A = B op C, A = B op IMM, and the branches on A op B, A op frame cell and A op IMM. The condition comes
 * out of the flags where there is an immediate, because clang compares with the number next to it otherwise. */
#if defined(__x86_64__)
#define AGAINST_IMM(condition, suffix, width, value)                                                                   \
    __asm__("cmp" suffix " %2, %" width "1" : "=@cc" condition(holds) : "r"(value), "i"(IMM))
#else
#define AGAINST_IMM(condition, suffix, width, value)                                                                   \
    __asm__("cmp %" width "1, %" width "2" : "=@cc" condition(holds) : "r"(value), "r"((s64)IMM))
#endif
#define COMPARE(name, type, operator, condition, suffix, width)                                                        \
    STENCIL(name##_rr)                                                                                                 \
    {                                                                                                                  \
        A = (u32)((type)B operator(type) C);                                                                           \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    STENCIL(br_##name##_rr)                                                                                            \
    {                                                                                                                  \
        if ((type)A operator(type) B)                                                                                  \
            GO;                                                                                                        \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    STENCIL(br_##name##_rf)                                                                                            \
    {                                                                                                                  \
        if ((type)A operator CELL(type, FRAME + IMM))                                                                  \
            GO;                                                                                                        \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    STENCIL(name##_ri)                                                                                                 \
    {                                                                                                                  \
        int holds;                                                                                                     \
        AGAINST_IMM(condition, suffix, width, B);                                                                      \
        A = (u32)holds;                                                                                                \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    STENCIL(br_##name##_ri)                                                                                            \
    {                                                                                                                  \
        int holds;                                                                                                     \
        AGAINST_IMM(condition, suffix, width, A);                                                                      \
        if (holds)                                                                                                     \
            GO;                                                                                                        \
        NEXT;                                                                                                          \
    }
#define COMPARES(prefix, type, signed_type, suffix, width)                                                             \
    COMPARE(prefix##_eq, type, ==, CC("e", "eq"), suffix, width)                                                       \
    COMPARE(prefix##_ne, type, !=, CC("ne", "ne"), suffix, width)                                                      \
    COMPARE(prefix##_lt_s, signed_type, <, CC("l", "lt"), suffix, width)                                               \
    COMPARE(prefix##_lt_u, type, <, CC("b", "lo"), suffix, width)                                                      \
    COMPARE(prefix##_gt_s, signed_type, >, CC("g", "gt"), suffix, width)                                               \
    COMPARE(prefix##_gt_u, type, >, CC("a", "hi"), suffix, width)                                                      \
    COMPARE(prefix##_le_s, signed_type, <=, CC("le", "le"), suffix, width)                                             \
    COMPARE(prefix##_le_u, type, <=, CC("be", "ls"), suffix, width)                                                    \
    COMPARE(prefix##_ge_s, signed_type, >=, CC("ge", "ge"), suffix, width)                                             \
    COMPARE(prefix##_ge_u, type, >=, CC("ae", "hs"), suffix, width)
COMPARES(i32, u32, s32, "l", CC("k", "w"))
COMPARES(i64, u64, s64, "q", CC("q", "x"))

/* Branches on A being zero or not, and on bits of it. */
#define TESTS(prefix, type)                                                                                            \
    STENCIL(br_##prefix##_zero)                                                                                        \
    {                                                                                                                  \
        if ((type)A == 0)                                                                                              \
            GO;                                                                                                        \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    STENCIL(br_##prefix##_nonzero)                                                                                     \
    {                                                                                                                  \
        if ((type)A != 0)                                                                                              \
            GO;                                                                                                        \
        NEXT;                                                                                                          \
    }
TESTS(i32, u32)
TESTS(i64, u64)

/* A = C ? A : B */
STENCIL(select_r)
{
    A = (u32)C ? A : B;
    NEXT;
}
