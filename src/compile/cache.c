/* See cache.h. */
#include "compile/cache.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/sha256.h"
#include "compile/child.h"
#include "image/format.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_ROOM 100 /* for a file's name and what mkostemp adds */
#define FILES_MAX 100000u
#define SMALL_FILE ((uint64_t)1 << 20)

static void make_directory(char *path)
{
    for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash)
            *slash = '\0';
        if ((mkdir(path, 0700) != 0 && errno != EEXIST) || !slash)
            return;
        *slash = '/';
    }
}

static bool find_folder(char folder[PATH_MAX], struct err *err)
{
    const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int size = base && base[0] == '/'   ? snprintf(folder, PATH_MAX, "%s/mayfly", base)
               : home && home[0] == '/' ? snprintf(folder, PATH_MAX, "%s/.cache/mayfly", home)
                                        : -1;
    if (size < 0 || size >= PATH_MAX - NAME_ROOM)
        return err_set(err, ERR_SYSTEM, "neither XDG_CACHE_HOME nor HOME names a folder for the cache");
    return true;
}

/* The name's folder is there and the user's alone: where others may write, they decide which file has which name. */
static bool is_private(const char *folder)
{
    struct stat status;
    return stat(folder, &status) == 0 && status.st_uid == geteuid() && (status.st_mode & 022) == 0;
}

static void folder_of(const struct cache_name *name, char ret_folder[PATH_MAX])
{
    size_t size = (size_t)(strrchr(name->path, '/') - name->path);
    memcpy(ret_folder, name->path, size);
    ret_folder[size] = '\0';
}

/* Which compiler: of two builds of one version, one may have an error that the other has not. */
static void add_compiler(struct sha256 *hash, enum codegen_tier tier)
{
    char path[PATH_MAX] = "/proc/self/exe"; /* the fast generator is in this program */
    struct stat status;
    if ((tier != TIER_FAST && !compiler_path(path, NULL)) || stat(path, &status) != 0)
        return;
    const uint64_t words[] = {(uint64_t)status.st_size, (uint64_t)status.st_mtim.tv_sec,
                              (uint64_t)status.st_mtim.tv_nsec};
    sha256_add(hash, words, sizeof words);
}

static void start_key(struct sha256 *hash, const struct compile_options *options)
{
    uint8_t engine[32];
    uint64_t word = compile_options_word(options);
    image_engine_id(engine);
    sha256_init(hash);
    sha256_add(hash, engine, sizeof engine);
    sha256_add(hash, &word, sizeof word);
    if (options->host)
        sha256_add(hash, options->host, strlen(options->host) + 1);
    add_compiler(hash, options->tier);
}

/* FOLDER/HASH.ENDING: the folder need not be there. */
static bool make_name(struct sha256 *hash, const char *ending, struct cache_name *ret_name, struct err *err)
{
    uint8_t key[32];
    char folder[PATH_MAX];
    sha256_finish(hash, key);
    if (!find_folder(folder, err))
        return false;
    char *at = stpcpy(ret_name->path, folder);
    *at++ = '/';
    for (int i = 0; i < 32; i++)
        at += snprintf(at, 3, "%02x", key[i]);
    memcpy(at, ending, strlen(ending) + 1);
    return true;
}

bool cache_image(const uint8_t digest[32], const struct compile_options *options, struct cache_name *ret_name,
                 struct err *err)
{
    struct sha256 hash;
    start_key(&hash, options);
    sha256_add(&hash, digest, 32);
    return make_name(&hash, ".image", ret_name, err);
}

bool cache_functions(const char *path, const struct compile_options *options, struct cache_name *ret_name,
                     struct err *err)
{
    struct sha256 hash;
    char whole[PATH_MAX];
    if (!realpath(path, whole))
        return err_errno(err, "cannot resolve %s", path);
    start_key(&hash, options);
    sha256_add(&hash, whole, strlen(whole));
    return make_name(&hash, ".functions", ret_name, err);
}

