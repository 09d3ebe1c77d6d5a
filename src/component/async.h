/* Asynchronous calls, threads and what they wait for (CanonicalABI.md, "Runtime State"; Concurrency.md).
 *
 *     struct inst     a component instance: its handle table, its threads, who holds it exclusively
 *     struct call     a call from one instance (or the host) into another: Task and Subtask of the specification in one
 *     struct thread   one of a call's threads of execution. It has a stack of its own (a runtime task that nests), or
 * it is *inline*: it runs on its caller's stack, which is so for all synchronous functions struct waitable the handle
 * of a call, or one end of a stream or future
 *
 * Continuations are the nested tasks of runtime/task.h: `thread_resume` runs a thread until it is done or blocks, on
 * top of whoever resumed it. An inline thread cannot leave its caller's stack; when it blocks, other threads of its
 * instance run on top of it until it may go on, and if there are none it traps, as `canon lift` of a synchronous
 * function says.
 *
 * A function that can run guest code or block returns false when the guest must trap; everything up to the host then
 * returns false in turn, and nothing in the store runs any more.
 */
#ifndef MAYFLY_COMPONENT_ASYNC_H
#define MAYFLY_COMPONENT_ASYNC_H

#include "component/canon.h"
#include "runtime/task.h"

struct end;

struct inst {
    struct handles *handles;
    struct thread **threads; /* by index; entry 0 unused, free ones NULL */
    uint32_t thread_count, thread_capacity;
    uint32_t *free_threads, free_thread_count; /* indices, used again last in, first out */
    struct thread *exclusive; /* "exclusive_thread" */
    struct thread *loose;     /* of code that nobody called: start functions, destructors */
    uint32_t waiting_to_enter;
};

enum waitable_kind { WAITABLE_CALL, WAITABLE_STREAM, WAITABLE_FUTURE, WAITABLE_SET, WAITABLE_ERROR };

/* First member of everything that a HANDLE_OTHER entry of a handle table points to. */
struct waitable {
    enum waitable_kind kind;
    uint32_t index; /* in the handle table */
    struct waitable_set *set;
    struct waitable *next, *previous; /* in the set */
    bool has_event, has_sync_waiter;
};

struct waitable_set {
    struct waitable waitable; /* for its kind only */
    struct waitable *first, *last;
    uint32_t waiting; /* threads */
};

enum event_code {
    EVENT_NONE,
    EVENT_SUBTASK,
    EVENT_STREAM_READ,
    EVENT_STREAM_WRITE,
    EVENT_FUTURE_READ,
    EVENT_FUTURE_WRITE,
    EVENT_CANCELLED
};
struct event {
    uint32_t code, index, payload;
};

/* ---- threads ---- */

enum thread_state { THREAD_RUNNING, THREAD_SUSPENDED, THREAD_WAITING };

/* When a waiting thread may go on. */
enum ready {
    READY_NOW,
    READY_ENTER,     /* its call's instance lets it in ("has_backpressure") */
    READY_FREE,      /* nobody holds its instance exclusively */
    READY_EVENT,     /* the waitable has an event */
    READY_SET,       /* a waitable of the set has one */
    READY_SET_FREE,  /* and nobody holds the instance */
    READY_RESOLVED,  /* the call is resolved */
};

struct thread {
    struct task task;
    struct activity *activity;
    struct store *store;
    struct call *call;
    enum thread_state state;
    enum ready ready;
    void *ready_arg;
    bool is_inline, cancellable, cancelled, failed, started, woken;
    uint32_t index;            /* among the instance's threads, or 0 */
    union cell context[2];     /* while it does not run */
    struct thread *switch_to;  /* who goes on instead, when it blocks */
    struct thread *next_waiting, *previous_waiting;
    struct thread *next, *previous; /* of the activity, if it has a stack */
    struct thread *next_of_call;
    uint64_t funcref;          /* thread.new-indirect */
    uint32_t argument;
};

struct inst *inst_of(struct store *store, const struct canon_env *env);
/* The thread that runs in the instance; made if nobody asked before. NULL: no memory, which is raised. */
struct thread *thread_current(struct store *store, struct inst *inst);
/* A thread of the call, suspended; NULL as above. */
struct thread *thread_new(struct store *store, struct call *call, bool is_inline);
bool thread_register(struct thread *thread);
bool thread_unregister(struct thread *thread);
/* Run it until it is done or blocks. */
bool thread_resume(struct thread *thread, bool cancelled);
/* For the running thread: block, letting `switch_to` (or NULL) go on. `ret_cancelled` may be NULL. */
bool thread_suspend(struct thread *self, bool cancellable, struct thread *switch_to, bool *ret_cancelled);
/* Block, but ready to go on. */
bool thread_yield_to(struct thread *self, bool cancellable, struct thread *other, bool *ret_cancelled);
bool thread_wait(struct thread *self, enum ready ready, void *arg, bool cancellable, bool *ret_cancelled);
/* Put a suspended thread among those that wait. */
void thread_start_waiting(struct thread *thread, enum ready ready, void *arg);
void thread_stop_waiting(struct thread *thread);
bool thread_is_ready(const struct thread *thread);
/* The host's loop: let one thread that is ready go on. `ret_any` false: there is none. */
bool threads_tick(struct activity *activity, bool *ret_any);

