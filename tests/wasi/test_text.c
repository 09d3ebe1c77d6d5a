/* What a function prints, in a file beside the log: as it was printed, a line at a time, and nothing of it is lost. */
#include "wasi/object.h"

#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define LONG 10000u

static void print(struct host *h, enum host_stream stream, const char *text)
{
    host_text_write(h, stream, str_of(text));
}

static void test_lines(void **state)
{
    static char text[2 * LONG], wanted[2 * LONG], many[LONG + 1];
    char path[] = "/tmp/mayfly-text-XXXXXX";
    static struct store store;
    const struct host_runtime runtime = {NULL, NULL};
    struct err err = {0};
    int fd = mkstemp(path);
    assert_true(fd > 0);
    const struct host_config config = {.name = "guest", .text_fds = {[HOST_STDERR] = fd}};
    struct host_pool *pool = host_pool_new(NULL, &runtime, &err);
    assert_non_null(pool);
    log_level_set(LOG_ERROR);
    struct host *h = host_begin(pool, &config, &store, NULL);
    assert_non_null(h);
    memset(many, 'x', LONG);
    print(h, HOST_STDERR, "\n"); /* before there is a line */
    print(h, HOST_STDERR, "a");
    assert_int_equal(pread(fd, text, sizeof text, 0), 1); /* it is not ended */
    print(h, HOST_STDOUT, "not this\n");
    print(h, HOST_STDERR, "b\n\nc\n");
    print(h, HOST_STDERR, many);
    print(h, HOST_STDERR, "\n");
    print(h, HOST_STDERR, "left");
    host_end(h, false);
    snprintf(wanted, sizeof wanted, "\nab\n\nc\n%s\nleft\n", many);
    ssize_t size = pread(fd, text, sizeof text - 1, 0);
    assert_int_equal(size, strlen(wanted));
    assert_memory_equal(text, wanted, strlen(wanted));
    host_pool_free(pool);
    close(fd);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lines)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
