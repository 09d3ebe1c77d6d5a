/* What adapters import, and the bytes of the finished module: see fuse.h. */
#include "component/fuse_op.h"

#include "wasm/module.h"

#define MODULE_MAX ((size_t)8 << 20)

/* ---- what is imported ---- */

static struct fuse_import *find(struct fuse_imports *list, const struct fuse_import *wanted, uint32_t *ret_index)
{
    for (uint32_t i = 0; i < list->count; i++) {
        struct fuse_import *have = &list->items[i];
        bool host = wanted->by.from == IMPORT_HOST;
        bool same = host ? have->kind == wanted->kind && have->from == wanted->from &&
                               have->resource == wanted->resource && have->value == wanted->value
                         : have->by.unit == wanted->by.unit && have->by.index == wanted->by.index;
        if (same && have->by.from == wanted->by.from) {
            *ret_index = i;
            return have;
        }
    }
    return NULL;
}

static uint32_t add(struct fuse *f, struct fuse_imports *list, const struct fuse_import *import)
{
    uint32_t index = 0;
    if (f->failed || find(list, import, &index))
        return index;
    struct fuse_import *slot = LIST_PUSH(&f->p->check, list, IMPORTS);
    if (!slot) {
        f->failed = true;
        return 0;
    }
    *slot = *import;
    return list->count - 1;
}

uint32_t fuse_func(struct fuse *f, uint32_t unit, uint32_t func)
{
    const struct wasm_module *module = f->p->units.items[unit].module;
    struct fuse_import import = {.by = {.from = IMPORT_UNIT, .unit = unit, .index = func},
                                 .type = wasm_func_type(module, func)};
    return add(f, &f->funcs, &import);
}

uint32_t fuse_memory(struct fuse *f, uint32_t unit, uint32_t memory)
{
    struct fuse_import import = {.by = {.from = IMPORT_UNIT, .unit = unit, .index = memory},
                                 .memory = &f->p->units.items[unit].module->memories[memory]};
    return add(f, &f->memories, &import);
}

uint32_t fuse_word(struct fuse *f, uint32_t table, uint32_t offset)
{
    struct fuse_import import = {.by = {.from = IMPORT_WORD, .unit = table, .index = offset}};
    return add(f, &f->globals, &import);
}

/* Core types of the host's functions. */
static const struct wasm_functype *host_type(enum host_import_kind kind)
{
    static const wasm_valtype ints[] = {WASM_I32, WASM_I32};
    static const struct wasm_functype types[HOST_KIND_COUNT] = {
        [HOST_FUSE_TRAP] = {1, 0, ints, ints},  [HOST_FUSE_STRING] = {2, 2, ints, ints},
        [HOST_FUSE_OWN] = {1, 1, ints, ints},   [HOST_FUSE_BORROW] = {1, 1, ints, ints},
        [HOST_FUSE_REP] = {1, 1, ints, ints},   [HOST_FUSE_BEGIN] = {0, 0, ints, ints},
        [HOST_FUSE_END] = {0, 0, ints, ints},   [HOST_FUSE_STREAM] = {1, 1, ints, ints},
        [HOST_FUSE_ERROR] = {1, 1, ints, ints},
    };
    return &types[kind];
}

uint32_t fuse_host(struct fuse *f, enum host_import_kind kind, const struct fuse_side *from, const struct fuse_side *to,
                   const struct concrete *resource, const struct type *value)
{
    struct fuse_import import = {.by = {.from = IMPORT_HOST, .host = WASM_NO_INDEX},
                                 .kind = kind,
                                 .from = from,
                                 .resource = resource,
                                 .value = value,
                                 .type = host_type(kind)};
    uint32_t index = 0;
    if (f->failed || find(&f->funcs, &import, &index))
        return index;
    struct host_import row = plan_no_row;
    row.kind = kind;
    row.name = f->name;
    row.type = import.type;
    if (from) {
        row.options = from->options;
        row.handle_table = from->table;
    }
    if (to) {
        row.peer = to->options;
        row.peer_table = to->table;
    }
    if (resource) {
        row.interface = resource->interface;
        row.name = resource->abstract.resource.name;
        row.resource_type = resource->abstract.resource.id;
    }
    if (!planner_text(f->p, f->in, value, &row.signature) || !planner_add_row(f->p, &row, &import.by.host)) {
        f->failed = true;
        return 0;
    }
    return add(f, &f->funcs, &import);
}

uint32_t fuse_row(struct fuse *f, const struct host_import *row)
{
    struct fuse_import import = {.by = {.from = IMPORT_HOST}, .kind = row->kind, .type = row->type};
    if (f->failed || !planner_add_row(f->p, row, &import.by.host)) {
        f->failed = true;
        return 0;
    }
    return add(f, &f->funcs, &import);
}

/* ---- the module's bytes ---- */

static void put_u32(struct buf *out, uint32_t value)
{
    uint8_t bytes[10];
    buf_append(out, bytes, fuse_leb(bytes, value));
}

