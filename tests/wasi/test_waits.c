/* Clocks, pollables, randomness, standard streams; and waiting, with a stack that the test switches by hand. */
#include "support/loop.h"
#include "wasi/object.h"

#include "base/log.h"
#include "wasi/gen/wasi_cli.h"
#include "wasi/gen/wasi_clocks.h"
#include "wasi/gen/wasi_random.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static struct store store;
static struct io_loop *loop;
static struct host_pool *pool;
static struct host *h;
static struct host_config config;
static struct err err;

/* Waiting without a second stack: `suspend` runs the loop until `resume`. */
static int resumed;
static void suspend(struct host *host)
{
    assert_true(io_run(loop, &err));
}

static void resume(struct host *host)
{
    resumed++;
    io_stop(loop);
}

static int begin(void **state)
{
    static const struct host_runtime runtime = {suspend, resume};
    memset(&store, 0, sizeof store);
    config = (struct host_config){.name = "test"};
    resumed = 0;
    loop = test_loop(&err);
    pool = host_pool_new(loop, &runtime, &err);
    h = host_begin(pool, &config, &store, &config);
    return h ? 0 : -1;
}

static int end(void **state)
{
    if (h)
        host_end(h, false);
    h = NULL;
    host_pool_free(pool);
    io_loop_free(loop);
    return 0;
}

static struct wasi_io_pollable *sleeper(uint64_t ns)
{
    struct wasi_io_pollable *p;
    assert_true(wasi_clocks_monotonic_clock_subscribe_duration(h, ns, &p));
    return p;
}

static void test_clocks(void **state)
{
    uint64_t first, second, resolution;
    struct wasi_clocks_wall_clock_datetime now;
    assert_true(wasi_clocks_monotonic_clock_now(h, &first));
    assert_true(wasi_clocks_monotonic_clock_now(h, &second));
    assert_true(first <= second);
    assert_true(second < 60000000000u); /* since the worker began, not since the machine did */
    assert_true(wasi_clocks_wall_clock_now(h, &now));
    assert_true(llabs((long long)now.seconds - (long long)time(NULL)) <= 1);
    config.clock_resolution_ns = 1000000;
    assert_true(wasi_clocks_monotonic_clock_now(h, &first));
    assert_int_equal(first % 1000000, 0);
    assert_true(wasi_clocks_wall_clock_now(h, &now));
    assert_int_equal(now.nanoseconds % 1000000, 0);
    assert_true(wasi_clocks_monotonic_clock_resolution(h, &resolution));
    assert_int_equal(resolution, 1000000);
}

static void test_block(void **state)
{
    uint64_t before = clock_now_ns();
    bool ready;
    struct wasi_io_pollable *p = sleeper(20000000);
    assert_true(wasi_io_poll_pollable_ready(h, p, &ready));
    assert_false(ready);
    assert_true(wasi_io_poll_pollable_block(h, p));
    assert_true(clock_now_ns() - before >= 20000000);
    assert_int_equal(resumed, 1);
    assert_true(wasi_io_poll_pollable_ready(h, p, &ready));
    assert_true(ready);
}

static void test_poll(void **state)
{
    struct list_u32 ready;
    struct wasi_io_pollable *list[3] = {sleeper(10000000000u), sleeper(5000000), sleeper(UINT64_MAX)};
    assert_true(wasi_io_poll_poll(h, (struct list_borrow_wasi_io_pollable){list, 3}, &ready));
    assert_int_equal(ready.len, 1);
    assert_int_equal(ready.ptr[0], 1);
    list[0] = sleeper(0);
    assert_true(wasi_io_poll_poll(h, (struct list_borrow_wasi_io_pollable){list, 3}, &ready));
    assert_int_equal(ready.len, 2);
    assert_false(wasi_io_poll_poll(h, (struct list_borrow_wasi_io_pollable){list, 0}, &ready));
    assert_int_equal(store.trap, TRAP_HOST);
}

