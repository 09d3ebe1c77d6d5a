/* From an object of one function to its piece: see piece.h. */
#include "codegen/object.h"

#include <inttypes.h>
#include <limits.h>

#define TEXT_MAX ((uint64_t)1 << 30)
#define ROWS_MAX ((size_t)1 << 26)

struct cutter {
    struct object object;
    uint32_t text; /* the function's section */
    struct piece_head head;
    struct buf constants;
    VEC(struct piece_relocation) relocations;
    VEC(struct piece_symbol) symbols;
    int32_t *numbers; /* per symbol of the object: its number in `symbols`, or -1; owned */
    struct object_tables tables;
    struct err *err;
};

static bool bad(struct cutter *cutter, const char *what)
{
    return err_set(cutter->err, ERR_SYSTEM, "the generator made an object that cannot be linked: %s", what);
}

static bool is_text(const Elf64_Shdr *section)
{
    return section->sh_type == SHT_PROGBITS && section->sh_flags & SHF_ALLOC && section->sh_flags & SHF_EXECINSTR &&
           section->sh_size;
}

static bool is_constant(const struct object *object, const Elf64_Shdr *section)
{
    struct str name = object_section_name(object, section);
    return section->sh_type == SHT_PROGBITS && section->sh_flags & SHF_ALLOC &&
           !(section->sh_flags & (SHF_EXECINSTR | SHF_WRITE)) && str_starts(name, STR(".rodata")) && section->sh_size;
}

static bool place_constants(struct cutter *cutter, uint32_t index)
{
    const Elf64_Shdr *section = &cutter->object.sections[index];
    struct str bytes = object_contents(&cutter->object, section);
    uint64_t align = section->sh_addralign ? section->sh_addralign : 1;
    if (!piece_is_alignment(align) || bytes.len != section->sh_size)
        return bad(cutter, "a section is malformed");
    if (!buf_align(&cutter->constants, align))
        return err_memory(cutter->err);
    cutter->object.placed[index] = cutter->constants.size;
    if (align > cutter->head.constants_align)
        cutter->head.constants_align = (uint32_t)align;
    return buf_append(&cutter->constants, bytes.ptr, bytes.len) || err_memory(cutter->err);
}

static bool place_text(struct cutter *cutter, uint32_t index)
{
    const Elf64_Shdr *section = &cutter->object.sections[index];
    if (cutter->text)
        return bad(cutter, "it holds more than one function");
    if (section->sh_size > TEXT_MAX || !piece_is_alignment(section->sh_addralign) ||
        object_contents(&cutter->object, section).len != section->sh_size)
        return bad(cutter, "a section is malformed");
    cutter->text = index;
    cutter->object.placed[index] = 0;
    cutter->head.code_size = (uint32_t)section->sh_size;
    cutter->head.code_align = (uint32_t)section->sh_addralign;
    return true;
}

static bool place(struct cutter *cutter)
{
    cutter->head.constants_align = 1;
    for (uint32_t i = 1; i < cutter->object.section_count; i++) {
        const Elf64_Shdr *section = &cutter->object.sections[i];
        if ((is_text(section) && !place_text(cutter, i)) ||
            (is_constant(&cutter->object, section) && !place_constants(cutter, i)))
            return false;
    }
    cutter->head.constants_size = (uint32_t)cutter->constants.size;
    return cutter->text || bad(cutter, "it holds no function");
}

/* The function begins where its section does. */
static bool check_function(struct cutter *cutter)
{
    for (uint32_t i = 0; i < cutter->object.symbol_count; i++) {
        const Elf64_Sym *symbol = &cutter->object.symbols[i];
        if (ELF64_ST_TYPE(symbol->st_info) == STT_FUNC && symbol->st_shndx == cutter->text &&
            (symbol->st_value != 0 || symbol->st_size > cutter->head.code_size))
            return bad(cutter, "a function does not fill its section");
    }
    struct str code = object_contents(&cutter->object, &cutter->object.sections[cutter->text]);
    cutter->head.frame_size = object_frame_size((const uint8_t *)code.ptr, code.len);
    return cutter->head.frame_size != UINT32_MAX || bad(cutter, "a function begins without its frame");
}

static bool add_symbol(struct cutter *cutter, const Elf64_Sym *from, int32_t *ret_target)
{
    int32_t *number = &cutter->numbers[from - cutter->object.symbols];
    struct str name = object_symbol_name(&cutter->object, from);
    struct piece_symbol symbol;
    if (*number < 0) {
        if (!symbol_parse(name, &symbol))
            return err_set(cutter->err, ERR_SYSTEM, "the generated code calls \"%.*s\", which images do not have",
                           STR_ARG(name));
        struct piece_symbol *added = VEC_PUSH(&cutter->symbols, ROWS_MAX);
        if (!added)
            return err_memory(cutter->err);
        *added = symbol;
        *number = (int32_t)(cutter->symbols.count - 1);
    }
    *ret_target = *number;
    return true;
}

