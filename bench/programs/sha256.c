/* The compression function of SHA-256 (FIPS 180-4) over a buffer: 32-bit integer arithmetic and rotations. The
 * constants are random ones, which costs the same. */
#include "bench.h"

static uint32_t round_words[64], state[8];
static uint8_t text[16384];

static uint32_t turn(uint32_t word, unsigned by)
{
    return word >> by | word << (32 - by);
}

static void schedule(uint32_t w[64], const uint8_t *block)
{
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | block[4 * i + 1] << 16 | block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + w[i - 7] + (turn(a, 7) ^ turn(a, 18) ^ a >> 3) + (turn(b, 17) ^ turn(b, 19) ^ b >> 10);
    }
}

static void compress(const uint8_t *block)
{
    uint32_t w[64], v[8];
    schedule(w, block);
    __builtin_memcpy(v, state, sizeof v);
    for (int i = 0; i < 64; i++) {
        uint32_t big1 = turn(v[4], 6) ^ turn(v[4], 11) ^ turn(v[4], 25), choice = (v[4] & v[5]) ^ (~v[4] & v[6]);
        uint32_t one = v[7] + big1 + choice + round_words[i] + w[i];
        uint32_t big0 = turn(v[0], 2) ^ turn(v[0], 13) ^ turn(v[0], 22);
        uint32_t two = big0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        v[7] = v[6], v[6] = v[5], v[5] = v[4], v[4] = v[3] + one;
        v[3] = v[2], v[2] = v[1], v[1] = v[0], v[0] = one + two;
    }
    for (int i = 0; i < 8; i++)
        state[i] += v[i];
}

uint64_t bench(uint32_t n)
{
    uint32_t random = 1;
    for (int i = 0; i < 64; i++)
        round_words[i] = next_random(&random);
    for (int i = 0; i < 8; i++)
        state[i] = next_random(&random);
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (uint8_t)next_random(&random);
    for (uint32_t round = 0; round < n; round++)
        for (size_t at = 0; at < sizeof text; at += 64)
            compress(text + at);
    uint64_t sum = 0;
    for (int i = 0; i < 8; i++)
        sum = mix(sum, state[i]);
    return sum;
}
