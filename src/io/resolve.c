/* See resolve.h. The sockets of c-ares are in an epoll set of their own, level-triggered as c-ares expects, and the
 * loop watches that set. A query is an object of its own, because c-ares cannot forget one: it keeps the query, and the
 * query may have lost its lookup. */
#include "io/resolve.h"

#include "base/alloc.h"
#include "base/library.h"

#include <ares.h>
#include <errno.h>
#include <netdb.h>
#include <sys/epoll.h>
#include <unistd.h>

#define TIMEOUT_MS 2500 /* of the first try; c-ares doubles it */
#define TRIES 3
#define EVENTS 16
#define ROUNDS_MAX 64 /* of events in one turn of the loop */

#define FUNCTIONS(F)                                                                                                   \
    F(ares_library_init)                                                                                               \
    F(ares_init_options)                                                                                               \
    F(ares_destroy)                                                                                                    \
    F(ares_set_servers_ports_csv)                                                                                      \
    F(ares_getaddrinfo)                                                                                                \
    F(ares_freeaddrinfo)                                                                                               \
    F(ares_process_fd)                                                                                                 \
    F(ares_timeout)

static struct {
#define MEMBER(name) __typeof__(&name) name;
    FUNCTIONS(MEMBER)
#undef MEMBER
    bool loaded;
} cares;

static bool load(struct err *err)
{
#define SYMBOL(name) {#name, (void **)&cares.name},
    static const struct library_symbol symbols[] = {FUNCTIONS(SYMBOL)};
#undef SYMBOL
    static const struct library library = {"libcares.so.2", "names cannot be looked up",
                                           "install c-ares (Debian: libc-ares2)", symbols,
                                           sizeof symbols / sizeof *symbols};
    if (cares.loaded)
        return true;
    if (!library_load(&library, err))
        return false;
    cares.loaded = cares.ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS;
    return cares.loaded || err_set(err, ERR_MEMORY, "c-ares cannot begin");
}

struct io_query {
    struct io_resolver *resolver;
    struct io_lookup *lookup; /* NULL: cancelled */
};

struct io_resolver {
    struct io_loop *loop;
    ares_channel channel;
    struct io_watch watch; /* of the set of c-ares's sockets */
    struct io_timer timer;
    struct io_post post;
    uint32_t under_way;
    bool watching;
};

/* ---- what c-ares waits for ---- */

static void set_timer(struct io_resolver *resolver)
{
    struct timeval wait, *set = cares.ares_timeout(resolver->channel, NULL, &wait);
    io_timer_stop(resolver->loop, &resolver->timer);
    if (set)
        io_timer_set(resolver->loop, &resolver->timer,
                     io_now_us(resolver->loop) + (uint64_t)set->tv_sec * 1000000 + (uint64_t)set->tv_usec);
}

static void timer_fired(struct io_timer *timer)
{
    struct io_resolver *resolver = IO_OWNER(timer, struct io_resolver, timer);
    cares.ares_process_fd(resolver->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    set_timer(resolver);
}

static void socket_state(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct io_resolver *resolver = arg;
    struct epoll_event event = {.data.fd = fd};
    event.events = (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u);
    if (!event.events)
        epoll_ctl(resolver->watch.fd, EPOLL_CTL_DEL, fd, NULL);
    else if (epoll_ctl(resolver->watch.fd, EPOLL_CTL_MOD, fd, &event) < 0 && errno == ENOENT)
        epoll_ctl(resolver->watch.fd, EPOLL_CTL_ADD, fd, &event);
}

/* The set notifies edges: take events until there are none. */
static void process(struct io_resolver *resolver)
{
    struct epoll_event events[EVENTS];
    int rounds = 0, count;
    while ((count = epoll_wait(resolver->watch.fd, events, EVENTS, 0)) > 0 && rounds++ < ROUNDS_MAX)
        for (int i = 0; i < count; i++) {
            bool in = events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP);
            bool out = events[i].events & (EPOLLOUT | EPOLLERR | EPOLLHUP);
            cares.ares_process_fd(resolver->channel, in ? events[i].data.fd : ARES_SOCKET_BAD,
                                  out ? events[i].data.fd : ARES_SOCKET_BAD);
        }
    if (count > 0)
        io_post(resolver->loop, &resolver->post);
    set_timer(resolver);
}

static void set_ready(struct io_watch *watch, unsigned events)
{
    process(IO_OWNER(watch, struct io_resolver, watch));
}

static void run_post(struct io_post *post)
{
    process(IO_OWNER(post, struct io_resolver, post));
}

/* ---- life ---- */

static bool open_channel(struct io_resolver *resolver, const char *servers, struct err *err)
{
    struct ares_options options = {.timeout = TIMEOUT_MS, .tries = TRIES, .sock_state_cb = socket_state};
    int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
    options.sock_state_cb_data = resolver;
    if (cares.ares_init_options(&resolver->channel, &options, mask) != ARES_SUCCESS) {
        resolver->channel = NULL;
        return err_set(err, ERR_MEMORY, "c-ares cannot begin");
    }
    if (!servers || cares.ares_set_servers_ports_csv(resolver->channel, servers) == ARES_SUCCESS)
        return true;
    err_set(err, ERR_USAGE, "\"%.80s\" is no list of name servers", servers);
    return err_remedy(err, "write it as 192.0.2.1:53,192.0.2.2");
}

