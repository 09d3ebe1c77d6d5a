/* Typed growing arrays with a maximum.
 *
 *     VEC(struct thing) things = {0};
 *     struct thing *t = VEC_PUSH(&things, max);   // zeroed element, or NULL: full or out of memory
 *     for (size_t i = 0; i < things.count; i++) use(&things.items[i]);
 *     VEC_FREE(&things);
 */
#ifndef MAYFLY_BASE_VEC_H
#define MAYFLY_BASE_VEC_H

#include "base/alloc.h"

#include <string.h>

#define VEC(type)                                                                                                      \
    struct {                                                                                                           \
        type *items;                                                                                                   \
        size_t count, capacity;                                                                                        \
    }

#define VEC_PUSH(vec, max)                                                                                             \
    ((__typeof__((vec)->items))vec_push((void **)&(vec)->items, &(vec)->count, &(vec)->capacity, sizeof *(vec)->items, \
                                        (max)))

#define VEC_FREE(vec)                                                                                                  \
    do {                                                                                                               \
        mem_free((vec)->items);                                                                                        \
        (vec)->items = NULL;                                                                                           \
        (vec)->count = (vec)->capacity = 0;                                                                            \
    } while (0)

static inline void *vec_push(void **items, size_t *count, size_t *capacity, size_t size, size_t max)
{
    if (*count >= max)
        return NULL;
    if (*count == *capacity) {
        size_t grown = *capacity ? *capacity * 2 : 8;
        void *block = mem_resize(*items, grown, size);
        if (!block)
            return NULL;
        *items = block;
        *capacity = grown;
    }
    return memset((char *)*items + (*count)++ * size, 0, size);
}

#endif
