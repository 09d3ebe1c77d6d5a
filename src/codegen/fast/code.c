/* Machine code as it grows: stencils are copied, their holes filled, and branches bound to labels. */
#include "codegen/fast/gen.h"

#include <sys/mman.h>

#define BLOCK_BYTES (4u << 20)
#define HUGE_BYTES ((uintptr_t)2 << 20)
#define CODE_MAX (CODE_REACH < 1u << 30 ? CODE_REACH : 1u << 30)
#define ROWS_MAX ((size_t)1 << 26)

/* Pages of two megabytes, where they can be had: fewer faults, and every byte is written anyway. */
static void want_huge_pages(void *memory, size_t size)
{
    uintptr_t start = ((uintptr_t)memory + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1);
    uintptr_t end = ((uintptr_t)memory + size) & ~(HUGE_BYTES - 1);
    if (start < end)
        madvise((void *)start, end - start, MADV_HUGEPAGE);
}

/* Another block, to which the code of the run at hand moves. */
bool code_grow(struct gen *g, uint32_t size)
{
    uint64_t bytes = g->block_bytes ? g->block_bytes : BLOCK_BYTES,
             wanted = 2 * (uint64_t)g->size + size + CODE_SLACK + sizeof(struct code_block);
    while (bytes < wanted)
        bytes *= 2;
    struct code_block *block = bytes <= CODE_MAX ? mem_resize(NULL, bytes, 1) : NULL;
    if (!block) {
        g->failed = true;
        g->too_large |= bytes > CODE_MAX;
        g->size = 0; /* what follows writes over what was there, and is thrown away */
        if (!g->blocks)
            return false;
        g->code = (uint8_t *)(g->blocks + 1);
        g->capacity = g->blocks->size;
        return g->capacity >= size + CODE_SLACK;
    }
    if (bytes >= BLOCK_BYTES)
        want_huge_pages(block, bytes);
    *block = (struct code_block){g->blocks, (uint32_t)(bytes - sizeof *block), 0};
    if (g->size)
        memcpy(block + 1, g->code, g->size);
    g->blocks = block;
    g->code = (uint8_t *)(block + 1);
    g->capacity = block->size;
    return true;
}

void code_begin_run(struct gen *g)
{
    uint32_t used = g->code ? (g->size + 15) & ~15u : 0;
    g->code += used;
    g->capacity -= used < g->capacity ? used : g->capacity;
    g->size = 0;
}

void code_blocks_free(struct code_block *block)
{
    while (block) {
        struct code_block *next = block->next;
        mem_free(block);
        block = next;
    }
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
        write_32(g, at, branch_word(at, label->at - 1));
        return;
    }
    write_32(g, at, label->fixups);
    label->fixups = at;
}

static void fill(struct gen *g, const struct stencil_field *field, uint32_t start, const struct holes *holes)
{
    uint8_t *code = g->code + start;
    uint32_t at = start + field->at;
    switch (field->hole) {
    case HOLE_REG: fill_register(code, field, (&holes->a)[field->arg]); break;
    case HOLE_TAKEN: code_target(g, at, holes->taken); break;
    case HOLE_TRAP: add_trap(g, at, field->arg); break;
    case HOLE_POOL: add_relocation(g, at, symbol_of_routine(g, ROUTINE_stencil_pool)); break;
    case HOLE_CALLEE: add_relocation(g, at, holes->callee); break;
    default: fill_number(code, field, field->arg == 3 ? holes->imm64 : (uint64_t)(&holes->imm)[field->arg]); break;
    }
}

static __attribute__((noinline)) void put_slowly(struct gen *g, const struct stencil_form *form,
                                                 const struct holes *holes)
{
    uint32_t start = g->size;
    memcpy(g->code + start, stencil_code_of(form), form->size);
    const struct stencil_field *field = stencil_fields_of(form);
    for (unsigned i = 0, count = stencil_field_count(form); i < count; i++)
        fill(g, &field[i], start, holes);
    g->size = start + form->size;
}

static inline uint64_t spread(const struct stencil_form *form, unsigned i, const uint8_t *operands)
{
    return stencil_spread[(uint32_t)form->spread[i] + operands[form->arg[i]]];
}

/* The bytes; distances at the end are left. Without branches: where the number is none of four bytes, those are written
 * behind everything, and do no harm. */
static inline void put_bytes(struct gen *g, const struct stencil_form *form, uint64_t regs, int32_t imm)
{
    const union {
        uint64_t word;
        uint8_t of[8];
    } operands = {regs};
    uint8_t *to = g->code + g->size;
    uint64_t word =
        form->words[0] | spread(form, 0, operands.of) | spread(form, 1, operands.of) | spread(form, 2, operands.of);
    word |= ((uint64_t)(uint32_t)imm & form->byte_mask) << form->byte_shift;
    memcpy(to, &word, sizeof word);
    memcpy(to + sizeof word, &form->words[1], sizeof word);
    memcpy(to + form->imm_at, &imm, sizeof imm);
    g->size += form->size;
}

