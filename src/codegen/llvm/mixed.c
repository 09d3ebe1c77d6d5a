/* See mixed.h. */
#include "codegen/llvm/mixed.h"

#include "base/alloc.h"
#include "codegen/fast/gen.h"

struct mixed {
    struct gen gen;
    uint32_t *unit_first; /* codegen/fast/gen.h */
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

static bool count_symbols(struct mixed *mixed, const struct unit *units, uint32_t count)
{
    mixed->unit_first = mem_alloc((size_t)count + 1, sizeof *mixed->unit_first);
    for (uint32_t i = 0; mixed->unit_first && i < count; i++)
        mixed->unit_first[i + 1] = mixed->unit_first[i] + units[i].module->func_count;
    return mixed->unit_first != NULL;
}

void mixed_close(struct mixed *mixed)
{
    if (!mixed)
        return;
    fast_free(&mixed->gen);
    mem_free(mixed->unit_first);
    mem_free(mixed);
}

struct mixed *mixed_open(const struct unit *units, uint32_t count, struct err *err)
{
    struct mixed *mixed = mem_alloc(1, sizeof *mixed);
    if (mixed && count_symbols(mixed, units, count) && fast_open(&mixed->gen, units, count, mixed->unit_first, err))
        return mixed;
    mixed_close(mixed);
    err_memory(err);
    return NULL;
}

static bool make(struct gen *g, const struct piece_symbol *symbol, struct wasm_body_scratch *scratch, struct err *err)
{
    const struct unit *unit = &g->units[symbol->unit];
    switch (symbol->kind) {
    case CODE_FUNC: return fast_body(g, unit, symbol->func, scratch, err);
    case CODE_THUNK: return fast_thunk(g, unit, symbol->func, err);
    case CODE_INIT: return fast_init(g, unit, scratch, err);
    default: return fast_routine(g, (enum routine)symbol->func, err);
    }
}

bool mixed_make(struct mixed *mixed, const struct piece_symbol *symbol, struct wasm_body_scratch *scratch,
                struct buf *ret_piece, struct err *err)
{
    mixed->gen.suspicious = true;
    fast_reset(&mixed->gen);
    return make(&mixed->gen, symbol, scratch, err) && fast_piece(&mixed->gen, ret_piece, err);
}
