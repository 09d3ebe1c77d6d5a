/* Metrics: buckets and what is exported of them, blocks that survive their writers and are closed to others, and text
 * that is well formed whatever a worker wrote. */
#include "base/alloc.h"
#include "base/json_read.h"
#include "node/exposition.h"
#include "node/status.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const names[] = {"first", "a \"b\\c\"\nd\xff"};

/* ---- histograms ---- */

static void test_buckets(void **state)
{
    (void)state;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        assert_int_equal(histogram_bucket(histogram_floor(i)), i);
        assert_true(histogram_floor(i) < histogram_floor(i + 1));
        if (i + 1 < HISTOGRAM_BUCKETS)
            assert_int_equal(histogram_bucket(histogram_floor(i + 1) - 1), i);
    }
    assert_int_equal(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
}

static void test_quantiles(void **state)
{
    struct histogram histogram = {0}, both = {0};
    (void)state;
    assert_int_equal(histogram_quantile(&histogram, 0.5), 0);
    for (uint64_t value = 1; value <= 1000; value++)
        histogram_add(&histogram, value * 1000);
    assert_in_range(histogram_quantile(&histogram, 0.5), 450000, 550000);
    assert_in_range(histogram_quantile(&histogram, 0.99), 900000, 1090000);
    assert_int_equal(histogram_count(&histogram), 1000);
    assert_int_equal(histogram.sum, 500500000);
    histogram_join(&both, &histogram);
    histogram_join(&both, &histogram);
    assert_int_equal(histogram_count(&both), 2000);
    assert_int_equal(both.sum, 2 * 500500000);
}

/* What is below a power of two is told exactly. */
static void test_below(void **state)
{
    struct histogram histogram = {0};
    (void)state;
    for (unsigned power = 0; power < 64; power++)
        for (int off = -1; off <= 1; off++)
            histogram_add(&histogram, ((uint64_t)1 << power) + (uint64_t)off);
    for (unsigned power = 3; power < 64; power++)
        assert_int_equal(histogram_below(&histogram, (uint64_t)1 << power), 3 * power + 1);
    assert_int_equal(histogram_below(&histogram, 0), 0);
}

/* ---- the text ---- */

static const char *finished(struct buf *text)
{
    assert_true(buf_append(text, "", 1));
    return (const char *)text->data;
}

static void test_label(void **state)
{
    struct buf text;
    (void)state;
    buf_init(&text, 1024);
    exposition_label(&text, str_of(names[1]));
    assert_string_equal(finished(&text), "a \\\"b\\\\c\\\"\\nd");
    buf_free(&text);
}

static void test_histogram_text(void **state)
{
    struct histogram histogram = {0};
    struct buf text;
    (void)state;
    histogram_add(&histogram, 0);
    histogram_add(&histogram, 1023);
    histogram_add(&histogram, 1024);
    histogram_add(&histogram, 3000000000);
    histogram_add(&histogram, UINT64_C(100000000000));
    buf_init(&text, 4096);
    exposition_histogram(&text, "x", "a=\"b\"", &histogram);
    assert_string_equal(finished(&text), "x_bucket{a=\"b\",le=\"0.000001024\"} 2\n"
                                         "x_bucket{a=\"b\",le=\"0.000004096\"} 3\n"
                                         "x_bucket{a=\"b\",le=\"0.000016384\"} 3\n"
                                         "x_bucket{a=\"b\",le=\"0.000065536\"} 3\n"
                                         "x_bucket{a=\"b\",le=\"0.000262144\"} 3\n"
                                         "x_bucket{a=\"b\",le=\"0.001048576\"} 3\n"
                                         "x_bucket{a=\"b\",le=\"0.004194304\"} 3\n"
                                         "x_bucket{a=\"b\",le=\"0.016777216\"} 3\n"
                                         "x_bucket{a=\"b\",le=\"0.067108864\"} 3\n"
                                         "x_bucket{a=\"b\",le=\"0.268435456\"} 3\n"
                                         "x_bucket{a=\"b\",le=\"1.073741824\"} 3\n"
                                         "x_bucket{a=\"b\",le=\"4.294967296\"} 4\n"
                                         "x_bucket{a=\"b\",le=\"17.179869184\"} 4\n"
                                         "x_bucket{a=\"b\",le=\"68.719476736\"} 4\n"
                                         "x_bucket{a=\"b\",le=\"+Inf\"} 5\n"
                                         "x_sum{a=\"b\"} 103.000002047\n"
                                         "x_count{a=\"b\"} 5\n");
    buf_free(&text);
}

/* ---- blocks ---- */

static void open_metrics(struct metrics *metrics, uint32_t workers)
{
    struct err err = {0};
    assert_true(metrics_open(metrics, workers, names, 2, &err));
}

