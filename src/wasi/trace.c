/* See trace.h. */
#include "wasi/trace.h"

#include <stdio.h>

#define VERSION_SIZE 2u
#define PARENT_SIZE 16u
#define VALUE_SIZE (VERSION_SIZE + 1 + TRACE_ID_SIZE + 1 + PARENT_SIZE + 1 + 2)

static bool is_hex(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!((text.ptr[i] >= '0' && text.ptr[i] <= '9') || (text.ptr[i] >= 'a' && text.ptr[i] <= 'f')))
            return false;
    return true;
}

static bool is_zero(struct str text)
{
    size_t i = 0;
    while (i < text.len && text.ptr[i] == '0')
        i++;
    return i == text.len;
}

/* Sections 3.2.2.1 to 3.2.2.5: lower case; a later version may be longer, behind a dash. */
static bool is_valid(struct str value)
{
    if (value.len < VALUE_SIZE || value.ptr[2] != '-' || value.ptr[35] != '-' || value.ptr[52] != '-')
        return false;
    struct str version = str_slice(value, 0, 2), id = str_slice(value, 3, 35), parent = str_slice(value, 36, 52);
    bool first = str_eq(version, STR("00"));
    if (value.len > VALUE_SIZE && (first || value.ptr[VALUE_SIZE] != '-'))
        return false;
    return is_hex(version) && !str_eq(version, STR("ff")) && is_hex(id) && !is_zero(id) && is_hex(parent) &&
           !is_zero(parent) && is_hex(str_slice(value, 53, 55));
}

struct str trace_parent(const struct http_request *request)
{
    struct str found = {NULL, 0};
    for (uint32_t i = 0; i < request->field_count; i++) {
        const struct http_field *field = &request->fields[i];
        if (!str_eq(field->name, STR("traceparent")))
            continue;
        if (found.ptr || !is_valid(field->value))
            return (struct str){NULL, 0};
        found = field->value;
    }
    return found;
}

struct str trace_id(const struct http_request *request)
{
    struct str parent = trace_parent(request);
    return parent.ptr ? str_slice(parent, 3, 3 + TRACE_ID_SIZE) : parent;
}

const char *trace_scope(const char *name, struct str id, char room[TRACE_SCOPE_SIZE])
{
    if (!id.ptr)
        return name;
    snprintf(room, TRACE_SCOPE_SIZE, "%.100s %.*s", name ? name : "", STR_ARG(id));
    return room;
}
