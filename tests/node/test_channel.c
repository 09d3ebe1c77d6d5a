/* Messages between supervisor and workers: what arrives is what was sent, and what no supervisor should believe is
 * taken for the end. */
#include "node/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void open_ends(int ends[2])
{
    struct err err = {0};
    assert_true(channel_open(ends, &err));
}

static void close_ends(const int ends[2])
{
    close(ends[0]);
    close(ends[1]);
}

static void test_in_order(void **state)
{
    struct message message = {.kind = MESSAGE_FAILED}, got;
    int ends[2], fd = 0;
    open_ends(ends);
    assert_int_equal(channel_receive(ends[1], &got, &fd), PACKET_NOTHING);
    err_set(&message.err, ERR_LINK, "what is missing");
    err_remedy(&message.err, "what to do");
    assert_true(channel_send(ends[0], &message, -1));
    message = (struct message){.kind = MESSAGE_READY};
    assert_true(channel_send(ends[0], &message, -1));
    assert_int_equal(channel_receive(ends[1], &got, &fd), PACKET_HERE);
    assert_int_equal(got.kind, MESSAGE_FAILED);
    assert_int_equal(got.err.kind, ERR_LINK);
    assert_string_equal(got.err.message, "what is missing");
    assert_string_equal(got.err.remedy, "what to do");
    assert_int_equal(fd, -1);
    assert_int_equal(channel_receive(ends[1], &got, &fd), PACKET_HERE);
    assert_int_equal(got.kind, MESSAGE_READY);
    close(ends[0]);
    assert_int_equal(channel_receive(ends[1], &got, &fd), PACKET_CLOSED);
    assert_false(channel_send(ends[1], &message, -1));
    close(ends[1]);
}

static void check_descriptor(enum message_kind kind)
{
    struct message message = {.kind = kind, .number = 7}, got;
    int ends[2], pipe_ends[2], fd = -1;
    char byte = 0;
    open_ends(ends);
    assert_int_equal(pipe(pipe_ends), 0);
    assert_true(channel_send(ends[0], &message, pipe_ends[1]));
    close(pipe_ends[1]);
    assert_int_equal(channel_receive(ends[1], &got, &fd), PACKET_HERE);
    assert_int_equal(got.kind, kind);
    assert_int_equal(got.number, 7);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(write(fd, "x", 1), 1);
    assert_int_equal(read(pipe_ends[0], &byte, 1), 1);
    assert_int_equal(byte, 'x');
    close(fd);
    assert_int_equal(read(pipe_ends[0], &byte, 1), 0); /* no copy of it is left */
    close(pipe_ends[0]);
    close_ends(ends);
}

static void test_descriptor(void **state)
{
    check_descriptor(MESSAGE_IMAGE);
    check_descriptor(MESSAGE_CERTIFICATE);
}

/* Whether it could be done, and why not. */
static void test_secured(void **state)
{
    struct message message = {.kind = MESSAGE_SECURED}, got;
    int ends[2], fd = 0;
    open_ends(ends);
    assert_true(channel_send(ends[0], &message, -1));
    err_set(&message.err, ERR_SYSTEM, "why not");
    assert_true(channel_send(ends[0], &message, -1));
    assert_int_equal(channel_receive(ends[1], &got, &fd), PACKET_HERE);
    assert_int_equal(got.kind, MESSAGE_SECURED);
    assert_int_equal(got.err.kind, ERR_NONE);
    assert_int_equal(fd, -1);
    assert_int_equal(channel_receive(ends[1], &got, &fd), PACKET_HERE);
    assert_int_equal(got.kind, MESSAGE_SECURED);
    assert_string_equal(got.err.message, "why not");
    close_ends(ends);
}

