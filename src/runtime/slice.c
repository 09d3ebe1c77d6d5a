/* See slice.h. What the handler and its thread share is volatile: one side is interrupted by the other, never
 * concurrent. */
#include "runtime/slice.h"

#include "base/clock.h"
#include "runtime/task.h"
#include "runtime/trap.h"

#include <errno.h>

#define IDLE_TICKS 8u /* without a guest; then the timer ends */

static _Thread_local struct {
    volatile bool open, armed, running;
    volatile uint64_t run, allowance_ns;
    uint64_t seen, since_ns; /* the run at the last tick, and the time of its first */
    unsigned idle;
    timer_t timer;
} slice;

/* Async-signal-safe, as timer_settime is. */
static void arm(bool on)
{
    const struct timespec time = {.tv_nsec = on ? SLICE_NS : 0};
    const struct itimerspec times = {time, time};
    slice.armed = on;
    slice.idle = 0;
    timer_settime(slice.timer, 0, &times, NULL);
}

static void on_run(ucontext_t *context)
{
    uint64_t now_ns = clock_now_ns();
    bool first = slice.seen != slice.run;
    slice.idle = 0;
    slice.seen = slice.run;
    slice.since_ns = first ? now_ns : slice.since_ns;
    if (now_ns - slice.since_ns >= slice.allowance_ns)
        trap_interrupt(context, TRAP_DEADLINE);
    else if (!first && !task_preempt_at(context))
        task_want_yield();
}

static void on_tick(int signal_number, siginfo_t *info, void *raw)
{
    int kept = errno;
    (void)signal_number, (void)info;
    if (!slice.open)
        return;
    if (!slice.running) {
        if (slice.armed && ++slice.idle >= IDLE_TICKS)
            arm(false);
    } else {
        on_run(raw);
    }
    errno = kept;
}

bool slice_open(struct err *err)
{
    slice.armed = slice.running = false;
    slice.open = trap_clock_open(on_tick, CLOCK_MONOTONIC, &slice.timer, err);
    return slice.open;
}

void slice_close(void)
{
    if (slice.open)
        timer_delete(slice.timer);
    slice.open = false;
}

void slice_enter(uint64_t allowance_ns)
{
    slice.run++;
    slice.allowance_ns = allowance_ns;
    slice.running = true;
    if (!slice.armed && slice.open)
        arm(true);
}

void slice_leave(void)
{
    slice.running = false;
}
