/* The canonical ABI at the border between guest and host (CanonicalABI.md): what the generated glue calls.
 *
 * A lowered import is a host function (`host_fn`) whose environment is a `struct canon_env`, filled when the
 * program is linked. Glue opens a `struct canon` on its stack, lifts the parameters, calls the C
 * implementation and lowers the result. Every number that the guest hands over is checked before use:
 * ranges without overflow, alignment, discriminants, UTF-8, handle types. What fails a check traps with
 * TRAP_HOST and a message that names the function.
 *
 * Views: a string or list of scalars given to an implementation points into guest memory (UTF-8 strings; others
 * are transcoded). It is valid until the implementation returns, suspends or calls guest code. Lists of anything
 * else are converted.
 *
 * Scratch memory (`host_scratch`) holds what lifting makes, and an implementation may put there what it returns.
 * Glue rewinds it when the call is over: nothing that outlives the call belongs in it. Calls of one activity
 * nest, they do not overlap.
 *
 * Own handles: lifting one takes it out of the table, and the resource belongs to the implementation from
 * then on, which must keep it reachable from the host object, so that nothing leaks when a later
 * parameter traps. Borrowed ones count as lent until the call is over.
 */
#ifndef MAYFLY_COMPONENT_CANON_H
#define MAYFLY_COMPONENT_CANON_H

#include "base/arena.h"
#include "base/str.h"
#include "component/activity.h"
#include "component/handles.h"
#include "image/format.h"
#include "runtime/trap.h"

/* src/wasi/host.h: the activity that store->host points to. Its scratch memory is an arena of its own, apart from
 * what lives as long as the activity; ending the activity resets it. */
struct host;
struct arena *host_scratch(struct host *host);
/* What lives as long as the activity, and what this room keeps of it. */
struct arena *host_arena(struct host *host);
struct activity *host_activity(struct host *host);

/* Releases a host resource when its own handle is dropped. */
typedef void host_drop(struct host *host, void *rep);

/* The environment of a host function. Lives as long as the program. */
struct canon_env {
    struct image_canon canon;
    struct str interface, name; /* "wasi:io/streams@0.2.12", "[method]output-stream.write" */
    uint32_t resource_type;     /* resource.new, resource.rep, resource.drop */
    uint64_t dtor_ref;          /* resource.drop of the component's own resource; 0: none */
    host_drop *drop;            /* resource.drop of a host resource; NULL: nothing to do */
    const struct canon_env *peer; /* HOST_FUSE_*, HOST_CALL, and where there is a destructor: the same with `canon` of
                                     the instance that it goes to */
    /* HOST_CALL, HOST_BUILTIN: the row's, see struct host_import in image/plan.h. */
    uint32_t flags, number, param_count, result_count;
    const uint8_t *types; /* core types of parameters and results */
    uint64_t run_ref, ret_ref, callback_ref;
    struct str signature;
    const struct type *type; /* of the stream or future */
};

/* What the host offers: rows of the generated tables. `interface` has no version; both tables are sorted by
 * interface, then name, then version. */
struct host_function {
    const char *interface, *version, *name, *signature;
    host_fn *glue; /* NULL: known, but not implemented */
};

struct host_resource {
    const char *interface, *version, *name;
    uint32_t id;
    host_drop *drop; /* NULL: not implemented */
};

/* A handle that a call has borrowed from somewhere inside a parameter. */
struct canon_lender {
    struct handle *handle;
    struct canon_lender *next;
};

struct canon {
    struct store *store;
    const struct canon_env *env;
    struct host *host;
    struct handles *handles;
    uint8_t *memory;
    uint64_t size; /* of the memory, in bytes; read again after each call into the guest */
    struct canon_lender *lenders;
    struct arena *scratch;
    struct arena_mark mark;
};

#define CANON_LENGTH_MAX ((1u << 28) - 1) /* bytes of a string or list */
#define CANON_COLD __attribute__((cold, noinline))

/* Each sets the trap and returns false. The inline callers return a constant, so that compilers see the value. */
bool canon_trap(struct canon *c, const char *format, ...) __attribute__((format(printf, 2, 3))) CANON_COLD;
bool canon_trap_leave(struct canon *c) CANON_COLD;
bool canon_trap_range(struct canon *c, uint64_t at, uint64_t size, uint32_t align) CANON_COLD;
bool canon_trap_case(struct canon *c, uint32_t discriminant) CANON_COLD;
bool canon_trap_char(struct canon *c, uint32_t value) CANON_COLD;
bool canon_trap_handle(struct canon *c, uint32_t index, uint32_t type, bool own) CANON_COLD;
bool canon_trap_memory(struct canon *c) CANON_COLD; /* the host is out of memory */

