/* Tables and references. Entries are {reference, type hash}: image/context.h. */
#include "codegen/llvm/emit.h"

static LLVMValueRef table_length(struct gen *g, uint32_t table)
{
    const struct wasm_limits *limits = &g->unit->module->tables[table].limits;
    if (limits->has_max && limits->max == limits->min)
        return const_i64(g, limits->min);
    return load(g, g->i64, place_address(g, g->unit->tables[table].length), 8, ACCESS_SIZE);
}

static bool table_is_64(struct gen *g, uint32_t table)
{
    return g->unit->module->tables[table].limits.is_64;
}

LLVMValueRef table_index(struct gen *g, uint32_t table, LLVMValueRef index, enum trap trap)
{
    LLVMValueRef length = table_length(g, table), wide = widen(g, index);
    trap_if(g, LLVMBuildICmp(g->builder, LLVMIntUGE, wide, length, ""), trap);
    return mask_index(g, wide, length);
}

_Static_assert(sizeof(struct table_entry) == 16, "entries are indexed with a shift by 4");

LLVMValueRef table_entry(struct gen *g, uint32_t table, LLVMValueRef index)
{
    LLVMValueRef bytes = LLVMBuildShl(g->builder, index, const_i64(g, 4), "");
    return LLVMBuildGEP2(g->builder, g->i8, place_address(g, g->unit->tables[table].entries), &bytes, 1, "");
}

EMITTER(table_get)
{
    LLVMValueRef index = table_index(g, op->a, pop(g), TRAP_TABLE_BOUNDS);
    return push(g, load(g, g->i64, table_entry(g, op->a, index), 8, ACCESS_TABLE));
}

EMITTER(table_set)
{
    LLVMValueRef reference = pop(g), index = widen(g, pop(g));
    LLVMValueRef args[] = {const_i32(g, op->a), index, reference};
    emit_helper(g, HELPER_table_set, 3, args);
    return true;
}

EMITTER(table_size)
{
    return push_index(g, table_length(g, op->a), table_is_64(g, op->a));
}

EMITTER(table_grow)
{
    LLVMValueRef delta = widen(g, pop(g)), reference = pop(g);
    LLVMValueRef args[] = {const_i32(g, op->a), reference, delta};
    return push_index(g, emit_helper(g, HELPER_table_grow, 3, args), table_is_64(g, op->a));
}

EMITTER(table_fill)
{
    LLVMValueRef length = widen(g, pop(g)), reference = pop(g), index = widen(g, pop(g));
    LLVMValueRef args[] = {const_i32(g, op->a), index, reference, length};
    emit_helper(g, HELPER_table_fill, 4, args);
    return true;
}

EMITTER(table_copy)
{
    range_helper(g, HELPER_table_copy, op->a, op->b);
    return true;
}

EMITTER(table_init)
{
    range_helper(g, HELPER_table_init, op->b, op->a);
    return true;
}

EMITTER(ref_null)
{
    return push(g, const_i64(g, 0));
}

EMITTER(ref_is_null)
{
    return push(g, from_bool(g, LLVMBuildICmp(g->builder, LLVMIntEQ, pop(g), const_i64(g, 0), "")));
}

EMITTER(ref_as_non_null)
{
    LLVMValueRef reference = g->stack.items[g->stack.count - 1];
    trap_if(g, LLVMBuildICmp(g->builder, LLVMIntEQ, reference, const_i64(g, 0), ""), TRAP_NULL_REFERENCE);
    return true;
}
