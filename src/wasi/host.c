/* See host.h. This file: the life of a host, its memory, waiting. */
#include "wasi/object.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/poison.h"
#include "component/canon.h"
#include "io/idna.h"
#include "runtime/trap.h"
#include "wasi/wagi.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

#define POOL_KEEP 64u
#define WARM_BYTES ((size_t)32000)         /* of a host's arena that stay with it; what is not used is not touched */
#define WARM_SCRATCH_BYTES ((size_t)32000) /* the same of what is needed within one call; most need nothing */
#define SCRATCH_MAX ((size_t)64 << 20)
#define SIZE_STEP 64u

struct arena *host_scratch(struct host *h)
{
    return &h->scratch;
}

struct arena *host_arena(struct host *h)
{
    return &h->arena;
}

struct activity *host_activity(struct host *h)
{
    return &h->activity;
}

/* ---- the pool ---- */

static uint32_t half_of_descriptors(void)
{
    struct rlimit limit;
    bool known = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / 2 < UINT32_MAX;
    return known ? (uint32_t)(limit.rlim_cur / 2) : UINT32_MAX;
}

struct host_pool *host_pool_new(struct io_loop *loop, const struct host_runtime *runtime, struct err *err)
{
    struct host_pool *pool = mem_alloc(1, sizeof *pool);
    if (!pool) {
        err_memory(err);
        return NULL;
    }
    pool->loop = loop;
    if (runtime)
        pool->runtime = *runtime;
    pool->clock_base_ns = clock_now_ns();
    pool->socket_max = half_of_descriptors();
    return pool;
}

static void host_free(struct host *h)
{
    arena_free(&h->arena);
    arena_free(&h->scratch);
    mem_free(h);
}

void host_pool_free(struct host_pool *pool)
{
    if (!pool)
        return;
    while (pool->free) {
        struct host *h = pool->free;
        pool->free = h->next;
        host_free(h);
    }
    io_resolver_free(pool->resolver);
    explicit_bzero(pool->random, sizeof pool->random);
    mem_free(pool);
}

void host_pool_serve(struct host_pool *pool, const struct host_services *services)
{
    pool->services = *services;
}

void host_wake(struct host *h)
{
    if (!h->waiting)
        return;
    h->waiting = false;
    h->pool->runtime.resume(h);
}

static void timer_fired(struct io_timer *timer)
{
    host_wake(IO_OWNER(timer, struct host, timer));
}

/* A new host starts with arenas whose first chunks are large enough for a usual request. */
static struct host *host_make(struct host_pool *pool, size_t memory_max)
{
    struct host *h = mem_alloc(1, sizeof *h);
    if (!h)
        return NULL;
    h->pool = pool;
    h->timer.fired = timer_fired;
    arena_init(&h->arena, memory_max > WARM_BYTES ? memory_max : WARM_BYTES);
    arena_init(&h->scratch, SCRATCH_MAX);
    h->scratch.first_bytes = WARM_SCRATCH_BYTES;
    if (!arena_reserve(&h->arena, WARM_BYTES)) {
        host_free(h);
        return NULL;
    }
    return h;
}

static struct host *host_take(struct host_pool *pool, size_t memory_max)
{
    struct host *h = pool->free;
    if (!h)
        return host_make(pool, memory_max);
    pool->free = h->next;
    pool->free_count--;
    h->arena.max = memory_max > h->arena.used ? memory_max : h->arena.used;
    return h;
}

struct host *host_begin(struct host_pool *pool, const struct host_config *config, struct store *store, void *user)
{
    struct host *h = host_take(pool, config->memory_max ? config->memory_max : HOST_MEMORY_DEFAULT);
    if (!h)
        return NULL;
    arena_reset(&h->arena);
    arena_reset(&h->scratch);
    memset((char *)h + offsetof(struct host, store), 0, sizeof *h - offsetof(struct host, store));
    h->store = store;
    h->config = config;
    h->user = user;
    return h;
}

static void unpoison_spare(struct host *h);

static void host_give(struct host *h)
{
    struct host_pool *pool = h->pool;
    io_timer_stop(pool->loop, &h->timer);
    unpoison_spare(h);
    if (pool->free_count == POOL_KEEP) {
        host_free(h);
        return;
    }
    arena_reset(&h->arena);
    arena_reset(&h->scratch);
    h->next = pool->free;
    pool->free = h;
    pool->free_count++;
}

void *host_user(const struct host *h)
{
    return h->user;
}

bool host_exited(const struct host *h, uint8_t *ret_status)
{
    if (h->exited)
        *ret_status = h->exit_status;
    return h->exited;
}

/* ---- the request ---- */

void host_take_request(struct host *h, const struct http_request *request, const struct http_face *face, void *exchange)
{
    h->request = request;
    h->face = face;
    h->exchange = exchange;
}