static inline bool is_near(int32_t value)
{
    return value == (int8_t)value;
}

static inline struct holes unpacked(uint64_t regs, int32_t imm)
{
    return (struct holes){.a = (reg)regs,
                          .b = (reg)(regs >> 8),
                          .c = (reg)(regs >> 16),
                          .d = (reg)(regs >> 24),
                          .x = (reg)(regs >> 32),
                          .y = (reg)(regs >> 40),
                          .z = (reg)(regs >> 48),
                          .imm = imm};
}

static __attribute__((noinline)) void put_regs_slowly(struct gen *g, const struct stencil_form *form, uint64_t regs,
                                                      int32_t imm)
{
    struct holes holes = unpacked(regs, imm);
    put_slowly(g, form, &holes);
}

void put_regs(struct gen *g, enum stencil_name name, uint64_t regs, int32_t imm)
{
    const struct stencil_form *form = &stencils[name].far + is_near(imm);
    if (form->kind != FORM_PLAIN)
        put_regs_slowly(g, form, regs, imm);
    else
        put_bytes(g, form, regs, imm);
}

void put_branch(struct gen *g, enum stencil_name name, uint64_t regs, int32_t imm, struct label *taken)
{
    const struct stencil_form *form = &stencils[name].far + is_near(imm);
    if (form->kind == FORM_TAKEN) {
        put_bytes(g, form, regs, imm);
        code_target(g, g->size - 4, taken);
        return;
    }
    struct holes holes = unpacked(regs, imm);
    holes.taken = taken;
    put_slowly(g, form, &holes);
}

static inline uint64_t packed(const struct holes *holes)
{
    return AT(a, holes->a) | AT(b, holes->b) | AT(c, holes->c) | AT(d, holes->d) | AT(x, holes->x) | AT(y, holes->y) |
           AT(z, holes->z);
}

void put(struct gen *g, enum stencil_name name, const struct holes *holes)
{
    const struct stencil_form *form = &stencils[name].far + (is_near(holes->imm) & is_near(holes->imm2));
    if (form->kind == FORM_ANY) {
        put_slowly(g, form, holes);
        return;
    }
    const int32_t numbers[] = {holes->imm, holes->imm2, holes->shift, 0};
    put_bytes(g, form, packed(holes), numbers[form->imm]);
    switch ((enum form_kind)form->kind) {
    case FORM_ANY:
    case FORM_PLAIN: break;
    case FORM_TAKEN: code_target(g, g->size - 4, holes->taken); break;
    case FORM_CALLEE: add_relocation(g, g->size - 4, holes->callee); break;
    case FORM_IMM2: memcpy(g->code + g->size - 4, &holes->imm2, 4); break;
    case FORM_IMM64: memcpy(g->code + g->size - 8, &holes->imm64, 8); break;
    }
}

void put_constant(struct gen *g, enum stencil_name name, reg to, uint32_t at)
{
    const struct stencil_form *form = &stencils[name].near;
    struct holes holes = {.x = to, .imm = (int32_t)at, .callee = symbol_of_constants(g)};
    uint32_t start = g->size;
    put(g, name, &holes);
    fill_offset(g->code + start, &stencil_fields_of(form)[stencil_field_count(form) - 1], at);
}

void label_bind(struct gen *g, struct label *label)
{
    for (uint32_t at = label->fixups; at;) {
        uint32_t next = read_32(g, at);
        write_32(g, at, branch_word(at, g->size));
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
    fill(g, field, start, &(struct holes){.imm = imm});
}

static __attribute__((noinline)) bool sites_grow(struct gen *g)
{
    if (!buf_extend(&g->sites, SITE_BYTES_MAX)) {
        g->failed = true;
        return false;
    }
    g->sites.size -= SITE_BYTES_MAX;
    return true;
}

void put_site(struct gen *g)
{
    if (g->site_off == g->size)
        return; /* no code belongs to it */
    if (g->sites.capacity - g->sites.size < SITE_BYTES_MAX && !sites_grow(g))
        return;
    uint8_t *at = g->sites.data + g->sites.size;
    g->sites.size += (size_t)(sites_put(&g->site, at, g->site_off, g->site_wasm) - at);
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
        write_32(g, stub->fixup, branch_word(stub->fixup, at));
        if (same)
            continue;
        code_room(g, CODE_SLACK);
        add_site(g, stub->wasm_off);
        put(g, STENCIL_trap, &(struct holes){.imm = (int32_t)stub->trap});
    }
    g->traps.count = 0;
}
