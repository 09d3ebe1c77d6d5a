/* See standin.h. Frame: rbp - 8 the context, rbp - 16 spare, then a cell of 16 bytes per local and operand. */
#include "support/standin.h"

#include "wasm/body.h"

#include <string.h>

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };

#define FRAME_CELLS 200
#define FRAME_SIZE (16 + 16 * FRAME_CELLS)
#define FIXUPS_MAX 512

static const int int_regs[CONTEXT_INT_REGS] = {R13, R14, R15, RDI, RSI, RDX};
static const int result_regs[CONTEXT_RESULT_INT_REGS] = {RAX, RDX};

struct fixup {
    uint32_t at;         /* of the rel32 */
    uint32_t unit, func; /* target */
    bool thunk;
};

struct block {
    bool loop;
    uint32_t height, arity, start;
    uint32_t pads;         /* pads whose landing belongs to this try_table */
    uint32_t ends[16], end_count;
    const struct wasm_catch *catches;
    uint32_t catch_count;
};

struct standin {
    struct code *code;
    const struct unit *unit;
    const struct wasm_module *module;
    const struct wasm_functype *type;
    const wasm_valtype *locals;
    uint32_t local_count, depth;
    struct block blocks[16];
    uint32_t block_count;
    struct fixup fixups[FIXUPS_MAX];
    uint32_t fixup_count;
    uint32_t open_pads[16], open_pad_count; /* indices of pads that wait for their landing */
};

#define EMIT(s, ...)                                                                                                   \
    do {                                                                                                               \
        const uint8_t bytes_[] = {__VA_ARGS__};                                                                        \
        buf_append(&(s)->code->text, bytes_, sizeof bytes_);                                                           \
    } while (0)

static void emit32(struct standin *s, uint32_t value)
{
    buf_append(&s->code->text, &value, 4);
}

static uint32_t here(const struct standin *s)
{
    return (uint32_t)s->code->text.size;
}

/* op reg, [base + disp32] with REX.W */
static void mem(struct standin *s, uint8_t opcode, int reg, int base, int32_t disp)
{
    EMIT(s, (uint8_t)(0x48 | (reg >> 3) << 2 | base >> 3), opcode, (uint8_t)(0x80 | (reg & 7) << 3 | (base & 7)));
    if ((base & 7) == RSP)
        EMIT(s, 0x24);
    emit32(s, (uint32_t)disp);
}

static void load(struct standin *s, int reg, int base, int32_t disp)
{
    mem(s, 0x8b, reg, base, disp);
}

static void save(struct standin *s, int reg, int base, int32_t disp)
{
    mem(s, 0x89, reg, base, disp);
}

/* movups between xmm and memory; opcode 0x10 loads, 0x11 stores. */
static void vec(struct standin *s, uint8_t opcode, int xmm, int base, int32_t disp)
{
    EMIT(s, (uint8_t)(0x40 | base >> 3), 0x0f, opcode, (uint8_t)(0x80 | xmm << 3 | (base & 7)));
    if ((base & 7) == RSP)
        EMIT(s, 0x24);
    emit32(s, (uint32_t)disp);
}

static int32_t cell(uint32_t index)
{
    return -(int32_t)(16 + 16 * (index + 1));
}

static int32_t local(uint32_t index)
{
    return cell(index);
}

static int32_t operand(const struct standin *s, uint32_t index)
{
    return cell(s->local_count + index);
}

static int32_t push(struct standin *s)
{
    return operand(s, s->depth++);
}

static int32_t pop(struct standin *s)
{
    return operand(s, --s->depth);
}

static void copy(struct standin *s, int to_base, int32_t to, int from_base, int32_t from)
{
    vec(s, 0x10, 15 & 7, from_base, from); /* xmm7 is scratch outside of calls */
    vec(s, 0x11, 15 & 7, to_base, to);
}

static void trap(struct standin *s, enum trap number)
{
    EMIT(s, 0x67, 0x0f, 0xb9, 0x40, (uint8_t)number);
}

static bool is_vector(wasm_valtype type)
{
    return type == WASM_F32 || type == WASM_F64 || type == WASM_V128;
}

