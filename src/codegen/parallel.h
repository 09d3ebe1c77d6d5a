/* Tasks that do not depend on each other, on as many threads as there are processors. */
#ifndef MAYFLY_CODEGEN_PARALLEL_H
#define MAYFLY_CODEGEN_PARALLEL_H

#include "base/err.h"

#include <stddef.h>

struct parallel {
    size_t count;
    unsigned threads;       /* at most so many; 0: one per processor that this process may use */
    const uint32_t *order;  /* the task to begin as the Nth, or NULL: in their order */
    void *(*open)(void *arg, struct err *err);              /* a thread's own state, or NULL and an error */
    bool (*run)(void *arg, void *state, size_t task, struct err *err);
    void (*close)(void *state);
    void (*tick)(void *arg, size_t done); /* now and then, in the calling thread; or NULL */
    void *arg;
};

/* False when a task failed or no thread could be opened; nobody begins another then. The error is that of the failed
 * task with the smallest number. */
bool parallel_run(const struct parallel *parallel, struct err *err);

#endif
