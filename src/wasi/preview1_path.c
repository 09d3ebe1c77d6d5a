/* Paths in WASI 0.1: rights and flags here, everything about the file system in io/files.c. */
#include "wasi/preview1_call.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { LOOKUP_FOLLOW = 1 };
enum { OFLAG_CREAT = 1, OFLAG_DIRECTORY = 2, OFLAG_EXCL = 4, OFLAG_TRUNC = 8, OFLAGS = 15 };

#define READING (RIGHT_OF(FD_READ) | RIGHT_OF(FD_READDIR))
#define WRITING (RIGHT_OF(FD_WRITE) | RIGHT_OF(FD_DATASYNC) | RIGHT_OF(FD_ALLOCATE) | RIGHT_OF(FD_FILESTAT_SET_SIZE))

/* A directory with `rights`, and a path of the guest's. */
static int take_place(struct preview1 *p, uint32_t fd, uint64_t rights, uint32_t ptr, uint32_t size,
                      struct files_dir *ret_dir, char path[PATH_MAX])
{
    struct preview1_fd *dir;
    int code = preview1_take_dir(p, fd, rights, &dir);
    if (code)
        return code;
    *ret_dir = preview1_dir(dir);
    return preview1_take_path(p, ptr, size, path);
}

static int take_lookup(uint32_t flags, bool *ret_follow)
{
    *ret_follow = flags & LOOKUP_FOLLOW;
    return flags & ~(uint32_t)LOOKUP_FOLLOW ? -EINVAL : 0;
}

/* ---- path_open ---- */

struct opening {
    struct preview1_fd dir; /* as it was before the table grew */
    int flags;              /* of open(2) */
    uint64_t rights, inheriting;
    uint16_t fdflags;
};

static int open_flags(const union cell *v)
{
    uint32_t oflags = v[4].u32;
    uint64_t rights = v[5].u64;
    int flags = !(rights & WRITING & ~RIGHT_OF(FD_DATASYNC)) ? O_RDONLY : rights & READING ? O_RDWR : O_WRONLY;
    flags |= v[1].u32 & LOOKUP_FOLLOW ? 0 : O_NOFOLLOW;
    flags |= oflags & OFLAG_CREAT ? O_CREAT : 0;
    flags |= oflags & OFLAG_DIRECTORY ? O_DIRECTORY : 0;
    flags |= oflags & OFLAG_EXCL ? O_EXCL : 0;
    flags |= oflags & OFLAG_TRUNC ? O_TRUNC : 0;
    return flags;
}

static int take_opening(struct preview1 *p, const union cell *v, struct opening *ret)
{
    uint32_t oflags = v[4].u32;
    uint64_t need = RIGHT_OF(PATH_OPEN) | (oflags & OFLAG_CREAT ? RIGHT_OF(PATH_CREATE_FILE) : 0) |
                    (oflags & OFLAG_TRUNC ? RIGHT_OF(PATH_FILESTAT_SET_SIZE) : 0);
    const uint64_t known = preview1_directory_rights | preview1_file_rights;
    struct preview1_fd *dir;
    int code = preview1_take_dir(p, v[0].u32, need, &dir);
    if (code)
        return code;
    if ((v[1].u32 & ~(uint32_t)LOOKUP_FOLLOW) || (oflags & ~(uint32_t)OFLAGS) || (v[7].u32 & ~(uint32_t)FDFLAGS) ||
        ((oflags & OFLAG_CREAT) && (oflags & OFLAG_DIRECTORY)))
        return -EINVAL;
    if ((v[5].u64 | v[6].u64) & known & ~dir->inheriting)
        return -ENOTCAPABLE;
    *ret = (struct opening){*dir, open_flags(v), v[5].u64 & known, v[6].u64 & known, (uint16_t)v[7].u32};
    return 0;
}

/* The descriptor keeps the rights that apply to what was found. */
static void fill(struct preview1_fd *fd, const struct opening *how, int host, bool directory)
{
    *fd = (struct preview1_fd){
        .kind = directory ? PREVIEW1_DIRECTORY : PREVIEW1_FILE,
        .host = host,
        .listing = -1,
        .writable = how->dir.writable,
        .grant = how->dir.grant,
        .flags = how->fdflags,
        .rights = how->rights & (directory ? preview1_directory_rights : preview1_file_rights),
        .inheriting = directory ? how->inheriting : 0,
    };
}

static bool same_file(int a, int b)
{
    struct stat left, right;
    return fstat(a, &left) == 0 && fstat(b, &right) == 0 && left.st_dev == right.st_dev && left.st_ino == right.st_ino;
}

int preview1_path_open(struct preview1 *p, const union cell *v)
{
    char path[PATH_MAX];
    struct opening how;
    struct preview1_fd *fd;
    uint32_t number;
    mode_t type;
    int code = take_opening(p, v, &how);
    code = code ? code : preview1_take_path(p, v[2].u32, v[3].u32, path);
    if (!code && !preview1_bytes(p, v[8].u32, 4))
        code = -EFAULT;
    code = code ? code : preview1_new_fd(p, &number, &fd);
    if (code)
        return code;
    int host = files_open(preview1_dir(&how.dir), path, how.flags, &type);
    if (host < 0)
        return host;
    fill(fd, &how, host, type == S_IFDIR);
    fd->top = how.dir.top && type == S_IFDIR && same_file(host, how.dir.host);
    return preview1_put_u32(p, v[8].u32, number);
}

