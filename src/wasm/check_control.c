/* Blocks, branches, calls and exceptions (core specification, sections 3.4.1 and 3.4.2). */
#include "wasm/check.h"

/* --- blocks --- */

static bool frame_room(checker *s)
{
    if (s->frame_count < s->frame_capacity)
        return true;
    if (s->frame_count >= WASM_MAX_NESTING)
        return check_limit(s, WASM_LIMIT_NESTING);
    uint32_t capacity = s->frame_capacity ? s->frame_capacity * 2 : 32;
    if (capacity > WASM_MAX_NESTING)
        capacity = WASM_MAX_NESTING;
    struct wasm_frame *frames = mem_resize(s->frames, capacity, sizeof *frames);
    if (!frames)
        return err_memory(s->in.err);
    s->frames = frames;
    s->frame_capacity = capacity;
    return true;
}

/* Types of blocks with one result, for the types that are the same in every module. */
static const wasm_valtype singles[] = {
    WASM_I32,       WASM_I64,    WASM_F32,
    WASM_F64,       WASM_V128,   WASM_FUNCREF,
    WASM_EXTERNREF, WASM_EXNREF, WASM_REF | WASM_NULLABLE | HEAP_ANY,
};

const wasm_valtype *check_single(wasm_valtype type)
{
    for (size_t i = 0; i < sizeof singles / sizeof *singles; i++)
        if (singles[i] == type)
            return &singles[i];
    return NULL;
}

/* A place for one type that lives as long as the body is read. */
static const wasm_valtype *single(checker *s, wasm_valtype type)
{
    const wasm_valtype *known = check_single(type);
    if (known)
        return known;
    const wasm_valtype *copy = arena_copy(&s->arena, &type, sizeof type);
    if (!copy)
        err_memory(s->in.err);
    return copy;
}

/* From the raw block type in a and b (see instr.h). */
static bool block_type(checker *s, struct wasm_functype *ret)
{
    uint32_t index = s->op.a, value = s->op.b;
    struct wasm_functype type = {0};
    if (index != WASM_NO_INDEX) {
        if (!check_type_kind(s, index, WASM_COMP_FUNC))
            return false;
        type = s->module->types[index].func;
    } else if (value != WASM_BOT) {
        type.result_count = 1;
        if (!check_valtype(s, value) || !(type.results = single(s, value)))
            return false;
    }
    *ret = type;
    return true;
}

static bool open_frame(checker *s, enum wasm_frame_kind kind, struct wasm_functype type, bool dead)
{
    if (!frame_room(s))
        return false;
    s->frames[s->frame_count++] = (struct wasm_frame){kind, type, s->operand_count, s->set_count, false, dead};
    return check_pushes(s, type.params, type.param_count);
}

bool check_open(checker *s, enum wasm_frame_kind kind, struct wasm_functype type)
{
    return open_frame(s, kind, type, false);
}

static bool enter(checker *s, enum wasm_frame_kind kind)
{
    struct wasm_functype type;
    if (!block_type(s, &type))
        return false;
    s->op.block.type = type;
    return check_pops(s, type.params, type.param_count) && open_frame(s, kind, type, !s->op.reachable);
}

bool check_block(checker *s)
{
    return enter(s, WASM_FRAME_BLOCK);
}

bool check_loop(checker *s)
{
    return enter(s, WASM_FRAME_LOOP);
}

bool check_if(checker *s)
{
    return check_pop(s, WASM_I32) && enter(s, WASM_FRAME_IF);
}

/* Locals without default that got their value in the block lose it again. */
static void forget_sets(checker *s, uint32_t sets)
{
    while (s->set_count > sets)
        s->unset[s->sets[--s->set_count]] = true;
}

static bool close_frame(checker *s, struct wasm_frame *ret)
{
    struct wasm_frame frame = *check_top(s);
    if (!check_pops(s, frame.type.results, frame.type.result_count))
        return false;
    if (s->operand_count != frame.height)
        return check_fail(s, "type mismatch: %u values left on the stack at the end of a block",
                          s->operand_count - frame.height);
    forget_sets(s, frame.sets);
    s->frame_count--;
    *ret = frame;
    return true;
}

bool check_else(checker *s)
{
    struct wasm_frame frame;
    if (check_top(s)->kind != WASM_FRAME_IF)
        return err_at(s->in.err, ERR_MALFORMED, s->op.offset, "else without if");
    return close_frame(s, &frame) && open_frame(s, WASM_FRAME_ELSE, frame.type, frame.dead);
}

/* An `if` without `else` passes its parameters on. */
static bool no_else(checker *s, const struct wasm_functype *type)
{
    if (type->param_count != type->result_count)
        return check_fail(s, "type mismatch: an if without else must have the same parameters and results");
    for (uint32_t i = 0; i < type->param_count; i++)
        if (!wasm_subtype(s->module, type->params[i], type->results[i]))
            return check_mismatch(s, type->params[i], type->results[i]);
    return true;
}

bool check_end(checker *s)
{
    struct wasm_frame frame;
    if (!close_frame(s, &frame))
        return false;
    if (frame.kind == WASM_FRAME_IF && !no_else(s, &frame.type))
        return false;
    return check_pushes(s, frame.type.results, frame.type.result_count);
}

bool check_unreachable(checker *s)
{
    check_stop(s);
    return true;
}

/* --- branches --- */

bool check_br(checker *s)
{
    struct branch_type label;
    if (!check_label(s, s->op.a, &label) || !check_pops(s, label.types, label.count))
        return false;
    check_stop(s);
    return true;
}

