/* Floating-point arithmetic and comparisons, of scalars and of vectors.
 *
 * LLVM assumes that nobody looks at the payload of a NaN and that signaling NaNs do not exist; Wasm wants
 * quiet NaNs from arithmetic. What the processor computes is right; what LLVM folds away (x * 1, x - 0)
 * hands on a signaling NaN. So operands that invite such folding are hidden from it. */
#include "codegen/llvm/emit.h"

static bool is_neutral_scalar(LLVMValueRef constant)
{
    LLVMBool loses;
    if (!LLVMIsAConstantFP(constant))
        return LLVMIsNull(constant);
    double value = LLVMConstRealGetDouble(constant, &loses);
    return value == 0 || value == 1 || value == -1;
}

/* Could an operation with this operand be folded to its other operand? */
static bool is_neutral(LLVMValueRef value)
{
    if (!LLVMIsConstant(value) || LLVMIsPoison(value))
        return false;
    LLVMTypeRef type = LLVMTypeOf(value);
    if (LLVMGetTypeKind(type) != LLVMVectorTypeKind)
        return is_neutral_scalar(value);
    for (unsigned i = 0; i < LLVMGetVectorSize(type); i++) {
        LLVMValueRef lane = LLVMGetAggregateElement(value, i);
        if (!lane || is_neutral_scalar(lane))
            return true;
    }
    return false;
}

static LLVMValueRef pop_operand(struct gen *g, enum kind kind)
{
    LLVMValueRef value = pop_as(g, kind);
    return is_neutral(value) ? opaque(g, value) : value;
}

EMITTER(float_binary)
{
    LLVMValueRef right = pop_operand(g, row->kind), left = pop_operand(g, row->kind);
    return push(g, LLVMBuildBinOp(g->builder, row->arg, left, right, ""));
}

/* row->arg: an LLVMRealPredicate. */
EMITTER(float_compare)
{
    LLVMValueRef right = pop_as(g, row->kind), left = pop_as(g, row->kind);
    LLVMValueRef answer = LLVMBuildFCmp(g->builder, row->arg, left, right, "");
    if (row->kind == K_F32 || row->kind == K_F64)
        return push(g, from_bool(g, answer));
    return push(g, LLVMBuildSExt(g->builder, answer, g->type[row->kind == K_F32X4 ? K_I32X4 : K_I64X2], ""));
}

/* A sign change of the bits, as in Wasm: 0 - x would be another number for zeros and NaNs. */
EMITTER(float_negate)
{
    return push(g, LLVMBuildFNeg(g->builder, pop_as(g, row->kind), ""));
}

static LLVMTypeRef bits_of(struct gen *g, enum kind kind)
{
    static const enum kind bits[] = {[K_F32] = K_I32, [K_F64] = K_I64, [K_F32X4] = K_I32X4, [K_F64X2] = K_I64X2};
    return g->type[bits[kind]];
}

/* a if it compares before b, else b: one minss or maxss. */
static LLVMValueRef first_of(struct gen *g, LLVMRealPredicate before, LLVMValueRef a, LLVMValueRef b)
{
    return LLVMBuildSelect(g->builder, LLVMBuildFCmp(g->builder, before, a, b, ""), a, b, "");
}

/* row->arg: the predicate that chooses. Numbers: both orders give the same, but for zeros of different sign,
 * where the minimum has the sign bit of either and the maximum of both. NaNs: what the sum makes of them,
 * because the minimum of LLVM may hand on a signaling one. */
EMITTER(float_extreme)
{
    LLVMValueRef b = pop_as(g, row->kind), a = pop_as(g, row->kind);
    LLVMTypeRef bits = bits_of(g, row->kind), type = g->type[row->kind];
    LLVMValueRef one = as_type(g, first_of(g, row->arg, a, b), bits);
    LLVMValueRef other = as_type(g, first_of(g, row->arg, b, a), bits);
    LLVMOpcode join = row->arg == LLVMRealOLT ? LLVMOr : LLVMAnd;
    LLVMValueRef number = as_type(g, LLVMBuildBinOp(g->builder, join, one, other, ""), type);
    LLVMValueRef sum =
        LLVMBuildFAdd(g->builder, is_neutral(a) ? opaque(g, a) : a, is_neutral(b) ? opaque(g, b) : b, "");
    LLVMValueRef unordered = LLVMBuildFCmp(g->builder, LLVMRealUNO, a, b, "");
    return push(g, LLVMBuildSelect(g->builder, unordered, sum, number, ""));
}

/* pmin(a, b) is b < a ? b : a, pmax(a, b) is a < b ? b : a. */
EMITTER(float_pseudo)
{
    LLVMValueRef b = pop_as(g, row->kind), a = pop_as(g, row->kind);
    return push(g, first_of(g, row->arg, b, a));
}
