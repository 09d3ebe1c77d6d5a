/* Operands, casts, places: the small steps that every emitter is made of. */
#include "codegen/llvm/emit.h"

#include "wasm/limits.h"

bool push(struct gen *g, LLVMValueRef value)
{
    /* One type for every v128 keeps phis, locals and calls free of lane shapes. */
    if (LLVMGetTypeKind(LLVMTypeOf(value)) == LLVMVectorTypeKind)
        value = as_type(g, value, g->type[K_I64X2]);
    LLVMValueRef *slot = VEC_PUSH(&g->stack, WASM_MAX_OPERANDS);
    if (!slot)
        return err_memory(g->err);
    *slot = value;
    return true;
}

LLVMValueRef pop(struct gen *g)
{
    return g->stack.items[--g->stack.count];
}

LLVMValueRef pop_as(struct gen *g, enum kind kind)
{
    return as_type(g, pop(g), g->type[kind]);
}

LLVMTypeRef type_of(struct gen *g, wasm_valtype type)
{
    switch (type) {
    case WASM_I32: return g->i32;
    case WASM_F32: return g->f32;
    case WASM_F64: return g->f64;
    case WASM_V128: return g->type[K_I64X2];
    default: return g->i64; /* i64 and references */
    }
}

/* The bits of a constant lane; false: they are not known. */
static bool lane_bits(LLVMValueRef lane, unsigned width, uint64_t *ret_bits)
{
    if (lane && !LLVMIsAConstantInt(lane))
        lane = LLVMConstBitCast(lane, LLVMIntTypeInContext(LLVMGetTypeContext(LLVMTypeOf(lane)), width));
    if (!lane || !LLVMIsAConstantInt(lane))
        return false;
    *ret_bits = LLVMConstIntGetZExtValue(lane);
    return true;
}

/* A constant vector with other lanes, or NULL. LLVM's own builder makes an expression of that, which is not simplified
 * at -O0, and of some comparisons of such expressions its code generator never makes an end. */
static LLVMValueRef constant_as(LLVMValueRef value, LLVMTypeRef type)
{
    LLVMTypeRef from = LLVMTypeOf(value);
    LLVMValueRef lanes[16];
    uint64_t words[2] = {0};
    if (!LLVMIsConstant(value) || LLVMGetTypeKind(from) != LLVMVectorTypeKind ||
        LLVMGetTypeKind(type) != LLVMVectorTypeKind)
        return NULL;
    unsigned count = LLVMGetVectorSize(from), width = 128 / count, to_count = LLVMGetVectorSize(type);
    for (unsigned i = 0, at = 0; i < count; i++, at += width) {
        uint64_t bits;
        if (!lane_bits(LLVMGetAggregateElement(value, i), width, &bits))
            return NULL;
        words[at / 64] |= bits << at % 64;
    }
    width = 128 / to_count;
    for (unsigned i = 0, at = 0; i < to_count; i++, at += width) {
        uint64_t bits = words[at / 64] >> at % 64;
        lanes[i] = LLVMConstInt(LLVMIntTypeInContext(LLVMGetTypeContext(type), width), bits, false);
        lanes[i] = LLVMConstBitCast(lanes[i], LLVMGetElementType(type));
    }
    return LLVMConstVector(lanes, to_count);
}

LLVMValueRef as_type(struct gen *g, LLVMValueRef value, LLVMTypeRef type)
{
    if (LLVMTypeOf(value) == type)
        return value;
    LLVMValueRef constant = constant_as(value, type);
    return constant ? constant : LLVMBuildBitCast(g->builder, value, type, "");
}

LLVMValueRef const_i32(struct gen *g, uint32_t value)
{
    return LLVMConstInt(g->i32, value, false);
}

LLVMValueRef const_i64(struct gen *g, uint64_t value)
{
    return LLVMConstInt(g->i64, value, false);
}

LLVMValueRef splat(struct gen *g, enum kind kind, LLVMValueRef scalar)
{
    LLVMTypeRef type = g->type[kind];
    if (LLVMGetTypeKind(type) != LLVMVectorTypeKind)
        return scalar;
    LLVMValueRef vector = LLVMBuildInsertElement(g->builder, LLVMGetPoison(type), scalar, const_i32(g, 0), "");
    LLVMValueRef zeros = LLVMConstNull(LLVMVectorType(g->i32, LLVMGetVectorSize(type)));
    return LLVMBuildShuffleVector(g->builder, vector, LLVMGetPoison(type), zeros, "");
}

LLVMValueRef to_bool(struct gen *g, LLVMValueRef i32)
{
    if (LLVMIsAZExtInst(i32) && LLVMTypeOf(LLVMGetOperand(i32, 0)) == g->i1)
        return LLVMGetOperand(i32, 0);
    return LLVMBuildICmp(g->builder, LLVMIntNE, i32, LLVMConstNull(LLVMTypeOf(i32)), "");
}

LLVMValueRef from_bool(struct gen *g, LLVMValueRef i1)
{
    return LLVMBuildZExt(g->builder, i1, g->i32, "");
}

