/* The instances that one file of a suite makes, in one store: the host module `spectest`, modules compiled as the file
 * names them by one compiler child, and calls into them. */
#ifndef MAYFLY_TESTS_WAST_WORLD_H
#define MAYFLY_TESTS_WAST_WORLD_H

#include "base/err.h"
#include "script.h"
#include "compile/child.h"
#include "runtime/link.h"
#include "runtime/task.h"

#define WORLD_NAME_MAX 64

struct instance {
    char name[WORLD_NAME_MAX];
    struct slot *slot;
    struct instance *next;
};

/* A name that imports may use. */
struct registration {
    char name[WORLD_NAME_MAX];
    struct slot *slot;
    struct registration *next;
};

/* A module that is not instantiated yet. */
struct definition {
    char name[WORLD_NAME_MAX], path[512];
    struct definition *next;
};

struct world {
    struct compiler compiler;
    struct compile_options options;
    struct slot *first; /* spectest */
    struct instance *instances;
    struct registration *registered;
    struct definition *definitions;
    struct instance *current; /* NULL: its instantiation failed */
    struct task task;
};

#define WORLD_VALUES_MAX CONTEXT_SPILL

struct world_call {
    struct link_extern func;
    union cell values[WORLD_VALUES_MAX];
    bool host_any[WORLD_VALUES_MAX]; /* arguments: value_is_host_any */
    uint32_t param_count, result_count;
    bool returned;
};

bool world_open(struct world *world, const struct script_options *options, struct err *err);

/* Decode and validate the module at `path`, bodies included. */
bool world_validate(const char *path, struct err *err);
/* The same under the rule of WebAssembly 1.0 and 2.0 that a module has one memory and one table at most. */
bool world_validate_single(const char *path, struct err *err);

/* Make an instance of the module at `path`, current from now on and known as `name` if that is not NULL. */
bool world_instantiate(struct world *world, const char *path, const char *name, struct err *err);
bool world_define(struct world *world, const char *path, const char *name);
/* Where the definition `module` is, or the latest one. */
bool world_definition(struct world *world, const char *module, const char **ret_path, struct err *err);
/* Make the instance `name` (NULL: the current one) importable as `as`. */
bool world_register(struct world *world, const char *name, const char *as);

/* The export `field` of the instance `name` (NULL: the current one). */
bool world_find(struct world *world, const char *name, struct str field, enum wasm_extern_kind kind,
                struct link_extern *ret_extern, struct err *err);
/* Call call->func with call->values; ERR_TRAP with the trap's text when it traps. */
bool world_invoke(struct world *world, struct world_call *call, struct err *err);

#endif
