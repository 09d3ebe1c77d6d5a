/* See exposition.h. Families are written one after the other, as the format wants it: for each a line of help, its
 * type, and its samples of all workers. */
#include "node/exposition.h"

#include <string.h>

#define BOUND_FIRST 10u /* 2^10 ns: a microsecond */
#define BOUND_LAST 36u  /* 2^36 ns: a minute and a bit */
#define BOUND_STEP 2u
#define LABELS_SIZE 1024u

struct family {
    const char *name, *type, *help;
};

static void put(struct buf *text, const char *words)
{
    buf_append(text, words, strlen(words));
}

static void begin(struct buf *text, const struct family *family)
{
    buf_printf(text, "# HELP %s %s\n# TYPE %s %s\n", family->name, family->help, family->name, family->type);
}

void exposition_label(struct buf *text, struct str value)
{
    for (size_t i = 0, n; i < value.len; i += n) {
        const uint8_t *at = (const uint8_t *)value.ptr + i;
        size_t valid = utf8_sequence(at, value.len - i);
        n = valid ? valid : 1;
        if (*at == '\\' || *at == '"')
            put(text, "\\");
        if (*at == '\n')
            put(text, "\\n");
        else if (valid)
            buf_append(text, at, n);
    }
}

/* ---- numbers ---- */

static void put_seconds(struct buf *text, uint64_t ns)
{
    buf_printf(text, "%llu.%09llu\n", (unsigned long long)(ns / 1000000000), (unsigned long long)(ns % 1000000000));
}

static void put_number(struct buf *text, uint64_t number)
{
    buf_printf(text, "%llu\n", (unsigned long long)number);
}

static void put_sample(struct buf *text, const char *name, const char *labels)
{
    buf_printf(text, "%s{%s} ", name, labels);
}

/* A true duration of less than a bound was counted below it: nanoseconds are cut, not rounded. */
void exposition_histogram(struct buf *text, const char *name, const char *labels, const struct histogram *histogram)
{
    uint64_t count = histogram_count(histogram);
    for (unsigned power = BOUND_FIRST; power <= BOUND_LAST; power += BOUND_STEP) {
        uint64_t bound = (uint64_t)1 << power;
        buf_printf(text, "%s_bucket{%s,le=\"%llu.%09llu\"} ", name, labels, (unsigned long long)(bound / 1000000000),
                   (unsigned long long)(bound % 1000000000));
        put_number(text, histogram_below(histogram, bound));
    }
    buf_printf(text, "%s_bucket{%s,le=\"+Inf\"} ", name, labels);
    put_number(text, count);
    buf_printf(text, "%s_sum{%s} ", name, labels);
    put_seconds(text, histogram->sum);
    buf_printf(text, "%s_count{%s} ", name, labels);
    put_number(text, count);
}

/* ---- families of functions ---- */

/* Calls `sample` for each function of each worker, with its labels. */
static void each_function(struct buf *text, const struct metrics *metrics, const struct family *family,
                          void (*sample)(struct buf *text, const char *name, const char *labels,
                                         const struct metrics_function *function))
{
    begin(text, family);
    for (uint32_t worker = 0; worker < metrics->worker_count; worker++)
        for (uint32_t i = 0; i < metrics->function_count; i++) {
            struct buf labels;
            buf_init(&labels, LABELS_SIZE);
            put(&labels, "function=\"");
            exposition_label(&labels, str_of(metrics->names[i]));
            buf_printf(&labels, "\",worker=\"%u\"", worker);
            if (buf_append(&labels, "", 1))
                sample(text, family->name, (const char *)labels.data, metrics_function(metrics, worker, i));
            else
                text->failed = true;
            buf_free(&labels);
        }
}

static void sample_requests(struct buf *text, const char *name, const char *labels,
                            const struct metrics_function *function)
{
    static const char *const classes[METRICS_CLASSES] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
    for (unsigned i = 0; i < METRICS_CLASSES; i++) {
        buf_printf(text, "%s{%s,status=\"%s\"} ", name, labels, classes[i]);
        put_number(text, counter_read(&function->answers[i]));
    }
}

static void sample_limits(struct buf *text, const char *name, const char *labels,
                          const struct metrics_function *function)
{
    for (unsigned i = 0; i < METRICS_LIMIT_COUNT; i++) {
        buf_printf(text, "%s{%s,limit=\"%s\"} ", name, labels, metrics_limit_names[i]);
        put_number(text, counter_read(&function->limits[i]));
    }
}

#define HISTOGRAM(field)                                                                                               \
    static void sample_##field(struct buf *text, const char *name, const char *labels,                                 \
                               const struct metrics_function *function)                                                \
    {                                                                                                                  \
        struct histogram histogram = {0};                                                                              \
        histogram_join(&histogram, &function->field);                                                                  \
        exposition_histogram(text, name, labels, &histogram);                                                          \
    }
HISTOGRAM(latency)
HISTOGRAM(starts)
#undef HISTOGRAM

#define NUMBER(field, write)                                                                                           \
    static void sample_##field(struct buf *text, const char *name, const char *labels,                                 \
                               const struct metrics_function *function)                                                \
    {                                                                                                                  \
        put_sample(text, name, labels);                                                                                \
        write(text, counter_read(&function->field));                                                                   \
    }
