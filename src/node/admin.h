/* The process that tells of a node over HTTP: /metrics (node/exposition.h), /status (node/status.h) and /healthz.
 *
 * It serves nobody else's requests, runs no guest, and holds nothing that would be missed: it may be killed at any
 * time. What it keeps in memory is bounded by the number of workers and functions, and of its connections. */
#ifndef MAYFLY_NODE_ADMIN_H
#define MAYFLY_NODE_ADMIN_H

#include "node/metrics.h"

/* Until the channel to the supervisor ends; returns the process's exit status. `listen_fd` stays the caller's. */
int admin_work(const struct metrics *metrics, int listen_fd, int channel);

#endif
