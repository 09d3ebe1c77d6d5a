/* Computes what CanonicalABI.md says about a type: alignment, element size, flattening; and writes the
 * canonical text by which functions are linked.
 *
 * `type_finish` looks at the direct parts of a type only, which are finished already, so its cost is
 * linear in the number of types, however deeply they share parts. The text of a type can be
 * exponentially longer than the type: the buffer's maximum bounds it, and writing stops once it failed.
 */
#include "wit/type.h"

#define POINTER_SIZE 4u

struct scalar {
    const char *text;
    uint8_t size, align;
    uint8_t flat_count;
    uint8_t flat;
};

#define SCALARS(ROW)                                                                                                   \
    ROW(TYPE_BOOL, "bool", 1, 1, 1, WASM_I32)                                                                          \
    ROW(TYPE_S8, "s8", 1, 1, 1, WASM_I32)                                                                              \
    ROW(TYPE_U8, "u8", 1, 1, 1, WASM_I32)                                                                              \
    ROW(TYPE_S16, "s16", 2, 2, 1, WASM_I32)                                                                            \
    ROW(TYPE_U16, "u16", 2, 2, 1, WASM_I32)                                                                            \
    ROW(TYPE_S32, "s32", 4, 4, 1, WASM_I32)                                                                            \
    ROW(TYPE_U32, "u32", 4, 4, 1, WASM_I32)                                                                            \
    ROW(TYPE_S64, "s64", 8, 8, 1, WASM_I64)                                                                            \
    ROW(TYPE_U64, "u64", 8, 8, 1, WASM_I64)                                                                            \
    ROW(TYPE_F32, "f32", 4, 4, 1, WASM_F32)                                                                            \
    ROW(TYPE_F64, "f64", 8, 8, 1, WASM_F64)                                                                            \
    ROW(TYPE_CHAR, "char", 4, 4, 1, WASM_I32)                                                                          \
    ROW(TYPE_STRING, "string", 2 * POINTER_SIZE, POINTER_SIZE, 2, WASM_I32)                                            \
    ROW(TYPE_LIST, "list", 2 * POINTER_SIZE, POINTER_SIZE, 2, WASM_I32)                                                \
    ROW(TYPE_MAP, "map", 2 * POINTER_SIZE, POINTER_SIZE, 2, WASM_I32)                                                  \
    ROW(TYPE_OWN, "own", 4, 4, 1, WASM_I32)                                                                            \
    ROW(TYPE_BORROW, "borrow", 4, 4, 1, WASM_I32)                                                                      \
    ROW(TYPE_STREAM, "stream", 4, 4, 1, WASM_I32)                                                                      \
    ROW(TYPE_FUTURE, "future", 4, 4, 1, WASM_I32)                                                                      \
    ROW(TYPE_ERROR_CONTEXT, "error-context", 4, 4, 1, WASM_I32)                                                        \
    /* composite: computed below */                                                                                    \
    ROW(TYPE_FIXED_LIST, "list", 0, 0, 0, 0)                                                                           \
    ROW(TYPE_RECORD, "record", 0, 0, 0, 0)                                                                             \
    ROW(TYPE_TUPLE, "tuple", 0, 0, 0, 0)                                                                               \
    ROW(TYPE_VARIANT, "variant", 0, 0, 0, 0)                                                                           \
    ROW(TYPE_ENUM, "enum", 0, 0, 0, 0)                                                                                 \
    ROW(TYPE_OPTION, "option", 0, 0, 0, 0)                                                                             \
    ROW(TYPE_RESULT, "result", 0, 0, 0, 0)                                                                             \
    ROW(TYPE_FLAGS, "flags", 0, 0, 0, 0)

static const struct scalar scalars[] = {
#define ROW(kind, text, size, align, count, flat) [kind] = {text, size, align, count, flat},
    SCALARS(ROW)
#undef ROW
};

bool type_kind_of(struct str word, enum type_kind *ret_kind)
{
    for (size_t i = 0; i < sizeof scalars / sizeof *scalars; i++)
        if (str_eq(word, str_of(scalars[i].text))) {
            *ret_kind = (enum type_kind)i;
            return true;
        }
    return false;
}

static uint64_t align_up(uint64_t at, uint32_t align)
{
    return (at + align - 1) & ~(uint64_t)(align - 1);
}

