/* The process that tells of a node over HTTP: a page to look at (node/page.h), /application (node/application.h),
 * /status (node/status.h), /metrics (node/exposition.h) and /healthz.
 *
 * It serves nobody else's requests, runs no guest, changes nothing for anybody who asks, and holds nothing that would
 * be missed: it may be killed at any time. What it keeps in memory is bounded by the number of workers and functions,
 * and of its connections.
 *
 * A browser may be made to ask it by any page that is open in it, under any name that leads here. So it answers only
 * who asks for it by an address, as localhost, or by a name that it was given; and what it answers is for pages of its
 * own only. docs/security.md says more. */
#ifndef MAYFLY_NODE_ADMIN_H
#define MAYFLY_NODE_ADMIN_H

#include "node/deployment.h"
#include "node/metrics.h"

struct admin_options {
    const struct metrics *metrics;
    const struct deployment *deployment;
    const char *url;          /* where requests are accepted; empty: nowhere */
    const char *const *names; /* by which it may be asked */
    uint32_t name_count;
};

/* Until the channel to the supervisor ends; returns the process's exit status. `listen_fd` stays the caller's. */
int admin_work(const struct admin_options *options, int listen_fd, int channel);

#endif