static void test_instant(void **state)
{
    struct wasi_io_pollable *p;
    uint64_t now;
    bool ready;
    assert_true(wasi_clocks_monotonic_clock_now(h, &now));
    assert_true(wasi_clocks_monotonic_clock_subscribe_instant(h, now, &p));
    assert_true(wasi_io_poll_pollable_ready(h, p, &ready));
    assert_true(ready);
    assert_true(wasi_clocks_monotonic_clock_subscribe_instant(h, UINT64_MAX, &p));
    assert_true(wasi_io_poll_pollable_ready(h, p, &ready));
    assert_false(ready);
}

/* A clock that is made coarse cannot be asked for more by deadlines. */
static void test_coarse_deadlines(void **state)
{
    const uint64_t step = config.clock_resolution_ns = 1000000000;
    struct wasi_io_pollable *p;
    uint64_t now, then;
    bool ready;
    do /* not at the end of a step, which could pass meanwhile */
        assert_true(wasi_clocks_monotonic_clock_now(h, &now));
    while ((clock_now_ns() - pool->clock_base_ns) % step > step / 4);
    assert_true(wasi_clocks_monotonic_clock_subscribe_instant(h, now + 1, &p));
    usleep(1000);
    assert_true(wasi_io_poll_pollable_ready(h, p, &ready));
    assert_false(ready);
    assert_true(wasi_io_poll_pollable_block(h, p));
    assert_true(wasi_clocks_monotonic_clock_now(h, &then));
    assert_true(then >= now + step);
    assert_true(wasi_clocks_monotonic_clock_subscribe_duration(h, 0, &p));
    assert_true(wasi_io_poll_pollable_ready(h, p, &ready));
    assert_true(ready);
    assert_true(wasi_clocks_monotonic_clock_subscribe_duration(h, UINT64_MAX, &p));
    assert_true(wasi_io_poll_pollable_ready(h, p, &ready));
    assert_false(ready);
}

static void test_parent_of_pollable(void **state)
{
    struct wasi_io_output_stream *out;
    struct wasi_io_pollable *p;
    assert_true(wasi_cli_stdout_get_stdout(h, &out));
    assert_true(wasi_io_streams_output_stream_subscribe(h, out, &p));
    wasi_io_output_stream_drop(h, out);
    assert_int_equal(store.trap, TRAP_HOST);
}

static void test_no_waiter(void **state)
{
    struct host_pool *alone = host_pool_new(NULL, NULL, &err);
    struct host *other = host_begin(alone, &config, &store, NULL);
    struct wasi_io_pollable *p;
    uint64_t before = clock_now_ns();
    assert_true(wasi_clocks_monotonic_clock_subscribe_duration(other, 5000000, &p));
    assert_true(wasi_io_poll_pollable_block(other, p));
    assert_true(clock_now_ns() - before >= 5000000);
    assert_true(wasi_clocks_monotonic_clock_subscribe_instant(other, UINT64_MAX, &p));
    assert_false(wasi_io_poll_pollable_block(other, p));
    assert_int_equal(store.trap, TRAP_HOST);
    host_end(other, true);
    host_pool_free(alone);
}

static void test_random(void **state)
{
    uint64_t seen[2000];
    struct list_u8 bytes;
    size_t zeroes = 0;
    for (int i = 0; i < 2000; i++) {
        assert_true(wasi_random_random_get_random_u64(h, &seen[i]));
        for (int k = 0; k < i; k++)
            assert_true(seen[k] != seen[i]);
    }
    assert_true(wasi_random_random_get_random_bytes(h, 100000, &bytes));
    assert_int_equal(bytes.len, 100000);
    for (size_t i = 0; i < bytes.len; i++)
        zeroes += bytes.ptr[i] == 0;
    assert_true(zeroes > 200 && zeroes < 700);
    assert_true(wasi_random_random_get_random_bytes(h, 0, &bytes));
    assert_int_equal(bytes.len, 0);
    assert_false(wasi_random_random_get_random_bytes(h, HOST_RANDOM_MAX + 1, &bytes));
    assert_int_equal(store.trap, TRAP_HOST);
}

