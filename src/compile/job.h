/* What parent and compiler child say to each other. Both ends are the same build.
 *
 * The child's descriptor 0 is a socket of packets. A job is a struct compile_job with two descriptors, or four when it
 * keeps functions, or five when some are chosen: the source (a file or memfd, mapped), an empty file for the image, the
 * pack of an earlier compile, which may be empty, an empty file for the new one (codegen/pack.h), and the names of
 * those that are chosen, an array. While it works the child may say how far it is, a struct codegen_progress each; a
 * struct compile_result says that it is done.
 */
#ifndef MAYFLY_COMPILE_JOB_H
#define MAYFLY_COMPILE_JOB_H

#include "base/err.h"
#include "codegen/codegen.h"

#include <sys/socket.h>

#define COMPILE_RESULT_MAGIC 0x746c7573657266ull

enum compile_fd { COMPILE_SOURCE, COMPILE_IMAGE, COMPILE_OLD_PACK, COMPILE_NEW_PACK, COMPILE_CHOSEN, COMPILE_FDS };

struct compile_job {
    int32_t tier, opt_level; /* enum codegen_tier */
    uint32_t mix_seed;
    uint32_t open;
    uint32_t undigested; /* as in struct compile_options */
    uint32_t hashed; /* `source` is for the header, as it is; else it is to be computed */
    uint8_t source[32];
    uint32_t keeps;  /* functions: four descriptors */
    uint32_t chosen; /* ... and some are chosen: five */
    char host[248]; /* as in struct compile_options, terminated */
};

struct compile_result {
    uint64_t magic;
    uint64_t done; /* 1: there is an image; 0: err is set */
    struct codegen_counts counts;
    struct err err;
};

/* Descriptors that go with a job. */
static inline size_t compile_job_fds(const struct compile_job *job)
{
    return job->keeps ? job->chosen ? COMPILE_FDS : COMPILE_CHOSEN : COMPILE_OLD_PACK;
}

union compile_job_control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(COMPILE_FDS * sizeof(int))];
};

#endif
