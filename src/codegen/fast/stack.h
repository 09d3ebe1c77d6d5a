/* The operand stack, as far as it is small enough to stand where it is used (the rest: value.c).
 *
 * In front of the lowest operand stands one that is none: its cell is where the locals end. */
#ifndef MAYFLY_FAST_STACK_H
#define MAYFLY_FAST_STACK_H

#include "codegen/fast/gen.h"

void stack_grow(struct gen *g);

/* The cell below which the operand at this position has its home. */
static inline int32_t cell_above(const struct gen *g, uint32_t position)
{
    return g->stack[(int64_t)position - 1].cell;
}

static inline int32_t next_cell(struct gen *g, enum type type)
{
    return cell_above(g, g->depth) - cell_size(type);
}

static inline struct value *push(struct gen *g, enum value_kind kind, enum type type)
{
    if (g->depth == g->stack_capacity)
        stack_grow(g);
    struct value *value = &g->stack[g->depth];
    *value = (struct value){.kind = kind, .type = type, .reg = NO_REG, .cell = next_cell(g, type)};
    g->depth++;
    return value;
}

/* The register is now that of the operand at this position, and its cell is behind. */
static inline void own(struct gen *g, reg r, uint32_t position)
{
    uint32_t bit = 1u << r;
    g->regs.used |= bit;
    g->regs.dirty |= bit;
    g->regs.operands |= bit;
    g->regs.owner[r] = position;
}

static inline void push_reg(struct gen *g, enum type type, reg r)
{
    push(g, VALUE_REG, type)->reg = r;
    own(g, r, g->depth - 1);
}

static inline void push_const(struct gen *g, enum type type, uint64_t bits)
{
    push(g, VALUE_CONST, type)->bits = bits;
}

static inline void push_cell(struct gen *g, enum type type)
{
    push(g, VALUE_CELL, type);
}

/* The lowest alias becomes a value of its own: there are too many. */
void alias_spare(struct gen *g);

static inline void push_local(struct gen *g, uint32_t local)
{
    if (g->alias_count == ALIASES_MAX)
        alias_spare(g);
    push(g, VALUE_LOCAL, g->locals[local].type)->local = local;
    g->aliases[g->alias_count++] = g->depth - 1;
}

/* The topmost value; its register, if it has one of its own, is pinned and must be given on or freed. */
static inline struct value value_pop(struct gen *g)
{
    struct value value = g->stack[--g->depth];
    if (value.kind == VALUE_REG) {
        g->regs.owner[value.reg] = OWNER_NOBODY;
        g->pinned |= 1u << value.reg;
    } else if (value.kind == VALUE_LOCAL) {
        g->alias_count--;
        reg r = g->locals[value.local].reg;
        g->pinned |= r == NO_REG ? 0 : 1u << r;
    }
    return value;
}

static inline void value_free(struct gen *g, const struct value *value)
{
    if (value->kind == VALUE_REG)
        reg_free(g, value->reg);
}

reg local_load(struct gen *g, uint32_t number);

/* The register of a local, which is loaded if it has none; pinned. */
static inline reg local_reg(struct gen *g, uint32_t local)
{
    reg r = g->locals[local].reg;
    if (r == NO_REG)
        return local_load(g, local);
    g->pinned |= 1u << r;
    return r;
}

reg value_load(struct gen *g, struct value *value);

/* A register that holds it, to be read only; pinned. */
static inline reg value_reg(struct gen *g, struct value *value)
{
    if (value->kind == VALUE_LOCAL)
        return local_reg(g, value->local);
    return value->kind == VALUE_REG ? value->reg : value_load(g, value);
}

#endif
