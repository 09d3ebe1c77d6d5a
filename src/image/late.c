/* See late.h. Active segments behind one that is late are late too: if it traps, nothing may have been written that
 * comes after it, because functions that it put into somebody else's table can see that. */
#include "image/late.h"

#include "image/unit.h"

struct finder {
    const struct unit *units;
    struct unit *unit;
    bool behind; /* something late writes to a table or memory before what is looked at */
};

static uint32_t import_of(const struct wasm_module *module, enum wasm_extern_kind kind, uint32_t index)
{
    switch (kind) {
    case WASM_FUNC: return module->funcs[index].import;
    case WASM_TABLE: return module->tables[index].import;
    case WASM_MEMORY: return module->memories[index].import;
    default: return module->globals[index].import;
    }
}

/* Go to where it is defined; false: that is known at run time only, or it is the host's function. */
static bool find_owner(const struct finder *f, enum wasm_extern_kind kind, const struct unit **unit, uint32_t *index)
{
    for (;;) {
        uint32_t import = import_of((*unit)->module, kind, *index);
        if (import == WASM_NO_INDEX)
            return true;
        const struct unit_import *by = &(*unit)->imports[import];
        if (by->from != IMPORT_UNIT)
            return by->from == IMPORT_HOST;
        *index = by->index;
        *unit = &f->units[by->unit];
    }
}

static bool is_here(const struct finder *f, enum wasm_extern_kind kind, uint32_t index)
{
    const struct unit *unit = f->unit;
    return find_owner(f, kind, &unit, &index);
}

/* References in the template of a joinable unit would be relative to its own slot, not to the store. */
static bool reference_known(const struct finder *f, uint32_t func)
{
    return !f->unit->joinable && is_here(f, WASM_FUNC, func);
}

/* Is the global's initial value in the template? Each step leads to an earlier unit or an earlier global. */
static bool global_known(const struct finder *f, uint32_t index)
{
    const struct unit *unit = f->unit;
    while (find_owner(f, WASM_GLOBAL, &unit, &index)) {
        struct wasm_const value = unit->module->globals[index].value;
        if (unit->late.globals[index] || value.kind != WASM_CONST_GLOBAL)
            return !unit->late.globals[index];
        index = value.index;
    }
    return false;
}

static bool value_known(const struct finder *f, struct wasm_const value)
{
    switch (value.kind) {
    case WASM_CONST_BITS:
    case WASM_CONST_NULL: return true;
    case WASM_CONST_FUNC: return reference_known(f, value.index);
    case WASM_CONST_GLOBAL: return global_known(f, value.index);
    default: return false;
    }
}

static bool expr_known(const struct finder *f, struct wasm_expr expr)
{
    return value_known(f, wasm_const_eval(f->unit->module, expr));
}

/* A table entry holds a function's type as well, which a global does not tell. */
static bool entry_known(const struct finder *f, struct wasm_expr expr, wasm_valtype type)
{
    struct wasm_const value = wasm_const_eval(f->unit->module, expr);
    bool func = wasm_subtype(f->unit->module, type, WASM_FUNCREF);
    return value_known(f, value) && !(func && value.kind == WASM_CONST_GLOBAL);
}

static bool mark(struct finder *f, bool *flag, bool late)
{
    *flag = late;
    f->unit->late.any |= late;
    return late;
}

static void find_globals(struct finder *f)
{
    const struct wasm_module *module = f->unit->module;
    for (uint32_t i = module->imported_globals; i < module->global_count; i++)
        mark(f, &f->unit->late.globals[i], !value_known(f, module->globals[i].value));
}

static void find_tables(struct finder *f)
{
    const struct wasm_module *module = f->unit->module;
    for (uint32_t i = module->imported_tables; i < module->table_count; i++) {
        const struct wasm_table *table = &module->tables[i];
        bool late = table->has_init && !entry_known(f, table->init, table->type);
        f->behind |= mark(f, &f->unit->late.tables[i], late);
    }
}

/* Entries of the image itself are made relative to the store when they are copied. */
static bool item_known(const struct finder *f, const struct wasm_elem *elem, uint32_t item)
{
    if (elem->funcs)
        return is_here(f, WASM_FUNC, elem->funcs[item]);
    struct wasm_const value = wasm_const_eval(f->unit->module, elem->exprs[item]);
    return value.kind == WASM_CONST_FUNC ? is_here(f, WASM_FUNC, value.index)
                                         : entry_known(f, elem->exprs[item], elem->type);
}

static bool items_known(const struct finder *f, const struct wasm_elem *elem)
{
    bool known = true;
    for (uint32_t i = 0; known && i < elem->count; i++)
        known = item_known(f, elem, i);
    return known;
}

static bool elem_late(const struct finder *f, uint32_t index)
{
    const struct wasm_elem *elem = &f->unit->module->elems[index];
    return f->behind || f->unit->joinable || f->unit->late.items[index] || !expr_known(f, elem->offset) ||
           !is_here(f, WASM_TABLE, elem->table);
}

static void find_elems(struct finder *f)
{
    const struct wasm_module *module = f->unit->module;
    for (uint32_t i = 0; i < module->elem_count; i++) {
        const struct wasm_elem *elem = &module->elems[i];
        if (elem->mode != WASM_DECLARED)
            mark(f, &f->unit->late.items[i], !items_known(f, elem));
        if (elem->mode == WASM_ACTIVE)
            f->behind |= mark(f, &f->unit->late.elems[i], elem_late(f, i));
    }
}

static bool data_late(const struct finder *f, uint32_t index)
{
    const struct wasm_data *data = &f->unit->module->datas[index];
    return f->behind || !expr_known(f, data->offset) || !is_here(f, WASM_MEMORY, data->memory);
}

static void find_datas(struct finder *f)
{
    const struct wasm_module *module = f->unit->module;
    for (uint32_t i = 0; i < module->data_count; i++)
        if (module->datas[i].mode == WASM_ACTIVE)
            f->behind |= mark(f, &f->unit->late.datas[i], data_late(f, i));
}

static void find_start(struct finder *f)
{
    uint32_t start = f->unit->module->start;
    mark(f, &f->unit->late.start, start != WASM_NO_INDEX && !is_here(f, WASM_FUNC, start));
}

static bool make_arrays(struct unit *unit, struct arena *arena, struct err *err)
{
    const struct wasm_module *module = unit->module;
    struct late *late = &unit->late;
    late->any = late->writes = false;
    late->globals = ARENA_ARRAY(arena, bool, module->global_count);
    late->tables = ARENA_ARRAY(arena, bool, module->table_count);
    late->items = ARENA_ARRAY(arena, bool, module->elem_count);
    late->elems = ARENA_ARRAY(arena, bool, module->elem_count);
    late->datas = ARENA_ARRAY(arena, bool, module->data_count);
    return (late->globals && late->tables && late->items && late->elems && late->datas) || err_memory(err);
}

bool late_find(struct unit *units, struct unit *unit, struct arena *arena, struct err *err)
{
    struct finder f = {units, unit, unit->index && units[unit->index - 1].late.writes};
    if (!make_arrays(unit, arena, err))
        return false;
    find_globals(&f);
    find_tables(&f);
    find_elems(&f);
    find_datas(&f);
    find_start(&f);
    unit->late.writes = f.behind;
    return true;
}
