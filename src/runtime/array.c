/* See array.h. */
#include "runtime/array.h"

#include <string.h>

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
    memmove(element(gc, to, to_index), element(gc, from, from_index), (uint64_t)length * gc_type(gc, to)->size);
    return TRAP_NONE;
}

static enum trap check_source(const struct array_source *source, uint32_t size, uint32_t from, uint32_t length)
{
    uint64_t units = source->bytes ? (uint64_t)length * size : length;
    if (units <= source->count && from <= source->count - units)
        return TRAP_NONE;
    return source->bytes ? TRAP_MEMORY_BOUNDS : TRAP_TABLE_BOUNDS;
}

static void copy_in(struct gc *gc, uint32_t array, uint32_t index, const struct array_source *source, uint32_t from,
                    uint32_t length)
{
    uint8_t *to = element(gc, array, index);
    uint32_t size = gc_type(gc, array)->size;
    if (source->bytes)
        memcpy(to, source->bytes + from, (uint64_t)length * size);
    for (uint32_t i = 0; source->entries && i < length; i++) {
        struct table_entry entry = source->entries[(uint64_t)from + i];
        uint64_t reference = entry.reference + (entry.type_hash ? source->moved : 0);
        memcpy(to + (uint64_t)i * size, &reference, size); /* four bytes or eight, little endian */
    }
}

enum trap array_init(struct gc *gc, uint32_t array, uint32_t index, const struct array_source *source, uint32_t from,
                     uint32_t length)
{
    if (!array)
        return TRAP_NULL_REFERENCE;
    if (!fits(gc, array, index, length))
        return TRAP_ARRAY_BOUNDS;
    enum trap trap = check_source(source, gc_type(gc, array)->size, from, length);
    if (trap == TRAP_NONE)
        copy_in(gc, array, index, source, from, length);
    return trap;
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
    copy_in(gc, ref, 0, source, from, length);
    *ret_ref = ref;
    return TRAP_NONE;
}
