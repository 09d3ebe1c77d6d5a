/* The inside of wasi:filesystem, shared by its files: descriptors, and how errors get to the guest.
 *
 *   - A descriptor lives as long as its handle or a stream over its file does. What it opened is closed then, or when
 *     the activity ends; what was granted is never closed.
 *   - `flags` are the guest's and are applied to each call; whether the grant may be written is asked besides.
 *   - Regular files may block the worker, as in WASI 0.1: no kernel interface tells when they are ready.
 */
#ifndef MAYFLY_WASI_FILESYSTEM_H
#define MAYFLY_WASI_FILESYSTEM_H

#include "io/files.h"
#include "wasi/gen/wasi_filesystem.h"
#include "wasi/object.h"

struct wasi_filesystem_descriptor {
    struct host_node node;
    struct host_closer closer; /* of what was opened, not of what was granted */
    struct files_dir at;       /* of a file: its own descriptor in a grant */
    uint32_t users;            /* the handle, and streams */
    bool directory;
    uint8_t flags; /* descriptor-flags */
};

typedef struct wasi_filesystem_descriptor descriptor;
typedef struct result_void_wasi_filesystem_types_error_code void_answer;

#define FLAG(name) WASI_FILESYSTEM_TYPES_DESCRIPTOR_FLAGS_##name

/* The error-code of a negated errno. */
enum wasi_filesystem_types_error_code filesystem_error(int code);
/* Answer a call: an error if `code` is negative, whatever `ret` has otherwise. True: no trap. */
#define FILESYSTEM_ANSWER(ret, code)                                                                                   \
    ((ret)->err = (code) < 0, (ret)->err ? (void)((ret)->error = filesystem_error((int)(code))) : (void)0, true)

/* A descriptor of what `at` has open, with one user: its handle. NULL after setting the trap; `at` is then as before.
 * `owned`: it closes it in the end. */
descriptor *filesystem_descriptor(struct host *h, struct files_dir at, bool directory, uint8_t flags, bool owned);
void filesystem_leave(struct host *h, descriptor *self);

/* A regular file that was opened with this flag (EBADF); to be written, in a grant that may be (EROFS). */
int filesystem_take_file(const descriptor *self, uint8_t flag);

/* Times for utimensat(2). EINVAL, EOVERFLOW: it is no time, or none that the system can say. */
int filesystem_times(const struct wasi_filesystem_types_new_timestamp *access,
                     const struct wasi_filesystem_types_new_timestamp *modification, struct timespec ret_times[2]);
enum wasi_filesystem_types_descriptor_type filesystem_type(mode_t mode);
struct wasi_filesystem_types_descriptor_stat filesystem_stat(const struct stat *status);
struct wasi_filesystem_types_metadata_hash_value filesystem_hash(const struct stat *status);

#endif