int cache_open(const struct cache_name *name)
{
    struct stat status;
    char folder[PATH_MAX];
    folder_of(name, folder);
    int fd = is_private(folder) ? open(name->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    if (fd < 0)
        return -1;
    if (fstat(fd, &status) == 0 && status.st_uid == geteuid() && S_ISREG(status.st_mode) &&
        (status.st_mode & 022) == 0) {
        futimens(fd, NULL);
        return fd;
    }
    close(fd);
    return -1;
}

void cache_remove(const struct cache_name *name)
{
    unlink(name->path);
}

static bool copy_mapped(int from, int to, size_t size)
{
    void *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, from, 0);
    bool done = bytes != MAP_FAILED && file_write(to, bytes, size);
    if (bytes != MAP_FAILED)
        munmap(bytes, size);
    return done;
}

static bool copy(int from, int to, off_t size)
{
    off_t at = 0;
    bool done = true;
    while (done && at < size)
        done = copy_file_range(from, &at, to, NULL, (size_t)(size - at), 0) > 0;
    return done || (at == 0 && copy_mapped(from, to, (size_t)size));
}

/* Counting what is there takes longer than to write a small file: one in sixteen small ones is enough. */
static void make_room(uint64_t size, const struct cache_name *name)
{
    const char *slash = strrchr(name->path, '/');
    if (size > SMALL_FILE || slash[1] == '0')
        cache_trim(CACHE_BYTES_MAX - size);
}

/* With `header` the file was made in no time, and who opens it will see if the machine died before it was whole. */
static void store(int fd, const struct image_header *header, const struct cache_name *name)
{
    char aside[PATH_MAX + 16], folder[PATH_MAX];
    struct stat status;
    folder_of(name, folder);
    make_directory(folder);
    if (!is_private(folder) || fstat(fd, &status) != 0 || (uint64_t)status.st_size > CACHE_BYTES_MAX / 2)
        return;
    make_room((uint64_t)status.st_size, name);
    snprintf(aside, sizeof aside, "%s.XXXXXX", name->path);
    int copied = mkostemp(aside, O_CLOEXEC);
    if (copied < 0)
        return;
    bool done = copy(fd, copied, status.st_size) &&
                (header ? pwrite(copied, header, sizeof *header, 0) == (ssize_t)sizeof *header : fsync(copied) == 0) &&
                fchmod(copied, 0400) == 0 && rename(aside, name->path) == 0;
    if (!done)
        unlink(aside);
    close(copied);
}

void cache_store(int fd, const struct cache_name *name)
{
    store(fd, NULL, name);
}

void cache_store_image(int fd, const struct image_header *header, const struct cache_name *name)
{
    store(fd, header, name);
}

/* ---- room ---- */

struct kept_file {
    char name[NAME_ROOM];
    struct timespec used;
    uint64_t size;
};

static int by_use(const void *a, const void *b)
{
    const struct timespec *left = &((const struct kept_file *)a)->used, *right = &((const struct kept_file *)b)->used;
    if (left->tv_sec != right->tv_sec)
        return left->tv_sec < right->tv_sec ? -1 : 1;
    return (left->tv_nsec > right->tv_nsec) - (left->tv_nsec < right->tv_nsec);
}

struct kept_files {
    VEC(struct kept_file) files;
    uint64_t total;
};

static void add_file(struct kept_files *kept, int folder, const char *name)
{
    struct stat status;
    if (strlen(name) >= NAME_ROOM || fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISREG(status.st_mode))
        return;
    struct kept_file *file = VEC_PUSH(&kept->files, FILES_MAX);
    if (!file)
        return;
    memcpy(file->name, name, strlen(name) + 1);
    file->used = status.st_mtim;
    file->size = (uint64_t)status.st_size;
    kept->total += file->size;
}

void cache_trim(uint64_t bytes)
{
    char path[PATH_MAX];
    struct kept_files kept = {0};
    DIR *folder = find_folder(path, NULL) ? opendir(path) : NULL;
    if (!folder)
        return;
    for (const struct dirent *entry; (entry = readdir(folder));)
        add_file(&kept, dirfd(folder), entry->d_name);
    if (kept.total > bytes)
        qsort(kept.files.items, kept.files.count, sizeof *kept.files.items, by_use);
    for (size_t i = 0; kept.total > bytes && i < kept.files.count; i++)
        if (unlinkat(dirfd(folder), kept.files.items[i].name, 0) == 0)
            kept.total -= kept.files.items[i].size;
    closedir(folder);
    VEC_FREE(&kept.files);
}
