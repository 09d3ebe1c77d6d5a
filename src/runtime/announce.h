/* What AddressSanitizer is told of a switch to another stack, in builds that have it; else these do nothing. */
#ifndef MAYFLY_RUNTIME_ANNOUNCE_H
#define MAYFLY_RUNTIME_ANNOUNCE_H

#include <stddef.h>

extern void __sanitizer_start_switch_fiber(void **save, const void *bottom, size_t size) __attribute__((weak));
extern void __sanitizer_finish_switch_fiber(void *save, const void **bottom, size_t *size) __attribute__((weak));

/* Before: the stack that follows. `save`: where the record of the one that is left is put, or NULL if it does not come
 * back. */
static inline void stack_announce(void **save, const void *bottom, size_t size)
{
    if (__sanitizer_start_switch_fiber)
        __sanitizer_start_switch_fiber(save, bottom, size);
}

/* After, with the record of the stack that it is now; which one was left, unless these are NULL. */
static inline void stack_arrived(void *save, const void **ret_bottom, size_t *ret_size)
{
    if (__sanitizer_finish_switch_fiber)
        __sanitizer_finish_switch_fiber(save, ret_bottom, ret_size);
}

#endif