/* ---- the others ---- */

int preview1_path_create_directory(struct preview1 *p, const union cell *v)
{
    struct files_dir dir;
    char path[PATH_MAX];
    int code = take_place(p, v[0].u32, RIGHT_OF(PATH_CREATE_DIRECTORY), v[1].u32, v[2].u32, &dir, path);
    return code ? code : files_make_directory(dir, path);
}

int preview1_path_remove_directory(struct preview1 *p, const union cell *v)
{
    struct files_dir dir;
    char path[PATH_MAX];
    int code = take_place(p, v[0].u32, RIGHT_OF(PATH_REMOVE_DIRECTORY), v[1].u32, v[2].u32, &dir, path);
    return code ? code : files_remove_directory(dir, path);
}

int preview1_path_unlink_file(struct preview1 *p, const union cell *v)
{
    struct files_dir dir;
    char path[PATH_MAX];
    int code = take_place(p, v[0].u32, RIGHT_OF(PATH_UNLINK_FILE), v[1].u32, v[2].u32, &dir, path);
    return code ? code : files_unlink(dir, path);
}

int preview1_path_filestat_get(struct preview1 *p, const union cell *v)
{
    struct files_dir dir;
    struct stat status;
    char path[PATH_MAX];
    bool follow;
    int code = take_place(p, v[0].u32, RIGHT_OF(PATH_FILESTAT_GET), v[2].u32, v[3].u32, &dir, path);
    code = code ? code : take_lookup(v[1].u32, &follow);
    code = code ? code : files_stat(dir, path, follow, &status);
    return code ? code : preview1_put_stat(p, v[4].u32, &status);
}

int preview1_path_filestat_set_times(struct preview1 *p, const union cell *v)
{
    struct files_dir dir;
    struct timespec times[2];
    char path[PATH_MAX];
    bool follow;
    int code = take_place(p, v[0].u32, RIGHT_OF(PATH_FILESTAT_SET_TIMES), v[2].u32, v[3].u32, &dir, path);
    code = code ? code : take_lookup(v[1].u32, &follow);
    code = code ? code : preview1_times(v[4].u64, v[5].u64, v[6].u32, times);
    return code ? code : files_set_times(dir, path, follow, times);
}

int preview1_path_readlink(struct preview1 *p, const union cell *v)
{
    struct files_dir dir;
    char path[PATH_MAX];
    uint8_t *at = preview1_bytes(p, v[3].u32, v[4].u32);
    int code = take_place(p, v[0].u32, RIGHT_OF(PATH_READLINK), v[1].u32, v[2].u32, &dir, path);
    if (code)
        return code;
    if (!at || !preview1_bytes(p, v[5].u32, 4))
        return -EFAULT;
    ssize_t size = files_read_link(dir, path, (char *)p->bounce, PREVIEW1_BOUNCE);
    if (size < 0)
        return (int)size;
    uint32_t part = (size_t)size < v[4].u32 ? (uint32_t)size : v[4].u32;
    memcpy(at, p->bounce, part);
    return preview1_put_u32(p, v[5].u32, part);
}

int preview1_path_symlink(struct preview1 *p, const union cell *v)
{
    struct files_dir dir;
    char target[PATH_MAX], path[PATH_MAX];
    int code = take_place(p, v[2].u32, RIGHT_OF(PATH_SYMLINK), v[3].u32, v[4].u32, &dir, path);
    code = code ? code : preview1_take_path(p, v[0].u32, v[1].u32, target);
    return code ? code : files_symlink(dir, target, path);
}

/* A link to what a link names cannot be made in one step, so it is not offered. */
int preview1_path_link(struct preview1 *p, const union cell *v)
{
    struct files_dir from, to;
    char path[PATH_MAX], new_path[PATH_MAX];
    int code = take_place(p, v[0].u32, RIGHT_OF(PATH_LINK_SOURCE), v[2].u32, v[3].u32, &from, path);
    code = code ? code : take_place(p, v[4].u32, RIGHT_OF(PATH_LINK_TARGET), v[5].u32, v[6].u32, &to, new_path);
    if (!code && v[1].u32)
        code = -EINVAL;
    return code ? code : files_link(from, path, to, new_path);
}

int preview1_path_rename(struct preview1 *p, const union cell *v)
{
    struct files_dir from, to;
    char path[PATH_MAX], new_path[PATH_MAX];
    int code = take_place(p, v[0].u32, RIGHT_OF(PATH_RENAME_SOURCE), v[1].u32, v[2].u32, &from, path);
    code = code ? code : take_place(p, v[3].u32, RIGHT_OF(PATH_RENAME_TARGET), v[4].u32, v[5].u32, &to, new_path);
    return code ? code : files_rename(from, path, to, new_path);
}
