/* Everything outside function bodies (core specification, section 3.5): types and their order,
 * index ranges, limits, constant expressions, exports.
 *
 * Types come first: a recursion group is range-checked, then made canonical, then its subtyping is
 * checked, so that nothing looks at a type that was not. The same order holds for globals, whose
 * initializers see the ones before.
 */
#include "wasm/decode.h"

#include "base/map.h"
#include "wasm/check.h"

struct validator {
    struct wasm_module *module;
    checker *scratch;
    struct err *err;
};

#define fail(v, at, ...) err_at((v)->err, ERR_INVALID, (at), __VA_ARGS__)

/* --- types --- */

static bool valtype(struct validator *v, uint32_t at, wasm_valtype type)
{
    return type_exists(v->module, type) || fail(v, at, "unknown type %u", wasm_heap(type));
}

/* References of a group reach no further than its end. */
static bool in_group(struct validator *v, const struct wasm_type *type, wasm_valtype value)
{
    if (!wasm_is_ref(value) || !wasm_heap_is_index(wasm_heap(value)))
        return true;
    return wasm_heap(value) < type->group_start + type->group_size ||
           fail(v, type->at, "unknown type %u", wasm_heap(value));
}

static bool type_indices(struct validator *v, uint32_t index)
{
    const struct wasm_type *type = &v->module->types[index];
    if (type->supertype != WASM_NO_INDEX && type->supertype >= index)
        return fail(v, type->at, "unknown type %u: a supertype must come first", type->supertype);
    for (uint32_t i = 0; i < type->func.param_count; i++)
        if (!in_group(v, type, type->func.params[i]))
            return false;
    for (uint32_t i = 0; i < type->func.result_count; i++)
        if (!in_group(v, type, type->func.results[i]))
            return false;
    for (uint32_t i = 0; i < type->field_count; i++)
        if (!in_group(v, type, type->fields[i].storage))
            return false;
    return true;
}

static bool all_below(const struct wasm_module *module, const wasm_valtype *sub, const wasm_valtype *super,
                      uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!wasm_subtype(module, sub[i], super[i]))
            return false;
    return true;
}

static bool func_below(const struct wasm_module *module, const struct wasm_functype *sub,
                       const struct wasm_functype *super)
{
    return sub->param_count == super->param_count && sub->result_count == super->result_count &&
           all_below(module, super->params, sub->params, sub->param_count) &&
           all_below(module, sub->results, super->results, sub->result_count);
}

static bool field_below(const struct wasm_module *module, struct wasm_fieldtype sub, struct wasm_fieldtype super)
{
    if (sub.mutable_ != super.mutable_)
        return false;
    if (super.mutable_)
        return type_same(module, sub.storage, super.storage);
    return wasm_subtype(module, sub.storage, super.storage);
}

static bool fields_below(const struct wasm_module *module, const struct wasm_type *sub, const struct wasm_type *super)
{
    if (sub->field_count < super->field_count)
        return false;
    for (uint32_t i = 0; i < super->field_count; i++)
        if (!field_below(module, sub->fields[i], super->fields[i]))
            return false;
    return true;
}

static bool comptype_below(const struct wasm_module *module, const struct wasm_type *sub, const struct wasm_type *super)
{
    if (sub->kind != super->kind)
        return false;
    return sub->kind == WASM_COMP_FUNC ? func_below(module, &sub->func, &super->func)
                                       : fields_below(module, sub, super);
}

static bool depth_under_cap(struct validator *v, const struct wasm_type *type)
{
    uint32_t depth = 0, super = type->supertype;
    for (; super != WASM_NO_INDEX && depth <= WASM_MAX_SUBTYPE_DEPTH; depth++)
        super = v->module->types[super].supertype;
    const struct wasm_limit_info *info = &wasm_limit_infos[WASM_LIMIT_SUBTYPE_DEPTH];
    return depth <= info->value || err_at(v->err, ERR_LIMIT, type->at, "more than %u %s", info->value, info->words);
}

static bool supertype(struct validator *v, uint32_t index)
{
    const struct wasm_type *type = &v->module->types[index];
    if (type->supertype == WASM_NO_INDEX)
        return true;
    const struct wasm_type *super = &v->module->types[type->supertype];
    if (super->final)
        return fail(v, type->at, "sub type: supertype %u is final", type->supertype);
    if (!comptype_below(v->module, type, super))
        return fail(v, type->at, "sub type: type %u does not match its supertype %u", index, type->supertype);
    return depth_under_cap(v, type);
}

