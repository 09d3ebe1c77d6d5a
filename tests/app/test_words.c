/* The languages inside of a manifest's strings: ids, versions, digests and names, and amounts. */
#include "app/words.h"
#include "base/amount.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef bool check(struct str text, struct err *err);

static bool version(struct str text, struct err *err)
{
    struct version ret;
    return words_version(text, &ret, err);
}

static bool import(struct str text, struct err *err)
{
    struct words_import ret;
    return words_import(text, &ret, err);
}

static const struct {
    check *check;
    const char *good[24], *bad[24];
} rows[] = {
    {words_kebab,
     {"a", "ab", "a-b", "a1-b2", "HTTP-api", "A"},
     {"", "-", "a-", "-a", "a--b", "1a", "a-1", "aB", "Ab", "a_b", "a.b", "a b", "\xc3\xa9"}},
    {words_variable, {"a", "ab", "a_b", "a1_b2"}, {"", "_", "a_", "_a", "a__b", "1a", "a_1", "A", "aB", "a-b", "a.b"}},
    {words_label, {"a", "a-b", "a_b", "A_B", "default"}, {"", "a_b-c", "1", "a b"}},
    {version,
     {"0.0.0", "1.2.3", "1.2.3-a", "1.2.3-a.1.0", "1.2.3+b", "1.2.3-a-b+01.c", "18446744073709551615.0.0", "1.0.0--"},
     {"", "1", "1.2", "1.2.3.4", "01.2.3", "1.02.3", "1.2.03", "v1.2.3", "1.2.3-", "1.2.3-01", "1.2.3-a..b", "1.2.3+",
      "1.2.3-a_b", "1.2.x", " 1.2.3", "1.2.3 ", "18446744073709551616.0.0", "-1.2.3", "1.2.3-a+"}},
    {words_requirement,
     {"*", "1", "1.2", "1.2.3", "^1.2.3", "~1", "=1.2.3-rc.1", ">=1, <2", ">1.2 , <= 3.4.5", " 1.2 ", "1.*", "1.2.x",
      "> 1", "1.X.X", "=1.2.3+b", "^1.*", " * "},
     {"", " ", "*, 1", "1,", ",1", "1..2", "1.2.3.4", "^", "==1", "=>1", "01", "1.*.2", "1-rc", "a", "1 2", "*.1",
      "1.2.3-", "<>1", "1.x-rc"}},
    {words_digest,
     {"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},
     {"", "sha256:", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
      "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde",
      "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0",
      "sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef",
      "sha512:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
      "sha256:0123456789abcdeg0123456789abcdef0123456789abcdef0123456789abcdef"}},
    {words_package,
     {"a:b", "a-b:c-d", "WASI:http"},
     {"", ":", "a", "a:", ":b", "a:b:c", "a:b/c", "a_b:c", "a:b@1.0.0", "a b:c"}},
    {words_registry,
     {"ttl.sh", "a", "a.b-c:5000", "10.0.0.1", "LOCALHOST"},
     {"", ":", "a:", ":5", "a:b", "a/b", "https://a", "a b", "a:5:6", "a_b"}},
    {words_url,
     {"http://a", "https://a.b/c?d#e"},
     {"", "a", "ftp://a", "https://", "http:///a", "https://a b", "HTTPS://a", "https://?x", "https://a\x7f"}},
    {words_glob,
     {"", "*", "**", "**/*", "a/**/b", "*.[ch]", "[!a]", "[]]", "[!]]", "?", "a/**", "[[]"},
     {"***", "a**", "**a", "a/**b/c", "[", "[]", "[!]", "[a", "a/[b/c"}},
    {import,
     {"a", "a-b", "a:b", "a:b/c", "a:b@1.0.0", "a:b/c@1.0.0-rc.1+x"},
     {"", "a_b", "a/b", "a:b/", "a:b/c/d", "a:b@", "a:b@1", "a:b/c@", ":b", "a:", "a:b:c", "a:b/c_d"}},
};

static void test_forms(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (size_t k = 0; k < 24 && rows[i].good[k]; k++) {
            struct err err = {0};
            if (!rows[i].check(str_of(rows[i].good[k]), &err))
                fail_msg("%zu: '%s': %s", i, rows[i].good[k], err.message);
        }
        for (size_t k = 0; k < 24 && rows[i].bad[k]; k++) {
            struct err err = {0};
            if (rows[i].check(str_of(rows[i].bad[k]), &err))
                fail_msg("%zu: '%s' is taken", i, rows[i].bad[k]);
            assert_int_equal(err.kind, ERR_INVALID);
            assert_true(err.message[0] && err.remedy[0]);
        }
    }
}

