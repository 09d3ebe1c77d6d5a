/* The folder in which compiled files are kept, and what was fetched: $XDG_CACHE_HOME/mayfly or ~/.cache/mayfly, or one
 * that was chosen; private to the user.
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

/* An image's, as short as it can be. */
struct cache_key {
    uint8_t bytes[32];
};

/* From now on, in this process and its forks, the cache is that folder, which need not be there. */
bool cache_choose(const char *folder, struct err *err);

/* From now on, likewise, there are no images and no functions in it, and none come; what was fetched stays. */
void cache_disable(void);

/* The image of the source with this hash. */
bool cache_image(const uint8_t digest[32], const struct compile_options *options, struct cache_name *ret_name,
                 struct err *err);
/* The same in two steps: while a name waits. */
bool cache_image_key(const uint8_t digest[32], const struct compile_options *options, struct cache_key *ret_key,
                     struct err *err);
bool cache_image_of(const struct cache_key *key, struct cache_name *ret_name, struct err *err);
/* The file with this hash, as it was fetched from elsewhere. */
bool cache_source(const uint8_t digest[32], struct cache_name *ret_name, struct err *err);
/* What was found out about something with this hash, a few bytes. */
bool cache_note(const uint8_t digest[32], struct cache_name *ret_name, struct err *err);
/* The functions that were compiled for the file at this path, whatever its contents were. A path is what they belong to
 * because another file may be hostile, and with it the compiler that made its functions. */
bool cache_functions(const char *path, const struct compile_options *options, struct cache_name *ret_name,
                     struct err *err);

/* A descriptor, or -1: there is none, or others could have written it. Counts as a use. */
int cache_open(const struct cache_name *name);
void cache_remove(const struct cache_name *name);

struct stat;
/* What the file at `path` was hashed to, if to all that the file system says it is still the one that was hashed then.
 */
bool cache_recall(const char *path, const struct stat *status, uint8_t ret_digest[32]);
/* It is that now: `status` is from before it was read. Nothing is remembered of a file that changed a moment ago, since
 * it might change again without that showing. */
void cache_remember(const char *path, int fd, const struct stat *status, const uint8_t digest[32]);

/* Copy the file at `fd` in; makes room for it. */
void cache_store(int fd, const struct cache_name *name);
/* An image at `fd`, but with this header. */
void cache_store_image(int fd, const struct image_header *header, const struct cache_name *name);
/* Remove what was not used for longest until at most `bytes` are left. */
void cache_trim(uint64_t bytes);

#endif
