/* Linear memory (docs/architecture.md, "Linear memory"): where the guard region catches what is out of bounds, an
 * access is one instruction relative to the context; elsewhere the address is checked and computed first. */
#include "codegen/fast/emit.h"

/* Where an access goes. */
struct address {
    enum { AT_INDEX, AT_CONSTANT, AT_ADDRESS } how; /* CONTEXT + base + imm, CONTEXT + imm, base + imm */
    struct value index; /* its register is to be freed */
    reg base;
    int32_t imm;
};

static const struct wasm_memory *memory_of(struct gen *g, uint32_t memory)
{
    return &g->unit->module->memories[memory];
}

static bool guarded(struct gen *g, const struct wasm_memarg *mem)
{
    const struct wasm_memory *memory = memory_of(g, mem->memory);
    return !memory->limits.is_64 && memory->page_log2 == 16 && mem->offset < MEMORY_GUARD_OFFSET;
}

static bool fits(int64_t value)
{
    return value == (int32_t)value;
}

static void load_place(struct gen *g, struct place place, reg to)
{
    if (place_is_near(place)) {
        PUT(g, load_64_rc, .a = to, .imm = (int32_t)place.off);
        return;
    }
    put_address(g, place, to);
    load_at(g, T_I64, to, to, 0);
}

/* Trap unless index + offset + size lies in the memory; `at` becomes 0 where the processor runs ahead of that. */
static void check_bounds(struct gen *g, const struct wasm_memarg *mem, reg at, uint32_t size)
{
    uint64_t end;
    if (__builtin_add_overflow(mem->offset, size, &end)) {
        put_trap(g, TRAP_MEMORY_BOUNDS);
        return;
    }
    reg bytes = reg_alloc(g, false);
    load_place(g, g->unit->memories[mem->memory].size, bytes);
    PUT(g, memory_check, .a = at, .b = bytes, .imm64 = end);
    reg_free(g, bytes);
}

static void compute(struct gen *g, const struct wasm_memarg *mem, uint32_t size, struct address *address)
{
    struct place base = g->unit->memories[mem->memory].base;
    reg at = value_own(g, &address->index), from = reg_alloc(g, false);
    address->index.kind = VALUE_REG;
    address->index.reg = at;
    if (!guarded(g, mem))
        check_bounds(g, mem, at, size);
    put_address(g, base, from);
    PUT(g, i64_add_rr, .a = at, .b = from);
    address->how = AT_ADDRESS;
    address->base = at;
    if (fits((int64_t)mem->offset)) {
        address->imm = (int32_t)mem->offset;
    } else {
        PUT(g, const_i64, .a = from, .imm64 = mem->offset);
        PUT(g, i64_add_rr, .a = at, .b = from);
    }
    reg_free(g, from);
}

/* Of an access to `size` bytes at the index on top, which is popped. */
static struct address pop_address(struct gen *g, const struct wasm_op *op, uint32_t size)
{
    struct address address = {.index = value_pop(g)};
    struct place base = g->unit->memories[op->mem.memory].base;
    int64_t off = base.off + (int64_t)op->mem.offset;
    if (base.kind != PLACE_HERE || !guarded(g, &op->mem) || !fits(off)) {
        compute(g, &op->mem, size, &address);
    } else if (address.index.kind == VALUE_CONST && fits(off + (int64_t)address.index.bits)) {
        address.how = AT_CONSTANT;
        address.imm = (int32_t)(off + (int64_t)address.index.bits);
    } else {
        address.how = AT_INDEX;
        address.base = value_reg(g, &address.index);
        if (g->suspicious)
            put_regs(g, STENCIL_check_i32, AT(b, address.base), 0);
        address.imm = (int32_t)off;
    }
    mark_site(g);
    return address;
}

/* As an address: for stencils that know no other form. */
static void as_address(struct gen *g, struct address *address)
{
    if (address->how == AT_ADDRESS)
        return;
    reg to = reg_alloc(g, false);
    put(g, address->how == AT_INDEX ? STENCIL_context_index : STENCIL_context_plus,
        &(struct holes){.a = to, .b = address->base, .imm = address->imm});
    value_free(g, &address->index);
    address->index = (struct value){.kind = VALUE_REG, .type = T_I64, .reg = to};
    *address = (struct address){.how = AT_ADDRESS, .index = address->index, .base = to};
}

void memory_begin(struct gen *g)
{
    const struct wasm_memarg none = {0};
    const struct wasm_module *module = g->unit->module;
    g->usual_offsets = 0;
    if (!module->memory_count || !guarded(g, &none) || !place_is_near(g->unit->memories[0].base))
        return;
    g->usual_base = (int32_t)g->unit->memories[0].base.off;
    int64_t most = (int64_t)INT32_MAX - g->usual_base;
    g->usual_offsets = most < (int64_t)MEMORY_GUARD_OFFSET ? (uint64_t)most : MEMORY_GUARD_OFFSET;
}

