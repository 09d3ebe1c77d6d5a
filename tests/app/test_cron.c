/* When timers fire: the next times of expressions, which expressions there are, and what is said of others. */
#include "app/cron.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* "2024-02-29 12:00:00", of the proleptic calendar that the system has; NULL: never */
static int64_t seconds_of(const char *text)
{
    struct tm utc = {0};
    if (!text)
        return CRON_NEVER;
    assert_int_equal(sscanf(text, "%d-%d-%d %d:%d:%d", &utc.tm_year, &utc.tm_mon, &utc.tm_mday, &utc.tm_hour,
                            &utc.tm_min, &utc.tm_sec),
                     6);
    utc.tm_year -= 1900;
    utc.tm_mon--;
    return timegm(&utc);
}

static struct cron parsed(const char *text)
{
    struct cron cron;
    struct err err = {0};
    if (!cron_parse(str_of(text), &cron, &err))
        fail_msg("'%s': %s", text, err.message);
    return cron;
}

static void expect_next(const char *text, const char *after, const char *wanted)
{
    const struct cron cron = parsed(text);
    int64_t found = cron_next(&cron, seconds_of(after));
    time_t seconds = (time_t)found;
    char shown[32] = "never";
    struct tm utc;
    if (found != CRON_NEVER && gmtime_r(&seconds, &utc))
        strftime(shown, sizeof shown, "%Y-%m-%d %H:%M:%S", &utc);
    if (found != seconds_of(wanted))
        fail_msg("'%s' after %s is %s, not %s", text, after, shown, wanted ? wanted : "never");
}

/* ---- the next time ---- */

