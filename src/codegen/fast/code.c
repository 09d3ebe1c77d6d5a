/* Machine code as it grows: stencils are copied, their holes filled, and branches bound to labels. */
#include "codegen/fast/gen.h"

#define CODE_MAX (1u << 30)
#define CODE_FIRST (1u << 16)
#define ROWS_MAX ((size_t)1 << 26)

bool code_grow(struct gen *g, uint32_t size)
{
    uint64_t capacity = g->capacity ? g->capacity * 2ull : CODE_FIRST;
    while (capacity - g->size < size + CODE_SLACK)
        capacity *= 2;
    uint8_t *code = capacity <= CODE_MAX ? mem_resize(g->code, capacity, 1) : NULL;
    if (!code) {
        g->failed = true;
        g->size = 0; /* what follows writes over what was there, and is thrown away */
        return g->capacity >= size + CODE_SLACK;
    }
    g->code = code;
    g->capacity = (uint32_t)capacity;
    return true;
}

static inline void write_32(struct gen *g, uint32_t at, uint32_t value)
{
    memcpy(g->code + at, &value, sizeof value);
}

static inline uint32_t read_32(const struct gen *g, uint32_t at)
{
    uint32_t value;
    memcpy(&value, g->code + at, sizeof value);
    return value;
}

static void add_relocation(struct gen *g, uint32_t at, uint32_t symbol)
{
    struct fast_relocation *row = VEC_PUSH(&g->relocations, ROWS_MAX);
    if (row)
        *row = (struct fast_relocation){at, symbol};
    else
        g->failed = true;
}

static void add_trap(struct gen *g, uint32_t at, uint32_t trap)
{
    struct trap_stub *row = VEC_PUSH(&g->traps, ROWS_MAX);
    if (row)
        *row = (struct trap_stub){at, g->op ? g->op->offset : 0, trap};
    else
        g->failed = true;
}

/* A label that is bound already is behind; others wait in a chain through their holes. */
void code_target(struct gen *g, uint32_t at, struct label *label)
{
    if (label->at) {
        write_32(g, at, label->at - 1 - (at + 4));
        return;
    }
    write_32(g, at, label->fixups);
    label->fixups = at;
}

static void fill(struct gen *g, const struct stencil_field *field, uint32_t start, const struct holes *holes)
{
    uint8_t *code = g->code + start;
    uint32_t at = start + field->at;
    reg r;
    switch (field->hole) {
    case HOLE_REG:
        r = (&holes->a)[field->arg];
        code[field->at] |= (uint8_t)((r & 7) << field->shift);
        code[field->rex] |= (uint8_t)((r >> 3 & 1) << field->rex_shift);
        break;
    case HOLE_IMM8: code[field->at] = (uint8_t)(&holes->imm)[field->arg]; break;
    case HOLE_IMM32: write_32(g, at, (uint32_t)(&holes->imm)[field->arg]); break;
    case HOLE_IMM64: memcpy(code + field->at, &holes->imm64, 8); break;
    case HOLE_TAKEN: code_target(g, at, holes->taken); break;
    case HOLE_TRAP: add_trap(g, at, field->arg); break;
    case HOLE_POOL: add_relocation(g, at, symbol_of_routine(g, ROUTINE_stencil_pool)); break;
    case HOLE_CALLEE: add_relocation(g, at, holes->callee); break;
    }
}

static inline bool is_near(int32_t value)
{
    return value == (int8_t)value;
}

void put(struct gen *g, enum stencil_name name, const struct holes *holes)
{
    const struct stencil *stencil = &stencils[name];
    const struct stencil_form *form = is_near(holes->imm) && is_near(holes->imm2) ? &stencil->near : &stencil->far;
    const uint8_t *from = stencil_code + 8u * form->code;
    uint32_t start = g->size;
    uint8_t *to = g->code + start;
    memcpy(to, from, 16);
    if (form->quick) {
        uint64_t word;
        memcpy(&word, from, sizeof word);
        for (unsigned i = 0; i < QUICK_REGS; i++) {
            uint64_t r = (&holes->a)[form->regs[i].arg];
            word |= (r & 7) << form->regs[i].shift | (r >> 3 & 1) << form->regs[i].high_shift;
        }
        memcpy(to, &word, sizeof word);
        memcpy(to + form->imm_at, &(&holes->imm)[form->imm], sizeof holes->imm);
        g->size = start + form->size;
        return;
    }
    if (form->size > 16)
        memcpy(g->code + start + 16, from + 16, form->size - 16u);
    const struct stencil_field *field = stencil_fields + form->fields;
    for (unsigned i = 0; i < form->field_count; i++)
        fill(g, &field[i], start, holes);
    g->size = start + form->size;
}

void label_bind(struct gen *g, struct label *label)
{
    for (uint32_t at = label->fixups; at;) {
        uint32_t next = read_32(g, at);
        write_32(g, at, g->size - (at + 4));
        at = next;
    }
    label->fixups = 0;
}

void label_trap(struct gen *g, struct label *label, enum trap trap)
{
    for (uint32_t at = label->fixups; at;) {
        uint32_t next = read_32(g, at);
        add_trap(g, at, trap);
        at = next;
    }
    label->fixups = 0;
}

void code_fill(struct gen *g, const struct stencil_field *field, uint32_t start, int32_t imm)
{
    write_32(g, start + field->at, (uint32_t)imm);
}

void put_site(struct gen *g)
{
    if (g->site_off == g->size)
        return; /* no code belongs to it */
    uint8_t *room = buf_extend(&g->sites, SITE_BYTES_MAX);
    if (!room) {
        g->failed = true;
        return;
    }
    g->sites.size -= (size_t)(room + SITE_BYTES_MAX - sites_put(&g->site, room, g->site_off, g->site_wasm));
}

static void add_site(struct gen *g, uint32_t wasm_off)
{
    if (g->site_wasm == wasm_off)
        return;
    put_site(g);
    g->site_off = g->size;
    g->site_wasm = wasm_off;
}

void mark_site(struct gen *g)
{
    add_site(g, g->op->offset);
}

void put_trap(struct gen *g, enum trap trap)
{
    mark_site(g);
    PUT(g, trap, .imm = (int32_t)trap);
}

/* Out of line, one per place, so that its address tells which instruction trapped. */
void put_traps(struct gen *g)
{
    for (size_t i = 0; i < g->traps.count && !g->failed; i++) {
        const struct trap_stub *stub = &g->traps.items[i];
        const struct trap_stub *before = i ? stub - 1 : NULL;
        bool same = before && before->trap == stub->trap && before->wasm_off == stub->wasm_off;
        uint32_t at = same ? g->size - stencils[STENCIL_trap].near.size : g->size;
        write_32(g, stub->fixup, at - (stub->fixup + 4));
        if (same)
            continue;
        code_room(g, CODE_SLACK);
        add_site(g, stub->wasm_off);
        put(g, STENCIL_trap, &(struct holes){.imm = (int32_t)stub->trap});
    }
    g->traps.count = 0;
}
