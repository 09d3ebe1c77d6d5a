/* Structures (core specification, section 4.6.5). A null reference faults in the inaccessible beginning of the heap. */
#include "codegen/llvm/emit.h"

static LLVMValueRef allocate_struct(struct gen *g, uint32_t type)
{
    LLVMValueRef reference = heap_allocate(g, const_i64(g, type_row(g, type)->size));
    store(g, type_value(g, type), heap_address(g, reference), 8, ACCESS_HEADER);
    return reference;
}

static const struct wasm_fieldtype *fields_of(struct gen *g, uint32_t type)
{
    return g->unit->module->types[type].fields;
}

static LLVMValueRef field_address(struct gen *g, LLVMValueRef reference, uint32_t type, uint32_t field)
{
    return heap_field(g, reference, type_row(g, type)->offsets[field]);
}

EMITTER(struct_new)
{
    uint32_t count = g->unit->module->types[op->a].field_count;
    LLVMValueRef reference = allocate_struct(g, op->a);
    for (uint32_t i = count; i-- > 0;)
        storage_store(g, fields_of(g, op->a)[i].storage, pop(g), field_address(g, reference, op->a, i), ACCESS_FIELD);
    return push(g, reference);
}

EMITTER(struct_new_default)
{
    uint32_t count = g->unit->module->types[op->a].field_count;
    LLVMValueRef reference = allocate_struct(g, op->a);
    for (uint32_t i = 0; i < count; i++) {
        wasm_valtype storage = fields_of(g, op->a)[i].storage;
        store(g, storage_zero(g, storage), field_address(g, reference, op->a, i), 1, ACCESS_FIELD);
    }
    return push(g, reference);
}

/* row->arg: sign extension of packed fields. */
EMITTER(struct_get)
{
    wasm_valtype storage = fields_of(g, op->a)[op->b].storage;
    LLVMValueRef address = field_address(g, pop(g), op->a, op->b);
    locate(g);
    return push(g, storage_load(g, storage, row->arg, address, ACCESS_FIELD));
}

EMITTER(struct_set)
{
    LLVMValueRef value = pop(g), address = field_address(g, pop(g), op->a, op->b);
    locate(g);
    storage_store(g, fields_of(g, op->a)[op->b].storage, value, address, ACCESS_FIELD);
    return true;
}
