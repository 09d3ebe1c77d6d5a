/* What instantiation computes: the actual things behind the static entities of component.h.
 *
 * Evaluation is what the specification calls instantiation, with core instances as units that are not
 * run yet. Types need no evaluation but for resources: each component instance maps the resource types
 * of its static types to the ones that exist (`struct concrete`).
 */
#ifndef MAYFLY_COMPONENT_PLANNER_H
#define MAYFLY_COMPONENT_PLANNER_H

#include "component/core.h"
#include "component/names.h"
#include "component/plan.h"
#include "component/types.h"

struct instance;

/* A resource type that exists: of the host, or of one component instance. */
struct concrete {
    struct abstract abstract;
    struct str interface; /* as imported or exported, with its version */
    struct instance *definer; /* NULL: the host */
};

enum func_origin { FUNC_OF_HOST, FUNC_LIFTED };

struct func_value {
    enum func_origin origin;
    struct str interface, name; /* of the host */
    const struct func *type;    /* in terms of the resources of: */
    struct instance *in;
    const struct canonical *canon; /* lifted */
    struct str result;             /* lifted asynchronously: text of the result's type */
};

/* A core function, table, memory, global or tag; for canonical functions `canon` is set instead. */
struct canon_value {
    const struct canonical *canon;
    struct instance *in;
    const struct wasm_functype *type;
    const struct func_value *callee; /* LOWER */
    uint32_t row;                    /* in plan->imports once it is used; WASM_NO_INDEX */
    uint32_t unit, func;             /* that of an adapter or thunk, once there is one; WASM_NO_INDEX */
};

struct core_value {
    uint32_t unit, index;
    struct canon_value *canon;
};

struct core_instance_value {
    const struct core_module *module; /* unit: its exports are looked up here */
    uint32_t unit;
    const struct core_instance *bundle; /* or a bundle: values by its exports */
    const struct core_value *values;
};

/* Things by name: `values[i]` is names->items[i]. */
struct exports_value {
    const struct externs *names;
    const struct value *values;
};

struct component_value {
    const struct component *component;
    struct instance *outer;
};

struct value {
    union {
        struct core_value core;
        const struct core_module *core_module;
        const struct core_instance_value *core_instance;
        const struct func_value *func;
        const struct component_value *component;
        const struct exports_value *instance;
        const struct concrete *resource;
    };
};

/* A component instance. */
struct instance {
    const struct component *component;
    struct instance *outer; /* where the component is defined */
    struct value *spaces[SORT_COUNT];
    struct value *exports;
    struct remap resources; /* from abstracts, by number; also memory of what was substituted */
    uint32_t handle_table;  /* WASM_NO_INDEX until core code needs one */
    bool asked, asks;       /* asks: its code may ask which task it is in; known once asked */
};

struct units {
    struct unit *items;
    uint32_t count, capacity;
};

struct host_imports {
    struct host_import *items;
    uint32_t count, capacity;
};

struct plan_exports {
    struct plan_export *items;
    uint32_t count, capacity;
};

struct concretes {
    const struct concrete **items;
    uint32_t count, capacity;
};

struct planner {
    struct checker check;
    struct units units;
    struct host_imports imports;
    struct plan_exports exports;
    struct {
        uint32_t unit, handle_table;
    } shelf; /* of exports that are functions of the host; WASM_NO_INDEX until there is one */
    struct concretes concretes; /* of the file, by id - RESOURCE_COMPONENT_BASE */
    uint32_t handle_tables, instances, depth;
    uint32_t canon_depth; /* canonical functions that are being made for others */
    bool exceptions; /* some module of the file may throw */
    bool context;    /* some component of the file uses context.set */
    uint64_t adapter_bytes;
    uint64_t work; /* definitions, arguments and imports of core modules evaluated */
};

/* Arguments of an instantiation: sorted names. */
struct arguments {
    const struct argument *names;
    const uint32_t *by_name;
    const struct value *values;
    uint32_t count;
};

/* planner.c: evaluation. `args` NULL: imports come from the host. */
bool planner_instantiate(struct planner *p, const struct component_value *component, const struct arguments *args,
                         struct instance **ret_instance);
/* host.c: what an import of the outermost component stands for. */
bool planner_host_value(struct planner *p, struct instance *in, const struct entity *type, struct str name,
                        struct value *ret);
/* What the host is asked for by this canonical function; makes the row on first use. `import` is the
 * core import that uses it, for messages. */
bool planner_host_row(struct planner *p, struct canon_value *canon, struct str import, uint32_t *ret_row);
bool planner_add_row(struct planner *p, const struct host_import *row, uint32_t *ret_row);
/* Does the function belong to a component in the file? */
static inline bool canon_is_lifted(const struct canon_value *value)
{
    return value->callee && value->callee->origin == FUNC_LIFTED;
}
/* Is it a function of an adapter? Synchronous functions of components, asynchronously lowered ones of the host. */
static inline bool canon_is_fused(const struct canon_value *value)
{
    if (canon_is_lifted(value))
        return !value->callee->type->type.async_;
    return value->callee && value->canon->opts.async_;
}
/* Text of a value type as components in the file tell types apart; NULL gives an empty one. */
bool planner_text(struct planner *p, struct instance *in, const struct type *type, struct str *ret_text);
/* A core function of the instance as one that a unit has, for options and exports; WASM_NO_INDEX stays that. */
bool planner_core_func(struct planner *p, const struct instance *in, uint32_t index, uint32_t *ret_unit,
                       uint32_t *ret_func);
bool planner_options(struct planner *p, const struct instance *in, const struct options *from,
                     struct canon_options *ret);
/* The exports of the outermost component. */
bool planner_exports(struct planner *p, struct instance *root);

bool planner_handle_table(struct planner *p, struct instance *in, uint32_t *ret_table);
/* Canonical text of a function's type with the resources of the instance. */
bool planner_signature(struct planner *p, struct instance *in, const struct func *func, struct str *ret_text);
bool planner_bind(struct planner *p, struct instance *in, const struct entity *type, const struct value *value);
const struct value *exports_value_find(const struct exports_value *exports, struct str name);

#endif
