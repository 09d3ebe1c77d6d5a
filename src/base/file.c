/* See file.h. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool file_write(int fd, const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size) {
        ssize_t done = write(fd, at, size);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        at += done;
        size -= (size_t)done;
    }
    return true;
}

/* One that grows meanwhile still comes to an end. */
static bool read_all(int fd, struct buf *into, struct err *err)
{
    char chunk[4096];
    ssize_t size;
    bool done = true;
    while (done && ((size = read(fd, chunk, sizeof chunk)) > 0 || (size < 0 && errno == EINTR)))
        done = size < 0 || buf_append(into, chunk, (size_t)size) ||
               (into->full ? err_set(err, ERR_LIMIT, "it has more than %zu bytes", into->max) : err_memory(err));
    if (done && size < 0)
        done = err_errno(err, "cannot read it");
    explicit_bzero(chunk, sizeof chunk); /* it may be a secret */
    return done;
}

bool file_read(const char *path, struct buf *into, struct err *err)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return err_errno(err, "cannot open it");
    bool regular = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    bool done = regular ? read_all(fd, into, err) : err_set(err, ERR_SYSTEM, "it is not a regular file");
    close(fd);
    return done;
}

bool file_of_installation(const char *name, char ret_path[PATH_MAX])
{
    static const char *const folders[] = {"", "../", "../libexec/mayfly/"};
    char self[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
    if (size <= 0)
        return false;
    self[size] = '\0';
    *strrchr(self, '/') = '\0';
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (snprintf(ret_path, PATH_MAX, "%s/%s%s", self, folders[i], name) < PATH_MAX && access(ret_path, R_OK) == 0)
            return true;
    return false;
}