NUMBER(broken, put_number)
NUMBER(traps, put_number)
NUMBER(running, put_number)
NUMBER(alone, put_number)
NUMBER(cpu_ns, put_seconds)
NUMBER(bytes_in, put_number)
NUMBER(bytes_out, put_number)
NUMBER(generation, put_number)
#undef NUMBER

static void write_functions(struct buf *text, const struct metrics *metrics)
{
    static const struct {
        struct family family;
        void (*sample)(struct buf *text, const char *name, const char *labels, const struct metrics_function *function);
    } rows[] = {
#define ROW(name, type, help, field) {{"mayfly_" name, type, help}, sample_##field}
        ROW("requests_total", "counter", "Requests answered, by status; none: the client was gone before.", requests),
        ROW("request_duration_seconds", "histogram", "From dispatch to the end of the answer.", latency),
        ROW("start_duration_seconds", "histogram", "From a request's turn to the guest's entry.", starts),
        ROW("cpu_seconds_total", "counter", "Processor time of guests, host functions included.", cpu_ns),
        ROW("running_requests", "gauge", "Requests that are being served.", running),
        ROW("alone_requests", "gauge", "Those of them whose answer is complete and which go on.", alone),
        ROW("broken_answers_total", "counter", "Answers that were not completed.", broken),
        ROW("traps_total", "counter", "Requests whose guest trapped.", traps),
        ROW("limits_total", "counter", "Requests that met a limit.", limits),
        ROW("received_bytes_total", "counter", "Bytes of request bodies that guests took.", bytes_in),
        ROW("sent_bytes_total", "counter", "Bytes of response bodies.", bytes_out),
        ROW("image_generation", "gauge", "Of the image that new requests get.", generation),
#undef ROW
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        each_function(text, metrics, &rows[i].family, rows[i].sample);
}

/* ---- families of workers ---- */

static uint64_t worker_up(const struct metrics *metrics, uint32_t i)
{
    return counter_read(&metrics->node->places[i].ready) != 0;
}

static uint64_t worker_restarts(const struct metrics *metrics, uint32_t i)
{
    uint64_t births = counter_read(&metrics->node->places[i].births);
    return births ? births - 1 : 0;
}

static uint64_t worker_resident(const struct metrics *metrics, uint32_t i)
{
    uint64_t pid = counter_read(&metrics->node->places[i].pid);
    return pid ? metrics_resident(pid) : 0;
}

static uint64_t worker_connections(const struct metrics *metrics, uint32_t i)
{
    return counter_read(&metrics_block(metrics, i)->connections);
}

static uint64_t worker_unrouted(const struct metrics *metrics, uint32_t i)
{
    return counter_read(&metrics_block(metrics, i)->unrouted);
}

static uint64_t worker_fixed(const struct metrics *metrics, uint32_t i)
{
    return counter_read(&metrics_block(metrics, i)->fixed);
}

static uint64_t worker_log_lost(const struct metrics *metrics, uint32_t i)
{
    return counter_read(&metrics_block(metrics, i)->log_lost);
}

static void write_refusals(struct buf *text, const struct metrics *metrics)
{
    static const struct family family = {"mayfly_refusals_total", "counter",
                                         "Requests that the server refused before a function had them."};
    begin(text, &family);
    for (uint32_t worker = 0; worker < metrics->worker_count; worker++)
        for (unsigned i = 0; i < METRICS_REFUSAL_COUNT; i++) {
            buf_printf(text, "%s{worker=\"%u\",status=\"%u\"} ", family.name, worker, metrics_refusal_statuses[i]);
            put_number(text, counter_read(&metrics_block(metrics, worker)->refusals[i]));
        }
}

static void write_workers(struct buf *text, const struct metrics *metrics)
{
    static const struct {
        struct family family;
        uint64_t (*value)(const struct metrics *metrics, uint32_t i);
    } rows[] = {
#define ROW(name, type, help, field) {{"mayfly_" name, type, help}, worker_##field}
        ROW("worker_up", "gauge", "Whether the worker serves.", up),
        ROW("worker_restarts_total", "counter", "How often another process took the worker's place.", restarts),
        ROW("worker_resident_bytes", "gauge", "Memory of the worker's process.", resident),
        ROW("open_connections", "gauge", "Connections that are open.", connections),
        ROW("unrouted_requests_total", "counter", "Requests that no route answers.", unrouted),
        ROW("static_answers_total", "counter", "Requests whose route has its answer.", fixed),
        ROW("log_lines_lost_total", "counter", "Lines of the access log that found no room.", log_lost),
#undef ROW
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        begin(text, &rows[i].family);
        for (uint32_t worker = 0; worker < metrics->worker_count; worker++) {
            buf_printf(text, "%s{worker=\"%u\"} ", rows[i].family.name, worker);
            put_number(text, rows[i].value(metrics, worker));
        }
    }
}

static void write_build(struct buf *text)
{
    static const struct family family = {"mayfly_build_info", "gauge", "The version of mayfly."};
    begin(text, &family);
    buf_printf(text, "%s{version=\"" MAYFLY_VERSION "\"} 1\n", family.name);
}

void exposition_write(struct buf *text, const struct metrics *metrics)
{
    write_build(text);
    write_functions(text, metrics);
    write_refusals(text, metrics);
    write_workers(text, metrics);
}
