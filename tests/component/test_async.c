/* Asynchronous calls, threads and streams between two components (fixtures/tasks.wat), and resources that are lent and
 * given away (fixtures/lending.wat), with both code generators: results, that what ends is used again, that what a
 * guest hoards is capped, and that nothing of an activity outlives it, however it ends. The official suite has the
 * cases; this is about the life of things. */
#include "component/load.h"

#include "codegen/codegen.h"
#include "compile/build.h"
#include "component/datum.h"
#include "runtime/deadline.h"
#include "runtime/stack.h"
#include "runtime/task.h"
#include "wasi/host.h"
#include "wasi/link.h"

#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum fixture { TASKS, LENDING, THREADS, TWINS, ERRORS, OPTIONS, PARAMS, STORAGE, CHAOS, FIXTURE_COUNT };
static const char *const files[] = {"tasks.wasm",   "lending.wasm", "threads.wasm", "twins.wasm", "errors.wasm",
                                    "options.wasm", "params.wasm",  "storage.wasm", "chaos.wasm"};

static struct {
    struct program *programs[FIXTURE_COUNT][2];
    uint32_t count; /* generators */
    struct wasi_link link;
    struct host_pool *pool;
} world;

#define ARGS_MAX 32

struct call {
    struct datum_func func;
    struct datum args[ARGS_MAX], result; /* those behind the first are 0 */
    struct arena arena;
    bool returned;
};

static void call_body(struct task *task)
{
    struct call *call = task->arg;
    call->returned = datum_call(task->slot->store, &call->func, call->args, &call->arena, &call->result);
}

/* Numbers, and options that are none. */
static bool takes_numbers(const struct func_type *type, uint32_t n)
{
    bool takes = type->param_count <= ARGS_MAX;
    for (uint32_t i = 0; takes && i < type->param_count; i++)
        takes = type->params[i].type->kind <= TYPE_F64 || (n == 0 && type->params[i].type->kind == TYPE_OPTION);
    return takes;
}

/* The result, or -1 with the trap's message. What is known of the call is gone afterwards. */
static int64_t call_in(struct slot *slot, struct host *host, const char *func, uint32_t n, char message[400])
{
    struct call *call = mem_alloc(1, sizeof *call);
    struct task task = {0};
    struct err err = {0};
    const struct program *program = slot->program;
    const struct image_export *row = program_export(program, STR(""), str_of(func));
    assert_non_null(row);
    if (!call)
        return snprintf(message, 400, "out of memory"), -1;
    arena_init(&call->arena, 1 << 20);
    call->args[0].bits = n;
    message[0] = '\0';
    bool started = datum_func_open(&program->image, row, NULL, &call->arena, &call->func, &err) &&
                   takes_numbers(&call->func.type, n) && task_start(&task, slot, call_body, call, host, &err);
    if (!started)
        snprintf(message, 400, "%s", err.message);
    else if (!call->returned)
        snprintf(message, 400, "%s%s", trap_text(slot->store->trap), slot->store->trap_message);
    int64_t result = started && call->returned ? (int64_t)call->result.bits : -1;
    arena_free(&call->arena);
    mem_free(call);
    return result;
}

static int64_t run(struct program *program, const char *func, uint32_t n, size_t memory_max, char message[400])
{
    const struct host_config config = {.name = "async", .memory_max = memory_max};
    struct err err = {0};
    struct slot *slot = slot_acquire(program, &err);
    if (!slot)
        return snprintf(message, 400, "%s", err.message), -1;
    struct host *host = host_begin(world.pool, &config, slot->store, NULL);
    int64_t result = host ? call_in(slot, host, func, n, message) : -1;
    if (host)
        host_end(host, result < 0);
    assert_null(slot->tasks); /* suspended threads ended with the activity */
    slot_release(slot);
    return result;
}

static void expect(enum fixture fixture, const char *func, uint32_t n, size_t memory_max, int64_t result)
{
    char message[400];
    for (uint32_t i = 0; i < world.count; i++) {
        int64_t got = run(world.programs[fixture][i], func, n, memory_max, message);
        if (got != result)
            fail_msg("%s %u: %lld (%s)", func, n, (long long)got, message);
    }
}

#define BYTES 1356 /* the sum of those that the client writes */

static void results(void **state)
{
    struct err err = {0};
    (void)state;
    assert_true(trap_install(&err));
    for (int again = 0; again < 3; again++) {
        expect(TASKS, "adds", 3, 0, 27);
        expect(TASKS, "sums", 1, 0, BYTES);
        expect(TASKS, "sums", 7, 0, 7 * BYTES);
        expect(TASKS, "texts", 1, 0, 15);
        expect(TASKS, "texts", 9, 0, 9 * 15);
        expect(ERRORS, "errors", 5, 0, 5);
    }
}

