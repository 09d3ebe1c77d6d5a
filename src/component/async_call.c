/* Calls between component instances that may block: canon lift, canon lower, task.return and task.cancel, and the
 * records of synchronous calls that need one. See async.h; names in quotes are the specification's. */
#include "component/async.h"

#include "runtime/call.h"
#include "runtime/trap.h"

/* ---- records ---- */

static bool take_number(struct store *store, struct activity *activity, struct call *call)
{
    if (!activity->calls)
        activity->calls = ARENA_ARRAY(host_arena(store->host), struct call *, ACTIVITY_CALLS_MAX);
    if (!activity->calls || (!activity->free_call && activity->call_count >= ACTIVITY_CALLS_MAX))
        return trap_raise(store, TRAP_OUT_OF_MEMORY, "more than %u calls between components in progress",
                          ACTIVITY_CALLS_MAX);
    uint32_t number = activity->free_call;
    if (number)
        activity->free_call = (uint32_t)((uintptr_t)activity->calls[number - 1] >> 1);
    else
        number = ++activity->call_count;
    activity->calls[number - 1] = call;
    call->number = (uint16_t)number;
    return true;
}

/* The place holds the next free number, as an odd address. */
static void give_number(struct call *call)
{
    struct activity *activity = call->activity;
    if (!call->number)
        return;
    activity->calls[call->number - 1] = (struct call *)((uintptr_t)activity->free_call << 1 | 1);
    activity->free_call = call->number;
}

struct call *call_new(struct store *store)
{
    struct activity *activity = host_activity(store->host);
    struct call *call = pool_new(store, sizeof *call);
    if (!call)
        return NULL;
    call->activity = activity;
    call->store = store;
    call->waitable.kind = WAITABLE_CALL;
    call->references = 1;
    return call;
}

void call_release(struct call *call)
{
    if (--call->references)
        return;
    give_number(call);
    pool_free(call->activity, call, sizeof *call);
}

void canon_borrow_dropped(struct canon *c, const struct handle *handle)
{
    const struct activity *activity = c->host ? host_activity(c->host) : NULL;
    struct call *call = NULL;
    if (activity && handle->scope && handle->scope <= activity->call_count)
        call = activity->calls[handle->scope - 1];
    if (call && !((uintptr_t)call & 1) && call->borrows)
        call->borrows--;
}

/* ---- resolving ---- */

void call_deliver(struct call *call)
{
    while (call->lends) {
        struct lend *lend = call->lends;
        call->lends = lend->next;
        canon_return(lend->handle);
        pool_free(call->activity, lend, sizeof *lend);
    }
    call->delivered = true;
}

/* The caller learns of it by an event once it has a handle. */
static void set_subtask(struct call *call, enum subtask_state state)
{
    call->subtask = state;
    call->waitable.has_event |= call->in_table;
}

static bool may_resolve(struct call *call)
{
    if (call->borrows)
        return trap_raise(call->store, TRAP_HOST, "borrow handles still remain at the end of the call");
    return true;
}

static bool resolve_returned(struct call *call)
{
    set_subtask(call, SUBTASK_RETURNED);
    call->state = CALL_RESOLVED;
    return true;
}

/* "Task.cancel" */
static bool resolve_cancelled(struct call *call)
{
    if (call->state != CALL_CANCEL_DELIVERED)
        return trap_raise(call->store, TRAP_HOST, "task.cancel by a task that was not asked to");
    if (!may_resolve(call))
        return false;
    set_subtask(call, call->subtask == SUBTASK_STARTING ? SUBTASK_CANCELLED_BEFORE_STARTED
                                                        : SUBTASK_CANCELLED_BEFORE_RETURNED);
    call->state = CALL_RESOLVED;
    return true;
}

/* ---- canon lift ---- */

