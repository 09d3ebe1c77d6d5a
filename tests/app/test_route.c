/* The router: which route answers which path, what headers are made of, what is no pattern, and that it agrees with a
 * simple one on random routes and paths. */
#include "app/route.h"

#include "support/routes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MANY 8

static struct router compiled(const char *const *patterns, size_t count)
{
    struct route_spec specs[MANY] = {0};
    struct router router;
    struct err err = {0};
    assert_true(count <= MANY);
    for (size_t i = 0; i < count; i++)
        specs[i].pattern = str_of(patterns[i]);
    if (!router_compile(&router, specs, count, NULL, NULL, &err))
        fail_msg("%s", err.message);
    return router;
}

/* ---- who answers ---- */

struct answer {
    const char *routes[MANY]; /* up to NULL */
    const char *target;
    int route; /* -1: none */
    const char *trailing;
    const char *captures; /* "name=value name=value" */
};

static const struct answer answers[] = {
    {{"/foo", "/foo/bar"}, "/foo", 0, "", ""},
    {{"/foo", "/foo/bar"}, "/foo/bar", 1, "", ""},
    {{"/foo", "/foo/bar"}, "/foo/bar/baz", -1, "", ""},
    {{"/foo", "/foo/bar"}, "/", -1, "", ""},
    {{"/foo", "/foo/bar"}, "/fo", -1, "", ""},
    {{"/foo"}, "/foobar", -1, "", ""},
    {{"/foo"}, "/Foo", -1, "", ""},
    {{"/foo"}, "/%66oo", -1, "", ""},
    {{"/foo"}, "/foo?/bar", 0, "", ""},
    {{"/foo"}, "/foo/?q", 0, "", ""},
    {{"/foo"}, "/foo/", 0, "", ""},
    {{"/foo/"}, "/foo", 0, "", ""},
    {{"foo"}, "/foo", 0, "", ""},
    {{"/foo"}, "//foo//", 0, "", ""},
    {{"/foo/bar"}, "/foo//bar", -1, "", ""},
    {{"/foo//bar"}, "/foo/bar", 0, "", ""},
    {{"/foo"}, "foo", -1, "", ""},
    {{"/foo"}, "", -1, "", ""},
    {{"/..."}, "*", -1, "", ""},
    {{"/"}, "/", 0, "", ""},
    {{"/"}, "///", 0, "", ""},
    {{"/"}, "/x", -1, "", ""},
    {{""}, "/", 0, "", ""},
    /* wildcards */
    {{"/..."}, "/", 0, "/", ""},
    {{"/..."}, "/1/2/3", 0, "/1/2/3", ""},
    {{"/..."}, "/abc/", 0, "/abc/", ""},
    {{"/*"}, "/abc", 0, "/abc", ""},
    {{"..."}, "/abc", 0, "/abc", ""},
    {{"/1/..."}, "/1/2/3", 0, "/2/3", ""},
    {{"/test/..."}, "/test", 0, "", ""},
    {{"/test/..."}, "/test/", 0, "/", ""},
    {{"/test/..."}, "/test///", 0, "/", ""},
    {{"/test/..."}, "/test/hello", 0, "/hello", ""},
    {{"/test/..."}, "/test/hello/", 0, "/hello/", ""},
    {{"/test/..."}, "/test/hello//", 0, "/hello/", ""},
    {{"/test/..."}, "/test//hello?x", 0, "//hello", ""},
    {{"/test/..."}, "//test/hello", 0, "/hello", ""},
    {{"/test/..."}, "/testing", -1, "", ""},
    {{"/one", "/..."}, "/one", 0, "", ""},
    {{"/...", "/one"}, "/one", 1, "", ""},
    {{"/one/...", "/one/two/...", "/one/two/three/..."}, "/one/two/three/four", 2, "/four", ""},
    {{"/one/two/three/...", "/one/two/...", "/one/..."}, "/one/two/three/four", 0, "/four", ""},
    {{"/one/two/three/...", "/one/two/...", "/one/..."}, "/one/two/thre", 1, "/thre", ""},
    {{"/one/...", "/one"}, "/one", 1, "", ""},
    {{"/one/...", "/one"}, "/one/", 1, "", ""},
    /* parameters */
    {{"/1/:two/3"}, "/1/2/3", 0, "", "two=2"},
    {{"/1/:two/3"}, "/1//3", -1, "", ""},
    {{"/1/:two/3"}, "/1/2", -1, "", ""},
    {{"/1/:two/..."}, "/1/2/3", 0, "/3", "two=2"},
    {{"/1/:two/..."}, "/1/2", 0, "", "two=2"},
    {{"/1/:two/..."}, "/1", -1, "", ""},
    {{"/:a/:b/:c"}, "/x/y.z/%2f", 0, "", "a=x b=y.z c=%2f"},
    {{"/:User_ID"}, "/x", 0, "", "user-id=x"},
    {{"/users/:id", "/users/me"}, "/users/me", 1, "", ""},
    {{"/users/:id", "/users/me"}, "/users/you", 0, "", "id=you"},
    {{"/users/:id", "/users/..."}, "/users/you", 0, "", "id=you"},
    {{"/users/:id", "/users/..."}, "/users/you/too", 1, "/you/too", ""},
    {{"/foo/x", "/:a/y"}, "/foo/y", 1, "", "a=foo"},
    {{"/foo/x", "/:a/y", "/..."}, "/foo/z", 2, "/foo/z", ""},
    {{"/a/:b/c", "/:a/b/:d"}, "/a/b/d", 1, "", "a=a d=d"},
    {{"/a/:b/c", "/:a/b/:d"}, "/a/b/c", 0, "", "b=b"},
    {{"/a:b"}, "/a:b", 0, "", ""},
    {{"/a:b"}, "/axb", -1, "", ""},
    /* dots */
    {{"/a.b.c"}, "/a.b.c", 0, "", ""},
    {{"/a.b.c"}, "/a.b", -1, "", ""},
    {{"/a.b"}, "/a/b", -1, "", ""},
    {{"/.well-known/x"}, "/.well-known/x", 0, "", ""},
    {{"/a..b"}, "/a..b", 0, "", ""},
    {{"/a."}, "/a.", 0, "", ""},
    {{"/a."}, "/a", -1, "", ""},
    {{"/a"}, "/a.", -1, "", ""},
    {{"/:name.json"}, "/x.json", 0, "", "name=x"},
    {{"/:name.json"}, "/x.y.json", -1, "", ""},
    {{"/:name.json"}, "/.json", -1, "", ""},
    {{"/:name.json"}, "/x.jsonp", -1, "", ""},
    {{"/:name.:kind"}, "/x.y.z", 0, "", "name=x kind=y.z"},
    {{"/:name.json", "/:name"}, "/x.json", 0, "", "name=x"},
    {{"/:name", "/:name.json"}, "/x.json", 1, "", "name=x"},
    {{"/:name.json", "/:name"}, "/x.yaml", 1, "", "name=x.yaml"},
    {{"/index.:kind", "/:name.html"}, "/index.html", 0, "", "kind=html"},
    {{"/v1.:minor/x", "/v1.2/y"}, "/v1.2/x", 0, "", "minor=2"},
};

