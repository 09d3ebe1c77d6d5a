/* Opening a path that cannot leave a directory, whatever the path says and whoever renames what meanwhile.
 *
 * The kernel does it (openat2, Linux 5.6) where it may; where it lacks the call or a filter forbids it, a walk does:
 * one component after the other, never following a link of the kernel's own, symbolic links expanded as text, `..`
 * by starting again from the directory, so that no step ever asks the file system for a parent.
 */
#ifndef MAYFLY_IO_BENEATH_H
#define MAYFLY_IO_BENEATH_H

#include <stdbool.h>
#include <sys/types.h>

#define BENEATH_LINKS_MAX 40 /* symbolic links in one path, as the kernel */

/* As openat(2) with `path` taken relative to `directory`: a descriptor (close-on-exec), or the negated errno. EXDEV:
 * the path is absolute or leads out, directly or by a symbolic link. `mode` counts with O_CREAT only. */
int beneath_open(int directory, const char *path, int flags, mode_t mode);

/* The two ways, for those who test them. Both answer as beneath_open; the first with ENOSYS where there is none. */
int beneath_open_by_kernel(int directory, const char *path, int flags, mode_t mode);
int beneath_open_by_walk(int directory, const char *path, int flags, mode_t mode);

#endif
