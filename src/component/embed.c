/* See embed.h. Each section's world is decoded by itself, so the same interface may stand in several of them, in each
 * with what was used of it; an import is looked for in all. */
#include "component/embed.h"

#include "component/decode.h"
#include "component/planner.h"
#include "wasm/reader.h"

#define WORLDS_MAX 64u
#define OLD_FORMAT 3u /* before the component: this byte, the encoding, and the name of the world */
#define ENCODING_SECTION STR("wit-component-encoding")
#define ENCODING_VERSION 4u

struct world_of {
    struct instance in; /* whose imports are the host's */
    const struct component_type *type;
    struct value *imports; /* by type->imports.items */
    enum string_encoding encoding;
};

struct embedding {
    struct planner planner;
    struct wasm_module *module;
    struct world_of *worlds;
    uint32_t world_count;
    uint32_t memory, realloc; /* of the module, or WASM_NO_INDEX */
    const uint32_t *by_name;  /* its exports, sorted */
};

static bool is_section(const struct wasm_custom *custom)
{
    return str_starts(custom->name, STR("component-type"));
}

/* A command that asks for nothing by the names of its worlds is one of WASI 0.1, whatever it was linked with. */
static bool is_command(const struct wasm_module *module)
{
    bool other = false, starts = false;
    for (uint32_t i = 0; i < module->import_count; i++)
        other |= !str_eq(module->imports[i].module, STR("wasi_snapshot_preview1"));
    for (uint32_t i = 0; i < module->export_count; i++)
        starts |= module->exports[i].kind == WASM_FUNC && str_eq(module->exports[i].name, STR("_start"));
    return starts && !other;
}

bool component_is_embedded(const struct wasm_module *module)
{
    if (is_command(module))
        return false;
    for (uint32_t i = 0; i < module->custom_count; i++)
        if (is_section(&module->customs[i]))
            return true;
    return false;
}

static bool fail(struct embedding *e, enum err_kind kind, const char *what, struct str interface, struct str name)
{
    return checker_fail(&e->planner.check, kind, "%.*s%s%.*s %s", STR_ARG(interface), interface.len ? " " : "",
                        STR_ARG(name), what);
}

/* ---- the worlds ---- */

/* What the section says beside the component. */
struct heading {
    struct reader component;
    struct str world; /* its name; empty: there is one */
    uint8_t encoding;
};

static bool read_old_heading(struct reader *in, struct heading *ret)
{
    uint8_t version;
    return reader_u8(in, &version) && reader_u8(in, &ret->encoding) && reader_name(in, &ret->world);
}

/* Where the encoding has a custom section: among those of the component, which was decoded and so is well-formed. */
static bool read_encoding(struct reader in, uint8_t *ret)
{
    const uint8_t *preamble;
    struct reader section;
    struct str name;
    uint32_t size;
    uint8_t id, version;
    if (!reader_bytes(&in, 8, &preamble))
        return false;
    while (reader_left(&in)) {
        if (!reader_u8(&in, &id) || !reader_u32(&in, &size) || !reader_window(&in, size, &section))
            return false;
        if (id != 0 || !reader_name(&section, &name) || !str_eq(name, ENCODING_SECTION))
            continue;
        return reader_u8(&section, &version) && reader_u8(&section, ret) &&
               (version == ENCODING_VERSION ||
                reader_fail(&section, ERR_UNSUPPORTED, "a component type in format %u", version));
    }
    return reader_fail(&in, ERR_MALFORMED, "a component type without `%.*s`", STR_ARG(ENCODING_SECTION));
}

static bool is_named(struct str id, struct str world)
{
    size_t slash = 0, end = str_find(id, '@');
    for (size_t i = 0; i < end; i++)
        slash = id.ptr[i] == '/' ? i + 1 : slash;
    return !world.len || str_eq(str_slice(id, slash, end), world);
}

/* The component's exports are types, of which one has worlds as its exports, or is the world. */
static const struct component_type *find_world(const struct component *component, struct str name)
{
    const struct externs *types = &component->type.exports;
    const struct component_type *itself = NULL;
    for (uint32_t i = 0; i < types->count; i++) {
        const struct entity *type = &types->items[i].type;
        if (type->sort != SORT_TYPE || type->def != DEF_COMPONENT)
            continue;
        const struct externs *inner = &type->component->exports;
        bool nested = false;
        for (uint32_t k = 0; k < inner->count; k++) {
            nested |= inner->items[k].type.sort == SORT_COMPONENT;
            if (inner->items[k].type.sort == SORT_COMPONENT && is_named(inner->items[k].name, name))
                return inner->items[k].type.component;
        }
        if (!nested && is_named(types->items[i].name, name))
            itself = type->component;
    }
    return itself;
}

