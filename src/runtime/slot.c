/* See slot.h. Everything here but slot_acquire's pop and slot_release's copies is off the request path. */
#include "runtime/slot_inner.h"

#include "base/alloc.h"
#include "runtime/resident.h"
#include "runtime/stack.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define WIPE_PAGES 64u  /* of memory that was grown: those that stay with a free slot, at most */
#define WIPE_SPAN 1024u /* pages, among which they are looked for */

/* Test builds have one error that the leak hunt must find: 1 a page, 2 a table's size, 3 a table of handles, 4 the
 * entries of a table of functions, 5 a page of memory that was grown. */
#ifdef MAYFLY_PLANT_LEAK
#define PLANTED(error) (MAYFLY_PLANT_LEAK == (error))
#else
#define PLANTED(error) false
#endif

static char *base_of(const struct slot *slot)
{
    return (char *)slot->store;
}

static void write_word(struct slot *slot, struct store *store, const struct image_word *word)
{
    struct program *program = slot->program;
    char *at = base_of(slot) + word->slot_off;
    uint64_t address = (uint64_t)slot->store + word->value;
    struct context context = {(uint64_t)program->image.base, store, program->helpers, word->value};
    switch ((enum image_word_kind)word->kind) {
    case WORD_CONTEXT: memcpy(at, &context, sizeof context); break;
    case WORD_HOST: memcpy(at, &program->hosts[word->value], sizeof(struct import_words)); break;
    case WORD_SLOT: memcpy(at, &address, sizeof address); break;
    }
}

static bool fill_fixed(struct slot *slot, struct store *store, struct err *err)
{
    const struct image *image = &slot->program->image;
    if (mprotect(slot->store, image->header->fixed_size, PROT_READ | PROT_WRITE) != 0)
        return err_errno(err, "cannot make a slot writable");
    slot->store->program = slot->program;
    for (uint64_t i = 0; i < image_words_count(image); i++)
        write_word(slot, store, &image_words(image)[i]);
    return true;
}

/* Descriptors and those objects for which there is room from the start. */
static bool map_heap(struct slot *slot)
{
    const struct image_header *header = slot->program->image.header;
    if (!header->heap_off)
        return true;
    char *base = base_of(slot) + header->heap_off;
    gc_init(&slot->gc, (uint8_t *)base, (struct heap_words *)(base_of(slot) + header->heap_words),
            (uint32_t)header->heap_objects, slot->program->heap_open);
    return mprotect(base + HEAP_NULL_BYTES, slot->program->heap_open - HEAP_NULL_BYTES, PROT_READ) == 0;
}

/* A single page that is made writable and filled anyway needs no mapping of its own before that. */
static bool is_filled(const struct program *program, const struct image_run *run)
{
    bool found = false;
    for (uint32_t i = 0; run->size == IMAGE_PAGE && i < program->hot_count && !found; i++)
        found = program->hot[i] == run->slot_off;
    return found;
}

/* Everything tracked starts read-only: zero, with the template's pages mapped over it. */
static bool map_template(struct slot *slot, struct err *err)
{
    const struct image *image = &slot->program->image;
    const struct image_header *header = image->header;
    bool done =
        header->mutable_size == 0 || mprotect(base_of(slot) + header->fixed_size, header->mutable_size, PROT_READ) == 0;
    done = done && map_heap(slot);
    for (uint64_t i = 0; done && i < image_memories_count(image); i++) {
        const struct image_memory *memory = &image_memories(image)[i];
        uint64_t bytes = program_memory_bytes(slot->program, i);
        if (memory->owner && bytes)
            done = mprotect(base_of(slot) + memory->base_off, bytes, PROT_READ) == 0;
    }
    for (uint64_t i = 0; done && i < image_runs_count(image); i++) {
        const struct image_run *run = &image_runs(image)[i];
        done = is_filled(slot->program, run) ||
               mmap(base_of(slot) + run->slot_off, run->size, PROT_READ, MAP_PRIVATE | MAP_FIXED, slot->program->fd,
                    (off_t)run->file_off) != MAP_FAILED;
    }
    return done || err_errno(err, "cannot map the template into a slot");
}

static bool make_writable(void *page)
{
    return mprotect(page, IMAGE_PAGE, PROT_READ | PROT_WRITE) == 0;
}

