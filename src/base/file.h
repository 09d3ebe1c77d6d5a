/* Descriptors, where the system's calls do less than one asks. */
#ifndef MAYFLY_BASE_FILE_H
#define MAYFLY_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* All of the bytes, taken up again after interruptions and short writes. False: errno says why; a part is written. */
bool file_write(int fd, const void *bytes, size_t size);

#endif
