/* Waitables, waitable sets, subtasks and threads as built-ins (CanonicalABI.md, "Canonical Definitions"). */
#include "component/async.h"
#include "component/component.h"

#include "runtime/trap.h"

/* ---- handles of what is no resource ---- */

void builtin_memory(struct canon *c)
{
    if (c->env->canon.memory_off == UINT64_MAX)
        return;
    c->memory = (uint8_t *)c->store + c->env->canon.memory_off;
    canon_refresh(c);
}

bool waitable_add(struct canon *c, struct waitable *waitable, uint32_t *ret_index)
{
    uint32_t index = handle_add(c->handles, HANDLE_OTHER, 0, (uint64_t)(uintptr_t)waitable);
    if (index == 0)
        return canon_trap_full(c);
    waitable->index = index;
    *ret_index = index;
    return true;
}

void waitable_remove(struct canon *c, struct waitable *waitable)
{
    handle_remove(c->handles, waitable->index);
    waitable->index = 0;
}

static struct waitable *object_at(struct canon *c, uint32_t index)
{
    const struct handle *handle = handle_get(c->handles, index);
    if (handle && handle_kind(handle) == HANDLE_OTHER)
        return (struct waitable *)(uintptr_t)handle->rep;
    return NULL;
}

static const char *const kind_words[] = {
    [WAITABLE_CALL] = "subtask",     [WAITABLE_STREAM] = "stream",       [WAITABLE_FUTURE] = "future",
    [WAITABLE_SET] = "waitable set", [WAITABLE_ERROR] = "error context",
};

/* `what`: a kind's words, or "waitable" for any that can be waited for. */
struct waitable *waitable_get(struct canon *c, uint32_t index, const char *what)
{
    struct waitable *object = object_at(c, index);
    bool any = strcmp(what, "waitable") == 0 && object && object->kind <= WAITABLE_FUTURE;
    if (object && (any || strcmp(kind_words[object->kind], what) == 0))
        return object;
    if (!handle_get(c->handles, index))
        canon_trap(c, "unknown handle index %u", index);
    else
        canon_trap(c, "handle index %u is no %s", index, what);
    return NULL;
}

void waitable_join(struct waitable *waitable, struct waitable_set *set)
{
    struct waitable_set *old = waitable->set;
    if (old) {
        *(waitable->previous ? &waitable->previous->next : &old->first) = waitable->next;
        *(waitable->next ? &waitable->next->previous : &old->last) = waitable->previous;
    }
    waitable->set = set;
    waitable->next = NULL;
    waitable->previous = set ? set->last : NULL;
    if (!set)
        return;
    *(set->last ? &set->last->next : &set->first) = waitable;
    set->last = waitable;
}

struct event waitable_take(struct waitable *waitable)
{
    waitable->has_event = false;
    if (waitable->kind != WAITABLE_CALL)
        return end_take((struct end *)waitable);
    struct call *call = (struct call *)waitable;
    if (call_resolved(call))
        call_deliver(call);
    return (struct event){EVENT_SUBTASK, waitable->index, call->subtask};
}

/* ---- sets ---- */

bool waitable_set_has_event(const struct waitable_set *set)
{
    for (const struct waitable *w = set->first; w; w = w->next)
        if (w->has_event)
            return true;
    return false;
}

/* The set's first event; its waitable goes to the end, so that others get their turn. */
static struct event take_event(struct waitable_set *set)
{
    struct waitable *w = set->first;
    while (!w->has_event)
        w = w->next;
    waitable_join(w, set);
    return waitable_take(w);
}

bool waitable_set_wait(struct thread *self, struct waitable_set *set, bool free, bool cancellable, struct event *ret)
{
    bool cancelled = false;
    set->waiting++;
    if (!thread_wait(self, free ? READY_SET_FREE : READY_SET, set, cancellable, &cancelled))
        return false;
    set->waiting--;
    *ret = cancelled ? (struct event){.code = EVENT_CANCELLED} : take_event(set);
    return true;
}

static bool set_new(struct store *store, const void *env, union cell *v)
{
    struct canon c;
    if (!canon_enter(&c, store, env))
        return false;
    struct waitable_set *set = pool_new(store, sizeof *set);
    if (!set)
        return false;
    set->waitable.kind = WAITABLE_SET;
    return waitable_add(&c, &set->waitable, &v[0].u32);
}

