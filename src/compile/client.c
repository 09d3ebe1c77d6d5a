/* See client.h. */
#include "compile/client.h"

#include "base/sha256.h"
#include "compile/child.h"
#include "image/format.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOURCE_SIZE_MAX ((off_t)1 << 30)

static bool make_directory(char *path, struct err *err)
{
    for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash)
            *slash = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST)
            return err_errno(err, "cannot make the cache folder %s", path);
        if (!slash)
            return true;
        *slash = '/';
    }
}

static bool cache_folder(char folder[PATH_MAX], struct err *err)
{
    const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int size = base && base[0] == '/'   ? snprintf(folder, PATH_MAX, "%s/mayfly", base)
               : home && home[0] == '/' ? snprintf(folder, PATH_MAX, "%s/.cache/mayfly", home)
                                        : -1;
    if (size < 0 || size >= PATH_MAX - 80)
        return err_set(err, ERR_SYSTEM, "neither XDG_CACHE_HOME nor HOME names a folder for the cache");
    return make_directory(folder, err);
}

/* FOLDER/HASH.image, where the hash covers source, options and engine. */
static bool cache_path(const uint8_t digest[32], const struct compile_options *options, char path[PATH_MAX],
                       struct err *err)
{
    struct sha256 hash;
    uint8_t engine[32], key[32];
    uint64_t word = compile_options_word(options);
    image_engine_id(engine);
    sha256_init(&hash);
    sha256_add(&hash, engine, sizeof engine);
    sha256_add(&hash, &word, sizeof word);
    sha256_add(&hash, digest, 32);
    if (options->host)
        sha256_add(&hash, options->host, strlen(options->host));
    sha256_finish(&hash, key);
    if (!cache_folder(path, err))
        return false;
    char *at = path + strlen(path);
    *at++ = '/';
    for (int i = 0; i < 32; i++)
        at += snprintf(at, 3, "%02x", key[i]);
    memcpy(at, ".image", sizeof ".image");
    return true;
}

/* A cached image whose header still fits, or -1. */
static int open_cached(const char *path)
{
    struct image_header header;
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -1;
    bool good = fstat(fd, &status) == 0 && status.st_uid == geteuid() && (status.st_mode & 022) == 0 &&
                pread(fd, &header, sizeof header, 0) == sizeof header &&
                image_check_header(&header, (uint64_t)status.st_size, NULL);
    if (good)
        return fd;
    close(fd);
    unlink(path);
    return -1;
}

/* Write aside, rename in. A cache that cannot be written costs time, not correctness. */
static void store(int image_fd, const char *path)
{
    char aside[PATH_MAX + 16];
    struct stat status;
    snprintf(aside, sizeof aside, "%s.XXXXXX", path);
    int fd = fstat(image_fd, &status) == 0 ? mkostemp(aside, O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    off_t from = 0;
    bool done = true;
    while (done && from < status.st_size)
        done = copy_file_range(image_fd, &from, fd, NULL, (size_t)(status.st_size - from), 0) > 0;
    if (!done && from == 0) {
        void *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, image_fd, 0);
        done = bytes != MAP_FAILED && write(fd, bytes, (size_t)status.st_size) == status.st_size;
        if (bytes != MAP_FAILED)
            munmap(bytes, (size_t)status.st_size);
    }
    done = done && fchmod(fd, 0400) == 0 && fsync(fd) == 0 && rename(aside, path) == 0;
    if (!done)
        unlink(aside);
    close(fd);
}

int compile_run(int source_fd, const struct compile_options *options, struct err *err)
{
    struct compiler compiler = {0};
    int image_fd = compiler_run(&compiler, source_fd, options, err);
    compiler_stop(&compiler);
    return image_fd;
}

static int compile_or_cached(int source_fd, const uint8_t digest[32], const struct compile_options *options,
                             bool *ret_cached, struct err *err)
{
    char path[PATH_MAX];
    struct err no_cache;
    bool cache = cache_path(digest, options, path, &no_cache);
    int image_fd = cache && !options->dump ? open_cached(path) : -1;
    if (ret_cached)
        *ret_cached = image_fd >= 0;
    if (image_fd >= 0)
        return image_fd;
    image_fd = compile_run(source_fd, options, err);
    if (image_fd >= 0 && cache)
        store(image_fd, path);
    return image_fd;
}

static int open_source(int fd, uint64_t size, const struct compile_options *options, bool *ret_cached, struct err *err)
{
    uint8_t digest[32];
    uint8_t *bytes = mmap(NULL, size ? size : 1, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED) {
        err_errno(err, "cannot read the file");
        return -1;
    }
    uint64_t magic = 0;
    memcpy(&magic, bytes, size < 8 ? size : 8);
    int image_fd = -1;
    if (magic == IMAGE_MAGIC) {
        if (ret_cached)
            *ret_cached = true;
        image_fd = image_check(bytes, size, err) ? dup(fd) : -1;
    } else {
        sha256(bytes, size, digest);
        image_fd = compile_or_cached(fd, digest, options, ret_cached, err);
    }
    munmap(bytes, size ? size : 1);
    return image_fd;
}

int compile_open(const char *path, const struct compile_options *options, bool *ret_cached, struct err *err)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC), image_fd = -1;
    if (fd < 0 || fstat(fd, &status) != 0)
        err_errno(err, "cannot open the file");
    else if (!S_ISREG(status.st_mode))
        err_set(err, ERR_SYSTEM, "not a regular file");
    else if (status.st_size > SOURCE_SIZE_MAX)
        err_set(err, ERR_LIMIT, "the file is larger than 1 GiB");
    else
        image_fd = open_source(fd, (uint64_t)status.st_size, options, ret_cached, err);
    if (fd >= 0)
        close(fd);
    return image_fd;
}
