/* From exception tables to pads: .eh_frame says which function has which call-site table, and that says which
 * stretch of code unwinds where. A stretch may hold several calls; each gets a row, because the runtime looks
 * for return addresses. */
#include "codegen/object.h"

#define PADS_MAX ((size_t)1 << 26)

/* Pointer encodings (LSB Core, "DWARF extensions"): what LLVM uses in position-independent code. */
enum { ENCODING_PCREL_S4 = 0x1b, ENCODING_OMIT = 0xff, ENCODING_ULEB = 0x01 };

struct pads {
    const struct object *object;
    link_decode_fn *decode;
    void *decode_arg;
    struct object_tables *tables;
    uint32_t text; /* the function's section */
    struct str code;
    const uint8_t *frames; /* start of .eh_frame */
    uint32_t frame_section;
};

static bool bad(struct err *err, const char *what)
{
    return err_set(err, ERR_SYSTEM, "the generator's exception table cannot be read: %s", what);
}

static bool is_call(const uint8_t *at, size_t size)
{
    if (size == 5 && at[0] == 0xe8)
        return true;
    size_t rex = size > 1 && (at[0] & 0xf0) == 0x40;
    return size >= rex + 2 && at[rex] == 0xff && (at[rex + 1] >> 3 & 7) == 2;
}

/* A row for each call in the code's bytes [start, end). */
static bool add_calls(struct pads *pads, uint64_t start, uint64_t end, uint64_t pad, struct err *err)
{
    const uint8_t *text = (const uint8_t *)pads->code.ptr;
    if (end > pads->code.len || start > end)
        return bad(err, "a stretch of code is out of range");
    while (start < end) {
        size_t size = pads->decode(pads->decode_arg, text + start, end - start);
        if (size == 0)
            return bad(err, "a call site holds what is no instruction");
        start += size;
        if (!is_call(text + start - size, size))
            continue;
        struct code_pad *row = VEC_PUSH(&pads->tables->pads, PADS_MAX);
        if (!row)
            return err_memory(err);
        *row = (struct code_pad){(uint32_t)start, (uint32_t)pad};
    }
    return true;
}

/* A call-site table ("LSDA") of the function at `base`. */
static bool read_sites(struct pads *pads, struct cursor in, uint64_t base, struct err *err)
{
    if (cursor_fixed(&in, 1) != ENCODING_OMIT)
        return bad(err, "pads are not relative to their function");
    if (cursor_fixed(&in, 1) != ENCODING_OMIT)
        cursor_uleb(&in);
    if (cursor_fixed(&in, 1) != ENCODING_ULEB)
        return bad(err, "call sites are not LEB128");
    uint64_t size = cursor_uleb(&in);
    struct cursor table = in;
    cursor_skip(&in, size);
    table.end = in.at;
    while (table.at < table.end && !in.failed) {
        uint64_t start = cursor_uleb(&table), length = cursor_uleb(&table), pad = cursor_uleb(&table);
        cursor_uleb(&table); /* the action: our pads take everything */
        if (table.failed)
            break;
        if (pad && !add_calls(pads, base + start, base + start + length, base + pad, err))
            return false;
    }
    return (!in.failed && !table.failed) || bad(err, "a call-site table ends early");
}

/* The symbol and offset that the word at `at` in .eh_frame is relocated to. */
static const Elf64_Sym *target(const struct pads *pads, const uint8_t *at, uint64_t *ret_offset)
{
    const Elf64_Rela *relocation =
        object_relocation_at(pads->object, pads->frame_section, (uint64_t)(at - pads->frames));
    const Elf64_Sym *symbol = relocation ? object_symbol(pads->object, relocation) : NULL;
    if (!symbol || symbol->st_shndx >= pads->object->section_count)
        return NULL;
    *ret_offset = symbol->st_value + (uint64_t)relocation->r_addend;
    return symbol;
}

/* Do the entries of this common information entry carry a call-site table? */
static bool has_sites(struct cursor cie)
{
    cursor_skip(&cie, 4 + 1); /* id, version */
    struct str augmentation = cursor_text(&cie);
    return str_find(augmentation, 'L') < augmentation.len;
}

static bool read_entry(struct pads *pads, struct cursor in, struct err *err)
{
    uint64_t function, offset;
    const Elf64_Sym *code = target(pads, in.at, &function);
    cursor_skip(&in, 8);
    cursor_uleb(&in);
    const Elf64_Sym *table = target(pads, in.at, &offset);
    if (!code || !table)
        return bad(err, "an entry names no function or no table");
    struct cursor sites = cursor_of(object_contents(pads->object, &pads->object->sections[table->st_shndx]));
    cursor_skip(&sites, offset);
    if (code->st_shndx != pads->text || sites.failed)
        return bad(err, "a table is out of range");
    return read_sites(pads, sites, function, err);
}

/* One record of .eh_frame, after its length. */
static bool read_record(struct pads *pads, struct cursor in, struct err *err)
{
    const uint8_t *start = in.at;
    uint64_t back = cursor_fixed(&in, 4);
    if (back == 0)
        return true; /* a common information entry */
    if (back > (uint64_t)(start - pads->frames))
        return bad(err, "an entry has no common part");
    struct cursor cie = {start - back, in.end, false};
    cursor_skip(&cie, 4); /* length */
    return !has_sites(cie) || read_entry(pads, in, err);
}

bool object_pads(const struct object *object, uint32_t text, link_decode_fn *decode, void *decode_arg,
                 struct object_tables *tables, struct err *err)
{
    const Elf64_Shdr *section = object_find(object, ".eh_frame");
    if (!section || !object_find(object, ".gcc_except_table"))
        return true;
    struct str bytes = object_contents(object, section);
    struct pads pads = {.object = object,
                        .decode = decode,
                        .decode_arg = decode_arg,
                        .tables = tables,
                        .text = text,
                        .code = object_contents(object, &object->sections[text]),
                        .frames = (const uint8_t *)bytes.ptr,
                        .frame_section = (uint32_t)(section - object->sections)};
    for (struct cursor in = cursor_of(bytes); in.at < in.end;) {
        uint64_t size = cursor_fixed(&in, 4);
        struct cursor record = in;
        if (size == 0)
            break;
        cursor_skip(&in, size);
        record.end = in.at;
        if (in.failed)
            return bad(err, "it ends early");
        if (!read_record(&pads, record, err))
            return false;
    }
    return true;
}
