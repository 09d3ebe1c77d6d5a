/* Streams and futures (CanonicalABI.md, "Stream State", "Future State" and their built-ins), and error contexts.
 *
 * A copy goes straight from the writer's memory to the reader's: one end that finds nobody waits with its buffer (in
 * the guest's memory, whose range was checked), the other one then copies. Elements that are more than numbers are
 * lifted and lowered one by one (datum.h).
 */
#include "component/async.h"
#include "component/component.h"
#include "component/datum.h"

#include "runtime/trap.h"

#define BLOCKED UINT32_MAX
#define CHUNK 65536u             /* elements, between which the guest's deadline counts */
#define COPY_MAX ((1u << 28) - 1) /* elements of one copy: "Buffer.MAX_LENGTH" */

enum copy_state { COPY_IDLE, COPY_COPYING, COPY_CANCELLING, COPY_DONE };
enum copy_result { COPY_COMPLETED, COPY_DROPPED, COPY_CANCELLED };

/* What both ends have in common. */
struct shared {
    bool dropped;
    struct str text; /* of the type */
    const struct type *element;
    struct end *pending; /* the end whose buffer waits */
    struct end *ends[2]; /* readable, writable; NULL: dropped */
};

struct end {
    struct waitable waitable;
    struct shared *shared;
    struct store *store;
    bool readable;
    enum copy_state state;
    /* The buffer of a copy in progress: */
    const struct canon_env *env;
    uint32_t at, progress, length;
    enum copy_result result; /* of the event */
    bool reclaims;           /* taking the event takes the buffer back */
};

static bool is_future(const struct end *end)
{
    return end->waitable.kind == WAITABLE_FUTURE;
}

static const char *words_of(const struct end *end)
{
    return is_future(end) ? "future" : "stream";
}

/* ---- events ---- */

static void set_event(struct end *end, enum copy_result result, bool reclaims)
{
    end->result = result;
    end->reclaims = reclaims;
    end->waitable.has_event = true;
}

struct event end_take(struct end *end)
{
    bool future = is_future(end);
    uint32_t code = future ? (end->readable ? EVENT_FUTURE_READ : EVENT_FUTURE_WRITE)
                           : (end->readable ? EVENT_STREAM_READ : EVENT_STREAM_WRITE);
    if (end->reclaims && end->shared->pending == end)
        end->shared->pending = NULL;
    bool done = end->result == COPY_DROPPED || (future && end->result == COPY_COMPLETED);
    end->state = done ? COPY_DONE : COPY_IDLE;
    uint32_t payload = future ? (uint32_t)end->result : (uint32_t)end->result | end->progress << 4;
    return (struct event){code, end->waitable.index, payload};
}

static void notify_pending(struct shared *shared, enum copy_result result)
{
    struct end *end = shared->pending;
    shared->pending = NULL;
    set_event(end, result, false);
}

/* ---- copying ---- */

static uint32_t remain(const struct end *end)
{
    return end->length - end->progress;
}

static bool is_number(const struct type *type)
{
    return type->kind >= TYPE_S8 && type->kind <= TYPE_F64;
}

static void open_side(struct canon *c, const struct end *end)
{
    struct store *store = end->store;
    *c =
        (struct canon){.store = store, .env = end->env, .host = store->host, .handles = canon_handles(store, end->env)};
    builtin_memory(c);
}

/* `count` elements from one place to the other, which are ranges of two memories. */
static bool copy_range(struct canon *source, struct canon *target, const struct type *type, const uint8_t *from,
                       uint8_t *to, uint32_t count)
{
    bool number = is_number(type);
    size_t size = type->size;
    bool overlap = to < from + count * size && from < to + count * size;
    for (uint32_t i = 0, part; i < count; i += part) {
        part = !number ? 1 : overlap || count - i < CHUNK ? count - i : CHUNK;
        if (number)
            memmove(to + i * size, from + i * size, part * size);
        else if (!datum_move(source, target, type, from + i * size, to + i * size))
            return false;
        if (!guest_goes_on(source->store))
            return false;
    }
    return true;
}

/* `count` elements, which both buffers have. */
static bool copy_elements(struct end *from, struct end *to, uint32_t count)
{
    const struct type *type = from->shared->element;
    struct canon source, target;
    open_side(&source, from);
    open_side(&target, to);
    bool done = true;
    if (type && count)
        done = copy_range(&source, &target, type, source.memory + from->at + (size_t)from->progress * type->size,
                          target.memory + to->at + (size_t)to->progress * type->size, count);
    from->progress += count;
    to->progress += count;
    return done;
}