/* All imports are of the host. */
static bool import_world(struct embedding *e, struct world_of *world)
{
    const struct externs *imports = &world->type->imports;
    world->imports = ARENA_ARRAY(e->planner.check.arena, struct value, imports->count);
    if (!world->imports)
        return checker_memory(&e->planner.check);
    for (uint32_t i = 0; i < imports->count; i++)
        if (!planner_host_value(&e->planner, &world->in, &imports->items[i].type, imports->items[i].name,
                                &world->imports[i]))
            return false;
    return true;
}

static bool decode_world(struct embedding *e, const struct wasm_custom *custom, struct world_of *world)
{
    struct checker *check = &e->planner.check;
    const uint8_t *at = e->module->bytes + custom->start;
    struct heading heading = {.component = {at, at, at + custom->size, check->err}};
    struct component *component;
    bool old = custom->size && at[0] == OLD_FORMAT;
    if (old && !read_old_heading(&heading.component, &heading))
        return false;
    at = heading.component.at;
    if (!component_decode(at, reader_left(&heading.component), check->arena, &component, check->err))
        return false;
    if (!old && !read_encoding((struct reader){at, at, heading.component.end, check->err}, &heading.encoding))
        return false;
    world->type = find_world(component, heading.world);
    if (!world->type || heading.encoding > ENCODING_LATIN1_UTF16)
        return checker_fail(check, ERR_MALFORMED, "a component type that names no world");
    world->encoding = (enum string_encoding)heading.encoding;
    if (component->numbers > check->next_number)
        check->next_number = component->numbers;
    return true;
}

static bool read_worlds(struct embedding *e)
{
    struct checker *check = &e->planner.check;
    e->worlds = ARENA_ARRAY(check->arena, struct world_of, WORLDS_MAX);
    if (!e->worlds)
        return checker_memory(check);
    for (uint32_t i = 0; i < e->module->custom_count; i++) {
        const struct wasm_custom *custom = &e->module->customs[i];
        if (!is_section(custom))
            continue;
        if (e->world_count == WORLDS_MAX)
            return checker_fail(check, ERR_LIMIT, "more than %u component types in a module", WORLDS_MAX);
        if (!decode_world(e, custom, &e->worlds[e->world_count++]))
            return err_within(check->err, "custom section `%.*s`", STR_ARG(custom->name));
    }
    for (uint32_t i = 0; i < e->world_count; i++) /* numbers of what is made now follow those of all */
        if (!import_world(e, &e->worlds[i]))
            return false;
    return true;
}

/* ---- what the module has ---- */

static struct str export_name(const void *items, uint32_t index)
{
    return ((const struct wasm_export *)items)[index].name;
}

static const struct wasm_export *find_export(const struct embedding *e, enum wasm_extern_kind kind, struct str name)
{
    const struct wasm_export *exports = e->module->exports;
    uint32_t found = names_find(exports, e->by_name, e->module->export_count, export_name, name);
    return found != WASM_NO_INDEX && exports[found].kind == kind ? &exports[found] : NULL;
}

static bool is_of_type(const struct wasm_module *module, uint32_t func, const struct wasm_functype *type)
{
    const struct core_extern found = {.kind = WASM_FUNC, .module = module, .index = func};
    return core_func_is(&found, type);
}

/* An optional function of this type. */
static bool take_func(struct embedding *e, struct str name, const struct wasm_functype *type, uint32_t *ret)
{
    const struct wasm_export *found = find_export(e, WASM_FUNC, name);
    *ret = found ? found->index : WASM_NO_INDEX;
    return !found || is_of_type(e->module, found->index, type) ||
           fail(e, ERR_INVALID, "is exported with another type than the canonical ABI has it", STR(""), name);
}

static bool take_memory(struct embedding *e)
{
    const struct wasm_export *found = find_export(e, WASM_MEMORY, STR("memory"));
    e->memory = found ? found->index : WASM_NO_INDEX;
    if (!found)
        return true;
    const struct wasm_memory *memory = &e->module->memories[found->index];
    return (!memory->limits.is_64 && !memory->limits.shared && memory->page_log2 == 16) ||
           fail(e, ERR_UNSUPPORTED, "is no unshared 32-bit memory", STR(""), STR("memory"));
}

