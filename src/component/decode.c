/* Sections and definitions: see decode.h. Every definition is validated when it is read, against what
 * came before it, and appended to its component's list for the planner.
 */
#include "component/decode.h"

#include "component/decoder.h"

#define COMPONENT_VERSION 0x0d

enum {
    SECTION_CUSTOM,
    SECTION_MODULE,
    SECTION_CORE_INSTANCE,
    SECTION_CORE_TYPE,
    SECTION_COMPONENT,
    SECTION_INSTANCE,
    SECTION_ALIAS,
    SECTION_TYPE,
    SECTION_CANON,
    SECTION_START,
    SECTION_IMPORT,
    SECTION_EXPORT,
    SECTION_VALUE,
    SECTION_COUNT
};

static bool add_definition(struct decoder *d, struct definition *definition, const struct entity *entity)
{
    definition->sort = entity->sort;
    if (!scope_add(d, entity, &definition->result))
        return false;
    struct definition *slot = list_push(&d->check, (void **)&d->component->definitions, &d->component->count,
                                        &d->component->capacity, sizeof *slot, COMPONENT_LIMIT_SPACE);
    if (!slot)
        return false;
    *slot = *definition;
    return true;
}

/* Core modules and instances. */

static bool core_module(struct decoder *d, struct reader *in)
{
    uint32_t offset = reader_offset(in);
    struct wasm_module *module;
    struct entity entity = {.sort = SORT_CORE_MODULE};
    struct definition definition = {.kind = DEFINE_CORE_MODULE, .offset = offset};
    d->check.offset = offset;
    if (d->modules++ >= COMPONENT_MAX_MODULES)
        return checker_limit(&d->check, COMPONENT_LIMIT_MODULES);
    if (component_is(in->at, reader_left(in)))
        return decode_fail(d, in, ERR_MALFORMED, "expected a version header for a module");
    if (!wasm_load(in->at, reader_left(in), d->check.arena, &module, d->check.err)) {
        if (d->check.err->offset != ERR_NO_OFFSET)
            d->check.err->offset += offset;
        return false;
    }
    module->origin = offset;
    in->at = in->end;
    return core_module_make(&d->check, module, &entity.core_module) && add_definition(d, &definition, &entity);
}

static struct argument *new_args(struct decoder *d, uint32_t count)
{
    struct argument *args = ARENA_ARRAY(d->check.arena, struct argument, count);
    if (!args)
        checker_memory(&d->check);
    return args;
}

static struct str argument_name(const void *items, uint32_t index)
{
    return ((const struct argument *)items)[index].name;
}

static bool unique_args(struct decoder *d, const struct argument *args, uint32_t count, uint32_t **ret_order)
{
    uint32_t *order = names_sort(&d->check, args, count, argument_name);
    for (uint32_t i = 1; order && i < count; i++)
        if (str_eq(args[order[i - 1]].name, args[order[i]].name))
            return checker_fail(&d->check, ERR_INVALID, "duplicate instantiation argument named `%.*s`",
                                STR_ARG(args[order[i]].name));
    *ret_order = order;
    return order != NULL;
}

/* Each import of the module is among the arguments and matches. */
static bool link_module(struct decoder *d, const struct core_module *module, const struct argument *args,
                        uint32_t count, const uint32_t *order)
{
    for (uint32_t i = 0; i < module->import_count; i++) {
        const struct wasm_import *import = &module->module->imports[i];
        struct core_extern need = core_import_type(module->module, i);
        uint32_t at = names_find(args, order, count, argument_name, import->module);
        if (at == WASM_NO_INDEX)
            return checker_fail(&d->check, ERR_INVALID, "missing module instantiation argument named `%.*s`",
                                STR_ARG(import->module));
        const struct core_instance *from = scope_entity(d, SORT_CORE_INSTANCE, args[at].index)->core_instance;
        const struct core_export *found = core_instance_find(from, import->name);
        if (!found)
            return checker_fail(&d->check, ERR_INVALID,
                                "module instantiation argument `%.*s` does not export an item named `%.*s`",
                                STR_ARG(import->module), STR_ARG(import->name));
        if (!core_match(&d->check, &found->type, &need))
            return types_blame(&d->check, "core import", import->name);
    }
    return true;
}

