/* Addresses of services: what each form has, and what is no address; and the values of PostgreSQL, by their binary
 * forms. */
#include "wasi/service_address.h"

#include "wasi/postgres.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static char room[SERVICE_ADDRESS_MAX + 16];

static void expect(const char *text, bool words, enum grant_scheme scheme, const char *parts)
{
    struct service_address address;
    struct err err = {0};
    char found[1024];
    struct str from = str_of(text);
    bool done =
        words ? service_address_words(from, room, &address, &err) : service_address_parse(from, room, &address, &err);
    if (!done)
        fail_msg("%s: %s", text, err.message);
    snprintf(found, sizeof found, "%.*s %u %.*s %.*s %.*s %.*s", STR_ARG(address.host), address.port,
             STR_ARG(address.user), STR_ARG(address.password), STR_ARG(address.path), STR_ARG(address.query));
    assert_string_equal(found, parts);
    assert_int_equal(address.scheme, scheme);
}

static void refuse(const char *text, bool words, const char *why)
{
    struct service_address address;
    struct err err = {0};
    struct str from = str_of(text);
    if (words ? service_address_words(from, room, &address, &err) : service_address_parse(from, room, &address, &err))
        fail_msg("%s is an address", text);
    if (!strstr(err.message, why))
        fail_msg("%s: %s", text, err.message);
}

static void test_forms(void **state)
{
    expect("redis://a.b", false, GRANT_REDIS, "a.b 6379    ");
    expect("REDIS://a.b:1", false, GRANT_REDIS, "a.b 1    ");
    expect("redis://:p%40ss:w@rd@127.0.0.1:7/3?x=y#z", false, GRANT_REDIS, "127.0.0.1 7  p@ss:w@rd 3 x=y");
    expect("postgres://u%2Fs@[::1]:5/d%20b", false, GRANT_POSTGRES, "::1 5 u/s  d b ");
    expect("postgresql://h/?sslmode=require", false, GRANT_POSTGRES, "h 5432    sslmode=require");
    expect("mysql://h?a=/b", false, GRANT_MYSQL, "h 3306    a=/b");
    expect("mqtt://h/", false, GRANT_MQTT, "h 1883    ");
    expect("mqtts://h", false, GRANT_MQTTS, "h 8883    ");
    expect("rediss://:p@h/2", false, GRANT_REDISS, "h 6379  p 2 ");
    expect("host=h user=u", true, GRANT_POSTGRES, "h 5432 u   ");
    expect(" host = 'h' password='a b\\'c\\\\' port=1 dbname=d sslmode=disable other=x ", true, GRANT_POSTGRES,
           "h 1  a b'c\\ d sslmode=disable");
    expect("sslmode = 'require' host=h", true, GRANT_POSTGRES, "h 5432    sslmode=require");
    expect("host=h sslmode=disable sslmode \t=\nrequire", true, GRANT_POSTGRES, "h 5432    sslmode=require");
}

