/* An ELF object that tells a debugger of a program's functions: symbols, how to leave a frame, and which Wasm offset
 * each instruction belongs to. It has no contents but that: .text stands for memory that is there already.
 *
 * Unwinding is the same everywhere, because every function begins with the same two instructions (machine_frames;
 * codegen/prologue.c checks those of LLVM). DWARF 3 and 4 suffice; numbers in the tables below are theirs. */
#include "image/sites.h"
#include "runtime/machine.h"
#include "runtime/symbols.h"

#include <elf.h>
#include <string.h>

#define ELF_BYTES_MAX ((size_t)2 << 30)

/* SECTION(name in C, name, type, flags, size of an entry, linked section): in the file's order. */
#define SECTIONS(SECTION)                                                                                              \
    SECTION(TEXT, ".text", SHT_NOBITS, SHF_ALLOC | SHF_EXECINSTR, 0, 0)                                                \
    SECTION(SYMTAB, ".symtab", SHT_SYMTAB, 0, sizeof(Elf64_Sym), PART_STRTAB)                                          \
    SECTION(STRTAB, ".strtab", SHT_STRTAB, 0, 0, 0)                                                                    \
    SECTION(FRAME, ".debug_frame", SHT_PROGBITS, 0, 0, 0)                                                              \
    SECTION(ABBREV, ".debug_abbrev", SHT_PROGBITS, 0, 0, 0)                                                            \
    SECTION(INFO, ".debug_info", SHT_PROGBITS, 0, 0, 0)                                                                \
    SECTION(LINE, ".debug_line", SHT_PROGBITS, 0, 0, 0)                                                                \
    SECTION(SHSTRTAB, ".shstrtab", SHT_STRTAB, 0, 0, 0)

enum part {
    PART_NONE,
#define SECTION(id, name, type, flags, entry, link) PART_##id,
    SECTIONS(SECTION)
#undef SECTION
        PART_COUNT
};

static const struct part_info {
    const char *name;
    uint32_t type, flags, entry, link;
} parts[PART_COUNT] = {
#define SECTION(id, name, type, flags, entry, link) [PART_##id] = {name, type, flags, entry, link},
    SECTIONS(SECTION)
#undef SECTION
};

struct elf {
    const struct program *program;
    uint64_t text, text_size;
    struct buf parts[PART_COUNT];
};

#define APPEND(buf, ...) buf_append((buf), &(__VA_ARGS__), sizeof(__VA_ARGS__))
#define BYTES(buf, ...)                                                                                                \
    do {                                                                                                               \
        const uint8_t bytes_[] = {__VA_ARGS__};                                                                        \
        buf_append((buf), bytes_, sizeof bytes_);                                                                      \
    } while (0)

static void u16(struct buf *buf, uint16_t value)
{
    APPEND(buf, value);
}

static void u32(struct buf *buf, uint32_t value)
{
    APPEND(buf, value);
}

static void u64(struct buf *buf, uint64_t value)
{
    APPEND(buf, value);
}

static void text(struct buf *buf, const char *value)
{
    buf_append(buf, value, strlen(value) + 1);
}

static void unsigned_leb(struct buf *buf, uint64_t value)
{
    for (; value > 0x7f; value >>= 7)
        BYTES(buf, (uint8_t)(value | 0x80));
    BYTES(buf, (uint8_t)value);
}

static void signed_leb(struct buf *buf, int64_t value)
{
    for (; value < -64 || value > 63; value >>= 7)
        BYTES(buf, (uint8_t)(value | 0x80));
    BYTES(buf, (uint8_t)(value & 0x7f));
}

/* A length of four bytes before everything that follows: begun here, set by `finish`. */
static size_t begin(struct buf *buf)
{
    u32(buf, 0);
    return buf->size;
}

static void finish(struct buf *buf, size_t start)
{
    uint32_t size = (uint32_t)(buf->size - start);
    if (!buf->failed)
        memcpy(buf->data + start - sizeof size, &size, sizeof size);
}