/* Who holds the instance may be able to go on by now: then it does, before somebody is told to wait for it. */
static bool let_holder_go_on(struct call *call)
{
    struct inst *inst = call->inst;
    while (call_needs_exclusive(call) && inst->exclusive && thread_is_ready(inst->exclusive))
        if (!thread_resume(inst->exclusive, false))
            return false;
    return true;
}

/* "enter_implicit_thread". `ret_entered` false: cancelled before it began. */
static bool enter_implicit(struct thread *thread, bool *ret_entered)
{
    struct call *call = thread->call;
    struct inst *inst = call->inst;
    bool exclusive = call_needs_exclusive(call), cancelled = false;
    *ret_entered = false;
    if (!let_holder_go_on(call))
        return false;
    if (inst->handles->backpressure || (exclusive && inst->exclusive) || inst->waiting_to_enter) {
        inst->waiting_to_enter++;
        thread_start_waiting(thread, READY_ENTER, NULL);
        thread->cancellable = true;
        task_suspend();
        thread->cancellable = false;
        cancelled = thread->cancelled;
        inst->waiting_to_enter--;
    }
    if (cancelled)
        return resolve_cancelled(call);
    if (exclusive)
        inst->exclusive = thread;
    *ret_entered = true;
    return thread_register(thread);
}

static bool exit_implicit(struct thread *thread)
{
    struct call *call = thread->call;
    if (!thread_unregister(thread))
        return false;
    if (call_needs_exclusive(call))
        call->inst->exclusive = NULL;
    return true;
}

/* What the callback's caller said to wait for. */
static bool next_event(struct thread *thread, uint32_t packed, struct event *ret)
{
    struct call *call = thread->call;
    struct canon c = {
        .store = call->store, .env = call->env, .host = call->store->host, .handles = call->inst->handles};
    bool cancelled = false;
    *ret = (struct event){0};
    if ((packed & 0xf) == 1) { /* YIELD */
        if (!thread_wait(thread, READY_FREE, NULL, true, &cancelled))
            return false;
        ret->code = cancelled ? EVENT_CANCELLED : EVENT_NONE;
        return true;
    }
    struct waitable *set = waitable_get(&c, packed >> 4, "waitable set");
    if (!set)
        return false;
    return waitable_set_wait(thread, (struct waitable_set *)set, true, true, ret);
}

/* The event loop of a callback: "code" of its packed result is 0 EXIT, 1 YIELD, 2 WAIT. */
static bool run_callback(struct thread *thread, uint32_t packed)
{
    struct call *call = thread->call;
    while ((packed & 0xf) != 0) {
        struct event event;
        uint64_t result;
        if ((packed & 0xf) > 2)
            return trap_raise(call->store, TRAP_HOST, "unsupported callback code %u", packed & 0xf);
        call->inst->exclusive = NULL;
        if (!next_event(thread, packed, &event))
            return false;
        call->inst->exclusive = thread;
        const uint64_t params[] = {event.code, event.index, event.payload};
        if (!guest_call_ints(call->store, call->callback_ref, params, 3, &result))
            return false;
        packed = (uint32_t)result;
    }
    return true;
}

/* Parameters, and the callee's core function. */
static bool run_callee(struct call *call, union cell *cells)
{
    const struct canon_env *env = call->env;
    if (call->host)
        return call->host->run(call, cells);
    uint8_t types[CALL_CELLS + 1];
    uint32_t params = env->param_count, results = 0;
    memcpy(types, env->types, params);
    if (call->flags & CANON_CALLBACK)
        types[params + results++] = WASM_I32;
    else if (!(call->flags & CANON_ASYNC_LIFT) && !(call->flags & CANON_ASYNC) && env->result_count)
        types[params + results++] = env->types[params];
    return guest_call(call->store, env->run_ref, types, params, results, cells);
}

