/* Memory that dies together: bump allocation from chunks, freed or reset at once.
 *
 * Born with a maximum. An arena serves one owner (a decode, a compile, a request). `arena_reset`
 * keeps the first chunk, so that a warm arena allocates nothing from the system.
 */
#ifndef MAYFLY_BASE_ARENA_H
#define MAYFLY_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena_chunk;

struct arena {
    char *next, *end;          /* free part of the current chunk */
    struct arena_chunk *first; /* kept by reset */
    struct arena_chunk *last;
    size_t max, used; /* bytes of chunks: cap and current */
    size_t first_bytes; /* of the first chunk; 0: the usual */
};

/* `max`: cap on the bytes taken from the system. Cannot fail; the first chunk comes on first use. */
void arena_init(struct arena *arena, size_t max);
/* Zeroed, aligned to 16; NULL when out of memory or over the cap. */
void *arena_alloc(struct arena *arena, size_t size);
/* The same for `count` elements; NULL on overflow too. A count of 0 gives a valid pointer. */
void *arena_array(struct arena *arena, size_t count, size_t size);
/* Take room for `size` bytes from the system now, without touching it. */
bool arena_reserve(struct arena *arena, size_t size);
void *arena_copy(struct arena *arena, const void *bytes, size_t size);
void arena_reset(struct arena *arena);
void arena_free(struct arena *arena);

/* What the arena holds now. Rewinding to it frees everything allocated since; marks nest. */
struct arena_mark {
    struct arena_chunk *last;
    char *next, *end;
};

static inline struct arena_mark arena_mark(const struct arena *arena)
{
    return (struct arena_mark){arena->last, arena->next, arena->end};
}

/* The slow part of arena_rewind: chunks were added since. */
void arena_drop_chunks(struct arena *arena, struct arena_mark mark);

static inline void arena_rewind(struct arena *arena, struct arena_mark mark)
{
    if (__builtin_expect(arena->last == mark.last, 1))
        arena->next = mark.next;
    else
        arena_drop_chunks(arena, mark);
}

#define ARENA_NEW(arena, type) ((type *)arena_alloc((arena), sizeof(type)))
#define ARENA_ARRAY(arena, type, count) ((type *)arena_array((arena), (count), sizeof(type)))

#endif