/* 60,000 calls and 5000 copies in an activity that may have a quarter of a megabyte. */
static void used_again(void **state)
{
    struct err err = {0};
    (void)state;
    assert_true(trap_install(&err));
    expect(TASKS, "adds", 20000, 1 << 18, 600090000);
    expect(TASKS, "sums", 5000, 1 << 18, 5000 * BYTES);
    expect(TASKS, "texts", 5000, 1 << 18, 5000 * 15);
}

static void hoarded(void **state)
{
    char message[400];
    struct err err = {0};
    (void)state;
    assert_true(trap_install(&err));
    for (uint32_t i = 0; i < world.count; i++)
        for (int again = 0; again < 3; again++) {
            assert_int_equal(run(world.programs[TASKS][i], "hoard", 20, 0, message), 0);
            assert_int_equal(run(world.programs[TASKS][i], "hoard", 100000, 0, message), -1);
            assert_non_null(strstr(message, "more than 512 threads"));
            assert_int_equal(run(world.programs[TASKS][i], "hoard", 100000, 1 << 17, message), -1);
            assert_non_null(strstr(message, "out of memory"));
        }
}

/* Handles go over, are lent for a call, and come back; destructors run once each. */
static void resources(void **state)
{
    char message[400];
    struct err err = {0};
    (void)state;
    assert_true(trap_install(&err));
    expect(LENDING, "adds", 7, 0, 35);
    expect(LENDING, "sums", 20000, 1 << 18, 40000);
    expect(LENDING, "maps", 7, 0, 35);
    expect(LENDING, "hoard", 65000, 0, 0);
    for (uint32_t i = 0; i < world.count; i++) {
        assert_int_equal(run(world.programs[LENDING][i], "texts", 1, 0, message), -1);
        assert_non_null(strstr(message, "borrow handles still remain at the end of the call"));
        assert_int_equal(run(world.programs[LENDING][i], "hoard", 66000, 0, message), -1);
        assert_non_null(strstr(message, "more than 65528 handles"));
    }
}

/* A thread that is promoted does not wait any more, so it can wait again. */
static void threads(void **state)
{
    char message[400];
    struct err err = {0};
    (void)state;
    assert_true(trap_install(&err));
    expect(THREADS, "promotes", 1, 0, 1);
    expect(THREADS, "promotes", 2000, 1 << 17, 2000);
    for (uint32_t i = 0; i < world.count; i++) {
        assert_int_equal(run(world.programs[THREADS][i], "stays", 1, 0, message), -1);
        assert_non_null(strstr(message, "deadlock"));
    }
}

/* What a type of the caller means, its own instance says, and not the callee's. */
static void twins(void **state)
{
    struct err err = {0};
    (void)state;
    assert_true(trap_install(&err));
    expect(TWINS, "lower", 7, 0, 7);
    expect(TWINS, "upper", 7, 0, 8);
}

static void deep_types(void **state)
{
    struct err err = {0};
    (void)state;
    assert_true(trap_install(&err));
    expect(OPTIONS, "deep", 0, 0, 0);
    expect(OPTIONS, "deep", 1, 0, 1);
}

/* They would begin beyond the end of the memory, and wrap around. */
static void large_params(void **state)
{
    char message[400];
    struct err err = {0};
    (void)state;
    assert_true(trap_install(&err));
    for (uint32_t i = 0; i < world.count; i++) {
        assert_int_equal(run(world.programs[PARAMS][i], "f", 0, 0, message), -1);
        assert_non_null(strstr(message, "parameters of 4294967296 bytes"));
    }
}

/* realloc and destructors begin with empty storage, and leave that of the thread which runs there. */
static void storage(void **state)
{
    struct err err = {0};
    (void)state;
    assert_true(trap_install(&err));
    expect(STORAGE, "lists", 0, 0, 0);
    expect(STORAGE, "texts", 0, 0, 0);
    expect(STORAGE, "drops", 0, 0, 0);
    expect(STORAGE, "drops-own", 0, 0, 0);
}

