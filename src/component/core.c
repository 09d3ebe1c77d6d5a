/* See core.h. Types of two modules are compared by their structural hash and, where that is equal, by
 * the encoding the hash was made of; plain function types (nearly all) are compared as they are. */
#include "component/core.h"

#include "base/buf.h"
#include "component/types.h"

#define ENCODING_MAX ((size_t)1 << 24)

const char *const core_kind_words[] = {[WASM_FUNC] = "function",
                                       [WASM_TABLE] = "table",
                                       [WASM_MEMORY] = "memory",
                                       [WASM_GLOBAL] = "global",
                                       [WASM_TAG] = "tag"};

/* Modules. */

static struct str export_name(const void *items, uint32_t index)
{
    return ((const struct core_export *)items)[index].name;
}

static bool unique_names(struct checker *c, const struct core_export *exports, const uint32_t *order, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++)
        if (str_eq(exports[order[i - 1]].name, exports[order[i]].name))
            return checker_fail(c, ERR_INVALID, "export name `%.*s` already defined", STR_ARG(exports[order[i]].name));
    return true;
}

bool core_instance_make(struct checker *c, const struct core_export *exports, uint32_t count,
                        const struct core_instance **ret_instance)
{
    struct core_instance *instance = ARENA_NEW(c->arena, struct core_instance);
    if (!instance)
        return checker_memory(c);
    uint32_t *order = names_sort(c, exports, count, export_name);
    if (!order || !unique_names(c, exports, order, count))
        return false;
    *instance = (struct core_instance){exports, order, count};
    *ret_instance = instance;
    return true;
}

bool core_instance_of(struct checker *c, const struct core_module *module, const struct core_instance **ret_instance)
{
    struct core_instance *instance = ARENA_NEW(c->arena, struct core_instance);
    if (!instance)
        return checker_memory(c);
    *instance = (struct core_instance){module->exports, module->by_name, module->export_count};
    *ret_instance = instance;
    return true;
}

const struct core_export *core_instance_find(const struct core_instance *instance, struct str name)
{
    uint32_t index = names_find(instance->exports, instance->by_name, instance->export_count, export_name, name);
    return index == WASM_NO_INDEX ? NULL : &instance->exports[index];
}

struct core_extern core_import_type(const struct wasm_module *module, uint32_t import)
{
    return (struct core_extern){module->imports[import].kind, module, module->imports[import].index, NULL};
}

static int import_order(const struct wasm_import *a, const struct wasm_import *b)
{
    int order = str_order(a->module, b->module);
    return order ? order : str_order(a->name, b->name);
}

static struct str import_field(const void *items, uint32_t index)
{
    return ((const struct wasm_import *)items)[index].name;
}

/* Imports of one field name: few, so they are compared in pairs; the budget of steps bounds the rest. */
static bool unique_group(struct checker *c, const struct wasm_import *imports, uint32_t *order, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = i + 1; j < count; j++) {
            if (!checker_step(c))
                return false;
            if (import_order(&imports[order[i]], &imports[order[j]]) == 0)
                return checker_fail(c, ERR_INVALID, "duplicate import name `%.*s:%.*s`",
                                    STR_ARG(imports[order[i]].module), STR_ARG(imports[order[i]].name));
        }
    return true;
}

static bool unique_imports(struct checker *c, const struct wasm_import *imports, uint32_t count)
{
    uint32_t *order = names_sort(c, imports, count, import_field);
    if (!order)
        return false;
    for (uint32_t start = 0, end; start < count; start = end) {
        for (end = start + 1; end < count && str_eq(imports[order[start]].name, imports[order[end]].name);)
            end++;
        if (!unique_group(c, imports, order + start, end - start))
            return false;
    }
    return true;
}

static bool finish_module(struct checker *c, struct core_module *module, struct core_export *exports, uint32_t count)
{
    module->exports = exports;
    module->export_count = count;
    uint32_t *order = names_sort(c, exports, count, export_name);
    module->by_name = order;
    return order && unique_names(c, exports, order, count) &&
           unique_imports(c, module->module->imports, module->import_count);
}

bool core_module_make(struct checker *c, const struct wasm_module *module, const struct core_module **ret_module)
{
    struct core_module *made = ARENA_NEW(c->arena, struct core_module);
    struct core_export *exports = ARENA_ARRAY(c->arena, struct core_export, module->export_count);
    if (!made || !exports)
        return checker_memory(c);
    for (uint32_t i = 0; i < module->export_count; i++) {
        const struct wasm_export *from = &module->exports[i];
        exports[i] = (struct core_export){from->name, {from->kind, module, from->index, NULL}};
    }
    *made = (struct core_module){.module = module, .import_count = module->import_count};
    if (!finish_module(c, made, exports, module->export_count))
        return false;
    *ret_module = made;
    return true;
}

