/* Values of the suites' JSON: what is passed, and what must come back. */
#ifndef MAYFLY_TESTS_WAST_VALUE_H
#define MAYFLY_TESTS_WAST_VALUE_H

#include "image/context.h"

#include <jansson.h>
#include <stdbool.h>

/* The argument as guest code takes it. */
union cell value_of(json_t *value);

/* Is `cell` one of the results that `expected` allows? */
bool value_matches(json_t *expected, const union cell *cell);

#endif
