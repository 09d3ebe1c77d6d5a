/* The quick way through a body: most instructions are one of a few and right.
 *
 * What cannot fail goes past the tables of shapes and signatures; what is not obviously right, or stands in code that
 * cannot be reached, takes the other way from its beginning (body.c), which says what is wrong. So nothing here
 * reports errors, and a false answer means no more than "not this way": nothing was changed.
 *
 * A visitor that wants more speed walks itself: it reads with these functions in its own loop (wasm_visitor.quick), and
 * whatever it does not take comes to it as a call. */
#ifndef MAYFLY_WASM_QUICK_H
#define MAYFLY_WASM_QUICK_H

#include "wasm/check.h"

enum { QUICK_BYTES = 12 }; /* what may be read without a look at the end */

/* Opcodes that are told apart without a table. */
enum {
    QUICK_CODE_BLOCK = 0x02,
    QUICK_CODE_LOOP = 0x03,
    QUICK_CODE_IF = 0x04,
    QUICK_CODE_END = 0x0b,
    QUICK_CODE_GET = 0x20,
    QUICK_CODE_SET = 0x21,
    QUICK_CODE_TEE = 0x22,
    QUICK_CODE_I32 = 0x41,
    QUICK_CODE_I64 = 0x42,
};
enum { QUICK_EMPTY = 0x40 }; /* the block type without types */

/* Where the last instruction begins that may be read this way; NULL in code that cannot be reached, and in constant
 * expressions. Good until the next instruction that is not taken this way. */
static inline const uint8_t *quick_limit(const checker *s)
{
    const struct wasm_frame *frame = check_top(s);
    if (s->constant || s->careful || frame->unreachable || frame->dead || reader_left(&s->in) < QUICK_BYTES)
        return NULL;
    return s->in.end - QUICK_BYTES;
}

static inline const struct quick *quick_row(const uint8_t *at)
{
    return &quick_rows[*at];
}

/* One operand or two, as the row says, on top and of the innermost frame, become its result. */
static inline bool quick_effect(checker *s, const struct quick *row, uint32_t height)
{
    uint32_t end = s->operand_count, count = row->pop_count;
    wasm_valtype *operands = s->operands;
    if (end - height < count || operands[end - count] != row->first || operands[end - 1] != row->last)
        return false;
    operands[end - count] = row->push;
    s->operand_count = end + (uint32_t)row->grows;
    return true;
}

/* A number of four bytes at most, or false. How many they are is nothing to predict: no branch depends on it. */
static inline bool quick_number(const uint8_t **at, uint32_t *ret, unsigned *ret_bits)
{
    uint32_t bytes;
    memcpy(&bytes, *at, sizeof bytes);
    uint32_t ends = ~bytes & 0x80808080u;
    if (!ends)
        return false;
    unsigned last = (unsigned)__builtin_ctz(ends); /* the bit of the last byte that would say that more follow */
    bytes &= (2u << last) - 1;
    *ret = (bytes & 0x7f) | (bytes >> 1 & 0x3f80) | (bytes >> 2 & 0x1fc000) | (bytes >> 3 & 0xfe00000);
    *ret_bits = last - last / 8;
    *at += last / 8 + 1;
    return true;
}

static inline bool quick_unsigned(const uint8_t **at, uint32_t *ret)
{
    unsigned bits;
    return quick_number(at, ret, &bits);
}

/* For i32.const and i64.const: extended from its sign. */
static inline bool quick_signed(const uint8_t **at, uint32_t *ret)
{
    unsigned bits;
    if (!quick_number(at, ret, &bits))
        return false;
    *ret = (uint32_t)((int32_t)(*ret << (32 - bits)) >> (32 - bits));
    return true;
}

static inline bool quick_push(checker *s, wasm_valtype type)
{
    if (!check_has_room(s))
        return false;
    s->operands[s->operand_count++] = type;
    return true;
}

static inline bool quick_get(checker *s, uint8_t local)
{
    return local < s->quick_locals && quick_push(s, s->locals[local]);
}

/* local.set and local.tee; the former pops. */
static inline bool quick_set(checker *s, uint8_t local, uint32_t height, bool pops)
{
    if (local >= s->quick_locals || s->operand_count == height || s->operands[s->operand_count - 1] != s->locals[local])
        return false;
    s->operand_count -= pops;
    return true;
}

/* Of memory 0. */
static inline bool quick_access(checker *s, const struct quick *row, uint32_t height, const uint8_t **at)
{
    uint32_t offset;
    uint8_t align = *(*at)++;
    if (!s->quick_memory || align > row->align_max || !quick_unsigned(at, &offset) || !quick_effect(s, row, height))
        return false;
    s->op.mem = (struct wasm_memarg){offset, 0, align};
    return true;
}

