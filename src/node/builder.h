/* The builder: a process of the supervisor that makes images, and tells it of each.
 *
 * On a reload it compiles the files as they are now and tries whether workers could serve them; the images go out when
 * all of them can be served. Where an image is the fast generator's, it goes on to better ones at the lowest priority,
 * those of what is busiest first: first LLVM makes the code in which samples of the running guests land
 * (runtime/sample.h), round by round until nearly all do, then all of it. Nobody waits for it.
 */
#ifndef MAYFLY_NODE_BUILDER_H
#define MAYFLY_NODE_BUILDER_H

#include "compile/client.h"
#include "node/deployment.h"
#include "node/sandbox.h"
#include "node/supervisor.h"
#include "runtime/sample.h"

struct builder_options {
    const struct deployment *deployment;
    struct compile_options first; /* how the first image of each function is made */
    struct compile_options best;  /* ... and the last */
    bool improve;
    const struct compile_outcome *served; /* of the images that the node began with */
    const struct sandbox_options *sandbox; /* of those that serve */
    const struct samples *samples; /* of each worker */
    uint32_t workers;
};

/* Returns the process's exit status. Ends early, without a word, when the supervisor does not listen any more. */
int builder_work(const struct builder_options *options, const struct supervisor_seat *seat);

#endif
