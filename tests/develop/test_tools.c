/* Which programs a build command calls, which are missing, and what is said then. */
#include "develop/tools.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_programs(void **state)
{
    static const char *const rows[][2] = {
        {"cargo build --release", "cargo "},
        {"cd a && make -j2; npm run build | tee log", "make npm tee "},
        {"A=1 B='x y' cc -c a.c", "cc "},
        {"A=1", ""},
        {"\"quoted tool\" a && $CC b && `x` c", ""},
        {"test -d node_modules || npm install", "npm "},
        {"echo 'a && b; c' && ./build.sh", "./build.sh "},
        {"(cd a; tool) && other\nthird", "tool other third "},
        {"", ""},
        {"  \t ", ""},
        {"a\\ b c", ""},
        {"one \"unclosed", "one "},
        {"one &&", "one "},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct str rest = str_of(rows[i][0]), program;
        char got[256] = "";
        while (tools_next(&rest, &program))
            snprintf(got + strlen(got), sizeof got - strlen(got), "%.*s ", STR_ARG(program));
        assert_string_equal(got, rows[i][1]);
    }
}

static void test_there(void **state)
{
    (void)state;
    assert_true(tools_there(STR("sh"), "."));
    assert_true(tools_there(STR("/bin/sh"), "/nowhere"));
    assert_true(tools_there(STR("./sh"), "/bin"));
    assert_false(tools_there(STR("./sh"), "/nowhere"));
    assert_false(tools_there(STR("no-such-tool-here"), "."));
    assert_false(tools_there(STR("/bin"), ".")); /* a folder */
    assert_non_null(strstr(tools_remedy(STR("cargo")), "rustup"));
    assert_non_null(strstr(tools_remedy(STR("no-such-tool-here")), "PATH"));
}

static void test_targets(void **state)
{
    static const char *const rows[][2] = {
        {"cargo build --target wasm32-wasip1 --release", "wasm32-wasip1"},
        {"cargo build --release --target=wasm32-wasip2", "wasm32-wasip2"},
        {"cd x && cargo build --target wasm32-wasip2", "wasm32-wasip2"},
        {"cargo build --target x86_64-unknown-linux-gnu", ""},
        {"other --target wasm32-wasip1", ""},
        {"cargo build --target $TARGET", ""},
        {"cargo build --target", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct str target = tools_rust_target(str_of(rows[i][0]));
        if (!str_eq(target, str_of(rows[i][1])))
            fail_msg("%s: \"%.*s\"", rows[i][0], STR_ARG(target));
    }
}

static void test_explain(void **state)
{
    struct err err = {0};
    (void)state;
    err_set(&err, ERR_SYSTEM, "failed");
    assert_false(tools_explain(STR("sh -c true"), ".", &err));
    assert_string_equal(err.remedy, "");
    assert_true(tools_explain(STR("true && no-such-tool-here a"), ".", &err));
    assert_non_null(strstr(err.remedy, "no-such-tool-here is not installed"));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_programs),
        cmocka_unit_test(test_there),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_explain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
