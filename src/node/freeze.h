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

#include "runtime/snapshot.h"
#include "wasi/host.h"

/* One that is under way. Its task is at this address. */
struct freezing {
    struct program *program;
    struct slot *slot;
    struct host *host;
    struct task task;
    uint64_t allowance_ns;
    bool returned;
};

/* Begin with a program that runs its start functions in every instance, for so long at most as whoever steps says with
 * slice_enter (`allowance_ns` is for the words of an error). Nothing runs yet. No slot of it may be in use,
 * nor come into use before the end. */
bool freeze_begin(struct freezing *ret, struct program *program, struct host_pool *hosts,
                  const struct host_config *config, uint64_t allowance_ns, struct err *err);
/* Between slice_enter and slice_leave (runtime/slice.h). PROGRAM_READY: instances begin behind the start functions.
 * PROGRAM_FAILED: there is no snapshot, `err` says why, and the program is as before. With both no slot of it is left.
 */
enum program_step freeze_step(struct freezing *freezing, struct host_frozen *ret_frozen, struct err *err);
/* It will not go on. */
void freeze_abandon(struct freezing *freezing);

#endif
