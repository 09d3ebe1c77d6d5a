/* wasi:http/types, the incoming-request. Its head is whole when the guest begins. Its texts lie in the exchange, or in
 * memory of the host once the exchange is over and the guest goes on. */
#include "wasi/object.h"

bool request_lost(struct host *h)
{
    return host_trap(h, "the client is gone, and its request with it");
}

/* ---- without the exchange ---- */

static bool keep_text(struct host *h, struct str *text)
{
    if (text->len == 0)
        return true;
    const char *copy = arena_copy(&h->arena, text->ptr, text->len);
    if (copy)
        text->ptr = copy;
    return copy != NULL;
}

static bool keep_items(struct host *h, struct http_field *items, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!keep_text(h, &items[i].name) || !keep_text(h, &items[i].value))
            return false;
    return true;
}

static bool keep_list(struct host *h, struct http_field **items, uint32_t count)
{
    struct http_field *copy = count ? arena_copy(&h->arena, *items, count * sizeof **items) : NULL;
    *items = copy;
    return count == 0 || (copy && keep_items(h, copy, count));
}

bool fields_keep(struct host *h)
{
    for (struct wasi_http_fields *fields = h->of_exchange; fields; fields = fields->next)
        if (!keep_items(h, fields->items, fields->count))
            return false;
    return true;
}

bool request_keep(struct host *h)
{
    struct host_kept *kept = ARENA_NEW(&h->arena, struct host_kept);
    if (!kept)
        return false;
    struct http_request *request = &kept->request;
    *request = *h->request;
    kept->added = (struct http_added){.arena = &h->arena};
    bool whole = (!h->face->added || h->face->added(h->exchange, &kept->added)) && keep_text(h, &request->method) &&
                 keep_text(h, &request->target) && keep_text(h, &request->scheme) &&
                 keep_text(h, &request->authority) && keep_text(h, &request->body) &&
                 keep_list(h, &request->fields, request->field_count) &&
                 keep_list(h, &request->trailers, request->trailer_count) &&
                 keep_items(h, kept->added.items, kept->added.count) && fields_keep(h);
    if (whole)
        h->kept = kept;
    return whole;
}

void request_take(struct host *h, size_t size)
{
    if (h->kept)
        h->kept->request.body = str_slice(h->kept->request.body, size, h->kept->request.body.len);
    else
        h->face->take(h->exchange, size);
}

static bool find_added(struct host *h, struct http_added *ret)
{
    if (h->kept)
        *ret = h->kept->added;
    return h->kept || !h->face->added || h->face->added(h->exchange, ret);
}

/* ---- incoming-request ---- */

static const struct method_name {
    struct str name;
    enum wasi_http_types_method_tag tag;
} method_names[] = {
#define METHOD(name) {{#name, sizeof(#name) - 1}, WASI_HTTP_TYPES_METHOD_##name}
    METHOD(GET),     METHOD(HEAD),    METHOD(POST),  METHOD(PUT),   METHOD(DELETE),
    METHOD(CONNECT), METHOD(OPTIONS), METHOD(TRACE), METHOD(PATCH),
#undef METHOD
};

bool wasi_http_types_incoming_request_method(struct host *h, struct wasi_http_incoming_request *self,
                                             struct wasi_http_types_method *ret)
{
    if (!h->request)
        return request_lost(h);
    for (size_t i = 0; i < sizeof method_names / sizeof method_names[0]; i++)
        if (str_eq(h->request->method, method_names[i].name)) {
            ret->tag = method_names[i].tag;
            return true;
        }
    ret->tag = WASI_HTTP_TYPES_METHOD_OTHER;
    ret->other = h->request->method;
    return true;
}

bool wasi_http_types_incoming_request_path_with_query(struct host *h, struct wasi_http_incoming_request *self,
                                                      struct option_str *ret)
{
    if (!h->request)
        return request_lost(h);
    ret->some = true;
    ret->value = h->request->target;
    return true;
}

bool wasi_http_types_incoming_request_scheme(struct host *h, struct wasi_http_incoming_request *self,
                                             struct option_wasi_http_types_scheme *ret)
{
    if (!h->request)
        return request_lost(h);
    bool secure = str_eq(h->request->scheme, STR("https"));
    ret->some = true;
    ret->value.tag = secure ? WASI_HTTP_TYPES_SCHEME_HTTPS : WASI_HTTP_TYPES_SCHEME_HTTP;
    return true;
}

bool wasi_http_types_incoming_request_authority(struct host *h, struct wasi_http_incoming_request *self,
                                                struct option_str *ret)
{
    if (!h->request)
        return request_lost(h);
    ret->some = h->request->authority.len > 0;
    ret->value = h->request->authority;
    return true;
}

bool wasi_http_types_incoming_request_headers(struct host *h, struct wasi_http_incoming_request *self,
                                              struct wasi_http_fields **ret)
{
    if (!h->request)
        return request_lost(h);
    struct http_added added = {.arena = &h->arena};
    if (!find_added(h, &added))
        return host_no_memory(h);
    *ret = fields_of_request(h, &added, &self->node);
    return *ret != NULL;
}

/* Once: the body has one reader. */
bool wasi_http_types_incoming_request_consume(struct host *h, struct wasi_http_incoming_request *self,
                                              struct result_wasi_http_incoming_body_void *ret)
{
    ret->err = self->consumed;
    if (self->consumed)
        return true;
    self->consumed = true;
    ret->ok = HOST_NEW(h, struct wasi_http_incoming_body, NULL);
    return ret->ok != NULL;
}

void wasi_http_incoming_request_drop(struct host *h, struct wasi_http_incoming_request *self)
{
    host_drop_node(h, &self->node, "incoming-request");
}
