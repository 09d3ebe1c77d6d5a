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
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NAME_ROOM 100 /* for a file's name and what mkostemp adds */
#define FILES_MAX 100000u
#define SMALL_FILE ((uint64_t)1 << 20)

static char chosen[PATH_MAX]; /* the folder, or empty */
static bool disabled;         /* for what is compiled */

bool cache_choose(const char *folder, struct err *err)
{
    char here[PATH_MAX] = "";
    if (folder[0] != '/' && !getcwd(here, sizeof here))
        return err_errno(err, "getcwd");
    int size = snprintf(chosen, sizeof chosen, "%s%s%s", here, here[0] ? "/" : "", folder);
    if (folder[0] && size < PATH_MAX - NAME_ROOM)
        return true;
    chosen[0] = '\0';
    return err_set(err, ERR_USAGE, "--cache-dir: a path that is empty or too long");
}

void cache_disable(void)
{
    disabled = true;
}

static bool is_enabled(struct err *err)
{
    return !disabled || err_set(err, ERR_USAGE, "the cache is disabled");
}

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
    int size = chosen[0]                ? snprintf(folder, PATH_MAX, "%s", chosen)
               : base && base[0] == '/' ? snprintf(folder, PATH_MAX, "%s/mayfly", base)
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
static bool make_name(const uint8_t key[32], const char *ending, struct cache_name *ret_name, struct err *err)
{
    char folder[PATH_MAX];
    if (!find_folder(folder, err))
        return false;
    char *at = stpcpy(ret_name->path, folder);
    *at++ = '/';
    for (int i = 0; i < 32; i++)
        at += snprintf(at, 3, "%02x", key[i]);
    memcpy(at, ending, strlen(ending) + 1);
    return true;
}

static bool finish_name(struct sha256 *hash, const char *ending, struct cache_name *ret_name, struct err *err)
{
    uint8_t key[32];
    sha256_finish(hash, key);
    return make_name(key, ending, ret_name, err);
}

bool cache_source(const uint8_t digest[32], struct cache_name *ret_name, struct err *err)
{
    return make_name(digest, ".wasm", ret_name, err);
}

bool cache_note(const uint8_t digest[32], struct cache_name *ret_name, struct err *err)
{
    return make_name(digest, ".note", ret_name, err);
}

bool cache_image_key(const uint8_t digest[32], const struct compile_options *options, struct cache_key *ret_key,
                     struct err *err)
{
    struct sha256 hash;
    if (!is_enabled(err))
        return false;
    start_key(&hash, options);
    sha256_add(&hash, digest, 32);
    sha256_finish(&hash, ret_key->bytes);
    return true;
}

bool cache_image_of(const struct cache_key *key, struct cache_name *ret_name, struct err *err)
{
    return make_name(key->bytes, ".image", ret_name, err);
}

bool cache_image(const uint8_t digest[32], const struct compile_options *options, struct cache_name *ret_name,
                 struct err *err)
{
    struct cache_key key;
    return cache_image_key(digest, options, &key, err) && cache_image_of(&key, ret_name, err);
}

