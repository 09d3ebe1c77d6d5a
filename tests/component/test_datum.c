/* Typed values as text: what is parsed is written again, and what is wrong is refused where it is wrong. */
#include "component/load.h"

#include "component/datum_text.h"

static struct arena arena;

static uint32_t find_nothing(void *arg, struct str interface, struct str name)
{
    (void)arg;
    (void)interface;
    return name.len == 5 ? 7 : WASM_NO_INDEX;
}

static const struct type *type_from(const char *text)
{
    const struct type *type;
    struct err err = {0};
    if (!type_parse(str_of(text), &arena, find_nothing, NULL, &type, &err))
        fail_msg("%s: %s", text, err.message);
    return type;
}

/* Texts of types are read and written alike. */
static void types(void **state)
{
    static const char *const texts[] = {
        "bool",
        "s8",
        "u64",
        "f32",
        "char",
        "string",
        "error-context",
        "list<u8>",
        "list<list<string>>",
        "list<u16, 3>",
        "map<string, u32>",
        "tuple<u8, string>",
        "option<option<u8>>",
        "result",
        "result<u8>",
        "result<_, string>",
        "result<u8, string>",
        "record{a: u8, b-c: list<u8>}",
        "variant{none, some-thing(u8), x(record{y: u8})}",
        "enum{a, b}",
        "flags{a, b}",
        "own<test:a/b.thing>",
        "borrow<thing>",
        "own<#65537>",
        "stream",
        "stream<u8>",
        "future<result<u8>>",
    };
    (void)state;
    arena_init(&arena, 1 << 24);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct buf out;
        buf_init(&out, 4096);
        assert_true(type_text(type_from(texts[i]), &out));
        assert_str((struct str){(const char *)out.data, out.size}, texts[i]);
        buf_free(&out);
    }
    assert_int_equal(type_from("own<#65537>")->resource->id, 65537);
    assert_int_equal(type_from("own<a.thing>")->resource->id, 7);
    assert_int_equal(type_from("list<u16, 3>")->size, 6);
    arena_free(&arena);
}

static void functions(void **state)
{
    static const char *const texts[] = {"func()", "func(u8) -> string", "async func(list<u8>, record{a: u8})",
                                        "func(own<a.thing>) -> result<_, variant{a(u8)}>"};
    (void)state;
    arena_init(&arena, 1 << 24);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct func_type func;
        struct err err = {0};
        struct buf out;
        buf_init(&out, 4096);
        assert_true(type_func_parse(str_of(texts[i]), &arena, find_nothing, NULL, &func, &err));
        assert_true(type_func_text(&func, &out));
        assert_str((struct str){(const char *)out.data, out.size}, texts[i]);
        buf_free(&out);
    }
    arena_free(&arena);
}

static void broken_types(void **state)
{
    static const char *const texts[] = {
        "",
        "u9",
        "list",
        "list<",
        "list<u8",
        "list<u8,>",
        "list<u8, x>",
        "list<u8, 99999999999>",
        "tuple<>",
        "record{}",
        "record{a}",
        "record{a: }",
        "variant{a(u8}",
        "option<u8>>",
        "result<u8",
        "own",
        "own<",
        "u8 ",
        "list<u8, 400000000>",
    };
    (void)state;
    arena_init(&arena, 1 << 24);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const struct type *type;
        struct err err = {0};
        if (type_parse(str_of(texts[i]), &arena, find_nothing, NULL, &type, &err))
            fail_msg("`%s` is taken for a type", texts[i]);
        assert_int_not_equal(err.kind, ERR_NONE);
    }
    /* Deeper than any type. */
    char deep[5000];
    size_t n = 0;
    for (int i = 0; i < 400; i++)
        n += (size_t)snprintf(deep + n, sizeof deep - n, "list<");
    const struct type *type;
    struct err err = {0};
    assert_false(type_parse((struct str){deep, n}, &arena, find_nothing, NULL, &type, &err));
    arena_free(&arena);
}

/* `written` NULL: as it was. */
static void same(const char *type_text_, const char *text, const char *written)
{
    struct datum datum;
    struct err err = {0};
    struct buf out;
    buf_init(&out, 1 << 16);
    const struct type *type = type_from(type_text_);
    if (!datum_parse(str_of(text), type, &arena, &datum, &err))
        fail_msg("%s as %s: %s", text, type_text_, err.message);
    datum_write(&out, type, &datum);
    assert_str((struct str){(const char *)out.data, out.size}, written ? written : text);
    buf_free(&out);
}