static bool decode_core_args(struct decoder *d, struct reader *in, struct definition *ret)
{
    uint8_t sort;
    if (!decode_count(d, in, COMPONENT_LIMIT_ARGUMENTS, &ret->arg_count))
        return false;
    struct argument *args = new_args(d, ret->arg_count);
    for (uint32_t i = 0; args && i < ret->arg_count; i++) {
        args[i].sort = SORT_CORE_INSTANCE;
        if (!decode_name(d, in, &args[i].name) || !reader_u8(in, &sort))
            return false;
        if (sort != 0x12)
            return decode_bad_byte(d, in, sort, "instantiation arg kind");
        if (!decode_index(d, in, SORT_CORE_INSTANCE, &args[i].index))
            return false;
    }
    ret->args = args;
    return args != NULL;
}

static bool core_instantiate(struct decoder *d, struct reader *in, struct definition *ret, struct entity *entity)
{
    uint32_t *order;
    ret->kind = DEFINE_CORE_INSTANTIATE;
    if (!decode_index(d, in, SORT_CORE_MODULE, &ret->index) || !decode_core_args(d, in, ret))
        return false;
    const struct core_module *module = scope_entity(d, SORT_CORE_MODULE, ret->index)->core_module;
    d->check.offset = ret->offset;
    return unique_args(d, ret->args, ret->arg_count, &order) &&
           link_module(d, module, ret->args, ret->arg_count, order) &&
           core_instance_of(&d->check, module, &entity->core_instance);
}

static bool core_bundle(struct decoder *d, struct reader *in, struct definition *ret, struct entity *entity)
{
    ret->kind = DEFINE_CORE_BUNDLE;
    if (!decode_count(d, in, COMPONENT_LIMIT_EXPORTS, &ret->arg_count))
        return false;
    struct argument *args = new_args(d, ret->arg_count);
    struct core_export *exports = ARENA_ARRAY(d->check.arena, struct core_export, ret->arg_count);
    if (!args || !exports)
        return checker_memory(&d->check);
    for (uint32_t i = 0; i < ret->arg_count; i++) {
        if (!decode_name(d, in, &args[i].name) || !decode_core_sort(d, in, &args[i].sort) ||
            !decode_index(d, in, args[i].sort, &args[i].index))
            return false;
        if (args[i].sort > SORT_CORE_TAG)
            return checker_fail(&d->check, ERR_INVALID, "a core instance cannot export a %s",
                                sort_infos[args[i].sort].words);
        exports[i] = (struct core_export){args[i].name, scope_entity(d, args[i].sort, args[i].index)->core};
    }
    ret->args = args;
    d->check.offset = ret->offset;
    return core_instance_make(&d->check, exports, ret->arg_count, &entity->core_instance);
}

static bool core_instance(struct decoder *d, struct reader *in)
{
    struct definition definition = {.offset = reader_offset(in)};
    struct entity entity = {.sort = SORT_CORE_INSTANCE};
    uint8_t form;
    if (!reader_u8(in, &form))
        return false;
    if (form > 1)
        return decode_bad_byte(d, in, form, "core instance");
    return (form == 0 ? core_instantiate : core_bundle)(d, in, &definition, &entity) &&
           add_definition(d, &definition, &entity);
}

static bool core_type(struct decoder *d, struct reader *in)
{
    return decode_core_type(d, in);
}

/* Components and their instances. */

static bool decode_body(struct decoder *d, struct reader *in, struct component *component);

static bool nested_component(struct decoder *d, struct reader *in)
{
    struct component *component = ARENA_NEW(d->check.arena, struct component), *outer = d->component;
    struct definition definition = {.kind = DEFINE_COMPONENT, .offset = reader_offset(in), .component = component};
    struct entity entity = {.sort = SORT_COMPONENT, .def = DEF_COMPONENT};
    if (!component)
        return checker_memory(&d->check);
    if (!decode_body(d, in, component))
        return false;
    d->component = outer;
    d->scope = &outer->scope;
    entity.component = &component->type;
    return add_definition(d, &definition, &entity);
}

/* A bundle introduces no names of its own, so no function in it can belong to a resource. */
static bool check_bundled_name(struct decoder *d, const struct extern_decl *decl)
{
    struct extern_name name;
    return (name_parse(decl->name, &name) && (name.kind == NAME_PLAIN || name.kind == NAME_INTERFACE)) ||
           checker_fail(&d->check, ERR_INVALID, "`%.*s` names a resource that is not known in this context",
                        STR_ARG(decl->name));
}

