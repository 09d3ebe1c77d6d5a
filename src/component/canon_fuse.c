/* What adapters between component instances ask of the host (fuse.h): handles that go over, calls that borrow, traps.
 * Strings are in transcode.c. The environment's `canon` is of the instance that a value comes from, its peer's of the
 * one that it goes to. The type of a handle is the same on both sides; of the host's own it is known here only. */
#include "component/async.h"
#include "component/component.h"
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
           canon_give(&pair.to, pair.from.env->resource_type, rep, &v[0].u32);
}

/* ---- calls that borrow ---- */

/* Lend the caller's handle to the call at hand until that ends. */
static bool lend_handle(struct pair *pair, uint32_t index, struct call **ret_call, void **ret_rep)
{
    struct store *store = pair->from.store;
    struct call *call = host_activity(store->host)->current->call;
    struct lend *lend = pool_new(store, sizeof *lend);
    if (!lend || !canon_borrow(&pair->from, index, pair->from.env->resource_type, &lend->handle, ret_rep))
        return false;
    lend->next = call->lends;
    call->lends = lend;
    *ret_call = call;
    return true;
}

static bool fuse_borrow(struct store *store, const void *env, union cell *v)
{
    struct pair pair = pair_of(store, env);
    struct call *call;
    void *rep;
    if (!lend_handle(&pair, v[0].u32, &call, &rep))
        return false;
    uint32_t index = handle_add(pair.to.handles, HANDLE_BORROW, pair.from.env->resource_type, (uint64_t)(uintptr_t)rep);
    if (index == 0)
        return canon_trap_full(&pair.to);
    pair.to.handles->entries[index].scope = call->number;
    call->borrows++;
    v[0].u32 = index;
    return true;
}

/* The instance that defines the resource gets its own representation. */
static bool fuse_rep(struct store *store, const void *env, union cell *v)
{
    struct pair pair = pair_of(store, env);
    struct call *call;
    void *rep;
    if (!lend_handle(&pair, v[0].u32, &call, &rep))
        return false;
    v[0].u32 = (uint32_t)(uintptr_t)rep;
    return true;
}

/* ---- linking ---- */

static uint32_t find_nothing(void *arg, struct str interface, struct str name)
{
    return WASM_NO_INDEX;
}

static bool is_stream_row(const struct image_import *import)
{
    return import->kind == HOST_BUILTIN && import->builtin >= BUILTIN_STREAM_NEW &&
           import->builtin <= BUILTIN_FUTURE_DROP_WRITABLE;
}

static bool fill_env(struct arena *arena, const struct image *image, const struct image_import *import,
                     canon_find_fn *find, struct canon_env *env, struct err *err)
{
    *env = (struct canon_env){.canon = import->canon,
                              .interface = image_str(image, import->interface),
                              .name = image_str(image, import->name),
                              .resource_type = import->resource_type,
                              .dtor_ref = import->dtor_ref,
                              .flags = import->flags,
                              .number = import->number,
                              .param_count = import->param_count,
                              .result_count = import->result_count,
                              .types = image_bytes(image) + import->types_first,
                              .run_ref = import->run_ref,
                              .ret_ref = import->ret_ref,
                              .callback_ref = import->callback_ref,
                              .signature = image_str(image, import->signature)};
    return !is_stream_row(import) ||
           type_parse(env->signature, arena, find ? find : find_nothing, NULL, &env->type, err);
}

bool canon_env_make(struct arena *arena, const struct image *image, const struct image_import *import,
                    canon_find_fn *find, struct canon_env **ret_env, struct err *err)
{
    struct canon_env *env = ARENA_NEW(arena, struct canon_env), *peer = NULL;
    bool two = import->kind >= HOST_FUSE_TRAP || import->dtor_ref != 0;
    if (two)
        peer = ARENA_NEW(arena, struct canon_env);
    if (!env || (two && !peer))
        return err_memory(err);
    if (!fill_env(arena, image, import, find, env, err))
        return false;
    if (two) {
        *peer = *env;
        peer->canon = import->peer;
        env->peer = peer;
    }
    *ret_env = env;
    return true;
}

/* Cells that a function of this room reads and writes: parameters, results. A built-in's are those of its signature;
 * '-' is task.return's. */
static bool counts_fit(const struct image_import *import)
{
    static const uint8_t fuse[HOST_KIND_COUNT][2] = {
        [HOST_RESOURCE_DROP] = {1, 0}, [HOST_RESOURCE_NEW] = {1, 1}, [HOST_RESOURCE_REP] = {1, 1},
        [HOST_FUSE_TRAP] = {1, 0},     [HOST_FUSE_STRING] = {2, 2},  [HOST_FUSE_OWN] = {1, 1},
        [HOST_FUSE_BORROW] = {1, 1},   [HOST_FUSE_REP] = {1, 1},     [HOST_FUSE_STREAM] = {1, 1},
        [HOST_FUSE_ERROR] = {1, 1},
    };
    bool pointer = import->flags & CANON_POINTER;
    if (import->kind == HOST_CALL)
        return import->param_count >= pointer && import->param_count < CALL_CELLS && import->result_count <= 1;
    if (import->kind != HOST_BUILTIN)
        return import->param_count == fuse[import->kind][0] && import->result_count == fuse[import->kind][1];
    if (import->builtin >= BUILTIN_COUNT)
        return false;
    struct str signature = str_of(builtin_infos[import->builtin].signature);
    size_t params = str_find(signature, ':');
    if (params == signature.len)
        return import->param_count < CALL_CELLS && import->result_count == 0;
    return import->param_count == params && import->result_count == signature.len - params - 1;
}

host_fn *canon_link(const struct image_import *import)
{
    static host_fn *const functions[HOST_KIND_COUNT] = {
        [HOST_RESOURCE_DROP] = canon_resource_drop,
        [HOST_RESOURCE_NEW] = canon_resource_new,
        [HOST_RESOURCE_REP] = canon_resource_rep,
        [HOST_FUSE_TRAP] = fuse_trap_now,
        [HOST_FUSE_STRING] = fuse_string,
        [HOST_FUSE_OWN] = fuse_own,
        [HOST_FUSE_BORROW] = fuse_borrow,
        [HOST_FUSE_REP] = fuse_rep,
        [HOST_FUSE_STREAM] = fuse_stream,
        [HOST_FUSE_ERROR] = fuse_error,
        [HOST_FUSE_BEGIN] = fuse_begin,
        [HOST_FUSE_END] = fuse_end,
        [HOST_CALL] = async_call,
    };
    if (import->kind >= HOST_KIND_COUNT || !counts_fit(import))
        return NULL;
    return import->kind == HOST_BUILTIN ? async_builtin(import->builtin) : functions[import->kind];
}
