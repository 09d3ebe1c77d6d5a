/* Casts and tests of references, i31, and the conversions between the hierarchies of `any` and `extern` (core
 * specification, section 4.6.3). image/heap.h tells how each kind of reference looks; what can be told from the static
 * type of the operand is not tested. */
#include "codegen/llvm/emit.h"

static LLVMValueRef constant_bool(struct gen *g, bool value)
{
    return LLVMConstInt(g->i1, value, false);
}

static LLVMValueRef is_null(struct gen *g, LLVMValueRef reference)
{
    return LLVMBuildICmp(g->builder, LLVMIntEQ, reference, const_i64(g, 0), "");
}

static LLVMValueRef is_i31(struct gen *g, LLVMValueRef reference)
{
    return LLVMBuildTrunc(g->builder, reference, g->i1, "");
}

/* Values that meet: a phi under construction, and the block where they do. */
struct meeting {
    LLVMBasicBlockRef block;
    LLVMValueRef values[3];
    LLVMBasicBlockRef from[3];
    unsigned count;
};

static void meet(struct gen *g, struct meeting *m, LLVMValueRef value)
{
    m->values[m->count] = value;
    m->from[m->count++] = LLVMGetInsertBlock(g->builder);
}

/* Where `condition` holds, the result is `value`; the builder goes on where it does not. */
static void meet_if(struct gen *g, struct meeting *m, LLVMValueRef condition, LLVMValueRef value)
{
    LLVMBasicBlockRef next = gen_block(g);
    if (!m->block)
        m->block = gen_block(g);
    meet(g, m, value);
    LLVMBuildCondBr(g->builder, condition, m->block, next);
    LLVMPositionBuilderAtEnd(g->builder, next);
}

static LLVMValueRef meet_last(struct gen *g, struct meeting *m, LLVMValueRef value)
{
    if (m->count == 0)
        return value;
    meet(g, m, value);
    LLVMBuildBr(g->builder, m->block);
    LLVMMoveBasicBlockAfter(m->block, LLVMGetInsertBlock(g->builder));
    LLVMPositionBuilderAtEnd(g->builder, m->block);
    LLVMValueRef phi = LLVMBuildPhi(g->builder, LLVMTypeOf(value), "");
    LLVMAddIncoming(phi, m->values, m->from, m->count);
    return phi;
}

/* ---- tests ---- */

static LLVMValueRef display_is(struct gen *g, LLVMValueRef reference, uint32_t place, LLVMValueRef expected,
                               LLVMIntPredicate predicate)
{
    LLVMValueRef descriptor = heap_type_of(g, reference);
    LLVMValueRef entry = heap_field(g, descriptor, offsetof(struct heap_type, display) + place * 4);
    return LLVMBuildICmp(g->builder, predicate, load(g, g->i32, entry, 4, ACCESS_FIXED), expected, "");
}

/* Is the object's descriptor the one of `type`, or does its display say that it is below? */
static LLVMValueRef object_is(struct gen *g, LLVMValueRef reference, uint32_t type)
{
    if (g->unit->module->types[type].final)
        return LLVMBuildICmp(g->builder, LLVMIntEQ, heap_type_of(g, reference), type_value(g, type), "");
    return display_is(g, reference, 1 + type_row(g, type)->depth, type_value(g, type), LLVMIntEQ);
}

static LLVMValueRef root_is(struct gen *g, LLVMValueRef reference, wasm_heaptype heap)
{
    if (heap == HEAP_EQ)
        return display_is(g, reference, 0, const_i32(g, HEAP_ROOT_BOX), LLVMIntNE);
    enum heap_root root = heap == HEAP_STRUCT ? HEAP_ROOT_STRUCT : HEAP_ROOT_ARRAY;
    return display_is(g, reference, 0, const_i32(g, root), LLVMIntEQ);
}

static LLVMValueRef func_is(struct gen *g, LLVMValueRef reference, uint32_t type)
{
    const struct wasm_type *expected = &g->unit->module->types[type];
    LLVMValueRef hash = const_i64(g, expected->hash);
    LLVMValueRef same = LLVMBuildICmp(g->builder, LLVMIntEQ, reference_hash(g, reference), hash, "");
    if (expected->final)
        return same;
    struct meeting m = {0};
    meet_if(g, &m, same, constant_bool(g, true));
    LLVMValueRef args[] = {reference, hash};
    LLVMValueRef below = emit_helper(g, HELPER_func_is, 2, args);
    return meet_last(g, &m, LLVMBuildTrunc(g->builder, below, g->i1, ""));
}

/* Of a reference that is neither null nor an i31. */
static LLVMValueRef pointer_is(struct gen *g, LLVMValueRef reference, wasm_heaptype heap)
{
    if (!wasm_heap_is_index(heap))
        return root_is(g, reference, heap);
    if (g->unit->module->types[heap].kind == WASM_COMP_FUNC)
        return func_is(g, reference, heap);
    return object_is(g, reference, heap);
}

static bool is_bottom(wasm_heaptype heap)
{
    return heap == HEAP_NONE || heap == HEAP_NOFUNC || heap == HEAP_NOEXTERN || heap == HEAP_NOEXN;
}