static int32_t spill(uint32_t index)
{
    return (int32_t)(offsetof(struct store, spill) + 16 * index);
}

/* Values at frame cells starting with `first` go to where a call or a return has them. */
static void deal_out(struct standin *s, const wasm_valtype *types, uint32_t count, uint32_t first, const int *ints,
                     uint32_t int_count, uint32_t vec_count)
{
    uint32_t used_ints = 0, used_vecs = 0, spilled = 0;
    load(s, RBX, RBP, -8);
    load(s, RBX, RBX, offsetof(struct context, store));
    for (uint32_t i = 0; i < count; i++) /* spilled first: copies use a vector register */
        if (is_vector(types[i]) ? used_vecs++ >= vec_count : used_ints++ >= int_count)
            copy(s, RBX, spill(spilled++), RBP, cell(first + i));
    used_ints = used_vecs = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (is_vector(types[i]) && used_vecs < vec_count)
            vec(s, 0x10, (int)used_vecs++, RBP, cell(first + i));
        else if (!is_vector(types[i]) && used_ints < int_count)
            load(s, ints[used_ints++], RBP, cell(first + i));
    }
}

/* The reverse, at a function's entry or behind a call. */
static void take_in(struct standin *s, const wasm_valtype *types, uint32_t count, uint32_t first, const int *ints,
                    uint32_t int_count, uint32_t vec_count)
{
    uint32_t used_ints = 0, used_vecs = 0, spilled = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (is_vector(types[i]) && used_vecs < vec_count)
            vec(s, 0x11, (int)used_vecs++, RBP, cell(first + i));
        else if (!is_vector(types[i]) && used_ints < int_count)
            save(s, ints[used_ints++], RBP, cell(first + i));
    }
    used_ints = used_vecs = 0;
    load(s, RBX, RBP, -8);
    load(s, RBX, RBX, offsetof(struct context, store));
    for (uint32_t i = 0; i < count; i++)
        if (is_vector(types[i]) ? used_vecs++ >= vec_count : used_ints++ >= int_count)
            copy(s, RBP, cell(first + i), RBX, spill(spilled++));
}

static void prologue(struct standin *s)
{
    EMIT(s, 0x55, 0x48, 0x89, 0xe5, 0x48, 0x81, 0xec); /* push rbp; mov rbp, rsp; sub rsp, imm32 */
    emit32(s, FRAME_SIZE);
    save(s, R12, RBP, -8);
}

static void leave(struct standin *s)
{
    EMIT(s, 0x48, 0x89, 0xec, 0x5d); /* mov rsp, rbp; pop rbp */
}

static bool begin(void *arg, const struct wasm_body_state *state, struct err *err)
{
    struct standin *s = arg;
    if (state->local_count + 40 > FRAME_CELLS)
        return err_set(err, ERR_LIMIT, "too many locals for the test generator");
    s->locals = state->locals;
    s->local_count = state->local_count;
    s->depth = 0;
    s->block_count = 1;
    s->blocks[0] = (struct block){.arity = s->type->result_count};
    prologue(s);
    take_in(s, s->type->params, s->type->param_count, 0, int_regs, CONTEXT_INT_REGS, CONTEXT_VEC_REGS);
    EMIT(s, 0x31, 0xc0); /* xor eax, eax */
    for (uint32_t i = s->type->param_count; i < state->local_count; i++) {
        save(s, RAX, RBP, local(i));
        save(s, RAX, RBP, local(i) + 8);
    }
    return true;
}

static bool add_fixup(struct standin *s, uint32_t unit, uint32_t func, bool thunk, struct err *err)
{
    if (s->fixup_count == FIXUPS_MAX)
        return err_set(err, ERR_LIMIT, "too many calls for the test generator");
    s->fixups[s->fixup_count++] = (struct fixup){here(s), unit, func, thunk};
    emit32(s, 0);
    return true;
}

static void do_return(struct standin *s)
{
    deal_out(s, s->type->results, s->type->result_count, s->local_count + s->depth - s->type->result_count, result_regs,
             CONTEXT_RESULT_INT_REGS, CONTEXT_RESULT_VEC_REGS);
    load(s, R12, RBP, -8);
    leave(s);
    EMIT(s, 0xc3);
}

