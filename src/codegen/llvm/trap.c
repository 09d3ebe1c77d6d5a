/* Traps: an instruction with the trap's number, out of line, one per place so that its address tells which
 * Wasm instruction trapped. */
#include "codegen/llvm/emit.h"

void locate(struct gen *g)
{
    LLVMMetadataRef at = LLVMDIBuilderCreateDebugLocation(g->llvm, g->offset, 0, g->scope, NULL);
    LLVMSetCurrentDebugLocation2(g->builder, at);
}

void trap_now(struct gen *g, enum trap trap)
{
    locate(g);
    LLVMValueRef number = LLVMConstInt(g->i8, trap, false);
    LLVMTypeRef type;
    LLVMValueRef function = gen_intrinsic(g, "llvm.ubsantrap", NULL, &type);
    LLVMValueRef call = LLVMBuildCall2(g->builder, type, function, &number, 1, "");
    LLVMAddCallSiteAttribute(call, LLVMAttributeFunctionIndex, g->nomerge);
    LLVMBuildUnreachable(g->builder);
}

void branch_rarely(struct gen *g, LLVMValueRef condition, LLVMBasicBlockRef rare, LLVMBasicBlockRef usual)
{
    LLVMValueRef branch = LLVMBuildCondBr(g->builder, condition, rare, usual);
    LLVMSetMetadata(branch, g->md_prof, g->rare_node);
}

void trap_if(struct gen *g, LLVMValueRef condition, enum trap trap)
{
    LLVMBasicBlockRef rare = gen_block(g), usual = gen_block(g);
    branch_rarely(g, condition, rare, usual);
    LLVMPositionBuilderAtEnd(g->builder, rare);
    trap_now(g, trap);
    LLVMPositionBuilderAtEnd(g->builder, usual);
}
