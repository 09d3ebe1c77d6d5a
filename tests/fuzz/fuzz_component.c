/* Fuzz target: any bytes as a component, through decoder, type checker, planner and layout. */
#include "fuzz/fuzz.h"

#include "component/plan.h"

#define MEMORY_MAX ((size_t)256 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct plan *plan;
    struct geometry geometry;
    struct err err = {0};
    uint8_t *copy = fuzz_copy(data, size);
    arena_init(&arena, MEMORY_MAX);
    if (!component_plan(copy, size, &arena, &plan, &err) ||
        !layout_compute(plan->units, plan->unit_count, plan->handle_tables, &arena, &geometry, &err))
        fuzz_check_error(&err, size);
    arena_free(&arena);
    free(copy);
    return 0;
}
