/* Types of imports and exports in the notation of the text format (core specification, section 6.4). */
#ifndef MAYFLY_WASM_TEXT_H
#define MAYFLY_WASM_TEXT_H

#include "base/buf.h"
#include "wasm/module.h"

/* "func", "table", "memory", "global", "tag". */
extern const char *const wasm_kind_words[];

/* "i32", "funcref", "(ref null 3)" */
bool wasm_put_valtype(struct buf *out, wasm_valtype type);
/* "(param i32 i64) (result f32)", with a blank before each part. */
bool wasm_put_signature(struct buf *out, const struct wasm_functype *type);
/* "1 2", with "i64" before and "shared" behind where the limits say so. */
bool wasm_put_limits(struct buf *out, const struct wasm_limits *limits);
/* "(memory 1 2)", "(global (mut i32))": entry `index` of the index space of `kind`. A function's type is named by its
 * index, "(func (type 3) (param i32))", where the signature does not say all of it. */
bool wasm_put_extern(struct buf *out, const struct wasm_module *module, enum wasm_extern_kind kind, uint32_t index);

#endif