bool call_run(struct thread *thread)
{
    struct call *call = thread->call;
    union cell cells[CALL_CELLS] = {0};
    bool entered;
    if (!enter_implicit(thread, &entered))
        return false;
    if (!entered)
        return true;
    call->state = CALL_STARTED;
    set_subtask(call, SUBTASK_STARTED);
    memcpy(cells, call->cells, sizeof call->cells);
    memset(call->inst->handles->context, 0, sizeof call->inst->handles->context);
    if (!run_callee(call, cells))
        return false;
    if (!(call->flags & CANON_ASYNC_LIFT)) {
        call->value = cells[0];
        if (!may_resolve(call) || !resolve_returned(call))
            return false;
    } else if ((call->flags & CANON_CALLBACK) && !run_callback(thread, cells[0].u32)) {
        return false;
    }
    return exit_implicit(thread);
}

/* ---- canon lower ---- */

static bool begin(struct call *call)
{
    struct thread *thread = thread_new(call->store, call, false);
    if (!thread)
        return false;
    call->implicit = thread;
    return thread_resume(thread, false);
}

/* The caller waits. */
static bool finish_synchronous(struct call *call, struct thread *self, union cell *v)
{
    if (!call_resolved(call) && !thread_wait(self, READY_RESOLVED, call, false, NULL))
        return false;
    call_deliver(call);
    v[0] = call->value;
    call_release(call);
    return true;
}

static bool finish_asynchronous(struct canon *c, struct call *call, union cell *v)
{
    if (call_resolved(call)) {
        call_deliver(call);
        v[0].u64 = SUBTASK_RETURNED;
        call_release(call);
        return true;
    }
    uint32_t index;
    if (!waitable_add(c, &call->waitable, &index))
        return false;
    call->in_table = true;
    v[0].u64 = (uint64_t)call->subtask | (uint64_t)index << 4;
    return true;
}

bool async_call(struct store *store, const void *env, union cell *v)
{
    const struct canon_env *e = env;
    struct canon c;
    if (!canon_enter(&c, store, env))
        return false;
    if (e->flags & CANON_DONUT)
        return canon_trap(&c, "cannot enter component instance");
    struct inst *caller = inst_of(store, e), *inst = inst_of(store, e->peer);
    struct thread *self = caller ? thread_current(store, caller) : NULL;
    struct call *call = self && inst ? call_new(store) : NULL;
    if (!call || !take_number(store, host_activity(store->host), call))
        return false;
    call->env = e;
    call->caller = caller;
    call->inst = inst;
    call->flags = e->flags;
    call->callback_ref = e->callback_ref;
    call->result = e->signature;
    call->opts = &e->peer->canon;
    memcpy(call->cells, v, e->param_count * sizeof *v);
    if (!begin(call))
        return false;
    return e->flags & CANON_ASYNC ? finish_asynchronous(&c, call, v) : finish_synchronous(call, self, v);
}

bool call_from_host(struct call *call)
{
    bool any = true;
    if (!take_number(call->store, call->activity, call) || !begin(call))
        return false;
    while (call->state != CALL_RESOLVED) {
        if (!threads_tick(call->activity, &any))
            return false;
        if (!any)
            return trap_raise(call->store, TRAP_HOST, "deadlock detected: event loop cannot make further progress");
    }
    return true;
}

/* ---- cancellation ---- */

static struct thread *cancellable_thread(const struct call *call)
{
    bool held = call_needs_exclusive(call) && call->inst->exclusive && call->inst->exclusive != call->implicit;
    for (struct thread *thread = call->threads; thread; thread = thread->next_of_call)
        if (thread->cancellable && !(held && thread == call->implicit))
            return thread;
    return NULL;
}

bool call_request_cancellation(struct call *call)
{
    if (call->state == CALL_INITIAL) {
        call->state = CALL_CANCEL_DELIVERED;
        return thread_resume(call->implicit, true);
    }
    struct thread *thread = cancellable_thread(call);
    call->state = thread ? CALL_CANCEL_DELIVERED : CALL_PENDING_CANCEL;
    return !thread || thread_resume(thread, true);
}

/* ---- task.return and task.cancel ---- */

