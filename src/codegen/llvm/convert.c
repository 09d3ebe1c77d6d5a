/* Conversions between numbers. */
#include "codegen/llvm/emit.h"

/* row->kind: the result; row->arg: an LLVMOpcode. */
EMITTER(cast)
{
    return push(g, LLVMBuildCast(g->builder, row->arg, pop(g), g->type[row->kind], ""));
}

/* A conversion that quiets signaling NaNs must not be folded with its inverse. */
EMITTER(demote)
{
    LLVMValueRef value = pop(g);
    if (LLVMIsAFPExtInst(value))
        value = opaque(g, value);
    return push(g, LLVMBuildFPTrunc(g->builder, value, g->f32, ""));
}

/* Floats that truncate to an integer of the type lie strictly between `above` and `below`, where
 * `inclusive` says that `above` itself does too (the next lower float would be out of range). */
struct range {
    double above, below;
    bool inclusive;
};

static const struct range ranges[2][2][2] = {
                                              /* [from f64][to i64][signed] */
    {{{-1.0, 0x1p32, false}, {-0x1p31, 0x1p31, true}}, {{-1.0, 0x1p64, false}, {-0x1p63, 0x1p63, true}}},
    {{{-1.0, 0x1p32, false}, {-0x1p31 - 1, 0x1p31, false}}, {{-1.0, 0x1p64, false}, {-0x1p63, 0x1p63, true}}},
};

/* row->kind: the result; row->arg: LLVMFPToSI or LLVMFPToUI. Out of range is poison in LLVM, a trap in Wasm. */
EMITTER(truncate)
{
    LLVMValueRef value = pop(g);
    LLVMTypeRef from = LLVMTypeOf(value);
    const struct range *range = &ranges[from == g->f64][row->kind == K_I64][row->arg == LLVMFPToSI];
    trap_if(g, LLVMBuildFCmp(g->builder, LLVMRealUNO, value, value, ""), TRAP_BAD_CONVERSION);
    LLVMRealPredicate low = range->inclusive ? LLVMRealOGE : LLVMRealOGT;
    LLVMValueRef above = LLVMBuildFCmp(g->builder, low, value, LLVMConstReal(from, range->above), "");
    LLVMValueRef below = LLVMBuildFCmp(g->builder, LLVMRealOLT, value, LLVMConstReal(from, range->below), "");
    LLVMValueRef inside = LLVMBuildAnd(g->builder, above, below, "");
    trap_if(g, LLVMBuildNot(g->builder, inside, ""), TRAP_INTEGER_OVERFLOW);
    return push(g, LLVMBuildCast(g->builder, row->arg, value, g->type[row->kind], ""));
}

/* An intrinsic overloaded on result and operand: the saturating conversions. */
static LLVMValueRef saturate(struct gen *g, const char *name, LLVMTypeRef to, LLVMValueRef value)
{
    LLVMTypeRef types[] = {to, LLVMTypeOf(value)};
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    LLVMValueRef function = LLVMGetIntrinsicDeclaration(g->module, id, types, 2);
    LLVMTypeRef type = LLVMIntrinsicGetType(g->llvm, id, types, 2);
    return LLVMBuildCall2(g->builder, type, function, &value, 1, "");
}

EMITTER(truncate_saturating)
{
    return push(g, saturate(g, row->name, g->type[row->kind], pop(g)));
}

EMITTER(reinterpret)
{
    return push(g, as_type(g, pop(g), g->type[row->kind]));
}

/* Vectors. */

/* row->kind: the result; row->arg: the operand's kind. */
EMITTER(vector_truncate)
{
    return push(g, saturate(g, row->name, g->type[row->kind], pop_as(g, row->arg)));
}

/* The upper half of `low` (two lanes) becomes zero. */
static LLVMValueRef with_zeros(struct gen *g, LLVMValueRef low)
{
    LLVMValueRef order[4];
    for (unsigned i = 0; i < 4; i++)
        order[i] = const_i32(g, i);
    return LLVMBuildShuffleVector(g->builder, low, LLVMConstNull(LLVMTypeOf(low)), LLVMConstVector(order, 4), "");
}

EMITTER(vector_truncate_zero)
{
    return push(g, with_zeros(g, saturate(g, row->name, g->type[K_I32X2], pop_as(g, K_F64X2))));
}

EMITTER(vector_demote)
{
    return push(g, with_zeros(g, LLVMBuildFPTrunc(g->builder, pop_as(g, K_F64X2), g->type[K_F32X2], "")));
}

/* The two low lanes of a vector of four. */
static LLVMValueRef low_two(struct gen *g, LLVMValueRef vector)
{
    LLVMValueRef order[] = {const_i32(g, 0), const_i32(g, 1)};
    return LLVMBuildShuffleVector(g->builder, vector, LLVMGetPoison(LLVMTypeOf(vector)), LLVMConstVector(order, 2), "");
}

EMITTER(vector_promote)
{
    return push(g, LLVMBuildFPExt(g->builder, low_two(g, pop_as(g, K_F32X4)), g->type[K_F64X2], ""));
}

EMITTER(vector_convert)
{
    LLVMValueRef value = pop_as(g, K_I32X4);
    if (row->kind == K_F64X2)
        value = low_two(g, value);
    return push(g, LLVMBuildCast(g->builder, row->arg, value, g->type[row->kind], ""));
}
