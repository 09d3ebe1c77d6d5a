/* The boundary of a plan: what imports of the outermost component become, which rows of host imports
 * canonical functions need, and which functions it exports.
 */
#include "base/buf.h"
#include "component/fuse.h"

static bool out_of_memory(struct planner *p)
{
    return checker_memory(&p->check);
}

/* Imports. */

static bool host_func(struct planner *p, struct instance *in, const struct func *type, struct str interface,
                      struct str name, struct value *ret)
{
    struct func_value *func = ARENA_NEW(p->check.arena, struct func_value);
    if (!func)
        return out_of_memory(p);
    *func = (struct func_value){.origin = FUNC_OF_HOST, .interface = interface, .name = name, .type = type, .in = in};
    ret->func = func;
    return true;
}

/* A resource type seen before keeps the name it was first imported under. */
static bool host_resource(struct planner *p, struct instance *in, const struct resource_def *type, struct str interface,
                          struct str name, struct value *ret)
{
    const void **known = remap_get(&in->resources, type->abstract->number);
    if (known) {
        ret->resource = *known;
        return true;
    }
    struct concrete *concrete = ARENA_NEW(p->check.arena, struct concrete);
    if (!concrete)
        return out_of_memory(p);
    concrete->abstract = *type->abstract;
    concrete->abstract.number = ++p->check.next_number;
    concrete->abstract.resource.interface = name_unversioned(interface);
    concrete->abstract.resource.name = name;
    concrete->interface = interface;
    ret->resource = concrete;
    return remap_put(&p->check, &in->resources, type->abstract->number, &concrete->abstract);
}

static bool host_instance(struct planner *p, struct instance *in, const struct instance_type *type,
                          struct str interface, struct value *ret);

static bool host_item(struct planner *p, struct instance *in, const struct entity *type, struct str interface,
                      struct str name, struct value *ret)
{
    switch (type->sort) {
    case SORT_FUNC: return host_func(p, in, type->func, interface, name, ret);
    case SORT_INSTANCE: return host_instance(p, in, type->instance, name, ret);
    case SORT_TYPE: return type->def != DEF_RESOURCE || host_resource(p, in, type->resource, interface, name, ret);
    default:
        return checker_fail(&p->check, ERR_UNSUPPORTED, "import `%.*s`: a %s cannot come from the host", STR_ARG(name),
                            sort_infos[type->sort].words);
    }
}

static bool host_instance(struct planner *p, struct instance *in, const struct instance_type *type,
                          struct str interface, struct value *ret)
{
    struct exports_value *exports = ARENA_NEW(p->check.arena, struct exports_value);
    struct value *values = ARENA_ARRAY(p->check.arena, struct value, type->exports.count);
    if (!exports || !values)
        return out_of_memory(p);
    for (uint32_t i = 0; i < type->exports.count; i++) {
        const struct extern_decl *decl = &type->exports.items[i];
        if (!checker_step(&p->check) || !host_item(p, in, &decl->type, interface, decl->name, &values[i]))
            return false;
    }
    *exports = (struct exports_value){&type->exports, values};
    ret->instance = exports;
    return true;
}

bool planner_host_value(struct planner *p, struct instance *in, const struct entity *type, struct str name,
                        struct value *ret)
{
    return host_item(p, in, type, (struct str){"", 0}, name, ret);
}

/* Rows. */

/* A canonical function gets a unit that has it. */
static bool make_unit(struct planner *p, struct canon_value *canon)
{
    const struct str name = str_of(builtin_infos[canon->canon->kind].words);
    uint32_t row;
    if (canon_is_fused(canon))
        return planner_fuse(p, canon, name, &canon->unit, &canon->func);
    if (canon->canon->kind == BUILTIN_THREAD_NEW_INDIRECT)
        return planner_thread_unit(p, canon, name);
    return canon->unit != WASM_NO_INDEX || (planner_host_row(p, canon, name, &row) &&
                                            planner_unit_of_row(p, canon->type, row, &canon->unit, &canon->func));
}

