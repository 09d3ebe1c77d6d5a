/* Files as a capability: all that a guest does with paths, for every version of WASI.
 *
 * A guest is given directories, each with all below it, to read or also to write. Every path is taken relative to
 * one of them and cannot leave it (io/beneath.h). What is granted to be read only cannot be changed, and no file is
 * moved or linked from one grant into another. Only regular files and directories are opened: no device, pipe or
 * socket, and nothing on procfs, where a file may be this process's own memory.
 *
 * Functions return 0 or a descriptor, or the negated errno: EPERM where a path leads out, EROFS for a change of what
 * is read-only, EXDEV for a name that would move between grants, ENXIO for a file of a kind that is not opened, EACCES
 * for procfs. Paths end in a NUL. Descriptors are the caller's to close.
 */
#ifndef MAYFLY_IO_FILES_H
#define MAYFLY_IO_FILES_H

#include "base/err.h"

#include <limits.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

/* A directory within a grant. */
struct files_dir {
    int fd;        /* O_PATH */
    bool writable; /* the grant's, for all below it */
    uint32_t grant; /* its number: no name moves from one to another */
};

/* How to open: flags of open(2) of which those in FILES_OPEN_FLAGS count, O_NOFOLLOW included. */
#define FILES_OPEN_FLAGS (O_ACCMODE | O_CREAT | O_EXCL | O_TRUNC | O_DIRECTORY | O_NOFOLLOW)

/* The host's directory `path`, to be granted. */
bool files_grant(const char *path, bool writable, struct files_dir *ret_dir, struct err *err);

/* A guest's path: UTF-8 (EILSEQ) without NUL (EINVAL), shorter than PATH_MAX (ENAMETOOLONG). */
int files_take_path(const void *bytes, size_t size, char ret_path[PATH_MAX]);

/* Returns a descriptor: O_PATH for a directory (*ret_type S_IFDIR; its other access modes are EISDIR), else a regular
 * file's (S_IFREG) that never blocks. */
int files_open(struct files_dir dir, const char *path, int flags, mode_t *ret_type);
/* Of an open directory: a descriptor to list it with getdents64. */
int files_listing(struct files_dir dir);

int files_stat(struct files_dir dir, const char *path, bool follow, struct stat *ret_status);
int files_set_times(struct files_dir dir, const char *path, bool follow, const struct timespec times[2]);
/* The link's text, cut to `size` bytes without a NUL; returns its length. */
ssize_t files_read_link(struct files_dir dir, const char *path, char *bytes, size_t size);

int files_make_directory(struct files_dir dir, const char *path);
int files_remove_directory(struct files_dir dir, const char *path);
int files_unlink(struct files_dir dir, const char *path);
/* An absolute target is EPERM: no guest could follow it, and others should not. */
int files_symlink(struct files_dir dir, const char *target, const char *path);
/* Neither follows a link in the last component. */
int files_link(struct files_dir from, const char *path, struct files_dir to, const char *new_path);
int files_rename(struct files_dir from, const char *path, struct files_dir to, const char *new_path);

#endif
