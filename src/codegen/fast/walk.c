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

static inline void generate(struct gen *g, const struct wasm_op *op)
{
    const struct row *row = &fast_rows[op->code];
    g->op = op;
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
    generate(g, op);
    return !g->failed || fast_fail(g, err);
}

/* local.set, and the first half of local.tee. No condition waits: those are taken by what follows them at once. */
static inline void set_local(struct gen *g, uint32_t local)
{
    g->pinned = 0;
    code_room(g, ROOM);
    local_write(g, local, value_pop(g));
}

static void walk(void *arg, struct wasm_body_scratch *s)
{
    struct gen *g = arg;
    const uint8_t *limit = quick_limit(s);
    const uint32_t height = check_top(s)->height;
    while (limit && s->in.at <= limit && !g->failed) {
        const uint8_t *at = s->in.at;
        const struct quick *row = quick_row(at++);
        uint32_t number;
        switch ((enum quick_kind)row->kind) {
        case QUICK_NO: return;
        case QUICK_GET:
            number = *at++;
            if (!quick_get(s, (uint8_t)number))
                return;
            s->in.at = at;
            if (!g->dead)
                push_local(g, number);
            continue;
        case QUICK_SET:
        case QUICK_TEE:
            number = *at++;
            if (!quick_set(s, (uint8_t)number, height, row->kind == QUICK_SET))
                return;
            s->in.at = at;
            if (g->dead)
                continue;
            set_local(g, number);
            if (row->kind == QUICK_TEE)
                push_local(g, number);
            continue;
        case QUICK_I32:
            if (!quick_signed(&at, &number) || !quick_push(s, WASM_I32))
                return;
            s->in.at = at;
            if (!g->dead)
                push_const(g, T_I32, number);
            continue;
        case QUICK_ACCESS:
            if (!quick_access(s, row, height, &at))
                return;
            break;
        case QUICK_PLAIN:
            if (!quick_effect(s, row, height))
                return;
            break;
        }
        quick_done(s, row, at);
        if (!g->dead)
            generate(g, &s->op);
    }
}

const struct wasm_visitor fast_walk = {.begin = begin, .op = visit, .quick = walk};
