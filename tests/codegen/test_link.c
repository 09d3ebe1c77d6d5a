/* The linker on hand-made objects: what it accepts, and that everything else is refused with its name. */
#include "base/alloc.h"
#include "codegen/link.h"
#include "codegen/object.h"
#include "codegen/targets.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* push rbp; mov rbp, rsp; sub rsp, 32; call X; add rsp, 32; pop rbp; ret */
static const uint8_t caller[] = {0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xec, 0x20, 0xe8, 0,
                                 0,    0,    0,    0x48, 0x83, 0xc4, 0x20, 0x5d, 0xc3};
#define CALL_AT 9

enum { SECTIONS = 6, SYMBOLS = 4 };
enum { TEXT = 1, RELA, CONSTANTS, SYMTAB, STRTAB };

/* One function with one relocation, a section of constants, names. */
struct made {
    Elf64_Ehdr header;
    Elf64_Shdr sections[SECTIONS];
    Elf64_Rela rela;
    Elf64_Sym symbols[SYMBOLS];
    uint8_t text[32];
    uint8_t constants[16];
    char strings[96];
};

#define NAMES "\0.text.f0_0\0.rodata.cst16\0f0_0\0"
enum { NAME_TEXT = 1, NAME_CONSTANTS = 12, NAME_FUNC = 26, NAME_CALLEE = 31 };

static void section(struct made *made, int index, uint32_t type, const void *at, size_t size)
{
    made->sections[index].sh_type = type;
    made->sections[index].sh_offset = (uint64_t)((const char *)at - (const char *)made);
    made->sections[index].sh_size = size;
    made->sections[index].sh_addralign = 8;
}

/* A function f0_0 that calls `callee` (undefined) through a relocation of kind `kind`. */
static struct made make(const char *callee, uint32_t kind)
{
    struct made made = {.header = {.e_type = ET_REL,
                                   .e_machine = EM_X86_64,
                                   .e_shnum = SECTIONS,
                                   .e_shstrndx = STRTAB,
                                   .e_shoff = offsetof(struct made, sections)}};
    memcpy(made.header.e_ident, ELFMAG "\x02\x01\x01", 7);
    memcpy(made.text, caller, sizeof caller);
    memcpy(made.strings, NAMES, sizeof NAMES);
    strcpy(made.strings + NAME_CALLEE, callee);
    section(&made, TEXT, SHT_PROGBITS, made.text, sizeof caller);
    section(&made, RELA, SHT_RELA, &made.rela, sizeof made.rela);
    section(&made, CONSTANTS, SHT_PROGBITS, made.constants, sizeof made.constants);
    section(&made, SYMTAB, SHT_SYMTAB, made.symbols, sizeof made.symbols);
    section(&made, STRTAB, SHT_STRTAB, made.strings, sizeof made.strings);
    made.sections[TEXT].sh_flags = SHF_ALLOC | SHF_EXECINSTR;
    made.sections[TEXT].sh_name = NAME_TEXT;
    made.sections[CONSTANTS].sh_flags = SHF_ALLOC;
    made.sections[CONSTANTS].sh_name = NAME_CONSTANTS;
    made.sections[RELA].sh_info = TEXT;
    made.sections[SYMTAB].sh_link = STRTAB;
    made.symbols[1] = (Elf64_Sym){.st_name = NAME_FUNC,
                                  .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
                                  .st_shndx = TEXT,
                                  .st_size = sizeof caller};
    made.symbols[2] = (Elf64_Sym){.st_name = NAME_CALLEE, .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_NOTYPE)};
    made.symbols[3] = (Elf64_Sym){.st_info = ELF64_ST_INFO(STB_LOCAL, STT_SECTION), .st_shndx = CONSTANTS};
    made.rela = (Elf64_Rela){.r_offset = CALL_AT, .r_info = ELF64_R_INFO(2, kind), .r_addend = -4};
    return made;
}

