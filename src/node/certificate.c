/* See certificate.h. What was read is never in a block of the allocator, where it would stay after the block is freed.
 */
#include "node/certificate.h"

#include "base/file.h"
#include "http/tls.h"
#include "node/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- gathering ---- */

static bool unreadable(const char *path, struct err *err)
{
    return err_errno(err, "%s", path) || err_remedy(err, "give --tls-cert and --tls-key files that can be read");
}

static bool too_large(const char *path, struct err *err)
{
    err_set(err, ERR_LIMIT, "%s: more than %u bytes", path, CERTIFICATE_FILE_MAX);
    return err_remedy(err, "give PEM files of the server's certificate and key, without those of others");
}

/* One that is written to meanwhile still comes to an end. */
static bool copy_open(int from, int to, const char *path, uint32_t *ret_size, struct err *err)
{
    char bytes[4096];
    uint32_t size = 0;
    ssize_t n;
    while ((n = read(from, bytes, sizeof bytes)) > 0 || (n < 0 && errno == EINTR)) {
        if (n < 0)
            continue;
        size += (uint32_t)n;
        if (size > CERTIFICATE_FILE_MAX || !file_write(to, bytes, (size_t)n))
            break;
    }
    int error = errno;
    explicit_bzero(bytes, sizeof bytes);
    errno = error;
    if (size > CERTIFICATE_FILE_MAX)
        return too_large(path, err);
    if (n != 0)
        return n < 0 ? unreadable(path, err) : err_errno(err, "cannot write a file in memory");
    *ret_size = size;
    return true;
}

static bool copy_file(const char *path, int to, uint32_t *ret_size, struct err *err)
{
    int from = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (from < 0)
        return unreadable(path, err);
    bool done = copy_open(from, to, path, ret_size, err);
    close(from);
    return done;
}

/* All workers get the same file: none of them shall change what the others read. */
static bool seal(int fd, struct err *err)
{
    return fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0 ||
           err_errno(err, "cannot seal a file in memory");
}

int certificate_gather(const struct certificate_files *files, uint32_t *ret_certificate_size, struct err *err)
{
    uint32_t certificate_size, key_size;
    int fd = memfd_create("mayfly-certificate", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return err_errno(err, "cannot make a file in memory") - 1;
    if (copy_file(files->certificate, fd, &certificate_size, err) && copy_file(files->key, fd, &key_size, err) &&
        seal(fd, err)) {
        *ret_certificate_size = certificate_size;
        return fd;
    }
    close(fd);
    return -1;
}

/* ---- a context of it ---- */

struct tls_context *certificate_context(const struct certificate_files *files, int fd, uint32_t certificate_size,
                                        struct err *err)
{
    struct stat status;
    if (fstat(fd, &status) != 0 || status.st_size <= 0 || status.st_size > 2 * (off_t)CERTIFICATE_FILE_MAX ||
        certificate_size > status.st_size) {
        err_set(err, ERR_MALFORMED, "%s and %s: nothing is in them", files->certificate, files->key);
        err_remedy(err, "give PEM files of the server's certificate and its key");
        return NULL;
    }
    size_t size = (size_t)status.st_size;
    const char *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED) {
        err_errno(err, "cannot map the certificate");
        return NULL;
    }
    const struct tls_identity identity = {.certificate = {bytes, certificate_size},
                                          .key = {bytes + certificate_size, size - certificate_size},
                                          .certificate_name = files->certificate,
                                          .key_name = files->key};
    struct tls_context *context = tls_server_context_new(&identity, err);
    munmap((void *)bytes, size);
    return context;
}

struct tls_context *certificate_read(const struct certificate_files *files, struct err *err)
{
    uint32_t certificate_size;
    int fd = certificate_gather(files, &certificate_size, err);
    if (fd < 0)
        return NULL;
    struct tls_context *context = certificate_context(files, fd, certificate_size, err);
    close(fd);
    return context;
}

/* ---- the process ---- */

static bool send_files(const struct certificate_files *files, int channel, struct err *err)
{
    struct message message = {.kind = MESSAGE_CERTIFICATE};
    int fd = certificate_gather(files, &message.number, err);
    struct tls_context *context = fd >= 0 ? certificate_context(files, fd, message.number, err) : NULL;
    bool done = context && (channel_send(channel, &message, fd) || err_errno(err, "the supervisor does not listen"));
    tls_context_free(context);
    if (fd >= 0)
        close(fd);
    return done;
}

int certificate_work(const struct certificate_files *files, int channel)
{
    struct message failure = {.kind = MESSAGE_FAILED};
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    prctl(PR_SET_DUMPABLE, 0); /* nor shall the key be in a core file */
    bool done = send_files(files, channel, &failure.err);
    if (!done)
        channel_send(channel, &failure, -1);
    close(channel);
    return done ? 0 : 1;
}
