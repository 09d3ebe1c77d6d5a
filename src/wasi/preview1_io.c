/* Reading, writing, seeking and listing in WASI 0.1. */
#include "io/file.h"
#include "runtime/trap.h"
#include "wasi/preview1_call.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* Check the guest's vector of buffers and keep it in p->iovecs. */
static int take_iovecs(struct preview1 *p, uint32_t ptr, uint32_t count)
{
    uint32_t row[2];
    const uint8_t *rows = preview1_bytes(p, ptr, (uint64_t)count * sizeof row);
    if (count > PREVIEW1_IOVECS_MAX)
        return -EINVAL;
    if (!rows)
        return -EFAULT;
    for (uint32_t i = 0; i < count; i++) {
        memcpy(row, rows + i * sizeof row, sizeof row);
        p->iovecs[i] = (struct iovec){preview1_bytes(p, row[0], row[1]), row[1]};
        if (!p->iovecs[i].iov_base)
            return -EFAULT;
    }
    return 0;
}

/* The descriptor in v[0], the buffers in v[1] and v[2], room for the result at `result`. */
static int take_io(struct preview1 *p, const union cell *v, uint64_t rights, uint32_t result,
                   struct preview1_fd **ret_fd)
{
    int code = preview1_take_file(p, v[0].u32, rights, ret_fd);
    if (code)
        return code;
    return preview1_bytes(p, result, 4) ? take_iovecs(p, v[1].u32, v[2].u32) : -EFAULT;
}

/* Only a stream can block; its flags are others' too, so one that must not is asked first. */
static bool would_block(struct preview1 *p, const struct preview1_fd *fd, short events)
{
    struct pollfd row = {.fd = fd->host, .events = events};
    if (fd->kind != PREVIEW1_STREAM || !(fd->flags & FDFLAG_NONBLOCK))
        return false;
    return p->face ? !p->face->ready(p, fd->stream) : poll(&row, 1, 0) == 0;
}

static bool is_of_face(const struct preview1 *p, const struct preview1_fd *fd)
{
    return p->face && fd->kind == PREVIEW1_STREAM;
}

static int put_size(const struct preview1 *p, uint32_t ptr, ssize_t size)
{
    return preview1_put_u32(p, ptr, (uint32_t)size);
}

/* ---- writing ---- */

static int write_flags(const struct preview1_fd *fd, bool at_place)
{
    int flags = 0;
    if ((fd->flags & FDFLAG_APPEND) && !at_place)
        flags |= RWF_APPEND;
    if (fd->flags & FDFLAG_DSYNC)
        flags |= RWF_DSYNC;
    if (fd->flags & (FDFLAG_SYNC | FDFLAG_RSYNC))
        flags |= RWF_SYNC;
    return fd->kind == PREVIEW1_STREAM ? 0 : flags;
}

/* As much of the buffers as it takes. */
static int write_stream(struct preview1 *p, unsigned stream, int count, uint32_t result)
{
    int64_t done = 0;
    for (int i = 0; i < count; i++) {
        const struct iovec *part = &p->iovecs[i];
        int64_t n = part->iov_len ? p->face->write(p, stream, (struct str){part->iov_base, part->iov_len}) : 0;
        if (n < 0 && !done)
            return (int)n;
        done += n > 0 ? n : 0;
        if (n < (int64_t)part->iov_len)
            break;
    }
    return put_size(p, result, done);
}

/* Cut the buffers to FILE_WRITE_MAX bytes; returns how many are left. */
static int cut_iovecs(struct preview1 *p, uint32_t count)
{
    size_t left = FILE_WRITE_MAX;
    uint32_t used = 0;
    for (; used < count && left; used++) {
        struct iovec *part = &p->iovecs[used];
        part->iov_len = part->iov_len < left ? part->iov_len : left;
        left -= part->iov_len;
    }
    return (int)used;
}

/* `offset` -1: at the descriptor's position. */
static int write_at(struct preview1 *p, const union cell *v, off_t offset, const struct preview1_fd *fd,
                    uint32_t result)
{
    ssize_t n;
    int count = cut_iovecs(p, v[2].u32);
    if (would_block(p, fd, POLLOUT))
        return -EAGAIN;
    if (is_of_face(p, fd))
        return write_stream(p, fd->stream, count, result);
    do
        n = pwritev2(fd->host, p->iovecs, count, offset, write_flags(fd, offset >= 0));
    while (n < 0 && errno == EINTR && guest_goes_on(p->store));
    return n < 0 ? -errno : put_size(p, result, n);
}

