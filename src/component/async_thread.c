/* Threads, and the memory of an activity: see async.h. */
#include "component/async.h"

#include "runtime/call.h"
#include "runtime/trap.h"

#define THREADS_MAX 4096u /* of one instance */

struct pooled {
    struct pooled *next;
};

/* ---- memory ---- */

static bool no_memory(struct store *store)
{
    return trap_raise(store, TRAP_OUT_OF_MEMORY, "no room for what runs at the same time");
}

void *pool_new(struct store *store, size_t size)
{
    struct activity *activity = host_activity(store->host);
    size_t pool = (size - 1) / ACTIVITY_POOL_STEP;
    struct pooled *object = activity->free[pool];
    if (object) {
        activity->free[pool] = object->next;
        memset(object, 0, size);
        return object;
    }
    object = arena_alloc(host_arena(store->host), (pool + 1) * ACTIVITY_POOL_STEP);
    if (!object)
        no_memory(store);
    return object;
}

void pool_free(struct activity *activity, void *object, size_t size)
{
    struct pooled *pooled = object;
    size_t pool = (size - 1) / ACTIVITY_POOL_STEP;
    pooled->next = activity->free[pool];
    activity->free[pool] = pooled;
}

_Static_assert(sizeof(struct thread) <= ACTIVITY_POOLS * ACTIVITY_POOL_STEP, "a pool for threads");
_Static_assert(sizeof(struct call) <= ACTIVITY_POOLS * ACTIVITY_POOL_STEP, "a pool for calls");

/* ---- instances ---- */

static struct inst *inst_at(struct store *store, struct handles *handles)
{
    struct inst *inst = (struct inst *)(uintptr_t)handles->instance;
    if (inst)
        return inst;
    inst = ARENA_NEW(host_arena(store->host), struct inst);
    if (!inst) {
        no_memory(store);
        return NULL;
    }
    inst->handles = handles;
    handles->instance = (uint64_t)(uintptr_t)inst;
    return inst;
}

struct inst *inst_of(struct store *store, const struct canon_env *env)
{
    return inst_at(store, canon_handles(store, env));
}

/* ---- making threads ---- */

struct thread *thread_new(struct store *store, struct call *call, bool is_inline)
{
    struct activity *activity = host_activity(store->host);
    if (!is_inline && activity->thread_count >= ACTIVITY_THREADS_MAX) {
        trap_raise(store, TRAP_HOST, "more than %u threads", ACTIVITY_THREADS_MAX);
        return NULL;
    }
    struct thread *thread = pool_new(store, sizeof *thread);
    if (!thread)
        return NULL;
    activity->thread_count += !is_inline;
    thread->activity = activity;
    thread->store = store;
    thread->call = call;
    thread->is_inline = is_inline;
    thread->state = is_inline ? THREAD_RUNNING : THREAD_SUSPENDED;
    call->references++;
    if (is_inline)
        return thread;
    thread->next = activity->threads;
    if (thread->next)
        thread->next->previous = thread;
    activity->threads = thread;
    return thread;
}

static void thread_free(struct thread *thread)
{
    struct activity *activity = thread->activity;
    struct call *call = thread->call;
    if (!thread->is_inline) {
        if (thread->previous)
            thread->previous->next = thread->next;
        else
            activity->threads = thread->next;
        if (thread->next)
            thread->next->previous = thread->previous;
        activity->thread_count--;
    }
    if (call->implicit == thread)
        call->implicit = NULL;
    pool_free(activity, thread, sizeof *thread);
    call_release(call);
}

void activity_end(struct activity *activity)
{
    for (struct thread *thread = activity->threads; thread; thread = thread->next)
        if (thread->started && thread->task.state != TASK_DONE)
            task_abandon(&thread->task);
    activity->threads = NULL;
}

/* Room for one more thread in the instance's table. */
static bool grow_threads(struct store *store, struct inst *inst)
{
    uint32_t capacity = inst->thread_capacity ? 2 * inst->thread_capacity : 16;
    struct arena *arena = host_arena(store->host);
    if (capacity > THREADS_MAX)
        return trap_raise(store, TRAP_HOST, "more than %u threads in one component instance", THREADS_MAX);
    struct thread **threads = ARENA_ARRAY(arena, struct thread *, capacity);
    uint32_t *frees = ARENA_ARRAY(arena, uint32_t, capacity);
    if (!threads || !frees)
        return no_memory(store);
    if (inst->thread_capacity) {
        memcpy(threads, inst->threads, inst->thread_count * sizeof *threads);
        memcpy(frees, inst->free_threads, inst->free_thread_count * sizeof *frees);
    } else {
        inst->thread_count = 1; /* index 0 is none */
    }
    inst->threads = threads;
    inst->free_threads = frees;
    inst->thread_capacity = capacity;
    return true;
}

