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

static void load_mask(struct gen *g, const uint8_t *bytes, reg to)
{
    uint64_t words[2];
    memcpy(words, bytes, sizeof words);
    PUT(g, const_f64, .x = to, .imm64 = words[0]);
    PUT(g, const_v128_high, .x = to, .imm64 = words[1]);
}

/* Each side is shuffled by a mask of its own, in which other lanes are zero. */
EMIT(shuffle)
{
    struct value right = value_pop(g), left = value_pop(g);
    reg y = value_reg(g, &right), to = value_own(g, &left), z = reg_alloc(g, true), w = reg_alloc(g, true);
    uint8_t of_left[16], of_right[16];
    for (unsigned i = 0; i < 16; i++) {
        of_left[i] = op->v128[i] < 16 ? op->v128[i] : 0x80;
        of_right[i] = op->v128[i] < 16 ? 0x80 : op->v128[i] - 16;
    }
    load_mask(g, of_left, z);
    load_mask(g, of_right, w);
    PUT(g, i8x16_shuffle_rr, .x = to, .y = y, .z = z, .w = w);
    reg_free(g, z);
    reg_free(g, w);
    value_free(g, &right);
    push_reg(g, T_V128, to);
}
