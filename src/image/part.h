/* A part of an image's code, which the writer puts behind the one before it. */
#ifndef MAYFLY_IMAGE_PART_H
#define MAYFLY_IMAGE_PART_H

#include <stdint.h>

struct code_part {
    const uint8_t *bytes;
    uint64_t size;
};

#endif