bool thread_register(struct thread *thread)
{
    struct call *call = thread->call;
    struct inst *inst = call->inst;
    if (!inst->free_thread_count && inst->thread_count >= inst->thread_capacity && !grow_threads(thread->store, inst))
        return false;
    thread->index = inst->free_thread_count ? inst->free_threads[--inst->free_thread_count] : inst->thread_count++;
    inst->threads[thread->index] = thread;
    thread->next_of_call = call->threads;
    call->threads = thread;
    call->thread_count++;
    return true;
}

bool thread_unregister(struct thread *thread)
{
    struct call *call = thread->call;
    struct inst *inst = call->inst;
    struct thread **at = &call->threads;
    while (*at != thread)
        at = &(*at)->next_of_call;
    *at = thread->next_of_call;
    call->thread_count--;
    inst->threads[thread->index] = NULL;
    inst->free_threads[inst->free_thread_count++] = thread->index;
    thread->index = 0;
    return call->thread_count || call->state == CALL_RESOLVED ||
           trap_raise(thread->store, TRAP_HOST, "the last thread of a task ended before it returned or was cancelled");
}

/* Code that nobody called through here: a thread of its own, whose call never ends. */
static struct thread *loose_thread(struct store *store, struct inst *inst)
{
    if (inst->loose)
        return inst->loose;
    struct call *call = call_new(store);
    struct thread *thread = call ? thread_new(store, call, true) : NULL;
    if (!thread)
        return NULL;
    call->inst = inst;
    call->state = CALL_STARTED;
    call->implicit = thread;
    if (!thread_register(thread))
        return NULL;
    return inst->loose = thread;
}

struct thread *thread_current(struct store *store, struct inst *inst)
{
    struct thread *current = host_activity(store->host)->current;
    return current && current->call->inst == inst ? current : loose_thread(store, inst);
}

/* ---- waiting ---- */

void thread_start_waiting(struct thread *thread, enum ready ready, void *arg)
{
    struct activity *activity = thread->activity;
    thread->state = THREAD_WAITING;
    thread->ready = ready;
    thread->ready_arg = arg;
    thread->next_waiting = NULL;
    thread->previous_waiting = activity->last_waiting;
    if (activity->last_waiting)
        activity->last_waiting->next_waiting = thread;
    else
        activity->first_waiting = thread;
    activity->last_waiting = thread;
}

void thread_stop_waiting(struct thread *thread)
{
    struct activity *activity = thread->activity;
    if (thread->previous_waiting)
        thread->previous_waiting->next_waiting = thread->next_waiting;
    else
        activity->first_waiting = thread->next_waiting;
    if (thread->next_waiting)
        thread->next_waiting->previous_waiting = thread->previous_waiting;
    else
        activity->last_waiting = thread->previous_waiting;
    thread->state = THREAD_SUSPENDED;
}

static bool may_start(const struct call *call)
{
    const struct inst *inst = call->inst;
    return inst->handles->backpressure == 0 && !(call_needs_exclusive(call) && inst->exclusive);
}

bool thread_is_ready(const struct thread *thread)
{
    const struct inst *inst = thread->call->inst;
    if (thread->state != THREAD_WAITING)
        return false;
    switch (thread->ready) {
    case READY_ENTER: return may_start(thread->call);
    case READY_FREE: return !inst->exclusive;
    case READY_EVENT: return ((const struct waitable *)thread->ready_arg)->has_event;
    case READY_SET: return waitable_set_has_event(thread->ready_arg);
    case READY_SET_FREE: return !inst->exclusive && waitable_set_has_event(thread->ready_arg);
    case READY_RESOLVED: return call_resolved(thread->ready_arg);
    default: return true;
    }
}

/* The words of "context.get" are the running thread's. */
static void save_context(struct thread *thread)
{
    memcpy(thread->context, thread->call->inst->handles->context, sizeof thread->context);
}

static void restore_context(const struct thread *thread)
{
    memcpy(thread->call->inst->handles->context, thread->context, sizeof thread->context);
}

/* ---- running ---- */

static bool call_thread(struct thread *thread)
{
    static const uint8_t types[] = {WASM_I32};
    union cell cell = {.u64 = thread->argument};
    return guest_call(thread->store, thread->funcref, types, 1, 0, &cell) && thread_unregister(thread);
}

static void thread_body(struct task *task)
{
    struct thread *thread = task->arg;
    thread->failed = !(thread->funcref ? call_thread(thread) : call_run(thread));
}

/* What trapped in a nested task traps in all around it. */
static bool pass_on_trap(const struct thread *thread)
{
    if (thread->task.report.trap && !task_current->report.trap)
        task_current->report = thread->task.report;
    return false;
}

/* Until it is done or blocks. A host function that waits in it for something outside suspends everything. */
static bool run_once(struct thread *thread)
{
    struct err err;
    struct slot *slot = task_current->slot;
    if (!guest_goes_on(thread->store))
        return false;
    if (!thread->started) {
        thread->started = true;
        if (!task_spawn(&thread->task, slot, thread_body, thread, &err))
            return trap_raise(thread->store, TRAP_OUT_OF_MEMORY, "%s", err.message);
    } else {
        task_resume(&thread->task);
    }
    while (thread->task.state != TASK_DONE && thread->state == THREAD_RUNNING) {
        task_suspend();
        task_resume(&thread->task);
    }
    return true;
}

