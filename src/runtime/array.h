/* Arrays in bulk: copying between them and from segments (core specification, sections 4.6.5 and 4.6.6).
 *
 * References may be null, indices and lengths are anything; each function answers with the trap, or TRAP_NONE.
 * TRAP_PENDING: the guest must end (guest_goes_on), and a part was done. In a task of the store. */
#ifndef MAYFLY_RUNTIME_ARRAY_H
#define MAYFLY_RUNTIME_ARRAY_H

#include "image/context.h"
#include "runtime/gc.h"

/* What is left of a data or element segment; the other pointer is NULL. */
struct array_source {
    const uint8_t *bytes;
    const struct table_entry *entries;
    uint64_t moved; /* to be added to the entries' function references */
    uint64_t count; /* bytes or entries */
};

/* Elements of equal size. */
enum trap array_copy(struct gc *gc, uint32_t to, uint32_t to_index, uint32_t from, uint32_t from_index,
                     uint32_t length);
/* `from` counts bytes or entries, `length` elements. */
enum trap array_init(struct gc *gc, uint32_t array, uint32_t index, const struct array_source *source, uint32_t from,
                     uint32_t length);
enum trap array_new(struct gc *gc, uint32_t type, const struct array_source *source, uint32_t from, uint32_t length,
                    uint32_t *ret_ref);

#endif
