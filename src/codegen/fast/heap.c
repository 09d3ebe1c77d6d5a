/* Objects: structures, arrays, i31, casts (image/heap.h). The address of a field or element is computed in 32 bits
 * before the base is added, so that whatever a reference is taken for, also where the processor runs ahead of a test,
 * the access stays in the heap's reservation. A null reference faults in the inaccessible beginning of the heap.
 *
 * The collector looks for references in frames and saved registers; every value that lives across an allocation is in
 * its cell there. */
#include "codegen/fast/emit.h"

#include "wasm/type.h"

/* to = heap base + the low 32 bits of `from`; `to` may be `from`. */
static void heap_address(struct gen *g, reg to, reg from)
{
    struct place base = g->unit->heap.base;
    PUT(g, move_i32, .a = to, .b = from);
    put_address(g, base, REG_SCRATCH);
    PUT(g, i64_add_rr, .a = to, .b = REG_SCRATCH);
}

static const struct type_row *type_row(struct gen *g, uint32_t type)
{
    return &g->unit->table->rows[g->unit->types[type]];
}

static uint32_t descriptor_of(struct gen *g, uint32_t type)
{
    return type_row(g, type)->descriptor;
}

/* ---- storage types ---- */

/* How a field or element lies in memory: the stencils that load it, signed or not, and store it. */
struct storage {
    uint16_t load, load_signed, store;
    enum type type;
    uint32_t size;
};

static struct storage storage_of(struct gen *g, wasm_valtype storage)
{
    static const struct storage byte = {STENCIL_load_8u_ra, STENCIL_load_8s_32_ra, STENCIL_store_8_ra, T_I32, 1},
                                half = {STENCIL_load_16u_ra, STENCIL_load_16s_32_ra, STENCIL_store_16_ra, T_I32, 2},
                                word = {STENCIL_load_32u_ra, STENCIL_load_32u_ra, STENCIL_store_32_ra, T_I64, 4},
                                others[] = {
                                    {STENCIL_load_32u_ra, STENCIL_load_32u_ra, STENCIL_store_32_ra, T_I32, 4},
                                    {STENCIL_load_64_ra, STENCIL_load_64_ra, STENCIL_store_64_ra, T_I64, 8},
                                    {STENCIL_load_f32_ra, STENCIL_load_f32_ra, STENCIL_store_f32_ra, T_F32, 4},
                                    {STENCIL_load_f64_ra, STENCIL_load_f64_ra, STENCIL_store_f64_ra, T_F64, 8},
                                    {STENCIL_load_v_ra, STENCIL_load_v_ra, STENCIL_store_v_ra, T_V128, 16},
                                };
    if (storage == WASM_I8)
        return byte;
    if (storage == WASM_I16)
        return half;
    /* References of the `any` hierarchy take 32 bits in objects. */
    return heap_ref_of(g->unit->module, storage) == HEAP_REF_ANY ? word : others[value_type(storage)];
}

static void load_field(struct gen *g, const struct storage *storage, bool sign, reg to, reg base, uint32_t off)
{
    put(g, sign ? storage->load_signed : storage->load,
        &(struct holes){.a = to, .x = to, .b = base, .imm = (int32_t)off});
}

static void store_field(struct gen *g, const struct storage *storage, reg from, reg base, uint32_t off)
{
    put(g, storage->store, &(struct holes){.a = from, .x = from, .b = base, .imm = (int32_t)off});
}

/* ---- allocation ---- */

/* Room for `size` bytes (a popped value, i64); everything is in cells behind it. The result is on the operand stack. */
static void allocate(struct gen *g, struct value size)
{
    call_helper_push(g, HELPER_gc_allocate, &size, 1, T_I64);
}

/* The object on top, as an address in a register of its own; it stays on top. */
static reg top_address(struct gen *g)
{
    struct value reference = g->stack[g->depth - 1];
    reg to = reg_alloc(g, false);
    reg_pin(g, reference.reg);
    heap_address(g, to, reference.reg);
    return to;
}

static void store_number(struct gen *g, uint32_t bits, reg base, uint32_t off)
{
    load_const(g, T_I32, REG_SCRATCH_2, bits);
    store_at(g, T_I32, REG_SCRATCH_2, base, (int32_t)off);
}

