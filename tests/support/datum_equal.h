/* Whether two values of one type are the same. */
#ifndef MAYFLY_TESTS_SUPPORT_DATUM_EQUAL_H
#define MAYFLY_TESTS_SUPPORT_DATUM_EQUAL_H

#include "component/datum.h"

/* Scalars that the type does not have are 0 in both. */
static inline bool datum_equal(const struct datum *a, const struct datum *b)
{
    if (a->bits != b->bits || !str_eq(a->text, b->text) || a->count != b->count)
        return false;
    for (uint32_t i = 0; i < a->count; i++)
        if (!datum_equal(&a->items[i], &b->items[i]))
            return false;
    return true;
}

#endif
