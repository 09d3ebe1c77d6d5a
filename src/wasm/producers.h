/* The custom section `producers`: which languages and tools made a file (tool conventions, "Producers Section").
 * For people, never trusted. */
#ifndef MAYFLY_WASM_PRODUCERS_H
#define MAYFLY_WASM_PRODUCERS_H

#include "wasm/module.h"

/* "processed-by", "rustc", "1.80.0". Views into the section. */
struct wasm_producer {
    struct str field, name, version;
};

/* What the section with these contents names, in the arena. What is malformed ends the reading; the entries before it
 * stay. False means memory. */
bool wasm_read_producers(struct str contents, struct arena *arena, struct wasm_producer **ret_producers,
                         uint32_t *ret_count, struct err *err);

#endif