/* What a relocation leads to, and what its symbol adds. */
static bool find_target(struct cutter *cutter, const Elf64_Sym *symbol, int32_t *ret_target, uint64_t *ret_add)
{
    *ret_add = 0;
    if (!symbol)
        return bad(cutter, "a relocation names no symbol");
    if (symbol->st_shndx == SHN_UNDEF)
        return add_symbol(cutter, symbol, ret_target);
    if (symbol->st_shndx >= cutter->object.section_count || cutter->object.placed[symbol->st_shndx] == NOT_PLACED)
        return bad(cutter, "code refers to a section that images do not have");
    *ret_target = symbol->st_shndx == cutter->text ? PIECE_CODE : PIECE_CONSTANTS;
    *ret_add = cutter->object.placed[symbol->st_shndx] + symbol->st_value;
    return true;
}

/* Both kinds are S + A - P in 32 bits: everything is in one blob, so that no call goes through a table. */
static bool add_relocation(struct cutter *cutter, uint32_t section, const Elf64_Rela *from)
{
    uint64_t type = ELF64_R_TYPE(from->r_info), add, size = cutter->object.sections[section].sh_size;
    int32_t target = PIECE_CODE;
    if (type != R_X86_64_PC32 && type != R_X86_64_PLT32)
        return err_set(cutter->err, ERR_SYSTEM,
                       "the generated code needs a relocation of kind %" PRIu64 ", which images do not have", type);
    if (!find_target(cutter, object_symbol(&cutter->object, from), &target, &add))
        return false;
    int64_t addend = (int64_t)(add + (uint64_t)from->r_addend);
    if (size < 4 || from->r_offset > size - 4 || addend != (int32_t)addend)
        return bad(cutter, "a relocation is out of range");
    struct piece_relocation *row = VEC_PUSH(&cutter->relocations, ROWS_MAX);
    if (!row)
        return err_memory(cutter->err);
    *row = (struct piece_relocation){(uint32_t)(cutter->object.placed[section] + from->r_offset),
                                     section != cutter->text, target, (int32_t)addend};
    return true;
}

static bool add_relocations(struct cutter *cutter)
{
    cutter->numbers = mem_alloc((size_t)cutter->object.symbol_count + 1, sizeof *cutter->numbers);
    if (!cutter->numbers)
        return err_memory(cutter->err);
    memset(cutter->numbers, 0xff, cutter->object.symbol_count * sizeof *cutter->numbers);
    for (uint32_t s = 1; s < cutter->object.section_count; s++) {
        size_t count = 0;
        const Elf64_Rela *rows =
            cutter->object.placed[s] != NOT_PLACED ? object_relocations(&cutter->object, s, &count) : NULL;
        for (size_t i = 0; i < count; i++)
            if (!add_relocation(cutter, s, &rows[i]))
                return false;
    }
    return true;
}

static bool append(struct buf *out, const void *bytes, size_t size)
{
    return (size == 0 || buf_append(out, bytes, size)) && buf_align(out, 8);
}

static bool write_piece(struct cutter *cutter, struct buf *out)
{
    struct piece_head *head = &cutter->head;
    struct str code = object_contents(&cutter->object, &cutter->object.sections[cutter->text]);
    size_t start = out->size;
    head->relocation_count = (uint32_t)cutter->relocations.count;
    head->symbol_count = (uint32_t)cutter->symbols.count;
    head->site_count = (uint32_t)cutter->tables.sites.count;
    head->pad_count = (uint32_t)cutter->tables.pads.count;
    bool done = append(out, head, sizeof *head) &&
                append(out, cutter->relocations.items, cutter->relocations.count * sizeof *cutter->relocations.items) &&
                append(out, cutter->symbols.items, cutter->symbols.count * sizeof *cutter->symbols.items) &&
                append(out, cutter->tables.sites.items, cutter->tables.sites.count * sizeof(struct code_site)) &&
                append(out, cutter->tables.pads.items, cutter->tables.pads.count * sizeof(struct code_pad)) &&
                append(out, code.ptr, code.len) && append(out, cutter->constants.data, cutter->constants.size);
    if (!done || out->size - start > UINT32_MAX)
        return err_memory(cutter->err);
    uint32_t size = (uint32_t)(out->size - start);
    memcpy(out->data + start + offsetof(struct piece_head, size), &size, sizeof size);
    return true;
}

static void cutter_free(struct cutter *cutter)
{
    object_free(&cutter->object);
    buf_free(&cutter->constants);
    VEC_FREE(&cutter->relocations);
    VEC_FREE(&cutter->symbols);
    mem_free(cutter->numbers);
    VEC_FREE(&cutter->tables.sites);
    VEC_FREE(&cutter->tables.pads);
}

bool piece_cut(struct link_object object, uint32_t start, link_decode_fn *decode, void *decode_arg,
               struct buf *ret_piece, struct err *err)
{
    struct cutter cutter = {.err = err};
    buf_init(&cutter.constants, TEXT_MAX);
    bool done = object_read(&cutter.object, object, err) && place(&cutter) && check_function(&cutter) &&
                add_relocations(&cutter) && object_lines(&cutter.object, cutter.text, start, &cutter.tables, err) &&
                object_pads(&cutter.object, cutter.text, decode, decode_arg, &cutter.tables, err) &&
                write_piece(&cutter, ret_piece);
    cutter_free(&cutter);
    return done;
}
