/* Writing the code of adapters: see fuse.h. Instructions by their binary codes (core specification, section 5.4). */
#include "component/fuse_op.h"

static void put(struct fuse *f, const void *bytes, size_t size)
{
    if (f->failed || buf_append(&f->code, bytes, size))
        return;
    f->failed = true;
    if (f->code.full)
        checker_limit(&f->p->check, COMPONENT_LIMIT_ADAPTER);
    else
        checker_memory(&f->p->check);
}

size_t fuse_leb(uint8_t to[10], uint64_t value)
{
    size_t size = 0;
    do {
        to[size++] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
    } while (value);
    return size;
}

static size_t signed_leb(uint8_t to[10], int64_t value)
{
    size_t size = 0;
    for (;;) {
        uint8_t byte = value & 0x7f;
        value >>= 7;
        bool last = (value == 0 && !(byte & 0x40)) || (value == -1 && (byte & 0x40));
        to[size++] = last ? byte : byte | 0x80;
        if (last)
            return size;
    }
}

void fuse_op(struct fuse *f, uint8_t op)
{
    put(f, &op, 1);
}

static void put_index(struct fuse *f, uint32_t index)
{
    uint8_t bytes[10];
    put(f, bytes, fuse_leb(bytes, index));
}

void fuse_op_index(struct fuse *f, uint8_t op, uint32_t index)
{
    fuse_op(f, op);
    put_index(f, index);
}

void fuse_i32(struct fuse *f, uint32_t value)
{
    uint8_t bytes[10];
    fuse_op(f, OP_I32_CONST);
    put(f, bytes, signed_leb(bytes, (int32_t)value));
}

void fuse_i64(struct fuse *f, uint64_t value)
{
    uint8_t bytes[10];
    fuse_op(f, OP_I64_CONST);
    put(f, bytes, signed_leb(bytes, (int64_t)value));
}

void fuse_access(struct fuse *f, uint8_t op, uint32_t align_log2, uint32_t memory, uint32_t offset)
{
    fuse_op(f, op);
    fuse_op(f, (uint8_t)(align_log2 | 0x40)); /* a memory index follows */
    put_index(f, memory);
    put_index(f, offset);
}

void fuse_copy(struct fuse *f, const struct fuse_side *to, const struct fuse_side *from)
{
    fuse_op_index(f, OP_PREFIX_FC, 10); /* memory.copy */
    put_index(f, to->memory);
    put_index(f, from->memory);
}

uint32_t fuse_local(struct fuse *f, wasm_valtype type)
{
    if (f->failed)
        return 0;
    for (uint32_t i = 0; i < f->locals.count; i++)
        if (!f->locals.items[i].busy && f->locals.items[i].type == type) {
            f->locals.items[i].busy = true;
            return f->param_count + i;
        }
    struct fuse_local *local = LIST_PUSH(&f->p->check, &f->locals, ADAPTER_LOCALS);
    if (!local) {
        f->failed = true;
        return 0;
    }
    *local = (struct fuse_local){(uint8_t)type, true};
    return f->param_count + f->locals.count - 1;
}

void fuse_local_free(struct fuse *f, uint32_t local)
{
    if (local >= f->param_count && local - f->param_count < f->locals.count)
        f->locals.items[local - f->param_count].busy = false;
}

void fuse_trap(struct fuse *f, enum fuse_trap trap)
{
    fuse_i32(f, trap);
    fuse_op_index(f, OP_CALL, fuse_host(f, HOST_FUSE_TRAP, NULL, NULL, NULL, NULL));
    fuse_op(f, OP_UNREACHABLE);
}

void fuse_trap_if(struct fuse *f, enum fuse_trap trap)
{
    fuse_op(f, OP_IF);
    fuse_op(f, BLOCK_EMPTY);
    fuse_trap(f, trap);
    fuse_op(f, OP_END);
}

void fuse_check_align(struct fuse *f, uint32_t at, uint32_t align, enum fuse_trap trap)
{
    if (align == 1)
        return;
    fuse_op_index(f, OP_LOCAL_GET, at);
    fuse_i32(f, align - 1);
    fuse_op(f, OP_I32_AND);
    fuse_trap_if(f, trap);
}

