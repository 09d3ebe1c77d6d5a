/* Small functions on which a generator, mostly the fast one, was once wrong, each with its result. A row
 * is the body of a function [i32] -> [i32] with some locals behind its parameter; there are a page of memory and a tag
 * of sixteen i64. */
#include "codegen/codegen.h"
#include "compile/build.h"
#include "runtime/task.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define TIMES_4(bytes) bytes bytes bytes bytes
#define TIMES_16(bytes) TIMES_4(TIMES_4(bytes))
#define BODY(text) text, sizeof text - 1
#define ARGUMENT 5

static const struct row {
    const char *what, *body;
    size_t size;
    uint32_t result;
} rows[] = {
    /* local 1: f64, 2: i64, 3: v128, 4 to 15: i32 */
    {"two names for a local that is set, and only in a register",
     BODY("\x20\x00\x41\x01\x6a\x21\x00\x20\x00\x20\x00\x41\x07\x21\x00\x6a"), 12},
    {"more names for locals at a block than there are registers",
     BODY("\x20\x00\xb7\x21\x01" TIMES_16("\x20\x01") "\x02\x40\x0b" TIMES_4("\xa0\xa0\xa0") "\xa0\xa0\xa0\xaa"), 80},
    {"an exchange whose new value is in the local that gets the old one",
     BODY("\x42\x07\x21\x02\x41\x08\x42\x00\x20\x02\xfe\x49\x03\x00\x21\x02\x41\x08\x28\x02\x00"), 7},
    {"more values thrown than there are registers",
     BODY("\x02\x40\x1f\x40\x01\x02\x00" TIMES_4(
         "\x20\x00\xad\x20\x00\xad\x20\x00\xad\x20\x00\xad") "\x08\x00\x0b\x0b\x41\x09"),
     9},
    {"constants compared by lanes of different sizes",
     BODY("\xfd\x0c\xfe\x3f\x00\x00\x00\x00\x00\x00\xce\x20\x99\xf0\xc5\x5a\xb5\x00\xfd\x0c\x12\x00\x00\x00\x00\x00\x00"
          "\x00\x33\x3b\xb3\x89\x58\xb9\x90\x3f\xfd\x33"
          "\xfd\x0c\x92\xff\xff\xff\xff\xff\xff\xff\x06\x00\x00\x00\x00\x00\x00\x00\xfd\xd8\x01\xfd\x84\x01"),
     255},
    {"the same, of locals",
     BODY("\xfd\x0c\xfe\x3f\x00\x00\x00\x00\x00\x00\xce\x20\x99\xf0\xc5\x5a\xb5\x00\x21\x03\x20\x03\x20\x03\xfd\x33"
          "\xfd\x0c\x92\xff\xff\xff\xff\xff\xff\xff\x06\x00\x00\x00\x00\x00\x00\x00\xfd\xd8\x01\xfd\x84\x01"),
     240},
    {"a loop with constants as parameters that reads more locals than there are registers",
     BODY("\x41\x01\x41\x02\x41\x03\x03\x02\x6a\x6a\x20\x04\x6a\x20\x05\x6a\x20\x06\x6a\x20\x07\x6a\x20\x08\x6a\x20\x09"
          "\x6a"
          "\x20\x0a\x6a\x20\x0b\x6a\x20\x0c\x6a\x21\x0e\x41\x01\x41\x01\x41\x01\x20\x04\x0d\x00\x1a\x1a\x1a\x0b\x20"
          "\x0e"),
     6},
};

static struct task task;

struct call {
    struct program *program;
    union cell cells[1];
    bool returned;
};

static bool no_hosts(void *arg, const struct image *image, const struct image_import *import, host_fn **ret_fn,
                     const void **ret_env, struct err *err)
{
    (void)arg, (void)image, (void)import, (void)ret_fn, (void)ret_env;
    return err_set(err, ERR_LINK, "no host here");
}

/* Section `id` with contents that are short. */
static void put_section(struct buf *module, uint8_t id, const char *content, size_t size)
{
    const uint8_t head[] = {id, (uint8_t)size};
    assert_true(size < 128);
    buf_append(module, head, sizeof head);
    buf_append(module, content, size);
}

static void make_module(const struct row *row, struct buf *ret_module)
{
    static const char locals[] = "\x04\x01\x7c\x01\x7e\x01\x7b\x0c\x7f";
    struct buf code;
    const uint8_t head[] = {1, (uint8_t)(sizeof locals - 1 + row->size + 1)};
    buf_init(ret_module, 1000);
    buf_init(&code, 1000);
    buf_append(&code, head, sizeof head);
    buf_append(&code, locals, sizeof locals - 1);
    buf_append(&code, row->body, row->size);
    buf_append(&code, "\x0b", 1);
    buf_append(ret_module, "\0asm\1\0\0\0", 8);
    put_section(ret_module, 1,
                BODY("\x03\x60\x01\x7f\x01\x7f\x60\x10" TIMES_16("\x7e") "\x00\x60\x03\x7f\x7f\x7f\x00"));
    put_section(ret_module, 3, BODY("\x01\x00"));
    put_section(ret_module, 5, BODY("\x01\x00\x01"));
    put_section(ret_module, 13, BODY("\x01\x00\x01"));
    put_section(ret_module, 7, BODY("\x01\x01\x66\x00\x00"));
    put_section(ret_module, 10, (const char *)code.data, code.size);
    buf_free(&code);
}

static struct program *load(const struct row *row, generator_fn *generate, int opt_level)
{
    const struct compile_options options = {.opt_level = opt_level};
    struct err err = {0};
    struct buf module, image;
    make_module(row, &module);
    buf_init(&image, (size_t)1 << 24);
    if (!compile_build(module.data, module.size, &options, generate, &image, &err))
        fail_msg("%s: %s", row->what, err.message);
    int fd = memfd_create("fast", MFD_CLOEXEC);
    assert_int_equal(write(fd, image.data, image.size), (ssize_t)image.size);
    struct program *program = program_load(fd, "fast", no_hosts, NULL, &err);
    assert_non_null(program);
    close(fd);
    buf_free(&image);
    buf_free(&module);
    return program;
}

static void body(struct task *task)
{
    struct call *call = task->arg;
    const struct image_export *export = program_export(call->program, STR(""), STR("f"));
    const uint8_t *types = image_bytes(&call->program->image) + export->types_first;
    call->returned = guest_call(task->slot->store, export->funcref, types, 1, 1, call->cells);
}

static void run_rows(generator_fn *generate, int opt_level)
{
    struct err err = {0};
    assert_true(trap_install(&err));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct call call = {.program = load(&rows[i], generate, opt_level), .cells = {{.u32 = ARGUMENT}}};
        struct slot *slot = slot_acquire(call.program, &err);
        assert_true(task_start(&task, slot, body, &call, NULL, &err));
        slot_release(slot);
        program_unload(call.program);
        if (!call.returned || call.cells[0].u32 != rows[i].result)
            fail_msg("%s: %u", rows[i].what, call.cells[0].u32);
    }
}

#if MAYFLY_LLVM
static void made_by_llvm(void **state)
{
    (void)state;
    for (int level = 0; level <= 3; level++)
        run_rows(codegen_llvm, level);
}
#endif

static void made_by_the_fast_generator(void **state)
{
    (void)state;
    run_rows(codegen_fast, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#if MAYFLY_LLVM
        cmocka_unit_test(made_by_llvm),
#endif
        cmocka_unit_test(made_by_the_fast_generator),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
