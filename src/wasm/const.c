/* Constant expressions, evaluated as far as that is possible without an instance. Values of earlier
 * globals were computed before (struct wasm_global), so that nothing here recurses. */
#include "wasm/instr.h"

#define DEPTH 16 /* operands; deeper expressions are left to instantiation */

struct evaluator {
    const struct wasm_module *module;
    struct wasm_const stack[DEPTH];
    unsigned count;
};

static const struct wasm_const unknown = {.kind = WASM_CONST_EXPR};

static bool push(struct evaluator *e, struct wasm_const value)
{
    if (e->count == DEPTH)
        return false;
    e->stack[e->count++] = value;
    return true;
}

static bool push_bits(struct evaluator *e, uint64_t bits)
{
    return push(e, (struct wasm_const){.kind = WASM_CONST_BITS, .v = {bits, 0}});
}

static bool push_vector(struct evaluator *e, const uint8_t bytes[16])
{
    struct wasm_const value = {.kind = WASM_CONST_BITS};
    for (unsigned i = 0; i < 16; i++)
        value.v[i / 8] |= (uint64_t)bytes[i] << (8 * (i % 8));
    return push(e, value);
}

/* A global that is defined by an expression that cannot be folded is named, like an imported one. */
static bool push_global(struct evaluator *e, uint32_t index)
{
    struct wasm_const named = {.kind = WASM_CONST_GLOBAL, .index = index};
    if (index < e->module->imported_globals || e->module->globals[index].value.kind == WASM_CONST_EXPR)
        return push(e, named);
    return push(e, e->module->globals[index].value);
}

static uint64_t combine(enum wasm_opcode code, uint64_t a, uint64_t b)
{
    switch (code) {
    case OP_I32_ADD: return (uint32_t)(a + b);
    case OP_I32_SUB: return (uint32_t)(a - b);
    case OP_I32_MUL: return (uint32_t)(a * b);
    case OP_I64_ADD: return a + b;
    case OP_I64_SUB: return a - b;
    default: return a * b;
    }
}

static bool fold(struct evaluator *e, enum wasm_opcode code)
{
    if (e->count < 2)
        return false;
    const struct wasm_const *b = &e->stack[--e->count], *a = &e->stack[--e->count];
    if (a->kind != WASM_CONST_BITS || b->kind != WASM_CONST_BITS)
        return false;
    return push_bits(e, combine(code, a->v[0], b->v[0]));
}

/* False when the expression is none of the known shapes. */
static bool evaluate(struct evaluator *e, const struct wasm_op *op)
{
    switch (op->code) {
    case OP_I32_CONST:
    case OP_I64_CONST:
    case OP_F32_CONST:
    case OP_F64_CONST: return push_bits(e, op->bits);
    case OP_V128_CONST: return push_vector(e, op->v128);
    case OP_REF_NULL: return push(e, (struct wasm_const){.kind = WASM_CONST_NULL});
    case OP_REF_FUNC: return push(e, (struct wasm_const){.kind = WASM_CONST_FUNC, .index = op->a});
    case OP_GLOBAL_GET: return push_global(e, op->a);
    case OP_I32_ADD:
    case OP_I32_SUB:
    case OP_I32_MUL:
    case OP_I64_ADD:
    case OP_I64_SUB:
    case OP_I64_MUL: return fold(e, op->code);
    case OP_ANY_CONVERT_EXTERN:
    case OP_EXTERN_CONVERT_ANY: return e->count > 0 && e->stack[e->count - 1].kind == WASM_CONST_NULL;
    default: return false;
    }
}

struct wasm_const wasm_const_eval(const struct wasm_module *module, struct wasm_expr expr)
{
    struct evaluator e = {.module = module};
    struct instr_lists lists = {0}; /* stays empty: no instruction of a constant expression has a list */
    struct wasm_op op;
    struct reader in = {module->bytes, module->bytes + expr.start, module->bytes + expr.end, NULL};
    while (instr_read(&in, &lists, &op) && op.code != OP_END)
        if (!evaluate(&e, &op))
            return unknown;
    return e.count == 1 ? e.stack[0] : unknown;
}
