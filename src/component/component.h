/* A decoded and validated component: its definitions in order and the type of everything they name.
 *
 * Validation is by the order of definitions: each one is checked against the index spaces before it and
 * appends what it defines to one of them as a `struct entity`, which is its static type. The planner
 * then evaluates the same definitions with actual instances; both walk the same index spaces.
 *
 * Resource types are variables. A `struct abstract` is one resource type that is unequal to every
 * other; an import, a definition or the opening of an instance makes fresh ones. Several type indices
 * may denote the same resource type; each is a `struct resource_def` of its own, because the rules for
 * names of exported types (Explainer.md, "External Visibility of Types") go by index and not by
 * equality. The same holds for named value types, which are copied when a name is given to them; a copy
 * knows its origin, so that printing finds the names again.
 *
 * Value types, functions and component types are immutable once made. Everything lives in the arena of
 * the decoder. Names are views into the component's bytes.
 */
#ifndef MAYFLY_COMPONENT_COMPONENT_H
#define MAYFLY_COMPONENT_COMPONENT_H

#include "component/limits.h"
#include "image/plan.h"
#include "wasm/module.h"
#include "wit/type.h"

enum sort {
#define SORT(name, core, code, words) SORT_##name,
#include "component/sorts.def"
#undef SORT
    SORT_COUNT
};

enum builtin {
#define BUILTIN(name, code, words, immediates, signature) BUILTIN_##name,
#include "component/builtins.def"
#undef BUILTIN
    BUILTIN_COUNT
};

struct builtin_info {
    uint8_t code;
    const char *words, *immediates, *signature;
};
extern const struct builtin_info builtin_infos[BUILTIN_COUNT];

struct sort_info {
    bool core;
    uint8_t code;
    const char *words;
};
extern const struct sort_info sort_infos[SORT_COUNT];

/* What types of every kind know about themselves. `number` is unique in one decoder. */
struct shape {
    uint32_t number, weight, depth;
    bool resources; /* mentions a resource type */
    bool borrows;   /* a value of it may contain a borrow */
    bool strings;   /* a value of it points into memory: list, string, map */
    bool open;      /* substitution may change it: mentions a resource type or a named type */
};

/* A resource type. `resource.id` stays WASM_NO_INDEX: the planner makes the ones that run. */
struct component;
struct abstract {
    struct resource resource;
    uint32_t number;
    const struct component *definer; /* of a resource definition; NULL for imported and exported ones */
    wasm_valtype rep;
    uint32_t dtor; /* core function index in the definer, or WASM_NO_INDEX */
};

struct resource_def {
    struct shape shape;
    struct abstract *abstract;
};

/* Every `struct type` of this room is the first member of one of these. */
struct node {
    struct type type;
    struct shape shape;
    const struct resource_def *def; /* OWN, BORROW */
    const struct node *origin;      /* a name was given to a copy of this, or NULL */
    uint64_t size_64;               /* with 64-bit pointers: what the cap on values goes by */
    uint32_t align_64;
};

static inline const struct node *node_of(const struct type *type)
{
    return (const struct node *)type;
}

struct func {
    struct func_type type;
    struct shape shape;
};

/* The type of a core definition: an entry of a module's index space, or a function that a canonical
 * definition makes, whose type is plain (final, no supertype, numbers only). */
struct core_extern {
    enum wasm_extern_kind kind;
    const struct wasm_module *module;
    uint32_t index;
    const struct wasm_functype *plain; /* instead of module and index */
};

struct core_export {
    struct str name;
    struct core_extern type;
};

/* A core module or module type: `module` has the imports first, so import i is also
 * module->imports[i]; a module type's exports are declared in a module of its own making. */
struct core_module {
    const struct wasm_module *module;
    uint32_t import_count, export_count;
    const struct core_export *exports;
    const uint32_t *by_name; /* exports, sorted */
};

struct core_instance {
    const struct core_export *exports;
    const uint32_t *by_name;
    uint32_t export_count;
};

/* A core type: one of a recursion group (in a module of its own making), or a module type. */
struct core_type {
    const struct core_module *module_type; /* or NULL: */
    const struct wasm_module *module;
    uint32_t index;
    uint32_t start, end; /* the group's bytes, to be repeated in module types that alias it */
};

