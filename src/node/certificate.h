/* A certificate and its key, on their way from two files into workers.
 *
 * The key is in the memory of workers, and of nobody else that lives on: the supervisor and compilers, which are its
 * forks, must not have it. Workers open no files once they are in their sandbox. So for new files a process of its own
 * reads both, finds out whether they belong together, sends them on in a sealed file in memory, and ends; the
 * supervisor passes the descriptor on and never maps it. A worker that begins goes the same way by itself.
 */
#ifndef MAYFLY_NODE_CERTIFICATE_H
#define MAYFLY_NODE_CERTIFICATE_H

#include "base/err.h"

#include <stdint.h>

struct tls_context;

#define CERTIFICATE_FILE_MAX (1u << 20) /* bytes of either file */

/* The files, for tls_server_context_new. */
struct certificate_files {
    const char *certificate, *key;
};

/* What both hold now, one behind the other, in a sealed file: its descriptor, or -1. */
int certificate_gather(const struct certificate_files *files, uint32_t *ret_certificate_size, struct err *err);
/* A context of such a file, of which the first bytes are the certificate. The descriptor stays the caller's. Opens
 * nothing. `files`: what errors call them. */
struct tls_context *certificate_context(const struct certificate_files *files, int fd, uint32_t certificate_size,
                                        struct err *err);
/* A context of what both files hold now. */
struct tls_context *certificate_read(const struct certificate_files *files, struct err *err);

/* In the process of its own: send MESSAGE_CERTIFICATE over this channel, or why not. Returns its exit status. */
int certificate_work(const struct certificate_files *files, int channel);

#endif
