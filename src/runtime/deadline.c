/* See deadline.h. The handler reads the clock itself, so a signal that was on its way when the deadline was cleared or
 * moved, or that somebody else sent, changes nothing. */
#include "runtime/deadline.h"

#include "base/clock.h"
#include "runtime/trap.h"

#include <errno.h>

static _Thread_local volatile uint64_t deadline; /* on the monotonic clock; 0: none */
static _Thread_local timer_t timer;

static void on_tick(int signal_number, siginfo_t *info, void *raw)
{
    int kept = errno;
    (void)signal_number, (void)info;
    if (deadline && clock_now_ns() >= deadline)
        trap_interrupt(raw, TRAP_DEADLINE);
    errno = kept;
}

static bool start(struct err *err)
{
    const struct itimerspec times = {
        .it_interval = {.tv_nsec = DEADLINE_TICK_NS},
        .it_value = {.tv_sec = (time_t)(deadline / NS_PER_S), .tv_nsec = (long)(deadline % NS_PER_S)}};
    if (timer_settime(timer, TIMER_ABSTIME, &times, NULL) == 0)
        return true;
    err_errno(err, "cannot start the timer");
    timer_delete(timer);
    return false;
}

bool deadline_set(uint64_t after_ns, struct err *err)
{
    deadline_clear();
    deadline = clock_now_ns() + after_ns;
    if (trap_clock_open(on_tick, &timer, err) && start(err))
        return true;
    deadline = 0;
    return false;
}

void deadline_clear(void)
{
    if (deadline)
        timer_delete(timer);
    deadline = 0;
}
