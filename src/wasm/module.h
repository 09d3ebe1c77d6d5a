/* A decoded core module: every section as arrays, function bodies as byte ranges.
 *
 * Invariants after `wasm_decode` returned true: the structure is well-formed (section 5), counts
 * are under the caps of limits.h, every index was range-checked by `wasm_validate` (called by
 * `wasm_load`) and everything outside function bodies is valid (section 3.4). Bodies are validated
 * by `wasm_body_read` (body.h), one pass that also drives code generation. All arrays live in the
 * arena; `bytes` is a view that the caller keeps alive.
 */
#ifndef MAYFLY_WASM_MODULE_H
#define MAYFLY_WASM_MODULE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "wasm/types.h"

enum wasm_extern_kind { WASM_FUNC, WASM_TABLE, WASM_MEMORY, WASM_GLOBAL, WASM_TAG };

struct wasm_import {
    struct str module, name;
    enum wasm_extern_kind kind;
    uint32_t index; /* in the index space of its kind */
    uint32_t at; /* of the entry in module->bytes */
};

struct wasm_export {
    struct str name;
    enum wasm_extern_kind kind;
    uint32_t index;
    uint32_t at; /* of the entry in module->bytes */
};

/* A constant expression (section 3.3.13): a byte range, valid for its place, ending in `end`. */
struct wasm_expr {
    uint32_t start, end; /* offsets in module->bytes */
};

/* A constant expression, evaluated to one of a few shapes. Extended constant arithmetic over constants
 * is folded; what depends on imported globals stays `WASM_CONST_EXPR`. */
enum wasm_const_kind {
    WASM_CONST_BITS,     /* number, vector: bits in v */
    WASM_CONST_NULL,     /* a null reference */
    WASM_CONST_FUNC,     /* ref.func index */
    WASM_CONST_GLOBAL,   /* global.get index, of a global whose value is not known here */
    WASM_CONST_EXPR,     /* anything else: must be evaluated at instantiation */
};
struct wasm_const {
    enum wasm_const_kind kind;
    uint32_t index;
    uint64_t v[2];
};

struct wasm_func {
    uint32_t type;       /* type index */
    uint32_t import;     /* index into imports, or WASM_NO_INDEX */
    uint32_t body, size; /* byte range of locals + code, without the size field; 0 for imports */
    bool declared;       /* C.refs: may be named by ref.func */
    uint32_t at; /* of the entry in module->bytes */
};

struct wasm_table {
    wasm_valtype type;
    struct wasm_limits limits;
    uint32_t import;
    bool has_init;
    struct wasm_expr init;
    uint32_t at; /* of the entry in module->bytes */
};

struct wasm_memory {
    struct wasm_limits limits; /* in pages */
    uint32_t page_log2;        /* 16 */
    uint32_t import;
    uint32_t at; /* of the entry in module->bytes */
};

struct wasm_global {
    wasm_valtype type;
    bool mutable_;
    uint32_t import;
    struct wasm_expr init;
    struct wasm_const value; /* of a defined global: what wasm_const_eval says of `init` */
    uint32_t at;             /* of the entry in module->bytes */
};

struct wasm_tag {
    uint32_t type;
    uint32_t import;
    uint32_t at; /* of the entry in module->bytes */
};

enum wasm_segment_mode { WASM_ACTIVE, WASM_PASSIVE, WASM_DECLARED };

struct wasm_elem {
    enum wasm_segment_mode mode;
    uint32_t table;
    struct wasm_expr offset;
    wasm_valtype type;
    uint32_t count;
    const uint32_t *funcs;        /* function indices, or NULL when `exprs` is used */
    const struct wasm_expr *exprs;
    uint32_t at; /* of the entry in module->bytes */
};

struct wasm_data {
    enum wasm_segment_mode mode;
    uint32_t memory;
    struct wasm_expr offset;
    uint32_t start, size; /* byte range in module->bytes */
    uint32_t at; /* of the entry in module->bytes */
};

struct wasm_custom {
    struct str name;
    uint32_t start, size;
};

/* Which way the `if` or `br_if` at offset `at` of module->bytes usually goes. */
struct wasm_branch_hint {
    uint32_t at;
    bool taken; /* the condition is usually true */
};

struct wasm_module {
    const uint8_t *bytes;
    size_t size;
    uint32_t origin; /* where `bytes` stand in the file, which is what errors after wasm_load count from: a component */
    uint32_t type_count, import_count, func_count, table_count, memory_count, global_count, tag_count;
    uint32_t export_count, elem_count, data_count, custom_count;
    uint32_t imported_funcs, imported_tables, imported_memories, imported_globals, imported_tags;
    struct wasm_type *types;
    struct wasm_import *imports;
    struct wasm_func *funcs; /* imports first, as in the index space; likewise below */
    struct wasm_table *tables;
    struct wasm_memory *memories;
    struct wasm_global *globals;
    struct wasm_tag *tags;
    struct wasm_export *exports;
    struct wasm_elem *elems;
    struct wasm_data *datas;
    struct wasm_custom *customs;
    uint32_t start; /* function index, or WASM_NO_INDEX */
    uint32_t start_at; /* where it stands in `bytes` */
    bool has_data_count;
    struct str *func_names; /* func_count entries from the name section (empty where unnamed), or NULL */
    struct str name;
    const struct wasm_branch_hint *branch_hints; /* in the order of `at` */
    uint32_t branch_hint_count;
};

/* Decode and validate everything but function bodies. Errors carry the byte offset. */
bool wasm_load(const uint8_t *bytes, size_t size, struct arena *arena, struct wasm_module **ret_module,
               struct err *err);

static inline const struct wasm_functype *wasm_func_type(const struct wasm_module *module, uint32_t func)
{
    return &module->types[module->funcs[func].type].func;
}

/* The hint for the instruction at offset `at` of module->bytes, or NULL. */
const struct wasm_branch_hint *wasm_branch_hint(const struct wasm_module *module, uint32_t at);
/* The first hint at `at` or behind, as an index of branch_hints; branch_hint_count when there is none. */
uint32_t wasm_branch_hints_from(const struct wasm_module *module, uint32_t at);

/* Subtyping (section 3.3): is a value of type `sub` one of type `super`? */
bool wasm_subtype(const struct wasm_module *module, wasm_valtype sub, wasm_valtype super);

/* The structural identity of a type, the same in every module that defines an equal type: the first
 * eight bytes (little endian) of SHA-256 over the canonical encoding of its recursion group, group
 * members written relative to the group, outside types by their hash, and the member's position.
 * Whoever links images compares the encodings as well, so that a forged collision is refused. Never 0.
 * The encoding is appended to `buf` when it is not NULL. Also filled into wasm_type.hash by wasm_load. */
struct buf;
uint64_t wasm_type_hash(const struct wasm_module *module, uint32_t type, struct buf *ret_encoding);

/* The value of a valid constant expression, as far as it is known without an instance. Does not recurse. */
struct wasm_const wasm_const_eval(const struct wasm_module *module, struct wasm_expr expr);

#endif
