/* Checks that trap, addresses, tables and references. The layouts are those of image/context.h; generator files assert
 * the offsets. */
#include "stencil.h"

STENCIL(jump)
{
    GO;
}

/* ---- addresses relative to the context ---- */

STENCIL(context_plus)
{
    A = (u64)(CONTEXT + IMM);
    NEXT;
}
STENCIL(context_index)
{
    A = (u64)(CONTEXT + B + IMM);
    NEXT;
}
STENCIL(context_plus_r) /* A += CONTEXT */
{
    A += (u64)CONTEXT;
    NEXT;
}
STENCIL(context_add) /* the context becomes another one */
{
    CONTEXT += IMM;
    NEXT;
}

/* ---- checks ---- */

STENCIL(check_null)
{
    TRAP_WHEN(A == 0, NULL_REFERENCE);
    NEXT;
}
STENCIL(check_null_function)
{
    TRAP_WHEN(A == 0, NULL_FUNCTION);
    NEXT;
}
STENCIL(check_i32) /* what everybody relies on; tests ask */
{
    TRAP_WHEN(B >> 32, UNREACHABLE);
    NEXT;
}
STENCIL(check_aligned)
{
    TRAP_WHEN(((u32)A & (u32)IMM) != 0, UNALIGNED_ATOMIC);
    NEXT;
}

/* `index` if it is below `bound`, else 0, without a branch: where the processor runs ahead of the check. */
#define MASKED(index, bound)                                                                                           \
    ({                                                                                                                 \
        u64 again_ = (bound);                                                                                          \
        OPAQUE(again_);                                                                                                \
        (index) & -(u64)((index) < again_);                                                                            \
    })

/* A is an index, B the size of the memory, IMM64 the end of the access from the index. The bound saturates. */
STENCIL(memory_check)
{
    u64 past = B + 1, end = IMM64, bound;
    OPAQUE(end);
    bound = past < end ? 0 : past - end;
    TRAP_WHEN(A >= bound, MEMORY_BOUNDS);
    A = MASKED(A, bound);
    NEXT;
}

/* A = the address of table entry B: length and entries at CONTEXT + IMM and + IMM2, or in C and D. */
#define TABLE(name, trap)                                                                                              \
    STENCIL(name##_rc)                                                                                                 \
    {                                                                                                                  \
        u64 length = CELL(u64, CONTEXT + IMM);                                                                         \
        TRAP_WHEN(B >= length, trap);                                                                                  \
        A = (u64)CONTEXT + (MASKED(B, length) << 4) + IMM2;                                                            \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    STENCIL(name##_rr)                                                                                                 \
    {                                                                                                                  \
        TRAP_WHEN(B >= C, trap);                                                                                       \
        A = D + (MASKED(B, C) << 4);                                                                                   \
        NEXT;                                                                                                          \
    }
TABLE(table_call, UNDEFINED_ELEMENT)
TABLE(table_access, TABLE_BOUNDS)

/* A is the address of a table entry, {reference, type hash}. */
STENCIL(check_type_final)
{
    u64 hash = CELL(u64, A + 8), reference;
    if (__builtin_expect(hash != IMM64, 0)) {
        reference = CELL(u64, A);
        TRAP_WHEN(reference == 0, UNINITIALIZED_ELEMENT);
        TRAP_WHEN(1, INDIRECT_TYPE);
    }
    NEXT;
}
STENCIL(check_type)
{
    if (CELL(u64, A + 8) == IMM64)
        GO;
    NEXT;
}
STENCIL(frame_plus)
{
    A = (u64)(FRAME + IMM);
    NEXT;
}

/* ---- objects ---- */

STENCIL(check_below)
{
    TRAP_WHEN((u32)A >= (u32)B, ARRAY_BOUNDS);
    NEXT;
}
STENCIL(check_at_most) /* 64 bits */
{
    TRAP_WHEN(A > B, ARRAY_BOUNDS);
    NEXT;
}
/* Branches on whether a reference is an i31. */
STENCIL(br_odd)
{
    if (A & 1)
        GO;
    NEXT;
}
STENCIL(br_even)
{
    if (!(A & 1))
        GO;
    NEXT;
}
STENCIL(br_i64_positive)
{
    if ((s64)A > 0)
        GO;
    NEXT;
}
STENCIL(ref_i31)
{
    A = (u32)B << 1 | 1;
    NEXT;
}

/* C times the value in B or X from the address in A on, which ends behind the last. */
#define FILL(name, type, value)                                                                                        \
    STENCIL(fill_##name)                                                                                               \
    {                                                                                                                  \
        u64 left = C;                                                                                                  \
        while (left) {                                                                                                 \
            CELL(type, A) = (type)(value);                                                                             \
            OPAQUE(left); /* or this would become a call of memset */                                                  \
            A += sizeof(type);                                                                                         \
            left--;                                                                                                    \
        }                                                                                                              \
        NEXT;                                                                                                          \
    }
FILL(8, u8, B)
FILL(16, u16, B)
FILL(32, u32, B)
FILL(64, u64, B)
FILL(v, v128, X)
