/* See phase.h. */
#include "base/phase.h"

#include "base/clock.h"
#include "base/log.h"

#include <unistd.h>

static uint64_t first_ns, last_ns; /* 0: not begun */

static double ms(uint64_t ns)
{
    return (double)ns / 1e6;
}

void phase_begin(void)
{
    first_ns = last_ns = clock_now_ns();
}

void phase_end(const char *what)
{
    if (!first_ns || !log_enabled(LOG_DEBUG))
        return;
    uint64_t now_ns = clock_now_ns();
    log_line(LOG_DEBUG, NULL, "start, at %.2f ms: %s, %.2f ms (process %d)", ms(now_ns - first_ns), what,
             ms(now_ns - last_ns), (int)getpid());
    last_ns = clock_now_ns();
}

void phase_over(void)
{
    first_ns = 0;
}