/* Values that go into a new object wait on the stack below it. They are in cells, since allocation is a call. */
static void store_value(struct gen *g, const struct storage *storage, uint32_t position, reg base, uint32_t off)
{
    struct value *value = &g->stack[position];
    bool vec = is_vec(storage->type);
    reg from = vec ? REG_SCRATCH_VEC : REG_SCRATCH_2;
    code_room(g, 256);
    value_copy(g, value, from);
    store_field(g, storage, from, base, off);
}

static void store_zero(struct gen *g, const struct storage *storage, reg base, uint32_t off)
{
    bool vec = is_vec(storage->type);
    code_room(g, 256);
    if (vec)
        PUT(g, zero_v, .x = REG_SCRATCH_VEC);
    else
        PUT(g, zero, .a = REG_SCRATCH_2);
    store_field(g, storage, vec ? REG_SCRATCH_VEC : REG_SCRATCH_2, base, off);
}

/* The object on top takes the place of the `count` values below it. */
static void replace_below(struct gen *g, uint32_t count)
{
    struct value reference = value_pop(g);
    stack_drop(g, g->depth - count);
    push_reg(g, T_I64, reference.reg);
}

EMIT(struct_new)
{
    const struct wasm_type *type = &g->unit->module->types[op->a];
    const struct type_row *shape = type_row(g, op->a);
    allocate(g, number(T_I64, shape->size));
    reg base = top_address(g);
    store_number(g, shape->descriptor, base, 0);
    for (uint32_t i = 0; i < type->field_count; i++) {
        struct storage storage = storage_of(g, type->fields[i].storage);
        if (row->arg)
            store_value(g, &storage, g->depth - 1 - type->field_count + i, base, shape->offsets[i]);
        else
            store_zero(g, &storage, base, shape->offsets[i]);
    }
    reg_free(g, base);
    replace_below(g, row->arg ? type->field_count : 0);
}

/* arg: sign extension of packed fields */
EMIT(struct_get)
{
    struct storage storage = storage_of(g, g->unit->module->types[op->a].fields[op->b].storage);
    struct value reference = value_pop(g);
    reg from = value_reg(g, &reference), base = reg_alloc(g, false);
    heap_address(g, base, from);
    value_free(g, &reference);
    reg to = is_vec(storage.type) ? reg_alloc(g, true) : base;
    mark_site(g);
    load_field(g, &storage, row->arg, to, base, type_row(g, op->a)->offsets[op->b]);
    if (to != base)
        reg_free(g, base);
    push_reg(g, storage.type, to);
}

EMIT(struct_set)
{
    struct storage storage = storage_of(g, g->unit->module->types[op->a].fields[op->b].storage);
    struct value value = value_pop(g), reference = value_pop(g);
    reg from = value_reg(g, &value), at = value_reg(g, &reference), base = reg_alloc(g, false);
    heap_address(g, base, at);
    mark_site(g);
    store_field(g, &storage, from, base, type_row(g, op->a)->offsets[op->b]);
    reg_free(g, base);
    value_free(g, &value);
    value_free(g, &reference);
}

/* ---- arrays ---- */

static wasm_valtype element_of(struct gen *g, uint32_t type)
{
    return g->unit->module->types[type].fields[0].storage;
}

/* Room for an array whose length is the popped value, also kept by the caller; header set, on top of the stack. */
static reg allocate_array(struct gen *g, uint32_t type, struct value length)
{
    reg size = reg_alloc(g, false);
    value_copy(g, &length, size);
    PUT(g, i64_mul_ri, .a = size, .imm = (int32_t)type_row(g, type)->size);
    PUT(g, i64_add_ri, .a = size, .imm = HEAP_ELEMENTS_OFF + HEAP_ALIGN - 1);
    PUT(g, i64_and_ri, .a = size, .imm = -(int32_t)HEAP_ALIGN);
    allocate(g, (struct value){.kind = VALUE_REG, .type = T_I64, .reg = size});
    reg base = top_address(g);
    store_number(g, descriptor_of(g, type), base, 0);
    return base;
}

