/* What the compiler child can still do once it is in its jail: each act in a child of its own. */
#include "compile/jail.h"

#include "io/calls_rows.h"
#include "support/confined.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define PAGE 4096u

static int image_fd, ends[2];

static bool confine(void *arg)
{
    struct err err = {0};
    bool done = jail_enter(&err);
    if (!done)
        fprintf(stderr, "%s\n", err.message);
    return done;
}

static int open_file(void *arg)
{
    return errno_of(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}

static int run_program(void *arg)
{
    char *const nothing[] = {NULL};
    return errno_of(execve("/bin/true", nothing, nothing));
}

static int fork_plainly(void *arg)
{
    long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (pid == 0)
        _exit(0);
    return errno_of(pid);
}

static int open_socket(void *arg)
{
    return errno_of(socket(AF_INET, SOCK_STREAM, 0));
}

static int open_local(void *arg)
{
    return errno_of(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int signal_parent(void *arg)
{
    return errno_of(kill(getppid(), 0));
}

static int run_code(void *arg)
{
    void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return page == MAP_FAILED ? ODD : errno_of(mprotect(page, PAGE, PROT_READ | PROT_EXEC));
}

static int map_code(void *arg)
{
    return mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, image_fd, 0) == MAP_FAILED ? errno : 0;
}

static void *store_true(void *arg)
{
    *(bool *)arg = true;
    return NULL;
}

static int run_thread(void *arg)
{
    bool ran = false;
    pthread_t thread;
    if (pthread_create(&thread, NULL, store_true, &ran) != 0 || pthread_join(thread, NULL) != 0)
        return ODD;
    return ran ? 0 : ODD;
}

static int write_image(void *arg)
{
    struct stat status;
    if (ftruncate(image_fd, 2 * PAGE) != 0 || pwrite(image_fd, "x", 1, PAGE) != 1 || fstat(image_fd, &status) != 0)
        return ODD;
    return status.st_size == 2 * PAGE ? 0 : ODD;
}

static int talk(void *arg)
{
    char byte;
    return send(ends[0], "x", 1, MSG_NOSIGNAL) == 1 && recv(ends[1], &byte, 1, 0) == 1 ? 0 : ODD;
}

static void test_acts(void **state)
{
    static const struct {
        int (*act)(void *arg);
        int outcome;
    } rows[] = {
        {open_file, EPERM},
        {run_program, KILLED(SIGSYS)},
        {fork_plainly, EPERM},
        {open_socket, EPERM},
        {open_local, EPERM},
        {signal_parent, EPERM},
        {run_code, EPERM},
        {map_code, EPERM},
        {run_thread, 0},
        {write_image, 0},
        {talk, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int got = outcome_of(confine, NULL, rows[i].act, NULL);
        if (got != rows[i].outcome)
            fail_msg("act %zu: %d, not %d", i, got, rows[i].outcome);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_acts)};
    image_fd = memfd_create("image", MFD_CLOEXEC);
    if (image_fd < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