static void put_byte(struct buf *out, uint8_t byte)
{
    buf_append(out, &byte, 1);
}

static void put_text(struct buf *out, struct str text)
{
    put_u32(out, (uint32_t)text.len);
    buf_append(out, text.ptr, text.len);
}

static void put_section(struct buf *out, uint8_t id, const struct buf *body)
{
    put_byte(out, id);
    put_u32(out, (uint32_t)body->size);
    buf_append(out, body->data, body->size);
}

static void put_type(struct buf *out, const struct wasm_functype *type)
{
    put_byte(out, WASM_COMP_FUNC);
    put_u32(out, type->param_count);
    for (uint32_t i = 0; i < type->param_count; i++)
        put_byte(out, (uint8_t)(wasm_is_ref(type->params[i]) ? HEAP_FUNC : type->params[i])); /* or funcref */
    put_u32(out, type->result_count);
    for (uint32_t i = 0; i < type->result_count; i++)
        put_byte(out, (uint8_t)type->results[i]);
}

static void put_import(struct buf *out, enum wasm_extern_kind kind)
{
    put_u32(out, 0);
    put_u32(out, 0);
    put_byte(out, (uint8_t)kind);
}

static void put_memory(struct buf *out, const struct wasm_memory *memory)
{
    const struct wasm_limits *limits = &memory->limits;
    put_byte(out, limits->shared ? 2 | 1 : 0);
    put_u32(out, 0);
    if (limits->shared)
        put_u32(out, 1u << (32 - memory->page_log2));
}

/* The types of the imported functions in order, then the adapter's own. */
static void put_types(const struct fuse *f, const struct wasm_functype *own, struct buf *out)
{
    put_u32(out, f->funcs.count + 1);
    for (uint32_t i = 0; i < f->funcs.count; i++)
        put_type(out, f->funcs.items[i].type);
    put_type(out, own);
}

static void put_imports(const struct fuse *f, struct buf *out)
{
    put_u32(out, f->funcs.count + f->tables.count + f->memories.count + f->globals.count);
    for (uint32_t i = 0; i < f->funcs.count; i++) {
        put_import(out, WASM_FUNC);
        put_u32(out, i);
    }
    for (uint32_t i = 0; i < f->tables.count; i++) {
        put_import(out, WASM_TABLE);
        put_byte(out, (uint8_t)HEAP_FUNC);
        put_byte(out, f->tables.items[i].is_64 ? 4 : 0);
        put_u32(out, 0);
    }
    for (uint32_t i = 0; i < f->memories.count; i++) {
        put_import(out, WASM_MEMORY);
        put_memory(out, f->memories.items[i].memory);
    }
    for (uint32_t i = 0; i < f->globals.count; i++) {
        put_import(out, WASM_GLOBAL);
        put_byte(out, WASM_I32);
        put_byte(out, 1);
    }
}

static void put_code(const struct fuse *f, struct buf *out)
{
    struct buf locals;
    buf_init(&locals, MODULE_MAX);
    put_u32(&locals, f->locals.count);
    for (uint32_t i = 0; i < f->locals.count; i++) {
        put_u32(&locals, 1);
        put_byte(&locals, f->locals.items[i].type);
    }
    put_u32(out, 1);
    put_u32(out, (uint32_t)(locals.size + f->code.size));
    buf_append(out, locals.data, locals.size);
    buf_append(out, f->code.data, f->code.size);
    out->failed |= locals.failed;
    buf_free(&locals);
}

/* The function's name, for backtraces: what the caller knows it by. */
static void put_names(const struct fuse *f, struct buf *out)
{
    struct buf names;
    buf_init(&names, MODULE_MAX);
    put_u32(&names, 1);
    put_u32(&names, f->funcs.count);
    put_text(&names, f->name);
    put_text(out, STR("name"));
    put_section(out, 1, &names);
    out->failed |= names.failed;
    buf_free(&names);
}

static void put_module(const struct fuse *f, const struct wasm_functype *own, struct buf *out)
{
    static const uint8_t preamble[] = {0, 'a', 's', 'm', 1, 0, 0, 0};
    enum { TYPES, IMPORTS, FUNCS, CODE, NAMES, PARTS };
    static const uint8_t ids[PARTS] = {1, 2, 3, 10, 0};
    struct buf parts[PARTS];
    for (int i = 0; i < PARTS; i++)
        buf_init(&parts[i], MODULE_MAX);
    put_types(f, own, &parts[TYPES]);
    put_imports(f, &parts[IMPORTS]);
    put_u32(&parts[FUNCS], 1);
    put_u32(&parts[FUNCS], f->funcs.count);
    put_code(f, &parts[CODE]);
    put_names(f, &parts[NAMES]);
    buf_append(out, preamble, sizeof preamble);
    for (int i = 0; i < PARTS; i++) {
        put_section(out, ids[i], &parts[i]);
        out->failed |= parts[i].failed;
        buf_free(&parts[i]);
    }
}

/* ---- the unit ---- */

