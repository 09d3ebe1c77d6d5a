/* WASI 0.1 (wasi_snapshot_preview1) for a command: arguments, environment, clocks, randomness, standard streams.
 *
 * A process is given no directory, so every function on a path answers that its descriptor is none (notdir) or is
 * closed (badf). Every pointer from the guest is checked against the memory's size at the time of the call. The
 * kernel never writes guest memory: pages of a slot are read-only until the guest's first write, and a system call
 * would fail on them where a copy faults and goes on.
 */
#ifndef MAYFLY_WASI_PREVIEW1_H
#define MAYFLY_WASI_PREVIEW1_H

#include "image/format.h"

#include <sys/uio.h>

#define PREVIEW1_FDS 3u
#define PREVIEW1_IOVECS_MAX 1024u
#define PREVIEW1_BOUNCE 65536u

struct preview1_strings {
    const char *const *items;
    uint32_t count;
};

struct preview1_fd {
    int host; /* descriptor of this process, or -1 when the guest has none of this number */
    uint64_t rights;
};

/* What stands in store->host while the process runs. Large: not for a guest stack. */
struct preview1 {
    struct store *store;
    struct preview1_strings args, env; /* the caller's, for as long as the process runs */
    struct preview1_fd fds[PREVIEW1_FDS];
    uint64_t memory_off, memory_size_off; /* from the store; 0: the module has no memory */
    bool exited;
    uint32_t exit_code;
    struct iovec iovecs[PREVIEW1_IOVECS_MAX];
    uint8_t bounce[PREVIEW1_BOUNCE];
};

/* A process in `store`, an instance of `image`, with descriptors 0, 1 and 2 of this one. The memory that pointers
 * mean is the module's first. */
void preview1_begin(struct preview1 *p, struct store *store, const struct image *image);

/* A program_resolver (runtime/program.h) for core modules. An import that is not of WASI 0.1, or has another type, is
 * refused by name (ERR_LINK). `arg` is not used. */
bool preview1_resolve(void *arg, const struct image *image, const struct image_import *import, host_fn **ret_fn,
                      const void **ret_env, struct err *err);

#endif
