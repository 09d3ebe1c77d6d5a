/* See instr.h. Codes lead to instructions through one table per prefix, instructions to their shape
 * and shapes to the function that reads them; all of it comes from opcodes.def. */
#include "wasm/instr.h"

#define CODES 0x120 /* above the largest code after a prefix */
#define ROW(prefix) ((prefix) ? (prefix) - 0xfa : 0)

static const uint16_t codes[5][CODES] = {
#define OP(name, prefix, code, ...) [ROW(prefix)][code] = OP_##name + 1,
#include "wasm/opcodes.def"
#undef OP
};

/* Rows with a prefix leave nothing here. */
#define PLAIN_0(name, code) [code] = OP_##name + 1,
#define PLAIN_0xfb(name, code)
#define PLAIN_0xfc(name, code)
#define PLAIN_0xfd(name, code)
#define PLAIN_0xfe(name, code)

const uint16_t instr_plain[256] = {
#define OP(name, prefix, code, ...) PLAIN_##prefix(name, code)
#include "wasm/opcodes.def"
#undef OP
};

const uint8_t instr_shapes[OP_COUNT] = {
#define OP(name, prefix, code, shape, ...) [OP_##name] = SHAPE_##shape,
#include "wasm/opcodes.def"
#undef OP
};

static const char *const names[OP_COUNT] = {
#define OP(name, prefix, code, shape, signature, feature, text) [OP_##name] = text,
#include "wasm/opcodes.def"
#undef OP
};

_Static_assert(SHAPE_COUNT <= UINT8_MAX, "a shape fits a byte");
_Static_assert(OP_COUNT < UINT16_MAX, "an instruction fits two bytes");

const char *wasm_op_name(enum wasm_opcode code)
{
    return names[code];
}

enum wasm_shape wasm_op_shape(enum wasm_opcode code)
{
    return instr_shapes[code];
}

void instr_lists_free(struct instr_lists *lists)
{
    VEC_FREE(&lists->labels);
    VEC_FREE(&lists->catches);
}

static bool read_none(struct reader *in, struct instr_lists *lists, struct wasm_op *op)
{
    return true;
}

static bool read_index(struct reader *in, struct instr_lists *lists, struct wasm_op *op)
{
    return reader_u32(in, &op->a);
}

static bool read_indices(struct reader *in, struct instr_lists *lists, struct wasm_op *op)
{
    return reader_u32(in, &op->a) && reader_u32(in, &op->b);
}

static bool read_block(struct reader *in, struct instr_lists *lists, struct wasm_op *op)
{
    return reader_blocktype(in, &op->a, &op->b);
}

static bool read_catch(struct reader *in, struct wasm_catch *catch)
{
    if (!reader_u8(in, &catch->kind))
        return false;
    if (catch->kind > 3)
        return reader_fail(in, ERR_MALFORMED, "malformed catch clause 0x%02x", catch->kind);
    if (catch->kind < 2 && !reader_u32(in, &catch->tag))
        return false;
    return reader_u32(in, &catch->label);
}

static bool read_try(struct reader *in, struct instr_lists *lists, struct wasm_op *op)
{
    uint32_t count;
    if (!read_block(in, lists, op) || !reader_count(in, WASM_LIMIT_CATCHES, &count))
        return false;
    lists->catches.count = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct wasm_catch *catch = VEC_PUSH(&lists->catches, WASM_MAX_CATCHES);
        if (!catch)
            return err_memory(in->err);
        if (!read_catch(in, catch))
            return false;
    }
    op->block.catches = lists->catches.items;
    op->block.catch_count = count;
    return true;
}

static bool read_labels(struct reader *in, struct instr_lists *lists, struct wasm_op *op)
{
    uint32_t count;
    if (!reader_count(in, WASM_LIMIT_LABELS, &count))
        return false;
    lists->labels.count = 0;
    for (uint32_t i = 0; i <= count; i++) {
        uint32_t *label = VEC_PUSH(&lists->labels, (size_t)WASM_MAX_LABELS + 1);
        if (!label)
            return err_memory(in->err);
        if (!reader_u32(in, label))
            return false;
    }
    op->table.labels = lists->labels.items;
    op->table.count = count;
    return true;
}