/* An instance goes on after a call whose tasks it left behind, and is not entered again after a trap. */
static void one_instance(void **state)
{
    static const struct host_config config = {.name = "async"};
    char message[400];
    struct err err = {0};
    (void)state;
    assert_true(trap_install(&err));
    for (uint32_t i = 0; i < world.count; i++) {
        struct slot *slot = slot_acquire(world.programs[TASKS][i], &err);
        assert_non_null(slot);
        struct host *host = host_begin(world.pool, &config, slot->store, NULL);
        assert_non_null(host);
        assert_int_equal(call_in(slot, host, "hoard", 5, message), 0);
        assert_int_equal(call_in(slot, host, "adds", 3, message), 27);
        assert_int_equal(call_in(slot, host, "sums", 2, message), 2 * BYTES);
        assert_int_equal(call_in(slot, host, "hoard", 1000, message), -1);
        assert_int_equal(call_in(slot, host, "adds", 3, message), -1);
        assert_non_null(strstr(message, "cannot enter component instance"));
        host_end(host, true);
        assert_null(slot->tasks);
        slot_release(slot);
    }
}

/* A task that goes on when its caller has the result, and then goes wrong, traps in the call that lets it. */
static void left_behind(void **state)
{
    static const struct host_config config = {.name = "async"};
    char message[400];
    struct err err = {0};
    (void)state;
    assert_true(trap_install(&err));
    for (uint32_t i = 0; i < world.count; i++) {
        struct slot *slot = slot_acquire(world.programs[THREADS][i], &err);
        assert_non_null(slot);
        struct host *host = host_begin(world.pool, &config, slot->store, NULL);
        assert_non_null(host);
        assert_int_equal(call_in(slot, host, "leaves", 5, message), 5);
        assert_int_equal(call_in(slot, host, "promotes", 1, message), -1);
        assert_non_null(strstr(message, "unknown handle index 99 ( leaves)"));
        host_end(host, true);
        slot_release(slot);
    }
}

/* Every allocation fails once. */
static void out_of_memory(void **state)
{
    struct err err = {0};
    (void)state;
    assert_true(trap_install(&err));
#ifdef MAYFLY_ALLOC_CHECK
    static const char *const funcs[] = {"adds", "sums", "texts", "adds", "sums"};
    static const int64_t right[] = {6, BYTES, 15, 5, 2};
    char message[400];
    for (int f = 0; f < 5; f++) {
        uint64_t before = mem_count();
        assert_int_equal(run(world.programs[f < 3 ? TASKS : LENDING][0], funcs[f], 1, 0, message), right[f]);
        uint64_t count = mem_count() - before;
        for (uint64_t nth = 1; nth <= count; nth++) {
            mem_fail_at(nth);
            int64_t result = run(world.programs[f < 3 ? TASKS : LENDING][0], funcs[f], 1, 0, message);
            mem_fail_at(0);
            if (result != right[f] && !strstr(message, "memory"))
                fail_msg("allocation %llu: %lld, %s", (unsigned long long)nth, (long long)result, message);
        }
    }
#else
    print_message("skipped: this build cannot fail allocations\n");
#endif
}

static struct program *make_program(const uint8_t *bytes, size_t size, generator_fn *generate, struct wasi_link *link,
                                    struct err *err)
{
    struct compile_options options = {.opt_level = 2};
    struct program *program = NULL;
    struct buf image;
    buf_init(&image, (size_t)1 << 28);
    if (compile_build(bytes, size, &options, generate, &image, err)) {
        int fd = memfd_create("async", MFD_CLOEXEC);
        assert_true(fd >= 0 && write(fd, image.data, image.size) == (ssize_t)image.size);
        program = program_load(fd, "async", wasi_resolve, link, err);
        close(fd);
    }
    buf_free(&image);
    return program;
}

/* ---- guests that went wrong somewhere ---- */

static uint64_t seed;

static uint32_t dice(uint32_t sides)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % sides;
}

static void run_mutant(struct program *program)
{
    static const char *const funcs[] = {"adds",     "sums",  "texts", "hoard", "maps",
                                        "promotes", "stays", "upper", "errors"};
    char message[400];
    struct err err = {0};
    for (size_t f = 0; f < sizeof funcs / sizeof *funcs; f++) {
        const struct image_export *row = program_export(program, STR(""), str_of(funcs[f]));
        if (!row)
            continue;
        assert_true(deadline_set(50000000, &err));
        run(program, funcs[f], 3, 1 << 20, message);
        deadline_clear();
    }
}

/* Threads of three instances call built-ins and each other as a random number says (fixtures/chaos.py). They end by
 * returning, by a trap of the host or by a deadlock, the same way with both generators; a thread that finds its word
 * changed traps otherwise. */
