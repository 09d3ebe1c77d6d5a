/* Core types of a component (Binary.md, "core:type").
 *
 * The core decoder reads modules, not loose types. So the bytes of a type, or of everything a module
 * type declares, are put into a small module of their own and read from there: a module type's imports
 * become its imports, and its exports become more imports behind them. What is checked about modules
 * then holds for module types too.
 */
#include "base/buf.h"
#include "component/decoder.h"

static const uint8_t preamble[] = {0x00, 'a', 's', 'm', 0x01, 0x00, 0x00, 0x00};

/* Skimming: how far a form reaches. Its meaning is checked by the core decoder. */

static bool skim_list(struct reader *in, bool (*skim)(struct reader *in))
{
    uint32_t count;
    if (!reader_count(in, WASM_LIMIT_FIELDS, &count))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!skim(in))
            return false;
    return true;
}

static bool skim_u32(struct reader *in)
{
    uint32_t value;
    return reader_u32(in, &value);
}

static bool skim_valtype(struct reader *in)
{
    wasm_valtype type;
    return reader_valtype(in, &type);
}

static bool skim_field(struct reader *in)
{
    wasm_valtype type;
    uint8_t mutable_;
    return reader_storage(in, &type) && reader_u8(in, &mutable_);
}

static bool skim_comptype(struct reader *in, uint8_t code)
{
    switch (code) {
    case WASM_COMP_FUNC: return skim_list(in, skim_valtype) && skim_list(in, skim_valtype);
    case WASM_COMP_STRUCT: return skim_list(in, skim_field);
    case WASM_COMP_ARRAY: return skim_field(in);
    default: in->at--; return reader_fail(in, ERR_MALFORMED, "invalid leading byte 0x%02x for a core type", code);
    }
}

static bool skim_subtype(struct reader *in)
{
    uint8_t code;
    if (!reader_u8(in, &code))
        return false;
    if (code != 0x50 && code != 0x4f)
        return skim_comptype(in, code);
    return skim_list(in, skim_u32) && reader_u8(in, &code) && skim_comptype(in, code);
}

static bool skim_rectype(struct reader *in, uint32_t *ret_types)
{
    if (in->at == in->end || *in->at != 0x4e) {
        *ret_types = 1;
        return skim_subtype(in);
    }
    in->at++;
    struct reader count = *in;
    return reader_u32(&count, ret_types) && skim_list(in, skim_subtype);
}

static bool skim_limits(struct reader *in)
{
    uint8_t flags;
    uint64_t value;
    if (!reader_u8(in, &flags) || !reader_u64(in, &value))
        return false;
    if ((flags & 0x01) && !reader_u64(in, &value))
        return false;
    return !(flags & 0x08) || reader_u64(in, &value);
}

/* Reads a type index that must be one of the `types` so far. */
static bool skim_index(struct reader *in, uint32_t types)
{
    uint32_t index;
    if (!reader_u32(in, &index))
        return false;
    return index < types || reader_fail(in, ERR_INVALID, "unknown core type %u: type index out of bounds", index);
}

static bool skim_extern_type(struct reader *in, uint32_t types)
{
    uint8_t kind, byte;
    if (!reader_u8(in, &kind))
        return false;
    switch (kind) {
    case WASM_FUNC: return skim_index(in, types);
    case WASM_TABLE: return skim_valtype(in) && skim_limits(in);
    case WASM_MEMORY: return skim_limits(in);
    case WASM_GLOBAL: return skim_valtype(in) && reader_u8(in, &byte);
    case WASM_TAG: return reader_u8(in, &byte) && skim_index(in, types);
    default: return reader_fail(in, ERR_MALFORMED, "invalid leading byte 0x%02x for a core external type", kind);
    }
}

/* Writing the module. */

static void put_u32(struct buf *to, uint32_t value)
{
    uint8_t bytes[5];
    size_t count = 0;
    do {
        bytes[count] = value & 0x7f;
        value >>= 7;
        bytes[count++] |= value ? 0x80 : 0;
    } while (value);
    buf_append(to, bytes, count);
}

