/* Small structures copied and compared by value: loads and stores of fields, short constant copies. */
#include "bench.h"

struct item {
    uint32_t key, count;
    double weight;
    uint8_t name[16];
};
enum { ITEMS = 512 };
static struct item items[ITEMS];

static void fill(void)
{
    uint32_t random = 3;
    for (uint32_t i = 0; i < ITEMS; i++) {
        items[i] = (struct item){.key = next_random(&random), .count = i, .weight = i * 0.5};
        for (int k = 0; k < 16; k++)
            items[i].name[k] = (uint8_t)(items[i].key >> k);
    }
}

/* One pass of a shell sort with the gap. */
static void pass(uint32_t gap, uint32_t flip)
{
    for (uint32_t i = gap; i < ITEMS; i++) {
        struct item item = items[i];
        uint32_t j = i;
        for (; j >= gap && (items[j - gap].key ^ flip) > (item.key ^ flip); j -= gap)
            items[j] = items[j - gap];
        items[j] = item;
    }
}

uint64_t bench(uint32_t n)
{
    static const uint32_t gaps[] = {132, 57, 23, 10, 4, 1};
    uint64_t sum = 0;
    fill();
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t k = 0; k < LENGTH(gaps); k++)
            pass(gaps[k], i * 0x61c88647u);
        sum = mix(sum, items[i % ITEMS].count + items[i % ITEMS].name[3]);
    }
    return sum;
}
