/* Statements of the generated glue that move one value between guest and C (CanonicalABI.md, "Loading",
 * "Storing", "Flat Lifting", "Flat Lowering").
 *
 * Scalars and handles become statements in place. Every composite type gets up to four functions, written
 * before their first use and once per source file:
 *
 *     load_T(c, at, ret)          from memory          lift_T(c, v, ret)       from cells
 *     store_T(c, at, value)       to memory            items_T(c, at, count, ret)   a list's elements
 *
 * A value in cells needs no coercion: a cell's low bytes hold the value whatever type the flattened
 * variant joined it to.
 */
#include "wit/generate.h"

#include <stdarg.h>
#include <stdio.h>

static void ensure(struct generator *g, struct gen_package *p, const char *what, const struct type *type);

void gen_line(struct gen_place place, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (size < 0 || (size_t)size >= sizeof text)
        place.out->failed = true;
    buf_printf(place.out, "%*s%s\n", place.indent * 4, "", text);
}

void gen_check(struct gen_place place, const char *condition)
{
    gen_line(place, "if (!%s)", condition);
    gen_line(place, "    return false;");
}

static struct gen_place deeper(struct gen_place place)
{
    place.indent++;
    return place;
}

static const char *offset(struct generator *g, const char *at, uint32_t off)
{
    return off ? gen_text(g, "%s + %u", at, off) : at;
}

static bool is_list(const struct type *type)
{
    return type->kind == TYPE_LIST || type->kind == TYPE_MAP;
}

static bool is_composite(const struct type *type)
{
    return gen_by_pointer(type) || is_list(type);
}

static bool is_variant(const struct type *type)
{
    return type->kind == TYPE_VARIANT || type->kind == TYPE_OPTION || type->kind == TYPE_RESULT;
}

bool gen_uses_memory(const struct type *type)
{
    if (type->kind == TYPE_STRING || is_list(type))
        return true;
    if (type->element && gen_uses_memory(type->element))
        return true;
    for (uint32_t i = 0; type->items && i < type->count; i++)
        if (type->items[i].type && gen_uses_memory(type->items[i].type))
            return true;
    return false;
}

/* The suffix of canon_load_ and canon_store_ for what is one number in memory. */
static const char *scalar(const struct type *type)
{
    static const char *const by_kind[] = {
        [TYPE_BOOL] = "u8", [TYPE_S8] = "s8",   [TYPE_U8] = "u8",   [TYPE_S16] = "s16",
        [TYPE_U16] = "u16", [TYPE_S32] = "s32", [TYPE_U32] = "u32", [TYPE_S64] = "s64",
        [TYPE_U64] = "u64", [TYPE_F32] = "f32", [TYPE_F64] = "f64", [TYPE_CHAR] = "u32",
    };
    if (type->kind <= TYPE_CHAR)
        return by_kind[type->kind];
    return type->size == 1 ? "u8" : type->size == 2 ? "u16" : "u32";
}

static uint32_t flags_mask(const struct type *type)
{
    return type->count >= 32 ? UINT32_MAX : (1u << type->count) - 1;
}

/* --- scalars, from an expression that holds the raw number --- */

void gen_handle(struct generator *g, struct gen_place place, const struct type *type, const char *index,
                const char *lender, const char *to)
{
    const struct gen_resource *resource = gen_find_resource(g, type->resource);
    const char *id = resource ? resource->id : "0";
    gen_line(place, "{");
    gen_line(place, "    void *rep;");
    if (type->kind == TYPE_OWN)
        gen_check(deeper(place), gen_text(g, "canon_own(c, %s, %s, &rep)", index, id));
    else if (lender)
        gen_check(deeper(place), gen_text(g, "canon_borrow(c, %s, %s, &%s, &rep)", index, id, lender));
    else
        gen_check(deeper(place), gen_text(g, "canon_borrow_inside(c, %s, %s, &rep)", index, id));
    gen_line(place, "    %s = rep;", to);
    gen_line(place, "}");
}

