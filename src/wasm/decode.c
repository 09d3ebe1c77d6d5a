/* Binary module -> struct wasm_module (core specification, section 5.5). Syntax only: what this file
 * refuses is malformed or over a cap; indices and types are validate.c's.
 *
 * Index spaces are gathered in growing arrays, because imports come first in them, and copied to the
 * arena when the last section was read. Nothing is allocated for a count before the bytes that
 * must follow it were seen to be there.
 */
#include "wasm/decode.h"

#include "wasm/instr.h"
#include "wasm/reader.h"

struct decoder {
    struct reader in; /* the section being read */
    struct arena *arena;
    struct wasm_module *module;
    struct instr_lists lists;
    VEC(struct wasm_type) types;
    VEC(struct wasm_func) funcs;
    VEC(struct wasm_table) tables;
    VEC(struct wasm_memory) memories;
    VEC(struct wasm_global) globals;
    VEC(struct wasm_tag) tags;
    VEC(struct wasm_custom) customs;
    uint32_t bodies, data_count;
};

/* A new element of one of the arrays, or NULL with the error set. */
#define ADD(d, vec, limit)                                                                                             \
    ((vec)->count >= WASM_MAX_##limit ? (reader_report_limit(&(d)->in, WASM_LIMIT_##limit), NULL)                      \
                                      : checked(d, VEC_PUSH((vec), WASM_MAX_##limit)))

static void *checked(struct decoder *d, void *block)
{
    if (!block)
        err_memory(d->in.err);
    return block;
}

#define ARRAY(d, type, count) ((type *)checked((d), ARENA_ARRAY((d)->arena, type, (count))))

static bool expr(struct decoder *d, struct wasm_expr *ret)
{
    return instr_skip_expr(&d->in, &d->lists, ret);
}

/* An index that is there, so not WASM_NO_INDEX. */
static bool optional_index(struct decoder *d, uint32_t *ret)
{
    uint32_t index;
    if (!reader_u32(&d->in, &index))
        return false;
    if (index == WASM_NO_INDEX)
        return reader_fail(&d->in, ERR_INVALID, "unknown index %u", index);
    *ret = index;
    return true;
}

/* --- types --- */

static bool valtypes(struct decoder *d, enum wasm_limit limit, uint32_t *ret_count, const wasm_valtype **ret_types)
{
    uint32_t count;
    if (!reader_count(&d->in, limit, &count))
        return false;
    wasm_valtype *types = ARRAY(d, wasm_valtype, count);
    if (!types)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!reader_valtype(&d->in, &types[i]))
            return false;
    *ret_count = count;
    *ret_types = types;
    return true;
}

static bool functype(struct decoder *d, struct wasm_functype *ret)
{
    return valtypes(d, WASM_LIMIT_PARAMS, &ret->param_count, &ret->params) &&
           valtypes(d, WASM_LIMIT_RESULTS, &ret->result_count, &ret->results);
}

static bool mutability(struct decoder *d, bool *ret)
{
    uint8_t code;
    if (!reader_u8(&d->in, &code))
        return false;
    if (code > 1)
        return reader_fail(&d->in, ERR_MALFORMED, "malformed mutability 0x%02x", code);
    *ret = code == 1;
    return true;
}

static bool fields(struct decoder *d, uint32_t count, struct wasm_type *type)
{
    struct wasm_fieldtype *list = ARRAY(d, struct wasm_fieldtype, count);
    if (!list)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!reader_storage(&d->in, &list[i].storage) || !mutability(d, &list[i].mutable_))
            return false;
    type->fields = list;
    type->field_count = count;
    return true;
}

static bool comptype(struct decoder *d, struct wasm_type *type)
{
    uint8_t code;
    uint32_t count = 1;
    if (!reader_u8(&d->in, &code))
        return false;
    type->kind = (enum wasm_comptype_kind)code;
    switch (code) {
    case WASM_COMP_FUNC: return functype(d, &type->func);
    case WASM_COMP_STRUCT: return reader_count(&d->in, WASM_LIMIT_FIELDS, &count) && fields(d, count, type);
    case WASM_COMP_ARRAY: return fields(d, count, type);
    default: d->in.at--; return reader_fail(&d->in, ERR_MALFORMED, "malformed type 0x%02x", code);
    }
}

enum { CODE_SUB = 0x50, CODE_SUB_FINAL = 0x4f, CODE_REC = 0x4e };

static bool supertype(struct decoder *d, struct wasm_type *type)
{
    uint32_t count;
    if (!reader_count(&d->in, WASM_LIMIT_TYPES, &count))
        return false;
    if (count > 1)
        return reader_fail(&d->in, ERR_INVALID, "more than one supertype");
    return count == 0 || optional_index(d, &type->supertype);
}

static bool peek(struct decoder *d, uint8_t *ret)
{
    bool done = reader_u8(&d->in, ret);
    d->in.at -= done;
    return done;
}

static bool subtype(struct decoder *d, uint32_t group_start, uint32_t group_size)
{
    uint8_t code;
    struct wasm_type *type = ADD(d, &d->types, TYPES);
    if (!type || !peek(d, &code))
        return false;
    type->at = reader_offset(&d->in);
    type->final = code != CODE_SUB;
    type->supertype = WASM_NO_INDEX;
    type->group_start = group_start;
    type->group_size = group_size;
    bool plain = code != CODE_SUB && code != CODE_SUB_FINAL;
    d->in.at += !plain;
    return (plain || supertype(d, type)) && comptype(d, type);
}

static bool rec_group(struct decoder *d)
{
    uint8_t code;
    uint32_t count = 1, start = (uint32_t)d->types.count;
    if (!peek(d, &code))
        return false;
    if (code == CODE_REC) {
        d->in.at++;
        if (!reader_count(&d->in, WASM_LIMIT_TYPES, &count))
            return false;
    }
    for (uint32_t i = 0; i < count; i++)
        if (!subtype(d, start, count))
            return false;
    return true;
}

/* --- the sections --- */

static bool each(struct decoder *d, enum wasm_limit limit, bool (*item)(struct decoder *d))
{
    uint32_t count;
    if (!reader_count(&d->in, limit, &count))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!item(d))
            return false;
    return true;
}

