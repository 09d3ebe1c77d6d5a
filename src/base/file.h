/* Descriptors, where the system's calls do less than one asks; and where files of mayfly's own are. */
#ifndef MAYFLY_BASE_FILE_H
#define MAYFLY_BASE_FILE_H

#include "base/buf.h"
#include "base/err.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/* All of the bytes, taken up again after interruptions and short writes. False: errno says why; a part is written. */
bool file_write(int fd, const void *bytes, size_t size);

/* Append the whole of a regular file, as far as `into` has room. ERR_SYSTEM and ERR_LIMIT do not name it. */
bool file_read(const char *path, struct buf *into, struct err *err);

/* A file that belongs to this installation: beside the program, in the folder above (programs of the tests), or in
 * ../libexec/mayfly. False: it is in none of them, or /proc does not say where the program is. */
bool file_of_installation(const char *name, char ret_path[PATH_MAX]);

#endif
