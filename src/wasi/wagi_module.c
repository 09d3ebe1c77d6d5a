/* See wagi.h: core modules of WASI 0.1 that answer requests, and those that say what they are as components. Its
 * functions are those of preview1.h, with a face over what components have: standard input is the request's body,
 * standard output the answer, standard error the log, and who waits gives up the processor.
 *
 * What an activity has of it is made at its first call, lives in the host's arena, and closes with the host. */
#include "wasi/wagi.h"

#include "runtime/trap.h"
#include "wasi/gen/wasi_cli.h"
#include "wasi/gen/wasi_clocks.h"
#include "wasi/gen/wasi_io.h"
#include "wasi/link.h"
#include "wasi/preview1_call.h"

#include <errno.h>

#define PIECE ((size_t)4096)         /* of a write that waits */
#define WRITE_MAX ((size_t)65536)    /* of one call: the guest writes the rest itself */

struct host_module {
    struct preview1 p;
    struct host *host;
    struct host_closer closer;
    struct wasi_io_input_stream *in;
    struct wasi_io_output_stream *out[2]; /* standard output, standard error */
    size_t lent; /* descriptors that every activity has from the beginning */
};

/* Of an import: what it calls, and which memory its pointers mean. */
struct module_import {
    const struct preview1_function *function;
    uint64_t memory_off, memory_size_off;
};

static struct host_module *module_of(struct preview1 *p)
{
    return IO_OWNER(p, struct host_module, p);
}

/* ---- the face ---- */

typedef struct wasi_io_streams_stream_error stream_error;

static int error_of(const stream_error *error)
{
    return error->tag == WASI_IO_STREAMS_STREAM_ERROR_CLOSED ? -EPIPE : -EIO;
}

static int read_input(struct preview1 *p, uint64_t size, struct str *ret_bytes)
{
    struct host_module *module = module_of(p);
    struct result_list_u8_wasi_io_streams_stream_error ret = {0};
    if (!wasi_io_streams_input_stream_blocking_read(module->host, module->in, size, &ret))
        return -EINTR;
    if (!ret.err)
        *ret_bytes = (struct str){(const char *)ret.ok.ptr, ret.ok.len};
    return ret.err && ret.error.tag != WASI_IO_STREAMS_STREAM_ERROR_CLOSED ? error_of(&ret.error) : 0;
}

static int64_t write_output(struct preview1 *p, unsigned stream, struct str bytes)
{
    struct host_module *module = module_of(p);
    struct host *h = module->host;
    size_t most = bytes.len < WRITE_MAX ? bytes.len : WRITE_MAX, done = 0;
    while (done < most) {
        struct result_void_wasi_io_streams_stream_error ret = {0};
        struct arena_mark mark = arena_mark(&h->scratch);
        size_t size = most - done < PIECE ? most - done : PIECE;
        const struct list_u8 piece = {(const uint8_t *)bytes.ptr + done, size};
        bool goes_on = wasi_io_streams_output_stream_blocking_write_and_flush(h, module->out[stream - 1], piece, &ret);
        arena_rewind(&h->scratch, mark);
        if (!goes_on)
            return -EINTR;
        if (ret.err)
            return done ? (int64_t)done : error_of(&ret.error);
        done += size;
    }
    return (int64_t)done;
}

static bool is_ready(struct preview1 *p, unsigned stream)
{
    struct host_module *module = module_of(p);
    struct wasi_io_input_stream *in = module->in;
    if (stream == 0)
        return in->closed || !in->kind->ready || in->kind->ready(module->host, in);
    struct wasi_io_output_stream *out = module->out[stream - 1];
    return out->closed || out->kind->room(module->host, out) > 0;
}

static bool wait_until(struct preview1 *p, uint64_t until_ns)
{
    return host_wait(module_of(p)->host, until_ns);
}

static bool read_clock(struct preview1 *p, uint32_t clock, uint64_t *ret_ns)
{
    struct wasi_clocks_wall_clock_datetime wall;
    if (clock)
        return wasi_clocks_monotonic_clock_now(module_of(p)->host, ret_ns);
    if (!wasi_clocks_wall_clock_now(module_of(p)->host, &wall))
        return false;
    *ret_ns = wall.seconds * NS_PER_S + wall.nanoseconds;
    return true;
}

static void *make_room(struct preview1 *p, size_t size)
{
    return arena_alloc(&module_of(p)->host->scratch, size);
}

static const struct preview1_face face = {read_input, write_output, is_ready, wait_until, read_clock, make_room};

/* ---- what it is given ---- */

/* Texts of C, which have no zero byte in them: neither a request nor a manifest has one. */
static bool join(struct host *h, struct str name, struct str value, const char *between, const char **ret)
{
    size_t middle = strlen(between);
    char *text = arena_alloc(&h->arena, name.len + middle + value.len + 1);
    *ret = text;
    if (!text)
        return host_no_memory(h);
    if (name.len)
        memcpy(text, name.ptr, name.len);
    memcpy(text + name.len, between, middle);
    if (value.len)
        memcpy(text + name.len + middle, value.ptr, value.len);
    text[name.len + middle + value.len] = '\0';
    return true;
}

