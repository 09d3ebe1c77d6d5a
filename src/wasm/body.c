/* The loop over a function body; see body.h. Each instruction is read (instr.c), its indices are
 * checked by shape (check_immediates.c), its effect on the operand stack is applied from the signature
 * in opcodes.def or by a function of its family (check_*.c), and the visitor is called. Nothing is
 * allocated per instruction.
 */
#include "wasm/quick.h"

#include <pthread.h>

static const char *const signatures[OP_COUNT] = {
#define OP(name, prefix, code, shape, signature, ...) [OP_##name] = signature,
#include "wasm/opcodes.def"
#undef OP
};

static special_check *const specials[OP_COUNT] = {
#define SPECIAL(code, name) [OP_##code] = check_##name,
    SPECIALS(SPECIAL)
#undef SPECIAL
};

/* What constant expressions may contain (section 3.4.15). */
static const bool constants[OP_COUNT] = {
    [OP_END] = true,
    [OP_GLOBAL_GET] = true,
    [OP_I32_CONST] = true,
    [OP_I64_CONST] = true,
    [OP_F32_CONST] = true,
    [OP_F64_CONST] = true,
    [OP_V128_CONST] = true,
    [OP_I32_ADD] = true,
    [OP_I32_SUB] = true,
    [OP_I32_MUL] = true,
    [OP_I64_ADD] = true,
    [OP_I64_SUB] = true,
    [OP_I64_MUL] = true,
    [OP_REF_NULL] = true,
    [OP_REF_FUNC] = true,
    [OP_REF_I31] = true,
    [OP_STRUCT_NEW] = true,
    [OP_STRUCT_NEW_DEFAULT] = true,
    [OP_ARRAY_NEW] = true,
    [OP_ARRAY_NEW_DEFAULT] = true,
    [OP_ARRAY_NEW_FIXED] = true,
    [OP_ANY_CONVERT_EXTERN] = true,
    [OP_EXTERN_CONVERT_ANY] = true,
};

static uint8_t signature_type(char letter)
{
    switch (letter) {
    case 'i': return WASM_I32;
    case 'l': return WASM_I64;
    case 'f': return WASM_F32;
    case 'd': return WASM_F64;
    case 'v': return WASM_V128;
    default: return EFFECT_ADDRESS;
    }
}

static struct effect effect_of(const char *signature)
{
    struct effect effect = {.special = *signature == '*'};
    if (effect.special)
        return effect;
    for (; *signature != ':'; signature++)
        effect.pop[effect.pop_count++] = signature_type(*signature);
    if (signature[1])
        effect.push = signature_type(signature[1]);
    return effect;
}

/* ---- tables from opcodes.def, filled once ---- */

static struct effect effects[OP_COUNT];
struct quick quick_rows[256];

static enum quick_kind quick_kind_of(enum wasm_opcode code)
{
    enum wasm_shape shape = instr_shapes[code];
    switch (code) {
    case OP_LOCAL_GET: return QUICK_GET;
    case OP_LOCAL_SET: return QUICK_SET;
    case OP_LOCAL_TEE: return QUICK_TEE;
    case OP_I32_CONST: return QUICK_I32;
    case OP_I64_CONST: return QUICK_I64;
    case OP_BLOCK:
    case OP_LOOP:
    case OP_IF: return QUICK_OPEN;
    case OP_END: return QUICK_END;
    case OP_BR: return QUICK_BR;
    case OP_BR_IF: return QUICK_BR_IF;
    case OP_CALL: return QUICK_CALL;
    default:
        if (*signatures[code] == '*')
            return QUICK_NO;
        return shape == SHAPE_NONE                            ? QUICK_PLAIN
               : shape >= SHAPE_MEM_0 && shape <= SHAPE_MEM_3 ? QUICK_ACCESS
                                                              : QUICK_NO;
    }
}

/* Addresses have 32 bits here. */
static uint8_t quick_type(uint8_t type)
{
    return type == EFFECT_ADDRESS ? WASM_I32 : type;
}

static struct quick quick_of(enum wasm_opcode code)
{
    const struct effect *effect = &effects[code];
    struct quick row = {.kind = quick_kind_of(code), .push = effect->push};
    if (row.kind != QUICK_ACCESS && row.kind != QUICK_PLAIN)
        return row;
    if (effect->pop_count < 1 || effect->pop_count > 2)
        return (struct quick){.kind = QUICK_NO};
    row.pop_count = effect->pop_count;
    row.first = quick_type(effect->pop[0]);
    row.last = quick_type(effect->pop[effect->pop_count - 1]);
    row.grows = (int8_t)((row.push != 0) - effect->pop_count);
    if (row.kind == QUICK_ACCESS)
        row.align_max = (uint8_t)(instr_shapes[code] - SHAPE_MEM_0);
    return row;
}