static void restore_page(const struct slot_page *hot)
{
    if (hot->source)
        memcpy(hot->page, hot->source, IMAGE_PAGE);
    else
        memset(hot->page, 0, IMAGE_PAGE);
}

bool slot_add_hot(struct slot *slot, uint64_t slot_off)
{
    struct slot_page hot = {(uint8_t *)base_of(slot) + slot_off, program_page_source(slot->program, slot_off)};
    if (slot->hot_count >= SLOT_HOT_MAX || !make_writable(hot.page))
        return false;
    slot->hot[slot->hot_count++] = hot;
    return true;
}

/* How many pages of the snapshot from `first` on lie side by side. */
static uint64_t adjacent(const struct program *program, uint64_t first)
{
    const struct program_page *pages = program->snapshot;
    uint64_t count = 1;
    while (first + count < program->snapshot_count &&
           pages[first + count].slot_off == pages[first].slot_off + count * IMAGE_PAGE)
        count++;
    return count;
}

/* Pages that start functions wrote and that instances do not write: contents in place, read-only. */
static bool fill_snapshot(struct slot *slot, struct err *err)
{
    const struct program *program = slot->program;
    for (uint64_t i = 0, count; i < program->snapshot_count; i += count) {
        count = adjacent(program, i);
        char *at = base_of(slot) + program->snapshot[i].slot_off;
        if (mprotect(at, count * IMAGE_PAGE, PROT_READ | PROT_WRITE) != 0)
            return err_errno(err, "cannot fill a slot");
        for (uint64_t k = 0; k < count; k++)
            memcpy(at + k * IMAGE_PAGE, program->snapshot[i + k].bytes, IMAGE_PAGE);
        if (mprotect(at, count * IMAGE_PAGE, PROT_READ) != 0)
            return err_errno(err, "cannot protect a slot");
    }
    return true;
}

/* Make the pages that earlier instances wrote resident and writable at once. */
static bool fill_hot(struct slot *slot, struct err *err)
{
    for (uint32_t i = 0; i < slot->program->hot_count; i++) {
        if (!slot_add_hot(slot, slot->program->hot[i]))
            return err_errno(err, "cannot make a slot's pages writable");
        restore_page(&slot->hot[i]);
    }
    slot->learned = slot->hot_count;
    return true;
}

static bool open_range(char *at, uint64_t size)
{
    return size == 0 || mprotect(at, size, PROT_READ | PROT_WRITE) == 0;
}

/* Too many pages to follow, or too many mappings for one more (the fault may be the host's own write, which
 * cannot trap): make everything writable at once, which also keeps the number of mappings that a
 * guest can cause bounded. The slot is dropped at its release. */
static bool open_all(struct slot *slot)
{
    const struct image *image = &slot->program->image;
    const struct image_header *header = image->header;
    slot->overflowed = true;
    bool done = open_range(base_of(slot) + header->fixed_size, header->mutable_size);
    if (done && header->heap_off)
        done = open_range(base_of(slot) + header->heap_off + header->heap_objects,
                          slot->program->heap_open - header->heap_objects);
    for (uint64_t i = 0; done && i < image_memories_count(image); i++) {
        const struct image_memory *memory = &image_memories(image)[i];
        if (memory->owner)
            done = open_range(base_of(slot) + memory->base_off, program_memory_bytes(slot->program, i));
    }
    return done;
}

/* What was stopped in its middle, and will not go on. */
static void drop_work(struct slot *slot)
{
    gc_abandon(&slot->gc);
    mem_free(slot->sweeping);
    slot->sweeping = NULL;
}

/* Addresses of a store of several images are given back all at once. */
static void drop(struct slot *slot)
{
    drop_work(slot);
    arena_free(&slot->exceptions);
    mem_free(slot->externs);
    if (slot->stack)
        stack_release(slot->stack);
    if (!slot->region)
        munmap(slot->store, slot->program->image.header->slot_size);
    slot->program->slot_count--;
    mem_free(slot);
}

/* Function references count contexts from the store in 32 bits, so all slots of a store lie within that reach. */
#define REGION_SIZE ((uint64_t)CONTEXT_ALIGN << 32)

