/* Adapters between component instances, with guests that break every rule: fixtures/fuse.wat passes on whatever numbers
 * the test chose, and its realloc returns and does what the test told it. Each case has an instance of its own, made by
 * both code generators where there are two. */
#include "component/load.h"

#include "codegen/codegen.h"
#include "compile/build.h"
#include "component/datum.h"
#include "runtime/stack.h"
#include "runtime/task.h"
#include "wasi/host.h"
#include "wasi/link.h"

#include <sys/mman.h>
#include <unistd.h>

#define STEPS_MAX 8

/* A call of an export with numbers; the last one's result or trap is what the case is about. */
struct step {
    const char *func;
    uint64_t args[3];
};

struct fuse_case {
    const char *what;
    struct step steps[STEPS_MAX];
    uint64_t result; /* of the last step */
    const char *trap; /* how the message begins; NULL: none */
};

static struct {
    struct program *programs[2];
    uint32_t program_count;
    struct wasi_link link;
    struct host_pool *pool;
} world;

struct call {
    struct datum_func func;
    struct datum args[3], result;
    struct arena arena;
    bool returned;
};

static void call_body(struct task *task)
{
    struct call *call = task->arg;
    call->returned = datum_call(task->slot->store, &call->func, call->args, &call->arena, &call->result);
}

/* The message of the trap in `message`, or false. */
static bool run_step(struct slot *slot, struct host *host, const struct step *step, uint64_t *ret_result,
                     char message[200])
{
    struct call call = {0};
    struct task task = {0};
    struct err err = {0};
    const struct program *program = slot->program;
    arena_init(&call.arena, 1 << 20);
    const struct image_export *row = program_export(program, STR(""), str_of(step->func));
    assert_non_null(row);
    assert_true(datum_func_open(&program->image, row, NULL, &call.arena, &call.func, &err));
    for (int i = 0; i < 3; i++)
        call.args[i].bits = step->args[i];
    assert_true(task_start(&task, slot, call_body, &call, host, &err));
    assert_int_equal(task.state, TASK_DONE);
    *ret_result = call.result.bits;
    if (!call.returned)
        snprintf(message, 200, "%s",
                 task.report.message[0]         ? task.report.message
                 : task.report.trap             ? trap_text(task.report.trap)
                 : slot->store->trap_message[0] ? slot->store->trap_message
                                                : "no trap");
    arena_free(&call.arena);
    return call.returned;
}

static void run_case_of(struct program *program, const struct fuse_case *c)
{
    static const struct host_config config = {.name = "fuse"};
    struct err err = {0};
    struct slot *slot = slot_acquire(program, &err);
    assert_non_null(slot);
    struct host *host = host_begin(world.pool, &config, slot->store, NULL);
    assert_non_null(host);
    uint64_t result = 0;
    char message[200] = "";
    bool returned = true;
    for (int i = 0; i < STEPS_MAX && c->steps[i].func; i++) {
        if (!returned)
            fail_msg("%s: step %d trapped: %s", c->what, i - 1, message);
        returned = run_step(slot, host, &c->steps[i], &result, message);
    }
    if (returned && c->trap)
        fail_msg("%s: nothing trapped, the result is %llu", c->what, (unsigned long long)result);
    if (!returned && !c->trap)
        fail_msg("%s: trapped: %s", c->what, message);
    if (!returned && strncmp(message, c->trap, strlen(c->trap)) != 0)
        fail_msg("%s: trapped with \"%s\"", c->what, message);
    if (returned && result != c->result)
        fail_msg("%s: the result is %llu", c->what, (unsigned long long)result);
    /* An instance that trapped is not entered again. */
    const struct step again = {"peek", {0}};
    if (!returned) {
        assert_false(run_step(slot, host, &again, &result, message));
        assert_int_equal(strncmp(message, "cannot enter component instance", 31), 0);
    }
    host_end(host, !returned);
    slot_release(slot);
}

static void run_cases(const struct fuse_case *cases, size_t count)
{
    struct err err = {0};
    assert_true(trap_install(&err)); /* cmocka has put handlers of its own */
    for (uint32_t i = 0; i < world.program_count; i++)
        for (size_t j = 0; j < count; j++)
            run_case_of(world.programs[i], &cases[j]);
}

#define RUN(cases) run_cases(cases, sizeof cases / sizeof *cases)

/* ---- numbers ---- */

