/* Templates, entries of allowed_outbound_hosts with variables or without, and what they grant: every form that Spin's
 * own tests have. */
#include "app/outbound.h"
#include "app/template.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- templates ---- */

static bool resolve(void *arg, struct str name, struct str *ret_value, struct err *err)
{
    (void)arg;
    if (str_eq(name, STR("host")))
        *ret_value = STR("h.x");
    else if (str_eq(name, STR("empty")))
        *ret_value = STR("");
    else if (str_eq(name, STR("braces")))
        *ret_value = STR("{{ host }}");
    else
        return err_set(err, ERR_INVALID, "there is no variable \"%.*s\"", STR_ARG(name));
    return true;
}

static void test_templates(void **state)
{
    static const struct {
        const char *text, *expanded, *message; /* one of them */
    } rows[] = {
        {"", "", NULL},
        {"a", "a", NULL},
        {"a-{{ host }}-b", "a-h.x-b", NULL},
        {"{{host}}{{\thost  }}", "h.xh.x", NULL},
        {"{{ empty }}", "", NULL},
        {"{{ braces }}", "{{ host }}", NULL},
        {"{ host } }} {", "{ host } }} {", NULL},
        {"{{ host }}}", "h.x}", NULL},
        {"{{{ host }}", NULL, "there is no variable \"{ host\""},
        {"{{ host", NULL, "a '{{' has no '}}' behind it"},
        {"{{ host }} {{", NULL, "a '{{' has no '}}' behind it"},
        {"{{ host }", NULL, "a '{{' has no '}}' behind it"},
        {"{{}}", NULL, "there is no variable \"\""},
        {"{{}", NULL, "a '{{' has no '}}' behind it"},
        {"x{{ other }}", NULL, "there is no variable \"other\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct err err = {0}, checked = {0};
        struct buf out;
        buf_init(&out, 64);
        bool done = template_expand(str_of(rows[i].text), resolve, NULL, &out, &err);
        assert_int_equal(template_check(str_of(rows[i].text), resolve, NULL, &checked), done);
        assert_string_equal(checked.message, err.message);
        if (done != (rows[i].message == NULL))
            fail_msg("%s: %s", rows[i].text, err.message);
        if (done)
            assert_true(str_eq((struct str){(char *)out.data, out.size}, str_of(rows[i].expanded)));
        else
            assert_string_equal(err.message, rows[i].message);
        buf_free(&out);
    }
    assert_true(template_is_literal(STR("{ a }")) && !template_is_literal(STR("a{{")));
}

static void test_template_bounds(void **state)
{
    struct err err = {0};
    struct buf out;
    (void)state;
    for (size_t max = 5; max <= 6; max++) {
        buf_init(&out, max);
        assert_int_equal(template_expand(STR("{{ host }}{{ host }}"), resolve, NULL, &out, &err), max == 6);
        buf_free(&out);
    }
    assert_string_equal(err.message, "the text is longer than 5 bytes with its variables");
    assert_int_equal(err.kind, ERR_LIMIT);
}

/* ---- entries ---- */

static void describe(const struct outbound *o, char *ret, size_t size)
{
    char ip[IP_TEXT_MAX];
    int n = snprintf(ret, size, "%.*s ", STR_ARG(o->scheme));
    switch (o->kind) {
    case OUTBOUND_ANY: n += snprintf(ret + n, size - (size_t)n, "any"); break;
    case OUTBOUND_NAME: n += snprintf(ret + n, size - (size_t)n, "name %.*s", STR_ARG(o->name)); break;
    case OUTBOUND_SUFFIX: n += snprintf(ret + n, size - (size_t)n, "below %.*s", STR_ARG(o->name)); break;
    case OUTBOUND_SELF: n += snprintf(ret + n, size - (size_t)n, "self"); break;
    case OUTBOUND_COMPONENT: n += snprintf(ret + n, size - (size_t)n, "component %.*s", STR_ARG(o->name)); break;
    case OUTBOUND_RANGE:
        ip_text(&o->range.base, ip);
        n += snprintf(ret + n, size - (size_t)n, "%s/%u", ip, o->range.bits);
        break;
    }
    snprintf(ret + n, size - (size_t)n, " %u-%u", o->low, o->high);
}

static const struct {
    const char *text, *meaning; /* NULL: refused */
} entries[] = {
    {"http://spin.fermyon.dev", "http name spin.fermyon.dev 80-80"},
    {"http://spin.fermyon.dev/", "http name spin.fermyon.dev 80-80"},
    {" https://spin.fermyon.dev ", "https name spin.fermyon.dev 443-443"},
    {"http://spin.fermyon.dev:4444", "http name spin.fermyon.dev 4444-4444"},
    {"http://spin.fermyon.dev:4444/", "http name spin.fermyon.dev 4444-4444"},
    {"http://spin.fermyon.dev:4444..5555", "http name spin.fermyon.dev 4444-5554"},
    {"http://spin.fermyon.dev:", "http name spin.fermyon.dev 80-80"},
    {"*://spin.fermyon.dev:7777", "* name spin.fermyon.dev 7777-7777"},
    {"http://self", "http self 80-80"},
    {"http://self.alt", "http self 80-80"},
    {"http://localhost", "http name localhost 80-80"},
    {"http://localhost:3001", "http name localhost 3001-3001"},
    {"http://*.example.com", "http below example.com 80-80"},
    {"http://*.Example.COM:*", "http below Example.COM 0-65535"},
    {"http://192.168.1.1:3002", "http 192.168.1.1/32 3002-3002"},
    {"http://[::1]:8001", "http ::1/128 8001-8001"},
    {"http://[::1]", "http ::1/128 80-80"},
    {"http://[::1]:8080/", "http ::1/128 8080-8080"},
    {"http://[::1]:8000..9000", "http ::1/128 8000-8999"},
    {"*://127.0.0.0/24:80", "* 127.0.0.0/24 80-80"},
    {"*://127.0.0.1/24:63551", "* 127.0.0.0/24 63551-63551"},
    {"*://ff00::/8:80", "* ff00::/8 80-80"},
    {"http://ff00::/8", "http ff00::/8 80-80"},
    {"http://::1/128", "http ::1/128 80-80"},
    {"https://2001:db8::/32", "https 2001:db8::/32 443-443"},
    {"http://2001:db8::/32:443", "http 2001:db8::/32 443-443"},
    {"http://10.0.0.0/8", "http 10.0.0.0/8 80-80"},
    {"*://*:*", "* any 0-65535"},
    {"pg://localhost:5656", "pg name localhost 5656-5656"},
    {"postgres://db", "postgres name db 5432-5432"},
    {"mysql://xyz.com", "mysql name xyz.com 3306-3306"},
    {"redis://xyz.com", "redis name xyz.com 6379-6379"},
    {"mqtt://xyz.com", "mqtt name xyz.com 1883-1883"},
    {"http://old-test.spin.internal", "http component old-test 80-80"},
    {"http://*.spin.internal", "http component  80-80"},
    {"http://b\xc3\xbc"
     "cher.example",
     "http name b\xc3\xbc"
     "cher.example 80-80"},
    {"spin.fermyon.dev", NULL},
    {"spin.fermyon.dev:80", NULL},
    {"localhost:3001", NULL},
    {"[::1]:8080", NULL},
    {"insecure:allow-all", NULL},
    {"*", NULL},
    {"", NULL},
    {"*://127.0.0.0/24", NULL},
    {"http://spin.fermyon.dev/a", NULL},
    {"http://spin.fermyon.dev:6666/a/b", NULL},
    {"http://*.fermyon.dev/a", NULL},
    {"http://example.com//", NULL},
    {"http://self//", NULL},
    {"http://[::1]//", NULL},
    {"http://[::1]/foo", NULL},
    {"http://ff00::/8/extra", NULL},
    {"http://[::1", NULL},
    {"http://[::1]junk", NULL},
    {"http://[::1]::80", NULL},
    {"http://[::1junk", NULL},
    {"http://example.com:notaport", NULL},
    {"http://example.com:8080..70000", NULL},
    {"http://*.example.com:8080..", NULL},
    {"http://*.example.com:8O8O", NULL},
    {"http://example.com:99999", NULL},
    {"http://self:notaport", NULL},
    {"http://example.com:80:90", NULL},
    {"http://*.", NULL},
    {"http://*.:8080", NULL},
    {"http://*.127.0.0.1", NULL},
    {"http://*.[::1]", NULL},
    {"http://a.*.b", NULL},
    {"http://*.*.b", NULL},
    {"http://example%.com", NULL},
    {"http://exa[mple.com", NULL},
    {"http://exa\\mple.com", NULL},
    {"http://{a,b}", NULL},
    {"{http,https}://a", NULL},
    {"http+x://a", NULL},
    {"http://user@host", NULL},
    {"://a:1", NULL},
    {"foo://a", NULL},
    {"zootle! wurdl!", NULL},
};

static void test_entries(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        struct outbound outbound = {.low = 17};
        struct err err = {0};
        char meaning[512];
        bool done = outbound_parse(str_of(entries[i].text), &outbound, &err);
        if (done != (entries[i].meaning != NULL))
            fail_msg("'%s': %s", entries[i].text, err.message);
        if (done) {
            describe(&outbound, meaning, sizeof meaning);
            assert_string_equal(meaning, entries[i].meaning);
        } else {
            assert_true(err.kind == ERR_INVALID && err.message[0] && err.remedy[0]);
            assert_int_equal(outbound.low, 17);
        }
    }
    assert_true(outbound_is_empty(STR("")) && outbound_is_empty(STR("https://")) &&
                !outbound_is_empty(STR("http://a")));
}