static void test_version_parts(void **state)
{
    struct version v;
    (void)state;
    assert_true(words_version(STR("1.22.333-rc.1+build.5"), &v, NULL));
    assert_int_equal(v.major, 1);
    assert_int_equal(v.minor, 22);
    assert_int_equal(v.patch, 333);
    assert_true(str_eq(v.before, STR("rc.1")));
    assert_true(str_eq(v.build, STR("build.5")));
}

static void test_import_parts(void **state)
{
    struct words_import i;
    (void)state;
    assert_true(words_import(STR("wasi:http/handler@0.3.0"), &i, NULL));
    assert_true(str_eq(i.package, STR("wasi:http")) && str_eq(i.interface, STR("handler")) && i.versioned);
    assert_int_equal(i.version.minor, 3);
    assert_true(words_import(STR("plain-name"), &i, NULL));
    assert_true(str_eq(i.plain, STR("plain-name")) && !i.package.len && !i.versioned);
}

/* As many parts of a requirement as are allowed, and one more. */
static void test_requirement_cap(void **state)
{
    char text[256] = "1";
    (void)state;
    for (size_t n = 1; n < 32; n++)
        memcpy(text + 2 * n - 1, ",1", 3);
    assert_true(words_requirement(str_of(text), NULL));
    memcpy(text + 63, ",1", 3);
    assert_false(words_requirement(str_of(text), NULL));
}

/* ---- overlaps, as Spin's own tests have them, and more ---- */