static void put_section(struct buf *to, uint8_t id, uint32_t count, const struct buf *body)
{
    uint32_t width = count < 1u << 7 ? 1 : count < 1u << 14 ? 2 : count < 1u << 21 ? 3 : count < 1u << 28 ? 4 : 5;
    buf_append(to, &id, 1);
    put_u32(to, width + (uint32_t)body->size);
    put_u32(to, count);
    buf_append(to, body->data, body->size);
}

struct declared {
    struct buf types, imports, exports;
    uint32_t groups, type_count, import_count, export_count;
};

static void declared_init(struct declared *m)
{
    memset(m, 0, sizeof *m);
    buf_init(&m->types, COMPONENT_MAX_SIZE);
    buf_init(&m->imports, COMPONENT_MAX_SIZE);
    buf_init(&m->exports, COMPONENT_MAX_SIZE);
}

static void declared_free(struct declared *m)
{
    buf_free(&m->types);
    buf_free(&m->imports);
    buf_free(&m->exports);
}

static bool load(struct decoder *d, struct declared *m, const struct wasm_module **ret_module)
{
    struct checker *c = &d->check;
    struct wasm_module *module;
    struct buf all;
    buf_init(&all, COMPONENT_MAX_SIZE);
    buf_append(&m->imports, m->exports.data, m->exports.size);
    buf_append(&all, preamble, sizeof preamble);
    put_section(&all, 1, m->groups, &m->types);
    put_section(&all, 2, m->import_count + m->export_count, &m->imports);
    bool written = !all.failed && !m->types.failed && !m->imports.failed && !m->exports.failed;
    uint8_t *bytes = written ? arena_copy(c->arena, all.data, all.size) : NULL;
    size_t size = all.size;
    buf_free(&all);
    if (!bytes)
        return checker_memory(c);
    if (!wasm_load(bytes, size, c->arena, &module, c->err)) {
        c->err->offset = c->offset;
        return false;
    }
    *ret_module = module;
    return true;
}

/* Recursion groups. */

static bool add_group(struct decoder *d, struct reader *in)
{
    struct declared m;
    const uint8_t *start = in->at;
    uint32_t offset = reader_offset(in), count = 0;
    const struct wasm_module *module;
    if (!skim_rectype(in, &count))
        return false;
    d->check.offset = offset;
    declared_init(&m);
    m.groups = 1;
    buf_append(&m.types, start, (size_t)(in->at - start));
    bool done = load(d, &m, &module);
    declared_free(&m);
    for (uint32_t i = 0; done && i < count; i++) {
        struct core_type *type = ARENA_NEW(d->check.arena, struct core_type);
        struct entity entity = {.sort = SORT_CORE_TYPE, .core_type = type};
        if (!type)
            return checker_memory(&d->check);
        *type = (struct core_type){NULL, module, i, offset, reader_offset(in)};
        done = scope_add(d, &entity, NULL);
    }
    return done;
}

/* Module types. */

static bool declare_import(struct reader *in, struct declared *m)
{
    const uint8_t *start = in->at;
    struct str name;
    if (!reader_name(in, &name) || !reader_name(in, &name) || !skim_extern_type(in, m->type_count))
        return false;
    m->import_count++;
    buf_append(&m->imports, start, (size_t)(in->at - start));
    return true;
}

static bool declare_export(struct reader *in, struct declared *m)
{
    const uint8_t *start = in->at;
    struct str name;
    if (!reader_name(in, &name) || !skim_extern_type(in, m->type_count))
        return false;
    m->export_count++;
    put_u32(&m->exports, 0); /* the module name */
    buf_append(&m->exports, start, (size_t)(in->at - start));
    return true;
}

