/* See feature.h. Instructions name their feature in opcodes.def; what a module uses without an instruction of its own
 * (types, limits, segments) is collected here. */
#include "wasm/feature.h"

const char *const wasm_feature_names[FEATURE_COUNT] = {
#define FEATURE(name, text) text,
#include "wasm/features.def"
#undef FEATURE
};

static const uint8_t op_features[OP_COUNT] = {
#define OP(name, prefix, code, shape, signature, feature, text) [OP_##name] = FEATURE_##feature,
#include "wasm/opcodes.def"
#undef OP
};

_Static_assert(FEATURE_COUNT <= 32, "sets are 32 bits");

#define BIT(feature) (1u << FEATURE_##feature)
#define BIT_IF(condition, feature) ((condition) ? BIT(feature) : 0)

enum wasm_feature wasm_op_feature(enum wasm_opcode code)
{
    return (enum wasm_feature)op_features[code];
}

/* --- types --- */

static uint32_t heap_features(const struct wasm_module *module, wasm_heaptype heap)
{
    if (wasm_heap_is_index(heap))
        return BIT(FUNC_REFS) | BIT_IF(module->types[heap].kind != WASM_COMP_FUNC, GC);
    switch (heap) {
    case HEAP_FUNC:
    case HEAP_EXTERN: return BIT(REFERENCES);
    case HEAP_EXN:
    case HEAP_NOEXN: return BIT(EXCEPTIONS);
    default: return BIT(GC);
    }
}

static uint32_t value_features(const struct wasm_module *module, wasm_valtype type)
{
    if (type == WASM_V128)
        return BIT(SIMD);
    if (!wasm_is_ref(type))
        return 0;
    return heap_features(module, wasm_heap(type)) | BIT_IF(!(type & WASM_NULLABLE), FUNC_REFS);
}

static uint32_t func_features(const struct wasm_module *module, const struct wasm_functype *type)
{
    uint32_t set = BIT_IF(type->result_count > 1, MULTI_VALUE);
    for (uint32_t i = 0; i < type->param_count; i++)
        set |= value_features(module, type->params[i]);
    for (uint32_t i = 0; i < type->result_count; i++)
        set |= value_features(module, type->results[i]);
    return set;
}

static uint32_t type_features(const struct wasm_module *module, const struct wasm_type *type)
{
    if (type->kind != WASM_COMP_FUNC)
        return BIT(GC);
    return func_features(module, &type->func) |
           BIT_IF(type->group_size > 1 || type->supertype != WASM_NO_INDEX || !type->final, GC);
}

/* --- the module outside its bodies --- */

static uint32_t limits_features(const struct wasm_limits *limits)
{
    return BIT_IF(limits->is_64, MEMORY64) | BIT_IF(limits->shared, THREADS);
}

static uint32_t table_features(const struct wasm_module *module)
{
    uint32_t set = BIT_IF(module->table_count > 1, REFERENCES);
    for (uint32_t i = 0; i < module->table_count; i++) {
        const struct wasm_table *table = &module->tables[i];
        set |= limits_features(&table->limits) | BIT_IF(table->has_init, FUNC_REFS);
        if (table->type != WASM_FUNCREF)
            set |= value_features(module, table->type);
    }
    return set;
}

static uint32_t memory_features(const struct wasm_module *module)
{
    uint32_t set = BIT_IF(module->memory_count > 1, MULTI_MEMORY);
    for (uint32_t i = 0; i < module->memory_count; i++)
        set |= limits_features(&module->memories[i].limits);
    return set;
}

static uint32_t global_features(const struct wasm_module *module)
{
    uint32_t set = 0;
    for (uint32_t i = 0; i < module->global_count; i++) {
        const struct wasm_global *global = &module->globals[i];
        set |= value_features(module, global->type) |
               BIT_IF(global->mutable_ && global->import != WASM_NO_INDEX, MUTABLE_GLOBALS);
    }
    for (uint32_t i = 0; i < module->export_count; i++)
        if (module->exports[i].kind == WASM_GLOBAL)
            set |= BIT_IF(module->globals[module->exports[i].index].mutable_, MUTABLE_GLOBALS);
    return set;
}

static uint32_t segment_features(const struct wasm_module *module)
{
    uint32_t set = BIT_IF(module->has_data_count, BULK);
    for (uint32_t i = 0; i < module->data_count; i++)
        set |= BIT_IF(module->datas[i].mode == WASM_PASSIVE, BULK);
    for (uint32_t i = 0; i < module->elem_count; i++)
        set |= BIT_IF(module->elems[i].mode == WASM_PASSIVE, BULK) |
               BIT_IF(module->elems[i].mode == WASM_DECLARED, REFERENCES);
    return set;
}

