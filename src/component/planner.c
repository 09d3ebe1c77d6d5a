/* Evaluation of a component's definitions: see planner.h. One function for each kind of definition. */
#include "component/fuse.h"

static struct str argument_name(const void *items, uint32_t index)
{
    return ((const struct argument *)items)[index].name;
}

static bool out_of_memory(struct planner *p)
{
    return checker_memory(&p->check);
}

const struct value *exports_value_find(const struct exports_value *exports, struct str name)
{
    const struct extern_decl *found = externs_find(exports->names, name);
    return found ? &exports->values[found - exports->names->items] : NULL;
}

/* Resource types that occur in the static type now stand for those of the value. */
bool planner_bind(struct planner *p, struct instance *in, const struct entity *type, const struct value *value)
{
    const struct shape *shape = types_shape(type);
    if (!shape || !shape->resources)
        return true;
    if (!checker_step(&p->check))
        return false;
    if (type->sort == SORT_TYPE && type->def == DEF_RESOURCE) {
        uint32_t number = type->resource->abstract->number;
        return remap_get(&in->resources, number) ||
               remap_put(&p->check, &in->resources, number, &value->resource->abstract);
    }
    if (type->sort != SORT_INSTANCE)
        return true;
    const struct externs *exports = &type->instance->exports;
    for (uint32_t i = 0; i < exports->count; i++) {
        const struct value *found = exports_value_find(value->instance, exports->items[i].name);
        if (found && !planner_bind(p, in, &exports->items[i].type, found))
            return false;
    }
    return true;
}

/* The concrete resource of a resource type that is in the instance's type index space. */
static bool concrete_of(struct planner *p, const struct instance *in, const struct resource_def *def,
                        const struct concrete **ret)
{
    const void **found = remap_get(&in->resources, def->abstract->number);
    if (!found || !*found)
        return checker_fail(&p->check, ERR_INVALID, "a resource type that does not exist at run time");
    *ret = *found; /* its abstract is the first member */
    return true;
}

static const struct entity *static_entity(const struct instance *in, enum sort sort, uint32_t index)
{
    return &in->component->scope.spaces[sort].items[index];
}

static bool value_at(struct planner *p, const struct instance *in, enum sort sort, uint32_t index, struct value *ret)
{
    struct value value = {0};
    const struct entity *type = static_entity(in, sort, index);
    if (sort == SORT_TYPE) {
        if (type->def == DEF_RESOURCE && !concrete_of(p, in, type->resource, &value.resource))
            return false;
    } else if (sort != SORT_CORE_TYPE) {
        value = in->spaces[sort][index];
    }
    *ret = value;
    return true;
}

static bool values_at(struct planner *p, const struct instance *in, const struct definition *definition,
                      struct value **ret)
{
    struct value *values = ARENA_ARRAY(p->check.arena, struct value, definition->arg_count);
    if (!values)
        return out_of_memory(p);
    for (uint32_t i = 0; i < definition->arg_count; i++)
        if (!value_at(p, in, definition->args[i].sort, definition->args[i].index, &values[i]))
            return false;
    *ret = values;
    return true;
}

bool planner_handle_table(struct planner *p, struct instance *in, uint32_t *ret_table)
{
    if (in->handle_table == WASM_NO_INDEX)
        in->handle_table = p->handle_tables++;
    *ret_table = in->handle_table;
    return true;
}

/* Definitions, their arguments, the imports of core modules: a short file can have all of them many times. */
static bool take_work(struct planner *p, uint32_t count)
{
    p->work += count;
    return p->work <= COMPONENT_MAX_PLAN_WORK || checker_limit(&p->check, COMPONENT_LIMIT_PLAN_WORK);
}

/* Core instances. */

static bool core_export(const struct core_instance_value *instance, struct str name, struct core_value *ret)
{
    if (instance->bundle) {
        const struct core_export *found = core_instance_find(instance->bundle, name);
        if (found)
            *ret = instance->values[found - instance->bundle->exports];
        return found != NULL;
    }
    const struct core_instance unit = {instance->module->exports, instance->module->by_name,
                                       instance->module->export_count};
    const struct core_export *found = core_instance_find(&unit, name);
    if (found)
        *ret = (struct core_value){.unit = instance->unit, .index = found->type.index};
    return found != NULL;
}

