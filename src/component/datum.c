/* See datum.h: lowering parameters and lifting results as CanonicalABI.md says, walking the type. A flat value is the
 * cell's low bits whatever its core type is, which is why joined types need no conversion here. */
#include "component/datum.h"

#include "component/async.h"

#include "runtime/call.h"
#include "runtime/task.h"

#define LIST_MAX (1u << 24) /* elements that become data */
#define CHUNK 4096u          /* elements, between which the guest's deadline counts */

/* Where a value is put to or taken from: cells in order, or memory. */
struct place_of {
    union cell *cells; /* NULL: memory */
    uint32_t next;
    uint8_t *at;
};

struct border {
    struct canon c;
    struct arena *arena; /* of lifted data */
    bool bytes; /* lists of u8 are lifted as texts */
};

static struct place_of part_at(const struct place_of *whole, uint32_t offset)
{
    struct place_of part = *whole;
    if (!part.cells)
        part.at += offset;
    return part;
}

static void put_bits(struct place_of *to, uint64_t bits, uint32_t size)
{
    if (to->cells)
        to->cells[to->next++] = (union cell){.u64 = bits};
    else
        memcpy(to->at, &bits, size);
}

static uint64_t get_bits(struct place_of *from, uint32_t size)
{
    uint64_t bits = 0;
    memcpy(&bits, from->cells ? (const void *)&from->cells[from->next++] : from->at, size);
    return bits;
}

/* ---- lowering ---- */

static bool lower(struct border *b, const struct type *type, const struct datum *datum, struct place_of *to);

static bool lower_part(struct border *b, const struct type *type, const struct datum *datum, struct place_of *to,
                       uint32_t offset)
{
    struct place_of part = part_at(to, offset);
    bool done = lower(b, type, datum, &part);
    to->next = part.next;
    return done;
}

/* A pair of numbers that is in memory already, or in cells. */
static void put_pair(struct place_of *to, const uint8_t pair[8])
{
    for (uint32_t i = 0; i < 2; i++) {
        struct place_of part = part_at(to, 4 * i);
        put_bits(&part, canon_load_u32(pair + 4 * i), 4);
        to->next = part.next;
    }
}

static bool lower_string(struct border *b, const struct datum *datum, struct place_of *to)
{
    uint8_t pair[8];
    if (!canon_store_string(&b->c, pair, datum->text))
        return false;
    put_pair(to, pair);
    return true;
}

static bool lower_list(struct border *b, const struct type *element, const struct datum *datum, struct place_of *to)
{
    uint8_t pair[8], *elements;
    if (element->kind == TYPE_U8 && datum->text.len) {
        if (!canon_store_bytes(&b->c, pair, datum->text.ptr, datum->text.len, 1, 1))
            return false;
        put_pair(to, pair);
        return true;
    }
    if (!canon_store_list(&b->c, pair, datum->count, element->size, element->align, &elements))
        return false;
    for (uint32_t i = 0; i < datum->count; i++) {
        struct place_of place = {.at = elements + (size_t)i * element->size};
        if ((i % CHUNK == 0 && !guest_goes_on(b->c.store)) || !lower(b, element, &datum->items[i], &place))
            return false;
    }
    put_pair(to, pair);
    return true;
}

static bool lower_fixed_list(struct border *b, const struct type *type, const struct datum *datum, struct place_of *to)
{
    for (uint32_t i = 0; i < type->count; i++)
        if (!lower_part(b, type->element, &datum->items[i], to, i * type->element->size))
            return false;
    return true;
}

static uint32_t field_offset(const struct type *field, uint32_t end)
{
    return (end + field->align - 1) & ~(field->align - 1);
}

static bool lower_record(struct border *b, const struct type *type, const struct datum *datum, struct place_of *to)
{
    uint32_t offset = 0;
    for (uint32_t i = 0; i < type->count; i++) {
        const struct type *field = type->items[i].type;
        offset = field_offset(field, offset);
        if (!lower_part(b, field, &datum->items[i], to, offset))
            return false;
        offset += field->size;
    }
    return true;
}

static bool lower_variant(struct border *b, const struct type *type, const struct datum *datum, struct place_of *to)
{
    uint32_t end = to->next + type->flat_count;
    const struct type *payload = type->items[datum->bits].type;
    put_bits(to, datum->bits, type->discriminant_size);
    for (uint32_t i = to->next; to->cells && i < end; i++)
        to->cells[i] = (union cell){0};
    if (payload && !lower_part(b, payload, datum->items, to, type->payload_offset))
        return false;
    to->next = to->cells ? end : to->next;
    return true;
}

