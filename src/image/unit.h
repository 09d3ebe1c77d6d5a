/* What is compiled together: units (core instances) whose parts have places in one context block.
 *
 * A unit is one core module with every entry of its index spaces resolved to where it lies. A component
 * is several units in one image; a plain module is one. Whoever makes units (component/ for components,
 * image/layout.c for one module) decides who satisfies an import; `layout_compute` then gives everything
 * its place; generators only read them.
 */
#ifndef MAYFLY_IMAGE_UNIT_H
#define MAYFLY_IMAGE_UNIT_H

#include "image/context.h"
#include "image/heap.h"
#include "image/late.h"
#include "image/types.h"

/* Offsets are in bytes, signed, relative to the unit's context. */
enum place_kind {
    PLACE_HERE,  /* the thing itself is at context + off */
    PLACE_THERE, /* its address is the word at context + off, one of struct link_words (linked at run time) */
};

struct place {
    enum place_kind kind;
    int64_t off;
};

enum func_link {
    FUNC_DEFINED, /* a function of this unit: unit/func name it */
    FUNC_DIRECT,  /* a defined function of another unit of this image, called with context + context_delta */
    FUNC_GUEST,   /* linked at run time: import_words at context + off, guest convention */
    FUNC_HOST,    /* import_words at context + off, host_fn convention, through a generated thunk */
};

struct func_place {
    enum func_link link;
    uint32_t unit, func; /* DEFINED, DIRECT: whose symbol; func is an index of a defined function there */
    int64_t context_delta;
    int64_t off;
};

struct memory_place {
    struct place base; /* HERE: memory starts at context + off. THERE: the word holds its address */
    struct place size; /* u64, current size in bytes */
};

struct table_place {
    struct place entries; /* struct table_entry[] */
    struct place length;  /* u64, current length */
};

struct heap_place {
    struct place base;
    struct place words; /* struct heap_words */
};

struct unit {
    const struct wasm_module *module;
    /* Its image may join the store of another, as the only unit. Generated code computes its function references from
     * the context at run time, since their distance from the store is not known before. */
    bool joinable;
    uint32_t index;
    uint32_t context; /* offset of its struct context from the slot base */
    struct func_place *funcs; /* module->func_count */
    struct memory_place *memories; /* module->memory_count */
    struct table_place *tables; /* module->table_count */
    struct place *globals; /* module->global_count; a cell each */
    struct place *tags; /* module->tag_count; the address identifies the tag */
    struct heap_place heap; /* where geometry.heap_off says that there is one */
    struct place *elems; /* module->elem_count; entries of segments whose items are late */
    const struct type_table *table; /* of the image */
    uint32_t *types; /* module->type_count; rows of that table */
    struct late late; /* what the template does not hold */
    /* Who satisfies each import, set before layout_compute; one per module->imports. */
    struct unit_import *imports;
};

enum import_from {
    IMPORT_UNIT, /* export `index` (index space of its kind) of unit `unit`, which precedes this one */
    IMPORT_HOST, /* a function of the host: `host` is its row in the image's imports */
    IMPORT_OPEN, /* linked at run time by module and field name */
    IMPORT_WORD, /* a global: the cell `index` bytes into handle table `unit` (component/handles.h) */
};

struct unit_import {
    enum import_from from;
    uint32_t unit, index;
    uint32_t host;
};

/* A 32-bit memory is reserved whole with a guard region behind it: any zext(32-bit index) + offset below
 * MEMORY_GUARD_OFFSET lands inside the reservation, so no check is emitted for it. Larger constant
 * offsets and 64-bit memories are checked explicitly. */
#define MEMORY_GUARD_OFFSET ((uint64_t)1 << 31)
#define MEMORY_RESERVE_32 (((uint64_t)1 << 32) + MEMORY_GUARD_OFFSET + ((uint64_t)1 << 16))

/* Fill in contexts and places of all units. `ret_geometry` gets the sizes of the block's parts. */
struct geometry {
    uint64_t fixed_size; /* store + contexts, whole pages */
    uint64_t mutable_size; /* whole pages; starts at fixed_size */
    uint64_t slot_size; /* everything, with guard regions */
    uint64_t handles_off; /* handle tables in the mutable part, one after the other, from the slot base */
    uint32_t handle_tables;
    /* Per unit, from the slot base: dropped flags of data segments, then of element segments. */
    uint64_t *segment_flags;
    /* Per unit and defined memory or table: bytes or entries that are reserved. */
    uint64_t **memory_reserve, **table_capacity;
    struct type_table types;
    uint64_t heap_off; /* heap base from the slot base; 0: there is none */
    uint64_t heap_objects; /* where objects begin, from the heap base */
    uint64_t heap_words; /* struct heap_words, from the slot base */
};
struct arena;
bool layout_compute(struct unit *units, uint32_t count, uint32_t handle_tables, struct arena *arena,
                    struct geometry *ret_geometry, struct err *err);

#endif
