/* Moving values from one side to the other: see fuse.h. Lifting and lowering of CanonicalABI.md ("Loading",
 * "Storing", "Flat Lifting", "Flat Lowering") in one walk over the type.
 *
 * A NaN keeps its bits, which the specification leaves open. A pointer's alignment and range are checked once for what
 * lies behind it; what is read from there is within. */
#include "component/fuse_op.h"

#define UNROLL_MAX 8u          /* elements of a fixed-length list */
#define COPY_MIN 32u           /* bytes of a record that are copied at once */
#define BRANCHES_MAX 64u       /* cases with a payload that one br_table tells apart */

/* ---- scalars ---- */

static const struct scalar {
    wasm_valtype core;
    uint8_t load, store, log2;
} scalars[] = {
    [TYPE_BOOL] = {WASM_I32, OP_I32_LOAD8_U, OP_I32_STORE8, 0},
    [TYPE_S8] = {WASM_I32, OP_I32_LOAD8_S, OP_I32_STORE8, 0},
    [TYPE_U8] = {WASM_I32, OP_I32_LOAD8_U, OP_I32_STORE8, 0},
    [TYPE_S16] = {WASM_I32, OP_I32_LOAD16_S, OP_I32_STORE16, 1},
    [TYPE_U16] = {WASM_I32, OP_I32_LOAD16_U, OP_I32_STORE16, 1},
    [TYPE_S32] = {WASM_I32, OP_I32_LOAD, OP_I32_STORE, 2},
    [TYPE_U32] = {WASM_I32, OP_I32_LOAD, OP_I32_STORE, 2},
    [TYPE_S64] = {WASM_I64, OP_I64_LOAD, OP_I64_STORE, 3},
    [TYPE_U64] = {WASM_I64, OP_I64_LOAD, OP_I64_STORE, 3},
    [TYPE_F32] = {WASM_F32, OP_F32_LOAD, OP_F32_STORE, 2},
    [TYPE_F64] = {WASM_F64, OP_F64_LOAD, OP_F64_STORE, 3},
    [TYPE_CHAR] = {WASM_I32, OP_I32_LOAD, OP_I32_STORE, 2},
};

/* Discriminants and flags by their size in bytes. */
static const struct scalar by_size[] = {
    [1] = {WASM_I32, OP_I32_LOAD8_U, OP_I32_STORE8, 0},
    [2] = {WASM_I32, OP_I32_LOAD16_U, OP_I32_STORE16, 1},
    [4] = {WASM_I32, OP_I32_LOAD, OP_I32_STORE, 2},
};

/* The flat value at the spot, as `want`; it moves on. */
static void get_flat(struct fuse *f, struct fuse_spot *spot, wasm_valtype want)
{
    wasm_valtype have = spot->types[spot->next];
    fuse_op_index(f, OP_LOCAL_GET, spot->locals[spot->next++]);
    if (have == WASM_I64 && (want == WASM_I32 || want == WASM_F32))
        fuse_op(f, OP_I32_WRAP);
    if (have != want && want == WASM_F32)
        fuse_op(f, OP_F32_OF_I32);
    if (have != want && want == WASM_F64)
        fuse_op(f, OP_F64_OF_I64);
}

/* What is on the stack, of type `have`, becomes the flat value at the spot; it moves on. */
static void set_flat(struct fuse *f, struct fuse_spot *spot, wasm_valtype have)
{
    wasm_valtype want = spot->types[spot->next];
    if (have != want && have == WASM_F32)
        fuse_op(f, OP_I32_OF_F32);
    if (have != want && have == WASM_F64)
        fuse_op(f, OP_I64_OF_F64);
    if (want == WASM_I64 && (have == WASM_I32 || have == WASM_F32))
        fuse_op(f, OP_I64_EXTEND_U);
    fuse_op_index(f, OP_LOCAL_SET, spot->locals[spot->next++]);
}

static void load(struct fuse *f, const struct fuse_side *from, const struct scalar *scalar, struct fuse_spot *source,
                 uint32_t offset)
{
    if (source->locals) {
        get_flat(f, source, scalar->core);
        return;
    }
    fuse_op_index(f, OP_LOCAL_GET, source->base);
    fuse_access(f, scalar->load, scalar->log2, from->memory, source->offset + offset);
}

