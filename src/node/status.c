/* See status.h. What belongs to a function is the sum over the workers. */
#include "node/status.h"

#include "base/clock.h"
#include "base/json.h"

static const struct {
    const char *name;
    size_t offset;
} numbers[] = {
#define NUMBER(field) {#field, offsetof(struct metrics_function, field)}
    NUMBER(broken),    NUMBER(traps),   NUMBER(cpu_ns), NUMBER(bytes_in),
    NUMBER(bytes_out), NUMBER(running), NUMBER(asleep), NUMBER(alone),
#undef NUMBER
};

/* The sum of the counter at `offset` of a function, over the workers. */
static uint64_t sum(const struct metrics *metrics, uint32_t function, size_t offset)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < metrics->worker_count; i++) {
        const void *counter = (const char *)metrics_function(metrics, i, function) + offset;
        total += counter_read(counter);
    }
    return total;
}

/* The greatest of them. */
static uint64_t greatest(const struct metrics *metrics, uint32_t function, size_t offset)
{
    uint64_t most = 0;
    for (uint32_t i = 0; i < metrics->worker_count; i++) {
        const void *counter = (const char *)metrics_function(metrics, i, function) + offset;
        uint64_t number = counter_read(counter);
        if (number > most)
            most = number;
    }
    return most;
}

static void write_tier(struct json *json, uint64_t tier)
{
    json_string(json, "tier", str_of(metrics_tier_names[tier < METRICS_TIER_COUNT ? tier : METRICS_TIER_UNKNOWN]));
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
        const void *histogram = (const char *)metrics_function(metrics, i, function) + offset;
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
    json_number(json, "memory_bytes", greatest(metrics, function, offsetof(struct metrics_function, memory_bytes)));
    json_number(json, "generation", greatest(metrics, function, offsetof(struct metrics_function, generation)));
    write_tier(json, metrics_tiers(metrics)[function]);
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
    json_number(json, "unrouted", counter_read(&block->unrouted));
    json_number(json, "fixed", counter_read(&block->fixed));
    json_number(json, "generation", counter_read(&block->generation));
    json_end(json);
}

/* ---- what went wrong lately ---- */

struct incident_place {
    uint64_t time_ms;
    uint32_t worker, place; /* in its ring */
};

/* The last ones of a kind, the newest first. */
static uint32_t find_incidents(const struct metrics *metrics, enum incident_kind kind,
                               struct incident_place ret[INCIDENTS_MAX])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < metrics->worker_count * INCIDENTS_MAX; i++) {
        struct incident_place place = {.worker = i / INCIDENTS_MAX, .place = i % INCIDENTS_MAX};
        const struct incidents *incidents = metrics_incidents(metrics, metrics_block(metrics, place.worker));
        uint32_t at = count < INCIDENTS_MAX ? count : INCIDENTS_MAX - 1;
        place.time_ms = incident_time_ms(incidents, kind, place.place);
        if (!place.time_ms || (count == INCIDENTS_MAX && ret[at].time_ms >= place.time_ms))
            continue;
        for (; at > 0 && ret[at - 1].time_ms < place.time_ms; at--)
            ret[at] = ret[at - 1];
        ret[at] = place;
        count += count < INCIDENTS_MAX;
    }
    return count;
}

/* What a worker says of a function is an index, or of nobody. */
static void write_incident(struct json *json, const struct metrics *metrics, enum incident_kind kind,
                           const struct incident_place *place)
{
    const struct incidents *incidents = metrics_incidents(metrics, metrics_block(metrics, place->worker));
    struct incident incident;
    if (!incident_read(incidents, kind, place->place, &incident) || incident.function >= metrics->function_count)
        return;
    json_object(json, NULL);
    json_number(json, "time_ms", incident.time_ms);
    json_number(json, "worker", place->worker);
    json_number(json, "number", incident.number);
    json_string(json, "kind", str_of(incident_kind_names[kind]));
    json_string(json, "function", str_of(metrics->names[incident.function]));
    json_string(json, "text", (struct str){incident.text, incident.size});
    json_end(json);
}

/* Of all kinds, the newest first. */
static void write_incidents(struct json *json, const struct metrics *metrics)
{
    struct incident_place places[INCIDENT_KIND_COUNT][INCIDENTS_MAX];
    uint32_t counts[INCIDENT_KIND_COUNT], at[INCIDENT_KIND_COUNT] = {0};
    for (unsigned kind = 0; kind < INCIDENT_KIND_COUNT; kind++)
        counts[kind] = find_incidents(metrics, (enum incident_kind)kind, places[kind]);
    json_array(json, "incidents");
    for (;;) {
        unsigned newest = INCIDENT_KIND_COUNT;
        for (unsigned kind = 0; kind < INCIDENT_KIND_COUNT; kind++)
            if (at[kind] < counts[kind] &&
                (newest == INCIDENT_KIND_COUNT || places[kind][at[kind]].time_ms > places[newest][at[newest]].time_ms))
                newest = kind;
        if (newest == INCIDENT_KIND_COUNT)
            break;
        write_incident(json, metrics, (enum incident_kind)newest, &places[newest][at[newest]++]);
    }
    json_end(json);
}

void status_write(struct buf *text, const struct metrics *metrics)
{
    struct json json = {.out = text};
    uint64_t now_ns = clock_now_ns();
    json_object(&json, NULL);
    json_number(&json, "schema", STATUS_SCHEMA);
    json_string(&json, "version", STR(MAYFLY_VERSION));
    json_number(&json, "now_ns", now_ns);
    json_number(&json, "uptime_ns", now_ns - metrics->began_ns);
    json_bool(&json, "draining", counter_read(&metrics->node->draining) != 0);
    json_number(&json, "generation", counter_read(&metrics->node->generation));
    write_tier(&json, counter_read(&metrics->node->tier));
    json_array(&json, "functions");
    for (uint32_t i = 0; i < metrics->function_count; i++)
        write_function(&json, metrics, i);
    json_end(&json);
    json_array(&json, "workers");
    for (uint32_t i = 0; i < metrics->worker_count; i++)
        write_worker(&json, metrics, i);
    json_end(&json);
    write_incidents(&json, metrics);
    json_end(&json);
}
