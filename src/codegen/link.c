/* See link.h. */
#include "codegen/link.h"

#include "base/alloc.h"
#include "base/map.h"
#include "codegen/targets.h"

#include <stdlib.h>

#define PAGE 4096u
#define ENTRY_ALIGN 32u /* of windows of decoded instructions: short functions then fare alike wherever they stand */
#define HASH_BYTES 8u
#define FUNCS_MAX ((size_t)1 << 22)
#define SITES_MAX ((size_t)1 << 28)
#define PADS_MAX ((size_t)1 << 26)
#define FILLER 0xcc /* int3 */

struct placed {
    uint64_t code, constants;
};

struct linker {
    const struct link_piece *pieces;
    size_t count;
    struct placed *placed; /* per piece: offsets in the blob */
    const struct unit *units;
    uint32_t unit_count;
    struct map symbols; /* struct piece_symbol -> offset in the blob */
    uint32_t library[ROUTINE_COUNT]; /* offsets of the library routines; 0: not placed */
    struct code *code;
    struct err *err;
};

static bool bad(struct linker *linker, const char *what)
{
    return err_set(linker->err, ERR_SYSTEM, "compiled functions cannot be linked: %s", what);
}

/* C library routines that LLVM may call though it is told not to. The guest convention's callers expect the C
 * convention here; only registers that it lets a callee use are touched.
 *
 *     memcpy:  mov rax, rdi; mov rcx, rdx; rep movsb; ret
 *     memset:  mov r8, rdi; mov eax, esi; mov rcx, rdx; rep stosb; mov rax, r8; ret
 *     memmove: mov rax, rdi; mov rcx, rdx; mov r8, rdi; sub r8, rsi; cmp r8, rdx; jb 1f; rep movsb; ret
 *              1: sub rcx, 1; jb 2f; mov dl, [rsi + rcx]; mov [rdi + rcx], dl; jmp 1b; 2: ret
 *
 * And where indirect calls end that lead nowhere, in a frame of their own: push rbp; mov rbp, rsp; ud1l NUMBER(%eax),
 * %eax */
#define TRAP_ROUTINE(number)                                                                                           \
    {                                                                                                                  \
        9,                                                                                                             \
        {                                                                                                              \
            0x55, 0x48, 0x89, 0xe5, 0x67, 0x0f, 0xb9, 0x40, number                                                     \
        }                                                                                                              \
    }
static const struct {
    uint8_t size, bytes[40];
} library[ROUTINE_COUNT] = {
    [ROUTINE_memcpy] = {9, {0x48, 0x89, 0xf8, 0x48, 0x89, 0xd1, 0xf3, 0xa4, 0xc3}},
    [ROUTINE_memset] = {14, {0x49, 0x89, 0xf8, 0x89, 0xf0, 0x48, 0x89, 0xd1, 0xf3, 0xaa, 0x4c, 0x89, 0xc0, 0xc3}},
    [ROUTINE_memmove] = {35, {0x48, 0x89, 0xf8, 0x48, 0x89, 0xd1, 0x49, 0x89, 0xf8, 0x49, 0x29, 0xf0,
                              0x49, 0x39, 0xd0, 0x72, 0x03, 0xf3, 0xa4, 0xc3, 0x48, 0x83, 0xe9, 0x01,
                              0x72, 0x08, 0x8a, 0x14, 0x0e, 0x88, 0x14, 0x0f, 0xeb, 0xf2, 0xc3}},
    [ROUTINE_trap_element] = TRAP_ROUTINE(TRAP_UNDEFINED_ELEMENT),
    [ROUTINE_trap_null] = TRAP_ROUTINE(TRAP_UNINITIALIZED_ELEMENT),
    [ROUTINE_trap_type] = TRAP_ROUTINE(TRAP_INDIRECT_TYPE),
};

