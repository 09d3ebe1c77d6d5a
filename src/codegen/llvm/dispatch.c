/* Switches with many targets, as interpreters have them. Two things that LLVM does to them cost more than they bring.
 *
 * Values that meet other values where a target begins are copied before the jump, for all targets at once: an edge of
 * its own for each target lets each make only its own copies.
 *
 * The block that jumps is duplicated into its predecessors. That helps the branch predictor where most targets come
 * back by themselves; where all come back by one way, it only makes every target the meeting point of two. */
#include "codegen/llvm/emit.h"

#define TARGETS_LEAST 16u
#define PREDECESSORS_LEAST 4u /* for a duplicate to be worth anything */

static unsigned predecessor_count(LLVMBasicBlockRef block)
{
    unsigned count = 0;
    for (LLVMUseRef use = LLVMGetFirstUse(LLVMBasicBlockAsValue(block)); use; use = LLVMGetNextUse(use))
        count++;
    return count;
}

/* A call that is convergent stays where it is, and its block with it. Here that is the one that masks the index. */
static void keep_single(struct gen *g, LLVMBasicBlockRef block)
{
    static const char name[] = "convergent";
    LLVMAttributeRef convergent =
        LLVMCreateEnumAttribute(g->llvm, LLVMGetEnumAttributeKindForName(name, sizeof name - 1), 0);
    for (LLVMValueRef at = LLVMGetFirstInstruction(block); at; at = LLVMGetNextInstruction(at))
        if (LLVMIsACallInst(at) && LLVMIsAInlineAsm(LLVMGetCalledValue(at)))
            LLVMAddCallSiteAttribute(at, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, convergent);
}

bool settle_dispatches(struct gen *g)
{
    bool some = false;
    for (LLVMBasicBlockRef block = LLVMGetFirstBasicBlock(g->function); block; block = LLVMGetNextBasicBlock(block)) {
        LLVMValueRef last = LLVMGetBasicBlockTerminator(block);
        if (!last || !LLVMIsASwitchInst(last) || LLVMGetNumSuccessors(last) < TARGETS_LEAST)
            continue;
        some = true;
        if (predecessor_count(block) < PREDECESSORS_LEAST)
            keep_single(g, block);
    }
    return some;
}