static void test_environment(void **state)
{
    static const struct host_variable variables[] = {{{"A", 1}, {"1", 1}}, {{"B", 1}, {"", 0}}};
    static const struct str arguments[] = {{"prog", 4}, {"x", 1}};
    struct list_tuple_str_str pairs;
    struct list_str args;
    struct option_wasi_cli_terminal_output terminal;
    assert_true(wasi_cli_environment_get_environment(h, &pairs));
    assert_int_equal(pairs.len, 0);
    config.environment = variables;
    config.environment_count = 2;
    config.arguments = arguments;
    config.argument_count = 2;
    assert_true(wasi_cli_environment_get_environment(h, &pairs));
    assert_int_equal(pairs.len, 2);
    assert_true(str_eq(pairs.ptr[1].f0, STR("B")));
    assert_true(wasi_cli_environment_get_arguments(h, &args));
    assert_int_equal(args.len, 2);
    assert_true(wasi_cli_terminal_stdout_get_terminal_stdout(h, &terminal));
    assert_false(terminal.some);
    config.terminal[1] = true;
    assert_true(wasi_cli_terminal_stdout_get_terminal_stdout(h, &terminal));
    assert_true(terminal.some);
}

static void test_exit(void **state)
{
    uint8_t status = 9;
    struct result_void_void failed = {true};
    assert_false(host_exited(h, &status));
    assert_int_equal(status, 9);
    assert_false(wasi_cli_exit_exit(h, &failed));
    assert_int_equal(store.trap, TRAP_EXIT);
    assert_true(host_exited(h, &status));
    assert_int_equal(status, 1);
    assert_false(wasi_cli_exit_exit_with_code(h, 42));
    assert_true(host_exited(h, &status));
    assert_int_equal(status, 42);
}

/* What the log gets on descriptor 2 while `text` is written in pieces. */
static void capture(const char *const *pieces, char *ret_text, size_t size)
{
    int pipes[2], saved = dup(2);
    struct wasi_io_output_stream *out;
    struct result_void_wasi_io_streams_stream_error ret = {0};
    assert_int_equal(pipe(pipes), 0);
    dup2(pipes[1], 2);
    assert_true(wasi_cli_stderr_get_stderr(h, &out));
    for (; *pieces; pieces++) {
        struct list_u8 bytes = {(const uint8_t *)*pieces, strlen(*pieces)};
        assert_true(wasi_io_streams_output_stream_blocking_write_and_flush(h, out, bytes, &ret));
        assert_false(ret.err);
    }
    host_text_end(h);
    dup2(saved, 2);
    close(saved);
    close(pipes[1]);
    ssize_t n = read(pipes[0], ret_text, size - 1);
    ret_text[n > 0 ? n : 0] = '\0';
    close(pipes[0]);
}

static void test_log_lines(void **state)
{
    static const char *const pieces[] = {"par", "tial\nsecond \x1b[31m", "\n\nlast", NULL};
    char text[2000];
    capture(pieces, text, sizeof text);
    assert_non_null(strstr(text, "[test] stderr: partial\n"));
    assert_non_null(strstr(text, "[test] stderr: second \\x1b[31m\n"));
    assert_non_null(strstr(text, "[test] stderr: last\n"));
}

static void test_direct(void **state)
{
    static const char *const pieces[] = {"as ", "it is\n\x01", NULL};
    char text[100];
    config.direct = true;
    capture(pieces, text, sizeof text);
    assert_string_equal(text, "as it is\n\x01");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(test_clocks),
        TEST(test_block),
        TEST(test_poll),
        TEST(test_instant),
        TEST(test_coarse_deadlines),
        TEST(test_parent_of_pollable),
        TEST(test_no_waiter),
        TEST(test_random),
        TEST(test_environment),
        TEST(test_exit),
        TEST(test_log_lines),
        TEST(test_direct),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
