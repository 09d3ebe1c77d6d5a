/* Late initializers (image/late.h): a function per unit that needs one, made of the same emitters as bodies.
 *
 * It runs once per instance before the unit's start function, or once per program when its effects become part of
 * the template. */
#include "codegen/llvm/emit.h"

static bool begin(void *arg, const struct wasm_body_state *state, struct err *err)
{
    struct gen *g = arg;
    g->state = state;
    g->top = WASM_BOT;
    return true;
}

/* The value stays on the operand stack. */
static bool visit(void *arg, const struct wasm_op *op, const struct wasm_body_state *state, struct err *err)
{
    return op->code == OP_END || (emit_op(arg, op) && note_top(arg, state));
}

static bool evaluate(struct gen *g, struct wasm_expr expr, wasm_valtype type, struct wasm_body_scratch *scratch,
                     LLVMValueRef *ret_value)
{
    static const struct wasm_visitor visitor = {.begin = begin, .op = visit};
    if (!wasm_expr_read(g->unit->module, expr, type, scratch, &visitor, g, g->err))
        return false;
    *ret_value = pop(g);
    return true;
}

static bool init_global(struct gen *g, uint32_t index, struct wasm_body_scratch *scratch)
{
    const struct wasm_global *global = &g->unit->module->globals[index];
    LLVMValueRef value;
    if (!evaluate(g, global->init, global->type, scratch, &value))
        return false;
    store(g, value, place_address(g, g->unit->globals[index]), 16, ACCESS_GLOBAL);
    return true;
}

static wasm_valtype address_type(const struct wasm_limits *limits)
{
    return limits->is_64 ? WASM_I64 : WASM_I32;
}

static bool init_table(struct gen *g, uint32_t index, struct wasm_body_scratch *scratch)
{
    const struct wasm_table *table = &g->unit->module->tables[index];
    LLVMValueRef value;
    if (!evaluate(g, table->init, table->type, scratch, &value))
        return false;
    g->offset = table->at;
    LLVMValueRef args[] = {const_i32(g, index), const_i64(g, 0), value, const_i64(g, table->limits.min)};
    emit_helper(g, HELPER_table_fill, 4, args);
    return true;
}

static bool set_item(struct gen *g, uint32_t index, uint32_t item, LLVMValueRef value)
{
    LLVMValueRef args[] = {const_i32(g, index), const_i64(g, item), value};
    emit_helper(g, HELPER_elem_set, 3, args);
    return true;
}

static bool init_items(struct gen *g, uint32_t index, struct wasm_body_scratch *scratch)
{
    const struct wasm_elem *elem = &g->unit->module->elems[index];
    g->offset = elem->at;
    for (uint32_t i = 0; i < elem->count; i++) {
        struct wasm_op op = {.code = OP_REF_FUNC, .offset = elem->at, .a = elem->funcs ? elem->funcs[i] : 0};
        LLVMValueRef value = NULL;
        if (elem->funcs ? !emit_op(g, &op) : !evaluate(g, elem->exprs[i], elem->type, scratch, &value))
            return false;
        set_item(g, index, i, elem->funcs ? pop(g) : value);
    }
    return true;
}

/* From an active segment to where `offset` says: what table.init or memory.init and then the drop would do. */
static void copy_segment(struct gen *g, enum helper copy, enum helper drop, uint32_t to, uint32_t segment,
                         LLVMValueRef offset, uint64_t size)
{
    LLVMValueRef args[] = {const_i32(g, to), const_i32(g, segment), offset, const_i64(g, 0), const_i64(g, size)};
    emit_helper(g, copy, 5, args);
    emit_helper(g, drop, 1, &args[1]);
}

static bool init_elem(struct gen *g, uint32_t index, struct wasm_body_scratch *scratch)
{
    const struct wasm_elem *elem = &g->unit->module->elems[index];
    wasm_valtype type = address_type(&g->unit->module->tables[elem->table].limits);
    LLVMValueRef offset;
    if (!evaluate(g, elem->offset, type, scratch, &offset))
        return false;
    copy_segment(g, HELPER_table_init, HELPER_elem_drop, elem->table, index, offset, elem->count);
    return true;
}

static bool init_data(struct gen *g, uint32_t index, struct wasm_body_scratch *scratch)
{
    const struct wasm_data *data = &g->unit->module->datas[index];
    wasm_valtype type = address_type(&g->unit->module->memories[data->memory].limits);
    LLVMValueRef offset;
    if (!evaluate(g, data->offset, type, scratch, &offset))
        return false;
    copy_segment(g, HELPER_memory_init, HELPER_data_drop, data->memory, index, offset, data->size);
    return true;
}

static bool init_start(struct gen *g)
{
    struct wasm_op op = {.code = OP_CALL, .offset = g->unit->module->start_at, .a = g->unit->module->start};
    return !g->unit->late.start || emit_op(g, &op);
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
static bool init_all(struct gen *g, struct wasm_body_scratch *scratch)
{
    const struct wasm_module *module = g->unit->module;
    const struct late *late = &g->unit->late;
    return each(g, late->globals, module->global_count, init_global, scratch) &&
           each(g, late->tables, module->table_count, init_table, scratch) &&
           each(g, late->items, module->elem_count, init_items, scratch) &&
           each(g, late->elems, module->elem_count, init_elem, scratch) &&
           each(g, late->datas, module->data_count, init_data, scratch) && init_start(g);
}

bool gen_init_function(struct gen *g, const struct unit *unit, struct wasm_body_scratch *scratch, struct err *err)
{
    static const struct wasm_functype type = {0};
    char name[48];
    symbol_name(name, (struct piece_symbol){CODE_INIT, unit->index, 0}, false);
    g->unit = unit;
    g->func_type = &type;
    g->wide = false;
    g->err = err;
    if (!gen_reset(g, err))
        return false;
    gen_define(g, gen_function(g, name, guest_type(g, &type)));
    if (!init_all(g, scratch))
        return false;
    LLVMBuildRetVoid(g->builder);
    return true;
}