/* Before the value is pushed. */
static void begin_store(struct fuse *f, const struct fuse_spot *target)
{
    if (!target->locals)
        fuse_op_index(f, OP_LOCAL_GET, target->base);
}

static void end_store(struct fuse *f, const struct fuse_side *to, const struct scalar *scalar, struct fuse_spot *target,
                      uint32_t offset)
{
    if (target->locals)
        set_flat(f, target, scalar->core);
    else
        fuse_access(f, scalar->store, scalar->log2, to->memory, target->offset + offset);
}

/* The value on the stack must be a character: below 0x110000 and no surrogate. */
static void check_char(struct fuse *f)
{
    uint32_t value = fuse_local(f, WASM_I32);
    fuse_op_index(f, OP_LOCAL_SET, value);
    fuse_op_index(f, OP_LOCAL_GET, value);
    fuse_i32(f, 0x110000);
    fuse_op(f, OP_I32_GE_U);
    fuse_op_index(f, OP_LOCAL_GET, value);
    fuse_i32(f, 0xfffff800);
    fuse_op(f, OP_I32_AND);
    fuse_i32(f, 0xd800);
    fuse_op(f, OP_I32_EQ);
    fuse_op(f, OP_I32_OR);
    fuse_trap_if(f, FUSE_CHAR);
    fuse_op_index(f, OP_LOCAL_GET, value);
    fuse_local_free(f, value);
}

/* From the core value on the stack to what the type may be: a narrow number in a flat value has bits to lose. */
static void normalize(struct fuse *f, const struct type *type, bool flat)
{
    switch (type->kind) {
    case TYPE_BOOL:
        fuse_i32(f, 0);
        fuse_op(f, OP_I32_NE);
        break;
    case TYPE_CHAR: check_char(f); break;
    case TYPE_U8:
    case TYPE_U16:
        if (flat) {
            fuse_i32(f, type->kind == TYPE_U8 ? 0xff : 0xffff);
            fuse_op(f, OP_I32_AND);
        }
        break;
    case TYPE_S8:
    case TYPE_S16:
        if (flat)
            fuse_op(f, type->kind == TYPE_S8 ? OP_I32_EXTEND8_S : OP_I32_EXTEND16_S);
        break;
    default: break;
    }
}

#define MOVE(name)                                                                                                     \
    static void name(struct fuse *f, const struct fuse_side *from, const struct fuse_side *to,                         \
                     const struct type *type, struct fuse_spot *source, struct fuse_spot *target)

MOVE(move_scalar)
{
    const struct scalar *scalar = &scalars[type->kind];
    begin_store(f, target);
    load(f, from, scalar, source, 0);
    normalize(f, type, source->locals != NULL);
    end_store(f, to, scalar, target, 0);
}

MOVE(move_flags)
{
    const struct scalar *scalar = &by_size[type->size];
    begin_store(f, target);
    load(f, from, scalar, source, 0);
    if (type->count < 32) {
        fuse_i32(f, ((uint32_t)1 << type->count) - 1);
        fuse_op(f, OP_I32_AND);
    }
    end_store(f, to, scalar, target, 0);
}

/* ---- handles ---- */

/* The resource type that exists for one of the caller's types. The callee may give the same number another one: both
 * can be instances of the same component. */
static const struct concrete *resource_of(struct fuse *f, const struct type *type)
{
    const void **found = remap_get(&f->in->resources, node_of(type)->def->abstract->number);
    if (found && *found)
        return *found; /* its abstract is the first member */
    if (!f->failed)
        f->failed = !checker_fail(&f->p->check, ERR_INVALID, "a resource type that does not exist at run time");
    return NULL;
}

MOVE(move_handle)
{
    const struct concrete *resource = resource_of(f, type);
    if (!resource)
        return;
    enum host_import_kind kind = type->kind == TYPE_OWN        ? HOST_FUSE_OWN
                                 : resource->definer == to->in ? HOST_FUSE_REP
                                                               : HOST_FUSE_BORROW;
    begin_store(f, target);
    load(f, from, &scalars[TYPE_U32], source, 0);
    fuse_op_index(f, OP_CALL, fuse_host(f, kind, from, to, resource, NULL));
    end_store(f, to, &scalars[TYPE_U32], target, 0);
}

