/* Which exceptions may still be used: see exceptions_sweep. An exnref is an address, so any word that lies in an
 * exception keeps it; what generated code makes of one (a pointer to a value in it) lies there too. That is rare work:
 * an instance does it once in as many throws as its exceptions have room for. */
#include "base/alloc.h"
#include "runtime/exception.h"
#include "runtime/task.h"

#include <stdlib.h>

#define WORDS_CHUNK 65536u /* between two questions whether the guest must end */

struct sweeper {
    struct slot *first;
    struct thrown **all; /* by address */
    size_t count;
    uint64_t low, high; /* every exception lies in between */
    struct thrown **grey; /* marked, their values not looked at */
    size_t grey_count;
    bool stopped;
};

static uint64_t end_of(const struct thrown *thrown)
{
    return (uint64_t)(thrown->exception.values + thrown->count);
}

static int by_address(const void *a, const void *b)
{
    const struct thrown *left = *(struct thrown *const *)a, *right = *(struct thrown *const *)b;
    return (left > right) - (left < right);
}

/* All of the store's, sorted. */
static bool list_all(struct sweeper *s)
{
    for (const struct thrown *thrown = s->first->thrown; thrown; thrown = thrown->next)
        s->count++;
    s->all = s->first->sweeping = mem_alloc(s->count * 2 + 1, sizeof(struct thrown *));
    if (!s->all || !s->count)
        return false;
    s->grey = s->all + s->count;
    size_t i = 0;
    for (struct thrown *thrown = s->first->thrown; thrown; thrown = thrown->next) {
        thrown->marked = 0;
        s->all[i++] = thrown;
    }
    qsort(s->all, s->count, sizeof(struct thrown *), by_address);
    s->low = (uint64_t)s->all[0];
    s->high = end_of(s->all[s->count - 1]);
    return true;
}

/* The last one that begins at or before the address. */
static struct thrown *find(const struct sweeper *s, uint64_t address)
{
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((uint64_t)s->all[middle] <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return s->all[low - 1];
}

static inline void mark(struct sweeper *s, uint64_t word)
{
    if (word - s->low > s->high - s->low)
        return;
    struct thrown *thrown = find(s, word);
    if (thrown->marked || word > end_of(thrown))
        return;
    thrown->marked = 1;
    s->grey[s->grey_count++] = thrown;
}

/* Every word of [low, high) that begins at a multiple of `step`. Other functions have frames there: AddressSanitizer
 * must look away. */
static __attribute__((no_sanitize("address", "alignment"))) void mark_range(struct sweeper *s, uint64_t low,
                                                                            uint64_t high, uint64_t step)
{
    uint64_t count = 0;
    for (uint64_t at = (low + step - 1) & ~(step - 1); at + 8 <= high && !s->stopped; at += step) {
        mark(s, *(const uint64_t *)at);
        if (++count % WORDS_CHUNK == 0)
            s->stopped = !guest_goes_on(s->first->store);
    }
}

static void mark_words(void *arg, uint64_t low, uint64_t high)
{
    mark_range(arg, low, high, 8);
}

/* What stands before the handle tables in the mutable part (image/layout.c) holds globals, tables of fixed length and
 * element segments; the other tables are as long as they say. */
static void mark_slot(struct sweeper *s, const struct slot *slot)
{
    const struct image *image = &slot->program->image;
    uint64_t base = (uint64_t)slot->store;
    mark_words(s, base + image->header->fixed_size, base + image->header->handles_off);
    for (uint64_t i = 0; i < image_tables_count(image); i++) {
        const struct image_table *table = &image_tables(image)[i];
        if (table->owner)
            mark_words(s, base + table->entries_off,
                       base + table->entries_off +
                           *(const uint64_t *)(base + table->length_off) * sizeof(struct table_entry));
    }
    const struct gc *gc = &slot->gc;
    if (gc->base)
        mark_range(s, (uint64_t)gc->base + gc->first, (uint64_t)gc->base + gc->open, 4);
}

static void mark_values(struct sweeper *s)
{
    while (s->grey_count && !s->stopped) {
        const struct thrown *thrown = s->grey[--s->grey_count];
        mark_words(s, (uint64_t)thrown->exception.values, end_of(thrown));
    }
}

static bool mark_all(struct sweeper *s)
{
    __builtin_unwind_init(); /* registers that C keeps across calls go onto the stack */
    task_each_range(s->first, (uint64_t)__builtin_frame_address(0) - 256, mark_words, s);
    for (const struct slot *slot = s->first; slot; slot = slot->joined)
        mark_slot(s, slot);
    mark_values(s);
    return !s->stopped;
}

static size_t make_spare(struct slot *slot)
{
    size_t spare = 0;
    for (struct thrown **at = &slot->thrown, *thrown; (thrown = *at);) {
        if (thrown->marked) {
            at = &thrown->next;
            continue;
        }
        *at = thrown->next;
        thrown->next = slot->spare[thrown->size_class];
        slot->spare[thrown->size_class] = thrown;
        spare++;
    }
    return spare;
}

bool exceptions_sweep(struct slot *first)
{
    struct sweeper s = {.first = first};
    bool enough = list_all(&s) && mark_all(&s) && make_spare(first) >= s.count / 8 + 1;
    mem_free(first->sweeping);
    first->sweeping = NULL;
    return enough;
}
