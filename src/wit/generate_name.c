/* Names of the bindings generator: WIT's kebab-case to C. */
#include "wit/generate.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

const char *gen_text(struct generator *g, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    char *copy = size >= 0 && (size_t)size < sizeof text ? arena_copy(&g->arena, text, (size_t)size + 1) : NULL;
    if (!copy)
        g->failed = true;
    return copy ? copy : "";
}

static const char *convert(struct generator *g, struct str name, int (*to_case)(int))
{
    char *text = arena_alloc(&g->arena, name.len + 1);
    if (!text) {
        g->failed = true;
        return "";
    }
    for (size_t i = 0; i < name.len; i++)
        text[i] = isalnum((unsigned char)name.ptr[i]) ? (char)to_case((unsigned char)name.ptr[i]) : '_';
    return text;
}

const char *gen_snake(struct generator *g, struct str name)
{
    return convert(g, name, tolower);
}

const char *gen_upper(struct generator *g, struct str name)
{
    return convert(g, name, toupper);
}

static const char *const reserved[] = {
    "auto",     "bool",   "break",  "case",     "char",   "const",  "continue", "default", "do",       "double",
    "else",     "enum",   "extern", "float",    "for",    "goto",   "if",       "inline",  "int",      "long",
    "register", "return", "short",  "signed",   "sizeof", "static", "struct",   "switch",  "typedef",  "union",
    "unsigned", "void",   "while",  "volatile", "true",   "false",  "asm",      "typeof",  "restrict", "unix",
    "linux",    "c",      "v",      "h",        "env",    "store",  "ret",      "context", "at",       "tag",
    "i",        "some",   "err",    "rep",      "index",
};

const char *gen_member(struct generator *g, struct str name)
{
    const char *text = gen_snake(g, name);
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (strcmp(text, reserved[i]) == 0)
            return gen_text(g, "%s_", text);
    return text;
}

const char *gen_interface(struct generator *g, const struct wit_interface *interface)
{
    for (uint32_t i = 0; i < g->package_count; i++)
        if (g->packages[i].package == interface->package)
            return gen_text(g, "%s_%s", g->packages[i].name, gen_snake(g, interface->name));
    return gen_snake(g, interface->id);
}

const char *gen_function(struct generator *g, const struct wit_interface *interface, const struct wit_func *func)
{
    const char *prefix = gen_interface(g, interface);
    if (func->kind == WIT_FREE)
        return gen_text(g, "%s_%s", prefix, gen_snake(g, func->short_name));
    const char *name = func->kind == WIT_CONSTRUCTOR ? "constructor" : gen_snake(g, func->short_name);
    return gen_text(g, "%s_%s_%s", prefix, gen_snake(g, func->resource->name), name);
}

const struct gen_named *gen_find_named(const struct generator *g, const struct type *type)
{
    for (size_t i = 0; i < g->named.count; i++)
        if (g->named.items[i].type == type)
            return &g->named.items[i];
    return NULL;
}

const struct gen_resource *gen_find_resource(const struct generator *g, const struct resource *resource)
{
    for (size_t i = 0; i < g->resources.count; i++)
        if (g->resources.items[i].resource == resource)
            return &g->resources.items[i];
    return NULL;
}

/* How scalars are called in names and in C. */
static const struct scalar_name {
    const char *mangled, *ctype;
} scalar_names[] = {
    [TYPE_BOOL] = {"bool", "bool"},        [TYPE_S8] = {"s8", "int8_t"},     [TYPE_U8] = {"u8", "uint8_t"},
    [TYPE_S16] = {"s16", "int16_t"},       [TYPE_U16] = {"u16", "uint16_t"}, [TYPE_S32] = {"s32", "int32_t"},
    [TYPE_U32] = {"u32", "uint32_t"},      [TYPE_S64] = {"s64", "int64_t"},  [TYPE_U64] = {"u64", "uint64_t"},
    [TYPE_F32] = {"f32", "float"},         [TYPE_F64] = {"f64", "double"},   [TYPE_CHAR] = {"char", "uint32_t"},
    [TYPE_STRING] = {"str", "struct str"},
};

static const char *mangle_items(struct generator *g, const char *text, const struct type *type)
{
    for (uint32_t i = 0; i < type->count; i++)
        text = gen_text(g, "%s_%s", text, type->items[i].type ? gen_mangle(g, type->items[i].type) : "void");
    return text;
}

static const char *resource_name(struct generator *g, const struct type *type)
{
    const struct gen_resource *resource = gen_find_resource(g, type->resource);
    return resource ? resource->name : "unknown";
}

const char *gen_mangle(struct generator *g, const struct type *type)
{
    const struct gen_named *named = gen_find_named(g, type);
    if (named)
        return named->name;
    if (type->kind <= TYPE_STRING)
        return scalar_names[type->kind].mangled;
    switch (type->kind) {
    case TYPE_LIST:
    case TYPE_MAP: return gen_text(g, "list_%s", gen_mangle(g, type->element));
    case TYPE_FIXED_LIST: return gen_text(g, "array%u_%s", type->count, gen_mangle(g, type->element));
    case TYPE_OPTION: return gen_text(g, "option_%s", gen_mangle(g, type->element));
    case TYPE_RESULT: return mangle_items(g, "result", type);
    case TYPE_TUPLE: return mangle_items(g, "tuple", type);
    case TYPE_BORROW: return gen_text(g, "borrow_%s", resource_name(g, type));
    default: return resource_name(g, type);
    }
}

const char *gen_ctype(struct generator *g, const struct type *type)
{
    if (type->kind <= TYPE_STRING)
        return scalar_names[type->kind].ctype;
    if (type->kind == TYPE_OWN || type->kind == TYPE_BORROW)
        return gen_text(g, "struct %s *", resource_name(g, type));
    if (type->kind == TYPE_FLAGS)
        return type->size == 1 ? "uint8_t" : type->size == 2 ? "uint16_t" : "uint32_t";
    return gen_text(g, "%s %s", type->kind == TYPE_ENUM ? "enum" : "struct", gen_mangle(g, type));
}

const char *gen_element_pointer(struct generator *g, const struct type *type)
{
    const char *text = gen_ctype(g, type);
    return type->kind == TYPE_OWN || type->kind == TYPE_BORROW ? gen_text(g, "%sconst *", text)
                                                               : gen_text(g, "const %s *", text);
}

bool gen_by_pointer(const struct type *type)
{
    switch (type->kind) {
    case TYPE_RECORD:
    case TYPE_TUPLE:
    case TYPE_VARIANT:
    case TYPE_OPTION:
    case TYPE_RESULT:
    case TYPE_FIXED_LIST: return true;
    default: return false;
    }
}

bool gen_is_view(const struct type *element)
{
    return element->kind >= TYPE_S8 && element->kind <= TYPE_U64;
}
