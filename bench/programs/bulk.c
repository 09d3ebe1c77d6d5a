/* Blocks of many sizes copied and filled: memory.copy and memory.fill against the C library's. */
#include "bench.h"

enum { SIZE = 1 << 16 };
static uint8_t from[SIZE], to[SIZE];

uint64_t bench(uint32_t n)
{
    uint32_t random = 5;
    uint64_t sum = 0;
    for (int i = 0; i < SIZE; i++)
        from[i] = (uint8_t)i;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t word = next_random(&random), size = (word & 4095) >> (word >> 12 & 7), at = word >> 17;
        __builtin_memcpy(to + at, from + (at ^ 77), size);
        __builtin_memset(to + (at ^ 4096), (int)i, size / 2);
        sum += to[at + size / 2];
    }
    return sum;
}
