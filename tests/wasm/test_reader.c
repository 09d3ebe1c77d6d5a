/* The primitives of the binary format: every integer width at its edges, strings, types. */
#include "wasm/reader.h"

#include "wasm/build.h"

static struct err err;

static struct reader over(const void *bytes, size_t size)
{
    memset(&err, 0, sizeof err);
    return (struct reader){bytes, bytes, (const uint8_t *)bytes + size, &err};
}

#define OVER(...) over((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void unsigned_numbers(void **state)
{
    uint32_t small;
    uint64_t large;
    struct reader in = OVER(0x7f);
    assert_true(reader_u32(&in, &small) && small == 0x7f);
    in = OVER(0xff, 0xff, 0xff, 0xff, 0x0f);
    assert_true(reader_u32(&in, &small) && small == UINT32_MAX);
    in = OVER(0x80, 0x80, 0x80, 0x80, 0x00);
    assert_true(reader_u32(&in, &small) && small == 0);
    in = OVER(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01);
    assert_true(reader_u64(&in, &large) && large == UINT64_MAX);
}

static void signed_numbers(void **state)
{
    int32_t small;
    int64_t large;
    struct reader in = OVER(0x40);
    assert_true(reader_s32(&in, &small) && small == -64);
    in = OVER(0x80, 0x80, 0x80, 0x80, 0x78);
    assert_true(reader_s32(&in, &small) && small == INT32_MIN);
    in = OVER(0xff, 0xff, 0xff, 0xff, 0x07);
    assert_true(reader_s32(&in, &small) && small == INT32_MAX);
    in = OVER(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f);
    assert_true(reader_s64(&in, &large) && large == INT64_MIN);
    in = OVER(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00);
    assert_true(reader_s64(&in, &large) && large == INT64_MAX);
    in = OVER(0xff, 0xff, 0xff, 0xff, 0x0f);
    assert_true(reader_s33(&in, &large) && large == INT64_C(0xffffffff));
}

#define ASSERT_FAILS(call, expected_kind, words)                                                                       \
    do {                                                                                                               \
        assert_false(call);                                                                                            \
        assert_int_equal(err.kind, (expected_kind));                                                                   \
        assert_non_null(strstr(err.message, (words)));                                                                 \
    } while (0)

static void numbers_refused(void **state)
{
    uint32_t small = 77;
    int32_t negative = 77;
    uint64_t large = 77;
    int64_t wide = 77;
    struct reader in = OVER(0xff, 0xff, 0xff, 0xff, 0x1f);
    ASSERT_FAILS(reader_u32(&in, &small), ERR_MALFORMED, "integer too large");
    in = OVER(0x80, 0x80, 0x80, 0x80, 0x80, 0x00);
    ASSERT_FAILS(reader_u32(&in, &small), ERR_MALFORMED, "integer representation too long");
    in = OVER(0x80, 0x80);
    ASSERT_FAILS(reader_u32(&in, &small), ERR_MALFORMED, "unexpected end");
    in = OVER(0x80, 0x80, 0x80, 0x80, 0x70);
    ASSERT_FAILS(reader_s32(&in, &negative), ERR_MALFORMED, "integer too large");
    in = OVER(0xff, 0xff, 0xff, 0xff, 0x4f);
    ASSERT_FAILS(reader_s32(&in, &negative), ERR_MALFORMED, "integer too large");
    in = OVER(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02);
    ASSERT_FAILS(reader_u64(&in, &large), ERR_MALFORMED, "integer too large");
    in = OVER(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x41);
    ASSERT_FAILS(reader_s64(&in, &wide), ERR_MALFORMED, "integer too large");
    assert_int_equal(small, 77);
    assert_int_equal(negative, 77);
    assert_int_equal(large, 77);
    assert_int_equal(wide, 77);
}

static void names(void **state)
{
    struct str name = STR("old");
    struct reader in = OVER(3, 'a', 0xc3, 0xa9);
    assert_true(reader_name(&in, &name) && name.len == 3);
    in = OVER(2, 'a', 0xc3);
    ASSERT_FAILS(reader_name(&in, &name), ERR_MALFORMED, "UTF-8");
    in = OVER(3, 'a', 'b');
    ASSERT_FAILS(reader_name(&in, &name), ERR_MALFORMED, "unexpected end");
    assert_int_equal(name.len, 3);
}

static void windows(void **state)
{
    struct reader in = OVER(1, 2, 3), part;
    const uint8_t *bytes;
    assert_false(reader_window(&in, 4, &part));
    assert_true(reader_window(&in, 2, &part));
    assert_int_equal(reader_left(&part), 2);
    assert_false(reader_bytes(&part, 3, &bytes));
    assert_true(reader_bytes(&part, 2, &bytes));
    assert_int_equal(reader_offset(&in), 2);
    assert_int_equal(reader_offset(&part), 2);
}

static void counts(void **state)
{
    uint32_t count = 5;
    struct reader in = OVER(3, 0, 0);
    ASSERT_FAILS(reader_count(&in, WASM_LIMIT_TYPES, &count), ERR_MALFORMED, "unexpected end");
    in = OVER(2, 0, 0);
    assert_true(reader_count(&in, WASM_LIMIT_TYPES, &count) && count == 2);
}

static void types(void **state)
{
    wasm_valtype type = WASM_BOT;
    uint32_t index = 1;
    struct reader in = OVER(0x7b);
    assert_true(reader_valtype(&in, &type) && type == WASM_V128);
    in = OVER(0x70);
    assert_true(reader_valtype(&in, &type) && type == WASM_FUNCREF);
    in = OVER(0x64, 0x6e);
    assert_true(reader_valtype(&in, &type) && type == (WASM_REF | HEAP_ANY));
    in = OVER(0x63, 0x85, 0x01);
    assert_true(reader_valtype(&in, &type) && type == (WASM_REF | WASM_NULLABLE | 133));
    in = OVER(0x78);
    assert_true(reader_storage(&in, &type) && type == WASM_I8);
    in = OVER(0x78);
    ASSERT_FAILS(reader_valtype(&in, &type), ERR_MALFORMED, "malformed reference type");
    in = OVER(0x64, 0x7f);
    ASSERT_FAILS(reader_valtype(&in, &type), ERR_MALFORMED, "malformed heap type");
    in = OVER(0x64, 0xff, 0xff, 0xff, 0xff, 0x0f);
    ASSERT_FAILS(reader_valtype(&in, &type), ERR_INVALID, "unknown type");
    in = OVER(0x40);
    assert_true(reader_blocktype(&in, &index, &type) && index == WASM_NO_INDEX && type == WASM_BOT);
    in = OVER(0x7e);
    assert_true(reader_blocktype(&in, &index, &type) && index == WASM_NO_INDEX && type == WASM_I64);
    in = OVER(0x05);
    assert_true(reader_blocktype(&in, &index, &type) && index == 5);
    in = OVER(0xc0, 0x7f);
    ASSERT_FAILS(reader_blocktype(&in, &index, &type), ERR_MALFORMED, "malformed heap type");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unsigned_numbers),
        cmocka_unit_test(signed_numbers),
        cmocka_unit_test(numbers_refused),
        cmocka_unit_test(names),
        cmocka_unit_test(windows),
        cmocka_unit_test(counts),
        cmocka_unit_test(types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
