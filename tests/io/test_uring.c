/* The ring may do what the loop needs and nothing else, belongs to nobody else, and where there is none epoll serves.
 */
#include "base/log.h"
#include "io/ring.h"
#include "support/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SIZE 8u

static struct ring ring;
static struct err err;

static int open_ring(void **state)
{
    static const uint8_t operations[] = {IORING_OP_POLL_ADD};
    return ring_open(&ring, SIZE, 2 * SIZE, &err) &&
                   ring_restrict(&ring, operations, sizeof operations, IOSQE_CQE_SKIP_SUCCESS, &err) &&
                   ring_enable(&ring, &err)
               ? 0
               : -1;
}

static int close_ring(void **state)
{
    ring_close(&ring);
    return 0;
}

/* The result of an operation on a pipe that is readable. */
static int result_of(uint8_t operation, uint8_t flags)
{
    struct io_uring_cqe completion;
    struct io_uring_sqe *sqe = ring_submission(&ring);
    int pipes[2];
    char bytes[8];
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(write(pipes[1], "x", 1), 1);
    assert_non_null(sqe);
    sqe->opcode = operation;
    sqe->flags = flags;
    sqe->fd = pipes[0];
    sqe->poll32_events = operation == IORING_OP_POLL_ADD ? 1 : 0;
    sqe->addr = operation == IORING_OP_POLL_ADD ? 0 : (uintptr_t)bytes;
    sqe->len = operation == IORING_OP_POLL_ADD ? 0 : sizeof bytes;
    sqe->user_data = 7;
    assert_int_equal(ring_enter(&ring, 1, 1000000), 0);
    assert_true(ring_take(&ring, &completion));
    assert_int_equal(completion.user_data, 7);
    close(pipes[0]);
    close(pipes[1]);
    return completion.res;
}

static void test_restricted(void **state)
{
    assert_true(result_of(IORING_OP_POLL_ADD, 0) & 1);
    for (uint8_t operation = 0; operation < IORING_OP_LAST; operation++)
        if (operation != IORING_OP_POLL_ADD)
            assert_int_equal(result_of(operation, 0), -EACCES);
    assert_int_equal(result_of(IORING_OP_POLL_ADD, IOSQE_ASYNC), -EACCES);
    int fd = 0;
    for (unsigned what = 0; what < IORING_REGISTER_LAST; what++) {
        assert_int_equal(syscall(SYS_io_uring_register, ring.fd, what, &fd, 1), -1);
        assert_int_equal(errno, EACCES);
    }
}

static void test_full(void **state)
{
    for (unsigned i = 0; i < SIZE; i++)
        assert_non_null(ring_submission(&ring));
    assert_null(ring_submission(&ring));
    assert_int_equal(ring_enter(&ring, 0, 0), 0); /* none of them is allowed, all are taken */
    assert_int_equal(ring_ready(&ring), SIZE);
    assert_non_null(ring_submission(&ring));
}

/* Runs in a child; true is its success. */
static bool in_child(bool (*test)(void))
{
    int status = -1;
    pid_t child = fork();
    if (child == 0)
        _exit(test() ? 0 : 1);
    waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool is_absent(void)
{
    unsigned char page[64];
    bool absent = mincore(ring.queues, 1, page) < 0 && errno == ENOMEM;
    return absent && mincore(ring.submissions, 1, page) < 0 && errno == ENOMEM;
}

static void test_not_inherited(void **state)
{
    assert_false(is_absent());
    assert_true(in_child(is_absent));
}

/* As a sandbox around the process does it. */
static int refusal;
static bool refuse(unsigned call)
{
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)refusal),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof rules / sizeof rules[0], rules};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

struct last {
    struct io_post post;
    struct io_loop *loop;
};

static void stop(struct io_post *post)
{
    io_stop(IO_OWNER(post, struct last, post)->loop);
}

static bool runs(struct io_loop *loop)
{
    struct last last = {{.run = stop}, loop};
    io_post(loop, &last.post);
    return io_run(loop, NULL);
}

/* The log says why, to those who ask. */
static bool is_logged(int pipe_end)
{
    char line[512] = "";
    return read(pipe_end, line, sizeof line - 1) > 0 && strstr(line, "DEBUG the event loop uses epoll: io_uring_");
}

static bool falls_back(void)
{
    struct err why = {0};
    int pipes[2];
    if (pipe2(pipes, O_NONBLOCK) < 0 || dup2(pipes[1], STDERR_FILENO) < 0)
        return false;
    log_level_set(LOG_DEBUG);
    struct io_loop *loop = io_loop_open(IO_AUTO, &why);
    bool done =
        is_logged(pipes[0]) && loop && strcmp(io_loop_name(loop), "epoll") == 0 && runs(loop) && why.kind == ERR_NONE;
    io_loop_free(loop);
    done = done && !io_loop_open(IO_URING, &why);
    return done && why.kind == ERR_SYSTEM && strstr(why.message, "io_uring") && why.remedy[0];
}

static bool without_rings(void)
{
    return refuse(SYS_io_uring_setup) && falls_back();
}

static bool without_registrations(void)
{
    return refuse(SYS_io_uring_register) && falls_back();
}

static void test_refused(void **state)
{
    static const int errors[] = {EPERM, ENOSYS, EINVAL, ENOMEM};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        refusal = errors[i];
        assert_true(in_child(without_rings));
        assert_true(in_child(without_registrations));
    }
}

static void test_chosen(void **state)
{
    static const struct {
        enum io_kind kind;
        const char *name;
    } rows[] = {{IO_AUTO, "io_uring"}, {IO_URING, "io_uring"}, {IO_EPOLL, "epoll"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct io_loop *loop = io_loop_open(rows[i].kind, &err);
        assert_non_null(loop);
        assert_string_equal(io_loop_name(loop), rows[i].name);
        assert_true(runs(loop));
        io_loop_free(loop);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_ring, close_ring)
    const struct CMUnitTest tests[] = {TEST(test_restricted), TEST(test_full), TEST(test_not_inherited),
                                       cmocka_unit_test(test_refused), cmocka_unit_test(test_chosen)};
    if (setenv("MAYFLY_TEST_IO", "uring", 1) == 0)
        io_loop_free(test_loop(NULL)); /* or skip */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
