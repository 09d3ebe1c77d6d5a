/* URLs: which lead where, and where a server leads (RFC 3986, section 5.4 has most of the rows). */
#include "deploy/url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void assert_text(const struct buf *buf, const char *wanted, const char *what)
{
    if (buf->size != strlen(wanted) || memcmp(buf->data, wanted, buf->size) != 0)
        fail_msg("%s: %.*s, not %s", what, (int)buf->size, (const char *)buf->data, wanted);
}

static void test_parsed(void **state)
{
    static const struct {
        const char *url, *host, *authority, *rest, *target;
        uint16_t port;
        bool secure;
    } rows[] = {
        {"https://example.com", "example.com", "example.com", "", "/", 443, true},
        {"http://a/", "a", "a", "/", "/", 80, false},
        {"http://a?b=c", "a", "a", "?b=c", "/?b=c", 80, false},
        {"http://a#b", "a", "a", "#b", "/", 80, false},
        {"http://a:81/b/c?d/e?f#g#h", "a", "a:81", "/b/c?d/e?f#g#h", "/b/c?d/e?f", 81, false},
        {"https://[::1]:8200/x", "::1", "[::1]:8200", "/x", "/x", 8200, true},
        {"http://127.0.0.1/\xc3\xbc%20", "127.0.0.1", "127.0.0.1", "/\xc3\xbc%20", "/%C3%BC%20", 80, false},
    };
    struct buf target;
    buf_init(&target, URL_MAX);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct url url;
        if (!url_parse(str_of(rows[i].url), &url))
            fail_msg("%s is not taken", rows[i].url);
        assert_true(str_eq(url.host, str_of(rows[i].host)));
        assert_true(str_eq(url.authority, str_of(rows[i].authority)));
        assert_true(str_eq(url.rest, str_of(rows[i].rest)));
        assert_int_equal(url.port, rows[i].port);
        assert_int_equal(url.secure, rows[i].secure);
        assert_true(url_target(&url, &target));
        assert_text(&target, rows[i].target, rows[i].url);
    }
    buf_free(&target);
}

static void test_refused(void **state)
{
    static const char *const urls[] = {
        "",
        "a",
        "ftp://a",
        "file:///etc/passwd",
        "http:/a",
        "http:///a",
        "http://:80",
        "http://a:",
        "http://a:0",
        "http://a:65536",
        "http://a:1x",
        "http://a b",
        "http://a/ ",
        "http://me@a",
        "http://me:p@a/",
        "http://[::1",
        "http://[a]",
        "http://[]",
        "http://?a",
        "http://1.2.3",
        "HTTP://a",
        "https://a/\r\nb",
        "javascript:a",
        "http://a\\b",
    };
    struct url url;
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++)
        if (url_parse(str_of(urls[i]), &url))
            fail_msg("%s is taken", urls[i]);
}

static void test_joined(void **state)
{
    static const struct {
        const char *base, *location, *wanted;
    } rows[] = {
        {"http://a/b/c/d;p?q", "g:h", "g:h"},
        {"http://a/b/c/d;p?q", "file:///etc/passwd", "file:///etc/passwd"},
        {"http://a/b/c/d;p?q", "g", "http://a/b/c/g"},
        {"http://a/b/c/d;p?q", "./g", "http://a/b/c/g"},
        {"http://a/b/c/d;p?q", "g/", "http://a/b/c/g/"},
        {"http://a/b/c/d;p?q", "/g", "http://a/g"},
        {"http://a/b/c/d;p?q", "//g", "http://g"},
        {"https://a/b/c/d;p?q", "//g/h?i", "https://g/h?i"},
        {"http://a/b/c/d;p?q", "?y", "http://a/b/c/d;p?y"},
        {"http://a/b/c/d;p?q", "g?y", "http://a/b/c/g?y"},
        {"http://a/b/c/d;p?q", "#s", "http://a/b/c/d;p?q"},
        {"http://a/b/c/d;p?q#r", "", "http://a/b/c/d;p?q"},
        {"http://a/b/c/d;p?q", "g#s", "http://a/b/c/g"},
        {"http://a/b/c/d;p?q", ".", "http://a/b/c/"},
        {"http://a/b/c/d;p?q", "..", "http://a/b/"},
        {"http://a/b/c/d;p?q", "../g", "http://a/b/g"},
        {"http://a/b/c/d;p?q", "../..", "http://a/"},
        {"http://a/b/c/d;p?q", "../../../g", "http://a/g"},
        {"http://a/b/c/d;p?q", "/./g", "http://a/g"},
        {"http://a/b/c/d;p?q", "/../g", "http://a/g"},
        {"http://a/b/c/d;p?q", "g.", "http://a/b/c/g."},
        {"http://a/b/c/d;p?q", "..g", "http://a/b/c/..g"},
        {"http://a/b/c/d;p?q", "g/./h", "http://a/b/c/g/h"},
        {"http://a/b/c/d;p?q", "g/../h", "http://a/b/c/h"},
        {"http://a/b/c/d;p?q", "g?y/../x", "http://a/b/c/g?y/../x"},
        {"https://a:81", "g", "https://a:81/g"},
        {"https://a:81?x/y", "g", "https://a:81/g"},
    };
    struct buf joined;
    buf_init(&joined, URL_MAX);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct url base;
        assert_true(url_parse(str_of(rows[i].base), &base));
        assert_true(url_join(&base, str_of(rows[i].location), &joined));
        assert_text(&joined, rows[i].wanted, rows[i].location);
    }
    buf_free(&joined);
}

/* A link as long as one may be, and a byte more. */
static void test_limits(void **state)
{
    struct url base;
    struct buf joined;
    char *text = malloc(URL_MAX + 1);
    assert_non_null(text);
    memset(text, 'a', URL_MAX + 1);
    memcpy(text, "https://a/", 10);
    buf_init(&joined, URL_MAX);
    assert_true(url_parse(STR("http://b"), &base));
    assert_true(url_join(&base, (struct str){text, URL_MAX}, &joined));
    assert_false(url_join(&base, (struct str){text, URL_MAX + 1}, &joined));
    assert_true(joined.full);
    text[0] = 'x'; /* a path of that length; its segments are many */
    for (size_t i = 0; i < URL_MAX; i += 3)
        memcpy(text + i, "../", i + 3 <= URL_MAX ? 3 : URL_MAX - i);
    assert_true(url_join(&base, (struct str){text, 3000}, &joined));
    assert_text(&joined, "http://b/", "steps upwards");
    buf_free(&joined);
    free(text);
}

/* Nothing is shown that may be a secret, and not more than there is room for. */
static void test_shown(void **state)
{
    char room[URL_SHOWN], text[400];
    assert_string_equal(url_shown(STR("https://a/b?key=secret#c"), room), "https://a/b");
    assert_string_equal(url_shown(STR("https://me:secret@a/b@c"), room), "https://a/b@c");
    assert_string_equal(url_shown(STR("ns:name"), room), "ns:name");
    assert_string_equal(url_shown(STR(""), room), "");
    assert_string_equal(url_shown(STR("//a"), room), "//a");
    memset(text, 'x', sizeof text);
    url_shown((struct str){text, sizeof text}, room);
    assert_int_equal(strlen(room), URL_SHOWN - 1);
    assert_string_equal(room + URL_SHOWN - 4, "...");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parsed), cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_joined), cmocka_unit_test(test_limits),
                                       cmocka_unit_test(test_shown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
