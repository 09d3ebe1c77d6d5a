/* Structured control: each block's end (or a loop's head) is an LLVM block with a phi per value that a
 * branch carries. */
#include "codegen/llvm/emit.h"

#include "wasm/limits.h"

#define POOL_MAX ((size_t)1 << 24)

struct control *control_at(struct gen *g, uint32_t depth)
{
    return &g->controls.items[g->controls.count - 1 - depth];
}

uint32_t branch_arity(const struct control *control)
{
    return control->kind == WASM_FRAME_LOOP ? control->type.param_count : control->type.result_count;
}

LLVMBasicBlockRef unwind_block(struct gen *g)
{
    return g->controls.count ? control_at(g, 0)->pad : NULL;
}

static bool keep(struct gen *g, LLVMValueRef value)
{
    LLVMValueRef *slot = VEC_PUSH(&g->pool, POOL_MAX);
    if (!slot)
        return err_memory(g->err);
    *slot = value;
    return true;
}

/* A phi per type at the start of `block`; the builder stays where it is. */
static bool make_phis(struct gen *g, LLVMBasicBlockRef block, const wasm_valtype *types, uint32_t count)
{
    LLVMBasicBlockRef here = LLVMGetInsertBlock(g->builder);
    LLVMPositionBuilderAtEnd(g->builder, block);
    bool made = true;
    for (uint32_t i = 0; i < count && made; i++)
        made = keep(g, LLVMBuildPhi(g->builder, type_of(g, types[i]), ""));
    LLVMPositionBuilderAtEnd(g->builder, here);
    return made;
}

bool control_push(struct gen *g, enum wasm_frame_kind kind, const struct wasm_functype *type, uint32_t params)
{
    LLVMBasicBlockRef pad = unwind_block(g);
    struct control *outer = g->controls.count ? control_at(g, 0) : NULL;
    struct control made = {.kind = kind,
                           .type = *type,
                           .height = (uint32_t)g->stack.count - params,
                           .pad = pad,
                           .pool = (uint32_t)g->pool.count,
                           .phis = (uint32_t)g->pool.count};
    if (outer)
        made.dispatch = outer->dispatch, made.exception = outer->exception;
    made.end = gen_block(g);
    made.target = kind == WASM_FRAME_LOOP ? gen_block(g) : made.end;
    const wasm_valtype *types = kind == WASM_FRAME_LOOP ? type->params : type->results;
    if (!make_phis(g, made.target, types, branch_arity(&made)))
        return false;
    struct control *control = VEC_PUSH(&g->controls, WASM_MAX_NESTING + 1);
    if (!control)
        return err_memory(g->err);
    *control = made;
    return true;
}

/* Add the edge from the current block to `to`, carrying `values`; the branch itself is built by others. */
static void add_edge(struct gen *g, struct control *to, LLVMValueRef *values)
{
    LLVMBasicBlockRef here = LLVMGetInsertBlock(g->builder);
    if (to->target == to->end)
        to->used = true;
    for (uint32_t i = 0; i < branch_arity(to); i++)
        LLVMAddIncoming(g->pool.items[to->phis + i], &values[i], &here, 1);
}

void branch_values(struct gen *g, struct control *to, LLVMValueRef *values)
{
    add_edge(g, to, values);
    LLVMBuildBr(g->builder, to->target);
}

/* The values that a branch to `to` takes: the topmost. */
static LLVMValueRef *top_values(struct gen *g, const struct control *to)
{
    return g->stack.items + g->stack.count - branch_arity(to);
}

bool control_push_dead(struct gen *g, enum wasm_frame_kind kind)
{
    struct control *control = VEC_PUSH(&g->controls, WASM_MAX_NESTING + 1);
    if (!control)
        return err_memory(g->err);
    *control = (struct control){.kind = kind, .dead = true};
    return true;
}

/* A conditional branch with the module's own hint, where it has one for this instruction. */
static void branch_hinted(struct gen *g, const struct wasm_op *op, LLVMValueRef condition, LLVMBasicBlockRef then,
                          LLVMBasicBlockRef otherwise)
{
    LLVMValueRef branch = LLVMBuildCondBr(g->builder, condition, then, otherwise);
    const struct wasm_branch_hint *hint = wasm_branch_hint(g->unit->module, op->offset);
    if (hint)
        LLVMSetMetadata(branch, g->md_prof, hint->taken ? g->usual_node : g->rare_node);
}