static struct unit_import *unit_imports(struct fuse *f)
{
    const struct fuse_imports *lists[] = {&f->funcs, &f->tables, &f->memories, &f->globals};
    uint32_t total = f->funcs.count + f->tables.count + f->memories.count + f->globals.count, at = 0;
    struct unit_import *imports = ARENA_ARRAY(f->p->check.arena, struct unit_import, total);
    for (int list = 0; imports && list < 4; list++)
        for (uint32_t i = 0; i < lists[list]->count; i++)
            imports[at++] = lists[list]->items[i].by;
    return imports;
}

bool fuse_finish(struct fuse *f, const struct wasm_functype *type, uint32_t *ret_unit, uint32_t *ret_func)
{
    struct checker *check = &f->p->check;
    struct wasm_module *module;
    struct buf bytes;
    buf_init(&bytes, MODULE_MAX);
    put_module(f, type, &bytes);
    const uint8_t *copy = bytes.failed ? NULL : arena_copy(check->arena, bytes.data, bytes.size);
    size_t size = bytes.size;
    buf_free(&bytes);
    struct unit_import *imports = unit_imports(f);
    if (!copy || !imports)
        return checker_memory(check);
    if (!wasm_load(copy, size, check->arena, &module, check->err))
        return false;
    f->p->adapter_bytes += size;
    if (f->p->adapter_bytes > COMPONENT_MAX_ADAPTERS)
        return checker_limit(check, COMPONENT_LIMIT_ADAPTERS);
    struct unit *unit = LIST_PUSH(check, &f->p->units, INSTANCES);
    if (!unit)
        return false;
    *unit = (struct unit){.module = module, .index = f->p->units.count - 1, .imports = imports};
    *ret_unit = unit->index;
    *ret_func = module->imported_funcs;
    return true;
}

bool planner_unit_of_row(struct planner *p, const struct wasm_functype *type, uint32_t row, uint32_t *ret_unit,
                         uint32_t *ret_func)
{
    struct fuse f = {.p = p, .name = p->imports.items[row].name};
    struct fuse_import import = {.by = {.from = IMPORT_HOST, .host = row}, .type = type};
    buf_init(&f.code, 1024);
    add(&f, &f.funcs, &import);
    for (uint32_t i = 0; i < type->param_count; i++)
        fuse_op_index(&f, OP_LOCAL_GET, i);
    fuse_op_index(&f, OP_CALL, 0);
    fuse_op(&f, OP_END);
    bool done = !f.failed && fuse_finish(&f, type, ret_unit, ret_func);
    buf_free(&f.code);
    return done;
}

/* (index, argument): the table's entry, which must be a function of the type, and the argument go to the host. */
static void write_thread(struct fuse *f, uint32_t func)
{
    fuse_op_index(f, OP_LOCAL_GET, 0);
    fuse_op_index(f, OP_TABLE_GET, 0);
    fuse_op_index(f, OP_PREFIX_FB, 22); /* ref.cast (ref type) */
    fuse_op(f, 0);
    fuse_op_index(f, OP_LOCAL_GET, 1);
    fuse_op_index(f, OP_CALL, func);
    fuse_op(f, OP_END);
}

bool planner_thread_unit(struct planner *p, struct canon_value *canon, struct str import)
{
    static const wasm_valtype params[] = {WASM_FUNCREF, WASM_I32}, results[] = {WASM_I32};
    static const struct wasm_functype host = {2, 1, params, results}, body = {1, 0, params + 1, results};
    struct fuse f = {.p = p, .name = import, .in = canon->in};
    struct host_import row = plan_no_row;
    struct fuse_import typed = {.by = {.from = IMPORT_HOST}, .kind = HOST_FUSE_BEGIN, .type = &body},
                       call = {.by = {.from = IMPORT_HOST}, .kind = HOST_BUILTIN, .type = &host}, table = {0};
    const struct core_value *from = &canon->in->spaces[SORT_CORE_TABLE][canon->canon->table].core;
    if (canon->unit != WASM_NO_INDEX)
        return true;
    row.kind = HOST_BUILTIN;
    row.builtin = canon->canon->kind;
    row.name = str_of(builtin_infos[canon->canon->kind].words);
    row.type = &host;
    table.by = (struct unit_import){.from = IMPORT_UNIT, .unit = from->unit, .index = from->index};
    table.is_64 = p->units.items[from->unit].module->tables[from->index].limits.is_64;
    if (!planner_handle_table(p, canon->in, &row.handle_table) || !planner_add_row(p, &row, &call.by.host))
        return false;
    typed.by.host = call.by.host;
    buf_init(&f.code, 1024);
    add(&f, &f.tables, &table);
    add(&f, &f.funcs, &typed); /* never called: its type is type 0 of the module */
    write_thread(&f, add(&f, &f.funcs, &call));
    bool done = !f.failed && fuse_finish(&f, canon->type, &canon->unit, &canon->func);
    buf_free(&f.code);
    return done;
}
