/* Functions of the host that a component lowers asynchronously or exports again (fixtures/host.wat), with both code
 * generators: what the host's function is given and what comes back, whichever way it was called. The host's functions
 * stand here and take what a synchronous lower passes, as generated glue does. */
#include "component/load.h"

#include "base/clock.h"
#include "codegen/codegen.h"
#include "compile/build.h"
#include "component/datum_text.h"
#include "runtime/stack.h"
#include "runtime/task.h"
#include "wasi/host.h"
#include "wasi/link.h"
#include "wasi/object.h"

#include <sys/mman.h>
#include <unistd.h>

static struct {
    struct program *programs[2];
    uint32_t count; /* generators */
    struct wasi_link link;
    struct host_pool *pool;
} world;

/* ---- the host's functions ---- */

/* Waits for a millisecond: the caller waits as well, and learns of it by RETURNED only. */
static bool work_nothing(struct store *store, const void *env, union cell *v)
{
    struct canon c;
    (void)v;
    return canon_enter(&c, store, env) && host_wait(store->host, clock_now_ns() + 1000000);
}

static bool work_half(struct store *store, const void *env, union cell *v)
{
    struct canon c;
    if (!canon_enter(&c, store, env))
        return false;
    v[0].u64 = v[0].u32 / 2;
    return true;
}

/* Turned around. */
static bool work_text(struct store *store, const void *env, union cell *v)
{
    struct canon c;
    struct str text;
    char turned[64];
    if (!canon_enter(&c, store, env))
        return false;
    canon_memory(&c);
    if (!canon_string(&c, v[0].u32, v[1].u32, &text) || text.len > sizeof turned)
        return false;
    for (size_t i = 0; i < text.len; i++)
        turned[i] = text.ptr[text.len - 1 - i];
    bool done =
        canon_range(&c, v[2].u32, 8, 4) && canon_store_string(&c, c.memory + v[2].u32, (struct str){turned, text.len});
    if (done)
        canon_leave(&c);
    return done;
}

/* Half of it is in a joined value: a float's bits where the other case has 64. */
static bool work_many(struct store *store, const void *env, union cell *v)
{
    struct canon c;
    struct str text;
    if (!canon_enter(&c, store, env))
        return false;
    canon_memory(&c);
    if (!canon_case(&c, v[3].u32, 3) || !canon_string(&c, v[5].u32, v[6].u32, &text))
        return false;
    uint64_t payload = v[3].u32 == 0 ? UINT64_C(0x123456789abcdef) : v[3].u32 == 1 ? 0xc0100000u : 0;
    bool right = (uint8_t)v[0].u32 == 200 && (int16_t)v[1].u32 == -300 && v[2].f32 == 1.5f && v[4].u64 == payload &&
                 str_eq(text, STR("abcdef")) && v[7].u32 == 77;
    canon_leave(&c);
    v[0].f64 = right ? 41.5 + v[3].u32 : -1;
    return true;
}

/* The sum of its parameters, which lie in cells up to sixteen of them. */
static bool sum_of(struct store *store, const void *env, union cell *v, uint32_t count)
{
    struct canon c;
    uint64_t sum = 0;
    if (!canon_enter(&c, store, env))
        return false;
    canon_memory(&c);
    if (count > TYPE_MAX_FLAT_PARAMS && !canon_range(&c, v[0].u32, count * 4, 4))
        return false;
    for (uint32_t i = 0; i < count; i++)
        sum += count > TYPE_MAX_FLAT_PARAMS ? canon_load_u32(c.memory + v[0].u32 + (size_t)i * 4) : v[i].u32;
    canon_leave(&c);
    v[0].u64 = sum;
    return true;
}

static bool work_sum4(struct store *store, const void *env, union cell *v)
{
    return sum_of(store, env, v, 4);
}

static bool work_sum5(struct store *store, const void *env, union cell *v)
{
    return sum_of(store, env, v, 5);
}

static bool work_sum16(struct store *store, const void *env, union cell *v)
{
    return sum_of(store, env, v, 16);
}

static bool work_sum17(struct store *store, const void *env, union cell *v)
{
    return sum_of(store, env, v, 17);
}

/* The string's length, the number, and so many letters. */
static bool work_split(struct store *store, const void *env, union cell *v)
{
    struct canon c;
    struct str text;
    void *letters;
    uint64_t count = v[2].u64;
    uint32_t at = v[3].u32;
    if (!canon_enter(&c, store, env))
        return false;
    canon_memory(&c);
    if (!canon_string(&c, v[0].u32, v[1].u32, &text) || !canon_array(&c, (uint32_t)count + 1, 1, &letters))
        return false;
    memset(letters, 'x', count);
    if (!canon_range(&c, at, 24, 8))
        return false;
    canon_store_u32(c.memory + at, (uint32_t)text.len);
    canon_store_u64(c.memory + at + 8, count);
    bool done = canon_store_string(&c, c.memory + at + 16, (struct str){letters, count});
    if (done)
        canon_leave(&c);
    return done;
}

