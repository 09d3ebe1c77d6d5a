/* A growing byte buffer, born with a maximum.
 *
 * After a failed append the buffer is unchanged and `failed` stays set, so that a writer may
 * append many times and check once at the end; `full` tells that it was the maximum, not memory.
 */
#ifndef MAYFLY_BASE_BUF_H
#define MAYFLY_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    uint8_t *data;
    size_t size, capacity, max;
    bool failed, full;
};

void buf_init(struct buf *buf, size_t max);
void buf_free(struct buf *buf);
/* Room for `size` more bytes at the end, or NULL; the bytes count as appended. */
void *buf_extend(struct buf *buf, size_t size);
bool buf_append(struct buf *buf, const void *bytes, size_t size);
/* Zero bytes up to the next multiple of `alignment` (a power of two). */
bool buf_align(struct buf *buf, size_t alignment);
bool buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