static void scalars(void **state)
{
    static const struct fuse_case cases[] = {
        {"bool 0", {{"bool", {0}}}, 0, NULL},
        {"bool 1", {{"bool", {1}}}, 1, NULL},
        {"any other bool is true", {{"bool", {0x80000000}}}, 1, NULL},
        {"u8 keeps its low bits", {{"u8", {0xffffff80}}}, 0x80, NULL},
        {"s8 is extended", {{"s8", {0x180}}}, 0xffffff80, NULL},
        {"u16 keeps its low bits", {{"u16", {0x12348000}}}, 0x8000, NULL},
        {"s16 is extended", {{"s16", {0x8000}}}, 0xffff8000, NULL},
        {"flags keep those that exist", {{"flags", {0xffffffff}}}, 7, NULL},
        {"char", {{"char", {0x10ffff}}}, 0x10ffff, NULL},
        {"char 0xd7ff", {{"char", {0xd7ff}}}, 0xd7ff, NULL},
        {"char 0xe000", {{"char", {0xe000}}}, 0xe000, NULL},
        {"char beyond the last", {{"char", {0x110000}}}, 0, "invalid `char` bit pattern"},
        {"char -1", {{"char", {UINT32_MAX}}}, 0, "invalid `char` bit pattern"},
        {"first surrogate", {{"char", {0xd800}}}, 0, "invalid `char` bit pattern"},
        {"last surrogate", {{"char", {0xdfff}}}, 0, "invalid `char` bit pattern"},
        {"enum", {{"enum", {2}}}, 2, NULL},
        {"enum beyond the last", {{"enum", {3}}}, 0, "invalid variant discriminant"},
        {"enum -1", {{"enum", {UINT32_MAX}}}, 0, "invalid variant discriminant"},
        {"bool as a result", {{"set-realloc", {0, 77}}, {"give-bool", {0}}}, 1, NULL},
        {"char as a result", {{"set-realloc", {0, 0x10ffff}}, {"give-char", {0}}}, 0x10ffff, NULL},
        {"surrogate as a result", {{"set-realloc", {0, 0xdabc}}, {"give-char", {0}}}, 0, "invalid `char` bit pattern"},
        {"enum as a result", {{"set-realloc", {0, 1}}, {"give-enum", {0}}}, 1, NULL},
        {"no enum as a result", {{"set-realloc", {0, 3}}, {"give-enum", {0}}}, 0, "invalid variant discriminant"},
    };
    (void)state;
    RUN(cases);
}

/* case * 10^12 + third flat value * 10^6 + second */
static void variants(void **state)
{
    static const struct fuse_case cases[] = {
        {"no payload is zeros", {{"variant", {0, UINT64_MAX, 9}}}, 0, NULL},
        {"a byte of a joined i64", {{"variant", {1, 0xffffffffffff1234, 9}}}, 1000000000000 + 0x34, NULL},
        {"a float of a joined i64", {{"variant", {2, 0xffffffff3f800000, 9}}}, 2000000000000 + 0x3f800000, NULL},
        {"an i64", {{"variant", {3, 123456, 9}}}, 3000000000000 + 123456, NULL},
        {"a string: nothing at 1024", {{"variant", {4, 0xffffffff00000010, 0}}}, 4000000000000 + 1024, NULL},
        {"a string out of memory", {{"variant", {4, 65536, 1}}}, 0, "pointer 0x10000 and 1 bytes: out of bounds"},
        {"case beyond the last", {{"variant", {5, 0, 0}}}, 0, "invalid variant discriminant"},
        {"case -1", {{"variant", {UINT32_MAX, 0, 0}}}, 0, "invalid variant discriminant"},
        {"case in memory",
         {{"set-realloc", {0, 256}},
          {"callee-poke", {256, 1}},
          {"callee-poke", {264, 0x7777}},
          {"give-variant", {512}},
          {"peek", {520}}},
         0x77,
         NULL},
        {"bytes behind the case are no part of it",
         {{"set-realloc", {0, 256}},
          {"callee-poke", {256, 0xffffff03}},
          {"callee-poke", {264, 99}},
          {"give-variant", {512}},
          {"peek", {520}}},
         99,
         NULL},
        {"case beyond the last in memory",
         {{"set-realloc", {0, 256}}, {"callee-poke", {256, 5}}, {"give-variant", {512}}},
         0,
         "invalid variant discriminant"},
    };
    (void)state;
    RUN(cases);
}

/* ---- pointers ---- */