static void take_scalar(struct generator *g, struct gen_place place, const struct type *type, const char *raw,
                        const char *to)
{
    switch (type->kind) {
    case TYPE_BOOL: gen_line(place, "%s = %s != 0;", to, raw); break;
    case TYPE_CHAR: gen_check(place, gen_text(g, "canon_char(c, %s, &%s)", raw, to)); break;
    case TYPE_F32:
    case TYPE_F64: gen_line(place, "%s = canon_%s(%s);", to, scalar(type), raw); break;
    case TYPE_ENUM:
        gen_check(place, gen_text(g, "canon_case(c, %s, %u)", raw, type->count));
        gen_line(place, "%s = (%s)%s;", to, gen_ctype(g, type), raw);
        break;
    case TYPE_FLAGS: gen_line(place, "%s = %s & 0x%xu;", to, raw, flags_mask(type)); break;
    case TYPE_OWN:
    case TYPE_BORROW: gen_handle(g, place, type, raw, NULL, to); break;
    default: gen_line(place, "%s = (%s)%s;", to, gen_ctype(g, type), raw);
    }
}

/* --- from memory --- */

void gen_load(struct generator *g, struct gen_place place, const struct type *type, const char *at, const char *to)
{
    if (type->kind == TYPE_STRING) {
        gen_check(place, gen_text(g, "canon_string(c, canon_load_u32(%s), canon_load_u32(%s), &%s)", at,
                                  offset(g, at, 4), to));
    } else if (is_list(type)) {
        ensure(g, place.p, "items", type);
        gen_check(place, gen_text(g, "items_%s(c, canon_load_u32(%s), canon_load_u32(%s), &%s)", gen_mangle(g, type),
                                  at, offset(g, at, 4), to));
    } else if (is_composite(type)) {
        ensure(g, place.p, "load", type);
        gen_check(place, gen_text(g, "load_%s(c, %s, &%s)", gen_mangle(g, type), at, to));
    } else {
        take_scalar(g, place, type, gen_text(g, "canon_load_%s(%s)", scalar(type), at), to);
    }
}

/* --- from cells --- */

/* The member of union cell that holds the scalar. */
static const char *cell_member(const struct type *type)
{
    switch (type->kind) {
    case TYPE_U64: return "u64";
    case TYPE_S64: return "i64";
    case TYPE_F32: return "f32";
    case TYPE_F64: return "f64";
    default: return "u32";
    }
}

void gen_lift(struct generator *g, struct gen_place place, const struct type *type, uint32_t cell, const char *to)
{
    if (type->kind == TYPE_STRING) {
        gen_check(place, gen_text(g, "canon_string(c, v[%u].u32, v[%u].u32, &%s)", cell, cell + 1, to));
    } else if (is_list(type)) {
        ensure(g, place.p, "items", type);
        gen_check(place,
                  gen_text(g, "items_%s(c, v[%u].u32, v[%u].u32, &%s)", gen_mangle(g, type), cell, cell + 1, to));
    } else if (is_composite(type)) {
        ensure(g, place.p, "lift", type);
        gen_check(place, gen_text(g, "lift_%s(c, %s, &%s)", gen_mangle(g, type), offset(g, "v", cell), to));
    } else {
        take_scalar(g, place, type, gen_text(g, "v[%u].%s", cell, cell_member(type)), to);
    }
}

/* --- to memory --- */

static void store_own(struct generator *g, struct gen_place place, const struct type *type, const char *at,
                      const char *value)
{
    const struct gen_resource *resource = gen_find_resource(g, type->resource);
    gen_line(place, "{");
    gen_line(place, "    uint32_t index;");
    gen_check(deeper(place), gen_text(g, "canon_give(c, %s, %s, &index)", resource ? resource->id : "0", value));
    gen_line(place, "    %s;", at ? gen_text(g, "canon_store_u32(%s, index)", at) : "v[0].u32 = index");
    gen_line(place, "}");
}

void gen_store(struct generator *g, struct gen_place place, const struct type *type, const char *at, const char *value)
{
    if (type->kind == TYPE_STRING) {
        gen_check(place, gen_text(g, "canon_store_string(c, %s, %s)", at, value));
    } else if (is_composite(type)) {
        ensure(g, place.p, "store", type);
        gen_check(place, gen_text(g, "store_%s(c, %s, &%s)", gen_mangle(g, type), at, value));
    } else if (type->kind == TYPE_OWN) {
        store_own(g, place, type, at, value);
    } else if (type->kind == TYPE_FLAGS) {
        gen_line(place, "canon_store_%s(%s, %s & 0x%xu);", scalar(type), at, value, flags_mask(type));
    } else {
        gen_line(place, "canon_store_%s(%s, %s);", scalar(type), at, value);
    }
}

/* --- to the one cell that a flat result has --- */

