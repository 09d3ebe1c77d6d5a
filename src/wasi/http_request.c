/* wasi:http/types, the incoming-request. Its head is whole when the guest begins. Its texts lie in the exchange, or in
 * memory of the host once the exchange is over and the guest goes on. */
#include "wasi/object.h"

#define FIELDS_MOVED_MAX 32u

bool request_lost(struct host *h)
{
    return host_trap(h, "the client is gone, and its request with it");
}

/* ---- without the exchange ----
 * Everything is allocated and copied before anything points to it, so that what does not fit leaves no trace. */

static size_t list_bytes(const struct http_field *items, uint32_t count)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++)
        bytes += items[i].name.len + items[i].value.len;
    return bytes;
}

static struct str keep_text(char **at, struct str text)
{
    char *copy = *at;
    if (text.len)
        memcpy(copy, text.ptr, text.len);
    *at += text.len;
    return (struct str){copy, text.len};
}

static struct http_field *keep_list(char **at, struct http_field *to, const struct http_field *from, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        to[i] = (struct http_field){keep_text(at, from[i].name), keep_text(at, from[i].value)};
    return to;
}

/* NULL: there is no memory. */
static struct host_kept *copy_request(struct arena *arena, const struct http_request *from)
{
    size_t bytes = from->method.len + from->target.len + from->scheme.len + from->authority.len + from->body.len +
                   list_bytes(from->fields, from->field_count) + list_bytes(from->trailers, from->trailer_count);
    uint32_t count = from->field_count + from->trailer_count;
    struct host_kept *kept = ARENA_NEW(arena, struct host_kept);
    struct http_field *items = ARENA_ARRAY(arena, struct http_field, count + 1u);
    char *at = arena_alloc(arena, bytes + 1);
    if (!kept || !items || !at)
        return NULL;
    kept->request = (struct http_request){
        .method = keep_text(&at, from->method),
        .target = keep_text(&at, from->target),
        .scheme = keep_text(&at, from->scheme),
        .authority = keep_text(&at, from->authority),
        .body = keep_text(&at, from->body),
        .fields = keep_list(&at, items, from->fields, from->field_count),
        .field_count = from->field_count,
        .trailers = keep_list(&at, items + from->field_count, from->trailers, from->trailer_count),
        .trailer_count = from->trailer_count,
    };
    return kept;
}

/* A part of the target is that of the kept one. */
static void move_part(struct str *text, struct str from, struct str to)
{
    if (text->len && text->ptr >= from.ptr && text->ptr < from.ptr + from.len)
        text->ptr = to.ptr + (text->ptr - from.ptr);
}

/* Items that are of a list, in its order, are those of the kept one. Others stay. */
static void move_items(struct wasi_http_fields *fields, const struct http_field *from, const struct http_field *to,
                       uint32_t count)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < fields->count; i++) {
        uint32_t found = at;
        while (found < count && (from[found].name.ptr != fields->items[i].name.ptr ||
                                 from[found].value.ptr != fields->items[i].value.ptr))
            found++;
        if (found == count)
            continue;
        fields->items[i] = to[found];
        at = found + 1;
    }
}

/* Few guests have more than one, and what is done here nobody interrupts. */
static bool has_few_fields(const struct host *h)
{
    uint32_t count = 0;
    for (const struct wasi_http_fields *fields = h->of_exchange; fields && count <= FIELDS_MOVED_MAX;
         fields = fields->next)
        count++;
    return count <= FIELDS_MOVED_MAX;
}

/* A view's items are its root's, which may be in the list too: what was moved is found no more. */
static void move_fields(struct host *h, const struct http_request *from, const struct http_request *to)
{
    for (struct wasi_http_fields *fields = h->of_exchange; fields; fields = fields->next) {
        move_items(fields, from->fields, to->fields, from->field_count);
        move_items(fields, from->trailers, to->trailers, from->trailer_count);
        for (uint32_t i = 0; i < fields->count; i++)
            move_part(&fields->items[i].value, from->target, to->target);
    }
}

static bool keep_added(struct host *h, struct host_kept *kept)
{
    kept->added.count = 0;
    kept->added.arena = &h->arena;
    if (h->face->added && !h->face->added(h->exchange, &kept->added))
        return false;
    for (uint32_t i = 0; i < kept->added.count; i++)
        move_part(&kept->added.items[i].value, h->request->target, kept->request.target);
    return true;
}

bool request_part(struct host *h)
{
    struct arena_mark mark = arena_mark(&h->arena);
    struct host_kept *kept = has_few_fields(h) ? copy_request(&h->arena, h->request) : NULL;
    bool parts = kept && keep_added(h, kept) && (!h->face->part || h->face->part(h->exchange));
    if (!parts) {
        arena_rewind(&h->arena, mark);
        return false;
    }
    move_fields(h, h->request, &kept->request);
    h->kept = kept;
    h->request = &kept->request;
    return true;
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
