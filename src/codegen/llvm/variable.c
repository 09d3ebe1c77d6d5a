/* Constants, locals and globals. */
#include "codegen/llvm/emit.h"

EMITTER(const_int)
{
    return push(g, LLVMConstInt(g->type[row->kind], op->bits, false));
}

/* Through the bits, so that a NaN keeps its payload. */
EMITTER(const_float)
{
    LLVMTypeRef bits = row->kind == K_F32 ? g->i32 : g->i64;
    return push(g, LLVMConstBitCast(LLVMConstInt(bits, op->bits, false), g->type[row->kind]));
}

EMITTER(const_vector)
{
    uint64_t words[2];
    memcpy(words, op->v128, sizeof words);
    LLVMValueRef lanes[] = {const_i64(g, words[0]), const_i64(g, words[1])};
    return push(g, LLVMConstVector(lanes, 2));
}

EMITTER(local_get)
{
    LLVMTypeRef type = type_of(g, g->state->locals[op->a]);
    return push(g, LLVMBuildLoad2(g->builder, type, g->locals.items[op->a], ""));
}

EMITTER(local_set)
{
    LLVMBuildStore(g->builder, pop(g), g->locals.items[op->a]);
    return true;
}

EMITTER(local_tee)
{
    LLVMBuildStore(g->builder, g->stack.items[g->stack.count - 1], g->locals.items[op->a]);
    return true;
}

/* A global that never changes and whose value the module tells. */
static bool known_global(struct gen *g, const struct wasm_global *global, LLVMValueRef *ret_value)
{
    if (global->mutable_ || global->import != WASM_NO_INDEX || global->value.kind != WASM_CONST_BITS)
        return false;
    LLVMTypeRef type = type_of(g, global->type);
    LLVMValueRef words[] = {const_i64(g, global->value.v[0]), const_i64(g, global->value.v[1])};
    if (global->type == WASM_V128)
        *ret_value = LLVMConstVector(words, 2);
    else if (global->type == WASM_F64)
        *ret_value = LLVMConstBitCast(words[0], type);
    else if (global->type == WASM_F32)
        *ret_value = LLVMConstBitCast(LLVMConstInt(g->i32, (uint32_t)global->value.v[0], false), type);
    else
        *ret_value =
            LLVMConstInt(type, global->type == WASM_I32 ? (uint32_t)global->value.v[0] : global->value.v[0], false);
    return true;
}

EMITTER(global_get)
{
    const struct wasm_global *global = &g->unit->module->globals[op->a];
    LLVMValueRef value;
    if (known_global(g, global, &value))
        return push(g, value);
    return push(g, load(g, type_of(g, global->type), place_address(g, g->unit->globals[op->a]), 16, ACCESS_GLOBAL));
}

EMITTER(global_set)
{
    store(g, pop(g), place_address(g, g->unit->globals[op->a]), 16, ACCESS_GLOBAL);
    return true;
}