/* Readable ends of streams and futures, and error contexts. */
MOVE(move_end)
{
    bool error = type->kind == TYPE_ERROR_CONTEXT;
    begin_store(f, target);
    load(f, from, &scalars[TYPE_U32], source, 0);
    fuse_op_index(f, OP_CALL,
                  fuse_host(f, error ? HOST_FUSE_ERROR : HOST_FUSE_STREAM, from, to, NULL, error ? NULL : type));
    end_store(f, to, &scalars[TYPE_U32], target, 0);
}

/* ---- strings and lists: a pointer and a length on both sides ---- */

static void get_pair(struct fuse *f, const struct fuse_side *from, struct fuse_spot *source, uint32_t at,
                     uint32_t length)
{
    load(f, from, &scalars[TYPE_U32], source, 0);
    fuse_op_index(f, OP_LOCAL_SET, at);
    load(f, from, &scalars[TYPE_U32], source, 4);
    fuse_op_index(f, OP_LOCAL_SET, length);
}

static void set_pair(struct fuse *f, const struct fuse_side *to, struct fuse_spot *target, uint32_t at, uint32_t length)
{
    begin_store(f, target);
    fuse_op_index(f, OP_LOCAL_GET, at);
    end_store(f, to, &scalars[TYPE_U32], target, 0);
    begin_store(f, target);
    fuse_op_index(f, OP_LOCAL_GET, length);
    end_store(f, to, &scalars[TYPE_U32], target, 4);
}

MOVE(move_string)
{
    (void)type;
    uint32_t at = fuse_local(f, WASM_I32), units = fuse_local(f, WASM_I32);
    get_pair(f, from, source, at, units);
    fuse_op_index(f, OP_LOCAL_GET, at);
    fuse_op_index(f, OP_LOCAL_GET, units);
    fuse_op_index(f, OP_CALL, fuse_host(f, HOST_FUSE_STRING, from, to, NULL, NULL));
    fuse_op_index(f, OP_LOCAL_SET, units);
    fuse_op_index(f, OP_LOCAL_SET, at);
    set_pair(f, to, target, at, units);
    fuse_local_free(f, at);
    fuse_local_free(f, units);
}

/* May its bytes be copied as they are? Every bit pattern is a value then, and there is no padding to give away. */
static bool is_plain(const struct type *type)
{
    uint32_t end = 0;
    switch (type->kind) {
    case TYPE_BOOL:
    case TYPE_CHAR: return false;
    case TYPE_FIXED_LIST: return is_plain(type->element);
    case TYPE_RECORD:
    case TYPE_TUPLE:
        for (uint32_t i = 0; i < type->count; i++) {
            const struct type *part = type->items[i].type;
            if (!is_plain(part) || (end & (part->align - 1)) != 0)
                return false;
            end += part->size;
        }
        return end == type->size;
    default: return type->kind <= TYPE_F64;
    }
}

/* `count` elements from one address to the other, which both advance; `count` (an i32 local) counts down to 0. */
static void move_elements(struct fuse *f, const struct fuse_side *from, const struct fuse_side *to,
                          const struct type *element, uint32_t source, uint32_t target, uint32_t count)
{
    struct fuse_spot here = {.base = source}, there = {.base = target};
    fuse_op(f, OP_BLOCK);
    fuse_op(f, BLOCK_EMPTY);
    fuse_op(f, OP_LOOP);
    fuse_op(f, BLOCK_EMPTY);
    fuse_op_index(f, OP_LOCAL_GET, count);
    fuse_op(f, OP_I32_EQZ);
    fuse_op_index(f, OP_BR_IF, 1);
    fuse_value(f, from, to, element, &here, &there);
    const uint32_t advance[] = {source, target};
    for (int i = 0; i < 2; i++) {
        fuse_op_index(f, OP_LOCAL_GET, advance[i]);
        fuse_i32(f, element->size);
        fuse_op(f, OP_I32_ADD);
        fuse_op_index(f, OP_LOCAL_SET, advance[i]);
    }
    fuse_op_index(f, OP_LOCAL_GET, count);
    fuse_i32(f, 1);
    fuse_op(f, OP_I32_SUB);
    fuse_op_index(f, OP_LOCAL_SET, count);
    fuse_op_index(f, OP_BR, 0);
    fuse_op(f, OP_END);
    fuse_op(f, OP_END);
}

