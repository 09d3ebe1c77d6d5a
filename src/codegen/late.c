/* See late.h. */
#include "codegen/late.h"

struct late_walk {
    const struct unit *unit;
    const struct wasm_module *module;
    const struct late_generator *generator;
    void *gen;
    struct wasm_body_scratch *scratch;
};

typedef bool one_fn(const struct late_walk *walk, uint32_t index);

static bool evaluate(const struct late_walk *walk, struct wasm_expr expr, wasm_valtype type)
{
    return walk->generator->evaluate(walk->gen, expr, type, walk->scratch);
}

static bool emit(const struct late_walk *walk, enum wasm_opcode code, uint32_t at, uint32_t index)
{
    const struct wasm_op op = {.code = code, .offset = at, .a = index};
    return walk->generator->emit(walk->gen, &op);
}

#define CALL(walk, at, helper, ...)                                                                                    \
    ((walk)->generator->call((walk)->gen, (at), HELPER_##helper, (const struct late_arg[]){__VA_ARGS__},               \
                             sizeof((const struct late_arg[]){__VA_ARGS__}) / sizeof(struct late_arg)))
#define TOP {LATE_TOP, 0}

static bool init_global(const struct late_walk *walk, uint32_t index)
{
    const struct wasm_global *global = &walk->module->globals[index];
    return evaluate(walk, global->init, global->type) && emit(walk, OP_GLOBAL_SET, 0, index);
}

static bool init_table(const struct late_walk *walk, uint32_t index)
{
    const struct wasm_table *table = &walk->module->tables[index];
    return evaluate(walk, table->init, table->type) &&
           CALL(walk, table->at, table_fill, {LATE_I32, index}, {LATE_I64, 0}, TOP, {LATE_I64, table->limits.min});
}

static bool init_items(const struct late_walk *walk, uint32_t index)
{
    const struct wasm_elem *elem = &walk->module->elems[index];
    for (uint32_t i = 0; i < elem->count; i++) {
        bool pushed = elem->funcs ? emit(walk, OP_REF_FUNC, elem->at, elem->funcs[i])
                                  : evaluate(walk, elem->exprs[i], elem->type);
        if (!pushed || !CALL(walk, elem->at, elem_set, {LATE_I32, index}, {LATE_I64, i}, TOP))
            return false;
    }
    return true;
}

static wasm_valtype address_type(const struct wasm_limits *limits)
{
    return limits->is_64 ? WASM_I64 : WASM_I32;
}

/* An active segment: what table.init or memory.init and then the drop would do. */
static bool init_elem(const struct late_walk *walk, uint32_t index)
{
    const struct wasm_elem *elem = &walk->module->elems[index];
    return evaluate(walk, elem->offset, address_type(&walk->module->tables[elem->table].limits)) &&
           CALL(walk, elem->at, table_init, {LATE_I32, elem->table}, {LATE_I32, index}, TOP, {LATE_I64, 0},
                {LATE_I64, elem->count}) &&
           CALL(walk, elem->at, elem_drop, {LATE_I32, index});
}

static bool init_data(const struct late_walk *walk, uint32_t index)
{
    const struct wasm_data *data = &walk->module->datas[index];
    return evaluate(walk, data->offset, address_type(&walk->module->memories[data->memory].limits)) &&
           CALL(walk, data->at, memory_init, {LATE_I32, data->memory}, {LATE_I32, index}, TOP, {LATE_I64, 0},
                {LATE_I64, data->size}) &&
           CALL(walk, data->at, data_drop, {LATE_I32, index});
}

bool late_generate(const struct unit *unit, const struct late_generator *generator, void *gen,
                   struct wasm_body_scratch *scratch)
{
    const struct wasm_module *module = unit->module;
    const struct late_walk walk = {unit, module, generator, gen, scratch};
    const struct {
        const bool *late;
        uint32_t count;
        one_fn *init;
    } steps[] = {
        {unit->late.globals, module->global_count, init_global}, {unit->late.tables, module->table_count, init_table},
        {unit->late.items, module->elem_count, init_items},      {unit->late.elems, module->elem_count, init_elem},
        {unit->late.datas, module->data_count, init_data},
    };
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        for (uint32_t index = 0; index < steps[i].count; index++)
            if (steps[i].late[index] && !steps[i].init(&walk, index))
                return false;
    return !unit->late.start || emit(&walk, OP_CALL, module->start_at, module->start);
}
