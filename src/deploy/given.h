/* What a guest is given: its arguments, variables, directories and network, whichever version of WASI
 * hands them over. Nothing else of this process's surroundings reaches a guest. */
#ifndef MAYFLY_DEPLOY_GIVEN_H
#define MAYFLY_DEPLOY_GIVEN_H

#include "base/arena.h"
#include "io/files.h"
#include "node/storage.h"
#include "wasi/grants.h"
#include "wasi/host.h"

#define GIVEN_LIST_MAX 256u
#define GIVEN_ARGS_MAX 4096u

/* At most GIVEN_LIST_MAX. */
struct given_texts {
    const char *const *items;
    uint32_t count;
};

/* What is asked for, in the forms of the options of that name. */
struct given_options {
    const char *file; /* its name is the first argument; NULL: that is empty */
    char *const *args; /* the others, at most GIVEN_ARGS_MAX, ended by NULL; NULL: none */
    struct given_texts env, variable, dir, allow_net, allow_listen, allow_outbound, key_value_store, sqlite_database;
    const char *dns, *state_dir; /* or NULL */
};

struct given_dir {
    struct files_dir dir;
    const char *name; /* to the guest */
};

struct given {
    const char *args[GIVEN_ARGS_MAX + 1]; /* the file's name first */
    const char *env[GIVEN_LIST_MAX]; /* NAME=VALUE */
    struct given_dir dirs[GIVEN_LIST_MAX];
    uint32_t arg_count, env_count, dir_count;
    const struct host_variable *variables; /* those of the command line, each name once */
    uint32_t variable_count;
    struct grants grants; /* of the network: to components */
    struct node_storage storage; /* stores and databases: to components */
    const char *dns; /* name servers to ask instead of the system's, or NULL */
};

/* What the options ask for; strings are the options' or of the arena. Ends with given_close, also after a failure. */
bool given_take(struct given *given, const struct given_options *options, struct arena *arena, struct err *err);
/* For given_take: NAME=VALUE, NAME=@FILE, @FILE.json or @FILE.toml; the last value of a name is the one. What is said
 * of mistakes has no value in it. */
bool given_take_variables(struct given *given, const struct given_texts *wanted, struct arena *arena, struct err *err);
/* The same for a component; `given` must outlive `config`. ERR_USAGE: an argument or a name is no UTF-8. */
bool given_config(const struct given *given, struct host_config *config, struct arena *arena, struct err *err);
/* Closes the directories that are still there, who took one over sets dir_count to 0, and the sockets of stores. */
void given_close(struct given *given);

/* The part of a path behind the last slash. */
const char *given_base_name(const char *path);

#endif
