/* Values of the suites' JSON: what is passed, and what must come back. */
#ifndef MAYFLY_TESTS_WAST_VALUE_H
#define MAYFLY_TESTS_WAST_VALUE_H

#include "image/context.h"
#include "runtime/gc.h"

#include <jansson.h>
#include <stdbool.h>

/* The argument as guest code takes it; a host's number as `anyref` as if it were an `externref`. */
union cell value_of(json_t *value);
/* Is it such a number, which must become a reference of the guest's heap (gc_internalize)? */
bool value_is_host_any(json_t *value);

/* Is `cell` one of the results that `expected` allows? `gc`: of the instance that gave it. */
bool value_matches(json_t *expected, const union cell *cell, const struct gc *gc);

#endif