int preview1_fd_write(struct preview1 *p, const union cell *v)
{
    struct preview1_fd *fd;
    int code = take_io(p, v, RIGHT_OF(FD_WRITE), v[3].u32, &fd);
    return code ? code : write_at(p, v, -1, fd, v[3].u32);
}

int preview1_fd_pwrite(struct preview1 *p, const union cell *v)
{
    struct preview1_fd *fd;
    int code = take_io(p, v, RIGHT_OF(FD_WRITE) | RIGHT_OF(FD_SEEK), v[4].u32, &fd);
    if (code)
        return code;
    return v[3].u64 > INT64_MAX ? -EINVAL : write_at(p, v, (off_t)v[3].u64, fd, v[4].u32);
}

/* ---- reading ---- */

static size_t iovecs_total(const struct preview1 *p, uint32_t count)
{
    size_t total = 0;
    for (uint32_t i = 0; i < count && total < PREVIEW1_BOUNCE; i++)
        total += p->iovecs[i].iov_len;
    return total < PREVIEW1_BOUNCE ? total : PREVIEW1_BOUNCE;
}

static void scatter(const struct preview1 *p, const uint8_t *from, size_t size)
{
    for (uint32_t i = 0; size; i++) {
        size_t part = p->iovecs[i].iov_len < size ? p->iovecs[i].iov_len : size;
        memcpy(p->iovecs[i].iov_base, from, part);
        from += part;
        size -= part;
    }
}

static int read_stream(struct preview1 *p, size_t size, uint32_t result)
{
    struct str bytes = {NULL, 0};
    int code = size ? p->face->read(p, size, &bytes) : 0;
    if (code)
        return code;
    scatter(p, (const uint8_t *)bytes.ptr, bytes.len);
    return put_size(p, result, (ssize_t)bytes.len);
}

/* `offset` -1: at the descriptor's position. */
static int read_at(struct preview1 *p, const union cell *v, off_t offset, const struct preview1_fd *fd, uint32_t result)
{
    ssize_t n;
    struct iovec bounce = {p->bounce, iovecs_total(p, v[2].u32)};
    if (would_block(p, fd, POLLIN))
        return -EAGAIN;
    if (is_of_face(p, fd))
        return read_stream(p, bounce.iov_len, result);
    do
        n = preadv2(fd->host, &bounce, 1, offset, 0);
    while (n < 0 && errno == EINTR && guest_goes_on(p->store));
    if (n < 0)
        return -errno;
    scatter(p, p->bounce, (size_t)n);
    return put_size(p, result, n);
}

int preview1_fd_read(struct preview1 *p, const union cell *v)
{
    struct preview1_fd *fd;
    int code = take_io(p, v, RIGHT_OF(FD_READ), v[3].u32, &fd);
    return code ? code : read_at(p, v, -1, fd, v[3].u32);
}

int preview1_fd_pread(struct preview1 *p, const union cell *v)
{
    struct preview1_fd *fd;
    int code = take_io(p, v, RIGHT_OF(FD_READ) | RIGHT_OF(FD_SEEK), v[4].u32, &fd);
    if (code)
        return code;
    return v[3].u64 > INT64_MAX ? -EINVAL : read_at(p, v, (off_t)v[3].u64, fd, v[4].u32);
}

/* ---- position ---- */

static int seek(struct preview1 *p, uint32_t number, int64_t delta, uint32_t whence, uint32_t result)
{
    static const int whences[] = {SEEK_SET, SEEK_CUR, SEEK_END};
    struct preview1_fd *fd;
    bool asks = delta == 0 && whence == 1;
    int code = preview1_take_file(p, number, asks ? RIGHT_OF(FD_TELL) : RIGHT_OF(FD_SEEK), &fd);
    if (code)
        return code;
    if (whence >= sizeof whences / sizeof *whences)
        return -EINVAL;
    if (!preview1_bytes(p, result, 8))
        return -EFAULT;
    off_t at = lseek(fd->host, delta, whences[whence]);
    return at < 0 ? -errno : preview1_put_u64(p, result, (uint64_t)at);
}

