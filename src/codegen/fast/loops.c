/* What a loop wants in registers.
 *
 * When a loop begins, nothing is known of it but its bytes. A look ahead over its first instructions, up to its end or
 * the first call, tells which locals are read there before they are written: those begin in registers, the most used
 * first, and all others do not, so that branches back have little to restore. Locals that are written on every way
 * before anything reads them need not even keep their values at a branch back.
 *
 * The bytes ahead are not validated yet: numbers are compared before they are used, and what cannot be read ends it. */
#include "codegen/fast/stack.h"

#include "wasm/instr.h"

#define LOOK_MAX 96u      /* instructions */
#define CANDIDATES_MAX 32u
#define INTS_WANTED 8u     /* the body needs a few for what it computes */
#define VECS_WANTED 9u

enum { CODE_BR_TABLE = 0x0e }; /* may be long, and says nothing: a look ends there */

struct candidate {
    uint32_t local, uses;
    bool written;
};

struct look {
    struct candidate read_first[CANDIDATES_MAX];
    unsigned count;
    struct control *loop; /* collects the killed locals */
    bool straight;        /* no branch so far */
    bool called;          /* nothing behind stays in registers */
    bool whole;           /* to the end of the loop */
};

static struct candidate *find(struct look *look, uint32_t local)
{
    for (unsigned i = 0; i < look->count; i++)
        if (look->read_first[i].local == local)
            return &look->read_first[i];
    return NULL;
}

static bool is_killed(const struct control *loop, uint32_t local)
{
    for (unsigned i = 0; i < loop->killed_count; i++)
        if (loop->killed[i] == local)
            return true;
    return false;
}

bool loop_kills(const struct control *loop, uint32_t local)
{
    return loop->kind == WASM_FRAME_LOOP && is_killed(loop, local);
}

/* The generator's `seen` marks locals that were accessed before in this look. */
static bool first_access(struct gen *g, uint32_t local)
{
    bool first = g->locals[local].seen != g->look;
    g->locals[local].seen = g->look;
    return first;
}

static void on_read(struct gen *g, struct look *look, uint32_t local, unsigned weight)
{
    bool first = first_access(g, local);
    if (look->called)
        return;
    if (!first) {
        struct candidate *known = find(look, local);
        if (known)
            known->uses += weight;
    } else if (look->count < CANDIDATES_MAX) {
        look->read_first[look->count++] = (struct candidate){local, weight, false};
    }
}

static void on_write(struct gen *g, struct look *look, uint32_t local, unsigned weight)
{
    if (first_access(g, local)) {
        if (look->straight && look->loop->killed_count < KILLED_MAX)
            look->loop->killed[look->loop->killed_count++] = local;
        return;
    }
    struct candidate *known = find(look, local);
    if (known) {
        known->written = true;
        known->uses += look->called ? 0 : weight;
    }
}

static bool is_call(enum wasm_opcode code)
{
    return code == OP_CALL || code == OP_CALL_INDIRECT || code == OP_CALL_REF || code == OP_MEMORY_GROW ||
           code == OP_MEMORY_COPY || code == OP_MEMORY_FILL;
}

static bool is_branch(enum wasm_opcode code)
{
    return code == OP_BR || code == OP_BR_IF || code == OP_BR_TABLE || code == OP_IF || code == OP_ELSE ||
           code == OP_RETURN || code == OP_TRY_TABLE || code == OP_THROW || code == OP_THROW_REF ||
           (code >= OP_RETURN_CALL && code <= OP_RETURN_CALL_INDIRECT) || code == OP_RETURN_CALL_REF ||
           (code >= OP_BR_ON_NULL && code <= OP_BR_ON_NON_NULL) || code == OP_BR_ON_CAST || code == OP_BR_ON_CAST_FAIL;
}

static bool opens(enum wasm_opcode code)
{
    return code == OP_BLOCK || code == OP_LOOP || code == OP_IF || code == OP_TRY_TABLE;
}