/* The usual access: of memory 0, relative to the context, at an index that is no constant. */
static inline bool is_usual(const struct gen *g, const struct wasm_op *op, const struct value *index)
{
    return op->mem.offset < g->usual_offsets && op->mem.memory == 0 && index->kind != VALUE_CONST && !g->suspicious;
}

/* The popped index's own register holds what is loaded, unless that is a vector or goes to a local's. */
static inline reg result_over(struct gen *g, bool vec, const struct value *index)
{
    reg r = result_for_set(g, vec, index);
    if (r != NO_REG)
        value_free(g, index);
    else if (index->kind == VALUE_REG && !vec)
        r = index->reg;
    else
        r = reg_alloc(g, vec), value_free(g, index);
    return r;
}

/* forms: index, constant, address; arg: the operand's type, and the size of what lies in memory */
EMIT(load)
{
    enum type type = ROW_TYPE(row);
    if (is_usual(g, op, &g->stack[g->depth - 1])) {
        struct value index = value_pop(g);
        reg base = value_reg(g, &index);
        mark_site(g);
        reg to = result_over(g, is_vec(type), &index);
        put_regs(g, row->forms[AT_INDEX], AT(a, to) | AT(x, to) | AT(b, base), g->usual_base + (int32_t)op->mem.offset);
        push_reg(g, type, to);
        return;
    }
    struct address address = pop_address(g, op, ROW_SIZE(row));
    if (address.how == AT_CONSTANT && !row->forms[AT_CONSTANT])
        as_address(g, &address);
    reg to = result_fresh(g, is_vec(type), &address.index, NULL);
    put_regs(g, row->forms[address.how], AT(a, to) | AT(x, to) | AT(b, address.base), address.imm);
    value_free(g, &address.index);
    push_reg(g, type, to);
}

/* forms: likewise, and of a constant at an index */
EMIT(store)
{
    struct value value = value_pop(g);
    int32_t number = (int32_t)value.bits;
    bool wide = value.type == T_I64;
    bool constant = value.kind == VALUE_CONST && row->forms[3] && (!wide || (int64_t)value.bits == number);
    reg from = constant ? 0 : value_reg(g, &value);
    if (!constant && is_usual(g, op, &g->stack[g->depth - 1])) {
        struct value index = value_pop(g);
        reg base = value_reg(g, &index);
        mark_site(g);
        put_regs(g, row->forms[AT_INDEX], AT(a, from) | AT(x, from) | AT(b, base),
                 g->usual_base + (int32_t)op->mem.offset);
        value_free(g, &index);
        value_free(g, &value);
        return;
    }
    struct address address = pop_address(g, op, ROW_SIZE(row));
    if (constant && address.how != AT_INDEX) {
        constant = false;
        from = value_reg(g, &value);
    }
    if (constant)
        put(g, row->forms[3], &(struct holes){.b = address.base, .imm = address.imm, .imm2 = number});
    else
        put_regs(g, row->forms[address.how], AT(a, from) | AT(x, from) | AT(b, address.base), address.imm);
    value_free(g, &address.index);
    value_free(g, &value);
}

/* forms: of lanes 0 and 1 */
EMIT(load_lane)
{
    struct value vector = value_pop(g);
    reg to = value_own(g, &vector);
    struct address address = pop_address(g, op, ROW_SIZE(row));
    as_address(g, &address);
    put(g, lane_form(row, op->a), &(struct holes){.x = to, .b = address.base, .imm = address.imm});
    value_free(g, &address.index);
    push_reg(g, T_V128, to);
}

EMIT(store_lane)
{
    struct value vector = value_pop(g);
    reg from = value_reg(g, &vector);
    struct address address = pop_address(g, op, ROW_SIZE(row));
    as_address(g, &address);
    put(g, lane_form(row, op->a), &(struct holes){.x = from, .b = address.base, .imm = address.imm});
    value_free(g, &address.index);
    value_free(g, &vector);
}

/* ---- atomics: at an address, which must be aligned ---- */

static struct address pop_aligned(struct gen *g, const struct wasm_op *op, uint32_t size)
{
    struct address address = pop_address(g, op, size);
    as_address(g, &address);
    if (address.imm) {
        PUT(g, i64_add_ri, .a = address.base, .imm = address.imm);
        address.imm = 0;
    }
    if (size > 1)
        PUT(g, check_aligned, .a = address.base, .imm = (int32_t)size - 1);
    return address;
}

EMIT(atomic_load)
{
    struct address address = pop_aligned(g, op, ROW_SIZE(row));
    reg to = result_fresh(g, false, &address.index, NULL);
    put(g, row->forms[0], &(struct holes){.a = to, .b = address.base});
    value_free(g, &address.index);
    push_reg(g, ROW_TYPE(row), to);
}

EMIT(atomic_store)
{
    struct value value = value_pop(g);
    reg from = value_reg(g, &value);
    struct address address = pop_aligned(g, op, ROW_SIZE(row));
    put(g, row->forms[0], &(struct holes){.a = from, .b = address.base});
    value_free(g, &address.index);
    value_free(g, &value);
}

