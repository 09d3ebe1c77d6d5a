/* A worker: one loop, one server; each request in a fresh instance of a function.
 *
 *     request -> slot -> task on a guest stack -> handler -> response -> slot restored
 *
 * The handler runs to completion inside http_service.handle where it can (the hot path: no allocation, no
 * mapping, one receive and one send per request); what suspends is resumed by the loop. What runs long is preempted and
 * takes turns of a millisecond with its like, behind new requests. What is over its limits, or has nobody left to
 * answer to, is ended.
 */
#ifndef MAYFLY_NODE_WORKER_H
#define MAYFLY_NODE_WORKER_H

#include "base/buf.h"
#include "http/server.h"
#include "node/function.h"
#include "node/metrics.h"

struct worker;

struct worker_options {
    bool stats; /* measure starts and teardowns */
    int access_fd; /* of the access log, or -1; the caller's */
    struct metrics_worker *metrics; /* this worker's block; the function has its own part */
    uint64_t tick_factor; /* metrics_tick_factor */
    struct tls_context *tls; /* for connections, or NULL: as for worker_set_tls */
    struct host_services services;
};

/* Serve `function`, which must have a program when the loop runs, on the listening socket. Both stay the caller's and
 * outlive the worker.
 */
struct worker *worker_new(struct io_loop *loop, struct function *function, int listen_fd,
                          const struct worker_options *options, struct err *err);
/* As http_server_set_tls. */
void worker_set_tls(struct worker *worker, struct tls_context *tls);
/* What it makes hosts of: for start functions that run before any request (node/freeze.h). */
struct host_pool *worker_hosts(const struct worker *worker);
void worker_drain(struct worker *worker, void (*done)(void *arg), void *arg);
void worker_free(struct worker *worker);
/* One line of JSON: start and teardown times, pages restored, requests. Needs options.stats. */
void worker_stats(const struct worker *worker, struct buf *ret_text);

#endif