/* Handles: what was lifted goes into the table. */
static bool lower_handle(struct border *b, const struct type *type, const struct datum *datum, struct place_of *to)
{
    void *object = (void *)(uintptr_t)datum->bits;
    uint32_t index;
    bool done = type->kind == TYPE_OWN ? canon_give(&b->c, type->resource->id & HANDLE_TYPE_MAX, object, &index)
                : type->kind == TYPE_ERROR_CONTEXT ? error_lower(&b->c, &index)
                                                   : end_lower(&b->c, object, &index);
    if (!done)
        return false;
    put_bits(to, index, 4);
    return true;
}

static bool lower(struct border *b, const struct type *type, const struct datum *datum, struct place_of *to)
{
    switch (type->kind) {
    case TYPE_OWN:
    case TYPE_STREAM:
    case TYPE_FUTURE:
    case TYPE_ERROR_CONTEXT: return lower_handle(b, type, datum, to);
    case TYPE_STRING: return lower_string(b, datum, to);
    case TYPE_LIST:
    case TYPE_MAP: return lower_list(b, type->element, datum, to);
    case TYPE_FIXED_LIST: return lower_fixed_list(b, type, datum, to);
    case TYPE_RECORD:
    case TYPE_TUPLE: return lower_record(b, type, datum, to);
    case TYPE_VARIANT:
    case TYPE_ENUM:
    case TYPE_OPTION:
    case TYPE_RESULT: return lower_variant(b, type, datum, to);
    default: put_bits(to, datum->bits, type->size); return true;
    }
}

/* ---- lifting ---- */

static bool lift(struct border *b, const struct type *type, struct place_of *from, struct datum *ret);

static bool lift_part(struct border *b, const struct type *type, struct place_of *from, uint32_t offset,
                      struct datum *ret)
{
    struct place_of part = part_at(from, offset);
    bool done = lift(b, type, &part, ret);
    from->next = part.next;
    return done;
}

static bool make_items(struct border *b, uint32_t count, struct datum *ret)
{
    ret->items = count <= LIST_MAX ? ARENA_ARRAY(b->arena, struct datum, count) : NULL;
    ret->count = count;
    return ret->items || canon_trap_memory(&b->c);
}

static void get_pair(struct place_of *from, uint32_t pair[2])
{
    for (uint32_t i = 0; i < 2; i++) {
        struct place_of part = part_at(from, 4 * i);
        pair[i] = (uint32_t)get_bits(&part, 4);
        from->next = part.next;
    }
}

static bool lift_string(struct border *b, struct place_of *from, struct datum *ret)
{
    uint32_t pair[2];
    struct str view;
    get_pair(from, pair);
    if (!canon_string(&b->c, pair[0], pair[1], &view))
        return false;
    ret->text = (struct str){arena_copy(b->arena, view.ptr, view.len), view.len};
    return ret->text.ptr || canon_trap_memory(&b->c);
}

static bool lift_bytes(struct border *b, const uint32_t pair[2], struct datum *ret)
{
    const void *bytes;
    if (!canon_list(&b->c, pair[0], pair[1], 1, 1, &bytes))
        return false;
    ret->text = (struct str){arena_copy(b->arena, bytes, pair[1]), pair[1]};
    return ret->text.ptr || canon_trap_memory(&b->c);
}

static bool lift_list(struct border *b, const struct type *element, struct place_of *from, struct datum *ret)
{
    uint32_t pair[2];
    const void *elements;
    get_pair(from, pair);
    if (b->bytes && element->kind == TYPE_U8)
        return lift_bytes(b, pair, ret);
    if (!canon_list(&b->c, pair[0], pair[1], element->size, element->align, &elements) || !make_items(b, pair[1], ret))
        return false;
    for (uint32_t i = 0; i < pair[1]; i++) {
        struct place_of place = {.at = (uint8_t *)elements + (size_t)i * element->size};
        if ((i % CHUNK == 0 && !guest_goes_on(b->c.store)) || !lift(b, element, &place, &ret->items[i]))
            return false;
    }
    return true;
}

static bool lift_fixed_list(struct border *b, const struct type *type, struct place_of *from, struct datum *ret)
{
    if (!make_items(b, type->count, ret))
        return false;
    for (uint32_t i = 0; i < type->count; i++)
        if (!lift_part(b, type->element, from, i * type->element->size, &ret->items[i]))
            return false;
    return true;
}

static bool lift_record(struct border *b, const struct type *type, struct place_of *from, struct datum *ret)
{
    uint32_t offset = 0;
    if (!make_items(b, type->count, ret))
        return false;
    for (uint32_t i = 0; i < type->count; i++) {
        const struct type *field = type->items[i].type;
        offset = field_offset(field, offset);
        if (!lift_part(b, field, from, offset, &ret->items[i]))
            return false;
        offset += field->size;
    }
    return true;
}