/* How a child ended. */
static int status_of(pid_t child)
{
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void test_kept(void **state)
{
    struct metrics metrics;
    (void)state;
    open_metrics(&metrics, 3);
    for (uint64_t turn = 1; turn <= 3; turn++) {
        pid_t child = fork();
        if (child == 0) {
            struct metrics_worker *block = metrics_keep(&metrics, 1);
            metrics_used(block, 2)[1] = 1;
            counter_add(&block->functions[1].answers[2], 5);
            counter_set(&block->functions[1].running, turn + 7);
            counter_set(&block->connections, 4);
            raise(SIGKILL);
        }
        assert_true(WIFSIGNALED(status_of(child)));
        const struct metrics_worker *block = metrics_block(&metrics, 1);
        assert_int_equal(counter_read(&block->functions[1].answers[2]), 5 * turn);
        assert_int_equal(counter_read(&block->functions[1].running), turn + 7);
    }
    pid_t child = fork(); /* the next one begins without connections and requests */
    if (child == 0) {
        metrics_keep(&metrics, 1);
        _exit(0);
    }
    assert_int_equal(status_of(child), 0);
    assert_int_equal(counter_read(&metrics_block(&metrics, 1)->connections), 0);
    assert_int_equal(counter_read(&metrics_block(&metrics, 1)->functions[1].running), 0);
    metrics_close(&metrics);
}

/* A worker has its own block and nothing else of what is shared. */
static void test_closed(void **state)
{
    struct metrics metrics;
    (void)state;
    open_metrics(&metrics, 4);
    uint64_t *places[] = {metrics_block(&metrics, 0)->refusals, metrics_block(&metrics, 1)->refusals,
                          metrics_block(&metrics, 2)->refusals, metrics_block(&metrics, 3)->refusals,
                          &metrics.node->tier};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        pid_t child = fork();
        if (child == 0) {
            signal(SIGSEGV, SIG_DFL);
            metrics_keep(&metrics, 2);
            counter_set(places[i], 1);
            _exit(0);
        }
        assert_int_equal(WIFSIGNALED(status_of(child)), i != 2);
    }
    metrics_close(&metrics);
}

static unsigned walked;

static void walk(void *arg, const struct json_read_value *value)
{
    (void)arg;
    walked += value->kind == JSON_READ_NUMBER;
}

/* Whatever stands in the blocks, the texts are whole. */
static void test_hostile(void **state)
{
    struct metrics metrics;
    struct buf text;
    uint64_t random = 1;
    (void)state;
    open_metrics(&metrics, 2);
    for (unsigned round = 0; round < 20; round++) {
        void *blocks = metrics.blocks;
        uint64_t *words = blocks;
        for (size_t i = 0; i < 2 * metrics.block_size / sizeof *words; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            words[i] = round ? random : UINT64_MAX;
        }
        for (uint32_t i = 0; i < INCIDENTS_MAX; i++) /* some are told, and their texts are anything */
            metrics_incidents(&metrics, metrics_block(&metrics, round % 2))
                ->items[i % INCIDENT_KIND_COUNT][i]
                .function = i % 5;
        buf_init(&text, (size_t)2 << 20);
        exposition_write(&text, &metrics);
        assert_false(text.failed);
        for (size_t i = 0; i < text.size; i++)
            assert_true(text.data[i] == '\n' || (text.data[i] >= 0x20 && text.data[i] < 0x7f));
        assert_int_equal(text.data[text.size - 1], '\n');
        text.size = 0;
        status_write(&text, &metrics);
        assert_false(text.failed);
        walked = 0;
        assert_true(json_read((struct str){(const char *)text.data, text.size}, walk, NULL));
        assert_true(walked > 50);
        buf_free(&text);
    }
    metrics_close(&metrics);
}

static void add_incident(struct incidents *incidents, enum incident_kind kind, uint32_t function, unsigned lines)
{
    struct incident *incident = incident_begin(incidents, kind, function);
    for (unsigned i = 0; i < lines; i++)
        incident_line(incident, "line %u of a text \x1b", i);
    incident_end(incidents, incident);
}

