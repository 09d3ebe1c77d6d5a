/* A worker: one loop, one server; each request in a fresh instance of its function.
 *
 *     request -> route -> slot -> task on a guest stack -> handler -> response -> slot restored
 *
 * The handler runs to completion inside http_service.handle where it can (the hot path: no allocation, no
 * mapping, one receive and one send per request); what suspends is resumed by the loop. What runs long is preempted and
 * takes turns of a millisecond with its like, behind new requests; functions share the processor fairly while more than
 * one wants it (node/turns.c). What is over its limits, or has nobody left to answer to, is ended.
 *
 * Programs are loaded when the first request of their function comes, and unloaded when many are loaded and none comes
 * any more.
 */
#ifndef MAYFLY_NODE_WORKER_H
#define MAYFLY_NODE_WORKER_H

#include "base/buf.h"
#include "http/server.h"
#include "node/function.h"
#include "node/metrics.h"
#include "runtime/sample.h"

struct worker;

struct worker_options {
    bool stats; /* measure starts and teardowns */
    bool alone; /* nobody else accepts from the socket */
    int access_fd; /* of the access log, or -1; the caller's */
    struct metrics_worker *metrics; /* this worker's block; each function has its own part */
    struct incidents *incidents;    /* the block's */
    uint64_t tick_factor; /* metrics_tick_factor */
    struct tls_context *tls; /* for connections, or NULL: as for worker_set_tls */
    bool fires; /* timers of the deployment, and listens to channels: one worker of a node does */
    int64_t *fired; /* shared by the workers of all nodes that may fire: the last time that somebody did (events.c) */
    struct samples *samples; /* where those of guests go, while an image has a number; or NULL */
    struct host_services services;
    /* Optional: a program was loaded. */
    bool (*loaded)(void *arg, struct program *program, struct err *err);
    /* Optional: the image that took the place of another serves from now on, or cannot (`err` not NULL). */
    void (*replaced)(void *arg, const struct function *function, const struct err *err);
    void *arg;
};

/* An image to serve. */
struct worker_image {
    int fd; /* the worker's from here on */
    uint32_t number;     /* its name in samples, or 0 */
    uint64_t generation; /* as metrics count */
};

/* Serve what is deployed, which outlives the worker, on the listening socket, which stays the caller's; -1: there is
 * none, and only timers and channels call. No function has an image yet. */
struct worker *worker_new(struct io_loop *loop, const struct deployment *deployment, int listen_fd,
                          const struct worker_options *options, struct err *err);
/* The image that requests of function number `index` are served with from now on, or in a moment, when it is loaded. */
void worker_serve(struct worker *worker, uint32_t index, const struct worker_image *image);
/* Load its image now. False: it cannot be. */
bool worker_load(struct worker *worker, uint32_t index, struct err *err);
/* As http_server_set_tls. */
void worker_set_tls(struct worker *worker, struct tls_context *tls);
/* As http_server_retire, with a moment for clients that are between two requests. For both of these: timers fire no
 * more, and `done` waits for what they began. */
void worker_retire(struct worker *worker, void (*done)(void *arg), void *arg);
void worker_drain(struct worker *worker, void (*done)(void *arg), void *arg);
void worker_free(struct worker *worker);
/* One line of JSON: start and teardown times, pages restored, requests. Needs options.stats. */
void worker_stats(const struct worker *worker, struct buf *ret_text);

#endif
