/* A worker process: a loop, a worker, and the way to the supervisor.
 *
 * It serves until SIGTERM, which lets running requests finish; a second one ends at once. SIGINT and SIGHUP are the
 * supervisor's. It never outlives the supervisor.
 */
#ifndef MAYFLY_NODE_PROCESS_H
#define MAYFLY_NODE_PROCESS_H

#include "node/certificate.h"
#include "node/sandbox.h"
#include "node/supervisor.h"
#include "node/worker.h"
#include "runtime/sample.h"

struct process_options {
    const struct host_config *config;
    const struct function_limits *limits;
    struct worker_options worker;
    bool snapshot; /* start functions run once, not in every instance: node/freeze.h */
    struct certificate_files files; /* for TLS, or NULL; read here to begin with, new ones come over the channel */
    struct samples *samples; /* where those of guests go, while the image has a number */
    struct sandbox_options sandbox; /* from before anything of a guest runs, to the end */
    int listen_fd;
    enum io_kind io;
    /* Optional: before the sandbox. */
    bool (*prepare)(void *arg, struct err *err);
    struct metrics *metrics; /* of the node; the process keeps the worker's block only */
    /* Optional: a program was loaded. */
    bool (*loaded)(void *arg, struct program *program, struct err *err);
    void *arg;
};

/* Serve the seat's image. Reports over its channel (node/channel.h) when it accepts, or why it cannot, and takes images
 * to serve and certificates to show from there on. Returns the process's exit status. */
int process_work(const struct process_options *options, const struct supervisor_seat *seat);

#endif
