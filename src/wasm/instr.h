/* One instruction from its bytes (core specification, section 5.4): syntax only.
 *
 * What is found here to be wrong is malformed; whether indices exist and types match is the body
 * reader's business. Block types come out raw: `a` is a type index, or WASM_NO_INDEX with the one
 * result's type in `b` (WASM_BOT for none). A typed select's count of types is in `a`.
 */
#ifndef MAYFLY_WASM_INSTR_H
#define MAYFLY_WASM_INSTR_H

#include "base/vec.h"
#include "wasm/body.h"
#include "wasm/reader.h"

/* Where the lists of br_table and try_table go; reused from one instruction to the next. */
struct instr_lists {
    VEC(uint32_t) labels;
    VEC(struct wasm_catch) catches;
};

void instr_lists_free(struct instr_lists *lists);

/* Fills code, offset, a, b and the union's part; pointers lead into `lists` until the next call. */
bool instr_read(struct reader *in, struct instr_lists *lists, struct wasm_op *ret_op);

/* Skip a constant expression and its `end`; *ret_expr is its range. */
bool instr_skip_expr(struct reader *in, struct instr_lists *lists, struct wasm_expr *ret_expr);

extern const uint8_t instr_shapes[OP_COUNT];

#endif
