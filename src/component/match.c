/* Subtyping and equality of component-level types: see types.h and Explainer.md, "Type Checking".
 *
 * Value and function types match when they are equal; instances, components and modules may offer more
 * and need less. Resource types of the expected side that are still open (NULL in `vars`) are bound to
 * what is offered where they are declared, and everything after that goes by what they stand for.
 */
#include "component/core.h"
#include "component/types.h"

static bool mismatch(struct checker *c, const char *expected, const char *found)
{
    return checker_fail(c, ERR_INVALID, "expected %s, found %s", expected, found);
}

static const struct abstract *resolve(const struct remap *vars, const struct abstract *abstract)
{
    const void **bound = remap_get(vars, abstract->number);
    return bound && *bound ? *bound : abstract;
}

static bool match_resource(struct checker *c, const struct abstract *sub, const struct abstract *super,
                           struct remap *vars)
{
    return resolve(vars, sub) == resolve(vars, super) ||
           checker_fail(c, ERR_INVALID, "resource types are not the same");
}

static bool match_part(struct checker *c, const struct type *sub, const struct type *super, struct remap *vars);

static bool match_items(struct checker *c, const struct type *sub, const struct type *super, struct remap *vars)
{
    if (sub->count != super->count)
        return checker_fail(c, ERR_INVALID, "expected %u parts of the %s, found %u", super->count,
                            types_words(super->kind), sub->count);
    for (uint32_t i = 0; sub->items && i < sub->count; i++) {
        if (!str_eq(sub->items[i].name, super->items[i].name))
            return checker_fail(c, ERR_INVALID, "expected `%.*s` in the %s, found `%.*s`",
                                STR_ARG(super->items[i].name), types_words(super->kind), STR_ARG(sub->items[i].name));
        if (!match_part(c, sub->items[i].type, super->items[i].type, vars))
            return false;
    }
    return true;
}

static bool match_value(struct checker *c, const struct type *sub, const struct type *super, struct remap *vars)
{
    if (!checker_step(c))
        return false;
    if (sub == super && !node_of(super)->shape.resources)
        return true;
    if (sub->kind != super->kind)
        return mismatch(c, types_words(super->kind), types_words(sub->kind));
    if (super->kind == TYPE_OWN || super->kind == TYPE_BORROW)
        return match_resource(c, node_of(sub)->def->abstract, node_of(super)->def->abstract, vars);
    bool items = super->kind != TYPE_OPTION; /* whose element is also its second item */
    return match_part(c, sub->element, super->element, vars) && (!items || match_items(c, sub, super, vars));
}

static bool match_part(struct checker *c, const struct type *sub, const struct type *super, struct remap *vars)
{
    if (!sub && !super)
        return true;
    if (!sub || !super)
        return mismatch(c, super ? types_words(super->kind) : "no type", sub ? types_words(sub->kind) : "none");
    return match_value(c, sub, super, vars);
}

static bool match_func(struct checker *c, const struct func_type *sub, const struct func_type *super,
                       struct remap *vars)
{
    if (!checker_step(c))
        return false;
    if (sub->async_ != super->async_)
        return mismatch(c, super->async_ ? "an async function" : "a sync function", "the other kind");
    if (sub->param_count != super->param_count)
        return checker_fail(c, ERR_INVALID, "expected %u parameters, found %u", super->param_count, sub->param_count);
    for (uint32_t i = 0; i < sub->param_count; i++) {
        if (!str_eq(sub->params[i].name, super->params[i].name))
            return checker_fail(c, ERR_INVALID, "expected parameter named `%.*s`, found `%.*s`",
                                STR_ARG(super->params[i].name), STR_ARG(sub->params[i].name));
        if (!match_value(c, sub->params[i].type, super->params[i].type, vars))
            return types_blame(c, "parameter", sub->params[i].name);
    }
    return match_part(c, sub->result, super->result, vars);
}

bool types_unbind(struct checker *c, const struct abstracts *bound, struct remap *vars)
{
    for (uint32_t i = 0; i < bound->count; i++)
        if (!checker_step(c) || !remap_put(c, vars, bound->items[i]->number, NULL))
            return false;
    return true;
}

/* Every one of `super` is among `sub` and matches. */
static bool match_exports(struct checker *c, const struct externs *sub, const struct externs *super, struct remap *vars)
{
    for (uint32_t i = 0; i < super->count; i++) {
        const struct extern_decl *found = externs_find(sub, super->items[i].name);
        if (!found)
            checker_fail(c, ERR_INVALID, "missing");
        if (!found || !types_match(c, &found->type, &super->items[i].type, vars))
            return types_blame(c, "export", super->items[i].name);
    }
    return true;
}

static bool match_instance(struct checker *c, const struct instance_type *sub, const struct instance_type *super,
                           struct remap *vars)
{
    return types_unbind(c, &super->bound, vars) && match_exports(c, &sub->exports, &super->exports, vars);
}

/* Imports the other way round: what `super` may be given must do for `sub`. */
static bool match_component(struct checker *c, const struct component_type *sub, const struct component_type *super,
                            struct remap *vars)
{
    if (!types_unbind(c, &sub->import_bound, vars))
        return false;
    for (uint32_t i = 0; i < sub->imports.count; i++) {
        const struct extern_decl *found = externs_find(&super->imports, sub->imports.items[i].name);
        if (!found)
            checker_fail(c, ERR_INVALID, "missing");
        if (!found || !types_match(c, &found->type, &sub->imports.items[i].type, vars))
            return types_blame(c, "import", sub->imports.items[i].name);
    }
    return types_unbind(c, &super->export_bound, vars) && match_exports(c, &sub->exports, &super->exports, vars);
}

