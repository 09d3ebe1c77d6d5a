/* Which tables are closed to their unit: nobody else can reach them, nothing writes them after instantiation, and
 * what instantiation writes are functions of this unit. A call through such a table needs no context but the
 * caller's own. */
#include "codegen/llvm/emit.h"

#include "base/alloc.h"

/* Every instruction that writes a table ends the privacy of the one that it names. */
static bool note_writes(void *arg, const struct wasm_op *op, const struct wasm_body_state *state, struct err *err)
{
    bool *closed = arg;
    if (op->code == OP_TABLE_SET || op->code == OP_TABLE_GROW || op->code == OP_TABLE_FILL || op->code == OP_TABLE_COPY)
        closed[op->a] = false;
    else if (op->code == OP_TABLE_INIT)
        closed[op->b] = false;
    return true;
}

static bool begin_nothing(void *arg, const struct wasm_body_state *state, struct err *err)
{
    return true;
}

/* Host functions count: their thunks are called with the importer's context. */
static bool is_own(const struct unit *unit, uint32_t func)
{
    enum func_link link = unit->funcs[func].link;
    return link == FUNC_DEFINED || link == FUNC_HOST;
}

static bool holds_own(const struct unit *unit, const struct wasm_elem *elem)
{
    for (uint32_t i = 0; elem->funcs && i < elem->count; i++)
        if (!is_own(unit, elem->funcs[i]))
            return false;
    return elem->funcs || elem->count == 0;
}

/* What can be said without the bodies. False: of no table. */
static bool judge(const struct unit *unit, bool *closed)
{
    const struct wasm_module *module = unit->module;
    bool some = false;
    for (uint32_t i = 0; i < module->table_count; i++)
        closed[i] = module->tables[i].import == WASM_NO_INDEX && !module->tables[i].has_init;
    for (uint32_t i = 0; i < module->export_count; i++)
        if (module->exports[i].kind == WASM_TABLE)
            closed[module->exports[i].index] = false;
    for (uint32_t i = 0; i < module->elem_count; i++)
        if (module->elems[i].mode == WASM_ACTIVE && !holds_own(unit, &module->elems[i]))
            closed[module->elems[i].table] = false;
    for (uint32_t i = 0; i < module->table_count; i++)
        some |= closed[i];
    return some;
}

static bool read_bodies(const struct unit *unit, bool *closed, struct err *err)
{
    static const struct wasm_visitor visitor = {begin_nothing, note_writes};
    struct wasm_body_scratch *scratch = wasm_body_scratch_new(err);
    bool done = scratch != NULL;
    for (uint32_t i = unit->module->imported_funcs; done && i < unit->module->func_count; i++)
        done = wasm_body_read(unit->module, i, scratch, &visitor, closed, err);
    if (scratch)
        wasm_body_scratch_free(scratch);
    return done;
}

bool *closed_tables(const struct unit *unit, struct err *err)
{
    bool *closed = mem_alloc(unit->module->table_count + 1, sizeof *closed);
    if (!closed) {
        err_memory(err);
        return NULL;
    }
    if (judge(unit, closed) && !read_bodies(unit, closed, err)) {
        mem_free(closed);
        return NULL;
    }
    return closed;
}