static void fill_tables(void)
{
    for (unsigned i = 0; i < OP_COUNT; i++)
        effects[i] = effect_of(signatures[i]);
    for (unsigned i = 0; i < 256; i++)
        if (instr_plain[i])
            quick_rows[i] = quick_of((enum wasm_opcode)(instr_plain[i] - 1));
}

struct wasm_body_scratch *wasm_body_scratch_new(struct err *err)
{
    static pthread_once_t filled = PTHREAD_ONCE_INIT;
    struct wasm_body_scratch *s = mem_alloc(1, sizeof *s);
    if (!s) {
        err_memory(err);
        return NULL;
    }
    pthread_once(&filled, fill_tables);
    arena_init(&s->arena, (size_t)1 << 30);
    return s;
}

void wasm_body_careful(struct wasm_body_scratch *s)
{
    s->careful = true;
}

void wasm_body_scratch_free(struct wasm_body_scratch *s)
{
    if (!s)
        return;
    mem_free(s->operands);
    mem_free(s->frames);
    mem_free(s->locals);
    mem_free(s->sets);
    mem_free(s->unset);
    instr_lists_free(&s->lists);
    arena_free(&s->arena);
    mem_free(s);
}

/* --- locals --- */

/* `slot` is one of the arrays that are as long as the locals. */
static bool grow_array(checker *s, void **slot, size_t count, size_t size)
{
    void *block = mem_resize(*slot, count, size);
    if (!block)
        return err_memory(s->in.err);
    *slot = block;
    return true;
}

static bool locals_room(checker *s, uint32_t count)
{
    if (count <= s->local_capacity)
        return true;
    uint32_t capacity = count < 256 ? 256 : count * 2;
    if (!grow_array(s, (void **)&s->locals, capacity, sizeof *s->locals) ||
        !grow_array(s, (void **)&s->sets, capacity, sizeof *s->sets) ||
        !grow_array(s, (void **)&s->unset, capacity, sizeof *s->unset))
        return false;
    s->local_capacity = capacity;
    return true;
}

static bool add_locals(checker *s, uint32_t count, wasm_valtype type, bool unset)
{
    if (!locals_room(s, s->local_count + count))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        s->locals[s->local_count] = type;
        s->unset[s->local_count++] = unset;
    }
    s->any_unset |= unset && count > 0;
    return true;
}

static bool add_params(checker *s, const struct wasm_functype *type)
{
    for (uint32_t i = 0; i < type->param_count; i++)
        if (!add_locals(s, 1, type->params[i], false))
            return false;
    return true;
}

/* More than 2^32 locals are malformed, which only their sum shows; more than the cap come second. */
static bool read_locals(checker *s)
{
    uint32_t groups, count;
    uint64_t total = s->local_count;
    wasm_valtype type;
    if (!reader_count(&s->in, WASM_LIMIT_LOCALS, &groups))
        return false;
    for (uint32_t i = 0; i < groups; i++) {
        if (!reader_u32(&s->in, &count))
            return false;
        total += count;
        if (total > UINT32_MAX)
            return reader_fail(&s->in, ERR_MALFORMED, "too many locals");
        if (!reader_valtype(&s->in, &type))
            return false;
        if (!type_exists(s->module, type))
            return reader_fail(&s->in, ERR_INVALID, "unknown type %u", wasm_heap(type));
        if (total <= WASM_MAX_LOCALS && !add_locals(s, count, type, !type_defaultable(type)))
            return false;
    }
    return total <= WASM_MAX_LOCALS || reader_limit(&s->in, WASM_LIMIT_LOCALS);
}

/* --- the loop --- */

static bool apply(checker *s, const struct effect *effect)
{
    for (unsigned i = effect->pop_count; i-- > 0;) {
        uint8_t type = effect->pop[i];
        if (!check_pop(s, type == EFFECT_ADDRESS ? s->address : type))
            return false;
    }
    if (effect->push == 0)
        return true;
    return check_push(s, effect->push == EFFECT_ADDRESS ? s->address : effect->push);
}

/* One instruction of those that mostly are right: quick.h. */
static inline bool quick_step(checker *s)
{
    if (!quick_limit(s))
        return false;
    const uint8_t *at = s->in.at;
    const struct quick *row = quick_row(at++);
    uint32_t height = check_top(s)->height, number = 0;
    bool taken = false;
    switch ((enum quick_kind)row->kind) {
    case QUICK_GET:
        s->op.a = *at++;
        taken = quick_get(s, (uint8_t)s->op.a);
        break;
    case QUICK_SET:
    case QUICK_TEE:
        s->op.a = *at++;
        taken = quick_set(s, (uint8_t)s->op.a, height, row->kind == QUICK_SET);
        break;
    case QUICK_I32:
        taken = quick_signed(&at, &number) && quick_push(s, WASM_I32);
        s->op.bits = number;
        break;
    case QUICK_I64:
        taken = quick_signed(&at, &number) && quick_push(s, WASM_I64);
        s->op.bits = (uint64_t)(int32_t)number;
        break;
    default: taken = quick_take(s, row, &at); break;
    }
    if (taken)
        quick_done(s, at, true);
    if (taken && row->kind == QUICK_BR)
        check_stop(s);
    return taken;
}

