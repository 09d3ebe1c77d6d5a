/* Patterns that name files: what they match, where they lead, and the forms that paths are brought into. */
#include "app/glob.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_matches(void **state)
{
    static const struct {
        const char *pattern, *path;
        bool matches;
    } rows[] = {
        {"a.c", "a.c", true},
        {"a.c", "b/a.c", false},
        {"a.c", "a.cc", false},
        {"*.c", "a.c", true},
        {"*.c", "b/a.c", false},
        {"a?.c", "ab.c", true},
        {"a?.c", "a/.c", false},
        {"[ab].c", "b.c", true},
        {"[!ab].c", "b.c", false},
        {"src/**/*.rs", "src/lib.rs", true},
        {"src/**/*.rs", "src/a/b/c.rs", true},
        {"src/**/*.rs", "src/a/b/c.rs.bk", false},
        {"src/**/*.rs", "other/src/lib.rs", false},
        {"**/*.rs", "lib.rs", true},
        {"**/*.rs", "a/b/lib.rs", true},
        {"**/b/**/*.rs", "a/b/c/b/lib.rs", true},
        {"**/b/c/*.rs", "b/c/b/c/x.rs", true},
        {"**/b/c/*.rs", "b/c/b/d/x.rs", false},
        {"src", "src/a/b", true},
        {"src/*", "src/a/b", true},
        {"src/**", "src/a/b", true},
        {"src/**", "src", true},
        {"src/**", "srcs/a", false},
        {"**", "a/b", true},
        /* folders that tools fill, unless they are written out */
        {"**/*.rs", "target/a.rs", false},
        {"**/*.rs", "a/.git/b.rs", false},
        {"**", "a/node_modules/b", false},
        {"*/a.js", "node_modules/a.js", false},
        {"target/**/*.wasm", "target/release/a.wasm", true},
        {"target/*/release/a.wasm", "target/wasm32-wasip2/release/a.wasm", true},
        {"**", ".env", true},
        {"../lib/**/*.c", "../lib/a/b.c", true},
        {"../lib/**/*.c", "lib/a/b.c", false},
        /* within a name */
        {"*a*b*c", "xxaxxbxxc", true},
        {"*a*b*c", "xxaxxcxxb", false},
        {"*", "a", true},
        {"**a", "ba", true},
        {"?", "\xc3\xa9", true},
        {"[\xc3\xa9x]", "\xc3\xa9", true},
        {"[a-c]x", "bx", true},
        {"[a-c]x", "dx", false},
        {"[]a]", "]", true},
        {"[^a]", "b", true},
        {"[a", "[a", true},
        {"[a-", "[a-", true},
        {"[a-]", "-", true},
        {"a\\", "a\\", true},
        {"a?", "a", false},
        {"*.tar.*", "a.tar.gz", true},
        {"a\\*.c", "a*.c", true},
        {"a\\*.c", "ab.c", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (glob_matches(str_of(rows[i].pattern), str_of(rows[i].path)) != rows[i].matches)
            fail_msg("%s %s %s", rows[i].pattern, rows[i].matches ? "misses" : "matches", rows[i].path);
}

static void test_leads(void **state)
{
    static const struct {
        const char *pattern, *folder;
        bool leads;
    } rows[] = {
        {"a.c", "", true},
        {"src/*.c", "src", true},
        {"src/*.c", "other", false},
        {"src/*.c", "src/a", false},
        {"src/**/*.c", "src/a/b", true},
        {"**/*.c", "a/b", true},
        {"**/*.c", "target", false},
        {"**/*.c", "a/.git", false},
        {"target/**", "target/a", true},
        {"src/*/x.c", "src/a", true},
        {"src/*/x.c", "src/.a", false},
        {"src", "src/a/b", true},
        {"../a/*.c", "..", true},
        {"../a/*.c", "../b", false},
        {"a/b/c.wasm", "a/c", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (glob_leads(str_of(rows[i].pattern), str_of(rows[i].folder)) != rows[i].leads)
            fail_msg("%s into %s", rows[i].pattern, rows[i].folder);
}

/* What takes others exponential time. */
static void test_many_stars(void **state)
{
    char pattern[8192], name[4096];
    (void)state;
    for (size_t i = 0; i < sizeof pattern - 2; i += 2)
        memcpy(pattern + i, "*a", 2);
    memcpy(pattern + sizeof pattern - 2, "*b", 2);
    memset(name, 'a', sizeof name);
    assert_false(glob_matches((struct str){pattern, sizeof pattern}, (struct str){name, sizeof name}));
    for (size_t i = 0; i < sizeof pattern; i += 5)
        memcpy(pattern + i, "**/a/", sizeof pattern - i < 5 ? sizeof pattern - i : 5);
    memcpy(pattern + sizeof pattern - 2, "bb", 2);
    for (size_t i = 1; i < sizeof name; i += 2)
        name[i] = '/';
    assert_false(glob_matches((struct str){pattern, sizeof pattern}, (struct str){name, sizeof name - 1}));
}

/* Whatever matches is in folders that are led into: else nobody would watch them. */
static void test_agrees(void **state)
{
    static const char *const names[] = {"a", "b", "target", ".git", "c.rs"};
    static const char *const patterns[] = {"**/*.rs",     "a/**/c.rs", "*/b/c.rs", "a",
                                           "**/b/*/c.rs", "a/*",       "**",       "target/**"};
    char path[64];
    (void)state;
    for (unsigned n = 0; n < 5 * 5 * 5; n++)
        for (size_t p = 0; p < sizeof patterns / sizeof *patterns; p++) {
            unsigned split = (unsigned)snprintf(path, sizeof path, "%s/%s", names[n % 5], names[n / 5 % 5]);
            snprintf(path + split, sizeof path - split, "/%s", names[n / 25]);
            if (!glob_matches(str_of(patterns[p]), str_of(path)))
                continue;
            if (!glob_leads(str_of(patterns[p]), (struct str){path, split}) ||
                !glob_leads(str_of(patterns[p]), (struct str){path, strlen(names[n % 5])}))
                fail_msg("%s matches %s, and does not lead there", patterns[p], path);
        }
}

static void test_normal(void **state)
{
    static const char *const rows[][2] = {
        {"a", "a"},
        {"./a//b/", "a/b"},
        {"a/../b", "b"},
        {"../a", "../a"},
        {"../../a/../b", "../../b"},
        {"a/../../b", "../b"},
        {"/a/./b/../c", "/a/c"},
        {"", ""},
        {".", ""},
        {"a/b/../../c", "c"},
    };
    struct arena arena;
    (void)state;
    arena_init(&arena, 1 << 16);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(glob_normal(&arena, str_of(rows[i][0])), rows[i][1]);
    arena_free(&arena);
}

static void expect_alternatives(const char *pattern, const char *const *wanted, uint32_t count)
{
    struct arena arena;
    uint32_t got = 0;
    arena_init(&arena, 1 << 20);
    const struct str *all = glob_alternatives(&arena, str_of(pattern), &got);
    assert_non_null(all);
    assert_int_equal(got, count);
    for (uint32_t i = 0; i < count; i++) {
        bool found = false;
        for (uint32_t k = 0; k < got; k++)
            found |= str_eq(all[k], str_of(wanted[i]));
        assert_true(found);
    }
    arena_free(&arena);
}

static void test_alternatives(void **state)
{
    (void)state;
    expect_alternatives("a.c", (const char *const[]){"a.c"}, 1);
    expect_alternatives("*.{js,ts}", (const char *const[]){"*.js", "*.ts"}, 2);
    expect_alternatives("{a,b}/{c,d}", (const char *const[]){"a/c", "a/d", "b/c", "b/d"}, 4);
    expect_alternatives("{a,{b,c}d}e", (const char *const[]){"ae", "bde", "cde"}, 3);
    expect_alternatives("a{b", (const char *const[]){"a{b"}, 1);
    expect_alternatives("x{}", (const char *const[]){"x"}, 1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches),    cmocka_unit_test(test_leads),  cmocka_unit_test(test_agrees),
        cmocka_unit_test(test_many_stars), cmocka_unit_test(test_normal), cmocka_unit_test(test_alternatives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
