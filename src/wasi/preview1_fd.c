/* Descriptors of WASI 0.1: the table, what is known about each, what changes them. Flags live in the table and are
 * applied to each call, so that neither O_APPEND nor O_NONBLOCK is ever set on a descriptor that others share. */
#include "io/file.h"
#include "wasi/preview1_call.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define STREAMS 3u

const uint64_t preview1_directory_rights = 0
#define RIGHT(name, bit, directory, file) | (uint64_t)directory << bit
#include "wasi/preview1_rights.def"
#undef RIGHT
    ;
const uint64_t preview1_file_rights = 0
#define RIGHT(name, bit, directory, file) | (uint64_t)file << bit
#include "wasi/preview1_rights.def"
#undef RIGHT
    ;

#define STREAM_RIGHTS (RIGHT_OF(FD_FILESTAT_GET) | RIGHT_OF(FD_FDSTAT_SET_FLAGS) | RIGHT_OF(POLL_FD_READWRITE))
#define SEEK_RIGHTS (RIGHT_OF(FD_SEEK) | RIGHT_OF(FD_TELL))

/* ---- the table ---- */

struct preview1_fd *preview1_fd(struct preview1 *p, uint32_t fd)
{
    return fd < p->fds.count && p->fds.items[fd].kind != PREVIEW1_FREE ? &p->fds.items[fd] : NULL;
}

static int take_fd(struct preview1 *p, uint32_t number, uint64_t rights, struct preview1_fd **ret_fd)
{
    struct preview1_fd *fd = preview1_fd(p, number);
    if (!fd)
        return -EBADF;
    if (rights & ~fd->rights)
        return -ENOTCAPABLE;
    *ret_fd = fd;
    return 0;
}

int preview1_take_file(struct preview1 *p, uint32_t number, uint64_t rights, struct preview1_fd **ret_fd)
{
    const struct preview1_fd *fd = preview1_fd(p, number);
    return fd && fd->kind == PREVIEW1_DIRECTORY ? -EBADF : take_fd(p, number, rights, ret_fd);
}

int preview1_take_dir(struct preview1 *p, uint32_t number, uint64_t rights, struct preview1_fd **ret_fd)
{
    const struct preview1_fd *fd = preview1_fd(p, number);
    return fd && fd->kind != PREVIEW1_DIRECTORY ? -ENOTDIR : take_fd(p, number, rights, ret_fd);
}

int preview1_new_fd(struct preview1 *p, uint32_t *ret_number, struct preview1_fd **ret_fd)
{
    uint32_t number = 0;
    while (number < p->fds.count && p->fds.items[number].kind != PREVIEW1_FREE)
        number++;
    if (number == p->fds.count && !VEC_PUSH(&p->fds, PREVIEW1_FDS_MAX))
        return p->fds.count == PREVIEW1_FDS_MAX ? -EMFILE : -ENOMEM;
    *ret_number = number;
    *ret_fd = &p->fds.items[number];
    return 0;
}

static void release(struct preview1_fd *fd)
{
    if ((fd->kind == PREVIEW1_FILE || fd->kind == PREVIEW1_DIRECTORY) && !fd->lent)
        close(fd->host);
    if (fd->kind == PREVIEW1_DIRECTORY && fd->listing >= 0)
        close(fd->listing);
    *fd = (struct preview1_fd){0};
}

/* A terminal must not be seekable: that is how guests tell one from another device. */
static bool add_stream(struct preview1 *p, uint32_t host, uint64_t rights, struct err *err)
{
    struct preview1_fd *fd = VEC_PUSH(&p->fds, PREVIEW1_FDS_MAX);
    if (!fd)
        return err_memory(err);
    int flags = fcntl((int)host, F_GETFL);
    if (flags < 0 || flags & O_PATH)
        return true; /* this process was started without it */
    *fd = (struct preview1_fd){.kind = PREVIEW1_STREAM, .stream = (uint8_t)host, .host = (int)host, .listing = -1};
    fd->rights = rights | STREAM_RIGHTS | (isatty((int)host) ? 0 : SEEK_RIGHTS);
    return true;
}

