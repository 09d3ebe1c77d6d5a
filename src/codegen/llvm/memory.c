/* Linear memory: docs/architecture.md, "Linear memory".
 *
 * Accesses have alignment 1 and no check where the guard region behind the memory catches what is out of
 * bounds. LLVM may delete a load whose value is not used, which Wasm may not; module.c makes such loads
 * volatile. */
#include "codegen/llvm/emit.h"

static const struct wasm_memory *memory_of(struct gen *g, uint32_t memory)
{
    return &g->unit->module->memories[memory];
}

static bool is_64(struct gen *g, uint32_t memory)
{
    return memory_of(g, memory)->limits.is_64;
}

LLVMValueRef memory_size(struct gen *g, uint32_t memory)
{
    return load(g, g->i64, place_address(g, g->unit->memories[memory].size), 8, ACCESS_SIZE);
}

/* Trap unless index + end <= size of the memory. The bound saturates, so that nothing wraps. */
static LLVMValueRef check_bounds(struct gen *g, uint32_t memory, LLVMValueRef index, uint64_t end)
{
    LLVMValueRef past = LLVMBuildAdd(g->builder, memory_size(g, memory), const_i64(g, 1), "");
    LLVMValueRef args[] = {past, const_i64(g, end)};
    LLVMValueRef bound = call_intrinsic(g, "llvm.usub.sat", g->i64, args, 2);
    trap_if(g, LLVMBuildICmp(g->builder, LLVMIntUGE, index, bound, ""), TRAP_MEMORY_BOUNDS);
    return mask_index(g, index, bound);
}

/* The guard region catches every 32-bit index with an offset below MEMORY_GUARD_OFFSET: no check then. */
static bool guarded(struct gen *g, const struct wasm_memarg *mem)
{
    const struct wasm_memory *memory = memory_of(g, mem->memory);
    return !memory->limits.is_64 && memory->page_log2 == 16 && mem->offset < MEMORY_GUARD_OFFSET;
}

static LLVMValueRef always_out_of_bounds(struct gen *g, LLVMValueRef index)
{
    trap_if(g, LLVMConstInt(g->i1, 1, false), TRAP_MEMORY_BOUNDS);
    return index;
}

/* Base, then the index, then the constant: the last folds into the access. */
LLVMValueRef memory_element(struct gen *g, uint32_t memory, LLVMValueRef index, uint64_t offset)
{
    LLVMValueRef base = place_address(g, g->unit->memories[memory].base);
    LLVMValueRef at = LLVMBuildGEP2(g->builder, g->i8, base, &index, 1, "");
    return at_offset(g, at, (int64_t)offset);
}

LLVMValueRef memory_address(struct gen *g, const struct wasm_op *op, uint32_t size)
{
    const struct wasm_memarg *mem = &op->mem;
    LLVMValueRef index = widen(g, pop(g)); /* zero extension: Wasm adds the offset without wrapping */
    uint64_t end;
    if (!guarded(g, mem)) {
        if (__builtin_add_overflow(mem->offset, size, &end))
            index = always_out_of_bounds(g, index);
        else
            index = check_bounds(g, mem->memory, index, end);
    }
    locate(g);
    return memory_element(g, mem->memory, index, mem->offset);
}

static uint32_t kind_bytes(enum kind kind)
{
#define KIND(name, lanes, element) [K_##name] = (lanes ? lanes : 1) * sizeof(size_##element),
    typedef uint8_t size_i8;
    typedef uint16_t size_i16;
    typedef uint32_t size_i32;
    typedef uint64_t size_i64;
    typedef float size_f32;
    typedef double size_f64;
    static const uint32_t bytes[] = {KINDS(KIND)};
#undef KIND
    return bytes[kind];
}

/* row->kind: what lies in memory; row->arg: 0, or the operand's kind and how to get there. */
EMITTER(load)
{
    LLVMValueRef address = memory_address(g, op, kind_bytes(row->kind));
    return push(g, load(g, g->type[row->kind], address, 1, ACCESS_MEMORY));
}

