/* See typed.h. A value is {"type": ..., "value": ...}; it must be of the type that the function has. */
#include "typed.h"

#include "support/datum_equal.h"

#include <stdlib.h>

static const char *text_of(json_t *value)
{
    const char *text = json_string_value(json_object_get(value, "value"));
    return text ? text : "";
}

static bool kind_matches(json_t *value, const struct type *type)
{
    enum type_kind kind;
    const char *text = json_string_value(json_object_get(value, "type"));
    if (!text || !type_kind_of(str_of(text), &kind))
        return false;
    return kind == type->kind || (kind == TYPE_LIST && type->kind == TYPE_FIXED_LIST);
}

static bool items_of(json_t *list, const struct type *type, struct arena *arena, struct datum *ret)
{
    size_t i;
    json_t *item;
    ret->count = (uint32_t)json_array_size(list);
    ret->items = ARENA_ARRAY(arena, struct datum, ret->count);
    if (!ret->items || (type->kind == TYPE_FIXED_LIST && ret->count != type->count))
        return false;
    json_array_foreach(list, i, item) if (!typed_value(item, type->element, arena, &ret->items[i])) return false;
    return true;
}

/* Fields of a record are pairs of name and value. */
static bool fields_of(json_t *list, const struct type *type, struct arena *arena, struct datum *ret)
{
    size_t i;
    json_t *item;
    ret->count = type->count;
    ret->items = ARENA_ARRAY(arena, struct datum, ret->count);
    if (!ret->items || json_array_size(list) != type->count)
        return false;
    json_array_foreach(list, i, item)
    {
        json_t *field = type->kind == TYPE_RECORD ? json_array_get(item, 1) : item;
        if (!typed_value(field, type->items[i].type, arena, &ret->items[i]))
            return false;
    }
    return true;
}

static bool payload_of(json_t *payload, const struct type *type, struct arena *arena, struct datum *ret)
{
    const struct type *wanted = type->items[ret->bits].type;
    if (!wanted)
        return !payload || json_is_null(payload);
    ret->count = 1;
    ret->items = ARENA_NEW(arena, struct datum);
    return ret->items && typed_value(payload, wanted, arena, ret->items);
}

static bool case_of(json_t *value, const struct type *type, struct arena *arena, struct datum *ret)
{
    json_t *payload = json_object_get(value, "payload");
    const char *name =
        json_is_string(value) ? json_string_value(value) : json_string_value(json_object_get(value, "case"));
    for (ret->bits = 0; name && ret->bits < type->count; ret->bits++)
        if (str_eq(type->items[ret->bits].name, str_of(name)))
            return payload_of(payload, type, arena, ret);
    return false;
}

static bool option_of(json_t *value, const struct type *type, struct arena *arena, struct datum *ret)
{
    ret->bits = value && !json_is_null(value);
    return payload_of(ret->bits ? value : NULL, type, arena, ret);
}

static bool result_of(json_t *value, const struct type *type, struct arena *arena, struct datum *ret)
{
    json_t *error = json_object_get(value, "Err");
    ret->bits = error != NULL;
    return payload_of(error ? error : json_object_get(value, "Ok"), type, arena, ret);
}

static bool flags_of(json_t *list, const struct type *type, struct datum *ret)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item) for (uint32_t j = 0; j < type->count;
                                           j++) if (str_eq(type->items[j].name, str_of(json_string_value(item))))
        ret->bits |= (uint64_t)1 << j;
    return true;
}

static bool char_of(const char *text, struct datum *ret)
{
    const uint8_t *at = (const uint8_t *)text;
    size_t size = strlen(text) ? utf8_sequence(at, strlen(text)) : 0;
    ret->bits = size ? at[0] & (size == 1 ? 0x7f : 0x7f >> size) : 0;
    for (size_t i = 1; i < size; i++)
        ret->bits = ret->bits << 6 | (at[i] & 0x3f);
    return size != 0 && text[size] == '\0';
}

static bool number_of(const char *text, struct datum *ret)
{
    char *end;
    ret->bits = text[0] == '-' ? (uint64_t)strtoll(text, &end, 10) : strtoull(text, &end, 10);
    return *text && !*end;
}

static bool string_of(json_t *value, struct arena *arena, struct datum *ret)
{
    size_t size = json_string_length(value);
    ret->text = (struct str){arena_copy(arena, json_string_value(value), size), size};
    return json_is_string(value) && ret->text.ptr;
}

bool typed_value(json_t *value, const struct type *type, struct arena *arena, struct datum *ret)
{
    json_t *inner = json_object_get(value, "value");
    *ret = (struct datum){0};
    if (!kind_matches(value, type))
        return false;
    switch (type->kind) {
    case TYPE_BOOL: ret->bits = json_is_true(inner); return json_is_boolean(inner);
    case TYPE_CHAR: return char_of(text_of(value), ret);
    case TYPE_STRING: return string_of(inner, arena, ret);
    case TYPE_LIST:
    case TYPE_FIXED_LIST: return items_of(inner, type, arena, ret);
    case TYPE_RECORD:
    case TYPE_TUPLE: return fields_of(inner, type, arena, ret);
    case TYPE_VARIANT:
    case TYPE_ENUM: return case_of(inner, type, arena, ret);
    case TYPE_OPTION: return option_of(inner, type, arena, ret);
    case TYPE_RESULT: return result_of(inner, type, arena, ret);
    case TYPE_FLAGS: return flags_of(inner, type, ret);
    default: return type->kind <= TYPE_F64 && number_of(text_of(value), ret);
    }
}

bool typed_matches(json_t *expected, const struct type *type, const struct datum *datum)
{
    struct arena arena;
    struct datum wanted;
    arena_init(&arena, (size_t)64 << 20);
    bool matches = typed_value(expected, type, &arena, &wanted) && datum_equal(&wanted, datum);
    arena_free(&arena);
    return matches;
}
