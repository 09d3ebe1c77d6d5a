/* Blocks, branches, and the conditions that decide them. */
#include "codegen/fast/emit.h"

#include "wasm/limits.h"

/* One more, not cleared: its states are large, and set before they are looked at. */
static struct control *control_room(struct gen *g)
{
    if (g->controls.count < g->controls.capacity)
        return &g->controls.items[g->controls.count++];
    struct control *control = VEC_PUSH(&g->controls, WASM_MAX_NESTING + 1);
    if (control)
        return control;
    g->failed = true;
    g->controls.count = 1;
    return &g->controls.items[0];
}

struct control *control_open(struct gen *g, enum wasm_frame_kind kind, const struct wasm_functype *type)
{
    struct control *control = control_room(g);
    control->kind = kind;
    control->dead = g->dead;
    control->joined = false;
    control->height = g->dead ? 0 : g->depth - (kind == WASM_FRAME_FUNC ? 0 : type->param_count);
    control->type = *type;
    control->label = control->otherwise = (struct label){0};
    control->hot = g->hot;
    control->table = 0;
    control->outer_try = g->innermost_try;
    control->open_pads = 0;
    control->catches = NULL;
    control->catch_count = 0;
    return control;
}

void control_begin(struct gen *g)
{
    control_open(g, WASM_FRAME_FUNC, g->func_type);
}

/* ---- conditions ---- */

/* Compare and branch in one: two stencils per comparison, for when it holds and when it does not. */
void condition_set(struct gen *g, enum stencil_name when, enum stencil_name unless, uint64_t regs, int32_t imm)
{
    g->condition = (struct condition){true, when, unless, regs, imm};
}

/* The condition that was just compared, or the topmost operand. */
static void condition_take(struct gen *g)
{
    if (g->condition.pending)
        return;
    struct value value = value_pop(g);
    reg r = value_reg(g, &value);
    value_free(g, &value);
    condition_set(g, STENCIL_br_i32_nonzero, STENCIL_br_i32_zero, AT(a, r), 0);
}

/* Branch to the label when the condition holds, or when it does not. */
static void condition_branch(struct gen *g, bool holds, struct label *to)
{
    put_branch(g, holds ? g->condition.when : g->condition.unless, g->condition.regs, g->condition.imm, to);
}

static void condition_done(struct gen *g)
{
    g->condition.pending = false;
}

/* ---- blocks ---- */

EMIT(block)
{
    if (!g->dead)
        unalias_all(g);
    control_open(g, WASM_FRAME_BLOCK, &op->block.type);
}

EMIT(loop)
{
    if (g->dead) {
        control_open(g, WASM_FRAME_LOOP, &op->block.type);
        return;
    }
    unalias_all(g);
    settle(g, op->block.type.param_count, true);
    struct control *control = control_open(g, WASM_FRAME_LOOP, &op->block.type);
    loop_prepare(g, op, control);
    control->state = g->regs;
    control->joined = true;
    control->label.at = g->size + 1;
    g->hot = g->regs.used;
}

EMIT(if)
{
    if (g->dead) {
        control_open(g, WASM_FRAME_IF, &op->block.type);
        return;
    }
    condition_take(g);
    unalias_all(g);
    if (op->block.type.param_count)
        settle(g, op->block.type.param_count, true);
    struct control *control = control_open(g, WASM_FRAME_IF, &op->block.type);
    condition_branch(g, false, &control->otherwise);
    condition_done(g);
    state_save(g, &control->else_state);
}

EMIT(else)
{
    struct control *control = control_named(g, 0);
    if (control->dead)
        return;
    if (!g->dead) {
        settle(g, control->type.result_count, true);
        branch_code(g, control);
    }
    control->kind = WASM_FRAME_ELSE;
    state_enter(g, control, &control->else_state, control->type.params, control->type.param_count);
    label_bind(g, &control->otherwise);
    g->dead = false;
}

/* The way past an if without else: its parameters are its results. */
static void end_if(struct gen *g, struct control *control)
{
    bool live = !g->dead;
    if (live)
        settle(g, control->type.result_count, true);
    if (!control->joined) { /* the untaken way goes on as it is */
        control->state = control->else_state;
        control->joined = true;
    }
    if (state_conforms(control, &control->else_state)) {
        if (live)
            branch_conform(g, control);
        label_bind(g, &control->otherwise);
        return;
    }
    if (live)
        branch_code(g, control);
    label_bind(g, &control->otherwise);
    state_conform(g, control, &control->else_state);
}

