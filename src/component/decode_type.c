/* Type definitions (Binary.md, "Type Definitions"): one function for each form, found by its code. */
#include "component/decoder.h"

/* Value types. */

static const struct node *prim_of(struct decoder *d, uint8_t code)
{
    if (code == 0x64)
        return d->check.error_context;
    return code >= 0x73 && code <= 0x7f ? d->check.prims[0x7f - code] : NULL;
}

bool decode_valtype(struct decoder *d, struct reader *in, const struct type **ret)
{
    int64_t code;
    d->check.offset = reader_offset(in);
    if (!reader_s33(in, &code))
        return false;
    const struct node *prim = code < 0 && code >= -64 ? prim_of(d, (uint8_t)(code & 0x7f)) : NULL;
    if (code < 0 && !prim)
        return checker_fail(&d->check, ERR_MALFORMED, "invalid leading byte 0x%02x for a value type",
                            (unsigned)(code & 0x7f));
    if (prim) {
        *ret = &prim->type;
        return true;
    }
    if (code >= d->scope->spaces[SORT_TYPE].count)
        return checker_fail(&d->check, ERR_INVALID, "unknown type %u: type index out of bounds", (uint32_t)code);
    const struct entity *entity = scope_entity(d, SORT_TYPE, (uint32_t)code);
    if (entity->def != DEF_VALUE)
        return checker_fail(&d->check, ERR_INVALID, "type %u is not a value type", (uint32_t)code);
    *ret = &entity->value->type;
    return true;
}

static bool decode_optional(struct decoder *d, struct reader *in, const struct type **ret)
{
    bool present;
    if (!decode_flag(d, in, &present))
        return false;
    if (present)
        return decode_valtype(d, in, ret);
    *ret = NULL;
    return true;
}

static struct type_item *new_items(struct decoder *d, uint32_t count)
{
    struct type_item *items = ARENA_ARRAY(d->check.arena, struct type_item, count);
    if (!items)
        checker_memory(&d->check);
    return items;
}

/* What the four types of labelled parts have in common. `payload` reads what follows the label. */
typedef bool (*payload_fn)(struct decoder *d, struct reader *in, struct type_item *item);

static bool decode_items(struct decoder *d, struct reader *in, struct type *type, enum component_limit limit,
                         const char *what, payload_fn payload)
{
    uint32_t count, offset = reader_offset(in);
    if (!decode_count(d, in, limit, &count))
        return false;
    struct type_item *items = new_items(d, count);
    for (uint32_t i = 0; items && i < count; i++)
        if ((what && !decode_label(d, in, what, &items[i].name)) || (payload && !payload(d, in, &items[i])))
            return false;
    type->items = items;
    type->count = count;
    d->check.offset = offset;
    if (items && count == 0)
        return checker_fail(&d->check, ERR_INVALID, "%s type must have at least one part", types_words(type->kind));
    return items && (!what || names_unique_labels(&d->check, items, count, what));
}

static bool field_payload(struct decoder *d, struct reader *in, struct type_item *item)
{
    return decode_valtype(d, in, &item->type);
}

static bool case_payload(struct decoder *d, struct reader *in, struct type_item *item)
{
    uint8_t refines;
    if (!decode_optional(d, in, &item->type) || !reader_u8(in, &refines))
        return false;
    return refines == 0 || decode_bad_byte(d, in, refines, "the end of a case, where zero is required");
}

static bool record_type(struct decoder *d, struct reader *in, struct node *node)
{
    return decode_items(d, in, &node->type, COMPONENT_LIMIT_FIELDS, "record field", field_payload);
}

static bool variant_type(struct decoder *d, struct reader *in, struct node *node)
{
    return decode_items(d, in, &node->type, COMPONENT_LIMIT_CASES, "variant case", case_payload);
}

static bool tuple_type(struct decoder *d, struct reader *in, struct node *node)
{
    return decode_items(d, in, &node->type, COMPONENT_LIMIT_FIELDS, NULL, field_payload);
}

