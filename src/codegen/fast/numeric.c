/* Arithmetic, comparisons, conversions and select: an operand or two become one. */
#include "codegen/fast/emit.h"

enum { CODE_IF = 0x04, CODE_BR_IF = 0x0d };

static bool branches_next(const struct gen *g)
{
    return g->next[0] == CODE_BR_IF || g->next[0] == CODE_IF;
}

static bool is_number(const struct value *value)
{
    return value->kind == VALUE_CONST;
}

/* As an immediate: 32 bits that stand for the value, sign-extended where it has 64. */
static bool fits(const struct value *value, int32_t *ret)
{
    bool fit = value->kind == VALUE_CONST && (value->type == T_I32 || (int64_t)value->bits == (int32_t)value->bits);
    if (fit)
        *ret = (int32_t)value->bits;
    return fit;
}

static void swap(struct value *left, struct value *right)
{
    struct value kept = *left;
    *left = *right;
    *right = kept;
}

/* Is the register of this operand free to hold the result? */
static bool is_spare(const struct value *value)
{
    return value->kind == VALUE_REG;
}

static void finish(struct gen *g, enum type type, reg to, const struct value *right)
{
    value_free(g, right);
    push_reg(g, type, to);
}

/* forms: register, immediate, frame; arg: BINARY_COMMUTES */
EMIT(binary)
{
    struct value right = value_pop(g), left = value_pop(g);
    int32_t imm;
    bool commutes = row->arg & BINARY_COMMUTES;
    uint32_t target;
    if (commutes && (is_number(&left) || (!is_spare(&left) && is_spare(&right) && !is_number(&right))))
        swap(&left, &right);
    target = commutes && right.kind == VALUE_LOCAL ? next_set(g) : WASM_NO_INDEX;
    if (target != WASM_NO_INDEX && right.local == target && left.kind == VALUE_LOCAL && left.local != target)
        swap(&left, &right);
    if (row->forms[1] && fits(&right, &imm)) {
        reg to = result_in_place(g, &left, NULL);
        put_regs(g, row->forms[1], AT(a, to), imm);
        finish(g, left.type, to, &right);
        return;
    }
    if (row->forms[2] && right.kind == VALUE_CELL) {
        reg to = result_in_place(g, &left, &right);
        put_regs(g, row->forms[2], AT(a, to) | AT(x, to), right.cell);
        finish(g, left.type, to, &right);
        return;
    }
    reg from = value_reg(g, &right), to = result_in_place(g, &left, &right);
    put_regs(g, row->forms[0], AT(a, to) | AT(x, to) | AT(b, from) | AT(y, from), 0);
    finish(g, left.type, to, &right);
}

/* Of operands that may trap: the same, and the place is noted. */
EMIT(divide)
{
    mark_site(g);
    fast_binary(g, op, row);
}

/* Additions leave their operands alone where that saves a move. forms: two, three operands, and with immediates. */
EMIT(add)
{
    struct value right = value_pop(g), left = value_pop(g);
    int32_t imm;
    if (is_number(&left))
        swap(&left, &right);
    uint32_t target = next_set(g);
    bool in_place = is_spare(&left) || (left.kind == VALUE_LOCAL && left.local == target);
    if (fits(&right, &imm)) {
        if (row->arg == ADD_NEGATIVE)
            imm = (int32_t)-(uint32_t)imm;
        if (in_place) {
            reg to = result_in_place(g, &left, NULL);
            put_regs(g, row->forms[2], AT(a, to), imm);
            push_reg(g, left.type, to);
            return;
        }
        reg from = value_reg(g, &left), to = result_fresh(g, false, &left, NULL);
        put_regs(g, row->forms[3], AT(a, to) | AT(b, from), imm);
        finish(g, left.type, to, &left);
        return;
    }
    bool other = is_spare(&right) || (right.kind == VALUE_LOCAL && right.local == target);
    if (!in_place && other)
        swap(&left, &right);
    if (in_place || other) {
        reg from = value_reg(g, &right), to = result_in_place(g, &left, &right);
        put_regs(g, row->forms[0], AT(a, to) | AT(b, from), 0);
        finish(g, left.type, to, &right);
        return;
    }
    reg first = value_reg(g, &left), second = value_reg(g, &right), to = result_fresh(g, false, &left, &right);
    put_regs(g, row->forms[1], AT(a, to) | AT(b, first) | AT(c, second), 0);
    value_free(g, &left);
    finish(g, left.type, to, &right);
}

