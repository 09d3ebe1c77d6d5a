/* Memory that nobody may touch until it is used again: AddressSanitizer is told, if it is here. */
#ifndef MAYFLY_BASE_POISON_H
#define MAYFLY_BASE_POISON_H

#include <stdbool.h>
#include <stddef.h>

extern void __asan_poison_memory_region(const volatile void *address, size_t size) __attribute__((weak));
extern void __asan_unpoison_memory_region(const volatile void *address, size_t size) __attribute__((weak));

static inline bool poison_works(void)
{
    return __asan_poison_memory_region != NULL;
}

static inline void poison(const void *bytes, size_t size)
{
    if (poison_works())
        __asan_poison_memory_region(bytes, size);
}

static inline void unpoison(const void *bytes, size_t size)
{
    if (poison_works())
        __asan_unpoison_memory_region(bytes, size);
}

#endif
