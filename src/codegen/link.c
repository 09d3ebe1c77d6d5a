/* See link.h. Order in the blob: per object its text sections as they stand, sixteen-aligned with the type
 * hash before each; library routines that somebody asked for; then, from a new page, the constants. */
#include "codegen/object.h"

#include "base/map.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define PAGE 4096u
#define ENTRY_ALIGN 16u
#define HASH_BYTES 8u
#define FUNCS_MAX ((size_t)1 << 22)
#define FILLER 0xcc /* int3 */

struct linker {
    struct object *objects;
    size_t count;
    const struct unit *units;
    uint32_t unit_count;
    struct map symbols; /* global name -> offset in the blob */
    struct code *code;
    struct err *err;
};

static bool bad(struct linker *linker, const char *what)
{
    return err_set(linker->err, ERR_SYSTEM, "the generator made an object that cannot be linked: %s", what);
}

/* C library routines that LLVM may call though it is told not to. The guest convention's callers expect the C
 * convention here; only registers that it lets a callee use are touched.
 *
 *     memcpy:  mov rax, rdi; mov rcx, rdx; rep movsb; ret
 *     memset:  mov r8, rdi; mov eax, esi; mov rcx, rdx; rep stosb; mov rax, r8; ret
 *     memmove: mov rax, rdi; mov rcx, rdx; mov r8, rdi; sub r8, rsi; cmp r8, rdx; jb 1f; rep movsb; ret
 *              1: sub rcx, 1; jb 2f; mov dl, [rsi + rcx]; mov [rdi + rcx], dl; jmp 1b; 2: ret */
static const struct {
    const char *name;
    uint8_t size, bytes[40];
} routines[] = {
    {"memcpy", 9, {0x48, 0x89, 0xf8, 0x48, 0x89, 0xd1, 0xf3, 0xa4, 0xc3}},
    {"memset", 14, {0x49, 0x89, 0xf8, 0x89, 0xf0, 0x48, 0x89, 0xd1, 0xf3, 0xaa, 0x4c, 0x89, 0xc0, 0xc3}},
    {"memmove", 35, {0x48, 0x89, 0xf8, 0x48, 0x89, 0xd1, 0x49, 0x89, 0xf8, 0x49, 0x29, 0xf0,
                     0x49, 0x39, 0xd0, 0x72, 0x03, 0xf3, 0xa4, 0xc3, 0x48, 0x83, 0xe9, 0x01,
                     0x72, 0x08, 0x8a, 0x14, 0x0e, 0x88, 0x14, 0x0f, 0xeb, 0xf2, 0xc3}},
};

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

/* Append bytes at the next multiple of `alignment`, behind `before` bytes of room. */
static bool append(struct linker *linker, struct str bytes, uint64_t alignment, uint64_t before, uint8_t filler,
                   uint64_t *ret_off)
{
    struct buf *text = &linker->code->text;
    uint64_t start = (text->size + before + alignment - 1) & ~(alignment - 1), gap = start - text->size;
    uint8_t *room = buf_extend(text, gap + bytes.len);
    if (!room)
        return err_memory(linker->err);
    memset(room, filler, gap);
    memcpy(room + gap, bytes.ptr, bytes.len);
    *ret_off = start;
    return true;
}

static bool place(struct linker *linker, struct object *object, uint32_t index, uint64_t least, uint64_t before,
                  uint8_t filler)
{
    const Elf64_Shdr *section = &object->sections[index];
    uint64_t alignment = section->sh_addralign > least ? section->sh_addralign : least;
    struct str bytes = object_contents(object, section);
    if (alignment > PAGE || alignment & (alignment - 1) || bytes.len != section->sh_size)
        return bad(linker, "a section is malformed");
    return append(linker, bytes, alignment, before, filler, &object->placed[index]);
}

static bool place_text(struct linker *linker)
{
    for (size_t i = 0; i < linker->count; i++) {
        struct object *object = &linker->objects[i];
        for (uint32_t s = 0; s < object->section_count; s++)
            if (is_text(&object->sections[s]) && !place(linker, object, s, ENTRY_ALIGN, HASH_BYTES, FILLER))
                return false;
    }
    return true;
}

