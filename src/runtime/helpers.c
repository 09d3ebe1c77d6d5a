/* See helpers.h and image/helpers.def. Each helper trusts its context (made by us) and checks the rest: unit
 * tables say where memories, tables and segments lie, bounds follow the core specification, section 4.6. */
#include "runtime/helpers.h"

#include "runtime/array.h"
#include "runtime/bulk.h"
#include "runtime/exception.h"
#include "runtime/task.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define ENTRIES_CHUNK ((uint64_t)16384) /* of a table, between two tests whether the guest goes on */

/* The context's own image and slot: in a store of several images they are not the store's. */
static struct image image_of(const struct context *context)
{
    return (struct image){(const uint8_t *)context->code_base, (const void *)context->code_base};
}

static const struct image_unit *unit_of(const struct context *context)
{
    struct image image = image_of(context);
    return &image_units(&image)[context->unit];
}

static char *at(const struct context *context, uint64_t slot_off)
{
    return (char *)context - unit_of(context)->context + slot_off;
}

/* A memory or table that the context's unit defines, or imports from another slot of the store. */
struct memory {
    char *base;
    uint64_t *size; /* bytes */
    const struct image_memory *row;
};

static struct memory memory_of(const struct context *context, uint32_t memory)
{
    struct image image = image_of(context);
    const struct image_memory *row = &image_memories(&image)[unit_of(context)->memory_first + memory];
    if (row->words_off) {
        const struct link_words *words = (const void *)at(context, row->words_off);
        return (struct memory){(char *)words->address, (uint64_t *)words->size, (const void *)words->row};
    }
    return (struct memory){at(context, row->base_off), (uint64_t *)at(context, row->size_off), row};
}

struct table {
    struct table_entry *entries;
    uint64_t *length;
    const struct image_table *row;
};

static struct table table_of(const struct context *context, uint32_t table)
{
    struct image image = image_of(context);
    const struct image_table *row = &image_tables(&image)[unit_of(context)->table_first + table];
    if (row->words_off) {
        const struct link_words *words = (const void *)at(context, row->words_off);
        return (struct table){(void *)words->address, (uint64_t *)words->size, (const void *)words->row};
    }
    return (struct table){(void *)at(context, row->entries_off), (uint64_t *)at(context, row->length_off), row};
}

static bool within(uint64_t start, uint64_t length, uint64_t size)
{
    return length <= size && start <= size - length;
}

static uint32_t trap(const struct context *context, enum trap trap)
{
    return trap_raise(context->store, trap, NULL);
}

/* For helpers that cannot fail otherwise. `return_address` is the helper's. */
static void end_if_due(const struct context *context, bool goes_on, uint64_t return_address)
{
    if (!goes_on)
        trap_leave(context->store, TRAP_PENDING, return_address);
}

#define END_IF_DUE(context, goes_on) end_if_due(context, goes_on, (uint64_t)__builtin_return_address(0))

static uint64_t help_memory_grow(struct context *context, uint32_t memory, uint64_t delta)
{
    struct memory to = memory_of(context, memory);
    const struct image_memory *row = to.row;
    uint64_t old = *to.size, bytes;
    if (delta > row->max_bytes >> row->page_log2 || __builtin_add_overflow(old, delta << row->page_log2, &bytes) ||
        bytes > row->max_bytes)
        return UINT64_MAX;
    END_IF_DUE(context, guest_goes_on(context->store));
    uint64_t base = (uint64_t)to.base;
    struct slot *slot = delta ? slot_of(task_current->slot, base) : NULL;
    if (delta && (!slot || !slot_grow(slot, base + old, base + bytes)))
        return UINT64_MAX;
    if (delta)
        *to.size = bytes;
    return old >> row->page_log2;
}

static uint32_t help_memory_fill(struct context *context, uint32_t memory, uint64_t to, uint32_t value, uint64_t length)
{
    struct memory target = memory_of(context, memory);
    if (!within(to, length, *target.size))
        return trap(context, TRAP_MEMORY_BOUNDS);
    return bulk_fill(context->store, target.base + to, (uint8_t)value, length);
}

static uint32_t help_memory_copy(struct context *context, uint32_t to_memory, uint32_t from_memory, uint64_t to,
                                 uint64_t from, uint64_t length)
{
    struct memory target = memory_of(context, to_memory), source = memory_of(context, from_memory);
    if (!within(to, length, *target.size) || !within(from, length, *source.size))
        return trap(context, TRAP_MEMORY_BOUNDS);
    return bulk_move(context->store, target.base + to, source.base + from, length);
}