static const uint64_t stream_rights[STREAMS] = {RIGHT_OF(FD_READ), RIGHT_OF(FD_WRITE), RIGHT_OF(FD_WRITE)};

bool preview1_init(struct preview1 *p, struct err *err)
{
    bool done = true;
    for (uint32_t i = 0; done && i < STREAMS; i++)
        done = add_stream(p, i, stream_rights[i], err);
    return done;
}

bool preview1_init_function(struct preview1 *p, const struct preview1_face *face, struct err *err)
{
    p->face = face;
    for (uint8_t i = 0; i < STREAMS; i++) {
        struct preview1_fd *fd = VEC_PUSH(&p->fds, PREVIEW1_FDS_MAX);
        if (!fd)
            return err_memory(err);
        *fd = (struct preview1_fd){.kind = PREVIEW1_STREAM, .stream = i, .host = -1, .listing = -1};
        fd->rights = stream_rights[i] | STREAM_RIGHTS;
    }
    return true;
}

bool preview1_lend(struct preview1 *p, struct files_dir dir, const char *name, struct err *err)
{
    struct preview1_fd *fd = VEC_PUSH(&p->fds, PREVIEW1_FDS_MAX);
    if (!fd)
        return err_memory(err);
    *fd = (struct preview1_fd){.kind = PREVIEW1_DIRECTORY,
                               .host = dir.fd,
                               .lent = true,
                               .listing = -1,
                               .writable = dir.writable,
                               .grant = dir.grant,
                               .top = true,
                               .rights = preview1_directory_rights,
                               .inheriting = preview1_directory_rights | preview1_file_rights,
                               .preopen = name};
    return true;
}

bool preview1_grant(struct preview1 *p, struct files_dir dir, const char *name, struct err *err)
{
    bool done = preview1_lend(p, dir, name, err);
    if (done)
        p->fds.items[p->fds.count - 1].lent = false;
    else
        close(dir.fd);
    return done;
}

void preview1_free(struct preview1 *p)
{
    for (size_t i = 0; i < p->fds.count; i++)
        release(&p->fds.items[i]);
    VEC_FREE(&p->fds);
}

int preview1_fd_close(struct preview1 *p, const union cell *v)
{
    struct preview1_fd *fd = preview1_fd(p, v[0].u32);
    if (!fd)
        return -EBADF;
    release(fd);
    return 0;
}

int preview1_fd_renumber(struct preview1 *p, const union cell *v)
{
    struct preview1_fd *from = preview1_fd(p, v[0].u32), *to = preview1_fd(p, v[1].u32);
    if (!from || !to)
        return -EBADF;
    if (from == to)
        return 0;
    release(to);
    *to = *from;
    *from = (struct preview1_fd){0};
    return 0;
}

/* ---- grants ---- */

int preview1_fd_prestat_get(struct preview1 *p, const union cell *v)
{
    const struct preview1_fd *fd = preview1_fd(p, v[0].u32);
    if (!fd || !fd->preopen)
        return -EBADF;
    const uint32_t prestat[2] = {0, (uint32_t)strlen(fd->preopen)};
    return preview1_put(p, v[1].u32, prestat, sizeof prestat);
}

int preview1_fd_prestat_dir_name(struct preview1 *p, const union cell *v)
{
    const struct preview1_fd *fd = preview1_fd(p, v[0].u32);
    if (!fd || !fd->preopen)
        return -EBADF;
    size_t size = strlen(fd->preopen);
    return size > v[2].u32 ? -ENAMETOOLONG : preview1_put(p, v[1].u32, fd->preopen, size);
}

/* ---- what is known ---- */