/* Arguments and inline exports; `externs` gets their types, sorted. */
static bool decode_args(struct decoder *d, struct reader *in, bool exports, struct definition *ret,
                        struct externs *externs)
{
    if (!decode_count(d, in, COMPONENT_LIMIT_ARGUMENTS, &ret->arg_count))
        return false;
    struct argument *args = new_args(d, ret->arg_count);
    for (uint32_t i = 0; args && i < ret->arg_count; i++) {
        struct extern_decl *decl = LIST_PUSH(&d->check, externs, ARGUMENTS);
        if (!decl || !(exports ? decode_extern_name(d, in, decl) : decode_name(d, in, &decl->name)) ||
            !decode_sort(d, in, &args[i].sort) || !decode_index(d, in, args[i].sort, &args[i].index))
            return false;
        args[i].name = decl->name;
        decl->offset = (uint32_t)d->check.offset;
        decl->type = *scope_entity(d, args[i].sort, args[i].index);
        if (sort_infos[args[i].sort].core && args[i].sort != SORT_CORE_MODULE)
            return checker_fail(&d->check, ERR_INVALID, "a %s is not a module and cannot be passed",
                                sort_infos[args[i].sort].words);
        if (exports && !(check_attributes(d, decl) && check_bundled_name(d, decl)))
            return false;
    }
    ret->args = args;
    return args != NULL;
}

static bool instantiate(struct decoder *d, struct reader *in, struct definition *ret, struct entity *entity)
{
    struct externs args = {0};
    uint32_t *order;
    ret->kind = DEFINE_INSTANTIATE;
    if (!decode_index(d, in, SORT_COMPONENT, &ret->index) || !decode_args(d, in, false, ret, &args))
        return false;
    d->check.offset = ret->offset;
    return unique_args(d, ret->args, ret->arg_count, &order) && externs_sort(&d->check, &args) &&
           types_instantiate(&d->check, scope_entity(d, SORT_COMPONENT, ret->index)->component, &args,
                             &d->scope->export_bound, &entity->instance);
}

static bool bundle(struct decoder *d, struct reader *in, struct definition *ret, struct entity *entity)
{
    struct externs exports = {0};
    ret->kind = DEFINE_BUNDLE;
    if (!decode_args(d, in, true, ret, &exports))
        return false;
    d->check.offset = ret->offset;
    return types_bundle(&d->check, &exports, (struct abstracts){0}, &entity->instance) &&
           names_unique_externs(&d->check, &entity->instance->exports, "export");
}

static bool instance(struct decoder *d, struct reader *in)
{
    struct definition definition = {.offset = reader_offset(in)};
    struct entity entity = {.sort = SORT_INSTANCE, .def = DEF_INSTANCE};
    uint8_t form;
    if (!reader_u8(in, &form))
        return false;
    if (form > 1)
        return decode_bad_byte(d, in, form, "instance");
    return (form == 0 ? instantiate : bundle)(d, in, &definition, &entity) && add_definition(d, &definition, &entity);
}

/* Aliases. */

static bool alias_export(struct decoder *d, struct reader *in, enum sort sort, struct definition *ret,
                         struct entity *entity)
{
    ret->kind = DEFINE_ALIAS_EXPORT;
    if (!decode_index(d, in, SORT_INSTANCE, &ret->index) || !decode_name(d, in, &ret->name))
        return false;
    const struct instance_type *from = scope_entity(d, SORT_INSTANCE, ret->index)->instance;
    const struct extern_decl *found = externs_find(&from->exports, ret->name);
    if (!found)
        return checker_fail(&d->check, ERR_INVALID, "instance %u has no export named `%.*s`", ret->index,
                            STR_ARG(ret->name));
    if (found->type.sort != sort)
        return checker_fail(&d->check, ERR_INVALID, "export `%.*s` of instance %u is not a %s", STR_ARG(ret->name),
                            ret->index, sort_infos[sort].words);
    *entity = found->type;
    return true;
}

