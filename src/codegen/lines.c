/* From a DWARF line table (version 4) to sites: the line number of a row is the Wasm offset. */
#include "codegen/object.h"

#define SITES_MAX ((size_t)1 << 28)

/* The line-number state machine, DWARF 4, section 6.2. */
struct machine {
    uint64_t address; /* in the function */
    uint32_t line;
    bool placed;      /* the sequence belongs to the function */
    size_t first;     /* of the sequence, in tables->sites */
};

struct header {
    uint8_t min_length, line_range, opcode_base;
    int8_t line_base;
    uint8_t lengths[256]; /* of the standard opcodes */
};

struct lines {
    const struct object *object;
    const uint8_t *table; /* .debug_line */
    uint32_t section;     /* its number */
    uint32_t text;        /* the function's section */
    uint32_t start;       /* lines count from here */
    struct object_tables *tables;
    struct header header;
    struct machine machine;
};

static bool bad(struct err *err, const char *what)
{
    return err_set(err, ERR_SYSTEM, "the generator's line table cannot be read: %s", what);
}

/* Where a line lies in the function's body; line 0 is none. */
static uint32_t place_of(const struct lines *lines, uint32_t line)
{
    return line == 0 || line < lines->start ? PIECE_NOWHERE : line - lines->start;
}

/* One row: a later row at the same address takes the place of the earlier. */
static bool add_row(struct lines *lines, uint32_t line, struct err *err)
{
    struct machine *machine = &lines->machine;
    uint32_t place = place_of(lines, line);
    struct object_tables *tables = lines->tables;
    if (!machine->placed)
        return true;
    struct code_site *last =
        tables->sites.count > machine->first ? &tables->sites.items[tables->sites.count - 1] : NULL;
    if (last && last->code_off == machine->address) {
        last->wasm_off = place;
        return true;
    }
    if (last && last->wasm_off == place)
        return true;
    struct code_site *site = VEC_PUSH(&tables->sites, SITES_MAX);
    if (!site)
        return err_memory(err);
    *site = (struct code_site){(uint32_t)machine->address, place};
    return true;
}

static void begin_sequence(struct lines *lines)
{
    lines->machine = (struct machine){.line = 1, .first = lines->tables->sites.count};
}

static void set_address(struct lines *lines, struct cursor *in)
{
    const Elf64_Rela *relocation =
        object_relocation_at(lines->object, lines->section, (uint64_t)(in->at - lines->table));
    const Elf64_Sym *symbol = relocation ? object_symbol(lines->object, relocation) : NULL;
    lines->machine.placed = symbol && symbol->st_shndx == lines->text;
    if (lines->machine.placed)
        lines->machine.address = symbol->st_value + (uint64_t)relocation->r_addend;
}

enum { EXTENDED_END = 1, EXTENDED_ADDRESS = 2 };

static bool extended(struct lines *lines, struct cursor *in, struct err *err)
{
    uint64_t size = cursor_uleb(in);
    const uint8_t *start = in->at;
    uint64_t code = cursor_fixed(in, 1);
    bool done = true;
    if (code == EXTENDED_END) {
        done = add_row(lines, 0, err);
        begin_sequence(lines);
    } else if (code == EXTENDED_ADDRESS) {
        set_address(lines, in);
    }
    in->at = start;
    cursor_skip(in, size);
    return done;
}

static uint64_t special_advance(const struct lines *lines, uint8_t opcode)
{
    return (uint64_t)((opcode - lines->header.opcode_base) / lines->header.line_range) * lines->header.min_length;
}

static bool special(struct lines *lines, uint8_t opcode, struct err *err)
{
    struct machine *machine = &lines->machine;
    machine->address += special_advance(lines, opcode);
    machine->line +=
        (uint32_t)(lines->header.line_base + (opcode - lines->header.opcode_base) % lines->header.line_range);
    return add_row(lines, machine->line, err);
}

enum { STANDARD_COPY = 1, STANDARD_PC, STANDARD_LINE, STANDARD_CONST_PC = 8, STANDARD_FIXED_PC = 9 };

static bool standard(struct lines *lines, uint8_t opcode, struct cursor *in, struct err *err)
{
    struct machine *machine = &lines->machine;
    switch (opcode) {
    case STANDARD_COPY: return add_row(lines, machine->line, err);
    case STANDARD_PC: machine->address += cursor_uleb(in) * lines->header.min_length; return true;
    case STANDARD_LINE: machine->line += (uint32_t)cursor_sleb(in); return true;
    case STANDARD_CONST_PC: machine->address += special_advance(lines, 255); return true;
    case STANDARD_FIXED_PC: machine->address += cursor_fixed(in, 2); return true;
    default:
        for (unsigned i = 0; i < lines->header.lengths[opcode]; i++)
            cursor_uleb(in);
        return true;
    }
}

static bool run(struct lines *lines, struct cursor in, struct err *err)
{
    begin_sequence(lines);
    while (in.at < in.end) {
        uint8_t opcode = (uint8_t)cursor_fixed(&in, 1);
        bool done = opcode == 0                           ? extended(lines, &in, err)
                    : opcode >= lines->header.opcode_base ? special(lines, opcode, err)
                                                          : standard(lines, opcode, &in, err);
        if (!done)
            return false;
    }
    return !in.failed || bad(err, "it ends early");
}

/* The header of one table; *in then stands at its program. */
static bool read_header(struct lines *lines, struct cursor *in, struct err *err)
{
    struct header *header = &lines->header;
    if (cursor_fixed(in, 2) != 4)
        return bad(err, "not version 4");
    uint64_t size = cursor_fixed(in, 4);
    const uint8_t *start = in->at;
    header->min_length = (uint8_t)cursor_fixed(in, 1);
    cursor_skip(in, 2); /* operations per instruction, default_is_stmt */
    header->line_base = (int8_t)cursor_fixed(in, 1);
    header->line_range = (uint8_t)cursor_fixed(in, 1);
    header->opcode_base = (uint8_t)cursor_fixed(in, 1);
    for (unsigned i = 1; i < header->opcode_base; i++)
        header->lengths[i] = (uint8_t)cursor_fixed(in, 1);
    in->at = start;
    cursor_skip(in, size);
    if (in->failed || header->line_range == 0 || header->opcode_base == 0)
        return bad(err, "its header is malformed");
    return true;
}

bool object_lines(const struct object *object, uint32_t text, uint32_t start, struct object_tables *tables,
                  struct err *err)
{
    const Elf64_Shdr *section = object_find(object, ".debug_line");
    if (!section)
        return true;
    struct str bytes = object_contents(object, section);
    struct lines lines = {.object = object,
                          .table = (const uint8_t *)bytes.ptr,
                          .section = (uint32_t)(section - object->sections),
                          .text = text,
                          .start = start,
                          .tables = tables};
    for (struct cursor in = cursor_of(bytes); in.at < in.end;) {
        uint64_t size = cursor_fixed(&in, 4);
        struct cursor table = in;
        cursor_skip(&in, size);
        table.end = in.at;
        if (in.failed)
            return bad(err, "it ends early");
        if (!read_header(&lines, &table, err) || !run(&lines, table, err))
            return false;
    }
    return true;
}