void fuse_check_range(struct fuse *f, const struct fuse_side *side, uint32_t at, uint32_t size, enum fuse_trap trap)
{
    fuse_op_index(f, OP_LOCAL_GET, at);
    fuse_op(f, OP_I64_EXTEND_U);
    fuse_op_index(f, OP_LOCAL_GET, size);
    fuse_op(f, OP_I64_ADD);
    fuse_op_index(f, OP_MEMORY_SIZE, side->memory);
    fuse_op(f, OP_I64_EXTEND_U);
    fuse_i64(f, side->page_log2);
    fuse_op(f, OP_I64_SHL);
    fuse_op(f, OP_I64_GT_U);
    fuse_trap_if(f, trap);
}

void fuse_guard(struct fuse *f, wasm_valtype result)
{
    if (!f->exceptions)
        return;
    fuse_op(f, OP_BLOCK);
    fuse_op(f, BLOCK_EMPTY);
    fuse_op(f, OP_BLOCK);
    fuse_op(f, BLOCK_EMPTY);
    fuse_op(f, OP_TRY_TABLE);
    fuse_op(f, result ? (uint8_t)result : BLOCK_EMPTY);
    put_index(f, 1);
    fuse_op(f, CATCH_ALL);
    put_index(f, 0);
}

void fuse_guard_end(struct fuse *f, wasm_valtype result, uint32_t local)
{
    if (f->exceptions)
        fuse_op(f, OP_END);
    if (result)
        fuse_op_index(f, OP_LOCAL_SET, local);
    if (!f->exceptions)
        return;
    fuse_op_index(f, OP_BR, 1);
    fuse_op(f, OP_END);
    fuse_trap(f, FUSE_EXCEPTION);
    fuse_op(f, OP_END);
}

void fuse_leave(struct fuse *f, const struct fuse_side *side, bool may)
{
    fuse_i32(f, !may);
    fuse_op_index(f, OP_GLOBAL_SET, fuse_word(f, side->table, offsetof(struct handles, no_leave)));
}

/* A word of the storage of the thread that runs in the side's instance. */
static uint32_t storage_word(struct fuse *f, const struct fuse_side *side, uint32_t index)
{
    return fuse_word(f, side->table, (uint32_t)(offsetof(struct handles, context) + index * sizeof(union cell)));
}

void fuse_storage_clear(struct fuse *f, const struct fuse_side *side)
{
    for (uint32_t i = 0; f->p->context && i < 2; i++) {
        fuse_i32(f, 0);
        fuse_op_index(f, OP_GLOBAL_SET, storage_word(f, side, i));
    }
}

/* Of the thread that is called in the instance nothing remains, and the one that runs there keeps its storage. */
static void keep_storage(struct fuse *f, const struct fuse_side *side, uint32_t kept[2])
{
    for (uint32_t i = 0; f->p->context && i < 2; i++) {
        kept[i] = fuse_local(f, WASM_I32);
        fuse_op_index(f, OP_GLOBAL_GET, storage_word(f, side, i));
        fuse_op_index(f, OP_LOCAL_SET, kept[i]);
    }
    fuse_storage_clear(f, side);
}

static void put_storage_back(struct fuse *f, const struct fuse_side *side, const uint32_t kept[2])
{
    for (uint32_t i = 0; f->p->context && i < 2; i++) {
        fuse_op_index(f, OP_LOCAL_GET, kept[i]);
        fuse_op_index(f, OP_GLOBAL_SET, storage_word(f, side, i));
        fuse_local_free(f, kept[i]);
    }
}

void fuse_allocate(struct fuse *f, const struct fuse_side *side, uint32_t align, uint32_t size, uint32_t size_64,
                   uint32_t at)
{
    const struct canon_options *options = &side->options;
    uint32_t kept[2];
    if (options->realloc == WASM_NO_INDEX || side->memory == WASM_NO_INDEX) {
        f->failed = f->failed ? true
                              : !checker_fail(&f->p->check, ERR_INVALID,
                                              "core import `%.*s` needs a realloc and a memory", STR_ARG(f->name));
        return;
    }
    fuse_leave(f, side, false);
    keep_storage(f, side, kept);
    fuse_guard(f, WASM_I32);
    fuse_i32(f, 0);
    fuse_i32(f, 0);
    fuse_i32(f, align);
    fuse_op_index(f, OP_LOCAL_GET, size);
    fuse_op_index(f, OP_CALL, fuse_func(f, options->realloc_unit, options->realloc));
    fuse_guard_end(f, WASM_I32, at);
    put_storage_back(f, side, kept);
    fuse_leave(f, side, true);
    fuse_check_align(f, at, align, FUSE_REALLOC_ALIGN);
    fuse_check_range(f, side, at, size_64, FUSE_REALLOC_BOUNDS);
}
