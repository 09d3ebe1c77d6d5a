/* See canon.h: the parts that are not worth inlining: traps, realloc, handles of the component's own resources,
 * look-up. Strings are in canon_string.c. */
#include "component/canon.h"

#include "runtime/call.h"
#include "runtime/trap.h"
#include "wit/type.h"

#include <stdarg.h>
#include <stdio.h>

uint32_t handle_max = HANDLE_CAPACITY - 1;

/* "message (interface name)" */
bool canon_trap(struct canon *c, const char *format, ...)
{
    char text[sizeof c->store->trap_message];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const struct canon_env *env = c->env;
    if (env->name.len == 0)
        return trap_raise(c->store, TRAP_HOST, "%s", text);
    return trap_raise(c->store, TRAP_HOST, "%s (%.*s %.*s)", text, STR_ARG(env->interface), STR_ARG(env->name));
}

bool canon_trap_leave(struct canon *c)
{
    return canon_trap(c, "cannot leave component instance");
}

bool canon_trap_range(struct canon *c, uint64_t at, uint64_t size, uint32_t align)
{
    if (size > CANON_LENGTH_MAX)
        return canon_trap(c, "%llu bytes: string or list too long", (unsigned long long)size);
    if (at & (align - 1))
        return canon_trap(c, "unaligned pointer 0x%llx", (unsigned long long)at);
    return canon_trap(c, "pointer 0x%llx and %llu bytes: out of bounds of memory", (unsigned long long)at,
                      (unsigned long long)size);
}

bool canon_trap_case(struct canon *c, uint32_t discriminant)
{
    return canon_trap(c, "invalid variant discriminant %u", discriminant);
}

bool canon_trap_char(struct canon *c, uint32_t value)
{
    return canon_trap(c, "0x%x is not a character", value);
}

bool canon_trap_memory(struct canon *c)
{
    return trap_raise(c->store, TRAP_OUT_OF_MEMORY, "no room for the parameters of %.*s", STR_ARG(c->env->name));
}

bool canon_trap_full(struct canon *c)
{
    return canon_trap(c, "more than %u handles", handle_max);
}

bool canon_trap_handle(struct canon *c, uint32_t index, uint32_t type, bool own)
{
    const struct handle *handle = handle_get(c->handles, index);
    if (!handle)
        return canon_trap(c, "unknown handle index %u", index);
    if (handle_kind(handle) == HANDLE_OTHER)
        return canon_trap(c, "handle index %u is not a resource", index);
    if (handle_type(handle) != type)
        return canon_trap(c, "handle index %u is of another resource type", index);
    if (own && handle_kind(handle) != HANDLE_OWN)
        return canon_trap(c, "handle index %u is borrowed, not owned", index);
    return canon_trap(c, "handle index %u is lent", index);
}

bool canon_array(struct canon *c, uint32_t count, size_t size, void **ret_elements)
{
    void *elements = arena_array(c->scratch, count, size);
    if (!elements)
        return canon_trap_memory(c);
    *ret_elements = elements;
    return true;
}

bool canon_borrow_inside(struct canon *c, uint32_t index, uint32_t type, void **ret_rep)
{
    struct canon_lender *lender = ARENA_NEW(c->scratch, struct canon_lender);
    if (!lender)
        return canon_trap_memory(c);
    if (!canon_borrow(c, index, type, &lender->handle, ret_rep))
        return false;
    lender->next = c->lenders;
    c->lenders = lender;
    return true;
}

void canon_return_all(struct canon *c)
{
    for (; c->lenders; c->lenders = c->lenders->next)
        canon_return(c->lenders->handle);
}

/* Functions of the instance that the host calls in between, realloc and destructors, are threads of their own: their
 * storage begins with zeros, and that of the thread which runs in the instance stays (CanonicalABI.md, "Lifting and
 * Lowering Context"; "canon resource.drop"). */
static bool call_between(struct store *store, struct handles *handles, uint64_t ref, const uint64_t *params,
                         uint32_t count, uint64_t *ret_result)
{
    union cell context[2];
    memcpy(context, handles->context, sizeof context);
    memset(handles->context, 0, sizeof context);
    bool ok = guest_call_ints(store, ref, params, count, ret_result);
    memcpy(handles->context, context, sizeof context);
    return ok;
}

/* --- allocation in the guest --- */

static bool call_realloc(struct canon *c, const uint64_t params[4], uint32_t *ret_at)
{
    uint64_t result = 0;
    c->handles->no_leave.u32 = 1;
    bool ok = call_between(c->store, c->handles, c->env->canon.realloc_ref, params, 4, &result);
    c->handles->no_leave.u32 = 0;
    if (ok)
        *ret_at = (uint32_t)result;
    return ok;
}

bool canon_realloc(struct canon *c, uint32_t old, uint32_t old_size, uint32_t align, uint32_t new_size,
                   uint32_t *ret_at)
{
    uint32_t at;
    if (c->env->canon.realloc_ref == 0 || c->memory == NULL)
        return canon_trap(c, "no realloc or memory");
    if (!call_realloc(c, (const uint64_t[4]){old, old_size, align, new_size}, &at))
        return false;
    canon_refresh(c);
    if (at & (align - 1))
        return canon_trap(c, "realloc return: result not aligned");
    if ((uint64_t)at + new_size > c->size)
        return canon_trap(c, "realloc return: beyond end of memory");
    *ret_at = at;
    return true;
}