static bool flags_type(struct decoder *d, struct reader *in, struct node *node)
{
    if (!decode_items(d, in, &node->type, COMPONENT_LIMIT_CASES, "flag", NULL))
        return false;
    return node->type.count <= 32 || checker_fail(&d->check, ERR_INVALID, "cannot have more than 32 flags");
}

static bool enum_type(struct decoder *d, struct reader *in, struct node *node)
{
    return decode_items(d, in, &node->type, COMPONENT_LIMIT_CASES, "enum tag", NULL);
}

static bool list_type(struct decoder *d, struct reader *in, struct node *node)
{
    return decode_valtype(d, in, &node->type.element);
}

static bool fixed_list_type(struct decoder *d, struct reader *in, struct node *node)
{
    if (!decode_valtype(d, in, &node->type.element) || !reader_u32(in, &node->type.count))
        return false;
    return node->type.count > 0 ||
           checker_fail(&d->check, ERR_INVALID, "fixed-length list must have at least one element");
}

static bool option_type(struct decoder *d, struct reader *in, struct node *node)
{
    struct type_item *items = new_items(d, 2);
    if (!items || !decode_valtype(d, in, &node->type.element))
        return false;
    items[0].name = STR("none");
    items[1] = (struct type_item){STR("some"), node->type.element};
    node->type.items = items;
    node->type.count = 2;
    return true;
}

static bool result_type(struct decoder *d, struct reader *in, struct node *node)
{
    struct type_item *items = new_items(d, 2);
    if (!items || !decode_optional(d, in, &items[0].type) || !decode_optional(d, in, &items[1].type))
        return false;
    items[0].name = STR("ok");
    items[1].name = STR("error");
    node->type.items = items;
    node->type.count = 2;
    return true;
}

static bool handle_type(struct decoder *d, struct reader *in, struct node *node)
{
    uint32_t index;
    if (!decode_index(d, in, SORT_TYPE, &index))
        return false;
    const struct entity *entity = scope_entity(d, SORT_TYPE, index);
    if (entity->def != DEF_RESOURCE)
        return checker_fail(&d->check, ERR_INVALID, "type index %u is not a resource type", index);
    node->def = entity->resource;
    return true;
}

/* Streams and futures outlive calls, so nothing borrowed may travel in them. */
static bool stream_type(struct decoder *d, struct reader *in, struct node *node)
{
    if (!decode_optional(d, in, &node->type.element))
        return false;
    const struct type *element = node->type.element;
    if (element && node_of(element)->shape.borrows)
        return checker_fail(&d->check, ERR_INVALID, "%s cannot contain a `borrow` type", types_words(node->type.kind));
    if (element && element->kind == TYPE_CHAR && node->type.kind == TYPE_STREAM)
        return checker_fail(&d->check, ERR_INVALID, "`stream<char>` is not valid at this time");
    return true;
}

static bool is_key(enum type_kind kind)
{
    return kind <= TYPE_STRING && kind != TYPE_F32 && kind != TYPE_F64;
}

static bool map_type(struct decoder *d, struct reader *in, struct node *node)
{
    struct type_item *items = new_items(d, 2);
    struct node *entry = types_node(&d->check, TYPE_TUPLE);
    if (!items || !entry || !decode_valtype(d, in, &items[0].type))
        return false;
    if (!is_key(items[0].type->kind))
        return checker_fail(&d->check, ERR_INVALID, "%s is not valid as the key of a map",
                            types_words(items[0].type->kind));
    if (!decode_valtype(d, in, &items[1].type))
        return false;
    entry->type.items = items;
    entry->type.count = 2;
    node->type.element = &entry->type;
    return types_finish_entry(&d->check, entry);
}

struct value_form {
    enum type_kind kind;
    bool (*read)(struct decoder *d, struct reader *in, struct node *node);
};

