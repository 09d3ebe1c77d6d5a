/* See preview1.h. Linking by name and type, guest memory, and what needs no descriptor; the rest is in preview1_*.c. */
#include "wasi/preview1.h"

#include "runtime/trap.h"
#include "wasi/offer.h"
#include "wasi/preview1_call.h"

#include <errno.h>
#include <sched.h>
#include <sys/random.h>
#include <time.h>

#define WITX_IO 29u
#define WITX_NOTCAPABLE 76u

/* ---- guest memory ---- */

uint8_t *preview1_bytes(const struct preview1 *p, uint64_t ptr, uint64_t size)
{
    uint8_t *store = (uint8_t *)p->store;
    uint64_t limit = p->memory_off ? *(const uint64_t *)(store + p->memory_size_off) : 0;
    return p->memory_off && ptr <= limit && size <= limit - ptr ? store + p->memory_off + ptr : NULL;
}

int preview1_put(const struct preview1 *p, uint64_t ptr, const void *bytes, uint64_t size)
{
    uint8_t *at = preview1_bytes(p, ptr, size);
    if (!at)
        return -EFAULT;
    memcpy(at, bytes, size);
    return 0;
}

int preview1_put_u32(const struct preview1 *p, uint64_t ptr, uint32_t value)
{
    return preview1_put(p, ptr, &value, sizeof value);
}

int preview1_put_u64(const struct preview1 *p, uint64_t ptr, uint64_t value)
{
    return preview1_put(p, ptr, &value, sizeof value);
}

int preview1_take_path(const struct preview1 *p, uint32_t ptr, uint32_t size, char path[PATH_MAX])
{
    const uint8_t *bytes = preview1_bytes(p, ptr, size);
    return bytes ? files_take_path(bytes, size, path) : -EFAULT;
}

/* ---- arguments and environment ---- */

static int strings_sizes(const struct preview1 *p, const struct preview1_strings *s, const union cell *v)
{
    uint32_t bytes = 0;
    for (uint32_t i = 0; i < s->count; i++)
        bytes += (uint32_t)strlen(s->items[i]) + 1;
    int code = preview1_put_u32(p, v[0].u32, s->count);
    return code ? code : preview1_put_u32(p, v[1].u32, bytes);
}

static int strings_get(const struct preview1 *p, const struct preview1_strings *s, const union cell *v)
{
    uint64_t at = v[1].u32;
    int code = 0;
    for (uint32_t i = 0; !code && i < s->count; i++) {
        uint64_t size = strlen(s->items[i]) + 1;
        code = preview1_put_u32(p, v[0].u32 + (uint64_t)4 * i, (uint32_t)at);
        code = code ? code : preview1_put(p, at, s->items[i], size);
        at += size;
    }
    return code;
}

int preview1_args_get(struct preview1 *p, const union cell *v)
{
    return strings_get(p, &p->args, v);
}

int preview1_args_sizes_get(struct preview1 *p, const union cell *v)
{
    return strings_sizes(p, &p->args, v);
}

int preview1_environ_get(struct preview1 *p, const union cell *v)
{
    return strings_get(p, &p->env, v);
}

int preview1_environ_sizes_get(struct preview1 *p, const union cell *v)
{
    return strings_sizes(p, &p->env, v);
}

/* ---- clocks, randomness, the process ---- */

typedef int clock_fn(clockid_t id, struct timespec *ret_time);

static int clock_read(struct preview1 *p, uint32_t id, uint32_t ptr, clock_fn *read_clock)
{
    static const clockid_t ids[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID};
    struct timespec time;
    uint64_t ns;
    if (id >= sizeof ids / sizeof *ids)
        return -EINVAL;
    if (p->face && id > 1) /* what others here take is none of its business */
        return -ENOTSUP;
    if (p->face && read_clock == clock_gettime)
        return p->face->now(p, id, &ns) ? preview1_put_u64(p, ptr, ns) : -EINTR;
    if (read_clock(ids[id], &time) != 0)
        return -errno;
    return preview1_put_u64(p, ptr, (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec);
}

int preview1_clock_res_get(struct preview1 *p, const union cell *v)
{
    return clock_read(p, v[0].u32, v[1].u32, clock_getres);
}

int preview1_clock_time_get(struct preview1 *p, const union cell *v)
{
    return clock_read(p, v[0].u32, v[2].u32, clock_gettime);
}

int preview1_random_get(struct preview1 *p, const union cell *v)
{
    uint8_t *at = preview1_bytes(p, v[0].u32, v[1].u32);
    uint32_t left = v[1].u32;
    if (!at)
        return -EFAULT;
    while (left && guest_goes_on(p->store)) {
        ssize_t n = getrandom(p->bounce, left < PREVIEW1_BOUNCE ? left : PREVIEW1_BOUNCE, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -EIO;
        memcpy(at, p->bounce, (size_t)n);
        at += n;
        left -= (uint32_t)n;
    }
    return 0;
}

int preview1_sched_yield(struct preview1 *p, const union cell *v)
{
    (void)p, (void)v;
    sched_yield();
    return 0;
}

int preview1_proc_exit(struct preview1 *p, const union cell *v)
{
    p->exited = true;
    p->exit_code = v[0].u32;
    return 0;
}

int preview1_proc_raise(struct preview1 *p, const union cell *v)
{
    (void)p, (void)v;
    return -ENOTSUP;
}

/* ---- linking ---- */

uint32_t preview1_errno(int code)
{
    static const struct {
        int host;
        uint32_t witx;
    } rows[] = {
#define ERRNO(host, number) {host, number},
#include "wasi/preview1_errno.def"
#undef ERRNO
        {ENOTCAPABLE, WITX_NOTCAPABLE},
    };
    if (code == 0)
        return 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].host == -code)
            return rows[i].witx;
    return WITX_IO;
}

