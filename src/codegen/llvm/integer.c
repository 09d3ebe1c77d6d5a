/* Integer arithmetic and comparisons, of scalars and of vectors. */
#include "codegen/llvm/emit.h"

/* row->arg: an LLVMOpcode. */
EMITTER(binary)
{
    LLVMValueRef right = pop_as(g, row->kind), left = pop_as(g, row->kind);
    return push(g, LLVMBuildBinOp(g->builder, row->arg, left, right, ""));
}

static unsigned lane_bits(struct gen *g, enum kind kind)
{
    LLVMTypeRef type = g->type[kind];
    return LLVMGetIntTypeWidth(LLVMGetTypeKind(type) == LLVMVectorTypeKind ? LLVMGetElementType(type) : type);
}

/* A shift count as wide as a lane. Wasm takes it modulo the width, LLVM's result would be poison. */
static LLVMValueRef shift_count(struct gen *g, enum kind kind, LLVMValueRef count)
{
    unsigned bits = lane_bits(g, kind);
    LLVMTypeRef lane = LLVMIntTypeInContext(g->llvm, bits), from = LLVMTypeOf(count);
    count = LLVMBuildAnd(g->builder, count, LLVMConstInt(from, bits - 1, false), "");
    return splat(g, kind, LLVMBuildIntCast2(g->builder, count, lane, false, ""));
}

EMITTER(shift)
{
    LLVMValueRef count = shift_count(g, row->kind, pop(g)), value = pop_as(g, row->kind);
    return push(g, LLVMBuildBinOp(g->builder, row->arg, value, count, ""));
}

/* A funnel shift takes its count modulo the width, as Wasm does. */
EMITTER(rotate)
{
    LLVMValueRef count = pop(g), value = pop(g);
    LLVMValueRef args[] = {value, value, count};
    return push(g, call_intrinsic(g, row->name, g->type[row->kind], args, 3));
}

static LLVMValueRef equals(struct gen *g, LLVMValueRef value, uint64_t constant)
{
    return LLVMBuildICmp(g->builder, LLVMIntEQ, value, LLVMConstInt(LLVMTypeOf(value), constant, true), "");
}

/* Division by zero is undefined in LLVM, a trap in Wasm. */
static void check_zero(struct gen *g, LLVMValueRef divisor)
{
    trap_if(g, equals(g, divisor, 0), TRAP_DIVIDE_BY_ZERO);
}

EMITTER(divide_u)
{
    LLVMValueRef right = pop(g), left = pop(g);
    check_zero(g, right);
    return push(g, LLVMBuildBinOp(g->builder, row->arg, left, right, ""));
}

/* The smallest integer divided by -1 overflows: undefined in LLVM, a trap in Wasm. */
EMITTER(divide_s)
{
    LLVMValueRef right = pop(g), left = pop(g);
    check_zero(g, right);
    LLVMValueRef smallest = equals(g, left, (uint64_t)1 << (lane_bits(g, row->kind) - 1));
    trap_if(g, LLVMBuildAnd(g->builder, smallest, equals(g, right, UINT64_MAX), ""), TRAP_INTEGER_OVERFLOW);
    return push(g, LLVMBuildSDiv(g->builder, left, right, ""));
}

/* Any remainder by -1 is 0 in Wasm, also where LLVM's is undefined: divide by 1 instead. */
EMITTER(remainder_s)
{
    LLVMValueRef right = pop(g), left = pop(g);
    check_zero(g, right);
    LLVMValueRef one = LLVMConstInt(g->type[row->kind], 1, false);
    LLVMValueRef divisor = LLVMBuildSelect(g->builder, equals(g, right, UINT64_MAX), one, right, "");
    return push(g, LLVMBuildSRem(g->builder, left, divisor, ""));
}

EMITTER(eqz)
{
    return push(g, from_bool(g, equals(g, pop(g), 0)));
}

/* row->arg: an LLVMIntPredicate. Vectors: all bits of a lane are the answer. */
EMITTER(compare)
{
    LLVMValueRef right = pop_as(g, row->kind), left = pop_as(g, row->kind);
    LLVMValueRef answer = LLVMBuildICmp(g->builder, row->arg, left, right, "");
    if (row->kind < K_I8X16)
        return push(g, from_bool(g, answer));
    return push(g, LLVMBuildSExt(g->builder, answer, g->type[row->kind], ""));
}

/* Zero is counted like any number: its result is not poison. */
EMITTER(count_zeros)
{
    LLVMValueRef args[] = {pop(g), LLVMConstInt(g->i1, 0, false)};
    return push(g, call_intrinsic(g, row->name, g->type[row->kind], args, 2));
}

/* An intrinsic of one operand whose only type is the operand's. */
EMITTER(unary)
{
    LLVMValueRef value = pop_as(g, row->kind);
    return push(g, call_intrinsic(g, row->name, g->type[row->kind], &value, 1));
}

/* The same of two operands. */
EMITTER(intrinsic)
{
    LLVMValueRef right = pop_as(g, row->kind), left = pop_as(g, row->kind);
    LLVMValueRef args[] = {left, right};
    return push(g, call_intrinsic(g, row->name, g->type[row->kind], args, 2));
}

EMITTER(negate)
{
    return push(g, LLVMBuildNeg(g->builder, pop_as(g, row->kind), ""));
}

/* row->arg: the kind whose sign is extended. */
EMITTER(extend_low)
{
    LLVMValueRef low = LLVMBuildTrunc(g->builder, pop(g), g->type[row->arg], "");
    return push(g, LLVMBuildSExt(g->builder, low, g->type[row->kind], ""));
}
