/* See file.h. */
#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int answer(int result)
{
    return result < 0 ? -errno : 0;
}

int file_set_size(int fd, uint64_t size)
{
    return size > INT64_MAX ? -EFBIG : answer(ftruncate(fd, (off_t)size));
}

int file_allocate(int fd, uint64_t offset, uint64_t length)
{
    if (offset > INT64_MAX || length > INT64_MAX - offset)
        return -EFBIG;
    return answer(fallocate(fd, 0, (off_t)offset, (off_t)length));
}

int file_advise(int fd, uint64_t offset, uint64_t length, uint32_t advice)
{
    static const int known[] = {POSIX_FADV_NORMAL,   POSIX_FADV_SEQUENTIAL, POSIX_FADV_RANDOM,
                                POSIX_FADV_WILLNEED, POSIX_FADV_DONTNEED,   POSIX_FADV_NOREUSE};
    if (advice >= sizeof known / sizeof *known || offset > INT64_MAX || length > INT64_MAX)
        return -EINVAL;
    return -posix_fadvise(fd, (off_t)offset, (off_t)length, known[advice]);
}

int file_set_times(int fd, const struct timespec times[2])
{
    return answer(utimensat(fd, "", times, AT_EMPTY_PATH));
}

static int synced(int fd, bool data)
{
    return answer(data ? fdatasync(fd) : fsync(fd));
}

/* O_PATH has nothing to sync: a directory is synced through a descriptor that could list it. */
int file_sync(int fd, bool directory, bool data)
{
    if (!directory)
        return synced(fd, data);
    int listing = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (listing < 0)
        return -errno;
    int code = synced(listing, data);
    close(listing);
    return code;
}