/* "unpack_event": the code is the result, the rest goes to memory. */
static bool put_event(struct canon *c, const struct event *event, uint32_t at, union cell *v)
{
    builtin_memory(c);
    if (!canon_range(c, at, 8, 4))
        return false;
    canon_store_u32(c->memory + at, event->index);
    canon_store_u32(c->memory + at + 4, event->payload);
    v[0].u64 = event->code;
    return true;
}

static bool set_wait(struct store *store, const void *env, union cell *v)
{
    struct canon c;
    struct event event;
    if (!canon_enter(&c, store, env))
        return false;
    struct waitable *set = waitable_get(&c, v[0].u32, "waitable set");
    struct inst *inst = inst_of(store, c.env);
    struct thread *self = set && inst ? thread_current(store, inst) : NULL;
    return self &&
           waitable_set_wait(self, (struct waitable_set *)set, false, c.env->flags & CANON_CANCELLABLE, &event) &&
           put_event(&c, &event, v[1].u32, v);
}

static bool set_poll(struct store *store, const void *env, union cell *v)
{
    struct canon c;
    struct event event = {EVENT_NONE, 0, 0};
    if (!canon_enter(&c, store, env))
        return false;
    struct waitable_set *set = (struct waitable_set *)waitable_get(&c, v[0].u32, "waitable set");
    struct inst *inst = inst_of(store, c.env);
    struct thread *self = set && inst ? thread_current(store, inst) : NULL;
    if (!self)
        return false;
    if ((c.env->flags & CANON_CANCELLABLE) && self->call->state == CALL_PENDING_CANCEL) {
        self->call->state = CALL_CANCEL_DELIVERED;
        event.code = EVENT_CANCELLED;
    } else if (waitable_set_has_event(set)) {
        event = take_event(set);
    }
    return put_event(&c, &event, v[1].u32, v);
}

static bool set_drop(struct store *store, const void *env, union cell *v)
{
    struct canon c;
    if (!canon_enter(&c, store, env))
        return false;
    struct waitable_set *set = (struct waitable_set *)waitable_get(&c, v[0].u32, "waitable set");
    if (!set)
        return false;
    if (set->first)
        return canon_trap(&c, "cannot drop waitable set with waitables in it");
    if (set->waiting)
        return canon_trap(&c, "cannot drop waitable set with waiters");
    waitable_remove(&c, &set->waitable);
    pool_free(host_activity(store->host), set, sizeof *set);
    return true;
}

static bool join(struct store *store, const void *env, union cell *v)
{
    struct canon c;
    if (!canon_enter(&c, store, env))
        return false;
    struct waitable *waitable = waitable_get(&c, v[0].u32, "waitable"), *set = NULL;
    if (!waitable)
        return false;
    if (waitable->has_sync_waiter)
        return canon_trap(&c, "waitable cannot be used synchronously while added to a waitable set");
    if (v[1].u32 && !(set = waitable_get(&c, v[1].u32, "waitable set")))
        return false;
    waitable_join(waitable, (struct waitable_set *)set);
    return true;
}

/* ---- subtasks ---- */

static bool subtask_cancel(struct store *store, const void *env, union cell *v)
{
    struct canon c;
    if (!canon_enter(&c, store, env))
        return false;
    struct call *call = (struct call *)waitable_get(&c, v[0].u32, "subtask");
    struct inst *inst = inst_of(store, c.env);
    struct thread *self = call && inst ? thread_current(store, inst) : NULL;
    if (!self)
        return false;
    if (call->delivered)
        return canon_trap(&c, "cannot cancel a subtask which has resolved");
    if (call->cancellation_requested)
        return canon_trap(&c, "cannot cancel a subtask twice");
    if (call->waitable.set && !(c.env->flags & CANON_ASYNC))
        return canon_trap(&c, "waitable cannot be used synchronously while added to a waitable set");
    if (!call_resolved(call)) {
        call->cancellation_requested = true;
        if (!call_request_cancellation(call))
            return false;
        if (!call_resolved(call) && (c.env->flags & CANON_ASYNC)) {
            v[0].u64 = UINT32_MAX; /* BLOCKED */
            return true;
        }
        call->waitable.has_sync_waiter = true;
        if (!call_resolved(call) && !thread_wait(self, READY_EVENT, &call->waitable, false, NULL))
            return false;
        call->waitable.has_sync_waiter = false;
    }
    v[0].u64 = waitable_take(&call->waitable).payload;
    return true;
}