static void tell_captures(const struct router *router, const struct route_match *match, char *ret, size_t size)
{
    size_t n = 0;
    ret[0] = '\0';
    for (uint32_t i = 0; i < match->capture_count; i++)
        n += (size_t)snprintf(ret + n, size - n, "%s%.*s=%.*s", i ? " " : "",
                              STR_ARG(router->routes[match->route].names[i]), STR_ARG(match->captures[i]));
}

static void test_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        const struct answer *answer = &answers[i];
        struct route_match match = {.trailing = STR("")};
        char captures[256];
        size_t count = 0;
        while (count < MANY && answer->routes[count])
            count++;
        struct router router = compiled(answer->routes, count);
        bool found = router_match(&router, str_of(answer->target), &match);
        if ((found ? (int)match.route : -1) != answer->route)
            fail_msg("%s: route %d", answer->target, found ? (int)match.route : -1);
        if (found) {
            const char *wrong = routes_check(&router, str_of(answer->target), &match);
            tell_captures(&router, &match, captures, sizeof captures);
            assert_string_equal(captures, answer->captures);
            if (!str_eq(match.trailing, str_of(answer->trailing)) || wrong)
                fail_msg("%s: '%.*s' %s", answer->target, STR_ARG(match.trailing), wrong ? wrong : "");
        }
        router_free(&router);
    }
}

