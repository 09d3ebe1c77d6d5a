/* The loop: timers in order and moved lazily, posts, watches removed while their events are in hand. */
#include "support/loop.h"
#include "io/loop.h"
#include "io/net.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct io_loop *loop;
static struct err err;

static int open_loop(void **state)
{
    loop = test_loop(&err);
    return loop ? 0 : -1;
}

static int close_loop(void **state)
{
    io_loop_free(loop);
    return 0;
}

#define TIMERS 500
static struct timed {
    struct io_timer timer;
    uint64_t due_us;
    bool fired, stopped;
} timed[TIMERS];
static uint64_t last_due_us;
static int fired_count;

static void on_timer(struct io_timer *timer)
{
    struct timed *it = IO_OWNER(timer, struct timed, timer);
    assert_false(it->fired);
    assert_false(it->stopped);
    assert_true(io_now_us(loop) >= it->due_us);
    assert_true(it->due_us >= last_due_us);
    last_due_us = it->due_us;
    it->fired = true;
    fired_count++;
}

static void on_end(struct io_timer *timer)
{
    io_stop(loop);
}

static void test_timers(void **state)
{
    uint64_t now = io_now_us(loop);
    int stopped = 0;
    unsigned seed = 7;
    memset(timed, 0, sizeof timed);
    fired_count = 0;
    for (int i = 0; i < TIMERS; i++) {
        timed[i].timer.fired = on_timer;
        timed[i].due_us = now + 1 + (uint64_t)(rand_r(&seed) % 30000);
        io_timer_set(loop, &timed[i].timer, timed[i].due_us);
    }
    for (int i = 0; i < TIMERS; i += 3) { /* later or sooner */
        timed[i].due_us = now + 1 + (uint64_t)(rand_r(&seed) % 30000);
        io_timer_set(loop, &timed[i].timer, timed[i].due_us);
    }
    for (int i = 1; i < TIMERS; i += 7) {
        io_timer_stop(loop, &timed[i].timer);
        timed[i].stopped = true;
        stopped++;
    }
    struct io_timer end = {.fired = on_end};
    io_timer_set(loop, &end, now + 40000);
    assert_true(io_run(loop, &err));
    assert_int_equal(fired_count, TIMERS - stopped);
}

static int turns;
static void again(struct io_timer *timer)
{
    if (++turns == 100)
        io_stop(loop);
    else
        io_timer_set(loop, timer, 0); /* long past: the next turn, not this one */
}

static void test_timer_sets_itself(void **state)
{
    struct io_timer timer = {.fired = again};
    turns = 0;
    io_timer_set(loop, &timer, 0);
    assert_true(io_run(loop, &err));
    assert_int_equal(turns, 100);
}

static struct io_post posts[4];
static char order[32];
static void on_post(struct io_post *post)
{
    size_t at = strlen(order);
    order[at] = (char)('a' + (post - posts));
    if (post == &posts[0] && at < 10)
        io_post(loop, post);
    if (post == &posts[1])
        io_post_cancel(loop, &posts[2]);
    if (strlen(order) == 8)
        io_stop(loop);
}

static void test_posts(void **state)
{
    memset(order, 0, sizeof order);
    for (int i = 0; i < 4; i++) {
        posts[i] = (struct io_post){.run = on_post};
        io_post(loop, &posts[i]);
    }
    io_post(loop, &posts[3]); /* queued already */
    assert_true(io_run(loop, &err));
    assert_memory_equal(order, "abdaaaaa", 8);
    io_post_cancel(loop, &posts[0]);
}

/* Both ends of two pairs become readable in one turn; the first callback removes the other. */
static struct io_watch watches[2];
static int calls;
static void remove_other(struct io_watch *watch, unsigned events)
{
    calls++;
    io_unwatch(loop, &watches[watch == &watches[0]]);
    io_stop(loop);
}