static bool lift_variant(struct border *b, const struct type *type, struct place_of *from, struct datum *ret)
{
    uint32_t end = from->next + type->flat_count;
    ret->bits = get_bits(from, from->cells ? 4 : type->discriminant_size);
    if (!canon_case(&b->c, (uint32_t)ret->bits, type->count))
        return false;
    const struct type *payload = type->items[ret->bits].type;
    if (payload && (!make_items(b, 1, ret) || !lift_part(b, payload, from, type->payload_offset, ret->items)))
        return false;
    from->next = from->cells ? end : from->next;
    return true;
}

static bool lift_own(struct border *b, const struct type *type, struct place_of *from, struct datum *ret)
{
    void *rep = NULL;
    if (!canon_own(&b->c, (uint32_t)get_bits(from, 4), type->resource->id & HANDLE_TYPE_MAX, &rep))
        return false;
    ret->bits = (uint64_t)(uintptr_t)rep;
    return true;
}

/* The readable end of a stream or future. Its type was written as components in the file write it. */
static bool lift_end(struct border *b, const struct type *type, struct place_of *from, struct datum *ret)
{
    struct end *end;
    struct buf text;
    buf_init(&text, 1 << 20);
    bool done = type_text(type, &text) &&
                end_lift(&b->c, (uint32_t)get_bits(from, 4), (struct str){(const char *)text.data, text.size}, &end);
    if (text.failed)
        done = canon_trap_memory(&b->c);
    buf_free(&text);
    if (done)
        ret->bits = (uint64_t)(uintptr_t)end;
    return done;
}

static bool lift_char(struct border *b, struct place_of *from, struct datum *ret)
{
    uint32_t value = 0;
    bool valid = canon_char(&b->c, (uint32_t)get_bits(from, 4), &value);
    ret->bits = value;
    return valid;
}

/* Numbers as wide as their type, floats without a NaN's payload. */
static uint64_t scalar_of(const struct type *type, uint64_t bits)
{
    union cell value = {.u64 = bits};
    switch (type->kind) {
    case TYPE_S8: return (uint64_t)(int64_t)(int8_t)bits;
    case TYPE_S16: return (uint64_t)(int64_t)(int16_t)bits;
    case TYPE_S32: return (uint64_t)(int64_t)(int32_t)bits;
    case TYPE_F32: return value.f32 == value.f32 ? bits : 0x7fc00000;
    case TYPE_F64: return value.f64 == value.f64 ? bits : 0x7ff8000000000000;
    case TYPE_FLAGS: return type->count < 32 ? bits & (((uint64_t)1 << type->count) - 1) : bits;
    default: return bits;
    }
}

static bool lift_scalar(const struct type *type, struct place_of *from, struct datum *ret)
{
    if (type->kind == TYPE_BOOL)
        ret->bits = get_bits(from, from->cells ? 4 : 1) != 0;
    else
        ret->bits = scalar_of(type, get_bits(from, type->size));
    return true;
}

static bool lift(struct border *b, const struct type *type, struct place_of *from, struct datum *ret)
{
    *ret = (struct datum){0};
    switch (type->kind) {
    case TYPE_STRING: return lift_string(b, from, ret);
    case TYPE_LIST:
    case TYPE_MAP: return lift_list(b, type->element, from, ret);
    case TYPE_FIXED_LIST: return lift_fixed_list(b, type, from, ret);
    case TYPE_RECORD:
    case TYPE_TUPLE: return lift_record(b, type, from, ret);
    case TYPE_VARIANT:
    case TYPE_ENUM:
    case TYPE_OPTION:
    case TYPE_RESULT: return lift_variant(b, type, from, ret);
    case TYPE_OWN: return lift_own(b, type, from, ret);
    case TYPE_STREAM:
    case TYPE_FUTURE: return lift_end(b, type, from, ret);
    case TYPE_ERROR_CONTEXT: return error_lift(&b->c, (uint32_t)get_bits(from, 4));
    case TYPE_CHAR: return lift_char(b, from, ret);
    default: return lift_scalar(type, from, ret);
    }
}

bool datum_move(struct canon *from, struct canon *to, const struct type *type, const uint8_t *source, uint8_t *target)
{
    struct arena *scratch = host_scratch(from->host);
    struct arena_mark mark = arena_mark(scratch);
    struct border here = {.c = *from, .arena = scratch}, there = {.c = *to, .arena = scratch};
    struct place_of at = {.at = (uint8_t *)source}, goal = {.at = target};
    struct datum datum;
    here.c.scratch = there.c.scratch = scratch;
    bool done = lift(&here, type, &at, &datum) && lower(&there, type, &datum, &goal);
    arena_rewind(scratch, mark);
    return done;
}

