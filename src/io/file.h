/* Open files: what is done with a descriptor that io/files.h gave, the same for every version of WASI.
 *
 * Offsets, lengths and sizes are guests' numbers, any of 64 bits: what the kernel cannot say is answered here.
 * Functions return 0 or the negated errno. Whether the guest may do it (its rights, the grant) the caller has asked
 * before.
 */
#ifndef MAYFLY_IO_FILE_H
#define MAYFLY_IO_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Bytes of one write: while the kernel copies to a file, no signal interrupts it. */
#define FILE_WRITE_MAX ((size_t)8 << 20)

/* EFBIG: more than a file can have. */
int file_set_size(int fd, uint64_t size);
/* Make room: EFBIG likewise. */
int file_allocate(int fd, uint64_t offset, uint64_t length);
/* `advice`: its place in WASI's list, which is the same in all versions: normal, sequential, random, will-need,
 * dont-need, no-reuse. EINVAL: another, or a range beyond any file. */
int file_advise(int fd, uint64_t offset, uint64_t length, uint32_t advice);
/* Also of an O_PATH descriptor. */
int file_set_times(int fd, const struct timespec times[2]);
/* Also of a directory's O_PATH descriptor. `data`: without metadata that nobody needs to read the data again. */
int file_sync(int fd, bool directory, bool data);

#endif