/* The list's bytes (`size`, `size_64`), checked: at most so many, aligned, within the source's memory. */
static void check_list(struct fuse *f, const struct fuse_side *from, const struct type *element, uint32_t at,
                       uint32_t length, uint32_t size, uint32_t size_64)
{
    fuse_op_index(f, OP_LOCAL_GET, length);
    fuse_op(f, OP_I64_EXTEND_U);
    fuse_i64(f, element->size);
    fuse_op(f, OP_I64_MUL);
    fuse_op_index(f, OP_LOCAL_SET, size_64);
    fuse_op_index(f, OP_LOCAL_GET, size_64);
    fuse_i64(f, TYPE_MAX_SIZE);
    fuse_op(f, OP_I64_GT_U);
    fuse_trap_if(f, FUSE_LIST);
    fuse_check_align(f, at, element->align, FUSE_ALIGN);
    fuse_check_range(f, from, at, size_64, FUSE_LIST);
    fuse_op_index(f, OP_LOCAL_GET, size_64);
    fuse_op(f, OP_I32_WRAP);
    fuse_op_index(f, OP_LOCAL_SET, size);
}

MOVE(move_list)
{
    const struct type *element = type->element;
    uint32_t at = fuse_local(f, WASM_I32), length = fuse_local(f, WASM_I32), size = fuse_local(f, WASM_I32),
             size_64 = fuse_local(f, WASM_I64), copy = fuse_local(f, WASM_I32);
    get_pair(f, from, source, at, length);
    check_list(f, from, element, at, length, size, size_64);
    fuse_allocate(f, to, element->align, size, size_64, copy);
    set_pair(f, to, target, copy, length);
    if (is_plain(element)) {
        fuse_op_index(f, OP_LOCAL_GET, copy);
        fuse_op_index(f, OP_LOCAL_GET, at);
        fuse_op_index(f, OP_LOCAL_GET, size);
        fuse_copy(f, to, from);
    } else {
        move_elements(f, from, to, element, at, copy, length);
    }
    const uint32_t locals[] = {at, length, size, size_64, copy};
    for (size_t i = 0; i < sizeof locals / sizeof *locals; i++)
        fuse_local_free(f, locals[i]);
}

/* ---- within one instance ---- */

/* What has a place or an entry of its own keeps it, and only the words that say which one move. */
static const bool stays[] = {
    [TYPE_STRING] = true, [TYPE_LIST] = true,   [TYPE_MAP] = true,    [TYPE_OWN] = true,
    [TYPE_BORROW] = true, [TYPE_STREAM] = true, [TYPE_FUTURE] = true, [TYPE_ERROR_CONTEXT] = true,
};

MOVE(move_words)
{
    for (uint32_t i = 0; i < type->flat_count; i++) {
        begin_store(f, target);
        load(f, from, &scalars[TYPE_U32], source, i * 4);
        end_store(f, to, &scalars[TYPE_U32], target, i * 4);
    }
}

/* ---- composite types ---- */

static struct fuse_spot part_of(const struct fuse_spot *whole, uint32_t offset)
{
    struct fuse_spot part = *whole;
    part.offset += offset;
    return part;
}

/* A part that lies `offset` bytes into the whole where that is in memory, and next in order where it is flat. */
static void move_part(struct fuse *f, const struct fuse_side *from, const struct fuse_side *to, const struct type *type,
                      struct fuse_spot *source, struct fuse_spot *target, uint32_t offset)
{
    struct fuse_spot here = part_of(source, offset), there = part_of(target, offset);
    fuse_value(f, from, to, type, &here, &there);
    source->next = here.next;
    target->next = there.next;
}

static void copy_whole(struct fuse *f, const struct fuse_side *from, const struct fuse_side *to,
                       const struct type *type, const struct fuse_spot *source, const struct fuse_spot *target)
{
    const struct fuse_spot *spots[] = {target, source};
    for (int i = 0; i < 2; i++) {
        fuse_op_index(f, OP_LOCAL_GET, spots[i]->base);
        fuse_i32(f, spots[i]->offset);
        fuse_op(f, OP_I32_ADD);
    }
    fuse_i32(f, type->size);
    fuse_copy(f, to, from);
}

