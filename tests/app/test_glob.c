/* Patterns of file names. */
#include "app/glob.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const struct row {
    const char *pattern, *text;
    bool name, path; /* matches as a name, as a path */
} rows[] = {
    {"a", "a", true, true},
    {"a", "b", false, false},
    {"a", "", false, false},
    {"", "", true, true},
    {"*", "", true, true},
    {"*", "a.txt", true, true},
    {"*", ".hidden", true, true},
    {"*.txt", "a.txt", true, true},
    {"*.txt", "a.txt.bak", false, false},
    {"a*b*c", "abc", true, true},
    {"a*b*c", "axxbyyc", true, true},
    {"a*b*c", "axxbyy", false, false},
    {"a*b*c", "abcbd", false, false},
    {"*a", "aaaaaaaaaaaaaaaaaaaaaaaaaaaab", false, false},
    {"?", "a", true, true},
    {"?", "", false, false},
    {"?", "\xc3\xa4", true, true}, /* one character of two bytes */
    {"??", "\xc3\xa4", false, false},
    {"?", "\xff", true, true},
    {"[abc]", "b", true, true},
    {"[abc]", "d", false, false},
    {"[a-c]x", "bx", true, true},
    {"[a-c]", "-", false, false},
    {"[a-]", "-", true, true},
    {"[!a-c]", "d", true, true},
    {"[!a-c]", "a", false, false},
    {"[]]", "]", true, true},
    {"[!]]", "]", false, false},
    {"[!]]", "x", true, true},
    {"[*]", "*", true, true},
    {"[*]", "x", false, false},
    {"[[]", "[", true, true},
    {"[\xc3\xa0-\xc3\xa9]", "\xc3\xa4", true, true},
    {"*[0-9]", "file7", true, true},
    {"A", "a", false, false},
    /* Whole paths: a star of what is left out stands for slashes, too. */
    {"*.md", "docs/a.md", true, true},
    {"docs/*", "docs/a/b", true, true},
    {"docs/*", "doc/a", false, false},
    {"**/*.md", "a.md", false, true},
    {"**/*.md", "x/y/a.md", true, true},
    {"a/**/b", "a/b", false, true},
    {"a/**/b", "a/x/y/b", true, true},
    {"a/**/b", "ab", false, false},
    {"**/x/**/y", "x/y", false, true},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *row = &rows[i];
        if (glob_match_name(str_of(row->pattern), str_of(row->text)) != row->name ||
            glob_match_path(str_of(row->pattern), str_of(row->text)) != row->path)
            fail_msg("\"%s\" and \"%s\"", row->pattern, row->text);
    }
}

static void test_is_pattern(void **state)
{
    (void)state;
    assert_true(glob_is_pattern(STR("a/*.txt")));
    assert_true(glob_is_pattern(STR("a?")));
    assert_true(glob_is_pattern(STR("[a]")));
    assert_false(glob_is_pattern(STR("a/b-c.txt]")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_is_pattern)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
