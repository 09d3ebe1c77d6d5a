/* See beneath.h. The walk keeps the names it went through, so that `..` is the names but the last, walked again: a
 * directory that is renamed meanwhile makes it fail, never leave. */
#include "io/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KERNEL_TRIES 32 /* a rename elsewhere while `..` is resolved makes the kernel give up: EAGAIN */
#define O_STEP (O_PATH | O_NOFOLLOW | O_CLOEXEC)

int beneath_open_by_kernel(int directory, const char *path, int flags, mode_t mode)
{
    const struct open_how how = {
        .flags = (uint64_t)(flags | O_CLOEXEC),
        .mode = flags & O_CREAT ? mode : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    long fd = -1;
    int tries = 0;
    do
        fd = syscall(SYS_openat2, directory, path, &how, sizeof how);
    while (fd < 0 && (errno == EAGAIN || errno == EINTR) && ++tries < KERNEL_TRIES);
    return fd < 0 ? -errno : (int)fd;
}

struct walk {
    int root, at;                    /* `at` is `root`, or ours to close */
    int links;                       /* symbolic links met */
    size_t done_size;                /* of `done`: "/a/b" while at root/a/b */
    char done[PATH_MAX], left[PATH_MAX]; /* what was walked: directories; what is to be walked */
    char *next;                      /* in left */
};

static void walk_to(struct walk *walk, int fd)
{
    if (walk->at != walk->root)
        close(walk->at);
    walk->at = fd;
}

static int step(int at, const char *name)
{
    int fd = openat(at, name, O_STEP);
    return fd < 0 ? -errno : fd;
}

/* One directory down; `fd` is of it. */
static int walk_down(struct walk *walk, const char *name, int fd)
{
    size_t size = strlen(name);
    if (walk->done_size + size + 2 > sizeof walk->done) {
        close(fd);
        return -ENAMETOOLONG;
    }
    walk->done[walk->done_size++] = '/';
    memcpy(walk->done + walk->done_size, name, size + 1);
    walk->done_size += size;
    walk_to(walk, fd);
    return 0;
}

/* From the root again, down all names but the last. */
static int walk_up(struct walk *walk)
{
    char name[NAME_MAX + 1];
    if (walk->done_size == 0)
        return -EXDEV;
    *strrchr(walk->done, '/') = '\0';
    walk->done_size = strlen(walk->done);
    walk_to(walk, walk->root);
    for (const char *at = walk->done; *at;) {
        size_t size = strcspn(++at, "/");
        memcpy(name, at, size);
        name[size] = '\0';
        at += size;
        int fd = openat(walk->at, name, O_STEP | O_DIRECTORY);
        if (fd < 0)
            return -errno;
        walk_to(walk, fd);
    }
    return 0;
}

/* Put the target of the symbolic link `fd` before what is left; closes it. */
static int walk_link(struct walk *walk, int fd)
{
    char target[PATH_MAX];
    size_t rest = strlen(walk->next);
    ssize_t size = readlinkat(fd, "", target, sizeof target);
    int code = size < 0 ? -errno : size == 0 ? -ENOENT : 0;
    close(fd);
    if (code)
        return code;
    if (++walk->links > BENEATH_LINKS_MAX)
        return -ELOOP;
    if (target[0] == '/')
        return -EXDEV;
    if ((size_t)size + rest >= sizeof walk->left)
        return -ENAMETOOLONG;
    memmove(walk->left + size, walk->next, rest + 1);
    memcpy(walk->left, target, (size_t)size);
    walk->next = walk->left;
    return 0;
}

/* A component that has to be a directory. */
static int walk_through(struct walk *walk, const char *name)
{
    struct stat status = {0};
    int fd = step(walk->at, name);
    if (fd < 0)
        return fd;
    if (fstat(fd, &status) == 0 && S_ISDIR(status.st_mode))
        return walk_down(walk, name, fd);
    if (S_ISLNK(status.st_mode))
        return walk_link(walk, fd);
    close(fd);
    return -ENOTDIR;
}

static int open_last(const struct walk *walk, const char *name, int flags, mode_t mode)
{
    int fd = openat(walk->at, name, flags | O_NOFOLLOW | O_CLOEXEC, flags & O_CREAT ? mode : 0);
    return fd < 0 ? -errno : fd;
}

/* The path ended in a slash or a dot: the directory that was reached. */
static int open_here(const struct walk *walk, int flags, mode_t mode)
{
    if (flags & O_CREAT)
        return -EISDIR;
    if (!(flags & O_PATH))
        return open_last(walk, ".", flags, mode);
    int fd = fcntl(walk->at, F_DUPFD_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

/* The last component, no slash behind it. *ret_again: it was a link, and there is more to walk. */
static int walk_last(struct walk *walk, const char *name, int flags, mode_t mode, bool *ret_again)
{
    struct stat status;
    if ((flags & O_NOFOLLOW) || (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
        return open_last(walk, name, flags, mode);
    int fd = step(walk->at, name);
    if (fd >= 0 && fstat(fd, &status) == 0 && S_ISLNK(status.st_mode)) {
        *ret_again = true;
        return walk_link(walk, fd);
    }
    if (fd >= 0)
        close(fd);
    if (fd < 0 && !(fd == -ENOENT && (flags & O_CREAT)))
        return fd;
    return open_last(walk, name, flags, mode);
}

/* Take the next component; empty at the end. *ret_last: nothing but slashes follows; *ret_slash: and there is one. */
static int take_name(struct walk *walk, char name[NAME_MAX + 1], bool *ret_last, bool *ret_slash)
{
    walk->next += strspn(walk->next, "/");
    size_t size = strcspn(walk->next, "/");
    if (size > NAME_MAX)
        return -ENAMETOOLONG;
    memcpy(name, walk->next, size);
    name[size] = '\0';
    walk->next += size;
    *ret_slash = *walk->next == '/';
    *ret_last = walk->next[strspn(walk->next, "/")] == '\0';
    return 0;
}

static int walk_path(struct walk *walk, int flags, mode_t mode)
{
    char name[NAME_MAX + 1];
    for (;;) {
        bool last, slash, again = false;
        int code = take_name(walk, name, &last, &slash);
        if (code)
            return code;
        if (!name[0])
            return open_here(walk, flags, mode);
        if (strcmp(name, "..") == 0) {
            code = walk_up(walk);
        } else if (strcmp(name, ".") != 0) {
            if (last && !slash)
                code = walk_last(walk, name, flags, mode, &again);
            else if (last && (flags & O_CREAT))
                code = -EISDIR;
            else
                code = walk_through(walk, name);
            if (last && !slash && !again)
                return code;
        }
        if (code)
            return code;
    }
}

int beneath_open_by_walk(int directory, const char *path, int flags, mode_t mode)
{
    struct walk walk = {.root = directory, .at = directory};
    size_t size = strlen(path);
    if (size == 0)
        return -ENOENT;
    if (path[0] == '/')
        return -EXDEV;
    if (size >= sizeof walk.left)
        return -ENAMETOOLONG;
    memcpy(walk.left, path, size + 1);
    walk.next = walk.left;
    int code = walk_path(&walk, flags, mode);
    walk_to(&walk, walk.root);
    return code;
}

#ifdef MAYFLY_WALK
static const bool kernel_has_it = false; /* a test build: the same programs without the call */
#else
/* Asked once: by a question that only a kernel with the call answers. */
static bool ask_kernel(void)
{
    int fd = beneath_open_by_kernel(AT_FDCWD, ".", O_PATH | O_DIRECTORY, 0);
    if (fd >= 0)
        close(fd);
    return fd != -ENOSYS && fd != -EPERM && fd != -EINVAL && fd != -E2BIG;
}
#endif

int beneath_open(int directory, const char *path, int flags, mode_t mode)
{
#ifndef MAYFLY_WALK
    static enum { UNKNOWN, NO, YES } asked;
    if (asked == UNKNOWN)
        asked = ask_kernel() ? YES : NO;
    const bool kernel_has_it = asked == YES;
#endif
    int fd = kernel_has_it ? beneath_open_by_kernel(directory, path, flags, mode) : -EAGAIN;
    return fd == -EAGAIN ? beneath_open_by_walk(directory, path, flags, mode) : fd;
}