EMITTER(block)
{
    if (!op->reachable)
        return control_push_dead(g, WASM_FRAME_BLOCK);
    return control_push(g, WASM_FRAME_BLOCK, &op->block.type, op->block.type.param_count);
}

EMITTER(loop)
{
    if (!op->reachable)
        return control_push_dead(g, WASM_FRAME_LOOP);
    uint32_t params = op->block.type.param_count;
    if (!control_push(g, WASM_FRAME_LOOP, &op->block.type, params))
        return false;
    struct control *loop = control_at(g, 0);
    branch_values(g, loop, g->stack.items + loop->height);
    if (params > 0)
        memcpy(g->stack.items + loop->height, g->pool.items + loop->phis, params * sizeof(LLVMValueRef));
    LLVMPositionBuilderAtEnd(g->builder, loop->target);
    return true;
}

EMITTER(if)
{
    if (!op->reachable)
        return control_push_dead(g, WASM_FRAME_IF);
    LLVMValueRef condition = to_bool(g, pop(g));
    uint32_t params = op->block.type.param_count;
    if (!control_push(g, WASM_FRAME_IF, &op->block.type, params))
        return false;
    struct control *control = control_at(g, 0);
    for (uint32_t i = 0; i < params; i++)
        if (!keep(g, g->stack.items[control->height + i]))
            return false;
    LLVMBasicBlockRef then = gen_block(g);
    control->otherwise = gen_block(g);
    branch_hinted(g, op, condition, then, control->otherwise);
    LLVMPositionBuilderAtEnd(g->builder, then);
    return true;
}

static LLVMValueRef *saved_params(struct gen *g, const struct control *control)
{
    return g->pool.items + control->phis + control->type.result_count;
}

EMITTER(else)
{
    struct control *control = control_at(g, 0);
    if (control->dead)
        return true;
    if (op->reachable)
        branch_values(g, control, top_values(g, control));
    g->stack.count = control->height;
    LLVMPositionBuilderAtEnd(g->builder, control->otherwise);
    control->otherwise = NULL;
    for (uint32_t i = 0; i < control->type.param_count; i++)
        if (!push(g, saved_params(g, control)[i]))
            return false;
    return true;
}

/* A block whose end nobody reaches: what follows is translated all the same, into a block without
 * predecessors, where phis must not be. */
static LLVMValueRef end_value(struct gen *g, const struct control *control, uint32_t i)
{
    LLVMValueRef phi = g->pool.items[control->phis + i];
    if (control->used)
        return phi;
    LLVMValueRef poison = LLVMGetPoison(LLVMTypeOf(phi));
    LLVMInstructionEraseFromParent(phi);
    return poison;
}

static bool end_function(struct gen *g)
{
    return_values(g, g->func_type, g->stack.items);
    return true;
}

/* Past a loop's end there are no phis: only falling through leads there. */
static bool end_loop(struct gen *g, struct control loop, bool reachable)
{
    if (reachable)
        LLVMBuildBr(g->builder, loop.end);
    LLVMPositionBuilderAtEnd(g->builder, loop.end);
    for (uint32_t i = 0; i < loop.type.result_count && !reachable; i++)
        if (!push(g, LLVMGetPoison(type_of(g, loop.type.results[i]))))
            return false;
    return true;
}

static bool end_block(struct gen *g, struct control *control, bool reachable)
{
    if (reachable)
        branch_values(g, control, top_values(g, control));
    if (control->otherwise) { /* an if without else passes its parameters on */
        LLVMPositionBuilderAtEnd(g->builder, control->otherwise);
        branch_values(g, control, saved_params(g, control));
    }
    g->stack.count = control->height;
    LLVMPositionBuilderAtEnd(g->builder, control->end);
    for (uint32_t i = 0; i < control->type.result_count; i++)
        if (!push(g, end_value(g, control, i)))
            return false;
    return true;
}