static const struct work {
    const char *name;
    host_fn *fn;
} works[] = {
    {"nothing", work_nothing}, {"half", work_half},   {"text", work_text},   {"many", work_many},   {"sum4", work_sum4},
    {"sum5", work_sum5},       {"sum16", work_sum16}, {"sum17", work_sum17}, {"split", work_split},
};

static bool resolve(void *arg, const struct image *image, const struct image_import *import, host_fn **ret_fn,
                    const void **ret_env, struct err *err)
{
    struct err refused = {0}; /* what is this test's own */
    bool done = wasi_resolve(arg, image, import, ret_fn, ret_env, &refused);
    const struct canon_env *env = *ret_env;
    for (size_t i = 0; i < sizeof works / sizeof *works; i++)
        if (str_eq(env->interface, STR("test:host/work")) && str_eq(env->name, str_of(works[i].name))) {
            *ret_fn = works[i].fn;
            return true;
        }
    if (!done)
        *err = refused;
    return done;
}

/* ---- calls ---- */

struct called {
    struct datum_func func;
    struct datum args[TYPE_MAX_FLAT_PARAMS + 1], result;
    struct arena arena;
    bool returned;
};

static void body(struct task *task)
{
    struct called *call = task->arg;
    call->returned = datum_call(task->slot->store, &call->func, call->args, &call->arena, &call->result);
}

static void parse_args(struct called *call, const char *const *texts)
{
    struct err err = {0};
    for (uint32_t i = 0; i < call->func.type.param_count; i++) {
        assert_non_null(texts[i]);
        if (!datum_parse(str_of(texts[i]), call->func.type.params[i].type, &call->arena, &call->args[i], &err))
            fail_msg("%s: %s", texts[i], err.message);
    }
}

/* The result as text, "" for none, or the trap's message. */
static void call_in(struct slot *slot, struct host *host, const char *interface, const char *name,
                    const char *const *args, struct buf *said)
{
    struct called call = {0};
    struct task task = {0};
    struct err err = {0};
    const struct program *program = slot->program;
    const struct image_export *row = program_export(program, str_of(interface), str_of(name));
    if (!row)
        fail_msg("no export %s %s", interface, name);
    arena_init(&call.arena, 1 << 20);
    if (!datum_func_open(&program->image, row, NULL, &call.arena, &call.func, &err))
        fail_msg("%s", err.message);
    parse_args(&call, args);
    assert_true(task_start(&task, slot, body, &call, host, &err));
    if (!call.returned)
        buf_printf(said, "%s%s", trap_text(slot->store->trap), slot->store->trap_message);
    else if (call.func.type.result)
        datum_write(said, call.func.type.result, &call.result);
    arena_free(&call.arena);
}

static const struct host_config config = {.name = "host"};

/* With each generator; `expected` stands in what is said. */
static void expect(const char *interface, const char *name, const char *const *args, const char *expected)
{
    for (uint32_t i = 0; i < world.count; i++) {
        struct err err = {0};
        struct buf said;
        buf_init(&said, 1 << 20);
        struct slot *slot = slot_acquire(world.programs[i], &err);
        assert_non_null(slot);
        struct host *host = host_begin(world.pool, &config, slot->store, NULL);
        assert_non_null(host);
        call_in(slot, host, interface, name, args, &said);
        buf_append(&said, "", 1);
        if (!strstr((const char *)said.data, expected))
            fail_msg("%s: `%s` does not say `%s`", name, (const char *)said.data, expected);
        host_end(host, slot->store->trap != 0);
        slot_release(slot);
        buf_free(&said);
    }
}

#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void lowered_asynchronously(void **state)
{
    struct err err = {0};
    (void)state;
    assert_true(trap_install(&err));
    expect("", "call-nothing", ARGS(NULL), "2");
    /* one byte, and not its neighbours: 0xff05ffff */
    expect("", "call-half", ARGS("10", "102"), "4278583295");
    expect("", "call-text", ARGS("6", "64"), "419425"); /* 6 << 16 | 'f' << 8 | 'a' */
    /* as many as go flat to an asynchronous lower, and to a synchronous one, and one more */
    expect("", "call-sum", ARGS("4"), "10");
    expect("", "call-sum", ARGS("5"), "15");
    expect("", "call-sum", ARGS("16"), "136");
    expect("", "call-sum", ARGS("17"), "153");
    for (int i = 0; i < 3; i++) {
        static const char *const cases[] = {"0", "1", "2"}, *const results[] = {"41", "42", "43"};
        expect("", "call-many", ARGS(cases[i], "512"), results[i]);
    }
}

