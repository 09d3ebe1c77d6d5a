/* Hostile modules through the whole compiler and into the runtime: mutated modules that still validate become
 * images that pass the check, and what instances keep of another instance's exceptions is nothing. */
#include "codegen/codegen.h"
#include "compile/build.h"
#include "image/format.h"
#include "runtime/task.h"
#include "support/mutate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static bool refuse(void *arg, const struct image *image, const struct image_import *import, host_fn **ret_fn,
                   const void **ret_env, struct err *err)
{
    return err_set(err, ERR_LINK, "no imports here");
}

static struct program *load(const uint8_t *source, size_t size, int opt_level)
{
    struct buf image;
    struct err err = {0};
    const struct compile_options options = {.opt_level = opt_level};
    buf_init(&image, (size_t)1 << 30);
    if (!compile_build(source, size, &options, codegen_llvm, &image, &err))
        fail_msg("offset 0x%llx: %s", (unsigned long long)err.offset, err.message);
    int fd = memfd_create("hostile", MFD_CLOEXEC);
    assert_int_equal(write(fd, image.data, image.size), (ssize_t)image.size);
    struct program *program = program_load(fd, "hostile", refuse, NULL, &err);
    if (!program)
        fail_msg("%s", err.message);
    close(fd);
    buf_free(&image);
    return program;
}

/* The start function keeps a caught exception in a global; the export "x" throws it again. */
static const uint8_t keeps_exception[] = {
    0, 'a',  's',  'm',  1,    0, 0,    0,    1,    4, 1,    0x60, 0,    0,    3, 3,    2, 0, 0,    13, 3,    1,    0,
    0, 6,    6,    1,    0x69, 1, 0xd0, 0x69, 0x0b, 7, 5,    1,    1,    'x',  0, 1,    8, 1, 0,    10, 24,   2,    16,
    0, 0x02, 0x69, 0x1f, 0x40, 1, 3,    0,    0x08, 0, 0x0b, 0x00, 0x0b, 0x24, 0, 0x0b, 5, 0, 0x23, 0,  0x0a, 0x0b,
};

struct outcome {
    bool started, returned;
    const struct image_export *row;
};

static void start_and_throw(struct task *task)
{
    static const uint8_t no_types[1];
    struct outcome *outcome = task->arg;
    outcome->started = program_start(task->slot);
    if (outcome->started)
        outcome->returned = guest_call(task->slot->store, outcome->row->funcref, no_types, 0, 0, NULL);
}

static void exceptions_do_not_outlive_their_instance(void **state)
{
    static struct task task;
    struct err err = {0};
    struct program *program = load(keeps_exception, sizeof keeps_exception, 0);
    assert_true(program->start_each_time);
    struct outcome outcome = {.row = program_export(program, STR(""), STR("x"))};
    struct slot *slot = slot_acquire(program, &err);
    assert_non_null(slot);
    assert_non_null(outcome.row);
    assert_true(task_start(&task, slot, start_and_throw, &outcome, NULL, &err));
    assert_true(outcome.started);
    assert_false(outcome.returned);
    assert_int_equal(task.report.trap, TRAP_UNCAUGHT_EXCEPTION);
    slot_destroy(slot);
    program_unload(program);
}

/* Whoever is refused says why; whoever is not makes an image that passes the check. */
static bool compile(const uint8_t *source, size_t size, uint64_t seed)
{
    struct buf image;
    struct err err = {0};
    const struct compile_options options = {.opt_level = 0};
    buf_init(&image, (size_t)1 << 28);
    bool done = compile_build(source, size, &options, codegen_llvm, &image, &err);
    if (done && !image_check(image.data, image.size, &err))
        fail_msg("MUTATE_SEED=%llu: %s", (unsigned long long)seed, err.message);
    buf_free(&image);
    assert_true(done || (err.kind != ERR_NONE && err.message[0] != '\0'));
    return done;
}

static void mutated_modules_make_sound_images(void **state)
{
    struct corpus corpus = {0};
    uint64_t first = mutate_seed();
    uint32_t count = mutate_count(400, 10000), made = 0;
    corpus_fill(&corpus, SOURCE_DIR, 2048);
    corpus_add(&corpus, keeps_exception, sizeof keeps_exception, 2048);
    for (uint32_t i = 0; i < count; i++) {
        struct dice dice = dice_of(first + i);
        size_t size;
        uint8_t *bytes = mutate_any(&corpus, &dice, &size);
        assert_non_null(bytes);
        made += compile(bytes, size, first + i);
        free(bytes);
    }
    print_message("%u of %u made images\n", made, count);
    corpus_free(&corpus);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exceptions_do_not_outlive_their_instance),
        cmocka_unit_test(mutated_modules_make_sound_images),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
