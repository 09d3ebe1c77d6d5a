/* The folder in which compiled files are kept: $XDG_CACHE_HOME/mayfly or ~/.cache/mayfly, private to the user.
 *
 * Files are named by hashes of what they were made from, written aside and renamed in, and never rewritten. The folder
 * has a size: what was not used for longest goes first. A cache that cannot be written costs time, not correctness.
 */
#ifndef MAYFLY_COMPILE_CACHE_H
#define MAYFLY_COMPILE_CACHE_H

#include "compile/build.h"
#include "image/format.h"

#include <limits.h>

#define CACHE_BYTES_MAX (UINT64_C(4) << 30)

struct cache_name {
    char path[PATH_MAX];
};

/* The image of the source with this hash. */
bool cache_image(const uint8_t digest[32], const struct compile_options *options, struct cache_name *ret_name,
                 struct err *err);
/* The functions that were compiled for the file at this path, whatever its contents were. A path is what they belong to
 * because another file may be hostile, and with it the compiler that made its functions. */
bool cache_functions(const char *path, const struct compile_options *options, struct cache_name *ret_name,
                     struct err *err);

/* A descriptor, or -1: there is none, or others could have written it. Counts as a use. */
int cache_open(const struct cache_name *name);
void cache_remove(const struct cache_name *name);
/* Copy the file at `fd` in; makes room for it. */
void cache_store(int fd, const struct cache_name *name);
/* An image at `fd`, but with this header. */
void cache_store_image(int fd, const struct image_header *header, const struct cache_name *name);
/* Remove what was not used for longest until at most `bytes` are left. */
void cache_trim(uint64_t bytes);

#endif