static void store_length(struct gen *g, const struct value *length, reg base)
{
    value_copy(g, length, REG_SCRATCH_2);
    store_at(g, T_I32, REG_SCRATCH_2, base, offsetof(struct heap_header, length));
}

static enum stencil_name fill_of(const struct storage *storage)
{
    switch (storage->size) {
    case 1: return STENCIL_fill_8;
    case 2: return STENCIL_fill_16;
    case 4: return STENCIL_fill_32;
    case 8: return STENCIL_fill_64;
    default: return STENCIL_fill_v;
    }
}

/* The value as fill wants it: scalars as integers. */
static reg fill_value(struct gen *g, struct value *value)
{
    reg from = value_reg(g, value);
    if (value->type != T_F32 && value->type != T_F64)
        return from;
    reg bits = reg_alloc(g, false);
    put(g, value->type == T_F32 ? STENCIL_i32_reinterpret_f32 : STENCIL_i64_reinterpret_f64,
        &(struct holes){.a = bits, .x = from});
    value_free(g, value);
    *value = (struct value){.kind = VALUE_REG, .type = T_I64, .reg = bits};
    return bits;
}

/* `count` times the value from `base` + `off` on, which is used up. */
static void fill(struct gen *g, const struct storage *storage, reg base, uint32_t off, struct value *value,
                 struct value *count)
{
    reg from = fill_value(g, value), times = value_reg(g, count);
    PUT(g, i64_add_ri, .a = base, .imm = (int32_t)off);
    put(g, fill_of(storage), &(struct holes){.a = base, .b = from, .x = from, .c = times});
}

/* arg: with a value, else zeros */
EMIT(array_new)
{
    struct storage storage = storage_of(g, element_of(g, op->a));
    if (!row->arg) {
        if (storage.size > 8) { /* zeros lie below the length like a value */
            struct value length = value_pop(g);
            reg zero = reg_alloc(g, true), kept = value_own(g, &length);
            PUT(g, zero_v, .x = zero);
            push_reg(g, T_V128, zero);
            push_reg(g, T_I32, kept);
        } else {
            struct value length = value_pop(g);
            reg kept = value_own(g, &length);
            push_const(g, T_I64, 0);
            push_reg(g, T_I32, kept);
        }
    }
    reg base = allocate_array(g, op->a, g->stack[g->depth - 1]);
    struct value reference = value_pop(g), length = value_pop(g), value = value_pop(g);
    store_length(g, &length, base);
    fill(g, &storage, base, HEAP_ELEMENTS_OFF, &value, &length);
    reg_free(g, base);
    value_free(g, &length);
    value_free(g, &value);
    push_reg(g, T_I64, reference.reg);
}

EMIT(array_new_fixed)
{
    struct storage storage = storage_of(g, element_of(g, op->a));
    struct value length = number(T_I32, op->b);
    reg base = allocate_array(g, op->a, length);
    store_length(g, &length, base);
    for (uint32_t i = 0; i < op->b; i++)
        store_value(g, &storage, g->depth - 1 - op->b + i, base, HEAP_ELEMENTS_OFF + i * storage.size);
    reg_free(g, base);
    replace_below(g, op->b);
}

/* arg: the helper, which takes the type, the segment, where to begin and how many elements */
EMIT(array_new_segment)
{
    struct value length = value_pop(g), from = value_pop(g);
    struct value args[] = {number(T_I32, descriptor_of(g, op->a)), number(T_I32, op->b), from, length};
    call_helper_push(g, (enum helper)row->arg, args, 4, T_I64);
}

static void load_array_length(struct gen *g, reg reference, reg to)
{
    heap_address(g, to, reference);
    mark_site(g);
    load_at(g, T_I32, to, to, offsetof(struct heap_header, length));
}

/* Where the element at an index lies, but for HEAP_ELEMENTS_OFF, once it is known to exist; in a register of its own.
 */