/* Append bytes at the next multiple of `alignment`, behind `before` bytes of room. */
static bool append(struct linker *linker, const uint8_t *bytes, uint64_t size, uint64_t alignment, uint64_t before,
                   uint8_t filler, uint64_t *ret_off)
{
    struct buf *text = &linker->code->text;
    uint64_t start = (text->size + before + alignment - 1) & ~(alignment - 1), gap = start - text->size;
    uint8_t *room = buf_extend(text, gap + size);
    if (!room)
        return err_memory(linker->err);
    memset(room, filler, gap);
    memcpy(room + gap, bytes, size);
    *ret_off = start;
    return text->size <= INT32_MAX || err_set(linker->err, ERR_LIMIT, "the code is larger than 2 GiB");
}

/* Of a function that is none of the units': false. */
static bool is_known(const struct linker *linker, const struct piece_symbol *symbol)
{
    if (symbol->kind == CODE_ROUTINE)
        return symbol->unit == 0 && symbol->func < ROUTINE_COUNT;
    if (symbol->kind > CODE_INIT || symbol->unit >= linker->unit_count)
        return false;
    return symbol->kind == CODE_INIT || symbol->func < linker->units[symbol->unit].module->func_count;
}

static uint64_t hash_of(const struct linker *linker, const struct piece_symbol *symbol)
{
    if (symbol->kind == CODE_ROUTINE || symbol->kind == CODE_INIT)
        return 0;
    const struct wasm_module *module = linker->units[symbol->unit].module;
    return module->types[module->funcs[symbol->func].type].hash;
}

static bool add_func(struct linker *linker, const struct piece_symbol *symbol, uint64_t off, uint32_t size,
                     uint32_t frame_size)
{
    struct code_func *func = VEC_PUSH(&linker->code->funcs, FUNCS_MAX);
    if (!func)
        return err_memory(linker->err);
    uint64_t hash = hash_of(linker, symbol);
    memcpy(linker->code->text.data + off - HASH_BYTES, &hash, sizeof hash);
    *func = (struct code_func){.code_off = (uint32_t)off,
                               .code_size = size,
                               .unit = symbol->unit,
                               .func = symbol->kind == CODE_ROUTINE ? 0 : symbol->func,
                               .kind = symbol->kind,
                               .frame_size = frame_size};
    return true;
}

static struct str key_of(const struct piece_symbol *symbol)
{
    return (struct str){(const char *)symbol, sizeof *symbol};
}

static bool place_code(struct linker *linker, size_t index)
{
    const struct link_piece *from = &linker->pieces[index];
    const struct piece_head *head = from->piece.head;
    uint64_t *at = &linker->placed[index].code;
    if (!is_known(linker, &from->symbol))
        return bad(linker, "one belongs to no unit");
    uint32_t align = head->code_align > ENTRY_ALIGN ? head->code_align : ENTRY_ALIGN;
    return append(linker, from->piece.code, head->code_size, align, HASH_BYTES, FILLER, at) &&
           (map_put(&linker->symbols, key_of(&from->symbol), (uint32_t)*at) || err_memory(linker->err)) &&
           add_func(linker, &from->symbol, *at, head->code_size, head->frame_size);
}

static bool place_library(struct linker *linker, uint32_t routine)
{
    const struct piece_symbol symbol = {CODE_ROUTINE, 0, routine};
    uint64_t off;
    if (linker->library[routine])
        return true;
    if (!library[routine].size)
        return bad(linker, "a routine is missing");
    if (!append(linker, library[routine].bytes, library[routine].size, ENTRY_ALIGN, HASH_BYTES, FILLER, &off))
        return false;
    linker->library[routine] = (uint32_t)off;
    return add_func(linker, &symbol, off, library[routine].size, 0);
}

/* Targets get theirs among the constants, when all code has one. */
static bool find_targets(struct linker *linker, const struct piece_symbol *symbol)
{
    uint32_t table, type;
    if (symbol->unit >= linker->unit_count || !targets_of_symbol(&linker->units[symbol->unit], symbol, &table, &type))
        return bad(linker, "one refers to targets that are unknown");
    return place_library(linker, ROUTINE_trap_element) && place_library(linker, ROUTINE_trap_null) &&
           place_library(linker, ROUTINE_trap_type);
}