MOVE(move_record)
{
    uint32_t offset = 0;
    if (!source->locals && !target->locals && type->size >= COPY_MIN && is_plain(type)) {
        copy_whole(f, from, to, type, source, target);
        return;
    }
    for (uint32_t i = 0; i < type->count && !f->failed; i++) {
        const struct type *part = type->items[i].type;
        offset = (offset + part->align - 1) & ~(part->align - 1);
        move_part(f, from, to, part, source, target, offset);
        offset += part->size;
    }
}

/* The address of a spot in memory, as a local of its own. */
static uint32_t address_of(struct fuse *f, const struct fuse_spot *spot)
{
    uint32_t at = fuse_local(f, WASM_I32);
    fuse_op_index(f, OP_LOCAL_GET, spot->base);
    fuse_i32(f, spot->offset);
    fuse_op(f, OP_I32_ADD);
    fuse_op_index(f, OP_LOCAL_SET, at);
    return at;
}

MOVE(move_fixed_list)
{
    const struct type *element = type->element;
    bool memory = !source->locals && !target->locals;
    if (!memory || type->count <= UNROLL_MAX) {
        for (uint32_t i = 0; i < type->count && !f->failed; i++)
            move_part(f, from, to, element, source, target, i * element->size);
        return;
    }
    if (is_plain(element)) {
        copy_whole(f, from, to, type, source, target);
        return;
    }
    uint32_t here = address_of(f, source), there = address_of(f, target), count = fuse_local(f, WASM_I32);
    fuse_i32(f, type->count);
    fuse_op_index(f, OP_LOCAL_SET, count);
    move_elements(f, from, to, element, here, there, count);
    fuse_local_free(f, count);
    fuse_local_free(f, here);
    fuse_local_free(f, there);
}

/* Flat values of all cases are 0 where the case at hand sets none. */
static void clear_payload(struct fuse *f, const struct fuse_spot *target, uint32_t count)
{
    static const uint8_t zeros[] = {0, 0, 0, 0, 0, 0, 0, 0};
    for (uint32_t i = 0; target->locals && i < count; i++) {
        switch (target->types[target->next + i]) {
        case WASM_I32: fuse_i32(f, 0); break;
        case WASM_I64: fuse_i64(f, 0); break;
        case WASM_F32:
            fuse_op(f, OP_F32_CONST);
            for (size_t b = 0; b < 4; b++)
                fuse_op(f, zeros[b]);
            break;
        default:
            fuse_op(f, OP_F64_CONST);
            for (size_t b = 0; b < 8; b++)
                fuse_op(f, zeros[b]);
        }
        fuse_op_index(f, OP_LOCAL_SET, target->locals[target->next + i]);
    }
}

static void move_payload(struct fuse *f, const struct fuse_side *from, const struct fuse_side *to,
                         const struct type *type, uint32_t index, const struct fuse_spot *source,
                         const struct fuse_spot *target)
{
    struct fuse_spot here = part_of(source, type->payload_offset), there = part_of(target, type->payload_offset);
    fuse_value(f, from, to, type->items[index].type, &here, &there);
}

/* Cases by a jump: block c_n-1 ... block c_0 { br_table } c_0's code, br to the end, } ... */
static void switch_cases(struct fuse *f, const struct fuse_side *from, const struct fuse_side *to,
                         const struct type *type, uint32_t number, const struct fuse_spot *source,
                         const struct fuse_spot *target)
{
    uint32_t payloads = 0, done = 0;
    for (uint32_t i = 0; i < type->count; i++)
        payloads += type->items[i].type != NULL;
    for (uint32_t i = 0; i <= payloads; i++) {
        fuse_op(f, OP_BLOCK);
        fuse_op(f, BLOCK_EMPTY);
    }
    fuse_op_index(f, OP_LOCAL_GET, number);
    fuse_op_index(f, OP_BR_TABLE, type->count);
    for (uint32_t i = 0, label = 0; i <= type->count; i++) {
        bool payload = i < type->count && type->items[i].type;
        uint8_t bytes[10];
        size_t size = fuse_leb(bytes, payload ? label++ : payloads);
        for (size_t b = 0; b < size; b++)
            fuse_op(f, bytes[b]);
    }
    for (uint32_t i = 0; i < type->count && !f->failed; i++) {
        if (!type->items[i].type)
            continue;
        fuse_op(f, OP_END);
        move_payload(f, from, to, type, i, source, target);
        fuse_op_index(f, OP_BR, payloads - ++done);
    }
    fuse_op(f, OP_END);
}

