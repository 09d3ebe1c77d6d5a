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

/* ---- life ---- */

static fields_t *fields_new(struct host *h, struct host_node *parent)
{
    fields_t *fields = HOST_NEW(h, fields_t, parent);
    if (fields)
        fields->users = 1;
    return fields;
}

static void link_exchange(struct host *h, fields_t *fields)
{
    fields->of_message = true;
    fields->next = h->of_exchange;
    fields->link = &h->of_exchange;
    if (fields->next)
        fields->next->link = &fields->next;
    h->of_exchange = fields;
}

static void unlink_exchange(fields_t *fields)
{
    if (!fields->link)
        return;
    *fields->link = fields->next;
    if (fields->next)
        fields->next->link = fields->link;
    fields->link = NULL;
}

void fields_lose_exchange(struct host *h)
{
    for (fields_t *fields = h->of_exchange; fields; fields = fields->next)
        fields->count = 0;
}

static void give_text(struct host *h, const struct http_field *field)
{
    host_bytes_give(h, field->name.ptr, field->name.len + field->value.len);
}

static void give_items(struct host *h, fields_t *fields)
{
    for (uint32_t i = 0; !fields->of_message && i < fields->count; i++)
        give_text(h, &fields->items[i]);
    host_bytes_give(h, fields->items, fields->capacity * sizeof *fields->items);
}

void fields_leave(struct host *h, fields_t *fields)
{
    fields_t *root = fields->of ? fields->of : fields;
    unlink_exchange(fields);
    if (fields != root)
        host_node_free(h, &fields->node);
    if (--root->users)
        return;
    give_items(h, root);
    host_node_free(h, &root->node);
}

/* ---- storage ---- */

static bool grow(struct host *h, fields_t *fields)
{
    uint32_t capacity = fields->capacity ? fields->capacity * 2u : 8u;
    struct http_field *items = host_bytes_take(h, capacity * sizeof *items);
    if (!items)
        return host_no_memory(h);
    if (fields->count)
        memcpy(items, fields->items, fields->count * sizeof *items);
    host_bytes_give(h, fields->items, fields->capacity * sizeof *items);
    fields->items = items;
    fields->capacity = (uint16_t)capacity;
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
    char *copy = host_bytes_take(h, bytes);
    if (!copy)
        return host_no_memory(h);
    if (name.len)
        memcpy(copy, name.ptr, name.len);
    if (value.len)
        memcpy(copy + name.len, value.ptr, value.len);
    fields->items[fields->count++] = (struct http_field){{copy, name.len}, {copy + name.len, value.len}};
    fields->bytes += (uint32_t)bytes;
    return true;
}

bool fields_append(struct host *h, fields_t *fields, struct str name, struct str value)
{
    return add(h, fields, name, value);
}

static void remove_all(struct host *h, fields_t *fields, struct str name)
{
    uint16_t kept = 0;
    for (uint32_t i = 0; i < fields->count; i++) {
        const struct http_field field = fields->items[i];
        if (!same_name(name, field.name)) {
            fields->items[kept++] = field;
            continue;
        }
        fields->bytes -= (uint32_t)(field.name.len + field.value.len);
        give_text(h, &field);
    }
    fields->count = kept;
}

/* Without fields yet. */
static fields_t *fields_for(struct host *h, uint32_t count, struct host_node *parent)
{
    fields_t *fields = fields_new(h, parent);
    struct http_field *items = host_bytes_take(h, count * sizeof *items);
    if (!fields)
        return NULL;
    if (!items) {
        host_no_memory(h);
        return NULL;
    }
    fields->immutable = true;
    fields->items = items;
    fields->capacity = (uint16_t)count; /* of a message's, a hundred at most, and HTTP_ADDED_MAX */
    link_exchange(h, fields);
    return fields;
}

fields_t *fields_of_message(struct host *h, const struct http_field *from, uint32_t count, struct host_node *parent)
{
    fields_t *fields = fields_for(h, count, parent);
    for (uint32_t i = 0; fields && i < count; i++)
        if (!is_forbidden(from[i].name))
            fields->items[fields->count++] = from[i];
    return fields;
}

static bool is_added(const struct http_added *added, struct str name)
{
    for (uint32_t i = 0; i < added->count; i++)
        if (str_eq(added->items[i].name, name))
            return true;
    return false;
}

fields_t *fields_of_request(struct host *h, const struct http_added *added, struct host_node *parent)
{
    const struct http_request *request = h->request;
    fields_t *fields = fields_for(h, request->field_count + added->count, parent);
    for (uint32_t i = 0; fields && i < request->field_count; i++)
        if (!is_forbidden(request->fields[i].name) && !is_added(added, request->fields[i].name))
            fields->items[fields->count++] = request->fields[i];
    for (uint32_t i = 0; fields && i < added->count; i++)
        fields->items[fields->count++] = added->items[i];
    return fields;
}

fields_t *fields_copied(struct host *h, const struct http_field *from, uint32_t count, struct host_node *parent)
{
    fields_t *fields = fields_new(h, parent);
    if (!fields)
        return NULL;
    for (uint32_t i = 0; i < count; i++)
        if (!is_forbidden(from[i].name) && !add(h, fields, from[i].name, from[i].value))
            return NULL;
    fields->immutable = true;
    return fields;
}

