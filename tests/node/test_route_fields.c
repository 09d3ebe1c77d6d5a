/* What a function of an application finds in its requests about its route. */
#include "node/route_fields.h"

#include "http/connection.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const struct route_spec specs[] = {
    {{"/", 1}, false}, {{"/a/...", 6}, false}, {{"/users/:user_id/x", 17}, false}};
static const struct deployed_route routes[3];
static struct router router;
static const struct deployment deployment = {.router = &router, .routes = routes};

/* `expected`: NAME=VALUE of each field in their order. */
static void check_fields(const char *target, const char *const *expected)
{
    struct connection connection = {.watch.fd = -1}; /* of nobody: its address is 0.0.0.0:0 */
    struct http_exchange x = {.connection = &connection};
    struct arena arena;
    char line[256];
    arena_init(&arena, 65536);
    struct http_added added = {.arena = &arena};
    x.parser.request =
        (struct http_request){.target = str_of(target), .scheme = STR("https"), .authority = STR("h.example:8443")};
    assert_true(route_fields(&deployment, &x, &added));
    for (uint32_t i = 0; i < added.count; i++) {
        const struct http_field *field = &added.items[i];
        snprintf(line, sizeof line, "%.*s=%.*s", (int)field->name.len, field->name.ptr, (int)field->value.len,
                 field->value.len ? field->value.ptr : "");
        assert_string_equal(line, expected[i]);
    }
    assert_null(expected[added.count]);
    arena_free(&arena);
}

static void test_wildcard(void **state)
{
    static const char *const expected[] = {"spin-path-info=/b/c",
                                           "spin-full-url=https://h.example:8443/a/b/c?q=1",
                                           "spin-matched-route=/a/...",
                                           "spin-base-path=/",
                                           "spin-raw-component-route=/a/...",
                                           "spin-component-route=/a",
                                           "spin-client-addr=0.0.0.0:0",
                                           NULL};
    (void)state;
    check_fields("/a/b/c?q=1", expected);
}

static void test_capture(void **state)
{
    static const char *const expected[] = {"spin-path-info=",
                                           "spin-full-url=https://h.example:8443/users/42/x",
                                           "spin-matched-route=/users/:user_id/x",
                                           "spin-base-path=/",
                                           "spin-raw-component-route=/users/:user_id/x",
                                           "spin-component-route=/users/:user_id/x",
                                           "spin-client-addr=0.0.0.0:0",
                                           "spin-path-match-user-id=42",
                                           NULL};
    (void)state;
    check_fields("/users/42/x", expected);
}

static void test_none(void **state)
{
    static const char *const expected[] = {NULL};
    (void)state;
    check_fields("/nowhere", expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_wildcard), cmocka_unit_test(test_capture),
                                       cmocka_unit_test(test_none)};
    struct err err = {0};
    if (!router_compile(&router, specs, sizeof specs / sizeof *specs, NULL, NULL, &err))
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    router_free(&router);
    return failed;
}