bool check_br_if(checker *s)
{
    struct branch_type label;
    return check_pop(s, WASM_I32) && check_label(s, s->op.a, &label) && check_passes(s, label.types, label.count);
}

/* Whether the operands on top match a label, without popping them. */
static bool matches(checker *s, struct branch_type label)
{
    const struct wasm_frame *frame = check_top(s);
    uint32_t have = s->operand_count - frame->height;
    for (uint32_t i = 0; i < label.count; i++) {
        wasm_valtype expected = label.types[label.count - 1 - i];
        if (i >= have)
            return frame->unreachable || check_underflow(s, expected);
        wasm_valtype actual = s->operands[s->operand_count - 1 - i];
        if (!wasm_subtype(s->module, actual, expected))
            return check_mismatch(s, actual, expected);
    }
    return true;
}

bool check_br_table(checker *s)
{
    struct branch_type fallback, label;
    const uint32_t *labels = s->op.table.labels;
    if (!check_pop(s, WASM_I32) || !check_label(s, labels[s->op.table.count], &fallback))
        return false;
    for (uint32_t i = 0; i < s->op.table.count; i++) {
        if (!check_label(s, labels[i], &label))
            return false;
        if (label.count != fallback.count)
            return check_fail(s, "type mismatch: labels of different arity");
        if (label.types != fallback.types && !matches(s, label))
            return false;
    }
    if (!check_pops(s, fallback.types, fallback.count))
        return false;
    check_stop(s);
    return true;
}

static const struct wasm_functype *own_type(const checker *s)
{
    return &s->frames[0].type;
}

bool check_return(checker *s)
{
    if (!check_pops(s, own_type(s)->results, own_type(s)->result_count))
        return false;
    check_stop(s);
    return true;
}

/* --- calls --- */

static bool call(checker *s, const struct wasm_functype *type)
{
    return check_pops(s, type->params, type->param_count) && check_pushes(s, type->results, type->result_count);
}

/* A tail call's results become the function's. */
static bool tail_call(checker *s, const struct wasm_functype *type)
{
    const struct wasm_functype *own = own_type(s);
    if (type->result_count != own->result_count)
        return check_fail(s, "type mismatch: the results are not those of the calling function");
    for (uint32_t i = 0; i < type->result_count; i++)
        if (!wasm_subtype(s->module, type->results[i], own->results[i]))
            return check_mismatch(s, type->results[i], own->results[i]);
    if (!check_pops(s, type->params, type->param_count))
        return false;
    check_stop(s);
    return true;
}

bool check_call(checker *s)
{
    return call(s, wasm_func_type(s->module, s->op.a));
}

bool check_return_call(checker *s)
{
    return tail_call(s, wasm_func_type(s->module, s->op.a));
}

static bool indirect_callee(checker *s)
{
    wasm_valtype type = s->module->tables[s->op.b].type;
    if (!wasm_subtype(s->module, type, WASM_FUNCREF))
        return check_mismatch(s, type, WASM_FUNCREF);
    return check_type_kind(s, s->op.a, WASM_COMP_FUNC) && check_pop(s, s->address);
}

bool check_call_indirect(checker *s)
{
    return indirect_callee(s) && call(s, &s->module->types[s->op.a].func);
}

bool check_return_call_indirect(checker *s)
{
    return indirect_callee(s) && tail_call(s, &s->module->types[s->op.a].func);
}

static bool ref_callee(checker *s)
{
    return check_type_kind(s, s->op.a, WASM_COMP_FUNC) && check_pop(s, WASM_REF | WASM_NULLABLE | s->op.a);
}

bool check_call_ref(checker *s)
{
    return ref_callee(s) && call(s, &s->module->types[s->op.a].func);
}

bool check_return_call_ref(checker *s)
{
    return ref_callee(s) && tail_call(s, &s->module->types[s->op.a].func);
}

/* --- exceptions --- */

static const struct wasm_functype *tag_type(const checker *s, uint32_t tag)
{
    return &s->module->types[s->module->tags[tag].type].func;
}

bool check_throw(checker *s)
{
    const struct wasm_functype *type = tag_type(s, s->op.a);
    if (!check_pops(s, type->params, type->param_count))
        return false;
    check_stop(s);
    return true;
}

bool check_throw_ref(checker *s)
{
    if (!check_pop(s, WASM_EXNREF))
        return false;
    check_stop(s);
    return true;
}

/* A clause hands the tag's parameters and, for the _ref kinds (odd), the exception to its label. */
static bool catch_clause(checker *s, const struct wasm_catch *catch)
{
    struct branch_type label;
    bool tagged = catch->kind < 2, ref = catch->kind & 1;
    if (tagged && catch->tag >= s->module->tag_count)
        return check_fail(s, "unknown tag %u", catch->tag);
    if (!check_label(s, catch->label, &label))
        return false;
    uint32_t params = tagged ? tag_type(s, catch->tag)->param_count : 0;
    if (label.count != params + ref)
        return check_fail(s, "type mismatch: the label takes %u values, the clause gives %u", label.count,
                          params + ref);
    for (uint32_t i = 0; i < label.count; i++) {
        wasm_valtype type = i < params ? tag_type(s, catch->tag)->params[i] : (wasm_valtype)(WASM_REF | HEAP_EXN);
        if (!wasm_subtype(s->module, type, label.types[i]))
            return check_mismatch(s, type, label.types[i]);
    }
    return true;
}

bool check_try_table(checker *s)
{
    for (uint32_t i = 0; i < s->op.block.catch_count; i++)
        if (!catch_clause(s, &s->op.block.catches[i]))
            return false;
    return enter(s, WASM_FRAME_TRY);
}
