/* A worker: one loop, one server, one function; each request in a fresh instance.
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

#include "http/server.h"
#include "runtime/program.h"
#include "wasi/host.h"

struct worker;

struct worker_limits {
    uint64_t wall_ns, cpu_ns; /* of a request, from its dispatch; beyond: 504 */
    uint64_t memory_bytes;    /* of an instance; beyond, growing fails */
    uint64_t body_bytes;      /* of a request's body; beyond: 413 */
    uint32_t instances;       /* at once; beyond: 503 */
};
extern const struct worker_limits worker_limits_default;

struct worker_options {
    struct worker_limits limits;
    const struct host_config *config; /* what the function is given; what it points to outlives the worker */
    bool stats; /* measure starts and teardowns */
    struct host_services services;
};

/* Serve `program` on the listening socket. The program must export wasi:http/incoming-handler@0.2. */
struct worker *worker_new(struct io_loop *loop, struct program *program, int listen_fd,
                          const struct worker_options *options, struct err *err);
void worker_drain(struct worker *worker, void (*done)(void *arg), void *arg);
void worker_free(struct worker *worker);
/* One line of JSON: start and teardown times, pages restored, requests. Needs options.stats. */
void worker_stats(const struct worker *worker, struct buf *ret_text);

#endif