static bool type_section(struct decoder *d)
{
    return each(d, WASM_LIMIT_TYPES, rec_group);
}

/* The flags of limits: bit 0 a maximum, bit 1 shared (memories only), bit 2 64-bit addresses. */
static bool limits(struct decoder *d, uint8_t allowed, struct wasm_limits *ret)
{
    uint8_t flags;
    if (!reader_u8(&d->in, &flags))
        return false;
    if (flags & ~allowed)
        return reader_fail(&d->in, ERR_MALFORMED, "malformed limits flags 0x%02x", flags);
    *ret = (struct wasm_limits){0, UINT64_MAX, flags & 1, flags & 4, flags & 2};
    return reader_u64(&d->in, &ret->min) && (!ret->has_max || reader_u64(&d->in, &ret->max));
}

static bool func_type(struct decoder *d, uint32_t import)
{
    struct wasm_func *func = ADD(d, &d->funcs, FUNCTIONS);
    if (!func)
        return false;
    func->at = reader_offset(&d->in);
    func->import = import;
    return reader_u32(&d->in, &func->type);
}

static struct wasm_table *table_type(struct decoder *d, uint32_t import)
{
    struct wasm_table *table = ADD(d, &d->tables, TABLES);
    if (!table)
        return NULL;
    table->at = reader_offset(&d->in);
    table->import = import;
    return reader_reftype(&d->in, &table->type) && limits(d, 5, &table->limits) ? table : NULL;
}

static bool memory_type(struct decoder *d, uint32_t import)
{
    struct wasm_memory *memory = ADD(d, &d->memories, MEMORIES);
    if (!memory)
        return false;
    memory->at = reader_offset(&d->in);
    memory->import = import;
    memory->page_log2 = 16;
    return limits(d, 7, &memory->limits);
}

static struct wasm_global *global_type(struct decoder *d, uint32_t import)
{
    struct wasm_global *global = ADD(d, &d->globals, GLOBALS);
    if (!global)
        return NULL;
    global->at = reader_offset(&d->in);
    global->import = import;
    return reader_valtype(&d->in, &global->type) && mutability(d, &global->mutable_) ? global : NULL;
}

