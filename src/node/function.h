/* A function in a worker: the program that serves it, those of its requests that wait, and its turn among others.
 *
 * The program can be replaced at any time, between two requests: new requests begin with the new one, and the old one,
 * a *generation*, is unloaded when the last of its requests is over. Nothing is replaced on a stack. Each generation
 * has a snapshot of its own. A generation is loaded in steps, because start functions are guest code: between two steps
 * others may have the thread. Until the first one is there, and after the last one was dropped, a function is a row of
 * a table and a descriptor.
 */
#ifndef MAYFLY_NODE_FUNCTION_H
#define MAYFLY_NODE_FUNCTION_H

#include "component/datum.h"
#include "node/deployment.h"
#include "node/freeze.h"
#include "node/metrics.h"
#include "wasi/link.h"

struct request;
struct loading;

/* Requests of the worker (node/request.h), the first that came first. */
struct request_list {
    struct request *first, **last;
};

/* What a request is that has no exchange from the beginning to the end: nobody waits for it. */
enum event_kind { EVENT_NONE, EVENT_CRON, EVENT_REDIS, EVENT_COUNT };

/* What is called for a request: of the image's exports. */
struct handler {
    uint64_t funcref, handles_off;
};

/* One program with its imports linked. It ends when it is retired and nothing of it runs. */
struct generation {
    struct program *program;
    struct host_frozen frozen; /* what its instances hold of the host from the start */
    struct request_list asleep; /* those that wait and still have their slots */
    struct handler handler; /* of the requests of clients, or else what its events call */
    struct datum_func whole; /* what clients' requests call with a request as a value; `row` NULL: the handler */
    struct datum_func events[EVENT_COUNT]; /* what they call, of those that there are */
    struct arena types; /* of these functions */
    struct wasi_link link;
    uint32_t running;
    bool retired;
};

#define FUNCTION_NEAR_MAX 20u

struct function {
    const struct deployed *deployed;
    uint64_t allowance_ns; /* of processor time that a request may take before anybody asks for the time */
    struct host_pool *hosts; /* of the worker; NULL: start functions are not run for a snapshot */
    struct generation *current; /* NULL: it must be loaded */
    struct loading *loading;  /* the next one, or NULL */
    uint32_t running; /* requests, of all generations */
    uint32_t alone;   /* those of them that go on behind their answers */
    struct metrics_function *metrics; /* in the worker's block; NULL: it serves no requests */
    uint8_t *used; /* whether there is something in the latter; NULL likewise */
    /* Its image, and the image's name in samples (runtime/sample.h) or 0. */
    int image_fd;
    uint32_t image_number;
    uint64_t image_generation; /* as metrics count */
    uint64_t failed_us; /* when it could not be loaded, or 0 */
    /* Places in memory that a request touches first, to be fetched all at once: with many functions each is far away.
     * They are looked at again when another slot is in use. */
    const void *near[FUNCTION_NEAR_MAX];
    uint32_t near_count;
    const struct slot *near_slot;
    /* The worker's, for its turn (node/turns.c): */
    struct request_list fresh; /* not begun */
    struct request_list ready; /* preempted, or woken, and may go on */
    uint32_t fresh_count;
    uint64_t spent; /* processor time, against that of others: ticks */
    uint64_t fresh_spent; /* by fresh ones since one that was ready had its turn */
    struct function *next_waiting, **waiting; /* among those that want a turn; `waiting` NULL: it does not */
};

/* Let the limits hold that are of the process: before the first program is loaded. */
void function_limit_process(const struct function_limits *limits);
/* `deployed` outlives it. */
void function_init(struct function *function, const struct deployed *deployed);
/* Count in the worker's block, which is of so many functions, as number `index`. */
void function_count_in(struct function *function, struct metrics_worker *block, uint32_t function_count,
                       uint32_t index);
/* Before anything is counted: its metrics are to be read. */
static inline void function_use(struct function *function)
{
    if (!*function->used)
        *function->used = 1;
}

/* Begin to load the image at `image_fd`, which stays the caller's; a loading that is under way is given up. */
bool function_load_begin(struct function *function, int image_fd, struct err *err);
/* Go on with it, for a time slice where there are any (runtime/slice.h). PROGRAM_READY: the next request is served by
 * it. PROGRAM_FAILED: it cannot be, and the function is as it was. ERR_LINK: it does not export what its triggers call
 * (wasi:http/incoming-handler@0.2, ...), or imports what mayfly lacks. */
enum program_step function_load_step(struct function *function, struct err *err);
/* Both, to the end. */
bool function_load(struct function *function, int image_fd, struct err *err);
/* Can it be served, as far as can be known while nothing of it runs? */
bool function_check(const struct deployed *deployed, int image_fd, struct err *err);
/* Retire what it serves, and give up what it loads. Requests that run go on. */
void function_end(struct function *function);

/* What the next request will touch comes nearer, while others things are done. */
static inline void function_fetch(const struct function *function)
{
    for (uint32_t i = 0; i < function->near_count; i++)
        __builtin_prefetch(function->near[i]);
}
/* A request of it had this slot, which is about to be free. */
void function_note_slot(struct function *function, const struct slot *slot);

/* A request of the function begins; it belongs to the generation that this returns. */
struct generation *function_enter(struct function *function);
/* It is over. */
void function_leave(struct function *function, struct generation *generation);

#endif
