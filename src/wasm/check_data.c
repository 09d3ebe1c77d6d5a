/* Locals, globals, tables and selection (core specification, sections 3.4.3 to 3.4.6). */
#include "wasm/check.h"

bool check_drop(checker *s)
{
    wasm_valtype type;
    return check_pop_any(s, &type);
}

bool check_select(checker *s)
{
    wasm_valtype one, two;
    if (!check_pop(s, WASM_I32) || !check_pop_any(s, &two) || !check_pop_any(s, &one))
        return false;
    if (wasm_is_ref(one) || wasm_is_ref(two))
        return check_fail(s, "type mismatch: references need a select with a type");
    if (one != two && one != WASM_BOT && two != WASM_BOT)
        return check_mismatch(s, two, one);
    return check_push(s, one == WASM_BOT ? two : one);
}

bool check_select_t(checker *s)
{
    wasm_valtype type = s->op.cast.to;
    return check_pop(s, WASM_I32) && check_pop(s, type) && check_pop(s, type) && check_push(s, type);
}

bool check_local_get(checker *s)
{
    if (s->any_unset && s->unset[s->op.a])
        return check_fail(s, "uninitialized local %u", s->op.a);
    return check_push(s, s->locals[s->op.a]);
}

static void note_set(checker *s, uint32_t local)
{
    if (!s->any_unset || !s->unset[local])
        return;
    s->unset[local] = false;
    s->sets[s->set_count++] = local;
}

bool check_local_set(checker *s)
{
    note_set(s, s->op.a);
    return check_pop(s, s->locals[s->op.a]);
}

bool check_local_tee(checker *s)
{
    return check_local_set(s) && check_push(s, s->locals[s->op.a]);
}

bool check_global_get(checker *s)
{
    const struct wasm_global *global = &s->module->globals[s->op.a];
    if (s->constant && global->mutable_)
        return check_fail(s, "constant expression required: global %u is mutable", s->op.a);
    return check_push(s, global->type);
}

bool check_global_set(checker *s)
{
    const struct wasm_global *global = &s->module->globals[s->op.a];
    if (!global->mutable_)
        return check_fail(s, "immutable global %u", s->op.a);
    return check_pop(s, global->type);
}

static wasm_valtype table_type(const checker *s, uint32_t table)
{
    return s->module->tables[table].type;
}

bool check_table_get(checker *s)
{
    return check_pop(s, s->address) && check_push(s, table_type(s, s->op.a));
}

bool check_table_set(checker *s)
{
    return check_pop(s, table_type(s, s->op.a)) && check_pop(s, s->address);
}

bool check_table_grow(checker *s)
{
    return check_pop(s, s->address) && check_pop(s, table_type(s, s->op.a)) && check_push(s, s->address);
}

bool check_table_fill(checker *s)
{
    return check_pop(s, s->address) && check_pop(s, table_type(s, s->op.a)) && check_pop(s, s->address);
}

bool check_table_init(checker *s)
{
    wasm_valtype from = s->module->elems[s->op.a].type, to = table_type(s, s->op.b);
    if (!wasm_subtype(s->module, from, to))
        return check_mismatch(s, from, to);
    return check_pop(s, WASM_I32) && check_pop(s, WASM_I32) && check_pop(s, s->address);
}

/* Copies count in the smaller of the two address types. */
static bool copy(checker *s, const struct wasm_limits *to, const struct wasm_limits *from)
{
    wasm_valtype count = to->is_64 && from->is_64 ? WASM_I64 : WASM_I32;
    return check_pop(s, count) && check_pop(s, check_address(from)) && check_pop(s, check_address(to));
}

bool check_table_copy(checker *s)
{
    const struct wasm_table *to = &s->module->tables[s->op.a], *from = &s->module->tables[s->op.b];
    if (!wasm_subtype(s->module, from->type, to->type))
        return check_mismatch(s, from->type, to->type);
    return copy(s, &to->limits, &from->limits);
}

bool check_memory_copy(checker *s)
{
    return copy(s, &s->module->memories[s->op.a].limits, &s->module->memories[s->op.b].limits);
}