static bool step(checker *s)
{
    struct wasm_op *op = &s->op;
    if (!instr_read(&s->in, &s->lists, op))
        return false;
    op->next = reader_offset(&s->in);
    if (s->constant && !constants[op->code])
        return check_fail(s, "constant expression required");
    const struct wasm_frame *frame = check_top(s);
    op->reachable = !frame->unreachable && !frame->dead;
    special_check *immediates = check_immediates[instr_shapes[op->code]];
    if (immediates && !immediates(s))
        return false;
    const struct effect *effect = &effects[op->code];
    return effect->special ? specials[op->code](s) : apply(s, effect);
}

static const struct wasm_body_state *publish(checker *s)
{
    s->state.operand_count = s->operand_count;
    s->state.operands = s->operands;
    s->state.frame_count = s->frame_count;
    s->state.frames = s->frames;
    return &s->state;
}

/* The locals are known: what stays the same until the end, and the visitor's first call. */
static bool start(checker *s, const struct wasm_visitor *visitor, void *arg)
{
    s->quick_locals = s->any_unset || s->constant ? 0 : s->local_count < 0x80 ? s->local_count : 0x80;
    s->quick_memory = s->module->memory_count > 0 && !s->module->memories[0].limits.is_64;
    s->state.module = s->module;
    s->state.func = s->func;
    s->state.local_count = s->local_count;
    s->state.locals = s->locals;
    return !visitor || !visitor->begin || visitor->begin(arg, publish(s), s->in.err);
}

static bool read_all(checker *s, const struct wasm_visitor *visitor, void *arg)
{
    bool walks = visitor && visitor->quick;
    while (s->frame_count > 0) {
        if (walks)
            visitor->quick(arg, s);
        if ((walks || !quick_step(s)) && !step(s))
            return false;
        if (visitor && !visitor->op(arg, &s->op, publish(s), s->in.err))
            return false;
    }
    return s->in.at == s->in.end || reader_fail(&s->in, ERR_MALFORMED, "bytes after the end of the expression");
}

/* A clean slate with the frame of the function or expression itself. */
static bool begin(checker *s, const struct wasm_module *module, uint32_t start, uint32_t size,
                  struct wasm_functype type, struct err *err)
{
    s->module = module;
    s->in = (struct reader){module->bytes, module->bytes + start, module->bytes + start + size, err};
    s->op.code = OP_END;
    s->op.offset = start;
    s->operand_count = s->frame_count = s->local_count = s->set_count = 0;
    s->any_unset = s->constant = false;
    s->visible_globals = module->global_count;
    arena_reset(&s->arena);
    return check_open(s, WASM_FRAME_FUNC, type);
}

static bool read_body(const struct wasm_module *module, uint32_t func, struct wasm_body_scratch *s,
                      const struct wasm_visitor *visitor, void *arg, struct err *err)
{
    const struct wasm_func *body = &module->funcs[func];
    const struct wasm_functype *type = wasm_func_type(module, func);
    struct wasm_functype results = {.results = type->results, .result_count = type->result_count};
    s->func = func;
    if (!begin(s, module, body->body, body->size, results, err) || !add_params(s, type) || !read_locals(s))
        return false;
    return start(s, visitor, arg) && read_all(s, visitor, arg);
}

bool wasm_body_read(const struct wasm_module *module, uint32_t func, struct wasm_body_scratch *s,
                    const struct wasm_visitor *visitor, void *arg, struct err *err)
{
    if (read_body(module, func, s, visitor, arg, err))
        return true;
    if (err->offset != ERR_NO_OFFSET)
        err->offset += module->origin;
    return false;
}

bool check_const(checker *s, const struct wasm_module *module, struct wasm_expr expr, wasm_valtype type,
                 uint32_t visible_globals, const struct wasm_visitor *visitor, void *arg, struct err *err)
{
    struct wasm_functype result = {.results = &type, .result_count = 1};
    s->func = WASM_NO_INDEX;
    if (!begin(s, module, expr.start, expr.end - expr.start, result, err))
        return false;
    s->constant = true;
    s->visible_globals = visible_globals;
    return start(s, visitor, arg) && read_all(s, visitor, arg);
}

bool wasm_expr_read(const struct wasm_module *module, struct wasm_expr expr, wasm_valtype type,
                    struct wasm_body_scratch *scratch, const struct wasm_visitor *visitor, void *arg, struct err *err)
{
    return check_const(scratch, module, expr, type, module->global_count, visitor, arg, err);
}