void end_joined(struct gen *g, struct control *control)
{
    label_bind(g, &control->label);
    state_enter(g, control, &control->state, control->type.results, control->type.result_count);
    g->dead = false;
}

static void end_function(struct gen *g)
{
    if (!g->dead)
        return_code(g);
}

EMIT(end)
{
    struct control *control = control_named(g, 0);
    g->hot = control->hot;
    g->innermost_try = control->outer_try;
    if (control->kind == WASM_FRAME_FUNC) {
        end_function(g);
    } else if (control->dead || control->kind == WASM_FRAME_LOOP) {
        /* nothing branches to here */
    } else if (control->kind == WASM_FRAME_IF) {
        end_if(g, control);
        end_joined(g, control);
    } else if (control->kind == WASM_FRAME_TRY && control->open_pads) {
        end_try(g, control);
    } else if (control->joined) {
        if (!g->dead) {
            settle(g, control->type.result_count, true);
            branch_conform(g, control);
        }
        end_joined(g, control);
    }
    mem_free(control->catches);
    g->controls.count--;
}

/* ---- branches ---- */

void settle_for(struct gen *g, const struct control *to)
{
    uint32_t count;
    if (to->kind == WASM_FRAME_FUNC)
        return;
    branch_types(to, &count);
    settle(g, count, g->depth - count == to->height);
}

EMIT(br)
{
    struct control *to = control_named(g, op->a);
    settle_for(g, to);
    branch_code(g, to);
    g->dead = true;
}

/* A branch on the pending condition. */
static void branch_conditional(struct gen *g, struct control *to)
{
    struct label over = {0};
    if (branch_is_plain(g, to)) {
        if (!to->joined)
            branch_conform(g, to);
        condition_branch(g, true, &to->label);
        return;
    }
    condition_branch(g, false, &over);
    branch_code(g, to);
    label_bind(g, &over);
}

EMIT(br_if)
{
    struct control *to = control_named(g, op->a);
    condition_take(g);
    settle_for(g, to);
    branch_conditional(g, to);
    condition_done(g);
}

EMIT(br_on_null)
{
    struct control *to = control_named(g, op->a);
    struct value value = value_pop(g);
    reg r = value_own(g, &value);
    condition_set(g, STENCIL_br_i64_zero, STENCIL_br_i64_nonzero, AT(a, r), 0);
    reg_free(g, r); /* it stays pinned */
    settle_for(g, to);
    branch_conditional(g, to);
    condition_done(g);
    push_reg(g, T_I64, r);
}

EMIT(br_on_non_null)
{
    struct control *to = control_named(g, op->a);
    struct value value = value_pop(g);
    reg r = value_own(g, &value);
    push_reg(g, T_I64, r);
    settle_for(g, to);
    struct value *top = &g->stack[g->depth - 1]; /* in its cell, if there are many to hand over */
    r = top->kind == VALUE_REG ? top->reg : r;
    condition_set(g, STENCIL_br_i64_nonzero, STENCIL_br_i64_zero, AT(a, r), 0);
    branch_conditional(g, to);
    condition_done(g);
    stack_drop(g, g->depth - 1);
}

/* Fill in one row of the table, as a jump would be filled in. Work that a target needs first stands behind the table.
 */
static void fill_row(struct gen *g, uint32_t at, struct control *to)
{
    if (branch_is_plain(g, to)) {
        if (!to->joined)
            branch_conform(g, to);
        code_target(g, at, &to->label);
        return;
    }
    if (to->table != g->tables) {
        to->table = g->tables;
        to->table_stub = g->size + 1;
        code_room(g, 4096);
        branch_code(g, to);
    }
    code_target(g, at, &(struct label){.at = to->table_stub});
}

/* A jump through a table of distances, each counted from the row behind it. */
EMIT(br_table)
{
    uint32_t count = op->table.count, arity;
    struct value index = value_pop(g);
    reg r = value_own(g, &index);
    branch_types(control_named(g, op->table.labels[count]), &arity);
    settle(g, arity, false);
    reg_free(g, r);
    code_room(g, 128 + (count + 1) * 4);
    PUT(g, table_jump, .a = r, .imm = (int32_t)count, .imm2 = INT32_MAX);
    uint32_t table = g->size;
    g->size += (count + 1) * 4;
    g->tables++;
    for (uint32_t i = 0; i <= count && !g->failed; i++)
        fill_row(g, table + i * 4, control_named(g, op->table.labels[i]));
    g->dead = true;
}

EMIT(return)
{
    return_code(g);
    g->dead = true;
}

EMIT(unreachable)
{
    put_trap(g, TRAP_UNREACHABLE);
    g->dead = true;
}