bool core_module_type(struct checker *c, const struct wasm_module *module, uint32_t imports,
                      const struct core_module **ret_module)
{
    uint32_t count = module->import_count - imports;
    struct core_module *made = ARENA_NEW(c->arena, struct core_module);
    struct core_export *exports = ARENA_ARRAY(c->arena, struct core_export, count);
    if (!made || !exports)
        return checker_memory(c);
    for (uint32_t i = 0; i < count; i++)
        exports[i] = (struct core_export){module->imports[imports + i].name, core_import_type(module, imports + i)};
    *made = (struct core_module){.module = module, .import_count = imports};
    if (!finish_module(c, made, exports, count))
        return false;
    *ret_module = made;
    return true;
}

/* Types. */

static const struct wasm_type *type_of(const struct wasm_module *module, uint32_t index)
{
    return &module->types[index];
}

static bool plain_type(const struct wasm_type *type)
{
    return type->kind == WASM_COMP_FUNC && type->final && type->supertype == WASM_NO_INDEX && type->group_size == 1;
}

static bool same_list(const wasm_valtype *a, uint32_t a_count, const wasm_valtype *b, uint32_t b_count)
{
    return a_count == b_count && (a_count == 0 || memcmp(a, b, a_count * sizeof *a) == 0);
}

static bool same_functype(const struct wasm_functype *a, const struct wasm_functype *b)
{
    return same_list(a->params, a->param_count, b->params, b->param_count) &&
           same_list(a->results, a->result_count, b->results, b->result_count);
}

static bool same_encoding(struct checker *c, const struct wasm_module *a, uint32_t a_type, const struct wasm_module *b,
                          uint32_t b_type)
{
    struct buf left, right;
    buf_init(&left, ENCODING_MAX);
    buf_init(&right, ENCODING_MAX);
    wasm_type_hash(a, a_type, &left);
    wasm_type_hash(b, b_type, &right);
    bool written = !left.failed && !right.failed;
    bool same = written && left.size == right.size && memcmp(left.data, right.data, left.size) == 0;
    if (!written)
        checker_memory(c);
    buf_free(&left);
    buf_free(&right);
    return same;
}

static bool same_type(struct checker *c, const struct wasm_module *a, uint32_t a_type, const struct wasm_module *b,
                      uint32_t b_type)
{
    if (a == b)
        return type_of(a, a_type)->canonical == type_of(b, b_type)->canonical;
    return type_of(a, a_type)->hash == type_of(b, b_type)->hash && same_encoding(c, a, a_type, b, b_type);
}

/* Declared subtyping: one of the supertypes of `sub`, or itself, is `super`. */
static bool subtype(struct checker *c, const struct wasm_module *a, uint32_t sub, const struct wasm_module *b,
                    uint32_t super)
{
    for (uint32_t at = sub; at != WASM_NO_INDEX; at = type_of(a, at)->supertype)
        if (same_type(c, a, at, b, super))
            return true;
    return false;
}

const struct wasm_functype *core_func_type(const struct core_extern *func)
{
    return func->plain ? func->plain : wasm_func_type(func->module, func->index);
}

/* A supertype in the declaration makes the type another one, but a caller that passes numbers only
 * cannot tell: what matters here is how the function is called. */
bool core_func_is(const struct core_extern *func, const struct wasm_functype *type)
{
    return same_functype(core_func_type(func), type);
}

static bool match_funcs(struct checker *c, const struct core_extern *sub, const struct core_extern *super)
{
    const struct wasm_type *to = super->plain ? NULL : type_of(super->module, super->module->funcs[super->index].type);
    if (sub->plain)
        return super->plain ? same_functype(sub->plain, super->plain)
                            : plain_type(to) && same_functype(sub->plain, &to->func);
    uint32_t from = sub->module->funcs[sub->index].type;
    if (super->plain)
        return plain_type(type_of(sub->module, from)) && same_functype(&type_of(sub->module, from)->func, super->plain);
    return subtype(c, sub->module, from, super->module, super->module->funcs[super->index].type);
}

static bool indexed(wasm_valtype type)
{
    return wasm_is_ref(type) && wasm_heap_is_index(wasm_heap(type));
}

/* The abstract heap type right above a defined type. */
static wasm_heaptype heap_above(const struct wasm_type *type)
{
    return type->kind == WASM_COMP_FUNC ? HEAP_FUNC : type->kind == WASM_COMP_STRUCT ? HEAP_STRUCT : HEAP_ARRAY;
}

/* Value subtyping across modules. */
static bool subvalue(struct checker *c, const struct wasm_module *a, wasm_valtype sub, const struct wasm_module *b,
                     wasm_valtype super)
{
    if (!indexed(super)) {
        wasm_valtype above = sub;
        if (indexed(sub))
            above = (sub & ~WASM_HEAP_MASK) | heap_above(type_of(a, wasm_heap(sub)));
        return wasm_subtype(b, above, super);
    }
    if ((sub & WASM_NULLABLE) && !(super & WASM_NULLABLE))
        return false;
    if (indexed(sub))
        return subtype(c, a, wasm_heap(sub), b, wasm_heap(super));
    return wasm_is_ref(sub) && wasm_subtype(b, sub, super);
}

