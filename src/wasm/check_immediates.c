/* Immediates that are valid on their own: indices in range, alignment, lanes. One function per
 * shape; shapes that need more than a range are left to the instructions. */
#include "wasm/check.h"

static bool type_exists_at(checker *s)
{
    return s->op.a < s->module->type_count || check_fail(s, "unknown type %u", s->op.a);
}

static bool label_exists(checker *s)
{
    return s->op.a < s->frame_count || check_fail(s, "unknown label %u", s->op.a);
}

static bool func_exists(checker *s)
{
    return s->op.a < s->module->func_count || check_fail(s, "unknown function %u", s->op.a);
}

static bool local_exists(checker *s)
{
    return s->op.a < s->local_count || check_fail(s, "unknown local %u", s->op.a);
}

static bool global_exists(checker *s)
{
    return s->op.a < s->visible_globals || check_fail(s, "unknown global %u", s->op.a);
}

static bool tag_exists(checker *s)
{
    return s->op.a < s->module->tag_count || check_fail(s, "unknown tag %u", s->op.a);
}

static bool table_a(checker *s)
{
    return check_table(s, s->op.a);
}

static bool table_b(checker *s)
{
    return check_table(s, s->op.b);
}

static bool data_a(checker *s)
{
    return check_data(s, s->op.a);
}

static bool elem_a(checker *s)
{
    return check_elem(s, s->op.a);
}

static bool memory_exists(checker *s, uint32_t index)
{
    if (index >= s->module->memory_count)
        return check_fail(s, "unknown memory %u", index);
    s->address = check_address(&s->module->memories[index].limits);
    return true;
}

static bool memory_a(checker *s)
{
    return memory_exists(s, s->op.a);
}

static bool data_memory(checker *s)
{
    return memory_exists(s, s->op.b) && check_data(s, s->op.a);
}

static bool memories(checker *s)
{
    return memory_exists(s, s->op.a) && memory_exists(s, s->op.b);
}

static bool tables(checker *s)
{
    return check_table(s, s->op.a) && check_table(s, s->op.b);
}

static bool elem_table(checker *s)
{
    return check_elem(s, s->op.a) && check_table(s, s->op.b);
}

static bool memory_operand(checker *s)
{
    const struct wasm_memarg *mem = &s->op.mem;
    if (!memory_exists(s, mem->memory))
        return false;
    return s->address == WASM_I64 || mem->offset <= UINT32_MAX || check_fail(s, "offset out of range");
}

static bool access_operand(checker *s)
{
    unsigned natural = instr_shapes[s->op.code] - SHAPE_MEM_0;
    if (s->op.mem.align_log2 > natural)
        return check_fail(s, "alignment must not be larger than natural");
    return memory_operand(s);
}

static bool lane_operand(checker *s)
{
    unsigned natural = instr_shapes[s->op.code] - SHAPE_MEMLANE_0;
    if (s->op.mem.align_log2 > natural)
        return check_fail(s, "alignment must not be larger than natural");
    if (s->op.a >= 16u >> natural)
        return check_fail(s, "invalid lane index %u", s->op.a);
    return memory_operand(s);
}

static bool atomic_operand(checker *s)
{
    unsigned natural = instr_shapes[s->op.code] - SHAPE_ATOMIC_0;
    if (s->op.mem.align_log2 != natural)
        return check_fail(s, "atomic alignment must be natural");
    return memory_operand(s);
}

/* LANE_16, LANE_8, LANE_4 and LANE_2 follow each other. */
static bool lane(checker *s)
{
    unsigned lanes = 16u >> (instr_shapes[s->op.code] - SHAPE_LANE_16);
    return s->op.a < lanes || check_fail(s, "invalid lane index %u", s->op.a);
}

static bool shuffle(checker *s)
{
    for (unsigned i = 0; i < 16; i++)
        if (s->op.v128[i] >= 32)
            return check_fail(s, "invalid lane index %u", s->op.v128[i]);
    return true;
}

static bool select_types(checker *s)
{
    if (s->op.a != 1)
        return check_fail(s, "invalid result arity %u", s->op.a);
    return check_valtype(s, s->op.cast.to);
}

static bool heap(checker *s)
{
    return check_valtype(s, s->op.cast.to);
}

static bool cast(checker *s)
{
    if (!check_valtype(s, s->op.cast.to))
        return false;
    s->op.cast.from = WASM_REF | WASM_NULLABLE | type_top(s->module, wasm_heap(s->op.cast.to));
    return true;
}

static bool br_cast(checker *s)
{
    return label_exists(s) && check_valtype(s, s->op.cast.from) && check_valtype(s, s->op.cast.to);
}

special_check *const check_immediates[SHAPE_COUNT] = {
    [SHAPE_LABEL] = label_exists,
    [SHAPE_FUNC] = func_exists,
    [SHAPE_TYPE] = type_exists_at,
    [SHAPE_TYPE_TABLE] = table_b,
    [SHAPE_LOCAL] = local_exists,
    [SHAPE_GLOBAL] = global_exists,
    [SHAPE_TABLE] = table_a,
    [SHAPE_MEMORY] = memory_a,
    [SHAPE_TAG] = tag_exists,
    [SHAPE_DATA] = data_a,
    [SHAPE_ELEM] = elem_a,
    [SHAPE_DATA_MEMORY] = data_memory,
    [SHAPE_ELEM_TABLE] = elem_table,
    [SHAPE_MEMORY_MEMORY] = memories,
    [SHAPE_TABLE_TABLE] = tables,
    [SHAPE_MEM_0] = access_operand,
    [SHAPE_MEM_1] = access_operand,
    [SHAPE_MEM_2] = access_operand,
    [SHAPE_MEM_3] = access_operand,
    [SHAPE_MEM_4] = access_operand,
    [SHAPE_MEMLANE_0] = lane_operand,
    [SHAPE_MEMLANE_1] = lane_operand,
    [SHAPE_MEMLANE_2] = lane_operand,
    [SHAPE_MEMLANE_3] = lane_operand,
    [SHAPE_ATOMIC_0] = atomic_operand,
    [SHAPE_ATOMIC_1] = atomic_operand,
    [SHAPE_ATOMIC_2] = atomic_operand,
    [SHAPE_ATOMIC_3] = atomic_operand,
    [SHAPE_SHUFFLE] = shuffle,
    [SHAPE_LANE_16] = lane,
    [SHAPE_LANE_8] = lane,
    [SHAPE_LANE_4] = lane,
    [SHAPE_LANE_2] = lane,
    [SHAPE_SELECT_TYPES] = select_types,
    [SHAPE_HEAP] = heap,
    [SHAPE_CAST] = cast,
    [SHAPE_CAST_NULL] = cast,
    [SHAPE_BR_CAST] = br_cast,
};
