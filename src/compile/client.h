/* Files to images: the cache, and the compiler child (child.h) for what it lacks.
 *
 * Images live under $XDG_CACHE_HOME/mayfly (or ~/.cache/mayfly), private to the user, one file per source,
 * options and engine, written aside and renamed in. An image is checked whole when it enters the cache and by
 * its header when it is opened.
 */
#ifndef MAYFLY_COMPILE_CLIENT_H
#define MAYFLY_COMPILE_CLIENT_H

#include "compile/build.h"

/* Compile the file open at `source_fd` in a child of its own and return a descriptor of the image (a memfd), or -1. */
int compile_run(int source_fd, const struct compile_options *options, struct err *err);

/* The image of the file at `path`: `path` itself if it is one, from the cache, or compiled now. Returns a
 * descriptor, or -1. *ret_cached (may be NULL) tells whether a compile was saved. */
int compile_open(const char *path, const struct compile_options *options, bool *ret_cached, struct err *err);

#endif