/* ---- what headers say ---- */

static void test_texts(void **state)
{
    static const struct {
        const char *raw, *based, *component;
        bool wildcard;
    } texts[] = {
        {"/", "", "/", false},
        {"/...", "/...", "", true},
        {"/*", "/*", "/*", true},
        {"/foo", "/foo", "/foo", false},
        {"/foo/", "/foo", "/foo/", false},
        {"foo/bar", "/foo/bar", "foo/bar", false},
        {"/foo/:userid/...", "/foo/:userid/...", "/foo/:userid", true},
        {"/foo/*", "/foo/*", "/foo/*", true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct router router = compiled(&texts[i].raw, 1);
        const struct route *route = &router.routes[0];
        assert_true(str_eq(route->raw, str_of(texts[i].raw)));
        assert_true(str_eq(route->based, str_of(texts[i].based)));
        assert_true(str_eq(route->component, str_of(texts[i].component)));
        assert_int_equal(route->wildcard, texts[i].wildcard);
        router_free(&router);
    }
    struct router router = compiled((const char *[]){"/foo/:id/..."}, 1);
    struct route_match match;
    assert_true(router_match(&router, STR("/foo/42/bar?key=value"), &match));
    assert_true(str_eq(match.path, STR("/foo/42/bar")));
    assert_true(str_eq(match.matched, STR("/foo/42")));
    router_free(&router);
}

static void test_reserved(void **state)
{
    (void)state;
    assert_true(route_reserved(STR("/.well-known/spin/...")));
    assert_true(route_reserved(STR("/.well-known/spin/fie")));
    assert_true(route_reserved(STR(".well-known/spin/fie")));
    assert_false(route_reserved(STR("/.well-known/spin")));
    assert_false(route_reserved(STR("/.well-known/spindle/...")));
    assert_false(route_reserved(STR("/...")));
    assert_false(route_reserved(STR("")));
}

/* ---- duplicates and private routes ---- */

struct reported {
    uint32_t replaced, by, count;
};

static void report(void *arg, uint32_t replaced, uint32_t by)
{
    struct reported *reported = arg;
    reported->replaced = replaced;
    reported->by = by;
    reported->count++;
}

static void test_duplicates(void **state)
{
    static const char *const pairs[][2] = {{"/", "/"},       {"/foo", "/foo"},          {"/...", "/*"},
                                           {"/foo", "foo/"}, {"/:a/x", "/:b/x"},        {"/:a/...", "/:b/*"},
                                           {"", "/"},        {"/:a.:b/x", "/:c.:d//x"}, {"/...", "..."}};
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct route_spec specs[3] = {
            {str_of(pairs[i][0]), false}, {STR("/other"), false}, {str_of(pairs[i][1]), false}};
        struct reported reported = {0};
        struct router router;
        struct route_match match;
        assert_true(router_compile(&router, specs, 3, report, &reported, NULL));
        assert_int_equal(reported.count, 1);
        assert_int_equal(reported.replaced, 0);
        assert_int_equal(reported.by, 2);
        if (i == 1) {
            assert_true(router_match(&router, STR("/foo"), &match));
            assert_int_equal(match.route, 2);
        }
        router_free(&router);
    }
}

