/* Objects of the heap: addresses, fields of every storage type, allocation. image/heap.h has their shape.
 *
 * The address of a field or element is computed in 32 bits and then added to the heap base, so that whatever a
 * reference or an index is taken for, under speculation too, the access stays in the heap's reservation.
 *
 * The collector finds references by looking at stacks (runtime/gc.h). What the optimizer may keep there instead of a
 * reference is a sum of which the reference is a part. Constants are added to it that stay within the object;
 * indices go through `opaque`, because from `reference + 8 * (index - 4)` LLVM would split off `reference - 32`. */
#include "codegen/llvm/emit.h"

static LLVMValueRef heap_base(struct gen *g)
{
    return place_address(g, g->unit->heap.base);
}

static LLVMValueRef low32(struct gen *g, LLVMValueRef reference)
{
    return LLVMBuildTrunc(g->builder, reference, g->i32, "");
}

LLVMValueRef heap_address(struct gen *g, LLVMValueRef reference)
{
    LLVMValueRef offset = widen(g, low32(g, reference));
    return LLVMBuildGEP2(g->builder, g->i8, heap_base(g), &offset, 1, "");
}

LLVMValueRef heap_field(struct gen *g, LLVMValueRef reference, uint32_t offset)
{
    return at_offset(g, heap_address(g, reference), offset);
}

LLVMValueRef heap_element(struct gen *g, LLVMValueRef reference, LLVMValueRef index, uint32_t size)
{
    LLVMValueRef hidden = LLVMIsAConstantInt(index) ? index : opaque(g, index);
    LLVMValueRef bytes = LLVMBuildMul(g->builder, hidden, const_i32(g, size), "");
    LLVMValueRef offset = widen(g, LLVMBuildAdd(g->builder, low32(g, reference), bytes, ""));
    LLVMValueRef address = LLVMBuildGEP2(g->builder, g->i8, heap_base(g), &offset, 1, "");
    return at_offset(g, address, HEAP_ELEMENTS_OFF);
}

LLVMValueRef heap_type_of(struct gen *g, LLVMValueRef reference)
{
    return load(g, g->i32, heap_address(g, reference), 4, ACCESS_HEADER);
}

LLVMValueRef heap_length(struct gen *g, LLVMValueRef reference)
{
    locate(g);
    LLVMValueRef address = heap_field(g, reference, offsetof(struct heap_header, length));
    return load(g, g->i32, address, 4, ACCESS_HEADER);
}

const struct type_row *type_row(struct gen *g, uint32_t type)
{
    return &g->unit->table->rows[g->unit->types[type]];
}

LLVMValueRef type_value(struct gen *g, uint32_t type)
{
    return const_i32(g, type_row(g, type)->descriptor);
}

/* ---- storage types ---- */

static bool is_packed(wasm_valtype storage)
{
    return storage == WASM_I8 || storage == WASM_I16;
}

/* References of the `any` hierarchy take 32 bits in objects. */
static bool is_short(struct gen *g, wasm_valtype storage)
{
    return heap_ref_of(g->unit->module, storage) == HEAP_REF_ANY;
}

static LLVMTypeRef storage_type(struct gen *g, wasm_valtype storage)
{
    if (is_packed(storage))
        return storage == WASM_I8 ? g->i8 : g->i16;
    return is_short(g, storage) ? g->i32 : type_of(g, storage);
}

static unsigned alignment_of(struct gen *g, wasm_valtype storage)
{
    uint32_t size = heap_storage_size(g->unit->module, storage);
    return size < HEAP_ALIGN ? size : HEAP_ALIGN;
}

LLVMValueRef storage_load(struct gen *g, wasm_valtype storage, bool sign, LLVMValueRef address, enum access access)
{
    LLVMValueRef value = load(g, storage_type(g, storage), address, alignment_of(g, storage), access);
    if (is_packed(storage))
        return sign ? LLVMBuildSExt(g->builder, value, g->i32, "") : LLVMBuildZExt(g->builder, value, g->i32, "");
    return is_short(g, storage) ? widen(g, value) : value;
}

LLVMValueRef storage_value(struct gen *g, wasm_valtype storage, LLVMValueRef value)
{
    bool narrower = is_packed(storage) || is_short(g, storage);
    return narrower ? LLVMBuildTrunc(g->builder, value, storage_type(g, storage), "") : value;
}

void storage_store(struct gen *g, wasm_valtype storage, LLVMValueRef value, LLVMValueRef address, enum access access)
{
    store(g, storage_value(g, storage, value), address, alignment_of(g, storage), access);
}

LLVMValueRef storage_zero(struct gen *g, wasm_valtype storage)
{
    return LLVMConstNull(storage_type(g, storage));
}

/* ---- allocation ---- */

/* The words of the current hole, as one of them and widened. */
static LLVMValueRef load_word(struct gen *g, size_t offset)
{
    LLVMValueRef at = at_offset(g, place_address(g, g->unit->heap.words), (int64_t)offset);
    return widen(g, load(g, g->i32, at, 4, ACCESS_HEAP));
}

LLVMValueRef heap_allocate(struct gen *g, LLVMValueRef size)
{
    LLVMBasicBlockRef from[2], fast = gen_block(g), slow = gen_block(g), done = gen_block(g);
    LLVMValueRef next = load_word(g, offsetof(struct heap_words, next));
    LLVMValueRef end = load_word(g, offsetof(struct heap_words, end));
    LLVMValueRef past = LLVMBuildAdd(g->builder, next, size, "");
    branch_rarely(g, LLVMBuildICmp(g->builder, LLVMIntUGT, past, end, ""), slow, fast);
    LLVMPositionBuilderAtEnd(g->builder, fast);
    store(g, low32(g, past), place_address(g, g->unit->heap.words), 4, ACCESS_HEAP);
    LLVMBuildBr(g->builder, done);
    from[0] = LLVMGetInsertBlock(g->builder);
    LLVMPositionBuilderAtEnd(g->builder, slow);
    LLVMValueRef values[] = {next, emit_helper(g, HELPER_gc_allocate, 1, &size)};
    LLVMBuildBr(g->builder, done);
    from[1] = LLVMGetInsertBlock(g->builder);
    LLVMPositionBuilderAtEnd(g->builder, done);
    LLVMValueRef reference = LLVMBuildPhi(g->builder, g->i64, "");
    LLVMAddIncoming(reference, values, from, 2);
    return reference;
}
