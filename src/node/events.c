/* Requests of nobody (see request.h): a timer of the deployment fires, or a message comes (subscribers.c), and its
 * function is called in a fresh instance, with its limits, its metrics and its log. Nobody waits for an answer: what
 * goes wrong is logged.
 *
 * One worker of a node has the timers; when it dies, the one in its place has them, and what would have been due
 * meanwhile is not made up for. While two nodes follow each other both have them for a moment, and none fires twice:
 * who writes a later time into a word that they share does it. A guest that broke out might write there too, and so
 * keep timers from firing, but it cannot make them.
 *
 * Times are the wall clock's, which may be set: the alarm comes at least once a minute, and a clock that went back has
 * all times made anew. A timer that is late, because the machine slept, fires once. A run does not wait for the one
 * before it. */
#include "node/request.h"

#include "base/alloc.h"
#include "base/log.h"

#include <stdio.h>
#include <time.h>

#define ALARM_MAX_US UINT64_C(60000000)
#define SECOND_US UINT64_C(1000000)
#define SET_BACK_S 10 /* beyond that a clock was set; seconds that come twice count once */
#define WHEN_SIZE 32u
#define WHAT_SIZE 128u

/* ---- times ---- */

static int64_t wall_now(uint64_t *ret_us)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    *ret_us = (uint64_t)now.tv_nsec / 1000;
    return now.tv_sec;
}

static void make_times(struct worker *worker, int64_t now)
{
    const struct deployment *deployment = worker->deployment;
    for (uint32_t i = 0; i < deployment->timer_count; i++)
        worker->times[i] = cron_next(&deployment->timers[i].cron, now);
}

static int64_t next_time(const struct worker *worker)
{
    int64_t next = CRON_NEVER;
    for (uint32_t i = 0; i < worker->deployment->timer_count; i++)
        if (worker->times[i] < next)
            next = worker->times[i];
    return next;
}

static void set_alarm(struct worker *worker)
{
    uint64_t past_us, wait_us = ALARM_MAX_US;
    int64_t now = wall_now(&past_us), next = next_time(worker);
    if (next <= now)
        wait_us = 0;
    else if (next - now <= (int64_t)(ALARM_MAX_US / SECOND_US))
        wait_us = (uint64_t)(next - now) * SECOND_US - past_us;
    io_timer_set(worker->loop, &worker->alarm, io_now_us(worker->loop) + wait_us);
}

