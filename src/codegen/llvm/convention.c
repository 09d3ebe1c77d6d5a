/* The guest calling convention: docs/architecture.md, "Calling convention".
 *
 * The machine knows one prototype, and so does LLVM where it must: in a tail call, whose caller and callee have to
 * agree. Such functions are "wide": all registers are operands, scalars travel in words and lanes. Elsewhere
 * a function has the operands of its Wasm type and no others, which costs LLVM less and gives the same
 * registers, because the convention deals each kind out in order. */
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

static const struct dealt param_registers = {.int_max = CONTEXT_INT_REGS, .vec_max = CONTEXT_VEC_REGS};
static const struct dealt result_registers = {.int_max = CONTEXT_RESULT_INT_REGS, .vec_max = CONTEXT_RESULT_VEC_REGS};

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

static LLVMValueRef load_spilled(struct gen *g, wasm_valtype type, unsigned index)
{
    return load(g, type_of(g, type), spill_address(g, index), 8, ACCESS_STORE);
}

/* The types of those values that travel in registers. */
static unsigned register_types(struct gen *g, const wasm_valtype *types, uint32_t count, struct dealt dealt,
                               LLVMTypeRef *ret_types)
{
    unsigned used = 0;
    for (uint32_t i = 0; i < count; i++)
        if (deal(&dealt, types[i]).where != IN_SPILL)
            ret_types[used++] = type_of(g, types[i]);
    return used;
}

static LLVMTypeRef result_type(struct gen *g, const struct wasm_functype *type)
{
    LLVMTypeRef results[GUEST_RESULTS];
    unsigned count = register_types(g, type->results, type->result_count, result_registers, results);
    return count == 0 ? g->none : count == 1 ? results[0] : LLVMStructTypeInContext(g->llvm, results, count, false);
}

LLVMTypeRef guest_type(struct gen *g, const struct wasm_functype *type)
{
    LLVMTypeRef params[GUEST_PARAMS] = {g->ptr};
    unsigned count = 1 + register_types(g, type->params, type->param_count, param_registers, params + 1);
    return LLVMFunctionType(result_type(g, type), params, count, false);
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

/* Number of a register among the operands of the one prototype, without the context. */
static unsigned wide_number(struct home home, unsigned ints)
{
    return (home.where == IN_VEC ? ints : 0) + home.index;
}

unsigned pack_params(struct gen *g, const struct wasm_functype *type, bool wide, LLVMValueRef *values,
                     LLVMValueRef *ret_args)
{
    struct dealt dealt = param_registers;
    unsigned count = 1;
    for (unsigned i = 0; wide && i < GUEST_PARAMS; i++)
        ret_args[i] = LLVMGetPoison(i == 0 ? g->ptr : i <= CONTEXT_INT_REGS ? g->i64 : g->type[K_I64X2]);
    for (uint32_t i = 0; i < type->param_count; i++) {
        struct home home = deal(&dealt, type->params[i]);
        if (home.where == IN_SPILL)
            store(g, values[i], spill_address(g, home.index), 8, ACCESS_STORE);
        else if (wide)
            ret_args[1 + wide_number(home, CONTEXT_INT_REGS)] = pack(g, values[i], type->params[i]);
        else
            ret_args[count++] = values[i];
    }
    return wide ? GUEST_PARAMS : count;
}

void read_params(struct gen *g, const struct wasm_functype *type, LLVMValueRef *ret_values)
{
    struct dealt dealt = param_registers;
    unsigned next = 1;
    for (uint32_t i = 0; i < type->param_count; i++) {
        wasm_valtype param = type->params[i];
        struct home home = deal(&dealt, param);
        if (home.where == IN_SPILL)
            ret_values[i] = load_spilled(g, param, home.index);
        else if (g->wide)
            ret_values[i] = unpack(g, LLVMGetParam(g->function, 1 + wide_number(home, CONTEXT_INT_REGS)), param);
        else
            ret_values[i] = LLVMGetParam(g->function, next++);
    }
}

/* The value that a return takes, and NULL where there is none. */
static LLVMValueRef gather(struct gen *g, LLVMTypeRef type, LLVMValueRef result, LLVMValueRef value, unsigned number)
{
    if (LLVMGetTypeKind(type) != LLVMStructTypeKind)
        return value;
    return LLVMBuildInsertValue(g->builder, result ? result : LLVMGetPoison(type), value, number, "");
}

void return_values(struct gen *g, const struct wasm_functype *type, LLVMValueRef *values)
{
    struct dealt dealt = result_registers;
    LLVMTypeRef returns = g->wide ? g->results : result_type(g, type);
    LLVMValueRef result = g->wide ? LLVMGetPoison(returns) : NULL;
    unsigned next = 0;
    for (uint32_t i = 0; i < type->result_count; i++) {
        struct home home = deal(&dealt, type->results[i]);
        if (home.where == IN_SPILL)
            store(g, values[i], spill_address(g, home.index), 8, ACCESS_STORE);
        else if (g->wide)
            result = gather(g, returns, result, pack(g, values[i], type->results[i]),
                            wide_number(home, CONTEXT_RESULT_INT_REGS));
        else
            result = gather(g, returns, result, values[i], next++);
    }
    if (result)
        LLVMBuildRet(g->builder, result);
    else
        LLVMBuildRetVoid(g->builder);
}

void unpack_results(struct gen *g, const struct wasm_functype *type, LLVMValueRef result, LLVMValueRef *ret_values)
{
    struct dealt dealt = result_registers;
    bool single = LLVMGetTypeKind(LLVMTypeOf(result)) != LLVMStructTypeKind;
    unsigned next = 0;
    for (uint32_t i = 0; i < type->result_count; i++) {
        struct home home = deal(&dealt, type->results[i]);
        if (home.where == IN_SPILL)
            ret_values[i] = load_spilled(g, type->results[i], home.index);
        else
            ret_values[i] = single ? result : LLVMBuildExtractValue(g->builder, result, next++, "");
    }
}

LLVMValueRef call_plain(struct gen *g, LLVMTypeRef type, LLVMValueRef code, LLVMValueRef *args, unsigned count)
{
    locate(g);
    LLVMValueRef call = LLVMBuildCall2(g->builder, type, code, args, count, "");
    LLVMSetInstructionCallConv(call, PRESERVE_NONE);
    return call;
}

LLVMValueRef call_guest(struct gen *g, LLVMTypeRef type, LLVMValueRef code, LLVMValueRef *args, unsigned count)
{
    LLVMBasicBlockRef pad = unwind_block(g);
    if (!pad)
        return call_plain(g, type, code, args, count);
    locate(g);
    LLVMBasicBlockRef next = gen_block(g);
    LLVMValueRef call = LLVMBuildInvoke2(g->builder, type, code, args, count, next, pad, "");
    LLVMSetInstructionCallConv(call, PRESERVE_NONE);
    LLVMPositionBuilderAtEnd(g->builder, next);
    return call;
}
