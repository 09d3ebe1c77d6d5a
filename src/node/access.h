/* The access log: a line of JSON (RFC 8259) for each request, when its answer is over.
 *
 * Lines gather in a buffer of fixed size, which is written when it is full or a second old: a request makes no system
 * call for it. When nothing can be written the buffer stays as it is, and lines that find no room are lost and counted.
 * Only whole lines are written, in pieces that a pipe takes as one, so those of several workers do not mix; what a disk
 * that became full took half of follows when there is room. What clients say is escaped. */
#ifndef MAYFLY_NODE_ACCESS_H
#define MAYFLY_NODE_ACCESS_H

#include "base/str.h"
#include "io/loop.h"

struct access_log;

struct access_entry {
    struct str function, method, target, trace; /* may be empty */
    unsigned status; /* 0: the client was gone before an answer began */
    bool whole;      /* the answer was completed */
    uint64_t bytes, ns; /* of the answer's body; from dispatch to its end */
};

/* `fd` stays the caller's. `lost` counts lines (base/counter.h). NULL: no memory. */
struct access_log *access_new(struct io_loop *loop, int fd, uint64_t *lost, struct err *err);
/* Writes what there is, with a second's patience. NULL is fine. */
void access_free(struct access_log *log);

/* In two steps, because what the entry points to may be gone when it is known that the request is over: make the line;
 * it counts. */
void access_stage(struct access_log *log, const struct access_entry *entry);
void access_commit(struct access_log *log);

#endif