/* Behind a call: a pad if a try_table is open, then the results. */
static bool after_call(struct standin *s, const struct wasm_functype *type, struct err *err)
{
    for (uint32_t i = s->block_count; i-- > 0;) {
        if (!s->blocks[i].catches)
            continue;
        struct code_pad *pad = VEC_PUSH(&s->code->pads, 64);
        if (!pad || s->open_pad_count == 16)
            return err_set(err, ERR_LIMIT, "too many pads for the test generator");
        *pad = (struct code_pad){here(s), i};
        s->open_pads[s->open_pad_count++] = (uint32_t)s->code->pads.count - 1;
        break;
    }
    take_in(s, type->results, type->result_count, s->local_count + s->depth, result_regs, CONTEXT_RESULT_INT_REGS,
            CONTEXT_RESULT_VEC_REGS);
    s->depth += type->result_count;
    return true;
}

/* r12 = the callee's context and rax = its code are ready where `target` is NULL. */
static bool finish_call(struct standin *s, const struct wasm_functype *type, const struct func_place *target,
                        uint32_t func, bool tail, struct err *err)
{
    bool indirect = !target || target->link == FUNC_GUEST;
    if (tail)
        leave(s);
    if (indirect)
        EMIT(s, 0xff, tail ? 0xe0 : 0xd0); /* jmp/call rax */
    else
        EMIT(s, tail ? 0xe9 : 0xe8);
    bool thunk = target && target->link == FUNC_HOST;
    if (!indirect && !add_fixup(s, thunk ? s->unit->index : target->unit, thunk ? func : target->func, thunk, err))
        return false;
    return tail || after_call(s, type, err);
}

static bool call(struct standin *s, uint32_t func, bool tail, struct err *err)
{
    const struct func_place *place = &s->unit->funcs[func];
    const struct wasm_functype *type = wasm_func_type(s->module, func);
    s->depth -= type->param_count;
    deal_out(s, type->params, type->param_count, s->local_count + s->depth, int_regs, CONTEXT_INT_REGS,
             CONTEXT_VEC_REGS);
    load(s, R12, RBP, -8);
    if (place->link == FUNC_DIRECT)
        mem(s, 0x8d, R12, R12, (int32_t)place->context_delta); /* lea */
    if (place->link == FUNC_GUEST) {
        load(s, RAX, R12, (int32_t)place->off);
        load(s, R12, R12, (int32_t)place->off + 8);
    }
    return finish_call(s, type, place, func, tail, err);
}

/* Jump over a trap: jcc (condition to go on) +5; trap. */
static void trap_unless(struct standin *s, uint8_t jcc, enum trap number)
{
    EMIT(s, jcc, 5);
    trap(s, number);
}

static bool call_indirect(struct standin *s, const struct wasm_op *op, struct err *err)
{
    const struct table_place *table = &s->unit->tables[op->b];
    const struct wasm_functype *type = &s->module->types[op->a].func;
    uint64_t hash = s->module->types[op->a].hash;
    load(s, RAX, RBP, pop(s));
    EMIT(s, 0x89, 0xc0); /* mov eax, eax */
    load(s, RCX, RBP, -8);
    mem(s, 0x3b, RAX, RCX, (int32_t)table->length.off); /* cmp rax, [length] */
    trap_unless(s, 0x72, TRAP_UNDEFINED_ELEMENT);       /* jb */
    EMIT(s, 0x48, 0xc1, 0xe0, 4);                       /* shl rax, 4 */
    EMIT(s, 0x48, 0x01, 0xc8);                          /* add rax, rcx */
    EMIT(s, 0x48, 0xb9);                                /* mov rcx, hash */
    buf_append(&s->code->text, &hash, 8);
    mem(s, 0x3b, RCX, RAX, (int32_t)table->entries.off + 8);
    trap_unless(s, 0x74, TRAP_INDIRECT_TYPE); /* je */
    load(s, RAX, RAX, (int32_t)table->entries.off);
    save(s, RAX, RBP, -16);
    s->depth -= type->param_count;
    deal_out(s, type->params, type->param_count, s->local_count + s->depth, int_regs, CONTEXT_INT_REGS,
             CONTEXT_VEC_REGS);
    load(s, R12, RBP, -8);
    load(s, R12, R12, offsetof(struct context, store));
    load(s, RAX, RBP, -16);
    EMIT(s, 0x48, 0x89, 0xc1);       /* mov rcx, rax */
    EMIT(s, 0x48, 0xc1, 0xe9, 32);   /* shr rcx, 32 */
    EMIT(s, 0x48, 0xc1, 0xe1, CONTEXT_SHIFT);
    EMIT(s, 0x49, 0x01, 0xcc);       /* add r12, rcx */
    EMIT(s, 0x89, 0xc0);             /* mov eax, eax */
    mem(s, 0x03, RAX, R12, offsetof(struct context, code_base)); /* add rax, [code base] */
    return finish_call(s, type, NULL, 0, op->code == OP_RETURN_CALL_INDIRECT, err);
}