/* What a piece refers to has a place, or gets one. */
static bool resolve(struct linker *linker, size_t index)
{
    const struct piece *piece = &linker->pieces[index].piece;
    for (uint32_t i = 0; i < piece->head->symbol_count; i++) {
        const struct piece_symbol *symbol = &piece->symbols[i];
        if (map_get(&linker->symbols, key_of(symbol), NULL))
            continue;
        if (symbol->kind == PIECE_TARGETS) {
            if (!find_targets(linker, symbol))
                return false;
            continue;
        }
        if (!is_known(linker, symbol) || symbol->kind != CODE_ROUTINE)
            return bad(linker, "one refers to another that is missing");
        if (!place_library(linker, symbol->func))
            return false;
    }
    return true;
}

static bool end_text(struct linker *linker)
{
    struct buf *text = &linker->code->text;
    uint64_t size = (text->size + PAGE - 1) & ~(uint64_t)(PAGE - 1), gap = size - text->size;
    uint8_t *room = buf_extend(text, gap);
    if (!room)
        return err_memory(linker->err);
    memset(room, FILLER, gap);
    linker->code->exec_size = size;
    return true;
}

static bool place_constants(struct linker *linker, size_t index)
{
    const struct piece *piece = &linker->pieces[index].piece;
    return piece->head->constants_size == 0 ||
           append(linker, piece->constants, piece->head->constants_size, piece->head->constants_align, 0, 0,
                  &linker->placed[index].constants);
}

static uint32_t address_of_target(const struct linker *linker, const struct unit *unit, int64_t target)
{
    uint32_t found = 0;
    if (target < 0)
        return linker->library[target == TARGET_NULL ? ROUTINE_trap_null : ROUTINE_trap_type];
    const struct func_place *place = &unit->funcs[target];
    const struct piece_symbol symbol = place->link == FUNC_HOST
                                           ? (struct piece_symbol){CODE_THUNK, unit->index, (uint32_t)target}
                                           : (struct piece_symbol){CODE_FUNC, place->unit, place->func};
    if (!map_get(&linker->symbols, key_of(&symbol), &found))
        found = linker->library[ROUTINE_trap_type];
    return found;
}

/* A word for each entry, and one for what lies beyond. */
static bool write_targets(struct linker *linker, const struct piece_symbol *symbol, const int64_t *targets,
                          uint64_t count)
{
    int32_t *words = mem_alloc(count + 1, sizeof *words);
    struct buf *text = &linker->code->text;
    uint64_t at = (text->size + sizeof *words - 1) & ~(sizeof *words - 1), off;
    if (!words)
        return err_memory(linker->err);
    for (uint64_t i = 0; i < count; i++)
        words[i] = (int32_t)(address_of_target(linker, &linker->units[symbol->unit], targets[i]) - at);
    words[count] = (int32_t)(linker->library[ROUTINE_trap_element] - at);
    bool done = append(linker, (const uint8_t *)words, (count + 1) * sizeof *words, sizeof *words, 0, 0, &off) &&
                (map_put(&linker->symbols, key_of(symbol), (uint32_t)off) || err_memory(linker->err));
    mem_free(words);
    return done;
}

static bool place_targets_of(struct linker *linker, const struct piece_symbol *symbol)
{
    const struct unit *unit = &linker->units[symbol->unit];
    uint32_t table = 0, type = 0;
    if (!targets_of_symbol(unit, symbol, &table, &type))
        return bad(linker, "one refers to targets that are unknown");
    uint64_t count = unit->module->tables[table].limits.min;
    int64_t *targets = mem_alloc(count + 1, sizeof *targets);
    if (!targets)
        return err_memory(linker->err);
    targets_list(unit, table, type, targets);
    bool done = write_targets(linker, symbol, targets, count);
    mem_free(targets);
    return done;
}

static bool place_targets(struct linker *linker, size_t index)
{
    const struct piece *piece = &linker->pieces[index].piece;
    for (uint32_t i = 0; i < piece->head->symbol_count; i++) {
        const struct piece_symbol *symbol = &piece->symbols[i];
        if (symbol->kind == PIECE_TARGETS && !map_get(&linker->symbols, key_of(symbol), NULL) &&
            !place_targets_of(linker, symbol))
            return false;
    }
    return true;
}

