/* See gc.h. Holes stand in lists by the power of two below their size. Small objects want a hole with room for
 * more than one; a large one takes what it needs and leaves the current hole alone. */
#include "runtime/gc.h"

#include "runtime/slot.h"
#include "runtime/task.h"

#include <string.h>

#define HOLE_LISTED 16u  /* bytes of the smallest hole that a list can hold */
#define HOLE_ROOMY_BIN 10 /* small objects look for holes of 1 KiB first */
#define PAGE ((uint64_t)IMAGE_PAGE)

void gc_reset(struct gc *gc, uint64_t open)
{
    gc->open = open;
    gc->budget = GC_BUDGET_MIN;
    gc->live = gc->collections = 0;
    gc->touched = gc->stress = false;
    memset(gc->bins, 0, sizeof gc->bins);
}

void gc_init(struct gc *gc, uint8_t *base, struct heap_words *words, uint32_t first, uint64_t open)
{
    *gc = (struct gc){.base = base, .words = words, .first = first, .size_max = GC_SIZE_DEFAULT};
    gc_reset(gc, open);
}

static unsigned bin_of(uint64_t size)
{
    return 63 - (unsigned)__builtin_clzll(size);
}

static uint32_t *hole_next(const struct gc *gc, uint32_t at)
{
    return (uint32_t *)(gc->base + at + sizeof(struct heap_header));
}

void gc_add_hole(struct gc *gc, uint32_t at, uint64_t size)
{
    if (size == 0)
        return;
    *gc_header(gc, at) = (struct heap_header){0, (uint32_t)size};
    if (size < HOLE_LISTED)
        return;
    *hole_next(gc, at) = gc->bins[bin_of(size)];
    gc->bins[bin_of(size)] = at;
}

void gc_leave_hole(struct gc *gc)
{
    struct heap_words *words = gc->words;
    gc_add_hole(gc, words->next, words->end - words->next);
    words->next = words->end;
}

/* Take a hole of at least `size` bytes out of the lists from `bin` to `end`; 0: there is none. Within a bin only the
 * first hole is looked at, so that this does not depend on how many there are. */
static uint32_t find_hole(struct gc *gc, uint64_t size, unsigned bin, unsigned end)
{
    for (; bin < end; bin++) {
        uint32_t at = gc->bins[bin];
        if (at && gc_header(gc, at)->length >= size) {
            gc->bins[bin] = *hole_next(gc, at);
            return at;
        }
    }
    return 0;
}

static uint32_t take_hole(struct gc *gc, uint64_t size)
{
    unsigned least = bin_of(size < HOLE_LISTED ? HOLE_LISTED : size);
    uint32_t at = least < HOLE_ROOMY_BIN ? find_hole(gc, size, HOLE_ROOMY_BIN, GC_BINS) : 0;
    return at ? at : find_hole(gc, size, least, GC_BINS);
}

/* The first bytes of [at, at + room) for an object; the rest as the current hole, or as one for later. */
static uint32_t use_hole(struct gc *gc, uint32_t at, uint64_t room, uint64_t size)
{
    if (size >= GC_LARGE || gc->stress) {
        gc_add_hole(gc, at + (uint32_t)size, room - size);
        return at;
    }
    gc_leave_hole(gc);
    *gc->words = (struct heap_words){at + (uint32_t)size, at + (uint32_t)room};
    return at;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Open at least `size` more bytes, more if the heap is large already, but no more than `most` in all; 0: cannot. */
static uint32_t grow(struct gc *gc, uint64_t size, uint64_t most)
{
    uint64_t held = gc->open - gc->first, chunk = least(held, GC_CHUNK_MAX), low = gc->open;
    uint64_t need = (size + PAGE - 1) & ~(PAGE - 1);
    if (need > most || held > most - need)
        return 0;
    uint64_t bytes = least(chunk > need ? (chunk + PAGE - 1) & ~(PAGE - 1) : need, (most - held) & ~(PAGE - 1));
    struct slot *slot = slot_of(task_current->slot, (uint64_t)gc->base + low);
    if (!slot || !slot_grow(slot, (uint64_t)gc->base + low, (uint64_t)gc->base + low + bytes))
        return 0;
    gc->open += bytes;
    if (gc->words->end == low && size < GC_LARGE && !gc->stress) { /* the current hole reaches up to here */
        low = gc->words->next;
        gc->words->next = gc->words->end;
    }
    return use_hole(gc, (uint32_t)low, gc->open - low, size);
}

static uint32_t obtain(struct gc *gc, uint64_t size, uint64_t most)
{
    uint32_t at = take_hole(gc, size);
    return at ? use_hole(gc, at, gc_header(gc, at)->length, size) : grow(gc, size, most);
}

/* Bytes of objects that may be open: by the heap's own limits and what the store may still have. */
static uint64_t limit(const struct gc *gc)
{
    const struct slot_account *account = task_current->slot->account;
    uint64_t most = least(gc->size_max, HEAP_SIZE_MAX - gc->first), room = account->max - account->used;
    uint64_t held = gc->open - gc->first;
    return least(most, held + least(room, most)) & ~(PAGE - 1);
}

/* Out of the current hole; 0: it is too small. Code of the optimizing generator has looked there itself. */
static uint32_t bump(struct gc *gc, uint64_t size)
{
    struct heap_words *words = gc->words;
    uint32_t at = words->next;
    if (size > words->end - at)
        return 0;
    words->next += (uint32_t)size;
    return at;
}

uint32_t gc_allocate(struct gc *gc, uint64_t size)
{
    size = (size + HEAP_ALIGN - 1) & ~(uint64_t)(HEAP_ALIGN - 1);
    gc->touched = true;
    uint32_t at = bump(gc, size);
    if (at)
        return at;
    uint64_t most = limit(gc);
    at = size <= most && !gc->stress ? obtain(gc, size, least(gc->budget, most)) : 0;
    if (at || size > most)
        return at;
    bool collected = gc_collect(gc, task_current->slot);
    if (!guest_goes_on(task_current->slot->store) || (collected && gc->live > most - most / GC_LIVE_SHARE))
        return 0;
    return obtain(gc, size, most);
}

uint64_t gc_internalize(struct gc *gc, uint64_t reference)
{
    if (reference == 0 || reference & HEAP_EXTERN_INTERNAL)
        return (uint32_t)reference;
    uint32_t ref = gc_allocate(gc, HEAP_BOX_BYTES);
    if (!ref)
        return 0;
    *gc_header(gc, ref) = (struct heap_header){(uint32_t)HEAP_NULL_BYTES, 0};
    memcpy(gc->base + ref + HEAP_BOX_VALUE_OFF, &reference, sizeof reference);
    return ref;
}

uint64_t gc_externalize(const struct gc *gc, uint64_t reference)
{
    if (reference == 0)
        return 0;
    if (reference & 1 || gc_type(gc, (uint32_t)reference)->display[0] != HEAP_ROOT_BOX)
        return reference | HEAP_EXTERN_INTERNAL;
    return *(const uint64_t *)(gc->base + reference + HEAP_BOX_VALUE_OFF);
}

void gc_stress(struct gc *gc)
{
    gc->touched = gc->stress = true;
    gc_leave_hole(gc);
}
