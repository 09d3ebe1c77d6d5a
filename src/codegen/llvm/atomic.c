/* Atomic accesses (threads proposal): sequentially consistent, trapping when the address is not a multiple of the
 * access's size. A memory starts at a page, so the machine address tells.
 *
 * A store has one thread, so nobody waits while guest code runs: notify wakes nobody, and a wait can only end by
 * its timeout. */
#include "codegen/llvm/emit.h"

/* Where the popped index and op->mem lead to, once it is aligned. Any access there checks the bounds. */
static LLVMValueRef atomic_address(struct gen *g, const struct wasm_op *op, enum kind kind)
{
    uint32_t bytes = LLVMGetIntTypeWidth(g->type[kind]) / 8;
    LLVMValueRef address = memory_address(g, op, bytes);
    if (bytes == 1)
        return address;
    LLVMValueRef word = LLVMBuildPtrToInt(g->builder, address, g->i64, "");
    LLVMValueRef rest = LLVMBuildAnd(g->builder, word, const_i64(g, bytes - 1), "");
    trap_if(g, LLVMBuildICmp(g->builder, LLVMIntNE, rest, const_i64(g, 0), ""), TRAP_UNALIGNED_ATOMIC);
    locate(g);
    return address;
}

static LLVMValueRef narrow(struct gen *g, LLVMValueRef value, enum kind kind)
{
    return LLVMBuildTrunc(g->builder, value, g->type[kind], "");
}

static bool push_wide(struct gen *g, LLVMValueRef value, LLVMTypeRef type)
{
    return push(g, LLVMBuildZExt(g->builder, value, type, ""));
}

/* Volatile, so that it traps though its value may be dead. */
static LLVMValueRef load_atomic(struct gen *g, LLVMValueRef address, enum kind kind)
{
    LLVMValueRef value = LLVMBuildLoad2(g->builder, g->type[kind], address, "");
    LLVMSetAlignment(value, LLVMGetIntTypeWidth(g->type[kind]) / 8);
    LLVMSetOrdering(value, LLVMAtomicOrderingSequentiallyConsistent);
    LLVMSetVolatile(value, true);
    return value;
}

/* row->kind: what lies in memory; row->arg: the operand's kind. */
EMITTER(atomic_load)
{
    return push_wide(g, load_atomic(g, atomic_address(g, op, row->kind), row->kind), g->type[row->arg]);
}

EMITTER(atomic_store)
{
    LLVMValueRef value = narrow(g, pop(g), row->kind);
    LLVMValueRef made = LLVMBuildStore(g->builder, value, atomic_address(g, op, row->kind));
    LLVMSetAlignment(made, LLVMGetIntTypeWidth(g->type[row->kind]) / 8);
    LLVMSetOrdering(made, LLVMAtomicOrderingSequentiallyConsistent);
    return true;
}

/* row->arg: LLVM's name of the operation. */
EMITTER(atomic_rmw)
{
    LLVMValueRef operand = pop(g), address = atomic_address(g, op, row->kind);
    LLVMValueRef old =
        LLVMBuildAtomicRMW(g->builder, (LLVMAtomicRMWBinOp)row->arg, address, narrow(g, operand, row->kind),
                           LLVMAtomicOrderingSequentiallyConsistent, false);
    LLVMSetVolatile(old, true);
    return push_wide(g, old, LLVMTypeOf(operand));
}

EMITTER(atomic_cmpxchg)
{
    LLVMValueRef replacement = pop(g), expected = pop(g), address = atomic_address(g, op, row->kind);
    LLVMValueRef pair = LLVMBuildAtomicCmpXchg(
        g->builder, address, narrow(g, expected, row->kind), narrow(g, replacement, row->kind),
        LLVMAtomicOrderingSequentiallyConsistent, LLVMAtomicOrderingSequentiallyConsistent, false);
    LLVMSetVolatile(pair, true);
    return push_wide(g, LLVMBuildExtractValue(g->builder, pair, 0, ""), LLVMTypeOf(expected));
}

EMITTER(atomic_fence)
{
    LLVMBuildFence(g->builder, LLVMAtomicOrderingSequentiallyConsistent, false, "");
    return true;
}

EMITTER(atomic_notify)
{
    pop(g); /* how many at most */
    load_atomic(g, atomic_address(g, op, K_I32), K_I32);
    return push(g, const_i32(g, 0));
}

/* 1 when the value is another one, 2 when the timeout is over; the helper traps on a wait without end. */
EMITTER(atomic_wait)
{
    LLVMValueRef timeout = pop(g), expected = pop(g);
    LLVMValueRef value = load_atomic(g, atomic_address(g, op, row->kind), row->kind);
    if (!g->unit->module->memories[op->mem.memory].limits.shared)
        trap_if(g, LLVMConstInt(g->i1, 1, false), TRAP_EXPECTED_SHARED);
    LLVMValueRef same = LLVMBuildICmp(g->builder, LLVMIntEQ, value, expected, "");
    LLVMBasicBlockRef wait = gen_block(g), done = gen_block(g);
    branch_rarely(g, same, wait, done);
    LLVMPositionBuilderAtEnd(g->builder, wait);
    emit_helper(g, HELPER_memory_wait, 1, &timeout);
    LLVMBuildBr(g->builder, done);
    LLVMPositionBuilderAtEnd(g->builder, done);
    return push(g, LLVMBuildSelect(g->builder, same, const_i32(g, 2), const_i32(g, 1), ""));
}