static uint64_t address_of(const struct linker *linker, size_t index, int32_t target)
{
    uint32_t found = 0;
    if (target == PIECE_CODE)
        return linker->placed[index].code;
    if (target == PIECE_CONSTANTS)
        return linker->placed[index].constants;
    const struct piece_symbol *symbol = &linker->pieces[index].piece.symbols[target];
    if (!map_get(&linker->symbols, key_of(symbol), &found))
        found = linker->library[symbol->func];
    return found;
}

static bool relocate(struct linker *linker, size_t index)
{
    const struct piece *piece = &linker->pieces[index].piece;
    const struct placed *placed = &linker->placed[index];
    for (uint32_t i = 0; i < piece->head->relocation_count; i++) {
        const struct piece_relocation *row = &piece->relocations[i];
        uint64_t at = (row->in_constants ? placed->constants : placed->code) + row->at;
        int64_t value = (int64_t)(address_of(linker, index, row->target) + (uint64_t)(int64_t)row->addend - at);
        int32_t word = (int32_t)value;
        if (word != value)
            return bad(linker, "a distance is out of range");
        memcpy(linker->code->text.data + at, &word, sizeof word);
    }
    return true;
}

static bool add_sites(struct linker *linker, size_t index)
{
    const struct link_piece *from = &linker->pieces[index];
    uint32_t start =
        from->symbol.kind == CODE_FUNC ? linker->units[from->symbol.unit].module->funcs[from->symbol.func].body : 0;
    for (uint32_t i = 0; i < from->piece.head->site_count; i++) {
        const struct code_site *site = &from->piece.sites[i];
        struct code_site *row = VEC_PUSH(&linker->code->sites, SITES_MAX);
        if (!row)
            return err_memory(linker->err);
        row->code_off = (uint32_t)linker->placed[index].code + site->code_off;
        row->wasm_off = site->wasm_off == PIECE_NOWHERE ? 0 : start + site->wasm_off;
    }
    return true;
}

static bool add_pads(struct linker *linker, size_t index)
{
    const struct piece *piece = &linker->pieces[index].piece;
    uint32_t code = (uint32_t)linker->placed[index].code;
    for (uint32_t i = 0; i < piece->head->pad_count; i++) {
        struct code_pad *row = VEC_PUSH(&linker->code->pads, PADS_MAX);
        if (!row)
            return err_memory(linker->err);
        *row = (struct code_pad){code + piece->pads[i].return_off, code + piece->pads[i].pad_off};
    }
    return true;
}

static int by_return(const void *a, const void *b)
{
    uint32_t left = ((const struct code_pad *)a)->return_off, right = ((const struct code_pad *)b)->return_off;
    return (left > right) - (left < right);
}

typedef bool step_fn(struct linker *linker, size_t index);

static bool each(struct linker *linker, step_fn *step)
{
    for (size_t i = 0; i < linker->count; i++)
        if (!step(linker, i))
            return false;
    return true;
}

bool link_pieces(const struct link_piece *pieces, size_t count, const struct unit *units, uint32_t unit_count,
                 struct code *ret_code, struct err *err)
{
    struct linker linker = {
        .pieces = pieces, .count = count, .units = units, .unit_count = unit_count, .code = ret_code, .err = err};
    linker.placed = mem_alloc(count + 1, sizeof *linker.placed);
    bool done = (linker.placed || err_memory(err)) && each(&linker, place_code) && each(&linker, resolve) &&
                end_text(&linker) && each(&linker, place_constants) && each(&linker, place_targets) &&
                each(&linker, relocate) && each(&linker, add_sites) && each(&linker, add_pads);
    if (done && ret_code->pads.count)
        qsort(ret_code->pads.items, ret_code->pads.count, sizeof *ret_code->pads.items, by_return);
    map_free(&linker.symbols);
    mem_free(linker.placed);
    return done;
}
