/* See plan.h: decode, instantiate the outermost component, collect what it exports. */
#include "component/decode.h"
#include "component/planner.h"
#include "wasm/body.h"

/* Resource types that have a name outside. */
static bool list_resources(struct planner *p, struct plan *plan)
{
    struct plan_resource *list = ARENA_ARRAY(p->check.arena, struct plan_resource, p->concretes.count);
    if (!list)
        return checker_memory(&p->check);
    for (uint32_t i = 0; i < p->concretes.count; i++) {
        const struct resource *resource = &p->concretes.items[i]->abstract.resource;
        if (resource->name.len)
            list[plan->resource_count++] = (struct plan_resource){resource->interface, resource->name, resource->id};
    }
    plan->resources = list;
    return true;
}

static bool make_plan(struct planner *p, struct plan **ret_plan)
{
    struct plan *plan = ARENA_NEW(p->check.arena, struct plan);
    if (!plan)
        return checker_memory(&p->check);
    *plan = (struct plan){.component = true,
                          .units = p->units.items,
                          .unit_count = p->units.count,
                          .imports = p->imports.items,
                          .import_count = p->imports.count,
                          .exports = p->exports.items,
                          .export_count = p->exports.count,
                          .handle_tables = p->handle_tables};
    if (!list_resources(p, plan))
        return false;
    *ret_plan = plan;
    return true;
}

/* What adapters must know of the whole file: whether something in it may throw, and whether threads have storage. */
static void survey(struct planner *p, const struct component *component)
{
    const struct space *modules = &component->scope.spaces[SORT_CORE_MODULE];
    for (uint32_t i = 0; i < modules->count; i++)
        p->exceptions |= modules->items[i].core_module->module->tag_count != 0;
    for (uint32_t i = 0; i < component->count; i++) {
        const struct definition *definition = &component->definitions[i];
        if (definition->kind == DEFINE_COMPONENT)
            survey(p, definition->component);
        if (definition->kind == DEFINE_CANON)
            p->context |= definition->canon->kind == BUILTIN_CONTEXT_SET;
    }
}

static bool is_unit(const struct planner *p, const struct wasm_module *module)
{
    for (uint32_t i = 0; i < p->units.count; i++)
        if (p->units.items[i].module == module)
            return true;
    return false;
}

static bool read_bodies(const struct wasm_module *module, struct wasm_body_scratch *scratch, struct err *err)
{
    for (uint32_t i = module->imported_funcs; i < module->func_count; i++)
        if (!wasm_body_read(module, i, scratch, NULL, NULL, err))
            return false;
    return true;
}

/* Function bodies of all modules, those of components in it too, but of units of `planned` if that is not NULL. */
static bool check_bodies(const struct component *component, const struct planner *planned,
                         struct wasm_body_scratch *scratch, struct err *err)
{
    const struct space *modules = &component->scope.spaces[SORT_CORE_MODULE];
    bool valid = true;
    for (uint32_t i = 0; valid && i < component->count; i++) {
        const struct definition *definition = &component->definitions[i];
        if (definition->kind == DEFINE_COMPONENT)
            valid = check_bodies(definition->component, planned, scratch, err);
        if (definition->kind != DEFINE_CORE_MODULE)
            continue;
        const struct wasm_module *module = modules->items[definition->result].core_module->module;
        valid = (planned && is_unit(planned, module)) || read_bodies(module, scratch, err);
    }
    return valid;
}

/* The generator reads the function bodies of units. Those of modules that are not instantiated are read here, and all
 * of them where there is no plan: what is invalid is called that, whatever else stands in the way. */
static bool bodies_are_valid(const struct component *component, const struct planner *planned, struct err *err)
{
    struct wasm_body_scratch *scratch = wasm_body_scratch_new(err);
    bool valid = scratch && check_bodies(component, planned, scratch, err);
    wasm_body_scratch_free(scratch);
    return valid;
}

bool component_validate(const uint8_t *bytes, size_t size, struct arena *arena, struct err *err)
{
    struct component *component;
    return component_decode(bytes, size, arena, &component, err) && bodies_are_valid(component, NULL, err);
}

bool component_plan(const uint8_t *bytes, size_t size, struct arena *arena, struct plan **ret_plan, struct err *err)
{
    struct err ignored;
    struct component *component;
    struct instance *root;
    if (!component_decode(bytes, size, arena, &component, err))
        return false;
    struct planner p = {.check = {.arena = arena,
                                  .err = err ? err : &ignored,
                                  .next_number = component->numbers,
                                  .work = COMPONENT_MAX_WORK},
                        .shelf = {WASM_NO_INDEX, WASM_NO_INDEX}};
    struct component_value outermost = {component, NULL};
    struct plan *plan = NULL;
    survey(&p, component);
    bool planned =
        planner_instantiate(&p, &outermost, NULL, &root) && planner_exports(&p, root) && make_plan(&p, &plan);
    if (!bodies_are_valid(component, planned ? &p : NULL, p.check.err) || !planned)
        return false;
    *ret_plan = plan;
    return true;
}
