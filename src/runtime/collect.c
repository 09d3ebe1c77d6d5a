/* The collector: see gc.h for what it takes for a reference.
 *
 * First all tiles (objects and holes) are walked, so that any address can be traced to the object around it; then
 * objects are marked from the roots; then the walk is repeated and what is unmarked becomes holes. A tile that does
 * not fit into its neighbourhood means that the heap is not what generated code makes of it: the process ends.
 * Every loop ends early once the guest must end. Until the sweep nothing of the heap is changed but the current hole,
 * which becomes a filler; a sweep that stops leaves holes that no list knows.
 * The stack of objects to scan is bounded; when it is full, marked objects are scanned again until nothing is new. */
#include "base/alloc.h"
#include "base/log.h"
#include "runtime/exception.h"
#include "runtime/gc.h"
#include "runtime/task.h"

#include <stdlib.h>
#include <string.h>

#define CARD_LOG2 16 /* bytes per entry of `cards` */
#define STACK_MIN ((size_t)4096)
#define STEPS_CHUNK 4096
#define STACK_SHARE 64 /* one entry for so many bytes of heap at the most */

struct collector {
    struct gc *gc;
    struct slot *store; /* the first of its slots */
    uint64_t size;      /* bytes of objects and holes */
    uint64_t *starts;   /* a bit per 8 bytes: a tile begins here */
    uint64_t *marks;    /* the tile is an object that stays */
    uint32_t *cards;    /* per 1 << CARD_LOG2 bytes: the tile that holds its first byte, from gc->first */
    uint32_t *stack;    /* marked, not scanned */
    size_t count, capacity, stack_max;
    bool overflowed;
    bool stopped; /* the guest must end: nothing goes on */
};

/* To be asked before every step of what may be long. */
static bool goes_on(struct collector *c)
{
    if (!guest_goes_on(c->store->store))
        c->stopped = true;
    return !c->stopped;
}

/* The same for steps too short to ask before each. */
static bool goes_on_at(struct collector *c, uint64_t step)
{
    return step % STEPS_CHUNK || goes_on(c);
}

/* ---- tiles; offsets here are from gc->first ---- */

static __attribute__((noreturn)) void corrupt(const struct gc *gc, uint64_t at)
{
    log_line(LOG_ERROR, NULL, "fatal: the heap is damaged at 0x%llx", (unsigned long long)(gc->first + at));
    abort();
}

static uint64_t tile_size(const struct collector *c, uint64_t at)
{
    const struct gc *gc = c->gc;
    const struct heap_header *header = gc_header(gc, gc->first + (uint32_t)at);
    uint64_t size = header->length;
    if (header->type) {
        if (header->type < HEAP_NULL_BYTES || header->type >= gc->first || header->type % HEAP_ALIGN)
            corrupt(gc, at);
        const struct heap_type *type = (const struct heap_type *)(gc->base + header->type);
        size = type->size;
        if (type->display[0] == HEAP_ROOT_ARRAY)
            size = HEAP_ELEMENTS_OFF + (uint64_t)header->length * type->size;
        size = (size + HEAP_ALIGN - 1) & ~(uint64_t)(HEAP_ALIGN - 1);
    }
    if (size == 0 || size % HEAP_ALIGN || size > c->size - at)
        corrupt(gc, at);
    return size;
}

static bool test_bit(const uint64_t *bits, uint64_t at)
{
    return bits[at / 512] >> (at / 8 % 64) & 1;
}

static void set_bit(uint64_t *bits, uint64_t at)
{
    bits[at / 512] |= (uint64_t)1 << (at / 8 % 64);
}

static void find_tiles(struct collector *c)
{
    uint64_t card = 0;
    for (uint64_t at = 0, size; at < c->size && goes_on(c); at += size) {
        size = tile_size(c, at);
        set_bit(c->starts, at);
        for (; card << CARD_LOG2 < at + size; card++)
            c->cards[card] = (uint32_t)at;
    }
}

/* The tile around the byte `at`. */
static uint64_t tile_of(const struct collector *c, uint64_t at)
{
    uint64_t low = at >> CARD_LOG2 << CARD_LOG2, word = at / 512;
    uint64_t bits = c->starts[word] & (~(uint64_t)0 >> (63 - at / 8 % 64));
    while (!bits && word * 512 > low)
        bits = c->starts[--word];
    return bits ? (word * 64 + 63 - (uint64_t)__builtin_clzll(bits)) * 8 : c->cards[at >> CARD_LOG2];
}

/* ---- marking ---- */

