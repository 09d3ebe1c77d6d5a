/* Files to images: the cache (cache.h), and the compiler child (child.h) for what it lacks.
 *
 * An image is checked whole when it enters the cache and by its digest when it comes out. A file that changed compiles
 * only the functions that changed.
 */
#ifndef MAYFLY_COMPILE_CLIENT_H
#define MAYFLY_COMPILE_CLIENT_H

#include "compile/cache.h"

struct compile_outcome {
    bool cached; /* nothing was compiled */
    enum codegen_tier tier; /* of the image; unknown of one that was given */
    struct codegen_counts counts; /* when something was */
    uint64_t source_bytes, image_bytes;
    bool undigested; /* the image has no digest yet */
    bool kept_later; /* of an undigested image: it is to be kept ... */
    struct cache_key key; /* ... as that */
};

/* Compile the file open at `source_fd` in a child of its own and return a descriptor of the image (a memfd), or -1. */
int compile_run(int source_fd, const struct compile_options *options, struct err *err);

/* The image of the file at `path`: `path` itself if it is one, from the cache, or compiled now. Returns a
 * descriptor, or -1. `ret_outcome` may be NULL. */
int compile_open(const char *path, const struct compile_options *options, struct compile_outcome *ret_outcome,
                 struct err *err);

/* The same of a file that is open, under a name of its own: what compilers keep of its functions belongs to that. The
 * descriptor stays the caller's. */
int compile_open_at(int fd, const char *name, const struct compile_options *options,
                    struct compile_outcome *ret_outcome, struct err *err);

/* One more descriptor of an image that was opened with this outcome, or -1. `ret_outcome` may be NULL; to keep the
 * image stays the affair of who opened it first. */
int compile_open_again(int image_fd, const struct compile_outcome *outcome, struct compile_outcome *ret_outcome,
                       struct err *err);

/* Put an undigested image into the cache: when there is time. */
void compile_keep(int image_fd, const struct compile_outcome *outcome);

#endif