static const struct value_form value_forms[] = {
    [0x63] = {TYPE_MAP, map_type},         [0x65] = {TYPE_FUTURE, stream_type},
    [0x66] = {TYPE_STREAM, stream_type},   [0x67] = {TYPE_FIXED_LIST, fixed_list_type},
    [0x68] = {TYPE_BORROW, handle_type},   [0x69] = {TYPE_OWN, handle_type},
    [0x6a] = {TYPE_RESULT, result_type},   [0x6b] = {TYPE_OPTION, option_type},
    [0x6d] = {TYPE_ENUM, enum_type},       [0x6e] = {TYPE_FLAGS, flags_type},
    [0x6f] = {TYPE_TUPLE, tuple_type},     [0x70] = {TYPE_LIST, list_type},
    [0x71] = {TYPE_VARIANT, variant_type}, [0x72] = {TYPE_RECORD, record_type},
};

static bool value_definition(struct decoder *d, struct reader *in, uint8_t code, struct entity *ret)
{
    const struct value_form *form = code < sizeof value_forms / sizeof *value_forms ? &value_forms[code] : NULL;
    const struct node *prim = prim_of(d, code);
    uint32_t offset = reader_offset(in) - 1;
    *ret = (struct entity){.sort = SORT_TYPE, .def = DEF_VALUE, .value = prim};
    if (prim)
        return true;
    if (!form || !form->read)
        return decode_bad_byte(d, in, code, "a type definition");
    struct node *node = types_node(&d->check, form->kind);
    if (!node || !form->read(d, in, node))
        return false;
    d->check.offset = offset;
    ret->value = node;
    return types_finish(&d->check, node);
}

/* Function types. */

bool decode_result(struct decoder *d, struct reader *in, const struct type **ret)
{
    uint8_t form, none;
    if (!reader_u8(in, &form))
        return false;
    if (form == 0)
        return decode_valtype(d, in, ret);
    if (form != 1)
        return decode_bad_byte(d, in, form, "component function results");
    if (!reader_u8(in, &none))
        return false;
    if (none != 0)
        return decode_bad_byte(d, in, none, "number of results");
    *ret = NULL;
    return true;
}

static bool decode_params(struct decoder *d, struct reader *in, struct func_type *func)
{
    uint32_t count, offset = reader_offset(in);
    if (!decode_count(d, in, COMPONENT_LIMIT_PARAMS, &count))
        return false;
    struct func_param *params = ARENA_ARRAY(d->check.arena, struct func_param, count);
    struct type_item *items = new_items(d, count);
    if (!params || !items)
        return checker_memory(&d->check);
    for (uint32_t i = 0; i < count; i++) {
        if (!decode_label(d, in, "function parameter", &items[i].name) || !field_payload(d, in, &items[i]))
            return false;
        params[i] = (struct func_param){items[i].name, items[i].type};
    }
    func->params = params;
    func->param_count = count;
    d->check.offset = offset;
    return names_unique_labels(&d->check, items, count, "function parameter");
}

static bool func_definition(struct decoder *d, struct reader *in, uint8_t code, struct entity *ret)
{
    uint32_t offset = reader_offset(in) - 1;
    struct func *func = ARENA_NEW(d->check.arena, struct func);
    if (!func)
        return checker_memory(&d->check);
    func->type.async_ = code == 0x43;
    if (!decode_params(d, in, &func->type) || !decode_result(d, in, &func->type.result))
        return false;
    d->check.offset = offset;
    *ret = (struct entity){.sort = SORT_TYPE, .def = DEF_FUNC, .func = func};
    return types_finish_func(&d->check, func);
}

/* Resource types. */

static bool destructor(struct decoder *d, struct reader *in, struct abstract *abstract)
{
    bool present;
    const struct wasm_functype type = {1, 0, &abstract->rep, NULL};
    if (!decode_flag(d, in, &present))
        return false;
    if (!present)
        return true;
    if (!decode_index(d, in, SORT_CORE_FUNC, &abstract->dtor))
        return false;
    return core_func_is(&scope_entity(d, SORT_CORE_FUNC, abstract->dtor)->core, &type) ||
           checker_fail(&d->check, ERR_INVALID, "wrong signature for a destructor");
}