static bool resolve_import(struct planner *p, const struct wasm_import *import, const struct core_value *value,
                           struct unit_import *ret)
{
    if (!value->canon) {
        *ret = (struct unit_import){.from = IMPORT_UNIT, .unit = value->unit, .index = value->index};
        return true;
    }
    if (canon_is_fused(value->canon)) {
        ret->from = IMPORT_UNIT;
        return planner_fuse(p, value->canon, import->name, &ret->unit, &ret->index);
    }
    if (value->canon->canon->kind == BUILTIN_THREAD_NEW_INDIRECT) {
        bool made = planner_thread_unit(p, value->canon, import->name);
        *ret = (struct unit_import){.from = IMPORT_UNIT, .unit = value->canon->unit, .index = value->canon->func};
        return made;
    }
    ret->from = IMPORT_HOST;
    return planner_host_row(p, value->canon, import->name, &ret->host);
}

static bool resolve_imports(struct planner *p, struct unit *unit, const struct definition *definition,
                            const struct value *values)
{
    const struct wasm_module *module = unit->module;
    uint32_t *order = names_sort(&p->check, definition->args, definition->arg_count, argument_name);
    if (!order)
        return false;
    for (uint32_t i = 0; i < module->import_count; i++) {
        const struct wasm_import *import = &module->imports[i];
        uint32_t at = names_find(definition->args, order, definition->arg_count, argument_name, import->module);
        struct core_value value;
        if (at == WASM_NO_INDEX || !core_export(values[at].core_instance, import->name, &value))
            return checker_fail(&p->check, ERR_LINK, "core import `%.*s.%.*s` is missing", STR_ARG(import->module),
                                STR_ARG(import->name));
        if (!resolve_import(p, import, &value, &unit->imports[i]))
            return false;
    }
    return true;
}

static bool eval_core_instantiate(struct planner *p, struct instance *in, const struct definition *definition,
                                  struct value *ret)
{
    const struct core_module *module = in->spaces[SORT_CORE_MODULE][definition->index].core_module;
    if (!take_work(p, module->module->import_count))
        return false;
    struct core_instance_value *value = ARENA_NEW(p->check.arena, struct core_instance_value);
    struct unit_import *imports = ARENA_ARRAY(p->check.arena, struct unit_import, module->module->import_count);
    struct unit unit = {.module = module->module, .imports = imports};
    struct value *values;
    uint32_t table;
    if (!value || !imports)
        return out_of_memory(p);
    if (!planner_handle_table(p, in, &table) || !values_at(p, in, definition, &values) ||
        !resolve_imports(p, &unit, definition, values))
        return false;
    struct unit *slot = LIST_PUSH(&p->check, &p->units, INSTANCES);
    if (!slot)
        return false;
    unit.index = p->units.count - 1; /* behind its adapters */
    *slot = unit;
    *value = (struct core_instance_value){.module = module, .unit = unit.index};
    ret->core_instance = value;
    return true;
}

static bool eval_core_bundle(struct planner *p, struct instance *in, const struct definition *definition,
                             struct value *ret)
{
    struct core_instance_value *value = ARENA_NEW(p->check.arena, struct core_instance_value);
    struct core_value *values = ARENA_ARRAY(p->check.arena, struct core_value, definition->arg_count);
    if (!value || !values)
        return out_of_memory(p);
    for (uint32_t i = 0; i < definition->arg_count; i++)
        values[i] = in->spaces[definition->args[i].sort][definition->args[i].index].core;
    value->bundle = static_entity(in, SORT_CORE_INSTANCE, definition->result)->core_instance;
    value->values = values;
    ret->core_instance = value;
    return true;
}

static bool eval_core_module(struct planner *p, struct instance *in, const struct definition *definition,
                             struct value *ret)
{
    (void)p;
    ret->core_module = static_entity(in, SORT_CORE_MODULE, definition->result)->core_module;
    return true;
}

/* Components. */

static bool eval_component(struct planner *p, struct instance *in, const struct definition *definition,
                           struct value *ret)
{
    struct component_value *value = ARENA_NEW(p->check.arena, struct component_value);
    if (!value)
        return out_of_memory(p);
    *value = (struct component_value){definition->component, in};
    ret->component = value;
    return true;
}

static bool make_exports(struct planner *p, const struct externs *names, const struct value *values, struct value *ret)
{
    struct exports_value *exports = ARENA_NEW(p->check.arena, struct exports_value);
    if (!exports)
        return out_of_memory(p);
    *exports = (struct exports_value){names, values};
    ret->instance = exports;
    return true;
}

