/* See plan.h: decode, instantiate the outermost component, collect what it exports. */
#include "component/decode.h"
#include "component/planner.h"

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
    *ret_plan = plan;
    return true;
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
                                  .work = COMPONENT_MAX_WORK}};
    struct component_value outermost = {component, NULL};
    return planner_instantiate(&p, &outermost, NULL, &root) && planner_exports(&p, root) && make_plan(&p, ret_plan);
}
