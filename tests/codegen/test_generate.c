/* What the generator promises about its result, whatever the module: order, alignment, hashes, tables, and the
 * same bytes every time. That the code does what Wasm says is tested by run-wast. */
#include "base/alloc.h"
#include "codegen/codegen.h"
#include "image/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct fixture {
    struct arena arena;
    uint8_t bytes[65536];
    struct wasm_module *module;
    struct plan *plan;
};

static struct fixture fixture;

static bool load(struct fixture *f, size_t size, struct err *err)
{
    struct geometry geometry;
    arena_init(&f->arena, (size_t)16 << 20);
    return wasm_load(f->bytes, size, &f->arena, &f->module, err) &&
           plan_module(f->module, &(const struct plan_options){0}, &f->arena, &f->plan, err) &&
           layout_compute(f->plan->units, 1, 0, &f->arena, &geometry, err);
}

static void load_file(struct fixture *f, const char *path)
{
    struct err err = {0};
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(f->bytes, 1, sizeof f->bytes, file);
    fclose(file);
    assert_true(load(f, size, &err));
}

static int load_mixed(void **state)
{
    (void)state;
    load_file(&fixture, SOURCE_DIR "/tests/codegen/fixtures/mixed.wasm");
    return 0;
}

static int drop(void **state)
{
    (void)state;
    arena_free(&fixture.arena);
    return 0;
}

static void generate(int opt_level, unsigned threads, struct code *ret_code)
{
    struct err err = {0};
    struct codegen_options options = {.opt_level = opt_level, .threads = threads};
    code_init(ret_code);
    if (!codegen_llvm(fixture.plan->units, 1, &options, ret_code, &err))
        fail_msg("%s", err.message);
}

static void functions_are_sorted_aligned_and_hashed(void **state)
{
    (void)state;
    struct code code;
    unsigned kinds[3] = {0};
    for (int level = 0; level <= 3; level++) {
        generate(level, 1, &code);
        assert_int_equal(code.exec_size % 4096, 0);
        for (size_t i = 0; i < code.funcs.count; i++) {
            const struct code_func *func = &code.funcs.items[i];
            uint64_t hash, expected = 0;
            assert_int_equal(func->code_off % 16, 0);
            assert_true(i == 0 || func[-1].code_off + func[-1].code_size <= func->code_off - 8);
            assert_true(func->code_off + func->code_size <= code.exec_size);
            if (func->kind != CODE_ROUTINE)
                expected = fixture.module->types[fixture.module->funcs[func->func].type].hash;
            memcpy(&hash, code.text.data + func->code_off - 8, sizeof hash);
            assert_int_equal(hash, expected);
            kinds[func->kind]++;
        }
        code_free(&code);
    }
    assert_int_equal(kinds[CODE_FUNC], 4 * 6);
    assert_int_equal(kinds[CODE_THUNK], 4);
}

static const struct code_func *find_func(const struct code *code, uint32_t func)
{
    for (size_t i = 0; i < code->funcs.count; i++)
        if (code->funcs.items[i].kind == CODE_FUNC && code->funcs.items[i].func == func)
            return &code->funcs.items[i];
    fail_msg("no function %u", func);
    return NULL;
}

static uint32_t site_at(const struct code *code, uint32_t code_off)
{
    uint32_t found = 0;
    for (size_t i = 0; i < code->sites.count && code->sites.items[i].code_off <= code_off; i++)
        found = code->sites.items[i].wasm_off;
    return found;
}

/* Each trap instruction tells the Wasm instruction it stands for: two divisions by zero (neither can overflow),
 * not merged. */
static void traps_have_sites(void **state)
{
    (void)state;
    struct code code;
    static const uint8_t ud1[] = {0x67, 0x0f, 0xb9, 0x40};
    uint32_t seen[8] = {0}, count = 0;
    generate(2, 1, &code);
    const struct code_func *func = find_func(&code, 1);
    for (uint32_t at = func->code_off; at + 5 <= func->code_off + func->code_size; at++)
        if (memcmp(code.text.data + at, ud1, sizeof ud1) == 0) {
            assert_true(count < 8);
            seen[count++] = site_at(&code, at);
        }
    assert_int_equal(count, 2);
    assert_int_not_equal(seen[0], seen[1]);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(fixture.bytes[seen[i]], 0x6d); /* i32.div_s */
    for (size_t i = 1; i < code.sites.count; i++)
        assert_true(code.sites.items[i - 1].code_off < code.sites.items[i].code_off);
    code_free(&code);
}

