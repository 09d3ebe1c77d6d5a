/* See link.h. */
#include "wasi/link.h"

#include "base/nearest.h"
#include "wasi/gen/common.h"
#include "wasi/deny.h"
#include "wasi/gen/interfaces.h"
#include "wasi/offer.h"
#include "wit/type.h"

#define LINK_BYTES_MAX ((size_t)64 << 20)

void wasi_link_init(struct wasi_link *link)
{
    arena_init(&link->arena, LINK_BYTES_MAX);
}

void wasi_link_free(struct wasi_link *link)
{
    arena_free(&link->arena);
}

/* ---- what is not here ---- */

static struct str name_of(struct str interface)
{
    return str_slice(interface, 0, str_find(interface, '@'));
}

/* The interface of this name without its version, or the nearest. */
static struct nearest nearest_interface(struct str interface)
{
    struct nearest nearest = nearest_to(name_of(interface));
    for (size_t i = 0; i < HOST_FUNCTION_COUNT; i++)
        if (host_functions[i].glue)
            nearest_consider(&nearest, str_of(host_functions[i].interface));
    return nearest;
}

/* Of the same version: another one may have the very function. */
static struct str nearest_function(struct str interface, struct str version, struct str name)
{
    struct nearest nearest = nearest_to(name);
    for (size_t i = 0; i < HOST_FUNCTION_COUNT; i++)
        if (host_functions[i].glue && str_eq(str_of(host_functions[i].interface), interface) &&
            str_eq(str_of(host_functions[i].version), version))
            nearest_consider(&nearest, str_of(host_functions[i].name));
    return nearest.found;
}

/* The version that the host has of an interface which it has: the one that fits, or the first; *ret_fits says which. */
static struct str version_of(struct str interface, struct str wanted, bool *ret_fits)
{
    struct str first = {NULL, 0};
    for (size_t i = 0; i < HOST_FUNCTION_COUNT; i++) {
        struct str version = str_of(host_functions[i].version);
        if (!host_functions[i].glue || !str_eq(str_of(host_functions[i].interface), interface))
            continue;
        *ret_fits = version_fits(version, wanted);
        if (*ret_fits)
            return version;
        if (!first.ptr)
            first = version;
    }
    return first;
}

/* What is asynchronous has another name here. */
static const struct elsewhere {
    struct str prefix;
    const char *remedy;
} elsewhere[] = {
    {STR("spin:key-value/"), "its functions are asynchronous, which mayfly does not offer yet: there is "
                             "fermyon:spin/key-value@2.0.0"},
    {STR("spin:variables/"), "its function is asynchronous, which mayfly does not offer yet: there is "
                             "fermyon:spin/variables@2.0.0"},
    {STR("spin:redis/"), "its functions are asynchronous, which mayfly does not offer yet: there is "
                         "fermyon:spin/redis@2.0.0"},
    {STR("spin:mysql/"), "its functions are asynchronous, which mayfly does not offer yet: there is "
                         "fermyon:spin/mysql@2.0.0"},
    {STR("spin:mqtt/"), "its functions are asynchronous, which mayfly does not offer yet: there is "
                        "fermyon:spin/mqtt@2.0.0"},
};

static const char *remedy_elsewhere(struct str interface)
{
    for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++)
        if (str_starts(interface, elsewhere[i].prefix))
            return elsewhere[i].remedy;
    return "compose it with a component that exports this interface";
}

