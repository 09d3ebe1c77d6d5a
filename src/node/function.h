/* A function as it is deployed: what it is given, what its requests may take, and the program that serves them.
 *
 * The program can be replaced at any time, between two requests: new requests begin with the new one, and the old one,
 * a *generation*, is unloaded when the last of its requests is over. Nothing is replaced on a stack. Each generation
 * has a snapshot of its own.
 */
#ifndef MAYFLY_NODE_FUNCTION_H
#define MAYFLY_NODE_FUNCTION_H

#include "node/metrics.h"
#include "runtime/program.h"
#include "wasi/host.h"
#include "wasi/link.h"

struct function_limits {
    uint64_t wall_ns, cpu_ns; /* of a request, from its dispatch; beyond: 504 */
    uint64_t memory_bytes;    /* of an instance; beyond, growing fails */
    uint64_t body_bytes;      /* of a request's body; beyond: 413 */
    uint64_t stack_bytes;     /* of each task; beyond: a trap. The same for all functions of a process */
    uint32_t handles;         /* of each component instance at once; beyond: a trap. Likewise */
    uint32_t instances;       /* at once, in each worker; beyond: 503 */
};
extern const struct function_limits function_limits_default;

struct request;

/* Requests of the worker (node/worker.c), the first that came first. */
struct request_list {
    struct request *first, **last;
};

/* One program with its imports linked. It ends when it is retired and nothing of it runs. */
struct generation {
    struct program *program;
    struct host_frozen frozen; /* what its instances hold of the host from the start */
    struct request_list asleep; /* those that wait and still have their slots */
    const struct image_export *handler;
    struct wasi_link link;
    uint32_t running;
    bool retired;
};

struct function {
    const char *name; /* for logs */
    struct host_config config;
    struct function_limits limits;
    uint64_t allowance_ns; /* of processor time that a request may take before anybody asks for the time */
    struct host_pool
        *freezing; /* of the thread that loads: start functions run there once (node/freeze.h); NULL: not */
    struct generation *current;
    uint32_t running; /* requests, of all generations */
    struct metrics_function *metrics; /* in the worker's block */
};

/* Let the limits hold that are of the process: before the first program is loaded. */
void function_limit_process(const struct function_limits *limits);
/* `config` is copied; what it points to outlives the function, and so do the metrics (NULL: it serves no requests). */
void function_init(struct function *function, const struct host_config *config, const struct function_limits *limits,
                   struct metrics_function *metrics);
/* Serve the image at `image_fd`, which stays the caller's, from the next request on. False: it cannot be, and the
 * function is as it was. ERR_LINK: it is no handler of HTTP requests (wasi:http/incoming-handler@0.2), or imports what
 * mayfly lacks. */
bool function_load(struct function *function, int image_fd, struct err *err);
/* Retire what it serves. No request may begin after this; those that run go on. */
void function_end(struct function *function);

/* A request of the function begins; it belongs to the generation that this returns. */
struct generation *function_enter(struct function *function);
/* It is over. */
void function_leave(struct function *function, struct generation *generation);

#endif