/* A - number is A + its opposite. forms: those of sub, then of add. */
EMIT(subtract)
{
    int32_t imm;
    const struct value *right = &g->stack[g->depth - 1];
    if (fits(right, &imm) && imm != INT32_MIN) {
        static const struct row adds[] = {
            {.forms = {0, 0, STENCIL_i32_add_ri, STENCIL_i32_add_rri}, .arg = ADD_NEGATIVE},
            {.forms = {0, 0, STENCIL_i64_add_ri, STENCIL_i64_add_rri}, .arg = ADD_NEGATIVE},
        };
        if (g->stack[g->depth - 2].kind != VALUE_CONST) {
            fast_add(g, op, &adds[right->type == T_I64]);
            return;
        }
    }
    fast_binary(g, op, row);
}

/* forms: by register, by number */
EMIT(shift)
{
    struct value count = value_pop(g), left = value_pop(g);
    if (is_number(&count)) {
        uint32_t bits = left.type == T_I64 ? 63 : 31, n = (uint32_t)count.bits & bits;
        if (row->arg == SHIFT_OTHER_WAY)
            n = (bits + 1 - n) & bits;
        reg to = result_in_place(g, &left, NULL);
        put(g, row->forms[1], &(struct holes){.a = to, .shift = (int32_t)n});
        push_reg(g, left.type, to);
        return;
    }
    reg by = value_reg(g, &count), to = result_in_place(g, &left, &count);
    put_regs(g, row->forms[0], AT(a, to) | AT(b, by), 0);
    finish(g, left.type, to, &count);
}

/* Another register gets the result. arg: its type */
EMIT(unary)
{
    struct value value = value_pop(g);
    mark_site(g); /* conversions may trap */
    bool vec = is_vec(value.type), to_vec = is_vec((enum type)row->arg);
    reg from = value_reg(g, &value), to = result_fresh(g, to_vec, &value, NULL);
    struct holes holes = {.a = to, .b = from, .x = to, .y = from};
    if (vec && !to_vec)
        holes.x = from;
    if (!vec && to_vec)
        holes.a = from;
    put(g, row->forms[0], &holes);
    finish(g, (enum type)row->arg, to, &value);
}

/* Nothing changes but the type: i32 in a register is zero-extended, so i64.extend_i32_u is nothing. */
EMIT(relabel)
{
    struct value value = value_pop(g);
    reg r = value_own(g, &value);
    push_reg(g, (enum type)row->arg, r);
}

EMIT(wrap)
{
    struct value value = value_pop(g);
    if (is_number(&value)) {
        push_const(g, T_I32, (uint32_t)value.bits);
        return;
    }
    if (value.kind == VALUE_CELL) {
        push_cell(g, T_I32);
        return;
    }
    reg from = value_reg(g, &value), to = value.kind == VALUE_REG ? from : result_fresh(g, false, &value, NULL);
    put_regs(g, STENCIL_move_i32, AT(a, to) | AT(b, from), 0);
    push_reg(g, T_I32, to);
}

/* ---- comparisons ---- */

/* With the operands the other way round, and the opposite. */
static const uint8_t swapped[] = {C_eq, C_ne, C_gt_s, C_gt_u, C_lt_s, C_lt_u, C_ge_s, C_ge_u, C_le_s, C_le_u};
static const uint8_t opposite[] = {C_ne, C_eq, C_ge_s, C_ge_u, C_le_s, C_le_u, C_gt_s, C_gt_u, C_lt_s, C_lt_u};

static const uint16_t compare_rr[2][10] = {
#define X(name) STENCIL_i32_##name##_rr,
    {COMPARISONS(X)},
#undef X
#define X(name) STENCIL_i64_##name##_rr,
    {COMPARISONS(X)},
#undef X
};
static const uint16_t branch_rr[2][10] = {
#define X(name) STENCIL_br_i32_##name##_rr,
    {COMPARISONS(X)},
#undef X
#define X(name) STENCIL_br_i64_##name##_rr,
    {COMPARISONS(X)},
#undef X
};
static const uint16_t branch_rf[2][10] = {
#define X(name) STENCIL_br_i32_##name##_rf,
    {COMPARISONS(X)},
#undef X
#define X(name) STENCIL_br_i64_##name##_rf,
    {COMPARISONS(X)},
#undef X
};
static const uint16_t compare_ri[2][10] = {
#define X(name) STENCIL_i32_##name##_ri,
    {COMPARISONS(X)},
#undef X
#define X(name) STENCIL_i64_##name##_ri,
    {COMPARISONS(X)},
#undef X
};
static const uint16_t branch_ri[2][10] = {
#define X(name) STENCIL_br_i32_##name##_ri,
    {COMPARISONS(X)},
#undef X
#define X(name) STENCIL_br_i64_##name##_ri,
    {COMPARISONS(X)},
#undef X
};

