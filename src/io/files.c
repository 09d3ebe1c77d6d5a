/* See files.h. Calls that never follow their last component get the directory before it and its name; the others get
 * a descriptor. No path of more than one component ever reaches the kernel but through beneath_open (io/beneath.h). */
#include "io/files.h"

#include "base/str.h"
#include "io/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#define FILE_MODE 0666
#define DIRECTORY_MODE 0777

static int answer(int result)
{
    return result < 0 ? -errno : result;
}

/* All ways out of a directory are one error, which no call on what was found gives. */
static int resolve(struct files_dir dir, const char *path, int flags, mode_t mode)
{
    int fd = beneath_open(dir.fd, path, flags, mode);
    return fd == -EXDEV ? -EPERM : fd;
}

static int close_with(int fd, int code)
{
    close(fd);
    return code;
}

/* Files there are windows into processes, this one included. */
static bool on_procfs(int fd)
{
    struct statfs system;
    return fstatfs(fd, &system) != 0 || system.f_type == PROC_SUPER_MAGIC;
}

bool files_grant(const char *path, bool writable, struct files_dir *ret_dir, struct err *err)
{
    static uint32_t grants;
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "cannot open the directory %s", path);
    if (on_procfs(fd)) {
        close(fd);
        err_set(err, ERR_UNSUPPORTED, "%s shows processes and cannot be granted", path);
        return err_remedy(err, "copy what the guest needs into a directory of its own");
    }
    *ret_dir = (struct files_dir){fd, writable, ++grants};
    return true;
}

int files_take_path(const void *bytes, size_t size, char ret_path[PATH_MAX])
{
    if (size >= PATH_MAX)
        return -ENAMETOOLONG;
    if (memchr(bytes, '\0', size))
        return -EINVAL;
    if (!utf8_valid(bytes, size))
        return -EILSEQ;
    memcpy(ret_path, bytes, size);
    ret_path[size] = '\0';
    return 0;
}

/* ---- opening ---- */

static int type_of(int fd, mode_t *ret_type)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return -errno;
    *ret_type = status.st_mode & S_IFMT;
    return 0;
}

/* What stands at `path` before it is opened: opening a device can already do something. A directory is opened by this
 * (*ret_fd), anything else is not. */
static int look(struct files_dir dir, const char *path, int flags, mode_t *ret_type, int *ret_fd)
{
    int fd = resolve(dir, path, O_PATH | (flags & O_NOFOLLOW), 0);
    if (fd < 0)
        return fd;
    int code = on_procfs(fd) ? -EACCES : type_of(fd, ret_type);
    if (code || *ret_type != S_IFDIR)
        return close_with(fd, code);
    *ret_fd = fd;
    return 0;
}

/* Whether what stands there may be opened like this. */
static int admit(struct files_dir dir, mode_t type, int flags)
{
    bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);
    if ((flags & O_CREAT) && (flags & O_EXCL))
        return -EEXIST;
    if (type == S_IFLNK)
        return -ELOOP;
    if (type == S_IFDIR)
        return writes || (flags & O_CREAT) ? -EISDIR : 0;
    if (flags & O_DIRECTORY)
        return -ENOTDIR;
    if (type != S_IFREG)
        return -ENXIO;
    return writes && !dir.writable ? -EROFS : 0;
}

/* O_NONBLOCK: what was looked at may have been replaced by a pipe since. */
static int open_file(struct files_dir dir, const char *path, int flags, mode_t *ret_type)
{
    int fd = resolve(dir, path, flags | O_NONBLOCK | O_NOCTTY, FILE_MODE);
    if (fd < 0)
        return fd;
    int code = type_of(fd, ret_type);
    if (!code && *ret_type != S_IFREG)
        code = *ret_type == S_IFDIR ? -EISDIR : -ENXIO;
    if (!code && on_procfs(fd))
        code = -EACCES;
    return code ? close_with(fd, code) : fd;
}

int files_open(struct files_dir dir, const char *path, int flags, mode_t *ret_type)
{
    mode_t type = 0;
    int fd = -1;
    flags &= FILES_OPEN_FLAGS;
    int code = look(dir, path, flags, &type, &fd);
    if (code == 0)
        code = admit(dir, type, flags);
    else if (code == -ENOENT && (flags & O_CREAT))
        code = dir.writable ? 0 : -EROFS;
    if (code)
        return fd >= 0 ? close_with(fd, code) : code;
    if (fd < 0)
        return open_file(dir, path, flags & ~(O_DIRECTORY | (dir.writable ? 0 : O_CREAT)), ret_type);
    *ret_type = type;
    return fd;
}

