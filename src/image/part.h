/* What the writer of images takes and gives in parts. */
#ifndef MAYFLY_IMAGE_PART_H
#define MAYFLY_IMAGE_PART_H

#include "base/err.h"

#include <stddef.h>

/* A part of the code, which stands behind the one before it. */
struct code_part {
    const uint8_t *bytes;
    uint64_t size;
};

/* Where an image goes: each part begins where the last ended, but for the header, which comes last and to the
 * beginning; what was not put is zero. The bytes stay until the image is written. */
struct image_sink {
    bool (*put)(void *arg, uint64_t at, const void *bytes, uint64_t size, struct err *err);
    void *arg;
    bool digest; /* the header gets one: without, the image is for whoever made it, and never kept */
    /* Optional: parts one behind the other from `at` on, by another thread while `put` is called for others. */
    bool (*put_beside)(void *arg, uint64_t at, const struct code_part *parts, size_t count, struct err *err);
};

#endif
