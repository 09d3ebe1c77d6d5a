/* Value, heap and composite types of WebAssembly 3.0 (core specification, section 2.3).
 *
 * A value type is one 32-bit word, so that types are compared and copied as integers:
 *
 *     numeric and vector   the binary code: 0x7f i32, 0x7e i64, 0x7d f32, 0x7c f64, 0x7b v128
 *     packed (fields only) 0x78 i8, 0x77 i16
 *     reference            WASM_REF | WASM_NULLABLE? | heap type
 *     bottom               WASM_BOT (operand of unreachable code; never in a module)
 *
 * A heap type is a type index below WASM_HEAP_ABSTRACT, or WASM_HEAP_ABSTRACT | binary code.
 */
#ifndef MAYFLY_WASM_TYPES_H
#define MAYFLY_WASM_TYPES_H

#include <stdbool.h>
#include <stdint.h>

typedef uint32_t wasm_valtype;
typedef uint32_t wasm_heaptype;

enum {
    WASM_BOT = 0,
    WASM_I32 = 0x7f,
    WASM_I64 = 0x7e,
    WASM_F32 = 0x7d,
    WASM_F64 = 0x7c,
    WASM_V128 = 0x7b,
    WASM_I8 = 0x78,
    WASM_I16 = 0x77,
};

#define WASM_REF 0x80000000u
#define WASM_NULLABLE 0x40000000u
#define WASM_HEAP_MASK 0x3fffffffu
#define WASM_HEAP_ABSTRACT 0x3fffff00u

enum {
    HEAP_NOEXN = WASM_HEAP_ABSTRACT | 0x74,
    HEAP_NOFUNC = WASM_HEAP_ABSTRACT | 0x73,
    HEAP_NOEXTERN = WASM_HEAP_ABSTRACT | 0x72,
    HEAP_NONE = WASM_HEAP_ABSTRACT | 0x71,
    HEAP_FUNC = WASM_HEAP_ABSTRACT | 0x70,
    HEAP_EXTERN = WASM_HEAP_ABSTRACT | 0x6f,
    HEAP_ANY = WASM_HEAP_ABSTRACT | 0x6e,
    HEAP_EQ = WASM_HEAP_ABSTRACT | 0x6d,
    HEAP_I31 = WASM_HEAP_ABSTRACT | 0x6c,
    HEAP_STRUCT = WASM_HEAP_ABSTRACT | 0x6b,
    HEAP_ARRAY = WASM_HEAP_ABSTRACT | 0x6a,
    HEAP_EXN = WASM_HEAP_ABSTRACT | 0x69,
};

#define WASM_FUNCREF (WASM_REF | WASM_NULLABLE | HEAP_FUNC)
#define WASM_EXTERNREF (WASM_REF | WASM_NULLABLE | HEAP_EXTERN)
#define WASM_EXNREF (WASM_REF | WASM_NULLABLE | HEAP_EXN)

static inline bool wasm_is_ref(wasm_valtype type)
{
    return (type & WASM_REF) != 0;
}

static inline wasm_heaptype wasm_heap(wasm_valtype type)
{
    return type & WASM_HEAP_MASK;
}

static inline bool wasm_heap_is_index(wasm_heaptype heap)
{
    return heap < WASM_HEAP_ABSTRACT;
}

enum wasm_comptype_kind { WASM_COMP_FUNC = 0x60, WASM_COMP_STRUCT = 0x5f, WASM_COMP_ARRAY = 0x5e };

struct wasm_functype {
    uint32_t param_count, result_count;
    const wasm_valtype *params, *results;
};

struct wasm_fieldtype {
    wasm_valtype storage; /* a value type or WASM_I8 / WASM_I16 */
    bool mutable_;
};

/* One sub type of a recursion group. Indices are the module's; `canonical` is the smallest type
 * index of the module that denotes the same type (section 3.1.4: rolled, equal groups), so that two
 * indices are the same type iff their canonical indices are equal. */
struct wasm_type {
    enum wasm_comptype_kind kind;
    bool final;
    uint32_t supertype; /* type index, or WASM_NO_INDEX */
    uint32_t canonical;
    uint32_t group_start, group_size; /* the recursion group's range of type indices */
    struct wasm_functype func;        /* kind FUNC */
    const struct wasm_fieldtype *fields; /* kind STRUCT: field_count; kind ARRAY: one */
    uint32_t field_count;
    uint32_t at;   /* offset of the type in the module's bytes */
    uint64_t hash; /* structural identity across modules: see wasm_type_hash in module.h */
};

#define WASM_NO_INDEX UINT32_MAX

struct wasm_limits {
    uint64_t min, max; /* max is UINT64_MAX where absent */
    bool has_max, is_64, shared;
};

#endif