static bool give(struct handles *handles, uint32_t type, struct host_node *node, uint32_t *ret_index)
{
    uint32_t index = handle_add(handles, HANDLE_OWN, type, (uint64_t)(uintptr_t)node);
    if (index == 0)
        return false;
    *ret_index = index;
    return true;
}

bool host_give_request(struct host *h, struct handles *handles, uint32_t *ret_request, uint32_t *ret_outparam)
{
    struct wasi_http_incoming_request *request = HOST_NEW(h, struct wasi_http_incoming_request, NULL);
    struct wasi_http_response_outparam *outparam = HOST_NEW(h, struct wasi_http_response_outparam, NULL);
    return request && outparam && give(handles, RESOURCE_WASI_HTTP_INCOMING_REQUEST, &request->node, ret_request) &&
           give(handles, RESOURCE_WASI_HTTP_RESPONSE_OUTPARAM, &outparam->node, ret_outparam);
}

void host_gone_aside(struct host *h)
{
    fields_lose_exchange(h);
    h->gone = true;
    h->exchange = NULL;
    h->request = NULL;
}

void host_gone(struct host *h)
{
    host_gone_aside(h);
    host_interrupt(h, TRAP_CANCELLED);
}

void host_ready(struct host *h)
{
    host_wake(h);
}

void host_interrupt(struct host *h, enum trap trap)
{
    __atomic_store_n(&h->store->interrupt, (uint32_t)trap, __ATOMIC_RELAXED);
    host_wake(h);
}

enum host_outcome host_end(struct host *h, bool trapped)
{
    enum host_outcome outcome;
    activity_end(&h->activity);
    while (h->closers) {
        struct host_closer *closer = h->closers;
        host_disown(closer);
        closer->close(h, closer);
    }
    host_standard_end(h);
    host_text_end(h);
    if (h->config->wagi_argv && h->exchange)
        wagi_end(h, !trapped);
    if (!h->exchange)
        outcome = HOST_ANSWERED;
    else if (trapped && !response_complete(h))
        outcome = h->response_state >= RESPONSE_STREAMING ? HOST_BROKEN : HOST_UNANSWERED;
    else if (h->wagi && h->response_state == RESPONSE_NONE)
        outcome = HOST_UNANSWERED; /* it was said why */
    else
        outcome = response_end(h);
    host_give(h);
    return outcome;
}

const char *host_scope(const struct host *h, char room[TRACE_SCOPE_SIZE])
{
    return trace_scope(h->config->name, h->request ? trace_id(h->request) : (struct str){NULL, 0}, room);
}

/* ---- what has to be released ---- */

void host_own(struct host *h, struct host_closer *closer)
{
    closer->next = h->closers;
    closer->link = &h->closers;
    if (closer->next)
        closer->next->link = &closer->next;
    h->closers = closer;
}

void host_disown(struct host_closer *closer)
{
    if (!closer->link)
        return;
    *closer->link = closer->next;
    if (closer->next)
        closer->next->link = closer->link;
    closer->link = NULL;
}

/* ---- the network ---- */

static struct io_resolver *resolver_of(struct host_pool *pool, const char *name)
{
    struct err err = {0};
    if (!pool->resolver && pool->loop)
        pool->resolver = io_resolver_new(pool->loop, pool->services.name_servers, &err);
    if (!pool->resolver)
        log_line(LOG_ERROR, name, "%s", err.kind ? err.message : "nothing here can wait for a name");
    return pool->resolver;
}

void host_pool_prepare_names(struct host_pool *pool, const char *name)
{
    resolver_of(pool, name);
    io_idna_prepare();
}

struct io_resolver *host_resolver(struct host *h)
{
    return resolver_of(h->pool, h->config->name);
}

/* ---- objects ---- */

void *host_new(struct host *h, size_t size, struct host_node *parent)
{
    uint32_t class = (uint32_t)((size - 1) / SIZE_STEP);
    size_t bytes = (size_t)(class + 1) * SIZE_STEP;
    struct host_node *node = h->free[class];
    if (node) {
        h->free[class] = node->parent;
        unpoison(node, bytes);
        memset(node, 0, bytes);
    } else {
        node = arena_alloc(&h->arena, bytes);
        if (!node) {
            host_no_memory(h);
            return NULL;
        }
    }
    node->size_class = (uint16_t)class;
    node->parent = parent;
    if (parent)
        parent->children++;
    return node;
}

bool host_release(struct host *h, struct host_node *node, const char *what)
{
    if (node->children)
        return host_trap(h, "%s dropped before its %u child resource%s", what, node->children,
                         node->children == 1 ? "" : "s");
    if (node->parent)
        node->parent->children--;
    node->parent = NULL;
    node->released = true;
    return true;
}

void host_node_free(struct host *h, struct host_node *node)
{
    node->parent = h->free[node->size_class];
    h->free[node->size_class] = node;
    poison(node + 1, (node->size_class + 1u) * SIZE_STEP - sizeof *node);
}

void host_drop_node(struct host *h, struct host_node *node, const char *what)
{
    if (host_release(h, node, what))
        host_node_free(h, node);
}

