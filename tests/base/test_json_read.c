/* The reader of JSON: every value with its path, nothing that is no JSON, and the same verdict as another reader on
 * changed texts. */
#include "base/json_read.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char seen[4096];

static void note(void *arg, const struct json_read_value *value)
{
    static const char kinds[] = {'0', 'b', '#', '"', '@'};
    size_t n = strlen(seen);
    (void)arg;
    n += (size_t)snprintf(seen + n, sizeof seen - n, "%.*s%c", STR_ARG(value->path), kinds[value->kind]);
    if (value->kind == JSON_READ_NUMBER)
        snprintf(seen + n, sizeof seen - n, "%llu ", (unsigned long long)value->number);
    else if (value->kind == JSON_READ_STRING)
        snprintf(seen + n, sizeof seen - n, "%.*s ", STR_ARG(value->text));
    else
        snprintf(seen + n, sizeof seen - n, "%s ", value->truth ? "yes" : "");
}

static void ignore(void *arg, const struct json_read_value *value)
{
    (void)arg;
    (void)value;
}

static void expect(const char *text, const char *wanted)
{
    seen[0] = '\0';
    assert_true(json_read(str_of(text), note, NULL));
    assert_string_equal(seen, wanted);
}

static void test_values(void **state)
{
    (void)state;
    expect("17", "#17 ");
    expect(" {\"a\": {\"b\" : [1, {\"c\": \"d\"}]}, \"e\":null}\n", "a.b[]@ a.b[]#1 a.b[]@ a.b[].c\"d e0 ");
    expect("[true,false,[],{}]", "[]@ []byes []@ []b []@ []@ ");
    expect("[18446744073709551615, 18446744073709551616, -1, 1.5, 1e3]",
           "[]@ []#18446744073709551615 []@ []#0 []@ []#0 []@ []#0 []@ []#0 ");
    expect("\"\\\"\\\\\\/\\n\\u0041\\u00e9\\u20ac\\ud83d\\ude00\\ud83dx\"",
           "\"\"\\/\nA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xef\xbf\xbdx ");
}

static void test_refused(void **state)
{
    static const char *const texts[] = {
        "",  " ",    "{",   "[1,]",       "{\"a\":1,}",  "{\"a\" 1}", "01",     "1.",    "1e",
        "-", "nul",  "\"a", "\"\\x\"",    "\"\\u12g4\"", "\"\n\"",    "[1] 2",  "{a:1}", "[1 2]",
        "}", "\"\\", "+1",  "[\"\\u1\"]", "tru",         "{\"a\":}",  "{\"a\"}"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_false(json_read(str_of(texts[i]), ignore, NULL));
}

/* As deep and as long as is allowed, and one more. */
static void test_bounds(void **state)
{
    char text[2 * JSON_READ_PATH + 64];
    (void)state;
    for (unsigned depth = JSON_READ_DEPTH; depth <= JSON_READ_DEPTH + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        assert_int_equal(json_read((struct str){text, 2 * (size_t)depth}, ignore, NULL), depth == JSON_READ_DEPTH);
    }
    snprintf(text, sizeof text, "{\"%0*d\":{\"a\":1}}", JSON_READ_PATH - 2, 0);
    assert_true(json_read(str_of(text), ignore, NULL));
    snprintf(text, sizeof text, "{\"%0*d\":{\"a\":1}}", JSON_READ_PATH - 1, 0);
    assert_false(json_read(str_of(text), ignore, NULL));
    snprintf(text, sizeof text, "\"%0*d\"", 2 * JSON_READ_TEXT, 0); /* a long string is cut */
    seen[0] = '\0';
    assert_true(json_read(str_of(text), note, NULL));
    assert_int_equal(strlen(seen), JSON_READ_TEXT + 2);
}

static void measure(void *arg, const struct json_read_value *value)
{
    if (value->kind == JSON_READ_STRING)
        *(size_t *)arg = value->text.len;
}

/* With room of the caller's nothing of a text is left out. */
static void test_whole(void **state)
{
    char text[4 * JSON_READ_TEXT], room[sizeof text];
    size_t size = 0;
    (void)state;
    snprintf(text, sizeof text, "{\"a\": \"%0*d\"}", 3 * JSON_READ_TEXT, 0);
    assert_true(json_read_whole(str_of(text), room, sizeof room, measure, &size));
    assert_int_equal(size, 3 * JSON_READ_TEXT);
    assert_true(json_read_whole(str_of(text), room, 7, measure, &size));
    assert_int_equal(size, 7);
}

/* Changed in one or two bytes, a text is JSON for both readers or for neither. Texts that only one of them takes for a
 * reason of its own are left out: bytes beyond ASCII, which this one does not check, and NUL and large numbers, which
 * the other refuses. */
static void test_changed(void **state)
{
    static const char text[] = "{\"a\": [1, -2.5e+3, \"x\\u0041\\n\", true, null], \"b\": {\"c\": [], \"d\": {}}}";
    static const char others[] = "{}[]\",:0123456789eE+-.\\u ntrue\n";
    uint64_t random = 88172645463325252u;
    char changed[sizeof text];
    unsigned taken = 0;
    (void)state;
    for (int round = 0; round < 200000; round++) {
        memcpy(changed, text, sizeof text);
        for (int i = 0; i < 1 + round % 2; i++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            changed[random % (sizeof text - 1)] = others[(random >> 32) % (sizeof others - 1)];
        }
        if (strstr(changed, "\\u0000") || strstr(changed, "\\uD") || strstr(changed, "\\ud"))
            continue;
        json_error_t error;
        json_t *other = json_loadb(changed, sizeof text - 1, JSON_DECODE_ANY, &error);
        bool large = !other && strstr(error.text, "too big");
        bool ours = json_read((struct str){changed, sizeof text - 1}, ignore, NULL);
        if (!large && ours != (other != NULL))
            fail_msg("%s: %s", changed, other ? "only the other takes it" : error.text);
        taken += ours;
        json_decref(other);
    }
    assert_true(taken > 1000);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values), cmocka_unit_test(test_refused), cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_whole),  cmocka_unit_test(test_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
