/* Patterns of routes as text, piece by piece; for route.c only. A piece is what stands between slashes and dots. */
#ifndef MAYFLY_APP_ROUTE_TEXT_H
#define MAYFLY_APP_ROUTE_TEXT_H

#include "app/route.h"

struct route_piece {
    struct str text; /* of a parameter: its name */
    bool parameter;
    bool dot; /* what stands behind it in the same segment */
};

struct route_text {
    struct str left;  /* not read yet; without slashes around it */
    bool wildcard;
    bool more; /* behind a dot: a piece follows, also an empty one */
};

/* `pattern` need not be checked. */
struct route_text route_text_of(struct str pattern);
/* False at the end. */
bool route_text_next(struct route_text *text, struct route_piece *ret);

#endif
