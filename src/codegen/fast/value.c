/* The operand stack: what values are, where they are, and how instructions get at them.
 *
 * local.get and constants make no code: the value says what it is, and whoever needs it in a register puts it there.
 * When a local is written, operands that are other names for it become values of their own first. */
#include "codegen/fast/stack.h"

#include "wasm/limits.h"

#define ALIAS_ROOM 256u /* for a register that is given up and one that is loaded */

enum { CODE_LOCAL_SET = 0x21, CODE_LOCAL_TEE = 0x22 };

static inline uint32_t bit(reg r)
{
    return 1u << r;
}

enum type value_type(wasm_valtype type)
{
    switch (type) {
    case WASM_I32: return T_I32;
    case WASM_F32: return T_F32;
    case WASM_F64: return T_F64;
    case WASM_V128: return T_V128;
    default: return T_I64;
    }
}

/* One operand more than `stack_capacity` has room: the one in front. */
void stack_grow(struct gen *g)
{
    uint32_t capacity = g->stack_capacity ? g->stack_capacity * 2 : 64;
    struct value *stack = mem_resize(g->stack ? g->stack - 1 : NULL, (size_t)capacity + 1, sizeof *stack);
    if (!stack) {
        g->failed = true;
        g->depth = 0;
    } else {
        g->stack = stack + 1;
        g->stack_capacity = capacity;
    }
}

/* An alias becomes a value of its own, which may be given up again; if `keeps`, in the local's register. */
static void make_real(struct gen *g, uint32_t position, bool keeps)
{
    struct value *value = &g->stack[position];
    struct local *local = &g->locals[value->local];
    uint32_t pinned = g->pinned;
    reg r = local->reg;
    if (keeps && r != NO_REG) {
        local->reg = NO_REG;
    } else {
        r = reg_alloc(g, is_vec(value->type));
        if (local->reg != NO_REG)
            move_reg(g, r, local->reg);
        else
            load_cell(g, value->type, r, local->cell);
    }
    value->kind = VALUE_REG;
    value->reg = r;
    own(g, r, position);
    g->pinned = pinned;
}

void alias_spare(struct gen *g)
{
    uint32_t position = g->aliases[0];
    g->pinned = 0;
    code_room(g, ALIAS_ROOM);
    memmove(g->aliases, g->aliases + 1, sizeof g->aliases - sizeof *g->aliases);
    g->alias_count--;
    make_real(g, position, false);
}

reg local_load(struct gen *g, uint32_t number)
{
    struct local *local = &g->locals[number];
    reg r = reg_alloc(g, is_vec(local->type));
    load_cell(g, local->type, r, local->cell);
    local->reg = r;
    g->regs.owner[r] = number;
    return r;
}

reg value_load(struct gen *g, struct value *value)
{
    reg r = reg_alloc(g, is_vec(value->type));
    value_copy(g, value, r);
    value->kind = VALUE_REG;
    value->reg = r;
    return r;
}

reg value_own(struct gen *g, struct value *value)
{
    if (value->kind == VALUE_REG)
        return value->reg;
    reg r = reg_alloc(g, is_vec(value->type));
    value_copy(g, value, r);
    return r;
}

void value_copy(struct gen *g, const struct value *value, reg to)
{
    const struct local *local;
    switch (value->kind) {
    case VALUE_CELL: load_cell(g, value->type, to, value->cell); break;
    case VALUE_REG: move_reg(g, to, value->reg); break;
    case VALUE_CONST: load_const(g, value->type, to, value->bits); break;
    case VALUE_LOCAL:
        local = &g->locals[value->local];
        if (local->reg != NO_REG)
            move_reg(g, to, local->reg);
        else
            load_cell(g, value->type, to, local->cell);
        break;
    }
}

void value_store(struct gen *g, const struct value *value, int32_t cell)
{
    reg r = value->reg;
    if (value->kind == VALUE_LOCAL)
        r = g->locals[value->local].reg;
    if (r == NO_REG || value->kind == VALUE_CONST || value->kind == VALUE_CELL) {
        r = is_vec(value->type) ? REG_SCRATCH_VEC : REG_SCRATCH;
        value_copy(g, value, r);
    }
    store_cell(g, value->type, r, cell);
}

void stack_drop(struct gen *g, uint32_t depth)
{
    while (g->depth > depth) {
        struct value value = value_pop(g);
        value_free(g, &value);
    }
}

static bool is_aliased(const struct gen *g, uint32_t local)
{
    for (uint32_t i = 0; i < g->alias_count; i++)
        if (g->stack[g->aliases[i]].local == local)
            return true;
    return false;
}

