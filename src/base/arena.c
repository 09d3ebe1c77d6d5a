/* See arena.h. Chunks double from 4 KiB to 1 MiB; a larger request gets a chunk of its own size. */
#include "base/arena.h"

#include "base/alloc.h"

#include <string.h>

#define ALIGNMENT 16u
#define CHUNK_MIN ((size_t)4096)
#define CHUNK_MAX ((size_t)1 << 20)

struct arena_chunk {
    struct arena_chunk *next;
    size_t size; /* of the payload */
    char payload[] __attribute__((aligned(ALIGNMENT)));
};

void arena_init(struct arena *arena, size_t max)
{
    memset(arena, 0, sizeof *arena);
    arena->max = max;
}

static bool add_chunk(struct arena *arena, size_t need)
{
    size_t first = arena->first_bytes ? arena->first_bytes : CHUNK_MIN;
    size_t size = arena->last ? arena->last->size * 2 : first;
    if (size > CHUNK_MAX)
        size = CHUNK_MAX;
    if (size < need)
        size = need;
    if (size > arena->max - arena->used)
        size = need;
    if (size > arena->max - arena->used)
        return false;
    struct arena_chunk *chunk = mem_resize(NULL, 1, sizeof *chunk + size); /* zeroed as it is given out */
    if (!chunk)
        return false;
    chunk->next = NULL;
    chunk->size = size;
    if (arena->last)
        arena->last->next = chunk;
    else
        arena->first = chunk;
    arena->last = chunk;
    arena->used += size;
    arena->next = chunk->payload;
    arena->end = chunk->payload + size;
    return true;
}

bool arena_reserve(struct arena *arena, size_t size)
{
    return size <= (size_t)(arena->end - arena->next) || add_chunk(arena, size);
}

void *arena_alloc(struct arena *arena, size_t size)
{
    if (size > SIZE_MAX - ALIGNMENT)
        return NULL;
    size_t need = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (need > (size_t)(arena->end - arena->next) && !add_chunk(arena, need))
        return NULL;
    if (!arena->next && !add_chunk(arena, ALIGNMENT)) /* size 0 as the first request */
        return NULL;
    void *block = arena->next;
    arena->next += need;
    return memset(block, 0, size);
}

void *arena_array(struct arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    return arena_alloc(arena, bytes);
}

void *arena_copy(struct arena *arena, const void *bytes, size_t size)
{
    void *block = arena_alloc(arena, size);
    if (block && size)
        memcpy(block, bytes, size);
    return block;
}

static void free_chunks(struct arena_chunk *chunk)
{
    while (chunk) {
        struct arena_chunk *next = chunk->next;
        mem_free(chunk);
        chunk = next;
    }
}

void arena_reset(struct arena *arena)
{
    struct arena_chunk *first = arena->first;
    if (!first)
        return;
    free_chunks(first->next);
    first->next = NULL;
    arena->last = first;
    arena->used = first->size;
    arena->next = first->payload;
    arena->end = first->payload + first->size;
}

void arena_drop_chunks(struct arena *arena, struct arena_mark mark)
{
    if (!mark.last) {
        arena_reset(arena);
        return;
    }
    for (struct arena_chunk *chunk = mark.last->next; chunk; chunk = chunk->next)
        arena->used -= chunk->size;
    free_chunks(mark.last->next);
    mark.last->next = NULL;
    arena->last = mark.last;
    arena->next = mark.next;
    arena->end = mark.end;
}

void arena_free(struct arena *arena)
{
    free_chunks(arena->first);
    arena_init(arena, arena->max);
}
