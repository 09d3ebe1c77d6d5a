/* Late initializers (codegen/late.h): a function per unit that needs one, made of the same emitters as bodies. */
#include "codegen/fast/emit.h"

#include "codegen/late.h"

#define ROOM 4096u
#define ARGS_MAX 5u

static const struct wasm_op nowhere = {.code = OP_NOP};

static bool begin(void *arg, const struct wasm_body_state *state, struct err *err)
{
    struct gen *g = arg;
    g->body = state;
    return true;
}

static bool act(void *gen, const struct wasm_op *op)
{
    struct gen *g = gen;
    g->op = op;
    g->pinned = 0;
    code_room(g, ROOM);
    fast_rows[op->code].emit(g, op, &fast_rows[op->code]);
    g->op = &nowhere;
    return !g->failed || err_memory(g->err);
}

/* The value stays on the operand stack. */
static bool visit(void *arg, const struct wasm_op *op, const struct wasm_body_state *state, struct err *err)
{
    return op->code == OP_END || act(arg, op);
}

static bool evaluate(void *gen, struct wasm_expr expr, wasm_valtype type, struct wasm_body_scratch *scratch)
{
    static const struct wasm_visitor visitor = {.begin = begin, .op = visit};
    struct gen *g = gen;
    return wasm_expr_read(g->unit->module, expr, type, scratch, &visitor, g, g->err);
}

static bool call(void *gen, uint32_t at, enum helper helper, const struct late_arg *args, unsigned count)
{
    struct gen *g = gen;
    const struct wasm_op op = {.code = OP_NOP, .offset = at};
    struct value values[ARGS_MAX];
    g->op = &op;
    g->pinned = 0;
    code_room(g, ROOM);
    for (unsigned i = 0; i < count; i++)
        values[i] =
            args[i].kind == LATE_TOP ? value_pop(g) : number(args[i].kind == LATE_I32 ? T_I32 : T_I64, args[i].value);
    call_helper(g, helper, values, count);
    g->op = &nowhere;
    return !g->failed || err_memory(g->err);
}

bool init_all(struct gen *g, struct wasm_body_scratch *scratch)
{
    static const struct late_generator generator = {evaluate, act, call};
    return late_generate(g->unit, &generator, g, scratch);
}