void unalias(struct gen *g, uint32_t local)
{
    uint32_t kept = 0, last = 0;
    for (uint32_t i = 0; i < g->alias_count; i++)
        last = g->stack[g->aliases[i]].local == local ? i : last;
    for (uint32_t i = 0; i < g->alias_count; i++) {
        uint32_t position = g->aliases[i];
        if (g->stack[position].local == local)
            make_real(g, position, i == last); /* the others copy from the local's register before */
        else
            g->aliases[kept++] = position;
    }
    g->alias_count = kept;
}

void unalias_all(struct gen *g)
{
    uint32_t count = g->alias_count;
    g->alias_count = 0;
    for (uint32_t i = 0; i < count; i++)
        make_real(g, g->aliases[i], false);
}

#define SETTLE_REGS 4u

void settle(struct gen *g, uint32_t count, bool in_place)
{
    if (g->alias_count)
        unalias_all(g);
    for (uint32_t position = g->depth - count; position < g->depth; position++) {
        struct value *value = &g->stack[position];
        if (count > SETTLE_REGS) {
            if (value->kind != VALUE_CELL) {
                value_store(g, value, value->cell);
                value_free(g, value);
                value->kind = VALUE_CELL;
            }
        } else if (value->kind == VALUE_CONST || (value->kind == VALUE_CELL && !in_place)) {
            reg r = reg_alloc(g, is_vec(value->type));
            value_copy(g, value, r);
            value->kind = VALUE_REG;
            value->reg = r;
            own(g, r, position);
        }
    }
}

/* ---- locals ---- */

uint32_t next_set(struct gen *g)
{
    const uint8_t *next = g->next;
    uint32_t local = next[1];
    bool sets = (uint8_t)(next[0] - CODE_LOCAL_SET) <= CODE_LOCAL_TEE - CODE_LOCAL_SET;
    return sets && local < g->short_locals ? local : WASM_NO_INDEX;
}

static void unbind(struct gen *g, uint32_t local)
{
    reg_free(g, g->locals[local].reg);
    g->locals[local].reg = NO_REG;
}

void local_write(struct gen *g, uint32_t number, struct value value)
{
    struct local *local = &g->locals[number];
    if (value.kind == VALUE_LOCAL && value.local == number)
        return;
    if (g->alias_count)
        unalias(g, number);
    reg r = value.reg;
    if (value.kind == VALUE_REG) {
        if (local->reg != NO_REG)
            unbind(g, number);
    } else if (local->reg != NO_REG) {
        r = local->reg;
        value_copy(g, &value, r);
    } else {
        r = reg_alloc(g, is_vec(local->type));
        value_copy(g, &value, r);
    }
    local->reg = r;
    g->regs.used |= bit(r);
    g->regs.dirty |= bit(r);
    g->regs.operands &= ~bit(r);
    g->regs.owner[r] = number;
}

static bool is_local(const struct value *value, uint32_t local)
{
    return value && value->kind == VALUE_LOCAL && value->local == local;
}

/* The register of the local that is set next, if nobody needs what it holds. */
static reg take_target(struct gen *g, bool vec, uint32_t target, const struct value *left, const struct value *right)
{
    if (target == WASM_NO_INDEX || is_vec(g->locals[target].type) != vec || is_local(left, target) ||
        is_local(right, target) || g->locals[target].reg == NO_REG || is_aliased(g, target))
        return NO_REG;
    reg r = g->locals[target].reg;
    unbind(g, target);
    g->regs.used |= bit(r);
    g->regs.owner[r] = OWNER_NOBODY;
    g->pinned |= bit(r);
    return r;
}

reg result_for_set(struct gen *g, bool vec, const struct value *operand)
{
    uint32_t target = next_set(g);
    return target == WASM_NO_INDEX ? NO_REG : take_target(g, vec, target, operand, NULL);
}

reg result_fresh(struct gen *g, bool vec, const struct value *left, const struct value *right)
{
    reg r = take_target(g, vec, next_set(g), left, right);
    return r != NO_REG ? r : reg_alloc(g, vec);
}

reg result_in_place(struct gen *g, struct value *left, const struct value *right)
{
    if (left->kind == VALUE_REG)
        return left->reg;
    uint32_t target = next_set(g);
    if (is_local(left, target) && !is_local(right, target) && !is_aliased(g, target)) {
        reg r = local_reg(g, target);
        unbind(g, target);
        g->regs.used |= bit(r);
        g->regs.owner[r] = OWNER_NOBODY;
        return r;
    }
    reg r = take_target(g, is_vec(left->type), target, left, right);
    if (r == NO_REG)
        r = reg_alloc(g, is_vec(left->type));
    value_copy(g, left, r);
    return r;
}