/* Out of the way of short blocks, which are one jump away from the C library. */
static __attribute__((noinline)) void move_long(struct context *context, uint64_t to, uint64_t from, uint64_t length,
                                                uint64_t return_address)
{
    end_if_due(context, bulk_move_long(context->store, (void *)to, (const void *)from, length), return_address);
}

static void help_move(struct context *context, uint64_t to, uint64_t from, uint64_t length)
{
    if (__builtin_expect(length > BULK_SHORT, 0))
        move_long(context, to, from, length, (uint64_t)__builtin_return_address(0));
    else
        memmove((void *)to, (const void *)from, length);
}

static __attribute__((noinline)) void fill_long(struct context *context, uint64_t to, uint32_t value, uint64_t length,
                                                uint64_t return_address)
{
    end_if_due(context, bulk_fill_long(context->store, (void *)to, (uint8_t)value, length), return_address);
}

static void help_fill(struct context *context, uint64_t to, uint32_t value, uint64_t length)
{
    if (__builtin_expect(length > BULK_SHORT, 0))
        fill_long(context, to, value, length, (uint64_t)__builtin_return_address(0));
    else
        memset((void *)to, (int)value, length);
}

/* What is left of a segment: nothing once dropped. */
static struct image_segment segment_of(const struct context *context, uint32_t row)
{
    struct image image = image_of(context);
    struct image_segment segment = image_segments(&image)[row];
    if (*(uint8_t *)at(context, segment.flag_off))
        segment.count = 0;
    return segment;
}

static uint32_t help_memory_init(struct context *context, uint32_t memory, uint32_t data, uint64_t to, uint64_t from,
                                 uint64_t length)
{
    struct memory target = memory_of(context, memory);
    struct image_segment segment = segment_of(context, unit_of(context)->data_first + data);
    if (!within(to, length, *target.size) || !within(from, length, segment.count))
        return trap(context, TRAP_MEMORY_BOUNDS);
    struct image image = image_of(context);
    return bulk_move(context->store, target.base + to, image_bytes(&image) + segment.first + from, length);
}

static void drop(const struct context *context, uint32_t row)
{
    struct image image = image_of(context);
    *(uint8_t *)at(context, image_segments(&image)[row].flag_off) = 1;
}

static void help_data_drop(struct context *context, uint32_t data)
{
    drop(context, unit_of(context)->data_first + data);
}

static void help_elem_drop(struct context *context, uint32_t elem)
{
    drop(context, unit_of(context)->elem_first + elem);
}

static const struct context *callee_of(const struct context *context, uint64_t reference)
{
    return (const void *)((const char *)context->store + FUNCREF_CONTEXT(reference));
}

/* A reference as a table holds it: functions with their type hash, which stands before their code. */
static struct table_entry entry_of(const struct context *context, bool is_func, uint64_t reference)
{
    struct table_entry entry = {reference, 0};
    if (is_func && reference) {
        const struct context *callee = callee_of(context, reference);
        memcpy(&entry.type_hash, (const char *)callee->code_base + FUNCREF_CODE(reference) - 8, 8);
    }
    return entry;
}

static uint32_t help_table_get(struct context *context, uint32_t table, uint64_t index, uint64_t *out)
{
    struct table from = table_of(context, table);
    if (index >= *from.length)
        return trap(context, TRAP_TABLE_BOUNDS);
    *out = from.entries[index].reference;
    return 1;
}

