/* What a guest can reach through the directories it was granted, and what it can change: nothing else, by any path,
 * link, rename or race. Built twice: with the kernel's resolver and with the walk (MAYFLY_WALK). */
#include "io/beneath.h"
#include "io/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/* top/{jail,other,outside,secret}; jail and other are granted. */
static char top[64];
static struct files_dir jail, other, fixed; /* fixed: jail, to read only */

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void make_links(void)
{
    char absolute[128];
    static const char *const links[][2] = {
        {"..", "jail/up"},
        {"../..", "jail/a/upup"},
        {"../../..", "jail/a/out"},
        {"a/../../secret", "jail/to_secret"},
        {"a/b", "jail/in"},
        {"../a/./b/c", "jail/a/round"},
        {"loop", "jail/loop"},
        {"chain2", "jail/chain1"},
        {"a/../chain3", "jail/chain2"},
        {"up/secret", "jail/chain3"},
        {"absent", "jail/dangling"},
        {"../../a/b/", "jail/a/b/slash"},
        {"/proc/self/root", "jail/root"},
    };
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        assert_int_equal(symlink(links[i][0], links[i][1]), 0);
    snprintf(absolute, sizeof absolute, "%s/secret", top);
    assert_int_equal(symlink(absolute, "jail/absolute"), 0);
    snprintf(absolute, sizeof absolute, "%s/jail/f", top);
    assert_int_equal(symlink(absolute, "jail/absolute_inside"), 0);
}

