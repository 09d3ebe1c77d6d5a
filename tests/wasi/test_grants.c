/* Grants of the network: what each form permits and what not, and what is no form. */
#include "wasi/grants.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct grants grants;

static int end(void **state)
{
    grants_free(&grants);
    return 0;
}

static void add(enum grant_kind kind, const char *text)
{
    struct err err = {0};
    if (!grants_add(&grants, kind, str_of(text), &err))
        fail_msg("%s: %s", text, err.message);
}

static struct ip_endpoint at(const char *text, uint16_t port)
{
    struct ip_endpoint endpoint = {.port = port};
    assert_true(ip_parse(str_of(text), &endpoint.address));
    return endpoint;
}

static bool connects(const char *text, uint16_t port)
{
    const struct ip_endpoint to = at(text, port);
    return grants_connect(&grants, &to);
}

static bool connects_named(const char *name, const char *text, uint16_t port)
{
    const struct ip_endpoint to = at(text, port);
    return grants_connect_named(&grants, str_of(name), &to);
}

static bool listens(const char *text, uint16_t port)
{
    const struct ip_endpoint where = at(text, port);
    return grants_listen(&grants, &where);
}

static bool looks_up(const char *name)
{
    return grants_lookup(&grants, str_of(name));
}

static bool origin(const char *scheme, const char *host, uint16_t port)
{
    return grants_origin(&grants, strcmp(scheme, "https") == 0, str_of(host), port);
}

static bool leads(const char *scheme, const char *host, const char *text, uint16_t port)
{
    const struct ip_endpoint to = at(text, port);
    return grants_origin_address(&grants, strcmp(scheme, "https") == 0, str_of(host), &to);
}

static void test_nothing(void **state)
{
    const struct ip_endpoint public = at("1.1.1.1", 80);
    assert_false(connects("1.1.1.1", 80) || connects_named("a.test", "1.1.1.1", 80) || listens("1.1.1.1", 80));
    assert_false(looks_up("a.test") || origin("http", "a.test", 80) || leads("http", "a.test", "1.1.1.1", 80));
    assert_false(grants_any(&grants, GRANT_NET) || grants_any(NULL, GRANT_NET));
    assert_false(grants_connect(NULL, &public) || grants_lookup(NULL, STR("a.test")) || grants_listen(NULL, &public) ||
                 grants_origin(NULL, false, STR("a.test"), 80));
}

static void test_address(void **state)
{
    add(GRANT_NET, "192.0.2.1:80");
    add(GRANT_NET, "[2001:db8::1]:80..90");
    add(GRANT_NET, "10.0.0.0/8:*");
    assert_true(connects("192.0.2.1", 80) && connects("2001:db8::1", 80) && connects("2001:db8::1", 89));
    assert_true(connects("10.1.2.3", 1) && connects("10.255.255.255", 65535));
    assert_false(connects("192.0.2.1", 81) || connects("192.0.2.2", 80) || connects("2001:db8::1", 90) ||
                 connects("2001:db8::2", 80) || connects("11.0.0.1", 1));
    assert_false(looks_up("a.test") || listens("192.0.2.1", 80) || origin("http", "192.0.2.1", 80));
    assert_true(connects_named("any.test", "10.1.2.3", 5)); /* the address is granted, whatever led to it */
    assert_true(grants_any(&grants, GRANT_NET) && !grants_any(&grants, GRANT_LISTEN));
}

static void test_name(void **state)
{
    const struct ip_endpoint public = at("1.1.1.1", 0), private = at("10.0.0.1", 0);
    add(GRANT_NET, "API.example.com:443");
    add(GRANT_NET, "*.sub.test:*");
    assert_true(looks_up("api.example.com") && looks_up("Api.Example.COM.") && looks_up("x.sub.test") &&
                looks_up("a.b.sub.test"));
    assert_false(looks_up("example.com") || looks_up("xapi.example.com") || looks_up("sub.test") ||
                 looks_up("xsub.test") || looks_up("api.example.com.evil.test") || looks_up(""));
    assert_true(connects_named("api.example.com", "1.1.1.1", 443));
    assert_false(connects_named("api.example.com", "1.1.1.1", 80) || connects("1.1.1.1", 443) ||
                 connects_named("other.test", "1.1.1.1", 443));
    assert_false(connects_named("api.example.com", "127.0.0.1", 443) ||
                 connects_named("api.example.com", "::ffff:127.0.0.1", 443) ||
                 connects_named("x.sub.test", "169.254.169.254", 80));
    assert_true(grants_reach(&grants, STR("x.sub.test"), &public.address));
    assert_false(grants_reach(&grants, STR("x.sub.test"), &private.address));
}