/* What comes close is told with what differs. */
static bool refuse(const struct canon_env *env, const char *what, struct err *err)
{
    struct nearest near = nearest_interface(env->interface);
    bool fits = false;
    size_t at = near.word.len + 1 < env->interface.len ? near.word.len + 1 : env->interface.len;
    err_set(err, ERR_LINK, "%.*s %s%.*s is imported, which mayfly does not have", STR_ARG(env->interface), what,
            STR_ARG(env->name));
    if (!near.found.len)
        return err_remedy(err, "%s", remedy_elsewhere(env->interface));
    struct str version = version_of(near.found, str_slice(env->interface, at, env->interface.len), &fits);
    struct str track = version_track(version);
    if (!str_eq(near.found, near.word))
        return err_remedy(err, "there is %.*s%s%.*s", STR_ARG(near.found), track.len ? "@" : "", STR_ARG(track));
    if (!fits)
        return err_remedy(err, "there is %.*s in version %.*s: build the component for that", STR_ARG(near.found),
                          STR_ARG(track));
    struct str function = nearest_function(near.found, version, env->name);
    if (function.len)
        return err_remedy(err, "%.*s has %.*s", STR_ARG(near.found), STR_ARG(function));
    return err_remedy(err, "mayfly has %.*s@%.*s", STR_ARG(near.found), STR_ARG(version));
}

static const struct host_function *find_function(struct str interface, struct str name)
{
    return canon_find_function(host_functions, HOST_FUNCTION_COUNT, interface, name);
}

static const struct host_resource *find_resource_row(struct str interface, struct str name)
{
    return canon_find_resource(host_resources, HOST_RESOURCE_COUNT, interface, name);
}

uint32_t wasi_resource_id(struct str interface, struct str name)
{
    const struct host_resource *row = find_resource_row(interface, name);
    return row ? row->id : RESOURCE_NONE;
}

enum offer wasi_offer(struct str interface, struct str name, struct str signature)
{
    const struct host_function *row = find_function(interface, name);
    if (!row || !row->glue)
        return OFFER_MISSING;
    return str_eq(str_of(row->signature), signature) ? OFFER_HERE : OFFER_OTHER_TYPE;
}

enum offer wasi_offer_drop(struct str interface, struct str name)
{
    const struct host_resource *row = find_resource_row(interface, name);
    return row && row->drop ? OFFER_HERE : OFFER_MISSING;
}

/* ---- linking ---- */

/* A function of the host, by name and type. */
static bool resolve_function(const struct image *image, const struct image_import *import, const struct canon_env *env,
                             host_fn **ret_fn, struct err *err)
{
    const struct host_function *row = find_function(env->interface, env->name);
    struct str signature = image_str(image, import->signature);
    if (!row || !row->glue)
        return refuse(env, "", err);
    if (!str_eq(str_of(row->signature), signature)) {
        err_set(err, ERR_LINK, "%.*s %.*s is imported as %.*s", STR_ARG(env->interface), STR_ARG(env->name),
                STR_ARG(signature));
        return err_remedy(err, "mayfly has it as %s", row->signature);
    }
    *ret_fn = row->glue;
    return true;
}

/* resource.drop of a host resource: its table id, and what releases it. */
static bool resolve_drop(struct canon_env *env, host_fn **ret_fn, struct err *err)
{
    const struct host_resource *row = find_resource_row(env->interface, env->name);
    *ret_fn = canon_resource_drop;
    if (deny_is(env->interface)) /* there is no such object */
        return true;
    if (!row || !row->drop)
        return refuse(env, "resource ", err);
    env->resource_type = row->id;
    env->drop = row->drop;
    return true;
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
    if (import->kind == HOST_CORE) /* of a module that says what it is as a component */
        return wasi_resolve_core(link, image, import, ret_fn, ret_env, err);
    if (!canon_env_make(&link->arena, image, import, find_resource, &env, err))
        return false;
    *ret_env = env;
    bool own_resource = import->resource_type != WASM_NO_INDEX;
    if (import->kind == HOST_LOWERED && deny_is(env->interface)) {
        *ret_fn = deny_call;
        return deny_make(&link->arena, env, image_str(image, import->signature), find_resource, ret_env, err);
    }
    if (import->kind == HOST_LOWERED)
        return resolve_function(image, import, env, ret_fn, err);
    if (import->kind == HOST_RESOURCE_DROP && !own_resource)
        return resolve_drop(env, ret_fn, err);
    if (!own_resource)
        env->resource_type = wasi_resource_id(env->interface, env->name);
    *ret_fn = canon_link(import);
    return *ret_fn || refuse(env, "", err);
}
