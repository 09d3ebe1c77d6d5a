/* See object.h. */
#include "codegen/object.h"

static bool bad(struct err *err, const char *what)
{
    return err_set(err, ERR_SYSTEM, "the generator made an object that cannot be linked: %s", what);
}

struct str object_contents(const struct object *object, const Elf64_Shdr *section)
{
    if (section->sh_type == SHT_NOBITS || section->sh_offset > object->size ||
        section->sh_size > object->size - section->sh_offset)
        return (struct str){"", 0};
    return (struct str){(const char *)object->bytes + section->sh_offset, section->sh_size};
}

/* A zero-terminated name in a string section. */
static struct str name_at(struct str strings, uint64_t offset)
{
    if (offset >= strings.len)
        return (struct str){"", 0};
    struct str rest = str_slice(strings, offset, strings.len);
    return str_slice(rest, 0, str_find(rest, '\0'));
}

struct str object_section_name(const struct object *object, const Elf64_Shdr *section)
{
    return name_at(object->names, section->sh_name);
}

struct str object_symbol_name(const struct object *object, const Elf64_Sym *symbol)
{
    return name_at(object->strings, symbol->st_name);
}

const Elf64_Shdr *object_find(const struct object *object, const char *name)
{
    for (uint32_t i = 0; i < object->section_count; i++)
        if (str_eq(object_section_name(object, &object->sections[i]), str_of(name)))
            return &object->sections[i];
    return NULL;
}

static bool read_header(struct object *object, struct err *err)
{
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)object->bytes;
    if (object->size < sizeof *header || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
        header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_machine != EM_X86_64 || header->e_type != ET_REL)
        return bad(err, "not a relocatable x86-64 ELF file");
    uint64_t table = (uint64_t)header->e_shnum * sizeof(Elf64_Shdr);
    if (header->e_shoff % 8 || header->e_shoff > object->size || table > object->size - header->e_shoff ||
        header->e_shstrndx >= header->e_shnum)
        return bad(err, "the section table is out of range");
    object->sections = (const Elf64_Shdr *)(object->bytes + header->e_shoff);
    object->section_count = header->e_shnum;
    object->names = object_contents(object, &object->sections[header->e_shstrndx]);
    return true;
}

static bool read_symbols(struct object *object, struct err *err)
{
    for (uint32_t i = 0; i < object->section_count; i++) {
        const Elf64_Shdr *section = &object->sections[i];
        if (section->sh_type != SHT_SYMTAB)
            continue;
        struct str bytes = object_contents(object, section);
        if (section->sh_offset % 8 || section->sh_link >= object->section_count)
            return bad(err, "the symbol table is out of range");
        object->symbols = (const Elf64_Sym *)bytes.ptr;
        object->symbol_count = (uint32_t)(bytes.len / sizeof(Elf64_Sym));
        object->strings = object_contents(object, &object->sections[section->sh_link]);
    }
    return true;
}

bool object_read(struct object *object, struct link_object from, struct err *err)
{
    *object = (struct object){.bytes = from.bytes, .size = from.size};
    if (!read_header(object, err) || !read_symbols(object, err))
        return false;
    object->placed = mem_alloc(object->section_count, sizeof *object->placed);
    if (!object->placed)
        return err_memory(err);
    for (uint32_t i = 0; i < object->section_count; i++)
        object->placed[i] = NOT_PLACED;
    return true;
}

void object_free(struct object *object)
{
    mem_free(object->placed);
}

/* LLVM lists a section's relocations right behind it. */
static const Elf64_Shdr *relocation_section(const struct object *object, uint32_t index)
{
    const Elf64_Shdr *next = &object->sections[index + 1];
    bool is_its = index + 1 < object->section_count && next->sh_type == SHT_RELA && next->sh_info == index;
    return is_its && next->sh_offset % 8 == 0 ? next : NULL;
}

const Elf64_Rela *object_relocations(const struct object *object, uint32_t index, size_t *ret_count)
{
    const Elf64_Shdr *section = relocation_section(object, index);
    struct str bytes = section ? object_contents(object, section) : (struct str){"", 0};
    *ret_count = bytes.len / sizeof(Elf64_Rela);
    return (const Elf64_Rela *)bytes.ptr;
}

const Elf64_Rela *object_relocation_at(const struct object *object, uint32_t index, uint64_t offset)
{
    size_t low = 0, high;
    const Elf64_Rela *all = object_relocations(object, index, &high);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (all[middle].r_offset == offset)
            return &all[middle];
        if (all[middle].r_offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const Elf64_Sym *object_symbol(const struct object *object, const Elf64_Rela *relocation)
{
    uint64_t index = ELF64_R_SYM(relocation->r_info);
    return index < object->symbol_count ? &object->symbols[index] : NULL;
}

struct cursor cursor_of(struct str bytes)
{
    const uint8_t *start = (const uint8_t *)bytes.ptr;
    return (struct cursor){start, start + bytes.len, false};
}

void cursor_skip(struct cursor *cursor, uint64_t size)
{
    if (size > (uint64_t)(cursor->end - cursor->at)) {
        cursor->failed = true;
        cursor->at = cursor->end;
        return;
    }
    cursor->at += size;
}

uint64_t cursor_fixed(struct cursor *cursor, unsigned size)
{
    uint64_t value = 0;
    const uint8_t *at = cursor->at;
    cursor_skip(cursor, size);
    if (!cursor->failed)
        memcpy(&value, at, size);
    return value;
}

uint64_t cursor_uleb(struct cursor *cursor)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint64_t byte = cursor_fixed(cursor, 1);
        value |= (byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return value;
    }
    cursor->failed = true;
    return 0;
}

int64_t cursor_sleb(struct cursor *cursor)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64;) {
        uint64_t byte = cursor_fixed(cursor, 1);
        value |= (byte & 0x7f) << shift;
        shift += 7;
        if (byte & 0x80)
            continue;
        return (int64_t)(byte & 0x40 && shift < 64 ? value | ~(uint64_t)0 << shift : value);
    }
    cursor->failed = true;
    return 0;
}

struct str cursor_text(struct cursor *cursor)
{
    struct str rest = {(const char *)cursor->at, (size_t)(cursor->end - cursor->at)};
    size_t length = str_find(rest, '\0');
    cursor_skip(cursor, (uint64_t)length + 1);
    return str_slice(rest, 0, length);
}
