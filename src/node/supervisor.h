/* The supervisor: it holds the images, forks the workers, and puts another in the place of one that dies. It runs no
 * guest and reads nothing that comes from clients. Images are made by a process of its own, the builder.
 *
 * Signals: SIGTERM and SIGINT let the workers finish what they do and end it all; a second one ends at once. SIGHUP has
 * the image built anew and hands it to the workers, which go over to it between two requests; if it cannot be built or
 * served, all stays as it was. Where there is a parent (succession.h), a change of more than the files is its business.
 * A builder may give better images of the same file later. SIGHUP also has the certificate
 * and its key read anew, where there are any, and independently of the image; what does not fit changes nothing.
 */
#ifndef MAYFLY_NODE_SUPERVISOR_H
#define MAYFLY_NODE_SUPERVISOR_H

#include "base/err.h"
#include "node/metrics.h"

#include <stdint.h>

#define SUPERVISOR_WORKERS_MAX 1024u

/* What a function is served with. */
struct supervisor_image {
    int fd;
    uint32_t number;     /* the image's name in samples (runtime/sample.h), or 0: there will be no better one */
    uint64_t generation; /* as metrics count it */
};

/* What a new process gets. The descriptors are its own. */
struct supervisor_seat {
    uint32_t index;        /* of a worker: 0 up to their number */
    int channel;           /* to the supervisor: node/channel.h */
    const struct supervisor_image *images; /* of each function; the array stays for good */
    uint32_t last_number;  /* of a builder: it names its images from the next on */
    bool anew;             /* of a builder: begin with the files as they are now */
};

struct supervisor_options {
    int parent; /* the channel to a process that begins nodes (succession.h), or -1: SIGINT comes from there only */
    /* Optional. Whether more has changed than a builder takes up: then the parent is told. */
    bool (*changed)(void *arg);
    uint32_t workers;
    struct supervisor_image *images; /* of each function, to begin with; the supervisor closes and replaces them */
    uint32_t function_count;
    bool improve; /* a builder is to make better ones than those with numbers ... */
    bool cache; /* ... or at least to put what there is into the cache */
    struct metrics *metrics; /* of so many workers */
    enum metrics_tier tier;  /* of images that are not improved any more */
    /* In a new process; the result is its exit status. Serve, as process_work does. */
    int (*work)(void *arg, const struct supervisor_seat *seat);
    /* The same for a builder: send images, or why there is none. */
    int (*build)(void *arg, const struct supervisor_seat *seat);
    /* Optional. The same for one that tells of the others, until the channel ends: nothing depends on it. */
    int (*tell)(void *arg, const struct supervisor_seat *seat);
    /* Optional. The same for one that workers need (node/storage.h), until the channel ends; begun before them. */
    int (*keep)(void *arg, const struct supervisor_seat *seat);
    /* Optional. The same on SIGHUP: send MESSAGE_CERTIFICATE for the workers, or why not (node/certificate.h). */
    int (*certify)(void *arg, const struct supervisor_seat *seat);
    /* All workers accept. */
    void (*serving)(void *arg);
    void *arg;
};

/* How many processors this process may use. */
uint32_t supervisor_processors(void);

/* Serve until a signal ends it. False: the first workers could not begin, or the kernel refused what is needed. */
bool supervise(const struct supervisor_options *options, struct err *err);

#endif
