/* What a guest is given: its arguments, variables, directories and network, whichever version of WASI
 * hands them over. Nothing else of this process's surroundings reaches a guest. */
#ifndef MAYFLY_CLI_GIVEN_H
#define MAYFLY_CLI_GIVEN_H

#include "base/arena.h"
#include "cli/cli.h"
#include "io/files.h"
#include "wasi/grants.h"
#include "wasi/host.h"

struct given_dir {
    struct files_dir dir;
    const char *name; /* to the guest */
};

struct given {
    const char *args[CLI_ARGS_MAX + 1]; /* the file's name first */
    const char *env[CLI_LIST_MAX]; /* NAME=VALUE */
    struct given_dir dirs[CLI_LIST_MAX];
    uint32_t arg_count, env_count, dir_count;
    struct grants grants; /* of the network: to components */
    const char *dns; /* name servers to ask instead of the system's, or NULL */
};

/* What the options ask for; strings are the options' or of the arena. Ends with given_close, also after a failure. */
bool given_take(struct given *given, const struct cli_options *options, struct arena *arena, struct err *err);
/* The same for a component; `given` must outlive `config`. ERR_USAGE: an argument or a name is no UTF-8. */
bool given_config(const struct given *given, struct host_config *config, struct arena *arena, struct err *err);
/* Closes the directories that are still there: who took one over sets dir_count to 0. */
void given_close(struct given *given);

/* The part of a path behind the last slash. */
const char *given_base_name(const char *path);

#endif
