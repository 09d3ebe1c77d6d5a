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
    /* Of structures and arrays, by heap_lay_out: */
    uint32_t depth;          /* supertypes above it */
    uint32_t descriptor;     /* from the heap base; 0 for functions */
    uint32_t size;           /* heap_type.size */
    uint32_t ref_count;      /* fields or elements that the collector follows */
    const uint32_t *offsets; /* of a structure's fields */
};

/* Sorted by hash. */
struct type_table {
    struct type_row *rows;
    uint32_t count;
    uint32_t display;   /* entries in each descriptor */
    uint32_t types_end; /* behind the last descriptor, from the heap base; 0: there is no heap */
};

struct unit;
/* Collect the types of `units` into the arena; sets each unit's `types` (row by type index). */
bool types_collect(struct unit *units, uint32_t count, struct arena *arena, struct type_table *ret_table,
                   struct err *err);

#endif
