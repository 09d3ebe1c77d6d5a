/* The monotonic clock: never set back, the same for all processes. */
#ifndef MAYFLY_BASE_CLOCK_H
#define MAYFLY_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_S ((uint64_t)1000000000)

/* Nanoseconds since some moment before the process began. */
static inline uint64_t clock_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

#endif
