/* The sandbox around a process that runs guests: what a guest that takes the process over could still do.
 *
 * It holds when everything above it has failed. No capabilities and no new privileges; of files only the directories
 * that functions were granted, and what looking up names and checking certificates reads; of the network only what
 * grants of the network need; of the kernel only the system calls of sandbox.def. Guests are still judged by
 * wasi/grants.h and io/files.h, which know more; this knows ports, folders and kinds of calls.
 *
 * Entered once, before any code of a guest runs; never left. Descriptors that are open stay open.
 */
#ifndef MAYFLY_NODE_SANDBOX_H
#define MAYFLY_NODE_SANDBOX_H

#include "node/deployment.h"

#include <sys/types.h>

enum sandbox_mode {
    SANDBOX_ON,      /* as far as this kernel has it */
    SANDBOX_OFF,
    SANDBOX_REQUIRE, /* not without Landlock and filters of system calls */
};

struct sandbox_options {
    enum sandbox_mode mode;
    bool change_user; /* to these, in any mode; of groups none but this one */
    uid_t user;
    gid_t group;
    bool inspected; /* debuggers and profilers may look in, and the kernel may dump it */
    bool moves_code; /* runtime/symbols.h: for perf */
    const char *name_servers; /* as in struct host_services */
};

/* Enter the sandbox of all that is deployed: what any function was granted. False: it could not be, and the process
 * should end. */
bool sandbox_enter(const struct sandbox_options *options, const struct deployment *deployment, struct err *err);

#endif