/* ---- calls ---- */

enum call_state { CALL_INITIAL, CALL_STARTED, CALL_PENDING_CANCEL, CALL_CANCEL_DELIVERED, CALL_RESOLVED };
enum subtask_state {
    SUBTASK_STARTING,
    SUBTASK_STARTED,
    SUBTASK_RETURNED,
    SUBTASK_CANCELLED_BEFORE_STARTED,
    SUBTASK_CANCELLED_BEFORE_RETURNED
};

#define CALL_CELLS 18u

/* How the host calls: instead of adapters. */
struct host_call {
    /* Lower the parameters, and call the function; what it returns goes to cells[0]. */
    bool (*run)(struct call *call, union cell *cells);
    /* Lift what task.return was given. */
    bool (*ret)(struct call *call, union cell *cells);
};

/* A handle of the caller that is lent to a call. */
struct lend {
    struct handle *handle;
    struct lend *next;
};

struct call {
    struct waitable waitable; /* in the caller's handle table */
    struct activity *activity;
    struct store *store;
    const struct canon_env *env;    /* of the import; of inline calls the adapter's; of the host's the export's */
    const struct host_call *host;   /* the host calls */
    void *host_arg;
    uint64_t callback_ref;
    struct str result;              /* text of the result's type */
    const struct image_canon *opts; /* of the callee */
    uint32_t flags;                 /* enum canon_flag */
    struct inst *caller, *inst;     /* caller NULL: the host */
    enum call_state state;
    enum subtask_state subtask;
    bool cancellation_requested, delivered; /* delivered: "resolve_delivered" */
    bool in_table;
    uint32_t references; /* the caller's, and the task's while it has threads */
    uint32_t borrows;    /* handles that the callee has not dropped */
    uint16_t number;     /* as in handle.scope */
    struct lend *lends;
    struct thread *implicit, *threads;
    uint32_t thread_count;
    struct thread *outer_thread; /* inline: who called */
    union cell cells[CALL_CELLS]; /* what the caller passed */
    union cell value;             /* a synchronous caller's flat result */
};

/* The call that code of the thread belongs to; NULL with the trap raised when there is no room. */
struct call *call_new(struct store *store);
void call_release(struct call *call);
static inline bool call_resolved(const struct call *call)
{
    return call->subtask >= SUBTASK_RETURNED;
}
static inline bool call_needs_exclusive(const struct call *call)
{
    return !(call->flags & CANON_ASYNC_LIFT) || (call->flags & CANON_CALLBACK);
}
/* The body of a call's implicit thread. */
bool call_run(struct thread *thread);
/* The host calls: begin, and return when the call is resolved. */
bool call_from_host(struct call *call);
/* "deliver_resolve" */
void call_deliver(struct call *call);
bool call_request_cancellation(struct call *call);
/* A synchronous call on the caller's stack begins or ends. */
bool call_begin_inline(struct store *store, const struct canon_env *env, struct inst *inst, struct call **ret_call);
bool call_end_inline(struct store *store, struct call *call);

/* ---- waitables ---- */

bool waitable_add(struct canon *c, struct waitable *waitable, uint32_t *ret_index);
/* The object at a handle; NULL: there is none of that kind, which is raised. */
struct waitable *waitable_get(struct canon *c, uint32_t index, const char *what);
void waitable_remove(struct canon *c, struct waitable *waitable);
void waitable_join(struct waitable *waitable, struct waitable_set *set);
struct event waitable_take(struct waitable *waitable);
bool waitable_set_has_event(const struct waitable_set *set);
bool waitable_set_wait(struct thread *self, struct waitable_set *set, bool free, bool cancellable, struct event *ret);
struct event end_take(struct end *end);

/* ---- memory ---- */

void *pool_new(struct store *store, size_t size); /* zeroed; NULL with the trap raised */
void pool_free(struct activity *activity, void *object, size_t size);

/* After canon_enter, for built-ins that use memory. */
void builtin_memory(struct canon *c);

/* ---- functions of the host ---- */

host_fn async_call, fuse_begin, fuse_end, fuse_stream, fuse_error;
/* The function of a built-in, or NULL; the second for those in async_wait.c. */
host_fn *async_builtin(uint32_t builtin);
host_fn *async_wait_builtin(uint32_t builtin);
host_fn builtin_task_return, builtin_task_cancel;

/* The readable end at a handle leaves the table: "lift_async_value". */
bool end_lift(struct canon *c, uint32_t index, struct str text, struct end **ret_end);
/* And comes to another. */
bool end_lower(struct canon *c, struct end *end, uint32_t *ret_index);
/* An error context stays where it is, and another one comes to where it goes: nothing is in them. */
bool error_lift(struct canon *c, uint32_t index);
bool error_lower(struct canon *c, uint32_t *ret_index);

#endif
