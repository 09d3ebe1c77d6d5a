/* See top.h: /status of a server, as numbers. Who answers there is not trusted. */
#include "cli/top.h"

#include "base/alloc.h"
#include "base/json_read.h"
#include "io/net.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_MAX ((size_t)64 << 20)
#define READ_SIZE ((size_t)65536)
#define PATIENCE_S 5u

struct parse {
    struct top_reading *reading;
    struct histogram *histogram; /* that the next bucket belongs to */
    uint64_t from_ns;            /* of that bucket */
    bool known;                  /* the schema is ours */
};

/* ---- members ---- */

static struct top_function *last_function(struct parse *parse)
{
    struct top_reading *reading = parse->reading;
    return reading->function_count ? &reading->functions[reading->function_count - 1] : NULL;
}

static struct top_worker *last_worker(struct parse *parse)
{
    struct top_reading *reading = parse->reading;
    return reading->worker_count ? &reading->workers[reading->worker_count - 1] : NULL;
}

static void keep_text(char *to, size_t size, struct str text)
{
    size_t n = text.len < size ? text.len : size - 1;
    if (n)
        memcpy(to, text.ptr, n);
    to[n] = '\0';
}

static const struct {
    struct str path;
    size_t offset;
    bool worker;
} numbers[] = {
#define FUNCTION(path, field)                                                                                          \
    {{"functions[]." path, sizeof("functions[]." path) - 1}, offsetof(struct top_function, field), false}
#define WORKER(field) {{"workers[]." #field, sizeof("workers[]." #field) - 1}, offsetof(struct top_worker, field), true}
    FUNCTION("answers.none", answers),
    FUNCTION("answers.1xx", answers),
    FUNCTION("answers.2xx", answers),
    FUNCTION("answers.3xx", answers),
    FUNCTION("answers.4xx", answers),
    FUNCTION("answers.5xx", answers),
    FUNCTION("answers.5xx", errors),
    FUNCTION("broken", errors),
    FUNCTION("traps", traps),
    FUNCTION("limits.time", limits),
    FUNCTION("limits.cpu", limits),
    FUNCTION("limits.memory", limits),
    FUNCTION("limits.body", limits),
    FUNCTION("limits.instances", limits),
    FUNCTION("cpu_ns", cpu_ns),
    FUNCTION("running", running),
    WORKER(worker),
    WORKER(pid),
    WORKER(restarts),
    WORKER(resident_bytes),
    WORKER(connections),
#undef FUNCTION
#undef WORKER
};

/* Those of one path are added up. */
static void take_number(struct parse *parse, const struct json_read_value *value)
{
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        char *row = numbers[i].worker ? (char *)last_worker(parse) : (char *)last_function(parse);
        void *at = row ? row + numbers[i].offset : NULL;
        uint64_t *number = at;
        if (number && str_eq(value->path, numbers[i].path))
            *number += value->number;
    }
}

static void take_bucket(struct parse *parse, const struct json_read_value *value)
{
    struct top_function *function = last_function(parse);
    if (!function)
        return;
    if (str_eq(value->path, STR("functions[].latency.buckets[].from_ns")))
        parse->histogram = &function->latency;
    else if (str_eq(value->path, STR("functions[].starts.buckets[].from_ns")))
        parse->histogram = &function->starts;
    else if (parse->histogram && (str_eq(value->path, STR("functions[].latency.buckets[].count")) ||
                                  str_eq(value->path, STR("functions[].starts.buckets[].count"))))
        parse->histogram->counts[histogram_bucket(parse->from_ns)] += value->number;
    parse->from_ns = value->number;
}

static void take_head(struct parse *parse, const struct json_read_value *value)
{
    struct top_reading *reading = parse->reading;
    if (str_eq(value->path, STR("schema")))
        parse->known = value->number == 1;
    else if (str_eq(value->path, STR("now_ns")))
        reading->now_ns = value->number;
    else if (str_eq(value->path, STR("generation")))
        reading->generation = value->number;
}

static void take_element(struct parse *parse, const struct json_read_value *value)
{
    struct top_reading *reading = parse->reading;
    if (str_eq(value->path, STR("functions[]")) && reading->function_count < TOP_FUNCTIONS_MAX)
        reading->function_count++;
    else if (str_eq(value->path, STR("workers[]")) && reading->worker_count < TOP_WORKERS_MAX)
        reading->worker_count++;
}

