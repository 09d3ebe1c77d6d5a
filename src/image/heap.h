/* The heap of a store: structures, arrays and boxed host references (core specification, section 4.2.11).
 *
 *     heap base           HEAP_NULL_BYTES, never accessible: a null reference used as an object faults here
 *       + ...             type descriptors, read-only
 *       + objects (page)  objects; the first HEAP_FIRST bytes are open from the start and tracked like other
 *                         mutable pages, the rest is opened by the runtime as it is needed
 *       + HEAP_RESERVE
 *
 * A reference of the `any` hierarchy is 32 bits, zero-extended wherever it takes 64: 0 is null, an odd number is an
 * i31 (value << 1 | 1), anything else is the offset of an object, a multiple of 8. Generated code computes every
 * address of an object in 32 bits before it adds the base, so that no access leaves the reservation, whatever a
 * mispredicted cast made of a reference. A reference of the `extern` hierarchy is 64 bits: 0 is null, with
 * HEAP_EXTERN_INTERNAL it is a reference of the other hierarchy, else a number that the host chose; seen as
 * `any`, that number stands in a box.
 *
 * Objects begin with the offset of their descriptor, arrays go on with their length. Between `objects` and the end
 * of what is open, objects and fillers (descriptor 0, then the size in bytes) follow each other without gaps, but
 * for the part between `next` and `end`, where the next object goes. Objects never move.
 */
#ifndef MAYFLY_IMAGE_HEAP_H
#define MAYFLY_IMAGE_HEAP_H

#include "image/types.h"

#define HEAP_ALIGN 8u
#define HEAP_NULL_BYTES ((uint64_t)256 << 10) /* more than the largest structure */
#define HEAP_FIRST ((uint64_t)64 << 10)
#define HEAP_SIZE_MAX (((uint64_t)1 << 32) - ((uint64_t)64 << 10))     /* end of the last object */
#define HEAP_RESERVE (((uint64_t)1 << 32) + ((uint64_t)1 << 20))       /* any 32 bits and a field's offset */
#define HEAP_TYPES_MAX ((uint64_t)64 << 20)                            /* bytes of descriptors */
#define HEAP_EXTERN_INTERNAL ((uint64_t)1 << 63)

/* Where the next object goes, as offsets from the heap base; a word of the mutable part. */
struct heap_words {
    uint32_t next, end;
};

struct heap_header {
    uint32_t type;   /* offset of its descriptor; 0: filler */
    uint32_t length; /* of an array; a filler's size; a structure's first field begins here */
};
#define HEAP_FIELDS_OFF 4u
#define HEAP_ELEMENTS_OFF 8u
#define HEAP_BOX_BYTES 16u
#define HEAP_BOX_VALUE_OFF 8u

/* What a structure's field or an array's element is to the collector. */
enum heap_ref { HEAP_REF_NONE, HEAP_REF_ANY, HEAP_REF_EXTERN };

/* A descriptor. `display` tells supertypes: at 0 an enum heap_root, at 1 + d the descriptor of the ancestor with d
 * supertypes above it, itself included, 0 behind; all displays of an image are equally long. Of a structure, a list
 * of references follows: offset of the field | enum heap_ref. */
enum heap_root { HEAP_ROOT_STRUCT = 1, HEAP_ROOT_ARRAY, HEAP_ROOT_BOX };
struct heap_type {
    uint32_t size;      /* of an object, rounded up to HEAP_ALIGN; of an array's element */
    uint32_t ref;       /* array: enum heap_ref of its elements */
    uint32_t ref_first; /* structure: where the list begins, in words from the descriptor */
    uint32_t ref_count;
    uint32_t display[];
};

/* Bytes of a field or element. */
uint32_t heap_storage_size(const struct wasm_module *module, wasm_valtype storage);
enum heap_ref heap_ref_of(const struct wasm_module *module, wasm_valtype storage);

/* Boxes are the only objects of a module without structure and array types: does some function or constant expression
 * of such a module make them? *ret_boxes is left alone for others. */
bool heap_makes_boxes(const struct wasm_module *module, bool *ret_boxes, struct err *err);

/* Lay out the objects and descriptors of all types in `table`; its `types_end` is 0 when none is an aggregate and
 * `wanted` is false. Descriptors have room for `display` entries, or for what the types need when it is 0. */
bool heap_lay_out(struct type_table *table, bool wanted, uint32_t display, struct arena *arena, struct err *err);

/* The descriptor of a row, or of the box for WASM_NO_INDEX: how many words, and the words. */
uint32_t heap_descriptor_words(const struct type_table *table, uint32_t row);
void heap_descriptor(const struct type_table *table, uint32_t row, uint32_t *ret_words);

#endif
