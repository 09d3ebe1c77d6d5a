/* Every cap on what a core module may contain: one table, read by the decoder, the validator, the
 * printer and the tests.
 *
 * The values are those of the JavaScript interface's implementation-defined limits (section 7.5 of
 * the WebAssembly JavaScript Interface), so that a module that runs in a browser is not refused
 * here; the rest bounds memory that a short module could otherwise claim. Reaching a cap is
 * ERR_LIMIT with the cap's words and value.
 *
 *     LIMIT(NAME, value, "what is counted")
 */
#ifndef MAYFLY_WASM_LIMITS_H
#define MAYFLY_WASM_LIMITS_H

#include <stdint.h>

#define WASM_LIMITS(LIMIT)                                                                                             \
    LIMIT(MODULE_SIZE, 1073741824, "bytes in a module")                                                                \
    LIMIT(NAME_SIZE, 100000, "bytes in a name")                                                                        \
    LIMIT(TYPES, 1000000, "types")                                                                                     \
    LIMIT(SUBTYPE_DEPTH, 63, "supertypes above a type")                                                                \
    LIMIT(PARAMS, 1000, "parameters of a function type")                                                               \
    LIMIT(RESULTS, 1000, "results of a function type")                                                                 \
    LIMIT(FIELDS, 10000, "fields of a structure type")                                                                 \
    LIMIT(IMPORTS, 1000000, "imports")                                                                                 \
    LIMIT(FUNCTIONS, 1000000, "functions")                                                                             \
    LIMIT(TABLES, 100000, "tables")                                                                                    \
    LIMIT(MEMORIES, 100, "memories")                                                                                   \
    LIMIT(GLOBALS, 1000000, "globals")                                                                                 \
    LIMIT(TAGS, 1000000, "tags")                                                                                       \
    LIMIT(EXPORTS, 1000000, "exports")                                                                                 \
    LIMIT(ELEM_SEGMENTS, 100000, "element segments")                                                                   \
    LIMIT(ELEM_ENTRIES, 10000000, "entries of an element segment")                                                     \
    LIMIT(DATA_SEGMENTS, 100000, "data segments")                                                                      \
    LIMIT(CUSTOM_SECTIONS, 100000, "custom sections")                                                                  \
    LIMIT(BODY_SIZE, 7654321, "bytes in a function body")                                                              \
    LIMIT(LOCALS, 50000, "locals of a function, parameters included")                                                  \
    LIMIT(LABELS, 131072, "targets of a br_table")                                                                     \
    LIMIT(CATCHES, 10000, "catch clauses of a try_table")                                                              \
    LIMIT(NESTING, 100000, "nested blocks")                                                                            \
    LIMIT(OPERANDS, 1000000, "operands on the stack of a function")                                                    \
    LIMIT(ARRAY_FIXED, 10000, "operands of an array.new_fixed")

enum wasm_limit {
#define LIMIT(name, value, words) WASM_LIMIT_##name,
    WASM_LIMITS(LIMIT)
#undef LIMIT
        WASM_LIMIT_COUNT
};

enum {
#define LIMIT(name, value, words) WASM_MAX_##name = value,
    WASM_LIMITS(LIMIT)
#undef LIMIT
};

struct wasm_limit_info {
    uint32_t value;
    const char *words;
};

/* Indexed by enum wasm_limit. */
extern const struct wasm_limit_info wasm_limit_infos[WASM_LIMIT_COUNT];

#endif