/* Its options and its callee may be canonical functions again, so this nests. */
static bool unit_of_canon(struct planner *p, struct canon_value *canon)
{
    if (p->canon_depth >= COMPONENT_MAX_CANON_DEPTH)
        return checker_limit(&p->check, COMPONENT_LIMIT_CANON_DEPTH);
    p->canon_depth++;
    bool made = make_unit(p, canon);
    p->canon_depth--;
    return made;
}

bool planner_core_func(struct planner *p, const struct instance *in, uint32_t index, uint32_t *ret_unit,
                       uint32_t *ret_func)
{
    if (index == WASM_NO_INDEX)
        return true;
    const struct core_value *func = &in->spaces[SORT_CORE_FUNC][index].core;
    struct canon_value *canon = func->canon;
    if (canon && !unit_of_canon(p, canon))
        return false;
    *ret_unit = canon ? canon->unit : func->unit;
    *ret_func = canon ? canon->func : func->index;
    return true;
}

bool planner_options(struct planner *p, const struct instance *in, const struct options *from,
                     struct canon_options *ret)
{
    struct canon_options options = plan_no_row.options;
    options.encoding = from->encoding;
    if (from->memory != WASM_NO_INDEX) {
        const struct core_value *memory = &in->spaces[SORT_CORE_MEMORY][from->memory].core;
        options.memory_unit = memory->unit;
        options.memory = memory->index;
    }
    if (!planner_core_func(p, in, from->realloc, &options.realloc_unit, &options.realloc) ||
        !planner_core_func(p, in, from->post_return, &options.post_return_unit, &options.post_return))
        return false;
    *ret = options;
    return true;
}

/* Takes over the buffer. */
static bool keep_text(struct planner *p, struct buf text, bool written, struct str *ret_text)
{
    bool full = text.size + 4096 > COMPONENT_MAX_SIGNATURE;
    char *copy = written ? arena_copy(p->check.arena, text.data, text.size) : NULL;
    struct str result = {copy, text.size};
    buf_free(&text);
    if (!written && full)
        return checker_limit(&p->check, COMPONENT_LIMIT_SIGNATURE);
    if (!copy)
        return out_of_memory(p);
    *ret_text = result;
    return true;
}

bool planner_signature(struct planner *p, struct instance *in, const struct func *func, struct str *ret_text)
{
    struct entity entity = {.sort = SORT_FUNC, .func = func};
    struct buf text;
    if (!types_substitute(&p->check, &in->resources, &entity))
        return false;
    buf_init(&text, COMPONENT_MAX_SIGNATURE);
    bool written = type_func_text(&entity.func->type, &text);
    return keep_text(p, text, written, ret_text);
}

bool planner_text(struct planner *p, struct instance *in, const struct type *type, struct str *ret_text)
{
    struct entity entity = {.sort = SORT_TYPE, .def = DEF_VALUE, .value = type ? node_of(type) : NULL};
    struct buf text;
    *ret_text = STR("");
    if (!type)
        return true;
    if (!types_substitute(&p->check, &in->resources, &entity))
        return false;
    buf_init(&text, COMPONENT_MAX_SIGNATURE);
    bool written = type_text(&entity.value->type, &text);
    return keep_text(p, text, written, ret_text);
}

static bool row_lower(struct planner *p, struct canon_value *value, struct str import, struct host_import *row)
{
    const struct func_value *callee = value->callee;
    if (canon_is_lifted(value))
        return planner_call_row(p, value, import, row);
    row->kind = HOST_LOWERED;
    row->interface = callee->interface;
    row->name = callee->name;
    return planner_signature(p, callee->in, callee->type, &row->signature) &&
           planner_options(p, value->in, &value->canon->opts, &row->options);
}