void gen_lower(struct generator *g, struct gen_place place, const struct type *type, const char *value)
{
    switch (type->kind) {
    case TYPE_RECORD:
    case TYPE_TUPLE:
        gen_lower(g, place, type->items[0].type,
                  type->kind == TYPE_TUPLE ? gen_text(g, "%s.f0", value)
                                           : gen_text(g, "%s.%s", value, gen_member(g, type->items[0].name)));
        break;
    case TYPE_FIXED_LIST: gen_lower(g, place, type->element, gen_text(g, "%s.items[0]", value)); break;
    case TYPE_VARIANT: gen_line(place, "v[0].u32 = %s.tag;", value); break;
    case TYPE_RESULT: gen_line(place, "v[0].u32 = %s.err;", value); break;
    case TYPE_OWN: store_own(g, place, type, NULL, value); break;
    case TYPE_S8:
    case TYPE_S16:
    case TYPE_S32: gen_line(place, "v[0].i32 = %s;", value); break;
    default: gen_line(place, "v[0].%s = %s;", cell_member(type), value);
    }
}

/* --- functions for composite types --- */

/* The item as a member of the C struct `ret` or `value`. */
static const char *item(struct generator *g, const struct type *type, const char *base, uint32_t i)
{
    if (type->kind == TYPE_TUPLE)
        return gen_text(g, "%s->f%u", base, i);
    if (type->kind == TYPE_OPTION)
        return gen_text(g, "%s->value", base);
    return gen_text(g, "%s->%s", base, gen_member(g, type->items[i].name));
}

static uint32_t align_up(uint32_t at, uint32_t align)
{
    return (at + align - 1) & ~(align - 1);
}

/* One statement per member, by `how`: 'l'oad, 's'tore, li'f't. */
static void members(struct generator *g, struct gen_place place, const struct type *type, char how)
{
    uint32_t at = 0, cell = 0;
    for (uint32_t i = 0; i < type->count; i++) {
        bool list = type->kind == TYPE_FIXED_LIST;
        const struct type *part = list ? type->element : type->items[i].type;
        const char *base = how == 's' ? "value" : "ret";
        const char *name = list ? gen_text(g, "%s->items[%u]", base, i) : item(g, type, base, i);
        at = align_up(at, part->align);
        if (how == 'l')
            gen_load(g, place, part, offset(g, "at", at), name);
        else if (how == 's')
            gen_store(g, place, part, offset(g, "at", at), name);
        else
            gen_lift(g, place, part, cell, name);
        at += part->size;
        cell += part->flat_count;
    }
}

/* The member that says which case it is. */
static const char *tag_member(const struct type *type)
{
    return type->kind == TYPE_OPTION ? "some" : type->kind == TYPE_RESULT ? "err" : "tag";
}

/* The statements that move the payload of the case that `tag` names. */
static void payloads(struct generator *g, struct gen_place place, const struct type *type, char how)
{
    bool any = false;
    for (uint32_t i = 0; i < type->count; i++)
        any |= type->items[i].type != NULL;
    if (!any)
        return;
    gen_line(place, "switch (tag) {");
    for (uint32_t i = 0; i < type->count; i++) {
        const struct type *payload = type->items[i].type;
        if (!payload)
            continue;
        gen_line(place, "case %u:", i);
        const char *at = offset(g, "at", type->payload_offset);
        const char *name = item(g, type, how == 's' ? "value" : "ret", i);
        if (how == 'l')
            gen_load(g, deeper(place), payload, at, name);
        else if (how == 's')
            gen_store(g, deeper(place), payload, at, name);
        else
            gen_lift(g, deeper(place), payload, 1, name);
        gen_line(place, "    break;");
    }
    gen_line(place, "}");
}

static void variant_in(struct generator *g, struct gen_place place, const struct type *type, char how)
{
    const char *raw = how == 'l' ? gen_text(g, "canon_load_u%u(at)", type->discriminant_size * 8) : "v[0].u32";
    gen_line(place, "uint32_t tag = %s;", raw);
    gen_check(place, gen_text(g, "canon_case(c, tag, %u)", type->count));
    gen_line(place, type->kind == TYPE_VARIANT ? "ret->%s = tag;" : "ret->%s = tag == 1;", tag_member(type));
    payloads(g, place, type, how);
}

static void variant_out(struct generator *g, struct gen_place place, const struct type *type)
{
    gen_line(place, "uint32_t tag = value->%s;", tag_member(type));
    gen_line(place, "canon_store_u%u(at, tag);", type->discriminant_size * 8);
    payloads(g, place, type, 's');
}