static bool subtask_drop(struct store *store, const void *env, union cell *v)
{
    struct canon c;
    if (!canon_enter(&c, store, env))
        return false;
    struct call *call = (struct call *)waitable_get(&c, v[0].u32, "subtask");
    if (!call)
        return false;
    if (!call->delivered)
        return canon_trap(&c, "cannot drop a subtask which has not yet resolved");
    waitable_join(&call->waitable, NULL);
    waitable_remove(&c, &call->waitable);
    call->in_table = false;
    call_release(call);
    return true;
}

/* ---- context and backpressure ---- */

static bool context_get(struct store *store, const void *env, union cell *v)
{
    const struct canon_env *e = env;
    v[0].u64 = canon_handles(store, e)->context[e->number & 1].u64;
    return true;
}

static bool context_set(struct store *store, const void *env, union cell *v)
{
    const struct canon_env *e = env;
    bool wide = e->types[0] == WASM_I64;
    canon_handles(store, e)->context[e->number & 1].u64 = wide ? v[0].u64 : v[0].u32;
    return true;
}

static bool backpressure_inc(struct store *store, const void *env, union cell *v)
{
    struct canon c = {.store = store, .env = env};
    struct handles *handles = canon_handles(store, env);
    return ++handles->backpressure < 1u << 16 || canon_trap(&c, "backpressure overflows");
}

static bool backpressure_dec(struct store *store, const void *env, union cell *v)
{
    struct canon c = {.store = store, .env = env};
    struct handles *handles = canon_handles(store, env);
    return handles->backpressure-- > 0 || canon_trap(&c, "backpressure underflows");
}

/* ---- threads ---- */

/* The running thread, and the other one that the guest names, if it does. */
static struct thread *enter_thread(struct canon *c, struct store *store, const void *env)
{
    struct inst *inst = canon_enter(c, store, env) ? inst_of(store, env) : NULL;
    return inst ? thread_current(store, inst) : NULL;
}

static struct thread *other_thread(struct canon *c, const struct thread *self, uint32_t index, bool suspended)
{
    const struct inst *inst = self->call->inst;
    struct thread *other = index && index < inst->thread_count ? inst->threads[index] : NULL;
    if (!other)
        canon_trap(c, "unknown thread index %u", index);
    else if (suspended && other->state != THREAD_SUSPENDED)
        canon_trap(c, "thread %u is not suspended", index);
    else
        return other;
    return NULL;
}

static bool is_cancellable(const struct canon *c)
{
    return c->env->flags & CANON_CANCELLABLE;
}

static bool thread_index(struct store *store, const void *env, union cell *v)
{
    struct canon c;
    struct thread *self = enter_thread(&c, store, env);
    if (!self)
        return false;
    v[0].u64 = self->index;
    return true;
}

static bool thread_new_indirect(struct store *store, const void *env, union cell *v)
{
    struct canon c;
    struct thread *self = enter_thread(&c, store, env);
    struct thread *made = self ? thread_new(store, self->call, false) : NULL;
    if (!made || !thread_register(made))
        return false;
    made->funcref = v[0].u64;
    made->argument = v[1].u32;
    v[0].u64 = made->index;
    return true;
}

static bool thread_resume_later(struct store *store, const void *env, union cell *v)
{
    struct canon c;
    struct thread *self = enter_thread(&c, store, env);
    struct thread *other = self ? other_thread(&c, self, v[0].u32, true) : NULL;
    if (!other)
        return false;
    thread_start_waiting(other, READY_NOW, NULL);
    return true;
}

static bool do_suspend(struct canon *c, struct thread *self, struct thread *other, union cell *v)
{
    bool cancelled = false;
    if (!thread_suspend(self, is_cancellable(c), other, &cancelled))
        return false;
    v[0].u64 = cancelled;
    return true;
}

