/* Hostile bytes: truncated and mutated components, and allocations that fail. Whatever comes out must be
 * an answer with a complete error, and nothing may be read or written out of bounds or leak (run under
 * AddressSanitizer to see that). The seed is printed; MUTATE_SEED repeats a run, MUTATE_ROUNDS lengthens
 * it. */
#include "component/load.h"

#include "component/embed.h"

#include <time.h>

static uint64_t seed;

static uint32_t dice(uint32_t sides)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 11) % sides;
}

static unsigned accepted, refused;

#define MEMORY_MAX ((uint64_t)256 << 20) /* of one input */

static clock_t slowest; /* processor time of one input, of which a second is the most */

/* A component, or a core module that says what it is as one. */
static bool make_plan(const uint8_t *bytes, size_t size, struct arena *arena, struct plan **ret_plan, struct err *err)
{
    struct wasm_module *module;
    if (component_is(bytes, size) || size < 8)
        return component_plan(bytes, size, arena, ret_plan, err);
    if (!wasm_load(bytes, size, arena, &module, err))
        return false;
    return component_is_embedded(module) ? component_plan_embedded(module, arena, ret_plan, err)
                                         : err_set(err, ERR_LINK, "a module that says nothing");
}

/* A copy that ends where its block ends, so that reading past it is seen. */
static enum err_kind try_plan(const uint8_t *bytes, size_t size)
{
    struct arena arena;
    struct plan *plan = NULL;
    struct err err = {0};
    uint64_t live = mem_live();
    uint8_t *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    arena_init(&arena, (size_t)64 << 20);
    clock_t start = clock();
    bool done = make_plan(copy, size, &arena, &plan, &err);
    clock_t took = clock() - start;
    slowest = took > slowest ? took : slowest;
    arena_free(&arena);
    free(copy);
    if (mem_live() != live || took > CLOCKS_PER_SEC || mem_peak() > MEMORY_MAX)
        fail_msg("too slow, too large or a leak, in one of the inputs behind MUTATE_SEED");
    accepted += done;
    refused += !done;
    if (!done && (err.kind == ERR_NONE || err.message[0] == 0))
        fail_msg("refused without saying why");
    return done ? ERR_NONE : err.kind;
}

static const char *const fixtures[] = {"plain.wasm",
                                       "shim.wasm",
                                       "twice.wasm",
                                       "resource.wasm",
                                       "pair.wasm",
                                       "async.wasm",
                                       "types.wasm",
                                       "fuse.wasm",
                                       "named.wasm",
                                       "tasks.wasm",
                                       "lending.wasm",
                                       "host.wasm",
                                       "../../e2e/guests/module.wasm"};
#define FIXTURE_COUNT (sizeof fixtures / sizeof *fixtures)

static void truncated(void **state)
{
    (void)state;
    for (size_t i = 0; i < FIXTURE_COUNT; i++) {
        struct input input = input_fixture(fixtures[i]);
        for (size_t size = 0; size < input.size; size++)
            try_plan(input.bytes, size);
        input_free(&input);
    }
}

/* Programs of the tree. */
static const char *const programs[] = {"examples/hello-c/hello.wasm", "examples/hello-rust/hello.wasm",
                                       "tests/e2e/guests/echo.wasm", "tests/e2e/guests/leak.wasm",
                                       "tests/e2e/guests/trap.wasm"};
#define PROGRAM_COUNT (sizeof programs / sizeof *programs)

static struct input input_program(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, SOURCE_DIR "/%s", name);
    struct input input = input_read(path);
    assert_non_null(input.bytes);
    return input;
}

/* At every byte, but in the usual run only one in seven of those within the first module, which all end alike. */
static void truncated_programs(void **state)
{
    (void)state;
    for (size_t i = 0; i < PROGRAM_COUNT; i++) {
        struct input input = input_program(programs[i]);
        size_t rest = input.size > 6000 && !getenv("MAYFLY_TEST_FULL") ? input.size - 6000 : 0;
        for (size_t size = 0; size < input.size; size += size < rest ? 7 : 1)
            try_plan(input.bytes, size);
        input_free(&input);
    }
}

