/* What the programs of bench/code.py share: each is one file with one function bench(n) that returns a checksum,
 * compiled from the same source for the guest and for the machine. Nothing here comes from a C library, so that
 * both sides run the same allocator and the same mathematics. */
#ifndef MAYFLY_BENCH_H
#define MAYFLY_BENCH_H

#include <stddef.h>
#include <stdint.h>

#ifdef __wasm__
#define EXPORT(name) __attribute__((export_name(name)))
#else
#define EXPORT(name)
#endif

/* n: how often the work is done; 0 does nothing. */
EXPORT("bench") uint64_t bench(uint32_t n);

static inline uint64_t mix(uint64_t sum, uint64_t value)
{
    sum = (sum ^ value) * 0x9e3779b97f4a7c15u;
    return sum ^ sum >> 29;
}

/* The bits of a floating point result: both sides must round alike. */
static inline uint64_t bits(double value)
{
    uint64_t word;
    __builtin_memcpy(&word, &value, sizeof word);
    return word;
}

static inline uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

#define LENGTH(array) (sizeof(array) / sizeof *(array))

#endif
