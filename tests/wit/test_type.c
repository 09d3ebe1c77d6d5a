/* Sizes, alignments, flattening and canonical text, against values worked out by hand from CanonicalABI.md. */
#include "wit/support.h"

#define HEAD "package a:b; interface i { resource r; enum e2 { a, b } record p { x: u8, y: u64 } "

struct row {
    const char *type;
    uint32_t size, align, flat_count;
    const char *flat; /* i, I, f, F: i32, i64, f32, f64 */
    const char *text;
};

static const struct row rows[] = {
    {"bool", 1, 1, 1, "i", "bool"},
    {"s8", 1, 1, 1, "i", "s8"},
    {"u16", 2, 2, 1, "i", "u16"},
    {"s32", 4, 4, 1, "i", "s32"},
    {"u64", 8, 8, 1, "I", "u64"},
    {"f32", 4, 4, 1, "f", "f32"},
    {"f64", 8, 8, 1, "F", "f64"},
    {"char", 4, 4, 1, "i", "char"},
    {"string", 8, 4, 2, "ii", "string"},
    {"list<u64>", 8, 4, 2, "ii", "list<u64>"},
    {"list<u16, 3>", 6, 2, 3, "iii", "list<u16, 3>"},
    {"map<u8, string>", 8, 4, 2, "ii", "map<u8, string>"},
    {"r", 4, 4, 1, "i", "own<a:b/i.r>"},
    {"own<r>", 4, 4, 1, "i", "own<a:b/i.r>"},
    {"borrow<r>", 4, 4, 1, "i", "borrow<a:b/i.r>"},
    {"p", 16, 8, 2, "iI", "record{x: u8, y: u64}"},
    {"e2", 1, 1, 1, "i", "enum{a, b}"},
    {"tuple<u8>", 1, 1, 1, "i", "tuple<u8>"},
    {"tuple<u8, u32, u8>", 12, 4, 3, "iii", "tuple<u8, u32, u8>"},
    {"tuple<f32, f64>", 16, 8, 2, "fF", "tuple<f32, f64>"},
    {"option<u8>", 2, 1, 2, "ii", "option<u8>"},
    {"option<u64>", 16, 8, 2, "iI", "option<u64>"},
    {"option<string>", 12, 4, 3, "iii", "option<string>"},
    {"result", 1, 1, 1, "i", "result"},
    {"result<u32>", 8, 4, 2, "ii", "result<u32>"},
    {"result<_, u8>", 2, 1, 2, "ii", "result<_, u8>"},
    {"result<f32, u32>", 8, 4, 2, "ii", "result<f32, u32>"},
    {"result<f32, f32>", 8, 4, 2, "if", "result<f32, f32>"},
    {"result<f32, u64>", 16, 8, 2, "iI", "result<f32, u64>"},
    {"result<f64, f32>", 16, 8, 2, "iI", "result<f64, f32>"},
    {"result<string, f64>", 16, 8, 3, "iIi", "result<string, f64>"},
    {"result<option<u8>, p>", 24, 8, 3, "iiI", "result<option<u8>, record{x: u8, y: u64}>"},
    {"option<result<tuple<f32, s64>, string>>", 32, 8, 4, "iiiI", "option<result<tuple<f32, s64>, string>>"},
};

static wasm_valtype code(char letter)
{
    return letter == 'i' ? WASM_I32 : letter == 'I' ? WASM_I64 : letter == 'f' ? WASM_F32 : WASM_F64;
}

static void check_row(const struct row *row)
{
    char text[512];
    struct wit wit;
    struct buf out;
    snprintf(text, sizeof text, HEAD "f: func(x: %s); }", row->type);
    wit_good(&wit, text);
    const struct type *type = wit_func(&wit, "f")->type.params[0].type;
    if (type->size != row->size || type->align != row->align || type->flat_count != row->flat_count)
        fail_msg("%s: size %u align %u flat %u", row->type, type->size, type->align, type->flat_count);
    for (uint32_t i = 0; i < type->flat_count; i++)
        if (type->flat[i] != code(row->flat[i]))
            fail_msg("%s: flat type %u is 0x%x", row->type, i, type->flat[i]);
    buf_init(&out, 1000);
    assert_true(type_text(type, &out));
    buf_append(&out, "", 1);
    assert_string_equal((char *)out.data, row->text);
    buf_free(&out);
    wit_free(&wit);
}