static void test_any(void **state)
{
    add(GRANT_NET, "*:443");
    assert_true(looks_up("what.ever") && connects("1.1.1.1", 443) && connects("2606:4700::1", 443));
    assert_false(connects("1.1.1.1", 80) || connects("127.0.0.1", 443) || connects("10.0.0.1", 443) ||
                 connects("::1", 443) || connects_named("what.ever", "192.168.1.1", 443));
}

static void test_localhost(void **state)
{
    add(GRANT_NET, "localhost:8080");
    assert_true(looks_up("localhost") && looks_up("LocalHost.") && connects("127.0.0.1", 8080) &&
                connects("::1", 8080) && connects("127.1.2.3", 8080));
    assert_false(connects("127.0.0.1", 80) || connects("10.0.0.1", 8080) || looks_up("a.localhost"));
    assert_true(connects_named("localhost", "127.0.0.1", 8080) && connects_named("localhost", "::1", 8080));
    assert_false(connects_named("localhost", "1.1.1.1", 8080)); /* whatever the name system answers */
}

/* A mapped address is IPv4's: the kernel connects to that. */
static void test_mapped(void **state)
{
    add(GRANT_OUTBOUND, "http://[::]/0");
    assert_true(origin("http", "[2606:4700::1]", 80) && origin("http", "[::1]", 80));
    assert_false(origin("http", "[::ffff:10.0.0.1]", 80) || leads("http", "::ffff:10.0.0.1", "::ffff:10.0.0.1", 80));
    assert_false(origin("http", "[::ffff:1.1.1.1]", 80) || origin("http", "10.0.0.1", 80));
    add(GRANT_OUTBOUND, "http://10.0.0.0/8");
    assert_true(origin("http", "[::ffff:10.0.0.1]", 80) && leads("http", "::ffff:10.0.0.1", "::ffff:10.0.0.1", 80));
    assert_false(origin("http", "[::ffff:11.0.0.1]", 80));
    add(GRANT_OUTBOUND, "http://[::ffff:192.0.2.0]/120");
    assert_true(origin("http", "[::ffff:192.0.2.7]", 80));
    assert_false(origin("http", "[::ffff:192.0.3.7]", 80));
}

static void test_listen(void **state)
{
    add(GRANT_LISTEN, "127.0.0.1:8080");
    add(GRANT_LISTEN, "[::1]:0");
    add(GRANT_LISTEN, "10.0.0.0/8:*");
    assert_true(listens("127.0.0.1", 8080) && listens("::1", 0) && listens("10.9.9.9", 0) && listens("10.9.9.9", 5));
    assert_false(listens("127.0.0.1", 0) || listens("0.0.0.0", 8080) || listens("::1", 80) ||
                 listens("127.0.0.2", 8080));
    assert_false(connects("127.0.0.1", 8080));
}

static void test_outbound(void **state)
{
    add(GRANT_OUTBOUND, "https://api.example.com");
    add(GRANT_OUTBOUND, "http://*:8080");
    add(GRANT_OUTBOUND, "*://*.sub.test:1000..1010");
    add(GRANT_OUTBOUND, "*://both.test");
    add(GRANT_OUTBOUND, "HTTP://[::1]:80/");
    assert_true(origin("https", "api.example.com", 443) && origin("http", "any.test", 8080) &&
                origin("http", "x.sub.test", 1009) && origin("https", "x.sub.test", 1000) && origin("http", "::1", 80));
    assert_true(origin("http", "both.test", 80) && origin("https", "both.test", 443));
    assert_false(origin("http", "api.example.com", 443) || origin("https", "api.example.com", 444) ||
                 origin("https", "any.test", 8080) || origin("http", "x.sub.test", 1010) ||
                 origin("https", "::1", 80) || origin("http", "both.test", 443) || origin("https", "both.test", 80));
    assert_true(leads("https", "api.example.com", "1.1.1.1", 443) && leads("http", "any.test", "1.1.1.1", 8080));
    assert_false(leads("https", "api.example.com", "127.0.0.1", 443) || leads("http", "any.test", "10.0.0.1", 8080) ||
                 leads("https", "api.example.com", "1.1.1.1", 444));
    add(GRANT_OUTBOUND, "https://10.0.0.0/8");
    assert_true(leads("https", "api.example.com", "10.0.0.1", 443) && origin("https", "10.0.0.1", 443));
    assert_false(connects("1.1.1.1", 8080) || looks_up("api.example.com"));
}

