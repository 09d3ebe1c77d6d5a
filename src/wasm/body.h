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
    bool reachable;  /* false: stack-polymorphic code, nothing needs generating but the nesting */
    uint32_t a, b;   /* indices in binary order: label, function, type, local, global, table,
                        memory, field, segment, lane, tag (opcodes.def says which) */
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

enum wasm_frame_kind { WASM_FRAME_FUNC, WASM_FRAME_BLOCK, WASM_FRAME_LOOP, WASM_FRAME_IF, WASM_FRAME_ELSE,
                       WASM_FRAME_TRY };

struct wasm_frame {
    enum wasm_frame_kind kind;
    struct wasm_functype type;
    uint32_t height;  /* of the operand stack below the block's parameters */
    bool unreachable;
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

struct wasm_visitor {
    /* After the locals were read. */
    bool (*begin)(void *arg, const struct wasm_body_state *state, struct err *err);
    /* For each instruction, structural ones (else, end, the final end) included. */
    bool (*op)(void *arg, const struct wasm_op *op, const struct wasm_body_state *state, struct err *err);
};

/* Scratch memory that serves one body after the other without allocating anew. */
struct wasm_body_scratch;
struct wasm_body_scratch *wasm_body_scratch_new(struct err *err);
void wasm_body_scratch_free(struct wasm_body_scratch *scratch);

/* Validate function `func` (an index of a defined function) and feed `visitor` (NULL: validate only). */
bool wasm_body_read(const struct wasm_module *module, uint32_t func, struct wasm_body_scratch *scratch,
                    const struct wasm_visitor *visitor, void *arg, struct err *err);

/* The instruction's name in the text format, and its immediates' shape, from opcodes.def. */
const char *wasm_op_name(enum wasm_opcode code);

#endif
