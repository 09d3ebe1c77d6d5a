/* Where ways meet: the first branch to a label decides what is in which register there, and the others conform.
 *
 * Operands that a branch hands over move down to the label's height. A few are handed over in registers or, where
 * nothing lies between, in their cells; many always in their cells (settle in value.c). */
#include "codegen/fast/stack.h"

static inline uint32_t bit(reg r)
{
    return 1u << r;
}

struct control *control_named(struct gen *g, uint32_t depth)
{
    return &g->controls.items[g->controls.count - 1 - depth];
}

const wasm_valtype *branch_types(const struct control *control, uint32_t *ret_count)
{
    bool params = control->kind == WASM_FRAME_LOOP;
    *ret_count = params ? control->type.param_count : control->type.result_count;
    return params ? control->type.params : control->type.results;
}

/* ---- moves ---- */

void move_add(struct moves *moves, reg to, reg from)
{
    if (to == from)
        return;
    moves->items[moves->count].to = to;
    moves->items[moves->count++].from = from;
}

static bool is_source(const struct moves *moves, reg r)
{
    for (unsigned i = 0; i < moves->count; i++)
        if (moves->items[i].from == r)
            return true;
    return false;
}

static void rename_source(struct moves *moves, reg from, reg to)
{
    for (unsigned i = 0; i < moves->count; i++)
        if (moves->items[i].from == from)
            moves->items[i].from = to;
}

/* A move whose target nobody reads any more. */
static bool move_one(struct gen *g, struct moves *moves)
{
    for (unsigned i = moves->count; i-- > 0;) {
        if (is_source(moves, moves->items[i].to))
            continue;
        move_reg(g, moves->items[i].to, moves->items[i].from);
        moves->items[i] = moves->items[--moves->count];
        return true;
    }
    return false;
}

void move_all(struct gen *g, struct moves *moves)
{
    while (moves->count) {
        if (move_one(g, moves))
            continue;
        reg to = moves->items[0].to; /* of a circle */
        reg spare = to >= REG_VEC_FIRST ? REG_SCRATCH_VEC : REG_SCRATCH_2;
        move_reg(g, spare, to);
        rename_source(moves, to, spare);
    }
}

/* ---- conforming ---- */

/* A branch as seen from its label: the operands from `first` on are handed over, `down` positions below. */
struct view {
    const struct control *to;
    uint32_t height, first, down, count;
    const wasm_valtype *types;
};

static struct view view_of(const struct gen *g, const struct control *to)
{
    struct view view = {.to = to, .height = to->height};
    view.types = branch_types(to, &view.count);
    view.first = g->depth - view.count;
    view.down = view.first - to->height;
    return view;
}

/* Where an operand is behind the branch. */
static bool position_there(const struct view *view, uint32_t position, uint32_t *ret)
{
    *ret = position >= view->first ? position - view->down : position;
    return position >= view->first || position < view->height;
}

static int32_t cell_there(const struct gen *g, const struct view *view, uint32_t position)
{
    int32_t cell = cell_above(g, view->height);
    if (position < view->height)
        return g->stack[position].cell;
    for (uint32_t i = view->height; i <= position; i++)
        cell -= cell_size(value_type(view->types[i - view->height]));
    return cell;
}

/* What is in registers now, as the label sees it: mostly what the generator sees. No register is the instruction's own
 * at a branch. */
static const struct state *seen_there(const struct gen *g, const struct view *view, struct state *ret)
{
    if (!view->down || !g->regs.operands)
        return &g->regs;
    *ret = (struct state){0};
    for (uint32_t left = g->regs.used; left; left &= left - 1) {
        reg r = (reg)__builtin_ctz(left);
        uint32_t owner = g->regs.owner[r];
        if ((g->regs.operands & bit(r)) && !position_there(view, owner, &owner))
            continue;
        ret->owner[r] = owner;
        ret->used |= bit(r);
        ret->dirty |= g->regs.dirty & bit(r);
        ret->operands |= g->regs.operands & bit(r);
    }
    /* An operand that moves down is not in its cell there. */
    if (view->down)
        for (uint32_t left = ret->operands; left; left &= left - 1)
            if (ret->owner[__builtin_ctz(left)] >= view->height)
                ret->dirty |= left & -left;
    return ret;
}

static enum type type_there(const struct gen *g, const struct view *view, bool operand, uint32_t owner)
{
    if (!operand)
        return g->locals[owner].type;
    return owner < view->height ? g->stack[owner].type : value_type(view->types[owner - view->height]);
}

static int32_t home_there(const struct gen *g, const struct view *view, bool operand, uint32_t owner)
{
    return operand ? cell_there(g, view, owner) : g->locals[owner].cell;
}

/* Operands that are handed over in cells, the deepest first: none is overwritten before it was read. */
static void move_cells(struct gen *g, const struct view *view)
{
    if (!view->down)
        return;
    int32_t cell = cell_above(g, view->height);
    for (uint32_t i = 0; i < view->count; i++) {
        const struct value *value = &g->stack[view->first + i];
        cell -= cell_size(value->type);
        code_room(g, 64);
        if (value->kind == VALUE_CELL)
            value_store(g, value, cell);
    }
}

/* Registers that hold the same in both. */
static uint32_t same_in(const struct state *one, const struct state *other)
{
    return equal_words(one->owner, other->owner) & one->used & other->used & ~(one->operands ^ other->operands);
}