static void add_symbols(struct elf *elf)
{
    const struct image *image = &elf->program->image;
    struct buf *symbols = &elf->parts[PART_SYMTAB], *names = &elf->parts[PART_STRTAB];
    char name[SYMBOL_NAME_MAX];
    APPEND(symbols, (Elf64_Sym){0});
    text(names, "");
    for (uint64_t i = 0; i < image_funcs_count(image); i++) {
        const struct image_func *func = &image_funcs(image)[i];
        APPEND(symbols, (Elf64_Sym){.st_name = (uint32_t)names->size,
                                    .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
                                    .st_shndx = PART_TEXT,
                                    .st_value = func->code_off - image->header->code_offset,
                                    .st_size = func->code_size});
        symbols_name(image, func, name);
        text(names, name);
    }
}

static void add_frames(struct elf *elf)
{
    const struct image *image = &elf->program->image;
    struct buf *frame = &elf->parts[PART_FRAME];
    size_t start = begin(frame);
    u32(frame, UINT32_MAX);
    BYTES(frame, 1, 0, machine_frames.code_unit, 0x78, machine_frames.return_register);
    buf_append(frame, machine_frames.begin, machine_frames.begin_size);
    buf_align(frame, 8);
    finish(frame, start);
    for (uint64_t i = 0; i < image_funcs_count(image); i++) {
        const struct image_func *func = &image_funcs(image)[i];
        start = begin(frame);
        u32(frame, 0);
        u64(frame, (uint64_t)image->base + func->code_off);
        u64(frame, func->code_size);
        buf_append(frame, machine_frames.body, machine_frames.body_size);
        buf_align(frame, 8);
        finish(frame, start);
    }
}

/* One compilation unit without anything in it: the place of the line table. */
static void add_unit(struct elf *elf)
{
    enum { UNIT = 0x11, NAME = 0x03, LINES = 0x10, LOW = 0x11, HIGH = 0x12, LANGUAGE = 0x13 };
    enum { ADDRESS = 0x01, DATA2 = 0x05, DATA8 = 0x07, STRING = 0x08, OFFSET = 0x17, ASSEMBLER = 0x8001 };
    struct buf *info = &elf->parts[PART_INFO];
    BYTES(&elf->parts[PART_ABBREV], 1, UNIT, 0, LINES, OFFSET, LOW, ADDRESS, HIGH, DATA8, NAME, STRING, LANGUAGE, DATA2,
          0, 0, 0);
    size_t start = begin(info);
    u16(info, 4);
    u32(info, 0);
    BYTES(info, 8, 1);
    u32(info, 0);
    u64(info, elf->text);
    u64(info, elf->text_size);
    text(info, elf->program->name);
    u16(info, ASSEMBLER);
    finish(info, start);
}

enum { LINE_EXTENDED = 0, LINE_COPY = 1, LINE_ADVANCE = 2, LINE_ADVANCE_LINE = 3 };

/* Rows of one function; `at` and `number` are where the table stands. */
static void add_sites(struct elf *elf, const struct image_func *func, struct buf *line, uint64_t *at, int64_t *number)
{
    const struct image *image = &elf->program->image;
    const uint8_t *bytes = image_sites(image) + func->sites_first;
    for (struct sites sites = {bytes, bytes + func->sites_size, func->code_off, 0}; sites_next(&sites);) {
        uint64_t address = (uint64_t)image->base + sites.code_off;
        BYTES(line, LINE_ADVANCE);
        unsigned_leb(line, address - *at);
        BYTES(line, LINE_ADVANCE_LINE);
        signed_leb(line, (int64_t)sites.wasm_off - *number);
        BYTES(line, LINE_COPY);
        *at = address;
        *number = sites.wasm_off;
    }
}

