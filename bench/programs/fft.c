/* The fast Fourier transform, radix 2, in place: floating point with strided access. */
#include "bench.h"

enum { LOG = 12, SIZE = 1 << LOG };
struct complex {
    double re, im;
};
static struct complex data[SIZE], roots[SIZE / 2];

/* Unit roots by halving angles, so that no sine is needed. */
static void make_roots(void)
{
    struct complex turn = {-1, 0};
    roots[0] = (struct complex){1, 0};
    for (uint32_t step = SIZE / 2; step >= 1; step /= 2) {
        for (uint32_t i = step; i < SIZE / 2; i += 2 * step) {
            struct complex before = roots[i - step];
            roots[i] =
                (struct complex){before.re * turn.re - before.im * turn.im, before.re * turn.im + before.im * turn.re};
        }
        double re = __builtin_sqrt((1 + turn.re) / 2);
        turn = (struct complex){re, step == SIZE / 2 ? -1 : turn.im / (2 * re)};
    }
}

static void reorder(void)
{
    for (uint32_t i = 0, j = 0; i < SIZE; i++) {
        if (i < j) {
            struct complex kept = data[i];
            data[i] = data[j];
            data[j] = kept;
        }
        uint32_t bit = SIZE / 2;
        for (; bit && j & bit; bit /= 2)
            j ^= bit;
        j |= bit;
    }
}

static void transform(void)
{
    reorder();
    for (uint32_t half = 1, stride = SIZE / 2; half < SIZE; half *= 2, stride /= 2)
        for (uint32_t first = 0; first < SIZE; first += 2 * half)
            for (uint32_t k = 0; k < half; k++) {
                struct complex *low = &data[first + k], *high = low + half, root = roots[k * stride];
                struct complex moved = {high->re * root.re - high->im * root.im,
                                        high->re * root.im + high->im * root.re};
                *high = (struct complex){low->re - moved.re, low->im - moved.im};
                *low = (struct complex){low->re + moved.re, low->im + moved.im};
            }
}

uint64_t bench(uint32_t n)
{
    uint64_t sum = 0;
    make_roots();
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t k = 0; k < SIZE; k++)
            data[k] = (struct complex){(k * 7 + i) % 31, 0};
        transform();
        sum = mix(sum, bits(data[SIZE / 3].re));
    }
    return sum;
}