static uint32_t saturating_add(uint32_t a, uint32_t b)
{
    return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

static bool set_size(struct type *type, uint64_t size, struct err *err)
{
    if (size > TYPE_MAX_SIZE)
        return err_set(err, ERR_LIMIT, "type larger than %u bytes", TYPE_MAX_SIZE);
    type->size = (uint32_t)size;
    return true;
}

static bool not_empty(const struct type *type, struct err *err)
{
    return type->count ? true : err_set(err, ERR_INVALID, "%s without members", scalars[type->kind].text);
}

/* Append the flat types of `part`; beyond the maximum only the count goes on. */
static void flat_append(struct type *type, const struct type *part)
{
    for (uint32_t i = 0; i < part->flat_count && i < TYPE_MAX_FLAT_PARAMS; i++)
        if (type->flat_count + i < TYPE_MAX_FLAT_PARAMS && type->flat_count < TYPE_MAX_FLAT_PARAMS)
            type->flat[type->flat_count + i] = part->flat[i];
    type->flat_count = saturating_add(type->flat_count, part->flat_count);
}

static wasm_valtype flat_join(wasm_valtype a, wasm_valtype b)
{
    if (a == b)
        return a;
    bool narrow = (a == WASM_I32 || a == WASM_F32) && (b == WASM_I32 || b == WASM_F32);
    return narrow ? WASM_I32 : WASM_I64;
}

/* Overlay the flat types of a case on those behind the discriminant. */
static void flat_overlay(struct type *type, const struct type *payload)
{
    uint32_t used = type->flat_count;
    for (uint32_t i = 0; i < payload->flat_count && i + 1 < TYPE_MAX_FLAT_PARAMS; i++)
        type->flat[i + 1] = i + 1 < used ? flat_join(type->flat[i + 1], payload->flat[i]) : payload->flat[i];
    uint32_t total = saturating_add(payload->flat_count, 1);
    type->flat_count = total > used ? total : used;
}

static bool finish_record(struct type *type, struct err *err)
{
    if (!not_empty(type, err))
        return false;
    uint64_t size = 0;
    type->align = 1;
    for (uint32_t i = 0; i < type->count; i++) {
        const struct type *part = type->items[i].type;
        size = align_up(size, part->align) + part->size;
        if (!set_size(type, size, err))
            return false;
        type->align = part->align > type->align ? part->align : type->align;
        flat_append(type, part);
    }
    return set_size(type, align_up(size, type->align), err);
}

static bool finish_fixed_list(struct type *type, struct err *err)
{
    if (!not_empty(type, err) || !set_size(type, (uint64_t)type->count * type->element->size, err))
        return false;
    type->align = type->element->align;
    for (uint32_t i = 0; i < type->count && type->flat_count < TYPE_MAX_FLAT_PARAMS; i++)
        flat_append(type, type->element);
    uint64_t total = (uint64_t)type->count * type->element->flat_count;
    type->flat_count = total > UINT32_MAX ? UINT32_MAX : (uint32_t)total;
    return true;
}

static uint32_t discriminant_size(uint32_t cases)
{
    return cases <= 1u << 8 ? 1 : cases <= 1u << 16 ? 2 : 4;
}

/* Variants and what despecializes to them. */
static bool finish_variant(struct type *type, struct err *err)
{
    if (!not_empty(type, err))
        return false;
    uint32_t payload_size = 0, payload_align = 1;
    type->flat[0] = WASM_I32;
    type->flat_count = 1;
    for (uint32_t i = 0; i < type->count; i++) {
        const struct type *payload = type->items[i].type;
        if (!payload)
            continue;
        payload_size = payload->size > payload_size ? payload->size : payload_size;
        payload_align = payload->align > payload_align ? payload->align : payload_align;
        flat_overlay(type, payload);
    }
    type->discriminant_size = discriminant_size(type->count);
    type->align = type->discriminant_size > payload_align ? type->discriminant_size : payload_align;
    type->payload_offset = (uint32_t)align_up(type->discriminant_size, payload_align);
    return set_size(type, align_up((uint64_t)type->payload_offset + payload_size, type->align), err);
}

static bool finish_flags(struct type *type, struct err *err)
{
    if (!not_empty(type, err))
        return false;
    if (type->count > TYPE_MAX_FLAGS)
        return err_set(err, ERR_INVALID, "flags with %u names: at most %u", type->count, TYPE_MAX_FLAGS);
    type->size = type->align = type->count <= 8 ? 1 : type->count <= 16 ? 2 : 4;
    type->flat[0] = WASM_I32;
    type->flat_count = 1;
    return true;
}

static void finish_scalar(struct type *type)
{
    const struct scalar *scalar = &scalars[type->kind];
    type->size = scalar->size;
    type->align = scalar->align;
    type->flat_count = scalar->flat_count;
    for (uint32_t i = 0; i < scalar->flat_count; i++)
        type->flat[i] = scalar->flat;
}

static bool has_borrow(const struct type *type)
{
    if (type->kind == TYPE_BORROW || (type->element && type->element->has_borrow))
        return true;
    for (uint32_t i = 0; type->items && i < type->count; i++)
        if (type->items[i].type && type->items[i].type->has_borrow)
            return true;
    return false;
}

bool type_finish(struct type *type, struct err *err)
{
    type->has_borrow = has_borrow(type);
    type->size = type->align = type->payload_offset = type->discriminant_size = type->flat_count = 0;
    switch (type->kind) {
    case TYPE_RECORD:
    case TYPE_TUPLE: return finish_record(type, err);
    case TYPE_FIXED_LIST: return finish_fixed_list(type, err);
    case TYPE_VARIANT:
    case TYPE_ENUM:
    case TYPE_OPTION:
    case TYPE_RESULT: return finish_variant(type, err);
    case TYPE_FLAGS: return finish_flags(type, err);
    default: finish_scalar(type); return true;
    }
}

static void flatten_params(const struct func_type *func, struct flat_func *flat)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < func->param_count; i++)
        count = saturating_add(count, func->params[i].type->flat_count);
    flat->params_indirect = count > TYPE_MAX_FLAT_PARAMS;
    if (flat->params_indirect) {
        flat->params[flat->param_count++] = WASM_I32;
        return;
    }
    for (uint32_t i = 0; i < func->param_count; i++)
        for (uint32_t j = 0; j < func->params[i].type->flat_count; j++)
            flat->params[flat->param_count++] = func->params[i].type->flat[j];
}

