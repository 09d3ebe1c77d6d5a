/* What `mayfly run` calls: an exported function of a program or of a linked instance, its arguments and results. */
#ifndef MAYFLY_CLI_INVOKE_H
#define MAYFLY_CLI_INVOKE_H

#include "base/arena.h"
#include "cli/preload.h"

/* Where functions are looked for: in `program`, or in the last module of `preload` when it is not NULL. */
struct invoke_from {
    const struct program *program;
    const struct preload *preload;
};

struct invoke_func {
    uint64_t funcref;
    const uint8_t *types; /* of parameters, then results */
    uint32_t param_count, result_count;
};

/* False: it exports no function of this name. */
bool invoke_find(struct invoke_from from, struct str name, struct invoke_func *ret_func);
/* The error for that: near misses, or what there is. */
bool invoke_missing(struct invoke_from from, struct str name, struct err *err);

/* The arguments as cells, with room for the results, from the arena. ERR_USAGE: they do not fit the function `name`. */
bool invoke_arguments(const struct invoke_func *func, const char *name, char **args, struct arena *arena,
                      union cell **ret_cells, struct err *err);
/* One result per line; returns the exit code. */
int invoke_print(const struct invoke_func *func, const union cell *results);

#endif