static void test_removed_in_turn(void **state)
{
    int pair[2][2];
    calls = 0;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair[i]), 0);
        watches[i] = (struct io_watch){.ready = remove_other, .fd = pair[i][0]};
        assert_true(io_watch(loop, &watches[i], &err));
        assert_int_equal(write(pair[i][1], "x", 1), 1);
    }
    assert_true(io_run(loop, &err));
    assert_int_equal(calls, 1);
    for (int i = 0; i < 2; i++) {
        close(pair[i][0]);
        close(pair[i][1]);
    }
}

static int raised_number;
static void on_signal(struct io_signals *signals, int number)
{
    raised_number = number;
    io_stop(loop);
}

static void test_signals(void **state)
{
    struct io_signals signals = {.raised = on_signal};
    int numbers[] = {SIGUSR1, SIGTERM};
    assert_true(io_signals_open(loop, &signals, numbers, 2, &err));
    kill(getpid(), SIGTERM);
    assert_true(io_run(loop, &err));
    assert_int_equal(raised_number, SIGTERM);
    io_signals_close(loop, &signals);
}

static void test_addresses(void **state)
{
    static const char *const bad[] = {"",
                                      ":",
                                      "80",
                                      ":80",
                                      "localhost:80",
                                      "127.0.0.1",
                                      "127.0.0.1:",
                                      "127.0.0.1:65536",
                                      "127.0.0.1:8a",
                                      "[::1]",
                                      "[::1:80",
                                      "::1:80",
                                      "1.2.3:80",
                                      "127.0.0.1:-1"};
    static const char *const good[] = {"127.0.0.1:0", "[::1]:0", "0.0.0.0:0"};
    int fd;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(net_listen(str_of(bad[i]), &fd, &err));
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        char name[NET_ADDRESS_MAX];
        assert_true(net_listen(str_of(good[i]), &fd, &err));
        net_name(fd, name);
        assert_memory_equal(name, good[i], strlen(good[i]) - 1);
        int second;
        assert_false(net_listen(str_of(name), &second, &err));
        assert_int_equal(err.kind, ERR_SYSTEM);
        close(fd);
    }
}

static int accepted_count;
static struct rlimit old_limit;
static void on_accept(struct net_acceptor *acceptor, int fd)
{
    accepted_count++;
    close(fd);
    io_stop(loop);
}

static void raise_limit(struct io_timer *timer)
{
    assert_int_equal(accepted_count, 0);
    setrlimit(RLIMIT_NOFILE, &old_limit);
}

/* Without a free descriptor the acceptor waits instead of spinning, and goes on when there is one. */
static void test_no_descriptors(void **state)
{
    struct net_acceptor acceptor = {.accepted = on_accept};
    struct io_timer timer = {.fired = raise_limit};
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    int fd, client = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(net_listen(STR("127.0.0.1:0"), &fd, &err));
    getsockname(fd, (struct sockaddr *)&address, &size);
    assert_int_equal(connect(client, (struct sockaddr *)&address, size), 0);
    assert_true(net_accept_start(&acceptor, loop, fd, &err));
    getrlimit(RLIMIT_NOFILE, &old_limit);
    struct rlimit none = {(rlim_t)dup(fd), old_limit.rlim_max};
    close((int)none.rlim_cur);
    setrlimit(RLIMIT_NOFILE, &none);
    io_timer_set(loop, &timer, io_now_us(loop) + 50000);
    accepted_count = 0;
    assert_true(io_run(loop, &err));
    assert_int_equal(accepted_count, 1);
    assert_true(acceptor.complained);
    net_accept_stop(&acceptor);
    close(fd);
    close(client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_loop, close_loop)
    const struct CMUnitTest tests[] = {
        TEST(test_timers),  TEST(test_timer_sets_itself), TEST(test_posts),          TEST(test_removed_in_turn),
        TEST(test_signals), TEST(test_addresses),         TEST(test_no_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