static const struct {
    const char *text, *after, *times[4]; /* one after the other, up to NULL */
} nexts[] = {
    /* each field, and what is carried to the next one */
    {"* * * * * *", "2024-06-15 12:00:00", {"2024-06-15 12:00:01", "2024-06-15 12:00:02"}},
    {"* * * * * *", "2024-12-31 23:59:59", {"2025-01-01 00:00:00"}},
    {"0 * * * * *", "2024-06-15 12:00:00", {"2024-06-15 12:01:00", "2024-06-15 12:02:00"}},
    {"30 5 * * * *", "2024-06-15 12:05:30", {"2024-06-15 13:05:30"}},
    {"30 5 * * * *", "2024-06-15 12:05:29", {"2024-06-15 12:05:30"}},
    {"0 0 0 * * *", "2024-06-30 00:00:00", {"2024-07-01 00:00:00"}},
    {"0 0 12 1 * *", "2024-11-02 00:00:00", {"2024-12-01 12:00:00", "2025-01-01 12:00:00"}},
    {"0 0 0 1 1 *", "2024-01-01 00:00:00", {"2025-01-01 00:00:00", "2026-01-01 00:00:00"}},
    {"59 59 23 31 12 *", "2024-06-15 12:00:00", {"2024-12-31 23:59:59", "2025-12-31 23:59:59"}},
    /* lists, ranges and steps */
    {"1/2 * * * * *", "2024-06-15 12:00:58", {"2024-06-15 12:00:59", "2024-06-15 12:01:01"}},
    {"*/25 * * * * *", "2024-06-15 12:00:00", {"2024-06-15 12:00:25", "2024-06-15 12:00:50", "2024-06-15 12:01:00"}},
    {"5,10,7 * * * * *", "2024-06-15 12:00:05", {"2024-06-15 12:00:07", "2024-06-15 12:00:10", "2024-06-15 12:01:05"}},
    {"0 10-12 * * * *", "2024-06-15 12:10:00", {"2024-06-15 12:11:00", "2024-06-15 12:12:00", "2024-06-15 13:10:00"}},
    {"0 0 8-18/5 * * *", "2024-06-15 08:00:00", {"2024-06-15 13:00:00", "2024-06-15 18:00:00", "2024-06-16 08:00:00"}},
    {"0 0 0 */10 * *", "2024-02-20 00:00:00", {"2024-02-21 00:00:00", "2024-03-01 00:00:00", "2024-03-11 00:00:00"}},
    {"0 1-2,5-6/9,40 * * * *",
     "2024-06-15 12:01:00",
     {"2024-06-15 12:02:00", "2024-06-15 12:05:00", "2024-06-15 12:40:00"}},
    {"0 1/2 11,12 5-10 * *", "2024-06-10 12:59:00", {"2024-07-05 11:01:00", "2024-07-05 11:03:00"}},
    {"0 0 0 1 */300 *", "2024-06-15 12:00:00", {"2025-01-01 00:00:00"}},
    /* months of all lengths, leap years */
    {"0 0 0 31 * *", "2024-01-31 00:00:00", {"2024-03-31 00:00:00", "2024-05-31 00:00:00", "2024-07-31 00:00:00"}},
    {"0 0 0 30 * *", "2024-01-30 00:00:00", {"2024-03-30 00:00:00", "2024-04-30 00:00:00"}},
    {"0 0 0 29 2 *", "2024-01-01 00:00:00", {"2024-02-29 00:00:00", "2028-02-29 00:00:00"}},
    {"0 0 0 29 2 *", "2096-02-29 00:00:00", {"2104-02-29 00:00:00"}},
    {"0 0 0 29 2 *", "1999-01-01 00:00:00", {"2000-02-29 00:00:00"}},
    {"0 0 0 L * *", "2023-01-31 00:00:00", {"2023-02-28 00:00:00", "2023-03-31 00:00:00", "2023-04-30 00:00:00"}},
    {"0 0 0 L 2 *", "2023-02-28 00:00:00", {"2024-02-29 00:00:00", "2025-02-28 00:00:00"}},
    {"0 0 0 30,L * *", "2024-04-01 00:00:00", {"2024-04-30 00:00:00", "2024-05-30 00:00:00", "2024-05-31 00:00:00"}},
    {"0 0 0 30 2 *", "2024-01-01 00:00:00", {NULL}},
    {"0 0 0 31 4,6,9,11 *", "2024-01-01 00:00:00", {NULL}},
    /* names */
    {"0 0 0 1 JAN,jul *", "2024-02-01 00:00:00", {"2024-07-01 00:00:00", "2025-01-01 00:00:00"}},
    {"0 0 0 1 oct-Dec *", "2024-10-01 00:00:00", {"2024-11-01 00:00:00", "2024-12-01 00:00:00", "2025-10-01 00:00:00"}},
    {"0 0 0 * * MON", "2024-06-15 00:00:00", {"2024-06-17 00:00:00", "2024-06-24 00:00:00"}},
    {"0 0 0 * * Mon-Fri", "2024-06-14 00:00:00", {"2024-06-17 00:00:00", "2024-06-18 00:00:00"}},
    {"0 0 0 * * fri-sun", "2024-06-13 00:00:00", {"2024-06-14 00:00:00", "2024-06-15 00:00:00", "2024-06-16 00:00:00"}},
    {"0 0 0 * * 0", "2024-06-15 00:00:00", {"2024-06-16 00:00:00"}},
    {"0 0 0 * * 7", "2024-06-15 00:00:00", {"2024-06-16 00:00:00"}},
    {"0 0 0 * * 6-7", "2024-06-14 00:00:00", {"2024-06-15 00:00:00", "2024-06-16 00:00:00", "2024-06-22 00:00:00"}},
    {"0 0 0 ? * 3", "2024-06-15 00:00:00", {"2024-06-19 00:00:00"}},
    /* day and weekday, both */
    {"0 0 0 13 * FRI", "2024-01-01 00:00:00", {"2024-09-13 00:00:00", "2024-12-13 00:00:00", "2025-06-13 00:00:00"}},
    {"0 0 0 29 2 MON", "2024-01-01 00:00:00", {"2044-02-29 00:00:00"}},
    /* weekdays of the month */
    {"0 0 0 * * FRI#2", "2024-06-01 00:00:00", {"2024-06-14 00:00:00", "2024-07-12 00:00:00"}},
    {"0 0 0 * * 0#5", "2024-04-01 00:00:00", {"2024-06-30 00:00:00", "2024-09-29 00:00:00"}},
    {"0 0 0 * * 7#1", "2024-06-02 00:00:00", {"2024-07-07 00:00:00"}},
    {"0 0 0 * * FRIL", "2024-06-01 00:00:00", {"2024-06-28 00:00:00", "2024-07-26 00:00:00"}},
    {"0 0 0 * * 5#L", "2024-02-01 00:00:00", {"2024-02-23 00:00:00", "2024-03-29 00:00:00"}},
    {"0 0 0 * * MON#1,MON#3",
     "2024-06-01 00:00:00",
     {"2024-06-03 00:00:00", "2024-06-17 00:00:00", "2024-07-01 00:00:00"}},
    /* the nearest weekday: of a Saturday the day before, of a Sunday the day behind, in the same month */
    {"0 0 0 15W * *", "2024-06-01 00:00:00", {"2024-06-14 00:00:00", "2024-07-15 00:00:00"}},
    {"0 0 0 16W 6 *", "2024-06-01 00:00:00", {"2024-06-17 00:00:00"}},
    {"0 0 0 1W 6 *", "2024-05-01 00:00:00", {"2024-06-03 00:00:00"}},
    {"0 0 0 1W 9 *", "2024-05-01 00:00:00", {"2024-09-02 00:00:00"}},
    {"0 0 0 30W 6 *", "2024-05-01 00:00:00", {"2024-06-28 00:00:00"}},
    {"0 0 0 31W 8 *", "2024-05-01 00:00:00", {"2024-08-30 00:00:00"}},
    /* years */
    {"0 0 0 1 1 * 2030", "2024-01-01 00:00:00", {"2030-01-01 00:00:00"}},
    {"0 0 0 1 1 * 2030", "2030-01-01 00:00:00", {NULL}},
    {"0 0 0 1 1 * 2030-2034/4", "2024-01-01 00:00:00", {"2030-01-01 00:00:00", "2034-01-01 00:00:00"}},
    {"* * * * * * *", "2024-01-01 00:00:00", {"2024-01-01 00:00:01"}},
    {"0 0 0 1 1 *", "2199-01-01 00:00:00", {NULL}},
    {"0 0 0 1 1 * 1970", "1970-01-01 00:00:01", {NULL}},
    /* whole expressions, blanks */
    {"@yearly", "2024-06-15 12:00:00", {"2025-01-01 00:00:00"}},
    {"@Annually", "2024-06-15 12:00:00", {"2025-01-01 00:00:00"}},
    {"@monthly", "2024-06-15 12:00:00", {"2024-07-01 00:00:00"}},
    {"@weekly", "2024-06-15 12:00:00", {"2024-06-16 00:00:00"}},
    {"@daily", "2024-06-15 12:00:00", {"2024-06-16 00:00:00"}},
    {"@hourly", "2024-06-15 12:00:00", {"2024-06-15 13:00:00"}},
    {"  0\t0  0 1 1   *  ", "2024-06-15 12:00:00", {"2025-01-01 00:00:00"}},
};

