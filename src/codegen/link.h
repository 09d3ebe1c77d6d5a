/* Joins relocatable x86-64 ELF objects, as a generator of ours makes them, into one position-independent blob.
 *
 * Symbols tell what a function is: f<unit>_<func> a defined function, t<unit>_<func> the thunk of an imported
 * one, i<unit>_0 a unit's late initializers, anything else a routine. F and T are other names for f and t: for one
 * function with two types. Only kinds of relocations that need no work at load time are accepted, and only sections
 * that code reaches are kept: text, then constants. Line tables become code->sites (the line number is the Wasm
 * offset), exception tables become code->pads.
 *
 * The objects come from a compiler that a hostile module may have misled, so nothing in them is trusted. */
#ifndef MAYFLY_CODEGEN_LINK_H
#define MAYFLY_CODEGEN_LINK_H

#include "codegen/codegen.h"

struct link_object {
    const uint8_t *bytes;
    size_t size;
};

/* The length of the instruction at `at`, of which `left` bytes may be read; 0 when it is none. */
typedef size_t link_decode_fn(void *arg, const uint8_t *at, size_t left);

/* `ret_code` is initialized and empty; on failure it is still to be freed. */
bool link_objects(const struct link_object *objects, size_t count, const struct unit *units, uint32_t unit_count,
                  link_decode_fn *decode, void *decode_arg, struct code *ret_code, struct err *err);

#endif