static const struct wasm_type type = {.hash = 0x1122334455667788};
static struct wasm_func func;
/* A table of four entries, of which the second is the function. */
static const uint8_t offset[] = {0x41, 1, 0x0b};
static const uint32_t entries[] = {0};
static struct wasm_elem elem = {.mode = WASM_ACTIVE, .offset = {0, sizeof offset}, .count = 1, .funcs = entries};
static struct wasm_table table = {.import = WASM_NO_INDEX, .limits = {.min = 4}};
static const struct wasm_module module = {.bytes = offset,
                                          .size = 6, /* no more words of targets */
                                          .types = (struct wasm_type *)&type,
                                          .type_count = 1,
                                          .funcs = &func,
                                          .func_count = 1,
                                          .tables = &table,
                                          .table_count = 1,
                                          .elems = &elem,
                                          .elem_count = 1};
static struct func_place place = {.link = FUNC_DEFINED};
static bool late;
static const struct unit unit = {.module = &module, .funcs = &place, .late = {.elems = &late}};
static struct err err;

static size_t no_decoder(void *arg, const uint8_t *at, size_t left)
{
    (void)arg, (void)at, (void)left;
    return 0;
}

static bool link_made(const struct made *made, size_t size, struct code *ret_code)
{
    const struct link_object object = {(const uint8_t *)made, size};
    struct link_piece piece = {.symbol = {CODE_FUNC, 0, 0}};
    struct buf bytes;
    err = (struct err){0};
    code_init(ret_code);
    buf_init(&bytes, 1 << 20);
    bool done = piece_cut(object, 0, no_decoder, NULL, &bytes, &err) &&
                piece_read(bytes.data, bytes.size, &piece.piece, &err) &&
                link_pieces(&piece, 1, &unit, 1, ret_code, &err);
    buf_free(&bytes);
    return done;
}

static void refused(const struct made *made, const char *words)
{
    struct code code;
    assert_false(link_made(made, sizeof *made, &code));
    assert_int_equal(err.kind, ERR_SYSTEM);
    if (!strstr(err.message, words))
        fail_msg("\"%s\" does not say \"%s\"", err.message, words);
    code_free(&code);
}

static int32_t word_at(const struct code *code, uint64_t off)
{
    int32_t word;
    memcpy(&word, code->text.data + off, sizeof word);
    return word;
}

static void a_call_of_itself(void **state)
{
    (void)state;
    struct code code;
    struct made made = make("F0_0", R_X86_64_PLT32); /* the function's other name */
    uint64_t hash;
    assert_true(link_made(&made, sizeof made, &code));
    assert_int_equal(code.funcs.count, 1);
    struct code_func *f = &code.funcs.items[0];
    assert_int_equal(f->kind, CODE_FUNC);
    assert_int_equal(f->frame_size, 32);
    assert_int_equal(word_at(&code, f->code_off + CALL_AT), -CALL_AT - 4);
    memcpy(&hash, code.text.data + f->code_off - 8, 8);
    assert_int_equal(hash, type.hash);
    code_free(&code);
}

static void code_keeps_its_alignment(void **state)
{
    (void)state;
    for (uint64_t align = 1; align <= PIECE_ALIGN_MAX; align *= 2) {
        struct code code;
        struct made made = make("f0_0", R_X86_64_PLT32);
        made.sections[TEXT].sh_addralign = align;
        assert_true(link_made(&made, sizeof made, &code));
        assert_int_equal(code.funcs.items[0].code_off % align, 0);
        assert_int_equal(code.funcs.items[0].code_off % 16, 0);
        code_free(&code);
    }
    struct made made = make("f0_0", R_X86_64_PLT32);
    made.sections[TEXT].sh_addralign = 24;
    refused(&made, "malformed");
}

static void constants_follow_on_a_page(void **state)
{
    (void)state;
    struct code code;
    struct made made = make("", R_X86_64_PC32);
    made.rela.r_info = ELF64_R_INFO(3, R_X86_64_PC32);
    made.constants[0] = 0x5a;
    assert_true(link_made(&made, sizeof made, &code));
    assert_int_equal(code.exec_size, 4096);
    assert_int_equal(code.text.data[4096], 0x5a);
    assert_int_equal(word_at(&code, code.funcs.items[0].code_off + CALL_AT),
                     4096 - 4 - (int)(code.funcs.items[0].code_off + CALL_AT));
    code_free(&code);
}

