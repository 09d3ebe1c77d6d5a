/* Numbers sorted in place by partitions with an inserting end, through a function that compares. */
#include "bench.h"

enum { SIZE = 4096, SMALL = 12 };
static uint32_t items[SIZE];
typedef int order(uint32_t a, uint32_t b);

static int upward(uint32_t a, uint32_t b)
{
    return (a > b) - (a < b);
}
static int by_low_bits(uint32_t a, uint32_t b)
{
    return upward(a << 16 | a >> 16, b << 16 | b >> 16);
}
static order *const orders[] = {upward, by_low_bits};

static void insert(uint32_t *low, uint32_t count, order *compare)
{
    for (uint32_t i = 1; i < count; i++) {
        uint32_t item = low[i], j = i;
        for (; j > 0 && compare(low[j - 1], item) > 0; j--)
            low[j] = low[j - 1];
        low[j] = item;
    }
}

static void swap(uint32_t *a, uint32_t *b)
{
    uint32_t kept = *a;
    *a = *b;
    *b = kept;
}

__attribute__((noinline)) static void sort(uint32_t *low, uint32_t count, order *compare)
{
    while (count > SMALL) {
        uint32_t pivot = low[count / 2], i = 0, j = count - 1;
        for (;; i++, j--) {
            while (compare(low[i], pivot) < 0)
                i++;
            while (compare(low[j], pivot) > 0)
                j--;
            if (i >= j)
                break;
            swap(&low[i], &low[j]);
        }
        sort(low + j + 1, count - j - 1, compare);
        count = j + 1;
    }
    insert(low, count, compare);
}

uint64_t bench(uint32_t n)
{
    uint32_t random = 23;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t k = 0; k < SIZE; k++)
            items[k] = next_random(&random);
        sort(items, SIZE, orders[i & 1]);
        sum = mix(sum, items[SIZE / 2]);
    }
    return sum;
}
