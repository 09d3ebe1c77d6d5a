/* The loop over a function body; see body.h. Each instruction is read (instr.c), its indices are
 * checked by shape (check_immediates.c), its effect on the operand stack is applied from the signature
 * in opcodes.def or by a function of its family (check_*.c), and the visitor is called. Nothing is
 * allocated per instruction.
 */
#include "wasm/check.h"

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

static void fill_quick(checker *s);

struct wasm_body_scratch *wasm_body_scratch_new(struct err *err)
{
    struct wasm_body_scratch *s = mem_alloc(1, sizeof *s);
    if (!s) {
        err_memory(err);
        return NULL;
    }
    arena_init(&s->arena, (size_t)1 << 30);
    for (unsigned i = 0; i < OP_COUNT; i++)
        s->effects[i] = effect_of(signatures[i]);
    fill_quick(s);
    return s;
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

/* ---- the quick way ----
 *
 * Most instructions are one of a few and right: what cannot fail takes this way past the tables, and what is not
 * obviously right, or in code that cannot be reached, takes the other from its beginning. */

enum quick_kind { QUICK_NO, QUICK_GET, QUICK_SET, QUICK_TEE, QUICK_I32, QUICK_ACCESS, QUICK_PLAIN };
enum { QUICK_BYTES = 12 }; /* what may be read without a look at the end */

static enum quick_kind quick_kind_of(enum wasm_opcode code)
{
    enum wasm_shape shape = instr_shapes[code];
    switch (code) {
    case OP_LOCAL_GET: return QUICK_GET;
    case OP_LOCAL_SET: return QUICK_SET;
    case OP_LOCAL_TEE: return QUICK_TEE;
    case OP_I32_CONST: return QUICK_I32;
    default:
        if (*signatures[code] == '*')
            return QUICK_NO;
        return shape == SHAPE_NONE                            ? QUICK_PLAIN
               : shape >= SHAPE_MEM_0 && shape <= SHAPE_MEM_3 ? QUICK_ACCESS
                                                              : QUICK_NO;
    }
}

static void fill_quick(checker *s)
{
    for (unsigned i = 0; i < 256; i++) {
        struct quick *row = &s->quick[i];
        if (!instr_plain[i])
            continue;
        row->code = instr_plain[i] - 1;
        row->kind = quick_kind_of((enum wasm_opcode)row->code);
        row->align_max = (uint8_t)(instr_shapes[row->code] - SHAPE_MEM_0);
        const struct effect *effect = &s->effects[row->code];
        if (effect->pop_count > 2)
            row->kind = QUICK_NO;
        row->pop_count = effect->pop_count;
        for (unsigned k = 0; k < 2; k++) /* addresses have 32 bits here */
            row->pop[k] = effect->pop[k] == EFFECT_ADDRESS ? WASM_I32 : effect->pop[k];
        row->push = effect->push;
    }
}

/* Operands as the row says, on top and of this frame, become its result. */
static inline bool quick_effect(checker *s, const struct quick *row, const struct wasm_frame *frame)
{
    uint32_t count = row->pop_count;
    if (s->operand_count - frame->height < count)
        return false;
    wasm_valtype *at = s->operands + s->operand_count - count;
    if ((count > 0 && at[0] != row->pop[0]) || (count > 1 && at[1] != row->pop[1]))
        return false;
    at[0] = row->push;
    s->operand_count += (row->push != 0) - count;
    return true;
}

/* A number of one or two bytes, or false. */
static inline bool quick_number(const uint8_t **at, uint32_t *ret)
{
    const uint8_t *p = *at;
    *ret = p[0];
    *at = p + 1;
    if (p[0] < 0x80)
        return true;
    *ret = (p[0] & 0x7fu) | (uint32_t)p[1] << 7;
    *at = p + 2;
    return p[1] < 0x80;
}

static inline bool quick_local(checker *s, const struct quick *row, const struct wasm_frame *frame, uint8_t local)
{
    if (local >= s->quick_locals)
        return false;
    if (row->kind == QUICK_GET) {
        s->operands[s->operand_count++] = s->locals[local];
    } else {
        if (s->operand_count == frame->height || s->operands[s->operand_count - 1] != s->locals[local])
            return false;
        s->operand_count -= row->kind == QUICK_SET;
    }
    s->op.a = local;
    return true;
}

static inline bool quick_access(checker *s, const struct quick *row, const struct wasm_frame *frame, const uint8_t **at)
{
    uint32_t offset;
    uint8_t align = *(*at)++;
    if (!s->quick_memory || align > row->align_max || !quick_number(at, &offset) || !quick_effect(s, row, frame))
        return false;
    s->op.mem = (struct wasm_memarg){offset, 0, align};
    return true;
}

static inline bool quick_step(checker *s)
{
    const uint8_t *at = s->in.at;
    const struct wasm_frame *frame = check_top(s);
    if (reader_left(&s->in) < QUICK_BYTES || s->constant || frame->unreachable || frame->dead || !check_has_room(s))
        return false;
    const struct quick *row = &s->quick[*at++];
    uint32_t number;
    switch ((enum quick_kind)row->kind) {
    case QUICK_NO: return false;
    case QUICK_GET:
    case QUICK_SET:
    case QUICK_TEE:
        if (!quick_local(s, row, frame, *at++))
            return false;
        break;
    case QUICK_I32:
        if (!quick_number(&at, &number))
            return false;
        number = at - s->in.at == 2 ? (number ^ 0x40) - 0x40 : (number ^ 0x2000) - 0x2000;
        s->op.bits = number;
        s->operands[s->operand_count++] = WASM_I32;
        break;
    case QUICK_ACCESS:
        if (!quick_access(s, row, frame, &at))
            return false;
        break;
    case QUICK_PLAIN:
        if (!quick_effect(s, row, frame))
            return false;
        break;
    }
    s->op.code = (enum wasm_opcode)row->code;
    s->op.offset = reader_offset(&s->in);
    s->op.next = s->op.offset + (uint32_t)(at - s->in.at);
    s->op.reachable = true;
    s->in.at = at;
    return true;
}

static bool step(checker *s)
{
    struct wasm_op *op = &s->op;
    if (quick_step(s))
        return true;
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
    const struct effect *effect = &s->effects[op->code];
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
    while (s->frame_count > 0) {
        if (!step(s))
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
