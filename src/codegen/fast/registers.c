/* Registers: who has which, and what happens when there are too few. */
#include "codegen/fast/stack.h"

static inline uint32_t bit(reg r)
{
    return 1u << r;
}

static inline uint32_t allocatable(bool vec)
{
    return vec ? ALLOCATABLE_VECS : ALLOCATABLE_INTS;
}

/* The owner's cell has the value, if it must, and its register is free. */
static void give_up(struct gen *g, reg r)
{
    uint32_t owner = g->regs.owner[r];
    bool dirty = g->regs.dirty & bit(r);
    if (g->regs.operands & bit(r)) {
        struct value *value = &g->stack[owner];
        if (dirty)
            store_cell(g, value->type, r, value->cell);
        value->kind = VALUE_CELL;
    } else {
        struct local *local = &g->locals[owner];
        if (dirty)
            store_cell(g, local->type, r, local->cell);
        local->reg = NO_REG;
    }
    reg_free(g, r);
}

/* Of those in `mask`, the first from where the last search ended. */
static reg next_of(struct gen *g, uint32_t mask)
{
    uint32_t later = mask & ~((2u << g->clock) - 1);
    g->clock = (uint32_t)__builtin_ctz(later ? later : mask);
    return (reg)g->clock;
}

/* Clean values of locals first, those that a loop wants last. */
static reg victim(struct gen *g, bool vec)
{
    uint32_t mask = allocatable(vec) & ~g->pinned, locals = mask & ~g->regs.operands;
    const uint32_t choices[] = {locals & ~g->regs.dirty & ~g->hot, locals & ~g->hot, mask & ~g->hot, mask};
    for (unsigned i = 0; i < sizeof choices / sizeof *choices; i++)
        if (choices[i])
            return next_of(g, choices[i]);
    g->failed = true; /* no instruction pins so many */
    return (reg)__builtin_ctz(allocatable(vec));
}

bool reg_left(const struct gen *g, bool vec)
{
    return allocatable(vec) & ~g->pinned;
}

reg reg_alloc(struct gen *g, bool vec)
{
    uint32_t mask = allocatable(vec) & ~g->regs.used & ~g->pinned;
    reg r;
    if (mask) {
        r = (reg)__builtin_ctz(mask);
    } else {
        r = victim(g, vec);
        if (g->regs.used & bit(r))
            give_up(g, r);
    }
    g->regs.used |= bit(r);
    g->regs.owner[r] = OWNER_NOBODY;
    g->pinned |= bit(r);
    return r;
}

void reg_take(struct gen *g, reg r)
{
    if (g->regs.used & bit(r))
        give_up(g, r);
    g->regs.used |= bit(r);
    g->regs.owner[r] = OWNER_NOBODY;
    g->pinned |= bit(r);
}

void reg_pin(struct gen *g, reg r)
{
    g->pinned |= bit(r);
}

void move_reg(struct gen *g, reg to, reg from)
{
    if (to == from)
        return;
    if (to >= REG_VEC_FIRST)
        put_regs(g, STENCIL_move_v, AT(x, to) | AT(y, from), 0);
    else
        put_regs(g, STENCIL_move, AT(a, to) | AT(b, from), 0);
}

static const uint16_t gets[TYPE_COUNT] = {STENCIL_get_32, STENCIL_get_64, STENCIL_get_f32, STENCIL_get_f64,
                                          STENCIL_get_v};
static const uint16_t sets[TYPE_COUNT] = {STENCIL_set_32, STENCIL_set_64, STENCIL_set_f32, STENCIL_set_f64,
                                          STENCIL_set_v};

void load_cell(struct gen *g, enum type type, reg to, int32_t cell)
{
    put_regs(g, gets[type], AT(a, to) | AT(x, to), cell);
}

void store_cell(struct gen *g, enum type type, reg from, int32_t cell)
{
    if (cell < g->frame_end)
        g->frame_end = cell;
    put_regs(g, sets[type], AT(a, from) | AT(x, from), cell);
}

#define CONSTANT_BYTES 16u
#define CONSTANTS_SEARCHED 16u

/* Where a constant stands among those of the run. Equal ones are mostly near each other. */
static uint32_t constant_at(struct gen *g, const uint64_t words[2])
{
    size_t count = g->constants.size / CONSTANT_BYTES;
    size_t first = count > CONSTANTS_SEARCHED ? count - CONSTANTS_SEARCHED : 0;
    for (size_t i = count; i-- > first;)
        if (memcmp(g->constants.data + i * CONSTANT_BYTES, words, CONSTANT_BYTES) == 0)
            return (uint32_t)(i * CONSTANT_BYTES);
    if (!buf_append(&g->constants, words, CONSTANT_BYTES))
        g->failed = true;
    return (uint32_t)(count * CONSTANT_BYTES);
}

void load_vector(struct gen *g, reg to, const uint64_t words[2])
{
    if (!(words[0] | words[1])) {
        put_regs(g, STENCIL_zero_v, AT(x, to), 0);
        return;
    }
    uint32_t at = constant_at(g, words);
    put_constant(g, words[1] ? STENCIL_constant_v : STENCIL_constant_f64, to, at);
}

void load_const(struct gen *g, enum type type, reg to, uint64_t bits)
{
    if (bits == 0)
        put_regs(g, is_vec(type) ? STENCIL_zero_v : STENCIL_zero, AT(a, to) | AT(x, to), 0);
    else if (type == T_F32)
        PUT(g, const_f32, .x = to, .imm = (int32_t)bits);
    else if (type == T_F64)
        load_vector(g, to, (const uint64_t[]){bits, 0});
    else if (bits <= UINT32_MAX)
        put_regs(g, STENCIL_const_i32, AT(a, to), (int32_t)bits);
    else if ((int64_t)bits == (int32_t)bits)
        put_regs(g, STENCIL_const_i64_s, AT(a, to), (int32_t)bits);
    else
        PUT(g, const_i64, .a = to, .imm64 = bits);
}

void write_back(struct gen *g)
{
    for (uint32_t left = g->regs.used & g->regs.dirty; left; left &= left - 1) {
        reg r = (reg)__builtin_ctz(left);
        uint32_t owner = g->regs.owner[r];
        if (owner == OWNER_NOBODY)
            continue;
        if (g->regs.operands & bit(r))
            store_cell(g, g->stack[owner].type, r, g->stack[owner].cell);
        else
            store_cell(g, g->locals[owner].type, r, g->locals[owner].cell);
        g->regs.dirty &= ~bit(r);
    }
}

void forget_regs(struct gen *g)
{
    for (uint32_t left = g->regs.used; left; left &= left - 1) {
        reg r = (reg)__builtin_ctz(left);
        uint32_t owner = g->regs.owner[r];
        if (owner == OWNER_NOBODY)
            continue;
        if (g->regs.operands & bit(r))
            g->stack[owner].kind = VALUE_CELL;
        else
            g->locals[owner].reg = NO_REG;
    }
    g->regs.used = g->regs.dirty = g->regs.operands = 0;
    g->pinned = 0;
}