static bool declare_type(struct decoder *d, struct reader *in, struct declared *m)
{
    if (in->at != in->end && *in->at == 0x50)
        return decode_fail(d, in, ERR_INVALID, "a module type cannot define module types");
    if (in->at != in->end && *in->at == 0x00)
        in->at++;
    const uint8_t *start = in->at;
    uint32_t count;
    if (!skim_rectype(in, &count))
        return false;
    m->groups++;
    m->type_count += count;
    buf_append(&m->types, start, (size_t)(in->at - start));
    return true;
}

/* Repeats the aliased type; only one that stands alone can be. */
static bool repeat_type(struct decoder *d, const struct core_type *type, const uint8_t *base, struct declared *m)
{
    if (type->module_type)
        return checker_fail(&d->check, ERR_INVALID, "a module type cannot alias module types");
    if (type->module->type_count != 1)
        return checker_fail(&d->check, ERR_UNSUPPORTED, "alias of one type of a recursion group");
    m->groups++;
    m->type_count++;
    buf_append(&m->types, base + type->start, type->end - type->start);
    return true;
}

static bool declare_alias(struct decoder *d, struct reader *in, struct declared *m)
{
    uint8_t sort, form;
    uint32_t count, index;
    d->check.offset = reader_offset(in);
    if (!reader_u8(in, &sort))
        return false;
    if (sort != 0x10)
        return decode_bad_byte(d, in, sort, "outer alias kind");
    if (!reader_u8(in, &form))
        return false;
    if (form != 0x01)
        return decode_bad_byte(d, in, form, "outer alias target");
    if (!reader_u32(in, &count) || !reader_u32(in, &index))
        return false;
    if (count == 0)
        return checker_fail(&d->check, ERR_UNSUPPORTED, "alias of a module type's own type");
    const struct scope *scope = scope_outer(d, count - 1);
    if (!scope)
        return false;
    if (index >= scope->spaces[SORT_CORE_TYPE].count)
        return checker_fail(&d->check, ERR_INVALID, "unknown core type %u: index out of bounds", index);
    return repeat_type(d, scope->spaces[SORT_CORE_TYPE].items[index].core_type, in->base, m);
}

static bool module_declarator(struct decoder *d, struct reader *in, struct declared *m)
{
    uint8_t code;
    if (!reader_u8(in, &code))
        return false;
    switch (code) {
    case 0x00: return declare_import(in, m);
    case 0x01: return declare_type(d, in, m);
    case 0x02: return declare_alias(d, in, m);
    case 0x03: return declare_export(in, m);
    default: return decode_bad_byte(d, in, code, "type definition");
    }
}

static bool module_declarators(struct decoder *d, struct reader *in, struct declared *m)
{
    uint32_t count;
    if (!decode_count(d, in, COMPONENT_LIMIT_DECLARATORS, &count))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!module_declarator(d, in, m))
            return false;
    return true;
}

static bool module_type(struct decoder *d, struct reader *in)
{
    struct declared m;
    const struct wasm_module *module;
    struct core_type *type = ARENA_NEW(d->check.arena, struct core_type);
    struct entity entity = {.sort = SORT_CORE_TYPE, .core_type = type};
    uint32_t offset = reader_offset(in);
    if (!type)
        return checker_memory(&d->check);
    declared_init(&m);
    bool done = module_declarators(d, in, &m);
    d->check.offset = offset;
    done = done && load(d, &m, &module) && core_module_type(&d->check, module, m.import_count, &type->module_type);
    declared_free(&m);
    return done && scope_add(d, &entity, NULL);
}

bool decode_core_type(struct decoder *d, struct reader *in)
{
    uint8_t code;
    d->check.offset = reader_offset(in);
    if (!reader_u8(in, &code))
        return false;
    if (code == 0x50)
        return module_type(d, in);
    if (code != 0x00) {
        in->at--;
        return add_group(d, in);
    }
    if (in->at != in->end && *in->at != 0x50)
        return decode_bad_byte(d, in, code, "a core type");
    return add_group(d, in);
}
