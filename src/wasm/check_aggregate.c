/* Structures and arrays (core specification, section 3.4.8). */
#include "wasm/check.h"

static bool packed(wasm_valtype storage)
{
    return storage == WASM_I8 || storage == WASM_I16;
}

static wasm_valtype unpack(wasm_valtype storage)
{
    return packed(storage) ? (wasm_valtype)WASM_I32 : storage;
}

static wasm_valtype nullable(uint32_t type)
{
    return WASM_REF | WASM_NULLABLE | type;
}

static bool push_new(checker *s)
{
    return check_push(s, WASM_REF | s->op.a);
}

/* --- structures --- */

static bool struct_type(checker *s, const struct wasm_type **ret)
{
    if (!check_type_kind(s, s->op.a, WASM_COMP_STRUCT))
        return false;
    *ret = &s->module->types[s->op.a];
    return true;
}

bool check_struct_new(checker *s)
{
    const struct wasm_type *type;
    if (!struct_type(s, &type))
        return false;
    for (uint32_t i = type->field_count; i-- > 0;)
        if (!check_pop(s, unpack(type->fields[i].storage)))
            return false;
    return push_new(s);
}

bool check_struct_new_default(checker *s)
{
    const struct wasm_type *type;
    if (!struct_type(s, &type))
        return false;
    for (uint32_t i = 0; i < type->field_count; i++)
        if (!type_defaultable(type->fields[i].storage))
            return check_fail(s, "type mismatch: field %u has no default value", i);
    return push_new(s);
}

static bool field(checker *s, struct wasm_fieldtype *ret)
{
    const struct wasm_type *type;
    if (!struct_type(s, &type))
        return false;
    if (s->op.b >= type->field_count)
        return check_fail(s, "unknown field %u", s->op.b);
    *ret = type->fields[s->op.b];
    return true;
}

/* Packed fields are read with a sign, others without. */
static bool read_as(checker *s, struct wasm_fieldtype field, bool as_packed)
{
    if (packed(field.storage) != as_packed)
        return check_fail(s, "type mismatch: the field is %spacked", as_packed ? "not " : "");
    return true;
}

static bool get_field(checker *s, bool as_packed)
{
    struct wasm_fieldtype type;
    return field(s, &type) && read_as(s, type, as_packed) && check_pop(s, nullable(s->op.a)) &&
           check_push(s, unpack(type.storage));
}

bool check_struct_get(checker *s)
{
    return get_field(s, false);
}

bool check_struct_get_packed(checker *s)
{
    return get_field(s, true);
}

bool check_struct_set(checker *s)
{
    struct wasm_fieldtype type;
    if (!field(s, &type))
        return false;
    if (!type.mutable_)
        return check_fail(s, "immutable field %u", s->op.b);
    return check_pop(s, unpack(type.storage)) && check_pop(s, nullable(s->op.a));
}

/* --- arrays --- */

static bool element(checker *s, uint32_t type, struct wasm_fieldtype *ret)
{
    if (!check_type_kind(s, type, WASM_COMP_ARRAY))
        return false;
    *ret = s->module->types[type].fields[0];
    return true;
}

static bool mutable_element(checker *s, struct wasm_fieldtype *ret)
{
    if (!element(s, s->op.a, ret))
        return false;
    return ret->mutable_ || check_fail(s, "immutable array type %u", s->op.a);
}

bool check_array_new(checker *s)
{
    struct wasm_fieldtype type;
    return element(s, s->op.a, &type) && check_pop(s, WASM_I32) && check_pop(s, unpack(type.storage)) && push_new(s);
}

bool check_array_new_default(checker *s)
{
    struct wasm_fieldtype type;
    if (!element(s, s->op.a, &type))
        return false;
    if (!type_defaultable(type.storage))
        return check_fail(s, "type mismatch: the element has no default value");
    return check_pop(s, WASM_I32) && push_new(s);
}

bool check_array_new_fixed(checker *s)
{
    struct wasm_fieldtype type;
    if (!element(s, s->op.a, &type))
        return false;
    if (s->op.b > WASM_MAX_ARRAY_FIXED)
        return check_limit(s, WASM_LIMIT_ARRAY_FIXED);
    for (uint32_t i = 0; i < s->op.b; i++)
        if (!check_pop(s, unpack(type.storage)))
            return false;
    return push_new(s);
}

static bool bytes_fill(checker *s, struct wasm_fieldtype type)
{
    if (wasm_is_ref(type.storage))
        return check_fail(s, "array type is not numeric or vector");
    return check_data(s, s->op.b);
}

static bool elems_fill(checker *s, struct wasm_fieldtype type)
{
    if (!check_elem(s, s->op.b))
        return false;
    wasm_valtype from = s->module->elems[s->op.b].type;
    return wasm_subtype(s->module, from, type.storage) || check_mismatch(s, from, type.storage);
}

bool check_array_new_data(checker *s)
{
    struct wasm_fieldtype type;
    return element(s, s->op.a, &type) && bytes_fill(s, type) && check_pop(s, WASM_I32) && check_pop(s, WASM_I32) &&
           push_new(s);
}

bool check_array_new_elem(checker *s)
{
    struct wasm_fieldtype type;
    return element(s, s->op.a, &type) && elems_fill(s, type) && check_pop(s, WASM_I32) && check_pop(s, WASM_I32) &&
           push_new(s);
}

static bool get_element(checker *s, bool as_packed)
{
    struct wasm_fieldtype type;
    return element(s, s->op.a, &type) && read_as(s, type, as_packed) && check_pop(s, WASM_I32) &&
           check_pop(s, nullable(s->op.a)) && check_push(s, unpack(type.storage));
}

bool check_array_get(checker *s)
{
    return get_element(s, false);
}

bool check_array_get_packed(checker *s)
{
    return get_element(s, true);
}

bool check_array_set(checker *s)
{
    struct wasm_fieldtype type;
    return mutable_element(s, &type) && check_pop(s, unpack(type.storage)) && check_pop(s, WASM_I32) &&
           check_pop(s, nullable(s->op.a));
}

bool check_array_len(checker *s)
{
    return check_pop(s, nullable(HEAP_ARRAY)) && check_push(s, WASM_I32);
}

bool check_array_fill(checker *s)
{
    struct wasm_fieldtype type;
    return mutable_element(s, &type) && check_pop(s, WASM_I32) && check_pop(s, unpack(type.storage)) &&
           check_pop(s, WASM_I32) && check_pop(s, nullable(s->op.a));
}

static bool pop_range(checker *s)
{
    return check_pop(s, WASM_I32) && check_pop(s, WASM_I32);
}

bool check_array_copy(checker *s)
{
    struct wasm_fieldtype to, from;
    if (!mutable_element(s, &to) || !element(s, s->op.b, &from))
        return false;
    if (!wasm_subtype(s->module, from.storage, to.storage))
        return check_fail(s, "array types do not match: %s and %s", type_describe(to.storage).text,
                          type_describe(from.storage).text);
    return pop_range(s) && check_pop(s, nullable(s->op.b)) && check_pop(s, WASM_I32) && check_pop(s, nullable(s->op.a));
}

bool check_array_init_data(checker *s)
{
    struct wasm_fieldtype type;
    return mutable_element(s, &type) && bytes_fill(s, type) && pop_range(s) && check_pop(s, WASM_I32) &&
           check_pop(s, nullable(s->op.a));
}

bool check_array_init_elem(checker *s)
{
    struct wasm_fieldtype type;
    return mutable_element(s, &type) && elems_fill(s, type) && pop_range(s) && check_pop(s, WASM_I32) &&
           check_pop(s, nullable(s->op.a));
}
