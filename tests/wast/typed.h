/* Typed values of the component suite's JSON. */
#ifndef MAYFLY_TESTS_WAST_TYPED_H
#define MAYFLY_TESTS_WAST_TYPED_H

#include "component/datum.h"

#include <jansson.h>

/* The value as one of the type, in the arena. False: it is none. */
bool typed_value(json_t *value, const struct type *type, struct arena *arena, struct datum *ret);
/* Is it what is expected? */
bool typed_matches(json_t *expected, const struct type *type, const struct datum *datum);

#endif
