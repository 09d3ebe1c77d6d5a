/* Does an export match an import (core specification, section 3.3, "External types")? Types of two images. */
#ifndef MAYFLY_RUNTIME_MATCH_H
#define MAYFLY_RUNTIME_MATCH_H

#include "image/format.h"

/* `size`: of a memory in pages or a table in entries, at present. `have` and `want` belong to different images or the
 * same; their types have been compared (match_types). */
bool match_extern(const struct image *have_image, const struct image_extern *have, uint64_t size,
                  const struct image *want_image, const struct image_extern *want);

/* Do equal hashes mean equal types in both images? */
bool match_types(const struct image *a, const struct image *b);

#endif
