/* The compiler child as its parent sees it: one process, one job after the other.
 *
 * A hostile source may own the child from then on, and with it the images of later jobs: give one child only what
 * belongs together. What it answers is checked (image_check), and its processor time is limited.
 */
#ifndef MAYFLY_COMPILE_CHILD_H
#define MAYFLY_COMPILE_CHILD_H

#include "compile/build.h"

#include <limits.h>
#include <sys/types.h>

/* Where the compiler is: beside this program, or in ../libexec/mayfly. False when it is not installed. */
bool compiler_path(char ret_path[PATH_MAX], struct err *err);

/* Zeroed: no child runs. */
struct compiler {
    pid_t pid;
    int socket;
    uint32_t cpu_seconds;
};

/* Compile the file open at `source_fd` and return a descriptor of the image (a memfd), or -1. Starts the child if none
 * runs; `dump` and `cpu_seconds` of the options hold from then on for all jobs together. A child that dies fails its
 * job only. */
int compiler_run(struct compiler *compiler, int source_fd, const struct compile_options *options, struct err *err);
void compiler_stop(struct compiler *compiler);

#endif
