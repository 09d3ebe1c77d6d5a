/* Tables and references. Entries are {reference, type hash}: image/context.h. */
#include "codegen/fast/emit.h"

static bool has_fixed_length(struct gen *g, uint32_t table)
{
    const struct wasm_limits *limits = &g->unit->module->tables[table].limits;
    return limits->has_max && limits->max == limits->min;
}

static void load_length(struct gen *g, uint32_t table, reg to)
{
    struct place place = g->unit->tables[table].length;
    if (has_fixed_length(g, table)) {
        load_const(g, T_I64, to, g->unit->module->tables[table].limits.min);
    } else if (place_is_near(place)) {
        PUT(g, load_64_rc, .a = to, .imm = (int32_t)place.off);
    } else {
        put_address(g, place, to);
        load_at(g, T_I64, to, to, 0);
    }
}

void put_entry(struct gen *g, uint32_t table, reg index, reg to, enum trap trap)
{
    const struct table_place *place = &g->unit->tables[table];
    bool call = trap == TRAP_UNDEFINED_ELEMENT;
    mark_site(g);
    if (place_is_near(place->entries) && place_is_near(place->length)) {
        put(g, call ? STENCIL_table_call_rc : STENCIL_table_access_rc,
            &(struct holes){
                .a = to, .b = index, .imm = (int32_t)place->length.off, .imm2 = (int32_t)place->entries.off});
        return;
    }
    reg length = reg_alloc(g, false), entries = reg_alloc(g, false);
    load_length(g, table, length);
    put_address(g, place->entries, entries);
    put(g, call ? STENCIL_table_call_rr : STENCIL_table_access_rr,
        &(struct holes){.a = to, .b = index, .c = length, .d = entries});
    reg_free(g, length);
    reg_free(g, entries);
}

static enum type index_type(struct gen *g, uint32_t table)
{
    return g->unit->module->tables[table].limits.is_64 ? T_I64 : T_I32;
}

EMIT(table_get)
{
    struct value index = value_pop(g);
    reg at = value_reg(g, &index), to = result_fresh(g, false, &index, NULL);
    put_entry(g, op->a, at, to, TRAP_TABLE_BOUNDS);
    load_at(g, T_I64, to, to, 0);
    value_free(g, &index);
    push_reg(g, T_I64, to);
}

EMIT(table_set)
{
    struct value reference = value_pop(g), index = value_pop(g);
    struct value args[] = {number(T_I32, op->a), index, reference};
    call_helper(g, HELPER_table_set, args, 3);
}

EMIT(table_size)
{
    reg to = result_fresh(g, false, NULL, NULL);
    load_length(g, op->a, to);
    push_reg(g, index_type(g, op->a), to);
}

EMIT(table_grow)
{
    struct value delta = value_pop(g), reference = value_pop(g);
    struct value args[] = {number(T_I32, op->a), reference, delta};
    call_helper_push(g, HELPER_table_grow, args, 3, index_type(g, op->a));
}

EMIT(table_fill)
{
    struct value length = value_pop(g), reference = value_pop(g), index = value_pop(g);
    struct value args[] = {number(T_I32, op->a), index, reference, length};
    call_helper(g, HELPER_table_fill, args, 4);
}

/* ---- references ---- */

EMIT(ref_null)
{
    push_const(g, T_I64, 0);
}

EMIT(ref_as_non_null)
{
    struct value value = value_pop(g);
    reg r = value_own(g, &value);
    mark_site(g);
    PUT(g, check_null, .a = r);
    push_reg(g, T_I64, r);
}

EMIT(ref_eq)
{
    struct value right = value_pop(g), left = value_pop(g);
    reg first = value_reg(g, &left), second = value_reg(g, &right), to = result_fresh(g, false, &left, &right);
    PUT(g, i64_eq_rr, .a = to, .b = first, .c = second);
    value_free(g, &left);
    value_free(g, &right);
    push_reg(g, T_I32, to);
}

/* Code offset from the image base, and context in units from the store's: a number unless the image or the slot is
 * known only at run time. */
EMIT(ref_func)
{
    const struct func_place *place = &g->unit->funcs[op->a];
    reg to = result_fresh(g, false, NULL, NULL);
    if (place->link == FUNC_GUEST) {
        struct place words = {PLACE_HERE, place->off};
        put_address(g, words, REG_SCRATCH_2);
        PUT(g, reference_words, .a = to, .b = REG_SCRATCH_2);
    } else {
        bool host = place->link == FUNC_HOST;
        uint32_t symbol = host ? symbol_of(g, g->unit->index, op->a) : symbol_of(g, place->unit, place->func);
        int64_t delta = place->link == FUNC_DIRECT ? place->context_delta : 0;
        PUT(g, reference_here, .a = to, .callee = symbol, .imm = (int32_t)delta, .imm2 = INT32_MAX);
    }
    push_reg(g, T_I64, to);
}
