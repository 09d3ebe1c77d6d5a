/* Takeuchi's function: calls with three arguments. */
#include "bench.h"

__attribute__((noinline)) static int tak(int x, int y, int z)
{
    return y >= x ? z : tak(tak(x - 1, y, z), tak(y - 1, z, x), tak(z - 1, x, y));
}

uint64_t bench(uint32_t n)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum = mix(sum, (uint32_t)tak(18, 12, 6 + (int)(i & 1)));
    return sum;
}
