/* The guest calling convention: docs/architecture.md, "Calling convention". */
#include "codegen/llvm/emit.h"

/* Registers handed out so far; spill cells are counted over both kinds. */
struct dealt {
    unsigned ints, vecs, spilled;
    unsigned int_max, vec_max;
};

enum where { IN_INT, IN_VEC, IN_SPILL };
struct home {
    enum where where;
    unsigned index;
};

static bool is_vec(wasm_valtype type)
{
    return type == WASM_F32 || type == WASM_F64 || type == WASM_V128;
}

static struct home deal(struct dealt *dealt, wasm_valtype type)
{
    if (is_vec(type) && dealt->vecs < dealt->vec_max)
        return (struct home){IN_VEC, dealt->vecs++};
    if (!is_vec(type) && dealt->ints < dealt->int_max)
        return (struct home){IN_INT, dealt->ints++};
    return (struct home){IN_SPILL, dealt->spilled++};
}

static LLVMValueRef spill_address(struct gen *g, unsigned index)
{
    return at_offset(g, store_base(g), (int64_t)(offsetof(struct store, spill) + index * sizeof(union cell)));
}

/* A value as an i64 or a <2 x i64>. */
static LLVMValueRef pack(struct gen *g, LLVMValueRef value, wasm_valtype type)
{
    if (type == WASM_I32)
        return widen(g, value);
    if (type != WASM_F32 && type != WASM_F64)
        return value;
    LLVMTypeRef vector = g->type[type == WASM_F32 ? K_F32X4 : K_F64X2];
    value = LLVMBuildInsertElement(g->builder, LLVMGetPoison(vector), value, const_i32(g, 0), "");
    return as_type(g, value, g->type[K_I64X2]);
}

static LLVMValueRef unpack(struct gen *g, LLVMValueRef value, wasm_valtype type)
{
    if (type == WASM_I32)
        return LLVMBuildTrunc(g->builder, value, g->i32, "");
    if (type != WASM_F32 && type != WASM_F64)
        return value;
    value = as_type(g, value, g->type[type == WASM_F32 ? K_F32X4 : K_F64X2]);
    return LLVMBuildExtractElement(g->builder, value, const_i32(g, 0), "");
}

void fill_poison(struct gen *g, LLVMValueRef *args)
{
    for (unsigned i = 0; i < GUEST_PARAMS; i++)
        args[i] = LLVMGetPoison(i == 0 ? g->ptr : i <= CONTEXT_INT_REGS ? g->i64 : g->type[K_I64X2]);
}

void pack_params(struct gen *g, const struct wasm_functype *type, LLVMValueRef *values, LLVMValueRef *ret_args)
{
    struct dealt dealt = {.int_max = CONTEXT_INT_REGS, .vec_max = CONTEXT_VEC_REGS};
    fill_poison(g, ret_args);
    for (uint32_t i = 0; i < type->param_count; i++) {
        struct home home = deal(&dealt, type->params[i]);
        if (home.where == IN_SPILL)
            store(g, values[i], spill_address(g, home.index), 8, ACCESS_STORE);
        else
            ret_args[1 + (home.where == IN_VEC ? CONTEXT_INT_REGS : 0) + home.index] =
                pack(g, values[i], type->params[i]);
    }
}

void read_params(struct gen *g, const struct wasm_functype *type, LLVMValueRef *ret_values)
{
    struct dealt dealt = {.int_max = CONTEXT_INT_REGS, .vec_max = CONTEXT_VEC_REGS};
    for (uint32_t i = 0; i < type->param_count; i++) {
        wasm_valtype param = type->params[i];
        struct home home = deal(&dealt, param);
        if (home.where == IN_SPILL) {
            ret_values[i] = load(g, type_of(g, param), spill_address(g, home.index), 8, ACCESS_STORE);
            continue;
        }
        unsigned number = 1 + (home.where == IN_VEC ? CONTEXT_INT_REGS : 0) + home.index;
        ret_values[i] = unpack(g, LLVMGetParam(g->function, number), param);
    }
}

LLVMValueRef make_results(struct gen *g, const struct wasm_functype *type, LLVMValueRef *values)
{
    struct dealt dealt = {.int_max = CONTEXT_RESULT_INT_REGS, .vec_max = CONTEXT_RESULT_VEC_REGS};
    LLVMValueRef result = LLVMGetPoison(g->results);
    for (uint32_t i = 0; i < type->result_count; i++) {
        struct home home = deal(&dealt, type->results[i]);
        if (home.where == IN_SPILL)
            store(g, values[i], spill_address(g, home.index), 8, ACCESS_STORE);
        else
            result = LLVMBuildInsertValue(g->builder, result, pack(g, values[i], type->results[i]),
                                          (home.where == IN_VEC ? CONTEXT_RESULT_INT_REGS : 0) + home.index, "");
    }
    return result;
}

void unpack_results(struct gen *g, const struct wasm_functype *type, LLVMValueRef result, LLVMValueRef *ret_values)
{
    struct dealt dealt = {.int_max = CONTEXT_RESULT_INT_REGS, .vec_max = CONTEXT_RESULT_VEC_REGS};
    for (uint32_t i = 0; i < type->result_count; i++) {
        struct home home = deal(&dealt, type->results[i]);
        if (home.where == IN_SPILL) {
            ret_values[i] = load(g, type_of(g, type->results[i]), spill_address(g, home.index), 8, ACCESS_STORE);
            continue;
        }
        unsigned number = (home.where == IN_VEC ? CONTEXT_RESULT_INT_REGS : 0) + home.index;
        LLVMValueRef word = LLVMBuildExtractValue(g->builder, result, number, "");
        ret_values[i] = unpack(g, word, type->results[i]);
    }
}

LLVMValueRef call_plain(struct gen *g, LLVMValueRef code, LLVMValueRef *args)
{
    locate(g);
    LLVMValueRef call = LLVMBuildCall2(g->builder, g->proto, code, args, GUEST_PARAMS, "");
    LLVMSetInstructionCallConv(call, PRESERVE_NONE);
    return call;
}

LLVMValueRef call_guest(struct gen *g, LLVMValueRef code, LLVMValueRef *args)
{
    LLVMBasicBlockRef pad = unwind_block(g);
    if (!pad)
        return call_plain(g, code, args);
    locate(g);
    LLVMBasicBlockRef next = gen_block(g);
    LLVMValueRef call = LLVMBuildInvoke2(g->builder, g->proto, code, args, GUEST_PARAMS, next, pad, "");
    LLVMSetInstructionCallConv(call, PRESERVE_NONE);
    LLVMPositionBuilderAtEnd(g->builder, next);
    return call;
}