static void take_text(struct parse *parse, const struct json_read_value *value)
{
    struct top_function *function = last_function(parse);
    if (function && str_eq(value->path, STR("functions[].name")))
        keep_text(function->name, sizeof function->name, value->text);
    else if (str_eq(value->path, STR("tier")))
        keep_text(parse->reading->tier, sizeof parse->reading->tier, value->text);
}

static void found(void *arg, const struct json_read_value *value)
{
    struct parse *parse = arg;
    if (value->kind == JSON_READ_ELEMENT) {
        take_element(parse, value);
    } else if (value->kind == JSON_READ_NUMBER) {
        take_head(parse, value);
        take_number(parse, value);
        take_bucket(parse, value);
    } else if (value->kind == JSON_READ_STRING) {
        take_text(parse, value);
    } else if (value->kind == JSON_READ_BOOL && str_eq(value->path, STR("workers[].up")) && last_worker(parse)) {
        last_worker(parse)->up = value->truth;
    }
}

bool top_parse(struct str text, struct top_reading *reading)
{
    struct parse parse = {.reading = reading};
    memset(reading, 0, sizeof *reading);
    return json_read(text, found, &parse) && parse.known;
}

/* ---- the difference ---- */

/* A counter that went back belongs to another server. */
static void subtract(uint64_t *now, uint64_t before)
{
    *now -= *now >= before ? before : 0;
}

static void subtract_histogram(struct histogram *now, const struct histogram *before)
{
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        subtract(&now->counts[i], before->counts[i]);
}

static void subtract_function(struct top_function *now, const struct top_function *before)
{
    subtract(&now->answers, before->answers);
    subtract(&now->errors, before->errors);
    subtract(&now->traps, before->traps);
    subtract(&now->limits, before->limits);
    subtract(&now->cpu_ns, before->cpu_ns);
    subtract_histogram(&now->latency, &before->latency);
    subtract_histogram(&now->starts, &before->starts);
}

void top_subtract(struct top_reading *now, const struct top_reading *before)
{
    for (uint32_t i = 0; i < now->function_count && i < before->function_count; i++)
        if (strcmp(now->functions[i].name, before->functions[i].name) == 0)
            subtract_function(&now->functions[i], &before->functions[i]);
}

/* ---- asking ---- */

static bool ask(int fd, struct str address, struct buf *answer, struct err *err)
{
    char request[256];
    int size = snprintf(request, sizeof request, "GET /status HTTP/1.1\r\nHost: %.*s\r\nConnection: close\r\n\r\n",
                        STR_ARG(address));
    if (send(fd, request, (size_t)size, MSG_NOSIGNAL) != size)
        return err_errno(err, "cannot ask %.*s", STR_ARG(address));
    for (;;) {
        void *room = buf_extend(answer, READ_SIZE);
        if (!room)
            return answer->full ? err_set(err, ERR_LIMIT, "an answer of more than %zu bytes", ANSWER_MAX)
                                : err_memory(err);
        ssize_t got = recv(fd, room, READ_SIZE, 0);
        answer->size -= READ_SIZE - (got > 0 ? (size_t)got : 0);
        if (got == 0)
            return true;
        if (got < 0 && errno != EINTR)
            return err_errno(err, "no answer from %.*s", STR_ARG(address));
    }
}

static bool understand(struct str answer, struct top_reading *reading)
{
    const char *body = answer.len ? memmem(answer.ptr, answer.len, "\r\n\r\n", 4) : NULL;
    if (!body || !str_starts(answer, STR("HTTP/1.1 200 ")))
        return false;
    size_t head = (size_t)(body - answer.ptr) + 4;
    return top_parse(str_slice(answer, head, answer.len), reading);
}

bool top_read(struct str address, struct top_reading *reading, struct err *err)
{
    struct buf answer;
    int fd;
    if (!net_connect(address, PATIENCE_S, &fd, err))
        return false;
    buf_init(&answer, ANSWER_MAX);
    bool done = ask(fd, address, &answer, err);
    close(fd);
    if (done && !understand((struct str){(const char *)answer.data, answer.size}, reading)) {
        err_set(err, ERR_MALFORMED, "what answers at %.*s is not the admin address of 'mayfly up'", STR_ARG(address));
        done = err_remedy(err, "name the one that --admin was given");
    }
    buf_free(&answer);
    return done;
}
