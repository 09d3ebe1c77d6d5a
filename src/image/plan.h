/* A program as the compiler sees it: units, what they need from the host, what they offer.
 *
 * component/ makes a plan from a component, image/ from a single module; the generator and the image
 * writer read it. Strings are views into the input or the plan's arena.
 */
#ifndef MAYFLY_IMAGE_PLAN_H
#define MAYFLY_IMAGE_PLAN_H

#include "image/unit.h"

enum host_import_kind {
    HOST_CORE,          /* a core module's import: interface = module name, name = field name */
    HOST_LOWERED,       /* canon lower of an imported component function */
    HOST_RESOURCE_DROP, /* canon resource.drop; name = the resource, interface = its owner */
    HOST_RESOURCE_NEW,  /* canon resource.new of a resource that the component defines */
    HOST_RESOURCE_REP,  /* canon resource.rep */
    /* What adapters between component instances need (component/fuse.h): `options` and `handle_table` are of the
     * instance that a value comes from, `peer` and `peer_table` of the one that it goes to. */
    HOST_FUSE_TRAP,     /* (number): traps; numbers are those of component/fuse_traps.def */
    HOST_FUSE_STRING,   /* (pointer, units) -> (pointer, units): a copy of a string */
    HOST_FUSE_OWN,      /* (index) -> (index): an own handle goes over */
    HOST_FUSE_BORROW,   /* (index) -> (index): it is lent until the call ends */
    HOST_FUSE_REP,      /* (index) -> (representation): the same, lent to the instance that defines the resource */
    HOST_FUSE_STREAM,   /* (index) -> (index): the readable end of a stream or future goes over */
    HOST_FUSE_ERROR,    /* (index) -> (index): an error context, which stays where it is as well */
    HOST_FUSE_BEGIN,    /* (): a call begins whose callee may ask which task it is, or is lent handles */
    HOST_FUSE_END,      /* (): and ends */
    HOST_CALL,          /* canon lower of an asynchronous function that a component in the file lifts */
    HOST_BUILTIN,       /* canonical built-in `builtin`, a row of component/builtins.def */
    HOST_KIND_COUNT
};

/* What a call (HOST_CALL, and exports) or a built-in is like. */
enum canon_flag {
    CANON_ASYNC = 1,       /* the option of the caller or the built-in */
    CANON_ASYNC_TYPE = 2,  /* of the function */
    CANON_ASYNC_LIFT = 4,  /* the callee's option */
    CANON_CALLBACK = 8,
    CANON_DONUT = 16,      /* caller and callee are parent and child */
    CANON_POINTER = 32,    /* the last parameter says where the result goes */
    CANON_CANCELLABLE = 64,
};

/* A function of a unit; unit WASM_NO_INDEX: none. */
struct plan_func {
    uint32_t unit, func;
};

enum string_encoding { ENCODING_UTF8, ENCODING_UTF16, ENCODING_LATIN1_UTF16 };

/* Canonical options (CanonicalABI.md, "canonopt"): which memory, realloc and post-return of the
 * component's core instances apply. WASM_NO_INDEX where absent. */
struct canon_options {
    uint32_t memory_unit, memory;
    uint32_t realloc_unit, realloc;
    uint32_t post_return_unit, post_return;
    enum string_encoding encoding;
};

/* Resources that the component itself defines have type ids from here up; those of the host have the
 * numbers that the bindings generator gave them. */
#define RESOURCE_COMPONENT_BASE 0x10000u

struct host_import {
    enum host_import_kind kind;
    struct str interface; /* "wasi:http/types@0.2.12" */
    struct str name;      /* "[method]outgoing-response.body" */
    struct str signature; /* canonical text of the component function type: wit/type.h; HOST_CORE: empty. CALL and
                             task.return: of the result's type; streams and futures: of their type */
    struct canon_options options, peer;
    uint32_t handle_table;  /* of the component instance that calls */
    uint32_t peer_table;    /* of the one that is called, or has the destructor */
    uint32_t resource_type; /* RESOURCE_*: id if the component defines it, else WASM_NO_INDEX */
    uint32_t dtor_unit, dtor; /* RESOURCE_DROP of an own resource with a destructor, else WASM_NO_INDEX */
    const struct wasm_functype *type; /* the core signature */
    uint32_t flags;         /* enum canon_flag */
    uint32_t builtin, number; /* BUILTIN; number: which context word */
    /* CALL. `run` takes what the import takes, calls the callee, and returns what that does; of a synchronously lifted
     * callee it is the whole call. `ret` takes what task.return takes and the pointer, and gives the import's result.
     */
    struct plan_func run, ret, callback;
};

/* A row that nothing is known of: what has no other value is WASM_NO_INDEX. */
extern const struct host_import plan_no_row;

struct plan_export {
    struct str interface; /* "wasi:http/incoming-handler@0.2.12", or empty for a plain function */
    struct str name; /* "handle"; for a core module the export name */
    struct str signature;
    uint32_t unit, func;
    struct canon_options options;
    uint32_t handle_table;
    uint32_t flags; /* enum canon_flag */
    struct plan_func callback;
    struct str result; /* text of the result's type, as task.return has it */
};

/* A resource type that the component defines and exports, so that its host can tell handles of it. */
struct plan_resource {
    struct str interface, name; /* as in signatures: no version */
    uint32_t id;
};

struct plan {
    bool component;
    struct unit *units; /* in order of instantiation; each one's start function runs in that order */
    uint32_t unit_count;
    struct host_import *imports;
    uint32_t import_count;
    struct plan_export *exports;
    uint32_t export_count;
    const struct plan_resource *resources;
    uint32_t resource_count;
    uint32_t handle_tables; /* one per component instance that has core code */
};

/* Who satisfies the imports of a single core module. */
struct plan_options {
    bool open; /* they are left to be linked at run time, and the unit is joinable; else all are the host's */
    struct str host; /* open: names of modules whose functions are the host's nevertheless, separated by commas */
};

/* The plan of a single core module. */
bool plan_module(const struct wasm_module *module, const struct plan_options *options, struct arena *arena,
                 struct plan **ret_plan, struct err *err);

#endif