static int make_farm(void **state)
{
    struct err err;
    snprintf(top, sizeof top, "/tmp/sandbox-XXXXXX");
    assert_non_null(mkdtemp(top));
    assert_int_equal(chdir(top), 0);
    static const char *const folders[] = {"jail",  "jail/a",  "jail/a/b",  "jail/a/b/c",
                                          "other", "outside", "outside/b", "outside/b/c"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        assert_int_equal(mkdir(folders[i], 0755), 0);
    static const char *const files[] = {"jail/f", "jail/a/f", "jail/a/b/f", "jail/a/b/c/f", "other/f"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        write_file(files[i], "inside");
    static const char *const secrets[] = {"secret", "f", "outside/f", "outside/secret", "outside/b/f", "outside/b/c/f"};
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++)
        write_file(secrets[i], "SECRET");
    make_links();
    assert_true(files_grant("jail", true, &jail, &err));
    assert_true(files_grant("jail", false, &fixed, &err));
    assert_true(files_grant("other", true, &other, &err));
    return 0;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
    return remove(path);
}

static int remove_farm(void **state)
{
    close(jail.fd);
    close(fixed.fd);
    close(other.fd);
    assert_int_equal(chdir("/"), 0);
    return nftw(top, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- every path ---- */

#define INODES_MAX 64
static ino_t inodes[INODES_MAX];
static size_t inode_count;

static int note_inode(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
    assert_true(inode_count < INODES_MAX);
    inodes[inode_count++] = status->st_ino;
    return 0;
}

/* The inode that was opened, or the error; closes. */
static long outcome(int fd)
{
    struct stat status;
    if (fd < 0)
        return fd;
    assert_int_equal(fstat(fd, &status), 0);
    close(fd);
    return (long)status.st_ino;
}

static void check_path(const char *path, int flags)
{
    long walk = outcome(beneath_open_by_walk(jail.fd, path, flags, 0));
    long kernel = outcome(beneath_open_by_kernel(jail.fd, path, flags, 0));
    bool inside = walk < 0;
    for (size_t i = 0; i < inode_count && !inside; i++)
        inside = inodes[i] == (ino_t)walk;
    if (!inside)
        fail_msg("%s leads out", path);
    if (kernel != -ENOSYS && kernel != -EPERM && kernel != walk)
        fail_msg("%s: the kernel gives %ld, the walk %ld (flags %x)", path, kernel, walk, (unsigned)flags);
}

static const char *const names[] = {".",  "..",   "a",      "b",        "c",     "f",        "up",        "upup", "out",
                                    "in", "loop", "chain1", "absolute", "slash", "dangling", "to_secret", "round"};
#define NAMES (sizeof names / sizeof *names)

/* The path of `length` components that `number` spells. */
static void spell(char *path, size_t size, size_t number, int length)
{
    size_t at = 0;
    for (int i = 0; i < length; i++, number /= NAMES)
        at += (size_t)snprintf(path + at, size - at, "%s%s", i ? "/" : "", names[number % NAMES]);
}

/* All paths of up to three components and some of four, with and without a slash: both resolvers agree, none leaves. */
static void no_path_leads_out(void **state)
{
    char path[128];
    size_t count = 1;
    size_t stride = getenv("MAYFLY_TEST_FULL") ? 1 : 13;
    inode_count = 0;
    assert_int_equal(nftw("jail", note_inode, 16, FTW_PHYS), 0);
    for (int length = 1; length <= 4; length++) {
        count *= NAMES;
        for (size_t number = 0; number < count; number += length < 4 ? 1 : stride) {
            spell(path, sizeof path, number, length);
            check_path(path, O_PATH);
            check_path(path, O_PATH | O_NOFOLLOW);
            check_path(path, O_RDONLY | O_NONBLOCK);
            strcat(path, "/");
            check_path(path, O_PATH | O_NOFOLLOW);
        }
    }
}

static int open_read(struct files_dir dir, const char *path)
{
    mode_t type;
    return files_open(dir, path, O_RDONLY, &type);
}

static void expect_open(struct files_dir dir, const char *path, int code)
{
    int fd = open_read(dir, path);
    if (fd >= 0)
        close(fd);
    if (code ? fd != code : fd < 0)
        fail_msg("%s gives %d, not %d", path, fd, code);
}

static void well_known_ways_out_are_refused(void **state)
{
    char long_path[PATH_MAX + 16], absolute[128];
    expect_open(jail, "a/b/c/../../../f", 0);
    expect_open(jail, "in/c/../f", 0);
    expect_open(jail, "a/round/f", 0);
    static const char *const ways[] = {"..",           "../secret",       "a/../../secret",  "up",     "up/secret",
                                       "a/out/secret", "absolute",        "absolute_inside", "chain1", "to_secret",
                                       "/etc/passwd",  "root/etc/passwd", "up/jail/f"};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        expect_open(jail, ways[i], -EPERM);
    snprintf(absolute, sizeof absolute, "%s/jail/f", top);
    expect_open(jail, absolute, -EPERM);
    expect_open(jail, "loop", -ELOOP);
    expect_open(jail, "", -ENOENT);
    expect_open(jail, "dangling", -ENOENT);
    expect_open(jail, "f/", -ENOTDIR);
    expect_open(jail, "f/..", -ENOTDIR);
    memset(long_path, 'x', sizeof long_path);
    long_path[sizeof long_path - 1] = '\0';
    expect_open(jail, long_path, -ENAMETOOLONG);
    long_path[300] = '\0';
    expect_open(jail, long_path, -ENAMETOOLONG);
}

/* ".." many times, and a path as deep as they come. */
static void chains_are_bounded(void **state)
{
    char path[PATH_MAX];
    size_t at = 0;
    while (at + 8 < sizeof path)
        at += (size_t)snprintf(path + at, sizeof path - at, "a/../");
    strcat(path, "f");
    expect_open(jail, path, 0);
    path[0] = '\0';
    for (at = 0; at + 8 < sizeof path; at += 3)
        strcat(path, "../");
    expect_open(jail, path, -EPERM);
    for (int i = 0; i < BENEATH_LINKS_MAX + 2; i++) {
        char link[32], target[32];
        snprintf(link, sizeof link, "jail/farm%d", i);
        snprintf(target, sizeof target, i ? "farm%d" : "f", i - 1);
        assert_int_equal(symlink(target, link), 0);
    }
    expect_open(jail, "farm39", 0);
    expect_open(jail, "farm40", -ELOOP);
}

/* ---- what is opened ---- */

static void only_files_and_directories_open(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "jail/socket"};
    mode_t type;
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(mkfifo("jail/pipe", 0666), 0);
    expect_open(jail, "pipe", -ENXIO);
    expect_open(jail, "socket", -ENXIO);
    assert_int_equal(files_open(jail, "pipe", O_WRONLY, &type), -ENXIO);
    assert_int_equal(files_open(jail, "pipe", O_RDWR | O_CREAT, &type), -ENXIO);
    assert_int_equal(files_open(jail, "a", O_RDWR, &type), -EISDIR);
    assert_int_equal(files_open(jail, "a", O_RDONLY | O_CREAT, &type), -EISDIR);
    assert_int_equal(files_open(jail, "f", O_RDONLY | O_DIRECTORY, &type), -ENOTDIR);
    assert_int_equal(files_open(jail, "in", O_RDONLY | O_NOFOLLOW, &type), -ELOOP);
    assert_int_equal(files_open(jail, "f", O_RDWR | O_CREAT | O_EXCL, &type), -EEXIST);
    if (mknod("jail/device", S_IFCHR | 0666, makedev(1, 3)) == 0)
        expect_open(jail, "device", -ENXIO);
    close(listener);
}

/* A file of procfs may be this process's memory. */
static void processes_are_not_files(void **state)
{
    struct files_dir root, proc;
    struct err err = {0};
    mode_t type;
    assert_false(files_grant("/proc", false, &proc, &err));
    assert_non_null(strstr(err.message, "/proc"));
    assert_false(files_grant("/proc/self/fd", true, &proc, &err));
    assert_true(files_grant("/", true, &root, &err));
    expect_open(root, "proc/self/mem", -EACCES);
    expect_open(root, "proc/self/maps", -EACCES);
    expect_open(root, "proc/version", -EACCES);
    expect_open(root, "proc", -EACCES);
    expect_open(root, "dev/null", -ENXIO);
    assert_int_equal(files_open(root, "proc/self/mem", O_RDWR, &type), -EACCES);
    assert_true(open_read(root, "proc/self/root/etc/passwd") < 0);
    assert_true(open_read(root, "proc/self/fd/0") < 0);
    close(root.fd);
}

/* ---- changes ---- */

static const struct timespec long_ago[2] = {{1, 0}, {1, 0}};

static void what_is_read_only_stays(void **state)
{
    struct stat before, after;
    mode_t type;
    char text[8];
    assert_int_equal(stat("jail/f", &before), 0);
    expect_open(fixed, "f", 0);
    expect_open(fixed, "a", 0);
    static const int ways[] = {O_WRONLY, O_RDWR, O_RDONLY | O_TRUNC, O_WRONLY | O_CREAT};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        assert_int_equal(files_open(fixed, "f", ways[i], &type), -EROFS);
    assert_int_equal(files_open(fixed, "new", O_RDONLY | O_CREAT, &type), -EROFS);
    assert_int_equal(files_open(fixed, "dangling", O_RDONLY | O_CREAT, &type), -EROFS);
    assert_int_equal(files_make_directory(fixed, "new"), -EROFS);
    assert_int_equal(files_remove_directory(fixed, "a/b/c"), -EROFS);
    assert_int_equal(files_unlink(fixed, "f"), -EROFS);
    assert_int_equal(files_symlink(fixed, "f", "new"), -EROFS);
    assert_int_equal(files_link(fixed, "f", fixed, "new"), -EROFS);
    assert_int_equal(files_rename(fixed, "f", fixed, "new"), -EROFS);
    assert_int_equal(files_set_times(fixed, "f", true, long_ago), -EROFS);
    assert_int_equal(files_set_times(fixed, "a", false, long_ago), -EROFS);
    assert_int_equal(files_read_link(fixed, "in", text, sizeof text), 3);
    assert_int_equal(stat("jail/f", &after), 0);
    assert_memory_equal(&before.st_mtim, &after.st_mtim, sizeof before.st_mtim);
    assert_int_equal(before.st_nlink, after.st_nlink);
    assert_int_not_equal(access("jail/new", F_OK), 0);
    assert_int_not_equal(access("jail/absent", F_OK), 0);
}

static void nothing_is_carried_between_grants(void **state)
{
    assert_int_equal(files_link(fixed, "f", other, "stolen"), -EROFS);
    assert_int_equal(files_rename(fixed, "f", other, "stolen"), -EROFS);
    assert_int_equal(files_link(other, "f", fixed, "planted"), -EROFS);
    assert_int_equal(files_rename(other, "f", fixed, "planted"), -EROFS);
    assert_int_equal(files_rename(fixed, "a", other, "stolen"), -EROFS);
    assert_int_equal(files_rename(other, "f", fixed, "f"), -EROFS);
    assert_int_not_equal(access("other/stolen", F_OK), 0);
    assert_int_not_equal(access("jail/planted", F_OK), 0);
    assert_int_equal(files_link(jail, "f", other, "shared"), -EXDEV);
    assert_int_equal(files_rename(jail, "f", other, "f"), -EXDEV);
    assert_int_equal(files_rename(other, "f", jail, "absent"), -EXDEV);
    assert_int_equal(files_rename(jail, "a", other, "a"), -EXDEV);
    assert_int_equal(files_link(jail, "a/f", jail, "shared"), 0);
    assert_int_equal(files_rename(jail, "shared", jail, "a/shared"), 0);
    assert_int_equal(access("jail/a/shared", F_OK), 0);
}

/* A link is a link, to whom it was given or made: its target decides nothing. */
static void links_carry_nothing_out(void **state)
{
    struct stat status;
    char text[64];
    assert_int_equal(files_symlink(jail, "/etc/passwd", "new"), -EPERM);
    assert_int_equal(files_symlink(jail, "../secret", "climb"), 0);
    expect_open(jail, "climb", -EPERM);
    assert_int_equal(files_link(jail, "climb", jail, "climb2"), 0);
    expect_open(jail, "climb2", -EPERM);
    assert_int_equal(files_stat(jail, "climb2", false, &status), 0);
    assert_true(S_ISLNK(status.st_mode));
    assert_int_equal(files_stat(jail, "climb2", true, &status), -EPERM);
    assert_int_equal(files_set_times(jail, "climb2", true, long_ago), -EPERM);
    assert_int_equal(files_read_link(jail, "climb", text, sizeof text), 9);
    static const char *const sources[] = {"../secret", "up/secret", "absolute/x", "to_secret/", "up/"};
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        assert_true(files_link(jail, sources[i], jail, "new") < 0);
        assert_true(files_rename(jail, sources[i], jail, "new") < 0);
        assert_true(files_rename(jail, "f", jail, sources[i]) < 0);
        assert_true(files_link(jail, "f", jail, sources[i]) < 0);
        assert_true(files_unlink(jail, sources[i]) < 0);
        assert_true(files_make_directory(jail, sources[i]) < 0);
        assert_true(files_remove_directory(jail, sources[i]) < 0);
        assert_true(files_symlink(jail, "f", sources[i]) < 0);
    }
    assert_int_equal(access("secret", F_OK), 0);
    assert_int_equal(access("jail/up", F_OK), 0);
    assert_int_equal(access("jail/f", F_OK), 0);
}

static void special_names_change_nothing(void **state)
{
    static const char *const names[] = {".", "..", "a/.", "a/..", "a/../..", "./", "a/b/..", "../jail", "/"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_true(files_make_directory(jail, names[i]) < 0);
        assert_true(files_remove_directory(jail, names[i]) < 0);
        assert_true(files_unlink(jail, names[i]) < 0);
        assert_true(files_rename(jail, names[i], jail, "new") < 0);
        assert_true(files_rename(jail, "a", jail, names[i]) < 0);
        assert_true(files_symlink(jail, "f", names[i]) < 0);
        assert_true(files_link(jail, names[i], jail, "new") < 0);
    }
    assert_int_equal(access("jail/a/b/c/f", F_OK), 0);
}

static void what_is_granted_works(void **state)
{
    struct stat status;
    mode_t type;
    assert_int_equal(files_make_directory(jail, "inner/"), 0);
    int fd = files_open(jail, "inner/file", O_RDWR | O_CREAT | O_EXCL, &type);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "text", 4), 4);
    close(fd);
    assert_int_equal(files_symlink(jail, "file", "inner/link"), 0);
    assert_int_equal(files_stat(jail, "inner/link", true, &status), 0);
    assert_int_equal(status.st_size, 4);
    assert_int_equal(files_set_times(jail, "inner/link", true, long_ago), 0);
    assert_int_equal(files_stat(jail, "inner/file", false, &status), 0);
    assert_int_equal(status.st_mtim.tv_sec, 1);
    fd = files_open(jail, "inner/link", O_WRONLY | O_TRUNC, &type);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(files_stat(jail, "inner/file", false, &status), 0);
    assert_int_equal(status.st_size, 0);
    assert_int_equal(files_symlink(jail, "made", "inner/dangling"), 0);
    fd = files_open(jail, "inner/dangling", O_WRONLY | O_CREAT, &type);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(access("jail/inner/made", F_OK), 0);
    assert_int_equal(files_rename(jail, "inner/made", jail, "inner/renamed"), 0);
    assert_int_equal(files_unlink(jail, "inner/renamed"), 0);
    assert_int_equal(files_unlink(jail, "inner/dangling"), 0);
    assert_int_equal(files_unlink(jail, "inner/link"), 0);
    assert_int_equal(files_remove_directory(jail, "inner"), -ENOTEMPTY);
    assert_int_equal(files_unlink(jail, "inner/file"), 0);
    assert_int_equal(files_remove_directory(jail, "inner/"), 0);
}