EMITTER(end)
{
    struct control control = g->controls.items[--g->controls.count];
    if (control.dead)
        return true;
    bool ended;
    if (control.kind == WASM_FRAME_LOOP) {
        if (!op->reachable)
            g->stack.count = control.height;
        ended = end_loop(g, control, op->reachable);
    } else {
        ended = end_block(g, &control, op->reachable);
    }
    g->pool.count = control.pool;
    return ended && (g->controls.count || end_function(g));
}

EMITTER(br)
{
    struct control *to = control_at(g, op->a);
    branch_values(g, to, top_values(g, to));
    return true;
}

EMITTER(return)
{
    struct control *to = &g->controls.items[0];
    branch_values(g, to, top_values(g, to));
    return true;
}

/* Go to `to` if `condition`, else on. */
void branch_if(struct gen *g, const struct wasm_op *op, struct control *to, LLVMValueRef condition)
{
    LLVMBasicBlockRef next = gen_block(g);
    add_edge(g, to, top_values(g, to));
    branch_hinted(g, op, condition, to->target, next);
    LLVMPositionBuilderAtEnd(g->builder, next);
}

EMITTER(br_if)
{
    LLVMValueRef condition = to_bool(g, pop(g));
    branch_if(g, op, control_at(g, op->a), condition);
    return true;
}

EMITTER(br_on_null)
{
    LLVMValueRef reference = pop(g);
    branch_if(g, op, control_at(g, op->a), LLVMBuildICmp(g->builder, LLVMIntEQ, reference, const_i64(g, 0), ""));
    return push(g, reference);
}

EMITTER(br_on_non_null)
{
    LLVMValueRef reference = g->stack.items[g->stack.count - 1];
    branch_if(g, op, control_at(g, op->a), LLVMBuildICmp(g->builder, LLVMIntNE, reference, const_i64(g, 0), ""));
    pop(g);
    return true;
}

#define CLAMP_FROM 4 /* targets: fewer become compares */

static void add_case(struct gen *g, LLVMValueRef made, LLVMValueRef value, uint32_t label)
{
    struct control *to = control_at(g, label);
    add_edge(g, to, top_values(g, to));
    LLVMAddCase(made, value, to->target);
}

/* What is beyond becomes `count`, without a branch, and every value that is possible then is a case: LLVM needs no
 * range check before its jump table, and a mispredicted one cannot reach past it. */
static void switch_clamped(struct gen *g, LLVMValueRef index, const uint32_t *labels, uint32_t count)
{
    LLVMBasicBlockRef never = gen_block(g);
    LLVMValueRef clamped = least_index(g, widen(g, index), const_i64(g, count));
    LLVMValueRef made = LLVMBuildSwitch(g->builder, clamped, never, count + 1);
    for (uint32_t i = 0; i <= count; i++)
        add_case(g, made, const_i64(g, i), labels[i]);
    LLVMPositionBuilderAtEnd(g->builder, never);
    LLVMBuildUnreachable(g->builder);
}

static void switch_few(struct gen *g, LLVMValueRef index, const uint32_t *labels, uint32_t count)
{
    struct control *otherwise = control_at(g, labels[count]);
    add_edge(g, otherwise, top_values(g, otherwise));
    LLVMValueRef made = LLVMBuildSwitch(g->builder, index, otherwise->target, count);
    for (uint32_t i = 0; i < count; i++)
        if (control_at(g, labels[i]) != otherwise)
            add_case(g, made, const_i32(g, i), labels[i]);
}

EMITTER(br_table)
{
    LLVMValueRef index = pop(g);
    if (op->table.count < CLAMP_FROM)
        switch_few(g, index, op->table.labels, op->table.count);
    else
        switch_clamped(g, index, op->table.labels, op->table.count);
    return true;
}

EMITTER(unreachable)
{
    trap_now(g, TRAP_UNREACHABLE);
    return true;
}

EMITTER(nop)
{
    return true;
}

EMITTER(drop)
{
    pop(g);
    return true;
}

EMITTER(select)
{
    LLVMValueRef condition = to_bool(g, pop(g)), otherwise = pop(g), then = pop(g);
    return push(g, LLVMBuildSelect(g->builder, condition, then, otherwise, ""));
}
