/* See route_fields.h. Made when a guest asks for the fields of its request: most requests cost nothing for it. */
#include "node/route_fields.h"

#include "http/local.h"

#include <string.h>

#define NAME_PREFIX "spin-path-match-"

static bool put(struct http_added *added, struct str name, struct str value)
{
    if (!value.ptr && value.len)
        return false;
    if (added->count < HTTP_ADDED_MAX)
        added->items[added->count++] = (struct http_field){name, value};
    return true;
}

/* The parts one behind the other; ptr NULL: no memory. */
static struct str join(struct arena *arena, const struct str *parts, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += parts[i].len;
    char *text = arena_alloc(arena, size + 1);
    struct str whole = {text, size};
    for (size_t i = 0; text && i < count; i++) {
        if (parts[i].len)
            memcpy(text, parts[i].ptr, parts[i].len);
        text += parts[i].len;
    }
    return text ? whole : (struct str){NULL, 1};
}

static bool put_url(struct http_added *added, const struct http_request *request)
{
    const struct str parts[] = {request->scheme, STR("://"), request->authority, request->target};
    return put(added, STR("spin-full-url"), join(added->arena, parts, 4));
}

static bool put_client(struct http_added *added, const struct http_exchange *x)
{
    char address[NET_ADDRESS_MAX];
    http_peer(x, address);
    const struct str text = str_of(address);
    return put(added, STR("spin-client-addr"), join(added->arena, &text, 1));
}

static bool put_captures(struct http_added *added, const struct route *route, const struct route_match *match)
{
    for (uint32_t i = 0; i < match->capture_count; i++) {
        const struct str parts[] = {STR(NAME_PREFIX), route->names[i]};
        struct str name = join(added->arena, parts, 2);
        if (!name.ptr || !put(added, name, match->captures[i]))
            return false;
    }
    return true;
}

/* A component that is called by its id finds what a route "/..." would have told it. */
static bool component_fields(const struct http_exchange *x, struct http_added *ret)
{
    const struct http_request *request = http_request(x);
    struct str path = str_slice(request->target, 0, str_find(request->target, '?'));
    return put(ret, STR("spin-path-info"), path) && put_url(ret, request) &&
           put(ret, STR("spin-matched-route"), STR("/...")) && put(ret, STR("spin-base-path"), STR("/")) &&
           put(ret, STR("spin-raw-component-route"), STR("/...")) && put(ret, STR("spin-component-route"), STR("")) &&
           put_client(ret, x);
}

bool route_fields(const struct deployment *deployment, const struct http_exchange *x, struct http_added *ret)
{
    const struct http_request *request = http_request(x);
    const struct http_local_origin *inside = http_local_origin(x);
    struct route_match match;
    if (deployment->router && inside && inside->to == OUTBOUND_TO_COMPONENT)
        return component_fields(x, ret);
    if (!deployment->router || !router_match(deployment->router, request->target, &match))
        return true;
    const struct route *route = &deployment->router->routes[match.route];
    return put(ret, STR("spin-path-info"), match.trailing) && put_url(ret, request) &&
           put(ret, STR("spin-matched-route"), route->based) && put(ret, STR("spin-base-path"), STR("/")) &&
           put(ret, STR("spin-raw-component-route"), route->raw) &&
           put(ret, STR("spin-component-route"), route->component) && put_client(ret, x) &&
           put_captures(ret, route, &match);
}