static const char *def_words(enum def_type_kind kind)
{
    static const char *const words[] = {"a value type", "a function type", "a component type", "an instance type",
                                        "a resource type"};
    return words[kind];
}

static bool match_resource_decl(struct checker *c, const struct entity *sub, const struct entity *super,
                                struct remap *vars)
{
    const void **open = remap_get(vars, super->resource->abstract->number);
    if (!open || *open)
        return match_resource(c, sub->resource->abstract, super->resource->abstract, vars);
    *open = resolve(vars, sub->resource->abstract);
    return true;
}

static bool match_type(struct checker *c, const struct entity *sub, const struct entity *super, struct remap *vars)
{
    if (sub->def != super->def)
        return mismatch(c, def_words(super->def), def_words(sub->def));
    switch (super->def) {
    case DEF_VALUE: return match_value(c, &sub->value->type, &super->value->type, vars);
    case DEF_FUNC: return match_func(c, &sub->func->type, &super->func->type, vars);
    case DEF_COMPONENT:
        return match_component(c, sub->component, super->component, vars) &&
               match_component(c, super->component, sub->component, vars);
    case DEF_INSTANCE:
        return match_instance(c, sub->instance, super->instance, vars) &&
               match_instance(c, super->instance, sub->instance, vars);
    case DEF_RESOURCE: return match_resource_decl(c, sub, super, vars);
    }
    return false;
}

bool types_match(struct checker *c, const struct entity *sub, const struct entity *super, struct remap *vars)
{
    if (!checker_step(c))
        return false;
    if (sub->sort != super->sort)
        return mismatch(c, sort_infos[super->sort].words, sort_infos[sub->sort].words);
    switch (super->sort) {
    case SORT_CORE_MODULE: return core_match_modules(c, sub->core_module, super->core_module);
    case SORT_FUNC: return match_func(c, &sub->func->type, &super->func->type, vars);
    case SORT_TYPE: return match_type(c, sub, super, vars);
    case SORT_COMPONENT: return match_component(c, sub->component, super->component, vars);
    case SORT_INSTANCE: return match_instance(c, sub->instance, super->instance, vars);
    default: return checker_fail(c, ERR_INVALID, "a %s cannot be imported or exported", sort_infos[super->sort].words);
    }
}

bool types_conform(struct checker *c, const struct entity *sub, const struct entity *super)
{
    struct remap vars = {0};
    return types_match(c, sub, super, &vars);
}

/* Free resource types: those that occur and are not in `bound`. */

static bool free_in_externs(struct checker *c, const struct externs *externs, struct remap *bound, bool *ret_free);

static bool free_in_value(struct checker *c, const struct type *type, struct remap *bound, bool *ret_free)
{
    if (!type || !node_of(type)->shape.resources || *ret_free)
        return true;
    if (!checker_step(c))
        return false;
    if (node_of(type)->def) {
        *ret_free = !remap_get(bound, node_of(type)->def->abstract->number);
        return true;
    }
    bool items = type->items && type->kind != TYPE_OPTION;
    if (!free_in_value(c, type->element, bound, ret_free))
        return false;
    for (uint32_t i = 0; items && i < type->count; i++)
        if (!free_in_value(c, type->items[i].type, bound, ret_free))
            return false;
    return true;
}

static bool free_in_func(struct checker *c, const struct func_type *func, struct remap *bound, bool *ret_free)
{
    for (uint32_t i = 0; i < func->param_count; i++)
        if (!free_in_value(c, func->params[i].type, bound, ret_free))
            return false;
    return free_in_value(c, func->result, bound, ret_free);
}

static bool free_in(struct checker *c, const struct entity *entity, struct remap *bound, bool *ret_free)
{
    const struct shape *shape = types_shape(entity);
    bool type = entity->sort == SORT_TYPE;
    if (!shape || !shape->resources)
        return true;
    if (!checker_step(c))
        return false;
    if (type && entity->def == DEF_RESOURCE) {
        *ret_free |= !remap_get(bound, entity->resource->abstract->number);
        return true;
    }
    if (type && entity->def == DEF_VALUE)
        return free_in_value(c, &entity->value->type, bound, ret_free);
    if (entity->sort == SORT_FUNC || (type && entity->def == DEF_FUNC))
        return free_in_func(c, &entity->func->type, bound, ret_free);
    if (entity->sort == SORT_INSTANCE || (type && entity->def == DEF_INSTANCE))
        return types_unbind(c, &entity->instance->bound, bound) &&
               free_in_externs(c, &entity->instance->exports, bound, ret_free);
    return types_unbind(c, &entity->component->import_bound, bound) &&
           types_unbind(c, &entity->component->export_bound, bound) &&
           free_in_externs(c, &entity->component->imports, bound, ret_free) &&
           free_in_externs(c, &entity->component->exports, bound, ret_free);
}

static bool free_in_externs(struct checker *c, const struct externs *externs, struct remap *bound, bool *ret_free)
{
    for (uint32_t i = 0; i < externs->count; i++)
        if (!free_in(c, &externs->items[i].type, bound, ret_free))
            return false;
    return true;
}

bool types_free_resources(struct checker *c, const struct entity *entity, bool *ret_free)
{
    struct remap bound = {0};
    bool free_ = false;
    if (!free_in(c, entity, &bound, &free_))
        return false;
    *ret_free = free_;
    return true;
}
