/* Vault: which urls lead where. What it answers is in tests/e2e/variables.py. */
#include "deploy/vault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_urls(void **state)
{
    static const struct {
        const char *url, *host, *authority, *base;
        uint16_t port;
        bool secure;
    } rows[] = {
        {"https://vault.example.com", "vault.example.com", "vault.example.com", "", 443, true},
        {"http://vault/", "vault", "vault", "", 80, false},
        {"http://127.0.0.1:8200", "127.0.0.1", "127.0.0.1:8200", "", 8200, false},
        {"https://[::1]:8200/a/b//", "::1", "[::1]:8200", "/a/b", 8200, true},
        {"https://[2001:db8::1]", "2001:db8::1", "[2001:db8::1]", "", 443, true},
        {"http://a:65535", "a", "a:65535", "", 65535, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct vault_server server;
        struct err err = {0};
        if (!vault_parse(str_of(rows[i].url), &server, &err))
            fail_msg("%s: %s", rows[i].url, err.message);
        assert_true(str_eq(server.host, str_of(rows[i].host)));
        assert_true(str_eq(server.authority, str_of(rows[i].authority)));
        assert_true(str_eq(server.base, str_of(rows[i].base)));
        assert_int_equal(server.port, rows[i].port);
        assert_int_equal(server.secure, rows[i].secure);
    }
}

static void test_refused(void **state)
{
    static const char *const urls[] = {
        "",           "vault",         "ftp://vault",       "http://",          "http:///a",     "http://:80",
        "http://a:",  "http://a:0",    "http://a:65536",    "http://a:1x",      "http://a b",    "http://a/b c",
        "http://a?b", "http://a/b?c",  "http://a/#b",       "http://me@a",      "http://[::1",   "http://[a]",
        "http://[]",  "http://[::1]8", "http://[::1]:99:9", "http://1.2.3.4.5", "http://a\n:80", "https://a/\r\nb",
    };
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct vault_server server;
        struct err err = {0};
        if (vault_parse(str_of(urls[i]), &server, &err))
            fail_msg("%s is taken", urls[i]);
        assert_int_equal(err.kind, ERR_INVALID);
        assert_true(err.remedy[0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_urls), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