static bool row_resource(struct planner *p, const struct canon_value *value, struct str import, struct host_import *row)
{
    static const enum host_import_kind kinds[] = {[BUILTIN_RESOURCE_NEW] = HOST_RESOURCE_NEW,
                                                  [BUILTIN_RESOURCE_DROP] = HOST_RESOURCE_DROP,
                                                  [BUILTIN_RESOURCE_REP] = HOST_RESOURCE_REP};
    const struct abstract *type = value->canon->type.resource->abstract;
    const void **found = remap_get(&value->in->resources, type->number);
    if (!found || !*found)
        return checker_fail(&p->check, ERR_INVALID, "core import `%.*s` of a resource type that does not exist",
                            STR_ARG(import));
    const struct concrete *concrete = *found;
    row->kind = kinds[value->canon->kind];
    row->interface = concrete->interface;
    row->name = concrete->abstract.resource.name;
    row->resource_type = concrete->abstract.resource.id;
    if (!concrete->definer || row->kind != HOST_RESOURCE_DROP)
        return true;
    return planner_core_func(p, concrete->definer, concrete->abstract.dtor, &row->dtor_unit, &row->dtor) &&
           (row->dtor_unit == WASM_NO_INDEX || planner_handle_table(p, concrete->definer, &row->peer_table));
}

/* Those whose immediates have options, or a memory. */
static bool builtin_has_options(enum builtin kind)
{
    const char *immediates = builtin_infos[kind].immediates;
    return strchr(immediates, 'o') || strchr(immediates, 'm');
}

/* Built-ins that name a thread of another kind than there is here. */
static bool is_missing(enum builtin kind)
{
    return kind == BUILTIN_THREAD_SPAWN_REF || kind == BUILTIN_THREAD_SPAWN_INDIRECT ||
           kind == BUILTIN_THREAD_AVAILABLE_PARALLELISM;
}

static bool row_builtin(struct planner *p, const struct canon_value *value, struct str import, struct host_import *row)
{
    const struct canonical *canon = value->canon;
    struct options options = canon->opts;
    bool typed = canon->kind >= BUILTIN_STREAM_NEW && canon->kind <= BUILTIN_FUTURE_DROP_WRITABLE;
    if (is_missing(canon->kind))
        return checker_fail(&p->check, ERR_UNSUPPORTED, "core import `%.*s`: canonical built-in %s", STR_ARG(import),
                            builtin_infos[canon->kind].words);
    row->kind = HOST_BUILTIN;
    row->builtin = canon->kind;
    row->number = canon->number;
    row->name = str_of(builtin_infos[canon->kind].words);
    row->flags = (canon->async_ || options.async_ ? CANON_ASYNC : 0) | (canon->cancellable ? CANON_CANCELLABLE : 0);
    if (canon->kind == BUILTIN_WAITABLE_SET_WAIT || canon->kind == BUILTIN_WAITABLE_SET_POLL)
        options = (struct options){
            .memory = canon->memory, .realloc = WASM_NO_INDEX, .post_return = WASM_NO_INDEX, .callback = WASM_NO_INDEX};
    const struct type *type = typed ? &canon->type.value->type : canon->result;
    return (!builtin_has_options(canon->kind) || planner_options(p, value->in, &options, &row->options)) &&
           planner_text(p, value->in, type, &row->signature);
}

static bool fill_row(struct planner *p, struct canon_value *value, struct str import, struct host_import *row)
{
    switch (value->canon->kind) {
    case BUILTIN_LOWER: return row_lower(p, value, import, row);
    case BUILTIN_RESOURCE_NEW:
    case BUILTIN_RESOURCE_DROP:
    case BUILTIN_RESOURCE_REP: return row_resource(p, value, import, row);
    default: return row_builtin(p, value, import, row);
    }
}

bool planner_add_row(struct planner *p, const struct host_import *row, uint32_t *ret_row)
{
    struct host_import *slot = LIST_PUSH(&p->check, &p->imports, IMPORTS);
    if (!slot)
        return false;
    *slot = *row;
    *ret_row = p->imports.count - 1;
    return true;
}

bool planner_host_row(struct planner *p, struct canon_value *canon, struct str import, uint32_t *ret_row)
{
    struct host_import row = plan_no_row;
    row.type = canon->type;
    if (canon->row != WASM_NO_INDEX) {
        *ret_row = canon->row;
        return true;
    }
    if (!planner_handle_table(p, canon->in, &row.handle_table) || !fill_row(p, canon, import, &row))
        return false;
    if (!planner_add_row(p, &row, &canon->row))
        return false;
    *ret_row = canon->row;
    return true;
}

