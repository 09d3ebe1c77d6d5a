/* What went wrong lately, for people to look at: traps with their backtraces, limits that ended requests, functions
 * that could not begin, and what was denied. Rings in memory that the processes of a node share (node/metrics.h), of
 * fixed size: for each worker one of each kind, so that what happens often leaves what happened once where it is.
 *
 * The worker writes, and whoever reads takes a copy and sees by its number whether it was written meanwhile. The texts
 * are of guests and may be forged whole by one that broke out: a reader gets so many bytes of anything, and numbers
 * that may be any. Nothing of a request is in them, neither its target nor its fields, and no values of variables. */
#ifndef MAYFLY_NODE_INCIDENTS_H
#define MAYFLY_NODE_INCIDENTS_H

#include "base/str.h"

#include <stdint.h>

#define INCIDENTS_MAX 16u   /* of a kind that a worker keeps, and that are told of a node */
#define INCIDENT_SIZE 4096u /* bytes of one, text and all */

/* KIND(name, label) */
#define INCIDENT_KINDS(KIND) KIND(TRAP, "trap") KIND(LIMIT, "limit") KIND(FAILED, "failed") KIND(DENIED, "denied")

enum incident_kind {
#define KIND(name, label) INCIDENT_##name,
    INCIDENT_KINDS(KIND)
#undef KIND
        INCIDENT_KIND_COUNT
};
extern const char *const incident_kind_names[INCIDENT_KIND_COUNT];

struct incident {
    uint64_t number;   /* from 1 on; 0: it is being written */
    uint64_t time_ms;  /* since 1970 */
    uint64_t function; /* its index */
    uint64_t size;     /* of the text */
    char text[INCIDENT_SIZE - 4 * sizeof(uint64_t)];
};

struct incidents {
    uint64_t counts[INCIDENT_KIND_COUNT]; /* that there were; the last INCIDENTS_MAX of each are kept */
    uint64_t padding[INCIDENT_SIZE / sizeof(uint64_t) - INCIDENT_KIND_COUNT];
    struct incident items[INCIDENT_KIND_COUNT][INCIDENTS_MAX];
};

/* ---- who writes ---- */

/* A new one, in the place of the oldest of its kind. */
struct incident *incident_begin(struct incidents *incidents, enum incident_kind kind, uint32_t function);
/* One more line of its text; what finds no room is cut off. */
void incident_line(struct incident *incident, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* It is complete. */
void incident_end(struct incidents *incidents, struct incident *incident);

/* ---- who reads ---- */

/* A copy of the one at this place, with a size that its text has. False: there is none, or it is being written. */
bool incident_read(const struct incidents *incidents, enum incident_kind kind, uint32_t place, struct incident *ret);
/* Only when it was: cheap, and likewise of strangers. 0: there is none. */
uint64_t incident_time_ms(const struct incidents *incidents, enum incident_kind kind, uint32_t place);

#endif
