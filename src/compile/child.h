/* The compiler child as its parent sees it: one process, one job after the other.
 *
 * A hostile source may own the child from then on, and with it the images of later jobs: give one child only what
 * belongs together. What it answers is checked (image_check), and its time is limited.
 */
#ifndef MAYFLY_COMPILE_CHILD_H
#define MAYFLY_COMPILE_CHILD_H

#include "compile/build.h"
#include "compile/job.h"

#include <limits.h>
#include <sys/types.h>

/* Where the compiler is: beside this program, or in ../libexec/mayfly. False when it is not installed. */
bool compiler_path(char ret_path[PATH_MAX], struct err *err);

/* Zeroed: no child runs. */
struct compiler {
    pid_t pid;
    int socket;
    bool fast; /* the child has the fast generator only: a fork of this process */
    uint32_t cpu_seconds;
    uint32_t wall_seconds; /* for each job: a child may also sleep */
    uint64_t memory_bytes;
    struct codegen_counts counts; /* of the last job that was done */
    int fds[COMPILE_FDS]; /* of the job under way */
};

/* Functions kept from one compile of a file to the next: codegen/pack.h. */
struct compile_kept {
    int old_fd; /* of an earlier compile, or -1; stays the caller's */
    int new_fd; /* set: of this one, the caller's now; -1 after a failure */
};

/* Compile the file open at `source_fd` and return a descriptor of the image (a sealed memfd), or -1. Starts the child
 * if none runs that can; `dump` and the limits of the options hold from then on for all jobs together. A child that
 * dies fails its job only. `kept` may be NULL. */
int compiler_run(struct compiler *compiler, int source_fd, const struct compile_options *options,
                 struct compile_kept *kept, struct err *err);
/* The same in two steps, between which the child works: the second waits for it and takes the same options. False, with
 * an error set: there is nothing to wait for. */
bool compiler_begin(struct compiler *compiler, int source_fd, const struct compile_options *options,
                    const struct compile_kept *kept, struct err *err);
int compiler_end(struct compiler *compiler, const struct compile_options *options, struct compile_kept *kept,
                 struct err *err);
/* Also in the middle of a job. */
void compiler_stop(struct compiler *compiler);

#endif
