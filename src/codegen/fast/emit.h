/* The emitters: one function per kind of instruction, one row of emitters.def per instruction. */
#ifndef MAYFLY_FAST_EMIT_H
#define MAYFLY_FAST_EMIT_H

#include "codegen/fast/stack.h"

struct row;
typedef void emit_fn(struct gen *g, const struct wasm_op *op, const struct row *row);

struct row {
    emit_fn *emit;
    uint16_t forms[4]; /* stencils; which is which says the emitter */
    int arg;
};

extern const struct row fast_rows[OP_COUNT];

/* Stencils of lanes are numbered in equal steps. */
static inline enum stencil_name lane_form(const struct row *row, uint32_t lane)
{
    return (enum stencil_name)(row->forms[0] + lane * (uint32_t)(row->forms[1] - row->forms[0]));
}

#define EMIT(name) void fast_##name(struct gen *g, const struct wasm_op *op, const struct row *row)

/* `arg` of rows that name a type, and bytes in memory. */
#define ROW_ARG(type, size) ((int)(type) | (int)(size) << 8)
#define ROW_TYPE(row) ((enum type)((row)->arg & 0xff))
#define ROW_SIZE(row) ((uint32_t)(row)->arg >> 8)
enum { BINARY_COMMUTES = 1 };
enum { ADD_NEGATIVE = 1 };
enum { SHIFT_OTHER_WAY = 1 };

#define COMPARISONS(X) X(eq) X(ne) X(lt_s) X(lt_u) X(gt_s) X(gt_u) X(le_s) X(le_u) X(ge_s) X(ge_u)
enum comparison {
#define X(name) C_##name,
    COMPARISONS(X)
#undef X
};

/* control.c */
void control_begin(struct gen *g);
struct control *control_open(struct gen *g, enum wasm_frame_kind kind, const struct wasm_functype *type);
/* The end of a block that something branches to. */
void end_joined(struct gen *g, struct control *control);
void condition_set(struct gen *g, enum stencil_name when, enum stencil_name unless, uint64_t regs, int32_t imm);
/* exception.c: the end of a try_table that something unwinds to. */
void end_try(struct gen *g, struct control *control);

#define ROW(opcode, emitter, ...) EMIT(emitter);
#include "codegen/fast/emitters.def"
#undef ROW

/* function.c: the frame and what stands before the first instruction; what went wrong when g->failed. */
bool fast_enter(struct gen *g, const wasm_valtype *locals, uint32_t count);
bool fast_fail(const struct gen *g, struct err *err);
/* walk.c */
extern const struct wasm_visitor fast_walk;

/* init.c */
bool init_all(struct gen *g, struct wasm_body_scratch *scratch);

#endif