struct io_resolver *io_resolver_new(struct io_loop *loop, const char *servers, struct err *err)
{
    if (!load(err))
        return NULL;
    struct io_resolver *resolver = mem_alloc(1, sizeof *resolver);
    if (!resolver) {
        err_memory(err);
        return NULL;
    }
    resolver->loop = loop;
    resolver->timer.fired = timer_fired;
    resolver->post.run = run_post;
    resolver->watch.ready = set_ready;
    resolver->watch.fd = epoll_create1(EPOLL_CLOEXEC);
    if (resolver->watch.fd < 0)
        err_errno(err, "epoll_create1");
    else if (open_channel(resolver, servers, err))
        resolver->watching = io_watch(loop, &resolver->watch, err);
    if (resolver->watching)
        return resolver;
    io_resolver_free(resolver);
    return NULL;
}

void io_resolver_free(struct io_resolver *resolver)
{
    if (!resolver)
        return;
    if (resolver->channel)
        cares.ares_destroy(resolver->channel);
    if (resolver->watching)
        io_unwatch(resolver->loop, &resolver->watch);
    if (resolver->watch.fd >= 0)
        close(resolver->watch.fd);
    io_timer_stop(resolver->loop, &resolver->timer);
    io_post_cancel(resolver->loop, &resolver->post);
    mem_free(resolver);
}

/* ---- lookups ---- */

static enum io_lookup_result result_of(int status)
{
    switch (status) {
    case ARES_SUCCESS: return IO_LOOKUP_FOUND;
    case ARES_ENODATA:
    case ARES_ENOTFOUND:
    case ARES_ENONAME:
    case ARES_EBADNAME: return IO_LOOKUP_NO_NAME;
    case ARES_ETIMEOUT: return IO_LOOKUP_TIMEOUT;
    case ARES_ESERVFAIL:
    case ARES_ECONNREFUSED:
    case ARES_ENOMEM: return IO_LOOKUP_TEMPORARY;
    default: return IO_LOOKUP_FAILED;
    }
}

static void take_addresses(struct io_lookup *lookup, const struct ares_addrinfo *found)
{
    for (const struct ares_addrinfo_node *node = found->nodes; node; node = node->ai_next) {
        struct ip_endpoint endpoint;
        union ip_sockaddr from = {0};
        if (lookup->count == IO_LOOKUP_MAX || node->ai_addrlen > sizeof from)
            return;
        memcpy(&from, node->ai_addr, node->ai_addrlen);
        if (ip_from_sockaddr(&from, &endpoint) && !ip_is_mapped(&endpoint.address))
            lookup->addresses[lookup->count++] = endpoint.address;
    }
}

static void report(struct io_post *post)
{
    struct io_lookup *lookup = IO_OWNER(post, struct io_lookup, post);
    lookup->done(lookup);
}

static void finish(struct io_lookup *lookup, enum io_lookup_result result)
{
    lookup->query = NULL;
    lookup->result = result == IO_LOOKUP_FOUND && !lookup->count ? IO_LOOKUP_NO_NAME : result;
    io_post(lookup->loop, &lookup->post);
}

static void answered(void *arg, int status, int timeouts, struct ares_addrinfo *found)
{
    struct io_query *query = arg;
    struct io_lookup *lookup = query->lookup;
    if (lookup && found)
        take_addresses(lookup, found);
    if (lookup)
        finish(lookup, result_of(status));
    if (found)
        cares.ares_freeaddrinfo(found);
    query->resolver->under_way--;
    mem_free(query);
}

void io_lookup_start(struct io_resolver *resolver, struct io_lookup *lookup, struct str name)
{
    static const struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    char text[IO_NAME_MAX + 2];
    bool fits = name.len < sizeof text, room = resolver->under_way < IO_LOOKUPS_MAX;
    struct io_query *query = fits && room ? mem_alloc(1, sizeof *query) : NULL;
    lookup->loop = resolver->loop;
    lookup->post = (struct io_post){.run = report};
    lookup->count = 0;
    lookup->query = query;
    if (!query) {
        finish(lookup, fits ? IO_LOOKUP_TEMPORARY : IO_LOOKUP_NO_NAME);
        return;
    }
    memcpy(text, name.ptr, name.len);
    text[name.len] = '\0';
    *query = (struct io_query){resolver, lookup};
    resolver->under_way++;
    cares.ares_getaddrinfo(resolver->channel, text, NULL, &hints, answered, query);
    set_timer(resolver);
}

void io_lookup_cancel(struct io_lookup *lookup)
{
    if (lookup->query)
        lookup->query->lookup = NULL;
    lookup->query = NULL;
    if (lookup->loop)
        io_post_cancel(lookup->loop, &lookup->post);
}

bool io_name_valid(struct str name)
{
    size_t label = 0;
    bool digits = true;
    if (name.len && name.ptr[name.len - 1] == '.')
        name.len--;
    if (name.len == 0 || name.len > IO_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool digit = c >= '0' && c <= '9', letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        if (c == '.' && label == 0)
            return false;
        if (c != '.' && !digit && !letter && c != '-' && c != '_')
            return false;
        label = c == '.' ? 0 : label + 1;
        digits = c == '.' || (digits && digit);
        if (label > 63)
            return false;
    }
    return !digits && label > 0;
}