/* Cases one after the other, where there are too many or too few for a jump. */
static void compare_cases(struct fuse *f, const struct fuse_side *from, const struct fuse_side *to,
                          const struct type *type, uint32_t number, const struct fuse_spot *source,
                          const struct fuse_spot *target)
{
    for (uint32_t i = 0; i < type->count && !f->failed; i++) {
        if (!type->items[i].type)
            continue;
        fuse_op_index(f, OP_LOCAL_GET, number);
        fuse_i32(f, i);
        fuse_op(f, OP_I32_EQ);
        fuse_op(f, OP_IF);
        fuse_op(f, BLOCK_EMPTY);
        move_payload(f, from, to, type, i, source, target);
        fuse_op(f, OP_END);
    }
}

MOVE(move_variant)
{
    const struct scalar *scalar = &by_size[type->discriminant_size];
    uint32_t number = fuse_local(f, WASM_I32), payloads = 0, flats = type->flat_count;
    uint32_t source_end = source->next + flats, target_end = target->next + flats;
    load(f, from, scalar, source, 0);
    fuse_op_index(f, OP_LOCAL_SET, number);
    fuse_op_index(f, OP_LOCAL_GET, number);
    fuse_i32(f, type->count);
    fuse_op(f, OP_I32_GE_U);
    fuse_trap_if(f, FUSE_CASE);
    begin_store(f, target);
    fuse_op_index(f, OP_LOCAL_GET, number);
    end_store(f, to, scalar, target, 0);
    clear_payload(f, target, flats - 1);
    for (uint32_t i = 0; i < type->count; i++)
        payloads += type->items[i].type != NULL;
    if (payloads > 2 && payloads <= BRANCHES_MAX && type->count <= 4 * BRANCHES_MAX)
        switch_cases(f, from, to, type, number, source, target);
    else
        compare_cases(f, from, to, type, number, source, target);
    if (source->locals)
        source->next = source_end;
    if (target->locals)
        target->next = target_end;
    fuse_local_free(f, number);
}

/* ---- all of them ---- */

typedef void move_fn(struct fuse *f, const struct fuse_side *from, const struct fuse_side *to, const struct type *type,
                     struct fuse_spot *source, struct fuse_spot *target);

static move_fn *const moves[] = {
    [TYPE_BOOL] = move_scalar,       [TYPE_S8] = move_scalar,     [TYPE_U8] = move_scalar,
    [TYPE_S16] = move_scalar,        [TYPE_U16] = move_scalar,    [TYPE_S32] = move_scalar,
    [TYPE_U32] = move_scalar,        [TYPE_S64] = move_scalar,    [TYPE_U64] = move_scalar,
    [TYPE_F32] = move_scalar,        [TYPE_F64] = move_scalar,    [TYPE_CHAR] = move_scalar,
    [TYPE_STRING] = move_string,     [TYPE_LIST] = move_list,     [TYPE_FIXED_LIST] = move_fixed_list,
    [TYPE_MAP] = move_list,          [TYPE_RECORD] = move_record, [TYPE_TUPLE] = move_record,
    [TYPE_VARIANT] = move_variant,   [TYPE_ENUM] = move_variant,  [TYPE_OPTION] = move_variant,
    [TYPE_RESULT] = move_variant,    [TYPE_FLAGS] = move_flags,   [TYPE_OWN] = move_handle,
    [TYPE_BORROW] = move_handle,     [TYPE_STREAM] = move_end,    [TYPE_FUTURE] = move_end,
    [TYPE_ERROR_CONTEXT] = move_end,
};

void fuse_value(struct fuse *f, const struct fuse_side *from, const struct fuse_side *to, const struct type *type,
                struct fuse_spot *source, struct fuse_spot *target)
{
    bool words = from == to && type->kind < sizeof stays / sizeof *stays && stays[type->kind];
    move_fn *move = words ? move_words : moves[type->kind];
    if (!f->failed)
        move(f, from, to, type, source, target);
}
