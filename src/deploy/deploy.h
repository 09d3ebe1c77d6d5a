/* What `mayfly up` serves, as a table of functions: of one file, with what the options give it, or of an application,
 * with what its manifest (spin.toml) gives each component. */
#ifndef MAYFLY_DEPLOY_DEPLOY_H
#define MAYFLY_DEPLOY_DEPLOY_H

#include "app/manifest.h"
#include "app/runtime_config.h"
#include "compose/compose.h"
#include "deploy/given.h"
#include "node/deployment.h"

#include <time.h>

/* A file as it was when it was read. */
struct deploy_file {
    const char *path;
    struct timespec changed; /* zero: it was not there */
    uint64_t size, inode;
};

/* A manifest that was read before it is known who serves it: what it says decides that. */
struct deploy_reading {
    bool command; /* it has a trigger of type command: then its only function is that command */
    bool listens; /* it has one of type http */
    /* Private: */
    struct manifest manifest;
    struct manifest_problems problems;
    struct err err;
    bool done, taken;
    struct deploy_file file;
};

struct deploy_options {
    struct given_options given; /* its file: a component, a manifest, or a folder with one; NULL: the folder where we
                                   are. What guests get it has for components without a manifest, but for `env` */
    const char *profile; /* of an application's components, or NULL */
    const char *runtime_config; /* a file (app/runtime_config.h), or NULL */
    const char *log_dir; /* a folder for what functions print, beside the log; NULL: the file's; empty: none */
    bool truncate_logs;   /* begin its files anew */
    struct given_texts follow; /* functions whose prints the log has; none: all */
    const char *temp;     /* a folder for copies of files; NULL: TMPDIR, or /tmp */
    struct function_limits limits; /* of functions that have none of their own */
    bool memory_given; /* limits.memory_bytes was asked for, and goes before the file's */
    bool snapshot; /* likewise */
    struct given_texts components; /* the only ones of an application, with their triggers; none: all */
    bool direct_mounts; /* nothing is copied: what would have to be is an error */
    bool transient; /* all is copied, and may be written */
    bool allow_private; /* names and * in grants lead to private addresses, too */
    struct deploy_reading *reading; /* of this manifest: it is taken, and not read again; or NULL */
};

#define DEPLOY_FILES_MAX 32u

/* A folder that was made for files of a component. */
struct deploy_copy {
    struct deploy_copy *next;
    const char *path;
    pid_t owner;
    int lock; /* of the folder, open in all processes that may use it */
};

/* A file that was fetched, or kept from before. */
struct deploy_source {
    struct deploy_source *next;
    const void *of; /* the struct manifest_source or manifest_dependency that names it */
    const char *path; /* in the cache */
};

struct deploy {
    struct deployment deployment; /* complete, and valid as long as this */
    /* Private: */
    struct arena arena;
    struct given given; /* of the options */
    struct deploy_options options;
    struct deployed *functions;
    const char *path; /* of the manifest; NULL: there is none */
    struct manifest manifest;
    struct runtime_config runtime; /* while the table is made */
    struct str *values; /* of the manifest's variables, in its order */
    struct router router;
    struct grant_blocked blocked; /* networks that no function reaches */
    struct grants *grants; /* of each function of an application, and of what its triggers reach */
    uint32_t grant_count;
    int *folders; /* that functions of an application may read */
    uint32_t folder_count;
    struct deploy_file files[DEPLOY_FILES_MAX]; /* that say all this */
    uint32_t file_count;
    bool asks_vault; /* whose values may have changed */
    int *logs; /* of what they print */
    uint32_t log_count;
    struct deploy_copy *copies;
    struct deploy_source *sources;
};

/* What `options` points to must outlive `ret`. What is wrong with a manifest is printed, and then `err` is the first of
 * it with no more to say (kind ERR_NONE). End with deploy_close in any case. */
bool deploy_open(struct deploy *ret, const struct deploy_options *options, struct err *err);
/* Whether `file`, as in the options, means an application. */
bool deploy_is_application(const char *file);
/* Read the manifest that `options` mean, for deploy_open; what is wrong with it is said there. */
void deploy_read(struct deploy_reading *ret, const struct deploy_options *options);
/* What deploy_open did not take. */
void deploy_reading_free(struct deploy_reading *reading);
/* The files that say what is served are not what they were, or it may be so with a Vault or files that were copied, or
 * the cache has lost a component.
 * Always false of a component without a manifest. */
bool deploy_changed(const struct deploy *deploy);
/* Before any process of the node, and once: set keys of the store "default" (NAME=VALUE), and run statements in the
 * database "default" (a statement, or @FILE[:LABEL]), in this order of theirs. A process of its own does it. */
bool deploy_fill_storage(struct deploy *deploy, const struct given_texts *keys, const struct given_texts *statements,
                         struct err *err);
/* For who builds a component of a manifest: what it depends on, fetched into the cache where it comes from elsewhere.
 * `path`: of the manifest. Texts are of the arena. */
bool deploy_dependencies(const struct manifest *manifest, const char *path, const struct manifest_component *component,
                         struct arena *arena, struct composition *ret, struct err *err);
/* For processes that give guests nothing: directories and logs are closed, the table stays. */
void deploy_close_dirs(struct deploy *deploy);
void deploy_close(struct deploy *deploy);

#endif