static void test_overlaps(void **state)
{
    static const struct {
        const char *a, *b;
        bool overlap;
    } pairs[] = {
        {"a:b@0.1.0", "a:b@0.2.0", false},
        {"a:b@0.2.1", "a:b@0.2.2", true},
        {"a:b@1.2.0", "a:b@1.9.9", true},
        {"a:b@1.0.0", "a:b@2.0.0", false},
        {"a:b@0.0.1", "a:b@0.0.2", false},
        {"a:b@0.0.1", "a:b@0.0.1", true},
        {"a:b", "a:b", true},
        {"a:b", "a:b@1.0.0", true},
        {"a:b", "a:c", false},
        {"a:b/x", "a:b/y", false},
        {"a:b/x", "a:b/x", true},
        {"a:b/x", "a:b", true},
        {"a:b/x@1.0.0", "a:b/y@1.0.0", false},
        {"a:b/x@1.0.0", "a:b/x@1.5.0", true},
        {"a:b/x@1.0.0", "a:b@1.0.0", true},
        {"a:b/x@1.0.0", "a:b@2.0.0", false},
        {"a:b/x@1.0.0", "a:b/x", true},
        {"a:b@1.0.0-a", "a:b@1.0.0-b", false},
        {"a:b@1.0.0-a", "a:b@1.0.0-a", true},
        {"a:b@1.0.0-a", "a:b@1.0.0", false},
        {"a:b@1.0.0+x", "a:b@1.0.0+y", true},
        {"a", "a", false},
        {"a", "a:b", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct words_import a, b;
        assert_true(words_import(str_of(pairs[i].a), &a, NULL) && words_import(str_of(pairs[i].b), &b, NULL));
        if (words_imports_overlap(&a, &b) != pairs[i].overlap || words_imports_overlap(&b, &a) != pairs[i].overlap)
            fail_msg("%s and %s", pairs[i].a, pairs[i].b);
    }
}

static void test_amounts(void **state)
{
    uint64_t value = 0;
    (void)state;
    assert_true(amount_size(STR("64"), &value) && value == 64);
    assert_true(amount_size(STR("64K"), &value) && value == 65536);
    assert_true(amount_size(STR("2MiB"), &value) && value == 2097152);
    assert_true(amount_size(STR("18446744073709551615"), &value) && value == UINT64_MAX);
    assert_false(amount_size(STR("18446744073709551616"), &value) || amount_size(STR("17179869184G"), &value));
    assert_false(amount_size(STR(""), &value) || amount_size(STR("K"), &value) || amount_size(STR("1k"), &value));
    assert_false(amount_size(STR("1 K"), &value) || amount_size(STR("-1"), &value) || amount_size(STR("1KB"), &value));
    assert_true(amount_duration(STR("500ms"), &value) && value == 500000000);
    assert_true(amount_duration(STR("2h"), &value) && value == 7200000000000);
    assert_false(amount_duration(STR("2"), &value) || amount_duration(STR("2us"), &value));
    assert_true(amount_duration(STR("4611686018s"), &value));
    assert_false(amount_duration(STR("4611686019s"), &value));
}

/* As the documentation of Cargo has it. */
static void test_meets(void **state)
{
    static const struct {
        const char *requirement, *good[8], *bad[8];
    } table[] = {
        {"*", {"0.0.0", "1.2.3"}, {"1.2.3-rc.1"}},
        {"1.2.3", {"1.2.3", "1.2.4", "1.9.0"}, {"1.2.2", "2.0.0", "1.2.3-rc.1", "1.3.0-rc.1", "0.9.0"}},
        {"1.2", {"1.2.0", "1.99.0"}, {"1.1.9", "2.0.0"}},
        {"1", {"1.0.0", "1.99.0"}, {"0.9.9", "2.0.0"}},
        {"0.2.3", {"0.2.3", "0.2.9"}, {"0.2.2", "0.3.0", "1.0.0"}},
        {"0.0.3", {"0.0.3"}, {"0.0.4", "0.0.2"}},
        {"0.0", {"0.0.0", "0.0.9"}, {"0.1.0"}},
        {"^0", {"0.0.1", "0.9.9"}, {"1.0.0"}},
        {"~1.2.3", {"1.2.3", "1.2.9"}, {"1.2.2", "1.3.0"}},
        {"~1.2", {"1.2.0", "1.2.9"}, {"1.3.0", "1.1.0"}},
        {"~1", {"1.0.0", "1.9.0"}, {"2.0.0"}},
        {"1.*", {"1.0.0", "1.9.0"}, {"2.0.0"}},
        {"1.2.*", {"1.2.0", "1.2.9"}, {"1.3.0", "1.1.9", "1.2.0-rc.1"}},
        {"=1.2.3", {"1.2.3", "1.2.3+build"}, {"1.2.4", "1.2.2"}},
        {"=1.2", {"1.2.0", "1.2.9"}, {"1.3.0"}},
        {">1.2", {"1.3.0", "2.0.0"}, {"1.2.0", "1.2.9"}},
        {">1.2.3", {"1.2.4"}, {"1.2.3"}},
        {">=1.2.3, <2", {"1.2.3", "1.9.9"}, {"1.2.2", "2.0.0", "2.0.1"}},
        {"<=1.2", {"1.2.9", "0.1.0"}, {"1.3.0"}},
        {"<=1.2.3", {"1.2.3", "1.2.2"}, {"1.2.4"}},
        {"<1.2", {"1.1.9"}, {"1.2.0", "1.2.1", "1.2.0-rc.1"}},
        {"1.2.3-rc.2", {"1.2.3-rc.2", "1.2.3-rc.10", "1.2.3", "1.2.4"}, {"1.2.3-rc.1", "1.2.4-rc.3", "1.2.3-beta"}},
        {"nonsense", {NULL}, {"1.2.3"}},
    };
    struct version version;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        for (size_t k = 0; k < 8 && table[i].good[k]; k++)
            if (!words_version(str_of(table[i].good[k]), &version, NULL) ||
                !version_meets(&version, str_of(table[i].requirement)))
                fail_msg("%s is not %s", table[i].good[k], table[i].requirement);
        for (size_t k = 0; k < 8 && table[i].bad[k]; k++)
            if (!words_version(str_of(table[i].bad[k]), &version, NULL) ||
                version_meets(&version, str_of(table[i].requirement)))
                fail_msg("%s is %s", table[i].bad[k], table[i].requirement);
    }
}

/* In the order of semver.org, section 11. */
static void test_order(void **state)
{
    static const char *const order[] = {
        "0.9.9",      "1.0.0-0",      "1.0.0-2",       "1.0.0-10",   "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta",
        "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0",       "1.0.1",         "1.1.0",
        "2.0.0"};
    struct version a, b;
    for (int i = 0; i < (int)(sizeof order / sizeof order[0]); i++)
        for (int k = 0; k < (int)(sizeof order / sizeof order[0]); k++) {
            assert_true(words_version(str_of(order[i]), &a, NULL) && words_version(str_of(order[k]), &b, NULL));
            int said = version_compare(&a, &b);
            if ((said > 0) - (said < 0) != (i > k) - (i < k))
                fail_msg("%s and %s: %d", order[i], order[k], said);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),    cmocka_unit_test(test_version_parts),   cmocka_unit_test(test_import_parts),
        cmocka_unit_test(test_overlaps), cmocka_unit_test(test_requirement_cap), cmocka_unit_test(test_amounts),
        cmocka_unit_test(test_meets),    cmocka_unit_test(test_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