/* block, loop, if: without types or with one plain result. */
static inline bool quick_open(checker *s, uint32_t height, const uint8_t **at)
{
    uint8_t opcode = (*at)[-1], code = *(*at)++;
    bool decides = opcode == QUICK_CODE_IF;
    struct wasm_functype type = {0};
    if (s->frame_count == s->frame_capacity || s->operand_count - height < decides ||
        (decides && s->operands[s->operand_count - 1] != WASM_I32))
        return false;
    if (code != QUICK_EMPTY) {
        type.result_count = 1;
        type.results = code >= WASM_F64 && code <= WASM_I32 ? check_single(code) : NULL;
        if (!type.results)
            return false;
    }
    s->operand_count -= decides;
    s->op.block.type = type;
    s->frames[s->frame_count++] = (struct wasm_frame){
        .kind = opcode == QUICK_CODE_BLOCK  ? WASM_FRAME_BLOCK
                : opcode == QUICK_CODE_LOOP ? WASM_FRAME_LOOP
                                            : WASM_FRAME_IF,
        .type = type,
        .height = s->operand_count,
        .sets = s->set_count,
    };
    return true;
}

/* Are these, one at most, on top? */
static inline bool quick_on_top(const checker *s, const wasm_valtype *types, uint32_t count, uint32_t height)
{
    return count == 0 || (count == 1 && s->operand_count != height && s->operands[s->operand_count - 1] == types[0]);
}

/* The end of a block, not of the function. */
static inline bool quick_end(checker *s)
{
    const struct wasm_frame *frame = check_top(s);
    const struct wasm_functype *type = &frame->type;
    if (s->frame_count < 2 || s->set_count != frame->sets || s->operand_count != frame->height + type->result_count ||
        (frame->kind == WASM_FRAME_IF && (type->param_count || type->result_count)) ||
        !quick_on_top(s, type->results, type->result_count, frame->height))
        return false;
    s->frame_count--;
    return true;
}

/* Is a br that was taken followed by the end of its block? That was taken too, then. */
static inline bool quick_end_stopped(checker *s)
{
    const struct wasm_frame *frame = check_top(s);
    const struct wasm_functype *type = &frame->type;
    if (*s->in.at != QUICK_CODE_END || s->frame_count < 2 || s->set_count != frame->sets ||
        s->operand_capacity - s->operand_count < type->result_count ||
        (frame->kind == WASM_FRAME_IF && (type->param_count || type->result_count)))
        return false;
    for (uint32_t i = 0; i < type->result_count; i++)
        s->operands[s->operand_count++] = type->results[i];
    s->frame_count--;
    return true;
}

/* br and br_if, of which the latter pops the condition that `popped` counts. */
static inline bool quick_branch(checker *s, uint32_t height, uint32_t popped, const uint8_t **at)
{
    uint8_t depth = *(*at)++;
    if (depth >= s->frame_count || depth >= 0x80 || s->operand_count - height < popped ||
        (popped && s->operands[s->operand_count - 1] != WASM_I32))
        return false;
    const struct wasm_frame *to = &s->frames[s->frame_count - 1 - depth];
    bool loop = to->kind == WASM_FRAME_LOOP;
    s->operand_count -= popped;
    if (quick_on_top(s, loop ? to->type.params : to->type.results, loop ? to->type.param_count : to->type.result_count,
                     height)) {
        s->op.a = depth;
        return true;
    }
    s->operand_count += popped;
    return false;
}

static inline bool quick_call(checker *s, uint32_t height, const uint8_t **at)
{
    uint32_t func;
    if (!quick_unsigned(at, &func) || func >= s->module->func_count)
        return false;
    const struct wasm_functype *type = wasm_func_type(s->module, func);
    uint32_t params = type->param_count, results = type->result_count;
    if (s->operand_count - height < params || s->operand_capacity - s->operand_count < results)
        return false;
    wasm_valtype *from = s->operands + s->operand_count - params;
    for (uint32_t i = 0; i < params; i++)
        if (from[i] != type->params[i])
            return false;
    for (uint32_t i = 0; i < results; i++)
        from[i] = type->results[i];
    s->operand_count = s->operand_count - params + results;
    s->op.a = func;
    return true;
}

/* Those that are not about locals and constants; `at` is behind the opcode. What does not fit has changed nothing. */
static inline bool quick_take(checker *s, const struct quick *row, const uint8_t **at)
{
    uint32_t height = check_top(s)->height;
    if (row->kind == QUICK_ACCESS) /* the most frequent first: better than a jump through a table */
        return quick_access(s, row, height, at);
    if (row->kind == QUICK_PLAIN)
        return quick_effect(s, row, height);
    switch ((enum quick_kind)row->kind) {
    case QUICK_OPEN: return quick_open(s, height, at);
    case QUICK_END: return quick_end(s);
    case QUICK_BR: return quick_branch(s, height, 0, at);
    case QUICK_BR_IF: return quick_branch(s, height, 1, at);
    case QUICK_CALL: return quick_call(s, height, at);
    default: return false;
    }
}

/* The instruction that begins at s->in.at was taken, and ends before `at`; whether control falls into it. */
static inline void quick_done(checker *s, const uint8_t *at, bool reachable)
{
    s->op.code = (enum wasm_opcode)(instr_plain[*s->in.at] - 1);
    s->op.offset = reader_offset(&s->in);
    s->op.next = s->op.offset + (uint32_t)(at - s->in.at);
    s->op.reachable = reachable;
    s->in.at = at;
}

#endif