/* The alignment field carries a flag (bit 6) for a memory index. */
static bool read_memarg(struct reader *in, struct instr_lists *lists, struct wasm_op *op)
{
    uint32_t flags;
    struct wasm_memarg *mem = &op->mem;
    if (!reader_u32(in, &flags))
        return false;
    if (flags >= 0x80)
        return reader_fail(in, ERR_MALFORMED, "malformed memory operand flags 0x%x", flags);
    mem->align_log2 = flags & 0x3f;
    mem->memory = 0;
    return (!(flags & 0x40) || reader_u32(in, &mem->memory)) && reader_u64(in, &mem->offset);
}

static bool read_lane(struct reader *in, struct instr_lists *lists, struct wasm_op *op)
{
    uint8_t lane;
    if (!reader_u8(in, &lane))
        return false;
    op->a = lane;
    return true;
}

static bool read_memlane(struct reader *in, struct instr_lists *lists, struct wasm_op *op)
{
    return read_memarg(in, lists, op) && read_lane(in, lists, op);
}

static bool read_fence(struct reader *in, struct instr_lists *lists, struct wasm_op *op)
{
    uint8_t zero;
    if (!reader_u8(in, &zero))
        return false;
    return zero == 0 || reader_fail(in, ERR_MALFORMED, "zero byte expected");
}

static bool read_i32(struct reader *in, struct instr_lists *lists, struct wasm_op *op)
{
    int32_t value;
    if (!reader_s32(in, &value))
        return false;
    op->bits = (uint32_t)value;
    return true;
}

static bool read_i64(struct reader *in, struct instr_lists *lists, struct wasm_op *op)
{
    int64_t value;
    if (!reader_s64(in, &value))
        return false;
    op->bits = (uint64_t)value;
    return true;
}

/* `size` bytes, the least significant first. */
static bool read_bits(struct reader *in, unsigned size, struct wasm_op *op)
{
    const uint8_t *bytes;
    if (!reader_bytes(in, size, &bytes))
        return false;
    op->bits = 0;
    for (unsigned i = 0; i < size; i++)
        op->bits |= (uint64_t)bytes[i] << (8 * i);
    return true;
}

static bool read_f32(struct reader *in, struct instr_lists *lists, struct wasm_op *op)
{
    return read_bits(in, 4, op);
}

static bool read_f64(struct reader *in, struct instr_lists *lists, struct wasm_op *op)
{
    return read_bits(in, 8, op);
}

static bool read_v128(struct reader *in, struct instr_lists *lists, struct wasm_op *op)
{
    const uint8_t *bytes;
    if (!reader_bytes(in, sizeof op->v128, &bytes))
        return false;
    memcpy(op->v128, bytes, sizeof op->v128);
    return true;
}

static bool read_select(struct reader *in, struct instr_lists *lists, struct wasm_op *op)
{
    wasm_valtype type = WASM_BOT;
    if (!reader_count(in, WASM_LIMIT_RESULTS, &op->a))
        return false;
    for (uint32_t i = 0; i < op->a; i++)
        if (!reader_valtype(in, &type))
            return false;
    op->cast.to = type;
    return true;
}

static bool read_heap(struct reader *in, wasm_valtype flags, wasm_valtype *ret)
{
    wasm_heaptype heap;
    if (!reader_heaptype(in, &heap))
        return false;
    *ret = WASM_REF | flags | heap;
    return true;
}

static bool read_null(struct reader *in, struct instr_lists *lists, struct wasm_op *op)
{
    return read_heap(in, WASM_NULLABLE, &op->cast.to);
}

static bool read_cast(struct reader *in, struct instr_lists *lists, struct wasm_op *op)
{
    return read_heap(in, 0, &op->cast.to);
}

static bool read_br_cast(struct reader *in, struct instr_lists *lists, struct wasm_op *op)
{
    uint8_t flags;
    if (!reader_u8(in, &flags))
        return false;
    if (flags > 3)
        return reader_fail(in, ERR_MALFORMED, "malformed cast flags 0x%02x", flags);
    return reader_u32(in, &op->a) && read_heap(in, flags & 1 ? WASM_NULLABLE : 0, &op->cast.from) &&
           read_heap(in, flags & 2 ? WASM_NULLABLE : 0, &op->cast.to);
}

