/* wasi:filesystem: what is in files, by offset and as streams. A stream keeps an offset of its own, so streams over one
 * file do not disturb each other. Bytes that are read go through host memory: the kernel never writes the guest's. */
#include "io/file.h"
#include "runtime/trap.h"
#include "wasi/filesystem.h"

#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#define READ_MAX ((uint64_t)1 << 20) /* bytes of one read */
#define READ_PART ((size_t)256 << 10) /* between two looks at the guest's deadline */
#define STREAM_ROOM ((size_t)64 << 10) /* of a write that check-write permits */
#define APPEND UINT64_MAX /* an offset: the end of the file */

/* Up to `size` bytes; fewer mean the end, or the guest's. An error counts only where nothing was read. */
static ssize_t read_at(struct host *h, int fd, uint8_t *bytes, size_t size, uint64_t offset)
{
    size_t done = 0;
    while (done < size && guest_goes_on(h->store)) {
        size_t part = size - done < READ_PART ? size - done : READ_PART;
        ssize_t n = pread(fd, bytes + done, part, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return done || n == 0 ? (ssize_t)done : -errno;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

static int write_flags(const descriptor *self, bool append)
{
    int flags = append ? RWF_APPEND : 0;
    if (self->flags & FLAG(DATA_INTEGRITY_SYNC))
        flags |= RWF_DSYNC;
    if (self->flags & (FLAG(FILE_INTEGRITY_SYNC) | FLAG(REQUESTED_WRITE_SYNC)))
        flags |= RWF_SYNC;
    return flags;
}

/* All of it, or what could be written before an error. */
static ssize_t write_at(struct host *h, const descriptor *self, struct str bytes, uint64_t offset)
{
    bool append = offset == APPEND;
    size_t done = 0;
    if (!append && bytes.len > INT64_MAX - offset)
        return -EFBIG;
    while (done < bytes.len && guest_goes_on(h->store)) {
        size_t left = bytes.len - done;
        struct iovec part = {(char *)(uintptr_t)bytes.ptr + done, left < FILE_WRITE_MAX ? left : FILE_WRITE_MAX};
        off_t at = append ? 0 : (off_t)(offset + done);
        ssize_t n = pwritev2(self->at.fd, &part, 1, at, write_flags(self, append));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return done ? (ssize_t)done : n < 0 ? -errno : -EIO;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

/* ---- by offset ---- */

/* To be read or written from `offset` on. EINVAL: no file reaches so far. */
static int take_at(const descriptor *self, uint8_t flag, uint64_t offset)
{
    int code = filesystem_take_file(self, flag);
    return code ? code : offset > INT64_MAX ? -EINVAL : 0;
}

static size_t read_size(uint64_t length, uint64_t offset)
{
    uint64_t reach = INT64_MAX - offset, most = reach < READ_MAX ? reach : READ_MAX;
    return (size_t)(length < most ? length : most);
}

/* No file goes on there. */
static bool ends_at(uint64_t offset, size_t size)
{
    return offset + size == INT64_MAX;
}

bool wasi_filesystem_types_descriptor_read(struct host *h, descriptor *self, uint64_t length, uint64_t offset,
                                           struct result_tuple_list_u8_bool_wasi_filesystem_types_error_code *ret)
{
    int code = take_at(self, FLAG(READ), offset);
    if (code)
        return FILESYSTEM_ANSWER(ret, code);
    size_t size = read_size(length, offset);
    uint8_t *bytes = host_buffer(h, size);
    if (!bytes)
        return false;
    ssize_t n = read_at(h, self->at.fd, bytes, size, offset);
    if (n >= 0)
        ret->ok = (struct tuple_list_u8_bool){{bytes, (size_t)n}, (size_t)n < size || ends_at(offset, (size_t)n)};
    return FILESYSTEM_ANSWER(ret, n);
}

bool wasi_filesystem_types_descriptor_write(struct host *h, descriptor *self, struct list_u8 buffer, uint64_t offset,
                                            struct result_u64_wasi_filesystem_types_error_code *ret)
{
    ssize_t n = take_at(self, FLAG(WRITE), offset);
    n = n ? n : write_at(h, self, (struct str){(const char *)buffer.ptr, buffer.len}, offset);
    if (n >= 0)
        ret->ok = (uint64_t)n;
    return FILESYSTEM_ANSWER(ret, n);
}

/* ---- streams ---- */

static bool stream_read(struct host *h, struct wasi_io_input_stream *s, uint64_t size, struct str *ret_bytes,
                        bool *ret_closed, struct wasi_io_error **ret_why)
{
    size_t wanted = read_size(size < HOST_BUFFER_BYTES ? size : HOST_BUFFER_BYTES, s->offset);
    uint8_t *bytes = host_buffer(h, wanted);
    if (!bytes)
        return false;
    ssize_t n = read_at(h, ((descriptor *)s->source)->at.fd, bytes, wanted, s->offset);
    if (n < 0)
        return *ret_closed = (*ret_why = error_of_system(h, (int)n)) != NULL;
    *ret_closed = n == 0 && size;
    *ret_bytes = (struct str){(const char *)bytes, (size_t)n};
    s->offset += (uint64_t)n;
    return true;
}

static void input_drop(struct host *h, struct wasi_io_input_stream *s)
{
    filesystem_leave(h, s->source);
}

static const struct input_kind input_file = {stream_read, NULL, input_drop};

static size_t stream_room(struct host *h, struct wasi_io_output_stream *s)
{
    return STREAM_ROOM;
}

static bool stream_write(struct host *h, struct wasi_io_output_stream *s, struct str bytes,
                         struct wasi_io_error **ret_why)
{
    while (bytes.len) {
        ssize_t n = write_at(h, s->target, bytes, s->offset);
        if (n < 0)
            *ret_why = error_of_system(h, (int)n);
        if (n <= 0)
            return false;
        bytes = str_slice(bytes, (size_t)n, bytes.len);
        if (s->offset != APPEND)
            s->offset += (uint64_t)n;
    }
    return true;
}

static void output_drop(struct host *h, struct wasi_io_output_stream *s)
{
    filesystem_leave(h, s->target);
}

static const struct output_kind output_file = {stream_room, stream_write, output_drop, true};

bool wasi_filesystem_types_descriptor_read_via_stream(
    struct host *h, descriptor *self, uint64_t offset,
    struct result_wasi_io_input_stream_wasi_filesystem_types_error_code *ret)
{
    int code = take_at(self, FLAG(READ), offset);
    if (code)
        return FILESYSTEM_ANSWER(ret, code);
    struct wasi_io_input_stream *s = HOST_NEW(h, struct wasi_io_input_stream, NULL);
    if (!s)
        return false;
    s->kind = &input_file;
    s->source = self;
    s->offset = offset;
    self->users++;
    ret->ok = s;
    return true;
}

static bool write_stream(struct host *h, descriptor *self, uint64_t offset,
                         struct result_wasi_io_output_stream_wasi_filesystem_types_error_code *ret)
{
    struct wasi_io_output_stream *s = HOST_NEW(h, struct wasi_io_output_stream, NULL);
    if (!s)
        return false;
    s->kind = &output_file;
    s->target = self;
    s->offset = offset;
    self->users++;
    ret->ok = s;
    return true;
}

bool wasi_filesystem_types_descriptor_write_via_stream(
    struct host *h, descriptor *self, uint64_t offset,
    struct result_wasi_io_output_stream_wasi_filesystem_types_error_code *ret)
{
    int code = take_at(self, FLAG(WRITE), offset);
    return code ? FILESYSTEM_ANSWER(ret, code) : write_stream(h, self, offset, ret);
}

bool wasi_filesystem_types_descriptor_append_via_stream(
    struct host *h, descriptor *self, struct result_wasi_io_output_stream_wasi_filesystem_types_error_code *ret)
{
    int code = filesystem_take_file(self, FLAG(WRITE));
    return code ? FILESYSTEM_ANSWER(ret, code) : write_stream(h, self, APPEND, ret);
}