static void exchange(struct gen *g, const struct wasm_op *op, const struct row *row, struct value *first,
                     struct value *second)
{
    reg c = value_reg(g, first), d = second ? value_reg(g, second) : 0;
    struct address address = pop_aligned(g, op, ROW_SIZE(row));
    /* Of one register for what is there and what replaces it only some processors make sense. */
    reg to = second ? reg_alloc(g, false) : result_fresh(g, false, &address.index, first);
    put(g, row->forms[0], &(struct holes){.a = to, .b = address.base, .c = c, .d = d});
    value_free(g, &address.index);
    value_free(g, first);
    if (second)
        value_free(g, second);
    push_reg(g, ROW_TYPE(row), to);
}

EMIT(atomic_rmw)
{
    struct value operand = value_pop(g);
    exchange(g, op, row, &operand, NULL);
}

EMIT(atomic_cmpxchg)
{
    struct value replacement = value_pop(g), expected = value_pop(g);
    exchange(g, op, row, &expected, &replacement);
}

EMIT(fence)
{
    PUT(g, atomic_fence);
}

/* A store has one thread, so nobody waits. The address is checked as an access would be. */
EMIT(atomic_notify)
{
    struct value count = value_pop(g);
    value_free(g, &count);
    struct address address = pop_aligned(g, op, 4);
    PUT(g, load_32u_ra, .a = address.base, .b = address.base);
    value_free(g, &address.index);
    push_const(g, T_I32, 0);
}

/* 1 when the value is another one, 2 when the timeout is over; the helper traps on a wait without end. */
EMIT(atomic_wait)
{
    bool wide = ROW_TYPE(row) == T_I64;
    struct label other = {0};
    struct value timeout = value_pop(g), expected = value_pop(g);
    reg time = value_own(g, &timeout), same = value_reg(g, &expected);
    struct address address = pop_aligned(g, op, ROW_SIZE(row));
    reg now = reg_alloc(g, false);
    put(g, wide ? STENCIL_load_64_ra : STENCIL_load_32u_ra, &(struct holes){.a = now, .b = address.base});
    value_free(g, &address.index);
    if (!memory_of(g, op->mem.memory)->limits.shared) {
        put_trap(g, TRAP_EXPECTED_SHARED);
        g->dead = true;
        return;
    }
    reg answer = reg_alloc(g, false);
    load_const(g, T_I32, answer, 1);
    push_reg(g, T_I32, answer);
    code_room(g, 4096);
    write_back(g);
    put(g, wide ? STENCIL_br_i64_ne_rr : STENCIL_br_i32_ne_rr, &(struct holes){.a = now, .b = same, .taken = &other});
    struct value args[] = {{.kind = VALUE_REG, .type = T_I64, .reg = time}};
    helper_within(g, HELPER_memory_wait, args, 1, REG_SCRATCH);
    load_const(g, T_I32, answer, 2);
    label_bind(g, &other);
    g->regs.dirty |= 1u << answer;
    reg_free(g, time);
    reg_free(g, now);
    value_free(g, &expected);
}

/* ---- sizes, and blocks of memory ---- */

static enum type index_type(struct gen *g, uint32_t memory)
{
    return memory_of(g, memory)->limits.is_64 ? T_I64 : T_I32;
}

EMIT(memory_size)
{
    reg to = result_fresh(g, false, NULL, NULL);
    load_place(g, g->unit->memories[op->a].size, to);
    if (memory_of(g, op->a)->page_log2)
        PUT(g, i64_shr_u_ri, .a = to, .shift = (int32_t)memory_of(g, op->a)->page_log2);
    push_reg(g, index_type(g, op->a), to);
}

struct value number(enum type type, uint64_t bits)
{
    return (struct value){.kind = VALUE_CONST, .type = (uint8_t)type, .reg = NO_REG, .bits = bits};
}

EMIT(memory_grow)
{
    struct value args[] = {number(T_I32, op->a), value_pop(g)};
    call_helper_push(g, HELPER_memory_grow, args, 2, index_type(g, op->a));
}

EMIT(memory_fill)
{
    struct value length = value_pop(g), byte = value_pop(g), index = value_pop(g);
    struct value args[] = {number(T_I32, op->a), index, byte, length};
    call_helper(g, HELPER_memory_fill, args, 4);
}

/* Two indices, then to, from, length from the stack: of memories and tables alike. */
static void call_range(struct gen *g, enum helper helper, uint32_t first, uint32_t second)
{
    struct value length = value_pop(g), from = value_pop(g), to = value_pop(g);
    struct value args[] = {number(T_I32, first), number(T_I32, second), to, from, length};
    call_helper(g, helper, args, 5);
}

/* arg: the helper */
EMIT(range)
{
    call_range(g, (enum helper)row->arg, op->a, op->b);
}

EMIT(range_of_segment)
{
    call_range(g, (enum helper)row->arg, op->b, op->a);
}

EMIT(segment_drop)
{
    struct value args[] = {number(T_I32, op->a)};
    call_helper(g, (enum helper)row->arg, args, 1);
}