/* --- the context of a call --- */

static inline struct handles *canon_handles(struct store *store, const struct canon_env *env)
{
    return (struct handles *)((char *)store + env->canon.handles_off);
}

/* After the guest may have run. */
static inline void canon_refresh(struct canon *c)
{
    if (c->memory)
        c->size = *(const uint64_t *)((const char *)c->store + c->env->canon.memory_size_off);
}

/* Begin a call; traps when the instance may not leave, or when the guest's time is over. */
static inline bool canon_enter(struct canon *c, struct store *store, const void *env)
{
    c->store = store;
    c->env = env;
    c->host = store->host;
    c->handles = canon_handles(store, env);
    c->memory = NULL;
    c->size = 0;
    c->lenders = NULL;
    if (!guest_goes_on(store))
        return false;
    if (__builtin_expect(c->handles->no_leave.u32 != 0, 0)) {
        canon_trap_leave(c);
        return false;
    }
    return true;
}

/* For functions that use memory: a component whose options name none fails every range check. Ends with
 * canon_leave; when the call traps, whoever ends the activity empties its scratch memory. */
static inline void canon_memory(struct canon *c)
{
    c->scratch = host_scratch(c->host);
    c->mark = arena_mark(c->scratch);
    if (__builtin_expect(c->env->canon.memory_off == UINT64_MAX, 0))
        return;
    c->memory = (uint8_t *)c->store + c->env->canon.memory_off;
    canon_refresh(c);
}

static inline void canon_leave(struct canon *c)
{
    arena_rewind(c->scratch, c->mark);
}

/* `size` bytes at `at`, aligned to `align` (a power of two), lie in memory. */
static inline bool canon_range(struct canon *c, uint32_t at, uint64_t size, uint32_t align)
{
    if (__builtin_expect((at & (align - 1)) != 0 || (uint64_t)at + size > c->size, 0)) {
        canon_trap_range(c, at, size, align);
        return false;
    }
    return true;
}

/* --- scalars in memory, little endian --- */

#define CANON_SCALAR(name, type)                                                                                       \
    static inline type canon_load_##name(const uint8_t *at)                                                            \
    {                                                                                                                  \
        type value;                                                                                                    \
        memcpy(&value, at, sizeof value);                                                                              \
        return value;                                                                                                  \
    }                                                                                                                  \
    static inline void canon_store_##name(uint8_t *at, type value)                                                     \
    {                                                                                                                  \
        memcpy(at, &value, sizeof value);                                                                              \
    }
CANON_SCALAR(s8, int8_t)
CANON_SCALAR(u8, uint8_t)
CANON_SCALAR(s16, int16_t)
CANON_SCALAR(u16, uint16_t)
CANON_SCALAR(s32, int32_t)
CANON_SCALAR(u32, uint32_t)
CANON_SCALAR(s64, int64_t)
CANON_SCALAR(u64, uint64_t)
CANON_SCALAR(f32, float)
CANON_SCALAR(f64, double)
#undef CANON_SCALAR

/* NaNs lose their payload at the border. */
static inline float canon_f32(float value)
{
    return value == value ? value : __builtin_nanf("");
}

static inline double canon_f64(double value)
{
    return value == value ? value : __builtin_nan("");
}

static inline bool canon_char(struct canon *c, uint32_t value, uint32_t *ret_char)
{
    if (__builtin_expect(value >= 0x110000 || (value >= 0xd800 && value <= 0xdfff), 0)) {
        canon_trap_char(c, value);
        return false;
    }
    *ret_char = value;
    return true;
}

static inline bool canon_case(struct canon *c, uint32_t discriminant, uint32_t count)
{
    if (__builtin_expect(discriminant >= count, 0)) {
        canon_trap_case(c, discriminant);
        return false;
    }
    return true;
}

/* --- strings and lists --- */

/* `units`: code units as the guest gave them, with the tag bit of latin1+utf16. */
bool canon_string(struct canon *c, uint32_t at, uint32_t units, struct str *ret_string);

/* `count` elements of `size` bytes at `at`: a view. A length of 0 gives a valid pointer. */
static inline bool canon_list(struct canon *c, uint32_t at, uint32_t count, uint32_t size, uint32_t align,
                              const void **ret_elements)
{
    uint64_t bytes = (uint64_t)count * size;
    if (__builtin_expect(bytes > CANON_LENGTH_MAX, 0)) {
        canon_trap_range(c, at, bytes, align);
        return false;
    }
    if (!canon_range(c, at, bytes, align))
        return false;
    *ret_elements = c->memory + at;
    return true;
}