static bool resource_definition(struct decoder *d, struct reader *in, uint8_t code, struct entity *ret)
{
    wasm_valtype rep;
    (void)code;
    d->check.offset = reader_offset(in) - 1;
    if (d->scope->kind != SCOPE_COMPONENT)
        return checker_fail(&d->check, ERR_INVALID, "resources can only be defined within a concrete component");
    if (!reader_valtype(in, &rep))
        return false;
    if (rep == WASM_I64)
        return checker_fail(&d->check, ERR_UNSUPPORTED, "resources with a 64-bit representation");
    if (rep != WASM_I32)
        return checker_fail(&d->check, ERR_INVALID, "resources can only be represented by `i32`");
    struct abstract *abstract = types_abstract(&d->check, &d->scope->export_bound);
    if (!abstract)
        return false;
    abstract->definer = d->component;
    abstract->rep = rep;
    *ret = (struct entity){.sort = SORT_TYPE, .def = DEF_RESOURCE, .resource = types_resource(&d->check, abstract)};
    return ret->resource && destructor(d, in, abstract);
}

/* Types of imports and exports. */

static bool decode_bound(struct decoder *d, struct reader *in, struct entity *ret, bool *ret_fresh_resource)
{
    uint8_t bound;
    uint32_t index;
    if (!reader_u8(in, &bound))
        return false;
    if (bound > 1)
        return decode_bad_byte(d, in, bound, "a type bound");
    *ret_fresh_resource = bound == 1;
    *ret = (struct entity){.sort = SORT_TYPE, .def = DEF_RESOURCE};
    if (bound == 1)
        return true;
    if (!decode_index(d, in, SORT_TYPE, &index))
        return false;
    *ret = *scope_entity(d, SORT_TYPE, index);
    return true;
}

static bool decode_typed(struct decoder *d, struct reader *in, enum sort sort, enum def_type_kind def,
                         struct entity *ret)
{
    uint32_t index;
    if (!decode_index(d, in, SORT_TYPE, &index))
        return false;
    const struct entity *entity = scope_entity(d, SORT_TYPE, index);
    if (entity->def != def)
        return checker_fail(&d->check, ERR_INVALID, "type %u is not a %s type", index, sort_infos[sort].words);
    *ret = *entity;
    ret->sort = sort;
    return true;
}

static bool decode_module_use(struct decoder *d, struct reader *in, struct entity *ret)
{
    uint8_t core;
    uint32_t index;
    if (!reader_u8(in, &core))
        return false;
    if (core != 0x11)
        return decode_bad_byte(d, in, core, "the type of an import or export");
    if (!decode_index(d, in, SORT_CORE_TYPE, &index))
        return false;
    const struct core_type *type = scope_entity(d, SORT_CORE_TYPE, index)->core_type;
    if (!type->module_type)
        return checker_fail(&d->check, ERR_INVALID, "core type index %u is not a module type", index);
    *ret = (struct entity){.sort = SORT_CORE_MODULE, .core_module = type->module_type};
    return true;
}

/* *ret_fresh_resource: `sub resource`, for which the caller makes a resource type. */
bool decode_extern_type(struct decoder *d, struct reader *in, struct entity *ret, bool *ret_fresh_resource)
{
    uint8_t code;
    *ret_fresh_resource = false;
    if (!reader_u8(in, &code))
        return false;
    switch (code) {
    case 0x00: return decode_module_use(d, in, ret);
    case 0x01: return decode_typed(d, in, SORT_FUNC, DEF_FUNC, ret);
    case 0x02: return decode_fail(d, in, ERR_UNSUPPORTED, "imports and exports of values are not supported");
    case 0x03: return decode_bound(d, in, ret, ret_fresh_resource);
    case 0x04: return decode_typed(d, in, SORT_COMPONENT, DEF_COMPONENT, ret);
    case 0x05: return decode_typed(d, in, SORT_INSTANCE, DEF_INSTANCE, ret);
    default: return decode_bad_byte(d, in, code, "component external kind");
    }
}

/* Component and instance types. */

