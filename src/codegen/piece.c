/* See piece.h. */
#include "codegen/piece.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COUNT_MAX ((uint32_t)1 << 26)

static const char *const routine_names[ROUTINE_COUNT] = {
#define HELPER(name, signature) "r_" #name,
#include "image/helpers.def"
#undef HELPER
    "memcpy", "memset", "memmove", "stencil_pool", "trap_element", "trap_null", "trap_type",
};

#define KEPT_ROUTINE "k" /* before its name */

void symbol_name(char name[48], struct piece_symbol symbol, enum symbol_form form)
{
    static const char letters[][SYMBOL_FORMS + 1] = {[CODE_FUNC] = "fFg", [CODE_THUNK] = "tTu", [CODE_INIT] = "iii"};
    if (symbol.kind == CODE_ROUTINE)
        snprintf(name, 48, "%s%s", form == SYMBOL_KEPT ? KEPT_ROUTINE : "", routine_names[symbol.func]);
    else if (symbol.kind == PIECE_TARGETS)
        snprintf(name, 48, "c%" PRIu32 "_%" PRIu32, symbol.unit, symbol.func);
    else
        snprintf(name, 48, "%c%" PRIu32 "_%" PRIu32, letters[symbol.kind][form], symbol.unit, symbol.func);
}

static bool parse_routine(struct str name, struct piece_symbol *ret_symbol)
{
    if (name.len > 0 && name.ptr[0] == KEPT_ROUTINE[0])
        name = (struct str){name.ptr + 1, name.len - 1};
    for (uint32_t i = 0; i < ROUTINE_COUNT; i++)
        if (str_eq(name, str_of(routine_names[i]))) {
            *ret_symbol = (struct piece_symbol){CODE_ROUTINE, 0, i};
            return true;
        }
    return false;
}

static uint32_t kind_of(char letter)
{
    if (letter == 'c')
        return PIECE_TARGETS;
    return letter == 'i' ? CODE_INIT : strchr("fFg", letter) ? CODE_FUNC : CODE_THUNK;
}

bool symbol_parse(struct str name, struct piece_symbol *ret_symbol)
{
    char kind, rest, text[48];
    uint32_t unit, func;
    if (name.len >= sizeof text)
        return false;
    memcpy(text, name.ptr, name.len);
    text[name.len] = '\0';
    if (sscanf(text, "%c%" SCNu32 "_%" SCNu32 "%c", &kind, &unit, &func, &rest) != 3 || !strchr("fFgtTuic", kind))
        return parse_routine(name, ret_symbol);
    *ret_symbol = (struct piece_symbol){kind_of(kind), unit, func};
    return true;
}

static bool bad(struct err *err, const char *what)
{
    return err_set(err, ERR_SYSTEM, "a compiled function is damaged: %s", what);
}

/* Takes `count` elements off the front; NULL when fewer are left. */
static const void *take(const uint8_t **at, const uint8_t *end, uint64_t count, size_t size)
{
    const uint8_t *start = *at;
    uint64_t bytes = (count * size + 7) & ~(uint64_t)7;
    if (!start || count > COUNT_MAX || bytes > (uint64_t)(end - start)) {
        *at = NULL;
        return NULL;
    }
    *at = start + bytes;
    return start;
}

static bool is_relocation(const struct piece *piece, const struct piece_relocation *relocation)
{
    const struct piece_head *head = piece->head;
    uint32_t size = relocation->in_constants ? head->constants_size : head->code_size;
    return relocation->in_constants <= 1 && size >= 4 && relocation->at <= size - 4 &&
           relocation->target >= PIECE_CONSTANTS &&
           (relocation->target < 0 || (uint32_t)relocation->target < head->symbol_count);
}

static bool check_rows(const struct piece *piece, struct err *err)
{
    const struct piece_head *head = piece->head;
    for (uint32_t i = 0; i < head->relocation_count; i++)
        if (!is_relocation(piece, &piece->relocations[i]))
            return bad(err, "a relocation is out of range");
    for (uint32_t i = 0; i < head->symbol_count; i++)
        if (piece->symbols[i].kind == CODE_ROUTINE && piece->symbols[i].func >= ROUTINE_COUNT)
            return bad(err, "it calls a routine that does not exist");
    for (uint32_t i = 0; i < head->site_count; i++)
        if (piece->sites[i].code_off > head->code_size ||
            (i && piece->sites[i].code_off < piece->sites[i - 1].code_off))
            return bad(err, "a site is out of order");
    for (uint32_t i = 0; i < head->pad_count; i++)
        if (piece->pads[i].return_off > head->code_size || piece->pads[i].pad_off >= head->code_size)
            return bad(err, "a landing pad lies behind its end");
    return true;
}

bool piece_read(const uint8_t *bytes, size_t size, struct piece *ret_piece, struct err *err)
{
    const uint8_t *at = bytes, *end = bytes + size;
    struct piece piece = {.head = take(&at, end, 1, sizeof *piece.head)};
    const struct piece_head *head = piece.head;
    if (!head || head->size != size || size % 8 || (uintptr_t)bytes % 8)
        return bad(err, "its size is wrong");
    if (!piece_is_alignment(head->constants_align) || !piece_is_alignment(head->code_align) || head->code_size == 0)
        return bad(err, "its head is wrong");
    piece.relocations = take(&at, end, head->relocation_count, sizeof *piece.relocations);
    piece.symbols = take(&at, end, head->symbol_count, sizeof *piece.symbols);
    piece.sites = take(&at, end, head->site_count, sizeof *piece.sites);
    piece.pads = take(&at, end, head->pad_count, sizeof *piece.pads);
    piece.code = take(&at, end, head->code_size, 1);
    piece.constants = take(&at, end, head->constants_size, 1);
    if (at != end)
        return bad(err, "its parts do not fill it");
    if (!check_rows(&piece, err))
        return false;
    *ret_piece = piece;
    return true;
}