static void chaos(void **state)
{
    const char *rounds = getenv("CHAOS_ROUNDS");
    unsigned count = rounds ? (unsigned)strtoul(rounds, NULL, 10) : getenv("MAYFLY_TEST_FULL") ? 20000 : 500;
    unsigned returned = 0;
    struct err err = {0};
    (void)state;
    assert_true(trap_install(&err));
    for (unsigned i = 0; i < count; i++) {
        uint32_t n = dice(UINT32_MAX);
        char first[400] = "";
        for (uint32_t generator = 0; generator < world.count; generator++) {
            char message[400];
            assert_true(deadline_set(5000000000, &err));
            int64_t result = run(world.programs[CHAOS][generator], "main", n, i % 5 ? 1 << 22 : 1 << 16, message);
            deadline_clear();
            if (result != 1 && !strstr(message, "host function failed") && !strstr(message, "out of memory"))
                fail_msg("%u: %s", n, message);
            if (generator == 0)
                memcpy(first, message, sizeof first);
            if (strcmp(first, message) != 0)
                fail_msg("%u: %s, %s", n, first, message);
            returned += result == 1 && generator == 0;
        }
    }
    print_message("%u of %u returned\n", returned, count);
    assert_true(rounds || returned > count / 10);
}

/* A byte or two changed, anywhere: what is still valid runs, and whatever it does to its handles, tasks and streams, it
 * ends by returning, by a trap or by its deadline. */
static void mutate(const char *file, unsigned count)
{
    struct input input = input_fixture(file);
    uint8_t *bytes = mem_alloc(input.size, 1);
    struct err err = {0};
    unsigned valid = 0;
    assert_non_null(bytes);
    for (unsigned i = 0; i < count; i++) {
        memcpy(bytes, input.bytes, input.size);
        for (uint32_t changes = 1 + dice(2); changes > 0; changes--) {
            uint8_t *at = &bytes[8 + dice((uint32_t)input.size - 8)];
            *at = dice(2) ? (uint8_t)dice(256) : (uint8_t)(*at + 1 - 2 * dice(2));
        }
        struct wasi_link link;
        wasi_link_init(&link);
        struct program *program = make_program(bytes, input.size, codegen_fast, &link, &err);
        if (program) {
            valid++;
            run_mutant(program);
            program_unload(program);
        }
        wasi_link_free(&link);
    }
    print_message("%u of %u mutants of %s ran\n", valid, count, file);
    mem_free(bytes);
    input_free(&input);
}

static void mutants(void **state)
{
    const char *rounds = getenv("MUTATE_ROUNDS");
    unsigned count = rounds ? (unsigned)strtoul(rounds, NULL, 10) : getenv("MAYFLY_TEST_FULL") ? 20000 : 1000;
    struct err err = {0};
    (void)state;
    assert_true(trap_install(&err));
    for (int fixture = 0; fixture < OPTIONS; fixture++)
        mutate(files[fixture], count);
}

static void add_programs(generator_fn *generate)
{
    for (int fixture = 0; fixture < FIXTURE_COUNT; fixture++) {
        struct input input = input_fixture(files[fixture]);
        struct err err = {0};
        struct program *program = make_program(input.bytes, input.size, generate, &world.link, &err);
        if (!program)
            fail_msg("%s", err.message);
        world.programs[fixture][world.count] = program;
        input_free(&input);
    }
    world.count++;
}

static int open_world(void **state)
{
    struct err err = {0};
    (void)state;
    wasi_link_init(&world.link);
    world.pool = host_pool_new(NULL, NULL, &err);
    assert_non_null(world.pool);
    add_programs(codegen_fast);
#if MAYFLY_LLVM
    add_programs(codegen_llvm);
#endif
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < FIXTURE_COUNT * world.count; i++)
        program_unload(world.programs[i / world.count][i % world.count]);
    host_pool_free(world.pool);
    wasi_link_free(&world.link);
    stack_drain();
    return 0;
}

int main(void)
{
    const char *text = getenv("MUTATE_SEED");
    seed = text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL) * 2654435761u + 1;
    print_message("MUTATE_SEED=%llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results),      cmocka_unit_test(used_again),  cmocka_unit_test(hoarded),
        cmocka_unit_test(one_instance), cmocka_unit_test(left_behind), cmocka_unit_test(resources),
        cmocka_unit_test(threads),      cmocka_unit_test(twins),       cmocka_unit_test(deep_types),
        cmocka_unit_test(large_params), cmocka_unit_test(storage),     cmocka_unit_test(out_of_memory),
        cmocka_unit_test(chaos),        cmocka_unit_test(mutants),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
