/* wasi:http/types, the resource `fields`: an ordered multimap of names and values.
 *
 * Names are kept as they were given and compare without case. Values and names are checked when they come in, so
 * that what goes out is well formed. Bounded in number and bytes. */
#include "wasi/object.h"

typedef struct wasi_http_fields fields_t;
typedef struct wasi_http_types_header_error header_error;

/* What belongs to the connection or the host: hidden from guests and refused from them. */
static const struct str forbidden_names[] = {
#define NAME(text) {text, sizeof(text) - 1}
    NAME("connection"),
    NAME("host"),
    NAME("http2-settings"),
    NAME("keep-alive"),
    NAME("proxy-authenticate"),
    NAME("proxy-authorization"),
    NAME("proxy-connection"),
    NAME("transfer-encoding"),
    NAME("upgrade"),
#undef NAME
};

static bool is_forbidden(struct str lower)
{
    for (size_t i = 0; i < sizeof forbidden_names / sizeof forbidden_names[0]; i++)
        if (str_eq(lower, forbidden_names[i]))
            return true;
    return false;
}

static bool same_name(struct str a, struct str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (http_token_lower[(uint8_t)a.ptr[i]] != http_token_lower[(uint8_t)b.ptr[i]])
            return false;
    return true;
}

/* ---- storage ---- */

static uint32_t count_of(const struct host *h, const fields_t *fields)
{
    return fields->of_message && h->gone ? 0 : fields->count;
}

static bool grow(struct host *h, fields_t *fields)
{
    uint32_t capacity = fields->capacity ? fields->capacity * 2 : 8;
    struct http_field *items = ARENA_ARRAY(&h->arena, struct http_field, capacity);
    if (!items)
        return host_no_memory(h);
    if (fields->count)
        memcpy(items, fields->items, fields->count * sizeof *items);
    fields->items = items;
    fields->capacity = capacity;
    return true;
}

/* False: trap. */
static bool add(struct host *h, fields_t *fields, struct str name, struct str value)
{
    size_t bytes = name.len + value.len;
    if (fields->count == HOST_FIELDS_MAX)
        return host_trap(h, "more than %u fields", HOST_FIELDS_MAX);
    if (bytes > HOST_FIELDS_BYTES - fields->bytes)
        return host_trap(h, "fields of more than %zu bytes", HOST_FIELDS_BYTES);
    if (fields->count == fields->capacity && !grow(h, fields))
        return false;
    char *copy = arena_alloc(&h->arena, bytes);
    if (!copy)
        return host_no_memory(h);
    if (name.len)
        memcpy(copy, name.ptr, name.len);
    if (value.len)
        memcpy(copy + name.len, value.ptr, value.len);
    fields->items[fields->count++] = (struct http_field){{copy, name.len}, {copy + name.len, value.len}};
    fields->bytes += bytes;
    return true;
}

static void remove_all(fields_t *fields, struct str name)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < fields->count; i++) {
        if (same_name(name, fields->items[i].name))
            fields->bytes -= fields->items[i].name.len + fields->items[i].value.len;
        else
            fields->items[kept++] = fields->items[i];
    }
    fields->count = kept;
}

fields_t *fields_of_message(struct host *h, const struct http_field *from, uint32_t count, struct host_node *parent)
{
    fields_t *fields = HOST_NEW(h, fields_t, parent);
    struct http_field *items = ARENA_ARRAY(&h->arena, struct http_field, count);
    if (!fields)
        return NULL;
    if (!items) {
        host_no_memory(h);
        return NULL;
    }
    fields->immutable = fields->of_message = true;
    fields->items = items;
    for (uint32_t i = 0; i < count; i++)
        if (!is_forbidden(from[i].name))
            items[fields->count++] = from[i];
    return fields;
}

fields_t *fields_copied(struct host *h, const struct http_field *from, uint32_t count, struct host_node *parent)
{
    fields_t *fields = HOST_NEW(h, fields_t, parent);
    if (!fields)
        return NULL;
    for (uint32_t i = 0; i < count; i++)
        if (!is_forbidden(from[i].name) && !add(h, fields, from[i].name, from[i].value))
            return NULL;
    fields->immutable = true;
    return fields;
}

fields_t *fields_view(struct host *h, const fields_t *of, struct host_node *parent)
{
    fields_t *fields = HOST_NEW(h, fields_t, parent);
    if (!fields)
        return NULL;
    struct host_node node = fields->node;
    *fields = *of;
    fields->node = node;
    fields->immutable = true;
    return fields;
}

bool fields_length(const fields_t *fields, uint64_t *ret_length)
{
    for (uint32_t i = 0; i < fields->count; i++) {
        struct str value = fields->items[i].value;
        uint64_t length = 0;
        if (!http_is_same(fields->items[i].name, STR("content-length")))
            continue;
        for (size_t k = 0; k < value.len; k++) {
            unsigned digit = (unsigned)(uint8_t)value.ptr[k] - '0';
            if (digit > 9 || __builtin_mul_overflow(length, 10, &length) ||
                __builtin_add_overflow(length, digit, &length))
                return false;
        }
        *ret_length = length;
        return value.len > 0;
    }
    return false;
}

/* ---- checks, in the order in which the interface's implementations make them ---- */

enum verdict { FINE = -1 };

static int check_name(struct str name)
{
    char lower[32];
    if (!http_is_token(name))
        return WASI_HTTP_TYPES_HEADER_ERROR_INVALID_SYNTAX;
    for (size_t i = 0; i < name.len && i < sizeof lower; i++)
        lower[i] = (char)http_token_lower[(uint8_t)name.ptr[i]];
    bool forbidden = name.len <= sizeof lower && is_forbidden((struct str){lower, name.len});
    return forbidden ? (int)WASI_HTTP_TYPES_HEADER_ERROR_FORBIDDEN : FINE;
}