/* ---- the call ---- */

/* Handles can be taken from the guest, and none can be given to it. An option's element is one of its items. */
static bool has_datum(const struct type *type, bool given)
{
    bool handle = type->kind == TYPE_OWN || type->kind == TYPE_STREAM || type->kind == TYPE_FUTURE;
    bool has = type->kind != TYPE_ERROR_CONTEXT && type->kind != TYPE_BORROW && !(handle && given) &&
               (!type->element || type->items || handle || has_datum(type->element, given));
    for (uint32_t i = 0; has && type->items && i < type->count; i++)
        has = !type->items[i].type || has_datum(type->items[i].type, given);
    return has;
}

struct known {
    const struct image *image;
    canon_find_fn *hosts;
};

static uint32_t find_resource(void *arg, struct str interface, struct str name)
{
    const struct known *known = arg;
    const struct image *image = known->image;
    for (uint64_t i = 0; i < image_resources_count(image); i++) {
        const struct image_resource *row = &image_resources(image)[i];
        if (str_eq(image_str(image, row->interface), interface) && str_eq(image_str(image, row->name), name))
            return row->id;
    }
    return known->hosts ? known->hosts(NULL, interface, name) : WASM_NO_INDEX;
}

bool datum_func_open(const struct image *image, const struct image_export *row, canon_find_fn *hosts,
                     struct arena *arena, struct datum_func *ret_func, struct err *err)
{
    struct datum_func func = {.image = image, .row = row};
    struct known known = {image, hosts};
    if (!type_func_parse(image_str(image, row->signature), arena, find_resource, &known, &func.type, err))
        return false;
    bool has = !func.type.result || has_datum(func.type.result, false);
    for (uint32_t i = 0; has && i < func.type.param_count; i++)
        has = has_datum(func.type.params[i].type, true);
    struct str name = image_str(image, row->name);
    if (!has)
        return err_set(err, ERR_UNSUPPORTED, "%.*s takes or gives what only another component can have", STR_ARG(name));
    func.env = (struct canon_env){.canon = row->canon,
                                  .interface = image_str(image, row->interface),
                                  .name = name,
                                  .param_count = row->param_count,
                                  .result_count = row->result_count};
    *ret_func = func;
    return true;
}

static bool lower_params(struct border *b, const struct func_type *type, const struct datum *args, union cell *cells)
{
    uint32_t flats = 0, align = 1, at;
    uint64_t size = 0;
    struct place_of to = {.cells = cells};
    for (uint32_t i = 0; i < type->param_count; i++) {
        const struct type *param = type->params[i].type;
        flats = param->flat_count > TYPE_MAX_FLAT_PARAMS ? UINT32_MAX / 2 : flats + param->flat_count;
        size = ((size + param->align - 1) & ~((uint64_t)param->align - 1)) + param->size;
        align = param->align > align ? param->align : align;
    }
    if (flats > TYPE_MAX_FLAT_PARAMS) {
        size = (size + align - 1) & ~((uint64_t)align - 1);
        if (size > TYPE_MAX_SIZE)
            return canon_trap(&b->c, "parameters of %llu bytes", (unsigned long long)size);
        if (!canon_realloc(&b->c, 0, 0, align, (uint32_t)size, &at))
            return false;
        cells[0].u64 = at;
        to = (struct place_of){.at = b->c.memory + at};
    }
    for (uint32_t i = 0, offset = 0; i < type->param_count; i++) {
        const struct type *param = type->params[i].type;
        offset = field_offset(param, offset);
        if (!lower_part(b, param, &args[i], &to, offset))
            return false;
        offset += param->size;
    }
    return true;
}

static bool lift_result(struct border *b, const struct type *type, union cell *cells, struct datum *ret_result)
{
    struct place_of from = {.cells = cells};
    if (!type)
        return true;
    canon_refresh(&b->c);
    if (type->flat_count > TYPE_MAX_FLAT_RESULTS) {
        if (!canon_range(&b->c, cells[0].u32, type->size, type->align))
            return false;
        from = (struct place_of){.at = b->c.memory + cells[0].u32};
    }
    return lift(b, type, &from, ret_result);
}