instr_reader *const instr_readers[SHAPE_COUNT] = {
    [SHAPE_NONE] = read_none,
    [SHAPE_BLOCK] = read_block,
    [SHAPE_TRY] = read_try,
    [SHAPE_LABELS] = read_labels,
    [SHAPE_LABEL] = read_index,
    [SHAPE_FUNC] = read_index,
    [SHAPE_TYPE] = read_index,
    [SHAPE_LOCAL] = read_index,
    [SHAPE_GLOBAL] = read_index,
    [SHAPE_TABLE] = read_index,
    [SHAPE_MEMORY] = read_index,
    [SHAPE_TAG] = read_index,
    [SHAPE_DATA] = read_index,
    [SHAPE_ELEM] = read_index,
    [SHAPE_TYPE_TABLE] = read_indices,
    [SHAPE_TYPE_FIELD] = read_indices,
    [SHAPE_TYPE_COUNT] = read_indices,
    [SHAPE_TYPE_DATA] = read_indices,
    [SHAPE_TYPE_ELEM] = read_indices,
    [SHAPE_TYPE_TYPE] = read_indices,
    [SHAPE_DATA_MEMORY] = read_indices,
    [SHAPE_ELEM_TABLE] = read_indices,
    [SHAPE_MEMORY_MEMORY] = read_indices,
    [SHAPE_TABLE_TABLE] = read_indices,
    [SHAPE_MEM_0] = read_memarg,
    [SHAPE_MEM_1] = read_memarg,
    [SHAPE_MEM_2] = read_memarg,
    [SHAPE_MEM_3] = read_memarg,
    [SHAPE_MEM_4] = read_memarg,
    [SHAPE_MEMLANE_0] = read_memlane,
    [SHAPE_MEMLANE_1] = read_memlane,
    [SHAPE_MEMLANE_2] = read_memlane,
    [SHAPE_MEMLANE_3] = read_memlane,
    [SHAPE_ATOMIC_0] = read_memarg,
    [SHAPE_ATOMIC_1] = read_memarg,
    [SHAPE_ATOMIC_2] = read_memarg,
    [SHAPE_ATOMIC_3] = read_memarg,
    [SHAPE_FENCE] = read_fence,
    [SHAPE_I32] = read_i32,
    [SHAPE_I64] = read_i64,
    [SHAPE_F32] = read_f32,
    [SHAPE_F64] = read_f64,
    [SHAPE_V128] = read_v128,
    [SHAPE_SHUFFLE] = read_v128,
    [SHAPE_LANE_16] = read_lane,
    [SHAPE_LANE_8] = read_lane,
    [SHAPE_LANE_4] = read_lane,
    [SHAPE_LANE_2] = read_lane,
    [SHAPE_SELECT_TYPES] = read_select,
    [SHAPE_HEAP] = read_null,
    [SHAPE_CAST] = read_cast,
    [SHAPE_CAST_NULL] = read_null,
    [SHAPE_BR_CAST] = read_br_cast,
};

static bool illegal(struct reader *in, uint32_t offset, unsigned row, uint32_t code)
{
    if (row == 0)
        return err_at(in->err, ERR_MALFORMED, offset, "illegal opcode 0x%02x", code);
    return err_at(in->err, ERR_MALFORMED, offset, "illegal opcode 0x%02x 0x%02x", row + 0xfa, code);
}

bool instr_read_rare(struct reader *in, struct instr_lists *lists, struct wasm_op *ret_op)
{
    uint32_t offset = reader_offset(in);
    if (in->at == in->end)
        return reader_end(in);
    uint32_t code = *in->at++;
    unsigned row = 0;
    if (code >= 0xfb && code != 0xff) {
        row = code - 0xfa;
        if (!reader_u32(in, &code))
            return false;
    }
    if (code >= CODES || codes[row][code] == 0)
        return illegal(in, offset, row, code);
    ret_op->code = (enum wasm_opcode)(codes[row][code] - 1);
    ret_op->offset = offset;
    return instr_readers[instr_shapes[ret_op->code]](in, lists, ret_op);
}

bool instr_skip_expr(struct reader *in, struct instr_lists *lists, struct wasm_expr *ret_expr)
{
    uint32_t start = reader_offset(in);
    struct wasm_op op;
    for (uint32_t depth = 1; depth > 0;) {
        if (!instr_read(in, lists, &op))
            return false;
        unsigned shape = instr_shapes[op.code];
        if (shape == SHAPE_BLOCK || shape == SHAPE_TRY)
            depth++;
        else if (op.code == OP_END)
            depth--;
    }
    *ret_expr = (struct wasm_expr){start, reader_offset(in)};
    return true;
}