static void save_guest_fp(struct standin *s)
{
    load(s, RBX, RBP, -8);
    load(s, RBX, RBX, offsetof(struct context, store));
    save(s, RBP, RBX, offsetof(struct store, guest_fp));
}

static bool throw(struct standin * s, const struct wasm_op *op)
{
    const struct wasm_functype *type = &s->module->types[s->module->tags[op->a].type].func;
    struct place tag = s->unit->tags[op->a];
    s->depth -= type->param_count;
    for (uint32_t i = 0; i < type->param_count; i++) /* upwards at the bottom of the frame */
        copy(s, RSP, (int32_t)(16 * i), RBP, operand(s, s->depth + i));
    save_guest_fp(s);
    load(s, RDI, RBP, -8);
    mem(s, tag.kind == PLACE_HERE ? 0x8d : 0x8b, RSI, RDI, (int32_t)tag.off);
    EMIT(s, 0x48, 0x89, 0xe2, 0xb9); /* mov rdx, rsp; mov ecx, count */
    emit32(s, type->param_count);
    load(s, RAX, RDI, offsetof(struct context, helpers));
    load(s, RAX, RAX, HELPER_throw_exception * 8);
    EMIT(s, 0xff, 0xd0);
    trap(s, TRAP_UNREACHABLE);
    return true;
}

static void jump_to(struct standin *s, uint8_t opcode, uint32_t depth)
{
    struct block *b = &s->blocks[s->block_count - 1 - depth];
    uint32_t from = s->depth - b->arity;
    for (uint32_t i = 0; i < b->arity && from != b->height; i++)
        copy(s, RBP, operand(s, b->height + i), RBP, operand(s, from + i));
    if (opcode == 0xe9)
        EMIT(s, 0xe9);
    else
        EMIT(s, 0x0f, opcode);
    if (b->loop) {
        emit32(s, b->start - (here(s) + 4));
        return;
    }
    if (b->end_count < 16)
        b->ends[b->end_count++] = here(s);
    emit32(s, 0);
}

static void patch(struct standin *s, uint32_t at)
{
    uint32_t rel = here(s) - (at + 4);
    memcpy(s->code->text.data + at, &rel, 4);
}

static bool open_block(struct standin *s, const struct wasm_op *op)
{
    struct block *b = &s->blocks[s->block_count++ % 16];
    bool loop = op->code == OP_LOOP;
    *b = (struct block){.loop = loop,
                        .height = s->depth - op->block.type.param_count,
                        .arity = loop ? op->block.type.param_count : op->block.type.result_count,
                        .start = here(s),
                        .catches = op->code == OP_TRY_TABLE ? op->block.catches : NULL,
                        .catch_count = op->code == OP_TRY_TABLE ? op->block.catch_count : 0};
    return true;
}