static bool same_instance(const struct end *a, const struct end *b)
{
    return a->env->canon.handles_off == b->env->canon.handles_off;
}

/* The other end waits with a buffer. */
static bool meet(struct canon *c, struct end *end, struct end *other)
{
    const struct type *element = end->shared->element;
    if (same_instance(end, other) && element && !is_number(element))
        return canon_trap(c, "cannot read from and write to intra-component %s", words_of(end));
    struct end *from = end->readable ? other : end, *to = end->readable ? end : other;
    uint32_t count = remain(from) < remain(to) ? remain(from) : remain(to);
    if (is_future(end)) {
        if (!copy_elements(from, to, 1))
            return false;
        notify_pending(end->shared, COPY_COMPLETED);
        set_event(end, COPY_COMPLETED, false);
        return true;
    }
    if (remain(other) > 0) {
        if (remain(end) > 0) {
            if (!copy_elements(from, to, count))
                return false;
            set_event(other, COPY_COMPLETED, true);
        }
        set_event(end, COPY_COMPLETED, false);
        return true;
    }
    if (!end->readable && end->length == 0 && other->length == 0) {
        set_event(end, COPY_COMPLETED, false);
        return true;
    }
    notify_pending(end->shared, COPY_COMPLETED);
    end->shared->pending = end;
    return true;
}

static bool start_copy(struct canon *c, struct end *end)
{
    struct shared *shared = end->shared;
    if (shared->dropped)
        set_event(end, COPY_DROPPED, false);
    else if (shared->pending)
        return meet(c, end, shared->pending);
    else
        shared->pending = end;
    return true;
}

/* ---- built-ins ---- */

/* The end at the handle, which must be that one and of the built-in's type. */
static struct end *get_end(struct canon *c, uint32_t index, bool readable)
{
    bool future = c->env->type->kind == TYPE_FUTURE;
    struct end *end = (struct end *)waitable_get(c, index, future ? "future" : "stream");
    if (!end)
        return NULL;
    if (end->readable != readable)
        canon_trap(c, "handle index %u is the other end of the %s", index, words_of(end));
    else if (!str_eq(end->shared->text, c->env->signature))
        canon_trap(c, "handle index %u is a %s of another type", index, words_of(end));
    else
        return end;
    return NULL;
}

static struct end *new_end(struct canon *c, struct shared *shared, bool readable, uint32_t *ret_index)
{
    struct end *end = pool_new(c->store, sizeof *end);
    if (!end)
        return NULL;
    end->waitable.kind = c->env->type->kind == TYPE_FUTURE ? WAITABLE_FUTURE : WAITABLE_STREAM;
    end->shared = shared;
    end->store = c->store;
    end->readable = readable;
    end->env = c->env;
    return waitable_add(c, &end->waitable, ret_index) ? end : NULL;
}

static bool end_new(struct store *store, const void *env, union cell *v)
{
    struct canon c;
    uint32_t reader, writer;
    if (!canon_enter(&c, store, env))
        return false;
    struct shared *shared = pool_new(store, sizeof *shared);
    if (!shared)
        return false;
    shared->text = c.env->signature;
    shared->element = c.env->type->element;
    shared->ends[0] = new_end(&c, shared, true, &reader);
    shared->ends[1] = shared->ends[0] ? new_end(&c, shared, false, &writer) : NULL;
    if (!shared->ends[1])
        return false;
    v[0].u64 = (uint64_t)writer << 32 | reader;
    return true;
}

/* "BufferGuestImpl" */
static bool set_buffer(struct canon *c, struct end *end, uint32_t at, uint32_t length)
{
    const struct type *element = end->shared->element;
    if (length > COPY_MAX)
        return canon_trap(c, "a copy of %u elements", length);
    builtin_memory(c);
    if (element && length && !canon_range(c, at, (uint64_t)length * element->size, element->align))
        return false;
    end->env = c->env;
    end->at = at;
    end->length = length;
    end->progress = 0;
    return true;
}

static bool trap_state(struct canon *c, const struct end *end)
{
    static const char *const done[2][2] = {
        {"cannot write to stream after being notified that the readable end dropped",
         "cannot read from stream after being notified that the writable end dropped"},
        {"cannot write to future after previous write succeeded or readable end dropped",
         "cannot read from future after previous read succeeded"},
    };
    if (end->state == COPY_DONE)
        return canon_trap(c, "%s", done[is_future(end)][end->readable]);
    return canon_trap(c, "cannot have concurrent operations active on a future/stream");
}

