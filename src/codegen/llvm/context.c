/* The context across calls. Nothing else survives a call in a register, and if the context had to come back from the
 * frame after each, it would go through memory from one call to the next all the way down a recursion. So functions
 * return with it in the register where they got it, which LLVM knows from Swift's errors: a parameter that stands for a
 * register, read and written like memory and passed on to callees. We never write it. A function reads it after each
 * call of its own unit, and what it reads is what it passed.
 *
 * Not in functions that catch exceptions, because a landing pad begins without registers, and not in units with tail
 * calls (survey.h). Those functions read it once, and LLVM keeps it in the frame. So do functions around a large
 * br_table, where everything meets everything: Go's have one for all places to resume at, and the context read behind
 * each call would be one more value to meet in all of them. At -O0 nothing of this is done: the quick instruction
 * selection there takes the parameter for a pointer, and no other function of the image relies on it.
 *
 * LLVM has no registers set apart for that in this calling convention and says so, but what it means is that the
 * registers of parameters might be the same. Here the parameter is the first of all and has the very register. */
#include "codegen/llvm/emit.h"

#include <string.h>

static const char complaint[] = "Swift attributes can't be used with preserve_none";

static LLVMAttributeRef promise(struct gen *g, const char *name, uint64_t value)
{
    return LLVMCreateEnumAttribute(g->llvm, LLVMGetEnumAttributeKindForName(name, strlen(name)), value);
}

void promise_context(struct gen *g, LLVMValueRef function)
{
    LLVMAddAttributeAtIndex(function, 1, promise(g, "swifterror", 0));
    LLVMAddAttributeAtIndex(function, 1, promise(g, "dereferenceable", sizeof(void *))); /* may be read early */
}

/* Anything else that LLVM complains about fails the compile. */
static void hear(LLVMDiagnosticInfoRef info, void *arg)
{
    struct gen *g = arg;
    if (LLVMGetDiagInfoSeverity(info) != LLVMDSError)
        return;
    char *text = LLVMGetDiagInfoDescription(info);
    g->unsound |= !strstr(text, complaint);
    LLVMDisposeMessage(text);
}

static LLVMValueRef read_context(struct gen *g)
{
    return load(g, g->ptr, LLVMGetParam(g->function, 0), 8, ACCESS_CONTEXT);
}

void keep_context(struct gen *g)
{
    LLVMContextSetDiagnosticHandler(g->llvm, hear, g);
    g->context = g->kept ? read_context(g) : LLVMGetParam(g->function, 0);
    g->context_block = g->entry;
}

LLVMValueRef current_context(struct gen *g)
{
    LLVMBasicBlockRef here = LLVMGetInsertBlock(g->builder);
    if (g->rereads && g->context_block != here) {
        g->context = read_context(g);
        g->context_block = here;
    }
    return g->context;
}

LLVMValueRef lend_context(struct gen *g)
{
    return LLVMGetParam(g->function, 0);
}

void context_returned(struct gen *g, LLVMValueRef call)
{
    LLVMAddCallSiteAttribute(call, 1, promise(g, "swifterror", 0));
    g->context_block = NULL;
}