/* The landing of a try_table, behind its end: rax is the exception. */
static bool land(struct standin *s, struct block *b, struct err *err)
{
    EMIT(s, 0xe9);
    uint32_t over = here(s);
    emit32(s, 0);
    for (uint32_t i = 0; i < s->open_pad_count; i++)
        s->code->pads.items[s->open_pads[i]].pad_off = here(s);
    s->open_pad_count = 0;
    for (uint32_t i = 0; i < b->catch_count; i++) {
        if (b->catches[i].kind != 0)
            return err_set(err, ERR_UNSUPPORTED, "the test generator knows `catch` only");
        struct place tag = s->unit->tags[b->catches[i].tag];
        const struct wasm_functype *type = &s->module->types[s->module->tags[b->catches[i].tag].type].func;
        load(s, RBX, RBP, -8);
        mem(s, tag.kind == PLACE_HERE ? 0x8d : 0x8b, RBX, RBX, (int32_t)tag.off);
        mem(s, 0x3b, RBX, RAX, 0); /* cmp rbx, [rax] */
        EMIT(s, 0x0f, 0x85);       /* jne next */
        uint32_t next = here(s);
        emit32(s, 0);
        uint32_t depth = s->depth;
        s->depth = b->height;
        for (uint32_t v = 0; v < type->param_count; v++)
            copy(s, RBP, push(s), RAX, (int32_t)(8 + 16 * v));
        jump_to(s, 0xe9, b->catches[i].label);
        s->depth = depth;
        patch(s, next);
    }
    save_guest_fp(s);
    load(s, RDI, RBP, -8);
    EMIT(s, 0x48, 0x89, 0xc6); /* mov rsi, rax */
    load(s, RAX, RDI, offsetof(struct context, helpers));
    load(s, RAX, RAX, HELPER_rethrow_exception * 8);
    EMIT(s, 0xff, 0xd0);
    trap(s, TRAP_UNREACHABLE);
    patch(s, over);
    return true;
}

static bool close_block(struct standin *s, const struct wasm_op *op, struct err *err)
{
    struct block *b = &s->blocks[--s->block_count];
    if (!op->reachable)
        s->depth = b->height + (b->loop ? 0 : b->arity);
    if (b->catches && !land(s, b, err))
        return false;
    for (uint32_t i = 0; i < b->end_count; i++)
        patch(s, b->ends[i]);
    if (!b->loop && b->end_count)
        s->depth = b->height + b->arity;
    if (s->block_count == 0)
        do_return(s);
    return true;
}

/* if without else: jump to the end when zero. */
static bool open_if(struct standin *s, const struct wasm_op *op)
{
    load(s, RAX, RBP, pop(s));
    open_block(s, op);
    EMIT(s, 0x85, 0xc0); /* test eax, eax */
    jump_to(s, 0x84, 0); /* jz */
    return true;
}

/* rax = op(rax, [second operand]) at 32 or 64 bits; cells keep what is above. */
static void binary(struct standin *s, bool wide, uint8_t opcode)
{
    int32_t right = pop(s), left = pop(s);
    load(s, RAX, RBP, left);
    load(s, RCX, RBP, right);
    if (wide)
        EMIT(s, 0x48);
    EMIT(s, opcode, 0xc8); /* op eax, ecx */
    save(s, RAX, RBP, push(s));
}

static void constant(struct standin *s, uint64_t bits)
{
    EMIT(s, 0x48, 0xb8);
    buf_append(&s->code->text, &bits, 8);
    save(s, RAX, RBP, push(s));
}

/* rax = address of a 32-bit memory access */
static void address(struct standin *s, const struct wasm_op *op)
{
    load(s, RAX, RBP, pop(s));
    EMIT(s, 0x89, 0xc0);
    load(s, RCX, RBP, -8);
    EMIT(s, 0x48, 0x01, 0xc8);
    mem(s, 0x8d, RAX, RAX, (int32_t)(s->unit->memories[op->mem.memory].base.off + (int64_t)op->mem.offset));
}