static bool load_extended(struct gen *g, const struct wasm_op *op, const struct row *row, LLVMOpcode extension)
{
    LLVMValueRef address = memory_address(g, op, kind_bytes(row->kind));
    LLVMValueRef value = load(g, g->type[row->kind], address, 1, ACCESS_MEMORY);
    return push(g, LLVMBuildCast(g->builder, extension, value, g->type[row->arg], ""));
}

EMITTER(load_s)
{
    return load_extended(g, op, row, LLVMSExt);
}

EMITTER(load_u)
{
    return load_extended(g, op, row, LLVMZExt);
}

EMITTER(store)
{
    LLVMValueRef value = pop_as(g, row->kind);
    store(g, value, memory_address(g, op, kind_bytes(row->kind)), 1, ACCESS_MEMORY);
    return true;
}

/* The low bits of a wider integer. */
EMITTER(store_low)
{
    LLVMValueRef value = LLVMBuildTrunc(g->builder, pop(g), g->type[row->kind], "");
    store(g, value, memory_address(g, op, kind_bytes(row->kind)), 1, ACCESS_MEMORY);
    return true;
}

/* row->kind: the vector; row->arg: its lane's kind. */
EMITTER(load_splat)
{
    LLVMValueRef address = memory_address(g, op, kind_bytes(row->arg));
    return push(g, splat(g, row->kind, load(g, g->type[row->arg], address, 1, ACCESS_MEMORY)));
}

EMITTER(load_zero)
{
    LLVMValueRef address = memory_address(g, op, kind_bytes(row->arg));
    LLVMValueRef lane = load(g, g->type[row->arg], address, 1, ACCESS_MEMORY);
    LLVMValueRef zero = LLVMConstNull(g->type[row->kind]);
    return push(g, LLVMBuildInsertElement(g->builder, zero, lane, const_i32(g, 0), ""));
}

EMITTER(load_lane)
{
    LLVMValueRef vector = pop_as(g, row->kind);
    LLVMValueRef address = memory_address(g, op, kind_bytes(row->arg));
    LLVMValueRef lane = load(g, g->type[row->arg], address, 1, ACCESS_MEMORY);
    return push(g, LLVMBuildInsertElement(g->builder, vector, lane, const_i32(g, op->a), ""));
}

EMITTER(store_lane)
{
    LLVMValueRef vector = pop_as(g, row->kind);
    LLVMValueRef address = memory_address(g, op, kind_bytes(row->arg));
    LLVMValueRef lane = LLVMBuildExtractElement(g->builder, vector, const_i32(g, op->a), "");
    store(g, lane, address, 1, ACCESS_MEMORY);
    return true;
}

/* A result that counts pages or entries, as wide as the index type. */
bool push_index(struct gen *g, LLVMValueRef value, bool wide)
{
    return push(g, wide ? value : LLVMBuildTrunc(g->builder, value, g->i32, ""));
}

EMITTER(memory_size)
{
    LLVMValueRef shift = const_i64(g, memory_of(g, op->a)->page_log2);
    return push_index(g, LLVMBuildLShr(g->builder, memory_size(g, op->a), shift, ""), is_64(g, op->a));
}

EMITTER(memory_grow)
{
    LLVMValueRef args[] = {const_i32(g, op->a), widen(g, pop(g))};
    return push_index(g, emit_helper(g, HELPER_memory_grow, 2, args), is_64(g, op->a));
}

/* Index `first`, then index `second`, then to, from, length from the stack: memories and tables alike. */
void range_helper(struct gen *g, enum helper helper, uint32_t first, uint32_t second)
{
    LLVMValueRef length = widen(g, pop(g)), from = widen(g, pop(g)), to = widen(g, pop(g));
    LLVMValueRef args[] = {const_i32(g, first), const_i32(g, second), to, from, length};
    emit_helper(g, helper, 5, args);
}

EMITTER(memory_init)
{
    range_helper(g, HELPER_memory_init, op->b, op->a);
    return true;
}

/* row->arg: the helper that marks a segment as dropped. */
EMITTER(segment_drop)
{
    LLVMValueRef args[] = {const_i32(g, op->a)};
    emit_helper(g, row->arg, 1, args);
    return true;
}