static struct str value_of(struct list_u8 bytes)
{
    return (struct str){(const char *)bytes.ptr, bytes.len};
}

static int check_values(struct list_list_u8 values)
{
    for (size_t i = 0; i < values.len; i++)
        if (!http_is_value(value_of(values.ptr[i])))
            return WASI_HTTP_TYPES_HEADER_ERROR_INVALID_SYNTAX;
    return FINE;
}

/* The change may be made; else *ret says why not. */
static bool allowed(const fields_t *fields, struct str name, struct list_list_u8 values,
                    struct result_void_wasi_http_types_header_error *ret)
{
    int verdict = check_name(name);
    if (verdict == FINE)
        verdict = check_values(values);
    if (verdict == FINE && fields->immutable)
        verdict = WASI_HTTP_TYPES_HEADER_ERROR_IMMUTABLE;
    ret->err = verdict != FINE;
    if (ret->err)
        ret->error.tag = (enum wasi_http_types_header_error_tag)verdict;
    return !ret->err;
}

/* ---- the interface ---- */

bool wasi_http_types_fields_constructor(struct host *h, fields_t **ret)
{
    *ret = HOST_NEW(h, fields_t, NULL);
    return *ret != NULL;
}

bool wasi_http_types_fields_from_list(struct host *h, struct list_tuple_str_list_u8 entries,
                                      struct result_wasi_http_fields_wasi_http_types_header_error *ret)
{
    fields_t *fields = HOST_NEW(h, fields_t, NULL);
    if (!fields)
        return false;
    for (size_t i = 0; i < entries.len; i++) {
        struct str value = value_of(entries.ptr[i].f1);
        int verdict = check_name(entries.ptr[i].f0);
        if (verdict == FINE && !http_is_value(value))
            verdict = WASI_HTTP_TYPES_HEADER_ERROR_INVALID_SYNTAX;
        if (verdict != FINE) {
            host_drop_node(h, &fields->node, "fields");
            ret->err = true;
            ret->error.tag = (enum wasi_http_types_header_error_tag)verdict;
            return true;
        }
        if (!add(h, fields, entries.ptr[i].f0, value))
            return false;
    }
    ret->err = false;
    ret->ok = fields;
    return true;
}

bool wasi_http_types_fields_get(struct host *h, fields_t *self, struct str name, struct list_list_u8 *ret)
{
    uint32_t count = count_of(h, self), found = 0;
    struct list_u8 *values = ARENA_ARRAY(&h->scratch, struct list_u8, count);
    if (!values)
        return host_no_memory(h);
    for (uint32_t i = 0; i < count; i++)
        if (same_name(name, self->items[i].name))
            values[found++] = (struct list_u8){(const uint8_t *)self->items[i].value.ptr, self->items[i].value.len};
    *ret = (struct list_list_u8){values, found};
    return true;
}

bool wasi_http_types_fields_has(struct host *h, fields_t *self, struct str name, bool *ret)
{
    *ret = false;
    for (uint32_t i = 0; i < count_of(h, self); i++)
        *ret |= same_name(name, self->items[i].name);
    return true;
}

bool wasi_http_types_fields_set(struct host *h, fields_t *self, struct str name, struct list_list_u8 value,
                                struct result_void_wasi_http_types_header_error *ret)
{
    if (!allowed(self, name, value, ret))
        return true;
    remove_all(self, name);
    for (size_t i = 0; i < value.len; i++)
        if (!add(h, self, name, value_of(value.ptr[i])))
            return false;
    return true;
}

bool wasi_http_types_fields_delete(struct host *h, fields_t *self, struct str name,
                                   struct result_void_wasi_http_types_header_error *ret)
{
    if (allowed(self, name, (struct list_list_u8){0}, ret))
        remove_all(self, name);
    return true;
}

bool wasi_http_types_fields_append(struct host *h, fields_t *self, struct str name, struct list_u8 value,
                                   struct result_void_wasi_http_types_header_error *ret)
{
    if (!allowed(self, name, (struct list_list_u8){&value, 1}, ret))
        return true;
    return add(h, self, name, value_of(value));
}

bool wasi_http_types_fields_entries(struct host *h, fields_t *self, struct list_tuple_str_list_u8 *ret)
{
    uint32_t count = count_of(h, self);
    struct tuple_str_list_u8 *entries = ARENA_ARRAY(&h->scratch, struct tuple_str_list_u8, count);
    if (!entries)
        return host_no_memory(h);
    for (uint32_t i = 0; i < count; i++) {
        entries[i].f0 = self->items[i].name;
        entries[i].f1 = (struct list_u8){(const uint8_t *)self->items[i].value.ptr, self->items[i].value.len};
    }
    *ret = (struct list_tuple_str_list_u8){entries, count};
    return true;
}

bool wasi_http_types_fields_clone(struct host *h, fields_t *self, fields_t **ret)
{
    fields_t *copy = HOST_NEW(h, fields_t, NULL);
    if (!copy)
        return false;
    for (uint32_t i = 0; i < count_of(h, self); i++)
        if (!add(h, copy, self->items[i].name, self->items[i].value))
            return false;
    *ret = copy;
    return true;
}

void wasi_http_fields_drop(struct host *h, fields_t *self)
{
    host_drop_node(h, &self->node, "fields");
}