/* ---- grants ---- */

static struct grants granted(const char *text)
{
    struct grants grants = {0};
    struct outbound outbound;
    struct err err = {0};
    assert_true(outbound_parse(str_of(text), &outbound, NULL));
    if (!outbound_grant(&outbound, &grants, &err))
        fail_msg("%s: %s", text, err.message);
    return grants;
}

static void expect_origin(const char *text, bool secure, const char *host, uint16_t port, bool permitted)
{
    struct grants grants = granted(text);
    if (grants_origin(&grants, secure, str_of(host), port) != permitted)
        fail_msg("%s: %s:%u", text, host, port);
    grants_free(&grants);
}

static void test_origins(void **state)
{
    (void)state;
    expect_origin("http://a.b", false, "a.b", 80, true);
    expect_origin("http://a.b", true, "a.b", 443, false);
    expect_origin("http://a.b", false, "a.b", 81, false);
    expect_origin("http://A.B", false, "a.b", 80, true);
    expect_origin("https://a.b", true, "a.b", 443, true);
    expect_origin("*://a.b:443", true, "a.b", 443, true);
    expect_origin("*://a.b:443", false, "a.b", 443, true);
    expect_origin("http://a.b:10..20", false, "a.b", 19, true);
    expect_origin("http://a.b:10..20", false, "a.b", 20, false);
    expect_origin("http://*.x.y", false, "a.b.x.y", 80, true);
    expect_origin("http://*.x.y", false, "x.y", 80, false);
    expect_origin("http://10.0.0.0/8", false, "10.1.2.3", 80, true);
    expect_origin("http://10.0.0.0/8", false, "11.1.2.3", 80, false);
    expect_origin("http://2001:db8::/32", false, "[2001:db8:abcd::1]", 80, true);
    expect_origin("http://[::1]:*", false, "[::1]", 65535, true);
    expect_origin("*://*:*", true, "anything.at.all", 1, true);
    expect_origin("*://*:*", false, "10.0.0.1", 1, false); /* private */
    expect_origin("http://localhost:5000", false, "localhost", 5000, true);
    expect_origin("redis://a.b:80", false, "a.b", 80, false);
    expect_origin("http://self", false, "self", 80, false);
    expect_origin("http://c.spin.internal", false, "c.spin.internal", 80, true);
    expect_origin("http://c.spin.internal", false, "C.spin.INTERNAL.", 80, true);
    expect_origin("http://c.spin.internal", false, "d.spin.internal", 80, false);
    expect_origin("http://c.spin.internal", true, "c.spin.internal", 443, false);
    expect_origin("http://*.spin.internal", false, "c.spin.internal", 80, true);
    expect_origin("http://*.spin.internal", false, "spin.internal", 80, false);
    expect_origin("http://*.spin.internal", false, "a.b", 80, false);
}