static struct slot_region *region_make(struct err *err)
{
    struct slot_region *region = mem_alloc(1, sizeof *region);
    if (!region) {
        err_memory(err);
        return NULL;
    }
    void *low = mmap(NULL, REGION_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (low == MAP_FAILED) {
        err_errno(err, "cannot reserve the addresses of a store");
        mem_free(region);
        return NULL;
    }
    *region = (struct slot_region){(uint64_t)low, (uint64_t)low, (uint64_t)low + REGION_SIZE};
    return region;
}

static void region_free(struct slot_region *region)
{
    munmap((void *)region->low, region->high - region->low);
    mem_free(region);
}

/* Reserve addresses: anywhere, or the next ones of the store's region, inaccessible whatever lay there. */
static void *reserve(uint64_t size, struct slot_region *region, struct err *err)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    if (region && size > region->high - region->next) {
        err_set(err, ERR_LIMIT, "the instances of one store reserve more than 2^42 bytes of addresses");
        return MAP_FAILED;
    }
    void *at = region ? (void *)region->next : NULL;
    void *base = mmap(at, size, PROT_NONE, flags | (region ? MAP_FIXED : 0), -1, 0);
    if (base == MAP_FAILED)
        err_errno(err, "cannot reserve %llu bytes of addresses for a slot", (unsigned long long)size);
    return base;
}

static uint64_t word_at(const struct slot *slot, uint64_t slot_off)
{
    uint64_t word;
    memcpy(&word, base_of(slot) + slot_off, sizeof word);
    return word;
}

/* Bytes of the instance as it is now. */
static uint64_t measure(const struct slot *slot)
{
    const struct image *image = &slot->program->image;
    uint64_t bytes = slot->gc.open - slot->gc.first;
    for (uint64_t i = 0; i < image_memories_count(image); i++)
        bytes += image_memories(image)[i].owner ? word_at(slot, image_memories(image)[i].size_off) : 0;
    for (uint64_t i = 0; i < image_tables_count(image); i++)
        if (image_tables(image)[i].owner)
            bytes += word_at(slot, image_tables(image)[i].length_off) * sizeof(struct table_entry);
    return bytes;
}

bool slot_charge(struct slot *slot, uint64_t bytes)
{
    struct slot_account *account = slot->account;
    if (bytes > account->max - account->used) {
        account->refused = true;
        return false;
    }
    account->used += bytes;
    return true;
}

static bool open_account(struct slot *slot, const struct slot *first, struct err *err)
{
    slot->own = (struct slot_account){.max = slot->program->memory_max};
    slot->account = first ? first->account : &slot->own;
    slot->initial = measure(slot);
    if (slot_charge(slot, slot->initial))
        return true;
    return err_set(err, ERR_LIMIT, "memories, tables and objects need %llu bytes at the start, and %llu are allowed",
                   (unsigned long long)(slot->account->used + slot->initial), (unsigned long long)slot->account->max);
}

static bool fill(struct slot *slot, struct store *store, struct err *err)
{
    return fill_fixed(slot, store, err) && map_template(slot, err) && fill_snapshot(slot, err) && fill_hot(slot, err);
}

/* A slot in the pool (no region), the first of a region, or one joined to `first`. */
static struct slot *slot_create(struct program *program, const struct slot *first, struct slot_region *region,
                                struct err *err)
{
    struct slot *slot = mem_resize(NULL, 1, sizeof *slot);
    if (!slot) {
        err_memory(err);
        return NULL;
    }
    memset(slot, 0, offsetof(struct slot, hot)); /* of the rest most is never touched */
    uint64_t size = program->image.header->slot_size;
    void *base = reserve(size, region, err);
    if (base == MAP_FAILED) {
        mem_free(slot);
        return NULL;
    }
    slot->program = program;
    slot->store = base;
    slot->region = region;
    arena_init(&slot->exceptions, SLOT_EXCEPTION_BYTES);
    program->slot_count++;
    if (fill(slot, first ? first->store : base, err) && open_account(slot, first, err))
        return slot;
    drop(slot);
    return NULL;
}

/* A slot of a store of several images is never restored: nothing needs to know what it writes. */
static bool settle(struct slot *slot, struct err *err)
{
    if (!open_all(slot))
        return err_errno(err, "cannot make a slot writable");
    slot->region->next += slot->program->image.header->slot_size;
    return true;
}