static bool tag_type(struct decoder *d, uint32_t import)
{
    uint8_t attribute;
    struct wasm_tag *tag = ADD(d, &d->tags, TAGS);
    if (!tag)
        return false;
    tag->at = reader_offset(&d->in);
    tag->import = import;
    if (!reader_u8(&d->in, &attribute))
        return false;
    if (attribute != 0)
        return reader_fail(&d->in, ERR_MALFORMED, "malformed tag attribute 0x%02x", attribute);
    return reader_u32(&d->in, &tag->type);
}

static bool import_type(struct decoder *d, struct wasm_import *entry, uint32_t import)
{
    switch (entry->kind) {
    case WASM_FUNC: entry->index = (uint32_t)d->funcs.count; return func_type(d, import);
    case WASM_TABLE: entry->index = (uint32_t)d->tables.count; return table_type(d, import) != NULL;
    case WASM_MEMORY: entry->index = (uint32_t)d->memories.count; return memory_type(d, import);
    case WASM_GLOBAL: entry->index = (uint32_t)d->globals.count; return global_type(d, import) != NULL;
    case WASM_TAG: entry->index = (uint32_t)d->tags.count; return tag_type(d, import);
    }
    d->in.at--;
    return reader_fail(&d->in, ERR_MALFORMED, "malformed import kind 0x%02x", entry->kind);
}

static bool import_section(struct decoder *d)
{
    struct wasm_module *module = d->module;
    uint32_t count;
    if (!reader_count(&d->in, WASM_LIMIT_IMPORTS, &count))
        return false;
    module->imports = ARRAY(d, struct wasm_import, count);
    if (!module->imports)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        uint8_t kind;
        struct wasm_import *entry = &module->imports[i];
        entry->at = reader_offset(&d->in);
        if (!reader_name(&d->in, &entry->module) || !reader_name(&d->in, &entry->name) || !reader_u8(&d->in, &kind))
            return false;
        entry->kind = (enum wasm_extern_kind)kind;
        if (!import_type(d, entry, i))
            return false;
    }
    module->import_count = count;
    module->imported_funcs = (uint32_t)d->funcs.count;
    module->imported_tables = (uint32_t)d->tables.count;
    module->imported_memories = (uint32_t)d->memories.count;
    module->imported_globals = (uint32_t)d->globals.count;
    module->imported_tags = (uint32_t)d->tags.count;
    return true;
}

static bool func_item(struct decoder *d)
{
    return func_type(d, WASM_NO_INDEX);
}

static bool function_section(struct decoder *d)
{
    return each(d, WASM_LIMIT_FUNCTIONS, func_item);
}

/* A table with an initializer starts with two bytes that no reference type starts with. */
static bool table_item(struct decoder *d)
{
    uint8_t code, zero = 0;
    if (!peek(d, &code))
        return false;
    bool has_init = code == 0x40;
    d->in.at += has_init;
    if (has_init && !reader_u8(&d->in, &zero))
        return false;
    if (zero != 0)
        return reader_fail(&d->in, ERR_MALFORMED, "malformed table");
    struct wasm_table *table = table_type(d, WASM_NO_INDEX);
    if (!table)
        return false;
    table->has_init = has_init;
    return !has_init || expr(d, &table->init);
}

static bool table_section(struct decoder *d)
{
    return each(d, WASM_LIMIT_TABLES, table_item);
}

static bool memory_item(struct decoder *d)
{
    return memory_type(d, WASM_NO_INDEX);
}

static bool memory_section(struct decoder *d)
{
    return each(d, WASM_LIMIT_MEMORIES, memory_item);
}

static bool tag_item(struct decoder *d)
{
    return tag_type(d, WASM_NO_INDEX);
}

static bool tag_section(struct decoder *d)
{
    return each(d, WASM_LIMIT_TAGS, tag_item);
}

static bool global_item(struct decoder *d)
{
    struct wasm_global *global = global_type(d, WASM_NO_INDEX);
    return global && expr(d, &global->init);
}