/* The last ones are there, whole or cut at the end; one that is being written is not. */
static void test_incidents(void **state)
{
    static struct incidents incidents;
    struct incident incident;
    (void)state;
    assert_false(incident_read(&incidents, INCIDENT_LIMIT, 0, &incident));
    for (uint32_t i = 0; i < INCIDENTS_MAX + 5; i++)
        add_incident(&incidents, INCIDENT_LIMIT, i, i == INCIDENTS_MAX + 4 ? 10000 : i);
    for (uint32_t i = 0; i < INCIDENTS_MAX; i++) {
        assert_true(incident_read(&incidents, INCIDENT_LIMIT, i, &incident));
        assert_int_equal(incident.function, i < 5 ? INCIDENTS_MAX + i : i);
        assert_int_equal(incident.number, incident.function + 1);
        assert_true(incident.time_ms > 1700000000000 &&
                    incident.time_ms == incident_time_ms(&incidents, INCIDENT_LIMIT, i));
    }
    assert_false(incident_read(&incidents, INCIDENT_LIMIT, INCIDENTS_MAX, &incident));
    assert_true(incident_read(&incidents, INCIDENT_LIMIT, 4, &incident));
    assert_in_range(incident.size, sizeof incident.text - 2, sizeof incident.text);
    assert_int_equal(incident.text[incident.size - 1], '\n');
    assert_true(incident_read(&incidents, INCIDENT_LIMIT, 6, &incident));
    assert_true(str_starts((struct str){incident.text, incident.size}, STR("line 0 of a text \x1b\nline 1 of")));
    struct incident *writing = incident_begin(&incidents, INCIDENT_LIMIT, 1);
    assert_false(incident_read(&incidents, INCIDENT_LIMIT, 5, &incident));
    incident_end(&incidents, writing);
    assert_true(incident_read(&incidents, INCIDENT_LIMIT, 5, &incident));
    incidents.items[INCIDENT_LIMIT][5].size = UINT64_MAX;
    assert_true(incident_read(&incidents, INCIDENT_LIMIT, 5, &incident));
    assert_int_equal(incident.size, sizeof incident.text);
    assert_int_equal(incidents.counts[INCIDENT_TRAP] + incidents.counts[INCIDENT_DENIED], 0);
    incidents.counts[INCIDENT_LIMIT] = UINT64_MAX;
    assert_false(incident_read(&incidents, INCIDENT_LIMIT, UINT32_MAX, &incident));
}

/* Of all workers the last ones, the newest first. */
static void test_incidents_told(void **state)
{
    struct metrics metrics;
    struct buf text;
    (void)state;
    open_metrics(&metrics, 3);
    for (uint32_t i = 0; i < 3 * INCIDENTS_MAX; i++) {
        struct incidents *incidents = metrics_incidents(&metrics, metrics_block(&metrics, i % 3));
        enum incident_kind kind = i == 0 ? INCIDENT_DENIED : INCIDENT_TRAP;
        add_incident(incidents, kind, i % 2, 1);
        incidents->items[kind][(incidents->counts[kind] - 1) % INCIDENTS_MAX].time_ms =
            1000 + i * 7 % (3 * INCIDENTS_MAX);
    }
    buf_init(&text, (size_t)2 << 20);
    status_write(&text, &metrics);
    const char *at = finished(&text);
    for (unsigned i = 0; i < INCIDENTS_MAX; i++) {
        char wanted[32];
        snprintf(wanted, sizeof wanted, "\"time_ms\": %u,", 1000 + 3 * INCIDENTS_MAX - 1 - i);
        at = strstr(at, "\"time_ms\"");
        assert_non_null(at);
        assert_true(strncmp(at, wanted, strlen(wanted)) == 0);
        at++;
    }
    at = strstr(at, "\"time_ms\": 1000"); /* the oldest, of another kind */
    assert_non_null(at);
    assert_non_null(strstr(at, "\"kind\": \"denied\""));
    assert_null(strstr(at + 1, "\"time_ms\""));
    assert_non_null(strstr((const char *)text.data, "line 0 of a text \\u001b\\n"));
    buf_free(&text);
    metrics_close(&metrics);
}

/* Too little memory for the text is said, not half of it told. */
static void test_memory(void **state)
{
    struct metrics metrics;
    struct buf text;
    (void)state;
    open_metrics(&metrics, 2);
    buf_init(&text, 4000);
    exposition_write(&text, &metrics);
    assert_true(text.failed);
    buf_free(&text);
    buf_init(&text, 1000);
    status_write(&text, &metrics);
    assert_true(text.failed);
    buf_free(&text);
    metrics_close(&metrics);
}

static void test_ticks(void **state)
{
    struct metrics metrics;
    (void)state;
    open_metrics(&metrics, 1);
    usleep(20000);
    uint64_t factor = metrics_tick_factor(&metrics),
             ticks = (uint64_t)((double)(UINT64_C(3) << 32) * 1e9 / (double)factor);
    assert_in_range(metrics_ns(ticks, factor), UINT64_C(2999000000), UINT64_C(3001000000));
    assert_int_equal(metrics_ns(0, factor), 0);
    metrics_close(&metrics);
}

static void test_refusals(void **state)
{
    (void)state;
    assert_int_equal(metrics_refusal_of(431), METRICS_REFUSAL_431);
    assert_int_equal(metrics_refusal_of(400), METRICS_REFUSAL_400);
    assert_int_equal(metrics_refusal_of(417), METRICS_REFUSAL_400);
}

static void test_resident(void **state)
{
    (void)state;
    assert_true(metrics_resident((uint64_t)getpid()) > 4096);
    assert_int_equal(metrics_resident(UINT64_MAX), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buckets),   cmocka_unit_test(test_quantiles),      cmocka_unit_test(test_below),
        cmocka_unit_test(test_label),     cmocka_unit_test(test_histogram_text), cmocka_unit_test(test_kept),
        cmocka_unit_test(test_closed),    cmocka_unit_test(test_hostile),        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_ticks),     cmocka_unit_test(test_refusals),       cmocka_unit_test(test_resident),
        cmocka_unit_test(test_incidents), cmocka_unit_test(test_incidents_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
