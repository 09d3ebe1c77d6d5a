/* Which traceparent is one (W3C Trace Context, section 3.2), and what of it is told. */
#include "wasi/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define ID "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT "00f067aa0ba902b7"

static struct str id_of(const char *value, uint32_t times)
{
    static struct http_field fields[3];
    const struct http_request request = {.fields = fields, .field_count = 1 + times};
    fields[0] = (struct http_field){STR("host"), STR("a")};
    fields[1] = fields[2] = (struct http_field){STR("traceparent"), str_of(value)};
    return trace_id(&request);
}

static void test_valid(void **state)
{
    static const char *const values[] = {"00-" ID "-" PARENT "-01", "00-" ID "-" PARENT "-ff",
                                         "01-" ID "-" PARENT "-00", "cc-" ID "-" PARENT "-00-more"};
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        assert_true(str_eq(id_of(values[i], 1), STR(ID)));
}

static void test_invalid(void **state)
{
    static const char *const values[] = {
        "",
        "00",
        "00-" ID "-" PARENT,
        "00-" ID "-" PARENT "-0",
        "00-" ID "-" PARENT "-01-more",
        "00-" ID "-" PARENT "-01x",
        "cc-" ID "-" PARENT "-01x",
        "ff-" ID "-" PARENT "-01",
        "0g-" ID "-" PARENT "-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-" PARENT "-01",
        "00-00000000000000000000000000000000-" PARENT "-01",
        "00-" ID "-0000000000000000-01",
        "00-" ID "-" PARENT "-0G",
        "00_" ID "-" PARENT "-01",
        "00-" ID "_" PARENT "-01",
        "00-" ID "-" PARENT "_01",
    };
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        assert_null(id_of(values[i], 1).ptr);
}

static void test_number(void **state)
{
    (void)state;
    assert_null(id_of("00-" ID "-" PARENT "-01", 0).ptr);
    assert_null(id_of("00-" ID "-" PARENT "-01", 2).ptr);
}

static void test_scope(void **state)
{
    char room[TRACE_SCOPE_SIZE];
    (void)state;
    assert_string_equal(trace_scope("name", STR(ID), room), "name " ID);
    assert_string_equal(trace_scope("name", (struct str){NULL, 0}, room), "name");
    assert_null(trace_scope(NULL, (struct str){NULL, 0}, room));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_invalid),
        cmocka_unit_test(test_number),
        cmocka_unit_test(test_scope),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