void type_flatten_func(const struct func_type *func, bool lower, struct flat_func *ret_flat)
{
    struct flat_func flat = {0};
    flatten_params(func, &flat);
    uint32_t results = func->result ? func->result->flat_count : 0;
    flat.result_indirect = results > TYPE_MAX_FLAT_RESULTS;
    if (flat.result_indirect && lower) {
        flat.params[flat.param_count++] = WASM_I32;
    } else if (results) {
        flat.results[0] = flat.result_indirect ? WASM_I32 : func->result->flat[0];
        flat.result_count = 1;
    }
    *ret_flat = flat;
}

static bool put(struct buf *out, const char *text)
{
    return buf_append(out, text, strlen(text));
}

static bool put_str(struct buf *out, struct str text)
{
    return buf_append(out, text.ptr, text.len);
}

/* One without a name by its number, which canonical text between components only has. */
static bool put_resource(struct buf *out, const struct resource *resource)
{
    if (resource->name.len == 0 && resource->id != WASM_NO_INDEX)
        return buf_printf(out, "#%u", resource->id);
    if (resource->interface.len && !(put_str(out, resource->interface) && put(out, ".")))
        return false;
    return put_str(out, resource->name);
}

/* {name: type, ...} of a record, {name(type), ...} of a variant, {name, ...} of an enum. */
static bool put_items(struct buf *out, const struct type *type)
{
    bool record = type->kind == TYPE_RECORD;
    bool ok = put(out, "{");
    for (uint32_t i = 0; ok && i < type->count; i++) {
        const struct type_item *item = &type->items[i];
        ok = (i == 0 || put(out, ", ")) && put_str(out, item->name);
        if (ok && item->type)
            ok = put(out, record ? ": " : "(") && type_text(item->type, out) && (record || put(out, ")"));
    }
    return ok && put(out, "}");
}

static bool put_result(struct buf *out, const struct type *type)
{
    const struct type *ok = type->items[0].type, *error = type->items[1].type;
    if (!ok && !error)
        return true;
    return put(out, "<") && (ok ? type_text(ok, out) : put(out, "_")) &&
           (!error || (put(out, ", ") && type_text(error, out))) && put(out, ">");
}

static bool put_tuple(struct buf *out, const struct type *type)
{
    bool ok = put(out, "<");
    for (uint32_t i = 0; ok && i < type->count; i++)
        ok = (i == 0 || put(out, ", ")) && type_text(type->items[i].type, out);
    return ok && put(out, ">");
}

static bool put_element(struct buf *out, const struct type *type)
{
    if (!type->element)
        return true;
    if (type->kind == TYPE_MAP)
        return put_tuple(out, type->element);
    bool ok = put(out, "<") && type_text(type->element, out);
    if (ok && type->kind == TYPE_FIXED_LIST)
        ok = buf_printf(out, ", %u", type->count);
    return ok && put(out, ">");
}

bool type_text(const struct type *type, struct buf *out)
{
    if (out->failed || !put(out, scalars[type->kind].text))
        return false;
    switch (type->kind) {
    case TYPE_RECORD:
    case TYPE_VARIANT:
    case TYPE_ENUM:
    case TYPE_FLAGS: return put_items(out, type);
    case TYPE_RESULT: return put_result(out, type);
    case TYPE_TUPLE: return put_tuple(out, type);
    case TYPE_OWN:
    case TYPE_BORROW: return put(out, "<") && put_resource(out, type->resource) && put(out, ">");
    default: return put_element(out, type);
    }
}

bool type_func_text(const struct func_type *func, struct buf *out)
{
    bool ok = put(out, func->async_ ? "async func(" : "func(");
    for (uint32_t i = 0; ok && i < func->param_count; i++)
        ok = (i == 0 || put(out, ", ")) && type_text(func->params[i].type, out);
    ok = ok && put(out, ")");
    if (ok && func->result)
        ok = put(out, " -> ") && type_text(func->result, out);
    return ok;
}

/* --- versions --- */

struct str version_track(struct str version)
{
    size_t dot = str_find(version, '.');
    if (str_find(version, '-') < version.len)
        return version;
    bool first = str_eq(str_slice(version, 0, dot), STR("0"));
    if (first && dot < version.len)
        dot += 1 + str_find(str_slice(version, dot + 1, version.len), '.');
    return str_slice(version, 0, dot);
}

bool version_fits(struct str offered, struct str wanted)
{
    if (wanted.len == 0 || offered.len == 0)
        return wanted.len == 0;
    return str_eq(version_track(offered), version_track(wanted));
}
