/* What the processes of a node count, in memory that they share.
 *
 * The supervisor makes it before it forks. A worker has a block that it alone writes, of its own counters and those of
 * each function, with plain stores (base/counter.h): no lock, no system call, no allocation. The worker that takes the
 * place of a dead one goes on with its block, so nothing that was counted is lost. The supervisor has a page of its
 * own. Whoever runs guests keeps its own block only: the rest is unmapped, and cannot be mapped again.
 *
 * A reader trusts no block: a guest that broke out may have written it. There are numbers in it and no addresses,
 * lengths or names; any value of them is printed as well as any other.
 *
 * Times are counted in nanoseconds, made of the processor's counter with one multiplication.
 */
#ifndef MAYFLY_NODE_METRICS_H
#define MAYFLY_NODE_METRICS_H

#include "base/err.h"
#include "node/histogram.h"
#include "node/incidents.h"

#include <stdbool.h>
#include <stddef.h>

/* LIMIT(name, label, what it is): each counts requests. */
#define METRICS_LIMITS(LIMIT)                                                                                          \
    LIMIT(TIME, "time", "ended by --timeout")                                                                          \
    LIMIT(CPU, "cpu", "ended by --cpu-time")                                                                           \
    LIMIT(MEMORY, "memory", "were refused more memory by --max-memory")                                                \
    LIMIT(BODY, "body", "brought more than --max-body")                                                                \
    LIMIT(INSTANCES, "instances", "came when --max-instances were running, or no instance could be made")

enum metrics_limit {
#define LIMIT(name, label, what) METRICS_LIMIT_##name,
    METRICS_LIMITS(LIMIT)
#undef LIMIT
        METRICS_LIMIT_COUNT
};

/* Answers that the server gives before any function has the request: REFUSAL(status). Others count as the last. */
#define METRICS_REFUSALS(REFUSAL)                                                                                      \
    REFUSAL(408) REFUSAL(413) REFUSAL(414) REFUSAL(431) REFUSAL(500) REFUSAL(501) REFUSAL(505) REFUSAL(400)

enum metrics_refusal {
#define REFUSAL(status) METRICS_REFUSAL_##status,
    METRICS_REFUSALS(REFUSAL)
#undef REFUSAL
        METRICS_REFUSAL_COUNT
};

#define METRICS_CLASSES 6u /* of statuses, by their first digit; 0: the client was gone before an answer began */

/* Of a function in a worker. */
struct metrics_function {
    uint64_t answers[METRICS_CLASSES], limits[METRICS_LIMIT_COUNT];
    uint64_t broken; /* answers that were begun and not completed */
    uint64_t traps;
    uint64_t cpu_ns; /* that its guests ran, host functions included */
    uint64_t bytes_in, bytes_out; /* of bodies: that guests took, that were sent */
    uint64_t running, asleep, alone; /* requests; those of them that wait; that go on behind their answers */
    uint64_t memory_bytes;    /* the most that one of its instances had */
    uint64_t generation;      /* of the image that new requests get */
    struct histogram latency, starts; /* ns from dispatch to the answer's end; from its turn to the guest's entry */
};

/* Of a worker. */
struct metrics_worker {
    uint64_t refusals[METRICS_REFUSAL_COUNT];
    uint64_t connections; /* that are open */
    uint64_t log_lost;    /* lines of the access log that found no room */
    uint64_t unrouted;    /* requests that no route answers */
    uint64_t fixed;       /* requests whose route has its answer */
    uint64_t generation;  /* of the newest image that it serves */
    struct metrics_function functions[];
};

/* What the supervisor says of a worker. */
struct metrics_place {
    uint64_t pid;   /* 0: there is none now */
    uint64_t ready; /* whether it serves */
    uint64_t births;
};

struct metrics_node {
    uint64_t draining;
    uint64_t generation; /* of the image: 1, and one more with each reload */
    uint64_t tier;       /* enum metrics_tier: of all images */
    struct metrics_place places[]; /* behind them: metrics_tiers */
};

enum metrics_tier {
    METRICS_TIER_UNKNOWN,
    METRICS_TIER_FAST,
    METRICS_TIER_MIXED,
    METRICS_TIER_BEST,
    METRICS_TIER_COUNT
};
extern const char *const metrics_tier_names[METRICS_TIER_COUNT];

/* A process's view of it. */
struct metrics {
    uint32_t worker_count, function_count;
    const char *const *names; /* of the functions */
    uint64_t began_ticks, began_ns;
    struct metrics_node *node; /* NULL in workers */
    char *blocks; /* `worker_count` of `block_size` bytes; NULL in workers */
    size_t block_size, node_size;
};

/* `names` outlives it. */
bool metrics_open(struct metrics *metrics, uint32_t workers, const char *const *names, uint32_t functions,
                  struct err *err);
void metrics_close(struct metrics *metrics);

/* Behind the functions of a block: of each, whether anything was counted. So who reads need not touch what belongs to
 * functions that nobody asked for. */
static inline uint8_t *metrics_used(struct metrics_worker *block, uint32_t function_count)
{
    return (uint8_t *)&block->functions[function_count];
}

/* Of each function: the tier of its image, as the supervisor says it (enum metrics_tier). */
static inline uint8_t *metrics_tiers(const struct metrics *metrics)
{
    return (uint8_t *)&metrics->node->places[metrics->worker_count];
}

/* At the end of a block: what went wrong in the worker. */
static inline struct incidents *metrics_incidents(const struct metrics *metrics, struct metrics_worker *block)
{
    return (struct incidents *)((char *)block + metrics->block_size - sizeof(struct incidents));
}

/* What a worker counted of a function. */
const struct metrics_function *metrics_function(const struct metrics *metrics, uint32_t worker, uint32_t function);
/* Of worker number `index`. */
struct metrics_worker *metrics_block(const struct metrics *metrics, uint32_t index);
/* This process becomes that worker: it keeps the block alone, and its gauges begin anew. */
struct metrics_worker *metrics_keep(struct metrics *metrics, uint32_t index);

/* Nanoseconds of a number of ticks, by a factor that was measured since metrics_open. */
uint64_t metrics_tick_factor(const struct metrics *metrics);
static inline uint64_t metrics_ns(uint64_t ticks, uint64_t factor)
{
    return (uint64_t)((unsigned __int128)ticks * factor >> 32);
}

enum metrics_refusal metrics_refusal_of(unsigned status);
extern const unsigned metrics_refusal_statuses[METRICS_REFUSAL_COUNT];
extern const char *const metrics_limit_names[METRICS_LIMIT_COUNT];

/* Bytes of memory that are resident of a process; 0 when nobody says. */
uint64_t metrics_resident(uint64_t pid);

#endif
