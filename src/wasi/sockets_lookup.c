/* wasi:sockets/instance-network, network and ip-name-lookup. There is one network; what of it may be used is decided
 * per address (grants.h), so its handle says nothing.
 *
 * A lookup gives only addresses that may be reached: what a name leads to inside a private network is not told. */
#include "wasi/gen/wasi_sockets_0_2_0_rc_2023_10_18.h"
#include "wasi/socket.h"

#include "base/alloc.h"
#include "io/idna.h"

#include <stdio.h>

/* ---- network ---- */

struct wasi_sockets_network {
    struct host_node node;
};

bool wasi_sockets_instance_network_instance_network(struct host *h, struct wasi_sockets_network **ret)
{
    *ret = HOST_NEW(h, struct wasi_sockets_network, NULL);
    return *ret != NULL;
}

void wasi_sockets_network_drop(struct host *h, struct wasi_sockets_network *self)
{
    host_drop_node(h, &self->node, "network");
}

/* ---- lookups ---- */

/* Of a name under way: memory of its own, because the resolver points to it. */
struct under_way {
    struct io_lookup lookup;
    struct wasi_sockets_resolve_address_stream *stream;
};

struct wasi_sockets_resolve_address_stream {
    struct host_node node;
    struct host_closer closer;
    struct host *host;
    struct under_way *under_way; /* NULL: a numeric address */
    struct str name;
    struct ip_address only;
    struct option_wasi_sockets_network_ip_address_family family; /* of the addresses that are wanted; none: all */
    uint32_t at, count; /* addresses given, and those there are */
    socket_error error; /* SOCKET_OK, WOULD_BLOCK until it is known */
};

typedef struct wasi_sockets_resolve_address_stream lookup_stream;

static void forget(lookup_stream *stream)
{
    if (!stream->under_way)
        return;
    io_lookup_cancel(&stream->under_way->lookup);
    mem_free(stream->under_way);
    stream->under_way = NULL;
    host_disown(&stream->closer);
}

static void close_lookup(struct host *h, struct host_closer *closer)
{
    forget(IO_OWNER(closer, lookup_stream, closer));
}

/* The activity may reach the address from now on, by the rules for this name. */
static bool remember(struct host *h, struct str name, const struct ip_address *address)
{
    for (uint32_t i = 0; i < h->named_count; i++)
        if (ip_same(&h->named[i].address, address) && str_eq(h->named[i].name, name))
            return true;
    if (!h->named)
        h->named = ARENA_ARRAY(&h->arena, struct host_named, HOST_NAMED_MAX);
    char *copy = h->named ? host_bytes_take(h, name.len) : NULL;
    if (!copy)
        return false;
    memcpy(copy, name.ptr, name.len);
    struct host_named *place = &h->named[h->named_next];
    host_text_give(h, place->name);
    *place = (struct host_named){*address, {copy, name.len}};
    h->named_next = (h->named_next + 1) % HOST_NAMED_MAX;
    h->named_count += h->named_count < HOST_NAMED_MAX;
    return true;
}

static void deny_private(const lookup_stream *stream, const struct ip_address *address)
{
    char text[IP_TEXT_MAX], value[2 * IP_TEXT_MAX];
    ip_text(address, text);
    bool blocked = grants_blocked(stream->host->config->grants, address);
    snprintf(value, sizeof value, address->v6 ? "[%s]:*" : "%s:*", text);
    host_denied(stream->host, blocked ? PERMIT_UNBLOCK : PERMIT_NET, str_of(value), "%.*s leads to the %s address %s",
                STR_ARG(stream->name), blocked ? "blocked" : "private", text);
}

static const socket_error result_codes[] = {
    [IO_LOOKUP_FOUND] = SOCKET_OK,
    [IO_LOOKUP_NO_NAME] = SOCKET_ERROR(NAME_UNRESOLVABLE),
    [IO_LOOKUP_TEMPORARY] = SOCKET_ERROR(TEMPORARY_RESOLVER_FAILURE),
    [IO_LOOKUP_TIMEOUT] = SOCKET_ERROR(TEMPORARY_RESOLVER_FAILURE),
    [IO_LOOKUP_FAILED] = SOCKET_ERROR(PERMANENT_RESOLVER_FAILURE),
};

/* Keep what may be reached. */
static void looked_up(struct io_lookup *lookup)
{
    lookup_stream *stream = IO_OWNER(lookup, struct under_way, lookup)->stream;
    struct host *h = stream->host;
    stream->error = result_codes[lookup->result];
    for (uint32_t i = 0; i < lookup->count; i++)
        if (!grants_reach(h->config->grants, stream->name, &lookup->addresses[i]))
            deny_private(stream, &lookup->addresses[i]);
        else if (remember(h, stream->name, &lookup->addresses[i]))
            lookup->addresses[stream->count++] = lookup->addresses[i];
    if (lookup->count && !stream->count)
        stream->error = SOCKET_ERROR(ACCESS_DENIED);
    host_wake(h);
}