/* The end's event, or BLOCKED. */
static bool finish_copy(struct canon *c, struct end *end, union cell *v)
{
    if (!end->waitable.has_event) {
        if (c->env->flags & CANON_ASYNC) {
            v[0].u64 = BLOCKED;
            return true;
        }
        struct inst *inst = inst_of(c->store, c->env);
        struct thread *self = inst ? thread_current(c->store, inst) : NULL;
        if (!self)
            return false;
        end->waitable.has_sync_waiter = true;
        if (!thread_wait(self, READY_EVENT, &end->waitable, false, NULL))
            return false;
        end->waitable.has_sync_waiter = false;
    }
    v[0].u64 = waitable_take(&end->waitable).payload;
    return true;
}

/* Whoever waits in the built-in must be the only one who can. */
static bool may_wait(struct canon *c, const struct end *end)
{
    return !end->waitable.set || c->env->flags & CANON_ASYNC ||
           canon_trap(c, "waitable cannot be used synchronously while added to a waitable set");
}

static bool copy(struct store *store, const void *env, union cell *v, bool readable)
{
    struct canon c;
    struct end *end = canon_enter(&c, store, env) ? get_end(&c, v[0].u32, readable) : NULL;
    if (!end)
        return false;
    if (end->state != COPY_IDLE)
        return trap_state(&c, end);
    if (!may_wait(&c, end) || !set_buffer(&c, end, v[1].u32, is_future(end) ? 1 : v[2].u32))
        return false;
    end->state = COPY_COPYING;
    return start_copy(&c, end) && finish_copy(&c, end, v);
}

static bool copy_read(struct store *store, const void *env, union cell *v)
{
    return copy(store, env, v, true);
}

static bool copy_write(struct store *store, const void *env, union cell *v)
{
    return copy(store, env, v, false);
}

static bool cancel(struct store *store, const void *env, union cell *v, bool readable)
{
    struct canon c;
    struct end *end = canon_enter(&c, store, env) ? get_end(&c, v[0].u32, readable) : NULL;
    if (!end)
        return false;
    if (end->state != COPY_COPYING || end->waitable.has_sync_waiter)
        return canon_trap(&c, "cannot cancel what the %s is not doing", words_of(end));
    if (!may_wait(&c, end))
        return false;
    /* A copy that was done in part only is cancelled as well, with what was copied. */
    end->state = COPY_CANCELLING;
    if (end->shared->pending == end && (!end->waitable.has_event || remain(end) > 0))
        notify_pending(end->shared, COPY_CANCELLED);
    return finish_copy(&c, end, v);
}

static bool cancel_read(struct store *store, const void *env, union cell *v)
{
    return cancel(store, env, v, true);
}

static bool cancel_write(struct store *store, const void *env, union cell *v)
{
    return cancel(store, env, v, false);
}

static void free_end(struct activity *activity, struct end *end)
{
    struct shared *shared = end->shared;
    shared->ends[!end->readable] = NULL;
    if (!shared->ends[0] && !shared->ends[1])
        pool_free(activity, shared, sizeof *shared);
    pool_free(activity, end, sizeof *end);
}

static bool drop(struct store *store, const void *env, union cell *v, bool readable)
{
    struct canon c;
    if (!canon_enter(&c, store, env))
        return false;
    struct end *end = get_end(&c, v[0].u32, readable);
    if (!end)
        return false;
    struct shared *shared = end->shared;
    if (end->state == COPY_COPYING || end->state == COPY_CANCELLING)
        return canon_trap(&c, "cannot drop busy %s", words_of(end));
    if (is_future(end) && !readable && end->state != COPY_DONE)
        return canon_trap(&c, "cannot drop future write end without first writing a value");
    if (!shared->dropped) {
        shared->dropped = true;
        if (shared->pending)
            notify_pending(shared, COPY_DROPPED);
    }
    waitable_join(&end->waitable, NULL);
    waitable_remove(&c, &end->waitable);
    free_end(host_activity(store->host), end);
    return true;
}

static bool drop_readable(struct store *store, const void *env, union cell *v)
{
    return drop(store, env, v, true);
}

static bool drop_writable(struct store *store, const void *env, union cell *v)
{
    return drop(store, env, v, false);
}

/* ---- readable ends that go over ---- */

