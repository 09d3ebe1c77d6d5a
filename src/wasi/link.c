/* See link.h. */
#include "wasi/link.h"

#include "wasi/gen/common.h"
#include "wasi/gen/interfaces.h"
#include "wasi/offer.h"

#define LINK_BYTES_MAX ((size_t)64 << 20)

void wasi_link_init(struct wasi_link *link)
{
    arena_init(&link->arena, LINK_BYTES_MAX);
    link->missing = 0;
}

void wasi_link_free(struct wasi_link *link)
{
    arena_free(&link->arena);
}

uint32_t wasi_resource_id(struct str interface, struct str name)
{
    const struct host_resource *row = canon_find_resource(host_resources, HOST_RESOURCE_COUNT, interface, name);
    return row ? row->id : RESOURCE_NONE;
}

enum offer wasi_offer(struct str interface, struct str name, struct str signature)
{
    const struct host_function *row = canon_find_function(host_functions, HOST_FUNCTION_COUNT, interface, name);
    if (!row)
        return OFFER_MISSING;
    if (!str_eq(str_of(row->signature), signature))
        return OFFER_OTHER_TYPE;
    return row->glue ? OFFER_HERE : OFFER_MISSING;
}

enum offer wasi_offer_drop(struct str interface, struct str name)
{
    const struct host_resource *row = canon_find_resource(host_resources, HOST_RESOURCE_COUNT, interface, name);
    return row && row->drop ? OFFER_HERE : OFFER_MISSING;
}

/* A function of the host, by name and type. */
static bool resolve_function(struct wasi_link *link, const struct image *image, const struct image_import *import,
                             const struct canon_env *env, host_fn **ret_fn, struct err *err)
{
    const struct host_function *row =
        canon_find_function(host_functions, HOST_FUNCTION_COUNT, env->interface, env->name);
    struct str signature = image_str(image, import->signature);
    if (row && !str_eq(str_of(row->signature), signature)) {
        err_set(err, ERR_LINK, "%.*s %.*s is imported as %.*s", STR_ARG(env->interface), STR_ARG(env->name),
                STR_ARG(signature));
        return err_remedy(err, "this version of mayfly has it as %s", row->signature);
    }
    *ret_fn = row && row->glue ? row->glue : canon_missing;
    link->missing += *ret_fn == canon_missing;
    return true;
}

/* resource.drop of a host resource: its table id, and what releases it. */
static void resolve_drop(struct wasi_link *link, struct canon_env *env, host_fn **ret_fn)
{
    const struct host_resource *row =
        canon_find_resource(host_resources, HOST_RESOURCE_COUNT, env->interface, env->name);
    *ret_fn = row && row->drop ? canon_resource_drop : canon_missing;
    link->missing += *ret_fn == canon_missing;
    env->resource_type = row ? row->id : RESOURCE_NONE;
    env->drop = row ? row->drop : NULL;
}

static uint32_t find_resource(void *arg, struct str interface, struct str name)
{
    (void)arg;
    return wasi_resource_id(interface, name);
}

bool wasi_resolve(void *arg, const struct image *image, const struct image_import *import, host_fn **ret_fn,
                  const void **ret_env, struct err *err)
{
    struct wasi_link *link = arg;
    struct canon_env *env;
    if (!canon_env_make(&link->arena, image, import, find_resource, &env, err))
        return false;
    *ret_env = env;
    bool own_resource = import->resource_type != WASM_NO_INDEX;
    if (import->kind == HOST_LOWERED)
        return resolve_function(link, image, import, env, ret_fn, err);
    if (import->kind == HOST_RESOURCE_DROP && !own_resource) {
        resolve_drop(link, env, ret_fn);
        return true;
    }
    if (!own_resource)
        env->resource_type = wasi_resource_id(env->interface, env->name);
    *ret_fn = canon_link(import);
    if (!*ret_fn) {
        *ret_fn = canon_missing;
        link->missing++;
    }
    return true;
}