static bool take_arguments(struct host *h, struct preview1_strings *ret)
{
    struct list_str list = {0};
    if (!wasi_cli_environment_get_arguments(h, &list))
        return false;
    const char **items = ARENA_ARRAY(&h->arena, const char *, list.len);
    if (!items)
        return host_no_memory(h);
    for (size_t i = 0; i < list.len; i++)
        if (!join(h, list.ptr[i], STR(""), "", &items[i]))
            return false;
    *ret = (struct preview1_strings){items, (uint32_t)list.len};
    return true;
}

static bool take_environment(struct host *h, struct preview1_strings *ret)
{
    struct list_tuple_str_str list = {0};
    if (!wasi_cli_environment_get_environment(h, &list))
        return false;
    const char **items = ARENA_ARRAY(&h->arena, const char *, list.len);
    if (!items)
        return host_no_memory(h);
    for (size_t i = 0; i < list.len; i++)
        if (!join(h, list.ptr[i].f0, list.ptr[i].f1, "=", &items[i]))
            return false;
    *ret = (struct preview1_strings){items, (uint32_t)list.len};
    return true;
}

static bool take_directories(struct host *h, struct preview1 *p, struct err *err)
{
    for (size_t i = 0; i < h->config->directory_count; i++) {
        const struct host_directory *directory = &h->config->directories[i];
        const char *name;
        if (!join(h, directory->name, STR(""), "", &name))
            return false;
        if (!preview1_lend(p, directory->dir, name, err))
            return host_trap(h, "%s", err->message);
    }
    return true;
}

static void close_module(struct host *h, struct host_closer *closer)
{
    struct host_module *module = IO_OWNER(closer, struct host_module, closer);
    (void)h;
    preview1_free(&module->p);
}

void wagi_module_settle(struct host *h)
{
    struct host_module *module = h->module;
    size_t count = module ? module->p.fds.count : 0, kept = 0;
    for (size_t i = 0; i < count; i++)
        kept += module->p.fds.items[i].kind != PREVIEW1_FREE;
    if (!module || count != module->lent || kept != count)
        return;
    host_disown(&module->closer);
    close_module(h, &module->closer);
    h->module = NULL;
}

/* NULL: trap. */
static struct host_module *make_module(struct host *h)
{
    struct err err = {0};
    struct host_module *module = arena_alloc(&h->arena, sizeof *module);
    if (!module) {
        host_no_memory(h);
        return NULL;
    }
    module->host = h;
    module->closer.close = close_module;
    host_own(h, &module->closer);
    if (!preview1_init_function(&module->p, &face, &err)) {
        host_trap(h, "%s", err.message);
        return NULL;
    }
    if (!wasi_cli_stdin_get_stdin(h, &module->in) || !wasi_cli_stdout_get_stdout(h, &module->out[0]) ||
        !wasi_cli_stderr_get_stderr(h, &module->out[1]) || !take_arguments(h, &module->p.args) ||
        !take_environment(h, &module->p.env) || !take_directories(h, &module->p, &err))
        return NULL;
    module->lent = module->p.fds.count;
    return module;
}

/* ---- calls ---- */

static bool leave(struct host *h, uint32_t status)
{
    h->exited = true;
    h->exit_status = (uint8_t)(status < UINT8_MAX ? status : UINT8_MAX);
    return trap_raise(h->store, TRAP_EXIT, "status %u", status);
}

static bool call(struct store *store, const void *env, union cell *v)
{
    const struct module_import *import = env;
    struct host *h = store->host;
    struct arena_mark mark = arena_mark(&h->scratch);
    if (!guest_goes_on(store))
        return false;
    if (!h->module && !(h->module = make_module(h)))
        return false;
    struct preview1 *p = &h->module->p;
    p->store = store;
    p->memory_off = import->memory_off;
    p->memory_size_off = import->memory_size_off;
    int code = import->function->call(p, v);
    arena_rewind(&h->scratch, mark);
    if (p->exited)
        return leave(h, p->exit_code);
    if (store->trap || !guest_goes_on(store))
        return false;
    v[0].u64 = preview1_errno(code);
    return true;
}

bool wasi_resolve_command(void *arg, const struct image *image, const struct image_import *import, host_fn **ret_fn,
                          const void **ret_env, struct err *err)
{
    return image->header->component ? wasi_resolve(arg, image, import, ret_fn, ret_env, err)
                                    : wasi_resolve_core(arg, image, import, ret_fn, ret_env, err);
}

bool wasi_resolve_core(struct wasi_link *link, const struct image *image, const struct image_import *import,
                       host_fn **ret_fn, const void **ret_env, struct err *err)
{
    struct module_import *made = ARENA_NEW(&link->arena, struct module_import);
    if (!made)
        return err_memory(err);
    if (!(made->function = preview1_find(image, import, err)))
        return false;
    if (image_memories_count(image)) {
        made->memory_off = image_memories(image)[0].base_off;
        made->memory_size_off = image_memories(image)[0].size_off;
    }
    *ret_fn = call;
    *ret_env = made;
    return true;
}
