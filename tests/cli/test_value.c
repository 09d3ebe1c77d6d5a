/* Values as text: what is printed is read again as the same bits, and nothing else is read. */
#include "cli/value.h"

#include "wasm/types.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define FUNC 0x70
#define EXTERN 0x6f
#define ANY 0x6e
#define STRUCT 0x6b

static union cell parsed(uint8_t type, const char *text)
{
    union cell value = {0};
    if (!value_parse(type, text, &value))
        fail_msg("'%s' is no value of type 0x%x", text, type);
    return value;
}

static void refused(uint8_t type, const char *text)
{
    union cell value;
    if (value_parse(type, text, &value))
        fail_msg("'%s' was taken for a value of type 0x%x", text, type);
}

static const char *written(uint8_t type, union cell value)
{
    static char text[128];
    struct buf out;
    buf_init(&out, 4096);
    value_write(&out, type, &value);
    snprintf(text, sizeof text, "%.*s", (int)out.size, (const char *)out.data);
    buf_free(&out);
    return text;
}

static void integers(void **state)
{
    assert_int_equal(parsed(WASM_I32, "0").u32, 0);
    assert_int_equal(parsed(WASM_I32, "-1").u32, UINT32_MAX);
    assert_int_equal(parsed(WASM_I32, "+010").u32, 10);
    assert_int_equal(parsed(WASM_I32, "4294967295").u32, UINT32_MAX);
    assert_int_equal(parsed(WASM_I32, "0xffffffff").u32, UINT32_MAX);
    assert_int_equal(parsed(WASM_I32, "-0x80000000").i32, INT32_MIN);
    assert_true(parsed(WASM_I64, "18446744073709551615").u64 == UINT64_MAX);
    assert_true(parsed(WASM_I64, "-9223372036854775808").i64 == INT64_MIN);
    assert_string_equal(written(WASM_I32, parsed(WASM_I32, "0xfffffffe")), "-2");
    assert_string_equal(written(WASM_I64, parsed(WASM_I64, "0x8000000000000000")), "-9223372036854775808");
    static const char *const wrong[] = {"",      "-",   "0x",    "4294967296", "-2147483649", "1.0",
                                        "1e3",   " 1",  "1 ",    "--1",        "-+1",         "0x-1",
                                        "0x0x1", "0xg", "1_000", "a",          "inf",         "null"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        refused(WASM_I32, wrong[i]);
    refused(WASM_I64, "18446744073709551616");
    refused(WASM_I64, "-9223372036854775809");
}

static void floats(void **state)
{
    assert_int_equal(parsed(WASM_F32, "1.5").u32, 0x3fc00000);
    assert_int_equal(parsed(WASM_F32, "-0").u32, 0x80000000);
    assert_int_equal(parsed(WASM_F32, "0x1.8p1").u32, 0x40400000);
    assert_int_equal(parsed(WASM_F32, "-inf").u32, 0xff800000);
    assert_int_equal(parsed(WASM_F32, "nan").u32, 0x7fc00000);
    assert_int_equal(parsed(WASM_F32, "-nan:0x1").u32, 0xff800001);
    assert_int_equal(parsed(WASM_F32, "1.00000005960464477539062500000000001").u32, 0x3f800001); /* rounded once */
    assert_true(parsed(WASM_F64, ".25").f64 == 0.25);
    assert_true(parsed(WASM_F64, "nan:0xfffffffffffff").u64 == 0x7fffffffffffffff);
    assert_string_equal(written(WASM_F64, parsed(WASM_F64, "0.1")), "0.1");
    assert_string_equal(written(WASM_F32, parsed(WASM_F32, "0.1")), "0.1");
    static const char *const wrong[] = {"",         ".",   "-",   "nan:", "nan:0x0",  "nan:0x800000", "nan()",
                                        "infinity", "INF", "NaN", "1e99", "nan:0x-1", " 1",           "1 ",
                                        "1,5",      "1f",  "--1", "+-1",  "0x",       "1e",           "snan"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        refused(WASM_F32, wrong[i]);
    refused(WASM_F64, "1e309");
    refused(WASM_F64, "nan:0x10000000000000");
}

/* All kinds of bits. */
static void round_trips(void **state)
{
    static const uint8_t types[] = {WASM_I32, WASM_I64, WASM_F32, WASM_F64, WASM_V128};
    static const size_t sizes[] = {4, 8, 4, 8, 16};
    uint64_t random = 1;
    for (size_t i = 0; i < 200000; i++) {
        union cell value;
        for (int lane = 0; lane < 2; lane++)
            value.lanes[lane] = random = random * 6364136223846793005u + 1442695040888963407u;
        if (i % 4 == 0) /* NaN of both sizes */
            value.lanes[0] |= 0x7ff000007f800000;
        uint8_t type = types[i % 5];
        union cell again = parsed(type, written(type, value));
        assert_memory_equal(&again, &value, sizes[i % 5]);
    }
}

static void vectors(void **state)
{
    union cell value = parsed(WASM_V128, "0x0123456789abcdefFEDCBA9876543210");
    assert_int_equal(value.v128[0], 0x10);
    assert_int_equal(value.v128[15], 0x01);
    assert_string_equal(written(WASM_V128, value), "0x0123456789abcdeffedcba9876543210");
    assert_string_equal(written(WASM_V128, parsed(WASM_V128, "0x1")), "0x00000000000000000000000000000001");
    static const char *const wrong[] = {"", "0x", "1", "-0x1", "0x123456789012345678901234567890123", "0xg", "x1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        refused(WASM_V128, wrong[i]);
}

static void references(void **state)
{
    const union cell some = {.u64 = 24}, small = {.u64 = 7};
    assert_true(parsed(FUNC, "null").u64 == 0);
    assert_true(parsed(EXTERN, "null").u64 == 0);
    refused(EXTERN, "0");
    refused(EXTERN, "");
    refused(FUNC | IMAGE_TYPE_NEVER_NULL, "null");
    assert_string_equal(written(FUNC, parsed(FUNC, "null")), "null");
    assert_string_equal(written(FUNC | IMAGE_TYPE_NEVER_NULL, some), "function");
    assert_string_equal(written(EXTERN, some), "external value");
    assert_string_equal(written(ANY, some), "object");
    assert_string_equal(written(ANY, small), "i31");
    assert_string_equal(written(STRUCT, some), "structure");
}

/* Every byte that an image may hold as a type. */
static void any_type(void **state)
{
    const union cell some = {.u64 = 1};
    for (unsigned type = 0; type < 256; type++) {
        char text[VALUE_TYPE_BYTES];
        union cell value;
        value_type_name((uint8_t)type, text);
        assert_true(text[0] && written((uint8_t)type, some)[0]);
        (void)!value_parse((uint8_t)type, "null", &value);
    }
}

static void signatures(void **state)
{
    const uint8_t types[] = {WASM_I32, EXTERN, FUNC | IMAGE_TYPE_NEVER_NULL, WASM_F64, WASM_V128};
    char text[64], little[16];
    value_signature(types, 3, 2, text, sizeof text);
    assert_string_equal(text, "(i32, externref, (ref func)) -> (f64, v128)");
    value_signature(types, 0, 0, text, sizeof text);
    assert_string_equal(text, "() -> ()");
    value_signature(types, 3, 2, little, sizeof little);
    assert_string_equal(little, "(i32, extern...");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers),   cmocka_unit_test(floats),     cmocka_unit_test(round_trips),
        cmocka_unit_test(vectors),    cmocka_unit_test(references), cmocka_unit_test(any_type),
        cmocka_unit_test(signatures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
