/* The Mandelbrot set, four points at a time: SIMD floating point, comparisons and masks, in vector extensions. */
#include "bench.h"

typedef float f32x4 __attribute__((vector_size(16)));
typedef int32_t i32x4 __attribute__((vector_size(16)));

enum { WIDTH = 256, HEIGHT = 64, STEPS = 64 };

static i32x4 escape(f32x4 x0, f32x4 y0)
{
    f32x4 x = x0, y = y0;
    i32x4 count = {0, 0, 0, 0};
    for (int i = 0; i < STEPS; i++) {
        f32x4 xx = x * x, yy = y * y;
        i32x4 inside = (i32x4)(xx + yy < 4.0f);
        count -= inside;
        y = 2.0f * x * y + y0;
        x = xx - yy + x0;
    }
    return count;
}

uint64_t bench(uint32_t n)
{
    uint64_t sum = 0;
    for (uint32_t round = 0; round < n; round++)
        for (int row = 0; row < HEIGHT; row++) {
            i32x4 total = {0, 0, 0, 0};
            float y = (float)row / 32 - 1;
            for (int column = 0; column < WIDTH; column += 4) {
                f32x4 x = {(float)column, (float)column + 1, (float)column + 2, (float)column + 3};
                total += escape(x / 96 - 2, (f32x4){y, y, y, y});
            }
            sum = mix(sum, (uint32_t)(total[0] + total[1] + total[2] + total[3]));
        }
    return sum;
}
