/* The router again, slow and simple: every route against every segment, and of those that match the first one by the
 * rules in app/route.h. For tests that compare the two. */
#ifndef MAYFLY_TESTS_SUPPORT_ROUTES_H
#define MAYFLY_TESTS_SUPPORT_ROUTES_H

#include "app/route.h"

/* The index of the route that answers, or -1. All patterns are good ones. */
int routes_reference(const struct route_spec *specs, size_t count, struct str target);
/* Compares all that a match says with what the route's text and the path say. Returns what is wrong, or NULL. */
const char *routes_check(const struct router *router, struct str target, const struct route_match *match);

#endif
