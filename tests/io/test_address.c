/* Addresses: text, ranges, and which are private. */
#include "io/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct ip_address address(const char *text)
{
    struct ip_address result;
    if (!ip_parse(str_of(text), &result))
        fail_msg("%s is no address", text);
    return result;
}

static void test_text(void **state)
{
    static const char *const good[][2] = {{"127.0.0.1", "127.0.0.1"},
                                          {"::1", "::1"},
                                          {"[::1]", "::1"},
                                          {"2001:DB8::0:1", "2001:db8::1"},
                                          {"::ffff:1.2.3.4", "::ffff:1.2.3.4"}};
    static const char *const bad[] = {"",       "1.2.3", "1.2.3.4.5", "256.1.1.1",  "1.2.3.4 ", "01.2.3.4",
                                      "::1%lo", "[::1",  "::1]",      "[1.2.3.4]",  ":::",      "name",
                                      "[]",     "1:2:3", "0x7f.1",    "127.0.0.1/8"};
    char text[IP_TEXT_MAX];
    struct ip_address parsed;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        parsed = address(good[i][0]);
        ip_text(&parsed, text);
        assert_string_equal(text, good[i][1]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (ip_parse(str_of(bad[i]), &parsed))
            fail_msg("%s is taken", bad[i]);
    assert_false(ip_parse((struct str){"1.2.3.4\0", 8}, &parsed));
}

static bool in(const char *text, const char *range_text)
{
    struct ip_range range;
    const struct ip_address a = address(text);
    assert_true(ip_parse_range(str_of(range_text), &range));
    return ip_in_range(&a, &range);
}

static void test_ranges(void **state)
{
    struct ip_range range;
    static const char *const bad[] = {"10.0.0.0/33", "10.0.0.0/", "10.0.0.0/x", "10.0.0.0/-1",
                                      "/8",          "::/129",    "[::]/1x",    "10.0.0.0/0008"};
    assert_true(in("10.255.0.1", "10.0.0.0/8"));
    assert_true(in("10.255.0.1", "10.77.1.2/8")); /* bits behind the prefix do not count */
    assert_false(in("11.0.0.0", "10.0.0.0/8"));
    assert_true(in("192.0.2.127", "192.0.2.0/25"));
    assert_false(in("192.0.2.128", "192.0.2.0/25"));
    assert_true(in("8.8.8.8", "0.0.0.0/0"));
    assert_false(in("::1", "0.0.0.0/0"));
    assert_true(in("fd12::1", "[fd00::]/8"));
    assert_true(in("fd12::1", "[fd00::/8]"));
    assert_true(in("1.2.3.4", "1.2.3.4"));
    assert_false(in("1.2.3.5", "1.2.3.4"));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (ip_parse_range(str_of(bad[i]), &range))
            fail_msg("%s is taken", bad[i]);
}

/* The first and last address of each range, and those outside next to them. */
static void test_private(void **state)
{
    static const char *const private[] = {
        "0.0.0.0",      "0.255.255.255",    "10.0.0.0",        "10.255.255.255",  "100.64.0.0",      "100.127.255.255",
        "127.0.0.1",    "169.254.169.254",  "172.16.0.0",      "172.31.255.255",  "192.0.0.1",       "192.168.0.1",
        "198.18.0.0",   "198.19.255.255",   "224.0.0.1",       "240.0.0.1",       "255.255.255.255", "::",
        "::1",          "::7f00:1",         "fc00::1",         "fdff::1",         "fe80::1",         "fec0::1",
        "ff02::1",      "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1",    "2002:7f00:1::",
        "2002:a00:1::", "2001::1",          "100::1",          "2001:2::1",       "5f00::1"};
    static const char *const public[] = {
        "1.1.1.1",    "9.255.255.255",  "11.0.0.0",        "100.63.255.255", "100.128.0.0",      "126.255.255.255",
        "128.0.0.1",  "172.15.255.255", "172.32.0.0",      "192.0.1.0",      "192.167.255.255",  "192.169.0.0",
        "198.17.0.1", "198.20.0.0",     "223.255.255.255", "2001:db8::1",    "2001:1::1",        "2001:2:1::1",
        "5eff::1",    "5f01::1",        "2606:4700::1",    "::ffff:1.1.1.1", "64:ff9b::101:101", "2002:101:101::"};
    for (size_t i = 0; i < sizeof private / sizeof private[0]; i++) {
        const struct ip_address a = address(private[i]);
        if (!ip_is_private(&a))
            fail_msg("%s is not private", private[i]);
    }
    for (size_t i = 0; i < sizeof public / sizeof public[0]; i++) {
        const struct ip_address a = address(public[i]);
        if (ip_is_private(&a))
            fail_msg("%s is private", public[i]);
    }
}

static void test_kinds(void **state)
{
    struct ip_address a = address("0.0.0.0"), b = address("::"), c = address("127.8.8.8"), d = address("::1");
    struct ip_address e = address("224.0.0.1"), f = address("255.255.255.255"), g = address("ff02::1");
    struct ip_address h = address("::ffff:1.2.3.4");
    assert_true(ip_is_any(&a) && ip_is_any(&b) && !ip_is_any(&c) && !ip_is_any(&d));
    assert_true(ip_is_loopback(&c) && ip_is_loopback(&d) && !ip_is_loopback(&a) && !ip_is_loopback(&b));
    assert_true(ip_is_unicast(&a) && ip_is_unicast(&d) && !ip_is_unicast(&e) && !ip_is_unicast(&f) &&
                !ip_is_unicast(&g));
    assert_true(ip_is_mapped(&h) && !ip_is_mapped(&d) && !ip_is_mapped(&c));
    assert_false(ip_same(&a, &b));
}

static void test_sockaddr(void **state)
{
    static const char *const texts[] = {"192.0.2.7", "2001:db8::7"};
    for (size_t i = 0; i < 2; i++) {
        const struct ip_endpoint from = {address(texts[i]), 4711, i ? 0x12345 : 0, i ? 3 : 0};
        union ip_sockaddr between;
        struct ip_endpoint to;
        char text[IP_TEXT_MAX];
        assert_int_equal(ip_to_sockaddr(&from, &between), i ? sizeof between.v6 : sizeof between.v4);
        assert_true(ip_from_sockaddr(&between, &to));
        assert_true(ip_same(&from.address, &to.address) && to.port == 4711 && to.flow == from.flow &&
                    to.scope == from.scope);
        ip_endpoint_text(&to, text);
        assert_string_equal(text, i ? "[2001:db8::7]:4711" : "192.0.2.7:4711");
        between.any.sa_family = AF_UNIX;
        assert_false(ip_from_sockaddr(&between, &to));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),  cmocka_unit_test(test_ranges),   cmocka_unit_test(test_private),
        cmocka_unit_test(test_kinds), cmocka_unit_test(test_sockaddr),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
