/* One function body: a visitor over its valid instructions. */
#include "codegen/llvm/emit.h"

#include "base/alloc.h"
#include "wasm/limits.h"

static bool make_locals(struct gen *g, const struct wasm_body_state *state)
{
    for (uint32_t i = 0; i < state->local_count; i++) {
        LLVMValueRef *local = VEC_PUSH(&g->locals, WASM_MAX_LOCALS + 1);
        if (!local)
            return err_memory(g->err);
        *local = LLVMBuildAlloca(g->builder, type_of(g, state->locals[i]), "");
    }
    return true;
}

/* Parameters from where the convention puts them, the other locals zero or null. */
static bool set_locals(struct gen *g, const struct wasm_body_state *state)
{
    uint32_t params = g->func_type->param_count;
    LLVMValueRef *values = mem_alloc(params + 1, sizeof *values);
    if (!values)
        return err_memory(g->err);
    read_params(g, g->func_type, values);
    for (uint32_t i = 0; i < state->local_count; i++) {
        LLVMValueRef zero = LLVMConstNull(type_of(g, state->locals[i]));
        LLVMBuildStore(g->builder, i < params ? values[i] : zero, g->locals.items[i]);
    }
    mem_free(values);
    return true;
}

static bool begin(void *arg, const struct wasm_body_state *state, struct err *err)
{
    struct gen *g = arg;
    g->state = state;
    g->top = WASM_BOT;
    if (!make_locals(g, state) || !set_locals(g, state))
        return false;
    LLVMBasicBlockRef body = gen_block(g);
    LLVMBuildBr(g->builder, body);
    LLVMPositionBuilderAtEnd(g->builder, body);
    return control_push(g, WASM_FRAME_FUNC, g->func_type, 0);
}

/* Instructions that matter in unreachable code too: they nest. */
static bool is_structural(enum wasm_opcode code)
{
    return code == OP_BLOCK || code == OP_LOOP || code == OP_IF || code == OP_ELSE || code == OP_END ||
           code == OP_TRY_TABLE;
}

bool emit_op(struct gen *g, const struct wasm_op *op)
{
    const struct row *row = &emit_rows[op->code];
    g->offset = op->offset;
    LLVMSetCurrentDebugLocation2(g->builder, NULL);
    return row->emit(g, op, row);
}

bool note_top(struct gen *g, const struct wasm_body_state *state)
{
    g->top = state->operand_count ? state->operands[state->operand_count - 1] : (wasm_valtype)WASM_BOT;
    return true;
}

static bool visit(void *arg, const struct wasm_op *op, const struct wasm_body_state *state, struct err *err)
{
    return ((!op->reachable && !is_structural(op->code)) || emit_op(arg, op)) && note_top(arg, state);
}

/* Empty, but with storage: emitters point at ranges of these arrays, empty ranges too. */
bool gen_reset(struct gen *g, struct err *err)
{
    bool stored = (g->stack.items || VEC_PUSH(&g->stack, 1)) && (g->pool.items || VEC_PUSH(&g->pool, 1));
    g->locals.count = g->stack.count = g->pool.count = g->controls.count = 0;
    return stored || err_memory(err);
}

bool gen_body(struct gen *g, const struct unit *unit, const struct survey_func *func, struct wasm_body_scratch *scratch,
              struct err *err)
{
    static const struct wasm_visitor visitor = {.begin = begin, .op = visit};
    g->wide = func->tail_calls;
    g->kept = g->keeps_context && g->keeps_context[unit->index];
    g->rereads = g->kept && !func->catches && !func->dispatches;
    g->unit = unit;
    g->func_type = wasm_func_type(unit->module, func->func);
    g->err = err;
    if (!gen_reset(g, err))
        return false;
    enum symbol_form form = g->wide ? SYMBOL_WIDE : g->kept ? SYMBOL_KEPT : SYMBOL_PLAIN;
    gen_define(g, gen_unit_function(g, CODE_FUNC, unit->index, func->func, form));
    return wasm_body_read(unit->module, func->func, scratch, &visitor, g, err);
}