static bool eval_instantiate(struct planner *p, struct instance *in, const struct definition *definition,
                             struct value *ret)
{
    const struct component_value *component = in->spaces[SORT_COMPONENT][definition->index].component;
    struct arguments args = {.names = definition->args, .count = definition->arg_count};
    struct value *values;
    struct instance *made;
    args.by_name = names_sort(&p->check, args.names, args.count, argument_name);
    if (!args.by_name || !values_at(p, in, definition, &values))
        return false;
    args.values = values;
    return planner_instantiate(p, component, &args, &made) &&
           make_exports(p, &component->component->scope.exports, made->exports, ret);
}

static bool eval_bundle(struct planner *p, struct instance *in, const struct definition *definition, struct value *ret)
{
    struct value *values;
    return values_at(p, in, definition, &values) &&
           make_exports(p, &static_entity(in, SORT_INSTANCE, definition->result)->instance->exports, values, ret);
}

/* Aliases. */

static bool eval_alias_export(struct planner *p, struct instance *in, const struct definition *definition,
                              struct value *ret)
{
    const struct exports_value *from = in->spaces[SORT_INSTANCE][definition->index].instance;
    const struct value *found = exports_value_find(from, definition->name);
    if (!found)
        return checker_fail(&p->check, ERR_LINK, "export `%.*s` is missing", STR_ARG(definition->name));
    *ret = *found;
    return true;
}

static bool eval_alias_core(struct planner *p, struct instance *in, const struct definition *definition,
                            struct value *ret)
{
    const struct core_instance_value *from = in->spaces[SORT_CORE_INSTANCE][definition->index].core_instance;
    return core_export(from, definition->name, &ret->core) ||
           checker_fail(&p->check, ERR_LINK, "core export `%.*s` is missing", STR_ARG(definition->name));
}

static bool eval_alias_outer(struct planner *p, struct instance *in, const struct definition *definition,
                             struct value *ret)
{
    struct instance *outer = in;
    for (uint32_t i = 0; i < definition->outer; i++)
        outer = outer->outer;
    if (definition->sort == SORT_TYPE && definition->outer > 0)
        return true; /* no resource types get here */
    return value_at(p, outer, definition->sort, definition->index, ret);
}

/* Types and canonical definitions. */

static bool eval_type(struct planner *p, struct instance *in, const struct definition *definition, struct value *ret)
{
    const struct entity *type = static_entity(in, SORT_TYPE, definition->result);
    if (type->def != DEF_RESOURCE)
        return true;
    struct concrete *concrete = ARENA_NEW(p->check.arena, struct concrete);
    if (!concrete)
        return out_of_memory(p);
    concrete->abstract = *type->resource->abstract;
    concrete->abstract.number = ++p->check.next_number;
    concrete->abstract.resource.id = RESOURCE_COMPONENT_BASE + p->concretes.count;
    concrete->definer = in;
    ret->resource = concrete;
    const struct concrete **slot = LIST_PUSH(&p->check, &p->concretes, SPACE);
    if (slot)
        *slot = concrete;
    return slot != NULL;
}

static bool eval_lift(struct planner *p, struct instance *in, const struct definition *definition, struct value *ret)
{
    struct func_value *func = ARENA_NEW(p->check.arena, struct func_value);
    if (!func)
        return out_of_memory(p);
    *func = (struct func_value){
        .origin = FUNC_LIFTED, .type = definition->canon->type.func, .in = in, .canon = definition->canon};
    ret->func = func;
    return !definition->canon->opts.async_ || planner_text(p, in, func->type->type.result, &func->result);
}

static bool eval_canon(struct planner *p, struct instance *in, const struct definition *definition, struct value *ret)
{
    const struct canonical *canon = definition->canon;
    if (canon->kind == BUILTIN_LIFT)
        return eval_lift(p, in, definition, ret);
    struct canon_value *value = ARENA_NEW(p->check.arena, struct canon_value);
    if (!value)
        return out_of_memory(p);
    *value = (struct canon_value){.canon = canon,
                                  .in = in,
                                  .type = static_entity(in, SORT_CORE_FUNC, definition->result)->core.plain,
                                  .row = WASM_NO_INDEX,
                                  .unit = WASM_NO_INDEX};
    if (canon->kind == BUILTIN_LOWER)
        value->callee = in->spaces[SORT_FUNC][canon->target].func;
    ret->core = (struct core_value){.canon = value};
    return true;
}