bool cache_functions(const char *path, const struct compile_options *options, struct cache_name *ret_name,
                     struct err *err)
{
    struct sha256 hash;
    char whole[PATH_MAX];
    if (!is_enabled(err))
        return false;
    if (!realpath(path, whole))
        return err_errno(err, "cannot resolve %s", path);
    start_key(&hash, options);
    sha256_add(&hash, whole, strlen(whole));
    return finish_name(&hash, ".functions", ret_name, err);
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

/* A new file beside that name, writable; -1: there can be none. */
static int open_aside(const struct cache_name *name, char ret_aside[PATH_MAX + 16])
{
    char folder[PATH_MAX];
    folder_of(name, folder);
    make_directory(folder);
    if (!is_private(folder))
        return -1;
    snprintf(ret_aside, PATH_MAX + 16, "%s.XXXXXX", name->path);
    return mkostemp(ret_aside, O_CLOEXEC);
}

/* It gets its name, if it is as it should be. */
static void close_aside(int fd, const char *aside, bool done, const struct cache_name *name)
{
    if (!done || fchmod(fd, 0400) != 0 || rename(aside, name->path) != 0)
        unlink(aside);
    close(fd);
}

/* With `header` the file was made in no time, and who opens it will see if the machine died before it was whole. */
static void store(int fd, const struct image_header *header, const struct cache_name *name)
{
    char aside[PATH_MAX + 16];
    struct stat status;
    if (fstat(fd, &status) != 0 || (uint64_t)status.st_size > CACHE_BYTES_MAX / 2)
        return;
    make_room((uint64_t)status.st_size, name);
    int copied = open_aside(name, aside);
    if (copied < 0)
        return;
    bool done = copy(fd, copied, status.st_size) &&
                (header ? pwrite(copied, header, sizeof *header, 0) == (ssize_t)sizeof *header : fsync(copied) == 0);
    close_aside(copied, aside, done, name);
}

void cache_store(int fd, const struct cache_name *name)
{
    store(fd, NULL, name);
}

void cache_store_image(int fd, const struct image_header *header, const struct cache_name *name)
{
    store(fd, header, name);
}

/* ---- what was hashed ----
 *
 * Hashing a large file takes longer than loading its image. So it is remembered what a file was hashed to, with what
 * the file system says of it: where it is, its size, and when it changed last, which no program can set. */

#define SETTLED_S 4 /* file systems keep times as coarse as two seconds; what changed longer ago shows a change */

struct hashed_file {
    uint64_t device, inode, size;
    int64_t changed_s, changed_ns, modified_s, modified_ns;
    uint8_t digest[32];
    uint8_t check[32]; /* of what is above: the machine may have died before all was written */
};

static struct hashed_file hashed_as(const struct stat *status)
{
    return (struct hashed_file){.device = status->st_dev,
                                .inode = status->st_ino,
                                .size = (uint64_t)status->st_size,
                                .changed_s = status->st_ctim.tv_sec,
                                .changed_ns = status->st_ctim.tv_nsec,
                                .modified_s = status->st_mtim.tv_sec,
                                .modified_ns = status->st_mtim.tv_nsec};
}

static bool name_hashed(const char *path, struct cache_name *ret_name)
{
    struct sha256 hash;
    char whole[PATH_MAX];
    static const char kind[] = "hashed";
    if (disabled || !realpath(path, whole))
        return false;
    sha256_init(&hash);
    sha256_add(&hash, kind, sizeof kind);
    sha256_add(&hash, whole, strlen(whole));
    return finish_name(&hash, ".hashed", ret_name, NULL);
}

bool cache_recall(const char *path, const struct stat *status, uint8_t ret_digest[32])
{
    struct cache_name name;
    struct hashed_file file, is = hashed_as(status);
    uint8_t check[32];
    int fd = name_hashed(path, &name) ? cache_open(&name) : -1;
    if (fd < 0)
        return false;
    bool whole = read(fd, &file, sizeof file) == (ssize_t)sizeof file;
    close(fd);
    if (!whole)
        return false;
    sha256(&file, offsetof(struct hashed_file, check), check);
    if (memcmp(check, file.check, sizeof check) != 0 || memcmp(&file, &is, offsetof(struct hashed_file, digest)) != 0)
        return false;
    memcpy(ret_digest, file.digest, 32);
    return true;
}

/* Unchanged since before it was read, and for long enough before that. */
static bool is_settled(int fd, const struct stat *before)
{
    struct stat after;
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0 || fstat(fd, &after) != 0)
        return false;
    struct hashed_file one = hashed_as(before), other = hashed_as(&after);
    return memcmp(&one, &other, sizeof one) == 0 && before->st_ctim.tv_sec + SETTLED_S < now.tv_sec &&
           before->st_mtim.tv_sec + SETTLED_S < now.tv_sec;
}

void cache_remember(const char *path, int fd, const struct stat *status, const uint8_t digest[32])
{
    struct cache_name name;
    struct hashed_file file = hashed_as(status);
    char aside[PATH_MAX + 16];
    int kept = is_settled(fd, status) && name_hashed(path, &name) ? open_aside(&name, aside) : -1;
    if (kept < 0)
        return;
    memcpy(file.digest, digest, 32);
    sha256(&file, offsetof(struct hashed_file, check), file.check);
    close_aside(kept, aside, write(kept, &file, sizeof file) == (ssize_t)sizeof file, &name);
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
