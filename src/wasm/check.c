/* The operand stack of the validation algorithm; see check.h. */
#include "wasm/check.h"

#include <stdarg.h>
#include <stdio.h>

void check_report(const checker *s, const char *format, ...)
{
    char message[sizeof s->in.err->message];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    err_at(s->in.err, ERR_INVALID, s->op.offset, "%s: %s", wasm_op_name(s->op.code), message);
}

void check_report_limit(const checker *s, enum wasm_limit limit)
{
    const struct wasm_limit_info *info = &wasm_limit_infos[limit];
    err_at(s->in.err, ERR_LIMIT, s->op.offset, "more than %u %s", info->value, info->words);
}

bool check_grow(checker *s, uint32_t more)
{
    if (more > WASM_MAX_OPERANDS - s->operand_count)
        return check_limit(s, WASM_LIMIT_OPERANDS);
    uint32_t capacity = s->operand_capacity ? s->operand_capacity : 256;
    while (capacity - s->operand_count < more)
        capacity *= 2;
    if (capacity > WASM_MAX_OPERANDS)
        capacity = WASM_MAX_OPERANDS;
    wasm_valtype *operands = mem_resize(s->operands, capacity, sizeof *operands);
    if (!operands)
        return err_memory(s->in.err);
    s->operands = operands;
    s->operand_capacity = capacity;
    return true;
}

bool check_underflow(const checker *s, wasm_valtype expected)
{
    return check_fail(s, "type mismatch: expected %s but the stack is empty", type_describe(expected).text);
}

bool check_mismatch(const checker *s, wasm_valtype actual, wasm_valtype expected)
{
    return check_fail(s, "type mismatch: expected %s, found %s", type_describe(expected).text,
                      type_describe(actual).text);
}

bool check_pop_ref(checker *s, wasm_valtype *ret)
{
    wasm_valtype type;
    if (!check_pop_any(s, &type))
        return false;
    if (type != WASM_BOT && !wasm_is_ref(type))
        return check_fail(s, "type mismatch: expected a reference, found %s", type_describe(type).text);
    *ret = type;
    return true;
}

bool check_pops(checker *s, const wasm_valtype *types, uint32_t count)
{
    while (count-- > 0)
        if (!check_pop(s, types[count]))
            return false;
    return true;
}

bool check_pushes(checker *s, const wasm_valtype *types, uint32_t count)
{
    if (!check_room(s, count))
        return false;
    for (uint32_t i = 0; i < count; i++)
        s->operands[s->operand_count++] = types[i];
    return true;
}

bool check_passes(checker *s, const wasm_valtype *types, uint32_t count)
{
    return check_pops(s, types, count) && check_pushes(s, types, count);
}

void check_stop(checker *s)
{
    struct wasm_frame *frame = check_top(s);
    s->operand_count = frame->height;
    frame->unreachable = true;
}

struct branch_type check_label_types(const struct wasm_frame *frame)
{
    if (frame->kind == WASM_FRAME_LOOP)
        return (struct branch_type){frame->type.params, frame->type.param_count};
    return (struct branch_type){frame->type.results, frame->type.result_count};
}

bool check_label(const checker *s, uint32_t depth, struct branch_type *ret)
{
    if (depth >= s->frame_count)
        return check_fail(s, "unknown label %u", depth);
    *ret = check_label_types(&s->frames[s->frame_count - 1 - depth]);
    return true;
}

bool check_valtype(const checker *s, wasm_valtype type)
{
    return type_exists(s->module, type) || check_fail(s, "unknown type %u", wasm_heap(type));
}

static const char *kind_name(enum wasm_comptype_kind kind)
{
    switch (kind) {
    case WASM_COMP_FUNC: return "a function";
    case WASM_COMP_STRUCT: return "a structure";
    default: return "an array";
    }
}

bool check_type_kind(const checker *s, uint32_t index, enum wasm_comptype_kind kind)
{
    if (index >= s->module->type_count)
        return check_fail(s, "unknown type %u", index);
    return s->module->types[index].kind == kind ||
           check_fail(s, "type mismatch: type %u is not %s type", index, kind_name(kind));
}

bool check_table(checker *s, uint32_t index)
{
    if (index >= s->module->table_count)
        return check_fail(s, "unknown table %u", index);
    s->address = check_address(&s->module->tables[index].limits);
    return true;
}

bool check_data(const checker *s, uint32_t index)
{
    if (!s->module->has_data_count)
        return err_at(s->in.err, ERR_MALFORMED, s->op.offset, "data count section required");
    return index < s->module->data_count || check_fail(s, "unknown data segment %u", index);
}

bool check_elem(const checker *s, uint32_t index)
{
    return index < s->module->elem_count || check_fail(s, "unknown elem segment %u", index);
}
