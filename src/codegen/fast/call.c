/* Calls and the calling convention (docs/architecture.md, "Calling convention"). At a call everything goes to its cell,
 * since no register survives; arguments then move to their registers all at once. */
#include "codegen/fast/emit.h"

#include "wasm/type.h"

#define SPILL_OFF ((int32_t)offsetof(struct store, spill))
#define STORE_OFF ((int32_t)offsetof(struct context, store))

static const reg param_ints[] = PARAM_INTS, result_ints[] = RESULT_INTS;

/* Registers handed out so far; spill cells are counted over both kinds. */
struct dealt {
    const reg *ints;
    unsigned int_max, vec_max;
    unsigned int_count, vec_count, spilled;
};

static struct dealt deal_params(void)
{
    return (struct dealt){.ints = param_ints, .int_max = CONTEXT_INT_REGS, .vec_max = CONTEXT_VEC_REGS};
}

static struct dealt deal_results(void)
{
    return (struct dealt){.ints = result_ints, .int_max = CONTEXT_RESULT_INT_REGS, .vec_max = CONTEXT_RESULT_VEC_REGS};
}

/* The register of the next value, or NO_REG: then it travels in a spill cell, whose offset in the store is set. */
static reg deal(struct dealt *dealt, enum type type, int32_t *ret_off)
{
    if (is_vec(type) && dealt->vec_count < dealt->vec_max)
        return (reg)(PARAM_VEC_FIRST + dealt->vec_count++);
    if (!is_vec(type) && dealt->int_count < dealt->int_max)
        return dealt->ints[dealt->int_count++];
    *ret_off = SPILL_OFF + (int32_t)(sizeof(union cell) * dealt->spilled++);
    return NO_REG;
}

static const uint16_t loads[TYPE_COUNT] = {STENCIL_load_32u_ra, STENCIL_load_64_ra, STENCIL_load_f32_ra,
                                           STENCIL_load_f64_ra, STENCIL_load_v_ra};
static const uint16_t stores[TYPE_COUNT] = {STENCIL_store_32_ra, STENCIL_store_64_ra, STENCIL_store_f32_ra,
                                            STENCIL_store_f64_ra, STENCIL_store_v_ra};

/* From and to memory at an address. */
void load_at(struct gen *g, enum type type, reg to, reg base, int32_t off)
{
    put_regs(g, loads[type], AT(a, to) | AT(x, to) | AT(b, base), off);
}

void store_at(struct gen *g, enum type type, reg from, reg base, int32_t off)
{
    put_regs(g, stores[type], AT(a, from) | AT(x, from) | AT(b, base), off);
}

static void load_store_base(struct gen *g, reg to)
{
    PUT(g, load_64_rc, .a = to, .imm = STORE_OFF);
}

/* ---- entering and leaving ---- */

/* An i32 comes with any upper half. */
static void take_result(struct gen *g, enum type type, reg to, reg from)
{
    if (type == T_I32)
        put_regs(g, STENCIL_move_i32, AT(a, to) | AT(b, from), 0);
    else
        move_reg(g, to, from);
}

static bool can_stay(reg r)
{
    return (ALLOCATABLE_INTS | ALLOCATABLE_VECS) >> r & 1;
}

static void param_in_register(struct gen *g, uint32_t number, reg from)
{
    struct local *local = &g->locals[number];
    reg r = from;
    if (can_stay(from)) {
        g->regs.used |= 1u << r;
    } else {
        r = reg_alloc(g, is_vec(local->type));
    }
    if (local->type == T_I32 || r != from)
        take_result(g, local->type, r, from);
    local->reg = r;
    g->regs.owner[r] = number;
    g->regs.dirty |= 1u << r;
}

/* Registers that parameters arrive in are not to be allocated before all of them were looked at. */
static void pin_params(struct gen *g, const struct wasm_functype *type)
{
    struct dealt dealt = deal_params();
    int32_t off = 0;
    for (uint32_t i = 0; i < type->param_count; i++) {
        reg r = deal(&dealt, value_type(type->params[i]), &off);
        if (r != NO_REG)
            reg_pin(g, r);
    }
}

void params_enter(struct gen *g)
{
    struct dealt dealt = deal_params();
    bool based = false;
    int32_t off = 0;
    pin_params(g, g->func_type);
    for (uint32_t i = 0; i < g->func_type->param_count; i++) {
        enum type type = g->locals[i].type;
        reg from = deal(&dealt, type, &off);
        code_room(g, 256);
        if (from != NO_REG) {
            param_in_register(g, i, from);
            continue;
        }
        if (!based)
            load_store_base(g, REG_SCRATCH);
        based = true;
        reg value = is_vec(type) ? REG_SCRATCH_VEC : REG_SCRATCH_2;
        load_at(g, type, value, REG_SCRATCH, off);
        store_cell(g, type, value, g->locals[i].cell);
    }
    g->pinned = 0;
}

