/* Exceptions: calls inside a try_table are invokes whose landing pad tests the exception against the clauses
 * and goes on to the enclosing try_table, or throws again.
 *
 * The runtime continues at a pad with nothing but the frame: no register survives a guest call anyway, so
 * LLVM expects nothing else. Throwing goes through a routine of the guest convention for that reason.
 * An exnref is the address of {u64 tag address, cells}. */
#include "codegen/llvm/emit.h"

#define VALUES_OFF 8 /* of the cells in the exception; runtime/exception.h */

static LLVMValueRef exception_pointer(struct gen *g, LLVMValueRef exception)
{
    return LLVMBuildIntToPtr(g->builder, exception, g->ptr, "");
}

static LLVMValueRef tag_address(struct gen *g, uint32_t tag)
{
    return LLVMBuildPtrToInt(g->builder, place_address(g, g->unit->tags[tag]), g->i64, "");
}

static const struct wasm_functype *tag_type(struct gen *g, uint32_t tag)
{
    return &g->unit->module->types[g->unit->module->tags[tag].type].func;
}

/* An array of cells in the frame; allocas outside the entry block would grow the stack in loops. */
static LLVMValueRef frame_cells(struct gen *g, uint32_t count)
{
    LLVMBasicBlockRef here = LLVMGetInsertBlock(g->builder);
    LLVMPositionBuilderBefore(g->builder, LLVMGetFirstInstruction(g->entry));
    LLVMValueRef cells = LLVMBuildAlloca(g->builder, LLVMArrayType2(g->type[K_I64X2], count), "");
    LLVMPositionBuilderAtEnd(g->builder, here);
    return cells;
}

EMITTER(throw)
{
    const struct wasm_functype *type = tag_type(g, op->a);
    LLVMValueRef cells = frame_cells(g, type->param_count);
    for (uint32_t i = type->param_count; i-- > 0;)
        store(g, pop(g), at_offset(g, cells, i * sizeof(union cell)), 8, ACCESS_STORE);
    LLVMValueRef values = LLVMBuildPtrToInt(g->builder, cells, g->i64, "");
    LLVMValueRef args[] = {tag_address(g, op->a), values, const_i32(g, type->param_count)};
    emit_helper(g, HELPER_throw_exception, 3, args);
    LLVMBuildUnreachable(g->builder);
    return true;
}

static void throw_again(struct gen *g, LLVMValueRef exception)
{
    emit_helper(g, HELPER_rethrow_exception, 1, &exception);
    LLVMBuildUnreachable(g->builder);
}

EMITTER(throw_ref)
{
    LLVMValueRef exception = pop(g);
    trap_if(g, LLVMBuildICmp(g->builder, LLVMIntEQ, exception, const_i64(g, 0), ""), TRAP_NULL_REFERENCE);
    throw_again(g, exception);
    return true;
}

/* Load what the tag carries, push the exnref if the clause wants it, and branch. */
static bool take(struct gen *g, const struct wasm_catch *clause, LLVMValueRef exception)
{
    struct control *to = control_at(g, clause->label);
    LLVMValueRef values = at_offset(g, exception_pointer(g, exception), VALUES_OFF);
    const struct wasm_functype *type = clause->kind < 2 ? tag_type(g, clause->tag) : NULL;
    size_t height = g->stack.count;
    for (uint32_t i = 0; type && i < type->param_count; i++)
        if (!push(g, load(g, type_of(g, type->params[i]), at_offset(g, values, i * (int64_t)sizeof(union cell)), 8,
                          ACCESS_STORE)))
            return false;
    if ((clause->kind & 1) && !push(g, exception))
        return false;
    branch_values(g, to, g->stack.items + height);
    g->stack.count = height;
    return true;
}

