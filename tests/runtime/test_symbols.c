/* What perf and gdb are told: each function's name at its place, once, and nothing after the program has gone. */
#include "compile/build.h"
#include "runtime/symbols.h"
#include "runtime/task.h"

#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static struct program *program;

static bool no_imports(void *arg, const struct image *image, const struct image_import *import, host_fn **ret_fn,
                       const void **ret_env, struct err *err)
{
    return err_set(err, ERR_LINK, "no imports here");
}

/* Two functions: the first returns 7, is exported as f and has a name with a line feed, the second has none. */
static const uint8_t module[] = {
    0,   'a', 's', 'm',  1,   0,    0,    0,                            /* header */
    1,   5,   1,   0x60, 0,   1,    0x7f,                               /* type: () -> i32 */
    3,   3,   2,   0,    0,                                             /* functions */
    7,   5,   1,   1,    'f', 0,    0,                                  /* export f */
    10,  11,  2,   4,    0,   0x41, 7,    0x0b, 4, 0, 0x41, 8, 0x0b,    /* code */
    0,   16,  4,   'n',  'a', 'm',  'e',  1,    9, 1, 0,    6, 'a',  '\n', /* names */
    'b', ' ', 'c', 'd',
};

static int load(void **state)
{
    (void)state;
    struct err err = {0};
    struct buf image;
    const struct compile_options options = {0};
    buf_init(&image, 1 << 24);
    if (!compile_build(module, sizeof module, &options, codegen_fast, &image, &err))
        fail_msg("%s", err.message);
    int fd = memfd_create("symbols", MFD_CLOEXEC);
    assert_int_equal(write(fd, image.data, image.size), (ssize_t)image.size);
    program = program_load(fd, "symbols", no_imports, NULL, &err);
    if (!program)
        fail_msg("%s", err.message);
    close(fd);
    buf_free(&image);
    return 0;
}

static int unload(void **state)
{
    (void)state;
    program_unload(program);
    return 0;
}

static uint64_t address_of(uint32_t func)
{
    const struct image_func *funcs = image_funcs(&program->image);
    for (uint64_t i = 0; i < image_funcs_count(&program->image); i++)
        if (funcs[i].kind == IMAGE_FUNC && funcs[i].func == func)
            return (uint64_t)program->image.base + funcs[i].code_off;
    fail_msg("no function %u", func);
    return 0;
}

/* ---- the object for gdb ---- */

static const Elf64_Shdr *section(const struct buf *elf, const char *name)
{
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)elf->data;
    const Elf64_Shdr *rows = (const Elf64_Shdr *)(elf->data + header->e_shoff);
    const char *names = (const char *)elf->data + rows[header->e_shstrndx].sh_offset;
    for (unsigned i = 0; i < header->e_shnum; i++) {
        if (rows[i].sh_type != SHT_NOBITS)
            assert_true(rows[i].sh_offset + rows[i].sh_size <= elf->size);
        if (strcmp(names + rows[i].sh_name, name) == 0)
            return &rows[i];
    }
    fail_msg("no section %s", name);
    return NULL;
}

static void expect_symbol(const struct buf *elf, const char *name, uint64_t address)
{
    const Elf64_Shdr *symbols = section(elf, ".symtab"), *text = section(elf, ".text");
    const char *names = (const char *)elf->data + section(elf, ".strtab")->sh_offset;
    const Elf64_Sym *rows = (const Elf64_Sym *)(elf->data + symbols->sh_offset);
    unsigned found = 0;
    for (uint64_t i = 0; i < symbols->sh_size / sizeof *rows; i++)
        if (strcmp(names + rows[i].st_name, name) == 0) {
            assert_int_equal(text->sh_addr + rows[i].st_value, address);
            assert_true(rows[i].st_size > 0);
            found++;
        }
    assert_int_equal(found, 1);
}

static void object_names_functions(void **state)
{
    (void)state;
    struct buf elf;
    assert_true(symbols_elf(program, &elf));
    assert_memory_equal(elf.data, ELFMAG, SELFMAG);
    assert_int_equal(section(&elf, ".text")->sh_addr, program->text_low);
    expect_symbol(&elf, "a?b cd", address_of(0));
    expect_symbol(&elf, "wasm0.function1", address_of(1));
    assert_true(section(&elf, ".debug_frame")->sh_size > 0);
    assert_true(section(&elf, ".debug_line")->sh_size > 0);
    buf_free(&elf);
}

extern struct {
    uint32_t version, action;
    void *relevant, *first;
} __jit_debug_descriptor;

static void registration_ends(void **state)
{
    (void)state;
    struct err err = {0};
    assert_null(__jit_debug_descriptor.first);
    assert_true(symbols_for_gdb(program, &err));
    assert_true(symbols_for_gdb(program, &err));
    assert_non_null(__jit_debug_descriptor.first);
    symbols_forget(program);
    assert_null(__jit_debug_descriptor.first);
}

static void memory_may_end_anywhere(void **state)
{
    (void)state;
    bool done = false;
    for (uint64_t nth = 1; !done && nth < 100; nth++) {
        struct err err = {0};
        mem_fail_at(nth);
        done = symbols_for_gdb(program, &err);
        mem_fail_at(0);
        assert_int_equal(err.kind, done ? ERR_NONE : ERR_MEMORY);
        assert_true(done == (__jit_debug_descriptor.first != NULL));
    }
    assert_true(done);
    symbols_forget(program);
}

/* ---- the map for perf ---- */

static void call_f(struct task *task)
{
    static const uint8_t i32 = 0x7f;
    union cell result = {0};
    const struct image_export *export = program_export(program, STR(""), STR("f"));
    assert_true(guest_call(task->slot->store, export->funcref, &i32, 0, 1, &result));
    *(int32_t *)task->arg = result.i32;
}

static int32_t run_f(void)
{
    struct err err = {0};
    struct task task = {0};
    int32_t result = 0;
    struct slot *slot = slot_acquire(program, &err);
    assert_non_null(slot);
    assert_true(task_start(&task, slot, call_f, &result, NULL, &err));
    slot_release(slot);
    return result;
}

/* Of another program of the same file nothing is left to tell. */
static void map_names_functions(void **state)
{
    (void)state;
    struct err err = {0};
    char path[64], line[600], wanted[128];
    unsigned found = 0, lines = 0;
    int fd = dup(program->fd);
    assert_int_equal(run_f(), 7);
    assert_true(symbols_for_perf(program, &err));
    assert_int_equal(run_f(), 7); /* from its new place */
    struct program *other = program_load(fd, "other", no_imports, NULL, &err);
    assert_non_null(other);
    assert_true(symbols_for_perf(other, &err));
    program_unload(other);
    close(fd);
    snprintf(path, sizeof path, "/tmp/perf-%ld.map", (long)getpid());
    FILE *map = fopen(path, "r");
    assert_non_null(map);
    snprintf(wanted, sizeof wanted, "%llx ", (unsigned long long)address_of(0));
    for (; fgets(line, sizeof line, map); lines++)
        found += strncmp(line, wanted, strlen(wanted)) == 0 && strstr(line, " a?b cd\n") != NULL;
    fclose(map);
    unlink(path);
    assert_int_equal(found, 1);
    assert_int_equal(lines, image_funcs_count(&program->image));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(object_names_functions),
        cmocka_unit_test(registration_ends),
        cmocka_unit_test(memory_may_end_anywhere),
        cmocka_unit_test(map_names_functions),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
