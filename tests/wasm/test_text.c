/* Types of imports and exports as text, and the section that names toolchains, also damaged. */
#include "wasm/build.h"
#include "wasm/producers.h"
#include "wasm/text.h"

/* Something of every kind, imported. */
static struct buf imports_module(void)
{
    struct buf b = build_module();
    SECTION(&b, 1, 3, 0x60, 0, 0, 0x60, 2, 0x7f, 0x64, 0, 2, 0x7e, 0x70, 0x50, 0, 0x60, 1, 0x7b, 0);
    SECTION(&b, 2, 11, 0, 1, 'f', 0, 0, 0, 1, 'g', 0, 1, 0, 1, 'h', 0, 2, 0, 1, 't', 1, 0x70, 1, 1, 2, 0, 1, 'u', 1,
            0x6f, 4, 3, 0, 1, 'm', 2, 0, 1, 0, 1, 'n', 2, 3, 1, 2, 0, 1, 'o', 2, 4, 0, 0, 1, 'a', 3, 0x7d, 0, 0, 1, 'b',
            3, 0x63, 0, 1, 0, 1, 'e', 4, 0, 0);
    return b;
}

static void externs(void **state)
{
    static const char *const expected[] = {
        "(func)",
        "(func (param i32 (ref 0)) (result i64 funcref))",
        "(func (type 2) (param v128))",
        "(table 1 2 funcref)",
        "(table i64 3 externref)",
        "(memory 1)",
        "(memory 1 2 shared)",
        "(memory i64 0)",
        "(global f32)",
        "(global (mut (ref null 0)))",
        "(tag)",
    };
    struct buf b = imports_module();
    struct err err = {0};
    struct arena arena;
    struct wasm_module *module;
    (void)state;
    arena_init(&arena, BUILD_MAX);
    if (!wasm_load(b.data, b.size, &arena, &module, &err))
        fail_msg("offset %llx: %s", (unsigned long long)err.offset, err.message);
    assert_int_equal(module->import_count, sizeof expected / sizeof *expected);
    for (uint32_t i = 0; i < module->import_count; i++) {
        struct buf text = build_new();
        assert_true(wasm_put_extern(&text, module, module->imports[i].kind, module->imports[i].index));
        buf_append(&text, "", 1);
        assert_string_equal((const char *)text.data, expected[i]);
        buf_free(&text);
    }
    arena_free(&arena);
    buf_free(&b);
}

/* A type's text may be far longer than the type: the buffer's maximum ends it. */
static void text_has_a_maximum(void **state)
{
    static const wasm_valtype types[100] = {WASM_I32, WASM_I64};
    const struct wasm_functype type = {100, 0, types, NULL};
    struct buf text;
    (void)state;
    buf_init(&text, 64);
    assert_false(wasm_put_signature(&text, &type));
    assert_true(text.failed);
    buf_free(&text);
}

static void producers(void **state)
{
    static const char contents[] = "\2\10language\1\1C\3C11\14processed-by\2\5clang\00219\3lld\0";
    static const uint32_t counts[] = {[17] = 1, [40] = 2};
    struct arena arena;
    struct err err = {0};
    uint32_t last = 0;
    (void)state;
    arena_init(&arena, BUILD_MAX);
    for (size_t size = 0; size < sizeof contents; size++) {
        struct wasm_producer *list;
        uint32_t count;
        char *copy = arena_copy(&arena, contents, size);
        assert_non_null(copy);
        assert_true(wasm_read_producers((struct str){copy, size}, &arena, &list, &count, &err));
        assert_true(count >= last && count <= 3);
        if (size < sizeof counts / sizeof *counts && counts[size])
            assert_int_equal(count, counts[size]);
        if (count == 3) {
            assert_true(str_eq(list[0].field, STR("language")) && str_eq(list[0].version, STR("C11")));
            assert_true(str_eq(list[1].field, STR("processed-by")) && str_eq(list[1].name, STR("clang")));
            assert_true(str_eq(list[2].name, STR("lld")) && list[2].version.len == 0);
        }
        last = count;
    }
    assert_int_equal(last, 3);
    arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(externs),
        cmocka_unit_test(text_has_a_maximum),
        cmocka_unit_test(producers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
