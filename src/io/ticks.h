/* A clock that costs almost nothing to read, of unknown rate: the processor's counter. */
#ifndef MAYFLY_IO_TICKS_H
#define MAYFLY_IO_TICKS_H

#include <stdint.h>

#if defined(__x86_64__)
#include <x86intrin.h>

static inline uint64_t ticks_now(void)
{
    return __rdtsc();
}
#elif defined(__aarch64__)
static inline uint64_t ticks_now(void)
{
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
}
#endif

#endif
