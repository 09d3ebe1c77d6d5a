/* What a watch promises, by whichever backend: edges once, levels every turn, nothing after it was removed, and that
 * closing closes. */
#include "support/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "io/net.h"

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

/* ---- turns ---- */

#define QUIET_US 7000

static int events_told, told_before, quiet;

/* Three times in a row nothing has happened: once may be a process that did not get the processor. */
static void stop_turn(struct io_timer *timer)
{
    quiet = events_told == told_before ? quiet + 1 : 0;
    told_before = events_told;
    if (quiet == 3)
        io_stop(loop);
    else
        io_timer_set(loop, timer, io_now_us(loop) + QUIET_US);
}

/* Let everything happen that is going to. */
static void settle(void)
{
    struct io_timer timer = {.fired = stop_turn};
    quiet = 0;
    io_timer_set(loop, &timer, io_now_us(loop) + QUIET_US);
    assert_true(io_run(loop, &err));
}

struct seen {
    struct io_watch watch;
    int peer, calls;
    unsigned events;
};

static void note(struct io_watch *watch, unsigned events)
{
    struct seen *seen = IO_OWNER(watch, struct seen, watch);
    events_told++;
    seen->calls++;
    seen->events |= events;
}

static unsigned told(struct seen *seen)
{
    seen->events = 0;
    seen->calls = 0;
    settle();
    return seen->events;
}

static void open_pair(struct seen *seen, void (*ready)(struct io_watch *watch, unsigned events))
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    *seen = (struct seen){.watch = {.ready = ready, .fd = pair[0]}, .peer = pair[1]};
    assert_true(io_watch(loop, &seen->watch, &err));
}

static void close_pair(struct seen *seen)
{
    io_unwatch(loop, &seen->watch);
    close(seen->watch.fd);
    close(seen->peer);
}

static void put(int fd)
{
    assert_int_equal(write(fd, "x", 1), 1);
}

/* ---- edges and levels ---- */

static void test_edges(void **state)
{
    struct seen seen;
    char bytes[8];
    open_pair(&seen, note);
    assert_int_equal(told(&seen) & ~(unsigned)IO_OUT, 0);
    put(seen.peer);
    assert_true(told(&seen) & IO_IN);
    assert_int_equal(told(&seen), 0); /* not taken, not said again */
    put(seen.peer);
    assert_true(told(&seen) & IO_IN);
    assert_int_equal(io_recv(loop, &seen.watch, bytes, sizeof bytes), 2);
    assert_int_equal(io_recv(loop, &seen.watch, bytes, sizeof bytes), -EAGAIN);
    assert_int_equal(shutdown(seen.peer, SHUT_WR), 0);
    assert_true(told(&seen) & IO_END);
    assert_int_equal(io_recv(loop, &seen.watch, bytes, sizeof bytes), 0);
    close_pair(&seen);
}

static void test_room(void **state)
{
    static char block[65536];
    struct seen seen;
    open_pair(&seen, note);
    settle();
    ssize_t n, sent = 0, got = 0;
    while ((n = io_send(loop, &seen.watch, block, sizeof block)) > 0)
        sent += n;
    assert_int_equal(n, -EAGAIN);
    assert_int_equal(told(&seen), 0);
    while ((n = recv(seen.peer, block, sizeof block, 0)) > 0)
        got += n;
    assert_int_equal(got, sent);
    assert_true(told(&seen) & IO_OUT);
    close_pair(&seen);
}

static void test_broken(void **state)
{
    struct seen seen;
    struct sockaddr_storage address;
    struct linger hard = {1, 0};
    socklen_t size = sizeof address;
    int listener, client = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(net_listen(STR("127.0.0.1:0"), &listener, &err));
    getsockname(listener, (struct sockaddr *)&address, &size);
    assert_int_equal(connect(client, (struct sockaddr *)&address, size), 0);
    seen = (struct seen){.watch = {.ready = note, .fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)}};
    assert_true(io_watch(loop, &seen.watch, &err));
    settle();
    setsockopt(client, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(client);
    assert_true(told(&seen) & IO_ERROR);
    io_unwatch(loop, &seen.watch);
    close(seen.watch.fd);
    close(listener);
}

static void take_third(struct io_watch *watch, unsigned events)
{
    char byte;
    note(watch, events);
    if (IO_OWNER(watch, struct seen, watch)->calls == 3)
        assert_int_equal(read(watch->fd, &byte, 1), 1);
}

static void test_level(void **state)
{
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    struct seen seen = {.watch = {.ready = take_third, .fd = pipes[0]}};
    assert_true(io_watch_level(loop, &seen.watch, &err));
    assert_int_equal(told(&seen), 0);
    put(pipes[1]);
    assert_int_equal(told(&seen), IO_IN);
    assert_int_equal(seen.calls, 3);
    put(pipes[1]);
    assert_int_equal(told(&seen), IO_IN);
    assert_int_equal(seen.calls, 3);
    io_unwatch(loop, &seen.watch);
    close(pipes[0]);
    close(pipes[1]);
}