static uint32_t help_table_set(struct context *context, uint32_t table, uint64_t index, uint64_t reference)
{
    struct table to = table_of(context, table);
    if (index >= *to.length)
        return trap(context, TRAP_TABLE_BOUNDS);
    to.entries[index] = entry_of(context, to.row->is_func, reference);
    return 1;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* False: the guest must end. */
static bool fill(const struct context *context, struct table to, uint64_t from, uint64_t length, uint64_t reference)
{
    struct table_entry entry = entry_of(context, to.row->is_func, reference);
    for (uint64_t end = from + length, stop; from < end && guest_goes_on(context->store); from = stop)
        for (stop = least(end, from + ENTRIES_CHUNK); from < stop; from++)
            to.entries[from] = entry;
    return guest_goes_on(context->store);
}

static uint64_t help_table_grow(struct context *context, uint32_t table, uint64_t reference, uint64_t delta)
{
    struct table to = table_of(context, table);
    uint64_t old = *to.length;
    if (delta > to.row->max - old || !slot_charge(task_current->slot, delta * sizeof(struct table_entry)))
        return UINT64_MAX;
    END_IF_DUE(context, fill(context, to, old, delta, reference));
    if (delta)
        *to.length = old + delta;
    return old;
}

static uint32_t help_table_fill(struct context *context, uint32_t table, uint64_t index, uint64_t reference,
                                uint64_t length)
{
    struct table to = table_of(context, table);
    if (!within(index, length, *to.length))
        return trap(context, TRAP_TABLE_BOUNDS);
    return fill(context, to, index, length, reference);
}

static uint32_t help_table_copy(struct context *context, uint32_t to_table, uint32_t from_table, uint64_t to,
                                uint64_t from, uint64_t length)
{
    struct table target = table_of(context, to_table), source = table_of(context, from_table);
    if (!within(to, length, *target.length) || !within(from, length, *source.length))
        return trap(context, TRAP_TABLE_BOUNDS);
    return bulk_move(context->store, target.entries + to, source.entries + from, length * sizeof(struct table_entry));
}

/* References in an image are relative to its own slot: what makes them relative to the store. */
static uint64_t moved(const struct context *context)
{
    return ((uint64_t)at(context, 0) - (uint64_t)context->store) / CONTEXT_ALIGN << 32;
}

static void move_references(struct table_entry *entries, uint64_t count, uint64_t by)
{
    for (uint64_t i = 0; by && i < count; i++)
        if (entries[i].type_hash)
            entries[i].reference += by;
}

/* Copy entries of a segment, which lie in the image, or in the slot when the instance made them. */
static void read_entries(const struct context *context, struct image_segment segment, uint64_t from, uint64_t count,
                         struct table_entry *to)
{
    struct image image = image_of(context);
    const struct table_entry *here = (const struct table_entry *)at(context, segment.first);
    memcpy(to, (segment.late ? here : image_entries(&image) + segment.first) + from, count * sizeof *to);
    if (!segment.late)
        move_references(to, count, moved(context));
}

static uint32_t help_table_init(struct context *context, uint32_t table, uint32_t elem, uint64_t to, uint64_t from,
                                uint64_t length)
{
    struct table target = table_of(context, table);
    struct image_segment segment = segment_of(context, unit_of(context)->elem_first + elem);
    if (!within(to, length, *target.length) || !within(from, length, segment.count))
        return trap(context, TRAP_TABLE_BOUNDS);
    for (uint64_t done = 0, part; done < length && guest_goes_on(context->store); done += part) {
        part = least(length - done, ENTRIES_CHUNK);
        read_entries(context, segment, from + done, part, target.entries + to + done);
    }
    return guest_goes_on(context->store);
}

static void help_elem_set(struct context *context, uint32_t elem, uint64_t index, uint64_t reference)
{
    struct image image = image_of(context);
    const struct image_segment *segment = &image_segments(&image)[unit_of(context)->elem_first + elem];
    struct table_entry *entries = (struct table_entry *)at(context, segment->first);
    if (segment->late && index < segment->count)
        entries[index] = entry_of(context, segment->late == IMAGE_LATE_FUNCS, reference);
}

/* The entry's type hash is not the expected one: null, a subtype, or another type. */
static uint32_t help_indirect_slow(struct context *context, uint32_t table, uint64_t index, uint64_t expected)
{
    struct table from = table_of(context, table);
    if (index >= *from.length)
        return trap(context, TRAP_UNDEFINED_ELEMENT);
    struct table_entry entry = from.entries[index];
    if (entry.reference == 0)
        return trap(context, TRAP_UNINITIALIZED_ELEMENT);
    struct image image = image_of(callee_of(context, entry.reference));
    return image_subtype(&image, entry.type_hash, expected) || trap(context, TRAP_INDIRECT_TYPE);
}

/* ---- the heap: of the context's own slot ---- */

static struct gc *gc_of(const struct context *context)
{
    return &slot_of(task_current->slot, (uint64_t)context)->gc;
}

static uint64_t out_of_memory(const struct context *context)
{
    return trap_raise(context->store, TRAP_OUT_OF_MEMORY, "the heap of objects is full");
}

static uint64_t help_gc_allocate(struct context *context, uint64_t size)
{
    uint32_t ref = gc_allocate(gc_of(context), size);
    return ref ? ref : out_of_memory(context);
}

static uint64_t help_box_extern(struct context *context, uint64_t number)
{
    uint64_t ref = gc_internalize(gc_of(context), number);
    return ref ? ref : out_of_memory(context);
}

static uint32_t done(const struct context *context, enum trap result)
{
    return (result == TRAP_NONE && guest_goes_on(context->store)) || trap(context, result);
}

static uint32_t help_array_copy(struct context *context, uint64_t to, uint32_t to_index, uint64_t from,
                                uint32_t from_index, uint32_t length)
{
    return done(context, array_copy(gc_of(context), (uint32_t)to, to_index, (uint32_t)from, from_index, length));
}

static struct array_source data_source(const struct context *context, uint32_t data)
{
    struct image image = image_of(context);
    struct image_segment segment = segment_of(context, unit_of(context)->data_first + data);
    return (struct array_source){.bytes = image_bytes(&image) + segment.first, .count = segment.count};
}

static struct array_source elem_source(const struct context *context, uint32_t elem)
{
    struct image image = image_of(context);
    struct image_segment segment = segment_of(context, unit_of(context)->elem_first + elem);
    const struct table_entry *here = (const struct table_entry *)at(context, segment.first);
    if (segment.late)
        return (struct array_source){.entries = here, .count = segment.count};
    return (struct array_source){
        .entries = image_entries(&image) + segment.first, .moved = moved(context), .count = segment.count};
}

static uint32_t help_array_init_data(struct context *context, uint64_t array, uint32_t index, uint32_t data,
                                     uint32_t from, uint32_t length)
{
    struct array_source source = data_source(context, data);
    return done(context, array_init(gc_of(context), (uint32_t)array, index, &source, from, length));
}

static uint32_t help_array_init_elem(struct context *context, uint64_t array, uint32_t index, uint32_t elem,
                                     uint32_t from, uint32_t length)
{
    struct array_source source = elem_source(context, elem);
    return done(context, array_init(gc_of(context), (uint32_t)array, index, &source, from, length));
}

static uint64_t new_array(const struct context *context, uint32_t type, const struct array_source *source,
                          uint32_t from, uint32_t length)
{
    uint32_t ref = 0;
    enum trap result = array_new(gc_of(context), type, source, from, length, &ref);
    if (result == TRAP_OUT_OF_MEMORY)
        return out_of_memory(context);
    return done(context, result) ? ref : 0;
}

static uint64_t help_array_new_data(struct context *context, uint32_t type, uint32_t data, uint32_t from,
                                    uint32_t length)
{
    struct array_source source = data_source(context, data);
    return new_array(context, type, &source, from, length);
}

static uint64_t help_array_new_elem(struct context *context, uint32_t type, uint32_t elem, uint32_t from,
                                    uint32_t length)
{
    struct array_source source = elem_source(context, elem);
    return new_array(context, type, &source, from, length);
}

static uint64_t help_func_is(struct context *context, uint64_t reference, uint64_t expected)
{
    struct image image = image_of(callee_of(context, reference));
    return image_subtype(&image, entry_of(context, true, reference).type_hash, expected);
}

static void help_throw_exception(struct context *context, uint64_t tag, const union cell *values, uint32_t count)
{
    exception_throw(context->store, tag, values, count, (uint64_t)__builtin_return_address(0));
}

static void help_rethrow_exception(struct context *context, uint64_t exception)
{
    exception_rethrow(context->store, exception, (uint64_t)__builtin_return_address(0));
}

/* Blocks the thread like any other guest code that runs for long, until its time is over. A trap while one store has
 * one thread: nobody could wake it. */
static uint32_t help_memory_wait(struct context *context, uint64_t timeout_ns)
{
    const uint64_t second = 1000000000;
    if ((int64_t)timeout_ns < 0)
        return trap(context, TRAP_ENDLESS_WAIT);
    struct timespec rest = {(time_t)(timeout_ns / second), (long)(timeout_ns % second)};
    while (guest_goes_on(context->store) && nanosleep(&rest, &rest) != 0 && errno == EINTR)
        continue;
    return guest_goes_on(context->store);
}

const void *const helper_table[] = {
#define HELPER(name, signature) [HELPER_##name] = (const void *)help_##name,
#include "image/helpers.def"
#undef HELPER
};
