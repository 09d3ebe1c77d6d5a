/* Interfaces that a dependency of a component may not use (src/compose): they are imported under mayfly:denied/, and
 * every function there answers as the interface does that denies something, whatever interface it is.
 *
 * What a function answers is found in its type: of a result its error, by the name of a case that says so; of a list or
 * an option nothing. One that has no such answer traps, and so does whoever makes an object without a result. */
#include "wasi/deny.h"

#include "wasi/object.h"
#include "wit/type.h"

#define NESTED_MAX 16u /* types inside each other that are filled with nothing */

struct denied {
    struct canon_env env; /* first: it is the environment */
    struct func_type func;
    struct flat_func flat;
};

/* Cases of errors, the fittest first. */
static const struct str cases[] = {
    STR("access-denied"),
    STR("HTTP-request-denied"),
    STR("destination-not-allowed"),
    STR("not-permitted"),
    STR("internal-error"),
    STR("unexpected-error"),
    STR("runtime-error"),
    STR("other"),
    STR("other-error"),
    STR("error"),
    STR("io"),
};

bool deny_is(struct str interface)
{
    return str_starts(interface, STR(DENY_PREFIX));
}

bool deny_make(struct arena *arena, const struct canon_env *env, struct str signature, canon_find_fn *find,
               const void **ret_env, struct err *err)
{
    struct denied *denied = ARENA_NEW(arena, struct denied);
    if (!denied)
        return err_memory(err);
    denied->env = *env;
    if (!type_func_parse(signature, arena, find, NULL, &denied->func, err))
        return false;
    type_flatten_func(&denied->func, true, &denied->flat);
    *ret_env = denied;
    return true;
}

/* ---- what goes with the call ---- */

/* An object that is handed over is the callee's, which has no use for it. */
static bool take_handles(struct canon *c, const struct denied *denied, const union cell *v)
{
    uint32_t at = 0;
    if (denied->flat.params_indirect)
        return true;
    for (uint32_t i = 0; i < denied->func.param_count; i++) {
        const struct type *type = denied->func.params[i].type;
        void *rep;
        if (type->kind == TYPE_OWN && !canon_own(c, v[at].u32, type->resource->id, &rep))
            return false;
        at += type->flat_count;
    }
    return true;
}

/* ---- what comes back ---- */

static bool trap(struct canon *c)
{
    return canon_trap(c,
                      "%.*s may not be called: the component that has this dependency lets it inherit nothing of "
                      "the kind",
                      STR_ARG(c->env->name));
}

static bool fill(struct canon *c, const struct type *type, uint8_t *at, bool error, uint32_t depth);

static void store_case(uint8_t *at, const struct type *type, uint32_t number)
{
    memcpy(at, &number, type->discriminant_size); /* little endian */
}

static bool fill_case(struct canon *c, const struct type *type, uint8_t *at, uint32_t number, uint32_t depth)
{
    const struct type *payload = type->items[number].type;
    store_case(at, type, number);
    return !payload || fill(c, payload, at + type->payload_offset, true, depth);
}

static bool fill_error(struct canon *c, const struct type *type, uint8_t *at, uint32_t depth)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (uint32_t k = 0; k < type->count; k++)
            if (str_eq(type->items[k].name, cases[i]))
                return fill_case(c, type, at, k, depth);
    return trap(c);
}

static bool fill_parts(struct canon *c, const struct type *type, uint8_t *at, bool error, uint32_t depth)
{
    uint32_t offset = 0;
    for (uint32_t i = 0; i < type->count; i++) {
        const struct type *part = type->items[i].type;
        offset = (offset + part->align - 1) & ~(part->align - 1);
        if (!fill(c, part, at + offset, error, depth))
            return false;
        offset += part->size;
    }
    return true;
}

/* `error`: it says why nothing was done. The place is in memory, checked. */
static bool fill(struct canon *c, const struct type *type, uint8_t *at, bool error, uint32_t depth)
{
    memset(at, 0, type->size);
    if (depth == NESTED_MAX)
        return trap(c);
    switch (type->kind) {
    case TYPE_RESULT: return fill_case(c, type, at, 1, depth + 1);
    case TYPE_ENUM:
    case TYPE_VARIANT: return error ? fill_error(c, type, at, depth + 1) : trap(c);
    case TYPE_STRING: return !error || canon_store_string(c, at, STR("not permitted to this dependency"));
    case TYPE_RECORD:
    case TYPE_TUPLE: return fill_parts(c, type, at, error, depth + 1);
    case TYPE_OWN:
    case TYPE_BORROW:
    case TYPE_STREAM:
    case TYPE_FUTURE:
    case TYPE_ERROR_CONTEXT: return trap(c);
    default: return true; /* numbers, and nothing of what may be absent */
    }
}

/* A result that fits a core value. */
static bool fill_flat(struct canon *c, const struct type *type, union cell *v)
{
    uint8_t room[16] = {0};
    if (type->size > sizeof room || !fill(c, type, room, false, 0))
        return type->size <= sizeof room ? false : trap(c);
    v[0].u64 = 0;
    memcpy(&v[0].u64, room, type->size < 8 ? type->size : 8);
    return true;
}

bool deny_call(struct store *store, const void *env, union cell *v)
{
    const struct denied *denied = env;
    const struct type *result = denied->func.result;
    struct canon c;
    if (!canon_enter(&c, store, env))
        return false;
    canon_memory(&c);
    host_denied(c.host, PERMIT_INHERIT, STR(""), "a dependency's call of %.*s %.*s", STR_ARG(denied->env.interface),
                STR_ARG(denied->env.name));
    if (!take_handles(&c, denied, v))
        return false;
    bool done = true;
    if (result && denied->flat.result_indirect) {
        uint32_t at = v[denied->flat.param_count - 1].u32;
        done = canon_range(&c, at, result->size, result->align) && fill(&c, result, c.memory + at, false, 0);
    } else if (result) {
        done = fill_flat(&c, result, v);
    }
    if (done)
        canon_leave(&c);
    return done;
}