static bool post_return(struct store *store, const struct datum_func *func, struct handles *handles, union cell *cells)
{
    const struct image_export *row = func->row;
    const uint8_t *types = image_bytes(func->image) + row->types_first + row->param_count;
    if (!row->canon.post_return_ref)
        return true;
    handles->no_leave.u32 = 1;
    bool done = guest_call(store, row->canon.post_return_ref, types, row->result_count, 0, cells);
    handles->no_leave.u32 = 0;
    return done;
}

/* An asynchronous call: what the thread of it needs. */
struct hosted {
    struct border *border;
    const struct datum_func *func;
    const struct datum *args;
    struct datum *ret_result;
};

static bool hosted_run(struct call *call, union cell *cells)
{
    const struct hosted *h = call->host_arg;
    const struct image_export *row = h->func->row;
    const uint8_t *types = image_bytes(h->func->image) + row->types_first;
    if (!lower_params(h->border, &h->func->type, h->args, cells) ||
        !guest_call(call->store, row->funcref, types, row->param_count, row->result_count, cells))
        return false;
    if (row->flags & CANON_ASYNC_LIFT)
        return true;
    union cell result = cells[0];
    return lift_result(h->border, h->func->type.result, cells, h->ret_result) &&
           post_return(call->store, h->func, call->inst->handles, &result);
}

/* task.return's parameters are flat up to another number than a result. */
static bool hosted_ret(struct call *call, union cell *cells)
{
    const struct hosted *h = call->host_arg;
    const struct type *type = h->func->type.result;
    struct place_of from = {.cells = cells};
    if (!type)
        return true;
    canon_refresh(&h->border->c);
    if (type->flat_count > TYPE_MAX_FLAT_PARAMS) {
        if (!canon_range(&h->border->c, cells[0].u32, type->size, type->align))
            return false;
        from = (struct place_of){.at = h->border->c.memory + cells[0].u32};
    }
    return lift(h->border, type, &from, h->ret_result);
}

static bool call_asynchronous(struct border *b, const struct datum_func *func, const struct datum *args,
                              struct datum *ret_result)
{
    static const struct host_call host = {hosted_run, hosted_ret};
    struct hosted hosted = {b, func, args, ret_result};
    struct store *store = b->c.store;
    struct inst *inst = inst_of(store, &func->env);
    struct call *call = inst ? call_new(store) : NULL;
    /* Threads that go on after the call outlive the function's description. */
    const struct canon_env *env = call ? arena_copy(host_arena(store->host), &func->env, sizeof func->env) : NULL;
    if (!env)
        return call && canon_trap_memory(&b->c);
    call->env = env;
    call->host = &host;
    call->host_arg = &hosted;
    call->inst = inst;
    call->flags = func->row->flags;
    call->callback_ref = func->row->callback_ref;
    call->result = image_str(func->image, func->row->result);
    call->opts = &func->row->canon;
    if (!call_from_host(call))
        return false;
    call_release(call);
    return true;
}

static bool call_with(struct border *b, const struct datum_func *func, const struct datum *args,
                      struct datum *ret_result)
{
    const struct image_export *row = func->row;
    const uint8_t *types = image_bytes(func->image) + row->types_first;
    union cell cells[TYPE_MAX_FLAT_PARAMS + 1] = {0};
    struct call *call;
    if (row->param_count > TYPE_MAX_FLAT_PARAMS || row->result_count > 1)
        return canon_trap(&b->c, "a function with a signature that no lifted one has");
    if (row->flags & CANON_ASYNC_TYPE)
        return call_asynchronous(b, func, args, ret_result);
    if (!call_begin_inline(b->c.store, &func->env, inst_of(b->c.store, &func->env), &call) ||
        !lower_params(b, &func->type, args, cells) ||
        !guest_call(b->c.store, row->funcref, types, row->param_count, row->result_count, cells))
        return false;
    union cell result = cells[0];
    return lift_result(b, func->type.result, cells, ret_result) && call_end_inline(b->c.store, call) &&
           post_return(b->c.store, func, b->c.handles, &result);
}

bool datum_call(struct store *store, const struct datum_func *func, const struct datum *args, struct arena *arena,
                struct datum *ret_result)
{
    struct border border = {.arena = arena, .bytes = func->bytes};
    struct handles *root = (struct handles *)((char *)store + func->image->header->handles_off);
    if (!canon_enter(&border.c, store, &func->env))
        return false;
    if (root->entered)
        return canon_trap(&border.c, "cannot enter component instance");
    root->entered = 1; /* and stays that when it traps */
    canon_memory(&border.c);
    border.c.handles->context[0].u64 = border.c.handles->context[1].u64 = 0;
    if (!call_with(&border, func, args, ret_result))
        return false;
    canon_leave(&border.c);
    root->entered = 0;
    return true;
}