static bool grow_stack(struct collector *c)
{
    size_t capacity = c->capacity ? c->capacity * 2 : STACK_MIN;
    uint32_t *stack = capacity <= c->stack_max ? mem_resize(c->stack, capacity, sizeof *stack) : NULL;
    if (!stack)
        return false;
    c->stack = stack;
    c->capacity = capacity;
    return true;
}

/* The tile at `at`, unless it is a hole. */
static void mark_tile(struct collector *c, uint64_t at)
{
    if (test_bit(c->marks, at) || !gc_header(c->gc, c->gc->first + (uint32_t)at)->type)
        return;
    set_bit(c->marks, at);
    if (c->count < c->capacity || grow_stack(c))
        c->stack[c->count++] = (uint32_t)at;
    else
        c->overflowed = true;
}

static void mark_ref(struct collector *c, uint32_t ref)
{
    uint64_t at = (uint64_t)ref - c->gc->first;
    if (ref % HEAP_ALIGN == 0 && at < c->size && test_bit(c->starts, at))
        mark_tile(c, at);
}

static void mark_extern(struct collector *c, uint64_t ref)
{
    if (ref & HEAP_EXTERN_INTERNAL)
        mark_ref(c, (uint32_t)ref);
}

/* Any byte of an object, as an offset from the heap base. */
static void mark_inside(struct collector *c, uint64_t offset)
{
    uint64_t at = offset - c->gc->first;
    if (at < c->size)
        mark_tile(c, tile_of(c, at));
}

static void scan_struct(struct collector *c, const uint8_t *object, const struct heap_type *type)
{
    const uint32_t *list = (const uint32_t *)type + type->ref_first;
    for (uint32_t i = 0; i < type->ref_count; i++) {
        const uint8_t *field = object + (list[i] & ~(uint32_t)3);
        if ((list[i] & 3) == HEAP_REF_ANY)
            mark_ref(c, *(const uint32_t *)field);
        else
            mark_extern(c, *(const uint64_t *)field);
    }
}

static void scan_array(struct collector *c, const uint8_t *object, const struct heap_type *type)
{
    uint32_t length = ((const struct heap_header *)object)->length;
    const uint8_t *elements = object + HEAP_ELEMENTS_OFF;
    if (type->ref == HEAP_REF_ANY)
        for (uint32_t i = 0; i < length && goes_on_at(c, i); i++)
            mark_ref(c, ((const uint32_t *)elements)[i]);
    else if (type->ref == HEAP_REF_EXTERN)
        for (uint32_t i = 0; i < length && goes_on_at(c, i); i++)
            mark_extern(c, ((const uint64_t *)elements)[i]);
}

static void scan(struct collector *c, uint64_t at)
{
    uint32_t ref = c->gc->first + (uint32_t)at;
    const struct heap_type *type = gc_type(c->gc, ref);
    if (type->display[0] == HEAP_ROOT_ARRAY)
        scan_array(c, c->gc->base + ref, type);
    else
        scan_struct(c, c->gc->base + ref, type);
}

static void scan_stacked(struct collector *c)
{
    while (c->count && goes_on(c))
        scan(c, c->stack[--c->count]);
}

static void scan_all(struct collector *c)
{
    scan_stacked(c);
    while (c->overflowed && goes_on(c)) {
        c->overflowed = false;
        for (uint64_t at = 0; at < c->size && goes_on(c); at += tile_size(c, at))
            if (test_bit(c->marks, at)) {
                scan(c, at);
                scan_stacked(c);
            }
    }
}

/* ---- roots ---- */

/* A word of a stack: two offsets, an address, or an address less that of a context of `slot`, which is how
 * generated code may keep one. */
static void mark_word(struct collector *c, uint64_t word, uint64_t base)
{
    mark_inside(c, (uint32_t)word);
    mark_inside(c, word >> 32);
    mark_inside(c, word - base);
}

static void mark_relative(struct collector *c, const struct slot *slot, uint64_t word)
{
    const struct image *image = &slot->program->image;
    uint64_t base = (uint64_t)c->gc->base - (uint64_t)slot->store; /* from the slot; contexts lie in its fixed part */
    if (word - (base - image->header->fixed_size) >= image->header->fixed_size + c->gc->open)
        return;
    for (uint64_t i = 0; i < image_units_count(image); i++)
        mark_inside(c, word - (base - image_units(image)[i].context));
}

/* All of [low, high), which other functions have frames in: AddressSanitizer must look away. */
static __attribute__((no_sanitize("address"))) void mark_range(void *arg, uint64_t low, uint64_t high)
{
    struct collector *c = arg;
    for (const uint64_t *at = (const uint64_t *)((low + 7) & ~(uint64_t)7); (uint64_t)at < high; at++) {
        mark_word(c, *at, (uint64_t)c->gc->base);
        for (const struct slot *slot = c->store; slot; slot = slot->joined)
            mark_relative(c, slot, *at);
    }
}

