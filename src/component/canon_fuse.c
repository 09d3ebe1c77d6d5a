/* What adapters between component instances ask of the host (fuse.h): handles that go over, calls that borrow, traps.
 * Strings are in transcode.c. The environment's `canon` is of the instance that a value comes from, its peer's of the
 * one that it goes to. */
#include "component/canon.h"
#include "component/transcode.h"
#include "runtime/trap.h"

static bool fuse_trap_now(struct store *store, const void *env, union cell *v)
{
    static const char *const messages[] = {
#define FUSE_TRAP(name, message) message,
#include "component/fuse_traps.def"
#undef FUSE_TRAP
    };
    const size_t count = sizeof messages / sizeof *messages;
    struct canon c = {.store = store, .env = env};
    return canon_trap(&c, "%s", v[0].u32 < count ? messages[v[0].u32] : "unknown trap of an adapter");
}

/* Both sides of a handle that goes over. */
struct pair {
    struct canon from, to;
};

static struct pair pair_of(struct store *store, const void *env)
{
    const struct canon_env *e = env;
    struct pair pair = {.from = {.store = store, .env = e, .host = store->host, .handles = canon_handles(store, e)}};
    pair.to = pair.from;
    pair.to.env = e->peer;
    pair.to.handles = canon_handles(store, e->peer);
    return pair;
}

static bool fuse_own(struct store *store, const void *env, union cell *v)
{
    struct pair pair = pair_of(store, env);
    void *rep;
    return canon_own(&pair.from, v[0].u32, pair.from.env->resource_type, &rep) &&
           canon_give(&pair.to, pair.to.env->resource_type, rep, &v[0].u32);
}

/* ---- calls that borrow ---- */

static bool no_memory(struct store *store)
{
    return trap_raise(store, TRAP_OUT_OF_MEMORY, "no room for another call that borrows handles");
}

static struct scope_record *new_scope(struct store *store, struct activity *activity)
{
    struct scope_record *scope = activity->free_scopes;
    if (scope) {
        activity->free_scopes = scope->outer;
        return scope;
    }
    if (!activity->scopes)
        activity->scopes = ARENA_ARRAY(host_arena(store->host), struct scope_record *, ACTIVITY_SCOPES_MAX);
    if (!activity->scopes || activity->scope_count >= ACTIVITY_SCOPES_MAX)
        return NULL;
    scope = ARENA_NEW(host_arena(store->host), struct scope_record);
    if (!scope)
        return NULL;
    activity->scopes[activity->scope_count++] = scope;
    scope->number = (uint16_t)activity->scope_count; /* 0 is no scope */
    return scope;
}

static bool fuse_begin(struct store *store, const void *env, union cell *v)
{
    struct activity *activity = host_activity(store->host);
    struct scope_record *scope = new_scope(store, activity);
    if (!scope)
        return no_memory(store);
    scope->outer = activity->scope;
    scope->lends = NULL;
    scope->borrows = 0;
    activity->scope = scope;
    return true;
}

static bool fuse_end(struct store *store, const void *env, union cell *v)
{
    struct activity *activity = host_activity(store->host);
    struct scope_record *scope = activity->scope;
    struct canon c = {.store = store, .env = env};
    if (scope->borrows)
        return canon_trap(&c, "borrow handles still remain at the end of the call");
    while (scope->lends) {
        struct lend *lend = scope->lends;
        scope->lends = lend->next;
        canon_return(lend->handle);
        lend->next = activity->free_lends;
        activity->free_lends = lend;
    }
    activity->scope = scope->outer;
    scope->outer = activity->free_scopes;
    activity->free_scopes = scope;
    return true;
}

/* Lend the caller's handle until the call at hand ends. */
static bool lend_handle(struct pair *pair, uint32_t index, void **ret_rep)
{
    struct store *store = pair->from.store;
    struct activity *activity = host_activity(store->host);
    struct lend *lend = activity->free_lends;
    if (lend)
        activity->free_lends = lend->next;
    else
        lend = ARENA_NEW(host_arena(store->host), struct lend);
    if (!lend)
        return no_memory(store);
    if (!canon_borrow(&pair->from, index, pair->from.env->resource_type, &lend->handle, ret_rep))
        return false;
    lend->next = activity->scope->lends;
    activity->scope->lends = lend;
    return true;
}

static bool fuse_borrow(struct store *store, const void *env, union cell *v)
{
    struct pair pair = pair_of(store, env);
    struct scope_record *scope = host_activity(store->host)->scope;
    void *rep;
    if (!lend_handle(&pair, v[0].u32, &rep))
        return false;
    uint32_t index = handle_add(pair.to.handles, HANDLE_BORROW, pair.to.env->resource_type, (uint64_t)(uintptr_t)rep);
    if (index == 0)
        return canon_trap_full(&pair.to);
    pair.to.handles->entries[index].scope = scope->number;
    scope->borrows++;
    v[0].u32 = index;
    return true;
}

/* The instance that defines the resource gets its own representation. */
static bool fuse_rep(struct store *store, const void *env, union cell *v)
{
    struct pair pair = pair_of(store, env);
    void *rep;
    if (!lend_handle(&pair, v[0].u32, &rep))
        return false;
    v[0].u32 = (uint32_t)(uintptr_t)rep;
    return true;
}

void canon_borrow_dropped(struct canon *c, const struct handle *handle)
{
    const struct activity *activity = c->host ? host_activity(c->host) : NULL;
    if (activity && handle->scope && handle->scope <= activity->scope_count &&
        activity->scopes[handle->scope - 1]->borrows)
        activity->scopes[handle->scope - 1]->borrows--;
}

/* ---- linking ---- */

bool canon_env_make(struct arena *arena, const struct image *image, const struct image_import *import,
                    struct canon_env **ret_env, struct err *err)
{
    struct canon_env *env = ARENA_NEW(arena, struct canon_env), *peer = NULL;
    bool fused = import->kind >= HOST_FUSE_TRAP;
    if (fused)
        peer = ARENA_NEW(arena, struct canon_env);
    if (!env || (fused && !peer))
        return err_memory(err);
    env->canon = import->canon;
    env->interface = image_str(image, import->interface);
    env->name = image_str(image, import->name);
    env->resource_type = import->resource_type;
    env->dtor_ref = import->dtor_ref;
    if (fused) {
        *peer = *env;
        peer->canon = import->peer;
        env->peer = peer;
    }
    *ret_env = env;
    return true;
}

host_fn *canon_link(const struct image_import *import)
{
    static host_fn *const functions[HOST_KIND_COUNT] = {
        [HOST_RESOURCE_DROP] = canon_resource_drop, [HOST_RESOURCE_NEW] = canon_resource_new,
        [HOST_RESOURCE_REP] = canon_resource_rep,   [HOST_FUSE_TRAP] = fuse_trap_now,
        [HOST_FUSE_STRING] = fuse_string,           [HOST_FUSE_OWN] = fuse_own,
        [HOST_FUSE_BORROW] = fuse_borrow,           [HOST_FUSE_REP] = fuse_rep,
        [HOST_FUSE_BEGIN] = fuse_begin,             [HOST_FUSE_END] = fuse_end,
    };
    return import->kind < HOST_KIND_COUNT ? functions[import->kind] : NULL;
}