static bool take_own(struct embedding *e)
{
    static const wasm_valtype words[] = {WASM_I32, WASM_I32, WASM_I32, WASM_I32};
    const struct wasm_functype realloc = {4, 1, words, words}, start = {0, 0, NULL, NULL};
    uint32_t initialize;
    e->by_name = names_sort(&e->planner.check, e->module->exports, e->module->export_count, export_name);
    if (!e->by_name || !take_memory(e) || !take_func(e, STR("cabi_realloc"), &realloc, &e->realloc) ||
        !take_func(e, STR("_initialize"), &start, &initialize))
        return false;
    if (initialize == WASM_NO_INDEX)
        return true;
    if (e->module->start != WASM_NO_INDEX)
        return fail(e, ERR_UNSUPPORTED, "is exported beside a start function", STR(""), STR("_initialize"));
    e->module->start = initialize;
    return true;
}

static bool points(const struct func_type *func)
{
    for (uint32_t i = 0; i < func->param_count; i++)
        if (node_of(func->params[i].type)->shape.strings)
            return true;
    return false;
}

/* The canonical options of a function whose arguments and result lie in memory, or not. */
static bool set_options(struct embedding *e, const struct world_of *world, bool memory, bool realloc,
                        struct canon_options *ret, struct str interface, struct str name)
{
    if ((memory || realloc) && e->memory == WASM_NO_INDEX)
        return fail(e, ERR_INVALID, "needs a memory, and none is exported", interface, name);
    if (realloc && e->realloc == WASM_NO_INDEX)
        return fail(e, ERR_INVALID, "needs cabi_realloc, which is not exported", interface, name);
    *ret = plan_no_row.options;
    ret->encoding = world->encoding;
    ret->memory = e->memory;
    ret->memory_unit = e->memory == WASM_NO_INDEX ? WASM_NO_INDEX : 0;
    ret->realloc = e->realloc;
    ret->realloc_unit = e->realloc == WASM_NO_INDEX ? WASM_NO_INDEX : 0;
    return true;
}

/* ---- imports ---- */

/* What a world has for an import; false: it is none of this world's. */
static bool find_import(const struct world_of *world, struct str module, struct str name,
                        const struct extern_decl **ret_decl, struct value *ret)
{
    const struct externs *imports = &world->type->imports;
    bool root = str_eq(module, STR("$root"));
    const struct extern_decl *decl = externs_find(imports, root ? name : module);
    if (!decl || (decl->type.sort == SORT_INSTANCE) == root)
        return false;
    struct value value = world->imports[decl - imports->items];
    if (!root) {
        const struct externs *items = value.instance->names;
        decl = externs_find(items, name);
        if (!decl)
            return false;
        value = value.instance->values[decl - items->items];
    }
    *ret_decl = decl;
    *ret = value;
    return true;
}

static bool lower(struct embedding *e, struct world_of *world, const struct func_value *func, struct host_import *row)
{
    const struct func_type *type = &func->type->type;
    struct flat_func flat;
    type_flatten_func(type, true, &flat);
    const struct wasm_functype expected = {flat.param_count, flat.result_count, flat.params, flat.results};
    bool result_points = type->result && node_of(type->result)->shape.strings;
    if (type->async_)
        return fail(e, ERR_UNSUPPORTED, "is asynchronous, which modules without a component cannot import yet",
                    func->interface, func->name);
    const struct core_extern own = {.kind = WASM_FUNC, .plain = row->type};
    if (!core_func_is(&own, &expected))
        return fail(e, ERR_INVALID, "is imported with another core type than its component type has", func->interface,
                    func->name);
    row->kind = HOST_LOWERED;
    row->interface = func->interface;
    row->name = func->name;
    return set_options(e, world, points(type) || flat.params_indirect || flat.result_indirect, result_points,
                       &row->options, func->interface, func->name) &&
           planner_signature(&e->planner, &world->in, func->type, &row->signature);
}

static bool drop(struct embedding *e, const struct concrete *resource, struct host_import *row)
{
    static const wasm_valtype words[] = {WASM_I32};
    const struct wasm_functype expected = {1, 0, words, NULL};
    const struct core_extern own = {.kind = WASM_FUNC, .plain = row->type};
    row->kind = HOST_RESOURCE_DROP;
    row->interface = resource->interface;
    row->name = resource->abstract.resource.name;
    return core_func_is(&own, &expected) ||
           fail(e, ERR_INVALID, "is dropped by a function of another core type", row->interface, row->name);
}

