/* A function as a piece (codegen/piece.h): what the linker joins with pieces of the other generator. */
#include "codegen/fast/gen.h"

#define SYMBOLS_MAX ((size_t)1 << 26)

struct parts {
    VEC(struct piece_relocation) relocations;
    VEC(struct piece_symbol) symbols;
    VEC(struct code_site) sites;
    VEC(struct code_pad) pads;
};

static struct piece_symbol symbol_named(const struct gen *g, uint32_t number)
{
    uint32_t unit = 0;
    if (number >= g->unit_first[g->unit_count])
        return (struct piece_symbol){CODE_ROUTINE, 0, number - g->unit_first[g->unit_count]};
    while (number >= g->unit_first[unit + 1])
        unit++;
    uint32_t func = number - g->unit_first[unit];
    bool host = g->units[unit].funcs[func].link == FUNC_HOST;
    return (struct piece_symbol){host ? CODE_THUNK : CODE_FUNC, unit, func};
}

static bool add_relocations(const struct gen *g, struct parts *parts)
{
    for (size_t i = 0; i < g->relocations.count; i++) {
        const struct fast_relocation *from = &g->relocations.items[i];
        struct piece_relocation *to = VEC_PUSH(&parts->relocations, SYMBOLS_MAX);
        int32_t number, target = PIECE_CONSTANTS;
        if (!to)
            return false;
        memcpy(&number, g->code + from->at, sizeof number);
        if (from->symbol != symbol_of_constants(g)) {
            target = (int32_t)parts->symbols.count;
            struct piece_symbol *symbol = VEC_PUSH(&parts->symbols, SYMBOLS_MAX);
            if (!symbol)
                return false;
            *symbol = symbol_named(g, from->symbol);
        }
        *to = (struct piece_relocation){from->at - g->start, 0, target, number - 4};
    }
    return true;
}

static bool add_sites(const struct gen *g, const struct code_func *func, uint32_t body, struct parts *parts)
{
    const uint8_t *at = g->sites.data + func->sites_first;
    for (struct sites sites = {at, at + func->sites_size, func->code_off, 0}; sites_next(&sites);) {
        struct code_site *to = VEC_PUSH(&parts->sites, SYMBOLS_MAX);
        if (!to)
            return false;
        *to = (struct code_site){sites.code_off - g->start, sites.wasm_off ? sites.wasm_off - body : PIECE_NOWHERE};
    }
    return true;
}

static bool add_pads(const struct gen *g, struct parts *parts)
{
    for (size_t i = 0; i < g->pads.count; i++) {
        struct code_pad *to = VEC_PUSH(&parts->pads, SYMBOLS_MAX);
        if (!to)
            return false;
        *to = (struct code_pad){g->pads.items[i].return_off - g->start, g->pads.items[i].pad_off - g->start};
    }
    return true;
}

static bool append(struct buf *piece, const void *bytes, size_t size)
{
    return size == 0 || (buf_append(piece, bytes, size) && buf_align(piece, 8));
}

static bool write_piece(const struct gen *g, const struct code_func *func, const struct parts *parts, struct buf *piece)
{
    struct piece_head head = {
        .code_size = func->code_size,
        .frame_size = func->frame_size,
        .relocation_count = (uint32_t)parts->relocations.count,
        .symbol_count = (uint32_t)parts->symbols.count,
        .site_count = (uint32_t)parts->sites.count,
        .pad_count = (uint32_t)parts->pads.count,
        .code_align = 16,
        .constants_size = (uint32_t)g->constants.size,
        .constants_align = 16,
    };
    size_t first = piece->size;
    bool done = append(piece, &head, sizeof head) &&
                append(piece, parts->relocations.items, parts->relocations.count * sizeof *parts->relocations.items) &&
                append(piece, parts->symbols.items, parts->symbols.count * sizeof *parts->symbols.items) &&
                append(piece, parts->sites.items, parts->sites.count * sizeof *parts->sites.items) &&
                append(piece, parts->pads.items, parts->pads.count * sizeof *parts->pads.items) &&
                append(piece, g->code + g->start, func->code_size) &&
                append(piece, g->constants.data, g->constants.size);
    if (done)
        ((struct piece_head *)(piece->data + first))->size = (uint32_t)(piece->size - first);
    return done;
}

bool fast_piece(const struct gen *g, struct buf *ret_piece, struct err *err)
{
    const struct code_func *func = &g->funcs.items[0];
    uint32_t body = func->kind == CODE_FUNC ? g->units[func->unit].module->funcs[func->func].body : 0;
    struct parts parts = {0};
    bool done = add_relocations(g, &parts) && add_sites(g, func, body, &parts) && add_pads(g, &parts) &&
                write_piece(g, func, &parts, ret_piece);
    VEC_FREE(&parts.relocations);
    VEC_FREE(&parts.symbols);
    VEC_FREE(&parts.sites);
    VEC_FREE(&parts.pads);
    return done || err_memory(err);
}