/* Room for `count` elements of the implementation's type, zeroed, from scratch memory. */
bool canon_array(struct canon *c, uint32_t count, size_t size, void **ret_elements);

/* The guest's realloc ("cabi_realloc"); the block is checked for alignment and range. The instance cannot leave
 * meanwhile. Memory may have grown afterwards; its base never moves. */
bool canon_realloc(struct canon *c, uint32_t old, uint32_t old_size, uint32_t align, uint32_t new_size,
                   uint32_t *ret_at);

/* Copy a string (UTF-8, made by the host) into the guest in its encoding, and store pointer and units at `to`,
 * a checked place of eight bytes. */
bool canon_store_string(struct canon *c, uint8_t *to, struct str string);

/* Allocate room for `count` elements of `size` bytes, and store pointer and count at `to`. */
bool canon_store_list(struct canon *c, uint8_t *to, size_t count, uint32_t size, uint32_t align,
                      uint8_t **ret_elements);

/* The same with the elements copied as they are. */
bool canon_store_bytes(struct canon *c, uint8_t *to, const void *elements, size_t count, uint32_t size, uint32_t align);

/* --- handles --- */

/* Take an own handle out of the table. */
static inline bool canon_own(struct canon *c, uint32_t index, uint32_t type, void **ret_rep)
{
    struct handle *handle = handle_get(c->handles, index);
    if (__builtin_expect(!handle || handle->what != handle_what(HANDLE_OWN, type) || handle->lends != 0, 0)) {
        canon_trap_handle(c, index, type, true);
        return false;
    }
    *ret_rep = (void *)(uintptr_t)handle->rep;
    handle_remove(c->handles, index);
    return true;
}

/* Borrow from an own or borrow handle. Until canon_return it counts as lent. */
static inline bool canon_borrow(struct canon *c, uint32_t index, uint32_t type, struct handle **ret_handle,
                                void **ret_rep)
{
    struct handle *handle = handle_get(c->handles, index);
    bool ok =
        handle && (handle->what == handle_what(HANDLE_OWN, type) || handle->what == handle_what(HANDLE_BORROW, type));
    if (__builtin_expect(!ok || handle->lends == HANDLE_LENDS_MAX, 0)) {
        canon_trap_handle(c, index, type, false);
        return false;
    }
    handle->lends++;
    *ret_handle = handle;
    *ret_rep = (void *)(uintptr_t)handle->rep;
    return true;
}

static inline void canon_return(struct handle *handle)
{
    handle->lends--;
}

/* The same for a handle inside a list or record: the context keeps the lender until canon_return_all. */
bool canon_borrow_inside(struct canon *c, uint32_t index, uint32_t type, void **ret_rep);
void canon_return_all(struct canon *c);

bool canon_trap_full(struct canon *c) CANON_COLD;

/* Give a resource to the guest. */
static inline bool canon_give(struct canon *c, uint32_t type, void *rep, uint32_t *ret_index)
{
    uint32_t index = handle_add(c->handles, HANDLE_OWN, type, (uint64_t)(uintptr_t)rep);
    if (__builtin_expect(index == 0, 0)) {
        canon_trap_full(c);
        return false;
    }
    *ret_index = index;
    return true;
}

/* --- host functions of their own, with a struct canon_env as environment --- */

bool canon_resource_new(struct store *store, const void *env, union cell *v);
bool canon_resource_rep(struct store *store, const void *env, union cell *v);
bool canon_resource_drop(struct store *store, const void *env, union cell *v);
/* A borrow handle goes: the call that it was lent to has one less. */
void canon_borrow_dropped(struct canon *c, const struct handle *handle);

/* --- linking --- */

/* The environment of an import row, in the arena. The caller completes what only the host knows. `find` gives the ids
 * of the host's resources by name; NULL: it has none. */
typedef uint32_t canon_find_fn(void *arg, struct str interface, struct str name);
bool canon_env_make(struct arena *arena, const struct image *image, const struct image_import *import,
                    canon_find_fn *find, struct canon_env **ret_env, struct err *err);
/* The function of this room for a kind of import, for rows that need nothing of the host; NULL: there is none. */
host_fn *canon_link(const struct image_import *import);

/* --- the tables of the host --- */

/* The row with that interface, of a version that fits the one behind '@' (wit/type.h), and name, or NULL. */
const struct host_function *canon_find_function(const struct host_function *rows, size_t count, struct str interface,
                                                struct str name);
const struct host_resource *canon_find_resource(const struct host_resource *rows, size_t count, struct str interface,
                                                struct str name);

#endif
