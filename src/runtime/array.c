/* See array.h. */
#include "runtime/array.h"

#include "runtime/bulk.h"
#include "runtime/task.h"

#define ENTRIES_CHUNK 16384u /* between two tests whether the guest goes on */

static struct store *current_store(void)
{
    return task_current->slot->store;
}

static bool fits(const struct gc *gc, uint32_t array, uint32_t index, uint32_t length)
{
    uint32_t size = gc_header(gc, array)->length;
    return length <= size && index <= size - length;
}

static uint8_t *element(const struct gc *gc, uint32_t array, uint32_t index)
{
    return gc->base + array + HEAP_ELEMENTS_OFF + (uint64_t)index * gc_type(gc, array)->size;
}

enum trap array_copy(struct gc *gc, uint32_t to, uint32_t to_index, uint32_t from, uint32_t from_index, uint32_t length)
{
    if (!to || !from)
        return TRAP_NULL_REFERENCE;
    if (!fits(gc, to, to_index, length) || !fits(gc, from, from_index, length))
        return TRAP_ARRAY_BOUNDS;
    bool done = bulk_move(current_store(), element(gc, to, to_index), element(gc, from, from_index),
                          (uint64_t)length * gc_type(gc, to)->size);
    return done ? TRAP_NONE : TRAP_PENDING;
}

static enum trap check_source(const struct array_source *source, uint32_t size, uint32_t from, uint32_t length)
{
    uint64_t units = source->bytes ? (uint64_t)length * size : length;
    if (units <= source->count && from <= source->count - units)
        return TRAP_NONE;
    return source->bytes ? TRAP_MEMORY_BOUNDS : TRAP_TABLE_BOUNDS;
}

static bool copy_entries(uint8_t *to, uint32_t size, const struct array_source *source, uint32_t from, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++) {
        struct table_entry entry = source->entries[(uint64_t)from + i];
        uint64_t reference = entry.reference + (entry.type_hash ? source->moved : 0);
        memcpy(to + (uint64_t)i * size, &reference, size); /* four bytes or eight, little endian */
        if (i % ENTRIES_CHUNK == 0 && !guest_goes_on(current_store()))
            return false;
    }
    return true;
}

static enum trap copy_in(struct gc *gc, uint32_t array, uint32_t index, const struct array_source *source,
                         uint32_t from, uint32_t length)
{
    uint8_t *to = element(gc, array, index);
    uint32_t size = gc_type(gc, array)->size;
    bool done = source->bytes ? bulk_move(current_store(), to, source->bytes + from, (uint64_t)length * size)
                              : copy_entries(to, size, source, from, length);
    return done ? TRAP_NONE : TRAP_PENDING;
}

enum trap array_init(struct gc *gc, uint32_t array, uint32_t index, const struct array_source *source, uint32_t from,
                     uint32_t length)
{
    if (!array)
        return TRAP_NULL_REFERENCE;
    if (!fits(gc, array, index, length))
        return TRAP_ARRAY_BOUNDS;
    enum trap trap = check_source(source, gc_type(gc, array)->size, from, length);
    return trap == TRAP_NONE ? copy_in(gc, array, index, source, from, length) : trap;
}

enum trap array_new(struct gc *gc, uint32_t type, const struct array_source *source, uint32_t from, uint32_t length,
                    uint32_t *ret_ref)
{
    uint32_t size = ((const struct heap_type *)(gc->base + type))->size;
    enum trap trap = check_source(source, size, from, length);
    if (trap != TRAP_NONE)
        return trap;
    uint32_t ref = gc_allocate(gc, HEAP_ELEMENTS_OFF + (uint64_t)length * size);
    if (!ref)
        return TRAP_OUT_OF_MEMORY;
    *gc_header(gc, ref) = (struct heap_header){type, length};
    *ret_ref = ref;
    return copy_in(gc, ref, 0, source, from, length);
}
