/* Function bodies: one pass that decodes, validates and drives a visitor.
 *
 * Validation follows the algorithm of the core specification's appendix (section 7.3, "Validation
 * Algorithm"). Code generators, printers and analyses are visitors: they see each instruction once,
 * decoded, in order, after it was found valid, and never see bytes that are not.
 */
#ifndef MAYFLY_WASM_BODY_H
#define MAYFLY_WASM_BODY_H

#include "wasm/module.h"

/* One row of opcodes.def per instruction: enum constants are OP_<NAME>. */
enum wasm_opcode {
#define OP(name, prefix, code, ...) OP_##name,
#include "wasm/opcodes.def"
#undef OP
    OP_COUNT
};

/* The shapes of immediates; opcodes.def says what each means and where struct wasm_op holds it.
 * The numbered ones stand together in rising order. */
/* clang-format off */
#define WASM_SHAPES(SHAPE) \
    SHAPE(NONE) SHAPE(BLOCK) SHAPE(TRY) SHAPE(LABEL) SHAPE(LABELS) SHAPE(FUNC) SHAPE(TYPE) SHAPE(TYPE_TABLE) \
    SHAPE(TYPE_FIELD) SHAPE(TYPE_COUNT) SHAPE(TYPE_DATA) SHAPE(TYPE_ELEM) SHAPE(TYPE_TYPE) SHAPE(LOCAL) \
    SHAPE(GLOBAL) SHAPE(TABLE) SHAPE(MEMORY) SHAPE(TAG) SHAPE(DATA) SHAPE(ELEM) SHAPE(DATA_MEMORY) \
    SHAPE(ELEM_TABLE) SHAPE(MEMORY_MEMORY) SHAPE(TABLE_TABLE) \
    SHAPE(MEM_0) SHAPE(MEM_1) SHAPE(MEM_2) SHAPE(MEM_3) SHAPE(MEM_4) \
    SHAPE(MEMLANE_0) SHAPE(MEMLANE_1) SHAPE(MEMLANE_2) SHAPE(MEMLANE_3) \
    SHAPE(ATOMIC_0) SHAPE(ATOMIC_1) SHAPE(ATOMIC_2) SHAPE(ATOMIC_3) SHAPE(FENCE) \
    SHAPE(I32) SHAPE(I64) SHAPE(F32) SHAPE(F64) SHAPE(V128) SHAPE(SHUFFLE) \
    SHAPE(LANE_16) SHAPE(LANE_8) SHAPE(LANE_4) SHAPE(LANE_2) SHAPE(SELECT_TYPES) \
    SHAPE(HEAP) SHAPE(CAST) SHAPE(CAST_NULL) SHAPE(BR_CAST)
/* clang-format on */

enum wasm_shape {
#define SHAPE(name) SHAPE_##name,
    WASM_SHAPES(SHAPE)
#undef SHAPE
        SHAPE_COUNT
};

struct wasm_memarg {
    uint64_t offset;
    uint32_t memory;
    uint32_t align_log2;
};

struct wasm_catch {
    uint8_t kind;   /* 0 catch, 1 catch_ref, 2 catch_all, 3 catch_all_ref */
    uint32_t tag;   /* kinds 0 and 1 */
    uint32_t label; /* relative depth, counted from outside the try_table */
};

struct wasm_op {
    enum wasm_opcode code;
    uint32_t offset; /* of the first opcode byte, in module->bytes */
    uint32_t next;   /* of what follows the instruction */
    /* False: code after a branch or in a block there; only the nesting matters. Of an else or end: whether
     * control falls into it from above. */
    bool reachable;
    /* Indices in binary order: label, function, type, local, global, table, memory, field, segment, lane, tag
     * (opcodes.def says which). */
    uint32_t a, b;
    union {
        uint64_t bits;           /* i32.const (zero-extended), i64.const, f32.const, f64.const */
        uint8_t v128[16];        /* v128.const, i8x16.shuffle lanes */
        struct wasm_memarg mem;  /* loads, stores, atomics; a lane is in `a` */
        struct {
            const uint32_t *labels; /* br_table: count targets, then the default at [count] */
            uint32_t count;
        } table;
        struct {
            struct wasm_functype type;        /* block, loop, if, try_table */
            const struct wasm_catch *catches; /* try_table */
            uint32_t catch_count;
        } block;
        struct {
            wasm_valtype from, to; /* br_on_cast*, ref.cast, ref.test (to), ref.null, select t (to) */
        } cast;
    };
};

enum wasm_frame_kind {
    WASM_FRAME_FUNC,
    WASM_FRAME_BLOCK,
    WASM_FRAME_LOOP,
    WASM_FRAME_IF,
    WASM_FRAME_ELSE,
    WASM_FRAME_TRY
};

struct wasm_frame {
    enum wasm_frame_kind kind;
    struct wasm_functype type; /* of the function: its results only, the parameters are locals */
    uint32_t height;  /* of the operand stack below the block's parameters */
    uint32_t sets;    /* the reader's: locals without default that had a value at the start */
    bool unreachable; /* the rest of the block cannot be reached */
    bool dead;        /* nor could its start */
};

/* What a visitor may look at; owned by the reader. */
struct wasm_body_state {
    const struct wasm_module *module;
    uint32_t func;
    uint32_t local_count; /* parameters included */
    const wasm_valtype *locals;
    uint32_t operand_count;
    const wasm_valtype *operands; /* after the instruction's effect; WASM_BOT in unreachable code */
    uint32_t frame_count;         /* frames[frame_count - 1] is the innermost, after the effect */
    const struct wasm_frame *frames;
};

struct wasm_body_scratch;
struct wasm_visitor {
    /* After the locals were read. */
    bool (*begin)(void *arg, const struct wasm_body_state *state, struct err *err);
    /* For each instruction, structural ones (else, end, the final end) included. */
    bool (*op)(void *arg, const struct wasm_op *op, const struct wasm_body_state *state, struct err *err);
    /* Or NULL. Before each of these calls: takes as many of the next instructions as it can, by the functions of
     * quick.h, and need not take any. What it takes is not told to `op`. */
    void (*quick)(void *arg, struct wasm_body_scratch *reader);
};

/* Scratch memory that serves one body after the other without allocating anew. */
struct wasm_body_scratch *wasm_body_scratch_new(struct err *err);
void wasm_body_scratch_free(struct wasm_body_scratch *scratch);

/* For tests: every instruction goes by the tables, none by what is only quicker. */
void wasm_body_careful(struct wasm_body_scratch *scratch);

/* Validate function `func` (an index of a defined function) and feed `visitor` (NULL: validate only). */
bool wasm_body_read(const struct wasm_module *module, uint32_t func, struct wasm_body_scratch *scratch,
                    const struct wasm_visitor *visitor, void *arg, struct err *err);

/* Feed the instructions of a constant expression of a loaded module, its `end` included, to `visitor`,
 * as if it were the body of a function without parameters whose result has type `type`. For
 * expressions that wasm_const_eval leaves to instantiation. state->func is WASM_NO_INDEX. */
bool wasm_expr_read(const struct wasm_module *module, struct wasm_expr expr, wasm_valtype type,
                    struct wasm_body_scratch *scratch, const struct wasm_visitor *visitor, void *arg, struct err *err);

/* The instruction's name in the text format, and its immediates' shape, from opcodes.def. */
const char *wasm_op_name(enum wasm_opcode code);
enum wasm_shape wasm_op_shape(enum wasm_opcode code);

#endif
