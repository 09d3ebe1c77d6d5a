/* Modules linked at run time: `mayfly run --preload NAME=FILE`, any number of them, then the command. */
#ifndef MAYFLY_CLI_PRELOAD_H
#define MAYFLY_CLI_PRELOAD_H

#include "cli/cli.h"
#include "runtime/link.h"

struct preload_module {
    struct str name; /* importable as this; empty: the command itself */
    const char *file;
    struct program *program;
    struct slot *slot; /* NULL until it is linked */
};

/* In order of instantiation; the first slot is the store's, the last module the command. */
struct preload {
    struct preload_module modules[CLI_LIST_MAX + 1];
    uint32_t count;
    const char *file; /* the one that is being loaded or linked, for messages */
    struct trap_report report; /* of a start function or _initialize that trapped */
};

/* Compile and map all of `options->preload`, then options->file; nothing of them runs. Imports from WASI come from
 * `resolve`. Whatever was loaded stays in `preload` for preload_free, also after a failure. */
bool preload_load(struct preload *preload, const struct cli_options *options, const struct compile_options *compile,
                  program_resolver *resolve, struct err *err);
/* Make instances of them, in order, with their start functions and _initialize, with `host` as the store's. Imports
 * from the modules that are named come from them. ERR_TRAP: preload->report says where. */
bool preload_link(struct preload *preload, void *host, struct err *err);
void preload_free(struct preload *preload);

#endif
