/* Primitives of decoding, index spaces, and what is checked about imports and exports of a scope. */
#include "component/decoder.h"

#include <stdarg.h>
#include <stdio.h>

bool decode_fail(struct decoder *d, const struct reader *in, enum err_kind kind, const char *format, ...)
{
    char message[sizeof d->check.err->message];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return err_at(d->check.err, kind, reader_offset(in), "%s", message);
}

bool decode_bad_byte(struct decoder *d, const struct reader *in, uint8_t byte, const char *what)
{
    return err_at(d->check.err, ERR_MALFORMED, reader_offset(in) - 1, "invalid leading byte 0x%02x for %s", byte, what);
}

bool decode_count(struct decoder *d, struct reader *in, enum component_limit limit, uint32_t *ret)
{
    uint32_t count;
    d->check.offset = reader_offset(in);
    if (!reader_u32(in, &count))
        return false;
    if (count > component_limit_infos[limit].value)
        return checker_limit(&d->check, limit);
    if (count > reader_left(in))
        return decode_fail(d, in, ERR_MALFORMED, "unexpected end: %u items do not fit", count);
    *ret = count;
    return true;
}

bool decode_name(struct decoder *d, struct reader *in, struct str *ret)
{
    d->check.offset = reader_offset(in);
    return reader_name(in, ret);
}

bool decode_label(struct decoder *d, struct reader *in, const char *what, struct str *ret)
{
    struct str label;
    if (!decode_name(d, in, &label))
        return false;
    if (label.len == 0)
        return checker_fail(&d->check, ERR_INVALID, "%s name cannot be empty", what);
    if (!name_is_label(label))
        return checker_fail(&d->check, ERR_INVALID, "%s name `%.*s` is not in kebab case", what,
                            (int)(label.len > 80 ? 80 : label.len), label.ptr);
    *ret = label;
    return true;
}

bool decode_flag(struct decoder *d, struct reader *in, bool *ret)
{
    uint8_t byte;
    if (!reader_u8(in, &byte))
        return false;
    if (byte > 1)
        return decode_bad_byte(d, in, byte, "a flag");
    *ret = byte;
    return true;
}

/* Sorts. */

static bool find_sort(bool core, uint8_t code, enum sort *ret)
{
    for (int sort = 0; sort < SORT_COUNT; sort++)
        if (sort_infos[sort].core == core && sort_infos[sort].code == code) {
            *ret = (enum sort)sort;
            return true;
        }
    return false;
}

bool decode_core_sort(struct decoder *d, struct reader *in, enum sort *ret)
{
    uint8_t code;
    if (!reader_u8(in, &code))
        return false;
    return find_sort(true, code, ret) || decode_bad_byte(d, in, code, "a core sort");
}

bool decode_sort(struct decoder *d, struct reader *in, enum sort *ret)
{
    uint8_t code;
    if (!reader_u8(in, &code))
        return false;
    if (code == 0)
        return decode_core_sort(d, in, ret);
    return find_sort(false, code, ret) || decode_bad_byte(d, in, code, "a sort");
}

bool decode_index(struct decoder *d, struct reader *in, enum sort sort, uint32_t *ret)
{
    uint32_t index;
    d->check.offset = reader_offset(in);
    if (!reader_u32(in, &index))
        return false;
    if (index >= d->scope->spaces[sort].count)
        return checker_fail(&d->check, ERR_INVALID, "unknown %s %u: index out of bounds", sort_infos[sort].words,
                            index);
    *ret = index;
    return true;
}

const struct entity *scope_entity(const struct decoder *d, enum sort sort, uint32_t index)
{
    return &d->scope->spaces[sort].items[index];
}

bool scope_add(struct decoder *d, const struct entity *entity, uint32_t *ret_index)
{
    struct space *space = &d->scope->spaces[entity->sort];
    struct entity *slot = LIST_PUSH(&d->check, space, SPACE);
    if (!slot)
        return false;
    *slot = *entity;
    if (ret_index)
        *ret_index = space->count - 1;
    return true;
}

