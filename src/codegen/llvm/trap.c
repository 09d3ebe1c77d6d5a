/* Traps: an instruction with the trap's number, out of line, one per place so that its address tells which
 * Wasm instruction trapped. */
#include "codegen/llvm/emit.h"

void locate(struct gen *g)
{
    LLVMMetadataRef at = LLVMDIBuilderCreateDebugLocation(g->llvm, g->offset, 0, g->scope, NULL);
    LLVMSetCurrentDebugLocation2(g->builder, at);
}

/* An empty statement that LLVM takes for unique: it merges no blocks that hold one. */
static void keep_apart(struct gen *g)
{
    LLVMTypeRef type = LLVMFunctionType(g->none, NULL, 0, false);
    LLVMValueRef code = LLVMGetInlineAsm(type, "", 0, "", 0, true, false, LLVMInlineAsmDialectATT, false);
    LLVMBuildCall2(g->builder, type, code, NULL, 0, "");
}

void trap_now(struct gen *g, enum trap trap)
{
    locate(g);
    LLVMValueRef number = LLVMConstInt(g->i8, trap, false);
    keep_apart(g);
    call_intrinsic(g, "llvm.ubsantrap", NULL, &number, 1);
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
