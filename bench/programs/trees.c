/* Binary trees built and dropped, with an allocator of free lists compiled in: allocation and pointers. */
#include "bench.h"

struct tree {
    struct tree *left, *right;
    uint32_t value;
};
enum { CHUNK = 32, POOL = 1 << 22 };
static uint8_t pool[POOL] __attribute__((aligned(16)));
static size_t used;
static void *free_list;

__attribute__((noinline)) static void *allocate(void)
{
    void *chunk = free_list;
    if (chunk) {
        free_list = *(void **)chunk;
        return chunk;
    }
    if (used + CHUNK > POOL)
        __builtin_trap();
    chunk = pool + used;
    used += CHUNK;
    return chunk;
}

__attribute__((noinline)) static void release(void *chunk)
{
    *(void **)chunk = free_list;
    free_list = chunk;
}

static struct tree *build(uint32_t depth, uint32_t value)
{
    struct tree *tree = allocate();
    tree->left = depth ? build(depth - 1, 2 * value) : NULL;
    tree->right = depth ? build(depth - 1, 2 * value + 1) : NULL;
    tree->value = value;
    return tree;
}

static uint32_t drop(struct tree *tree)
{
    uint32_t sum = tree->value;
    if (tree->left)
        sum += drop(tree->left) ^ drop(tree->right);
    release(tree);
    return sum;
}

uint64_t bench(uint32_t n)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct tree *kept = build(10, i);
        for (uint32_t depth = 4; depth < 12; depth += 2)
            sum = mix(sum, drop(build(depth, i)));
        sum = mix(sum, drop(kept));
    }
    return sum;
}