/* Over TLS a service has a scheme of its own. */
static void test_secure(void **state)
{
    const struct str host = STR("a.test");
    enum grant_scheme scheme;
    uint16_t port;
    add(GRANT_OUTBOUND, "rediss://a.test");
    add(GRANT_OUTBOUND, "mqtt://a.test");
    assert_true(grants_service(&grants, GRANT_REDISS, host, 6379) && grants_service(&grants, GRANT_MQTT, host, 1883));
    assert_false(grants_service(&grants, GRANT_REDIS, host, 6379) || grants_service(&grants, GRANT_MQTTS, host, 8883) ||
                 grants_service(&grants, GRANT_MQTTS, host, 1883) || grants_any(&grants, GRANT_OUTBOUND));
    add(GRANT_OUTBOUND, "*://a.test");
    assert_true(grants_service(&grants, GRANT_REDIS, host, 6379) && grants_service(&grants, GRANT_MQTTS, host, 8883));
    assert_true(grant_scheme_of(STR("MQTTS"), &scheme, &port) && scheme == GRANT_MQTTS && port == 8883);
    assert_string_equal(grant_scheme_name(GRANT_REDISS), "rediss");
    assert_int_equal(grant_protocol(GRANT_REDISS), GRANT_REDIS);
    assert_int_equal(grant_protocol(GRANT_MQTTS), GRANT_MQTT);
    assert_int_equal(grant_protocol(GRANT_MYSQL), GRANT_MYSQL);
}

