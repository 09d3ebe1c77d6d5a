/* Subtyping between value types (core specification, section 3.3) and types in words. */
#include "wasm/type.h"

#include <stdio.h>

static const struct abstract {
    const char *name, *shorthand;
    wasm_heaptype super, bottom; /* the next type above (itself for a top), the lowest of the hierarchy */
} abstracts[] = {
#define ROW(heap, name, shorthand, super, bottom)                                                                      \
    [(HEAP_##heap & 0xff) - (HEAP_EXN & 0xff)] = {name, shorthand, HEAP_##super, HEAP_##bottom},
    ROW(ANY, "any", "anyref", ANY, NONE) ROW(EQ, "eq", "eqref", ANY, NONE) ROW(I31, "i31", "i31ref", EQ, NONE)
        ROW(STRUCT, "struct", "structref", EQ, NONE) ROW(ARRAY, "array", "arrayref", EQ, NONE)
            ROW(NONE, "none", "nullref", NONE, NONE) ROW(FUNC, "func", "funcref", FUNC, NOFUNC)
                ROW(NOFUNC, "nofunc", "nullfuncref", NOFUNC, NOFUNC)
                    ROW(EXTERN, "extern", "externref", EXTERN, NOEXTERN)
                        ROW(NOEXTERN, "noextern", "nullexternref", NOEXTERN, NOEXTERN)
                            ROW(EXN, "exn", "exnref", EXN, NOEXN) ROW(NOEXN, "noexn", "nullexnref", NOEXN, NOEXN)
#undef ROW
};

/* NULL for a type index. */
static const struct abstract *abstract_of(wasm_heaptype heap)
{
    return wasm_heap_is_index(heap) ? NULL : &abstracts[(heap & 0xff) - (HEAP_EXN & 0xff)];
}

/* The abstract type right above a defined type. */
static wasm_heaptype kind_heap(const struct wasm_module *module, uint32_t type)
{
    switch (module->types[type].kind) {
    case WASM_COMP_FUNC: return HEAP_FUNC;
    case WASM_COMP_STRUCT: return HEAP_STRUCT;
    default: return HEAP_ARRAY;
    }
}

static wasm_heaptype bottom_of(const struct wasm_module *module, wasm_heaptype heap)
{
    return abstract_of(wasm_heap_is_index(heap) ? kind_heap(module, heap) : heap)->bottom;
}

static bool abstract_below(wasm_heaptype sub, wasm_heaptype super)
{
    while (sub != super && abstract_of(sub)->super != sub)
        sub = abstract_of(sub)->super;
    return sub == super;
}

static bool index_below(const struct wasm_module *module, uint32_t sub, uint32_t super)
{
    uint32_t wanted = module->types[super].canonical;
    for (unsigned depth = 0; sub != WASM_NO_INDEX && depth <= WASM_MAX_SUBTYPE_DEPTH + 1; depth++) {
        if (module->types[sub].canonical == wanted)
            return true;
        sub = module->types[sub].supertype;
    }
    return false;
}

static bool heap_below(const struct wasm_module *module, wasm_heaptype sub, wasm_heaptype super)
{
    if (sub == super)
        return true;
    if (!wasm_heap_is_index(sub) && sub == bottom_of(module, super))
        return true;
    if (wasm_heap_is_index(super))
        return wasm_heap_is_index(sub) && index_below(module, sub, super);
    return abstract_below(wasm_heap_is_index(sub) ? kind_heap(module, sub) : sub, super);
}

bool wasm_subtype(const struct wasm_module *module, wasm_valtype sub, wasm_valtype super)
{
    if (sub == super || sub == WASM_BOT)
        return true;
    if (!wasm_is_ref(sub) || !wasm_is_ref(super))
        return false;
    if ((sub & WASM_NULLABLE) && !(super & WASM_NULLABLE))
        return false;
    return heap_below(module, wasm_heap(sub), wasm_heap(super));
}

bool type_same(const struct wasm_module *module, wasm_valtype a, wasm_valtype b)
{
    return a == b || (wasm_subtype(module, a, b) && wasm_subtype(module, b, a));
}

bool type_defaultable(wasm_valtype type)
{
    return !wasm_is_ref(type) || (type & WASM_NULLABLE);
}

bool type_exists(const struct wasm_module *module, wasm_valtype type)
{
    return !wasm_is_ref(type) || !wasm_heap_is_index(wasm_heap(type)) || wasm_heap(type) < module->type_count;
}

wasm_heaptype type_top(const struct wasm_module *module, wasm_heaptype heap)
{
    switch (bottom_of(module, heap)) {
    case HEAP_NONE: return HEAP_ANY;
    case HEAP_NOFUNC: return HEAP_FUNC;
    case HEAP_NOEXTERN: return HEAP_EXTERN;
    default: return HEAP_EXN;
    }
}

static const char *number_name(wasm_valtype type)
{
    switch (type) {
    case WASM_I32: return "i32";
    case WASM_I64: return "i64";
    case WASM_F32: return "f32";
    case WASM_F64: return "f64";
    case WASM_V128: return "v128";
    case WASM_I8: return "i8";
    case WASM_I16: return "i16";
    default: return "any value";
    }
}

struct type_describe type_describe(wasm_valtype type)
{
    struct type_describe text;
    const struct abstract *info = wasm_is_ref(type) ? abstract_of(wasm_heap(type)) : NULL;
    const char *null = type & WASM_NULLABLE ? "null " : "";
    if (!wasm_is_ref(type))
        snprintf(text.text, sizeof text.text, "%s", number_name(type));
    else if (info && *null)
        snprintf(text.text, sizeof text.text, "%s", info->shorthand);
    else if (info)
        snprintf(text.text, sizeof text.text, "(ref %s)", info->name);
    else
        snprintf(text.text, sizeof text.text, "(ref %s%u)", null, wasm_heap(type));
    return text;
}