struct slot *slot_open(struct program *program, struct err *err)
{
    struct slot_region *region = region_make(err);
    struct slot *slot = region ? slot_create(program, NULL, region, err) : NULL;
    if (slot && settle(slot, err))
        return slot;
    if (slot)
        drop(slot);
    if (region)
        region_free(region);
    return NULL;
}

/* A slot that is not one of its store's, or no more. */
static void give_back(struct slot *slot)
{
    slot->account->used -= slot->initial;
    drop(slot);
}

struct slot *slot_join(struct slot *first, struct program *program, struct err *err)
{
    struct slot *slot = slot_create(program, first, first->region, err);
    if (!slot)
        return NULL;
    if (!settle(slot, err)) {
        give_back(slot);
        return NULL;
    }
    slot->joined = first->joined;
    first->joined = slot;
    return slot;
}

void slot_leave(struct slot *first)
{
    struct slot *slot = first->joined;
    struct slot_region *region = first->region;
    region->next -= slot->program->image.header->slot_size;
    madvise((void *)region->next, slot->program->image.header->slot_size, MADV_DONTNEED);
    first->joined = slot->joined;
    give_back(slot);
}

uint64_t slot_reference(const struct slot *slot, const struct slot *first, uint64_t funcref)
{
    uint64_t away = (uint64_t)slot->store - (uint64_t)first->store;
    return FUNCREF_MAKE(FUNCREF_CODE(funcref), FUNCREF_CONTEXT(funcref) + away);
}

uint64_t slot_funcref(const struct slot *slot, const struct slot *first, const struct image_export *row)
{
    return slot_reference(slot, first, row->funcref);
}

void slot_link_func(struct slot *slot, const struct slot *first, uint64_t slot_off, uint64_t funcref)
{
    const struct context *context = (const void *)((char *)first->store + FUNCREF_CONTEXT(funcref));
    struct import_words words = {context->code_base + FUNCREF_CODE(funcref), (uint64_t)context};
    memcpy(base_of(slot) + slot_off, &words, sizeof words);
}

void slot_destroy(struct slot *slot)
{
    struct slot_region *region = slot->region;
    while (slot) {
        struct slot *joined = slot->joined;
        drop(slot);
        slot = joined;
    }
    if (region)
        region_free(region);
}

struct slot *slot_acquire(struct program *program, struct err *err)
{
    struct slot *slot = program->free_slots;
    if (!slot && program->image.header->joinable) {
        err_set(err, ERR_LINK, "the image was compiled to be linked at run time");
        return NULL;
    }
    if (!slot)
        return slot_create(program, NULL, NULL, err);
    program->free_slots = slot->next;
    return slot;
}

bool slot_limit(struct program *program, uint64_t bytes, struct err *err)
{
    while (program->free_slots) {
        struct slot *slot = program->free_slots;
        program->free_slots = slot->next;
        slot_destroy(slot);
    }
    program->memory_max = bytes;
    struct slot *slot = slot_acquire(program, err);
    if (slot)
        slot_release(slot);
    return slot != NULL;
}

static void learn(struct slot *slot)
{
    struct program *program = slot->program;
    for (; slot->learned < slot->hot_count; slot->learned++) {
        uint64_t off = (uint64_t)(slot->hot[slot->learned].page - (uint8_t *)slot->store);
        bool known = false;
        for (uint32_t i = 0; i < program->hot_count && !known; i++)
            known = program->hot[i] == off;
        if (!known && program->hot_count < PROGRAM_HOT_MAX)
            program->hot[program->hot_count++] = off;
    }
}

/* Zeros where there may be something else, if that is on few pages. False: nothing was done. A page that is swapped out
 * is not worth being fetched for that. */
static bool wipe(uint64_t low, uint64_t high)
{
    uint64_t rows[WIPE_SPAN];
    size_t count = (high - low) / IMAGE_PAGE, resident = 0;
    if (count > WIPE_SPAN || !resident_read(low, count, rows))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (rows[i] & RESIDENT_SWAPPED)
            return false;
        resident += (rows[i] & RESIDENT_PRESENT) != 0;
    }
    if (resident > WIPE_PAGES)
        return false;
    bool left = PLANTED(5);
    for (size_t i = 0; i < count; i++) {
        if (rows[i] & RESIDENT_PRESENT && !left)
            memset((void *)(low + i * IMAGE_PAGE), 0, IMAGE_PAGE);
        left = left && !(rows[i] & RESIDENT_PRESENT);
    }
    return true;
}

