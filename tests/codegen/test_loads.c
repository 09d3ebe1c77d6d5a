/* A load that begins in bounds and ends beyond traps at every level, also where somebody needs only the bytes that are
 * in bounds, only some lanes, or the value on one way only: whoever makes machine code would like to read less. */
#include "runtime/call.h"
#include "runtime/task.h"
#include "support/load.h"

#include "wasm/build.h"

#define PAGE 65536u
#define BODY_MAX 40u

#define LOAD_I32 0x20, 0, 0x28, 0, 0
#define LOAD_I64 0x20, 0, 0x29, 0, 0
#define LOAD_V128 0x20, 0, 0xfd, 0, 0, 0

/* Functions of the address, without results. What they find goes to where the second parameter says. */
static const struct use {
    const char *name;
    uint32_t width, size;
    uint8_t body[BODY_MAX];
} uses[] = {
#define USE(name, width, ...)                                                                                          \
    {                                                                                                                  \
        name, width, sizeof((const uint8_t[]){__VA_ARGS__}),                                                           \
        {                                                                                                              \
            __VA_ARGS__                                                                                                \
        }                                                                                                              \
    }
#define STORE 0x36, 0, 0
    USE("one byte", 4, 0x20, 1, LOAD_I32, 0x41, 0xff, 1, 0x71, STORE),
    USE("two bytes", 4, 0x20, 1, LOAD_I32, 0x41, 0xff, 0xff, 3, 0x71, STORE),
    USE("one bit", 4, 0x20, 1, LOAD_I32, 0x41, 1, 0x71, 0x45, STORE),
    USE("extended", 4, 0x20, 1, LOAD_I32, 0xc0, STORE),
    USE("wrapped", 8, 0x20, 1, LOAD_I64, 0xa7, STORE),
    USE("shifted", 8, 0x20, 1, LOAD_I64, 0x42, 0x38, 0x86, 0x42, 0x38, 0x88, 0xa7, STORE),
    USE("stored as a byte", 4, 0x20, 1, LOAD_I32, 0x3a, 0, 0),
    USE("changed in place", 4, 0x20, 0, LOAD_I32, 0x41, 1, 0x72, STORE),
    USE("first lane", 16, 0x20, 1, LOAD_V128, 0xfd, 0x1b, 0, STORE),
    USE("first byte of a vector", 16, 0x20, 1, LOAD_V128, 0xfd, 0x16, 0, STORE),
    USE("a lane of a sum", 16, 0x20, 1, LOAD_V128, 0x20, 1, 0xfd, 0, 0, 0, 0xfd, 0xae, 1, 0xfd, 0x1b, 2, STORE),
    USE("not selected", 4, 0x20, 1, 0x20, 1, 0x20, 0, 0x2a, 0, 0, 0xbc, 0x20, 1, 0x45, 0x1b, STORE),
    /* 16 bits at the address and 32, 31 ... 1 */
    USE("the last of a loop", 34, 0x41, 32, 0x21, 2, 0x03, 0x40, 0x20, 0, 0x20, 2, 0x6a, 0x2f, 0, 0, 0x21, 3, 0x20, 2,
        0x41, 1, 0x6b, 0x22, 2, 0x0d, 0, 0x0b, 0x20, 1, 0x20, 3, STORE),
    USE("needed on one way", 4, LOAD_I32, 0x21, 2, 0x20, 1, 0x04, 0x40, 0x20, 1, 0x20, 2, STORE, 0x0b),
    USE("not needed", 4, LOAD_I32, 0x1a),
    USE("multiplied by nothing", 4, 0x20, 1, LOAD_I32, 0x41, 0, 0x6c, STORE),
};
#define USES (sizeof uses / sizeof *uses)

static struct program *program;
static const struct use *use;
static uint32_t beyond;

static struct buf make_module(void)
{
    struct buf module = build_module(), types = build_new(), exports = build_new(), code = build_new();
    SECTION(&module, 1, 1, 0x60, 2, 0x7f, 0x7f, 0);
    BYTES(&types, USES);
    BYTES(&exports, USES);
    BYTES(&code, USES);
    for (uint8_t i = 0; i < USES; i++) {
        BYTES(&types, 0);
        BYTES(&exports, 1, (uint8_t)('a' + i), 0, i);
        BYTES(&code, (uint8_t)(uses[i].size + 4), 1, 2, 0x7f); /* two locals of type i32 */
        buf_append(&code, uses[i].body, uses[i].size);
        BYTES(&code, 0x0b);
    }
    build_section(&module, 3, types);
    SECTION(&module, 5, 1, 1, 1, 1);
    build_section(&module, 7, exports);
    build_section(&module, 10, code);
    return module;
}

static void load(int level)
{
    struct buf module = make_module();
    program = load_module(module.data, module.size, level);
    buf_free(&module);
}

static void call(struct task *task)
{
    const char name = (char)('a' + (use - uses));
    const struct image_export *row = program_export(program, STR(""), (struct str){&name, 1});
    uint64_t params[] = {PAGE - use->width + beyond, 0}, none;
    bool done = guest_call_ints(task->slot->store, row->funcref, params, 2, &none);
    if (done != (beyond == 0))
        fail_msg("%s: %u bytes beyond: %s", use->name, beyond, done ? "no trap" : "a trap");
    if (!done)
        assert_int_equal(task->slot->store->trap, TRAP_MEMORY_BOUNDS);
}

static void run(void)
{
    static struct task task;
    struct err err = {0};
    struct slot *slot = slot_acquire(program, &err);
    assert_non_null(slot);
    assert_true(task_start(&task, slot, call, NULL, NULL, &err));
    slot_destroy(slot);
}

static void loads_trap_whole(void **state)
{
    (void)state;
    for (int level = 0; level <= 3; level++) {
        load(level);
        for (use = uses; use < uses + USES; use++)
            for (beyond = 0; beyond < use->width; beyond++)
                run();
        program_unload(program);
    }
}

int main(void)
{
    struct err err = {0};
    const struct CMUnitTest tests[] = {cmocka_unit_test(loads_trap_whole)};
    return trap_install(&err) ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
