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

/* Tables from opcodes.def: instructions without prefix by code, 0 or the instruction + 1; shapes by
 * instruction; what reads the immediates by shape. */
extern const uint16_t instr_plain[256];
extern const uint8_t instr_shapes[OP_COUNT];
typedef bool instr_reader(struct reader *in, struct instr_lists *lists, struct wasm_op *op);
extern instr_reader *const instr_readers[SHAPE_COUNT];

/* The way of prefixed instructions and of everything that fails. */
bool instr_read_rare(struct reader *in, struct instr_lists *lists, struct wasm_op *ret_op);

/* Fills code, offset, a, b and the union's part; pointers lead into `lists` until the next call. */
static inline bool instr_read(struct reader *in, struct instr_lists *lists, struct wasm_op *ret_op)
{
    if (in->at == in->end || instr_plain[*in->at] == 0)
        return instr_read_rare(in, lists, ret_op);
    ret_op->offset = reader_offset(in);
    ret_op->code = (enum wasm_opcode)(instr_plain[*in->at++] - 1);
    unsigned shape = instr_shapes[ret_op->code];
    return shape == SHAPE_NONE || instr_readers[shape](in, lists, ret_op);
}

/* Skip a constant expression and its `end`; *ret_expr is its range. */
bool instr_skip_expr(struct reader *in, struct instr_lists *lists, struct wasm_expr *ret_expr);

#endif
