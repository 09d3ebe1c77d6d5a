/* mayfly top: what it understands of a server's status, and what it makes of two readings. */
#include "base/alloc.h"
#include "cli/top.h"
#include "node/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char *const names[] = {"one", "two \x1b[31m\""};

static void serve(struct metrics *metrics)
{
    struct err err = {0};
    assert_true(metrics_open(metrics, 2, names, 2, &err));
    metrics->node->tier = METRICS_TIER_FAST;
    metrics->node->places[0] = (struct metrics_place){.ready = 1, .births = 3};
    metrics_block(metrics, 0)->connections = 9;
}

static void work(const struct metrics *metrics, uint32_t worker, uint64_t count)
{
    metrics_used(metrics_block(metrics, worker), 2)[1] = 1;
    struct metrics_function *function = &metrics_block(metrics, worker)->functions[1];
    function->answers[2] += count;
    function->answers[5] += 1;
    function->broken += 2;
    function->traps += 1;
    function->limits[METRICS_LIMIT_BODY] += 4;
    function->cpu_ns += count * 1000;
    function->running = 3;
    for (uint64_t i = 0; i < count; i++)
        histogram_add(&function->latency, 5000);
    histogram_add(&function->starts, 100);
}

static void take(const struct metrics *metrics, struct top_reading *reading)
{
    struct buf text;
    buf_init(&text, (size_t)1 << 20);
    status_write(&text, metrics);
    assert_true(top_parse((struct str){(const char *)text.data, text.size}, reading));
    buf_free(&text);
}

static void test_readings(void **state)
{
    struct top_reading *before = mem_alloc(1, sizeof *before), *now = mem_alloc(1, sizeof *now);
    struct metrics metrics;
    (void)state;
    serve(&metrics);
    work(&metrics, 0, 1000);
    take(&metrics, before);
    assert_int_equal(before->function_count, 2);
    assert_int_equal(before->worker_count, 2);
    assert_int_equal(before->functions[1].answers, 1001);
    assert_int_equal(before->workers[0].restarts, 2);
    assert_int_equal(before->workers[0].connections, 9);
    assert_true(before->workers[0].up && !before->workers[1].up);
    work(&metrics, 0, 10);
    work(&metrics, 1, 20);
    take(&metrics, now);
    top_subtract(now, before);
    const struct top_function *function = &now->functions[1];
    assert_string_equal(now->tier, "fast");
    assert_string_equal(function->name, names[1]);
    assert_int_equal(function->answers, 32);
    assert_int_equal(function->errors, 2 + 4);
    assert_int_equal(function->traps, 2);
    assert_int_equal(function->limits, 8);
    assert_int_equal(function->cpu_ns, 30000);
    assert_int_equal(function->running, 6);
    assert_int_equal(histogram_count(&function->latency), 30);
    assert_int_equal(histogram_count(&function->starts), 2);
    assert_in_range(histogram_quantile(&function->latency, 0.5), 4600, 5400);
    metrics_close(&metrics);
    mem_free(before);
    mem_free(now);
}

/* Another server in its place began anew. */
static void test_restarted(void **state)
{
    struct top_reading *before = mem_alloc(1, sizeof *before), *now = mem_alloc(1, sizeof *now);
    struct metrics metrics;
    (void)state;
    serve(&metrics);
    work(&metrics, 0, 1000);
    take(&metrics, before);
    metrics_close(&metrics);
    serve(&metrics);
    work(&metrics, 0, 5);
    take(&metrics, now);
    top_subtract(now, before);
    assert_int_equal(now->functions[1].answers, 6);
    assert_int_equal(histogram_count(&now->functions[1].latency), 5);
    metrics_close(&metrics);
    mem_free(before);
    mem_free(now);
}

/* What strangers say fills no more than there is, and drives no terminal. */
static void test_strangers(void **state)
{
    struct top_reading *reading = mem_alloc(1, sizeof *reading);
    struct buf text;
    (void)state;
    static const char *const others[] = {"", "{}", "[]", "{\"schema\": 2}", "{\"schema\": 1", "hello"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(top_parse(str_of(others[i]), reading));
    buf_init(&text, (size_t)1 << 20);
    buf_printf(&text, "{\"schema\":1,\"tier\":\"\\u001b[2J\\u001b[2J\\u001b[2J\\u001b[2J\",\"functions\":[");
    for (unsigned i = 0; i < 2 * TOP_FUNCTIONS_MAX; i++)
        buf_printf(&text, "%s{\"name\":\"\\u001b[2J%0300u\",\"traps\":%u}", i ? "," : "", i, i);
    buf_printf(&text, "],\"workers\":[");
    for (unsigned i = 0; i < 2 * TOP_WORKERS_MAX; i++)
        buf_printf(&text, "%s{\"pid\":1,\"up\":true}", i ? "," : "");
    buf_printf(&text, "]}");
    assert_true(top_parse((struct str){(const char *)text.data, text.size}, reading));
    assert_int_equal(reading->function_count, TOP_FUNCTIONS_MAX);
    assert_int_equal(reading->worker_count, TOP_WORKERS_MAX);
    text.size = 0;
    top_print(&text, reading, 1000000000);
    assert_false(text.failed);
    assert_null(memchr(text.data, 0x1b, text.size));
    text.size = 0;
    top_print_json(&text, reading, 0);
    assert_false(text.failed);
    assert_null(memchr(text.data, 0x1b, text.size));
    buf_free(&text);
    mem_free(reading);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_readings),
        cmocka_unit_test(test_restarted),
        cmocka_unit_test(test_strangers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
