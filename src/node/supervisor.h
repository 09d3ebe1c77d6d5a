/* The supervisor: it owns the listening socket and the image, forks the workers, and puts another in the place of one
 * that dies. It runs no guest and reads nothing that comes from clients.
 *
 * Signals: SIGTERM and SIGINT let the workers finish what they do and end it all; a second one ends at once. SIGHUP
 * builds the image anew, in a process of its own, and hands it to the workers, which go over to it between two
 * requests; if it cannot be built or served, all stays as it was.
 */
#ifndef MAYFLY_NODE_SUPERVISOR_H
#define MAYFLY_NODE_SUPERVISOR_H

#include "base/err.h"

#include <stdint.h>

#define SUPERVISOR_WORKERS_MAX 1024u

struct supervisor_options {
    uint32_t workers;
    int image_fd; /* to begin with; the supervisor closes it */
    /* In a new process. Serve the image, which it closes, and report over the channel, as process_work does; its result
     * is the process's exit status. */
    int (*work)(void *arg, int channel, int image_fd);
    /* In a new process. A descriptor of the image as it is to be now, or -1. */
    int (*build)(void *arg, struct err *err);
    /* All workers accept. */
    void (*serving)(void *arg);
    void *arg;
};

/* How many processors this process may use. */
uint32_t supervisor_processors(void);

/* Serve until a signal ends it. False: the first workers could not begin, or the kernel refused what is needed. */
bool supervise(const struct supervisor_options *options, struct err *err);

#endif
