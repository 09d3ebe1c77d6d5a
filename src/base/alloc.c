/* See alloc.h. The canary variant keeps {size, canary} before the block and a canary behind it. */
#include "base/alloc.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Code is generated in threads. */
static atomic_uint_fast64_t alloc_count, alloc_live;
static uint64_t fail_first, fail_last; /* 0: none fails */

static uint64_t count_up(atomic_uint_fast64_t *counter, uint64_t by)
{
    return atomic_fetch_add_explicit(counter, by, memory_order_relaxed) + by;
}

static void fail(uint64_t nth, uint64_t last)
{
    fail_first = nth ? alloc_count + nth : 0;
    fail_last = last;
}

void mem_fail_at(uint64_t nth)
{
    fail(nth, UINT64_MAX);
}

void mem_fail_once(uint64_t nth)
{
    fail(nth, alloc_count + nth);
}

uint64_t mem_count(void)
{
    return alloc_count;
}

uint64_t mem_live(void)
{
    return alloc_live;
}

/* A new block, if there is one. */
static void *born(void *block)
{
    count_up(&alloc_live, block != NULL);
    return block;
}

static bool refused(void)
{
    uint64_t count = count_up(&alloc_count, 1);
    return fail_first && count >= fail_first && count <= fail_last;
}

#ifdef MAYFLY_ALLOC_CHECK

#define CANARY 0x6d6179666c792121ull
struct head {
    uint64_t size, canary;
};

static atomic_uint_fast64_t alloc_bytes, alloc_peak;

uint64_t mem_peak(void)
{
    return atomic_exchange(&alloc_peak, alloc_bytes);
}

/* Threads may miss each other's peak; nobody measures there. */
static void count_bytes(uint64_t by)
{
    uint64_t bytes = count_up(&alloc_bytes, by);
    if (bytes > alloc_peak)
        alloc_peak = bytes;
}

static void *seal(struct head *head, size_t size)
{
    const uint64_t canary = CANARY;
    count_bytes(size);
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
    return born(head ? seal(head, bytes) : NULL);
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
    struct head *head = unseal(block);
    size_t old = head->size;
    head = realloc(head, whole);
    if (!head)
        return NULL;
    seal(head, bytes);
    count_bytes(-(uint64_t)old); /* only now: for a moment there may be both */
    return head + 1;
}

void mem_free(void *block)
{
    count_up(&alloc_live, -(uint64_t)(block != NULL));
    if (!block)
        return;
    struct head *head = unseal(block);
    count_bytes(-head->size);
    free(head);
}

#else

uint64_t mem_peak(void)
{
    return 0;
}

void *mem_alloc(size_t count, size_t size)
{
    return born(refused() ? NULL : calloc(count, size));
}

void *mem_resize(void *block, size_t count, size_t size)
{
    size_t bytes;
    if (refused() || __builtin_mul_overflow(count, size, &bytes))
        return NULL;
    void *resized = realloc(block, bytes ? bytes : 1);
    return block ? resized : born(resized);
}

void mem_free(void *block)
{
    if (!block) /* most often: counting takes longer than the rest */
        return;
    count_up(&alloc_live, -(uint64_t)1);
    free(block);
}

#endif
