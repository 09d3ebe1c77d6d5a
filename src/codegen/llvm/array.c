/* Arrays (core specification, section 4.6.5). The length of a null reference faults like a structure's field. */
#include "codegen/llvm/emit.h"

static wasm_valtype element_of(struct gen *g, uint32_t type)
{
    return g->unit->module->types[type].fields[0].storage;
}

static uint32_t element_size(struct gen *g, uint32_t type)
{
    return type_row(g, type)->size;
}

static LLVMValueRef round_up(struct gen *g, LLVMValueRef size)
{
    LLVMValueRef sum = LLVMBuildAdd(g->builder, size, const_i64(g, HEAP_ALIGN - 1), "");
    return LLVMBuildAnd(g->builder, sum, const_i64(g, ~(uint64_t)(HEAP_ALIGN - 1)), "");
}

/* Room for `length` (i32) elements, with its header. A product of 36 bits at the most. */
static LLVMValueRef allocate_array(struct gen *g, uint32_t type, LLVMValueRef length)
{
    LLVMValueRef bytes = LLVMBuildMul(g->builder, widen(g, length), const_i64(g, element_size(g, type)), "");
    LLVMValueRef size = round_up(g, LLVMBuildAdd(g->builder, bytes, const_i64(g, HEAP_ELEMENTS_OFF), ""));
    LLVMValueRef reference = heap_allocate(g, size);
    store(g, type_value(g, type), heap_address(g, reference), 8, ACCESS_HEADER);
    store(g, length, heap_field(g, reference, offsetof(struct heap_header, length)), 4, ACCESS_HEADER);
    return reference;
}

/* `count` (i32) times `value`, of the storage type, from `address` on. No call is made, so nothing is collected. */
static void fill(struct gen *g, LLVMValueRef address, LLVMValueRef value, uint32_t size, LLVMValueRef count)
{
    LLVMBasicBlockRef before = LLVMGetInsertBlock(g->builder), loop = gen_block(g), after = gen_block(g);
    LLVMValueRef wide = widen(g, count), zero = const_i64(g, 0);
    LLVMBuildCondBr(g->builder, LLVMBuildICmp(g->builder, LLVMIntEQ, count, const_i32(g, 0), ""), after, loop);
    LLVMPositionBuilderAtEnd(g->builder, loop);
    LLVMValueRef index = LLVMBuildPhi(g->builder, g->i64, "");
    LLVMValueRef offset = LLVMBuildNUWMul(g->builder, index, const_i64(g, size), "");
    store(g, value, LLVMBuildGEP2(g->builder, g->i8, address, &offset, 1, ""), size < 8 ? size : 8, ACCESS_ELEMENT);
    LLVMValueRef next = LLVMBuildNUWAdd(g->builder, index, const_i64(g, 1), "");
    LLVMAddIncoming(index, &zero, &before, 1);
    LLVMAddIncoming(index, &next, &loop, 1);
    LLVMBuildCondBr(g->builder, LLVMBuildICmp(g->builder, LLVMIntULT, next, wide, ""), loop, after);
    LLVMPositionBuilderAtEnd(g->builder, after);
}

static bool new_filled(struct gen *g, uint32_t type, LLVMValueRef value, LLVMValueRef length)
{
    LLVMValueRef reference = allocate_array(g, type, length);
    fill(g, heap_field(g, reference, HEAP_ELEMENTS_OFF), value, element_size(g, type), length);
    return push(g, reference);
}

EMITTER(array_new)
{
    LLVMValueRef length = pop(g), value = pop(g);
    return new_filled(g, op->a, storage_value(g, element_of(g, op->a), value), length);
}

EMITTER(array_new_default)
{
    return new_filled(g, op->a, storage_zero(g, element_of(g, op->a)), pop(g));
}

EMITTER(array_new_fixed)
{
    LLVMValueRef reference = allocate_array(g, op->a, const_i32(g, op->b));
    for (uint32_t i = op->b; i-- > 0;) {
        LLVMValueRef address = heap_field(g, reference, HEAP_ELEMENTS_OFF + i * element_size(g, op->a));
        storage_store(g, element_of(g, op->a), pop(g), address, ACCESS_ELEMENT);
    }
    return push(g, reference);
}

/* row->arg: the helper, which takes the type, the segment, where to begin and how many elements. */
EMITTER(array_new_segment)
{
    LLVMValueRef length = pop(g), from = pop(g);
    LLVMValueRef args[] = {type_value(g, op->a), const_i32(g, op->b), from, length};
    return push(g, emit_helper(g, row->arg, 4, args));
}

/* Where the element at `index` lies, once it is known to exist. */
static LLVMValueRef element_address(struct gen *g, uint32_t type, LLVMValueRef reference, LLVMValueRef index)
{
    LLVMValueRef length = heap_length(g, reference);
    trap_if(g, LLVMBuildICmp(g->builder, LLVMIntUGE, index, length, ""), TRAP_ARRAY_BOUNDS);
    return heap_element(g, reference, index, element_size(g, type));
}

/* row->arg: sign extension of packed elements. */
EMITTER(array_get)
{
    LLVMValueRef index = pop(g), reference = pop(g);
    LLVMValueRef address = element_address(g, op->a, reference, index);
    return push(g, storage_load(g, element_of(g, op->a), row->arg, address, ACCESS_ELEMENT));
}

EMITTER(array_set)
{
    LLVMValueRef value = pop(g), index = pop(g), reference = pop(g);
    storage_store(g, element_of(g, op->a), value, element_address(g, op->a, reference, index), ACCESS_ELEMENT);
    return true;
}

EMITTER(array_len)
{
    return push(g, heap_length(g, pop(g)));
}

EMITTER(array_fill)
{
    LLVMValueRef count = pop(g), value = pop(g), index = pop(g), reference = pop(g);
    LLVMValueRef end = LLVMBuildAdd(g->builder, widen(g, index), widen(g, count), "");
    LLVMValueRef length = heap_length(g, reference);
    LLVMSetVolatile(length, true); /* null traps though nothing may be filled */
    trap_if(g, LLVMBuildICmp(g->builder, LLVMIntUGT, end, widen(g, length), ""), TRAP_ARRAY_BOUNDS);
    uint32_t size = element_size(g, op->a);
    LLVMValueRef address = heap_element(g, reference, index, size);
    fill(g, address, storage_value(g, element_of(g, op->a), value), size, count);
    return true;
}

EMITTER(array_copy)
{
    LLVMValueRef length = pop(g), from_index = pop(g), from = pop(g), to_index = pop(g), to = pop(g);
    LLVMValueRef args[] = {to, to_index, from, from_index, length};
    emit_helper(g, HELPER_array_copy, 5, args);
    return true;
}

/* row->arg: the helper, which takes the array, the index, the segment, where to begin and how many elements. */
EMITTER(array_init)
{
    LLVMValueRef length = pop(g), from = pop(g), index = pop(g), reference = pop(g);
    LLVMValueRef args[] = {reference, index, const_i32(g, op->b), from, length};
    emit_helper(g, row->arg, 5, args);
    return true;
}
