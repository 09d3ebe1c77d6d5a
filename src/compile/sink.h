/* Where an image goes when it is a file. */
#ifndef MAYFLY_COMPILE_SINK_H
#define MAYFLY_COMPILE_SINK_H

#include "image/part.h"

#include <sys/uio.h>

#define FILE_SINK_PARTS 512

struct file_sink {
    int fd;
    uint64_t start; /* of the image in the file */
    uint64_t at, end; /* of the parts that wait */
    int count;
    struct iovec parts[FILE_SINK_PARTS];
};

/* Parts are gathered and written many at a time, the last of them with the header. `sink` stays where it is as long as
 * the result is used. */
struct image_sink file_sink_open(struct file_sink *sink, int fd, uint64_t start, bool digest);

#endif
