/* Plan and code become the bytes of an image. */
#ifndef MAYFLY_IMAGE_WRITE_H
#define MAYFLY_IMAGE_WRITE_H

#include "image/format.h"
#include "image/part.h"

/* What a generator made, as the writer needs it (offsets from the start of `text`). codegen/codegen.h
 * fills it; this room is below the generators. */
struct code_parts {
    const struct code_part *text; /* one behind the other */
    size_t text_count;
    uint64_t size, exec_size;
    const struct image_func *funcs; /* code_off from the start of text; names empty */
    uint64_t func_count;
    struct str sites; /* the streams that `funcs` refer to */
    const struct image_pad *pads;
    uint64_t pad_count;
};

/* `options`: recorded in the header. */
bool image_write(const struct plan *plan, const struct geometry *geometry, const struct code_parts *code,
                 const uint8_t source[32], uint64_t options, const struct image_sink *sink, struct err *err);

#endif
