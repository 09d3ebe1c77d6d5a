/* Every cap on what a component may contain: one table, read by the decoder, the planner and the tests.
 *
 * The caps bound memory and time that a short input could otherwise claim; those on names, counts and
 * nesting are far above what toolchains write. TYPE_WEIGHT counts the nodes of a type written out
 * without sharing, because comparing and printing go by that; WORK bounds all type checking of one
 * input together. Reaching a cap is ERR_LIMIT with the cap's words and value.
 *
 *     LIMIT(NAME, value, "what is counted")
 */
#ifndef MAYFLY_COMPONENT_LIMITS_H
#define MAYFLY_COMPONENT_LIMITS_H

#include <stdint.h>

#define COMPONENT_LIMITS(LIMIT)                                                                                        \
    LIMIT(SIZE, 1073741824, "bytes in a component")                                                                    \
    LIMIT(NESTING, 100, "components or types inside each other")                                                       \
    LIMIT(SPACE, 1000000, "entries of an index space")                                                                 \
    LIMIT(MODULES, 1000, "core modules in one file")                                                                   \
    LIMIT(COMPONENTS, 1000, "components in one file")                                                                  \
    LIMIT(IMPORTS, 100000, "imports")                                                                                  \
    LIMIT(EXPORTS, 100000, "exports")                                                                                  \
    LIMIT(ARGUMENTS, 100000, "arguments of an instantiation")                                                          \
    LIMIT(DECLARATORS, 1000000, "declarators in a type")                                                               \
    LIMIT(FIELDS, 10000, "fields of a record or tuple")                                                                \
    LIMIT(CASES, 10000, "cases of a variant or enum")                                                                  \
    LIMIT(PARAMS, 1000, "parameters of a function type")                                                               \
    LIMIT(OPTIONS, 100, "canonical options")                                                                           \
    LIMIT(ATTRIBUTES, 100, "attributes of a name")                                                                     \
    LIMIT(TYPE_DEPTH, 100, "types inside each other")                                                                  \
    LIMIT(TYPE_WEIGHT, 1000000, "parts of a type, written out")                                                        \
    LIMIT(VALUE_SIZE, 268435455, "bytes in a value of one type")                                                       \
    LIMIT(WORK, 100000000, "steps of type checking")                                                                   \
    LIMIT(SIGNATURE, 1048576, "bytes in the text of a function type")                                                  \
    LIMIT(INSTANCES, 10000, "component and core instances that instantiation makes")                                   \
    LIMIT(INSTANCE_DEPTH, 1000, "instantiations inside each other")                                                    \
    LIMIT(PLAN_WORK, 10000000, "definitions and imports that instantiation evaluates")                                 \
    LIMIT(ADAPTER, 4194304, "bytes of code between two component instances for one function")                          \
    LIMIT(ADAPTERS, 67108864, "bytes of code between component instances")                                             \
    LIMIT(ADAPTER_LOCALS, 10000, "locals of code between two component instances")                                     \
    LIMIT(CANON_DEPTH, 100, "canonical functions that are options or callees of each other")

enum component_limit {
#define LIMIT(name, value, words) COMPONENT_LIMIT_##name,
    COMPONENT_LIMITS(LIMIT)
#undef LIMIT
        COMPONENT_LIMIT_COUNT
};

enum {
#define LIMIT(name, value, words) COMPONENT_MAX_##name = value,
    COMPONENT_LIMITS(LIMIT)
#undef LIMIT
};

struct component_limit_info {
    uint32_t value;
    const char *words;
};

/* Indexed by enum component_limit. */
extern const struct component_limit_info component_limit_infos[COMPONENT_LIMIT_COUNT];

#endif