/* Three calls inside the try_table, each with its own return address, and pads inside the function. */
static void calls_in_handlers_have_pads(void **state)
{
    (void)state;
    struct code code;
    for (int level = 0; level <= 3; level++) {
        generate(level, 1, &code);
        const struct code_func *func = find_func(&code, 2);
        assert_int_equal(code.pads.count, 3);
        for (size_t i = 0; i < code.pads.count; i++) {
            const struct code_pad *pad = &code.pads.items[i];
            assert_true(i == 0 || pad[-1].return_off < pad->return_off);
            assert_in_range(pad->return_off, func->code_off + 1, func->code_off + func->code_size);
            assert_in_range(pad->pad_off, func->code_off, func->code_off + func->code_size - 1);
            assert_int_equal(code.text.data[pad->return_off - 5], 0xe8); /* behind a call */
        }
        code_free(&code);
    }
}

static bool same(const struct code *a, const struct code *b)
{
    return a->text.size == b->text.size && memcmp(a->text.data, b->text.data, a->text.size) == 0 &&
           a->funcs.count == b->funcs.count && a->sites.count == b->sites.count && a->pads.count == b->pads.count &&
           memcmp(a->sites.items, b->sites.items, a->sites.count * sizeof *a->sites.items) == 0;
}

static void the_same_input_gives_the_same_bytes(void **state)
{
    (void)state;
    struct code one, other;
    generate(2, 1, &one);
    for (unsigned threads = 1; threads <= 3; threads++) {
        generate(2, threads, &other);
        assert_true(same(&one, &other));
        code_free(&other);
    }
    code_free(&one);
}

/* The import that the first call in the code of `func` goes to. */
static uint32_t first_call(const struct code *code, const struct code_func *func)
{
    for (uint32_t at = func->code_off; at + 5 <= func->code_off + func->code_size; at++) {
        int32_t distance;
        memcpy(&distance, code->text.data + at + 1, sizeof distance);
        for (size_t i = 0; i < code->funcs.count && code->text.data[at] == 0xe8; i++)
            if (code->funcs.items[i].kind == CODE_THUNK && code->funcs.items[i].code_off == at + 5 + (uint32_t)distance)
                return code->funcs.items[i].func;
    }
    fail_msg("function %u calls nothing", func->func);
    return 0;
}

/* What usually runs comes first. */
static void hints_order_the_code(void **state)
{
    (void)state;
    static struct fixture hinted;
    struct err err = {0};
    struct code code;
    struct codegen_options options = {.opt_level = 2, .threads = 1};
    load_file(&hinted, SOURCE_DIR "/tests/codegen/fixtures/hints.wasm");
    code_init(&code);
    assert_true(codegen_llvm(hinted.plan->units, 1, &options, &code, &err));
    assert_int_equal(first_call(&code, find_func(&code, 2)), 0);
    assert_int_equal(first_call(&code, find_func(&code, 3)), 1);
    assert_int_equal(first_call(&code, find_func(&code, 4)), 1);
    assert_int_equal(first_call(&code, find_func(&code, 5)), 0);
    code_free(&code);
    arena_free(&hinted.arena);
}

/* Not a double shift (0f a4) of a register with itself, which some processors take six times as long for. */
static void rotations_stay_rotations(void **state)
{
    (void)state;
    static struct fixture rotate;
    struct err err = {0};
    struct code code;
    struct codegen_options options = {.opt_level = 2, .threads = 1};
    load_file(&rotate, SOURCE_DIR "/tests/codegen/fixtures/rotate.wasm");
    code_init(&code);
    assert_true(codegen_llvm(rotate.plan->units, 1, &options, &code, &err));
    unsigned rotations = 0;
    for (uint64_t at = 0; at + 2 < code.exec_size; at++) {
        const uint8_t *bytes = code.text.data + at;
        rotations += bytes[0] == 0xc1 && (bytes[1] & 0xf0) == 0xc0; /* rol or ror of a register by a constant */
        assert_false(bytes[0] == 0x0f && bytes[1] == 0xa4);
    }
    assert_int_equal(rotations, 2);
    code_free(&code);
    arena_free(&rotate.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_are_sorted_aligned_and_hashed),
        cmocka_unit_test(traps_have_sites),
        cmocka_unit_test(calls_in_handlers_have_pads),
        cmocka_unit_test(the_same_input_gives_the_same_bytes),
        cmocka_unit_test(hints_order_the_code),
        cmocka_unit_test(rotations_stay_rotations),
    };
    return cmocka_run_group_tests(tests, load_mixed, drop);
}