static bool simple(struct standin *s, const struct wasm_op *op)
{
    switch (op->code) {
    case OP_I32_CONST:
    case OP_I64_CONST:
    case OP_F64_CONST: constant(s, op->bits); return true;
    case OP_LOCAL_GET: copy(s, RBP, push(s), RBP, local(op->a)); return true;
    case OP_LOCAL_SET: copy(s, RBP, local(op->a), RBP, pop(s)); return true;
    case OP_I32_ADD: binary(s, false, 0x01); return true;
    case OP_I32_SUB: binary(s, false, 0x29); return true;
    case OP_I64_ADD: binary(s, true, 0x01); return true;
    case OP_I32_EQZ:
        load(s, RCX, RBP, pop(s));
        EMIT(s, 0x31, 0xc0, 0x85, 0xc9, 0x0f, 0x94, 0xc0); /* xor eax,eax; test ecx,ecx; sete al */
        save(s, RAX, RBP, push(s));
        return true;
    case OP_I32_WRAP_I64: /* upper bits of an i32 are undefined */ return true;
    case OP_I64_EXTEND_I32_S:
        load(s, RAX, RBP, pop(s));
        EMIT(s, 0x48, 0x98); /* cdqe */
        save(s, RAX, RBP, push(s));
        return true;
    case OP_F64_ADD: {
        int32_t right = pop(s), left = pop(s);
        vec(s, 0x10, 0, RBP, left);
        vec(s, 0x10, 1, RBP, right);
        EMIT(s, 0xf2, 0x0f, 0x58, 0xc1); /* addsd xmm0, xmm1 */
        vec(s, 0x11, 0, RBP, push(s));
        return true;
    }
    case OP_I32_TRUNC_F64_S: /* the fixtures stay in range */
        vec(s, 0x10, 0, RBP, pop(s));
        EMIT(s, 0xf2, 0x48, 0x0f, 0x2c, 0xc0); /* cvttsd2si rax, xmm0 */
        save(s, RAX, RBP, push(s));
        return true;
    case OP_I32_LOAD:
        address(s, op);
        EMIT(s, 0x8b, 0x00);
        save(s, RAX, RBP, push(s));
        return true;
    case OP_I32_STORE: {
        int32_t value = pop(s);
        address(s, op);
        load(s, RCX, RBP, value);
        EMIT(s, 0x89, 0x08);
        return true;
    }
    default: return false;
    }
}

static bool structural(enum wasm_opcode code)
{
    return code == OP_BLOCK || code == OP_LOOP || code == OP_TRY_TABLE || code == OP_IF || code == OP_END;
}

static bool step(void *arg, const struct wasm_op *op, const struct wasm_body_state *state, struct err *err)
{
    struct standin *s = arg;
    if (!op->reachable && !structural(op->code))
        return true;
    struct code_site *site = VEC_PUSH(&s->code->sites, 100000);
    if (!site)
        return err_memory(err);
    *site = (struct code_site){here(s), op->offset};
    switch (op->code) {
    case OP_BLOCK:
    case OP_LOOP:
    case OP_TRY_TABLE: return open_block(s, op);
    case OP_IF: return open_if(s, op);
    case OP_END: return close_block(s, op, err);
    case OP_BR_IF:
        load(s, RAX, RBP, pop(s));
        EMIT(s, 0x85, 0xc0);
        jump_to(s, 0x85, op->a);
        return true;
    case OP_RETURN: do_return(s); return true;
    case OP_UNREACHABLE: trap(s, TRAP_UNREACHABLE); return true;
    case OP_CALL:
    case OP_RETURN_CALL: return call(s, op->a, op->code == OP_RETURN_CALL, err);
    case OP_CALL_INDIRECT:
    case OP_RETURN_CALL_INDIRECT: return call_indirect(s, op, err);
    case OP_THROW: return throw(s, op);
    default:
        return simple(s, op) ||
               err_set(err, ERR_UNSUPPORTED, "the test generator does not know %s", wasm_op_name(op->code));
    }
}

/* Room for the type hash, then a function entry; returns its row. */
static struct code_func *open_func(struct standin *s, uint32_t func, enum code_func_kind kind)
{
    buf_align(&s->code->text, 16);
    uint64_t head[2] = {0, s->module->types[s->module->funcs[func].type].hash};
    buf_append(&s->code->text, head, sizeof head);
    struct code_func *row = VEC_PUSH(&s->code->funcs, 100000);
    if (row)
        *row = (struct code_func){
            .code_off = here(s), .unit = s->unit->index, .func = func, .kind = kind, .frame_size = FRAME_SIZE};
    return row;
}