static void values(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 24);
    same("bool", "true", NULL);
    same("bool", " false ", "false");
    same("u8", "255", NULL);
    same("s8", "-128", NULL);
    same("s64", "-9223372036854775808", NULL);
    same("u64", "18446744073709551615", NULL);
    same("f32", "0.1", NULL);
    same("f64", "-1e+300", NULL);
    same("f64", "nan", NULL);
    same("f32", "-inf", NULL);
    same("char", "'x'", NULL);
    same("char", "'\\u{1f600}'", "'\xf0\x9f\x98\x80'");
    same("char", "'\\''", NULL);
    same("char", "'\"'", NULL);
    same("string", "\"a\\n\\t\\\\ \\\"'\\u{0}\"", NULL);
    same("string", "\"\\u{e9}\"", "\"\xc3\xa9\"");
    same("list<u8>", "[]", NULL);
    same("list<u8>", "[1,2 , 3,]", "[1, 2, 3]");
    same("list<u8, 2>", "[1, 2]", NULL);
    same("map<string, u8>", "[(\"a\", 1)]", NULL);
    same("tuple<u8, string>", "(1, \"a\")", NULL);
    same("record{a: u8, b: option<u8>}", "{b: some(2), a: 1}", "{a: 1, b: some(2)}");
    same("record{a: u8, b: option<u8>}", "{a: 1}", "{a: 1, b: none}");
    same("variant{x, y(list<u8>)}", "y([1])", NULL);
    same("variant{x, y(list<u8>)}", "x", NULL);
    same("variant{true, some(u8)}", "%true", "true");
    same("enum{a, b-c}", "b-c", NULL);
    same("option<option<u8>>", "some(none)", NULL);
    same("result<u8, string>", "err(\"no\")", NULL);
    same("result", "ok", NULL);
    same("flags{a, b, c}", "{c, a}", "{a, c}");
    same("flags{a, b, c}", "{}", NULL);
    arena_free(&arena);
}

static void broken_values(void **state)
{
    static const char *const pairs[][2] = {
        {"bool", "yes"},
        {"u8", "256"},
        {"u8", "-1"},
        {"u8", ""},
        {"u8", "1 2"},
        {"u8", "0x10"},
        {"s8", "128"},
        {"s8", "-129"},
        {"u64", "18446744073709551616"},
        {"f32", "x"},
        {"f32", "infinity"},
        {"f32", "0x1p3"},
        {"char", "'"},
        {"char", "''"},
        {"char", "'ab'"},
        {"char", "'\\u{d800}'"},
        {"char", "'\\u{110000}'"},
        {"char", "'\\q'"},
        {"string", "a"},
        {"string", "\"a"},
        {"string", "\"\\"},
        {"string", "\"\xff\""},
        {"list<u8>", "[1"},
        {"list<u8>", "[1 2]"},
        {"list<u8>", "[,]"},
        {"list<u8, 2>", "[1]"},
        {"tuple<u8, u8>", "(1)"},
        {"record{a: u8}", "{}"},
        {"record{a: u8}", "{a: 1, a: 2}"},
        {"record{a: u8}", "{b: 1}"},
        {"record{a: u8}", "{a 1}"},
        {"variant{x, y(u8)}", "y"},
        {"variant{x, y(u8)}", "x(1)"},
        {"variant{x}", "z"},
        {"option<u8>", "some"},
        {"result<u8>", "ok"},
        {"flags{a}", "{b}"},
        {"flags{a}", "{a"},
        {"own<thing>", "1"},
        {"stream<u8>", "1"},
    };
    (void)state;
    arena_init(&arena, 1 << 24);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct datum datum;
        struct err err = {0};
        if (datum_parse(str_of(pairs[i][1]), type_from(pairs[i][0]), &arena, &datum, &err))
            fail_msg("`%s` is taken for a %s", pairs[i][1], pairs[i][0]);
        assert_int_equal(err.kind, ERR_USAGE);
    }
    arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types),  cmocka_unit_test(functions),     cmocka_unit_test(broken_types),
        cmocka_unit_test(values), cmocka_unit_test(broken_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
