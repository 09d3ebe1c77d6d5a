/* See value.h. */
#include "value.h"

#include <stdlib.h>
#include <string.h>

static const char *text_of(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static uint64_t number(const char *text)
{
    return text[0] == '-' ? (uint64_t)strtoll(text, NULL, 10) : strtoull(text, NULL, 10);
}

static unsigned lane_size(json_t *vector)
{
    unsigned bits = (unsigned)strtoul(text_of(vector, "lane_type") + 1, NULL, 10);
    return bits ? bits / 8 : 16;
}

static bool is_reference(const char *type)
{
    return strstr(type, "ref") != NULL;
}

/* A reference that the host chose, told apart by its number. */
static uint64_t host_reference(const char *text)
{
    return number(text) + 1;
}

static union cell vector_of(json_t *value)
{
    union cell cell = {.lanes = {0, 0}};
    unsigned size = lane_size(value);
    for (unsigned i = 0; i < 16 / size; i++) {
        uint64_t lane = number(json_string_value(json_array_get(json_object_get(value, "value"), i)));
        memcpy(cell.v128 + i * size, &lane, size);
    }
    return cell;
}

bool value_is_host_any(json_t *value)
{
    const char *text = text_of(value, "value");
    return strcmp(text_of(value, "type"), "anyref") == 0 && *text && strcmp(text, "null") != 0;
}

union cell value_of(json_t *value)
{
    union cell cell = {.lanes = {0, 0}};
    const char *type = text_of(value, "type"), *text = text_of(value, "value");
    if (strcmp(type, "v128") == 0)
        return vector_of(value);
    if (!is_reference(type))
        cell.u64 = number(text);
    else if (*text && strcmp(text, "null") != 0)
        cell.u64 = host_reference(text);
    return cell;
}

/* Do `size` bytes match a number or a class of NaN? */
static bool lane_matches(const char *expected, const uint8_t *at, unsigned size)
{
    uint64_t bits = 0, want, quiet = size == 4 ? 0x7fc00000 : 0x7ff8000000000000;
    uint64_t sign = size == 4 ? 0x80000000 : (uint64_t)1 << 63;
    memcpy(&bits, at, size);
    if (strcmp(expected, "nan:canonical") == 0)
        return (bits & ~sign) == quiet;
    if (strcmp(expected, "nan:arithmetic") == 0)
        return (bits & quiet) == quiet;
    want = number(expected);
    return memcmp(&want, &bits, size) == 0;
}

static bool vector_matches(json_t *expected, const union cell *cell)
{
    unsigned size = lane_size(expected);
    for (unsigned i = 0; i < 16 / size; i++)
        if (!lane_matches(json_string_value(json_array_get(json_object_get(expected, "value"), i)),
                          cell->v128 + i * size, size))
            return false;
    return true;
}

static bool any_matches(json_t *values, const union cell *cell, const struct gc *gc)
{
    size_t i;
    json_t *one;
    json_array_foreach(values, i, one) if (value_matches(one, cell, gc)) return true;
    return false;
}

/* Is a reference of the heap that is not null one of the type? */
static bool kind_matches(const char *type, uint64_t reference, const struct gc *gc)
{
    bool i31 = reference & 1;
    if (strcmp(type, "i31ref") == 0)
        return i31;
    if (strcmp(type, "arrayref") == 0)
        return !i31 && gc_type(gc, (uint32_t)reference)->display[0] == HEAP_ROOT_ARRAY;
    if (strcmp(type, "structref") == 0)
        return !i31 && gc_type(gc, (uint32_t)reference)->display[0] == HEAP_ROOT_STRUCT;
    return true;
}

/* Without a value: any null, or any reference of the type that is not null. */
static bool reference_matches(json_t *expected, const char *type, const union cell *cell, const struct gc *gc)
{
    const char *text = text_of(expected, "value");
    if (strcmp(type, "refnull") == 0 || strncmp(type, "null", 4) == 0 || strcmp(text, "null") == 0)
        return cell->u64 == 0;
    if (value_is_host_any(expected))
        return gc_externalize(gc, cell->u64) == host_reference(text);
    return *text ? cell->u64 == host_reference(text) : cell->u64 != 0 && kind_matches(type, cell->u64, gc);
}

bool value_matches(json_t *expected, const union cell *cell, const struct gc *gc)
{
    const char *type = text_of(expected, "type");
    if (strcmp(type, "either") == 0)
        return any_matches(json_object_get(expected, "values"), cell, gc);
    if (strcmp(type, "v128") == 0)
        return vector_matches(expected, cell);
    if (is_reference(type))
        return reference_matches(expected, type, cell, gc);
    return lane_matches(text_of(expected, "value"), cell->v128, type[1] == '3' ? 4 : 8);
}