static bool alias_core_export(struct decoder *d, struct reader *in, enum sort sort, struct definition *ret,
                              struct entity *entity)
{
    ret->kind = DEFINE_ALIAS_CORE;
    if (!decode_index(d, in, SORT_CORE_INSTANCE, &ret->index) || !decode_name(d, in, &ret->name))
        return false;
    const struct core_instance *from = scope_entity(d, SORT_CORE_INSTANCE, ret->index)->core_instance;
    const struct core_export *found = core_instance_find(from, ret->name);
    if (!found)
        return checker_fail(&d->check, ERR_INVALID, "core instance %u has no export named `%.*s`", ret->index,
                            STR_ARG(ret->name));
    if ((int)found->type.kind != (int)sort)
        return checker_fail(&d->check, ERR_INVALID, "export `%.*s` for core instance %u is not a %s",
                            STR_ARG(ret->name), ret->index, sort_infos[sort].words);
    *entity = (struct entity){.sort = sort, .core = found->type};
    return true;
}

/* Does the way to `outer` leave a component (and not only a type)? */
static bool crosses_component(const struct decoder *d, const struct scope *outer)
{
    for (const struct scope *scope = d->scope; scope != outer; scope = scope->outer)
        if (scope->kind == SCOPE_COMPONENT)
            return true;
    return false;
}

static bool alias_outer(struct decoder *d, struct reader *in, enum sort sort, struct definition *ret,
                        struct entity *entity)
{
    bool free_ = false;
    ret->kind = DEFINE_ALIAS_OUTER;
    d->check.offset = reader_offset(in);
    if (!reader_u32(in, &ret->outer) || !reader_u32(in, &ret->index))
        return false;
    const struct scope *outer = scope_outer(d, ret->outer);
    if (!outer)
        return false;
    if (ret->index >= outer->spaces[sort].count)
        return checker_fail(&d->check, ERR_INVALID, "unknown %s %u: index out of bounds", sort_infos[sort].words,
                            ret->index);
    *entity = outer->spaces[sort].items[ret->index];
    if (sort != SORT_TYPE || !crosses_component(d, outer))
        return true;
    return types_free_resources(&d->check, entity, &free_) &&
           (!free_ ||
            checker_fail(&d->check, ERR_INVALID, "outer type alias transitively refers to resources not defined here"));
}

static bool outer_sort(enum sort sort)
{
    return sort == SORT_CORE_MODULE || sort == SORT_CORE_TYPE || sort == SORT_COMPONENT || sort == SORT_TYPE;
}

/* In types, aliases only bring in types and instances. */
static bool check_alias_sort(struct decoder *d, enum sort sort, uint8_t form)
{
    bool type_scope = d->scope->kind != SCOPE_COMPONENT;
    bool allowed = form == 0 ? sort == SORT_TYPE || sort == SORT_INSTANCE : sort == SORT_TYPE || sort == SORT_CORE_TYPE;
    return !type_scope || allowed ||
           checker_fail(&d->check, ERR_INVALID,
                        "aliases in component and instance types may only refer to types or "
                        "instances");
}

bool decode_alias(struct decoder *d, struct reader *in, struct definition *ret, struct entity *ret_entity)
{
    enum sort sort;
    uint8_t form, code = in->at < in->end ? *in->at : 0;
    uint32_t offset = reader_offset(in);
    ret->offset = offset;
    if (!decode_sort(d, in, &sort) || !reader_u8(in, &form))
        return false;
    if (form > 2)
        return decode_bad_byte(d, in, form, "alias");
    d->check.offset = offset;
    if (form == 2 && !outer_sort(sort))
        return checker_fail(&d->check, ERR_MALFORMED, "invalid leading byte 0x%02x for component outer alias kind",
                            code);
    if (form == 1 && sort > SORT_CORE_TAG)
        return checker_fail(&d->check, ERR_MALFORMED, "a core instance has no export of sort %s",
                            sort_infos[sort].words);
    if (form == 0 && sort_infos[sort].core && sort != SORT_CORE_MODULE)
        return checker_fail(&d->check, ERR_MALFORMED, "an instance has no export of sort %s", sort_infos[sort].words);
    if (!check_alias_sort(d, sort, form))
        return false;
    bool (*const forms[])(struct decoder *, struct reader *, enum sort, struct definition *,
                          struct entity *) = {alias_export, alias_core_export, alias_outer};
    return forms[form](d, in, sort, ret, ret_entity);
}

static bool alias(struct decoder *d, struct reader *in)
{
    struct definition definition = {0};
    struct entity entity;
    return decode_alias(d, in, &definition, &entity) && add_definition(d, &definition, &entity);
}

/* Types, canonical definitions, start. */