int files_listing(struct files_dir dir)
{
    return answer(openat(dir.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

/* ---- by descriptor ---- */

static int open_path(struct files_dir dir, const char *path, bool follow)
{
    return resolve(dir, path, O_PATH | (follow ? 0 : O_NOFOLLOW), 0);
}

int files_stat(struct files_dir dir, const char *path, bool follow, struct stat *ret_status)
{
    struct stat status;
    int fd = open_path(dir, path, follow);
    if (fd < 0)
        return fd;
    int code = close_with(fd, answer(fstat(fd, &status)));
    if (!code)
        *ret_status = status;
    return code;
}

int files_set_times(struct files_dir dir, const char *path, bool follow, const struct timespec times[2])
{
    int fd = open_path(dir, path, follow);
    if (fd < 0)
        return fd;
    int code = !dir.writable ? -EROFS : on_procfs(fd) ? -EACCES : answer(utimensat(fd, "", times, AT_EMPTY_PATH));
    return close_with(fd, code);
}

ssize_t files_read_link(struct files_dir dir, const char *path, char *bytes, size_t size)
{
    mode_t type;
    int fd = open_path(dir, path, false);
    if (fd < 0)
        return fd;
    int code = type_of(fd, &type);
    if (code || type != S_IFLNK)
        return close_with(fd, code ? code : -EINVAL);
    ssize_t length = readlinkat(fd, "", bytes, size);
    return close_with(fd, 0), length < 0 ? -errno : length;
}

/* ---- by directory and name ---- */

/* Where a name stands: a directory, and one component, which may be "." and may have a slash behind it. The kernel
 * follows neither in the calls below. */
struct place {
    int at;   /* the directory's own descriptor, or `owned` */
    int owned; /* to close, or -1 */
    char name[NAME_MAX + 2];
};

static void place_leave(struct place *place)
{
    if (place->owned >= 0)
        close(place->owned);
}

static int place_at(struct place *place, struct files_dir dir, const char *folder, const char *name, size_t size)
{
    if (size > NAME_MAX + 1)
        return -ENAMETOOLONG;
    place->owned = -1;
    place->at = dir.fd;
    if (folder[0]) {
        place->owned = place->at = resolve(dir, folder, O_PATH | O_DIRECTORY, 0);
        if (place->at < 0)
            return place->at;
    }
    memcpy(place->name, name, size);
    place->name[size] = '\0';
    return 0;
}

static int place_find(struct place *place, struct files_dir dir, const char *path)
{
    char folder[PATH_MAX];
    size_t size = strlen(path), end = size;
    if (size == 0)
        return -ENOENT;
    if (path[0] == '/')
        return -EPERM;
    if (size >= sizeof folder)
        return -ENAMETOOLONG;
    while (path[end - 1] == '/')
        end--;
    size_t start = end;
    while (start > 0 && path[start - 1] != '/')
        start--;
    const char *name = path + start;
    bool dots = name[0] == '.' && (end - start == 1 || (end - start == 2 && name[1] == '.'));
    memcpy(folder, path, size + 1);
    if (dots)
        return place_at(place, dir, folder, ".", 1);
    folder[start] = '\0';
    return place_at(place, dir, folder, name, end - start + (end < size));
}

/* Find the place of a change; a read-only grant still says first what is not there. */
static int place_change(struct place *place, struct files_dir dir, const char *path)
{
    int code = place_find(place, dir, path);
    if (code || dir.writable)
        return code;
    place_leave(place);
    return -EROFS;
}

int files_make_directory(struct files_dir dir, const char *path)
{
    struct place place;
    int code = place_change(&place, dir, path);
    if (code)
        return code;
    code = answer(mkdirat(place.at, place.name, DIRECTORY_MODE));
    place_leave(&place);
    return code;
}

static int remove_name(struct files_dir dir, const char *path, int flags)
{
    struct place place;
    int code = place_change(&place, dir, path);
    if (code)
        return code;
    code = answer(unlinkat(place.at, place.name, flags));
    place_leave(&place);
    return code;
}

int files_remove_directory(struct files_dir dir, const char *path)
{
    return remove_name(dir, path, AT_REMOVEDIR);
}

int files_unlink(struct files_dir dir, const char *path)
{
    return remove_name(dir, path, 0);
}

int files_symlink(struct files_dir dir, const char *target, const char *path)
{
    struct place place;
    if (target[0] == '/')
        return -EPERM;
    int code = place_change(&place, dir, path);
    if (code)
        return code;
    code = answer(symlinkat(target, place.at, place.name));
    place_leave(&place);
    return code;
}

typedef int two_names(int from, const char *name, int to, const char *new_name);

/* Both ends must be writable: a name in a writable directory opens its file for writing. They must be of one grant:
 * programs answer EXDEV by copying, as between two file systems. */
static int change_both(struct files_dir from, const char *path, struct files_dir to, const char *new_path,
                       two_names *change)
{
    struct place old, new;
    int code = place_change(&old, from, path);
    if (code)
        return code;
    code = place_change(&new, to, new_path);
    if (!code) {
        code = from.grant == to.grant ? answer(change(old.at, old.name, new.at, new.name)) : -EXDEV;
        place_leave(&new);
    }
    place_leave(&old);
    return code;
}

static int link_names(int from, const char *name, int to, const char *new_name)
{
    return linkat(from, name, to, new_name, 0);
}

int files_link(struct files_dir from, const char *path, struct files_dir to, const char *new_path)
{
    size_t size = strlen(path);
    if (size && path[size - 1] == '/') { /* the kernel would follow a link before a slash */
        int fd = open_path(from, path, false);
        return fd < 0 ? fd : close_with(fd, -EPERM);
    }
    return change_both(from, path, to, new_path, link_names);
}

int files_rename(struct files_dir from, const char *path, struct files_dir to, const char *new_path)
{
    return change_both(from, path, to, new_path, renameat);
}