/* A descriptor that is none is refused, or told as broken. */
static void test_no_descriptor(void **state)
{
    struct seen seen = {.watch = {.ready = note, .fd = 1000000}};
    bool watched = io_watch(loop, &seen.watch, &err);
    assert_true(!watched || told(&seen) & IO_ERROR);
    assert_int_equal(watched ? told(&seen) : 0, 0);
    if (watched)
        io_unwatch(loop, &seen.watch);
}

/* ---- removal ---- */

static void test_removed_at_once(void **state)
{
    struct seen seen;
    char byte;
    open_pair(&seen, note);
    put(seen.peer);
    io_unwatch(loop, &seen.watch);
    assert_int_equal(told(&seen), 0);
    close(seen.watch.fd);
    assert_int_equal(recv(seen.peer, &byte, 1, 0), -1); /* what was not read resets */
    assert_int_equal(errno, ECONNRESET);
    close(seen.peer);
}

static int peer_result;

/* Frees itself and looks whether the peer has noticed, before the loop goes on. */
static void end_self(struct io_watch *watch, unsigned events)
{
    struct seen *seen = IO_OWNER(watch, struct seen, watch);
    char byte;
    if (!(events & IO_IN))
        return;
    assert_int_equal(io_recv(loop, watch, &byte, 1), 1);
    io_unwatch(loop, watch);
    close(watch->fd);
    peer_result = (int)recv(seen->peer, &byte, 1, 0);
    close(seen->peer);
    mem_free(seen);
}

static void test_closing_closes(void **state)
{
    for (int i = 0; i < 10; i++) {
        struct seen *seen = mem_alloc(1, sizeof *seen);
        assert_non_null(seen);
        open_pair(seen, end_self);
        if (i & 1)
            settle();
        put(seen->peer);
        peer_result = -2;
        settle();
        assert_int_equal(peer_result, 0);
    }
}

static struct seen first, second, successor;

/* Its neighbour is removed with its event in hand, and the number of the descriptor goes to a successor. */
static void replace_other(struct io_watch *watch, unsigned events)
{
    struct seen *other = watch == &first.watch ? &second : &first;
    note(watch, events);
    if (!(events & IO_IN) || successor.peer)
        return;
    int fd = other->watch.fd;
    close_pair(other);
    open_pair(&successor, note);
    if (successor.watch.fd != fd) { /* close_pair has freed both numbers, so it is one of them */
        int other_end = successor.watch.fd;
        close_pair(&successor);
        open_pair(&successor, note);
        assert_true(successor.watch.fd == fd || successor.watch.fd == other_end);
    }
    other->watch.fd = -1;
}

static void test_reused(void **state)
{
    successor = (struct seen){.peer = 0};
    open_pair(&first, replace_other);
    open_pair(&second, replace_other);
    settle();
    put(first.peer);
    put(second.peer);
    settle();
    assert_true(successor.peer > 0);
    assert_int_equal(first.calls + second.calls > 2, 1);
    assert_int_equal(successor.events & (IO_IN | IO_END | IO_ERROR), 0); /* those were its predecessor's */
    put(successor.peer);
    assert_true(told(&successor) & IO_IN);
    close_pair(&successor);
    close_pair(first.watch.fd >= 0 ? &first : &second);
}

/* ---- many ---- */

#define MANY 700
static struct seen many[MANY];
static bool churned;

/* The first that hears removes and adds every third, with the events of all outstanding: more completions than the
 * queue of a ring has room for. */
static void churn(struct io_watch *watch, unsigned events)
{
    note(watch, events);
    if (churned || !(events & IO_IN))
        return;
    churned = true;
    for (int i = 0; i < MANY; i += 3) {
        io_unwatch(loop, &many[i].watch);
        assert_true(io_watch(loop, &many[i].watch, &err));
    }
}

static void test_many(void **state)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
    setrlimit(RLIMIT_NOFILE, &limit);
    churned = false;
    for (int i = 0; i < MANY; i++)
        open_pair(&many[i], churn);
    settle();
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MANY; i++) {
            many[i].events = 0;
            put(many[i].peer);
        }
        settle();
        for (int i = 0; i < MANY; i++)
            assert_true(many[i].events & IO_IN);
        churned = false;
    }
    for (int i = 0; i < MANY; i++)
        close_pair(&many[i]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_loop, close_loop)
    const struct CMUnitTest tests[] = {
        TEST(test_edges),          TEST(test_room),          TEST(test_broken),
        TEST(test_level),          TEST(test_no_descriptor), TEST(test_removed_at_once),
        TEST(test_closing_closes), TEST(test_reused),        TEST(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