static bool global_section(struct decoder *d)
{
    return each(d, WASM_LIMIT_GLOBALS, global_item);
}

static bool export_item(struct decoder *d, struct wasm_export *entry)
{
    uint8_t kind;
    entry->at = reader_offset(&d->in);
    if (!reader_name(&d->in, &entry->name) || !reader_u8(&d->in, &kind))
        return false;
    if (kind > WASM_TAG)
        return reader_fail(&d->in, ERR_MALFORMED, "malformed export kind 0x%02x", kind);
    entry->kind = (enum wasm_extern_kind)kind;
    return reader_u32(&d->in, &entry->index);
}

static bool export_section(struct decoder *d)
{
    uint32_t count;
    if (!reader_count(&d->in, WASM_LIMIT_EXPORTS, &count))
        return false;
    d->module->exports = ARRAY(d, struct wasm_export, count);
    if (!d->module->exports)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!export_item(d, &d->module->exports[i]))
            return false;
    d->module->export_count = count;
    return true;
}

static bool start_section(struct decoder *d)
{
    d->module->start_at = reader_offset(&d->in);
    return optional_index(d, &d->module->start);
}

static bool elem_funcs(struct decoder *d, struct wasm_elem *elem)
{
    uint32_t *funcs = ARRAY(d, uint32_t, elem->count);
    if (!funcs)
        return false;
    for (uint32_t i = 0; i < elem->count; i++)
        if (!reader_u32(&d->in, &funcs[i]))
            return false;
    elem->funcs = funcs;
    return true;
}

static bool elem_exprs(struct decoder *d, struct wasm_elem *elem)
{
    struct wasm_expr *exprs = ARRAY(d, struct wasm_expr, elem->count);
    if (!exprs)
        return false;
    for (uint32_t i = 0; i < elem->count; i++)
        if (!expr(d, &exprs[i]))
            return false;
    elem->exprs = exprs;
    return true;
}

/* Lists of functions have a kind (0: function), lists of expressions a type. */
static bool elem_type(struct decoder *d, bool exprs, struct wasm_elem *elem)
{
    uint8_t kind;
    if (exprs)
        return reader_reftype(&d->in, &elem->type);
    if (!reader_u8(&d->in, &kind))
        return false;
    return kind == 0 || reader_fail(&d->in, ERR_MALFORMED, "malformed element kind 0x%02x", kind);
}

/* Flags: bit 0 not active; bit 1 table index given, or declared; bit 2 expressions. */
static bool elem_item(struct decoder *d, struct wasm_elem *elem)
{
    uint32_t flags;
    elem->at = reader_offset(&d->in);
    if (!reader_u32(&d->in, &flags))
        return false;
    if (flags > 7)
        return reader_fail(&d->in, ERR_MALFORMED, "malformed element segment flags 0x%x", flags);
    bool exprs = flags & 4;
    elem->mode = !(flags & 1) ? WASM_ACTIVE : flags & 2 ? WASM_DECLARED : WASM_PASSIVE;
    elem->type = exprs ? WASM_FUNCREF : WASM_REF | HEAP_FUNC;
    if (elem->mode == WASM_ACTIVE && flags & 2 && !reader_u32(&d->in, &elem->table))
        return false;
    if (elem->mode == WASM_ACTIVE && !expr(d, &elem->offset))
        return false;
    if (flags & 3 && !elem_type(d, exprs, elem))
        return false;
    if (!reader_count(&d->in, WASM_LIMIT_ELEM_ENTRIES, &elem->count))
        return false;
    return exprs ? elem_exprs(d, elem) : elem_funcs(d, elem);
}

static bool element_section(struct decoder *d)
{
    uint32_t count;
    if (!reader_count(&d->in, WASM_LIMIT_ELEM_SEGMENTS, &count))
        return false;
    d->module->elems = ARRAY(d, struct wasm_elem, count);
    if (!d->module->elems)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!elem_item(d, &d->module->elems[i]))
            return false;
    d->module->elem_count = count;
    return true;
}

static bool data_count_section(struct decoder *d)
{
    d->module->has_data_count = true;
    return reader_u32(&d->in, &d->data_count);
}