static const struct preview1_function functions[] = {
#define FUNCTION(name, params, results) {#name, params, results, preview1_##name},
#include "wasi/preview1.def"
#undef FUNCTION
};

static bool call(struct store *store, const void *env, union cell *v)
{
    const struct preview1_function *row = env;
    struct preview1 *p = store->host;
    p->store = store; /* start functions of linked modules come before preview1_begin */
    if (!p->memory_off && p->find_memory)
        p->find_memory(p->find_arg);
    int code = row->call(p, v);
    if (p->exited)
        return trap_raise(store, TRAP_EXIT, NULL);
    if (!guest_goes_on(store))
        return false;
    v[0].u64 = preview1_errno(code);
    return true;
}

static wasm_valtype type_of(char letter)
{
    return letter == 'i' ? WASM_I32 : WASM_I64;
}

static bool types_match(const uint8_t *types, uint32_t count, const char *letters)
{
    if (strlen(letters) != count)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (types[i] != type_of(letters[i]))
            return false;
    return true;
}

static bool values_match(const wasm_valtype *types, uint32_t count, const char *letters)
{
    if (strlen(letters) != count)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (types[i] != type_of(letters[i]))
            return false;
    return true;
}

static const struct preview1_function *find_function(struct str name)
{
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (str_eq(str_of(functions[i].name), name))
            return &functions[i];
    return NULL;
}

static const struct preview1_function *find_import(struct str module, struct str name)
{
    return str_eq(module, STR("wasi_snapshot_preview1")) ? find_function(name) : NULL;
}

bool preview1_is_module(struct str module)
{
    return str_eq(module, STR("wasi_snapshot_preview1")) || str_eq(module, STR("wasi_unstable"));
}

enum offer preview1_offer(struct str module, struct str name, const struct wasm_functype *type)
{
    const struct preview1_function *row = find_import(module, name);
    if (!row)
        return OFFER_MISSING;
    bool same = values_match(type->params, type->param_count, row->params) &&
                values_match(type->results, type->result_count, row->results);
    return same ? OFFER_HERE : OFFER_OTHER_TYPE;
}

const struct preview1_function *preview1_find(const struct image *image, const struct image_import *import,
                                              struct err *err)
{
    struct str module = image_str(image, import->interface), name = image_str(image, import->name);
    const uint8_t *types = image_bytes(image) + import->types_first;
    const struct preview1_function *row = find_import(module, name);
    if (!row) {
        err_set(err, ERR_LINK, "unknown import %.*s.%.*s", STR_ARG(module), STR_ARG(name));
        err_remedy(err, "a module that runs imports from wasi_snapshot_preview1 only");
        return NULL;
    }
    if (types_match(types, import->param_count, row->params) &&
        types_match(types + import->param_count, import->result_count, row->results))
        return row;
    err_set(err, ERR_LINK, "%.*s.%.*s is imported with another type", STR_ARG(module), STR_ARG(name));
    err_remedy(err, "build the module with a current WASI 0.1 library");
    return NULL;
}

bool preview1_resolve(void *arg, const struct image *image, const struct image_import *import, host_fn **ret_fn,
                      const void **ret_env, struct err *err)
{
    (void)arg;
    *ret_fn = call;
    *ret_env = preview1_find(image, import, err);
    return *ret_env != NULL;
}

void preview1_begin(struct preview1 *p, struct store *store, const struct image *image)
{
    p->store = store;
    p->exited = false;
    p->memory_off = image_memories_count(image) ? image_memories(image)[0].base_off : 0;
    p->memory_size_off = image_memories_count(image) ? image_memories(image)[0].size_off : 0;
}
