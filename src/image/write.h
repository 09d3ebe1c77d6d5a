/* Plan and code become the bytes of an image. */
#ifndef MAYFLY_IMAGE_WRITE_H
#define MAYFLY_IMAGE_WRITE_H

#include "image/format.h"

/* What a generator made, as the writer needs it (offsets from the start of `text`). codegen/codegen.h
 * fills it; this room is below the generators. */
struct code_parts {
    const uint8_t *text;
    uint64_t size, exec_size;
    const struct image_func *funcs; /* code_off from the start of text; names empty */
    uint64_t func_count;
    const struct image_site *sites;
    uint64_t site_count;
    const struct image_pad *pads;
    uint64_t pad_count;
};

/* Append the image to `ret_image` (empty before). `options`: recorded in the header. */
bool image_write(const struct plan *plan, const struct geometry *geometry, const struct code_parts *code,
                 const uint8_t source[32], uint64_t options, struct buf *ret_image, struct err *err);

#endif
