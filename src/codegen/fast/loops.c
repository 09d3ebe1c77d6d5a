/* What a loop wants in registers.
 *
 * When a loop begins, nothing is known of it but its bytes. A look ahead over its first instructions, up to its end or
 * the first call, tells which locals are read there before they are written: those begin in registers, the most used
 * first, and all others do not, so that branches back have little to restore. Locals that are written on every way
 * before anything reads them need not even keep their values at a branch back.
 *
 * The bytes ahead are not validated yet: numbers are compared before they are used, and what cannot be read ends it. */
#include "codegen/fast/stack.h"

#include "wasm/quick.h"

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

/* What an instruction is to a look. */
enum { READS = 1, WRITES = 2, CALLS = 4, BRANCHES = 8, OPENS = 16, LOOPS = 32, CLOSES = 64 };
static const uint8_t meanings[OP_COUNT] = {
    [OP_LOCAL_GET] = READS,
    [OP_LOCAL_SET] = WRITES,
    [OP_LOCAL_TEE] = WRITES,
    [OP_CALL] = CALLS,
    [OP_CALL_INDIRECT] = CALLS,
    [OP_CALL_REF] = CALLS,
    [OP_MEMORY_GROW] = CALLS,
    [OP_MEMORY_COPY] = CALLS,
    [OP_MEMORY_FILL] = CALLS,
    [OP_BLOCK] = OPENS,
    [OP_LOOP] = OPENS | LOOPS,
    [OP_IF] = OPENS | BRANCHES,
    [OP_TRY_TABLE] = OPENS | BRANCHES,
    [OP_ELSE] = BRANCHES,
    [OP_END] = CLOSES,
    [OP_BR] = BRANCHES,
    [OP_BR_IF] = BRANCHES,
    [OP_BR_TABLE] = BRANCHES,
    [OP_BR_ON_NULL] = BRANCHES,
    [OP_BR_ON_NON_NULL] = BRANCHES,
    [OP_BR_ON_CAST] = BRANCHES,
    [OP_BR_ON_CAST_FAIL] = BRANCHES,
    [OP_RETURN] = BRANCHES,
    [OP_RETURN_CALL] = BRANCHES,
    [OP_RETURN_CALL_INDIRECT] = BRANCHES,
    [OP_RETURN_CALL_REF] = BRANCHES,
    [OP_THROW] = BRANCHES,
    [OP_THROW_REF] = BRANCHES,
};

/* One instruction; false when there is no more to see. */
static inline bool see(struct gen *g, struct look *look, const struct wasm_op *op, uint32_t *depth, unsigned *weight)
{
    unsigned meaning = meanings[op->code];
    if (!meaning)
        return true;
    if (meaning & (READS | WRITES)) {
        if (op->a >= g->local_count)
            return false;
        if (meaning & READS)
            on_read(g, look, op->a, *weight);
        else
            on_write(g, look, op->a, *weight);
        return true;
    }
    look->called |= meaning == CALLS;
    if (meaning & BRANCHES || (meaning == CALLS && g->innermost_try != NO_TRY))
        look->straight = false;
    *depth += (meaning & OPENS) != 0;
    if (meaning & LOOPS && *weight < 64)
        *weight *= 4;
    if (meaning == CLOSES && --*depth == 0) {
        look->whole = true;
        return false;
    }
    return true;
}

/* Behind a number that is not long, or NULL. */
static inline const uint8_t *skip_number(const uint8_t *at)
{
    uint32_t number;
    return quick_unsigned(&at, &number) ? at : NULL;
}

/* One of the many instructions that mean nothing here or read and write locals, at `at`, where QUICK_BYTES may be read;
 * what is behind it, or NULL: another. */
static inline const uint8_t *see_quickly(struct gen *g, struct look *look, const uint8_t *at, unsigned weight)
{
    uint8_t number = at[1];
    switch ((enum quick_kind)quick_row(at)->kind) {
    case QUICK_PLAIN: return at + 1;
    case QUICK_ACCESS: return number < 0x40 ? skip_number(at + 2) : NULL;
    case QUICK_I32:
    case QUICK_I64: return skip_number(at + 1);
    case QUICK_GET:
    case QUICK_SET:
    case QUICK_TEE:
        if (number >= 0x80 || number >= g->local_count)
            return NULL;
        if (quick_row(at)->kind == QUICK_GET)
            on_read(g, look, number, weight);
        else
            on_write(g, look, number, weight);
        return at + 2;
    default: return NULL;
    }
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
    for (unsigned i = 0; i < LOOK_MAX && in.at < in.end && *in.at != CODE_BR_TABLE; i++) {
        const uint8_t *behind = reader_left(&in) < QUICK_BYTES ? NULL : see_quickly(g, look, in.at, weight);
        if (behind)
            in.at = behind;
        else if (!instr_read(&in, &g->lists, &next) || !see(g, look, &next, &depth, &weight))
            break;
    }
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
        if (local->reg == NO_REG && !reg_left(g, is_vec(local->type)))
            continue; /* the loop's parameters have the others */
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