static bool declare(struct decoder *d, struct reader *in, bool import)
{
    struct extern_decl decl;
    bool fresh;
    struct abstracts *bound = import ? &d->scope->import_bound : &d->scope->export_bound;
    if (!decode_extern_name(d, in, &decl) || !decode_extern_type(d, in, &decl.type, &fresh))
        return false;
    d->check.offset = decl.offset;
    if (fresh)
        decl.type.resource = types_resource(&d->check, types_abstract(&d->check, bound));
    if (fresh ? !decl.type.resource : !types_declare(&d->check, &decl.type, bound))
        return false;
    if (!(import ? scope_import(d, &decl) : scope_export(d, &decl)))
        return false;
    return scope_add(d, &decl.type, NULL);
}

static bool declare_alias(struct decoder *d, struct reader *in)
{
    struct definition definition = {0};
    struct entity entity;
    return decode_alias(d, in, &definition, &entity) && scope_add(d, &entity, NULL);
}

static bool declare_type(struct decoder *d, struct reader *in)
{
    struct entity entity;
    return decode_type(d, in, &entity) && scope_add(d, &entity, NULL);
}

static bool declarator(struct decoder *d, struct reader *in)
{
    uint8_t code;
    if (!reader_u8(in, &code))
        return false;
    switch (code) {
    case 0x00: return decode_core_type(d, in);
    case 0x01: return declare_type(d, in);
    case 0x02: return declare_alias(d, in);
    case 0x03:
        if (d->scope->kind == SCOPE_COMPONENT_TYPE)
            return declare(d, in, true);
        break;
    case 0x04: return declare(d, in, false);
    }
    return decode_bad_byte(d, in, code, "component or instance type declaration");
}

static bool declarators(struct decoder *d, struct reader *in)
{
    uint32_t count;
    if (!decode_count(d, in, COMPONENT_LIMIT_DECLARATORS, &count))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!declarator(d, in))
            return false;
    return true;
}

static bool finish_component_type(struct decoder *d, struct scope *scope, struct entity *ret)
{
    struct component_type *type = ARENA_NEW(d->check.arena, struct component_type);
    if (!type)
        return checker_memory(&d->check);
    ret->def = DEF_COMPONENT;
    ret->component = type;
    return types_component(&d->check, scope, type);
}

static bool finish_instance_type(struct decoder *d, struct scope *scope, struct entity *ret)
{
    ret->def = DEF_INSTANCE;
    return types_bundle(&d->check, &scope->exports, scope->export_bound, &ret->instance);
}

static bool scope_definition(struct decoder *d, struct reader *in, uint8_t code, struct entity *ret)
{
    struct scope *scope = ARENA_NEW(d->check.arena, struct scope);
    uint32_t offset = reader_offset(in) - 1;
    d->check.offset = offset;
    if (!scope)
        return checker_memory(&d->check);
    if (d->nesting >= COMPONENT_MAX_NESTING)
        return checker_limit(&d->check, COMPONENT_LIMIT_NESTING);
    scope->kind = code == 0x41 ? SCOPE_COMPONENT_TYPE : SCOPE_INSTANCE_TYPE;
    scope->outer = d->scope;
    d->scope = scope;
    d->nesting++;
    bool done = declarators(d, in) && scope_finish(d, scope);
    d->nesting--;
    d->scope = scope->outer;
    d->check.offset = offset;
    *ret = (struct entity){.sort = SORT_TYPE};
    return done && (code == 0x41 ? finish_component_type(d, scope, ret) : finish_instance_type(d, scope, ret));
}

bool decode_type(struct decoder *d, struct reader *in, struct entity *ret)
{
    uint8_t code;
    if (!reader_u8(in, &code))
        return false;
    switch (code) {
    case 0x3f: return resource_definition(d, in, code, ret);
    case 0x40:
    case 0x43: return func_definition(d, in, code, ret);
    case 0x41:
    case 0x42: return scope_definition(d, in, code, ret);
    default: return value_definition(d, in, code, ret);
    }
}
