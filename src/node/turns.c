/* Who runs when (see request.h).
 *
 * A request runs at once, inside of the event that brought it, as long as that keeps nobody waiting: that is the hot
 * path, and all there is where requests are short. What was preempted, and what came while guests already had a slice
 * in this turn of the loop, waits for a turn. Turns are given between two looks at the sockets, so a request never
 * waits longer than a slice for being seen.
 *
 * Functions share turns fairly: each has spent some processor time, and who has spent least is next. One that begins to
 * want turns starts where the others stand, so nobody saves up by being idle; one that takes little is always ahead of
 * those that take much, and runs at once also while they wait. Within a function fresh requests go before those that
 * were preempted, which get a small share.
 *
 * Invariants: a function with fresh or ready requests, or with a loading under way, is among the waiting ones, and
 * while there are any, the post of turns is queued. */
#include "node/request.h"

#include "base/clock.h"
#include "runtime/park.h"
#include "runtime/slice.h"

/* Slots of one program from which on a request that begins has one that waits put aside (runtime/park.h), and how many
 * of those that wait longest are looked at for it. */
#define RESIDENT_SLOTS 128u
#define LOOK_AT 8u

/* Slices that fresh requests of a function may have for each of one that had one already. Short requests are done with
 * their first; so they hardly notice long ones, which still come to their end. */
#define FRESH_SHARE 16u

/* ---- lists ---- */

void list_add(struct request_list *list, struct request *request)
{
    request->list = list;
    request->after = NULL;
    request->before = list->last;
    *list->last = request;
    list->last = &request->after;
}

void list_leave(struct request *request)
{
    if (!request->list)
        return;
    *request->before = request->after;
    if (request->after)
        request->after->before = request->before;
    else
        request->list->last = request->before;
    request->list = NULL;
}

/* ---- time ---- */

static uint64_t less(uint64_t whole, uint64_t part)
{
    return whole > part ? whole - part : 0;
}

uint64_t request_wall_left_ns(const struct request *request)
{
    double past = (double)(ticks_now() - request->dispatched) * worker_ns_per_tick(request->worker);
    return less(request->wall_ns, (uint64_t)past);
}

uint64_t request_cpu_left_ns(const struct request *request)
{
    double ran = (double)request->ran * worker_ns_per_tick(request->worker);
    return less(request->function->deployed->limits.cpu_ns, (uint64_t)ran);
}

/* ---- functions among each other ---- */

static bool wants_turn(const struct function *function)
{
    return function->fresh.first || function->ready.first || function->loading;
}

static void begin_waiting(struct worker *worker, struct function *function)
{
    function->next_waiting = worker->waiting;
    function->waiting = &worker->waiting;
    if (worker->waiting)
        worker->waiting->waiting = &function->next_waiting;
    worker->waiting = function;
    if (function->spent < worker->floor)
        function->spent = worker->floor;
}

static void end_waiting(struct function *function)
{
    *function->waiting = function->next_waiting;
    if (function->next_waiting)
        function->next_waiting->waiting = function->waiting;
    function->waiting = NULL;
}

void turn_settle(struct worker *worker, struct function *function)
{
    bool wants = wants_turn(function);
    if (wants && !function->waiting)
        begin_waiting(worker, function);
    else if (!wants && function->waiting)
        end_waiting(function);
    if (worker->waiting)
        io_post(worker->loop, &worker->turn);
}

static bool others_wait(const struct worker *worker, const struct function *function)
{
    return worker->waiting && (worker->waiting != function || function->next_waiting);
}

bool turn_is_now(struct worker *worker, struct function *function)
{
    uint64_t now_us = io_now_us(worker->loop);
    if (worker->round_us != now_us) {
        worker->round_us = now_us;
        worker->round = 0;
    }
    if (worker->round >= worker->slice)
        return false;
    return !others_wait(worker, function) || function->spent <= worker->floor + worker->slice;
}

/* Where nobody has to wait, nobody is behind. */
void turn_charge(struct worker *worker, struct function *function, uint64_t began)
{
    uint64_t ran = ticks_now() - began;
    if (function->spent < worker->floor)
        function->spent = worker->floor;
    function->spent += ran;
    worker->round += ran;
    if (!worker->waiting)
        worker->floor = function->spent;
}

static struct function *next_function(const struct worker *worker)
{
    struct function *least = worker->waiting;
    for (struct function *at = least; at; at = at->next_waiting)
        if (at->spent < least->spent)
            least = at;
    return least;
}

/* ---- a request ---- */

void turn_wake(struct request *request)
{
    if (request->asleep)
        counter_add(&request->function->metrics->asleep, UINT64_MAX);
    request->asleep = false;
}

static void fall_asleep(struct request *request)
{
    struct io_loop *loop = request->worker->loop;
    list_add(&request->generation->asleep, request);
    request->asleep = true;
    counter_add(&request->function->metrics->asleep, 1);
    if (!request->timer.armed)
        io_timer_set(loop, &request->timer, io_now_us(loop) + request_wall_left_ns(request) / 1000);
}

