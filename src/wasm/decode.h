/* The steps of wasm_load. */
#ifndef MAYFLY_WASM_DECODE_H
#define MAYFLY_WASM_DECODE_H

#include "wasm/module.h"

/* Syntax: the module as written, nothing range-checked. */
bool wasm_decode(const uint8_t *bytes, size_t size, struct arena *arena, struct wasm_module **ret_module,
                 struct err *err);
/* Everything outside function bodies (section 3.4); fills what is derived: canonical types, hashes,
 * `declared`, values of globals. */
bool wasm_validate(struct wasm_module *module, struct err *err);
/* The custom section `name` (section 7.4.1): what is wrong there is left out, so false means memory. */
bool wasm_read_names(struct wasm_module *module, struct arena *arena, struct err *err);
/* The custom section `metadata.code.branch_hint`, likewise. */
bool wasm_read_hints(struct wasm_module *module, struct arena *arena, struct err *err);

#endif
