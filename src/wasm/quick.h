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

/* Where the last instruction begins that may be read this way; NULL in code that cannot be reached, and in constant
 * expressions. Good until the next instruction that is not taken this way. */
static inline const uint8_t *quick_limit(const checker *s)
{
    const struct wasm_frame *frame = check_top(s);
    if (s->constant || frame->unreachable || frame->dead || reader_left(&s->in) < QUICK_BYTES)
        return NULL;
    return s->in.end - QUICK_BYTES;
}

static inline const struct quick *quick_row(const uint8_t *at)
{
    return &quick_rows[*at];
}

/* Operands as the row says, on top and of the innermost frame, become its result. */
static inline bool quick_effect(checker *s, const struct quick *row, uint32_t height)
{
    uint32_t count = row->pop_count;
    if (s->operand_count - height < count || !check_has_room(s))
        return false;
    wasm_valtype *at = s->operands + s->operand_count - count;
    if ((count > 0 && at[0] != row->pop[0]) || (count > 1 && at[1] != row->pop[1]))
        return false;
    at[0] = row->push;
    s->operand_count += (row->push != 0) - count;
    return true;
}

/* A number of one or two bytes, or false. */
static inline bool quick_number(const uint8_t **at, uint32_t *ret)
{
    const uint8_t *p = *at;
    *ret = p[0];
    *at = p + 1;
    if (p[0] < 0x80)
        return true;
    *ret = (p[0] & 0x7fu) | (uint32_t)p[1] << 7;
    *at = p + 2;
    return p[1] < 0x80;
}

/* The same for i32.const. */
static inline bool quick_signed(const uint8_t **at, uint32_t *ret)
{
    const uint8_t *start = *at;
    if (!quick_number(at, ret))
        return false;
    *ret = *at - start == 1 ? (*ret ^ 0x40) - 0x40 : (*ret ^ 0x2000) - 0x2000;
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
    if (local >= s->quick_locals || s->operand_count == height ||
        s->operands[s->operand_count - 1] != s->locals[local])
        return false;
    s->operand_count -= pops;
    return true;
}

/* Of memory 0. */
static inline bool quick_access(checker *s, const struct quick *row, uint32_t height, const uint8_t **at)
{
    uint32_t offset;
    uint8_t align = *(*at)++;
    if (!s->quick_memory || align > row->align_max || !quick_number(at, &offset) || !quick_effect(s, row, height))
        return false;
    s->op.mem = (struct wasm_memarg){offset, 0, align};
    return true;
}

/* The instruction of `row` that begins at s->in.at was taken, and ends before `at`. */
static inline void quick_done(checker *s, const struct quick *row, const uint8_t *at)
{
    s->op.code = (enum wasm_opcode)row->code;
    s->op.offset = reader_offset(&s->in);
    s->op.next = s->op.offset + (uint32_t)(at - s->in.at);
    s->op.reachable = true;
    s->in.at = at;
}

#endif