/* The register of `mask` that has this owner in a state, or NO_REG. */
static reg holder(const struct state *state, uint32_t mask, bool operand, uint32_t owner)
{
    for (mask &= operand ? state->operands : ~state->operands; mask; mask &= mask - 1)
        if (state->owner[__builtin_ctz(mask)] == owner)
            return (reg)__builtin_ctz(mask);
    return NO_REG;
}

static void store_home(struct gen *g, const struct view *view, const struct state *state, reg r)
{
    bool operand = state->operands & bit(r);
    uint32_t owner = state->owner[r];
    if (!operand && loop_kills(view->to, owner))
        return;
    store_cell(g, type_there(g, view, operand, owner), r, home_there(g, view, operand, owner));
}

static void load_home(struct gen *g, const struct view *view, const struct state *state, reg r)
{
    bool operand = state->operands & bit(r);
    uint32_t owner = state->owner[r];
    load_cell(g, type_there(g, view, operand, owner), r, home_there(g, view, operand, owner));
}

/* From one state to another, both as the label sees them: stores, then moves, then loads. */
static void conform(struct gen *g, const struct view *view, const struct state *from, const struct state *to)
{
    uint32_t same = same_in(from, to), others = to->used & ~same, gone = from->used & ~same;
    struct moves moves;
    for (uint32_t left = same & from->dirty & ~to->dirty; left; left &= left - 1)
        store_home(g, view, from, (reg)__builtin_ctz(left));
    if (!others) { /* mostly nothing is wanted that is not there */
        for (uint32_t left = gone & from->dirty; left; left &= left - 1)
            store_home(g, view, from, (reg)__builtin_ctz(left));
        return;
    }
    moves.count = 0;
    for (uint32_t left = gone; left; left &= left - 1) {
        reg r = (reg)__builtin_ctz(left), there = holder(to, others, from->operands & bit(r), from->owner[r]);
        if ((from->dirty & bit(r)) && (there == NO_REG || !(to->dirty & bit(there))))
            store_home(g, view, from, r);
        if (there != NO_REG) {
            move_add(&moves, there, r);
            others &= ~bit(there);
        }
    }
    move_all(g, &moves);
    for (; others; others &= others - 1)
        load_home(g, view, to, (reg)__builtin_ctz(others));
}

static bool conforms(const struct state *from, const struct state *to)
{
    /* Nothing to load, nothing to store, nothing to move. */
    return !(to->used & ~from->used) && !(from->dirty & ~to->dirty) && same_in(from, to) == to->used;
}

bool branch_is_plain(struct gen *g, const struct control *to)
{
    struct view view = view_of(g, to);
    struct state seen;
    if (to->kind == WASM_FRAME_FUNC)
        return false;
    for (uint32_t i = 0; view.down && i < view.count; i++)
        if (g->stack[view.first + i].kind == VALUE_CELL)
            return false;
    if (!to->joined)
        return true;
    return conforms(seen_there(g, &view, &seen), &to->state);
}

void branch_conform(struct gen *g, struct control *to)
{
    struct view view = view_of(g, to);
    struct state copy;
    const struct state *seen = seen_there(g, &view, &copy);
    code_room(g, 2048);
    move_cells(g, &view);
    if (to->joined) {
        conform(g, &view, seen, &to->state);
    } else {
        to->state = *seen;
        to->joined = true;
    }
}

void state_conform(struct gen *g, struct control *to, const struct state *from)
{
    struct view view = {.to = to, .height = to->height};
    view.types = branch_types(to, &view.count);
    code_room(g, 2048);
    conform(g, &view, from, &to->state);
}

bool state_conforms(const struct control *to, const struct state *from)
{
    return conforms(from, &to->state);
}

void branch_code(struct gen *g, struct control *to)
{
    if (to->kind == WASM_FRAME_FUNC) {
        return_code(g);
        return;
    }
    branch_conform(g, to);
    put_branch(g, STENCIL_jump, 0, 0, &to->label);
}

/* ---- entering ---- */

static void unbind(struct gen *g, const struct state *state, uint32_t mask)
{
    for (; mask; mask &= mask - 1) {
        unsigned r = (unsigned)__builtin_ctz(mask);
        uint32_t owner = state->owner[r];
        if (owner == OWNER_NOBODY)
            continue;
        if (state->operands >> r & 1)
            g->stack[owner].kind = VALUE_CELL;
        else
            g->locals[owner].reg = NO_REG;
    }
}

static void bind(struct gen *g, const struct state *state, uint32_t mask)
{
    for (; mask; mask &= mask - 1) {
        reg r = (reg)__builtin_ctz(mask);
        uint32_t owner = state->owner[r];
        if (state->operands & bit(r)) {
            g->stack[owner].kind = VALUE_REG;
            g->stack[owner].reg = r;
        } else {
            g->locals[owner].reg = r;
        }
    }
}

/* Locals that are where they were need nothing. */
void state_enter(struct gen *g, const struct control *control, const struct state *state, const wasm_valtype *types,
                 uint32_t count)
{
    uint32_t same = same_in(&g->regs, state) & ~state->operands;
    unbind(g, &g->regs, g->regs.used & ~same);
    g->pinned = 0;
    g->depth = control->height;
    g->alias_count = 0;
    for (uint32_t i = 0; i < count; i++)
        push_cell(g, value_type(types[i]));
    bind(g, state, state->used & ~same);
    g->regs = *state;
}

void state_save(const struct gen *g, struct state *ret)
{
    *ret = g->regs;
    for (uint32_t left = ret->used; left; left &= left - 1)
        if (ret->owner[__builtin_ctz(left)] == OWNER_NOBODY)
            ret->used &= ~(left & -left), ret->operands &= ~(left & -left), ret->dirty &= ~(left & -left);
}