static reg element_address(struct gen *g, uint32_t type, reg reference, reg index)
{
    reg to = reg_alloc(g, false);
    load_array_length(g, reference, to);
    PUT(g, check_below, .a = index, .b = to);
    PUT(g, move_i32, .a = to, .b = index);
    PUT(g, i32_mul_ri, .a = to, .imm = (int32_t)type_row(g, type)->size);
    PUT(g, i32_add_rr, .a = to, .b = reference);
    heap_address(g, to, to);
    return to;
}

/* arg: sign extension of packed elements */
EMIT(array_get)
{
    struct storage storage = storage_of(g, element_of(g, op->a));
    struct value index = value_pop(g), reference = value_pop(g);
    reg number_reg = value_reg(g, &index), from = value_reg(g, &reference);
    reg base = element_address(g, op->a, from, number_reg);
    value_free(g, &index);
    value_free(g, &reference);
    reg to = is_vec(storage.type) ? reg_alloc(g, true) : base;
    load_field(g, &storage, row->arg, to, base, HEAP_ELEMENTS_OFF);
    if (to != base)
        reg_free(g, base);
    push_reg(g, storage.type, to);
}

EMIT(array_set)
{
    struct storage storage = storage_of(g, element_of(g, op->a));
    struct value value = value_pop(g), index = value_pop(g), reference = value_pop(g);
    reg from = value_reg(g, &value), number_reg = value_reg(g, &index), at = value_reg(g, &reference);
    reg base = element_address(g, op->a, at, number_reg);
    store_field(g, &storage, from, base, HEAP_ELEMENTS_OFF);
    reg_free(g, base);
    value_free(g, &value);
    value_free(g, &index);
    value_free(g, &reference);
}

EMIT(array_len)
{
    struct value reference = value_pop(g);
    reg from = value_reg(g, &reference), to = reg_alloc(g, false);
    load_array_length(g, from, to);
    value_free(g, &reference);
    push_reg(g, T_I32, to);
}

EMIT(array_fill)
{
    struct storage storage = storage_of(g, element_of(g, op->a));
    struct value count = value_pop(g), value = value_pop(g), index = value_pop(g), reference = value_pop(g);
    reg times = value_reg(g, &count), first = value_reg(g, &index), from = value_reg(g, &reference);
    reg base = reg_alloc(g, false), end = reg_alloc(g, false);
    load_array_length(g, from, base);
    PUT(g, i64_add_rrr, .a = end, .b = first, .c = times);
    PUT(g, check_at_most, .a = end, .b = base);
    reg_free(g, end);
    PUT(g, move_i32, .a = base, .b = first);
    PUT(g, i32_mul_ri, .a = base, .imm = (int32_t)storage.size);
    PUT(g, i32_add_rr, .a = base, .b = from);
    heap_address(g, base, base);
    fill(g, &storage, base, HEAP_ELEMENTS_OFF, &value, &count);
    reg_free(g, base);
    value_free(g, &count);
    value_free(g, &value);
    value_free(g, &index);
    value_free(g, &reference);
}

EMIT(array_copy)
{
    struct value length = value_pop(g), from_index = value_pop(g), from = value_pop(g), to_index = value_pop(g),
                 to = value_pop(g);
    struct value args[] = {to, to_index, from, from_index, length};
    call_helper(g, HELPER_array_copy, args, 5);
}

/* arg: the helper, which takes the array, the index, the segment, where to begin and how many elements */
EMIT(array_init)
{
    struct value length = value_pop(g), from = value_pop(g), index = value_pop(g), reference = value_pop(g);
    struct value args[] = {reference, index, number(T_I32, op->b), from, length};
    call_helper(g, (enum helper)row->arg, args, 5);
}

/* ---- i31 and conversions ---- */

EMIT(ref_i31)
{
    struct value value = value_pop(g);
    reg from = value_reg(g, &value), to = result_fresh(g, false, &value, NULL);
    PUT(g, ref_i31, .a = to, .b = from);
    value_free(g, &value);
    push_reg(g, T_I64, to);
}

/* arg: signed */
EMIT(i31_get)
{
    struct value value = value_pop(g);
    reg r = value_own(g, &value);
    mark_site(g);
    PUT(g, check_null, .a = r);
    put(g, row->arg ? STENCIL_i32_shr_s_ri : STENCIL_i32_shr_u_ri, &(struct holes){.a = r, .shift = 1});
    push_reg(g, T_I32, r);
}

