/* A string goes from one component instance to another (CanonicalABI.md, "store_string"). */
#ifndef MAYFLY_COMPONENT_TRANSCODE_H
#define MAYFLY_COMPONENT_TRANSCODE_H

#include "image/context.h"

#include <stdbool.h>

/* A host function with a struct canon_env: (pointer, units) in the source's memory to the same in the peer's, where
 * its realloc made room. Length, alignment, range and encoding of the source and what realloc returns are checked;
 * nothing is written outside of what it gave. */
bool fuse_string(struct store *store, const void *env, union cell *v);

#endif