/* Values into spill cells, those that go there. Uses the scratch registers: the first of them belongs to constants. */
static void spill_values(struct gen *g, struct dealt dealt, const struct value *values, uint32_t count)
{
    bool based = false;
    if (count <= dealt.int_max && count <= dealt.vec_max)
        return;
    int32_t off = 0;
    for (uint32_t i = 0; i < count; i++) {
        enum type type = values[i].type;
        if (deal(&dealt, type, &off) != NO_REG)
            continue;
        code_room(g, 256);
        if (!based)
            load_store_base(g, REG_SCRATCH_2);
        based = true;
        reg value = is_vec(type) ? REG_SCRATCH_VEC : REG_SCRATCH;
        value_copy(g, &values[i], value);
        store_at(g, type, value, REG_SCRATCH_2, off);
    }
}

static reg register_of(const struct gen *g, const struct value *value)
{
    return value->kind == VALUE_REG ? value->reg : value->kind == VALUE_LOCAL ? g->locals[value->local].reg : NO_REG;
}

/* Values that go to registers from cells and constants. */
struct waiting {
    unsigned count;
    struct {
        const struct value *value;
        reg to;
    } items[CONTEXT_INT_REGS + CONTEXT_VEC_REGS];
};

static void load_waiting(struct gen *g, const struct waiting *waiting, bool vecs)
{
    for (unsigned i = 0; i < waiting->count; i++)
        if (is_vec(waiting->items[i].value->type) == vecs)
            value_copy(g, waiting->items[i].value, waiting->items[i].to);
}

/* The others into their registers: first those that are in registers, then from cells and constants, of which those of
 * vectors go through the scratch register; what belongs there itself, a result, comes last: nobody else is moved to a
 * register that it may be in. `extra` is another move of the first kind. */
static void place_values(struct gen *g, struct dealt dealt, const struct value *values, uint32_t count, reg extra_to,
                         reg extra_from)
{
    struct moves moves;
    struct waiting waiting;
    int32_t off = 0;
    reg scratch = NO_REG;
    bool vecs = false;
    code_room(g, 1024);
    moves.count = waiting.count = 0;
    if (extra_to != NO_REG)
        move_add(&moves, extra_to, extra_from);
    for (uint32_t i = 0; i < count; i++) {
        reg to = deal(&dealt, values[i].type, &off), from = register_of(g, &values[i]);
        if (to == NO_REG)
            continue;
        if (from == NO_REG) {
            waiting.items[waiting.count].value = &values[i];
            waiting.items[waiting.count++].to = to;
            vecs |= is_vec(values[i].type);
        } else if (to == REG_SCRATCH) {
            scratch = from;
        } else {
            move_add(&moves, to, from);
        }
    }
    move_all(g, &moves);
    if (vecs)
        load_waiting(g, &waiting, true);
    load_waiting(g, &waiting, false);
    if (scratch != NO_REG)
        move_reg(g, REG_SCRATCH, scratch);
}

/* The topmost operands leave the stack, but stay where they are: their registers are nobody's. */
static struct value *pop_many(struct gen *g, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        value_pop(g);
    return g->stack + g->depth;
}

/* A branch to the end of the function, on the way it takes only: nothing that the generator knows changes. */
void return_code(struct gen *g)
{
    uint32_t count = g->func_type->result_count;
    const struct value *values = g->stack + g->depth - count;
    code_room(g, 2048);
    spill_values(g, deal_results(), values, count);
    place_values(g, deal_results(), values, count, NO_REG, NO_REG);
    PUT(g, leave);
}

/* ---- calls ---- */

static void push_result(struct gen *g, enum type type, reg from)
{
    if (type != T_I32 && can_stay(from)) {
        reg_take(g, from);
        push_reg(g, type, from);
        return;
    }
    g->pinned |= 1u << from;
    reg to = result_fresh(g, is_vec(type), NULL, NULL);
    take_result(g, type, to, from);
    push_reg(g, type, to);
}

/* Registers that results arrive in are not to be allocated before they were taken. */
static void pin_results(struct gen *g, const struct wasm_functype *type)
{
    struct dealt dealt = deal_results();
    int32_t off = 0;
    for (uint32_t i = 0; i < type->result_count; i++)
        reg_pin(g, deal(&dealt, value_type(type->results[i]), &off));
}

static void push_results(struct gen *g, const struct wasm_functype *type)
{
    struct dealt dealt = deal_results();
    int32_t off = 0;
    pin_results(g, type);
    for (uint32_t i = 0; i < type->result_count; i++) {
        enum type kind = value_type(type->results[i]);
        push_result(g, kind, deal(&dealt, kind, &off));
    }
}

