/* Did you mean: of the words that there are, the one that is nearest to what was written. */
#ifndef MAYFLY_BASE_NEAREST_H
#define MAYFLY_BASE_NEAREST_H

#include "base/str.h"

struct nearest {
    struct str word, found; /* `found`: empty until something is near; a view of what was considered */
    unsigned best;          /* at most one letter in three is wrong */
};

struct nearest nearest_to(struct str word);
/* Words of more than 64 bytes are near to nothing. */
void nearest_consider(struct nearest *nearest, struct str candidate);

#endif