static void test_next(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof nexts / sizeof *nexts; i++) {
        const char *after = nexts[i].after;
        expect_next(nexts[i].text, after, nexts[i].times[0]);
        for (size_t k = 1; k < 4 && nexts[i].times[k]; k++) {
            after = nexts[i].times[k - 1];
            expect_next(nexts[i].text, after, nexts[i].times[k]);
        }
    }
}

/* No zone has a say: local times that there are twice, or not at all, are like others. */
static void test_zones(void **state)
{
    (void)state;
    setenv("TZ", "Europe/Berlin", 1);
    tzset();
    expect_next("0 30 2 * * *", "2024-03-31 00:00:00", "2024-03-31 02:30:00");
    expect_next("0 30 1 * * *", "2024-10-27 00:30:00", "2024-10-27 01:30:00");
    expect_next("0 30 1 * * *", "2024-10-27 01:30:00", "2024-10-28 01:30:00");
    unsetenv("TZ");
    tzset();
}

static void test_ends(void **state)
{
    (void)state;
    const struct cron each = parsed("* * * * * *"), yearly = parsed("@yearly");
    assert_int_equal(cron_next(&each, -5), 0);
    assert_int_equal(cron_next(&each, INT64_MIN), 0);
    assert_int_equal(cron_next(&yearly, -1), 0);
    assert_true(cron_next(&each, INT64_MAX - 1) == CRON_NEVER);
    assert_true(cron_next(&each, CRON_NEVER) == CRON_NEVER);
}

