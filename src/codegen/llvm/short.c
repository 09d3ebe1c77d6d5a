/* Copying and filling short blocks without the host, at the beginning of the routines that ask it to. Most blocks of
 * real programs are short, and leaving the guest would cost more than the work.
 *
 * Both ends are done with accesses of one width, which overlap in the middle: no loop, few branches. Everything is
 * loaded before anything is stored, so that blocks may overlap. The caller has checked both ranges. Longer blocks are
 * the C library's, which uses what the processor has: a loop here was slower from a hundred bytes on. */
#include "codegen/llvm/emit.h"

#define SHORT_MAX 64u
#define ACCESSES_MAX 4u

/* Sizes from `least` on are done with `count` accesses of `width` bytes: half of them from the start, half up to the
 * end. Of fewer than four bytes: the first, the middle and the last one. */
static const struct step {
    uint32_t least, width, count;
} steps[] = {{33, 16, 4}, {16, 16, 2}, {8, 8, 2}, {4, 4, 2}, {1, 1, 3}};

struct block {
    struct gen *g;
    LLVMValueRef to, from, value, size; /* addresses as pointers; from: NULL to fill; value: eight bytes alike */
};

static LLVMTypeRef access_type(struct gen *g, uint32_t width)
{
    return width == 16 ? g->type[K_I64X2] : LLVMIntTypeInContext(g->llvm, width * 8);
}

/* Where access `index` of a step lies, in bytes from the start. */
static LLVMValueRef access_offset(const struct block *block, const struct step *step, uint32_t index)
{
    struct gen *g = block->g;
    if (step->count == 3)
        return index == 0   ? const_i64(g, 0)
               : index == 1 ? LLVMBuildLShr(g->builder, block->size, const_i64(g, 1), "")
                            : LLVMBuildSub(g->builder, block->size, const_i64(g, 1), "");
    uint32_t half = step->count / 2;
    if (index < half)
        return const_i64(g, (uint64_t)index * step->width);
    return LLVMBuildSub(g->builder, block->size, const_i64(g, (uint64_t)(step->count - index) * step->width), "");
}

static LLVMValueRef address(struct gen *g, LLVMValueRef base, LLVMValueRef offset)
{
    return LLVMBuildGEP2(g->builder, g->i8, base, &offset, 1, "");
}

static LLVMValueRef filler(const struct block *block, uint32_t width)
{
    struct gen *g = block->g;
    if (width == 16)
        return splat(g, K_I64X2, block->value);
    return width == 8 ? block->value : LLVMBuildTrunc(g->builder, block->value, access_type(g, width), "");
}

static void do_step(const struct block *block, const struct step *step)
{
    struct gen *g = block->g;
    LLVMValueRef offsets[ACCESSES_MAX], values[ACCESSES_MAX];
    for (uint32_t i = 0; i < step->count; i++) {
        offsets[i] = access_offset(block, step, i);
        values[i] = block->from
                        ? load(g, access_type(g, step->width), address(g, block->from, offsets[i]), 1, ACCESS_MEMORY)
                        : filler(block, step->width);
    }
    for (uint32_t i = 0; i < step->count; i++)
        store(g, values[i], address(g, block->to, offsets[i]), 1, ACCESS_MEMORY);
    LLVMBuildRetVoid(g->builder);
}

static LLVMBasicBlockRef branch(struct gen *g, LLVMIntPredicate predicate, LLVMValueRef size, uint32_t bound)
{
    LLVMBasicBlockRef then = gen_block(g), otherwise = gen_block(g);
    LLVMBuildCondBr(g->builder, LLVMBuildICmp(g->builder, predicate, size, const_i64(g, bound), ""), then, otherwise);
    LLVMPositionBuilderAtEnd(g->builder, then);
    return otherwise;
}

/* The builder then stands where longer blocks go on. */
static void do_short(const struct block *block)
{
    struct gen *g = block->g;
    LLVMBasicBlockRef longer = branch(g, LLVMIntULE, block->size, SHORT_MAX);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        LLVMBasicBlockRef next = branch(g, LLVMIntUGE, block->size, steps[i].least);
        do_step(block, &steps[i]);
        LLVMPositionBuilderAtEnd(g->builder, next);
    }
    LLVMBuildRetVoid(g->builder);
    LLVMPositionBuilderAtEnd(g->builder, longer);
}

void gen_short(struct gen *g, enum helper helper)
{
    LLVMValueRef words[] = {LLVMGetParam(g->function, 1), LLVMGetParam(g->function, 2), LLVMGetParam(g->function, 3)};
    struct block block = {.g = g, .to = LLVMBuildIntToPtr(g->builder, words[0], g->ptr, ""), .size = words[2]};
    if (helper == HELPER_move) {
        block.from = LLVMBuildIntToPtr(g->builder, words[1], g->ptr, "");
    } else {
        LLVMValueRef byte = LLVMBuildAnd(g->builder, words[1], const_i64(g, 0xff), "");
        block.value = LLVMBuildMul(g->builder, byte, const_i64(g, 0x0101010101010101), "");
    }
    do_short(&block);
}