/* Results beyond registers come in order, but those in registers among them must be safe first: two passes over the
 * results, which meet on the operand stack. */
static void push_many_results(struct gen *g, const struct wasm_functype *type)
{
    struct dealt dealt = deal_results();
    int32_t off = 0;
    for (uint32_t i = 0; i < type->result_count; i++) {
        enum type kind = value_type(type->results[i]);
        reg from = deal(&dealt, kind, &off);
        code_room(g, 256);
        push_cell(g, kind);
        if (from != NO_REG)
            store_cell(g, kind, from, g->stack[g->depth - 1].cell);
    }
    dealt = deal_results();
    load_store_base(g, REG_SCRATCH);
    for (uint32_t i = 0; i < type->result_count; i++) {
        enum type kind = value_type(type->results[i]);
        if (deal(&dealt, kind, &off) != NO_REG)
            continue;
        reg value = is_vec(kind) ? REG_SCRATCH_VEC : REG_SCRATCH_2;
        code_room(g, 256);
        load_at(g, kind, value, REG_SCRATCH, off);
        store_cell(g, kind, value, g->stack[g->depth - type->result_count + i].cell);
    }
}

static bool all_in_registers(const struct wasm_functype *type)
{
    struct dealt dealt = deal_results();
    int32_t off = 0;
    for (uint32_t i = 0; i < type->result_count; i++)
        if (deal(&dealt, value_type(type->results[i]), &off) == NO_REG)
            return false;
    return true;
}

/* An exception may come out of the call that ends here. */
static void add_pad(struct gen *g)
{
    if (g->innermost_try == NO_TRY)
        return;
    struct code_pad *pad = VEC_PUSH(&g->pads, (size_t)1 << 26);
    if (!pad) {
        g->failed = true;
        return;
    }
    struct control *control = &g->controls.items[g->innermost_try];
    *pad = (struct code_pad){g->size, control->open_pads};
    control->open_pads = (uint32_t)g->pads.count;
}

/* Behind a call. */
static void call_done(struct gen *g, bool throws)
{
    if (throws)
        add_pad(g);
    forget_regs(g);
    context_reload(g);
}

void context_reload(struct gen *g)
{
    put_regs(g, STENCIL_get_64, AT(a, REG_CONTEXT), CONTEXT_CELL);
}

/* Whom index `func` of this unit's function space denotes. */
struct callee {
    enum { CALL_SYMBOL, CALL_WORDS, CALL_REFERENCE } how;
    uint32_t symbol;
    int64_t off; /* what to add to the context; or where the words are from it */
    reg reference; /* a function reference, not null */
};

static struct callee callee_of(struct gen *g, uint32_t func)
{
    const struct func_place *place = &g->unit->funcs[func];
    struct callee callee = {.how = CALL_SYMBOL};
    if (place->link == FUNC_HOST) {
        callee.symbol = symbol_of(g, g->unit->index, func);
    } else if (place->link == FUNC_GUEST) {
        callee.how = CALL_WORDS;
        callee.off = place->off;
    } else {
        callee.symbol = symbol_of(g, place->unit, place->func);
        callee.off = place->link == FUNC_DIRECT ? place->context_delta : 0;
    }
    return callee;
}

/* Arguments are in place; the way there. The stencils know which scratch register holds a reference. */
static void call_code(struct gen *g, const struct callee *callee, bool tail)
{
    if (callee->how == CALL_SYMBOL && callee->off)
        PUT(g, context_add, .imm = (int32_t)callee->off);
    if (tail)
        PUT(g, unframe);
    mark_site(g);
    struct holes holes = {.imm = (int32_t)callee->off, .callee = callee->symbol};
    static const uint16_t stencils_of[][2] = {[CALL_SYMBOL] = {STENCIL_call, STENCIL_jump_to},
                                              [CALL_WORDS] = {STENCIL_call_words, STENCIL_jump_words},
                                              [CALL_REFERENCE] = {STENCIL_call_reference, STENCIL_jump_reference}};
    if (callee->how == CALL_SYMBOL)
        holes.imm = INT32_MAX;
    put(g, stencils_of[callee->how][tail], &holes);
}

static void call_any(struct gen *g, const struct callee *callee, const struct wasm_functype *type, bool tail)
{
    bool reference = callee->how == CALL_REFERENCE;
    struct value *args = pop_many(g, type->param_count);
    if (callee->off != (int32_t)callee->off)
        g->failed = g->too_large = true;
    code_room(g, 2048);
    if (!tail)
        write_back(g);
    spill_values(g, deal_params(), args, type->param_count);
    place_values(g, deal_params(), args, type->param_count, reference ? REG_REFERENCE : NO_REG, callee->reference);
    call_code(g, callee, tail);
    if (tail) {
        g->dead = true;
        return;
    }
    call_done(g, true);
    if (all_in_registers(type))
        push_results(g, type);
    else
        push_many_results(g, type);
}

