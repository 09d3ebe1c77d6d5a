/* Files named .env: what each form of a line gives, what is refused and in which line, and memory that runs out. */
#include "deploy/dotenv.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct arena arena;
static const struct str none = {"", 0};

static int begin(void **state)
{
    arena_init(&arena, (size_t)64 << 20);
    return 0;
}

static int end(void **state)
{
    arena_free(&arena);
    return 0;
}

static void expect(const char *text, const char *name, const char *value)
{
    struct dotenv dotenv = {0};
    struct err err = {0};
    if (!dotenv_read(&dotenv, str_of(text), none, &arena, &err))
        fail_msg("%s: %s", text, err.message);
    const struct str *found = dotenv_find(&dotenv, str_of(name));
    if (!value) {
        assert_null(found);
        return;
    }
    assert_non_null(found);
    if (!str_eq(*found, str_of(value)))
        fail_msg("%s: %.*s", text, STR_ARG(*found));
}

static void test_forms(void **state)
{
    static const struct {
        const char *text, *value;
    } rows[] = {
        {"A=1", "1"},
        {"A=1\n", "1"},
        {"A=1\r\nB=2\r\n", "1"},
        {"\n\n  # c\n\t A \t=\t 1 \t\n", "1"},
        {"A=", ""},
        {"A=\nB=1", ""},
        {"A= # c", ""},
        {"A=#c", ""},
        {"A=a#c", "a#c"},
        {"A=a #c", "a"},
        {"export A=1", "1"},
        {"export  A = 1", "1"},
        {"A='a b'", "a b"},
        {"A='a # \\n $B' # c", "a # \\n $B"},
        {"A=\"a b\\n\\r\\t\\\\\\\"\\$\\'\"", "a b\n\r\t\\\"$'"},
        {"A=a\\ b", "a b"},
        {"A=a'b c'\"d\"e", "ab cde"},
        {"A=\"one\ntwo\"\nB=3", "one\ntwo"},
        {"A='one\ntwo'", "one\ntwo"},
        {"A=1\nA=2", "2"},
        {"A=a=b", "a=b"},
        {"A=\xc3\xa4", "\xc3\xa4"},
        {"a.b=1\nA=2", "2"},
        {"B=1\nA=$B", "1"},
        {"B=1\nA=\"${B}x$B-$B_\"", "1x1-1_"},
        {"B=1\nB=2\nA=$B$B", "22"},
        {"A=a$none", "a"},
        {"A=\"${none}\"", ""},
        {"A=$A", ""},
        {"A='$B ${'", "$B ${"},
        {"A=\\$B", "$B"},
        {"C_D=1\nA=${C_D}", "1"},
        {"MAYFLYTEST=no\nA=$MAYFLYTEST", "environment"},
        {"B=1", NULL},
        {"", NULL},
        {"# A=1", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        expect(rows[i].text, "A", rows[i].value);
    expect("export=1", "export", "1");
    expect("export = 1", "export", "1");
    expect("export A=1", "export", NULL);
}

static void test_refused(void **state)
{
    static const struct {
        const char *text, *said;
    } rows[] = {
        {"secret", "line 1: no NAME=VALUE"},
        {"\n\n=secret", "line 3: no NAME=VALUE"},
        {"1A=secret", "line 1: no NAME=VALUE"},
        {"A-B=secret", "line 1: no NAME=VALUE"},
        {"export A B=secret", "line 1: no NAME=VALUE"},
        {"A=1\nB=secret x", "line 2: something behind the value"},
        {"A='1' '2'", "line 1: something behind the value"},
        {"A='a\nb'\nB=secret x", "line 3: something behind the value"},
        {"A=1\nB='secret\n\n", "line 2: a quote that does not end"},
        {"A=\"secret", "line 1: a quote that does not end"},
        {"A=\"secret$\"", "line 1: a $ with no name behind it"},
        {"A=secret$", "line 1: a $ with no name behind it"},
        {"A=$_B", "line 1: a $ with no name behind it"},
        {"A=secret${}", "line 1: a $ with no name behind it"},
        {"B=1\nA=secret${B\n}", "line 2: a ${ that does not end"},
        {"A=\"${B", "line 1: a ${ that does not end"},
        {"A=a\\q", "line 1: a \\ before what needs none"},
        {"A=a\\", "line 1: a \\ with nothing behind it"},
        {"A=\"a\\", "line 1: a \\ with nothing behind it"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct dotenv dotenv = {0};
        struct err err = {0};
        if (dotenv_read(&dotenv, str_of(rows[i].text), none, &arena, &err))
            fail_msg("%s is taken", rows[i].text);
        assert_string_equal(err.message, rows[i].said);
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_true(err.remedy[0]);
        assert_null(dotenv.items);
    }
}

/* What nobody asks for is read as others read it. */
static void test_others(void **state)
{
    struct dotenv dotenv = {0};
    struct err err = {0};
    assert_true(dotenv_read(&dotenv, STR("PROMPT=$\nP_A=1\nX=pa$$\n"), STR("P_"), &arena, &err));
    assert_true(str_eq(*dotenv_find(&dotenv, STR("P_A")), STR("1")));
    assert_true(str_eq(*dotenv_find(&dotenv, STR("X")), STR("pa")));
    assert_false(dotenv_read(&dotenv, STR("PROMPT=$\nP_A=$\n"), STR("P_"), &arena, &err));
    assert_string_equal(err.message, "line 2: a $ with no name behind it");
}

/* A value grows with every line, up to the most that one may have. */
static void test_growth(void **state)
{
    static char text[4096];
    struct dotenv dotenv = {0};
    struct err err = {0};
    size_t n = (size_t)snprintf(text, sizeof text, "A=0123456789abcdef\n");
    for (int i = 0; i < 30; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "A=$A$A\n");
    assert_false(dotenv_read(&dotenv, (struct str){text, n}, none, &arena, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_string_equal(err.message, "line 18: a value of more than 1048576 bytes");
}

/* Cut at every byte it is read or refused, and nothing behind its end is looked at. */
static void test_cut(void **state)
{
    static const char text[] = "# c\r\nexport A=\"x\\n\ny\" # d\nB='q' \nC=a\\ b\n";
    for (size_t size = 0; size < sizeof text; size++) {
        struct dotenv dotenv = {0};
        char *copy = malloc(size ? size : 1);
        assert_non_null(copy);
        memcpy(copy, text, size);
        dotenv_read(&dotenv, (struct str){copy, size}, none, &arena, NULL);
        free(copy);
    }
}

static void test_limit(void **state)
{
    static char text[DOTENV_ENTRIES_MAX * 4 + 8];
    struct dotenv dotenv = {0};
    struct err err = {0};
    for (size_t i = 0; i <= DOTENV_ENTRIES_MAX; i++)
        memcpy(text + 4 * i, "A=1\n", 4);
    assert_true(dotenv_read(&dotenv, (struct str){text, (size_t)4 * DOTENV_ENTRIES_MAX}, none, &arena, &err));
    assert_int_equal(dotenv.count, DOTENV_ENTRIES_MAX);
    assert_false(dotenv_read(&dotenv, (struct str){text, (size_t)4 * (DOTENV_ENTRIES_MAX + 1)}, none, &arena, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
}

static void test_no_memory(void **state)
{
    uint64_t live = mem_live();
    for (uint64_t nth = 1;; nth++) {
        struct arena own;
        struct dotenv dotenv = {0};
        struct err err = {0};
        arena_init(&own, 1 << 20);
        mem_fail_once(nth);
        bool done = dotenv_read(&dotenv, STR("A='1'\nB=2"), none, &own, &err);
        mem_fail_once(0);
        arena_free(&own);
        assert_int_equal(mem_live(), live);
        if (done)
            return;
        assert_int_equal(err.kind, ERR_MEMORY);
        assert_true(nth < 100);
    }
}

int main(void)
{
    setenv("MAYFLYTEST", "environment", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_forms, begin, end),
        cmocka_unit_test_setup_teardown(test_refused, begin, end),
        cmocka_unit_test_setup_teardown(test_others, begin, end),
        cmocka_unit_test_setup_teardown(test_growth, begin, end),
        cmocka_unit_test_setup_teardown(test_cut, begin, end),
        cmocka_unit_test_setup_teardown(test_limit, begin, end),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