/* One instruction; false when there is no more to see. */
static bool see(struct gen *g, struct look *look, const struct wasm_op *op, uint32_t *depth, unsigned *weight)
{
    if (op->code == OP_LOCAL_GET || op->code == OP_LOCAL_SET || op->code == OP_LOCAL_TEE) {
        if (op->a >= g->local_count)
            return false;
        if (op->code == OP_LOCAL_GET)
            on_read(g, look, op->a, *weight);
        else
            on_write(g, look, op->a, *weight);
        return true;
    }
    if (is_call(op->code)) {
        look->called = true;
        look->straight &= g->innermost_try == NO_TRY;
    } else if (is_branch(op->code)) {
        look->straight = false;
    }
    *depth += opens(op->code);
    if (op->code == OP_LOOP && *weight < 64)
        *weight *= 4;
    if (op->code == OP_END && --*depth == 0) {
        look->whole = true;
        return false;
    }
    return true;
}

static void look_ahead(struct gen *g, const struct wasm_op *op, struct look *look)
{
    const struct wasm_module *module = g->unit->module;
    const struct wasm_func *func = &module->funcs[g->body->func];
    struct err unread = {0};
    struct reader in = {module->bytes, module->bytes + op->next, module->bytes + func->body + func->size, &unread};
    struct wasm_op next = {0};
    uint32_t depth = 1;
    unsigned weight = 1;
    g->look++;
    for (unsigned i = 0; i < LOOK_MAX && in.at < in.end && *in.at != CODE_BR_TABLE; i++)
        if (!instr_read(&in, &g->lists, &next) || !see(g, look, &next, &depth, &weight))
            break;
    g->failed |= unread.kind == ERR_MEMORY;
}

/* ---- what follows from it ---- */

/* The most used of one kind, up to `max`, to the front; how many. */
static unsigned choose(struct gen *g, struct look *look, unsigned from, bool vec, unsigned max)
{
    unsigned chosen = from;
    while (chosen < look->count && chosen - from < max) {
        unsigned best = look->count;
        for (unsigned i = chosen; i < look->count; i++)
            if (is_vec(g->locals[look->read_first[i].local].type) == vec &&
                (best == look->count || look->read_first[i].uses > look->read_first[best].uses))
                best = i;
        if (best == look->count)
            break;
        struct candidate kept = look->read_first[chosen];
        look->read_first[chosen++] = look->read_first[best];
        look->read_first[best] = kept;
    }
    return chosen;
}

/* Registers of other locals are given up: their values go to their cells, unless nobody will ask. */
static void leave_others(struct gen *g, const struct look *look, unsigned chosen)
{
    for (uint32_t left = g->regs.used & ~g->regs.operands; left; left &= left - 1) {
        reg r = (reg)__builtin_ctz(left);
        uint32_t local = g->regs.owner[r];
        bool wanted = false;
        for (unsigned i = 0; i < chosen && !wanted; i++)
            wanted = look->read_first[i].local == local;
        if (wanted)
            continue;
        if ((g->regs.dirty >> r & 1) && !is_killed(look->loop, local))
            store_cell(g, g->locals[local].type, r, g->locals[local].cell);
        g->locals[local].reg = NO_REG;
        reg_free(g, r);
    }
}

/* What is written in the loop counts as changed from the beginning, so that branches back need not store it. */
static void take_wanted(struct gen *g, const struct look *look, unsigned chosen)
{
    for (unsigned i = 0; i < chosen; i++) {
        const struct candidate *wanted = &look->read_first[i];
        struct local *local = &g->locals[wanted->local];
        if (local->reg == NO_REG) {
            reg r = reg_alloc(g, is_vec(local->type));
            load_cell(g, local->type, r, local->cell);
            local->reg = r;
            g->regs.owner[r] = wanted->local;
        }
        reg_pin(g, local->reg);
        if (wanted->written || !look->whole)
            g->regs.dirty |= 1u << local->reg;
    }
}

void loop_prepare(struct gen *g, const struct wasm_op *op, struct control *loop)
{
    struct look look = {.loop = loop, .straight = true};
    loop->killed_count = 0;
    look_ahead(g, op, &look);
    unsigned chosen = choose(g, &look, 0, false, INTS_WANTED);
    chosen = choose(g, &look, chosen, true, VECS_WANTED);
    code_room(g, 2048);
    leave_others(g, &look, chosen);
    take_wanted(g, &look, chosen);
    g->pinned = 0;
}