static bool type(struct decoder *d, struct reader *in)
{
    struct definition definition = {.kind = DEFINE_TYPE, .offset = reader_offset(in)};
    struct entity entity;
    return decode_type(d, in, &entity) && add_definition(d, &definition, &entity);
}

static bool canonical(struct decoder *d, struct reader *in)
{
    struct canonical *canon = ARENA_NEW(d->check.arena, struct canonical);
    struct definition definition = {.kind = DEFINE_CANON, .offset = reader_offset(in), .canon = canon};
    struct entity entity;
    if (!canon)
        return checker_memory(&d->check);
    return decode_canonical(d, in, canon, &entity) && add_definition(d, &definition, &entity);
}

static bool start(struct decoder *d, struct reader *in)
{
    return decode_fail(d, in, ERR_UNSUPPORTED, "component start functions are not supported");
}

static bool value(struct decoder *d, struct reader *in)
{
    return decode_fail(d, in, ERR_UNSUPPORTED, "value definitions are not supported");
}

/* Imports and exports. */

static bool import(struct decoder *d, struct reader *in)
{
    struct definition definition = {.kind = DEFINE_IMPORT, .offset = reader_offset(in)};
    struct abstracts *bound = &d->scope->import_bound;
    struct extern_decl decl;
    bool fresh;
    if (!decode_extern_name(d, in, &decl) || !decode_extern_type(d, in, &decl.type, &fresh))
        return false;
    d->check.offset = decl.offset;
    if (fresh)
        decl.type.resource = types_resource(&d->check, types_abstract(&d->check, bound));
    if (fresh ? !decl.type.resource : !types_declare(&d->check, &decl.type, bound))
        return false;
    definition.name = decl.name;
    return scope_import(d, &decl) && add_definition(d, &definition, &decl.type);
}

/* The type written beside an export, which the exported thing must conform to. */
static bool ascribe(struct decoder *d, struct reader *in, struct entity *entity)
{
    struct entity written;
    bool fresh;
    if (!decode_extern_type(d, in, &written, &fresh))
        return false;
    d->check.offset = reader_offset(in);
    if (fresh) {
        if (entity->sort != SORT_TYPE || entity->def != DEF_RESOURCE)
            return checker_fail(&d->check, ERR_INVALID,
                                "ascribed type of export is not compatible: expected a resource type");
        entity->resource = types_resource(&d->check, types_abstract(&d->check, &d->scope->export_bound));
        return entity->resource != NULL;
    }
    if (!types_conform(&d->check, entity, &written))
        return types_blame(&d->check, "ascribed type of export is not compatible:", STR("type"));
    *entity = written;
    return types_declare(&d->check, entity, &d->scope->export_bound);
}

static bool export(struct decoder *d, struct reader *in)
{
    struct definition definition = {.kind = DEFINE_EXPORT, .offset = reader_offset(in)};
    struct extern_decl decl;
    enum sort sort;
    uint8_t ascribed;
    if (!decode_extern_name(d, in, &decl) || !decode_sort(d, in, &sort) ||
        !decode_index(d, in, sort, &definition.index))
        return false;
    if (sort_infos[sort].core && sort != SORT_CORE_MODULE)
        return checker_fail(&d->check, ERR_INVALID, "a component cannot export a %s", sort_infos[sort].words);
    decl.type = *scope_entity(d, sort, definition.index);
    if (!reader_u8(in, &ascribed))
        return false;
    if (ascribed > 1)
        return decode_bad_byte(d, in, ascribed, "optional component export type");
    if (ascribed ? !ascribe(d, in, &decl.type) : !types_declare(&d->check, &decl.type, &d->scope->export_bound))
        return false;
    definition.name = decl.name;
    return scope_export(d, &decl) && add_definition(d, &definition, &decl.type);
}

/* Sections. */

struct section_info {
    bool list; /* a count, then that many definitions */
    bool (*read)(struct decoder *d, struct reader *in);
};

static bool custom(struct decoder *d, struct reader *in)
{
    struct str name;
    if (!decode_name(d, in, &name))
        return false;
    in->at = in->end;
    return true;
}

