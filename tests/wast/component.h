/* The component instances that one file of the component suite makes, each in a store of its own, and calls of what
 * they export. The host offers nothing: the suite's components import nothing. */
#ifndef MAYFLY_TESTS_WAST_COMPONENT_H
#define MAYFLY_TESTS_WAST_COMPONENT_H

#include "compile/child.h"
#include "component/datum.h"
#include "runtime/task.h"

#define COMPONENT_NAME_MAX 64
#define COMPONENT_ARGS_MAX 64

/* A component that was compiled. */
struct component_program {
    char path[512];
    struct program *program;
    struct component_program *next;
};

struct component_instance {
    char name[COMPONENT_NAME_MAX];
    struct slot *slot;
    struct host *host;
    struct component_instance *next;
};

struct components {
    struct compiler *compiler;
    struct compile_options options;
    struct component_program *programs;
    struct component_instance *instances, *current;
};

struct component_call {
    struct component_instance *instance;
    struct datum_func func;
    struct datum args[COMPONENT_ARGS_MAX], result;
    struct arena arena; /* of types and data; ends with the process */
    bool returned;
    struct task task;
};

/* Does the file hold a component, or bytes that mean to be one? */
bool component_file(const char *path);
bool component_validate_file(const char *path, struct err *err);

/* Make an instance, current from now on and known as `name` if that is not NULL. */
bool component_instantiate(struct components *all, const char *path, const char *name, struct err *err);

/* The exported function `field` of the instance `name` (NULL: the current one). */
bool component_find(struct components *all, const char *name, struct str field, struct component_call *ret_call,
                    struct err *err);
/* ERR_TRAP with the host's words for the trap, or else the trap's text. */
bool component_invoke(struct component_call *call, struct err *err);

#endif
