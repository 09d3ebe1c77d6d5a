/* See alloc.h. The canary variant keeps {size, canary} before the block and a canary behind it. */
#include "base/alloc.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static uint64_t alloc_count, fail_at;

void mem_fail_at(uint64_t nth)
{
    fail_at = nth ? alloc_count + nth : 0;
}

uint64_t mem_count(void)
{
    return alloc_count;
}

static bool refused(void)
{
    alloc_count++;
    return fail_at && alloc_count >= fail_at;
}

#ifdef MAYFLY_ALLOC_CHECK

#define CANARY 0x6d6179666c792121ull
struct head {
    uint64_t size, canary;
};

static void *seal(struct head *head, size_t size)
{
    const uint64_t canary = CANARY;
    head->size = size;
    head->canary = canary;
    memcpy((char *)(head + 1) + size, &canary, sizeof canary);
    return head + 1;
}

static struct head *unseal(void *block)
{
    struct head *head = (struct head *)block - 1;
    uint64_t tail;
    memcpy(&tail, (char *)block + head->size, sizeof tail);
    if (head->canary != CANARY || tail != CANARY)
        abort(); /* a test build found a write outside its block */
    return head;
}

void *mem_alloc(size_t count, size_t size)
{
    size_t bytes, whole;
    if (refused() || __builtin_mul_overflow(count, size, &bytes))
        return NULL;
    if (__builtin_add_overflow(bytes, sizeof(struct head) + 8, &whole))
        return NULL;
    struct head *head = calloc(1, whole);
    return head ? seal(head, bytes) : NULL;
}

void *mem_resize(void *block, size_t count, size_t size)
{
    size_t bytes, whole;
    if (!block)
        return mem_alloc(count, size);
    if (refused() || __builtin_mul_overflow(count, size, &bytes))
        return NULL;
    if (__builtin_add_overflow(bytes, sizeof(struct head) + 8, &whole))
        return NULL;
    struct head *head = realloc(unseal(block), whole);
    return head ? seal(head, bytes) : NULL;
}

void mem_free(void *block)
{
    if (block)
        free(unseal(block));
}

#else

void *mem_alloc(size_t count, size_t size)
{
    return refused() ? NULL : calloc(count, size);
}

void *mem_resize(void *block, size_t count, size_t size)
{
    size_t bytes;
    if (refused() || __builtin_mul_overflow(count, size, &bytes))
        return NULL;
    return realloc(block, bytes ? bytes : 1);
}

void mem_free(void *block)
{
    free(block);
}

#endif
