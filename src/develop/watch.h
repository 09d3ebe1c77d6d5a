/* `mayfly watch`: an application that is served while it is worked on. What a component is built from changes, the
 * component is built; what is served changes, the server takes it up between two requests. */
#ifndef MAYFLY_DEVELOP_WATCH_H
#define MAYFLY_DEVELOP_WATCH_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct watch_options {
    const char *from;    /* as project_find */
    const char *profile; /* or NULL */
    char *const *up_args; /* for `mayfly up`, ended by NULL; or NULL */
    uint64_t debounce_ns; /* so long nothing must change before something is done */
    bool clear;           /* the screen, on a terminal, before each round */
    bool skip_build;
};

/* Until SIGINT or SIGTERM ends both. False with ERR_NONE: it was said already. */
bool watch_run(const struct watch_options *options, struct err *err);

#endif