/* ---- races ---- */

static _Atomic bool racing;

/* A name that is now a directory, now a link out; a directory that is now inside, now outside. */
static void *swap(void *arg)
{
    while (atomic_load(&racing)) {
        renameat2(AT_FDCWD, "jail/swap", AT_FDCWD, "jail/swap_link", RENAME_EXCHANGE);
        rename("jail/a/b/move", "outside/move");
        rename("outside/move", "jail/a/b/move");
    }
    return NULL;
}

static void expect_inside(int fd, const char *path)
{
    char text[6];
    if (fd < 0)
        return;
    assert_int_equal(read(fd, text, sizeof text), sizeof text);
    close(fd);
    if (memcmp(text, "inside", 6) != 0)
        fail_msg("%s was read from outside", path);
}

/* Whoever renames: what is opened, made and removed lies inside. */
static void races_lead_nowhere(void **state)
{
    static const char *const paths[] = {"swap/f", "swap/../f", "a/b/move/deep/../../f", "a/b/move/deep/../../../../f",
                                        "swap_link/b/c/../f"};
    pthread_t thread;
    mode_t type;
    assert_int_equal(mkdir("jail/swap", 0755), 0);
    assert_int_equal(mkdir("jail/swap/b", 0755), 0);
    assert_int_equal(mkdir("jail/swap/b/c", 0755), 0);
    write_file("jail/swap/f", "inside");
    write_file("jail/swap/b/f", "inside");
    assert_int_equal(symlink("../outside", "jail/swap_link"), 0);
    assert_int_equal(mkdir("jail/a/b/move", 0755), 0);
    assert_int_equal(mkdir("jail/a/b/move/deep", 0755), 0);
    atomic_store(&racing, true);
    assert_int_equal(pthread_create(&thread, NULL, swap, NULL), 0);
    int opened = 0;
    for (int i = 0; i < 20000; i++) {
        const char *path = paths[(size_t)i % (sizeof paths / sizeof *paths)];
        int fd = open_read(jail, path);
        opened += fd >= 0;
        expect_inside(fd, path);
        if (i % 4 == 0) {
            fd = files_open(jail, "swap/made", O_RDWR | O_CREAT, &type);
            if (fd >= 0)
                close(fd);
            files_make_directory(jail, "swap/dir");
            files_unlink(jail, "swap/secret");
            files_remove_directory(jail, "swap/b");
            files_make_directory(jail, "swap/b");
        }
    }
    atomic_store(&racing, false);
    pthread_join(thread, NULL);
    assert_true(opened > 0);
    assert_int_not_equal(access("outside/made", F_OK), 0);
    assert_int_not_equal(access("outside/dir", F_OK), 0);
    assert_int_equal(access("outside/secret", F_OK), 0);
    assert_int_equal(access("outside/b/c/f", F_OK), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_farm, remove_farm)
    const struct CMUnitTest tests[] = {
        TEST(no_path_leads_out),
        TEST(well_known_ways_out_are_refused),
        TEST(chains_are_bounded),
        TEST(only_files_and_directories_open),
        TEST(processes_are_not_files),
        TEST(what_is_read_only_stays),
        TEST(nothing_is_carried_between_grants),
        TEST(links_carry_nothing_out),
        TEST(special_names_change_nothing),
        TEST(what_is_granted_works),
        TEST(races_lead_nowhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
