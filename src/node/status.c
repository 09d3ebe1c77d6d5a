/* See status.h. What belongs to a function is the sum over the workers. */
#include "node/status.h"

#include "base/clock.h"
#include "base/json.h"

static const struct {
    const char *name;
    size_t offset;
} numbers[] = {
#define NUMBER(field) {#field, offsetof(struct metrics_function, field)}
    NUMBER(broken), NUMBER(traps), NUMBER(cpu_ns), NUMBER(bytes_in), NUMBER(bytes_out), NUMBER(running),
#undef NUMBER
};

/* The sum of the counter at `offset` of a function, over the workers. */
static uint64_t sum(const struct metrics *metrics, uint32_t function, size_t offset)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < metrics->worker_count; i++) {
        const void *counter = (const char *)&metrics_block(metrics, i)->functions[function] + offset;
        total += counter_read(counter);
    }
    return total;
}

/* ---- a function ---- */

static void write_answers(struct json *json, const struct metrics *metrics, uint32_t function)
{
    static const char *const classes[METRICS_CLASSES] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
    json_object(json, "answers");
    for (unsigned i = 0; i < METRICS_CLASSES; i++)
        json_number(json, classes[i],
                    sum(metrics, function, offsetof(struct metrics_function, answers) + i * sizeof(uint64_t)));
    json_end(json);
}

static void write_limits(struct json *json, const struct metrics *metrics, uint32_t function)
{
    json_object(json, "limits");
    for (unsigned i = 0; i < METRICS_LIMIT_COUNT; i++)
        json_number(json, metrics_limit_names[i],
                    sum(metrics, function, offsetof(struct metrics_function, limits) + i * sizeof(uint64_t)));
    json_end(json);
}

/* With the buckets, so that a reader can tell quantiles of the time between two readings. */
static void write_histogram(struct json *json, const char *key, const struct metrics *metrics, uint32_t function,
                            size_t offset)
{
    struct histogram all = {0};
    for (uint32_t i = 0; i < metrics->worker_count; i++) {
        const void *histogram = (const char *)&metrics_block(metrics, i)->functions[function] + offset;
        histogram_join(&all, histogram);
    }
    json_object(json, key);
    json_number(json, "count", histogram_count(&all));
    json_number(json, "sum_ns", all.sum);
    json_number(json, "p50_ns", histogram_quantile(&all, 0.5));
    json_number(json, "p99_ns", histogram_quantile(&all, 0.99));
    json_array(json, "buckets");
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        if (!all.counts[i])
            continue;
        json_object(json, NULL);
        json_number(json, "from_ns", histogram_floor(i));
        json_number(json, "count", all.counts[i]);
        json_end(json);
    }
    json_end(json);
    json_end(json);
}

static void write_function(struct json *json, const struct metrics *metrics, uint32_t function)
{
    json_object(json, NULL);
    json_string(json, "name", str_of(metrics->names[function]));
    write_answers(json, metrics, function);
    write_limits(json, metrics, function);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        json_number(json, numbers[i].name, sum(metrics, function, numbers[i].offset));
    write_histogram(json, "latency", metrics, function, offsetof(struct metrics_function, latency));
    write_histogram(json, "starts", metrics, function, offsetof(struct metrics_function, starts));
    json_end(json);
}

/* ---- a worker ---- */

static void write_worker(struct json *json, const struct metrics *metrics, uint32_t worker)
{
    const struct metrics_place *place = &metrics->node->places[worker];
    const struct metrics_worker *block = metrics_block(metrics, worker);
    uint64_t pid = counter_read(&place->pid), births = counter_read(&place->births), refusals = 0;
    for (unsigned i = 0; i < METRICS_REFUSAL_COUNT; i++)
        refusals += counter_read(&block->refusals[i]);
    json_object(json, NULL);
    json_number(json, "worker", worker);
    json_number(json, "pid", pid);
    json_bool(json, "up", counter_read(&place->ready) != 0);
    json_number(json, "restarts", births ? births - 1 : 0);
    json_number(json, "resident_bytes", pid ? metrics_resident(pid) : 0);
    json_number(json, "connections", counter_read(&block->connections));
    json_number(json, "refusals", refusals);
    json_number(json, "log_lost", counter_read(&block->log_lost));
    json_number(json, "generation", counter_read(&block->functions[0].generation));
    json_end(json);
}

void status_write(struct buf *text, const struct metrics *metrics)
{
    struct json json = {.out = text};
    uint64_t tier = counter_read(&metrics->node->tier), now_ns = clock_now_ns();
    json_object(&json, NULL);
    json_number(&json, "schema", STATUS_SCHEMA);
    json_string(&json, "version", STR(MAYFLY_VERSION));
    json_number(&json, "now_ns", now_ns);
    json_number(&json, "uptime_ns", now_ns - metrics->began_ns);
    json_bool(&json, "draining", counter_read(&metrics->node->draining) != 0);
    json_number(&json, "generation", counter_read(&metrics->node->generation));
    json_string(&json, "tier", str_of(metrics_tier_names[tier < METRICS_TIER_COUNT ? tier : METRICS_TIER_UNKNOWN]));
    json_array(&json, "functions");
    for (uint32_t i = 0; i < metrics->function_count; i++)
        write_function(&json, metrics, i);
    json_end(&json);
    json_array(&json, "workers");
    for (uint32_t i = 0; i < metrics->worker_count; i++)
        write_worker(&json, metrics, i);
    json_end(&json);
    json_end(&json);
}
