/* mayfly top: what a running server does, read from its admin address once a second. */
#include "cli/top.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/cli.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define ADDRESS_DEFAULT "127.0.0.1:3001"
#define TEXT_MAX ((size_t)1 << 20)
#define CELL_SIZE 32u
#define NAME_SHOWN ((size_t)24)
#define CLEAR "\x1b[H\x1b[2J" /* of a terminal: the cursor home, all of the screen empty */

/* ---- for people ---- */

/* "12.3us", by the unit that leaves one to three digits before the point. */
static void show_time(char cell[CELL_SIZE], uint64_t ns)
{
    static const char *const units[] = {"ns", "us", "ms", "s"};
    double value = (double)ns;
    unsigned unit = 0;
    for (; value >= 999.5 && unit < 3; unit++)
        value /= 1000;
    snprintf(cell, CELL_SIZE, "%.*f%s", unit && value < 99.95 ? 1 : 0, value, units[unit]);
}

static void show_bytes(char cell[CELL_SIZE], uint64_t bytes)
{
    static const char units[] = "KMGT";
    double value = (double)bytes / 1024;
    unsigned unit = 0;
    for (; value >= 1023.5 && unit < 3; unit++)
        value /= 1024;
    snprintf(cell, CELL_SIZE, "%.*f%c", value < 99.95 ? 1 : 0, value, units[unit]);
}

static double per_second(uint64_t count, uint64_t interval_ns)
{
    return interval_ns ? (double)count * 1e9 / (double)interval_ns : 0;
}

static uint64_t per_request(const struct top_function *function)
{
    return function->answers ? function->cpu_ns / function->answers : 0;
}

static void print_name(struct buf *text, const char *name)
{
    size_t before = text->size;
    text_show_some(text, str_of(name), NAME_SHOWN);
    size_t shown = text->size - before;
    buf_printf(text, "%*s", (int)(shown < NAME_SHOWN ? NAME_SHOWN - shown : 0), "");
}

static void print_function(struct buf *text, const struct top_function *function, uint64_t interval_ns)
{
    char p50[CELL_SIZE], p99[CELL_SIZE], start[CELL_SIZE], cpu[CELL_SIZE];
    show_time(p50, histogram_quantile(&function->latency, 0.5));
    show_time(p99, histogram_quantile(&function->latency, 0.99));
    show_time(start, histogram_quantile(&function->starts, 0.5));
    show_time(cpu, per_request(function));
    print_name(text, function->name);
    buf_printf(text, " %9.0f %8s %8s %8s %8s %7llu %7llu %7llu %7llu\n", per_second(function->answers, interval_ns),
               p50, p99, start, cpu, (unsigned long long)function->running, (unsigned long long)function->errors,
               (unsigned long long)function->traps, (unsigned long long)function->limits);
}

static void print_worker(struct buf *text, const struct top_worker *worker)
{
    char memory[CELL_SIZE];
    show_bytes(memory, worker->resident_bytes);
    buf_printf(text, "%6llu %8llu %8s %11llu %8llu  %s\n", (unsigned long long)worker->worker,
               (unsigned long long)worker->pid, memory, (unsigned long long)worker->connections,
               (unsigned long long)worker->restarts, worker->up ? "up" : "down");
}

void top_print(struct buf *text, const struct top_reading *reading, uint64_t interval_ns)
{
    buf_printf(text, "%-24s %9s %8s %8s %8s %8s %7s %7s %7s %7s\n", "FUNCTION", "REQ/S", "P50", "P99", "START",
               "CPU/REQ", "RUNNING", "ERRORS", "TRAPS", "LIMITS");
    for (uint32_t i = 0; i < reading->function_count; i++)
        print_function(text, &reading->functions[i], interval_ns);
    buf_printf(text, "\n%6s %8s %8s %11s %8s\n", "WORKER", "PID", "MEMORY", "CONNECTIONS", "RESTARTS");
    for (uint32_t i = 0; i < reading->worker_count; i++)
        print_worker(text, &reading->workers[i]);
    buf_printf(text, "\nimage %llu, tier ", (unsigned long long)reading->generation);
    text_show(text, str_of(reading->tier));
    buf_append(text, "\n", 1);
}

/* ---- for programs ---- */