static void results(void **state)
{
    static const struct fuse_case cases[] = {
        {"result not aligned", {{"set-realloc", {0, 258}}, {"give-string", {512}}}, 0, "unaligned pointer"},
        {"result at the end of memory", {{"set-realloc", {0, 65536 - 8}}, {"give-string", {512}}}, 0, NULL},
        {"result over the end", {{"set-realloc", {0, 65536 - 4}}, {"give-string", {512}}}, 0, "pointer out of bounds"},
        {"result at the end of addresses",
         {{"set-realloc", {0, 0xfffffffc}}, {"give-string", {512}}},
         0,
         "pointer out of bounds"},
        {"return pointer not aligned", {{"set-realloc", {0, 256}}, {"give-string", {514}}}, 0, "unaligned pointer"},
        {"return pointer over the end",
         {{"set-realloc", {0, 256}}, {"give-string", {65536 - 4}}},
         0,
         "pointer out of bounds"},
        {"a string from the callee",
         {{"set-realloc", {0, 256}},
          {"callee-poke", {256, 300}},
          {"callee-poke", {260, 4}},
          {"callee-poke", {300, 0x64636261}},
          {"give-string", {512}},
          {"peek", {516}}},
         4,
         NULL},
        {"a string from beyond the callee's memory",
         {{"set-realloc", {0, 256}}, {"callee-poke", {256, 65535}}, {"callee-poke", {260, 2}}, {"give-string", {512}}},
         0,
         "pointer 0xffff and 2 bytes: out of bounds"},
    };
    (void)state;
    RUN(cases);
}

static void parameters(void **state)
{
    static const struct fuse_case cases[] = {
        {"parameters in memory", {{"poke", {256, 7}}, {"poke", {320, 42}}, {"many", {256}}}, 42007, NULL},
        {"their pointer not aligned", {{"many", {257}}}, 0, "unaligned pointer"},
        {"at the end of memory", {{"many", {65536 - 68}}}, 0, NULL},
        {"over the end", {{"many", {65536 - 64}}}, 0, "pointer out of bounds"},
        {"at the end of addresses", {{"many", {0xfffffffc}}}, 0, "pointer out of bounds"},
        {"realloc over the end",
         {{"set-realloc", {1, 65536 - 64}}, {"many", {256}}},
         0,
         "realloc return: beyond end of memory"},
        {"realloc not aligned", {{"set-realloc", {1, 66}}, {"many", {256}}}, 0, "realloc return: result not aligned"},
    };
    (void)state;
    RUN(cases);
}

static void lists(void **state)
{
    static const struct fuse_case cases[] = {
        {"words",
         {{"poke", {256, 1}}, {"poke", {260, 0x01000000}}, {"words", {256, 2}}},
         27512614111ull /* 31^7 */ + 1,
         NULL},
        {"no words", {{"words", {256, 0}}}, 0, NULL},
        {"no words at the end of memory", {{"words", {65536, 0}}}, 0, NULL},
        {"no words beyond it", {{"words", {65540, 0}}}, 0, "list content out-of-bounds"},
        {"no words, not aligned", {{"words", {258, 0}}}, 0, "unaligned pointer"},
        {"words not aligned", {{"words", {257, 1}}}, 0, "unaligned pointer"},
        {"words over the end", {{"words", {65532, 2}}}, 0, "list content out-of-bounds"},
        {"a length that wraps 32 bits", {{"words", {256, 0x40000000}}}, 0, "list content out-of-bounds"},
        {"the longest length", {{"words", {256, UINT32_MAX}}}, 0, "list content out-of-bounds"},
        {"the most bytes, too many for memory",
         {{"words", {256, ((1u << 28) - 1) / 4}}},
         0,
         "list content out-of-bounds"},
        {"pairs without their padding",
         {{"poke", {256, 0xddccbb01}}, {"poke", {260, 0x01000000}}, {"pairs", {256, 1}}},
         27512614111ull + 1,
         NULL},
        {"bools become 0 and 1", {{"poke", {256, 0xff0080ff}}, {"bools", {256, 4}}}, 29791 + 961 + 1, NULL},
        {"realloc returns what is not aligned",
         {{"set-realloc", {1, 1026}}, {"words", {256, 1}}},
         0,
         "realloc return: result not aligned"},
        {"realloc returns the end",
         {{"set-realloc", {1, 65536}}, {"words", {256, 1}}},
         0,
         "realloc return: beyond end of memory"},
        {"realloc returns the end for nothing", {{"set-realloc", {1, 65536}}, {"words", {256, 0}}}, 0, NULL},
        {"realloc returns the end of addresses",
         {{"set-realloc", {1, 0xfffffffc}}, {"words", {256, 1}}},
         0,
         "realloc return: beyond end of memory"},
        {"realloc leaves the instance",
         {{"set-realloc", {2, 0}}, {"words", {256, 1}}},
         0,
         "cannot leave component instance"},
        {"realloc traps", {{"set-realloc", {4, 0}}, {"words", {256, 1}}}, 0, "unreachable"},
        {"realloc grows memory", {{"poke", {256, 1}}, {"set-realloc", {3, 0}}, {"words", {256, 1}}}, 29791, NULL},
        {"realloc overwrites its own memory",
         {{"poke", {256, 1}}, {"set-realloc", {5, 0}}, {"words", {256, 1}}},
         29791,
         NULL},
        {"realloc is asked for as much as there is", {{"words", {256, 5}}, {"sizes", {0}}}, 20, NULL},
    };
    (void)state;
    RUN(cases);
}

