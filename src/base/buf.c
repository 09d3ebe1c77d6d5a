/* See buf.h. */
#include "base/buf.h"

#include "base/alloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void buf_init(struct buf *buf, size_t max)
{
    memset(buf, 0, sizeof *buf);
    buf->max = max;
}

void buf_free(struct buf *buf)
{
    mem_free(buf->data);
    buf_init(buf, buf->max);
}

static bool reserve(struct buf *buf, size_t size)
{
    if (size > buf->max - buf->size) {
        buf->full = true;
        return false;
    }
    if (buf->data && size <= buf->capacity - buf->size) /* storage even for nothing: NULL means failure */
        return true;
    size_t capacity = buf->capacity ? buf->capacity : 64;
    while (capacity - buf->size < size)
        capacity = capacity > buf->max / 2 ? buf->max : capacity * 2;
    uint8_t *data = mem_resize(buf->data, capacity, 1);
    if (!data)
        return false;
    buf->data = data;
    buf->capacity = capacity;
    return true;
}

void *buf_extend(struct buf *buf, size_t size)
{
    if (buf->failed || !reserve(buf, size)) {
        buf->failed = true;
        return NULL;
    }
    void *start = buf->data + buf->size;
    buf->size += size;
    return start;
}

bool buf_append(struct buf *buf, const void *bytes, size_t size)
{
    if (size == 0)
        return !buf->failed;
    void *start = buf_extend(buf, size);
    if (start)
        memcpy(start, bytes, size);
    return start != NULL;
}

bool buf_align(struct buf *buf, size_t alignment)
{
    size_t pad = -buf->size & (alignment - 1);
    if (pad == 0)
        return !buf->failed;
    void *start = buf_extend(buf, pad);
    if (start)
        memset(start, 0, pad);
    return start != NULL;
}

bool buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    bool done = size >= 0 && !buf->failed && reserve(buf, (size_t)size + 1);
    if (done) {
        vsnprintf((char *)buf->data + buf->size, (size_t)size + 1, format, again);
        buf->size += (size_t)size;
    }
    va_end(again);
    buf->failed |= !done;
    return done;
}