static void test_refused(void **state)
{
    static const struct {
        enum grant_kind kind;
        const char *text;
    } rows[] = {
        {GRANT_NET, ""},
        {GRANT_NET, ":"},
        {GRANT_NET, "a"},
        {GRANT_NET, "a:"},
        {GRANT_NET, ":80"},
        {GRANT_NET, "a:x"},
        {GRANT_NET, "a:65536"},
        {GRANT_NET, "a:1.2"},
        {GRANT_NET, "a:1..1"},
        {GRANT_NET, "a:2..1"},
        {GRANT_NET, "a:1..65537"},
        {GRANT_NET, "a:1..."},
        {GRANT_NET, "a b:80"},
        {GRANT_NET, "::1:80"},
        {GRANT_NET, "[::1:80"},
        {GRANT_NET, "[::1]80"},
        {GRANT_NET, "a..b:80"},
        {GRANT_NET, "a*:80"},
        {GRANT_NET, "*.:80"},
        {GRANT_NET, "*.*.a:80"},
        {GRANT_NET, "1.2.3:80"},
        {GRANT_NET, "1.2.3.4/33:80"},
        {GRANT_NET, "http://a:80"},
        {GRANT_LISTEN, "a.test:80"},
        {GRANT_LISTEN, "*:80"},
        {GRANT_LISTEN, "1.2.3.4"},
        {GRANT_OUTBOUND, "a.test"},
        {GRANT_OUTBOUND, "ftp://a.test"},
        {GRANT_OUTBOUND, "http://"},
        {GRANT_OUTBOUND, "http:/a"},
        {GRANT_OUTBOUND, "http://a/b"},
        {GRANT_OUTBOUND, "http://a//"},
        {GRANT_OUTBOUND, "http://u@a"},
        {GRANT_OUTBOUND, "://a"},
        {GRANT_OUTBOUND, "http://a:0x50"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct err err = {0};
        if (grants_add(&grants, rows[i].kind, str_of(rows[i].text), &err))
            fail_msg("%s is taken", rows[i].text);
        assert_int_equal(err.kind, ERR_USAGE);
        assert_true(err.remedy[0]);
    }
    assert_false(grants_any(&grants, GRANT_NET) || grants_any(&grants, GRANT_LISTEN) ||
                 grants_any(&grants, GRANT_OUTBOUND));
}

/* What is blocked is out of reach, as itself and inside of an address that carries it, whatever rule there is. */
static void test_blocked(void **state)
{
    struct ip_range ranges[2];
    add(GRANT_NET, "0.0.0.0/0:*");
    add(GRANT_NET, "[::/0]:*");
    add(GRANT_NET, "a.test:*");
    add(GRANT_OUTBOUND, "http://0.0.0.0/0:*");
    add(GRANT_OUTBOUND, "http://a.test:*");
    add(GRANT_LISTEN, "10.0.0.0/8:*");
    assert_true(connects("10.1.2.3", 80) && connects("127.0.0.1", 80) && connects("0.0.0.0", 80));
    assert_true(ip_parse_range(STR("127.0.0.0/8"), &ranges[0]) && ip_parse_range(STR("198.51.100.0/24"), &ranges[1]));
    grants.blocked = (struct grant_blocked){.ranges = ranges, .count = 2};
    assert_true(connects("10.1.2.3", 80) && connects("198.51.101.1", 80) && connects("::1", 80));
    assert_false(connects("127.0.0.1", 80) || connects("127.255.0.1", 80) || connects("198.51.100.7", 80));
    assert_false(connects("0.0.0.0", 80) || connects("::ffff:127.0.0.1", 80) || connects("64:ff9b::c633:6407", 80));
    assert_true(connects_named("a.test", "198.51.101.1", 80));
    assert_false(connects_named("a.test", "198.51.100.1", 80));
    assert_true(origin("http", "198.51.101.1", 80) && origin("http", "a.test", 80));
    assert_false(origin("http", "198.51.100.1", 80));
    const struct ip_endpoint blocked = at("198.51.100.1", 80), free = at("198.51.101.1", 80);
    assert_true(grants_origin_address(&grants, false, STR("a.test"), &free));
    assert_false(grants_origin_address(&grants, false, STR("a.test"), &blocked));
    assert_true(grants_reach(&grants, STR("a.test"), &free.address));
    assert_false(grants_reach(&grants, STR("a.test"), &blocked.address));
    grants.blocked = (struct grant_blocked){.private = true};
    assert_true(connects("198.51.100.7", 80));
    assert_false(connects("10.1.2.3", 80) || connects("::1", 80) || connects("169.254.169.254", 80));
    assert_true(listens("10.1.2.3", 80)); /* it is about whom guests reach */
    assert_false(grants_blocked(NULL, &blocked.address));
    grants.blocked = (struct grant_blocked){0};
}

/* Names and * lead anywhere but where rules do not lead, and to what is blocked. */
static void test_private(void **state)
{
    struct ip_range range;
    add(GRANT_NET, "*:80");
    add(GRANT_NET, "a.test:81");
    add(GRANT_OUTBOUND, "http://*.test");
    assert_false(connects("10.1.2.3", 80) || connects_named("a.test", "10.1.2.3", 81));
    grants.blocked = (struct grant_blocked){.names_reach_private = true};
    assert_true(connects("10.1.2.3", 80) && connects("127.0.0.1", 80) && connects("::1", 80));
    assert_true(connects_named("a.test", "10.1.2.3", 81) && connects_named("localhost", "127.0.0.1", 80));
    assert_false(connects("10.1.2.3", 81) || connects_named("b.test", "10.1.2.3", 81));
    const struct ip_endpoint inside = at("10.1.2.3", 80);
    assert_true(grants_origin_address(&grants, false, STR("a.test"), &inside));
    assert_false(grants_origin_address(&grants, false, STR("test"), &inside));
    assert_false(origin("http", "10.1.2.3", 80));
    assert_true(ip_parse_range(STR("10.0.0.0/8"), &range));
    grants.blocked = (struct grant_blocked){.ranges = &range, .count = 1, .names_reach_private = true};
    assert_false(connects("10.1.2.3", 80) || connects_named("a.test", "10.1.2.3", 81));
    assert_true(connects("127.0.0.1", 80));
    grants.blocked = (struct grant_blocked){0};
}

static void test_limit(void **state)
{
    struct err err = {0};
    char text[32];
    for (unsigned i = 0; i < GRANT_RULES_MAX; i++) {
        snprintf(text, sizeof text, "h%u.test:80", i);
        add(GRANT_NET, text);
    }
    assert_true(looks_up("h0.test") && looks_up("h1023.test"));
    assert_false(grants_add(&grants, GRANT_NET, STR("more.test:80"), &err));
    assert_int_equal(err.kind, ERR_LIMIT);
}

#define TEST(name) cmocka_unit_test_teardown(name, end)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_private),   TEST(test_nothing), TEST(test_address),  TEST(test_name),   TEST(test_any),
        TEST(test_localhost), TEST(test_listen),  TEST(test_outbound), TEST(test_secure), TEST(test_refused),
        TEST(test_limit),     TEST(test_mapped),  TEST(test_blocked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
