/* The types of all units of an image, equal ones once (core specification, section 3.1.4).
 *
 * Generated code knows a type by its 64-bit hash. Here the encodings behind the hashes are compared: two
 * different types of one image never share a hash, or the image is not made, because whoever forges a collision
 * would call a function with another's arguments.
 */
#ifndef MAYFLY_IMAGE_TYPES_H
#define MAYFLY_IMAGE_TYPES_H

#include "wasm/module.h"

struct type_row {
    uint64_t hash;
    const struct wasm_module *module; /* one that defines it ... */
    uint32_t index;                   /* ... and as what */
    uint32_t super;                   /* row of its declared supertype, or WASM_NO_INDEX */
};

/* Sorted by hash. */
struct type_table {
    struct type_row *rows;
    uint32_t count;
};

struct unit;
/* Collect the types of `units` into the arena; sets each unit's `types` (row by type index). */
bool types_collect(struct unit *units, uint32_t count, struct arena *arena, struct type_table *ret_table,
                   struct err *err);

#endif