bool thread_resume(struct thread *thread, bool cancelled)
{
    struct activity *activity = thread->activity;
    struct thread *outer = activity->current;
    while (thread) {
        if (thread->state == THREAD_WAITING) /* one that is promoted, too */
            thread_stop_waiting(thread);
        if (thread->is_inline) { /* whose stack is below: it goes on when this returns to it */
            thread->woken = true;
            break;
        }
        thread->state = THREAD_RUNNING;
        thread->cancelled = cancelled;
        cancelled = false;
        activity->current = thread;
        restore_context(thread);
        if (!run_once(thread))
            return false;
        activity->current = outer;
        struct thread *next = thread->switch_to;
        thread->switch_to = NULL;
        if (thread->task.state == TASK_DONE) {
            if (thread->failed)
                return pass_on_trap(thread);
            thread_free(thread);
        }
        thread = next;
    }
    return true;
}

/* Does the thread use the stack in linear memory that all threads but those of "stackful" lifts share? */
static bool uses_shared_stack(const struct thread *thread)
{
    const struct call *call = thread->call;
    return thread == call->implicit && (call->flags & CANON_ASYNC_TYPE) && call_needs_exclusive(call);
}

/* A thread of the instance, possibly itself, that may run while the inline thread is blocked. */
static struct thread *other_ready(const struct thread *self)
{
    const struct inst *inst = self->call->inst;
    for (struct thread *thread = self->activity->first_waiting; thread; thread = thread->next_waiting)
        if (thread->call->inst == inst && thread->index && !uses_shared_stack(thread) && thread_is_ready(thread))
            return thread;
    return NULL;
}

/* An inline thread is blocked: others of its instance run on top of it. */
static bool block_inline(struct thread *self, struct thread *next)
{
    struct activity *activity = self->activity;
    self->woken = false;
    while (!self->woken) {
        if (!next)
            next = other_ready(self);
        if (!next)
            return trap_raise(self->store, TRAP_HOST, "cannot block a synchronous task before returning");
        if (next == self)
            break;
        if (!thread_resume(next, false))
            return false;
        next = NULL;
    }
    if (self->state == THREAD_WAITING)
        thread_stop_waiting(self);
    self->state = THREAD_RUNNING;
    activity->current = self;
    return true;
}

/* The thread has its new state; `next` goes on in its place. */
static bool block(struct thread *self, bool cancellable, struct thread *next, bool *ret_cancelled)
{
    save_context(self);
    self->cancellable = cancellable;
    self->cancelled = false;
    if (self->is_inline) {
        struct thread *outer = self->activity->current;
        bool done = block_inline(self, next);
        self->activity->current = outer;
        if (!done)
            return false;
    } else {
        self->switch_to = next;
        task_suspend();
    }
    self->cancellable = false;
    restore_context(self);
    if (ret_cancelled)
        *ret_cancelled = self->cancelled;
    return true;
}

/* "deliver_pending_cancel" */
static bool deliver_cancel(struct thread *self, bool cancellable, bool *ret_cancelled)
{
    bool delivered = cancellable && self->call->state == CALL_PENDING_CANCEL;
    if (delivered)
        self->call->state = CALL_CANCEL_DELIVERED;
    if (ret_cancelled)
        *ret_cancelled = delivered;
    return delivered;
}

bool thread_suspend(struct thread *self, bool cancellable, struct thread *switch_to, bool *ret_cancelled)
{
    if (deliver_cancel(self, cancellable, ret_cancelled))
        return true;
    self->state = THREAD_SUSPENDED;
    return block(self, cancellable, switch_to, ret_cancelled);
}

bool thread_yield_to(struct thread *self, bool cancellable, struct thread *other, bool *ret_cancelled)
{
    if (deliver_cancel(self, cancellable, ret_cancelled))
        return true;
    thread_start_waiting(self, READY_NOW, NULL);
    return block(self, cancellable, other, ret_cancelled);
}

bool thread_wait(struct thread *self, enum ready ready, void *arg, bool cancellable, bool *ret_cancelled)
{
    if (deliver_cancel(self, cancellable, ret_cancelled))
        return true;
    thread_start_waiting(self, ready, arg);
    if (ready >= READY_EVENT && thread_is_ready(self)) { /* it may go on without blocking */
        thread_stop_waiting(self);
        self->state = THREAD_RUNNING;
        return true;
    }
    return block(self, cancellable, NULL, ret_cancelled);
}

bool threads_tick(struct activity *activity, bool *ret_any)
{
    struct thread *thread = activity->first_waiting;
    while (thread && !thread_is_ready(thread))
        thread = thread->next_waiting;
    *ret_any = thread != NULL;
    return !thread || thread_resume(thread, false);
}
