/* a = b + s * c over six megabytes: bandwidth of memory. */
#include "bench.h"

enum { SIZE = 1 << 18 };
static double a[SIZE], b[SIZE], c[SIZE];

static void triad(double *to, const double *from, const double *by, double scale)
{
    for (int i = 0; i < SIZE; i++)
        to[i] = from[i] + scale * by[i];
}

uint64_t bench(uint32_t n)
{
    for (int i = 0; i < SIZE; i++) {
        b[i] = i % 5;
        c[i] = i % 3;
    }
    for (uint32_t i = 0; i < n; i++) {
        triad(a, b, c, 0.5);
        triad(b, a, c, -0.5);
    }
    return bits(a[SIZE / 3]) + bits(b[SIZE / 5]);
}
