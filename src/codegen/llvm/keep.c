/* Loads that must not vanish. A load from linear memory traps when its address is out of bounds, one from an object
 * when there is none, whether or not anybody needs its value; to LLVM a load without users is nothing.
 *
 * Making every load volatile would be right and slow: nothing vectorizes, nothing is forwarded. So only those are made
 * volatile that are dead: first those that are dead in the Wasm, then those that the simplifying passes found to be
 * dead. While these run, each load has one more user, a call of an unknown function that may write to nothing the
 * guest can see. It keeps the load alive and where it is, but does not hinder its being merged with another access of
 * the same address, which traps in its place.
 *
 * Vectorizing and unrolling need loads without such users. What they may well find to be dead, in whole or in part, is
 * volatile before they run; what they find beyond that is lost.
 *
 * Making machine code of it would read only the bytes of a load that somebody needs, which may lie in bounds where the
 * others do not, and only where somebody needs them. So all loads are volatile in the end, when everything that they
 * would hinder has run. */
#include "codegen/llvm/emit.h"

#include <string.h>

#define USE_NAME "mayfly.use"
#define DEPTH_MAX 8u /* of users of users */
#define WRITES_INACCESSIBLE 8 /* MemoryEffects: two bits per location, the second location, 2 for a write */

/* A load from linear memory or from an object that is not kept yet, or one that was made of others. */
static bool may_vanish(const struct gen *g, LLVMValueRef instruction)
{
    if (!LLVMIsALoadInst(instruction) || LLVMGetVolatile(instruction) ||
        LLVMIsAArgument(LLVMGetOperand(instruction, 0))) /* context.c: not memory */
        return false;
    LLVMValueRef access = LLVMGetMetadata(instruction, g->md_tbaa);
    return !access || access == g->tbaa[ACCESS_MEMORY] || access == g->tbaa[ACCESS_HEADER] ||
           access == g->tbaa[ACCESS_FIELD];
}

/* Instructions without effects of their own: dead when nobody uses them. */
static bool is_pure(LLVMValueRef instruction)
{
    LLVMOpcode code = LLVMGetInstructionOpcode(instruction);
    return LLVMIsACastInst(instruction) || LLVMIsABinaryOperator(instruction) || LLVMIsACmpInst(instruction) ||
           code == LLVMGetElementPtr || code == LLVMSelect || code == LLVMPHI || code == LLVMExtractElement ||
           code == LLVMInsertElement || code == LLVMShuffleVector || code == LLVMFNeg || code == LLVMFreeze;
}

static LLVMValueRef use_function(struct gen *g, LLVMTypeRef *ret_type)
{
    static const char *const promises[] = {"nounwind", "willreturn", "nocallback", "nofree", "nosync"};
    *ret_type = LLVMFunctionType(g->none, NULL, 0, true);
    LLVMValueRef function = LLVMGetNamedFunction(g->module, USE_NAME);
    if (function)
        return function;
    function = LLVMAddFunction(g->module, USE_NAME, *ret_type);
    unsigned memory = LLVMGetEnumAttributeKindForName("memory", strlen("memory"));
    LLVMAddAttributeAtIndex(function, LLVMAttributeFunctionIndex,
                            LLVMCreateEnumAttribute(g->llvm, memory, WRITES_INACCESSIBLE));
    for (unsigned i = 0; i < sizeof promises / sizeof *promises; i++) {
        unsigned kind = LLVMGetEnumAttributeKindForName(promises[i], strlen(promises[i]));
        LLVMAddAttributeAtIndex(function, LLVMAttributeFunctionIndex, LLVMCreateEnumAttribute(g->llvm, kind, 0));
    }
    return function;
}

/* ---- walking ---- */

typedef void visit_fn(struct gen *g, LLVMValueRef instruction);

/* Last instructions first, so that users come before what they use; `visit` may erase what it is shown. */
static void visit_block(struct gen *g, LLVMBasicBlockRef block, visit_fn *visit)
{
    for (LLVMValueRef previous, i = LLVMGetLastInstruction(block); i; i = previous) {
        previous = LLVMGetPreviousInstruction(i);
        visit(g, i);
    }
}

static void visit_all(struct gen *g, visit_fn *visit)
{
    for (LLVMValueRef f = LLVMGetFirstFunction(g->module); f; f = LLVMGetNextFunction(f))
        for (LLVMBasicBlockRef b = LLVMGetLastBasicBlock(f); b; b = LLVMGetPreviousBasicBlock(b))
            visit_block(g, b, visit);
}

/* ---- what each walk does ---- */

/* What makes a load look used is deleted here, users before what they use. */
static void keep_unused(struct gen *g, LLVMValueRef instruction)
{
    if (LLVMGetFirstUse(instruction))
        return;
    if (is_pure(instruction))
        LLVMInstructionEraseFromParent(instruction);
    else if (may_vanish(g, instruction))
        LLVMSetVolatile(instruction, true);
}

/* Loads of half a vector, which is then extended to a whole one: parts of it are known without the load. */
static bool is_half(const struct gen *g, LLVMValueRef load)
{
    LLVMTypeRef type = LLVMTypeOf(load);
    return type == g->type[K_I8X8] || type == g->type[K_I16X4] || type == g->type[K_I32X2] || type == g->type[K_F32X2];
}