void turn_stopped(struct request *request, uint64_t began)
{
    struct worker *worker = request->worker;
    struct function *function = request->function;
    enum task_state state = request->task.state;
    request->ran += request_end_ticks(request) - began;
    if (state == TASK_DONE)
        request_finish(request);
    else if (state == TASK_PREEMPTED)
        list_add(&function->ready, request);
    else
        fall_asleep(request);
    turn_charge(worker, function, began);
    if (state == TASK_PREEMPTED || function->waiting)
        turn_settle(worker, function);
    if (worker->blocked.first)
        io_post(worker->loop, &worker->unblock);
}

void turn_run(struct request *request)
{
    list_leave(request);
    if (!turn_bring_back(request)) {
        list_add(&request->worker->blocked, request);
        return;
    }
    uint64_t wall_ns = request_wall_left_ns(request), cpu_ns = request_cpu_left_ns(request), began = ticks_now();
    slice_enter(request->gone ? 0 : wall_ns < cpu_ns ? wall_ns : cpu_ns);
    task_resume(&request->task);
    slice_leave();
    turn_stopped(request, began);
}

/* One that is to end does so at once: that takes no time. */
void turn_resume(struct request *request)
{
    struct function *function = request->function;
    turn_wake(request);
    if (request->list == &function->ready)
        return;
    if (request->gone || turn_is_now(request->worker, function) || request_wall_left_ns(request) == 0) {
        turn_run(request);
        return;
    }
    list_leave(request);
    list_add(&function->ready, request);
    turn_settle(request->worker, function);
}

void turn_wait(struct request *request)
{
    struct function *function = request->function;
    struct io_loop *loop = request->worker->loop;
    list_add(&function->fresh, request);
    function->fresh_count++;
    io_timer_set(loop, &request->timer, io_now_us(loop) + request->wall_ns / 1000);
    turn_settle(request->worker, function);
}

/* ---- turns ---- */

static void begin_fresh(struct worker *worker, struct function *function)
{
    struct request *request = function->fresh.first;
    uint64_t began = ticks_now();
    list_leave(request);
    function->fresh_count--;
    request_begin(request, began);
    function->fresh_spent += ticks_now() - began;
}

static void give_turn(struct worker *worker, struct function *function)
{
    bool fresh =
        function->fresh.first && (!function->ready.first || function->fresh_spent < FRESH_SHARE * worker->slice);
    if (function->loading || (function->fresh.first && !function->current)) {
        worker_load_step(worker, function);
    } else if (fresh) {
        begin_fresh(worker, function);
    } else if (function->ready.first) {
        function->fresh_spent = 0;
        turn_run(function->ready.first);
    }
    turn_settle(worker, function);
}

/* To those that have spent least, until one slice is over. */
static void take_turns(struct io_post *post)
{
    struct worker *worker = IO_OWNER(post, struct worker, turn);
    uint64_t began = ticks_now();
    do {
        struct function *function = next_function(worker);
        if (!function)
            return;
        if (worker->floor < function->spent)
            worker->floor = function->spent;
        give_turn(worker, function);
    } while (ticks_now() - began < worker->slice);
    if (worker->waiting)
        io_post(worker->loop, post);
}

/* ---- parking ---- */

static bool put_aside(struct request *request)
{
    request->parked = slot_park(request->slot);
    if (request->parked && request->list == &request->generation->asleep)
        list_leave(request);
    return request->parked != NULL;
}

void turn_make_room(struct generation *generation)
{
    struct request *request = generation->asleep.first;
    if (generation->program->free_slots || generation->program->slot_count < RESIDENT_SLOTS)
        return;
    for (uint32_t i = 0; request && i < LOOK_AT; i++, request = request->after)
        if (slot_can_park(request->slot) && slot_grown_bytes(request->slot) <= PARK_GROWN_CHEAP && put_aside(request))
            return;
}

bool turn_bring_back(struct request *request)
{
    struct slot *slot = request->slot;
    if (!request->parked)
        return true;
    if (slot->tasks && !(slot_can_park(slot) && put_aside(slot->tasks->arg)))
        return false;
    if (!slot_unpark(request->parked))
        return false;
    request->parked = NULL;
    return true;
}

/* Somebody has left a slot, perhaps theirs. Each is tried once. */
static void try_blocked(struct io_post *post)
{
    struct worker *worker = IO_OWNER(post, struct worker, unblock);
    struct request_list tried = {.last = &tried.first};
    while (worker->blocked.first) {
        struct request *request = worker->blocked.first;
        list_leave(request);
        list_add(&tried, request);
    }
    while (tried.first)
        turn_resume(tried.first);
}

/* ---- life ---- */

void turns_open(struct worker *worker)
{
    worker->turn.run = take_turns;
    worker->unblock.run = try_blocked;
    worker->blocked.last = &worker->blocked.first;
    worker->slice = (((uint64_t)SLICE_NS << 32) + worker->options.tick_factor - 1) / worker->options.tick_factor;
}

void turns_close(struct worker *worker)
{
    io_post_cancel(worker->loop, &worker->turn);
    io_post_cancel(worker->loop, &worker->unblock);
}