/* "NAME" of "[resource-drop]NAME"; empty: it is none. */
static struct str dropped(struct str name)
{
    const struct str prefix = STR("[resource-drop]");
    return str_starts(name, prefix) ? str_slice(name, prefix.len, name.len) : STR("");
}

/* Built-ins of asynchronous components, and functions that are called so. */
static bool is_async(struct str name)
{
    static const struct str prefixes[] = {
        STR("[async-lower]"), STR("[future-"),  STR("[stream-"),       STR("[task-"),   STR("[subtask-"),
        STR("[waitable"),     STR("[context-"), STR("[backpressure-"), STR("[thread-"), STR("[error-context-")};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (str_starts(name, prefixes[i]))
            return true;
    return false;
}

static bool import_row(struct embedding *e, const struct wasm_import *import, struct host_import *row)
{
    struct str resource = dropped(import->name);
    const struct extern_decl *decl;
    struct value value;
    if (import->kind != WASM_FUNC)
        return fail(e, ERR_LINK, "is imported, and only functions come from the host", import->module, import->name);
    *row = plan_no_row;
    row->type = wasm_func_type(e->module, import->index);
    for (uint32_t i = 0; i < e->world_count; i++) {
        struct world_of *world = &e->worlds[i];
        if (!find_import(world, import->module, resource.len ? resource : import->name, &decl, &value))
            continue;
        if (!resource.len && decl->type.sort == SORT_FUNC)
            return lower(e, world, value.func, row);
        if (resource.len && decl->type.sort == SORT_TYPE && decl->type.def == DEF_RESOURCE)
            return drop(e, value.resource, row);
    }
    if (is_async(import->name))
        return fail(e, ERR_UNSUPPORTED, "is imported: asynchronous functions need a component", import->module,
                    import->name);
    row->kind = HOST_CORE;
    row->interface = import->module;
    row->name = import->name;
    return true;
}

static bool fill_imports(struct embedding *e, struct plan *plan)
{
    struct unit *unit = plan->units;
    const struct wasm_module *module = e->module;
    unit->imports = ARENA_ARRAY(e->planner.check.arena, struct unit_import, module->import_count);
    plan->imports = ARENA_ARRAY(e->planner.check.arena, struct host_import, module->import_count);
    if (!unit->imports || !plan->imports)
        return checker_memory(&e->planner.check);
    for (uint32_t i = 0; i < module->import_count; i++) {
        unit->imports[i] = (struct unit_import){.from = IMPORT_HOST, .host = i};
        if (!checker_step(&e->planner.check) || !import_row(e, &module->imports[i], &plan->imports[i]))
            return false;
    }
    plan->import_count = module->import_count;
    return true;
}

/* ---- exports ---- */

/* BEFORE, the interface and '#' where there is one, and the name. */
static struct str core_name(struct embedding *e, struct str before, struct str interface, struct str name)
{
    size_t len = before.len + interface.len + (interface.len != 0) + name.len;
    char *text = arena_alloc(e->planner.check.arena, len + 1);
    if (!text)
        return (struct str){NULL, 0};
    memcpy(text, before.ptr, before.len);
    memcpy(text + before.len, interface.ptr, interface.len);
    if (interface.len)
        text[before.len + interface.len] = '#';
    memcpy(text + len - name.len, name.ptr, name.len);
    return (struct str){text, len};
}

static bool lift(struct embedding *e, struct world_of *world, const struct func *func, struct plan_export *row)
{
    const struct func_type *type = &func->type;
    struct str name = core_name(e, STR(""), row->interface, row->name);
    struct str post = core_name(e, STR("cabi_post_"), row->interface, row->name);
    struct flat_func flat;
    type_flatten_func(type, false, &flat);
    const struct wasm_functype expected = {flat.param_count, flat.result_count, flat.params, flat.results};
    const struct wasm_functype after = {flat.result_count, 0, flat.results, NULL};
    bool result_points = type->result && node_of(type->result)->shape.strings;
    if (!name.ptr || !post.ptr)
        return checker_memory(&e->planner.check);
    const struct wasm_export *found = find_export(e, WASM_FUNC, name);
    if (type->async_)
        return fail(e, ERR_UNSUPPORTED, "is asynchronous, which modules without a component cannot export yet",
                    row->interface, row->name);
    if (!found)
        return fail(e, ERR_LINK, "is in the module's component type, and not exported", row->interface, row->name);
    if (!is_of_type(e->module, found->index, &expected))
        return fail(e, ERR_INVALID, "is exported with another core type than its component type has", row->interface,
                    row->name);
    row->func = found->index;
    return set_options(e, world, result_points || flat.result_indirect, points(type) || flat.params_indirect,
                       &row->options, row->interface, row->name) &&
           take_func(e, post, &after, &row->options.post_return) &&
           (row->options.post_return_unit = row->options.post_return == WASM_NO_INDEX ? WASM_NO_INDEX : 0, true) &&
           planner_signature(&e->planner, &world->in, func, &row->signature);
}