/* The call whose thread runs; it must be one of an asynchronous lift. */
static struct call *current_call(struct canon *c)
{
    struct inst *inst = inst_of(c->store, c->env);
    struct thread *thread = inst ? thread_current(c->store, inst) : NULL;
    if (!thread)
        return NULL;
    if (thread->call->flags & CANON_ASYNC_LIFT)
        return thread->call;
    canon_trap(c, "the task was not lifted asynchronously");
    return NULL;
}

/* To the caller, through the adapter: what task.return was given, and where it goes. */
static bool give_result(struct call *call, const struct canon_env *from, union cell *v)
{
    const struct canon_env *env = call->env;
    union cell cells[CALL_CELLS];
    uint8_t types[CALL_CELLS + 1];
    uint32_t params = from->param_count, results = 0;
    if (call->host)
        return call->host->ret(call, v);
    memcpy(cells, v, params * sizeof *v);
    memcpy(types, from->types, params);
    if (env->flags & CANON_POINTER) {
        cells[params] = call->cells[env->param_count - 1];
        types[params++] = WASM_I32;
    }
    if (!(env->flags & CANON_ASYNC) && env->result_count)
        types[params + results++] = env->types[env->param_count];
    if (!guest_call(call->store, env->ret_ref, types, params, results, cells))
        return false;
    call->value = cells[0];
    return true;
}

/* task.return needs no memory where no value is in it; the official tests leave it out then. */
static bool same_options(const struct image_canon *own, const struct image_canon *lift)
{
    return (own->memory_off == UINT64_MAX || own->memory_off == lift->memory_off) && own->encoding == lift->encoding;
}

bool builtin_task_return(struct store *store, const void *env, union cell *v)
{
    const struct canon_env *e = env;
    struct canon c;
    if (!canon_enter(&c, store, env))
        return false;
    struct call *call = current_call(&c);
    if (!call)
        return false;
    if (!str_eq(e->signature, call->result) || !same_options(&e->canon, call->opts))
        return canon_trap(&c, "signature or options of task.return are not those of the current task");
    if (call->state == CALL_RESOLVED)
        return canon_trap(&c, "the task has already returned");
    return may_resolve(call) && give_result(call, e, v) && resolve_returned(call);
}

bool builtin_task_cancel(struct store *store, const void *env, union cell *v)
{
    struct canon c;
    if (!canon_enter(&c, store, env))
        return false;
    struct call *call = current_call(&c);
    return call && resolve_cancelled(call);
}

/* ---- synchronous calls that need a record ---- */

bool call_begin_inline(struct store *store, const struct canon_env *env, struct inst *inst, struct call **ret_call)
{
    struct activity *activity = host_activity(store->host);
    struct call *call = inst ? call_new(store) : NULL;
    struct thread *thread = call ? thread_new(store, call, true) : NULL;
    if (!thread || !take_number(store, activity, call))
        return false;
    call->env = env;
    call->inst = inst;
    call->state = CALL_STARTED;
    call->implicit = thread;
    call->outer_thread = activity->current;
    activity->current = thread;
    *ret_call = call;
    return thread_register(thread);
}

bool call_end_inline(struct store *store, struct call *call)
{
    struct thread *thread = call->implicit;
    if (!may_resolve(call))
        return false;
    call->state = CALL_RESOLVED;
    call_deliver(call);
    if (!thread_unregister(thread))
        return false;
    call->activity->current = call->outer_thread;
    call->implicit = NULL;
    pool_free(call->activity, thread, sizeof *thread);
    call_release(call); /* the thread's */
    call_release(call);
    return true;
}

bool fuse_begin(struct store *store, const void *env, union cell *v)
{
    const struct canon_env *e = env;
    struct call *call;
    return call_begin_inline(store, e, inst_of(store, e->peer), &call);
}

bool fuse_end(struct store *store, const void *env, union cell *v)
{
    return call_end_inline(store, host_activity(store->host)->current->call);
}