/* Whether nobody did it at this time. A word from the future is of a clock that was set back. */
static bool claim(int64_t *fired, int64_t time, int64_t now)
{
    int64_t last = __atomic_load_n(fired, __ATOMIC_ACQUIRE);
    while (last < time || last > now + SET_BACK_S)
        if (__atomic_compare_exchange_n(fired, &last, time, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            return true;
    return false;
}

/* ---- a run ---- */

static const char *when(int64_t time, char room[WHEN_SIZE])
{
    time_t seconds = (time_t)time;
    struct tm utc;
    gmtime_r(&seconds, &utc);
    strftime(room, WHEN_SIZE, "%Y-%m-%dT%H:%M:%SZ", &utc);
    return room;
}

/* "the run of 2024-..." or "a message of CHANNEL" */
static void describe(const struct event *event, char what[WHAT_SIZE])
{
    char room[WHEN_SIZE];
    if (event->kind == EVENT_CRON)
        snprintf(what, WHAT_SIZE, "the run of %s", when(event->time, room));
    else
        snprintf(what, WHAT_SIZE, "a message of %.*s", (int)(event->channel.len < 80 ? event->channel.len : 80),
                 event->channel.ptr);
}

static void fail(struct worker *worker, const struct function *function, const struct event *event,
                 const struct err *err)
{
    char what[WHAT_SIZE];
    describe(event, what);
    function_failed(worker, function, what, err);
}

static void refuse(struct worker *worker, struct function *function, const struct event *event)
{
    struct err err = {0};
    function_use(function);
    counter_add(&function->metrics->answers[5], 1);
    counter_add(&function->metrics->limits[METRICS_LIMIT_INSTANCES], 1);
    err_set(&err, ERR_LIMIT, "does not begin: as many instances are running as may");
    err_remedy(&err, "--max-instances says how many");
    fail(worker, function, event, &err);
}

bool event_begin(struct worker *worker, uint32_t index, const struct event *event)
{
    struct function *function = &worker->functions[index];
    struct request *request = request_new(worker, function, ticks_now());
    if (!request) {
        refuse(worker, function, event);
        return false;
    }
    request->event = *event;
    worker->events++;
    request_dispatch(request);
    return true;
}

/* All timers whose time this is. */
static void fire(struct worker *worker, int64_t time, int64_t now)
{
    const struct deployment *deployment = worker->deployment;
    const struct event event = {.kind = EVENT_CRON, .time = time};
    bool ours = claim(worker->options.fired, time, now);
    for (uint32_t i = 0; i < deployment->timer_count; i++) {
        if (worker->times[i] != time)
            continue;
        worker->times[i] = cron_next(&deployment->timers[i].cron, now);
        if (ours)
            event_begin(worker, deployment->timers[i].function, &event);
    }
}

static void alarm_rang(struct io_timer *timer)
{
    struct worker *worker = IO_OWNER(timer, struct worker, alarm);
    uint64_t past_us;
    int64_t now = wall_now(&past_us), time;
    if (now < worker->looked)
        make_times(worker, now);
    worker->looked = now;
    while ((time = next_time(worker)) <= now)
        fire(worker, time, now);
    set_alarm(worker);
}

/* ---- the guest's side ---- */

/* An error of timers is a variant with one case and a text, that of messages has nothing to say. */
static void say_failed(const struct request *request, const struct datum *result)
{
    struct err err = {0};
    struct str text = request->event.kind == EVENT_CRON ? result->items[0].items[0].text : STR("it returned an error");
    err_set(&err, ERR_INVALID, "failed: %.*s", (int)(text.len < 240 ? text.len : 240), text.len ? text.ptr : "");
    fail(request->worker, request->function, &request->event, &err);
}

void event_call(struct request *request)
{
    const struct event *event = &request->event;
    struct datum time = {.bits = (uint64_t)event->time}, result = {0};
    const struct datum metadata = {.items = &time, .count = 1}, message = {.text = event->message};
    const struct datum *argument = event->kind == EVENT_CRON ? &metadata : &message;
    const struct datum_func *func = &request->generation->events[event->kind];
    counter_add(&request->function->metrics->bytes_in, event->message.len);
    request->entered = ticks_now();
    request->returned = datum_call(request->slot->store, func, argument, host_arena(request->host), &result);
    request->left = ticks_now();
    request->well = request->returned && result.bits == 0;
    if (request->returned && !request->well)
        say_failed(request, &result);
}

/* ---- the end ---- */

static void settle_drained(const struct worker *worker)
{
    if (worker->drained && worker->served && worker->events == 0)
        worker->drained(worker->drained_arg);
}

void event_over(const struct request *request)
{
    struct worker *worker = request->worker;
    struct metrics_function *metrics = request->function->metrics;
    uint64_t ticks = request_end_ticks(request) - request->dispatched;
    counter_add(&metrics->answers[request->well ? 2 : 5], 1);
    histogram_add(&metrics->latency, metrics_ns(ticks, worker->options.tick_factor));
    event_settled(worker);
    if (request->event.subscriber)
        subscriber_told(request->event.subscriber);
}

void event_settled(struct worker *worker)
{
    worker->events--;
    settle_drained(worker);
}

void events_drain(void *arg)
{
    struct worker *worker = arg;
    worker->served = true;
    settle_drained(worker);
}

/* ---- life ---- */

bool events_open(struct worker *worker, struct err *err)
{
    uint32_t count = worker->deployment->timer_count;
    uint64_t past_us;
    if (!worker->options.fires)
        return true;
    if (count == 0)
        return subscribers_open(worker, err);
    worker->times = mem_alloc(count, sizeof *worker->times);
    if (!worker->times)
        return err_memory(err);
    worker->alarm.fired = alarm_rang;
    worker->looked = wall_now(&past_us);
    make_times(worker, worker->looked);
    set_alarm(worker);
    return subscribers_open(worker, err);
}

void events_close(struct worker *worker)
{
    io_timer_stop(worker->loop, &worker->alarm);
    subscribers_close(worker);
}
