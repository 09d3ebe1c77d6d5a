/* What the functions of WASI 0.1 share. Each returns 0 or a negated errno of the host, or -ENOTCAPABLE, which only
 * the witx has; preview1.c translates. */
#ifndef MAYFLY_WASI_PREVIEW1_CALL_H
#define MAYFLY_WASI_PREVIEW1_CALL_H

#include "base/clock.h"
#include "wasi/preview1.h"

#include <limits.h>

#define ENOTCAPABLE 4000 /* above every errno of the host */

/* rights of the witx, by bit, and what of a directory or a file they apply to. */
enum {
#define RIGHT(name, bit, directory, file) PREVIEW1_##name##_BIT = bit,
#include "wasi/preview1_rights.def"
#undef RIGHT
};

#define RIGHT_OF(name) ((uint64_t)1 << PREVIEW1_##name##_BIT)

/* All rights that apply to descriptors of this kind. */
extern const uint64_t preview1_directory_rights, preview1_file_rights;

enum {
    FILETYPE_UNKNOWN,
    FILETYPE_BLOCK_DEVICE,
    FILETYPE_CHARACTER_DEVICE,
    FILETYPE_DIRECTORY,
    FILETYPE_REGULAR_FILE,
    FILETYPE_SOCKET_DGRAM,
    FILETYPE_SOCKET_STREAM,
    FILETYPE_SYMBOLIC_LINK,
};

enum { FDFLAG_APPEND = 1, FDFLAG_DSYNC = 2, FDFLAG_NONBLOCK = 4, FDFLAG_RSYNC = 8, FDFLAG_SYNC = 16, FDFLAGS = 31 };
enum { FSTFLAG_ATIM = 1, FSTFLAG_ATIM_NOW = 2, FSTFLAG_MTIM = 4, FSTFLAG_MTIM_NOW = 8, FSTFLAGS = 15 };

/* ---- linking ---- */

struct preview1_function {
    const char *name, *params, *results;
    int (*call)(struct preview1 *p, const union cell *v);
};

/* What is imported; NULL: it is not of WASI 0.1, or has another type. */
const struct preview1_function *preview1_find(const struct image *image, const struct image_import *import,
                                              struct err *err);

/* ---- guest memory ---- */

/* The `size` bytes at `ptr` of guest memory, or NULL when not all of them are in it. */
uint8_t *preview1_bytes(const struct preview1 *p, uint64_t ptr, uint64_t size);
/* -EFAULT outside of guest memory. */
int preview1_put(const struct preview1 *p, uint64_t ptr, const void *bytes, uint64_t size);
int preview1_put_u32(const struct preview1 *p, uint64_t ptr, uint32_t value);
int preview1_put_u64(const struct preview1 *p, uint64_t ptr, uint64_t value);
/* See files_take_path. */
int preview1_take_path(const struct preview1 *p, uint32_t ptr, uint32_t size, char path[PATH_MAX]);

/* ---- descriptors ---- */

/* The guest's descriptor, or NULL. Valid until the next one is made. */
struct preview1_fd *preview1_fd(struct preview1 *p, uint32_t fd);
/* A stream or file with all these rights (-EBADF, -ENOTCAPABLE). */
int preview1_take_file(struct preview1 *p, uint32_t number, uint64_t rights, struct preview1_fd **ret_fd);
/* A directory with all these rights (-EBADF, -ENOTDIR, -ENOTCAPABLE). */
int preview1_take_dir(struct preview1 *p, uint32_t number, uint64_t rights, struct preview1_fd **ret_fd);
/* Reserve the lowest free number; *ret_fd stays PREVIEW1_FREE until the caller fills it. */
int preview1_new_fd(struct preview1 *p, uint32_t *ret_number, struct preview1_fd **ret_fd);

static inline struct files_dir preview1_dir(const struct preview1_fd *fd)
{
    return (struct files_dir){fd->host, fd->writable, fd->grant};
}

/* The filestat of the witx, written to guest memory. */
int preview1_put_stat(const struct preview1 *p, uint32_t ptr, const struct stat *status);
/* Times for utimensat(2) from timestamps and fstflags. */
int preview1_times(uint64_t atim, uint64_t mtim, uint32_t fstflags, struct timespec times[2]);

/* The witx's number for what the functions return. */
uint32_t preview1_errno(int code);

/* ---- the functions ---- */

#define FUNCTION(name, params, results) int preview1_##name(struct preview1 *p, const union cell *v);
#include "wasi/preview1.def"
#undef FUNCTION

#endif
