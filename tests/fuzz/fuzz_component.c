/* Fuzz target: any bytes as a component, or as a core module that says what it is as one, through decoder, type
 * checker, planner and layout. */
#include "fuzz/fuzz.h"

#include "component/decode.h"
#include "component/embed.h"
#include "component/plan.h"

#define MEMORY_MAX ((size_t)256 << 20)

static bool make_plan(const uint8_t *bytes, size_t size, struct arena *arena, struct plan **ret_plan, struct err *err)
{
    struct wasm_module *module;
    if (component_is(bytes, size))
        return component_plan(bytes, size, arena, ret_plan, err);
    if (!wasm_load(bytes, size, arena, &module, err))
        return false;
    return component_is_embedded(module) ? component_plan_embedded(module, arena, ret_plan, err)
                                         : err_set(err, ERR_LINK, "a module that says nothing");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct plan *plan;
    struct geometry geometry;
    struct err err = {0};
    uint8_t *copy = fuzz_copy(data, size);
    arena_init(&arena, MEMORY_MAX);
    if (!make_plan(copy, size, &arena, &plan, &err) ||
        !layout_compute(plan->units, plan->unit_count, plan->handle_tables, &arena, &geometry, &err))
        fuzz_check_error(&err, size);
    arena_free(&arena);
    free(copy);
    return 0;
}
