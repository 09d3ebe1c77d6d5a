/* WASI 0.1 (wasi_snapshot_preview1) for a command, or for a function (wagi_module.c): arguments, environment, clocks,
 * randomness, standard streams, and files below the directories that were granted.
 *
 * Every pointer from the guest is checked against the memory's size at the time of the call. The kernel never writes
 * guest memory: pages of a slot are read-only until the guest's first write, and a system call would fail on them
 * where a copy faults and goes on. A descriptor has rights as in the witx; whether a grant may be written is asked
 * besides, and answered with rofs (io/files.h).
 */
#ifndef MAYFLY_WASI_PREVIEW1_H
#define MAYFLY_WASI_PREVIEW1_H

#include "base/vec.h"
#include "image/format.h"
#include "io/files.h"

#include <sys/uio.h>

#define PREVIEW1_FDS_MAX 4096u
#define PREVIEW1_IOVECS_MAX 1024u
#define PREVIEW1_BOUNCE 65536u

struct preview1_strings {
    const char *const *items;
    uint32_t count;
};

enum preview1_fd_kind {
    PREVIEW1_FREE,   /* the guest has no descriptor of this number */
    PREVIEW1_STREAM, /* a descriptor that this process got from its caller: never closed, its flags never changed */
    PREVIEW1_FILE,
    PREVIEW1_DIRECTORY,
};

struct preview1_fd {
    enum preview1_fd_kind kind;
    uint8_t stream; /* of a STREAM: 0, 1 or 2 */
    bool lent;      /* somebody else closes `host` */
    int host;                    /* O_PATH of a directory */
    int listing;                 /* of a directory whose entries were asked for, else -1 */
    bool writable;               /* the grant's */
    uint32_t grant;              /* its number (io/files.h) */
    bool top;                    /* is what was granted, not below it */
    uint16_t flags;              /* fdflags: kept here, applied to each call */
    uint64_t rights, inheriting;
    const char *preopen; /* its name to the guest, the caller's; NULL: none */
};

struct preview1;

/* What a function has instead of this process's standard streams, clocks, and ways to wait. Where the guest must end
 * the trap is set, and the result is a negated errno or false. */
struct preview1_face {
    /* Up to `size` bytes of standard input, as a view until the next call; none: its end. May wait. */
    int (*read)(struct preview1 *p, uint64_t size, struct str *ret_bytes);
    /* The first of the bytes, to stream 1 or 2: how many, or a negated errno. May wait. */
    int64_t (*write)(struct preview1 *p, unsigned stream, struct str bytes);
    /* Reading or writing would not wait. */
    bool (*ready)(struct preview1 *p, unsigned stream);
    /* Until then by the machine's monotonic clock (UINT64_MAX: for ever), or until a stream may be ready. */
    bool (*wait)(struct preview1 *p, uint64_t until_ns);
    /* Of the wall clock (0) or the monotonic one (1). */
    bool (*now)(struct preview1 *p, uint32_t clock, uint64_t *ret_ns);
    /* Memory until the call ends, zeroed; NULL: none. */
    void *(*room)(struct preview1 *p, size_t size);
};

/* What stands in store->host while the process runs. Large: not for a guest stack. Begins zeroed. */
struct preview1 {
    struct store *store;
    const struct preview1_face *face; /* of a function; NULL: all is this process's */
    struct preview1_strings args, env; /* the caller's, for as long as the process runs */
    VEC(struct preview1_fd) fds;
    uint64_t memory_off, memory_size_off; /* from the store; 0: the module has no memory */
    void (*find_memory)(void *arg); /* asked to set them while they are 0: start functions come first; or NULL */
    void *find_arg;
    bool exited;
    uint32_t exit_code;
    struct iovec iovecs[PREVIEW1_IOVECS_MAX];
    uint8_t bounce[PREVIEW1_BOUNCE];
};

/* Descriptors 0, 1 and 2 of this process become the guest's. */
bool preview1_init(struct preview1 *p, struct err *err);
/* The same for a function: its streams are those of the face. */
bool preview1_init_function(struct preview1 *p, const struct preview1_face *face, struct err *err);
/* Give the granted directory, which the guest finds under `name` (the caller's string, as long as `p`), as its next
 * descriptor. It is closed here from now on, also after a failure. */
bool preview1_grant(struct preview1 *p, struct files_dir dir, const char *name, struct err *err);
/* The same, but it stays the caller's, who closes it. */
bool preview1_lend(struct preview1 *p, struct files_dir dir, const char *name, struct err *err);
/* The process begins in `store`, an instance of `image`. The memory that pointers mean is the module's first. */
void preview1_begin(struct preview1 *p, struct store *store, const struct image *image);
/* Closes what is open. */
void preview1_free(struct preview1 *p);

/* A program_resolver (runtime/program.h) for core modules. An import that is not of WASI 0.1, or has another type, is
 * refused by name (ERR_LINK). `arg` is not used. */
bool preview1_resolve(void *arg, const struct image *image, const struct image_import *import, host_fn **ret_fn,
                      const void **ret_env, struct err *err);

#endif
