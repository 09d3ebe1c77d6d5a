/* Vectors: lanes, shuffles, bits, and what has no scalar counterpart. Written in LLVM's own vector operations,
 * which instruction selection turns back into packs, averages and multiply-adds. */
#include "codegen/llvm/emit.h"

static unsigned lanes_of(struct gen *g, enum kind kind)
{
    return LLVMGetVectorSize(g->type[kind]);
}

static LLVMValueRef all_lanes(struct gen *g, LLVMTypeRef vector, int64_t value)
{
    LLVMValueRef lanes[32];
    unsigned count = LLVMGetVectorSize(vector);
    for (unsigned i = 0; i < count; i++)
        lanes[i] = LLVMConstInt(LLVMGetElementType(vector), (uint64_t)value, true);
    return LLVMConstVector(lanes, count);
}

/* `count` lanes of a and b behind each other: from `first`, every `step`th. */
static LLVMValueRef pick(struct gen *g, LLVMValueRef a, LLVMValueRef b, unsigned count, unsigned first, unsigned step)
{
    LLVMValueRef order[32];
    for (unsigned i = 0; i < count; i++)
        order[i] = const_i32(g, first + i * step);
    return LLVMBuildShuffleVector(g->builder, a, b, LLVMConstVector(order, count), "");
}

static LLVMValueRef extend(struct gen *g, LLVMValueRef value, LLVMTypeRef type, bool is_signed)
{
    return LLVMBuildCast(g->builder, is_signed ? LLVMSExt : LLVMZExt, value, type, "");
}

/* The same number of lanes, twice as wide. */
static LLVMTypeRef wider(struct gen *g, LLVMTypeRef vector)
{
    unsigned bits = LLVMGetIntTypeWidth(LLVMGetElementType(vector));
    return LLVMVectorType(LLVMIntTypeInContext(g->llvm, bits * 2), LLVMGetVectorSize(vector));
}

EMITTER(splat)
{
    LLVMValueRef scalar = pop(g);
    LLVMTypeRef lane = LLVMGetElementType(g->type[row->kind]);
    if (LLVMGetTypeKind(lane) == LLVMIntegerTypeKind)
        scalar = LLVMBuildIntCast2(g->builder, scalar, lane, false, "");
    return push(g, splat(g, row->kind, scalar));
}

/* row->arg: 0 as it is, else the LLVMOpcode that widens it to i32. */
EMITTER(extract_lane)
{
    LLVMValueRef lane = LLVMBuildExtractElement(g->builder, pop_as(g, row->kind), const_i32(g, op->a), "");
    return push(g, row->arg ? LLVMBuildCast(g->builder, row->arg, lane, g->i32, "") : lane);
}

EMITTER(replace_lane)
{
    LLVMValueRef lane = pop(g), vector = pop_as(g, row->kind);
    LLVMTypeRef type = LLVMGetElementType(g->type[row->kind]);
    if (LLVMGetTypeKind(type) == LLVMIntegerTypeKind)
        lane = LLVMBuildIntCast2(g->builder, lane, type, false, "");
    return push(g, LLVMBuildInsertElement(g->builder, vector, lane, const_i32(g, op->a), ""));
}

EMITTER(shuffle)
{
    LLVMValueRef right = pop_as(g, K_I8X16), left = pop_as(g, K_I8X16), order[16];
    for (unsigned i = 0; i < 16; i++)
        order[i] = const_i32(g, op->v128[i]);
    return push(g, LLVMBuildShuffleVector(g->builder, left, right, LLVMConstVector(order, 16), ""));
}

/* Wasm gives 0 for every index above 15; pshufb only for those with the high bit, which adding 0x70 with
 * saturation sets. */
EMITTER(swizzle)
{
    LLVMValueRef index = pop_as(g, K_I8X16), vector = pop_as(g, K_I8X16);
    LLVMValueRef sum[] = {index, all_lanes(g, g->type[K_I8X16], 0x70)};
    index = call_intrinsic(g, "llvm.uadd.sat", g->type[K_I8X16], sum, 2);
    LLVMValueRef args[] = {vector, index};
    return push(g, call_intrinsic(g, "llvm.x86.ssse3.pshuf.b.128", NULL, args, 2));
}