static bool group(struct validator *v, struct canon *canon, uint32_t start)
{
    uint32_t end = start + v->module->types[start].group_size;
    for (uint32_t i = start; i < end; i++)
        if (!type_indices(v, i))
            return false;
    if (!canon_group(canon, v->module, start))
        return err_memory(v->err);
    for (uint32_t i = start; i < end; i++)
        if (!supertype(v, i))
            return false;
    return true;
}

static bool types(struct validator *v)
{
    struct canon *canon = canon_new();
    if (!canon)
        return err_memory(v->err);
    bool valid = true;
    for (uint32_t i = 0; valid && i < v->module->type_count; i += v->module->types[i].group_size)
        valid = group(v, canon, i);
    canon_free(canon);
    return valid;
}

/* --- what the index spaces hold --- */

static bool func_type(struct validator *v, uint32_t at, uint32_t type)
{
    if (type >= v->module->type_count)
        return fail(v, at, "unknown type %u", type);
    return v->module->types[type].kind == WASM_COMP_FUNC || fail(v, at, "type %u is not a function type", type);
}

static bool funcs(struct validator *v)
{
    for (uint32_t i = 0; i < v->module->func_count; i++)
        if (!func_type(v, v->module->funcs[i].at, v->module->funcs[i].type))
            return false;
    return true;
}

static bool tags(struct validator *v)
{
    for (uint32_t i = 0; i < v->module->tag_count; i++) {
        const struct wasm_tag *tag = &v->module->tags[i];
        if (!func_type(v, tag->at, tag->type))
            return false;
        if (v->module->types[tag->type].func.result_count > 0)
            return fail(v, tag->at, "non-empty tag result type");
    }
    return true;
}

static bool limits(struct validator *v, uint32_t at, const struct wasm_limits *limits, uint64_t max, const char *what)
{
    if (limits->min > max || (limits->has_max && limits->max > max))
        return fail(v, at, "%s size: at most %llu", what, (unsigned long long)max);
    if (limits->min > limits->max)
        return fail(v, at, "size minimum must not be greater than maximum");
    return true;
}

#define PAGES_32 (UINT64_C(1) << 16)
#define PAGES_64 (UINT64_C(1) << 48)

static bool memories(struct validator *v)
{
    for (uint32_t i = 0; i < v->module->memory_count; i++) {
        const struct wasm_memory *memory = &v->module->memories[i];
        if (!limits(v, memory->at, &memory->limits, memory->limits.is_64 ? PAGES_64 : PAGES_32, "memory"))
            return false;
        if (memory->limits.shared && !memory->limits.has_max)
            return fail(v, memory->at, "shared memory must have maximum");
    }
    return true;
}

static bool constant(struct validator *v, struct wasm_expr expr, wasm_valtype type, uint32_t visible_globals);

/* Initializers of tables see imported globals only: they are evaluated before the others exist. */
static bool tables(struct validator *v)
{
    for (uint32_t i = 0; i < v->module->table_count; i++) {
        const struct wasm_table *table = &v->module->tables[i];
        if (!valtype(v, table->at, table->type) ||
            !limits(v, table->at, &table->limits, table->limits.is_64 ? UINT64_MAX : UINT32_MAX, "table"))
            return false;
        if (table->has_init && !constant(v, table->init, table->type, v->module->imported_globals))
            return false;
        if (!table->has_init && table->import == WASM_NO_INDEX && !type_defaultable(table->type))
            return fail(v, table->at, "type mismatch: a table of %s needs an initializer",
                        type_describe(table->type).text);
    }
    return true;
}

static bool global_types(struct validator *v)
{
    for (uint32_t i = 0; i < v->module->global_count; i++)
        if (!valtype(v, v->module->globals[i].at, v->module->globals[i].type))
            return false;
    return true;
}

static bool globals(struct validator *v)
{
    for (uint32_t i = v->module->imported_globals; i < v->module->global_count; i++) {
        struct wasm_global *global = &v->module->globals[i];
        if (!constant(v, global->init, global->type, i))
            return false;
        global->value = wasm_const_eval(v->module, global->init);
    }
    return true;
}

/* --- constant expressions --- */

/* Naming a function outside of bodies allows bodies to name it (C.refs of section 3.5). */
static bool note_func(void *arg, const struct wasm_op *op, const struct wasm_body_state *state, struct err *err)
{
    struct validator *v = arg;
    if (op->code == OP_REF_FUNC)
        v->module->funcs[op->a].declared = true;
    return true;
}

