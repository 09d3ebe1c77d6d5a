/* A worker process: a loop, a worker, and the way to the supervisor.
 *
 * It serves until SIGTERM, which lets running requests finish; a second one ends at once. SIGINT and SIGHUP are the
 * supervisor's. It never outlives the supervisor.
 */
#ifndef MAYFLY_NODE_PROCESS_H
#define MAYFLY_NODE_PROCESS_H

#include "node/certificate.h"
#include "node/sandbox.h"
#include "node/storage.h"
#include "node/supervisor.h"
#include "node/worker.h"

struct process_options {
    const struct deployment *deployment;
    struct worker_options worker; /* what there is of it before the process begins; the rest is filled in */
    struct certificate_files files; /* for TLS, or NULL; read here to begin with, new ones come over the channel */
    struct sandbox_options sandbox; /* from before anything of a guest runs, to the end */
    struct node_storage *storage; /* what the function may open; has no worker yet */
    int listen_fd; /* or -1 */
    enum io_kind io;
    /* Optional: before the sandbox. */
    bool (*prepare)(void *arg, struct err *err);
    struct metrics *metrics; /* of the node; the process keeps the worker's block only */
    void *arg;
};

/* Serve the seat's images: one of a single function is loaded at once, others when they are asked for. Reports over its
 * channel (node/channel.h) when it accepts, or why it cannot, and takes images to serve and certificates to show from
 * there on. Returns the process's exit status. */
int process_work(const struct process_options *options, const struct supervisor_seat *seat);

#endif