static void test_private(void **state)
{
    struct route_spec specs[] = {{STR("/foo"), true}, {{NULL, 0}, true}, {STR("/bar"), false}};
    struct router router;
    struct route_match match;
    (void)state;
    assert_true(router_compile(&router, specs, 3, NULL, NULL, NULL));
    assert_false(router_match(&router, STR("/foo"), &match));
    assert_false(router_match(&router, STR("/"), &match));
    assert_true(router_match(&router, STR("/bar"), &match));
    assert_int_equal(match.route, 2);
    router_free(&router);
    assert_true(router_compile(&router, NULL, 0, NULL, NULL, NULL));
    assert_false(router_match(&router, STR("/"), &match));
    router_free(&router);
    assert_false(router_match(&router, STR("/"), &match));
}

/* ---- what is refused ---- */

static const struct {
    const char *pattern, *message;
} refused[] = {
    {"/a/:", "the route has a ':' without a name behind it"},
    {"/:/a", "the route has a ':' without a name behind it"},
    {"/:.json", "the route has a ':' without a name behind it"},
    {"/:a b", "the route has ' ' in it, which no path has"},
    {"/:a~b", "the route has a ':' without a name behind it"},
    {"/:id/x/:id", "the route has ':id' twice"},
    {"/:user_id/x/:User-ID", "the route has ':User-ID' twice"},
    {"/*/a", "the route has a wildcard that is not its last segment"},
    {"/a/*name", "the route has a wildcard that is not its last segment"},
    {"/a/.../b", "the route has a wildcard that is not its last segment"},
    {"/a...", "the route has a wildcard that is not its last segment"},
    {"/*/...", "the route has a wildcard that is not its last segment"},
    {"/a.*", "the route has a wildcard that is not its last segment"},
    {"/a?b=c", "the route has '?' in it, which no path has"},
    {"/a#b", "the route has '#' in it, which no path has"},
    {"/a\nb", "the route has '\\x0a' in it, which no path has"},
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct route_spec spec = {str_of(refused[i].pattern), false};
        struct err err = {0};
        struct router router = {.count = 17};
        if (route_check(spec.pattern, &err))
            fail_msg("%s is taken", refused[i].pattern);
        assert_string_equal(err.message, refused[i].message);
        assert_int_equal(err.kind, ERR_INVALID);
        assert_true(err.remedy[0]);
        assert_false(router_compile(&router, &spec, 1, NULL, NULL, &err));
        assert_int_equal(router.count, 17);
    }
}

/* `count` times `part`, and then `end`. */
static struct str repeated(char *room, const char *part, size_t count, const char *end)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        n += (size_t)snprintf(room + n, 64, part, (int)i);
    n += (size_t)snprintf(room + n, 64, "%s", end);
    return (struct str){room, n};
}

/* As much as is allowed, and one more. */
static void test_caps(void **state)
{
    static char room[8 * ROUTE_TEXT_MAX];
    struct err err = {0};
    (void)state;
    memset(room, 'a', sizeof room);
    assert_true(route_check((struct str){room, ROUTE_TEXT_MAX}, NULL));
    assert_false(route_check((struct str){room, ROUTE_TEXT_MAX + 1}, &err));
    assert_string_equal(err.message, "the route is longer than 1024 bytes");
    assert_true(route_check(repeated(room, "/a", ROUTE_PIECES_MAX, "/..."), NULL));
    assert_false(route_check(repeated(room, "/a", ROUTE_PIECES_MAX + 1, ""), &err));
    assert_string_equal(err.message, "the route has more than 64 parts between slashes and dots");
    assert_true(route_check(repeated(room, "/:a%d", ROUTE_CAPTURES_MAX, ""), NULL));
    assert_false(route_check(repeated(room, "/:a%d", ROUTE_CAPTURES_MAX + 1, ""), &err));
    assert_string_equal(err.message, "the route captures more than 16 segments");
    assert_int_equal(err.kind, ERR_LIMIT);
}