EMIT(call)
{
    struct callee callee = callee_of(g, op->a);
    call_any(g, &callee, wasm_func_type(g->unit->module, op->a), row->arg);
}

/* ---- routines: the runtime's helpers, called like functions ---- */

/* The call alone, where everything is in cells; registers are then as after any call. */
static void routine_code(struct gen *g, enum helper helper, const struct value *args, unsigned count)
{
    place_values(g, deal_params(), args, count, NO_REG, NO_REG);
    mark_site(g);
    PUT(g, call, .callee = symbol_of_routine(g, (enum routine)helper));
}

void call_helper(struct gen *g, enum helper helper, struct value *args, unsigned count)
{
    code_room(g, 2048);
    write_back(g);
    routine_code(g, helper, args, count);
    call_done(g, helper == HELPER_throw_exception || helper == HELPER_rethrow_exception);
}

void call_helper_push(struct gen *g, enum helper helper, struct value *args, unsigned count, enum type type)
{
    call_helper(g, helper, args, count);
    push_result(g, type, result_ints[0]);
}

/* ---- calls through references ---- */

/* After a call of the runtime within an instruction: what was in registers comes back from the cells. */
static void load_back(struct gen *g)
{
    context_reload(g);
    for (uint32_t left = g->regs.used; left; left &= left - 1) {
        reg r = (reg)__builtin_ctz(left);
        uint32_t owner = g->regs.owner[r];
        if (owner == OWNER_NOBODY) /* popped: it may still count as an operand's */
            continue;
        if (g->regs.operands >> r & 1)
            load_cell(g, g->stack[owner].type, r, g->stack[owner].cell);
        else
            load_cell(g, g->locals[owner].type, r, g->locals[owner].cell);
    }
}

/* In the middle of an instruction, where everything was written back: nothing changes but `result`. */
void helper_within(struct gen *g, enum helper helper, const struct value *args, unsigned count, reg result)
{
    routine_code(g, helper, args, count);
    move_reg(g, result, result_ints[0]);
    load_back(g);
}

/* The type of the entry on top, whose index lies below it, is not the expected one but may be below that: the runtime
 * knows. Both come back from their cells like everything else. */
static void check_subtype(struct gen *g, uint32_t table, reg entry, uint64_t hash)
{
    struct label same = {0};
    code_room(g, 4096);
    write_back(g);
    PUT(g, check_type, .a = entry, .imm64 = hash, .taken = &same);
    const struct value args[] = {
        {.kind = VALUE_CONST, .type = T_I32, .bits = table},
        g->stack[g->depth - 2],
        {.kind = VALUE_CONST, .type = T_I64, .bits = hash},
    };
    routine_code(g, HELPER_indirect_slow, args, 3);
    load_back(g);
    label_bind(g, &same);
}

/* The reference in the table's entry at the index on top, of the right type. */
static reg checked_reference(struct gen *g, uint32_t table, uint32_t type)
{
    const struct wasm_type *expected = &g->unit->module->types[type];
    struct value index = value_pop(g);
    reg number = value_own(g, &index), entry = reg_alloc(g, false);
    put_entry(g, table, number, entry, TRAP_UNDEFINED_ELEMENT);
    if (expected->final) {
        reg_free(g, number);
        PUT(g, check_type_final, .a = entry, .imm64 = expected->hash);
    } else {
        push_reg(g, T_I64, number);
        push_reg(g, T_I64, entry);
        check_subtype(g, table, entry, expected->hash);
        value_pop(g);
        stack_drop(g, g->depth - 1);
    }
    PUT(g, load_64_ra, .a = entry, .b = entry);
    return entry;
}

EMIT(call_indirect)
{
    struct callee callee = {.how = CALL_REFERENCE};
    callee.reference = checked_reference(g, op->b, op->a);
    reg_free(g, callee.reference); /* it stays pinned */
    call_any(g, &callee, &g->unit->module->types[op->a].func, row->arg);
}

EMIT(call_ref)
{
    struct callee callee = {.how = CALL_REFERENCE};
    struct value value = value_pop(g);
    callee.reference = value_own(g, &value);
    mark_site(g);
    PUT(g, check_null_function, .a = callee.reference);
    reg_free(g, callee.reference); /* it stays pinned */
    call_any(g, &callee, &g->unit->module->types[op->a].func, row->arg);
}
