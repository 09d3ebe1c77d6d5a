/* Fuzz target: any bytes as a core module, through everything that a hostile file reaches before code is generated:
 * decoder, validator, function bodies, plan and layout. The same bytes give the same answer twice. */
#include "fuzz/fuzz.h"

#include "base/arena.h"
#include "image/plan.h"
#include "image/unit.h"
#include "wasm/body.h"

#define MEMORY_MAX ((size_t)256 << 20)

static bool read_bodies(const struct wasm_module *module, struct err *err)
{
    struct wasm_body_scratch *scratch = wasm_body_scratch_new(err);
    bool valid = scratch != NULL;
    for (uint32_t i = module->imported_funcs; valid && i < module->func_count; i++)
        valid = wasm_body_read(module, i, scratch, NULL, NULL, err);
    wasm_body_scratch_free(scratch);
    return valid;
}

static bool lay_out(const struct wasm_module *module, bool open, struct arena *arena, struct err *err)
{
    const struct plan_options options = {.open = open};
    struct plan *plan;
    struct geometry geometry;
    return plan_module(module, &options, arena, &plan, err) &&
           layout_compute(plan->units, plan->unit_count, plan->handle_tables, arena, &geometry, err);
}

static struct err read_module(const uint8_t *bytes, size_t size)
{
    struct arena arena;
    struct wasm_module *module;
    struct err err = {0}, later = {0};
    arena_init(&arena, MEMORY_MAX);
    if (!wasm_load(bytes, size, &arena, &module, &err) || !read_bodies(module, &err)) {
        fuzz_check_error(&err, size);
        FUZZ_CHECK(err.kind == ERR_MALFORMED || err.kind == ERR_INVALID || err.kind == ERR_LIMIT);
        FUZZ_CHECK(err.offset <= size);
    } else {
        for (int open = 0; open < 2; open++)
            if (!lay_out(module, open, &arena, &later))
                fuzz_check_error(&later, size);
    }
    arena_free(&arena);
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = fuzz_copy(data, size);
    struct err first = read_module(copy, size), second = read_module(copy, size);
    FUZZ_CHECK(first.kind == second.kind && first.offset == second.offset && !strcmp(first.message, second.message));
    free(copy);
    return 0;
}