bool end_lift(struct canon *c, uint32_t index, struct str text, struct end **ret_end)
{
    bool future = str_starts(text, STR("future"));
    struct end *end = (struct end *)waitable_get(c, index, future ? "future" : "stream");
    if (!end)
        return false;
    if (!end->readable || !str_eq(end->shared->text, text))
        return canon_trap(c, "handle index %u is no readable end of that type", index);
    if (end->state == COPY_DONE)
        return canon_trap(c, future ? "cannot lift future after previous read succeeded"
                                    : "cannot lift stream after being notified that the writable end dropped");
    if (end->state != COPY_IDLE)
        return canon_trap(c, "cannot remove busy %s", words_of(end));
    if (end->waitable.set)
        return canon_trap(c, "cannot lift %s while it's in a waitable set", words_of(end));
    waitable_remove(c, &end->waitable);
    *ret_end = end;
    return true;
}

bool end_lower(struct canon *c, struct end *end, uint32_t *ret_index)
{
    return waitable_add(c, &end->waitable, ret_index);
}

static void open_pair(struct store *store, const void *env, struct canon *from, struct canon *to)
{
    const struct canon_env *e = env;
    *from = (struct canon){.store = store, .env = e, .host = store->host, .handles = canon_handles(store, e)};
    *to = (struct canon){.store = store, .env = e->peer, .host = store->host, .handles = canon_handles(store, e->peer)};
}

bool fuse_stream(struct store *store, const void *env, union cell *v)
{
    struct canon from, to;
    struct end *end;
    open_pair(store, env, &from, &to);
    return end_lift(&from, v[0].u32, from.env->signature, &end) && end_lower(&to, end, &v[0].u32);
}

/* ---- error contexts: debug messages are dropped, as the specification allows ---- */

static bool error_new(struct store *store, const void *env, union cell *v)
{
    struct canon c;
    return canon_enter(&c, store, env) && error_lower(&c, &v[0].u32);
}

static bool error_message(struct store *store, const void *env, union cell *v)
{
    struct canon c;
    uint32_t to = v[1].u32;
    if (!canon_enter(&c, store, env) || !waitable_get(&c, v[0].u32, "error context"))
        return false;
    builtin_memory(&c);
    uint8_t pair[8];
    if (!canon_range(&c, to, 8, 4) || !canon_store_string(&c, pair, STR("")))
        return false;
    memcpy(c.memory + to, pair, sizeof pair);
    return true;
}

static bool error_drop(struct store *store, const void *env, union cell *v)
{
    struct canon c;
    struct waitable *error = canon_enter(&c, store, env) ? waitable_get(&c, v[0].u32, "error context") : NULL;
    if (!error)
        return false;
    waitable_remove(&c, error);
    pool_free(host_activity(store->host), error, sizeof *error);
    return true;
}

bool error_lift(struct canon *c, uint32_t index)
{
    return waitable_get(c, index, "error context") != NULL;
}

bool error_lower(struct canon *c, uint32_t *ret_index)
{
    struct waitable *error = pool_new(c->store, sizeof *error);
    if (!error)
        return false;
    error->kind = WAITABLE_ERROR;
    return waitable_add(c, error, ret_index);
}

bool fuse_error(struct store *store, const void *env, union cell *v)
{
    struct canon from, to;
    open_pair(store, env, &from, &to);
    return error_lift(&from, v[0].u32) && error_lower(&to, &v[0].u32);
}

host_fn *async_builtin(uint32_t builtin)
{
    static host_fn *const functions[BUILTIN_COUNT] = {
        [BUILTIN_STREAM_NEW] = end_new,
        [BUILTIN_STREAM_READ] = copy_read,
        [BUILTIN_STREAM_WRITE] = copy_write,
        [BUILTIN_STREAM_CANCEL_READ] = cancel_read,
        [BUILTIN_STREAM_CANCEL_WRITE] = cancel_write,
        [BUILTIN_STREAM_DROP_READABLE] = drop_readable,
        [BUILTIN_STREAM_DROP_WRITABLE] = drop_writable,
        [BUILTIN_FUTURE_NEW] = end_new,
        [BUILTIN_FUTURE_READ] = copy_read,
        [BUILTIN_FUTURE_WRITE] = copy_write,
        [BUILTIN_FUTURE_CANCEL_READ] = cancel_read,
        [BUILTIN_FUTURE_CANCEL_WRITE] = cancel_write,
        [BUILTIN_FUTURE_DROP_READABLE] = drop_readable,
        [BUILTIN_FUTURE_DROP_WRITABLE] = drop_writable,
        [BUILTIN_ERROR_CONTEXT_NEW] = error_new,
        [BUILTIN_ERROR_CONTEXT_DEBUG_MESSAGE] = error_message,
        [BUILTIN_ERROR_CONTEXT_DROP] = error_drop,
    };
    if (builtin >= BUILTIN_COUNT)
        return NULL;
    return functions[builtin] ? functions[builtin] : async_wait_builtin(builtin);
}