static bool same_value(struct checker *c, const struct wasm_module *a, wasm_valtype left, const struct wasm_module *b,
                       wasm_valtype right)
{
    return subvalue(c, a, left, b, right) && subvalue(c, b, right, a, left);
}

static bool match_limits(const struct wasm_limits *sub, const struct wasm_limits *super)
{
    return sub->is_64 == super->is_64 && sub->shared == super->shared && sub->min >= super->min &&
           (!super->has_max || (sub->has_max && sub->max <= super->max));
}

static bool match_tables(struct checker *c, const struct core_extern *sub, const struct core_extern *super)
{
    const struct wasm_table *from = &sub->module->tables[sub->index], *to = &super->module->tables[super->index];
    return match_limits(&from->limits, &to->limits) && same_value(c, sub->module, from->type, super->module, to->type);
}

static bool match_memories(struct checker *c, const struct core_extern *sub, const struct core_extern *super)
{
    (void)c;
    const struct wasm_memory *from = &sub->module->memories[sub->index];
    const struct wasm_memory *to = &super->module->memories[super->index];
    return from->page_log2 == to->page_log2 && match_limits(&from->limits, &to->limits);
}

static bool match_globals(struct checker *c, const struct core_extern *sub, const struct core_extern *super)
{
    const struct wasm_global *from = &sub->module->globals[sub->index], *to = &super->module->globals[super->index];
    if (from->mutable_ != to->mutable_)
        return false;
    return to->mutable_ ? same_value(c, sub->module, from->type, super->module, to->type)
                        : subvalue(c, sub->module, from->type, super->module, to->type);
}

static bool match_tags(struct checker *c, const struct core_extern *sub, const struct core_extern *super)
{
    return same_type(c, sub->module, sub->module->tags[sub->index].type, super->module,
                     super->module->tags[super->index].type);
}

/* Comparing function types may write out their recursion groups. */
static bool charge(struct checker *c, const struct core_extern *type)
{
    uint64_t cost = 1;
    if (type->kind == WASM_FUNC && !type->plain)
        cost = type_of(type->module, type->module->funcs[type->index].type)->group_size;
    if (type->kind == WASM_TAG)
        cost = type_of(type->module, type->module->tags[type->index].type)->group_size;
    if (c->work < cost)
        return checker_limit(c, COMPONENT_LIMIT_WORK);
    c->work -= cost;
    return true;
}

bool core_match(struct checker *c, const struct core_extern *sub, const struct core_extern *super)
{
    static bool (*const rules[])(struct checker *, const struct core_extern *, const struct core_extern *) = {
        [WASM_FUNC] = match_funcs,     [WASM_TABLE] = match_tables, [WASM_MEMORY] = match_memories,
        [WASM_GLOBAL] = match_globals, [WASM_TAG] = match_tags,
    };
    if (!charge(c, sub) || !charge(c, super))
        return false;
    if (sub->kind != super->kind)
        return checker_fail(c, ERR_INVALID, "expected a core %s, found a core %s", core_kind_words[super->kind],
                            core_kind_words[sub->kind]);
    bool matches = rules[super->kind](c, sub, super);
    if (c->no_memory)
        return false;
    return matches || checker_fail(c, ERR_INVALID, "core %s has another type", core_kind_words[super->kind]);
}

static const struct wasm_import *find_import(const struct core_module *module, const struct wasm_import *name)
{
    for (uint32_t i = 0; i < module->import_count; i++)
        if (import_order(&module->module->imports[i], name) == 0)
            return &module->module->imports[i];
    return NULL;
}

static bool match_imports(struct checker *c, const struct core_module *sub, const struct core_module *super)
{
    for (uint32_t i = 0; i < sub->import_count; i++) {
        const struct wasm_import *need = &sub->module->imports[i];
        const struct wasm_import *found = find_import(super, need);
        if (c->work < super->import_count)
            return checker_limit(c, COMPONENT_LIMIT_WORK);
        c->work -= super->import_count;
        struct core_extern to = core_import_type(sub->module, i);
        struct core_extern from =
            found ? core_import_type(super->module, (uint32_t)(found - super->module->imports)) : to;
        if (!found)
            checker_fail(c, ERR_INVALID, "missing");
        if (!found || !core_match(c, &from, &to))
            return types_blame(c, "core import", need->name);
    }
    return true;
}

bool core_match_modules(struct checker *c, const struct core_module *sub, const struct core_module *super)
{
    if (!match_imports(c, sub, super))
        return false;
    for (uint32_t i = 0; i < super->export_count; i++) {
        const struct core_export *need = &super->exports[i];
        uint32_t found = names_find(sub->exports, sub->by_name, sub->export_count, export_name, need->name);
        if (found == WASM_NO_INDEX)
            checker_fail(c, ERR_INVALID, "missing");
        if (found == WASM_NO_INDEX || !core_match(c, &sub->exports[found].type, &need->type))
            return types_blame(c, "core export", need->name);
    }
    return true;
}
