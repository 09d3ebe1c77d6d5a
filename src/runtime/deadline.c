/* See deadline.h. The handler reads the clock itself, so a signal that was on its way when the deadline was cleared or
 * moved, or that somebody else sent, changes nothing. */
#include "runtime/deadline.h"

#include "base/clock.h"
#include "runtime/trap.h"

#include <errno.h>

/* A clock and when it is over by it. */
struct limit {
    volatile uint64_t at_ns; /* 0: never */
    timer_t timer;
};

static _Thread_local struct limit wall, cpu;

static uint64_t read_clock(clockid_t clock)
{
    struct timespec now = {0};
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static bool is_over(const struct limit *limit, clockid_t clock)
{
    return limit->at_ns && read_clock(clock) >= limit->at_ns;
}

static void on_tick(int signal_number, siginfo_t *info, void *raw)
{
    int kept = errno;
    (void)signal_number, (void)info;
    if (is_over(&wall, CLOCK_MONOTONIC) || is_over(&cpu, CLOCK_THREAD_CPUTIME_ID))
        trap_interrupt(raw, TRAP_DEADLINE);
    errno = kept;
}

static bool start(const struct limit *limit, struct err *err)
{
    const struct itimerspec times = {
        .it_interval = {.tv_nsec = DEADLINE_TICK_NS},
        .it_value = {.tv_sec = (time_t)(limit->at_ns / NS_PER_S), .tv_nsec = (long)(limit->at_ns % NS_PER_S)}};
    if (timer_settime(limit->timer, TIMER_ABSTIME, &times, NULL) == 0)
        return true;
    err_errno(err, "cannot start the timer");
    timer_delete(limit->timer);
    return false;
}

static void clear(struct limit *limit)
{
    if (limit->at_ns)
        timer_delete(limit->timer);
    limit->at_ns = 0;
}

static bool set(struct limit *limit, clockid_t clock, uint64_t after_ns, struct err *err)
{
    clear(limit);
    limit->at_ns = read_clock(clock) + after_ns;
    if (trap_clock_open(on_tick, clock, &limit->timer, err) && start(limit, err))
        return true;
    limit->at_ns = 0;
    return false;
}

bool deadline_set(uint64_t after_ns, struct err *err)
{
    return set(&wall, CLOCK_MONOTONIC, after_ns, err);
}

bool deadline_set_cpu(uint64_t after_ns, struct err *err)
{
    return set(&cpu, CLOCK_THREAD_CPUTIME_ID, after_ns, err);
}

bool deadline_cpu_is_over(void)
{
    return is_over(&cpu, CLOCK_THREAD_CPUTIME_ID);
}

void deadline_clear(void)
{
    clear(&wall);
    clear(&cpu);
}