static void test_refused(void **state)
{
    static const char *const none[] = {"redis://",       "redis://:80",       "redis://a b",   "redis://[::1",
                                       "redis://::1",    "redis://a.b:",      "redis://a.b:0", "redis://a.b:65536",
                                       "redis://a.b:1x", "redis://[1.2.3.4]", "redis://u:p@"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        refuse(none[i], false, "has no host, or one with a port that is none");
    refuse("a.b:80", false, "has no scheme");
    refuse("gopher://a.b", false, "a scheme that is not known");
    refuse("*://a.b", false, "a scheme that is not known");
    refuse("redis+unix:///x", false, "sockets of this host are not for guests");
    refuse("redis://secret%zz@a", false, "user or password that is not well-formed");
    refuse("redis://%00@a", false, "user or password that is not well-formed");
    refuse("redis://%ff@a", false, "user or password that is not well-formed");
    refuse("redis://a/%2", false, "a path that is not well-formed");
    refuse("host=a user", true, "is not made of words NAME=VALUE");
    refuse("host='a", true, "is not made of words NAME=VALUE");
    refuse("user=a", true, "has no host");
    refuse("host=a,b", true, "has no host");
    refuse("host=/tmp", true, "has no host");
    refuse("host=a port=x", true, "a port that is none");
    static char huge[SERVICE_ADDRESS_MAX + 2];
    memset(huge, 'a', SERVICE_ADDRESS_MAX + 1);
    memcpy(huge, "redis://", 8);
    refuse(huge, false, "is too long");
}

/* ---- PostgreSQL ---- */

#define BYTES(...) ((struct str){(const char *)(const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})})

static void expect_numeric(struct str bytes, const char *wanted)
{
    char text[64];
    size_t size;
    bool done = postgres_numeric(bytes, text, sizeof text, &size);
    assert_int_equal(done, wanted != NULL);
    if (wanted)
        assert_true(str_eq((struct str){text, size}, str_of(wanted)));
}

static void test_numerics(void **state)
{
    expect_numeric(BYTES(0, 0, 0, 0, 0, 0, 0, 0), "0");
    expect_numeric(BYTES(0, 0, 0, 0, 0, 0, 0, 2), "0.00");
    expect_numeric(BYTES(0, 1, 0, 1, 0x40, 0, 0, 0, 0, 12), "-120000");
    expect_numeric(BYTES(0, 2, 0, 0, 0, 0, 0, 1, 0, 1, 0x13, 0x88), "1.5");
    expect_numeric(BYTES(0, 1, 0xff, 0xfe, 0, 0, 0, 8, 0, 1), "0.00000001");
    expect_numeric(BYTES(0, 0, 0, 0, 0xc0, 0, 0, 0), NULL);             /* not a number */
    expect_numeric(BYTES(0, 1, 0, 0, 0, 0, 0, 0), NULL);                /* a digit is missing */
    expect_numeric(BYTES(0, 1, 0, 0, 0, 0, 0, 0, 0x27, 0x10), NULL);    /* one that is none */
    expect_numeric(BYTES(0, 1, 0x7f, 0xff, 0, 0, 0, 0, 0, 1), NULL);    /* more than there is room for */
    expect_numeric(BYTES(0, 0, 0, 0, 0, 0, 0x3f, 0xff), NULL);          /* likewise */
    expect_numeric(BYTES(0, 0, 0), NULL);
}

static void test_times(void **state)
{
    struct postgres_date date;
    struct postgres_time time;
    assert_true(postgres_date(BYTES(0, 0, 0, 59), &date));
    assert_true(date.year == 2000 && date.month == 2 && date.day == 29);
    assert_true(postgres_date(BYTES(0xff, 0xff, 0xff, 0xff), &date));
    assert_true(date.year == 1999 && date.month == 12 && date.day == 31);
    assert_false(postgres_date(BYTES(0x7f, 0xff, 0xff, 0xff), &date));
    assert_false(postgres_date(BYTES(0), &date));
    assert_true(postgres_datetime(BYTES(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), &date, &time));
    assert_true(date.year == 1999 && time.hour == 23 && time.second == 59 && time.nanosecond == 999999000);
    assert_false(postgres_time(BYTES(0xff, 0, 0, 0, 0, 0, 0, 0), &time));
    assert_true(postgres_unix(951782400, &date, &time) && date.month == 2 && date.day == 29 && time.hour == 0);
    assert_true(postgres_unix(-1, &date, &time) && date.year == 1969 && time.second == 59);
    assert_false(postgres_unix(INT64_MAX, &date, &time));
    assert_false(postgres_unix(INT64_MIN, &date, &time));
    assert_false(postgres_is_date((struct postgres_date){2023, 2, 29}));
    assert_false(postgres_is_date((struct postgres_date){1900, 2, 29}));
    assert_true(postgres_is_date((struct postgres_date){2000, 2, 29}));
    assert_false(postgres_is_date((struct postgres_date){2000, 13, 1}));
    assert_false(postgres_is_time((struct postgres_time){24, 0, 0, 0}));
}

/* What says that it is longer than it is, is malformed. */
static void test_lists(void **state)
{
    struct postgres_array array;
    struct postgres_bound lower, upper;
    struct str item;
    assert_true(postgres_array(BYTES(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 23), &array));
    assert_int_equal(array.count, 0);
    assert_true(postgres_array(
        BYTES(0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 23, 0, 0, 0, 2, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 7),
        &array));
    assert_true(postgres_element(&array, &item) && !item.ptr);
    assert_true(postgres_element(&array, &item) && item.len == 1);
    assert_false(postgres_element(&array, &item));
    assert_false(postgres_array(BYTES(0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 23, 0x7f, 0, 0, 0, 0, 0, 0, 1), &array));
    assert_false(postgres_array(BYTES(0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 23), &array));
    assert_true(postgres_range(BYTES(1), &lower, &upper) && !lower.there && !upper.there);
    assert_true(postgres_range(BYTES(0x12, 0, 0, 0, 1, 9), &lower, &upper));
    assert_true(lower.there && lower.inclusive && lower.bytes.len == 1 && !upper.there);
    assert_false(postgres_range(BYTES(2, 0, 0, 0, 2, 9), &lower, &upper));
    assert_false(postgres_range(BYTES(0x12, 0xff, 0xff, 0xff, 0xff), &lower, &upper));
    assert_false(postgres_range((struct str){NULL, 0}, &lower, &upper));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms), cmocka_unit_test(test_refused), cmocka_unit_test(test_numerics),
        cmocka_unit_test(test_times), cmocka_unit_test(test_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