/* Clear a grown range and keep its pages for the next instance, which has no faults there then. One range of a slot is
 * so, the first that grew; pages of it above what this instance has are dropped, or instances that grow less and less
 * would leave ever more. Not while instances are parked: parking looks at every page, which the kernel counts as
 * touched. False: it is not cleared. */
static bool keep(struct slot *slot, uint64_t low, uint64_t high)
{
    struct slot_range *kept = &slot->kept;
    if (kept->high == 0)
        kept->low = kept->high = low;
    if (slot->parked || low != kept->low)
        return false;
    if (high < kept->high && madvise((void *)high, kept->high - high, MADV_DONTNEED) != 0)
        return false;
    kept->high = high;
    return wipe(low, high);
}

static bool drop_grown(struct slot *slot)
{
    bool done = true;
    for (uint32_t i = 0; i < slot->grown_count; i++) {
        uint64_t low = slot->grown[i].low, high = (slot->grown[i].high + IMAGE_PAGE - 1) & ~(uint64_t)(IMAGE_PAGE - 1);
        bool clear = keep(slot, low, high) || madvise((void *)low, high - low, MADV_DONTNEED) == 0;
        done = done && clear && mprotect((void *)low, high - low, PROT_NONE) == 0;
    }
    slot->grown_count = 0;
    return done;
}

bool slot_shed(struct slot *slot, uint64_t bytes)
{
    while (bytes && slot->grown_count) {
        struct slot_range *last = &slot->grown[slot->grown_count - 1];
        uint64_t size = last->high - last->low, part = size < bytes ? size : bytes;
        void *low = (void *)(last->high - part);
        if (madvise(low, part, MADV_DONTNEED) != 0 || mprotect(low, part, PROT_NONE) != 0)
            return false;
        last->high -= part;
        slot->grown_count -= part == size;
        bytes -= part;
    }
    return slot->grown_count != 0;
}

/* As it was made, at the same addresses: parked instances belong there. */
static bool make_again(struct slot *slot)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    uint64_t size = slot->program->image.header->slot_size;
    slot->hot_count = slot->learned = slot->grown_count = 0;
    slot->kept = (struct slot_range){0};
    slot->overflowed = false;
    return mmap(slot->store, size, PROT_NONE, flags, -1, 0) != MAP_FAILED && fill(slot, slot->store, NULL);
}

bool slot_take(struct slot *slot)
{
    struct slot **at = &slot->program->free_slots;
    while (*at && *at != slot)
        at = &(*at)->next;
    if (!*at)
        return false;
    *at = slot->next;
    return true;
}

#ifndef MAYFLY_PLANT_LEAK
static void restore_pages(const struct slot *slot)
{
    for (uint32_t i = 0; i < slot->hot_count; i++)
        restore_page(&slot->hot[i]);
}
#else
struct planted {
    uint64_t off, size; /* within one page */
};

/* The hunter's tables are the first one of other references, and the last one of functions. */
static struct planted planted_table(const struct image *image, bool is_func)
{
    const struct image_table *tables = image_tables(image);
    const struct image_table *found = NULL;
    for (uint64_t i = 0; i < image_tables_count(image); i++)
        if (tables[i].owner && !tables[i].is_func == !is_func && (is_func || !found))
            found = &tables[i];
    if (!found)
        return (struct planted){0};
    if (!is_func)
        return (struct planted){found->length_off, sizeof(uint64_t)};
    return (struct planted){found->entries_off, found->min * sizeof(struct table_entry)};
}

static struct planted planted_bytes(const struct image *image)
{
    struct planted planted = {image->header->handles_off, IMAGE_PAGE};
    if (PLANTED(2) || PLANTED(4))
        planted = planted_table(image, PLANTED(4));
    uint64_t rest = IMAGE_PAGE - planted.off % IMAGE_PAGE;
    if (planted.size > rest)
        planted.size = rest;
    return planted;
}