static void json_function(struct json *json, const struct top_function *function, uint64_t interval_ns)
{
    json_object(json, NULL);
    json_string(json, "name", str_of(function->name));
    json_number(json, "requests", function->answers);
    json_number(json, "requests_per_second", (uint64_t)(per_second(function->answers, interval_ns) + 0.5));
    json_number(json, "latency_p50_ns", histogram_quantile(&function->latency, 0.5));
    json_number(json, "latency_p99_ns", histogram_quantile(&function->latency, 0.99));
    json_number(json, "start_p50_ns", histogram_quantile(&function->starts, 0.5));
    json_number(json, "cpu_ns_per_request", per_request(function));
    json_number(json, "running", function->running);
    json_number(json, "errors", function->errors);
    json_number(json, "traps", function->traps);
    json_number(json, "limits", function->limits);
    json_end(json);
}

static void json_worker(struct json *json, const struct top_worker *worker)
{
    json_object(json, NULL);
    json_number(json, "worker", worker->worker);
    json_number(json, "pid", worker->pid);
    json_bool(json, "up", worker->up);
    json_number(json, "restarts", worker->restarts);
    json_number(json, "resident_bytes", worker->resident_bytes);
    json_number(json, "connections", worker->connections);
    json_end(json);
}

void top_print_json(struct buf *text, const struct top_reading *reading, uint64_t interval_ns)
{
    struct json json = {.out = text};
    json_object(&json, NULL);
    json_number(&json, "schema", 1);
    json_number(&json, "interval_ns", interval_ns);
    json_number(&json, "generation", reading->generation);
    json_string(&json, "tier", str_of(reading->tier));
    json_array(&json, "functions");
    for (uint32_t i = 0; i < reading->function_count; i++)
        json_function(&json, &reading->functions[i], interval_ns);
    json_end(&json);
    json_array(&json, "workers");
    for (uint32_t i = 0; i < reading->worker_count; i++)
        json_worker(&json, &reading->workers[i]);
    json_end(&json);
    json_end(&json);
}

/* ---- once a second ---- */

struct top {
    const struct cli_options *options;
    struct str address;
    struct top_reading *now, *before, *difference;
    bool screen; /* a terminal that is drawn anew */
};

static void wait_second(void)
{
    struct timespec second = {.tv_sec = 1};
    nanosleep(&second, NULL);
}

/* CLI_DONE when all of it was printed. */
static int show(const struct top *top)
{
    struct buf text;
    uint64_t interval_ns = top->now->now_ns - top->before->now_ns;
    buf_init(&text, TEXT_MAX);
    *top->difference = *top->now;
    top_subtract(top->difference, top->before);
    if (top->screen)
        buf_append(&text, CLEAR, sizeof CLEAR - 1);
    if (top->options->json)
        top_print_json(&text, top->difference, interval_ns);
    else
        top_print(&text, top->difference, interval_ns);
    int status = cli_print_buf(&text);
    buf_free(&text);
    return status;
}

/* CLI_DONE when one sample was asked for; CLI_FAILED after an error of its own, or with `err` set. */
static int watch(struct top *top, struct err *err)
{
    bool once = top->options->json || top->options->once;
    int status = CLI_DONE;
    if (!top_read(top->address, top->before, err))
        return CLI_FAILED;
    do {
        wait_second();
        if (!top_read(top->address, top->now, err))
            return CLI_FAILED;
        status = show(top);
        struct top_reading *read = top->now;
        top->now = top->before;
        top->before = read;
    } while (!once && status == CLI_DONE);
    return status;
}

int cli_top(const struct cli_options *options)
{
    struct top top = {.options = options, .address = str_of(options->file ? options->file : ADDRESS_DEFAULT)};
    struct err err = {0};
    struct top_reading *readings = mem_alloc(3, sizeof *readings);
    int status = CLI_FAILED;
    top.screen = !options->json && !options->once && isatty(STDOUT_FILENO);
    if (readings) {
        top.now = readings;
        top.before = readings + 1;
        top.difference = readings + 2;
        status = watch(&top, &err);
    } else {
        err_memory(&err);
    }
    mem_free(readings);
    if (err.kind == ERR_USAGE)
        return cli_usage("top", "%s: %s", err.message, err.remedy);
    if (err.kind)
        err_print(&err, NULL);
    return status;
}