/* Exports. */

static bool export_lifted(struct planner *p, const struct func_value *func, struct plan_export *ret)
{
    const struct options *opts = &func->canon->opts;
    ret->result = func->result;
    ret->flags = (func->type->type.async_ ? CANON_ASYNC_TYPE : 0) | (opts->async_ ? CANON_ASYNC_LIFT : 0) |
                 (opts->callback != WASM_NO_INDEX ? CANON_CALLBACK : 0);
    return planner_core_func(p, func->in, opts->callback, &ret->callback.unit, &ret->callback.func) &&
           planner_core_func(p, func->in, func->canon->target, &ret->unit, &ret->func) &&
           planner_options(p, func->in, &func->canon->opts, &ret->options) &&
           planner_signature(p, func->in, func->type, &ret->signature) &&
           planner_handle_table(p, func->in, &ret->handle_table);
}

static bool export_func(struct planner *p, const struct func_value *func, struct str interface, struct str name)
{
    struct plan_export row = {.interface = interface, .name = name, .callback = {WASM_NO_INDEX, WASM_NO_INDEX}};
    if (!(func->origin == FUNC_LIFTED ? export_lifted(p, func, &row) : planner_export_host(p, func, &row)))
        return false;
    struct plan_export *slot = LIST_PUSH(&p->check, &p->exports, EXPORTS);
    if (slot)
        *slot = row;
    return slot != NULL;
}

/* A resource of the component is known to the host by the name it is first exported under. */
static void name_resource(const struct concrete *resource, struct str interface, struct str name)
{
    struct concrete *concrete = (struct concrete *)resource;
    if (!concrete->definer || concrete->abstract.resource.name.len)
        return;
    concrete->interface = interface;
    concrete->abstract.resource.interface = name_unversioned(interface);
    concrete->abstract.resource.name = name;
}

static bool export_instance(struct planner *p, const struct instance_type *type, const struct exports_value *values,
                            struct str interface, bool funcs)
{
    for (uint32_t i = 0; i < type->exports.count; i++) {
        const struct extern_decl *decl = &type->exports.items[i];
        const struct value *value = exports_value_find(values, decl->name);
        if (!checker_step(&p->check))
            return false;
        if (value && !funcs && decl->type.sort == SORT_TYPE && decl->type.def == DEF_RESOURCE)
            name_resource(value->resource, interface, decl->name);
        if (value && funcs && decl->type.sort == SORT_FUNC && !export_func(p, value->func, interface, decl->name))
            return false;
    }
    return true;
}

static bool export_item(struct planner *p, const struct extern_decl *decl, const struct value *value, bool funcs)
{
    struct str none = {"", 0};
    if (decl->type.sort == SORT_INSTANCE)
        return export_instance(p, decl->type.instance, value->instance, decl->name, funcs);
    if (!funcs && decl->type.sort == SORT_TYPE && decl->type.def == DEF_RESOURCE)
        name_resource(value->resource, none, decl->name);
    return !funcs || decl->type.sort != SORT_FUNC || export_func(p, value->func, none, decl->name);
}

/* Rows that were made before the resource had a name. */
static void name_rows(struct planner *p)
{
    for (uint32_t i = 0; i < p->imports.count; i++) {
        struct host_import *row = &p->imports.items[i];
        if (row->resource_type == WASM_NO_INDEX || row->kind == HOST_BUILTIN)
            continue;
        const struct concrete *concrete = p->concretes.items[row->resource_type - RESOURCE_COMPONENT_BASE];
        row->interface = concrete->interface;
        row->name = concrete->abstract.resource.name;
    }
}

/* First the names of resources, which signatures are written with, then the functions. */
bool planner_exports(struct planner *p, struct instance *root)
{
    const struct externs *exports = &root->component->scope.exports;
    for (int funcs = 0; funcs < 2; funcs++)
        for (uint32_t i = 0; i < exports->count; i++) {
            p->check.offset = exports->items[i].offset;
            if (!export_item(p, &exports->items[i], &root->exports[i], funcs))
                return false;
        }
    name_rows(p);
    return true;
}