int preview1_fd_seek(struct preview1 *p, const union cell *v)
{
    return seek(p, v[0].u32, (int64_t)v[1].u64, v[2].u32, v[3].u32);
}

int preview1_fd_tell(struct preview1 *p, const union cell *v)
{
    return seek(p, v[0].u32, 0, 1, v[1].u32);
}

/* ---- directories ---- */

struct dirent_head {
    uint64_t next, ino;
    uint32_t namlen;
    uint8_t type, pad[3];
};

_Static_assert(sizeof(struct dirent_head) == 24, "as in the witx");

struct listing {
    uint8_t *at, *end; /* guest memory left to fill */
    bool full;
    uint64_t top_ino; /* of a granted directory: its parent is not told; 0: not one */
};

static void list_bytes(struct listing *list, const void *bytes, size_t size)
{
    size_t room = (size_t)(list->end - list->at), part = size < room ? size : room;
    memcpy(list->at, bytes, part);
    list->at += part;
    list->full |= part < size;
}

static uint8_t filetype_of_entry(unsigned char type)
{
    static const uint8_t types[] = {
        [DT_CHR] = FILETYPE_CHARACTER_DEVICE, [DT_DIR] = FILETYPE_DIRECTORY,     [DT_BLK] = FILETYPE_BLOCK_DEVICE,
        [DT_REG] = FILETYPE_REGULAR_FILE,     [DT_LNK] = FILETYPE_SYMBOLIC_LINK, [DT_SOCK] = FILETYPE_SOCKET_STREAM,
    };
    return type < sizeof types ? types[type] : FILETYPE_UNKNOWN;
}

static void list_entry(struct listing *list, const struct dirent64 *entry)
{
    bool parent = strcmp(entry->d_name, "..") == 0;
    const struct dirent_head head = {.next = (uint64_t)entry->d_off,
                                     .ino = parent && list->top_ino ? list->top_ino : entry->d_ino,
                                     .namlen = (uint32_t)strlen(entry->d_name),
                                     .type = filetype_of_entry(entry->d_type)};
    list_bytes(list, &head, sizeof head);
    list_bytes(list, entry->d_name, head.namlen);
}

static int open_listing(struct preview1_fd *fd, uint64_t cookie, struct listing *list)
{
    struct stat status;
    if (fd->listing < 0) {
        int listing = files_listing(preview1_dir(fd));
        if (listing < 0)
            return listing;
        fd->listing = listing;
    }
    if (lseek(fd->listing, (off_t)cookie, SEEK_SET) < 0)
        return -errno;
    list->top_ino = fd->top && fstat(fd->listing, &status) == 0 ? status.st_ino : 0;
    return 0;
}

/* Entries until the guest's buffer is full, the last one cut where it does not fit; less than that means the end. */
static int list_all(struct preview1 *p, const struct preview1_fd *fd, struct listing *list)
{
    while (!list->full && list->at < list->end && guest_goes_on(p->store)) {
        long size = syscall(SYS_getdents64, fd->listing, p->bounce, PREVIEW1_BOUNCE);
        if (size <= 0)
            return size < 0 ? -errno : 0;
        for (long at = 0; at < size && !list->full;) {
            const struct dirent64 *entry = (const void *)(p->bounce + at);
            list_entry(list, entry);
            at += entry->d_reclen;
        }
    }
    return 0;
}

int preview1_fd_readdir(struct preview1 *p, const union cell *v)
{
    struct preview1_fd *fd;
    uint8_t *at = preview1_bytes(p, v[1].u32, v[2].u32);
    struct listing list = {.at = at, .end = at ? at + v[2].u32 : NULL};
    int code = preview1_take_dir(p, v[0].u32, RIGHT_OF(FD_READDIR), &fd);
    if (!code && (!at || !preview1_bytes(p, v[4].u32, 4)))
        code = -EFAULT;
    if (!code && v[3].u64 > INT64_MAX)
        code = -EINVAL;
    code = code ? code : open_listing(fd, v[3].u64, &list);
    code = code ? code : list_all(p, fd, &list);
    return code ? code : put_size(p, v[4].u32, list.at - at);
}
