/* Vector instructions beyond those that numeric.c generates like any other: lanes, three operands, shuffles. */
#include "codegen/fast/emit.h"

/* forms: of lanes 0 and 1; arg: the type */
EMIT(extract_lane)
{
    struct value value = value_pop(g);
    reg from = value_reg(g, &value);
    bool vec = is_vec((enum type)row->arg);
    reg to = result_fresh(g, vec, &value, NULL);
    put(g, lane_form(row, op->a), &(struct holes){.a = to, .x = vec ? to : from, .y = from});
    value_free(g, &value);
    push_reg(g, (enum type)row->arg, to);
}

EMIT(replace_lane)
{
    struct value lane = value_pop(g), vector = value_pop(g);
    reg from = value_reg(g, &lane), to = value_own(g, &vector);
    put(g, lane_form(row, op->a), &(struct holes){.x = to, .b = from, .y = from});
    value_free(g, &lane);
    push_reg(g, T_V128, to);
}

EMIT(ternary)
{
    struct value third = value_pop(g), second = value_pop(g), first = value_pop(g);
    reg z = value_reg(g, &third), y = value_reg(g, &second), to = value_own(g, &first);
    put(g, row->forms[0], &(struct holes){.x = to, .y = y, .z = z});
    value_free(g, &third);
    value_free(g, &second);
    push_reg(g, T_V128, to);
}

/* ---- shuffles: the first way that fits ----
 *
 * Lanes are numbered through both operands, as in the instruction. */

/* Lanes of `size` bytes that stay whole: their numbers, or false. */
static bool whole_lanes(const uint8_t bytes[16], unsigned size, uint8_t *ret_lanes)
{
    for (unsigned i = 0; i < 16; i += size) {
        if (bytes[i] % size)
            return false;
        for (unsigned k = 1; k < size; k++)
            if (bytes[i + k] != bytes[i] + k)
                return false;
        ret_lanes[i / size] = bytes[i] / (uint8_t)size;
    }
    return true;
}

/* Two 64-bit lanes, one of each operand in either order, or both of one. */
static bool shuffle_64(struct gen *g, const uint8_t lanes[2], struct value *left, struct value *right, reg *ret)
{
    bool first_right = lanes[0] > 1, second_right = lanes[1] > 1;
    uint32_t step = STENCIL_i64x2_pair_01 - STENCIL_i64x2_pair_00;
    uint32_t which = (uint32_t)((lanes[0] & 1) * 2 + (lanes[1] & 1)) * step;
    if (first_right == second_right) {
        reg from = value_reg(g, first_right ? right : left);
        *ret = result_fresh(g, true, left, right);
        put_regs(g, (enum stencil_name)(STENCIL_i64x2_both_00 + which), AT(x, *ret) | AT(y, from), 0);
        value_free(g, left);
    } else {
        reg from = value_reg(g, first_right ? left : right);
        *ret = value_own(g, first_right ? right : left);
        put_regs(g, (enum stencil_name)(STENCIL_i64x2_pair_00 + which), AT(x, *ret) | AT(y, from), 0);
        if (first_right) {
            value_free(g, left);
            return true;
        }
    }
    value_free(g, right);
    return true;
}

#if HAVE_PICK_32
static int32_t pick_of(const uint8_t lanes[4])
{
    return (lanes[0] & 3) | (lanes[1] & 3) << 2 | (lanes[2] & 3) << 4 | (lanes[3] & 3) << 6;
}

/* Four 32-bit lanes: two of the left operand, then two of the right; or all of one. */
static bool shuffle_32(struct gen *g, const uint8_t lanes[4], struct value *left, struct value *right, reg *ret)
{
    bool low = lanes[0] > 3, high = lanes[2] > 3;
    if ((lanes[1] > 3) != low || (lanes[3] > 3) != high || (low && !high))
        return false;
    if (low == high) {
        reg from = value_reg(g, low ? right : left);
        *ret = result_fresh(g, true, left, right);
        PUT(g, i32x4_pick_r, .x = *ret, .y = from, .shift = pick_of(lanes));
        value_free(g, left);
    } else {
        reg from = value_reg(g, right);
        *ret = value_own(g, left);
        PUT(g, i32x4_pick_rr, .x = *ret, .y = from, .shift = pick_of(lanes));
    }
    value_free(g, right);
    return true;
}
#else
static bool shuffle_32(struct gen *g, const uint8_t lanes[4], struct value *left, struct value *right, reg *ret)
{
    return false;
}
#endif

static reg load_mask(struct gen *g, const uint8_t bytes[16])
{
    uint64_t words[2];
    reg to = reg_alloc(g, true);
    memcpy(words, bytes, sizeof words);
    load_vector(g, to, words);
    return to;
}

/* Any bytes: each side is shuffled by a mask of its own, in which other lanes are zero. */
static reg shuffle_8(struct gen *g, const uint8_t bytes[16], struct value *left, struct value *right)
{
    uint8_t of_left[16], of_right[16], rights = 0;
    for (unsigned i = 0; i < 16; i++) {
        of_left[i] = bytes[i] < 16 ? bytes[i] : 0x80;
        of_right[i] = bytes[i] < 16 ? 0x80 : bytes[i] - 16;
        rights += bytes[i] >= 16;
    }
    if (rights == 0 || rights == 16) {
        reg to = value_own(g, rights ? right : left), z = load_mask(g, rights ? of_right : of_left);
        put_regs(g, STENCIL_i8x16_shuffle_r, AT(x, to) | AT(z, z), 0);
        reg_free(g, z);
        value_free(g, rights ? left : right);
        return to;
    }
    reg y = value_reg(g, right), to = value_own(g, left), z = load_mask(g, of_left), w = load_mask(g, of_right);
    PUT(g, i8x16_shuffle_rr, .x = to, .y = y, .z = z, .w = w);
    reg_free(g, z);
    reg_free(g, w);
    value_free(g, right);
    return to;
}

EMIT(shuffle)
{
    struct value right = value_pop(g), left = value_pop(g);
    uint8_t lanes[8];
    reg to;
    bool done = (whole_lanes(op->v128, 8, lanes) && shuffle_64(g, lanes, &left, &right, &to)) ||
                (whole_lanes(op->v128, 4, lanes) && shuffle_32(g, lanes, &left, &right, &to));
    if (!done)
        to = shuffle_8(g, op->v128, &left, &right);
    push_reg(g, T_V128, to);
}