/* ---- tests ---- */

static bool may_be_i31(struct gen *g, wasm_valtype type)
{
    return wasm_subtype(g->unit->module, WASM_REF | HEAP_I31, type);
}

static bool is_bottom(wasm_heaptype heap)
{
    return heap == HEAP_NONE || heap == HEAP_NOFUNC || heap == HEAP_NOEXTERN || heap == HEAP_NOEXN;
}

/* The descriptor's display entry at `place` of the object in `reference`, in `to`. */
static void load_display(struct gen *g, reg reference, uint32_t place, reg to)
{
    heap_address(g, to, reference);
    load_at(g, T_I32, to, to, 0);
    heap_address(g, to, to);
    load_at(g, T_I32, to, to, (int32_t)(offsetof(struct heap_type, display) + place * 4));
}

static void object_is(struct gen *g, reg reference, uint32_t type, reg spare, struct label *no)
{
    if (g->unit->module->types[type].final) {
        heap_address(g, spare, reference);
        load_at(g, T_I32, spare, spare, 0);
    } else {
        load_display(g, reference, 1 + type_row(g, type)->depth, spare);
    }
    PUT(g, br_i32_ne_ri, .a = spare, .imm = (int32_t)descriptor_of(g, type), .taken = no);
}

static void root_is(struct gen *g, reg reference, wasm_heaptype heap, reg spare, struct label *no)
{
    load_display(g, reference, 0, spare);
    if (heap == HEAP_EQ)
        PUT(g, br_i32_eq_ri, .a = spare, .imm = HEAP_ROOT_BOX, .taken = no);
    else
        PUT(g, br_i32_ne_ri, .a = spare, .imm = heap == HEAP_STRUCT ? HEAP_ROOT_STRUCT : HEAP_ROOT_ARRAY, .taken = no);
}

/* Everything was written back, so that the helper can be called in the middle. */
static void func_is(struct gen *g, reg reference, uint32_t type, reg spare, struct label *yes, struct label *no)
{
    const struct wasm_type *expected = &g->unit->module->types[type];
    PUT(g, reference_hash, .a = spare, .b = reference);
    load_const(g, T_I64, REG_SCRATCH, expected->hash);
    if (expected->final) {
        PUT(g, br_i64_ne_rr, .a = spare, .b = REG_SCRATCH, .taken = no);
        return;
    }
    PUT(g, br_i64_eq_rr, .a = spare, .b = REG_SCRATCH, .taken = yes);
    struct value args[] = {{.kind = VALUE_REG, .type = T_I64, .reg = reference}, number(T_I64, expected->hash)};
    helper_within(g, HELPER_func_is, args, 2, REG_SCRATCH_2);
    PUT(g, br_i32_zero, .a = REG_SCRATCH_2, .taken = no);
}

/* Is the reference in `r`, the topmost operand, of the type that the instruction names? Goes on if so, or jumps to
 * `yes`; else jumps to `no`. What can be told from the static type is not tested. Nothing changes but `spare`. */
static void test(struct gen *g, const struct wasm_op *op, reg r, reg spare, struct label *yes, struct label *no)
{
    wasm_valtype from = op->cast.from, to = op->cast.to;
    wasm_heaptype heap = wasm_heap(to);
    bool func = wasm_heap_is_index(heap) && g->unit->module->types[heap].kind == WASM_COMP_FUNC;
    if (func && !g->unit->module->types[heap].final)
        write_back(g);
    if (from & WASM_NULLABLE)
        PUT(g, br_i64_zero, .a = r, .taken = to & WASM_NULLABLE ? yes : no);
    if (wasm_subtype(g->unit->module, from & ~WASM_NULLABLE, to))
        return;
    if (is_bottom(heap)) {
        PUT(g, jump, .taken = no);
        return;
    }
    if (heap == HEAP_I31) {
        PUT(g, br_even, .a = r, .taken = no);
        return;
    }
    if (may_be_i31(g, from))
        PUT(g, br_odd, .a = r, .taken = may_be_i31(g, to) ? yes : no);
    if (!wasm_heap_is_index(heap))
        root_is(g, r, heap, spare, no);
    else if (func)
        func_is(g, r, heap, spare, yes, no);
    else
        object_is(g, r, heap, spare, no);
}