static void library_routines_come_along(void **state)
{
    (void)state;
    static const char *const names[] = {"memcpy", "memset", "memmove"};
    for (size_t i = 0; i < 3; i++) {
        struct code code;
        struct made made = make(names[i], R_X86_64_PLT32);
        assert_true(link_made(&made, sizeof made, &code));
        assert_int_equal(code.funcs.count, 2);
        assert_int_equal(code.funcs.items[1].kind, CODE_ROUTINE);
        assert_int_equal(code.text.data[code.funcs.items[1].code_off + code.funcs.items[1].code_size - 1], 0xc3);
        code_free(&code);
    }
}

/* Where a word of the targets leads to. */
static uint32_t target(const struct code *code, uint64_t targets, uint32_t index)
{
    return (uint32_t)((int64_t)targets + word_at(code, targets + index * sizeof(int32_t)));
}

/* The number in the trap that the code there ends with. */
static uint8_t trap_at(const struct code *code, uint32_t off)
{
    for (size_t i = 0; i < code->funcs.count; i++)
        if (code->funcs.items[i].code_off == off && code->funcs.items[i].kind == CODE_ROUTINE)
            return code->text.data[off + code->funcs.items[i].code_size - 1];
    fail_msg("no routine at %u", off);
    return 0;
}

static void targets_of_a_table(void **state)
{
    (void)state;
    struct code code;
    struct made made = make("c0_0", R_X86_64_PC32);
    assert_true(link_made(&made, sizeof made, &code));
    uint32_t start = code.funcs.items[0].code_off;
    uint64_t targets = (uint64_t)(start + CALL_AT + 4 + word_at(&code, start + CALL_AT));
    assert_true(targets >= code.exec_size && targets + 5 * sizeof(int32_t) <= code.text.size);
    assert_int_equal(target(&code, targets, 1), start);
    assert_int_equal(trap_at(&code, target(&code, targets, 0)), TRAP_UNINITIALIZED_ELEMENT);
    assert_int_equal(trap_at(&code, target(&code, targets, 2)), TRAP_UNINITIALIZED_ELEMENT);
    assert_int_equal(trap_at(&code, target(&code, targets, 3)), TRAP_UNINITIALIZED_ELEMENT);
    assert_int_equal(trap_at(&code, target(&code, targets, 4)), TRAP_UNDEFINED_ELEMENT);
    code_free(&code);
}

/* Other units, types and tables than there are, and a table whose entries are not known. */
static void targets_of_nothing(void **state)
{
    (void)state;
    static const char *const names[] = {"c1_0", "c0_1", "c0_1048576", "c0_4294967295"};
    for (size_t i = 0; i < 4; i++) {
        struct made made = make(names[i], R_X86_64_PC32);
        refused(&made, "targets that are unknown");
    }
    struct made made = make("c0_0", R_X86_64_PC32);
    late = true;
    refused(&made, "targets that are unknown");
    late = false;
    elem.count = 4; /* one more than there is room for */
    refused(&made, "targets that are unknown");
    elem.count = 1;
    table.limits.min = 9; /* too few of them are set */
    refused(&made, "targets that are unknown");
    table.limits.min = 4;
    table.has_init = true;
    refused(&made, "targets that are unknown");
    table.has_init = false;
    table.limits.min = 5; /* more words than the module has bytes for */
    refused(&made, "targets that are unknown");
    table.limits.min = 4;
    assert_true(targets_known(&unit, 0));
}

static void nothing_else_does(void **state)
{
    (void)state;
    struct made made = make("fmod", R_X86_64_PLT32);
    refused(&made, "\"fmod\"");
    static const uint32_t kinds[] = {R_X86_64_64, R_X86_64_32S, R_X86_64_GOTPCREL, R_X86_64_REX_GOTPCRELX,
                                     R_X86_64_TPOFF32};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        made = make("f0_0", kinds[i]);
        refused(&made, "a relocation of kind");
    }
}