/* By trying every second: what is found is right, and nothing before it is. */
static void test_all_seconds(void **state)
{
    (void)state;
    static const char *const texts[] = {"*/7 */9 */5 * * *", "13 0-30/4 1,22 * 2,3 1-5", "0 59 23 L * *"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const struct cron cron = parsed(texts[i]);
        int64_t from = seconds_of("2024-02-28 22:00:00"), to = from + 3 * 86400, next = cron_next(&cron, from - 1);
        uint32_t count = 0;
        for (int64_t at = from; at < to; at++) {
            int64_t found = cron_next(&cron, at - 1);
            assert_true(found == next);
            if (found > at)
                continue;
            assert_true(found == at);
            next = cron_next(&cron, at);
            assert_true(next > at);
            count++;
        }
        assert_true(count > 0);
    }
}

/* ---- what is none ---- */

static const struct {
    const char *text, *message, *remedy; /* parts of them */
} wrongs[] = {
    {"", "it has 0 fields", "second, minute, hour"},
    {"*", "it has 1 field,", "second, minute, hour"},
    {"*/5 * * * *", "it has 5 fields, not six, or seven with the year", "put the second in front"},
    {"* * * * * * * *", "it has 8 fields", "second, minute, hour"},
    {"@reboot", "it has 1 field,", ""},
    {"60 * * * * *", "\"60\" is no second", "0 to 59"},
    {"-1 * * * * *", "\"-1\" is no second", "0 to 59"},
    {"* 60 * * * *", "\"60\" is no minute", "0 to 59"},
    {"* * 24 * * *", "\"24\" is no hour", "0 to 23"},
    {"* * * 0 * *", "\"0\" is no day", "1 to 31"},
    {"* * * 32 * *", "\"32\" is no day", "15W"},
    {"* * * * 13 *", "\"13\" is no month", "JAN to DEC"},
    {"* * * * 0 *", "\"0\" is no month", "1 to 12"},
    {"* * * * * 8", "\"8\" is no weekday", "SUN to SAT"},
    {"* * * * * * 1969", "\"1969\" is no year", "1970 to 2199"},
    {"* * * * * * 2200", "\"2200\" is no year", "1970 to 2199"},
    {"1,,2 * * * * *", "\"\" is no second", "lists (1,2)"},
    {", * * * * *", "\"\" is no second", ""},
    {"5-1 * * * * *", "\"5-1\" is no second", "ranges (1-5)"},
    {"1-60 * * * * *", "\"1-60\" is no second", ""},
    {"1-2-3 * * * * *", "\"1-2-3\" is no second", ""},
    {"- * * * * *", "\"-\" is no second", ""},
    {"*/0 * * * * *", "\"*/0\" is no second", "steps (*/2"},
    {"*/ * * * * *", "\"*/\" is no second", ""},
    {"/5 * * * * *", "\"/5\" is no second", ""},
    {"*/2/2 * * * * *", "\"*/2/2\" is no second", ""},
    {"*/99999 * * * * *", "\"*/99999\" is no second", ""},
    {"** * * * * *", "\"**\" is no second", ""},
    {"+5 * * * * *", "\"+5\" is no second", ""},
    {"1.5 * * * * *", "\"1.5\" is no second", ""},
    {"00000 * * * * *", "\"00000\" is no second", ""},
    {"MON * * * * *", "\"MON\" is no second", ""},
    {"L * * * * *", "\"L\" is no second", ""},
    {"* * * W * *", "\"W\" is no day", ""},
    {"* * * 32W * *", "\"32W\" is no day", ""},
    {"* * * 5L * *", "\"5L\" is no day", ""},
    {"* * * 1-5W * *", "\"1-5W\" is no day", ""},
    {"* * * * JANU *", "\"JANU\" is no month", ""},
    {"* * * * JA *", "\"JA\" is no month", ""},
    {"* * * * * MON#0", "\"MON#0\" is no weekday", "FRI#2"},
    {"* * * * * MON#6", "\"MON#6\" is no weekday", ""},
    {"* * * * * MON#", "\"MON#\" is no weekday", ""},
    {"* * * * * #2", "\"#2\" is no weekday", ""},
    {"* * * * * L", "\"L\" is no weekday", ""},
    {"* * * * * 8L", "\"8L\" is no weekday", ""},
    {"* * * * * MON-FRI#2", "\"MON-FRI#2\" is no weekday", ""},
    {"* * * * FEB#2 *", "\"FEB#2\" is no month", ""},
    {"0123456789012345678901234567890123456789012345 * * * * *", "\"0123456789012345678901234567890123456789\" is no",
     ""},
};

