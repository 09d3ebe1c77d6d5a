/* One node after another: what is left when they end in the wrong order. Nodes of these tests do nothing but end. */
#include "node/succession.h"

#include "base/log.h"
#include "node/channel.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_S 60u

static void begun(void *arg)
{
    (void)arg;
}

static bool tell(const struct succession_seat *seat, enum message_kind kind)
{
    const struct message message = {.kind = kind};
    return channel_send(seat->channel, &message, -1);
}

/* What a process of this group and status comes to that has these nodes. A group of its own: a signal that went astray
 * would end the tests. */
static int run(int (*node)(void *arg, const struct succession_seat *seat))
{
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct err err = {0};
        int last = -1;
        setpgid(0, 0);
        log_level_set(LOG_ERROR - 1);
        signal(SIGTERM, SIG_IGN); /* for nodes that end when they like */
        alarm(PATIENCE_S);
        _exit(succession_run(node, begun, NULL, &last, &err) ? last : 99);
    }
    while (waitpid(pid, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    assert_true(WIFEXITED(status)); /* neither the alarm nor a signal of its own */
    return WEXITSTATUS(status);
}

static int ends_at_once(void *arg, const struct succession_seat *seat)
{
    (void)arg;
    return seat->first && tell(seat, MESSAGE_READY) ? 7 : 98;
}

static void test_status(void **state)
{
    (void)state;
    assert_int_equal(run(ends_at_once), 7);
}

/* The first asks for another one and ends, which that one waits for before it is ready. */
static int outlived(void *arg, const struct succession_seat *seat)
{
    static const struct timespec moment = {0, 1000000};
    (void)arg;
    if (seat->first)
        return tell(seat, MESSAGE_READY) && tell(seat, MESSAGE_CHANGED) ? 7 : 98;
    for (unsigned i = 0; i < 200; i++) /* nobody says when it was waited for */
        nanosleep(&moment, NULL);
    if (!tell(seat, MESSAGE_READY))
        return 97;
    for (unsigned i = 0; i < 200; i++)
        nanosleep(&moment, NULL);
    return 5;
}

/* There is nobody to retire then, and nobody gets the signals that the dead one would. */
static void test_ready_when_the_first_is_dead(void **state)
{
    (void)state;
    assert_int_equal(run(outlived), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_ready_when_the_first_is_dead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
