/* See mixed.h. */
#include "codegen/llvm/mixed.h"

#include "base/alloc.h"
#include "codegen/fast/gen.h"

struct mixed {
    struct gen gen;
};

/* Of neighbours in number, and of neighbours in seed, one says nothing about the other. */
static uint64_t stir(uint64_t bits)
{
    bits = (bits ^ bits >> 33) * 0xff51afd7ed558ccdu;
    bits = (bits ^ bits >> 33) * 0xc4ceb9fe1a85ec53u;
    return bits ^ bits >> 33;
}

bool mixed_chooses(uint32_t seed, const struct piece_symbol *symbol)
{
    if (symbol->kind == CODE_ROUTINE && symbol->func == ROUTINE_stencil_pool)
        return true;
    uint64_t name = (uint64_t)symbol->kind << 60 ^ (uint64_t)symbol->unit << 32 ^ symbol->func;
    return seed && (stir(stir(seed) ^ name) & 1);
}

struct mixed *mixed_open(const struct unit *units, struct err *err)
{
    struct mixed *mixed = mem_alloc(1, sizeof *mixed);
    if (mixed)
        mixed->gen.units = units;
    else
        err_memory(err);
    return mixed;
}

void mixed_close(struct mixed *mixed)
{
    if (!mixed)
        return;
    fast_free(&mixed->gen);
    mem_free(mixed);
}

bool mixed_make(struct mixed *mixed, const struct piece_symbol *symbol, struct wasm_body_scratch *scratch,
                struct buf *ret_piece, struct err *err)
{
    struct gen *g = &mixed->gen;
    const struct unit *unit = &g->units[symbol->unit];
    switch (symbol->kind) {
    case CODE_FUNC: return fast_body(g, unit, symbol->func, scratch, ret_piece, err);
    case CODE_THUNK: return fast_thunk(g, unit, symbol->func, ret_piece, err);
    case CODE_INIT: return fast_init(g, unit, scratch, ret_piece, err);
    default:
        return symbol->func == ROUTINE_stencil_pool ? fast_pool(g, ret_piece, err)
                                                    : fast_routine(g, (enum helper)symbol->func, ret_piece, err);
    }
}
