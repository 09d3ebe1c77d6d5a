/* The access log: lines that are whole and escaped, a buffer that is bounded, and lines that are lost counted. */
#include "base/alloc.h"
#include "base/counter.h"
#include "node/access.h"

#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct io_loop *loop;
static uint64_t lost;

static int begin(void **state)
{
    (void)state;
    loop = io_loop_new(NULL);
    lost = 0;
    return loop ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    io_loop_free(loop);
    return 0;
}

static struct access_entry usual(void)
{
    return (struct access_entry){.function = STR("hello"),
                                 .method = STR("GET"),
                                 .target = STR("/a?b=c"),
                                 .trace = STR("4bf92f3577b34da6a3ce929d0e0e4736"),
                                 .status = 200,
                                 .whole = true,
                                 .bytes = 12345,
                                 .ns = 7654321};
}

static void add(struct access_log *log, const struct access_entry *entry)
{
    access_stage(log, entry);
    access_commit(log);
}

static struct access_log *open_log(int fd)
{
    struct err err = {0};
    struct access_log *log = access_new(loop, fd, &lost, &err);
    assert_non_null(log);
    return log;
}

/* The lines that stand in the file, the last one first in `ret_last`. */
static unsigned read_lines(int fd, json_t **ret_last)
{
    char *text = calloc(1, 1 << 20), *at = text;
    unsigned count = 0;
    assert_true(pread(fd, text, (1 << 20) - 1, 0) >= 0);
    for (char *next; (next = strchr(at, '\n')); at = next + 1, count++) {
        json_t *line = json_loadb(at, (size_t)(next - at), JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(line);
        json_decref(*ret_last);
        *ret_last = line;
    }
    assert_int_equal(*at, '\0');
    free(text);
    return count;
}

static int temporary(void)
{
    char name[] = "/tmp/mayfly-access-XXXXXX";
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    unlink(name);
    return fd;
}

static const char *text_of(json_t *line, const char *key)
{
    return json_string_value(json_object_get(line, key));
}

static int64_t number_of(json_t *line, const char *key)
{
    return json_integer_value(json_object_get(line, key));
}

static void test_line(void **state)
{
    struct access_entry entry = usual();
    int fd = temporary();
    json_t *line = NULL;
    (void)state;
    struct access_log *log = open_log(fd);
    add(log, &entry);
    assert_int_equal(lseek(fd, 0, SEEK_END), 0); /* nothing is written yet */
    access_free(log);
    assert_int_equal(read_lines(fd, &line), 1);
    assert_string_equal(text_of(line, "function"), "hello");
    assert_string_equal(text_of(line, "method"), "GET");
    assert_string_equal(text_of(line, "target"), "/a?b=c");
    assert_string_equal(text_of(line, "trace"), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_int_equal(number_of(line, "status"), 200);
    assert_int_equal(number_of(line, "bytes"), 12345);
    assert_int_equal(number_of(line, "us"), 7654);
    assert_null(json_object_get(line, "whole"));
    int year, millis;
    assert_int_equal(sscanf(text_of(line, "time"), "%4d-%*2d-%*2dT%*2d:%*2d:%*2d.%3dZ", &year, &millis), 2);
    assert_in_range(year, 2020, 9999);
    json_decref(line);
    close(fd);
    assert_int_equal(lost, 0);
}

/* Every byte, in everything that a client says; and more than a line holds. */
static void test_escaped(void **state)
{
    char every[256], *large = malloc(100000);
    int fd = temporary();
    json_t *line = NULL;
    (void)state;
    for (int i = 0; i < 256; i++)
        every[i] = (char)i;
    memset(large, 0x80, 100000);
    struct access_entry entry = usual();
    struct access_log *log = open_log(fd);
    entry.target = (struct str){every, sizeof every};
    entry.method = (struct str){every + 10, 33};
    add(log, &entry);
    access_free(log);
    char *text = calloc(1, 8192);
    assert_true(pread(fd, text, 8191, 0) > 0);
    for (const char *p = text; *p; p++)
        assert_true(*p == '\n' ? !p[1] : *p >= 0x20 && *p < 0x7f);
    assert_non_null(strstr(text, "\\u0000\\u0001"));
    assert_non_null(strstr(text, "!\\u0022#"));
    assert_non_null(strstr(text, "\\u00fe\\u00ff"));
    free(text);

    log = open_log(fd);
    entry.target = entry.method = entry.function = entry.trace = (struct str){large, 100000};
    add(log, &entry);
    entry = usual();
    entry.whole = false;
    add(log, &entry);
    access_free(log);
    assert_int_equal(lseek(fd, 0, SEEK_CUR), lseek(fd, 0, SEEK_END));
    char *both = calloc(1, 16384);
    assert_true(pread(fd, both, 16383, 0) > 0);
    char *second = strchr(both, '\n') + 1, *third = strchr(second, '\n') + 1;
    assert_true(third - second <= 4096);
    line = json_loadb(third, strlen(third), 0, NULL);
    assert_non_null(line);
    assert_true(json_is_false(json_object_get(line, "whole")));
    json_decref(line);
    free(both);
    free(large);
    close(fd);
}

/* A staged line that is not committed leaves nothing; a full buffer is written. */
static void test_many(void **state)
{
    struct access_entry entry = usual();
    int fd = temporary();
    json_t *last = NULL;
    (void)state;
    struct access_log *log = open_log(fd);
    for (unsigned i = 0; i < 2000; i++) {
        entry.status = 999;
        access_stage(log, &entry);
        entry.status = i % 500;
        add(log, &entry);
    }
    assert_true(lseek(fd, 0, SEEK_END) > 0);
    access_free(log);
    assert_int_equal(read_lines(fd, &last), 2000);
    assert_int_equal(number_of(last, "status"), 1999 % 500);
    json_decref(last);
    close(fd);
    assert_int_equal(lost, 0);
}

/* Nobody reads the pipe: the lines that find no room are counted, what is written is whole lines. */
static void test_lost(void **state)
{
    struct access_entry entry = usual();
    int ends[2];
    char *text = calloc(1, 1 << 20);
    size_t size = 0, lines = 0;
    (void)state;
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    struct access_log *log = open_log(ends[1]);
    for (unsigned i = 0; i < 3000; i++)
        add(log, &entry);
    assert_true(lost > 1000 && lost < 2900);
    for (ssize_t n; (n = read(ends[0], text + size, (1 << 20) - size)) > 0;) {
        size += (size_t)n;
        assert_int_equal(text[size - 1], '\n');
    }
    uint64_t before = lost;
    access_free(log); /* there is room now */
    assert_int_equal(lost, before);
    for (ssize_t n; (n = read(ends[0], text + size, (1 << 20) - size)) > 0;)
        size += (size_t)n;
    for (size_t i = 0; i < size; i++)
        lines += text[i] == '\n';
    assert_int_equal(lines + lost, 3000);
    free(text);
    close(ends[0]);
    close(ends[1]);
}

/* A full disk: what is left in the end is counted too. */
static void test_full(void **state)
{
    struct access_entry entry = usual();
    int fd = open("/dev/full", O_WRONLY);
    (void)state;
    assert_true(fd >= 0);
    struct access_log *log = open_log(fd);
    for (unsigned i = 0; i < 1000; i++)
        add(log, &entry);
    access_free(log);
    assert_int_equal(lost, 1000);
    close(fd);
}

/* In a loop that does nothing else it is written within a second or so. */
static void stop(struct io_timer *timer)
{
    (void)timer;
    io_stop(loop);
}

static void test_timer(void **state)
{
    struct access_entry entry = usual();
    struct io_timer timer = {.fired = stop};
    struct err err = {0};
    int fd = temporary();
    (void)state;
    struct access_log *log = open_log(fd);
    add(log, &entry);
    io_timer_set(loop, &timer, io_now_us(loop) + 1500000);
    assert_true(io_run(loop, &err));
    assert_true(lseek(fd, 0, SEEK_END) > 0);
    access_free(log);
    close(fd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, begin, end)
    static const struct CMUnitTest tests[] = {TEST(line), TEST(escaped), TEST(many),
                                              TEST(lost), TEST(full),    TEST(timer)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