static bool body_item(struct decoder *d)
{
    uint32_t size;
    const uint8_t *bytes;
    if (!reader_u32(&d->in, &size))
        return false;
    if (d->module->imported_funcs + d->bodies >= d->funcs.count)
        return reader_fail(&d->in, ERR_MALFORMED, "function and code section have inconsistent lengths");
    struct wasm_func *func = &d->funcs.items[d->module->imported_funcs + d->bodies++];
    func->body = reader_offset(&d->in);
    func->size = size;
    if (size > reader_left(&d->in))
        return reader_end(&d->in);
    if (size > WASM_MAX_BODY_SIZE)
        return reader_limit(&d->in, WASM_LIMIT_BODY_SIZE);
    return reader_bytes(&d->in, size, &bytes);
}

static bool code_section(struct decoder *d)
{
    return each(d, WASM_LIMIT_FUNCTIONS, body_item);
}

/* Flags: 0 active in memory 0, 1 passive, 2 active in a memory that is named. */
static bool data_item(struct decoder *d, struct wasm_data *data)
{
    uint32_t flags;
    const uint8_t *bytes;
    data->at = reader_offset(&d->in);
    if (!reader_u32(&d->in, &flags))
        return false;
    if (flags > 2)
        return reader_fail(&d->in, ERR_MALFORMED, "malformed data segment flags 0x%x", flags);
    data->mode = flags == 1 ? WASM_PASSIVE : WASM_ACTIVE;
    if (flags == 2 && !reader_u32(&d->in, &data->memory))
        return false;
    if (data->mode == WASM_ACTIVE && !expr(d, &data->offset))
        return false;
    if (!reader_u32(&d->in, &data->size))
        return false;
    data->start = reader_offset(&d->in);
    return reader_bytes(&d->in, data->size, &bytes);
}

static bool data_section(struct decoder *d)
{
    uint32_t count;
    if (!reader_count(&d->in, WASM_LIMIT_DATA_SEGMENTS, &count))
        return false;
    d->module->datas = ARRAY(d, struct wasm_data, count);
    if (!d->module->datas)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!data_item(d, &d->module->datas[i]))
            return false;
    d->module->data_count = count;
    return true;
}

static bool custom_section(struct decoder *d)
{
    struct wasm_custom *custom = ADD(d, &d->customs, CUSTOM_SECTIONS);
    if (!custom || !reader_name(&d->in, &custom->name))
        return false;
    custom->start = reader_offset(&d->in);
    custom->size = (uint32_t)reader_left(&d->in);
    d->in.at = d->in.end;
    return true;
}

/* --- the module --- */

/* By id; `order` is the place in a module, 0 for the one that may stand anywhere. */
static const struct section {
    bool (*read)(struct decoder *d);
    unsigned order;
    const char *name;
} sections[] = {
    [0] = {custom_section, 0, "custom"},    [1] = {type_section, 1, "type"},
    [2] = {import_section, 2, "import"},    [3] = {function_section, 3, "function"},
    [4] = {table_section, 4, "table"},      [5] = {memory_section, 5, "memory"},
    [13] = {tag_section, 6, "tag"},         [6] = {global_section, 7, "global"},
    [7] = {export_section, 8, "export"},    [8] = {start_section, 9, "start"},
    [9] = {element_section, 10, "element"}, [12] = {data_count_section, 11, "data count"},
    [10] = {code_section, 12, "code"},      [11] = {data_section, 13, "data"},
};

static bool section_body(struct decoder *d, const struct section *section, struct reader *all, uint32_t size)
{
    if (size > reader_left(all))
        return reader_fail(all, ERR_MALFORMED, "length out of bounds: the %s section wants %u bytes, %zu are left",
                           section->name, size, reader_left(all));
    if (!reader_window(all, size, &d->in) || !section->read(d))
        return false;
    if (d->in.at != d->in.end)
        return reader_fail(&d->in, ERR_MALFORMED, "section size mismatch: %zu bytes left in the %s section",
                           reader_left(&d->in), section->name);
    return true;
}