static void malformed_objects(void **state)
{
    (void)state;
    struct made made = make("f0_0", R_X86_64_PLT32);
    made.text[0] = 0x90;
    refused(&made, "without its frame");
    made = make("f0_0", R_X86_64_PLT32);
    made.rela.r_offset = sizeof caller - 3;
    refused(&made, "out of range");
    made = make("f0_0", R_X86_64_PLT32);
    made.rela.r_info = ELF64_R_INFO(77, R_X86_64_PLT32);
    refused(&made, "no symbol");
    made = make("f0_0", R_X86_64_PLT32);
    made.symbols[1].st_value = 4;
    refused(&made, "does not fill");
    made = make("f0_0", R_X86_64_PLT32);
    made.sections[TEXT].sh_size = 1 << 20;
    refused(&made, "malformed");
    made = make("f0_0", R_X86_64_PLT32);
    made.header.e_shoff = sizeof made;
    refused(&made, "section table");
    made = make("f0_0", R_X86_64_PLT32);
    made.sections[CONSTANTS].sh_flags |= SHF_WRITE;
    made.rela.r_info = ELF64_R_INFO(3, R_X86_64_PC32);
    refused(&made, "a section that images do not have");
}

/* Every byte of an object may be wrong: nothing but an answer may come of it. */
static void damaged_objects(void **state)
{
    (void)state;
    static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff};
    for (size_t at = 0; at < sizeof(struct made); at++)
        for (size_t v = 0; v < sizeof values; v++) {
            struct code code;
            struct made made = make("memcpy", R_X86_64_PLT32);
            ((uint8_t *)&made)[at] = values[v];
            bool done = link_made(&made, sizeof made, &code);
            assert_true(done || err.kind != ERR_NONE);
            code_free(&code);
        }
    for (size_t size = 0; size < sizeof(struct made); size++) {
        struct code code;
        struct made made = make("memcpy", R_X86_64_PLT32);
        link_made(&made, size, &code);
        code_free(&code);
    }
}

static void prologues(void **state)
{
    (void)state;
    static const uint8_t none[] = {0x55, 0x48, 0x89, 0xe5, 0xc3};
    static const uint8_t word[] = {0x55, 0x48, 0x89, 0xe5, 0x50, 0xc3};
    static const uint8_t large[] = {0x55, 0x48, 0x89, 0xe5, 0x48, 0x81, 0xec, 0x40, 1, 0, 0, 0xc3};
    static const uint8_t pages[] = {0x55, 0x48, 0x89, 0xe5, 0x48, 0x81, 0xec, 0,    0x10, 0,    0,    0x48,
                                    0xc7, 4,    0x24, 0,    0,    0,    0,    0x48, 0x83, 0xec, 0x10, 0xc3};
    static const uint8_t loop[] = {0x55, 0x48, 0x89, 0xe5, 0x49, 0x89, 0xe3, 0x49, 0x81, 0xeb, 0,    0x80, 1, 0,
                                   0x48, 0x81, 0xec, 0,    0x10, 0,    0,    0x48, 0xc7, 4,    0x24, 0,    0, 0,
                                   0,    0x4c, 0x39, 0xdc, 0x75, 0xec, 0x48, 0x81, 0xec, 0xa0, 6,    0,    0, 0xc3};
    assert_int_equal(object_frame_size(none, sizeof none), 0);
    assert_int_equal(object_frame_size(word, sizeof word), 8);
    assert_int_equal(object_frame_size(large, sizeof large), 0x140);
    assert_int_equal(object_frame_size(pages, sizeof pages), 0x1010);
    assert_int_equal(object_frame_size(loop, sizeof loop), 0x186a0);
    assert_int_equal(object_frame_size(none, 3), UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_of_itself),
        cmocka_unit_test(code_keeps_its_alignment),
        cmocka_unit_test(constants_follow_on_a_page),
        cmocka_unit_test(library_routines_come_along),
        cmocka_unit_test(targets_of_a_table),
        cmocka_unit_test(targets_of_nothing),
        cmocka_unit_test(nothing_else_does),
        cmocka_unit_test(malformed_objects),
        cmocka_unit_test(damaged_objects),
        cmocka_unit_test(prologues),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
