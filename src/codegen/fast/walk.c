/* The walk over a body: instructions that are mostly right in a loop of its own (wasm/quick.h), which makes no call for
 * those without code; the others one by one as the reader finds them valid. */
#include "codegen/fast/emit.h"

#include "wasm/quick.h"

#define ROOM 4096u /* for what one instruction makes; those that make more ask for it */

static bool begin(void *arg, const struct wasm_body_state *state, struct err *err)
{
    struct gen *g = arg;
    g->body = state;
    return fast_enter(g, state->locals, state->local_count);
}

/* Instructions that matter in unreachable code too: they nest. */
static bool is_structural(enum wasm_opcode code)
{
    return code == OP_BLOCK || code == OP_LOOP || code == OP_IF || code == OP_ELSE || code == OP_END ||
           code == OP_TRY_TABLE;
}

/* `next`: the two bytes behind it. */
static inline void generate(struct gen *g, const struct wasm_op *op, const uint8_t *next)
{
    const struct row *row = &fast_rows[op->code];
    g->op = op;
    g->next = next;
    if (!g->condition.pending)
        g->pinned = 0;
    code_room(g, ROOM);
    row->emit(g, op, row);
}

static bool visit(void *arg, const struct wasm_op *op, const struct wasm_body_state *state, struct err *err)
{
    struct gen *g = arg;
    if (g->dead && !is_structural(op->code))
        return true;
    const struct wasm_module *module = state->module;
    static const uint8_t nothing[2] = {0};
    bool more = op->next + sizeof nothing <= module->size;
    generate(g, op, more ? module->bytes + op->next : nothing);
    return !g->failed || fast_fail(g, err);
}

/* local.set, and the first half of local.tee. No condition waits: those are taken by what follows them at once. */
static inline void set_local(struct gen *g, uint32_t local)
{
    g->pinned = 0;
    code_room(g, ROOM);
    local_write(g, local, value_pop(g));
}

/* As many as there are of local.get, local.set, local.tee and constants: they change what is known, and mostly make no
 * code. */
static inline void values(struct gen *g, struct wasm_body_scratch *s, const uint8_t *limit)
{
    const uint8_t *at = s->in.at;
    while (at <= limit) {
        const unsigned code = at[0];
        uint32_t number = at[1];
        const uint8_t *next = at + 1;
        if (code == QUICK_CODE_GET) {
            if (!quick_get(s, (uint8_t)number))
                break;
            push_local(g, number);
            at += 2;
        } else if (code - QUICK_CODE_SET <= QUICK_CODE_TEE - QUICK_CODE_SET) {
            bool pops = code == QUICK_CODE_SET;
            if (g->failed || !quick_set(s, (uint8_t)number, check_top(s)->height, pops))
                break;
            set_local(g, number);
            if (!pops)
                push_local(g, number);
            at += 2;
        } else if (code - QUICK_CODE_I32 <= QUICK_CODE_I64 - QUICK_CODE_I32) {
            bool wide = code == QUICK_CODE_I64;
            if (!quick_signed(&next, &number) || !quick_push(s, wide ? WASM_I64 : WASM_I32))
                break;
            push_const(g, wide ? T_I64 : T_I32, wide ? (uint64_t)(int32_t)number : number);
            at = next;
        } else {
            break;
        }
    }
    s->in.at = at;
}

/* Behind a branch mostly ends the block, and what follows can be reached again; false: something else stands there. */
static inline bool end_behind(struct gen *g, struct wasm_body_scratch *s)
{
    check_stop(s);
    if (!quick_end_stopped(s))
        return false;
    quick_done(s, s->in.at + 1, false);
    generate(g, &s->op, s->in.at);
    return true;
}

static void walk(void *arg, struct wasm_body_scratch *s)
{
    struct gen *g = arg;
    const uint8_t *limit = quick_limit(s);
    while (limit && !g->dead && !g->failed) {
        values(g, s, limit);
        const uint8_t *at = s->in.at;
        const struct quick *row = quick_row(at++);
        if (s->in.at > limit || !quick_take(s, row, &at))
            return;
        quick_done(s, at, true);
        generate(g, &s->op, at);
        if (row->kind == QUICK_BR && !end_behind(g, s))
            return;
    }
}

const struct wasm_visitor fast_walk = {.begin = begin, .op = visit, .quick = walk};