LLVMValueRef widen(struct gen *g, LLVMValueRef integer)
{
    return LLVMTypeOf(integer) == g->i64 ? integer : LLVMBuildZExt(g->builder, integer, g->i64, "");
}

LLVMValueRef at_offset(struct gen *g, LLVMValueRef pointer, int64_t offset)
{
    LLVMValueRef index = const_i64(g, (uint64_t)offset);
    return offset ? LLVMBuildGEP2(g->builder, g->i8, pointer, &index, 1, "") : pointer;
}

LLVMValueRef load(struct gen *g, LLVMTypeRef type, LLVMValueRef address, unsigned align, enum access access)
{
    LLVMValueRef value = LLVMBuildLoad2(g->builder, type, address, "");
    LLVMSetAlignment(value, align);
    LLVMSetMetadata(value, g->md_tbaa, g->tbaa[access]);
    return value;
}

LLVMValueRef load_fixed(struct gen *g, LLVMTypeRef type, LLVMValueRef address)
{
    LLVMValueRef value = load(g, type, address, 8, ACCESS_FIXED);
    LLVMSetMetadata(value, g->md_invariant, g->empty_node);
    return value;
}

void store(struct gen *g, LLVMValueRef value, LLVMValueRef address, unsigned align, enum access access)
{
    LLVMValueRef made = LLVMBuildStore(g->builder, value, address);
    LLVMSetAlignment(made, align);
    LLVMSetMetadata(made, g->md_tbaa, g->tbaa[access]);
}

LLVMValueRef place_address(struct gen *g, struct place place)
{
    LLVMValueRef at = at_offset(g, current_context(g), place.off);
    return place.kind == PLACE_HERE ? at : load_fixed(g, g->ptr, at);
}

LLVMValueRef store_base(struct gen *g)
{
    return load_fixed(g, g->ptr, at_offset(g, current_context(g), offsetof(struct context, store)));
}

LLVMValueRef code_base(struct gen *g, LLVMValueRef context)
{
    return load_fixed(g, g->i64, at_offset(g, context, offsetof(struct context, code_base)));
}

LLVMValueRef call_intrinsic(struct gen *g, const char *name, LLVMTypeRef overload, LLVMValueRef *args, unsigned count)
{
    LLVMTypeRef type;
    LLVMValueRef function = gen_intrinsic(g, name, overload, &type);
    return LLVMBuildCall2(g->builder, type, function, args, count, "");
}

/* A function of its operands: without these promises LLVM takes it for one that may write to memory. */
static void promise_pure(struct gen *g, LLVMValueRef call)
{
    static const char *const promises[] = {"memory", "nounwind", "willreturn"}; /* memory: 0, none */
    for (size_t i = 0; i < sizeof promises / sizeof *promises; i++) {
        unsigned kind = LLVMGetEnumAttributeKindForName(promises[i], strlen(promises[i]));
        LLVMAddCallSiteAttribute(call, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                                 LLVMCreateEnumAttribute(g->llvm, kind, 0));
    }
}

static LLVMValueRef inline_asm(struct gen *g, LLVMTypeRef type, const char *text, const char *constraints,
                               LLVMValueRef *args, unsigned count)
{
    LLVMTypeRef types[3];
    for (unsigned i = 0; i < count; i++)
        types[i] = LLVMTypeOf(args[i]);
    LLVMTypeRef signature = LLVMFunctionType(type, types, count, false);
    LLVMValueRef code = LLVMGetInlineAsm(signature, text, strlen(text), constraints, strlen(constraints), false, false,
                                         LLVMInlineAsmDialectATT, false);
    LLVMValueRef call = LLVMBuildCall2(g->builder, signature, code, args, count, "");
    promise_pure(g, call);
    return call;
}

LLVMValueRef opaque(struct gen *g, LLVMValueRef value)
{
    LLVMTypeKind kind = LLVMGetTypeKind(LLVMTypeOf(value));
    return inline_asm(g, LLVMTypeOf(value), "", kind == LLVMIntegerTypeKind ? "=r,0" : "=x,0", &value, 1);
}

LLVMValueRef mask_below(struct gen *g, LLVMValueRef index, LLVMValueRef bound)
{
    /* cmp sets the carry iff index < bound; sbb spreads it over the mask. A select would do until some pass
     * proves it redundant behind the bounds check and removes it. */
    LLVMValueRef args[] = {index, bound};
    return inline_asm(g, g->i64, "cmpq $2, $1\n\tsbbq $0, $0", "=r,r,re,~{flags}", args, 2);
}

LLVMValueRef mask_index(struct gen *g, LLVMValueRef index, LLVMValueRef bound)
{
    return LLVMBuildAnd(g->builder, index, mask_below(g, index, bound), "");
}

LLVMValueRef least_index(struct gen *g, LLVMValueRef index, LLVMValueRef bound)
{
    LLVMValueRef args[] = {index, bound};
    return inline_asm(g, g->i64, "cmpl ${2:k}, ${0:k}\n\tcmovael ${2:k}, ${0:k}", "=r,0,r,~{flags}", args, 2);
}
