/* memory.copy and memory.fill: bounds are checked in place; short blocks of constant length become loads and stores,
 * the others a call. Nothing is written before both ranges were checked, as the specification has it. */
#include "codegen/llvm/emit.h"

#define INLINE_MAX 128u /* bytes */
#define CHUNK_MAX 16u
#define CHUNKS_MAX (INLINE_MAX / CHUNK_MAX + 4)

static bool is_short(LLVMValueRef length)
{
    return LLVMIsAConstantInt(length) && LLVMConstIntGetZExtValue(length) <= INLINE_MAX;
}

/* Trap unless [index, index + length) lies in the memory; its address. The processor may run ahead of the check: a
 * short block at a 32-bit index then still lies in the guard region, others become empty at the memory's start. */
static LLVMValueRef checked_range(struct gen *g, uint32_t memory, LLVMValueRef index, LLVMValueRef *length)
{
    LLVMValueRef args[] = {index, *length}, size = memory_size(g, memory);
    LLVMValueRef end = call_intrinsic(g, "llvm.uadd.sat", g->i64, args, 2);
    trap_if(g, LLVMBuildICmp(g->builder, LLVMIntUGT, end, size, ""), TRAP_MEMORY_BOUNDS);
    if (g->unit->module->memories[memory].limits.is_64 || !is_short(*length)) {
        LLVMValueRef mask = mask_below(g, end, LLVMBuildAdd(g->builder, size, const_i64(g, 1), ""));
        index = LLVMBuildAnd(g->builder, index, mask, "");
        *length = is_short(*length) ? *length : LLVMBuildAnd(g->builder, *length, mask, "");
    }
    locate(g);
    return memory_element(g, memory, index, 0);
}

struct chunk {
    uint32_t at, width;
};

/* Cut `size` bytes into as few accesses as will do; the last may overlap the one before. */
static unsigned cut(uint32_t size, struct chunk chunks[CHUNKS_MAX])
{
    unsigned count = 0;
    for (uint32_t at = 0; at < size;) {
        uint32_t width = CHUNK_MAX, left = size - at;
        while (width > size || width / 2 >= left)
            width /= 2;
        if (width > left)
            at = size - width;
        chunks[count++] = (struct chunk){at, width};
        at += width;
    }
    return count;
}

static LLVMTypeRef chunk_type(struct gen *g, uint32_t width)
{
    return width == 16 ? g->type[K_I64X2] : LLVMIntTypeInContext(g->llvm, width * 8);
}

static void copy_short(struct gen *g, LLVMValueRef to, LLVMValueRef from, uint32_t size)
{
    struct chunk chunks[CHUNKS_MAX];
    LLVMValueRef values[CHUNKS_MAX];
    unsigned count = cut(size, chunks);
    for (unsigned i = 0; i < count; i++)
        values[i] = load(g, chunk_type(g, chunks[i].width), at_offset(g, from, chunks[i].at), 1, ACCESS_MEMORY);
    for (unsigned i = 0; i < count; i++)
        store(g, values[i], at_offset(g, to, chunks[i].at), 1, ACCESS_MEMORY);
}

static void fill_short(struct gen *g, LLVMValueRef to, LLVMValueRef value, uint32_t size)
{
    struct chunk chunks[CHUNKS_MAX];
    unsigned count = cut(size, chunks);
    LLVMValueRef byte = LLVMBuildTrunc(g->builder, value, g->i8, ""), wide = widen(g, byte);
    wide = LLVMBuildMul(g->builder, wide, const_i64(g, 0x0101010101010101), "");
    for (unsigned i = 0; i < count; i++) {
        LLVMTypeRef type = chunk_type(g, chunks[i].width);
        LLVMValueRef bytes = chunks[i].width == 16  ? splat(g, K_I64X2, wide)
                             : chunks[i].width == 8 ? wide
                                                    : LLVMBuildTrunc(g->builder, wide, type, "");
        store(g, bytes, at_offset(g, to, chunks[i].at), 1, ACCESS_MEMORY);
    }
}

static LLVMValueRef address_word(struct gen *g, LLVMValueRef pointer)
{
    return LLVMBuildPtrToInt(g->builder, pointer, g->i64, "");
}

EMITTER(memory_fill)
{
    LLVMValueRef length = widen(g, pop(g)), value = pop(g), index = widen(g, pop(g));
    LLVMValueRef to = checked_range(g, op->a, index, &length);
    if (is_short(length)) {
        fill_short(g, to, value, (uint32_t)LLVMConstIntGetZExtValue(length));
        return true;
    }
    LLVMValueRef args[] = {address_word(g, to), value, length};
    emit_helper(g, HELPER_fill, 3, args);
    return true;
}

EMITTER(memory_copy)
{
    LLVMValueRef length = widen(g, pop(g)), source = widen(g, pop(g)), target = widen(g, pop(g));
    LLVMValueRef to = checked_range(g, op->a, target, &length), from = checked_range(g, op->b, source, &length);
    if (is_short(length)) {
        copy_short(g, to, from, (uint32_t)LLVMConstIntGetZExtValue(length));
        return true;
    }
    LLVMValueRef args[] = {address_word(g, to), address_word(g, from), length};
    emit_helper(g, HELPER_move, 3, args);
    return true;
}