struct scope *scope_outer(struct decoder *d, uint32_t count)
{
    struct scope *scope = d->scope;
    for (uint32_t i = 0; i < count && scope; i++)
        scope = scope->outer;
    if (!scope)
        checker_fail(&d->check, ERR_INVALID, "invalid outer alias count of %u", count);
    return scope;
}

/* Names and attributes. */

enum attribute { ATTRIBUTE_IMPLEMENTS, ATTRIBUTE_VERSION_SUFFIX, ATTRIBUTE_EXTERNAL_ID, ATTRIBUTE_COUNT };

static bool decode_attribute(struct decoder *d, struct reader *in, struct extern_decl *decl, uint32_t *seen)
{
    static const char *const words[] = {"implements", "versionsuffix", "external-id"};
    uint8_t kind;
    struct str value;
    if (!reader_u8(in, &kind))
        return false;
    if (kind >= ATTRIBUTE_COUNT)
        return decode_bad_byte(d, in, kind, "an attribute of a name");
    if (*seen & 1u << kind)
        return decode_fail(d, in, ERR_INVALID, "duplicate '%s' of a name", words[kind]);
    *seen |= 1u << kind;
    if (!decode_name(d, in, &value))
        return false;
    if (kind == ATTRIBUTE_IMPLEMENTS)
        decl->implements = value;
    if (kind == ATTRIBUTE_EXTERNAL_ID)
        decl->external_id = value;
    if (kind == ATTRIBUTE_IMPLEMENTS && !name_is_interface(value))
        return checker_fail(&d->check, ERR_INVALID, "`implements` of `%.*s` must be an interface",
                            (int)(value.len > 80 ? 80 : value.len), value.ptr);
    return true;
}

bool decode_extern_name(struct decoder *d, struct reader *in, struct extern_decl *ret)
{
    struct extern_decl decl = {.offset = reader_offset(in)};
    struct extern_name parsed;
    uint8_t form;
    uint32_t attributes = 0, seen = 0;
    if (!reader_u8(in, &form))
        return false;
    if (form > 2)
        return decode_bad_byte(d, in, form, "a name of an import or export");
    if (!decode_name(d, in, &decl.name))
        return false;
    if (!name_parse(decl.name, &parsed))
        return checker_fail(&d->check, ERR_INVALID, "`%.*s` is not a valid extern name: not in kebab case",
                            (int)(decl.name.len > 80 ? 80 : decl.name.len), decl.name.ptr);
    if (form == 2 && !decode_count(d, in, COMPONENT_LIMIT_ATTRIBUTES, &attributes))
        return false;
    for (uint32_t i = 0; i < attributes; i++)
        if (!decode_attribute(d, in, &decl, &seen))
            return false;
    *ret = decl;
    return true;
}

bool check_attributes(struct decoder *d, const struct extern_decl *decl)
{
    struct extern_name parsed;
    d->check.offset = decl->offset;
    if (!decl->implements.ptr)
        return true;
    if (decl->type.sort != SORT_INSTANCE)
        return checker_fail(&d->check, ERR_INVALID, "only instances can have an `implements`");
    return (name_parse(decl->name, &parsed) && parsed.kind == NAME_PLAIN) ||
           checker_fail(&d->check, ERR_INVALID, "name `%.*s` is not valid with `implements`", STR_ARG(decl->name));
}

/* External visibility. */

static bool must_be_named(enum type_kind kind)
{
    return kind == TYPE_RECORD || kind == TYPE_VARIANT || kind == TYPE_ENUM || kind == TYPE_FLAGS;
}

/* The sets whose types may be used: imports only see imports. */
struct visible {
    struct checker *check;
    const struct number_set *imports, *exports;
};

static bool has_name(const struct visible *v, uint32_t number)
{
    return number_set_has(v->imports, number) || (v->exports && number_set_has(v->exports, number));
}

static bool value_visible(const struct visible *v, const struct type *type);

static bool parts_visible(const struct visible *v, const struct type *type)
{
    if (node_of(type)->def)
        return has_name(v, node_of(type)->def->shape.number);
    bool items = type->items && type->kind != TYPE_OPTION; /* whose element is also its second item */
    if (!value_visible(v, type->element))
        return false;
    for (uint32_t i = 0; items && i < type->count; i++)
        if (!value_visible(v, type->items[i].type))
            return false;
    return true;
}