static void test_route_cap(void **state)
{
    struct route_spec *specs = calloc(ROUTES_MAX + 1, sizeof *specs);
    char(*texts)[16] = calloc(ROUTES_MAX + 1, sizeof *texts);
    struct router router;
    struct route_match match;
    struct err err = {0};
    (void)state;
    for (unsigned i = 0; i <= ROUTES_MAX; i++)
        specs[i].pattern = (struct str){texts[i], (size_t)snprintf(texts[i], sizeof texts[i], "/r%u/:x", i)};
    assert_true(router_compile(&router, specs, ROUTES_MAX, NULL, NULL, &err));
    assert_true(router_match(&router, STR("/r65535/y"), &match));
    assert_int_equal(match.route, 65535);
    router_free(&router);
    assert_false(router_compile(&router, specs, ROUTES_MAX + 1, NULL, NULL, &err));
    assert_string_equal(err.message, "more than 65536 routes");
    free(specs);
    free(texts);
}

/* A path of a mebibyte, of slashes, dots, or neither, against routes that branch. */
static void test_long_paths(void **state)
{
    static const char *const routes[] = {"/:a/:b/:c/x", "/a/:b/:c/y", "/:a/a/:c/z", "/:a.:b/w", "/a/..."};
    static const char *const fills[] = {"/", ".", "a", "/a", ".a", "a/", "/a.", "//a"};
    static char path[1 << 20];
    struct router router = compiled(routes, 5);
    struct route_match match;
    (void)state;
    for (size_t i = 0; i < sizeof fills / sizeof fills[0]; i++) {
        for (size_t k = 0; k < sizeof path; k++)
            path[k] = fills[i][k % strlen(fills[i])];
        path[0] = '/';
        struct str target = {path, sizeof path};
        if (router_match(&router, target, &match))
            assert_null(routes_check(&router, target, &match));
    }
    router_free(&router);
}

/* ---- against the simple one ---- */

/* The same numbers in every run. */
static size_t chosen(size_t below)
{
    static uint64_t state = 17;
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (size_t)(state >> 33) % below;
}

static size_t random_pattern(char *room)
{
    static const char *const parts[] = {"/a", "/b", "/:x", "/:x.a", "/a.b", "/a.:x", "/:x.:y", "//", "/b"};
    size_t n = 0, count = chosen(4);
    for (size_t i = 0; i < count; i++) {
        const char *part = parts[chosen(9)];
        for (; *part; part++) {
            room[n++] = *part;
            if (*part == 'x' || *part == 'y')
                room[n++] = (char)('0' + i);
        }
    }
    if (chosen(3) == 0)
        n += (size_t)snprintf(room + n, 8, "%s", chosen(2) ? "/..." : "/*");
    return n;
}

static size_t random_path(char *room)
{
    static const char letters[] = "//a.b";
    size_t n = 1 + chosen(10);
    room[0] = '/';
    for (size_t i = 1; i < n; i++)
        room[i] = letters[chosen(5)];
    return n;
}

static void test_same_as_simple(void **state)
{
    unsigned found = 0;
    (void)state;
    for (int round = 0; round < 2000; round++) {
        char texts[MANY][64], path[16];
        struct route_spec specs[MANY] = {0};
        struct router router;
        struct route_match match;
        for (int i = 0; i < MANY; i++)
            specs[i] = (struct route_spec){{texts[i], random_pattern(texts[i])}, chosen(10) == 0};
        assert_true(router_compile(&router, specs, MANY, NULL, NULL, NULL));
        for (int i = 0; i < 50; i++) {
            struct str target = {path, random_path(path)};
            int wanted = routes_reference(specs, MANY, target);
            bool any = router_match(&router, target, &match);
            if ((any ? (int)match.route : -1) != wanted)
                fail_msg("%.*s: %d, not %d", STR_ARG(target), any ? (int)match.route : -1, wanted);
            if (any && routes_check(&router, target, &match))
                fail_msg("%.*s: %s", STR_ARG(target), routes_check(&router, target, &match));
            found += any;
        }
        router_free(&router);
    }
    assert_true(found > 10000 && found < 90000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),        cmocka_unit_test(test_texts),     cmocka_unit_test(test_reserved),
        cmocka_unit_test(test_duplicates),     cmocka_unit_test(test_private),   cmocka_unit_test(test_refused),
        cmocka_unit_test(test_caps),           cmocka_unit_test(test_route_cap), cmocka_unit_test(test_long_paths),
        cmocka_unit_test(test_same_as_simple),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