enum def_type_kind { DEF_VALUE, DEF_FUNC, DEF_COMPONENT, DEF_INSTANCE, DEF_RESOURCE };

struct component_type;
struct instance_type;

/* What an index stands for. For SORT_TYPE, `def` says which member is set. */
struct entity {
    enum sort sort;
    enum def_type_kind def;
    union {
        struct core_extern core; /* CORE_FUNC, TABLE, MEMORY, GLOBAL, TAG */
        const struct core_type *core_type;
        const struct core_module *core_module;
        const struct core_instance *core_instance;
        const struct func *func;                /* FUNC, DEF_FUNC */
        const struct node *value;               /* DEF_VALUE */
        const struct resource_def *resource;    /* DEF_RESOURCE */
        const struct component_type *component; /* COMPONENT, DEF_COMPONENT */
        const struct instance_type *instance;   /* INSTANCE, DEF_INSTANCE */
    };
};

struct extern_decl {
    struct str name, implements, external_id;
    uint32_t offset;
    struct entity type;
};

struct abstracts {
    struct abstract **items;
    uint32_t count, capacity;
};

struct externs {
    struct extern_decl *items;
    uint32_t count, capacity;
    uint32_t *by_name; /* set when complete: sorted by name */
};

/* `bound`: resource types that each instance of this type has afresh. A type that an instance has is
 * opened: nothing bound. */
struct instance_type {
    struct shape shape;
    struct externs exports;
    struct abstracts bound;
};

struct component_type {
    struct shape shape;
    struct externs imports, exports;
    struct abstracts import_bound; /* supplied by whoever instantiates */
    struct abstracts export_bound; /* fresh in each instance */
};

struct options {
    bool has_encoding, async_;
    enum string_encoding encoding;
    uint32_t memory, realloc, post_return, callback; /* WASM_NO_INDEX where absent */
};

struct canonical {
    enum builtin kind;
    uint32_t target; /* function: core for LIFT, component for LOWER */
    struct entity type;
    struct options opts;
    uint32_t memory, table, core_type, number;
    wasm_valtype valtype;
    bool async_, cancellable, shared;
    const struct type *result;
};

enum def_kind {
    DEFINE_CORE_MODULE,
    DEFINE_CORE_INSTANTIATE,
    DEFINE_CORE_BUNDLE,
    DEFINE_COMPONENT,
    DEFINE_INSTANTIATE,
    DEFINE_BUNDLE,
    DEFINE_ALIAS_EXPORT,
    DEFINE_ALIAS_CORE,
    DEFINE_ALIAS_OUTER,
    DEFINE_TYPE,
    DEFINE_CANON,
    DEFINE_IMPORT,
    DEFINE_EXPORT,
};

struct argument {
    struct str name;
    enum sort sort;
    uint32_t index;
};

/* One definition. It appends entry `result` to index space `sort`. */
struct definition {
    enum def_kind kind;
    enum sort sort;
    uint32_t result, offset;
    uint32_t index;      /* what is instantiated, aliased or exported */
    uint32_t outer;      /* ALIAS_OUTER: scopes to skip */
    struct str name;     /* ALIAS_*, IMPORT, EXPORT */
    uint32_t arg_count;  /* instantiations and bundles */
    const struct argument *args;
    const struct component *component;
    const struct canonical *canon;
};

struct space {
    struct entity *items;
    uint32_t count, capacity;
};

enum scope_kind { SCOPE_COMPONENT, SCOPE_COMPONENT_TYPE, SCOPE_INSTANCE_TYPE };

/* Which types have a name that importers or exporters can see, by shape.number. */
struct number_set {
    uint32_t *slots;
    uint32_t count, capacity;
};

struct scope {
    enum scope_kind kind;
    struct scope *outer;
    struct space spaces[SORT_COUNT];
    struct externs imports, exports;
    struct abstracts import_bound, export_bound;
    struct number_set import_names, export_names;
};

struct component {
    struct scope scope;
    uint32_t offset; /* of the preamble */
    struct definition *definitions;
    uint32_t count, capacity;
    struct component_type type;
    uint32_t numbers; /* of the outermost component: the highest number of a shape in it */
};

#endif
