/* Counters with one writer that others read at any time, from another process too: plain loads and stores that never
 * tear, in no order. */
#ifndef MAYFLY_BASE_COUNTER_H
#define MAYFLY_BASE_COUNTER_H

#include <stdint.h>

static inline uint64_t counter_read(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static inline void counter_set(uint64_t *counter, uint64_t value)
{
    __atomic_store_n(counter, value, __ATOMIC_RELAXED);
}

/* By the one writer. */
static inline void counter_add(uint64_t *counter, uint64_t value)
{
    counter_set(counter, *counter + value);
}

#endif