/* Imports and exports. */

static bool eval_import(struct planner *p, struct instance *in, const struct definition *definition,
                        const struct arguments *args, struct value *ret)
{
    if (!args)
        return planner_host_value(p, in, static_entity(in, definition->sort, definition->result), definition->name,
                                  ret);
    uint32_t at = names_find(args->names, args->by_name, args->count, argument_name, definition->name);
    if (at == WASM_NO_INDEX)
        return checker_fail(&p->check, ERR_LINK, "import `%.*s` is missing", STR_ARG(definition->name));
    *ret = args->values[at];
    return true;
}

static bool eval_export(struct planner *p, struct instance *in, const struct definition *definition, struct value *ret)
{
    const struct externs *exports = &in->component->scope.exports;
    if (!value_at(p, in, definition->sort, definition->index, ret))
        return false;
    const struct extern_decl *decl = externs_find(exports, definition->name);
    in->exports[decl - exports->items] = *ret;
    return true;
}

typedef bool (*eval_fn)(struct planner *p, struct instance *in, const struct definition *definition, struct value *ret);

static const eval_fn evals[] = {
    [DEFINE_CORE_MODULE] = eval_core_module,
    [DEFINE_CORE_INSTANTIATE] = eval_core_instantiate,
    [DEFINE_CORE_BUNDLE] = eval_core_bundle,
    [DEFINE_COMPONENT] = eval_component,
    [DEFINE_INSTANTIATE] = eval_instantiate,
    [DEFINE_BUNDLE] = eval_bundle,
    [DEFINE_ALIAS_EXPORT] = eval_alias_export,
    [DEFINE_ALIAS_CORE] = eval_alias_core,
    [DEFINE_ALIAS_OUTER] = eval_alias_outer,
    [DEFINE_TYPE] = eval_type,
    [DEFINE_CANON] = eval_canon,
    [DEFINE_EXPORT] = eval_export,
};

static bool evaluate(struct planner *p, struct instance *in, const struct definition *definition,
                     const struct arguments *args)
{
    struct value value = {0};
    const struct entity *type = static_entity(in, definition->sort, definition->result);
    p->check.offset = definition->offset;
    if (!take_work(p, 1 + definition->arg_count))
        return false;
    bool done = definition->kind == DEFINE_IMPORT ? eval_import(p, in, definition, args, &value)
                                                  : evals[definition->kind](p, in, definition, &value);
    if (!done)
        return false;
    if (in->spaces[definition->sort])
        in->spaces[definition->sort][definition->result] = value;
    return planner_bind(p, in, type, &value);
}

static bool make_spaces(struct planner *p, struct instance *in)
{
    const struct scope *scope = &in->component->scope;
    for (int sort = 0; sort < SORT_COUNT; sort++) {
        if (sort == SORT_TYPE || sort == SORT_CORE_TYPE)
            continue; /* types need no values: resources are found by their static types */
        in->spaces[sort] = ARENA_ARRAY(p->check.arena, struct value, scope->spaces[sort].count);
        if (!in->spaces[sort])
            return out_of_memory(p);
    }
    in->exports = ARENA_ARRAY(p->check.arena, struct value, scope->exports.count);
    return in->exports || out_of_memory(p);
}

bool planner_instantiate(struct planner *p, const struct component_value *component, const struct arguments *args,
                         struct instance **ret_instance)
{
    struct instance *in = ARENA_NEW(p->check.arena, struct instance);
    if (!in)
        return out_of_memory(p);
    if (p->instances++ >= COMPONENT_MAX_INSTANCES)
        return checker_limit(&p->check, COMPONENT_LIMIT_INSTANCES);
    if (p->depth >= COMPONENT_MAX_INSTANCE_DEPTH)
        return checker_limit(&p->check, COMPONENT_LIMIT_INSTANCE_DEPTH);
    in->component = component->component;
    in->outer = component->outer;
    in->handle_table = WASM_NO_INDEX;
    p->depth++;
    if (!make_spaces(p, in))
        return false;
    for (uint32_t i = 0; i < in->component->count; i++)
        if (!evaluate(p, in, &in->component->definitions[i], args))
            return false;
    p->depth--;
    *ret_instance = in;
    return true;
}
