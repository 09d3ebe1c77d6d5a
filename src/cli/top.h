/* What `mayfly top` reads from a server and makes of it. */
#ifndef MAYFLY_CLI_TOP_H
#define MAYFLY_CLI_TOP_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "node/histogram.h"

#include <stdbool.h>

#define TOP_FUNCTIONS_MAX 64u /* that are shown */
#define TOP_WORKERS_MAX 1024u
#define TOP_NAME_SIZE 128u

/* Counters as the server told them, or how much more they are than in the reading before. */
struct top_function {
    char name[TOP_NAME_SIZE];
    uint64_t answers, errors; /* all; those of 5xx and those that were broken */
    uint64_t traps, limits, cpu_ns;
    uint64_t running; /* no counter */
    struct histogram latency, starts;
};

struct top_worker {
    uint64_t worker, pid, restarts, resident_bytes, connections;
    bool up;
};

struct top_reading {
    uint64_t now_ns, generation;
    char tier[16];
    uint32_t function_count, worker_count;
    struct top_function functions[TOP_FUNCTIONS_MAX];
    struct top_worker workers[TOP_WORKERS_MAX];
};

/* Ask the server at `address`. */
bool top_read(struct str address, struct top_reading *reading, struct err *err);
/* The same from the text of /status. False: it is not such a text. */
bool top_parse(struct str text, struct top_reading *reading);
/* Make of `now` what happened since `before`. What belongs to another server than before is taken as it is. */
void top_subtract(struct top_reading *now, const struct top_reading *before);

/* A table for people, or JSON (json.def: top). `interval_ns`: what the reading is the difference of. */
void top_print(struct buf *text, const struct top_reading *reading, uint64_t interval_ns);
void top_print_json(struct buf *text, const struct top_reading *reading, uint64_t interval_ns);

#endif