static void add_use(struct gen *g, LLVMValueRef instruction)
{
    if (!may_vanish(g, instruction))
        return;
    if (is_half(g, instruction))
        LLVMSetVolatile(instruction, true);
    LLVMTypeRef type;
    LLVMValueRef function = use_function(g, &type);
    LLVMPositionBuilderBefore(g->builder, LLVMGetNextInstruction(instruction));
    LLVMBuildCall2(g->builder, type, function, &instruction, 1, "");
}

static bool is_vector(LLVMValueRef value)
{
    return LLVMGetTypeKind(LLVMTypeOf(value)) == LLVMVectorTypeKind;
}

static bool only_parts_used(LLVMValueRef vector, unsigned depth);

/* A lane, or bits of the whole as one number, of the value or of what is made of it lane by lane. A mask of conditions
 * takes them all. */
static bool takes_part(LLVMValueRef vector, LLVMValueRef user, unsigned depth)
{
    LLVMTypeRef lane = LLVMGetElementType(LLVMTypeOf(vector));
    if (!is_pure(user) || LLVMIsAPHINode(user))
        return false;
    if (is_vector(user))
        return only_parts_used(user, depth + 1);
    return LLVMGetTypeKind(lane) != LLVMIntegerTypeKind || LLVMGetIntTypeWidth(lane) > 1;
}

static bool only_parts_used(LLVMValueRef vector, unsigned depth)
{
    for (LLVMUseRef use = LLVMGetFirstUse(vector); use && depth < DEPTH_MAX; use = LLVMGetNextUse(use))
        if (!takes_part(vector, LLVMGetUser(use), depth))
            return false;
    return depth < DEPTH_MAX;
}

/* How a value reaches a user: as it is or changed by constants, or mixed with other values. */
struct way {
    LLVMBasicBlockRef block;
    unsigned depth;
    bool mixed;
};

static bool is_needed_here(LLVMValueRef value, struct way way);

static bool mixes(LLVMValueRef instruction)
{
    unsigned values = 0;
    for (int i = 0; i < LLVMGetNumOperands(instruction); i++)
        values += !LLVMIsAConstant(LLVMGetOperand(instruction, (unsigned)i));
    return values > 1;
}

/* Where values meet, one of them may be that of the next repetition, and then a sum of all of them needs each; what is
 * only replaced by the next one is not needed but for the last. */
static bool is_need(LLVMValueRef user, struct way way)
{
    if (LLVMIsAPHINode(user))
        return way.mixed && LLVMCountIncoming(user) > 1;
    if (LLVMGetInstructionParent(user) != way.block)
        return false;
    const struct way further = {way.block, way.depth + 1, way.mixed || mixes(user)};
    return !is_pure(user) || is_needed_here(user, further);
}

/* Does anything that has an effect in this block hang on the value? */
static bool is_needed_here(LLVMValueRef value, struct way way)
{
    for (LLVMUseRef use = LLVMGetFirstUse(value); use && way.depth < DEPTH_MAX; use = LLVMGetNextUse(use))
        if (is_need(LLVMGetUser(use), way))
            return true;
    return way.depth == DEPTH_MAX;
}

/* What would become less than it is behind the simplifying passes: a vector of which only parts are used would be one
 * of these parts, and of values that are needed only behind a loop none but the last would be loaded. */
static void keep_weak(struct gen *g, LLVMValueRef instruction)
{
    if (!may_vanish(g, instruction))
        return;
    if ((is_vector(instruction) && only_parts_used(instruction, 0)) ||
        !is_needed_here(instruction, (struct way){LLVMGetInstructionParent(instruction), 0, false}))
        LLVMSetVolatile(instruction, true);
}

/* A store of what lay there with some bits changed, which would become one of the bytes that change. */
static bool is_change(LLVMValueRef instruction)
{
    if (!LLVMIsAStoreInst(instruction))
        return false;
    LLVMValueRef value = LLVMGetOperand(instruction, 0);
    return LLVMIsABinaryOperator(value) &&
           (LLVMIsALoadInst(LLVMGetOperand(value, 0)) || LLVMIsABinaryOperator(LLVMGetOperand(value, 0)));
}

static void make_volatile(struct gen *g, LLVMValueRef instruction)
{
    if (may_vanish(g, instruction) || is_change(instruction))
        LLVMSetVolatile(instruction, true);
}

static bool is_use(struct gen *g, LLVMValueRef instruction)
{
    return LLVMIsACallInst(instruction) && LLVMGetCalledValue(instruction) == LLVMGetNamedFunction(g->module, USE_NAME);
}

static void remove_use(struct gen *g, LLVMValueRef instruction)
{
    if (is_use(g, instruction))
        LLVMInstructionEraseFromParent(instruction);
}

void keep_all_loads(struct gen *g)
{
    visit_all(g, make_volatile);
}

void keep_loads(struct gen *g)
{
    LLVMSetCurrentDebugLocation2(g->builder, NULL);
    visit_all(g, keep_unused);
    visit_all(g, add_use);
}

void release_loads(struct gen *g)
{
    LLVMValueRef function = LLVMGetNamedFunction(g->module, USE_NAME);
    if (!function)
        return;
    visit_all(g, remove_use);
    LLVMDeleteFunction(function);
    visit_all(g, keep_unused);
    visit_all(g, keep_weak);
}