/* The topmost operand, which stays, in a register. */
static reg top_reg(struct gen *g)
{
    struct value *top = &g->stack[g->depth - 1];
    if (top->kind != VALUE_REG) {
        struct value value = value_pop(g);
        push_reg(g, T_I64, value_own(g, &value));
        top = &g->stack[g->depth - 1];
    }
    reg_pin(g, top->reg);
    return top->reg;
}

EMIT(ref_test)
{
    struct label yes = {0}, no = {0};
    struct label done = {0};
    reg r = top_reg(g), to = reg_alloc(g, false);
    test(g, op, r, to, &yes, &no);
    label_bind(g, &yes);
    load_const(g, T_I32, to, 1);
    PUT(g, jump, .taken = &done);
    label_bind(g, &no);
    load_const(g, T_I32, to, 0);
    label_bind(g, &done);
    stack_drop(g, g->depth - 1);
    push_reg(g, T_I32, to);
}

EMIT(ref_cast)
{
    struct label yes = {0}, no = {0};
    reg r = top_reg(g), spare = reg_alloc(g, false);
    test(g, op, r, spare, &yes, &no);
    label_bind(g, &yes);
    label_trap(g, &no, TRAP_CAST_FAILURE);
    reg_free(g, spare);
}

/* The reference is the last that a label gets; where there are many they are in their cells. */
EMIT(br_on_cast)
{
    struct control *to = control_named(g, op->a);
    struct label yes = {0}, no = {0}, over = {0};
    settle_for(g, to);
    struct value *top = &g->stack[g->depth - 1];
    reg spare = reg_alloc(g, false), r = top->kind == VALUE_REG ? top->reg : reg_alloc(g, false);
    if (top->kind != VALUE_REG)
        value_copy(g, top, r);
    test(g, op, r, spare, &yes, &no);
    label_bind(g, &yes);
    if (top->kind != VALUE_REG)
        reg_free(g, r);
    reg_free(g, spare);
    code_room(g, 4096);
    if (row->arg) { /* br_on_cast_fail */
        PUT(g, jump, .taken = &over);
        label_bind(g, &no);
    }
    branch_code(g, to);
    label_bind(g, row->arg ? &over : &no);
}

/* A reference of the host's own, or of this store's seen from outside: image/heap.h. */
EMIT(any_convert_extern)
{
    struct label host = {0}, done = {0};
    reg r = top_reg(g);
    write_back(g);
    PUT(g, br_i64_positive, .a = r, .taken = &host);
    PUT(g, move_i32, .a = r, .b = r);
    PUT(g, jump, .taken = &done);
    label_bind(g, &host);
    struct value args[] = {{.kind = VALUE_REG, .type = T_I64, .reg = r}};
    helper_within(g, HELPER_box_extern, args, 1, REG_SCRATCH_2);
    move_reg(g, r, REG_SCRATCH_2);
    label_bind(g, &done);
    g->regs.dirty |= 1u << r;
}

EMIT(extern_convert_any)
{
    struct label done = {0}, internal = {0};
    reg r = top_reg(g), spare = reg_alloc(g, false);
    PUT(g, br_i64_zero, .a = r, .taken = &done);
    PUT(g, br_odd, .a = r, .taken = &internal);
    load_display(g, r, 0, spare);
    PUT(g, br_i32_ne_ri, .a = spare, .imm = HEAP_ROOT_BOX, .taken = &internal);
    heap_address(g, spare, r);
    load_at(g, T_I64, r, spare, HEAP_BOX_VALUE_OFF);
    PUT(g, jump, .taken = &done);
    label_bind(g, &internal);
    load_const(g, T_I64, spare, HEAP_EXTERN_INTERNAL);
    PUT(g, i64_or_rr, .a = r, .b = spare);
    label_bind(g, &done);
    g->regs.dirty |= 1u << r;
    reg_free(g, spare);
}