EMITTER(vector_not)
{
    return push(g, LLVMBuildNot(g->builder, pop(g), ""));
}

EMITTER(and_not)
{
    LLVMValueRef right = pop(g), left = pop(g);
    return push(g, LLVMBuildAnd(g->builder, left, LLVMBuildNot(g->builder, right, ""), ""));
}

EMITTER(bitselect)
{
    LLVMValueRef mask = pop(g), no = pop(g), yes = pop(g);
    LLVMValueRef difference = LLVMBuildXor(g->builder, yes, no, "");
    return push(g, LLVMBuildXor(g->builder, LLVMBuildAnd(g->builder, difference, mask, ""), no, ""));
}

/* One bit per lane, as an integer of that many bits. */
static LLVMValueRef lane_bits(struct gen *g, LLVMIntPredicate predicate, enum kind kind)
{
    LLVMValueRef value = pop_as(g, kind);
    LLVMValueRef bits = LLVMBuildICmp(g->builder, predicate, value, LLVMConstNull(g->type[kind]), "");
    return as_type(g, bits, LLVMIntTypeInContext(g->llvm, lanes_of(g, kind)));
}

EMITTER(any_true)
{
    return push(g, from_bool(g, LLVMBuildIsNotNull(g->builder, lane_bits(g, LLVMIntNE, K_I64X2), "")));
}

EMITTER(all_true)
{
    return push(g, from_bool(g, LLVMBuildIsNull(g->builder, lane_bits(g, LLVMIntEQ, row->kind), "")));
}

EMITTER(bitmask)
{
    return push(g, LLVMBuildZExt(g->builder, lane_bits(g, LLVMIntSLT, row->kind), g->i32, ""));
}

/* The smallest integer's absolute value wraps to itself: not poison. */
EMITTER(absolute)
{
    LLVMValueRef args[] = {pop_as(g, row->kind), LLVMConstInt(g->i1, 0, false)};
    return push(g, call_intrinsic(g, row->name, g->type[row->kind], args, 2));
}

static LLVMValueRef clamp(struct gen *g, LLVMValueRef value, int64_t low, int64_t high)
{
    LLVMTypeRef type = LLVMTypeOf(value);
    LLVMValueRef bottom[] = {value, all_lanes(g, type, low)};
    LLVMValueRef top[] = {call_intrinsic(g, "llvm.smax", type, bottom, 2), all_lanes(g, type, high)};
    return call_intrinsic(g, "llvm.smin", type, top, 2);
}

/* row->kind: the operands'; row->arg: 1 when the result is signed. The operands are signed in any case. */
EMITTER(narrow)
{
    LLVMValueRef b = pop_as(g, row->kind), a = pop_as(g, row->kind);
    unsigned lanes = lanes_of(g, row->kind), bits = 64 / lanes;
    int64_t high = row->arg ? ((int64_t)1 << (bits - 1)) - 1 : ((int64_t)1 << bits) - 1;
    LLVMValueRef both = clamp(g, pick(g, a, b, lanes * 2, 0, 1), row->arg ? -high - 1 : 0, high);
    LLVMTypeRef narrow = LLVMVectorType(LLVMIntTypeInContext(g->llvm, bits), lanes * 2);
    return push(g, LLVMBuildTrunc(g->builder, both, narrow, ""));
}

static LLVMValueRef pop_half(struct gen *g, const struct row *row)
{
    LLVMValueRef value = pop_as(g, row->kind);
    unsigned half = lanes_of(g, row->kind) / 2;
    value = pick(g, value, LLVMGetPoison(g->type[row->kind]), half, row->arg & HALF_HIGH ? half : 0, 1);
    return extend(g, value, wider(g, LLVMTypeOf(value)), row->arg & HALF_SIGNED);
}

/* row->kind: the operand's. */
EMITTER(extend_half)
{
    return push(g, pop_half(g, row));
}