/* One clause; the builder then stands where it did not match. */
static bool test_clause(struct gen *g, const struct wasm_catch *clause, LLVMValueRef exception)
{
    LLVMBasicBlockRef match = gen_block(g), next = gen_block(g);
    if (clause->kind < 2) {
        LLVMValueRef tag = load(g, g->i64, exception_pointer(g, exception), 8, ACCESS_STORE);
        LLVMBuildCondBr(g->builder, LLVMBuildICmp(g->builder, LLVMIntEQ, tag, tag_address(g, clause->tag), ""), match,
                        next);
    } else {
        LLVMBuildBr(g->builder, match);
    }
    LLVMPositionBuilderAtEnd(g->builder, match);
    if (!take(g, clause, exception))
        return false;
    LLVMPositionBuilderAtEnd(g->builder, next);
    return true;
}

/* Where an exception goes that no clause took. */
static void pass_on(struct gen *g, LLVMValueRef exception)
{
    struct control *outer = control_at(g, 0);
    if (!outer->dispatch) {
        throw_again(g, exception);
        return;
    }
    LLVMBasicBlockRef here = LLVMGetInsertBlock(g->builder);
    LLVMAddIncoming(outer->exception, &exception, &here, 1);
    LLVMBuildBr(g->builder, outer->dispatch);
}

static LLVMBasicBlockRef make_pad(struct gen *g, LLVMBasicBlockRef dispatch, LLVMValueRef phi)
{
    LLVMBasicBlockRef pad = gen_block(g);
    LLVMPositionBuilderAtEnd(g->builder, pad);
    LLVMValueRef landing = LLVMBuildLandingPad(g->builder, g->landing, NULL, 1, "");
    LLVMAddClause(landing, LLVMConstNull(g->ptr));
    LLVMValueRef pointer = LLVMBuildExtractValue(g->builder, landing, 0, "");
    LLVMValueRef exception = LLVMBuildPtrToInt(g->builder, pointer, g->i64, "");
    LLVMAddIncoming(phi, &exception, &pad, 1);
    LLVMBuildBr(g->builder, dispatch);
    return pad;
}

/* The pad and the clauses, translated in the scope of what encloses the try_table. */
static bool make_handler(struct gen *g, const struct wasm_op *op, struct control *ret_control)
{
    LLVMBasicBlockRef here = LLVMGetInsertBlock(g->builder), dispatch = gen_block(g);
    LLVMPositionBuilderAtEnd(g->builder, dispatch);
    LLVMValueRef phi = LLVMBuildPhi(g->builder, g->i64, "");
    for (uint32_t i = 0; i < op->block.catch_count; i++)
        if (!test_clause(g, &op->block.catches[i], phi))
            return false;
    pass_on(g, phi);
    ret_control->pad = make_pad(g, dispatch, phi);
    ret_control->dispatch = dispatch;
    ret_control->exception = phi;
    LLVMPositionBuilderAtEnd(g->builder, here);
    return true;
}

/* A name that no code has: the runtime reads the tables, nobody calls it. */
static void need_personality(struct gen *g)
{
    if (LLVMHasPersonalityFn(g->function))
        return;
    LLVMValueRef personality = LLVMGetNamedFunction(g->module, "personality");
    if (!personality)
        personality = LLVMAddFunction(g->module, "personality", LLVMFunctionType(g->i32, NULL, 0, true));
    LLVMSetPersonalityFn(g->function, personality);
}

EMITTER(try_table)
{
    struct control handler;
    if (!op->reachable)
        return control_push_dead(g, WASM_FRAME_TRY);
    if (op->block.catch_count == 0)
        return control_push(g, WASM_FRAME_TRY, &op->block.type, op->block.type.param_count);
    need_personality(g);
    if (!make_handler(g, op, &handler) || !control_push(g, WASM_FRAME_TRY, &op->block.type, op->block.type.param_count))
        return false;
    struct control *control = control_at(g, 0);
    control->pad = handler.pad;
    control->dispatch = handler.dispatch;
    control->exception = handler.exception;
    return true;
}
