/* wasi:http/types, the incoming-request. It is whole when the guest begins. */
#include "wasi/object.h"

bool request_lost(struct host *h)
{
    return host_trap(h, "the client is gone, and its request with it");
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
    if (h->face->added && !h->face->added(h->exchange, &added))
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