static void truncated_hello(void **state)
{
    struct input input = input_shared("hello-c.wasm");
    (void)state;
    for (size_t size = 0; input.bytes && size < input.size; size++)
        try_plan(input.bytes, size);
    input_free(&input);
}

static size_t mutate(uint8_t *bytes, size_t size, size_t from)
{
    uint32_t changes = 1 + dice(3);
    for (uint32_t i = 0; i < changes && size > from + 1; i++) {
        size_t at = from + dice((uint32_t)(size - from));
        switch (dice(4)) {
        case 0: bytes[at] = (uint8_t)dice(256); break;
        case 1: bytes[at] ^= (uint8_t)(1u << dice(8)); break;
        case 2: bytes[at] = (uint8_t)(bytes[at] + (dice(2) ? 1 : 255)); break;
        case 3: memmove(bytes + at, bytes + at + 1, size - at - 1); size--;
        }
    }
    return size;
}

static unsigned rounds(unsigned usual)
{
    const char *text = getenv("MUTATE_ROUNDS");
    return text ? (unsigned)atoi(text) : getenv("MAYFLY_TEST_FULL") ? usual * 10 : usual;
}

static void mutations(const struct input *input, unsigned count, size_t from)
{
    uint8_t *bytes = malloc(input->size);
    assert_non_null(bytes);
    for (unsigned i = 0; i < count; i++) {
        memcpy(bytes, input->bytes, input->size);
        try_plan(bytes, mutate(bytes, input->size, from));
    }
    free(bytes);
}

static void mutated(void **state)
{
    (void)state;
    for (size_t i = 0; i < FIXTURE_COUNT; i++) {
        struct input input = input_fixture(fixtures[i]);
        mutations(&input, rounds(1000), 8);
        input_free(&input);
    }
}

/* Half of the rounds change what is behind the program's module, where most definitions are. */
static void mutated_hello(void **state)
{
    struct input input = input_shared("hello-c.wasm");
    (void)state;
    if (input.bytes) {
        mutations(&input, rounds(1500), 8);
        mutations(&input, rounds(1500), input.size - 4000);
    }
    input_free(&input);
}

static void mutated_programs(void **state)
{
    (void)state;
    for (size_t i = 0; i < PROGRAM_COUNT; i++) {
        struct input input = input_program(programs[i]);
        mutations(&input, rounds(300), 8);
        mutations(&input, rounds(300), input.size - 4000);
        input_free(&input);
    }
}

/* Every allocation fails once; the answer is then ERR_MEMORY, and nothing leaks. */
static void out_of_memory(void **state)
{
    (void)state;
#ifdef MAYFLY_ALLOC_CHECK
    for (size_t i = 0; i < FIXTURE_COUNT; i++) {
        struct input input = input_fixture(fixtures[i]);
        uint64_t before = mem_count();
        enum err_kind usual = try_plan(input.bytes, input.size);
        uint64_t count = mem_count() - before;
        for (uint64_t nth = 1; nth <= count; nth++) {
            mem_fail_at(nth);
            enum err_kind kind = try_plan(input.bytes, input.size);
            mem_fail_at(0);
            if (kind != ERR_MEMORY && kind != usual)
                fail_msg("%s: allocation %llu of %llu: kind %d", fixtures[i], (unsigned long long)nth,
                         (unsigned long long)count, kind);
        }
        input_free(&input);
    }
#else
    print_message("skipped: this build cannot fail allocations\n");
#endif
}

int main(void)
{
    const char *text = getenv("MUTATE_SEED");
    seed = text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL) * 2654435761u + 1;
    print_message("MUTATE_SEED=%llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(truncated),     cmocka_unit_test(truncated_hello),    cmocka_unit_test(mutated),
        cmocka_unit_test(mutated_hello), cmocka_unit_test(truncated_programs), cmocka_unit_test(mutated_programs),
        cmocka_unit_test(out_of_memory),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    print_message("%u accepted, %u refused; slowest %.1f ms\n", accepted, refused,
                  (double)slowest * 1e3 / CLOCKS_PER_SEC);
    return failed;
}
