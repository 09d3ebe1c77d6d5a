/* Late initializers (image/late.h): a function per unit that needs one, made of the same emitters as bodies. */
#include "codegen/fast/emit.h"

static bool begin(void *arg, const struct wasm_body_state *state, struct err *err)
{
    struct gen *g = arg;
    g->body = state;
    return true;
}

/* The value stays on the operand stack. */
static bool visit(void *arg, const struct wasm_op *op, const struct wasm_body_state *state, struct err *err)
{
    struct gen *g = arg;
    if (op->code == OP_END)
        return true;
    g->op = op;
    g->pinned = 0;
    code_room(g, 4096);
    fast_rows[op->code].emit(g, op, &fast_rows[op->code]);
    return !g->failed || err_memory(err);
}

static bool evaluate(struct gen *g, struct wasm_expr expr, wasm_valtype type, struct wasm_body_scratch *scratch)
{
    static const struct wasm_visitor visitor = {.begin = begin, .op = visit};
    static const struct wasm_op nowhere = {.code = OP_NOP};
    bool done = wasm_expr_read(g->unit->module, expr, type, scratch, &visitor, g, g->err);
    g->op = &nowhere;
    g->pinned = 0;
    code_room(g, 4096);
    return done;
}

/* What an instruction at `offset` would do. */
static void act(struct gen *g, const struct wasm_op *op)
{
    g->op = op;
    g->pinned = 0;
    code_room(g, 4096);
    fast_rows[op->code].emit(g, op, &fast_rows[op->code]);
}

static bool init_global(struct gen *g, uint32_t index, struct wasm_body_scratch *scratch)
{
    const struct wasm_global *global = &g->unit->module->globals[index];
    const struct wasm_op op = {.code = OP_GLOBAL_SET, .a = index};
    if (!evaluate(g, global->init, global->type, scratch))
        return false;
    act(g, &op);
    return true;
}

static wasm_valtype address_type(const struct wasm_limits *limits)
{
    return limits->is_64 ? WASM_I64 : WASM_I32;
}

static bool init_table(struct gen *g, uint32_t index, struct wasm_body_scratch *scratch)
{
    const struct wasm_table *table = &g->unit->module->tables[index];
    const struct wasm_op op = {.code = OP_NOP, .offset = table->at};
    if (!evaluate(g, table->init, table->type, scratch))
        return false;
    g->op = &op;
    struct value args[] = {number(T_I32, index), number(T_I64, 0), value_pop(g), number(T_I64, table->limits.min)};
    call_helper(g, HELPER_table_fill, args, 4);
    return true;
}

static bool init_items(struct gen *g, uint32_t index, struct wasm_body_scratch *scratch)
{
    const struct wasm_elem *elem = &g->unit->module->elems[index];
    for (uint32_t i = 0; i < elem->count; i++) {
        const struct wasm_op op = {.code = OP_REF_FUNC, .offset = elem->at, .a = elem->funcs ? elem->funcs[i] : 0};
        if (elem->funcs)
            act(g, &op);
        else if (!evaluate(g, elem->exprs[i], elem->type, scratch))
            return false;
        g->op = &op;
        struct value args[] = {number(T_I32, index), number(T_I64, i), value_pop(g)};
        call_helper(g, HELPER_elem_set, args, 3);
    }
    return true;
}

/* From an active segment to where the offset on top says: what table.init or memory.init and then the drop would do. */
static void copy_segment(struct gen *g, enum helper copy, enum helper drop, uint32_t to, uint32_t segment,
                         uint64_t size)
{
    struct value args[] = {number(T_I32, to), number(T_I32, segment), value_pop(g), number(T_I64, 0),
                           number(T_I64, size)};
    struct value dropped[] = {number(T_I32, segment)};
    call_helper(g, copy, args, 5);
    call_helper(g, drop, dropped, 1);
}

static bool init_elem(struct gen *g, uint32_t index, struct wasm_body_scratch *scratch)
{
    const struct wasm_elem *elem = &g->unit->module->elems[index];
    if (!evaluate(g, elem->offset, address_type(&g->unit->module->tables[elem->table].limits), scratch))
        return false;
    copy_segment(g, HELPER_table_init, HELPER_elem_drop, elem->table, index, elem->count);
    return true;
}

static bool init_data(struct gen *g, uint32_t index, struct wasm_body_scratch *scratch)
{
    const struct wasm_data *data = &g->unit->module->datas[index];
    if (!evaluate(g, data->offset, address_type(&g->unit->module->memories[data->memory].limits), scratch))
        return false;
    copy_segment(g, HELPER_memory_init, HELPER_data_drop, data->memory, index, data->size);
    return true;
}

typedef bool init_fn(struct gen *g, uint32_t index, struct wasm_body_scratch *scratch);

static bool each(struct gen *g, const bool *flags, uint32_t count, init_fn *init, struct wasm_body_scratch *scratch)
{
    for (uint32_t i = 0; i < count; i++)
        if (flags[i] && !init(g, i, scratch))
            return false;
    return true;
}

/* Core specification, section 4.7.2: the items of every segment are evaluated before the first is copied. */
bool init_all(struct gen *g, struct wasm_body_scratch *scratch)
{
    const struct wasm_module *module = g->unit->module;
    const struct late *late = &g->unit->late;
    const struct wasm_op start = {.code = OP_CALL, .offset = module->start_at, .a = module->start};
    bool done = each(g, late->globals, module->global_count, init_global, scratch) &&
                each(g, late->tables, module->table_count, init_table, scratch) &&
                each(g, late->items, module->elem_count, init_items, scratch) &&
                each(g, late->elems, module->elem_count, init_elem, scratch) &&
                each(g, late->datas, module->data_count, init_data, scratch);
    if (done && late->start)
        act(g, &start);
    return done;
}
