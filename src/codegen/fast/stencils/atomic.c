/* Atomic accesses at the address B, sequentially consistent. The address is aligned, or the access has trapped. */
#include "stencil.h"

#if defined(__aarch64__) /* no calls to functions that look which instructions there are */
#pragma clang attribute push(__attribute__((target("no-outline-atomics"))), apply_to = function)
#endif

/* A = memory at B; the store is of A. `prefix`: i32 or i64, which are the same for a narrow T. */
#define LOAD_STORE(prefix, T, load, store)                                                                             \
    STENCIL(prefix##_atomic_##load##_ra)                                                                               \
    {                                                                                                                  \
        A = __atomic_load_n((T *)B, __ATOMIC_SEQ_CST);                                                                 \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    STENCIL(prefix##_atomic_##store##_ra)                                                                              \
    {                                                                                                                  \
        __atomic_store_n((T *)B, (T)A, __ATOMIC_SEQ_CST);                                                              \
        NEXT;                                                                                                          \
    }
LOAD_STORE(i32, u32, load, store)
LOAD_STORE(i32, u8, load8_u, store8)
LOAD_STORE(i32, u16, load16_u, store16)
LOAD_STORE(i64, u64, load, store)
LOAD_STORE(i64, u8, load8_u, store8)
LOAD_STORE(i64, u16, load16_u, store16)
LOAD_STORE(i64, u32, load32_u, store32)

/* A = memory at B, where `function` puts what it makes of that and C. */
#define RMW(name, T, function)                                                                                         \
    STENCIL(name##_ra)                                                                                                 \
    {                                                                                                                  \
        A = function((T *)B, (T)C, __ATOMIC_SEQ_CST);                                                                  \
        NEXT;                                                                                                          \
    }
/* A = memory at B, where D is put if that was C. Only what fits the T counts. */
#define CMPXCHG(name, T)                                                                                               \
    STENCIL(name##_ra)                                                                                                 \
    {                                                                                                                  \
        T old = (T)C;                                                                                                  \
        __atomic_compare_exchange_n((T *)B, &old, (T)D, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                        \
        A = old;                                                                                                       \
        NEXT;                                                                                                          \
    }
#define ALL(prefix, T, rmw, suffix)                                                                                    \
    RMW(prefix##_atomic_##rmw##_add##suffix, T, __atomic_fetch_add)                                                    \
    RMW(prefix##_atomic_##rmw##_sub##suffix, T, __atomic_fetch_sub)                                                    \
    RMW(prefix##_atomic_##rmw##_and##suffix, T, __atomic_fetch_and)                                                    \
    RMW(prefix##_atomic_##rmw##_or##suffix, T, __atomic_fetch_or)                                                      \
    RMW(prefix##_atomic_##rmw##_xor##suffix, T, __atomic_fetch_xor)                                                    \
    RMW(prefix##_atomic_##rmw##_xchg##suffix, T, __atomic_exchange_n)                                                  \
    CMPXCHG(prefix##_atomic_##rmw##_cmpxchg##suffix, T)
ALL(i32, u32, rmw, )
ALL(i32, u8, rmw8, _u)
ALL(i32, u16, rmw16, _u)
ALL(i64, u64, rmw, )
ALL(i64, u8, rmw8, _u)
ALL(i64, u16, rmw16, _u)
ALL(i64, u32, rmw32, _u)

STENCIL(atomic_fence)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    NEXT;
}

#if defined(__aarch64__)
#pragma clang attribute pop
#endif