/* What the guest says is checked: by the adapter, and by the host's function. */
static void hostile(void **state)
{
    struct err err = {0};
    (void)state;
    assert_true(trap_install(&err));
    expect("", "call-half", ARGS("10", "65536"), "out of bounds");
    expect("", "call-half", ARGS("10", "4294967295"), "out of bounds");
    expect("", "call-text", ARGS("6", "66"), "align");
    expect("", "call-text", ARGS("6", "65532"), "out of bounds");
    expect("", "call-text", ARGS("65536", "64"), "out of bounds");
    expect("", "call-many", ARGS("3", "512"), "discriminant");
    expect("", "call-many", ARGS("0", "516"), "align");
    expect("", "call-many", ARGS("0", "65504"), "out of bounds");
    expect("", "call-many", ARGS("0", "4294967288"), "out of bounds");
}

static void exported_again(void **state)
{
    static const char *const seventeen[] = {"1",  "2",  "3",  "4",  "5",  "6",  "7",  "8", "9",
                                            "10", "11", "12", "13", "14", "15", "16", "17"};
    struct err err = {0};
    (void)state;
    assert_true(trap_install(&err));
    expect("test:host/work", "nothing", ARGS(NULL), "");
    expect("test:host/work", "half", ARGS("9"), "4");
    expect("", "half", ARGS("255"), "127");
    expect("test:host/work", "text", ARGS("\"abc\""), "\"cba\"");
    expect("test:host/work", "text", ARGS("\"\""), "\"\"");
    expect("test:host/work", "sum4", seventeen, "10");
    expect("test:host/work", "sum16", seventeen, "136");
    expect("test:host/work", "sum17", seventeen, "153");
    expect("test:host/work", "split", ARGS("\"abc\"", "4"), "(3, 4, \"xxxx\")");
    expect("", "split", ARGS("\"\"", "0"), "(0, 0, \"\")");
    expect("", "again", ARGS("\"four\"", "2"), "(4, 2, \"xx\")");
}

/* Each call finds the memory that the one before it used: it grows with the largest, not with all of them. */
static void used_again(void **state)
{
    struct err err = {0};
    (void)state;
    assert_true(trap_install(&err));
    for (uint32_t i = 0; i < world.count; i++) {
        struct slot *slot = slot_acquire(world.programs[i], &err);
        assert_non_null(slot);
        struct host *host = host_begin(world.pool, &config, slot->store, NULL);
        assert_non_null(host);
        const struct image_export *row = program_export(slot->program, STR(""), STR("split"));
        const uint64_t *size = (const uint64_t *)((const char *)slot->store + row->canon.memory_size_off);
        assert_int_equal(*size, 65536);
        for (int n = 0; n < 100; n++) {
            struct buf said;
            buf_init(&said, 1 << 20);
            call_in(slot, host, "", "split", ARGS("\"abc\"", n == 50 ? "200000" : "60000"), &said);
            assert_true(said.size > 60000);
            buf_free(&said);
            assert_in_range(*size, n < 50 ? 65536 : 200000, n < 50 ? 65536 : 5 * 65536);
        }
        host_end(host, false);
        slot_release(slot);
    }
}

/* ---- the program ---- */

static void add_program(const struct input *input, generator_fn *generate)
{
    struct compile_options options = {.opt_level = 2};
    struct program *program = NULL;
    struct err err = {0};
    struct buf image;
    buf_init(&image, (size_t)1 << 28);
    if (compile_build(input->bytes, input->size, &options, generate, &image, &err)) {
        int fd = memfd_create("host", MFD_CLOEXEC);
        assert_true(fd >= 0 && write(fd, image.data, image.size) == (ssize_t)image.size);
        program = program_load(fd, "host", resolve, &world.link, &err);
        close(fd);
    }
    buf_free(&image);
    if (!program)
        fail_msg("%s", err.message);
    world.programs[world.count++] = program;
}

static int open_world(void **state)
{
    struct input input = input_fixture("host.wasm");
    struct err err = {0};
    (void)state;
    wasi_link_init(&world.link);
    world.pool = host_pool_new(NULL, NULL, &err);
    assert_non_null(world.pool);
    add_program(&input, codegen_fast);
#if MAYFLY_LLVM
    add_program(&input, codegen_llvm);
#endif
    input_free(&input);
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < world.count; i++)
        program_unload(world.programs[i]);
    host_pool_free(world.pool);
    wasi_link_free(&world.link);
    stack_drain();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lowered_asynchronously),
        cmocka_unit_test(hostile),
        cmocka_unit_test(exported_again),
        cmocka_unit_test(used_again),
    };
    return cmocka_run_group_tests_name("host", tests, open_world, close_world);
}