static uint32_t module_features(const struct wasm_module *module)
{
    uint32_t set = BIT_IF(module->tag_count, EXCEPTIONS) | BIT_IF(module->branch_hint_count, BRANCH_HINTS);
    for (uint32_t i = 0; i < module->type_count; i++)
        set |= type_features(module, &module->types[i]);
    return set | table_features(module) | memory_features(module) | global_features(module) | segment_features(module);
}

/* --- instructions --- */

struct scan {
    uint32_t set;
    bool constant; /* a constant expression, where arithmetic is new */
};

static bool begin(void *arg, const struct wasm_body_state *state, struct err *err)
{
    struct scan *scan = arg;
    for (uint32_t i = 0; i < state->local_count; i++)
        scan->set |= value_features(state->module, state->locals[i]);
    return true;
}

static bool visit(void *arg, const struct wasm_op *op, const struct wasm_body_state *state, struct err *err)
{
    struct scan *scan = arg;
    enum wasm_feature feature = wasm_op_feature(op->code);
    scan->set |= 1u << feature;
    switch (wasm_op_shape(op->code)) {
    case SHAPE_BLOCK:
    case SHAPE_TRY:
        scan->set |= func_features(state->module, &op->block.type) | BIT_IF(op->block.type.param_count, MULTI_VALUE);
        break;
    case SHAPE_NONE:
        scan->set |= BIT_IF(scan->constant && feature == FEATURE_MVP && op->code != OP_END, EXTENDED_CONST);
        break;
    case SHAPE_SELECT_TYPES:
    case SHAPE_HEAP: scan->set |= value_features(state->module, op->cast.to); break;
    default: break;
    }
    return true;
}

static const struct wasm_visitor visitor = {.begin = begin, .op = visit};

static bool scan_expr(const struct wasm_module *module, struct wasm_expr expr, wasm_valtype type,
                      struct wasm_body_scratch *scratch, struct scan *scan, struct err *err)
{
    scan->constant = true;
    return wasm_expr_read(module, expr, type, scratch, &visitor, scan, err);
}

static bool scan_elem(const struct wasm_module *module, const struct wasm_elem *elem, struct wasm_body_scratch *scratch,
                      struct scan *scan, struct err *err)
{
    bool is_64 = elem->mode == WASM_ACTIVE && module->tables[elem->table].limits.is_64;
    bool done =
        elem->mode != WASM_ACTIVE || scan_expr(module, elem->offset, is_64 ? WASM_I64 : WASM_I32, scratch, scan, err);
    for (uint32_t i = 0; done && elem->exprs && i < elem->count; i++)
        done = scan_expr(module, elem->exprs[i], elem->type, scratch, scan, err);
    return done;
}

static bool scan_data(const struct wasm_module *module, const struct wasm_data *data, struct wasm_body_scratch *scratch,
                      struct scan *scan, struct err *err)
{
    if (data->mode != WASM_ACTIVE)
        return true;
    wasm_valtype type = module->memories[data->memory].limits.is_64 ? WASM_I64 : WASM_I32;
    return scan_expr(module, data->offset, type, scratch, scan, err);
}

static bool scan_exprs(const struct wasm_module *module, struct wasm_body_scratch *scratch, struct scan *scan,
                       struct err *err)
{
    bool done = true;
    for (uint32_t i = module->imported_globals; done && i < module->global_count; i++)
        done = scan_expr(module, module->globals[i].init, module->globals[i].type, scratch, scan, err);
    for (uint32_t i = module->imported_tables; done && i < module->table_count; i++)
        done = !module->tables[i].has_init ||
               scan_expr(module, module->tables[i].init, module->tables[i].type, scratch, scan, err);
    for (uint32_t i = 0; done && i < module->elem_count; i++)
        done = scan_elem(module, &module->elems[i], scratch, scan, err);
    for (uint32_t i = 0; done && i < module->data_count; i++)
        done = scan_data(module, &module->datas[i], scratch, scan, err);
    return done;
}

static bool scan_bodies(const struct wasm_module *module, struct wasm_body_scratch *scratch, struct scan *scan,
                        struct err *err)
{
    scan->constant = false;
    for (uint32_t i = module->imported_funcs; i < module->func_count; i++)
        if (!wasm_body_read(module, i, scratch, &visitor, scan, err))
            return false;
    return true;
}

bool wasm_features(const struct wasm_module *module, uint32_t *ret_set, struct err *err)
{
    struct wasm_body_scratch *scratch = wasm_body_scratch_new(err);
    struct scan scan = {.set = module_features(module)};
    bool done = scratch && scan_exprs(module, scratch, &scan, err) && scan_bodies(module, scratch, &scan, err);
    wasm_body_scratch_free(scratch);
    if (done)
        *ret_set = scan.set;
    return done;
}
