/* The input that is being run, in the file that the variable FUZZ_LAST names: it is there whatever the process dies
 * of. */
#ifndef MAYFLY_TESTS_FUZZ_LAST_H
#define MAYFLY_TESTS_FUZZ_LAST_H

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

static inline void last_keep(const uint8_t *data, size_t size)
{
    static int fd = -1;
    const char *path = getenv("FUZZ_LAST");
    if (!path)
        return;
    if (fd < 0)
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
        abort();
}

#endif