static bool may_be_i31(struct gen *g, wasm_valtype type)
{
    return wasm_subtype(g->unit->module, WASM_REF | HEAP_I31, type);
}

/* What the operand is known to be: the body reader knows more than the instruction says. */
static wasm_valtype known_type(const struct gen *g, const struct wasm_op *op)
{
    return wasm_is_ref(g->top) ? g->top : op->cast.from;
}

static LLVMValueRef test(struct gen *g, const struct wasm_op *op, LLVMValueRef reference)
{
    wasm_valtype from = known_type(g, op), to = op->cast.to;
    wasm_heaptype heap = wasm_heap(to);
    const struct wasm_module *module = g->unit->module;
    struct meeting m = {0};
    if (from & WASM_NULLABLE)
        meet_if(g, &m, is_null(g, reference), constant_bool(g, to & WASM_NULLABLE));
    if (wasm_subtype(module, from & ~WASM_NULLABLE, to))
        return meet_last(g, &m, constant_bool(g, true));
    if (is_bottom(heap))
        return meet_last(g, &m, constant_bool(g, false));
    if (heap == HEAP_I31)
        return meet_last(g, &m, is_i31(g, reference));
    if (may_be_i31(g, from))
        meet_if(g, &m, is_i31(g, reference), constant_bool(g, may_be_i31(g, to)));
    return meet_last(g, &m, pointer_is(g, reference, heap));
}

static LLVMValueRef test_top(struct gen *g, const struct wasm_op *op)
{
    return test(g, op, g->stack.items[g->stack.count - 1]);
}

EMITTER(ref_test)
{
    LLVMValueRef result = test_top(g, op);
    pop(g);
    return push(g, from_bool(g, result));
}

EMITTER(ref_cast)
{
    trap_if(g, LLVMBuildNot(g->builder, test_top(g, op), ""), TRAP_CAST_FAILURE);
    return true;
}

EMITTER(br_on_cast)
{
    branch_if(g, op, control_at(g, op->a), test_top(g, op));
    return true;
}

EMITTER(br_on_cast_fail)
{
    branch_if(g, op, control_at(g, op->a), LLVMBuildNot(g->builder, test_top(g, op), ""));
    return true;
}

EMITTER(ref_eq)
{
    LLVMValueRef right = pop(g), left = pop(g);
    return push(g, from_bool(g, LLVMBuildICmp(g->builder, LLVMIntEQ, left, right, "")));
}

/* ---- i31 ---- */

EMITTER(ref_i31)
{
    LLVMValueRef shifted = LLVMBuildShl(g->builder, pop(g), const_i32(g, 1), "");
    return push(g, widen(g, LLVMBuildOr(g->builder, shifted, const_i32(g, 1), "")));
}

/* row->arg: the shift that extends the number. */
EMITTER(i31_get)
{
    LLVMValueRef reference = pop(g);
    if (!wasm_is_ref(g->top) || (g->top & WASM_NULLABLE))
        trap_if(g, is_null(g, reference), TRAP_NULL_REFERENCE);
    LLVMValueRef word = LLVMBuildTrunc(g->builder, reference, g->i32, "");
    return push(g, LLVMBuildBinOp(g->builder, (LLVMOpcode)row->arg, word, const_i32(g, 1), ""));
}

/* ---- conversions ---- */

EMITTER(any_convert_extern)
{
    LLVMValueRef reference = pop(g), word = LLVMBuildTrunc(g->builder, reference, g->i32, "");
    struct meeting m = {0};
    LLVMValueRef internal = LLVMBuildICmp(g->builder, LLVMIntSLE, reference, const_i64(g, 0), "");
    meet_if(g, &m, internal, widen(g, word)); /* or null */
    return push(g, meet_last(g, &m, emit_helper(g, HELPER_box_extern, 1, &reference)));
}

EMITTER(extern_convert_any)
{
    LLVMValueRef reference = pop(g);
    wasm_valtype from = wasm_is_ref(g->top) ? g->top : (WASM_REF | WASM_NULLABLE | HEAP_ANY);
    LLVMValueRef internal = LLVMBuildOr(g->builder, reference, const_i64(g, HEAP_EXTERN_INTERNAL), "");
    struct meeting m = {0};
    meet_if(g, &m, is_null(g, reference), reference);
    if (wasm_heap(from) != HEAP_ANY)
        return push(g, meet_last(g, &m, internal));
    meet_if(g, &m, is_i31(g, reference), internal);
    LLVMValueRef boxed = display_is(g, reference, 0, const_i32(g, HEAP_ROOT_BOX), LLVMIntEQ);
    LLVMBasicBlockRef box = gen_block(g), done = gen_block(g);
    struct meeting inner = {.block = done};
    meet(g, &inner, internal);
    LLVMBuildCondBr(g->builder, boxed, box, done);
    LLVMPositionBuilderAtEnd(g->builder, box);
    LLVMValueRef number = load(g, g->i64, heap_field(g, reference, HEAP_BOX_VALUE_OFF), 8, ACCESS_FIELD);
    return push(g, meet_last(g, &m, meet_last(g, &inner, number)));
}