bool canon_store_list(struct canon *c, uint8_t *to, size_t count, uint32_t size, uint32_t align, uint8_t **ret_elements)
{
    uint32_t at;
    if (count > CANON_LENGTH_MAX || count * size > CANON_LENGTH_MAX)
        return canon_trap(c, "result list of %zu elements is too long", count);
    if (!canon_realloc(c, 0, 0, align, (uint32_t)(count * size), &at))
        return false;
    canon_store_u32(to, at);
    canon_store_u32(to + 4, (uint32_t)count);
    *ret_elements = c->memory + at;
    return true;
}

bool canon_store_bytes(struct canon *c, uint8_t *to, const void *elements, size_t count, uint32_t size, uint32_t align)
{
    uint8_t *at = NULL;
    if (!canon_store_list(c, to, count, size, align, &at))
        return false;
    if (count > 0)
        memcpy(at, elements, count * size);
    return true;
}

/* --- resources --- */

bool canon_resource_new(struct store *store, const void *env, union cell *v)
{
    struct canon c;
    if (!canon_enter(&c, store, env))
        return false;
    uint32_t index = handle_add(c.handles, HANDLE_OWN, c.env->resource_type, v[0].u32);
    if (index == 0)
        return canon_trap_full(&c);
    v[0].u32 = index;
    return true;
}

bool canon_resource_rep(struct store *store, const void *env, union cell *v)
{
    struct canon c = {.store = store, .env = env, .host = store->host, .handles = canon_handles(store, env)};
    const struct handle *handle = handle_get(c.handles, v[0].u32);
    if (!handle || handle_kind(handle) == HANDLE_OTHER || handle_type(handle) != c.env->resource_type)
        return canon_trap_handle(&c, v[0].u32, c.env->resource_type, false);
    v[0].u32 = (uint32_t)handle->rep;
    return true;
}

/* What follows the removal of an own handle. */
static bool destroy(struct canon *c, uint64_t rep)
{
    if (c->env->drop) {
        c->env->drop(c->host, (void *)(uintptr_t)rep);
        return c->store->trap == TRAP_NONE; /* a parent dropped before its children */
    }
    uint64_t ignored = 0;
    return c->env->dtor_ref == 0 ||
           call_between(c->store, canon_handles(c->store, c->env->peer), c->env->dtor_ref, &rep, 1, &ignored);
}

bool canon_resource_drop(struct store *store, const void *env, union cell *v)
{
    struct canon c;
    if (!canon_enter(&c, store, env))
        return false;
    uint32_t index = v[0].u32, type = c.env->resource_type;
    const struct handle *handle = handle_get(c.handles, index);
    bool ok = handle && handle_kind(handle) != HANDLE_OTHER && handle_type(handle) == type && handle->lends == 0;
    if (!ok)
        return canon_trap_handle(&c, index, type, false);
    bool own = handle_kind(handle) == HANDLE_OWN;
    uint64_t rep = handle->rep;
    if (!own)
        canon_borrow_dropped(&c, handle);
    handle_remove(c.handles, index);
    return own ? destroy(&c, rep) : true;
}

/* --- look-up --- */

/* Order of a row's C string against a view. */
static int compare(const char *row, struct str key)
{
    size_t len = strlen(row), common = len < key.len ? len : key.len;
    int order = common ? memcmp(row, key.ptr, common) : 0;
    return order ? order : (len > key.len) - (len < key.len);
}

static int compare_row(const char *interface, const char *name, struct str key_interface, struct str key_name)
{
    int order = compare(interface, key_interface);
    return order ? order : compare(name, key_name);
}

/* Binary search for the first of the rows that begin with `interface` and have a `name`; of those one per version, the
 * first that fits. */
#define FIND(rows, count, interface_, name_)                                                                           \
    do {                                                                                                               \
        size_t at_ = str_find(interface_, '@'), low_ = 0, high_ = (count);                                             \
        struct str key_ = str_slice(interface_, 0, at_);                                                               \
        struct str version_ = str_slice(interface_, at_ + (at_ < interface_.len), interface_.len);                     \
        while (low_ < high_) {                                                                                         \
            size_t middle_ = low_ + (high_ - low_) / 2;                                                                \
            if (compare_row((rows)[middle_].interface, (rows)[middle_].name, key_, name_) < 0)                         \
                low_ = middle_ + 1;                                                                                    \
            else                                                                                                       \
                high_ = middle_;                                                                                       \
        }                                                                                                              \
        for (; low_ < (count); low_++) {                                                                               \
            if (compare_row((rows)[low_].interface, (rows)[low_].name, key_, name_) != 0)                              \
                return NULL;                                                                                           \
            if (version_fits(str_of((rows)[low_].version), version_))                                                  \
                return &(rows)[low_];                                                                                  \
        }                                                                                                              \
        return NULL;                                                                                                   \
    } while (0)

const struct host_function *canon_find_function(const struct host_function *rows, size_t count, struct str interface,
                                                struct str name)
{
    FIND(rows, count, interface, name);
}

const struct host_resource *canon_find_resource(const struct host_resource *rows, size_t count, struct str interface,
                                                struct str name)
{
    FIND(rows, count, interface, name);
}