static uint8_t filetype_of(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFBLK: return FILETYPE_BLOCK_DEVICE;
    case S_IFCHR: return FILETYPE_CHARACTER_DEVICE;
    case S_IFDIR: return FILETYPE_DIRECTORY;
    case S_IFREG: return FILETYPE_REGULAR_FILE;
    case S_IFSOCK: return FILETYPE_SOCKET_STREAM;
    case S_IFLNK: return FILETYPE_SYMBOLIC_LINK;
    default: return FILETYPE_UNKNOWN;
    }
}

static uint64_t ns_of(struct timespec time)
{
    return (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
}

int preview1_put_stat(const struct preview1 *p, uint32_t ptr, const struct stat *status)
{
    const struct {
        uint64_t dev, ino;
        uint8_t filetype, pad[7];
        uint64_t nlink, size, atim, mtim, ctim;
    } stat = {.dev = status->st_dev,
              .ino = status->st_ino,
              .filetype = filetype_of(status->st_mode),
              .nlink = status->st_nlink,
              .size = (uint64_t)status->st_size,
              .atim = ns_of(status->st_atim),
              .mtim = ns_of(status->st_mtim),
              .ctim = ns_of(status->st_ctim)};
    return preview1_put(p, ptr, &stat, sizeof stat);
}

int preview1_fd_fdstat_get(struct preview1 *p, const union cell *v)
{
    const struct preview1_fd *fd = preview1_fd(p, v[0].u32);
    struct {
        uint8_t filetype, pad0;
        uint16_t flags;
        uint32_t pad1;
        uint64_t rights, inheriting;
    } stat = {0};
    struct stat status;
    if (!fd)
        return -EBADF;
    stat.filetype = fstat(fd->host, &status) == 0 ? filetype_of(status.st_mode) : FILETYPE_UNKNOWN;
    stat.flags = fd->flags;
    stat.rights = fd->rights;
    stat.inheriting = fd->inheriting;
    return preview1_put(p, v[1].u32, &stat, sizeof stat);
}

/* Where a stream lies is the caller's business: device and inode are not told. */
int preview1_fd_filestat_get(struct preview1 *p, const union cell *v)
{
    struct preview1_fd *fd;
    struct stat status;
    int code = take_fd(p, v[0].u32, RIGHT_OF(FD_FILESTAT_GET), &fd);
    if (code)
        return code;
    if (fd->host < 0)
        memset(&status, 0, sizeof status);
    else if (fstat(fd->host, &status) != 0)
        return -errno;
    if (fd->kind == PREVIEW1_STREAM)
        status.st_dev = status.st_ino = 0;
    return preview1_put_stat(p, v[1].u32, &status);
}

/* ---- what changes a descriptor ---- */

int preview1_fd_fdstat_set_flags(struct preview1 *p, const union cell *v)
{
    struct preview1_fd *fd;
    int code = take_fd(p, v[0].u32, RIGHT_OF(FD_FDSTAT_SET_FLAGS), &fd);
    if (code)
        return code;
    if (v[1].u32 & ~(uint32_t)FDFLAGS)
        return -EINVAL;
    fd->flags = (uint16_t)v[1].u32;
    return 0;
}

int preview1_fd_fdstat_set_rights(struct preview1 *p, const union cell *v)
{
    struct preview1_fd *fd = preview1_fd(p, v[0].u32);
    if (!fd)
        return -EBADF;
    if ((v[1].u64 & ~fd->rights) || (v[2].u64 & ~fd->inheriting))
        return -ENOTCAPABLE;
    fd->rights = v[1].u64;
    fd->inheriting = v[2].u64;
    return 0;
}

/* ---- what changes a file ---- */

/* A file or directory to be changed, with these rights, where the grant may be written. */
static int take_change(struct preview1 *p, uint32_t number, uint64_t rights, struct preview1_fd **ret_fd)
{
    struct preview1_fd *fd;
    int code = take_fd(p, number, rights, &fd);
    if (code)
        return code;
    if (!fd->writable)
        return -EROFS;
    *ret_fd = fd;
    return 0;
}

static int take_file_change(struct preview1 *p, uint32_t number, uint64_t rights, struct preview1_fd **ret_fd)
{
    struct preview1_fd *fd;
    int code = preview1_take_file(p, number, rights, &fd);
    return code ? code : take_change(p, number, rights, ret_fd);
}

int preview1_fd_filestat_set_size(struct preview1 *p, const union cell *v)
{
    struct preview1_fd *fd;
    int code = take_file_change(p, v[0].u32, RIGHT_OF(FD_FILESTAT_SET_SIZE), &fd);
    return code ? code : file_set_size(fd->host, v[1].u64);
}

int preview1_fd_allocate(struct preview1 *p, const union cell *v)
{
    struct preview1_fd *fd;
    int code = take_file_change(p, v[0].u32, RIGHT_OF(FD_ALLOCATE), &fd);
    return code ? code : file_allocate(fd->host, v[1].u64, v[2].u64);
}

static struct timespec time_of(uint64_t ns, bool set, bool now)
{
    if (now)
        return (struct timespec){.tv_nsec = UTIME_NOW};
    if (!set)
        return (struct timespec){.tv_nsec = UTIME_OMIT};
    return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
}

int preview1_times(uint64_t atim, uint64_t mtim, uint32_t fstflags, struct timespec times[2])
{
    bool both_a = (fstflags & FSTFLAG_ATIM) && (fstflags & FSTFLAG_ATIM_NOW);
    bool both_m = (fstflags & FSTFLAG_MTIM) && (fstflags & FSTFLAG_MTIM_NOW);
    if (both_a || both_m || (fstflags & ~(uint32_t)FSTFLAGS))
        return -EINVAL;
    times[0] = time_of(atim, fstflags & FSTFLAG_ATIM, fstflags & FSTFLAG_ATIM_NOW);
    times[1] = time_of(mtim, fstflags & FSTFLAG_MTIM, fstflags & FSTFLAG_MTIM_NOW);
    return 0;
}

int preview1_fd_filestat_set_times(struct preview1 *p, const union cell *v)
{
    struct preview1_fd *fd;
    struct timespec times[2];
    int code = take_change(p, v[0].u32, RIGHT_OF(FD_FILESTAT_SET_TIMES), &fd);
    code = code ? code : preview1_times(v[1].u64, v[2].u64, v[3].u32, times);
    return code ? code : file_set_times(fd->host, times);
}

/* ---- the system's caches ---- */

int preview1_fd_advise(struct preview1 *p, const union cell *v)
{
    struct preview1_fd *fd;
    int code = preview1_take_file(p, v[0].u32, RIGHT_OF(FD_ADVISE), &fd);
    return code ? code : file_advise(fd->host, v[1].u64, v[2].u64, v[3].u32);
}

static int synced(struct preview1 *p, uint32_t number, uint64_t right, bool data)
{
    struct preview1_fd *fd;
    int code = take_fd(p, number, right, &fd);
    return code ? code : file_sync(fd->host, fd->kind == PREVIEW1_DIRECTORY, data);
}

int preview1_fd_sync(struct preview1 *p, const union cell *v)
{
    return synced(p, v[0].u32, RIGHT_OF(FD_SYNC), false);
}

int preview1_fd_datasync(struct preview1 *p, const union cell *v)
{
    return synced(p, v[0].u32, RIGHT_OF(FD_DATASYNC), true);
}

/* ---- sockets: none is ever given ---- */

static int no_socket(struct preview1 *p, uint32_t fd)
{
    return preview1_fd(p, fd) ? -ENOTSOCK : -EBADF;
}

int preview1_sock_accept(struct preview1 *p, const union cell *v)
{
    return no_socket(p, v[0].u32);
}

int preview1_sock_recv(struct preview1 *p, const union cell *v)
{
    return no_socket(p, v[0].u32);
}

int preview1_sock_send(struct preview1 *p, const union cell *v)
{
    return no_socket(p, v[0].u32);
}

int preview1_sock_shutdown(struct preview1 *p, const union cell *v)
{
    return no_socket(p, v[0].u32);
}