static void test_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
        struct err err = {0};
        struct cron cron = {.nearest = 77};
        if (cron_parse(str_of(wrongs[i].text), &cron, &err))
            fail_msg("'%s' is taken", wrongs[i].text);
        if (!strstr(err.message, wrongs[i].message) || !strstr(err.remedy, wrongs[i].remedy))
            fail_msg("'%s': %s; %s", wrongs[i].text, err.message, err.remedy);
        assert_int_equal(err.kind, ERR_INVALID);
        assert_int_equal(cron.nearest, 77);
        assert_false(cron_parse(str_of(wrongs[i].text), &cron, NULL));
    }
}

static uint32_t random_below(uint32_t *state, uint32_t end)
{
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) % end;
}

static void test_hostile(void **state)
{
    (void)state;
    char text[CRON_TEXT_MAX + 2];
    struct err err = {0};
    struct cron cron;
    memset(text, ' ', sizeof text);
    memcpy(text, "* * * * * *", 11);
    assert_true(cron_parse((struct str){text, CRON_TEXT_MAX}, &cron, &err));
    assert_false(cron_parse((struct str){text, CRON_TEXT_MAX + 1}, &cron, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_false(cron_parse((struct str){"* * * * jan\0\0\0 *", 16}, &cron, NULL));
    assert_false(cron_parse((struct str){"* * * * \0\0\0\0 *", 14}, &cron, NULL));
    assert_false(cron_parse((struct str){"@daily\0\0", 8}, &cron, NULL));
    uint32_t seed = 1;
    for (int i = 0; i < 200000; i++) { /* whatever it is, it ends, and what is found is later */
        static const char signs[] = "0123456789 *,-/?LW#@monfrijadec";
        size_t size = random_below(&seed, 24);
        for (size_t k = 0; k < size; k++)
            text[k] = signs[random_below(&seed, sizeof signs - 1)];
        memcpy(text + size, " * * 1 2 *", 10);
        if (cron_parse((struct str){text, size + 10}, &cron, NULL) && i % 16 == 0)
            assert_true(cron_next(&cron, 1718452800) > 1718452800);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_next),        cmocka_unit_test(test_zones), cmocka_unit_test(test_ends),
        cmocka_unit_test(test_all_seconds), cmocka_unit_test(test_wrong), cmocka_unit_test(test_hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