static void sizes(void **state)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check_row(&rows[i]);
}

/* Discriminants and flags grow at 256 and 65536 cases, 8 and 16 flags. */
static void counts(void **state)
{
    static const struct {
        enum type_kind kind;
        uint32_t count, size;
    } cases[] = {{TYPE_ENUM, 1, 1},     {TYPE_ENUM, 256, 1}, {TYPE_ENUM, 257, 2}, {TYPE_ENUM, 65536, 2},
                 {TYPE_ENUM, 65537, 4}, {TYPE_FLAGS, 1, 1},  {TYPE_FLAGS, 8, 1},  {TYPE_FLAGS, 9, 2},
                 {TYPE_FLAGS, 16, 2},   {TYPE_FLAGS, 17, 4}, {TYPE_FLAGS, 32, 4}};
    struct type_item *items = test_calloc(65537, sizeof *items);
    struct err err = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct type type = {.kind = cases[i].kind, .items = items, .count = cases[i].count};
        assert_true(type_finish(&type, &err));
        assert_int_equal(type.size, cases[i].size);
        assert_int_equal(type.align, cases[i].size);
    }
    struct type flags = {.kind = TYPE_FLAGS, .items = items, .count = 33};
    assert_false(type_finish(&flags, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    test_free(items);
}

/* Sizes stop at the cap, flat counts saturate. */
static void caps(void **state)
{
    struct err err = {0};
    struct type byte = {.kind = TYPE_U8}, list = {.kind = TYPE_FIXED_LIST, .element = &byte, .count = TYPE_MAX_SIZE};
    assert_true(type_finish(&byte, &err) && type_finish(&list, &err));
    assert_int_equal(list.flat_count, TYPE_MAX_SIZE);
    list.count++;
    assert_false(type_finish(&list, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    list.count = TYPE_MAX_SIZE;
    assert_true(type_finish(&list, &err));
    struct type_item items[] = {{STR("a"), &list}, {STR("b"), &byte}};
    struct type record = {.kind = TYPE_RECORD, .items = items, .count = 2};
    assert_false(type_finish(&record, &err));
    record.count = 0;
    assert_false(type_finish(&record, &err));
}

struct signature {
    const char *func;
    const char *params, *result; /* of the lowered function */
    const char *lifted_params, *lifted_result;
};

static const struct signature signatures[] = {
    {"func()", "", "", "", ""},
    {"func(a: u8, b: u64, c: f32) -> f64", "iIf", "F", "iIf", "F"},
    {"func(s: string) -> string", "iii", "", "ii", "i"},
    {"func() -> result", "", "i", "", "i"},
    {"func() -> option<u8>", "i", "", "", "i"},
    {"func(a: list<u8, 16>)", "iiiiiiiiiiiiiiii", "", "iiiiiiiiiiiiiiii", ""},
    {"func(a: list<u8, 16>) -> string", "iiiiiiiiiiiiiiiii", "", "iiiiiiiiiiiiiiii", "i"},
    {"func(a: list<u8, 17>) -> string", "ii", "", "i", "i"},
    {"func(a: list<u8, 16>, b: f64) -> u8", "i", "i", "i", "i"},
};

static void check_flat(const struct func_type *func, bool lower, const char *params, const char *result)
{
    struct flat_func flat;
    type_flatten_func(func, lower, &flat);
    assert_int_equal(flat.param_count, strlen(params));
    for (uint32_t i = 0; i < flat.param_count; i++)
        assert_int_equal(flat.params[i], code(params[i]));
    assert_int_equal(flat.result_count, strlen(result));
    if (flat.result_count)
        assert_int_equal(flat.results[0], code(result[0]));
}

static void functions(void **state)
{
    for (size_t i = 0; i < sizeof signatures / sizeof *signatures; i++) {
        char text[512];
        struct wit wit;
        snprintf(text, sizeof text, HEAD "f: %s; }", signatures[i].func);
        wit_good(&wit, text);
        const struct func_type *func = &wit_func(&wit, "f")->type;
        check_flat(func, true, signatures[i].params, signatures[i].result);
        check_flat(func, false, signatures[i].lifted_params, signatures[i].lifted_result);
        wit_free(&wit);
    }
}

static void function_text(void **state)
{
    struct wit wit;
    struct buf out;
    wit_good(&wit, HEAD "variant v { a(r), b } f: async func(x: borrow<r>, y: list<u8>) -> result<_, v>; }");
    buf_init(&out, 1000);
    assert_true(type_func_text(&wit_func(&wit, "f")->type, &out));
    buf_append(&out, "", 1);
    assert_string_equal((char *)out.data,
                        "async func(borrow<a:b/i.r>, list<u8>) -> result<_, variant{a(own<a:b/i.r>), b}>");
    buf_free(&out);
    buf_init(&out, 10); /* a full buffer stops the writer */
    assert_false(type_func_text(&wit_func(&wit, "f")->type, &out));
    buf_free(&out);
    wit_free(&wit);
}

/* Text doubles with each level of sharing; the buffer's maximum ends that early. */
static void shared_text(void **state)
{
    struct type types[64] = {{.kind = TYPE_U8}};
    struct type lists[64];
    struct type_item items[64][2];
    struct err err = {0};
    struct buf out;
    assert_true(type_finish(&types[0], &err));
    for (int i = 1; i < 64; i++) {
        lists[i] = (struct type){.kind = TYPE_LIST, .element = &types[i - 1]};
        assert_true(type_finish(&lists[i], &err));
        items[i][0].type = items[i][1].type = &lists[i];
        types[i] = (struct type){.kind = TYPE_TUPLE, .items = items[i], .count = 2};
        assert_true(type_finish(&types[i], &err));
    }
    buf_init(&out, 100000);
    assert_false(type_text(&types[63], &out));
    buf_free(&out);
}

/* Which version of an interface serves an import of another. */
static void versions(void **state)
{
    static const struct {
        const char *offered, *wanted;
        bool fits;
    } rows[] = {
        {"0.2.12", "0.2.0", true},
        {"0.2.12", "0.2.99", true},
        {"0.2.12", "0.3.0", false},
        {"0.2.12", "0.20.0", false},
        {"3.1.0", "3.0.0", true},
        {"3.1.0", "3.9.4", true},
        {"3.1.0", "31.0.0", false},
        {"3.1.0", "2.0.0", false},
        {"3.1.0", "", true},
        {"", "", true},
        {"", "2.0.0", false},
        {"0.2.12", "0.2.0-rc-2023-11-10", false},
        {"0.2.0-rc-2023-11-10", "0.2.0-rc-2023-11-10", true},
        {"0.2.0-rc-2023-11-10", "0.2.0-rc-2023-10-18", false},
        {"0.2.0-rc-2023-11-10", "0.2.0", false},
        {"0.2.0-rc-2023-11-10", "", true},
        {"0.2.0-draft2", "0.2.0-draft2", true},
        {"0.2.0-draft2", "0.2.0-draft", false},
        {"0.2.0-draft2", "0.2.0", false},
        {"0.3.0-rc-1", "0.3.0-rc-2", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (version_fits(str_of(rows[i].offered), str_of(rows[i].wanted)) != rows[i].fits)
            fail_msg("%s for %s", rows[i].offered, rows[i].wanted);
    assert_true(str_eq(version_track(STR("0.2.12")), STR("0.2")) && str_eq(version_track(STR("10.2.3")), STR("10")));
    assert_true(str_eq(version_track(STR("0")), STR("0")) && version_track(STR("")).len == 0);
    assert_true(str_eq(version_track(STR("0.2.0-rc-1")), STR("0.2.0-rc-1")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),     cmocka_unit_test(counts),        cmocka_unit_test(caps),
        cmocka_unit_test(functions), cmocka_unit_test(function_text), cmocka_unit_test(shared_text),
        cmocka_unit_test(versions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