static void mark_cells(struct collector *c, const union cell *cells, uint64_t count, uint32_t ref)
{
    for (uint64_t i = 0; i < count && goes_on_at(c, i); i++) {
        if (ref == HEAP_REF_ANY)
            mark_ref(c, cells[i].u32);
        else if (ref == HEAP_REF_EXTERN)
            mark_extern(c, cells[i].u64);
    }
}

_Static_assert(sizeof(struct table_entry) == sizeof(union cell) && offsetof(struct table_entry, reference) == 0,
               "tables are scanned as cells");

static void mark_slot(struct collector *c, const struct slot *slot)
{
    const struct image *image = &slot->program->image;
    const char *base = (const char *)slot->store;
    for (uint64_t i = 0; i < image_roots_count(image); i++) {
        const struct image_root *root = &image_roots(image)[i];
        if (!root->flag_off || !base[root->flag_off])
            mark_cells(c, (const union cell *)(base + root->slot_off), root->count, root->ref);
    }
    for (uint64_t i = 0; i < image_tables_count(image); i++) {
        const struct image_table *table = &image_tables(image)[i];
        if (table->owner && table->ref)
            mark_cells(c, (const union cell *)(base + table->entries_off),
                       *(const uint64_t *)(base + table->length_off), table->ref);
    }
}

/* Exceptions live as long as the instance. What their cells hold is not known: anything that is a reference. */
static void mark_exceptions(struct collector *c)
{
    for (const struct thrown *thrown = c->store->thrown; thrown; thrown = thrown->next)
        for (uint64_t i = 0; i < thrown->count; i++) {
            mark_ref(c, thrown->exception.values[i].u32);
            mark_extern(c, thrown->exception.values[i].u64);
        }
}

static void mark_all(struct collector *c, uint64_t here)
{
    task_each_range(c->store, here, mark_range, c);
    mark_exceptions(c);
    for (const struct slot *slot = c->store; slot; slot = slot->joined)
        mark_slot(c, slot);
    scan_all(c);
}

/* ---- sweeping ---- */

static void sweep(struct collector *c)
{
    struct gc *gc = c->gc;
    uint64_t hole = 0, live = 0;
    memset(gc->bins, 0, sizeof gc->bins);
    for (uint64_t at = 0, size; at < c->size; at += size) {
        if (!goes_on(c))
            return;
        size = tile_size(c, at);
        if (!test_bit(c->marks, at))
            continue;
        gc_add_hole(gc, gc->first + (uint32_t)hole, at - hole);
        hole = at + size;
        live += size;
    }
    gc_add_hole(gc, gc->first + (uint32_t)hole, c->size - hole);
    gc->live = live;
    gc->budget = live * 2 > GC_BUDGET_MIN ? live * 2 : GC_BUDGET_MIN;
}

/* In three walks; each needs all of the one before. */
static void collect(struct collector *c)
{
    find_tiles(c);
    __builtin_unwind_init(); /* registers that C keeps across calls go onto the stack */
    if (!c->stopped)
        mark_all(c, (uint64_t)__builtin_frame_address(0) - 256);
    if (!c->stopped)
        sweep(c);
}

static bool prepare(struct collector *c)
{
    uint64_t bits = c->size / 512 + 1, cards = (c->size >> CARD_LOG2) + 1;
    c->starts = mem_alloc(bits, sizeof *c->starts);
    c->marks = mem_alloc(bits, sizeof *c->marks);
    c->cards = mem_alloc(cards, sizeof *c->cards);
    c->stack_max = c->size / STACK_SHARE > STACK_MIN ? c->size / STACK_SHARE : STACK_MIN;
    return c->starts && c->marks && c->cards && grow_stack(c);
}

void gc_abandon(struct gc *gc)
{
    struct collector *c = gc->under_way;
    if (!c)
        return;
    mem_free(c->starts);
    mem_free(c->marks);
    mem_free(c->cards);
    mem_free(c->stack);
    mem_free(c);
    gc->under_way = NULL;
}

bool gc_collect(struct gc *gc, struct slot *first)
{
    struct collector *c = gc->under_way = mem_alloc(1, sizeof *c);
    if (!c)
        return false;
    *c = (struct collector){.gc = gc, .store = first, .size = gc->open - gc->first};
    bool ready = prepare(c);
    if (ready) {
        gc_leave_hole(gc);
        *gc->words = (struct heap_words){(uint32_t)gc->open, (uint32_t)gc->open};
        gc->touched = true;
        gc->collections++;
        collect(c);
    }
    bool done = ready && !c->stopped;
    gc_abandon(gc);
    return done;
}
