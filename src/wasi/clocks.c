/* wasi:clocks. The monotonic clock of guests begins when the worker does, so that it does not tell how long the
 * machine has run; a configured resolution makes both clocks coarser. */
#include "wasi/gen/wasi_clocks.h"
#include "wasi/object.h"

#include <time.h>

static uint64_t resolution_ns(const struct host *h)
{
    return h->config->clock_resolution_ns > 1 ? h->config->clock_resolution_ns : 1;
}

static uint64_t coarse(const struct host *h, uint64_t ns)
{
    uint64_t step = resolution_ns(h);
    return step == 1 ? ns : ns - ns % step;
}

bool wasi_clocks_monotonic_clock_now(struct host *h, uint64_t *ret)
{
    *ret = coarse(h, clock_now_ns() - h->pool->clock_base_ns);
    return true;
}

bool wasi_clocks_monotonic_clock_resolution(struct host *h, uint64_t *ret)
{
    *ret = resolution_ns(h);
    return true;
}

/* Deadlines are as coarse as the clock, and never early by it: else a guest could ask them for the time. */
bool wasi_clocks_monotonic_clock_subscribe_instant(struct host *h, uint64_t when, struct wasi_io_pollable **ret)
{
    uint64_t deadline_ns, up;
    bool far = __builtin_add_overflow(when, resolution_ns(h) - 1, &up) ||
               __builtin_add_overflow(coarse(h, up), h->pool->clock_base_ns, &deadline_ns);
    *ret = pollable_new(h, NULL, pollable_never, NULL, far ? HOST_FOREVER : deadline_ns);
    return *ret != NULL;
}

bool wasi_clocks_monotonic_clock_subscribe_duration(struct host *h, uint64_t when, struct wasi_io_pollable **ret)
{
    uint64_t now, then;
    wasi_clocks_monotonic_clock_now(h, &now);
    if (__builtin_add_overflow(now, when, &then))
        then = HOST_FOREVER;
    return wasi_clocks_monotonic_clock_subscribe_instant(h, then, ret);
}

bool wasi_clocks_wall_clock_now(struct host *h, struct wasi_clocks_wall_clock_datetime *ret)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t ns = coarse(h, (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec);
    ret->seconds = ns / NS_PER_S;
    ret->nanoseconds = (uint32_t)(ns % NS_PER_S);
    return true;
}

bool wasi_clocks_wall_clock_resolution(struct host *h, struct wasi_clocks_wall_clock_datetime *ret)
{
    ret->seconds = resolution_ns(h) / NS_PER_S;
    ret->nanoseconds = (uint32_t)(resolution_ns(h) % NS_PER_S);
    return true;
}

/* ---- wasi:clocks/timezone: guests live in UTC, wherever the machine is ---- */

bool wasi_clocks_timezone_display(struct host *h, const struct wasi_clocks_wall_clock_datetime *when,
                                  struct wasi_clocks_timezone_timezone_display *ret)
{
    *ret = (struct wasi_clocks_timezone_timezone_display){.name = STR("UTC")};
    return true;
}

bool wasi_clocks_timezone_utc_offset(struct host *h, const struct wasi_clocks_wall_clock_datetime *when, int32_t *ret)
{
    *ret = 0;
    return true;
}