/* What stays inside needs no names, no TLS and no sockets. */
static void test_inside(void **state)
{
    static const char *const texts[] = {"https://self", "https://self.alt", "*://c.spin.internal:*",
                                        "https://*.spin.internal"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct grants grants = granted(texts[i]);
        assert_int_equal(grants_self(&grants), i < 2);
        assert_false(grants_names(&grants) || grants_tls(&grants));
        assert_false(grants_any(&grants, GRANT_OUTBOUND) || grants_any(&grants, GRANT_NET));
        grants_free(&grants);
    }
    struct grants all = granted("*://*:*");
    assert_true(grants_self(&all) && grants_any(&all, GRANT_OUTBOUND));
    grants_free(&all);
}

static void test_sockets(void **state)
{
    struct ip_endpoint to = {.port = 5432};
    (void)state;
    assert_true(ip_parse(STR("192.0.2.7"), &to.address));
    struct grants all = granted("*://192.0.2.0/24:5432"), http = granted("http://192.0.2.0/24:5432");
    assert_true(grants_connect(&all, &to));
    assert_false(grants_connect(&http, &to)); /* raw sockets want '*' */
    to.port = 5433;
    assert_false(grants_connect(&all, &to));
    grants_free(&all);
    grants_free(&http);
    struct grants name = granted("*://db.x:5432");
    assert_true(grants_lookup(&name, STR("db.x")));
    assert_false(grants_lookup(&name, STR("x")));
    grants_free(&name);
    struct grants redis = granted("redis://db.x:6379");
    assert_false(grants_any(&redis, GRANT_NET) || grants_any(&redis, GRANT_OUTBOUND));
    grants_free(&redis);
}

