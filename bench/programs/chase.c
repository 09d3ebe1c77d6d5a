/* A random walk along pointers through four megabytes: latency of memory. */
#include "bench.h"

enum { NODES = 1 << 16 };
struct node {
    struct node *next;
    uint32_t value;
    uint8_t rest[48];
};
static struct node nodes[NODES];
static uint32_t order[NODES];

static void link_nodes(void)
{
    uint32_t random = 99;
    for (uint32_t i = 0; i < NODES; i++)
        order[i] = i;
    for (uint32_t i = NODES - 1; i > 0; i--) {
        uint32_t j = next_random(&random) % (i + 1), kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
    for (uint32_t i = 0; i < NODES; i++) {
        nodes[order[i]].next = &nodes[order[(i + 1) % NODES]];
        nodes[order[i]].value = i;
    }
}

uint64_t bench(uint32_t n)
{
    uint64_t sum = 0;
    link_nodes();
    const struct node *at = nodes;
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t step = 0; step < NODES; step++) {
            sum += at->value;
            at = at->next;
        }
        at = at->next;
    }
    return sum;
}
