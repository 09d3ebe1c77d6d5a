/* Hostile modules through the whole compiler and into the runtime: mutated modules that still validate become
 * images that pass the check, and what instances keep of another instance's exceptions is nothing. */
#include "codegen/codegen.h"
#include "compile/build.h"
#include "image/format.h"
#include "runtime/link.h"
#include "runtime/snapshot.h"
#include "runtime/task.h"
#include "support/load.h"
#include "support/mutate.h"
#include "wasm/build.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

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
    struct program *program = load_module(keeps_exception, sizeof keeps_exception, 0);
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

/* A recursion group of 20,000 types, as compilers of large programs make them, takes what its size is worth. */
static void large_groups_of_types(void **state)
{
    struct buf module = build_module(), types = build_new(), body = build_new();
    struct err err = {0};
    struct buf image = build_new();
    const struct compile_options options = {.opt_level = 0};
    BYTES(&types, 1, 0x4e);
    build_u32(&types, 20001);
    BYTES(&types, 0x60, 0, 0);
    for (int i = 0; i < 20000; i++)
        BYTES(&types, 0x5f, 2, 0x7f, 1, 0x63, 0, 1);
    build_section(&module, 1, types);
    SECTION(&module, 3, 1, 0);
    BYTES(&body, 0);
    for (int i = 0; i < 1000; i++)
        BYTES(&body, 0x10, 0);
    BYTES(&body, 0x0b);
    build_code(&module, body);
    mem_peak();
    if (!compile_build(module.data, module.size, &options, codegen_llvm, &image, &err))
        fail_msg("%s", err.message);
    assert_true(mem_peak() < (uint64_t)128 << 20);
    buf_free(&image);
    buf_free(&module);
}

static unsigned instances;

static bool never_called(struct store *store, const void *env, union cell *v)
{
    return trap_raise(store, TRAP_HOST, "a guest that was not started calls the host");
}

static bool accept(void *arg, const struct image *image, const struct image_import *import, host_fn **ret_fn,
                   const void **ret_env, struct err *err)
{
    *ret_fn = never_called;
    *ret_env = NULL;
    return true;
}

/* Start functions are what may not end; initializers, which also run in starts, do. */
static bool has_start(const uint8_t *source, size_t size)
{
    struct arena arena;
    struct wasm_module *module;
    arena_init(&arena, (size_t)1 << 28);
    bool start = !wasm_load(source, size, &arena, &module, NULL) || module->start != WASM_NO_INDEX;
    arena_free(&arena);
    return start;
}

static bool find_nothing(void *arg, struct str module, struct str name, struct link_extern *ret_extern)
{
    return false;
}

static struct slot *make_instance(struct program *program, struct err *err)
{
    struct slot *slot = NULL;
    if (!program->image.header->joinable)
        return slot_acquire(program, err);
    instance_link(NULL, program, find_nothing, NULL, NULL, &slot, NULL, err);
    return slot;
}

/* Loaded from a file as by anyone, and an instance made. What may stand in the way is a limit of addresses, a trap of
 * initializers, or an import. */
static void instantiate(const struct buf *image, uint64_t seed)
{
    struct err err = {0};
    int fd = memfd_create("hostile", MFD_CLOEXEC);
    assert_int_equal(write(fd, image->data, image->size), (ssize_t)image->size);
    struct program *program = program_load(fd, "hostile", accept, NULL, &err);
    struct slot *slot = program ? make_instance(program, &err) : NULL;
    close(fd);
    if (!slot && err.kind != ERR_TRAP && err.kind != ERR_SYSTEM && err.kind != ERR_LINK)
        fail_msg("MUTATE_SEED=%llu: kind %d: %s", (unsigned long long)seed, err.kind, err.message);
    if (slot)
        slot_destroy(slot);
    if (program)
        program_unload(program);
    instances += slot != NULL;
}

/* Whoever is refused says why; whoever is not makes an image that passes the check and can be loaded. */
static bool compile(const uint8_t *source, size_t size, uint64_t seed)
{
    struct buf image;
    struct err err = {0};
    bool fast = seed / 2 % 2;
    const struct compile_options options = {.tier = fast ? TIER_FAST : TIER_BEST, .opt_level = 0, .open = seed % 2};
    buf_init(&image, (size_t)1 << 28);
    bool done = compile_build(source, size, &options, fast ? codegen_fast : codegen_llvm, &image, &err);
    if (done && !image_check(image.data, image.size, &err))
        fail_msg("MUTATE_SEED=%llu: %s", (unsigned long long)seed, err.message);
    if (done && !has_start(source, size))
        instantiate(&image, seed);
    buf_free(&image);
    assert_true(done || (err.kind != ERR_NONE && err.message[0] != '\0'));
    return done;
}

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void mutated_modules_make_sound_images(void **state)
{
    struct corpus corpus = {0};
    uint64_t first = mutate_seed(), slowest_seed = 0;
    uint32_t count = mutate_count(4000, 100000), made = 0;
    double slowest = 0;
    struct rusage usage;
    corpus_fill(&corpus, SOURCE_DIR, mutate_count(2048, 32768));
    corpus_add(&corpus, keeps_exception, sizeof keeps_exception, 2048);
    for (uint32_t i = 0; i < count; i++) {
        struct dice dice = dice_of(first + i);
        size_t size;
        uint8_t *bytes = mutate_any(&corpus, &dice, &size);
        double start = seconds_now();
        assert_non_null(bytes);
        made += compile(bytes, size, first + i);
        if (seconds_now() - start > slowest)
            slowest = seconds_now() - start, slowest_seed = first + i;
        free(bytes);
    }
    getrusage(RUSAGE_SELF, &usage);
    print_message("%u of %u made images, %u of them instances; slowest %.0f ms (MUTATE_COUNT=1 MUTATE_SEED=%llu), "
                  "the process took %ld MiB\n",
                  made, count, instances, slowest * 1e3, (unsigned long long)slowest_seed, usage.ru_maxrss >> 10);
    corpus_free(&corpus);
    stack_drain();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exceptions_do_not_outlive_their_instance),
        cmocka_unit_test(large_groups_of_types),
        cmocka_unit_test(mutated_modules_make_sound_images),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