static void write_parts(struct generator *g, struct gen_place place, const struct type *type, char how)
{
    if (!is_variant(type))
        members(g, place, type, how);
    else if (how == 's')
        variant_out(g, place, type);
    else
        variant_in(g, place, type, how);
    gen_line(place, "return true;");
}

static void write_view(struct generator *g, struct gen_place place, const struct type *element)
{
    gen_line(place, "const void *items;");
    gen_check(place, gen_text(g, "canon_list(c, at, count, %u, %u, &items)", element->size, element->align));
    gen_line(place, "ret->ptr = items;");
    gen_line(place, "ret->len = count;");
    gen_line(place, "return true;");
}

/* The elements of a list, converted into the arena. */
static void write_items(struct generator *g, struct gen_place place, const struct type *element)
{
    const char *ctype = gen_ctype(g, element);
    gen_line(place, "const void *from;");
    gen_line(place, "void *room;");
    gen_check(place, gen_text(g, "canon_list(c, at, count, %u, %u, &from)", element->size, element->align));
    gen_check(place, "canon_array(c, count, sizeof *ret->ptr, &room)");
    gen_line(place, "%s%s*items = room;", ctype, ctype[strlen(ctype) - 1] == '*' ? "" : " ");
    gen_line(place, "const uint8_t *element = from;");
    gen_line(place, "for (uint32_t i = 0; i < count; i++, element += %u) {", element->size);
    gen_load(g, deeper(place), element, "element", "items[i]");
    gen_line(place, "}");
    gen_line(place, "ret->ptr = items;");
    gen_line(place, "ret->len = count;");
    gen_line(place, "return true;");
}

static void write_store_list(struct generator *g, struct gen_place place, const struct type *element)
{
    if (gen_is_view(element)) {
        gen_line(place, "return canon_store_bytes(c, at, value->ptr, value->len, %u, %u);", element->size,
                 element->align);
        return;
    }
    gen_line(place, "uint8_t *element;");
    gen_check(place,
              gen_text(g, "canon_store_list(c, at, value->len, %u, %u, &element)", element->size, element->align));
    gen_line(place, "for (size_t i = 0; i < value->len; i++, element += %u) {", element->size);
    gen_store(g, deeper(place), element, "element", "value->ptr[i]");
    gen_line(place, "}");
    gen_line(place, "return true;");
}

/* Functions that the function's body will call come first. */
static void ensure_parts(struct generator *g, struct gen_package *p, const char *what, const struct type *type)
{
    const char *inner = strcmp(what, "items") == 0 ? "load" : what;
    if (type->element && type->kind != TYPE_OPTION)
        ensure(g, p, inner, type->element);
    for (uint32_t i = 0; type->items && i < type->count; i++)
        if (type->items[i].type)
            ensure(g, p, inner, type->items[i].type);
}

static void write_function(struct generator *g, struct gen_package *p, const char *what, const struct type *type,
                           const char *name)
{
    struct gen_place place = {p, &p->helpers, 1};
    const char *parameters = strcmp(what, "load") == 0    ? "const uint8_t *at"
                             : strcmp(what, "lift") == 0  ? "const union cell *v"
                             : strcmp(what, "store") == 0 ? "uint8_t *at"
                                                          : "uint32_t at, uint32_t count";
    const char *ctype = gen_ctype(g, type);
    buf_printf(&p->helpers, "static bool %s(struct canon *c, %s, ", name, parameters);
    buf_printf(&p->helpers, strcmp(what, "store") == 0 ? "const %s *value)\n{\n" : "%s *ret)\n{\n", ctype);
    if (strcmp(what, "items") == 0 && gen_is_view(type->element))
        write_view(g, place, type->element);
    else if (strcmp(what, "items") == 0)
        write_items(g, place, type->element);
    else if (is_list(type))
        write_store_list(g, place, type->element);
    else
        write_parts(g, place, type, strcmp(what, "lift") == 0 ? 'f' : what[0]);
    buf_printf(&p->helpers, "}\n\n");
}

static void ensure(struct generator *g, struct gen_package *p, const char *what, const struct type *type)
{
    if (!is_composite(type))
        return;
    if (is_list(type) && strcmp(what, "store") != 0)
        what = "items";
    const char *name = gen_text(g, "%s_%s", what, gen_mangle(g, type));
    if (map_get(&p->emitted, str_of(name), NULL))
        return;
    if (!map_put(&p->emitted, str_of(name), 1))
        g->failed = true;
    ensure_parts(g, p, what, type);
    write_function(g, p, what, type, name);
}
