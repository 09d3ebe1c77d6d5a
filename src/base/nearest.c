/* See nearest.h. */
#include "base/nearest.h"

#include <limits.h>

#define WORD_MAX 64u

static unsigned min(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* How many letters must be put in, left out, replaced or swapped with their neighbour. */
static unsigned distance(struct str a, struct str b)
{
    unsigned rows[WORD_MAX + 1][WORD_MAX + 1];
    if (a.len > WORD_MAX || b.len > WORD_MAX)
        return UINT_MAX;
    for (unsigned i = 0; i <= a.len; i++) {
        for (unsigned j = 0; j <= b.len; j++) {
            unsigned *cell = &rows[i][j];
            *cell = i ? i : j;
            if (!i || !j)
                continue;
            *cell = min(min(rows[i - 1][j], rows[i][j - 1]) + 1, rows[i - 1][j - 1] + (a.ptr[i - 1] != b.ptr[j - 1]));
            if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1])
                *cell = min(*cell, rows[i - 2][j - 2] + 1);
        }
    }
    return rows[a.len][b.len];
}

struct nearest nearest_to(struct str word)
{
    return (struct nearest){.word = word, .best = (unsigned)word.len / 3 + 1};
}

void nearest_consider(struct nearest *nearest, struct str candidate)
{
    unsigned far = distance(nearest->word, candidate);
    if (far >= nearest->best)
        return;
    nearest->best = far;
    nearest->found = candidate;
}
