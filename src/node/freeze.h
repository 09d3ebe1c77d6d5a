/* Snapshots behind start functions that ask the host for something: they run once, with the real host, and what they
 * leave is how every later instance begins.
 *
 * So all instances have in common what was asked for then: clock readings, random numbers, the environment. Whoever
 * wants that says so (`mayfly up --snapshot`). What an instance holds of the host beyond that (a descriptor, a
 * pollable, a socket) cannot be copied, nor can one that waits; it is then refused, and start functions run in every
 * instance.
 */
#ifndef MAYFLY_NODE_FREEZE_H
#define MAYFLY_NODE_FREEZE_H

#include "runtime/program.h"
#include "wasi/host.h"

/* The start functions of a program that runs them in every instance run once, in a slot with program->memory_max and
 * for `allowance_ns` at most, on a thread with time slices (runtime/slice.h); nothing else runs meanwhile. No slot of
 * the program may be in use; none is left. False: there is no snapshot, `err` says why, and the program is as before.
 */
bool program_run_once(struct program *program, struct host_pool *hosts, const struct host_config *config,
                      uint64_t allowance_ns, struct host_frozen *ret_frozen, struct err *err);

#endif
