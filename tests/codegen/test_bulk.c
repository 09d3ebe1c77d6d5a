/* memory.copy and memory.fill of lengths that are constant, which the generator may do in place, and of lengths that
 * are not, which routines do up to a bound: every short length, ranges that overlap, and ranges that end at the
 * memory's end or a byte beyond, where nothing may have been written. */
#include "runtime/call.h"
#include "runtime/task.h"
#include "support/load.h"

#include "wasm/build.h"

#define LENGTHS 136u /* functions 2 * length and 2 * length + 1 copy and fill that many bytes */
#define PAGE 65536u

static struct {
    struct program *program;
    bool constant; /* lengths are; else they are the third parameter */
    unsigned checked;
    uint8_t before[PAGE];
} test;

static void add_body(struct buf *section, uint32_t length, bool copies)
{
    struct buf body = build_new();
    BYTES(&body, 0, 0x20, 0, 0x20, 1);
    if (test.constant)
        BYTES(&body, 0x41, (uint8_t)(0x80 | (length & 0x7f)), (uint8_t)(length >> 7)); /* i32.const in two bytes */
    else
        BYTES(&body, 0x20, 2);
    if (copies)
        BYTES(&body, 0xfc, 10, 0, 0, 0x0b);
    else
        BYTES(&body, 0xfc, 11, 0, 0x0b);
    build_u32(section, (uint32_t)body.size);
    buf_append(section, body.data, body.size);
    buf_free(&body);
}

static struct buf make_module(void)
{
    struct buf module = build_module(), types = build_new(), exports = build_new(), code = build_new();
    SECTION(&module, 1, 1, 0x60, 3, 0x7f, 0x7f, 0x7f, 0);
    build_u32(&types, 2 * LENGTHS), build_u32(&exports, 2 * LENGTHS), build_u32(&code, 2 * LENGTHS);
    for (uint32_t i = 0; i < 2 * LENGTHS; i++) {
        BYTES(&types, 0);
        BYTES(&exports, 3, (uint8_t)('0' + i / 100), (uint8_t)('0' + i / 10 % 10), (uint8_t)('0' + i % 10), 0);
        build_u32(&exports, i);
        add_body(&code, i / 2, i % 2 == 0);
    }
    build_section(&module, 3, types);
    SECTION(&module, 5, 1, 1, 1, 1);
    build_section(&module, 7, exports);
    build_section(&module, 10, code);
    return module;
}

static uint8_t *memory(struct task *task)
{
    return (uint8_t *)task->slot->store + image_memories(&test.program->image)[0].base_off;
}

static bool call(struct task *task, uint32_t func, uint32_t a, uint32_t b)
{
    char name[4] = {(char)('0' + func / 100), (char)('0' + func / 10 % 10), (char)('0' + func % 10)};
    const struct image_export *row = program_export(test.program, STR(""), str_of(name));
    uint64_t params[] = {a, b, test.constant ? 0 : func / 2}, none;
    test.checked++;
    return guest_call_ints(task->slot->store, row->funcref, params, 3, &none);
}

static void stir(uint8_t *bytes)
{
    uint32_t random = 7;
    for (uint32_t i = 0; i < PAGE; i++) {
        random = random * 1664525 + 1013904223;
        bytes[i] = (uint8_t)(random >> 24);
    }
    memcpy(test.before, bytes, PAGE);
}

/* Each length, copied over distances that overlap and not, and filled. */
static void move_bytes(struct task *task)
{
    static const int distances[] = {-200, -64, -17, -8, -1, 0, 1, 3, 8, 15, 16, 31, 64, 200};
    uint8_t *bytes = memory(task);
    stir(bytes);
    for (uint32_t length = 0; length < LENGTHS; length++) {
        for (size_t i = 0; i < sizeof distances / sizeof *distances; i++) {
            uint32_t from = 1000 + 3 * length, to = from + (uint32_t)distances[i];
            assert_true(call(task, 2 * length, to, from));
            memmove(test.before + to, test.before + from, length);
            assert_memory_equal(bytes, test.before, PAGE);
        }
        assert_true(call(task, 2 * length + 1, 3000 + length, 0x1234 + length));
        memset(test.before + 3000 + length, (int)(0x34 + length), length);
        assert_memory_equal(bytes, test.before, PAGE);
    }
}

static void reach_the_end(struct task *task)
{
    uint8_t *bytes = memory(task);
    stir(bytes);
    for (uint32_t length = 0; length < LENGTHS; length++) {
        uint32_t last = PAGE - length;
        assert_true(call(task, 2 * length, last, 0) && call(task, 2 * length, 0, last));
        assert_true(call(task, 2 * length + 1, last, 0));
    }
}

/* One call that must trap; the task ends with it. */
static struct {
    uint32_t func, a, b;
} beyond;

static void go_beyond(struct task *task)
{
    uint8_t *bytes = memory(task);
    stir(bytes);
    assert_false(call(task, beyond.func, beyond.a, beyond.b));
    assert_int_equal(task->slot->store->trap, TRAP_MEMORY_BOUNDS);
    assert_memory_equal(bytes, test.before, PAGE);
}

static void run(void (*body)(struct task *))
{
    static struct task task;
    struct err err = {0};
    struct slot *slot = slot_acquire(test.program, &err);
    assert_non_null(slot);
    assert_true(task_start(&task, slot, body, NULL, NULL, &err));
    slot_destroy(slot);
}

static void load(int level)
{
    struct buf module = make_module();
    test.program = load_module(module.data, module.size, level);
    buf_free(&module);
}

static void all_lengths(bool constant)
{
    test.constant = constant;
    for (int level = 0; level <= 2; level += 2) {
        load(level);
        run(move_bytes);
        run(reach_the_end);
        for (uint32_t length = 0; length < LENGTHS; length += length < 36 ? 1 : 9)
            for (uint32_t way = 0; way < 3; way++) {
                uint32_t past = PAGE + 1 - length;
                beyond.func = 2 * length + (way == 2), beyond.a = way == 1 ? 0 : past, beyond.b = way == 1 ? past : 0;
                run(go_beyond);
            }
        program_unload(test.program);
    }
    print_message("%u calls\n", test.checked);
}

static void constant_lengths(void **state)
{
    (void)state;
    all_lengths(true);
}

static void other_lengths(void **state)
{
    (void)state;
    all_lengths(false);
}

int main(void)
{
    struct err err = {0};
    const struct CMUnitTest tests[] = {cmocka_unit_test(constant_lengths), cmocka_unit_test(other_lengths)};
    return trap_install(&err) ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
