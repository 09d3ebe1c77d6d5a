/* Constants, locals and globals. */
#include "codegen/fast/emit.h"

EMIT(nop)
{
}

EMIT(drop)
{
    stack_drop(g, g->depth - 1);
}

/* arg: the type */
EMIT(const)
{
    push_const(g, (enum type)row->arg, row->arg == T_I32 || row->arg == T_F32 ? (uint32_t)op->bits : op->bits);
}

EMIT(const_vector)
{
    uint64_t words[2];
    memcpy(words, op->v128, sizeof words);
    reg to = result_fresh(g, true, NULL, NULL);
    load_vector(g, to, words);
    push_reg(g, T_V128, to);
}

EMIT(local_get)
{
    push_local(g, op->a);
}

EMIT(local_set)
{
    local_write(g, op->a, value_pop(g));
}

EMIT(local_tee)
{
    local_write(g, op->a, value_pop(g));
    push_local(g, op->a);
}

/* ---- globals ---- */

/* A global that never changes and whose value the module tells. */
static bool is_known(const struct wasm_global *global)
{
    return !global->mutable_ && global->import == WASM_NO_INDEX && global->value.kind == WASM_CONST_BITS &&
           global->type != WASM_V128;
}

static const uint16_t gets[TYPE_COUNT] = {STENCIL_load_32u_rc, STENCIL_load_64_rc, STENCIL_load_f32_rc,
                                          STENCIL_load_f64_rc, STENCIL_load_v_rc};
static const uint16_t sets[TYPE_COUNT] = {STENCIL_store_32_rc, STENCIL_store_64_rc, STENCIL_store_f32_rc,
                                          STENCIL_store_f64_rc, STENCIL_store_v_rc};

/* The address of what is not at a constant distance that fits. */
void put_address(struct gen *g, struct place place, reg to)
{
    if (place.off == (int32_t)place.off) {
        if (place.kind == PLACE_THERE)
            PUT(g, load_64_rc, .a = to, .imm = (int32_t)place.off);
        else
            PUT(g, context_plus, .a = to, .imm = (int32_t)place.off);
        return;
    }
    PUT(g, const_i64, .a = to, .imm64 = (uint64_t)place.off);
    PUT(g, context_plus_r, .a = to);
    if (place.kind == PLACE_THERE)
        load_at(g, T_I64, to, to, 0);
}

bool place_is_near(struct place place)
{
    return place.kind == PLACE_HERE && place.off == (int32_t)place.off;
}

EMIT(global_get)
{
    const struct wasm_global *global = &g->unit->module->globals[op->a];
    struct place place = g->unit->globals[op->a];
    enum type type = value_type(global->type);
    if (is_known(global)) {
        push_const(g, type, type == T_I32 || type == T_F32 ? (uint32_t)global->value.v[0] : global->value.v[0]);
        return;
    }
    reg to = result_fresh(g, is_vec(type), NULL, NULL);
    if (place_is_near(place)) {
        put_regs(g, gets[type], AT(a, to) | AT(x, to), (int32_t)place.off);
    } else {
        reg address = REG_SCRATCH;
        put_address(g, place, address);
        load_at(g, type, to, address, 0);
    }
    push_reg(g, type, to);
}

EMIT(global_set)
{
    struct place place = g->unit->globals[op->a];
    struct value value = value_pop(g);
    reg from = value_reg(g, &value);
    if (place_is_near(place)) {
        put_regs(g, sets[value.type], AT(a, from) | AT(x, from), (int32_t)place.off);
    } else {
        put_address(g, place, REG_SCRATCH);
        store_at(g, value.type, from, REG_SCRATCH, 0);
    }
    value_free(g, &value);
}
