/* The product of two matrices, row by row: loops that vectorize, floating point in order. */
#include "bench.h"

enum { SIZE = 128 };
static double a[SIZE][SIZE], b[SIZE][SIZE], c[SIZE][SIZE];

static void fill(void)
{
    for (int i = 0; i < SIZE; i++)
        for (int j = 0; j < SIZE; j++) {
            a[i][j] = (i * 3 + j) % 17 * 0.5;
            b[i][j] = (i + j * 5) % 13 * 0.25;
            c[i][j] = 0;
        }
}

static void multiply(void)
{
    for (int i = 0; i < SIZE; i++)
        for (int k = 0; k < SIZE; k++)
            for (int j = 0; j < SIZE; j++)
                c[i][j] += a[i][k] * b[k][j];
}

uint64_t bench(uint32_t n)
{
    uint64_t sum = 0;
    fill();
    for (uint32_t i = 0; i < n; i++)
        multiply();
    for (int i = 0; i < SIZE; i++)
        sum = mix(sum, bits(c[i][SIZE - 1 - i]));
    return sum;
}