static void strings(void **state)
{
    static const struct fuse_case cases[] = {
        {"text", {{"poke", {256, 0x61}}, {"string", {256, 1}}}, 0x61, NULL},
        {"no text", {{"string", {256, 0}}}, 0, NULL},
        {"no text beyond memory", {{"string", {65537, 0}}}, 0, "pointer 0x10001"},
        {"over the end", {{"string", {65535, 2}}}, 0, "pointer 0xffff and 2 bytes: out of bounds"},
        {"the longest length", {{"string", {256, UINT32_MAX}}}, 0, "4294967295 bytes: string or list too long"},
        {"one too long", {{"string", {256, 1u << 28}}}, 0, "268435456 bytes: string or list too long"},
        {"a lone continuation", {{"poke", {256, 0x80}}, {"string", {256, 1}}}, 0, "string is not UTF-8"},
        {"cut short", {{"poke", {256, 0xc3}}, {"string", {256, 1}}}, 0, "string is not UTF-8"},
        {"overlong", {{"poke", {256, 0x80c0}}, {"string", {256, 2}}}, 0, "string is not UTF-8"},
        {"a surrogate", {{"poke", {256, 0x80a0ed}}, {"string", {256, 3}}}, 0, "string is not UTF-8"},
        {"beyond the last character", {{"poke", {256, 0x808090f4}}, {"string", {256, 4}}}, 0, "string is not UTF-8"},
        {"realloc returns the end",
         {{"poke", {256, 0x61}}, {"set-realloc", {1, 65536}}, {"string", {256, 1}}},
         0,
         "realloc return: beyond end of memory"},
        {"realloc leaves the instance",
         {{"set-realloc", {2, 0}}, {"string", {256, 1}}},
         0,
         "cannot leave component instance"},
        {"realloc traps", {{"set-realloc", {4, 0}}, {"string", {256, 1}}}, 0, "unreachable"},
        {"realloc grows memory", {{"poke", {256, 0x62}}, {"set-realloc", {3, 0}}, {"string", {256, 1}}}, 0x62, NULL},
        {"strings in a list",
         {{"poke", {256, 300}}, {"poke", {260, 1}}, {"poke", {300, 0x63}}, {"texts", {256, 1}}},
         0x63,
         NULL},
        {"one of them is bad",
         {{"poke", {256, 300}}, {"poke", {260, 1}}, {"poke", {264, 65536}}, {"poke", {268, 1}}, {"texts", {256, 2}}},
         0,
         "pointer 0x10000 and 1 bytes: out of bounds"},
        {"realloc overwrites the list that is being made",
         {{"poke", {256, 300}},
          {"poke", {260, 1}},
          {"poke", {300, 0x63}},
          {"set-realloc", {5, 0}},
          {"texts", {256, 1}}},
         0x63,
         NULL},
    };
    (void)state;
    RUN(cases);
}

/* ---- making it ---- */

static bool generate_fast(const struct unit *units, uint32_t count, const struct codegen_options *options,
                          struct code *code, struct err *err)
{
    return codegen_fast(units, count, options, code, err);
}

static void add_program(generator_fn *generate)
{
    struct input input = input_fixture("fuse.wasm");
    struct compile_options options = {.opt_level = 2};
    struct buf image;
    struct err err = {0};
    buf_init(&image, (size_t)1 << 28);
    if (!compile_build(input.bytes, input.size, &options, generate, &image, &err))
        fail_msg("%s", err.message);
    if (!image_check(image.data, image.size, &err))
        fail_msg("%s", err.message);
    int fd = memfd_create("fuse", MFD_CLOEXEC);
    assert_true(fd >= 0 && write(fd, image.data, image.size) == (ssize_t)image.size);
    struct program *program = program_load(fd, "fuse", wasi_resolve, &world.link, &err);
    if (!program)
        fail_msg("%s", err.message);
    world.programs[world.program_count++] = program;
    close(fd);
    buf_free(&image);
    input_free(&input);
}

static int open_world(void **state)
{
    struct err err = {0};
    (void)state;
    wasi_link_init(&world.link);
    world.pool = host_pool_new(NULL, NULL, &err);
    assert_non_null(world.pool);
    add_program(generate_fast);
#if MAYFLY_LLVM
    add_program(codegen_llvm);
#endif
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < world.program_count; i++)
        program_unload(world.programs[i]);
    host_pool_free(world.pool);
    wasi_link_free(&world.link);
    stack_drain();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars),    cmocka_unit_test(variants), cmocka_unit_test(results),
        cmocka_unit_test(parameters), cmocka_unit_test(lists),    cmocka_unit_test(strings),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
