/* References, casts and i31 (core specification, sections 3.4.1 and 3.4.7). An operand may be
 * WASM_BOT in unreachable code, which stays the bottom whatever is done to its nullability. */
#include "wasm/check.h"

static wasm_valtype non_null(wasm_valtype type)
{
    return type & ~WASM_NULLABLE;
}

bool check_ref_null(checker *s)
{
    return check_push(s, s->op.cast.to);
}

bool check_ref_is_null(checker *s)
{
    wasm_valtype type;
    return check_pop_ref(s, &type) && check_push(s, WASM_I32);
}

bool check_ref_func(checker *s)
{
    const struct wasm_func *func = &s->module->funcs[s->op.a];
    if (!s->constant && !func->declared)
        return check_fail(s, "undeclared function reference %u", s->op.a);
    return check_push(s, WASM_REF | func->type);
}

bool check_ref_eq(checker *s)
{
    wasm_valtype eq = WASM_REF | WASM_NULLABLE | HEAP_EQ;
    return check_pop(s, eq) && check_pop(s, eq) && check_push(s, WASM_I32);
}

bool check_ref_as_non_null(checker *s)
{
    wasm_valtype type;
    return check_pop_ref(s, &type) && check_push(s, non_null(type));
}

bool check_br_on_null(checker *s)
{
    wasm_valtype type;
    struct branch_type label;
    return check_pop_ref(s, &type) && check_label(s, s->op.a, &label) && check_passes(s, label.types, label.count) &&
           check_push(s, non_null(type));
}

/* The last of a label's types, which must be a reference that `type` matches. */
static bool label_takes(checker *s, const struct branch_type *label, wasm_valtype type)
{
    if (label->count == 0 || !wasm_is_ref(label->types[label->count - 1]))
        return check_fail(s, "type mismatch: the label takes no reference");
    wasm_valtype last = label->types[label->count - 1];
    return wasm_subtype(s->module, type, last) || check_mismatch(s, type, last);
}

bool check_br_on_non_null(checker *s)
{
    wasm_valtype type;
    struct branch_type label;
    return check_pop_ref(s, &type) && check_label(s, s->op.a, &label) && label_takes(s, &label, non_null(type)) &&
           check_passes(s, label.types, label.count - 1);
}

bool check_ref_test(checker *s)
{
    return check_pop(s, s->op.cast.from) && check_push(s, WASM_I32);
}

bool check_ref_cast(checker *s)
{
    return check_pop(s, s->op.cast.from) && check_push(s, s->op.cast.to);
}

/* What is left of `from` when `to` was taken out: null goes with `to` if that has it. */
static wasm_valtype difference(wasm_valtype from, wasm_valtype to)
{
    return to & WASM_NULLABLE ? non_null(from) : from;
}

static bool branch_cast(checker *s, wasm_valtype taken, wasm_valtype passed)
{
    struct branch_type label;
    wasm_valtype from = s->op.cast.from, to = s->op.cast.to;
    if (!wasm_subtype(s->module, to, from))
        return check_mismatch(s, to, from);
    return check_label(s, s->op.a, &label) && label_takes(s, &label, taken) && check_pop(s, from) &&
           check_passes(s, label.types, label.count - 1) && check_push(s, passed);
}

bool check_br_on_cast(checker *s)
{
    return branch_cast(s, s->op.cast.to, difference(s->op.cast.from, s->op.cast.to));
}

bool check_br_on_cast_fail(checker *s)
{
    return branch_cast(s, difference(s->op.cast.from, s->op.cast.to), s->op.cast.to);
}

/* Between the hierarchies of `extern` and `any`; nullability stays. */
static bool convert(checker *s, wasm_heaptype from, wasm_heaptype to)
{
    wasm_valtype type;
    if (!check_pop_ref(s, &type))
        return false;
    if (!wasm_subtype(s->module, type, WASM_REF | WASM_NULLABLE | from))
        return check_mismatch(s, type, WASM_REF | WASM_NULLABLE | from);
    return check_push(s, WASM_REF | (type & WASM_NULLABLE) | to);
}

bool check_any_convert_extern(checker *s)
{
    return convert(s, HEAP_EXTERN, HEAP_ANY);
}

bool check_extern_convert_any(checker *s)
{
    return convert(s, HEAP_ANY, HEAP_EXTERN);
}

bool check_ref_i31(checker *s)
{
    return check_pop(s, WASM_I32) && check_push(s, WASM_REF | HEAP_I31);
}

bool check_i31_get(checker *s)
{
    return check_pop(s, WASM_REF | WASM_NULLABLE | HEAP_I31) && check_push(s, WASM_I32);
}
