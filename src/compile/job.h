/* What parent and compiler child say to each other. Both ends are the same build.
 *
 * The child's descriptor 0 is a socket of packets. Each packet is a struct compile_job with two descriptors: the source
 * (a file or memfd, mapped) and an empty file for the result, a struct compile_result and then the image. The child
 * answers one byte when it is written.
 */
#ifndef MAYFLY_COMPILE_JOB_H
#define MAYFLY_COMPILE_JOB_H

#include "base/err.h"

#include <sys/socket.h>

#define COMPILE_RESULT_MAGIC 0x746c7573657266ull

struct compile_job {
    int32_t opt_level;
    uint32_t open;
    char host[248]; /* as in struct compile_options, terminated */
};

struct compile_result {
    uint64_t magic;
    uint64_t done; /* 1: the image follows; 0: err is set */
    struct err err;
};

union compile_job_control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(2 * sizeof(int))];
};

#endif