static void restore_pages(const struct slot *slot)
{
    static uint8_t kept[IMAGE_PAGE];
    struct planted bytes = planted_bytes(&slot->program->image);
    uint8_t *at = (uint8_t *)base_of(slot) + bytes.off;
    uint32_t left = PLANTED(1) && slot->hot_count > 0;
    bool planted = !PLANTED(1) && !PLANTED(5) && slot_is_hot(slot, at - bytes.off % IMAGE_PAGE);
    if (planted)
        memcpy(kept, at, bytes.size);
    for (uint32_t i = 0; i < slot->hot_count - left; i++)
        restore_page(&slot->hot[i]);
    if (planted)
        memcpy(at, kept, bytes.size);
}
#endif

void slot_release(struct slot *slot)
{
    struct program *program = slot->program;
    bool clean = !slot->overflowed;
    if (clean)
        restore_pages(slot);
    if (slot->grown_count)
        clean = drop_grown(slot) && clean;
    slot->own.used = slot->initial;
    slot->own.refused = false;
    if (slot->exceptions.used) {
        arena_reset(&slot->exceptions);
        slot->thrown = NULL;
        memset(slot->spare, 0, sizeof slot->spare);
    }
    drop_work(slot);
    if (slot->gc.touched)
        gc_reset(&slot->gc, program->heap_open);
    if (slot->learned < slot->hot_count)
        learn(slot);
    if (!clean && !slot->parked) {
        slot_destroy(slot);
        return;
    }
    if (!clean && !make_again(slot)) {
        slot->broken = true;
        return;
    }
    if (slot->stack && !slot->parked) {
        stack_release(slot->stack); /* whoever is next, of this program or another, finds it warm */
        slot->stack = NULL;
    }
    slot->age = program->age;
    slot->next = program->free_slots;
    program->free_slots = slot;
}

/* Those that were last used `age` trims ago or earlier. Returns how many free ones are left. */
static uint32_t drop_free(struct program *program, uint32_t age)
{
    struct slot **at = &program->free_slots;
    uint32_t left = 0;
    while (*at) {
        struct slot *slot = *at;
        if (program->age - slot->age < age || slot->parked) {
            left++;
            at = &slot->next;
            continue;
        }
        *at = slot->next;
        slot_destroy(slot);
    }
    return left;
}

uint32_t slot_trim(struct program *program)
{
    program->age++;
    return drop_free(program, 2);
}

void slot_drop_free(struct program *program)
{
    drop_free(program, 0);
}

/* Is the page tracked: in the mutable part, or in a memory below its template's size? */
static bool is_tracked(const struct slot *slot, uint64_t slot_off)
{
    const struct image *image = &slot->program->image;
    const struct image_header *header = image->header;
    if (slot_off - header->fixed_size < header->mutable_size)
        return true;
    if (header->heap_off &&
        slot_off - (header->heap_off + header->heap_objects) < slot->program->heap_open - header->heap_objects)
        return true;
    for (uint64_t i = 0; i < image_memories_count(image); i++) {
        const struct image_memory *memory = &image_memories(image)[i];
        if (memory->owner && slot_off - memory->base_off < program_memory_bytes(slot->program, i))
            return true;
    }
    return false;
}

bool slot_is_hot(const struct slot *slot, const uint8_t *page)
{
    for (uint32_t i = 0; i < slot->hot_count; i++)
        if (slot->hot[i].page == page)
            return true;
    return false;
}

bool slot_first_write(struct slot *slot, uint64_t address)
{
    uint64_t slot_off = (address - (uint64_t)slot->store) & ~(uint64_t)(IMAGE_PAGE - 1);
    uint8_t *page = (uint8_t *)base_of(slot) + slot_off;
    if (slot->overflowed || !is_tracked(slot, slot_off) || slot_is_hot(slot, page))
        return false;
    return slot_add_hot(slot, slot_off) || open_all(slot);
}

bool slot_grow(struct slot *slot, uint64_t low, uint64_t high)
{
    uint32_t at = 0;
    while (at < slot->grown_count && slot->grown[at].high != low)
        at++;
    if (!slot->region && at == SLOT_GROWN_MAX)
        return false;
    if (low < high && !slot_charge(slot, high - low))
        return false;
    if (low < high && mprotect((void *)low, high - low, PROT_READ | PROT_WRITE) != 0) {
        slot->account->used -= high - low;
        return false;
    }
    if (slot->region) /* never restored: nothing to remember */
        return true;
    if (at == slot->grown_count) {
        slot->grown_count++;
        slot->grown[at].low = low;
    }
    slot->grown[at].high = high;
    return true;
}