static const struct section_info sections[SECTION_COUNT] = {
    [SECTION_CUSTOM] = {false, custom},
    [SECTION_MODULE] = {false, core_module},
    [SECTION_CORE_INSTANCE] = {true, core_instance},
    [SECTION_CORE_TYPE] = {true, core_type},
    [SECTION_COMPONENT] = {false, nested_component},
    [SECTION_INSTANCE] = {true, instance},
    [SECTION_ALIAS] = {true, alias},
    [SECTION_TYPE] = {true, type},
    [SECTION_CANON] = {true, canonical},
    [SECTION_START] = {false, start},
    [SECTION_IMPORT] = {true, import},
    [SECTION_EXPORT] = {true, export},
    [SECTION_VALUE] = {true, value},
};

static bool read_section(struct decoder *d, struct reader *in, const struct section_info *section)
{
    uint32_t count = 1;
    if (section->list && !decode_count(d, in, COMPONENT_LIMIT_DECLARATORS, &count))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!section->read(d, in))
            return false;
    return in->at == in->end || decode_fail(d, in, ERR_MALFORMED, "section is longer than what it holds");
}

static bool decode_section(struct decoder *d, struct reader *in)
{
    uint8_t id;
    uint32_t size;
    struct reader body;
    if (!reader_u8(in, &id))
        return false;
    if (id >= SECTION_COUNT) {
        in->at--;
        return decode_fail(d, in, ERR_MALFORMED, "malformed section id %u", id);
    }
    return reader_u32(in, &size) && reader_window(in, size, &body) && read_section(d, &body, &sections[id]);
}

static bool decode_preamble(struct decoder *d, struct reader *in)
{
    static const uint8_t magic[] = {0x00, 'a', 's', 'm'};
    const uint8_t *bytes;
    size_t left = reader_left(in) < sizeof magic ? reader_left(in) : sizeof magic;
    if (left && memcmp(in->at, magic, left) != 0)
        return decode_fail(d, in, ERR_MALFORMED, "magic header not detected");
    if (!reader_bytes(in, 8, &bytes))
        return false;
    in->at -= 4;
    if (bytes[4] == 0x01 && bytes[5] == 0 && bytes[6] == 0)
        return decode_fail(d, in, ERR_MALFORMED, "expected a version header for a component");
    if (bytes[4] != COMPONENT_VERSION || bytes[5] != 0 || bytes[6] != 0x01 || bytes[7] != 0)
        return decode_fail(d, in, ERR_MALFORMED, "unknown binary version");
    in->at += 4;
    return true;
}

/* A component's sections in a scope of its own, which stays the current one. */
static bool decode_body(struct decoder *d, struct reader *in, struct component *component)
{
    component->offset = reader_offset(in);
    component->scope.kind = SCOPE_COMPONENT;
    component->scope.outer = d->scope;
    d->check.offset = component->offset;
    if (d->components++ >= COMPONENT_MAX_COMPONENTS)
        return checker_limit(&d->check, COMPONENT_LIMIT_COMPONENTS);
    if (d->nesting >= COMPONENT_MAX_NESTING)
        return checker_limit(&d->check, COMPONENT_LIMIT_NESTING);
    d->component = component;
    d->scope = &component->scope;
    d->nesting++;
    if (!decode_preamble(d, in))
        return false;
    while (in->at < in->end)
        if (!decode_section(d, in))
            return false;
    d->nesting--;
    return scope_finish(d, &component->scope) && types_component(&d->check, &component->scope, &component->type);
}

bool component_is(const uint8_t *bytes, size_t size)
{
    static const uint8_t preamble[] = {0x00, 'a', 's', 'm', COMPONENT_VERSION, 0x00, 0x01, 0x00};
    return size >= sizeof preamble && memcmp(bytes, preamble, sizeof preamble) == 0;
}

bool component_decode(const uint8_t *bytes, size_t size, struct arena *arena, struct component **ret_component,
                      struct err *err)
{
    struct err ignored;
    struct decoder d = {.check = {.arena = arena, .err = err ? err : &ignored, .work = COMPONENT_MAX_WORK}};
    struct component *component = ARENA_NEW(arena, struct component);
    if (!component)
        return checker_memory(&d.check);
    if (size > COMPONENT_MAX_SIZE)
        return checker_limit(&d.check, COMPONENT_LIMIT_SIZE);
    struct reader in = {bytes, bytes, bytes + size, d.check.err};
    if (!types_init(&d.check) || !decode_body(&d, &in, component))
        return false;
    component->numbers = d.check.next_number;
    *ret_component = component;
    return true;
}