static void expect_service(const char *text, enum grant_scheme scheme, const char *host, uint16_t port, bool permitted)
{
    struct grants grants = granted(text);
    if (grants_service(&grants, scheme, str_of(host), port) != permitted)
        fail_msg("%s: %s:%u", text, host, port);
    grants_free(&grants);
}

static void test_services(void **state)
{
    (void)state;
    expect_service("redis://a.b", GRANT_REDIS, "a.b", 6379, true);
    expect_service("redis://a.b", GRANT_REDIS, "a.b", 6380, false);
    expect_service("redis://a.b", GRANT_POSTGRES, "a.b", 6379, false);
    expect_service("redis://a.b", GRANT_REDISS, "a.b", 6379, false);
    expect_service("rediss://a.b:6379", GRANT_REDISS, "a.b", 6379, true);
    expect_service("rediss://a.b:6379", GRANT_REDIS, "a.b", 6379, false);
    expect_service("mqtts://*.b:1..9000", GRANT_MQTTS, "a.b", 8883, true);
    expect_service("mqtts://a.b:8883", GRANT_MQTT, "a.b", 8883, false);
    expect_service("*://a.b:*", GRANT_MQTTS, "a.b", 8883, true);
    expect_service("postgres://10.0.0.0/8:1..9", GRANT_POSTGRES, "10.1.1.1", 8, true);
    expect_service("mysql://*.x", GRANT_MYSQL, "a.x", 3306, true);
    expect_service("mqtt://localhost", GRANT_MQTT, "localhost", 1883, true);
    expect_service("*://a.b:6379", GRANT_REDIS, "a.b", 6379, true);
    expect_service("http://a.b:6379", GRANT_REDIS, "a.b", 6379, false);
    expect_service("*://*:*", GRANT_REDIS, "10.0.0.1", 6379, false); /* private */
    expect_service("redis://self", GRANT_REDIS, "self", 6379, false);
    struct ip_endpoint to = {.port = 6379};
    struct grants name = granted("redis://a.b"), range = granted("redis://10.0.0.0/8");
    assert_true(ip_parse(STR("10.0.0.1"), &to.address));
    assert_false(grants_service_address(&name, GRANT_REDIS, STR("a.b"), &to)); /* a name leads to no private address */
    assert_true(grants_service_address(&range, GRANT_REDIS, STR("a.b"), &to));
    assert_true(ip_parse(STR("8.8.8.8"), &to.address));
    assert_true(grants_service_address(&name, GRANT_REDIS, STR("a.b"), &to));
    assert_false(grants_service_address(&name, GRANT_REDIS, STR("b.a"), &to));
    assert_false(grants_any(&name, GRANT_OUTBOUND));
    grants_free(&name);
    grants_free(&range);
}

static void test_no_memory(void **state)
{
    struct outbound outbound;
    (void)state;
    assert_true(outbound_parse(STR("*://a.example.com:443"), &outbound, NULL));
    uint64_t live = mem_live();
    for (uint64_t nth = 1;; nth++) {
        struct grants grants = {0};
        struct err err = {0};
        mem_fail_once(nth);
        bool done = outbound_grant(&outbound, &grants, &err);
        mem_fail_once(0);
        assert_true(done || err.kind == ERR_MEMORY || err.kind == ERR_LIMIT);
        grants_free(&grants);
        assert_int_equal(mem_live(), live);
        if (done)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_templates), cmocka_unit_test(test_template_bounds), cmocka_unit_test(test_entries),
        cmocka_unit_test(test_origins),   cmocka_unit_test(test_inside),          cmocka_unit_test(test_sockets),
        cmocka_unit_test(test_services),  cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