static void add_rows(struct elf *elf, struct buf *line)
{
    const struct image *image = &elf->program->image;
    int64_t number = 1;
    uint64_t at = elf->text;
    for (uint64_t i = 0; i < image_funcs_count(image); i++)
        add_sites(elf, &image_funcs(image)[i], line, &at, &number);
    BYTES(line, LINE_ADVANCE);
    unsigned_leb(line, elf->text + elf->text_size - at);
}

/* The standard opcodes' operand counts are part of the header. */
static void add_lines(struct elf *elf)
{
    struct buf *line = &elf->parts[PART_LINE];
    size_t start = begin(line);
    u16(line, 3);
    size_t header = begin(line);
    BYTES(line, 1, 1, 0xfb, 14, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1, 0);
    text(line, elf->program->name);
    BYTES(line, 0, 0, 0, 0);
    finish(line, header);
    BYTES(line, LINE_EXTENDED, 9, 2); /* set the address */
    u64(line, elf->text);
    add_rows(elf, line);
    BYTES(line, LINE_EXTENDED, 1, 1); /* the end */
    finish(line, start);
}

static Elf64_Shdr section_row(struct elf *elf, enum part part, uint64_t offset)
{
    const struct part_info *info = &parts[part];
    struct buf *names = &elf->parts[PART_SHSTRTAB];
    Elf64_Shdr row = {.sh_name = (uint32_t)names->size,
                      .sh_type = info->type,
                      .sh_flags = info->flags,
                      .sh_offset = offset,
                      .sh_link = info->link,
                      .sh_info = part == PART_SYMTAB, /* symbols from 1 on are global */
                      .sh_addralign = 8,
                      .sh_entsize = info->entry};
    text(names, info->name);
    row.sh_addr = part == PART_TEXT ? elf->text : 0;
    row.sh_size = part == PART_TEXT ? elf->text_size : elf->parts[part].size;
    return row;
}

/* Header, section rows, contents. Section names are the last section: it is complete when its row is written. */
static bool assemble(struct elf *elf, struct buf *out)
{
    Elf64_Ehdr header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                         .e_type = ET_REL,
                         .e_machine = machine_frames.elf_machine,
                         .e_version = EV_CURRENT,
                         .e_shoff = sizeof header,
                         .e_ehsize = sizeof header,
                         .e_shentsize = sizeof(Elf64_Shdr),
                         .e_shnum = PART_COUNT,
                         .e_shstrndx = PART_SHSTRTAB};
    uint64_t offset = sizeof header + PART_COUNT * sizeof(Elf64_Shdr);
    APPEND(out, header);
    APPEND(out, (Elf64_Shdr){0});
    text(&elf->parts[PART_SHSTRTAB], "");
    for (enum part part = PART_NONE + 1; part < PART_COUNT; part++) {
        Elf64_Shdr row = section_row(elf, part, offset);
        offset += (elf->parts[part].size + 7) & ~(uint64_t)7;
        APPEND(out, row);
    }
    bool whole = true;
    for (enum part part = PART_NONE + 1; part < PART_COUNT; part++) {
        whole = whole && !elf->parts[part].failed;
        buf_append(out, elf->parts[part].data, elf->parts[part].size);
        buf_align(out, 8);
    }
    return whole && !out->failed;
}

bool symbols_elf(const struct program *program, struct buf *ret_elf)
{
    struct elf elf = {
        .program = program, .text = program->text_low, .text_size = program->text_high - program->text_low};
    struct buf out;
    for (unsigned i = 0; i < PART_COUNT; i++)
        buf_init(&elf.parts[i], ELF_BYTES_MAX);
    buf_init(&out, ELF_BYTES_MAX);
    add_symbols(&elf);
    add_frames(&elf);
    add_unit(&elf);
    add_lines(&elf);
    bool done = assemble(&elf, &out);
    for (unsigned i = 0; i < PART_COUNT; i++)
        buf_free(&elf.parts[i]);
    if (done)
        *ret_elf = out;
    else
        buf_free(&out);
    return done;
}