/* Does one of the worlds before this one export it, too? */
static bool is_exported(const struct embedding *e, const struct world_of *world, struct str interface, struct str name)
{
    for (const struct world_of *earlier = e->worlds; earlier < world; earlier++) {
        const struct externs *exports = &earlier->type->exports;
        const struct extern_decl *decl = externs_find(exports, interface.len ? interface : name);
        if (decl && interface.len && decl->type.sort == SORT_INSTANCE)
            decl = externs_find(&decl->type.instance->exports, name);
        if (decl && decl->type.sort == SORT_FUNC)
            return true;
    }
    return false;
}

static bool export_item(struct embedding *e, struct world_of *world, const struct extern_decl *decl,
                        struct str interface)
{
    struct plan_export row = {.interface = interface, .name = decl->name, .callback = {WASM_NO_INDEX, WASM_NO_INDEX}};
    if (decl->type.sort == SORT_TYPE && decl->type.def == DEF_RESOURCE &&
        !remap_get(&world->in.resources, decl->type.resource->abstract->number))
        return fail(e, ERR_UNSUPPORTED, "is a resource of the module, which needs a component", interface, decl->name);
    if (decl->type.sort != SORT_FUNC || is_exported(e, world, interface, decl->name))
        return true;
    if (!lift(e, world, decl->type.func, &row))
        return false;
    struct plan_export *slot = LIST_PUSH(&e->planner.check, &e->planner.exports, EXPORTS);
    if (slot)
        *slot = row;
    return slot != NULL;
}

static bool export_world(struct embedding *e, struct world_of *world)
{
    const struct externs *exports = &world->type->exports;
    for (uint32_t i = 0; i < exports->count; i++) {
        const struct extern_decl *decl = &exports->items[i];
        if (decl->type.sort != SORT_INSTANCE) {
            if (!export_item(e, world, decl, STR("")))
                return false;
            continue;
        }
        const struct externs *items = &decl->type.instance->exports;
        for (uint32_t k = 0; k < items->count; k++)
            if (!checker_step(&e->planner.check) || !export_item(e, world, &items->items[k], decl->name))
                return false;
    }
    return true;
}

/* A command of WASI 0.1 stays one, whatever else it imports. */
static bool export_command(struct embedding *e)
{
    const struct wasm_functype start = {0, 0, NULL, NULL};
    uint32_t func;
    if (!take_func(e, STR("_start"), &start, &func) || func == WASM_NO_INDEX)
        return func == WASM_NO_INDEX;
    struct plan_export *row = LIST_PUSH(&e->planner.check, &e->planner.exports, EXPORTS);
    if (row)
        *row = (struct plan_export){
            .name = STR("_start"), .func = func, .options = plan_no_row.options, .callback = plan_no_row.callback};
    return row != NULL;
}

bool component_plan_embedded(struct wasm_module *module, struct arena *arena, struct plan **ret_plan, struct err *err)
{
    struct err ignored;
    struct embedding e = {.planner.check = {.arena = arena,
                                            .err = err ? err : &ignored,
                                            .offset = ERR_NO_OFFSET,
                                            .work = COMPONENT_MAX_WORK},
                          .module = module};
    struct plan *plan = ARENA_NEW(arena, struct plan);
    struct unit *unit = ARENA_NEW(arena, struct unit);
    if (!plan || !unit)
        return err_memory(err);
    unit->module = module;
    *plan = (struct plan){.component = true, .units = unit, .unit_count = 1, .handle_tables = 1};
    bool done = take_own(&e) && read_worlds(&e);
    for (uint32_t i = 0; done && i < e.world_count; i++) /* first: what it is for says most */
        done = export_world(&e, &e.worlds[i]);
    if (!done || !export_command(&e) || !fill_imports(&e, plan))
        return false;
    plan->exports = e.planner.exports.items;
    plan->export_count = e.planner.exports.count;
    *ret_plan = plan;
    return true;
}