static bool constant(struct validator *v, struct wasm_expr expr, wasm_valtype type, uint32_t visible_globals)
{
    static const struct wasm_visitor visitor = {.op = note_func};
    return check_const(v->scratch, v->module, expr, type, visible_globals, &visitor, v, v->err);
}

/* --- exports, start, segments --- */

static bool export_index(struct validator *v, const struct wasm_export *entry)
{
    const struct wasm_module *module = v->module;
    const struct space {
        uint32_t count;
        const char *name;
    } spaces[] = {
        [WASM_FUNC] = {module->func_count, "function"},   [WASM_TABLE] = {module->table_count, "table"},
        [WASM_MEMORY] = {module->memory_count, "memory"}, [WASM_GLOBAL] = {module->global_count, "global"},
        [WASM_TAG] = {module->tag_count, "tag"},
    };
    if (entry->index >= spaces[entry->kind].count)
        return fail(v, entry->at, "unknown %s %u", spaces[entry->kind].name, entry->index);
    if (entry->kind == WASM_FUNC)
        module->funcs[entry->index].declared = true;
    return true;
}

static bool export(struct validator *v, struct map *names, uint32_t index)
{
    const struct wasm_export *entry = &v->module->exports[index];
    if (!export_index(v, entry))
        return false;
    if (map_get(names, entry->name, NULL))
        return fail(v, entry->at, "duplicate export name \"%.*s\"", (int)(entry->name.len > 80 ? 80 : entry->name.len),
                    entry->name.ptr);
    return map_put(names, entry->name, index) || err_memory(v->err);
}

static bool exports(struct validator *v)
{
    struct map names = {0};
    bool valid = true;
    for (uint32_t i = 0; valid && i < v->module->export_count; i++)
        valid = export(v, &names, i);
    map_free(&names);
    return valid;
}

static bool start(struct validator *v)
{
    uint32_t func = v->module->start;
    if (func == WASM_NO_INDEX)
        return true;
    if (func >= v->module->func_count)
        return fail(v, v->module->start_at, "unknown function %u", func);
    const struct wasm_functype *type = wasm_func_type(v->module, func);
    return (type->param_count == 0 && type->result_count == 0) ||
           fail(v, v->module->start_at, "start function %u must have no parameters and no results", func);
}

static bool elem_items(struct validator *v, const struct wasm_elem *elem)
{
    for (uint32_t i = 0; i < elem->count; i++) {
        if (elem->exprs) {
            if (!constant(v, elem->exprs[i], elem->type, v->module->global_count))
                return false;
        } else {
            if (elem->funcs[i] >= v->module->func_count)
                return fail(v, elem->at, "unknown function %u", elem->funcs[i]);
            v->module->funcs[elem->funcs[i]].declared = true;
        }
    }
    return true;
}

static bool elem_place(struct validator *v, const struct wasm_elem *elem)
{
    if (elem->table >= v->module->table_count)
        return fail(v, elem->at, "unknown table %u", elem->table);
    const struct wasm_table *table = &v->module->tables[elem->table];
    if (!wasm_subtype(v->module, elem->type, table->type))
        return fail(v, elem->at, "type mismatch: expected %s, found %s", type_describe(table->type).text,
                    type_describe(elem->type).text);
    return constant(v, elem->offset, check_address(&table->limits), v->module->global_count);
}

static bool elems(struct validator *v)
{
    for (uint32_t i = 0; i < v->module->elem_count; i++) {
        const struct wasm_elem *elem = &v->module->elems[i];
        if (!valtype(v, elem->at, elem->type) || !elem_items(v, elem))
            return false;
        if (elem->mode == WASM_ACTIVE && !elem_place(v, elem))
            return false;
    }
    return true;
}

static bool datas(struct validator *v)
{
    for (uint32_t i = 0; i < v->module->data_count; i++) {
        const struct wasm_data *data = &v->module->datas[i];
        if (data->mode != WASM_ACTIVE)
            continue;
        if (data->memory >= v->module->memory_count)
            return fail(v, data->at, "unknown memory %u", data->memory);
        wasm_valtype address = check_address(&v->module->memories[data->memory].limits);
        if (!constant(v, data->offset, address, v->module->global_count))
            return false;
    }
    return true;
}

bool wasm_validate(struct wasm_module *module, struct err *err)
{
    struct validator v = {module, wasm_body_scratch_new(err), err};
    if (!v.scratch)
        return false;
    bool valid = types(&v) && funcs(&v) && memories(&v) && tags(&v) && global_types(&v) && tables(&v) && globals(&v) &&
                 exports(&v) && start(&v) && elems(&v) && datas(&v);
    wasm_body_scratch_free(v.scratch);
    return valid;
}
