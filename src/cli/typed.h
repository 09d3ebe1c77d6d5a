/* `mayfly run --invoke` of components: an exported function with typed values (component/datum_text.h). */
#ifndef MAYFLY_CLI_TYPED_H
#define MAYFLY_CLI_TYPED_H

#include "component/datum.h"
#include "runtime/program.h"

struct typed {
    struct datum_func func;
    struct datum *args, result;
};

/* The function `name`, of an instance as "INSTANCE#NAME", where INSTANCE# may be left out when one exports that name;
 * and its arguments, from the arena. A string argument needs no quotes. ERR_LINK: there is none, or several; ERR_USAGE:
 * the arguments do not fit. */
bool typed_open(const struct program *program, const char *name, char **args, struct arena *arena,
                struct typed *ret_typed, struct err *err);
/* Inside a task. False: it trapped. */
bool typed_call(struct store *store, struct typed *typed, struct arena *arena);
/* The result on a line; returns the exit code. */
int typed_print(const struct typed *typed);

#endif