static void thunk(struct standin *s, uint32_t func)
{
    const struct wasm_functype *type = wasm_func_type(s->module, func);
    int32_t off = (int32_t)s->unit->funcs[func].off;
    prologue(s);
    take_in(s, type->params, type->param_count, 0, int_regs, CONTEXT_INT_REGS, CONTEXT_VEC_REGS);
    save_guest_fp(s);
    mem(s, 0x3b, RSP, RBX, offsetof(struct store, stack_limit)); /* cmp rsp, [limit] */
    trap_unless(s, 0x73, TRAP_STACK_OVERFLOW);                   /* jae */
    for (uint32_t i = 0; i < type->param_count; i++)
        copy(s, RSP, (int32_t)(16 * i), RBP, cell(i));
    load(s, RDI, RBP, -8);
    load(s, RSI, RDI, off + 8);
    load(s, RAX, RDI, off);
    load(s, RDI, RDI, offsetof(struct context, store));
    EMIT(s, 0x48, 0x89, 0xe2, 0xff, 0xd0); /* mov rdx, rsp; call rax */
    EMIT(s, 0x84, 0xc0);                   /* test al, al */
    trap_unless(s, 0x75, TRAP_PENDING);    /* jnz */
    for (uint32_t i = 0; i < type->result_count; i++)
        copy(s, RBP, cell(i), RSP, (int32_t)(16 * i));
    deal_out(s, type->results, type->result_count, 0, result_regs, CONTEXT_RESULT_INT_REGS, CONTEXT_RESULT_VEC_REGS);
    leave(s);
    EMIT(s, 0xc3);
}

static bool generate_unit(struct standin *s, const struct unit *unit, struct wasm_body_scratch *scratch,
                          struct err *err)
{
    static const struct wasm_visitor visitor = {.begin = begin, .op = step};
    s->unit = unit;
    s->module = unit->module;
    for (uint32_t i = 0; i < s->module->func_count; i++) {
        bool is_thunk = unit->funcs[i].link == FUNC_HOST;
        if (!is_thunk && i < s->module->imported_funcs)
            continue;
        if (!open_func(s, i, is_thunk ? CODE_THUNK : CODE_FUNC))
            return err_memory(err);
        size_t row = s->code->funcs.count - 1;
        s->type = wasm_func_type(s->module, i);
        if (is_thunk)
            thunk(s, i);
        else if (!wasm_body_read(s->module, i, scratch, &visitor, s, err))
            return false;
        s->code->funcs.items[row].code_size = here(s) - s->code->funcs.items[row].code_off;
    }
    return true;
}

static bool resolve(struct standin *s, struct err *err)
{
    for (uint32_t i = 0; i < s->fixup_count; i++) {
        const struct fixup *f = &s->fixups[i];
        size_t row = 0;
        while (row < s->code->funcs.count &&
               (s->code->funcs.items[row].unit != f->unit || s->code->funcs.items[row].func != f->func ||
                (s->code->funcs.items[row].kind == CODE_THUNK) != f->thunk))
            row++;
        if (row == s->code->funcs.count)
            return err_set(err, ERR_LINK, "the test generator lost a function");
        uint32_t rel = s->code->funcs.items[row].code_off - (f->at + 4);
        memcpy(s->code->text.data + f->at, &rel, 4);
    }
    return true;
}

bool standin_generate(const struct unit *units, uint32_t count, const struct codegen_options *options,
                      struct code *ret_code, struct err *err)
{
    static struct standin s;
    s = (struct standin){.code = ret_code};
    struct wasm_body_scratch *scratch = wasm_body_scratch_new(err);
    bool done = scratch != NULL;
    for (uint32_t i = 0; done && i < count; i++)
        done = generate_unit(&s, &units[i], scratch, err);
    wasm_body_scratch_free(scratch);
    buf_align(&ret_code->text, 4096);
    ret_code->exec_size = ret_code->text.size;
    return done && (!ret_code->text.failed || err_memory(err)) && resolve(&s, err);
}
