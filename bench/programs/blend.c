/* Pixels blended and summed: SIMD on 8, 16 and 32-bit lanes, shuffles and conversions, in vector extensions. */
#include "bench.h"

typedef uint8_t u8x16 __attribute__((vector_size(16)));
typedef uint8_t u8x8 __attribute__((vector_size(8)));
typedef uint16_t u16x8 __attribute__((vector_size(16)));

enum { SIZE = 16384 };
static uint8_t front[SIZE] __attribute__((aligned(16))), back[SIZE] __attribute__((aligned(16)));

static u16x8 weigh(u8x8 a, u8x8 b, uint16_t weight)
{
    u16x8 wide = __builtin_convertvector(a, u16x8) * weight;
    return (wide + __builtin_convertvector(b, u16x8) * (uint16_t)(256 - weight)) >> 8;
}

static u8x16 blend(u8x16 a, u8x16 b, uint16_t weight)
{
    u8x8 a_low = __builtin_shufflevector(a, a, 0, 1, 2, 3, 4, 5, 6, 7);
    u8x8 a_high = __builtin_shufflevector(a, a, 8, 9, 10, 11, 12, 13, 14, 15);
    u8x8 b_low = __builtin_shufflevector(b, b, 0, 1, 2, 3, 4, 5, 6, 7);
    u8x8 b_high = __builtin_shufflevector(b, b, 8, 9, 10, 11, 12, 13, 14, 15);
    u8x16 low = (u8x16)weigh(a_low, b_low, weight), high = (u8x16)weigh(a_high, b_high, weight);
    return __builtin_shufflevector(low, high, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
}

static u8x16 reverse(u8x16 v)
{
    return __builtin_shufflevector(v, v, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
}

uint64_t bench(uint32_t n)
{
    uint32_t random = 7;
    for (int i = 0; i < SIZE; i++) {
        front[i] = (uint8_t)next_random(&random);
        back[i] = (uint8_t)next_random(&random);
    }
    for (uint32_t round = 0; round < n; round++)
        for (int i = 0; i < SIZE; i += 16) {
            u8x16 *a = (u8x16 *)(front + i), *b = (u8x16 *)(back + i);
            u8x16 mixed = blend(*a, *b, (uint16_t)(round & 255));
            *b = reverse(mixed) + (*b > *a);
        }
    uint64_t sum = 0;
    for (int i = 0; i < SIZE; i++)
        sum = mix(sum, back[i]);
    return sum;
}