fields_t *fields_view(struct host *h, fields_t *of, struct host_node *parent)
{
    fields_t *fields = fields_new(h, parent);
    if (!fields)
        return NULL;
    fields->immutable = true;
    fields->items = of->items;
    fields->count = of->count;
    fields->of = of->of ? of->of : of;
    fields->of->users++;
    if (of->of_message)
        link_exchange(h, fields);
    return fields;
}

/* ---- the length ---- */

static bool is_length(struct str name)
{
    return http_is_same(name, STR("content-length"));
}

bool fields_length(const fields_t *fields, uint64_t *ret_length)
{
    for (uint32_t i = 0; i < fields->count; i++)
        if (is_length(fields->items[i].name))
            return http_read_length(fields->items[i].value, ret_length);
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

static bool has(const fields_t *fields, struct str name)
{
    for (uint32_t i = 0; i < fields->count; i++)
        if (same_name(name, fields->items[i].name))
            return true;
    return false;
}

/* `before`: what stays beside these values; NULL: nothing of that name. A content-length is one number (RFC 9110,
 * section 8.6): one that is none, or another one, would be left out of the message without a word. */
static int check_values(const fields_t *before, struct str name, struct list_list_u8 values)
{
    bool is_number = is_length(name);
    uint64_t length;
    if (is_number && values.len + (before && has(before, name)) > 1)
        return WASI_HTTP_TYPES_HEADER_ERROR_INVALID_SYNTAX;
    for (size_t i = 0; i < values.len; i++)
        if (!http_is_value(value_of(values.ptr[i])) ||
            (is_number && !http_read_length(value_of(values.ptr[i]), &length)))
            return WASI_HTTP_TYPES_HEADER_ERROR_INVALID_SYNTAX;
    return FINE;
}

/* The change may be made; else *ret says why not. `before`: see check_values. */
static bool allowed(const fields_t *fields, const fields_t *before, struct str name, struct list_list_u8 values,
                    struct result_void_wasi_http_types_header_error *ret)
{
    int verdict = check_name(name);
    if (verdict == FINE)
        verdict = check_values(before, name, values);
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
    *ret = fields_new(h, NULL);
    return *ret != NULL;
}

bool wasi_http_types_fields_from_list(struct host *h, struct list_tuple_str_list_u8 entries,
                                      struct result_wasi_http_fields_wasi_http_types_header_error *ret)
{
    fields_t *fields = fields_new(h, NULL);
    if (!fields)
        return false;
    for (size_t i = 0; i < entries.len; i++) {
        struct list_u8 value = entries.ptr[i].f1;
        int verdict = check_name(entries.ptr[i].f0);
        if (verdict == FINE)
            verdict = check_values(fields, entries.ptr[i].f0, (struct list_list_u8){&value, 1});
        if (verdict != FINE) {
            fields_leave(h, fields);
            ret->err = true;
            ret->error.tag = (enum wasi_http_types_header_error_tag)verdict;
            return true;
        }
        if (!add(h, fields, entries.ptr[i].f0, value_of(value)))
            return false;
    }
    ret->err = false;
    ret->ok = fields;
    return true;
}

bool wasi_http_types_fields_get(struct host *h, fields_t *self, struct str name, struct list_list_u8 *ret)
{
    uint32_t count = self->count, found = 0;
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
    *ret = has(self, name);
    return true;
}

bool wasi_http_types_fields_set(struct host *h, fields_t *self, struct str name, struct list_list_u8 value,
                                struct result_void_wasi_http_types_header_error *ret)
{
    if (!allowed(self, NULL, name, value, ret))
        return true;
    remove_all(h, self, name);
    for (size_t i = 0; i < value.len; i++)
        if (!add(h, self, name, value_of(value.ptr[i])))
            return false;
    return true;
}

bool wasi_http_types_fields_delete(struct host *h, fields_t *self, struct str name,
                                   struct result_void_wasi_http_types_header_error *ret)
{
    if (allowed(self, NULL, name, (struct list_list_u8){0}, ret))
        remove_all(h, self, name);
    return true;
}

bool wasi_http_types_fields_append(struct host *h, fields_t *self, struct str name, struct list_u8 value,
                                   struct result_void_wasi_http_types_header_error *ret)
{
    if (!allowed(self, self, name, (struct list_list_u8){&value, 1}, ret))
        return true;
    return add(h, self, name, value_of(value));
}

bool wasi_http_types_fields_entries(struct host *h, fields_t *self, struct list_tuple_str_list_u8 *ret)
{
    uint32_t count = self->count;
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
    fields_t *copy = fields_new(h, NULL);
    if (!copy)
        return false;
    for (uint32_t i = 0; i < self->count; i++)
        if (!add(h, copy, self->items[i].name, self->items[i].value))
            return false;
    *ret = copy;
    return true;
}

void wasi_http_fields_drop(struct host *h, fields_t *self)
{
    if (host_release(h, &self->node, "fields"))
        fields_leave(h, self);
}