/* A named type needs no look inside: its parts were visible when it got its name. */
static bool value_visible(const struct visible *v, const struct type *type)
{
    if (!type || !checker_step(v->check))
        return !type;
    if (must_be_named(type->kind))
        return has_name(v, node_of(type)->shape.number);
    return parts_visible(v, type);
}

static bool func_visible(const struct visible *v, const struct func_type *func)
{
    for (uint32_t i = 0; i < func->param_count; i++)
        if (!value_visible(v, func->params[i].type))
            return false;
    return value_visible(v, func->result);
}

static bool entity_visible(const struct visible *v, const struct entity *entity)
{
    if (entity->sort == SORT_FUNC || (entity->sort == SORT_TYPE && entity->def == DEF_FUNC))
        return func_visible(v, &entity->func->type);
    if (entity->sort == SORT_TYPE && entity->def == DEF_VALUE)
        return parts_visible(v, &entity->value->type);
    if (entity->sort != SORT_INSTANCE && (entity->sort != SORT_TYPE || entity->def != DEF_INSTANCE))
        return true;
    const struct externs *exports = &entity->instance->exports;
    for (uint32_t i = 0; i < exports->count; i++)
        if (!checker_step(v->check) || !entity_visible(v, &exports->items[i].type))
            return false;
    return true;
}

static bool register_names(struct checker *c, struct number_set *names, const struct entity *entity)
{
    if (!checker_step(c))
        return false;
    if (entity->sort == SORT_TYPE && entity->def == DEF_RESOURCE)
        return number_set_add(c, names, entity->resource->shape.number);
    if (entity->sort == SORT_TYPE && entity->def == DEF_VALUE)
        return number_set_add(c, names, entity->value->shape.number);
    const struct instance_type *instance = entity->sort == SORT_INSTANCE ? entity->instance : NULL;
    for (uint32_t i = 0; instance && i < instance->exports.count; i++)
        if (!register_names(c, names, &instance->exports.items[i].type))
            return false;
    return true;
}

static bool check_visible(struct decoder *d, const struct extern_decl *decl, bool import)
{
    struct scope *scope = d->scope;
    struct visible v = {&d->check, &scope->import_names, import ? NULL : &scope->export_names};
    if (!register_names(&d->check, import ? &scope->import_names : &scope->export_names, &decl->type))
        return false;
    if (scope->kind == SCOPE_INSTANCE_TYPE || entity_visible(&v, &decl->type))
        return true;
    if (d->check.work == 0)
        return checker_limit(&d->check, COMPONENT_LIMIT_WORK);
    d->check.offset = decl->offset;
    return checker_fail(&d->check, ERR_INVALID, "%s not valid to be used as %s: it uses a type without a name there",
                        sort_infos[decl->type.sort].words, import ? "import" : "export");
}

static bool scope_extern(struct decoder *d, const struct extern_decl *decl, bool import)
{
    struct externs *list = import ? &d->scope->imports : &d->scope->exports;
    if (!check_attributes(d, decl) || !check_visible(d, decl, import))
        return false;
    struct extern_decl *slot = import ? LIST_PUSH(&d->check, list, IMPORTS) : LIST_PUSH(&d->check, list, EXPORTS);
    if (!slot)
        return false;
    *slot = *decl;
    return true;
}

bool scope_import(struct decoder *d, const struct extern_decl *decl)
{
    return scope_extern(d, decl, true);
}

bool scope_export(struct decoder *d, const struct extern_decl *decl)
{
    return scope_extern(d, decl, false);
}

bool scope_finish(struct decoder *d, struct scope *scope)
{
    struct checker *c = &d->check;
    return externs_sort(c, &scope->imports) && externs_sort(c, &scope->exports) &&
           names_unique_externs(c, &scope->imports, "import") && names_unique_externs(c, &scope->exports, "export") &&
           names_fit_types(c, &scope->imports) && names_fit_types(c, &scope->exports);
}