static bool section(struct decoder *d, struct reader *all, unsigned *order)
{
    uint8_t id;
    uint32_t size;
    if (!reader_u8(all, &id))
        return false;
    if (id >= sizeof sections / sizeof *sections) {
        all->at--;
        return reader_fail(all, ERR_MALFORMED, "malformed section id %u", id);
    }
    if (sections[id].order != 0 && sections[id].order <= *order) {
        all->at--;
        return reader_fail(all, ERR_MALFORMED, "unexpected content after last section: %s section out of order",
                           sections[id].name);
    }
    if (sections[id].order != 0)
        *order = sections[id].order;
    return reader_u32(all, &size) && section_body(d, &sections[id], all, size);
}

static bool header(struct reader *all)
{
    static const uint8_t magic[4] = "\0asm", version[4] = {1, 0, 0, 0};
    if (reader_left(all) < sizeof magic || memcmp(all->at, magic, sizeof magic) != 0)
        return reader_fail(all, ERR_MALFORMED, "magic header not detected");
    all->at += sizeof magic;
    if (reader_left(all) < sizeof version || memcmp(all->at, version, sizeof version) != 0)
        return reader_fail(all, ERR_MALFORMED, "unknown binary version");
    all->at += sizeof version;
    return true;
}

/* What only the whole module shows. */
static bool consistent(struct decoder *d, const struct reader *all)
{
    const struct wasm_module *module = d->module;
    if (module->imported_funcs + d->bodies != d->funcs.count)
        return reader_fail(all, ERR_MALFORMED, "function and code section have inconsistent lengths");
    if (module->has_data_count && module->data_count != d->data_count)
        return reader_fail(all, ERR_MALFORMED, "data count and data section have inconsistent lengths");
    return true;
}

#define SEAL(d, array, length)                                                                                         \
    (((d)->module->length = (uint32_t)(d)->array.count) == 0 ||                                                        \
     ((d)->module->array = checked(                                                                                    \
          (d), arena_copy((d)->arena, (d)->array.items, (d)->array.count * sizeof *(d)->array.items))) != NULL)

static bool seal(struct decoder *d)
{
    return SEAL(d, types, type_count) && SEAL(d, funcs, func_count) && SEAL(d, tables, table_count) &&
           SEAL(d, memories, memory_count) && SEAL(d, globals, global_count) && SEAL(d, tags, tag_count) &&
           SEAL(d, customs, custom_count);
}

static bool decode_all(struct decoder *d, struct reader *all)
{
    unsigned order = 0;
    if (all->end - all->base > WASM_MAX_MODULE_SIZE)
        return reader_limit(all, WASM_LIMIT_MODULE_SIZE);
    if (!header(all))
        return false;
    while (all->at != all->end)
        if (!section(d, all, &order))
            return false;
    return consistent(d, all) && seal(d);
}

static void decoder_free(struct decoder *d)
{
    VEC_FREE(&d->types);
    VEC_FREE(&d->funcs);
    VEC_FREE(&d->tables);
    VEC_FREE(&d->memories);
    VEC_FREE(&d->globals);
    VEC_FREE(&d->tags);
    VEC_FREE(&d->customs);
    instr_lists_free(&d->lists);
}

bool wasm_decode(const uint8_t *bytes, size_t size, struct arena *arena, struct wasm_module **ret_module,
                 struct err *err)
{
    struct wasm_module *module = ARENA_NEW(arena, struct wasm_module);
    if (!module)
        return err_memory(err);
    struct decoder d = {.arena = arena, .module = module, .in.err = err};
    struct reader all = {bytes, bytes, bytes + size, err};
    module->bytes = bytes;
    module->size = size;
    module->start = WASM_NO_INDEX;
    bool done = decode_all(&d, &all);
    decoder_free(&d);
    if (done)
        *ret_module = module;
    return done;
}

bool wasm_load(const uint8_t *bytes, size_t size, struct arena *arena, struct wasm_module **ret_module, struct err *err)
{
    struct wasm_module *module;
    if (!wasm_decode(bytes, size, arena, &module, err) || !wasm_validate(module, err) ||
        !wasm_read_names(module, arena, err) || !wasm_read_hints(module, arena, err))
        return false;
    *ret_module = module;
    return true;
}
