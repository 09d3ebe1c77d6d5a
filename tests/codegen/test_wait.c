/* What an atomic wait gives where nobody else can run: differs, timed out, and a trap instead of hanging. */
#include "base/alloc.h"
#include "compile/build.h"
#include "runtime/task.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static const uint8_t waits[] = {
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00,                                     /* module */
    0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7f,                                           /* type 0: () -> i32 */
    0x03, 0x05, 0x04, 0x00, 0x00, 0x00, 0x00,                                           /* four functions */
    0x05, 0x04, 0x01, 0x03, 0x01, 0x01,                                                 /* a shared memory */
    0x07, 0x11, 0x04, 0x01, 'd',  0x00, 0x00, 0x01, 't',  0x00, 0x01, 0x01, 'e',  0x00, 0x02,
    0x01, 'c',  0x00, 0x03, 0x0a, 0x38, 0x04, /* memory.atomic.wait32 of 0 */
    0x0c, 0x00, 0x41, 0x00, 0x41, 0x01, 0x42, 0x7f, 0xfe, 0x01, 0x02, 0x00, 0x0b, /* for 1, for ever */
    0x0d, 0x00, 0x41, 0x00, 0x41, 0x00, 0x42, 0xe8, 0x07, 0xfe, 0x01, 0x02, 0x00, 0x0b, /* for 0, a microsecond */
    0x0c, 0x00, 0x41, 0x00, 0x41, 0x00, 0x42, 0x7f, 0xfe, 0x01, 0x02, 0x00, 0x0b, /* for 0, for ever */
    0x0e, 0x00, 0x41, 0x00, 0x3f, 0x00, 0x45, 0x3f, 0x00, 0xad, 0xfe, 0x01, 0x02, 0x00, 0x0b, /* both are computed */
};

static struct program *program;
static struct task task;

struct call {
    const struct image_export *row;
    union cell result;
    bool returned;
};

static bool no_hosts(void *arg, const struct image *image, const struct image_import *import, host_fn **ret_fn,
                     const void **ret_env, struct err *err)
{
    return err_set(err, ERR_LINK, "no host here");
}

static void load(generator_fn *generate)
{
    struct err err = {0};
    struct buf image;
    const struct compile_options options = {.opt_level = 2};
    buf_init(&image, (size_t)1 << 24);
    if (!compile_build(waits, sizeof waits, &options, generate, &image, &err))
        fail_msg("%s", err.message);
    int fd = memfd_create("wait", MFD_CLOEXEC);
    assert_int_equal(write(fd, image.data, image.size), (ssize_t)image.size);
    program = program_load(fd, "wait", no_hosts, NULL, &err);
    assert_non_null(program);
    close(fd);
    buf_free(&image);
}

static void body(struct task *task)
{
    struct call *call = task->arg;
    const uint8_t *types = image_bytes(&program->image) + call->row->types_first;
    call->returned = guest_call(task->slot->store, call->row->funcref, types, 0, 1, &call->result);
}

static struct call call(const char *name)
{
    struct err err = {0};
    struct call call = {.row = program_export(program, STR(""), str_of(name))};
    struct slot *slot = slot_acquire(program, &err);
    assert_true(trap_install(&err));
    assert_true(task_start(&task, slot, body, &call, NULL, &err));
    slot_release(slot);
    return call;
}

static void waiting(generator_fn *generate)
{
    load(generate);
    struct call differs = call("d"), timed_out = call("t"), endless = call("e");
    assert_int_equal(task.report.trap, TRAP_ENDLESS_WAIT);
    struct call computed = call("c");
    assert_true(differs.returned);
    assert_int_equal(differs.result.u32, 1);
    assert_true(timed_out.returned);
    assert_int_equal(timed_out.result.u32, 2);
    assert_false(endless.returned);
    assert_true(computed.returned);
    assert_int_equal(computed.result.u32, 2);
    program_unload(program);
}

static void made_by_llvm(void **state)
{
    waiting(codegen_llvm);
}

static void made_by_the_fast_generator(void **state)
{
    waiting(codegen_fast);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(made_by_llvm), cmocka_unit_test(made_by_the_fast_generator)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