/* ---- bytes of objects ---- */

#define BYTES_MIN ((size_t)16)

static unsigned byte_class(size_t size)
{
    return size <= BYTES_MIN ? 0 : 60u - (unsigned)__builtin_clzl(size - 1);
}

/* NULL: there is none. */
static void *take_spare(struct host *h, unsigned class)
{
    void *bytes = h->spare[class];
    if (!bytes)
        return NULL;
    unpoison(bytes, BYTES_MIN << class);
    memcpy(&h->spare[class], bytes, sizeof(void *));
    return bytes;
}

void *host_bytes_take(struct host *h, size_t size)
{
    unsigned class = byte_class(size);
    if (class >= HOST_BYTE_CLASSES)
        return arena_alloc(&h->arena, size);
    void *bytes = take_spare(h, class);
    return bytes ? bytes : arena_alloc(&h->arena, BYTES_MIN << class);
}

void *host_bytes_left(struct host *h, size_t least, size_t *ret_size)
{
    for (unsigned class = HOST_BYTE_CLASSES, end = byte_class(least); class --> end;)
        if (h->spare[class]) {
            *ret_size = BYTES_MIN << class;
            return take_spare(h, class);
        }
    return NULL;
}

void host_bytes_give(struct host *h, const void *bytes, size_t size)
{
    unsigned class = byte_class(size);
    void *block = (void *)(uintptr_t)bytes;
    if (!block || class >= HOST_BYTE_CLASSES)
        return;
    memcpy(block, &h->spare[class], sizeof(void *));
    h->spare[class] = block;
    poison((char *)block + sizeof(void *), (BYTES_MIN << class) - sizeof(void *));
}

/* What is kept of the arena is for the next activity. */
static void unpoison_spare(struct host *h)
{
    if (!poison_works())
        return;
    for (unsigned class = 0; class < HOST_SIZE_CLASSES; class ++)
        for (struct host_node *node = h->free[class]; node; node = node->parent)
            unpoison(node, (class + 1u) * SIZE_STEP);
    for (unsigned class = 0; class < HOST_BYTE_CLASSES; class ++)
        while (take_spare(h, class))
            continue;
}

struct host_block *host_block_take(struct host *h)
{
    struct host_block *block = h->blocks;
    if (block)
        h->blocks = block->next;
    else if (!(block = ARENA_NEW(&h->arena, struct host_block)))
        host_no_memory(h);
    return block;
}

void host_block_give(struct host *h, struct host_block *block)
{
    block->next = h->blocks;
    h->blocks = block;
}

/* One buffer for usual sizes: from scratch memory each would be a chunk of its own, zeroed. The guest cannot call while
 * what is in it is stored. */
uint8_t *host_buffer(struct host *h, size_t size)
{
    bool usual = size <= HOST_BUFFER_BYTES;
    uint8_t *bytes = usual ? h->buffer : arena_alloc(&h->scratch, size);
    if (usual && !bytes)
        bytes = h->buffer = arena_alloc(&h->arena, HOST_BUFFER_BYTES);
    if (!bytes)
        host_no_memory(h);
    return bytes;
}

struct str host_text_take(struct host *h, struct str text)
{
    char *copy = host_bytes_take(h, text.len);
    if (!copy)
        host_no_memory(h);
    else if (text.len)
        memcpy(copy, text.ptr, text.len);
    return (struct str){copy, copy ? text.len : 0};
}

void host_text_give(struct host *h, struct str text)
{
    host_bytes_give(h, text.ptr, text.len);
}

bool host_trap(struct host *h, const char *format, ...)
{
    char text[120];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return trap_raise(h->store, TRAP_HOST, "%s", text);
}

bool host_no_memory(struct host *h)
{
    return trap_raise(h->store, TRAP_OUT_OF_MEMORY, "host objects of one activity: more than %zu bytes", h->arena.max);
}

/* ---- waiting ---- */

static bool sleep_until(struct host *h, uint64_t deadline_ns)
{
    struct timespec until = {(time_t)(deadline_ns / NS_PER_S), (long)(deadline_ns % NS_PER_S)};
    if (deadline_ns == HOST_FOREVER)
        return host_trap(h, "waits for what cannot happen");
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        if (!guest_goes_on(h->store))
            return false;
    return true;
}

bool host_wait(struct host *h, uint64_t deadline_ns)
{
    struct host_pool *pool = h->pool;
    if (!pool->runtime.suspend)
        return sleep_until(h, h->again ? 0 : deadline_ns);
    host_yielding(h);
    if (h->again)
        deadline_ns = 0;
    h->again = false;
    if (deadline_ns != HOST_FOREVER)
        io_timer_set(pool->loop, &h->timer, deadline_ns / 1000u + 1u);
    h->waiting = true;
    pool->runtime.suspend(h);
    h->waiting = false;
    io_timer_stop(pool->loop, &h->timer);
    return guest_goes_on(h->store);
}
