/* See sink.h. */
#include "compile/sink.h"

#include <errno.h>
#include <unistd.h>

static bool flush(struct file_sink *sink, struct err *err)
{
    struct iovec *left = sink->parts;
    while (sink->count > 0) {
        ssize_t done = pwritev(sink->fd, left, sink->count, (off_t)(sink->start + sink->at));
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return err_errno(err, "cannot write the image");
        sink->at += (uint64_t)done;
        while (sink->count > 0 && (size_t)done >= left->iov_len) {
            done -= (ssize_t)left->iov_len;
            left++;
            sink->count--;
        }
        if (sink->count > 0) {
            left->iov_base = (char *)left->iov_base + done;
            left->iov_len -= (size_t)done;
        }
    }
    return true;
}

static bool put(void *arg, uint64_t at, const void *bytes, uint64_t size, struct err *err)
{
    struct file_sink *sink = arg;
    if ((sink->count == FILE_SINK_PARTS || sink->end != at) && !flush(sink, err))
        return false;
    if (sink->count == 0)
        sink->at = at;
    sink->parts[sink->count++] = (struct iovec){(void *)bytes, size};
    sink->end = at + size;
    return at != 0 || flush(sink, err); /* the header: it comes last, and what waits goes with it */
}

/* Of the sink only what never changes is used. */
static bool put_beside(void *arg, uint64_t at, const struct code_part *parts, size_t count, struct err *err)
{
    const struct file_sink *sink = arg;
    struct file_sink own = {.fd = sink->fd, .start = sink->start};
    for (size_t i = 0; i < count; at += parts[i++].size)
        if (!put(&own, at, parts[i].bytes, parts[i].size, err))
            return false;
    return flush(&own, err);
}

struct image_sink file_sink_open(struct file_sink *sink, int fd, uint64_t start, bool digest)
{
    sink->fd = fd;
    sink->start = start;
    sink->at = sink->end = 0;
    sink->count = 0;
    return (struct image_sink){put, sink, digest, put_beside};
}
