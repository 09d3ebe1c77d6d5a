/* The plan of a single core module: see plan.h. */
#include "image/plan.h"

#include "base/arena.h"

#define NO_OPTIONS                                                                                                     \
    {WASM_NO_INDEX, WASM_NO_INDEX, WASM_NO_INDEX, WASM_NO_INDEX, WASM_NO_INDEX, WASM_NO_INDEX, ENCODING_UTF8}
#define NO_FUNC {WASM_NO_INDEX, WASM_NO_INDEX}

const struct host_import plan_no_row = {
    .options = NO_OPTIONS,
    .peer = NO_OPTIONS,
    .resource_type = WASM_NO_INDEX,
    .dtor_unit = WASM_NO_INDEX,
    .dtor = WASM_NO_INDEX,
    .run = NO_FUNC,
    .ret = NO_FUNC,
    .callback = NO_FUNC,
};

/* Is `name` one of the names in `list`, which commas separate? */
static bool listed(struct str list, struct str name)
{
    while (list.len) {
        size_t end = str_find(list, ',');
        if (str_eq(str_slice(list, 0, end), name))
            return true;
        list = str_slice(list, end < list.len ? end + 1 : end, list.len);
    }
    return false;
}

static bool import_from_host(struct plan *plan, struct unit *unit, uint32_t index, const struct plan_options *options,
                             struct err *err)
{
    const struct wasm_import *import = &unit->module->imports[index];
    unit->imports[index] = (struct unit_import){.from = IMPORT_OPEN};
    if (options->open && !(import->kind == WASM_FUNC && listed(options->host, import->module)))
        return true;
    if (import->kind != WASM_FUNC) {
        err_set(err, ERR_LINK, "import %.*s.%.*s is not a function, and only functions come from the host",
                STR_ARG(import->module), STR_ARG(import->name));
        return err_remedy(err, "give a module that exports it: mayfly run --preload NAME=FILE");
    }
    unit->imports[index] = (struct unit_import){.from = IMPORT_HOST, .host = plan->import_count};
    struct host_import *row = &plan->imports[plan->import_count++];
    *row = plan_no_row;
    row->kind = HOST_CORE;
    row->interface = import->module;
    row->name = import->name;
    row->type = wasm_func_type(unit->module, import->index);
    return true;
}

/* Functions that are linked at run time have no reference before. */
static bool is_open(const struct unit *unit, uint32_t func)
{
    uint32_t import = unit->module->funcs[func].import;
    return import != WASM_NO_INDEX && unit->imports[import].from == IMPORT_OPEN;
}

static void export_functions(struct plan *plan, const struct unit *unit)
{
    const struct wasm_module *module = unit->module;
    for (uint32_t i = 0; i < module->export_count; i++)
        if (module->exports[i].kind == WASM_FUNC && !is_open(unit, module->exports[i].index))
            plan->exports[plan->export_count++] = (struct plan_export){.name = module->exports[i].name,
                                                                       .func = module->exports[i].index,
                                                                       .options = NO_OPTIONS,
                                                                       .callback = NO_FUNC};
}

bool plan_module(const struct wasm_module *module, const struct plan_options *options, struct arena *arena,
                 struct plan **ret_plan, struct err *err)
{
    struct plan *plan = ARENA_NEW(arena, struct plan);
    struct unit *unit = ARENA_NEW(arena, struct unit);
    if (!plan || !unit)
        return err_memory(err);
    *plan = (struct plan){.units = unit, .unit_count = 1};
    unit->module = module;
    unit->joinable = options->open;
    unit->imports = ARENA_ARRAY(arena, struct unit_import, module->import_count);
    plan->imports = ARENA_ARRAY(arena, struct host_import, module->import_count);
    plan->exports = ARENA_ARRAY(arena, struct plan_export, module->export_count);
    if (!unit->imports || !plan->imports || !plan->exports)
        return err_memory(err);
    for (uint32_t i = 0; i < module->import_count; i++)
        if (!import_from_host(plan, unit, i, options, err))
            return false;
    export_functions(plan, unit);
    *ret_plan = plan;
    return true;
}