static bool place_constants(struct linker *linker)
{
    for (size_t i = 0; i < linker->count; i++) {
        struct object *object = &linker->objects[i];
        for (uint32_t s = 0; s < object->section_count; s++)
            if (is_constant(object, &object->sections[s]) && !place(linker, object, s, 1, 0, 0))
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

/* f<unit>_<func>, t<unit>_<func>, or with capitals, i<unit>_0: kind and numbers; false for routines. */
static bool parse_name(const struct linker *linker, struct str name, struct code_func *func)
{
    char kind, rest, text[48];
    uint32_t unit, index;
    if (name.len >= sizeof text)
        return false;
    memcpy(text, name.ptr, name.len);
    text[name.len] = '\0';
    if (sscanf(text, "%c%" SCNu32 "_%" SCNu32 "%c", &kind, &unit, &index, &rest) != 3 || !strchr("fFtTi", kind) ||
        unit >= linker->unit_count || (kind != 'i' && index >= linker->units[unit].module->func_count))
        return false;
    func->kind = kind == 'i' ? CODE_INIT : (kind | 0x20) == 'f' ? CODE_FUNC : CODE_THUNK;
    func->unit = unit;
    func->func = index;
    return true;
}

static uint64_t hash_of(const struct linker *linker, const struct code_func *func)
{
    if (func->kind == CODE_ROUTINE || func->kind == CODE_INIT)
        return 0;
    const struct wasm_module *module = linker->units[func->unit].module;
    return module->types[module->funcs[func->func].type].hash;
}

static bool add_func(struct linker *linker, struct str name, uint64_t off, uint64_t size, bool framed)
{
    struct code_func *func = VEC_PUSH(&linker->code->funcs, FUNCS_MAX);
    if (!func || !map_put(&linker->symbols, name, (uint32_t)off))
        return err_memory(linker->err);
    func->kind = CODE_ROUTINE;
    func->code_off = (uint32_t)off;
    func->code_size = (uint32_t)size;
    parse_name(linker, name, func);
    uint64_t hash = hash_of(linker, func);
    memcpy(linker->code->text.data + off - HASH_BYTES, &hash, sizeof hash);
    if (!framed)
        return true;
    func->frame_size = link_frame_size(linker->code->text.data + off, size);
    if (func->frame_size == UINT32_MAX)
        return bad(linker, "a function begins without its frame");
    return true;
}

/* The function symbols of one object. */
static bool define(struct linker *linker, const struct object *object)
{
    for (uint32_t i = 0; i < object->symbol_count; i++) {
        const Elf64_Sym *symbol = &object->symbols[i];
        if (ELF64_ST_TYPE(symbol->st_info) != STT_FUNC || symbol->st_shndx >= object->section_count ||
            object->placed[symbol->st_shndx] == NOT_PLACED)
            continue;
        uint64_t size = object->sections[symbol->st_shndx].sh_size;
        if (symbol->st_value != 0 || symbol->st_size > size)
            return bad(linker, "a function does not fill its section");
        if (!add_func(linker, object_symbol_name(object, symbol), object->placed[symbol->st_shndx], symbol->st_size,
                      true))
            return false;
    }
    return true;
}

static bool define_routine(struct linker *linker, struct str name)
{
    uint64_t off;
    for (size_t i = 0; i < sizeof routines / sizeof *routines; i++) {
        if (!str_eq(name, str_of(routines[i].name)))
            continue;
        struct str bytes = {(const char *)routines[i].bytes, routines[i].size};
        return append(linker, bytes, ENTRY_ALIGN, HASH_BYTES, FILLER, &off) &&
               add_func(linker, str_of(routines[i].name), off, bytes.len, false);
    }
    err_set(linker->err, ERR_SYSTEM, "the generated code calls the routine \"%.*s\", which images do not have",
            STR_ARG(name));
    return false;
}

/* A function may be defined with a small letter and used with a capital, or the other way round. */
static bool find_symbol(const struct linker *linker, struct str name, uint32_t *ret_off)
{
    char other[48];
    if (map_get(&linker->symbols, name, ret_off))
        return true;
    if (name.len == 0 || name.len > sizeof other || !strchr("fFtT", name.ptr[0]))
        return false;
    memcpy(other, name.ptr, name.len);
    other[0] ^= 0x20;
    return map_get(&linker->symbols, (struct str){other, name.len}, ret_off);
}

/* Each name that text of this object needs and nobody defines must be a routine of ours. */
static bool resolve(struct linker *linker, const struct object *object, uint32_t index)
{
    size_t count;
    const Elf64_Rela *relocations = object_relocations(object, index, &count);
    for (size_t i = 0; i < count; i++) {
        const Elf64_Sym *symbol = object_symbol(object, &relocations[i]);
        if (!symbol)
            return bad(linker, "a relocation names no symbol");
        struct str name = object_symbol_name(object, symbol);
        if (symbol->st_shndx == SHN_UNDEF && !find_symbol(linker, name, NULL) && !define_routine(linker, name))
            return false;
    }
    return true;
}

#define EACH_PLACED(linker, call)                                                                                      \
    for (size_t o = 0; o < (linker)->count; o++) {                                                                     \
        const struct object *object = &(linker)->objects[o];                                                           \
        for (uint32_t s = 0; s < object->section_count; s++)                                                           \
            if (object->placed[s] != NOT_PLACED && !(call))                                                            \
                return false;                                                                                          \
    }

static bool resolve_all(struct linker *linker)
{
    EACH_PLACED(linker, resolve(linker, object, s))
    return true;
}

/* Where a symbol lies in the blob. */
static bool address_of(struct linker *linker, const struct object *object, const Elf64_Sym *symbol, uint64_t *ret_off)
{
    uint32_t found;
    if (symbol->st_shndx == SHN_UNDEF) {
        if (!find_symbol(linker, object_symbol_name(object, symbol), &found))
            return bad(linker, "a symbol is defined nowhere");
        *ret_off = found;
        return true;
    }
    if (symbol->st_shndx >= object->section_count || object->placed[symbol->st_shndx] == NOT_PLACED)
        return bad(linker, "code refers to a section that images do not have");
    *ret_off = object->placed[symbol->st_shndx] + symbol->st_value;
    return true;
}

/* Both kinds are S + A - P in 32 bits: everything is in one blob, so that no call goes through a table. */
static bool relocate_one(struct linker *linker, const struct object *object, uint32_t index,
                         const Elf64_Rela *relocation)
{
    uint64_t type = ELF64_R_TYPE(relocation->r_info), target;
    if (type != R_X86_64_PC32 && type != R_X86_64_PLT32)
        return err_set(linker->err, ERR_SYSTEM,
                       "the generated code needs a relocation of kind %" PRIu64 ", which images do not have", type);
    if (!address_of(linker, object, object_symbol(object, relocation), &target))
        return false;
    if (relocation->r_offset > object->sections[index].sh_size - 4 || object->sections[index].sh_size < 4)
        return bad(linker, "a relocation is out of range");
    uint64_t at = object->placed[index] + relocation->r_offset;
    int64_t value = (int64_t)(target + (uint64_t)relocation->r_addend - at);
    int32_t word = (int32_t)value;
    if (word != value)
        return err_set(linker->err, ERR_LIMIT, "the code is larger than 2 GiB");
    memcpy(linker->code->text.data + at, &word, sizeof word);
    return true;
}

static bool relocate(struct linker *linker, const struct object *object, uint32_t index)
{
    size_t count;
    const Elf64_Rela *relocations = object_relocations(object, index, &count);
    for (size_t i = 0; i < count; i++)
        if (!relocate_one(linker, object, index, &relocations[i]))
            return false;
    return true;
}

static bool relocate_all(struct linker *linker)
{
    EACH_PLACED(linker, relocate(linker, object, s))
    return true;
}

static bool define_all(struct linker *linker)
{
    for (size_t i = 0; i < linker->count; i++)
        if (!define(linker, &linker->objects[i]))
            return false;
    return true;
}

#define BY(name, type, field)                                                                                          \
    static int by_##name(const void *a, const void *b)                                                                 \
    {                                                                                                                  \
        uint32_t left = ((const type *)a)->field, right = ((const type *)b)->field;                                    \
        return (left > right) - (left < right);                                                                        \
    }
BY(func, struct code_func, code_off)
BY(site, struct code_site, code_off)
BY(pad, struct code_pad, return_off)

#define SORT(vec, by) ((vec)->count ? qsort((vec)->items, (vec)->count, sizeof *(vec)->items, by) : (void)0)

static bool read_tables(struct linker *linker, link_decode_fn *decode, void *decode_arg)
{
    for (size_t i = 0; i < linker->count; i++)
        if (!link_lines(&linker->objects[i], linker->code, linker->err) ||
            !link_pads(&linker->objects[i], decode, decode_arg, linker->code, linker->err))
            return false;
    SORT(&linker->code->funcs, by_func);
    SORT(&linker->code->sites, by_site);
    SORT(&linker->code->pads, by_pad);
    return true;
}

static bool read_objects(struct linker *linker, const struct link_object *objects, size_t count)
{
    linker->objects = mem_alloc(count + 1, sizeof *linker->objects);
    if (!linker->objects)
        return err_memory(linker->err);
    for (; linker->count < count; linker->count++)
        if (!object_read(&linker->objects[linker->count], objects[linker->count], linker->err))
            return false;
    return true;
}

bool link_objects(const struct link_object *objects, size_t count, const struct unit *units, uint32_t unit_count,
                  link_decode_fn *decode, void *decode_arg, struct code *ret_code, struct err *err)
{
    struct linker linker = {.units = units, .unit_count = unit_count, .code = ret_code, .err = err};
    bool done = read_objects(&linker, objects, count) && place_text(&linker) && define_all(&linker) &&
                resolve_all(&linker) && end_text(&linker) && place_constants(&linker) && relocate_all(&linker) &&
                read_tables(&linker, decode, decode_arg);
    for (size_t i = 0; i < linker.count; i++)
        object_free(&linker.objects[i]);
    mem_free(linker.objects);
    map_free(&linker.symbols);
    return done;
}
