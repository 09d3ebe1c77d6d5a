/* What the room itself asks about types, beyond module.h. */
#ifndef MAYFLY_WASM_TYPE_H
#define MAYFLY_WASM_TYPE_H

#include "wasm/limits.h"
#include "wasm/module.h"

/* Each a subtype of the other. */
bool type_same(const struct wasm_module *module, wasm_valtype a, wasm_valtype b);
/* Whether locals, fields and table slots of the type start with a value (section 3.2.4). */
bool type_defaultable(wasm_valtype type);
/* Whether the type index in it, if any, is one of the module's. */
bool type_exists(const struct wasm_module *module, wasm_valtype type);
/* The top of a heap type's hierarchy: any, func, extern or exn. */
wasm_heaptype type_top(const struct wasm_module *module, wasm_heaptype heap);

/* A type as in the text format, for messages. */
struct type_describe {
    char text[32];
};
struct type_describe type_describe(wasm_valtype type);

/* Fill `canonical` for the recursion group that starts at `start`, which must come after all the
 * groups it refers to; `canon` remembers the groups seen. Hashes come with it. */
struct canon;
struct canon *canon_new(void);
void canon_free(struct canon *canon);
bool canon_group(struct canon *canon, struct wasm_module *module, uint32_t start);

#endif
