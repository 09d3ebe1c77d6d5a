/* The state of a node as JSON, for `mayfly top` and other programs; src/cli/json.def describes it under `status`. */
#ifndef MAYFLY_NODE_STATUS_H
#define MAYFLY_NODE_STATUS_H

#include "base/buf.h"
#include "node/metrics.h"

#define STATUS_SCHEMA 1u

/* Appended. Errors stay in text->failed. */
void status_write(struct buf *text, const struct metrics *metrics);

#endif
