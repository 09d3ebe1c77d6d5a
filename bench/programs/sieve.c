/* The sieve of Eratosthenes over bytes: strided stores and a counting loop. */
#include "bench.h"

enum { LIMIT = 400000 };
static uint8_t composite[LIMIT];

static uint32_t sieve(void)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < LIMIT; i++)
        composite[i] = 0;
    for (uint32_t i = 2; i * i < LIMIT; i++)
        if (!composite[i])
            for (uint32_t j = i * i; j < LIMIT; j += i)
                composite[j] = 1;
    for (uint32_t i = 2; i < LIMIT; i++)
        count += !composite[i];
    return count;
}

uint64_t bench(uint32_t n)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum = mix(sum, sieve());
    return sum;
}
