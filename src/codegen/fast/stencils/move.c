/* Values on their way between registers, frame cells and linear memory. A cell of an i32 or f32 holds 32 bits. */
#include "stencil.h"

STENCIL(move)
{
    A = B;
    NEXT;
}
STENCIL(move_i32) /* and zero-extend; A and B may be the same register */
{
    A = (u32)B;
    NEXT;
}
STENCIL(move_v)
{
    X = Y;
    NEXT;
}
STENCIL(zero)
{
    A = 0;
    NEXT;
}
STENCIL(zero_v)
{
    X = (v128){0, 0};
    NEXT;
}
STENCIL(const_i32)
{
    A = (u32)IMM;
    NEXT;
}
STENCIL(const_i64_s) /* sign-extended */
{
    A = (u64)(s64)IMM;
    NEXT;
}
STENCIL(const_i64)
{
    A = IMM64;
    NEXT;
}
STENCIL(const_f32)
{
    u32 bits = (u32)IMM;
    OPAQUE(bits);
    X = (v128){bits, 0};
    NEXT;
}
STENCIL(const_f64)
{
    u64 bits = IMM64;
    OPAQUE(bits);
    X = (v128){bits, 0};
    NEXT;
}

/* Lane 0 of X as a T. */
#define LANE(T)                                                                                                        \
    (((union {                                                                                                         \
         v128 v;                                                                                                       \
         T t;                                                                                                          \
     }){.v = X})                                                                                                       \
         .t)

#define ACCESS(name, T, to)                                                                                            \
    STENCIL(name##_rx)                                                                                                 \
    {                                                                                                                  \
        to(CELL(T, CONTEXT + B + IMM));                                                                                \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    STENCIL(name##_rc)                                                                                                 \
    {                                                                                                                  \
        to(CELL(T, CONTEXT + IMM));                                                                                    \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    STENCIL(name##_ra)                                                                                                 \
    {                                                                                                                  \
        to(CELL(T, B + IMM));                                                                                          \
        NEXT;                                                                                                          \
    }
#define FRAME_ACCESS(name, T, to)                                                                                      \
    STENCIL(name)                                                                                                      \
    {                                                                                                                  \
        to(CELL(T, FRAME + IMM));                                                                                      \
        NEXT;                                                                                                          \
    }

/* A = the value, zero-extended, or sign-extended to 32 or 64 bits. */
#define TO_U(value) A = (value)
#define TO_S32(value)                                                                                                  \
    do {                                                                                                               \
        s32 extended = (value);                                                                                        \
        OPAQUE(extended);                                                                                              \
        A = (u32)extended;                                                                                             \
    } while (0)
#define TO_S64(value) A = (u64)(s64)(value)
/* X = the value, other lanes zero. */
#define TO_F32(value)                                                                                                  \
    X = ((union {                                                                                                      \
            f32 f[4];                                                                                                  \
            v128 v;                                                                                                    \
        }){.f = {(value), 0, 0, 0}})                                                                                   \
            .v
#define TO_F64(value)                                                                                                  \
    X = ((union {                                                                                                      \
            f64 f[2];                                                                                                  \
            v128 v;                                                                                                    \
        }){.f = {(value), 0}})                                                                                         \
            .v
#define TO_V(value) X = (value)
#define FROM_A(value) (value) = (__typeof__(value))A
#define FROM_F32(value) (value) = LANE(f32)
#define FROM_F64(value) (value) = LANE(f64)
#define FROM_V(value) (value) = X

ACCESS(load_8u, u8, TO_U)
ACCESS(load_16u, u16, TO_U)
ACCESS(load_32u, u32, TO_U)
ACCESS(load_64, u64, TO_U)
ACCESS(load_8s_32, s8, TO_S32)
ACCESS(load_16s_32, s16, TO_S32)
ACCESS(load_8s_64, s8, TO_S64)
ACCESS(load_16s_64, s16, TO_S64)
ACCESS(load_32s_64, s32, TO_S64)
ACCESS(load_f32, f32, TO_F32)
ACCESS(load_f64, f64, TO_F64)
ACCESS(load_v, v128, TO_V)
ACCESS(store_8, u8, FROM_A)
ACCESS(store_16, u16, FROM_A)
ACCESS(store_32, u32, FROM_A)
ACCESS(store_64, u64, FROM_A)
ACCESS(store_f32, f32, FROM_F32)
ACCESS(store_f64, f64, FROM_F64)
ACCESS(store_v, v128, FROM_V)

FRAME_ACCESS(get_32, u32, TO_U)
FRAME_ACCESS(get_64, u64, TO_U)
FRAME_ACCESS(get_f32, f32, TO_F32)
FRAME_ACCESS(get_f64, f64, TO_F64)
FRAME_ACCESS(get_v, v128, TO_V)
FRAME_ACCESS(set_32, u32, FROM_A)
FRAME_ACCESS(set_64, u64, FROM_A)
FRAME_ACCESS(set_f32, f32, FROM_F32)
FRAME_ACCESS(set_f64, f64, FROM_F64)
FRAME_ACCESS(set_v, v128, FROM_V)

/* Constants stored: at CONTEXT + B + IMM and at FRAME + IMM. */
#define STORE_CONST(name, T)                                                                                           \
    STENCIL(store_##name##_ix)                                                                                         \
    {                                                                                                                  \
        CELL(T, CONTEXT + B + IMM) = (T)IMM2;                                                                          \
        NEXT;                                                                                                          \
    }
STORE_CONST(32, u32)
STORE_CONST(64, u64)
STENCIL(set_64_i)
{
    CELL(u64, FRAME + IMM) = (u64)(s64)IMM2;
    NEXT;
}