/* The next instruction branches on this: the stencils that compare and branch wait for it. */
static void branch_on(struct gen *g, enum comparison how, struct value *left, struct value *right)
{
    bool wide = left->type == T_I64, cell = right->kind == VALUE_CELL;
    uint64_t regs = AT(a, value_reg(g, left));
    int32_t imm = 0;
    const uint16_t *from = branch_rr[wide];
    if (fits(right, &imm)) {
        from = branch_ri[wide];
    } else if (cell) {
        from = branch_rf[wide];
        imm = right->cell;
    } else {
        regs |= AT(b, value_reg(g, right));
    }
    condition_set(g, from[how], from[opposite[how]], regs, imm);
}

/* arg: enum comparison */
EMIT(compare)
{
    struct value right = value_pop(g), left = value_pop(g);
    enum comparison how = (enum comparison)row->arg;
    bool wide = left.type == T_I64;
    if (is_number(&left)) {
        swap(&left, &right);
        how = swapped[how];
    }
    if (branches_next(g)) {
        branch_on(g, how, &left, &right);
        value_free(g, &left);
        value_free(g, &right);
        return;
    }
    int32_t imm = 0;
    bool number = fits(&right, &imm);
    reg first = value_reg(g, &left), second = number ? 0 : value_reg(g, &right);
    reg to = result_fresh(g, false, &left, &right);
    put_regs(g, (number ? compare_ri : compare_rr)[wide][how], AT(a, to) | AT(b, first) | AT(c, second), imm);
    value_free(g, &left);
    finish(g, T_I32, to, &right);
}

/* Of a comparison that waits: its opposite. */
static bool negate_pending(struct gen *g)
{
    enum stencil_name when = g->condition.when;
    g->condition.when = g->condition.unless;
    g->condition.unless = when;
    return g->condition.pending;
}

EMIT(eqz)
{
    if (negate_pending(g))
        return;
    struct value value = value_pop(g);
    bool wide = value.type == T_I64;
    reg from = value_reg(g, &value);
    if (branches_next(g)) {
        condition_set(g, wide ? STENCIL_br_i64_zero : STENCIL_br_i32_zero,
                      wide ? STENCIL_br_i64_nonzero : STENCIL_br_i32_nonzero, AT(a, from), 0);
        value_free(g, &value);
        return;
    }
    reg to = result_fresh(g, false, &value, NULL);
    put(g, wide ? STENCIL_i64_eqz : STENCIL_i32_eqz, &(struct holes){.a = to, .b = from});
    finish(g, T_I32, to, &value);
}

/* forms: value, branch when it holds, branch when it does not */
EMIT(compare_float)
{
    struct value right = value_pop(g), left = value_pop(g);
    reg first = value_reg(g, &left), second = value_reg(g, &right);
    value_free(g, &left);
    value_free(g, &right);
    uint64_t regs = AT(x, first) | AT(y, second);
    if (branches_next(g)) {
        condition_set(g, row->forms[1], row->forms[2], regs, 0);
        return;
    }
    reg to = result_fresh(g, false, NULL, NULL);
    put_regs(g, row->forms[0], AT(a, to) | regs, 0);
    push_reg(g, T_I32, to);
}

/* ---- select ---- */

EMIT(select)
{
    struct value condition = value_pop(g), right = value_pop(g), left = value_pop(g);
    bool vec = is_vec(left.type);
    reg c = value_reg(g, &condition), from = value_reg(g, &right);
    reg to = value_own(g, &left);
    put(g, vec ? STENCIL_select_v : STENCIL_select_r, &(struct holes){.a = to, .b = from, .c = c, .x = to, .y = from});
    value_free(g, &condition);
    finish(g, left.type, to, &right);
}