EMITTER(multiply_half)
{
    LLVMValueRef right = pop_half(g, row), left = pop_half(g, row);
    return push(g, LLVMBuildMul(g->builder, left, right, ""));
}

/* The sums of neighbours of a vector of any width. */
static LLVMValueRef add_pairs(struct gen *g, LLVMValueRef value)
{
    unsigned half = LLVMGetVectorSize(LLVMTypeOf(value)) / 2;
    LLVMValueRef none = LLVMGetPoison(LLVMTypeOf(value));
    return LLVMBuildAdd(g->builder, pick(g, value, none, half, 0, 2), pick(g, value, none, half, 1, 2), "");
}

/* row->arg: 1 when signed. */
EMITTER(add_pairwise)
{
    LLVMTypeRef type = g->type[row->kind];
    return push(g, add_pairs(g, extend(g, pop_as(g, row->kind), wider(g, type), row->arg)));
}

static LLVMValueRef wide_products(struct gen *g, enum kind kind)
{
    LLVMTypeRef wide = wider(g, g->type[kind]);
    LLVMValueRef right = extend(g, pop_as(g, kind), wide, true), left = extend(g, pop_as(g, kind), wide, true);
    return LLVMBuildMul(g->builder, left, right, "");
}

/* No sum of two products of 16 bits wraps but (-32768)^2 twice, which Wasm lets wrap too. */
EMITTER(dot)
{
    return push(g, add_pairs(g, wide_products(g, K_I16X8)));
}

/* (a * b + 0x4000) >> 15; only -1 times -1 does not fit and saturates. */
EMITTER(q15_multiply)
{
    LLVMValueRef product = wide_products(g, K_I16X8);
    LLVMTypeRef wide = LLVMTypeOf(product);
    LLVMValueRef rounded = LLVMBuildAdd(g->builder, product, all_lanes(g, wide, 0x4000), "");
    LLVMValueRef shifted = LLVMBuildAShr(g->builder, rounded, all_lanes(g, wide, 15), "");
    return push(g, LLVMBuildTrunc(g->builder, clamp(g, shifted, -32768, 32767), g->type[K_I16X8], ""));
}

EMITTER(average)
{
    LLVMTypeRef type = g->type[row->kind], wide = wider(g, type);
    LLVMValueRef right = extend(g, pop_as(g, row->kind), wide, false),
                 left = extend(g, pop_as(g, row->kind), wide, false);
    LLVMValueRef sum = LLVMBuildAdd(g->builder, LLVMBuildAdd(g->builder, left, right, ""), all_lanes(g, wide, 1), "");
    LLVMValueRef half = LLVMBuildLShr(g->builder, sum, all_lanes(g, wide, 1), "");
    return push(g, LLVMBuildTrunc(g->builder, half, type, ""));
}

/* Relaxed instructions: one of the answers that the specification allows, the same on every machine. */

/* row->arg: 1 negates the product. Rounded twice. */
EMITTER(multiply_add)
{
    LLVMValueRef c = pop_as(g, row->kind), b = pop_as(g, row->kind), a = pop_as(g, row->kind);
    LLVMValueRef product = LLVMBuildFMul(g->builder, row->arg ? LLVMBuildFNeg(g->builder, a, "") : a, b, "");
    return push(g, LLVMBuildFAdd(g->builder, product, c, ""));
}

/* Sums of two products of 8 bits fit 16 bits when the right operand has 7, which is all that is promised. */
static LLVMValueRef dot_bytes(struct gen *g)
{
    return add_pairs(g, wide_products(g, K_I8X16));
}

EMITTER(dot_bytes)
{
    return push(g, dot_bytes(g));
}

EMITTER(dot_bytes_add)
{
    LLVMValueRef addend = pop_as(g, K_I32X4), sums = dot_bytes(g);
    sums = add_pairs(g, extend(g, sums, wider(g, LLVMTypeOf(sums)), true));
    return push(g, LLVMBuildAdd(g->builder, sums, addend, ""));
}