/* Another thread, suspended, goes on in its place; it waits until it is its turn again. */
static bool do_yield(struct canon *c, struct thread *self, struct thread *other, union cell *v)
{
    bool cancelled = false;
    if (!thread_yield_to(self, is_cancellable(c), other, &cancelled))
        return false;
    v[0].u64 = cancelled;
    return true;
}

static bool thread_suspend_(struct store *store, const void *env, union cell *v)
{
    struct canon c;
    struct thread *self = enter_thread(&c, store, env);
    return self && do_suspend(&c, self, NULL, v);
}

static bool thread_yield(struct store *store, const void *env, union cell *v)
{
    struct canon c;
    struct thread *self = enter_thread(&c, store, env);
    return self && do_yield(&c, self, NULL, v);
}

static bool thread_suspend_then_resume(struct store *store, const void *env, union cell *v)
{
    struct canon c;
    struct thread *self = enter_thread(&c, store, env);
    struct thread *other = self ? other_thread(&c, self, v[0].u32, true) : NULL;
    return other && do_suspend(&c, self, other, v);
}

static bool thread_yield_then_resume(struct store *store, const void *env, union cell *v)
{
    struct canon c;
    struct thread *self = enter_thread(&c, store, env);
    struct thread *other = self ? other_thread(&c, self, v[0].u32, true) : NULL;
    return other && do_yield(&c, self, other, v);
}

/* The other thread goes on now if it could. */
static struct thread *promoted(struct thread *other)
{
    return thread_is_ready(other) ? other : NULL;
}

static bool thread_suspend_then_promote(struct store *store, const void *env, union cell *v)
{
    struct canon c;
    struct thread *self = enter_thread(&c, store, env);
    struct thread *other = self ? other_thread(&c, self, v[0].u32, false) : NULL;
    return other && do_suspend(&c, self, promoted(other), v);
}

static bool thread_yield_then_promote(struct store *store, const void *env, union cell *v)
{
    struct canon c;
    struct thread *self = enter_thread(&c, store, env);
    struct thread *other = self ? other_thread(&c, self, v[0].u32, false) : NULL;
    return other && do_yield(&c, self, promoted(other), v);
}

host_fn *async_wait_builtin(uint32_t builtin)
{
    static host_fn *const functions[] = {
        [BUILTIN_TASK_RETURN] = builtin_task_return,
        [BUILTIN_TASK_CANCEL] = builtin_task_cancel,
        [BUILTIN_SUBTASK_CANCEL] = subtask_cancel,
        [BUILTIN_SUBTASK_DROP] = subtask_drop,
        [BUILTIN_CONTEXT_GET] = context_get,
        [BUILTIN_CONTEXT_SET] = context_set,
        [BUILTIN_BACKPRESSURE_INC] = backpressure_inc,
        [BUILTIN_BACKPRESSURE_DEC] = backpressure_dec,
        [BUILTIN_WAITABLE_SET_NEW] = set_new,
        [BUILTIN_WAITABLE_SET_WAIT] = set_wait,
        [BUILTIN_WAITABLE_SET_POLL] = set_poll,
        [BUILTIN_WAITABLE_SET_DROP] = set_drop,
        [BUILTIN_WAITABLE_JOIN] = join,
        [BUILTIN_THREAD_INDEX] = thread_index,
        [BUILTIN_THREAD_NEW_INDIRECT] = thread_new_indirect,
        [BUILTIN_THREAD_RESUME_LATER] = thread_resume_later,
        [BUILTIN_THREAD_SUSPEND] = thread_suspend_,
        [BUILTIN_THREAD_YIELD] = thread_yield,
        [BUILTIN_THREAD_SUSPEND_THEN_RESUME] = thread_suspend_then_resume,
        [BUILTIN_THREAD_YIELD_THEN_RESUME] = thread_yield_then_resume,
        [BUILTIN_THREAD_SUSPEND_THEN_PROMOTE] = thread_suspend_then_promote,
        [BUILTIN_THREAD_YIELD_THEN_PROMOTE] = thread_yield_then_promote,
    };
    return builtin < sizeof functions / sizeof *functions ? functions[builtin] : NULL;
}
