/* C types of the bindings generator. A type is written to the header of the last package, in dependency order,
 * that it mentions; types that mention none are common to all. */
#include "wit/generate.h"

uint64_t gen_mentions(const struct generator *g, const struct type *type)
{
    const struct gen_named *named = gen_find_named(g, type);
    const struct gen_resource *resource = type->resource ? gen_find_resource(g, type->resource) : NULL;
    uint64_t bits = named ? UINT64_C(1) << named->package : 0;
    bits |= resource ? UINT64_C(1) << resource->package : 0;
    bits |= type->element ? gen_mentions(g, type->element) : 0;
    for (uint32_t i = 0; type->items && i < type->count; i++)
        bits |= type->items[i].type ? gen_mentions(g, type->items[i].type) : 0;
    return bits;
}

/* The text that the type belongs to; its header must include those of the other packages mentioned. */
static struct buf *home(struct generator *g, const struct type *type)
{
    uint64_t bits = gen_mentions(g, type);
    if (bits == 0)
        return &g->common;
    uint32_t last = 63 - (uint32_t)__builtin_clzll(bits);
    g->packages[last].includes |= bits & ~(UINT64_C(1) << last);
    return &g->packages[last].types;
}

static void member(struct generator *g, struct buf *out, const char *indent, const struct type *type, const char *name)
{
    const char *ctype = gen_ctype(g, type);
    bool pointer = ctype[0] && ctype[strlen(ctype) - 1] == '*';
    buf_printf(out, "%s%s%s%s;\n", indent, ctype, pointer ? "" : " ", name);
}

static const char *item_name(struct generator *g, const struct type *type, uint32_t i)
{
    return type->kind == TYPE_TUPLE ? gen_text(g, "f%u", i) : gen_member(g, type->items[i].name);
}

static void write_record(struct generator *g, struct buf *out, const struct type *type, const char *name)
{
    buf_printf(out, "struct %s {\n", name);
    for (uint32_t i = 0; i < type->count; i++)
        member(g, out, "    ", type->items[i].type, item_name(g, type, i));
    buf_printf(out, "};\n\n");
}

/* The payloads of a variant or result, if there are any. */
static void write_union(struct generator *g, struct buf *out, const struct type *type)
{
    bool any = false;
    for (uint32_t i = 0; i < type->count; i++)
        any |= type->items[i].type != NULL;
    if (!any)
        return;
    buf_printf(out, "    union {\n");
    for (uint32_t i = 0; i < type->count; i++)
        if (type->items[i].type)
            member(g, out, "        ", type->items[i].type, gen_member(g, type->items[i].name));
    buf_printf(out, "    };\n");
}

static void write_constants(struct generator *g, struct buf *out, const struct type *type, const char *enum_name,
                            const char *prefix)
{
    const char *upper = gen_upper(g, str_of(prefix));
    buf_printf(out, "enum%s%s {\n", *enum_name ? " " : "", enum_name);
    for (uint32_t i = 0; i < type->count; i++) {
        const char *name = gen_upper(g, type->items[i].name);
        if (type->kind == TYPE_FLAGS)
            buf_printf(out, "    %s_%s = 1u << %u,\n", upper, name, i);
        else
            buf_printf(out, "    %s_%s = %u,\n", upper, name, i);
    }
    buf_printf(out, "};\n\n");
}

static void write_variant(struct generator *g, struct buf *out, const struct type *type, const char *name)
{
    write_constants(g, out, type, gen_text(g, "%s_tag", name), name);
    buf_printf(out, "struct %s {\n    enum %s_tag tag;\n", name, name);
    write_union(g, out, type);
    buf_printf(out, "};\n\n");
}

static void write_list(struct generator *g, struct buf *out, const struct type *type, const char *name)
{
    const char *pointer = gen_element_pointer(g, type->element);
    buf_printf(out, "struct %s {\n    %sptr;\n    size_t len;\n};\n\n", name, pointer);
}

static void write_fixed_list(struct generator *g, struct buf *out, const struct type *type, const char *name)
{
    buf_printf(out, "struct %s {\n", name);
    member(g, out, "    ", type->element, gen_text(g, "items[%u]", type->count));
    buf_printf(out, "};\n\n");
}

static void write_option(struct generator *g, struct buf *out, const struct type *type, const char *name)
{
    buf_printf(out, "struct %s {\n    bool some;\n", name);
    member(g, out, "    ", type->element, "value");
    buf_printf(out, "};\n\n");
}

static void write_result(struct generator *g, struct buf *out, const struct type *type, const char *name)
{
    buf_printf(out, "struct %s {\n    bool err;\n", name);
    write_union(g, out, type);
    buf_printf(out, "};\n\n");
}

static void write_type(struct generator *g, struct buf *out, const struct type *type, const char *name)
{
    switch (type->kind) {
    case TYPE_RECORD:
    case TYPE_TUPLE: write_record(g, out, type, name); break;
    case TYPE_VARIANT: write_variant(g, out, type, name); break;
    case TYPE_ENUM: write_constants(g, out, type, name, name); break;
    case TYPE_FLAGS: write_constants(g, out, type, "", name); break;
    case TYPE_OPTION: write_option(g, out, type, name); break;
    case TYPE_RESULT: write_result(g, out, type, name); break;
    case TYPE_FIXED_LIST: write_fixed_list(g, out, type, name); break;
    default: write_list(g, out, type, name);
    }
}

static bool has_c_type(const struct type *type)
{
    return type->kind > TYPE_STRING && type->kind != TYPE_OWN && type->kind != TYPE_BORROW && type->kind < TYPE_STREAM;
}

void gen_type(struct generator *g, const struct type *type)
{
    if (!has_c_type(type))
        return;
    const char *name = gen_mangle(g, type);
    if (map_get(&g->types, str_of(name), NULL))
        return;
    if (!map_put(&g->types, str_of(name), 1))
        g->failed = true;
    if (type->element)
        gen_type(g, type->element);
    for (uint32_t i = 0; type->items && i < type->count; i++)
        if (type->items[i].type)
            gen_type(g, type->items[i].type);
    write_type(g, home(g, type), type, name);
}
