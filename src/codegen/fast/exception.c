/* Exceptions (docs/architecture.md, "Calling convention"): calls inside a try_table have pads, where the runtime goes
 * on with nothing but the frame and the exception in the first result register. All values are in their cells then, as
 * behind any call. An exnref is the address of {u64 tag address, cells}: runtime/exception.h. */
#include "codegen/fast/emit.h"

#include "wasm/limits.h"

#define VALUES_OFF 8

EMIT(try_table)
{
    if (!g->dead) {
        unalias_all(g);
        settle(g, op->block.type.param_count, true);
    }
    struct control *control = control_open(g, WASM_FRAME_TRY, &op->block.type);
    uint32_t count = op->block.catch_count;
    if (g->dead || count == 0 || g->failed)
        return;
    control->catches = mem_alloc(count, sizeof *control->catches);
    if (!control->catches) {
        g->failed = true;
        return;
    }
    memcpy(control->catches, op->block.catches, count * sizeof *control->catches);
    control->catch_count = count;
    g->innermost_try = (uint32_t)g->controls.count - 1;
}

static const struct wasm_functype *tag_type(struct gen *g, uint32_t tag)
{
    return &g->unit->module->types[g->unit->module->tags[tag].type].func;
}

/* The values go to cells in the frame, whose address the helper gets. They keep the places they have on the operand
 * stack, but in cells of sixteen bytes, one after the other, below it. */
EMIT(throw)
{
    const struct wasm_functype *type = tag_type(g, op->a);
    uint32_t count = type->param_count;
    int32_t cells = cell_above(g, g->depth) - 16 * (int32_t)(count + 1);
    for (uint32_t i = 0; i < count; i++) {
        code_room(g, 64);
        value_store(g, &g->stack[g->depth - count + i], cells + 16 * (int32_t)i);
    }
    stack_drop(g, g->depth - count);
    g->pinned = 0; /* as many as there were values, and all of them are stored */
    reg tag = reg_alloc(g, false), values = reg_alloc(g, false);
    put_address(g, g->unit->tags[op->a], tag);
    PUT(g, frame_plus, .a = values, .imm = cells);
    struct value args[] = {{.kind = VALUE_REG, .type = T_I64, .reg = tag},
                           {.kind = VALUE_REG, .type = T_I64, .reg = values},
                           number(T_I32, count)};
    call_helper(g, HELPER_throw_exception, args, 3);
    g->dead = true;
}

static void throw_again(struct gen *g, struct value exception)
{
    call_helper(g, HELPER_rethrow_exception, &exception, 1);
    g->dead = true;
}

EMIT(throw_ref)
{
    struct value exception = value_pop(g);
    reg r = value_own(g, &exception);
    mark_site(g);
    PUT(g, check_null, .a = r);
    throw_again(g, (struct value){.kind = VALUE_REG, .type = T_I64, .reg = r});
}

/* The exception is the topmost operand, at `position`. */
static reg exception_reg(struct gen *g, uint32_t position)
{
    struct value *value = &g->stack[position];
    if (value->kind != VALUE_REG) {
        reg r = reg_alloc(g, false);
        load_cell(g, T_I64, r, value->cell);
        return r;
    }
    reg_pin(g, value->reg);
    return value->reg;
}

/* What the tag carries, and the exnref if the clause wants it, go to the label. */
static void take(struct gen *g, const struct wasm_catch *clause, struct control *to, uint32_t position)
{
    const struct wasm_functype *type = clause->kind < 2 ? tag_type(g, clause->tag) : NULL;
    uint32_t count = type ? type->param_count : 0, all = count + (clause->kind & 1);
    for (uint32_t i = 0; i < count; i++) {
        enum type kind = value_type(type->params[i]);
        code_room(g, 256);
        g->pinned = 0;
        reg exception = exception_reg(g, position), r = reg_alloc(g, is_vec(kind));
        load_at(g, kind, r, exception, VALUES_OFF + 16 * (int32_t)i);
        if (g->stack[position].kind != VALUE_REG)
            reg_free(g, exception);
        push_reg(g, kind, r);
    }
    g->pinned = 0;
    if (clause->kind & 1) {
        struct value copy = g->stack[position];
        reg r = reg_alloc(g, false);
        value_copy(g, &copy, r);
        push_reg(g, T_I64, r);
    }
    code_room(g, 4096);
    if (to->kind != WASM_FRAME_FUNC)
        settle(g, all, false);
    branch_code(g, to);
}

static void test_clause(struct gen *g, const struct wasm_catch *clause, const struct control *control)
{
    static const wasm_valtype exnref[] = {WASM_EXNREF};
    struct state saved;
    struct label next = {0};
    code_room(g, 4096);
    g->pinned = 0;
    reg exception = exception_reg(g, control->height);
    if (clause->kind < 2) {
        reg tag = reg_alloc(g, false), expected = reg_alloc(g, false);
        load_at(g, T_I64, tag, exception, 0);
        put_address(g, g->unit->tags[clause->tag], expected);
        PUT(g, br_i64_ne_rr, .a = tag, .b = expected, .taken = &next);
        reg_free(g, tag);
        reg_free(g, expected);
    }
    state_save(g, &saved);
    take(g, clause, control_named(g, clause->label + 1), control->height);
    label_bind(g, &next);
    state_enter(g, control, &saved, exnref, 1);
    g->dead = clause->kind >= 2; /* takes all */
}

/* Calls inside the try_table unwind to here. */
static void close_pads(struct gen *g, const struct control *control)
{
    for (uint32_t row = control->open_pads; row;) {
        struct code_pad *pad = &g->pads.items[row - 1];
        row = pad->pad_off;
        pad->pad_off = g->size;
    }
}

/* What the runtime jumps to: the clauses in order, seen from outside of the try_table, then whoever is outside. */
static void put_pad(struct gen *g, const struct control *control)
{
    static const struct state nothing = {0};
    code_room(g, 256);
    close_pads(g, control);
    state_enter(g, control, &nothing, NULL, 0);
    g->dead = false;
    context_reload(g);
    reg exception = reg_alloc(g, false);
    move_reg(g, exception, REG_EXCEPTION);
    push_reg(g, T_I64, exception);
    for (uint32_t i = 0; i < control->catch_count && !g->dead; i++)
        test_clause(g, &control->catches[i], control);
    if (!g->dead)
        throw_again(g, value_pop(g));
}

void end_try(struct gen *g, struct control *control)
{
    if (!g->dead) {
        settle(g, control->type.result_count, true);
        branch_code(g, control);
    }
    put_pad(g, control);
    g->dead = true;
    if (control->joined)
        end_joined(g, control);
}