/* Each is one that no sound process sends. */
static void test_unsound(void **state)
{
    struct message unended = {.kind = MESSAGE_FAILED, .err.kind = ERR_LINK}, kindless = {.kind = MESSAGE_FAILED};
    struct message unknown = {.kind = MESSAGE_SECURED + 1}, without = {.kind = MESSAGE_IMAGE};
    struct message bare = {.kind = MESSAGE_CERTIFICATE}, endless = {.kind = MESSAGE_SECURED, .err.kind = ERR_LINK};
    memset(unended.err.message, 'x', sizeof unended.err.message);
    memset(endless.err.remedy, 'x', sizeof endless.err.remedy);
    const struct message *unsound[] = {&unended, &kindless, &unknown, &without, &bare, &endless};
    for (size_t i = 0; i < sizeof unsound / sizeof unsound[0]; i++) {
        struct message got;
        int ends[2], fd;
        open_ends(ends);
        assert_true(channel_send(ends[0], unsound[i], -1));
        assert_int_equal(channel_receive(ends[1], &got, &fd), PACKET_CLOSED);
        close_ends(ends);
    }
}

static void test_wrong_size(void **state)
{
    char bytes[sizeof(struct message) + 8] = {0};
    const size_t sizes[] = {1, sizeof(struct message) - 1, sizeof bytes};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct message got;
        int ends[2], fd;
        open_ends(ends);
        assert_int_equal(send(ends[0], bytes, sizes[i], 0), sizes[i]);
        assert_int_equal(channel_receive(ends[1], &got, &fd), PACKET_CLOSED);
        close_ends(ends);
    }
}

/* One that comes where none belongs is closed. */
static void test_unasked_descriptor(void **state)
{
    static const enum message_kind kinds[] = {MESSAGE_READY, MESSAGE_SECURED};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct message message = {.kind = kinds[i]}, got;
        int ends[2], pipe_ends[2], fd = -1;
        char byte;
        open_ends(ends);
        assert_int_equal(pipe(pipe_ends), 0);
        assert_true(channel_send(ends[0], &message, pipe_ends[1]));
        close(pipe_ends[1]);
        assert_int_equal(channel_receive(ends[1], &got, &fd), PACKET_CLOSED);
        assert_int_equal(read(pipe_ends[0], &byte, 1), 0);
        close(pipe_ends[0]);
        close_ends(ends);
    }
}

/* ---- many descriptors ---- */

#define UNDER_WAY 64u

/* Until it is killed. */
static void receive_slowly(int end)
{
    struct message got;
    int fd;
    for (;;)
        if (channel_receive(end, &got, &fd) == PACKET_HERE)
            close(fd);
        else
            usleep(1000);
}

/* By a user who may have few descriptors under way. The exit status: 0 when all were sent. */
static int send_many(const int ends[2])
{
    const struct rlimit few = {UNDER_WAY, UNDER_WAY};
    const struct message message = {.kind = MESSAGE_IMAGE};
    if (setrlimit(RLIMIT_NOFILE, &few) != 0 || (getuid() == 0 && setresuid(65534, 65534, 65534) != 0))
        return 1;
    while (channel_send(ends[0], &message, STDIN_FILENO))
        continue;
    if (errno != ETOOMANYREFS)
        return 2;
    pid_t receiver = fork();
    if (receiver == 0)
        receive_slowly(ends[1]);
    for (unsigned i = 0; i < 10 * UNDER_WAY; i++)
        if (!channel_send_all(ends[0], &message, STDIN_FILENO))
            return 3;
    kill(receiver, SIGKILL);
    return 0;
}

/* They wait until the receiver took some. */
static void test_many_descriptors(void **state)
{
    int ends[2], status = 0;
    open_ends(ends);
    pid_t pid = fork();
    if (pid == 0)
        _exit(send_many(ends));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close_ends(ends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_order),         cmocka_unit_test(test_descriptor),
        cmocka_unit_test(test_secured),          cmocka_unit_test(test_unsound),
        cmocka_unit_test(test_wrong_size),       cmocka_unit_test(test_unasked_descriptor),
        cmocka_unit_test(test_many_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
