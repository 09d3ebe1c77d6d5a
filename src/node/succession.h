/* One node after another: what serves an application, whose manifest may change.
 *
 *     this process ─┬─ a node, which retires   a supervisor (supervisor.h) with its processes
 *                   └─ a node, which serves
 *
 * The functions of a node, and what they are given, stand for as long as it lives. So another manifest is another node:
 * it begins beside the one that serves, with the same sockets, and when all its workers accept, the one before accepts
 * no more, answers what it has, and ends. A node that cannot begin changes nothing.
 *
 * This process decides nothing and reads nothing but messages of one size; it has what all nodes share, and passes
 * signals on: SIGHUP to the node that serves, SIGTERM and SIGINT to all. A node that ends without being asked ends it
 * all, with its status. */
#ifndef MAYFLY_NODE_SUCCESSION_H
#define MAYFLY_NODE_SUCCESSION_H

#include "base/err.h"

/* What a new process serves with. */
struct succession_seat {
    int channel; /* supervisor_options.parent */
    bool first;  /* nobody served before */
};

/* `node`, in a new process: serve until the end; the result is its exit status. `begun`, in this one: there is the
 * first node, which has what it needs. This returns when no node is left: *ret_status is the one of the node that
 * served last. False: no first process, or the kernel refused what is needed. */
bool succession_run(int (*node)(void *arg, const struct succession_seat *seat), void (*begun)(void *arg), void *arg,
                    int *ret_status, struct err *err);

#endif
