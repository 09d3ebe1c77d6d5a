/* The spectral norm of a matrix that is computed, not stored: floating point division in nested loops. */
#include "bench.h"

enum { SIZE = 200 };
static double u[SIZE], v[SIZE], between[SIZE];

static double element(uint32_t i, uint32_t j)
{
    return 1.0 / ((i + j) * (i + j + 1) / 2 + i + 1);
}

static void multiply(const double *from, double *to, int transposed)
{
    for (uint32_t i = 0; i < SIZE; i++) {
        double sum = 0;
        for (uint32_t j = 0; j < SIZE; j++)
            sum += (transposed ? element(j, i) : element(i, j)) * from[j];
        to[i] = sum;
    }
}

uint64_t bench(uint32_t n)
{
    double vv = 0, uv = 0;
    for (uint32_t i = 0; i < SIZE; i++)
        u[i] = 1;
    for (uint32_t i = 0; i < n; i++) {
        multiply(u, between, 0);
        multiply(between, v, 1);
        multiply(v, between, 0);
        multiply(between, u, 1);
    }
    for (uint32_t i = 0; i < SIZE; i++) {
        uv += u[i] * v[i];
        vv += v[i] * v[i];
    }
    return n ? bits(uv / vv) : 0;
}