static socket_error start(struct host *h, lookup_stream *stream, struct str name)
{
    struct io_resolver *resolver;
    char value[IO_NAME_MAX + 32];
    if (!io_name_valid(name))
        return SOCKET_ERROR(INVALID_ARGUMENT);
    if (!grants_lookup(h->config->grants, name)) {
        snprintf(value, sizeof value, "%.*s:PORT", STR_ARG(name));
        host_denied(h, PERMIT_NET, str_of(value), "looking up %.*s", STR_ARG(name));
        return SOCKET_ERROR(ACCESS_DENIED);
    }
    resolver = host_resolver(h);
    if (!resolver)
        return SOCKET_ERROR(PERMANENT_RESOLVER_FAILURE);
    stream->under_way = mem_alloc(1, sizeof *stream->under_way);
    if (!stream->under_way)
        return SOCKET_ERROR(OUT_OF_MEMORY);
    stream->under_way->stream = stream;
    stream->under_way->lookup.done = looked_up;
    stream->error = SOCKET_ERROR(WOULD_BLOCK);
    stream->closer.close = close_lookup;
    host_own(h, &stream->closer);
    io_lookup_start(resolver, &stream->under_way->lookup, stream->name);
    return SOCKET_OK;
}

static socket_error to_ascii(struct str name, char ret_ascii[IO_NAME_MAX + 2])
{
    static const socket_error codes[] = {[IO_IDNA_DONE] = SOCKET_OK,
                                         [IO_IDNA_NO_NAME] = SOCKET_ERROR(INVALID_ARGUMENT),
                                         [IO_IDNA_MISSING] = SOCKET_ERROR(NOT_SUPPORTED)};
    return codes[io_idna(name, ret_ascii)];
}

bool wasi_sockets_ip_name_lookup_resolve_addresses(
    struct host *h, struct wasi_sockets_network *network, struct str name,
    struct result_wasi_sockets_resolve_address_stream_wasi_sockets_network_error_code *ret)
{
    lookup_stream *stream = HOST_NEW(h, lookup_stream, NULL);
    socket_error error = SOCKET_OK;
    char ascii[IO_NAME_MAX + 2];
    if (!stream)
        return false;
    stream->host = h;
    stream->error = SOCKET_OK;
    if (ip_parse(name, &stream->only)) {
        stream->count = 1;
        error = ip_is_mapped(&stream->only) ? SOCKET_ERROR(INVALID_ARGUMENT) : SOCKET_OK;
    } else if ((error = to_ascii(name, ascii)) == SOCKET_OK) {
        stream->name = host_text_take(h, str_of(ascii));
        if (!stream->name.ptr)
            return false;
        error = start(h, stream, stream->name);
    }
    if (error != SOCKET_OK)
        wasi_sockets_resolve_address_stream_drop(h, stream);
    else
        ret->ok = stream;
    SOCKET_RETURN(ret, error);
}

/* What is not available is among the addresses, whatever the guest says: nobody has asked for it yet. */
bool wasi_sockets_0_2_0_rc_2023_10_18_ip_name_lookup_resolve_addresses(
    struct host *h, struct wasi_sockets_network *network, struct str name,
    const struct option_wasi_sockets_network_ip_address_family *address_family, bool include_unavailable,
    struct result_wasi_sockets_resolve_address_stream_wasi_sockets_network_error_code *ret)
{
    if (!wasi_sockets_ip_name_lookup_resolve_addresses(h, network, name, ret))
        return false;
    if (!ret->err)
        ret->ok->family = *address_family;
    return true;
}

static const struct ip_address *address_at(const lookup_stream *stream, uint32_t i)
{
    return stream->under_way ? &stream->under_way->lookup.addresses[i] : &stream->only;
}

static bool is_wanted(const lookup_stream *stream, const struct ip_address *address)
{
    bool v6 = stream->family.value == WASI_SOCKETS_NETWORK_IP_ADDRESS_FAMILY_IPV6;
    return !stream->family.some || v6 == address->v6;
}

bool wasi_sockets_ip_name_lookup_resolve_address_stream_resolve_next_address(
    struct host *h, lookup_stream *self,
    struct result_option_wasi_sockets_network_ip_address_wasi_sockets_network_error_code *ret)
{
    if (self->error != SOCKET_OK)
        SOCKET_RETURN(ret, self->error);
    ret->err = false;
    while (self->at < self->count && !is_wanted(self, address_at(self, self->at)))
        self->at++;
    ret->ok.some = self->at < self->count;
    if (ret->ok.some)
        ret->ok.value = socket_wasi_address(address_at(self, self->at++));
    return true;
}

static bool is_known(struct host *h, const struct wasi_io_pollable *p)
{
    const lookup_stream *stream = p->object;
    return stream->error != SOCKET_ERROR(WOULD_BLOCK);
}

bool wasi_sockets_ip_name_lookup_resolve_address_stream_subscribe(struct host *h, lookup_stream *self,
                                                                  struct wasi_io_pollable **ret)
{
    *ret = pollable_new(h, &self->node, is_known, self, HOST_FOREVER);
    return *ret != NULL;
}

void wasi_sockets_resolve_address_stream_drop(struct host *h, lookup_stream *self)
{
    if (!host_release(h, &self->node, "resolve-address-stream"))
        return;
    forget(self);
    host_text_give(h, self->name);
    host_node_free(h, &self->node);
}
