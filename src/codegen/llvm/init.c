/* Late initializers (codegen/late.h): a function per unit that needs one, made of the same emitters as bodies.
 *
 * It runs once per instance before the unit's start function, or once per program when its effects become part of
 * the template. */
#include "codegen/late.h"
#include "codegen/llvm/emit.h"

#define ARGS_MAX 5u

static bool begin(void *arg, const struct wasm_body_state *state, struct err *err)
{
    struct gen *g = arg;
    g->state = state;
    g->top = WASM_BOT;
    return true;
}

/* The value stays on the operand stack. */
static bool visit(void *arg, const struct wasm_op *op, const struct wasm_body_state *state, struct err *err)
{
    return op->code == OP_END || (emit_op(arg, op) && note_top(arg, state));
}

static bool evaluate(void *gen, struct wasm_expr expr, wasm_valtype type, struct wasm_body_scratch *scratch)
{
    static const struct wasm_visitor visitor = {.begin = begin, .op = visit};
    struct gen *g = gen;
    return wasm_expr_read(g->unit->module, expr, type, scratch, &visitor, g, g->err);
}

static bool emit(void *gen, const struct wasm_op *op)
{
    return emit_op(gen, op);
}

static bool call(void *gen, uint32_t at, enum helper helper, const struct late_arg *args, unsigned count)
{
    struct gen *g = gen;
    LLVMValueRef values[ARGS_MAX];
    for (unsigned i = 0; i < count; i++)
        values[i] = args[i].kind == LATE_TOP   ? pop(g)
                    : args[i].kind == LATE_I32 ? const_i32(g, (uint32_t)args[i].value)
                                               : const_i64(g, args[i].value);
    g->offset = at;
    emit_helper(g, helper, count, values);
    return true;
}

bool gen_init_function(struct gen *g, const struct unit *unit, struct wasm_body_scratch *scratch, struct err *err)
{
    static const struct wasm_functype type = {0};
    char name[48];
    symbol_name(name, (struct piece_symbol){CODE_INIT, unit->index, 0}, SYMBOL_PLAIN);
    g->unit = unit;
    g->func_type = &type;
    g->wide = false;
    g->err = err;
    if (!gen_reset(g, err))
        return false;
    gen_define(g, gen_function(g, name, guest_type(g, &type)));
    static const struct late_generator generator = {evaluate, emit, call};
    if (!late_generate(unit, &generator, g, scratch))
        return false;
    LLVMBuildRetVoid(g->builder);
    return true;
}
