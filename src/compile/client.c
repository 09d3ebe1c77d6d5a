/* See client.h. */
#include "compile/client.h"

#include "base/sha256.h"
#include "compile/result.h"
#include "image/format.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CPU_SECONDS_DEFAULT 1800u
#define CPU_SECONDS_GRACE 5u /* between the signal that names the limit and the one that cannot be caught */
#define SOURCE_SIZE_MAX ((off_t)1 << 30)

/* The compiler stands beside this program, or in ../libexec/mayfly. */
static bool compiler_path(char path[PATH_MAX], struct err *err)
{
    static const char *const places[] = {"mayfly-compiler", "../mayfly-compiler", "../libexec/mayfly/mayfly-compiler"};
    char self[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
    if (size < 0)
        return err_errno(err, "cannot find this program's own path");
    self[size] = '\0';
    *strrchr(self, '/') = '\0';
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (snprintf(path, PATH_MAX, "%s/%s", self, places[i]) < PATH_MAX && access(path, X_OK) == 0)
            return true;
    err_set(err, ERR_UNSUPPORTED, "this installation has no compiler (mayfly-compiler)");
    return err_remedy(err, "install it beside mayfly, or give an image made by `mayfly compile`");
}

/* Runs in the forked child: descriptors 0 and 1, limits, exec. Only async-signal-safe calls. */
static void become_compiler(const char *path, char *const *argv, int source_fd, int result_fd, uint32_t cpu_seconds)
{
    static char *const no_environment[] = {NULL};
    const struct rlimit cpu = {cpu_seconds, (rlim_t)cpu_seconds + CPU_SECONDS_GRACE};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CPU, &cpu);
    if (dup2(source_fd, 0) >= 0 && dup2(result_fd, 1) >= 0 && close_range(3, ~0u, 0) == 0)
        execve(path, argv, no_environment);
    _exit(127);
}

static bool over_time(uint32_t cpu_seconds, struct err *err)
{
    err_set(err, ERR_LIMIT, "compiling took more than %u seconds of processor time", cpu_seconds);
    return err_remedy(err, "a lower optimization level (-O0) is faster; nothing was stored");
}

static bool wait_for(pid_t child, uint32_t cpu_seconds, struct err *err)
{
    int status;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return err_errno(err, "cannot wait for the compiler");
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
        return over_time(cpu_seconds, err);
    if (WIFSIGNALED(status)) {
        err_set(err, ERR_SYSTEM, "the compiler was killed by signal %d (%s)", WTERMSIG(status),
                strsignal(WTERMSIG(status)));
        return err_remedy(err, "it may have run out of memory or time; nothing was stored");
    }
    return WEXITSTATUS(status) != 127 || err_set(err, ERR_SYSTEM, "the compiler could not be started");
}

static bool spawn(int source_fd, int result_fd, const struct compile_options *options, struct err *err)
{
    char path[PATH_MAX], level[4];
    snprintf(level, sizeof level, "-O%d", options->opt_level & 3);
    char *argv[6] = {"mayfly-compiler", level};
    int count = 2;
    if (options->open)
        argv[count++] = "--open";
    if (options->dump) {
        argv[count++] = "--dump";
        argv[count++] = (char *)options->dump;
    }
    uint32_t cpu_seconds = options->cpu_seconds ? options->cpu_seconds : CPU_SECONDS_DEFAULT;
    if (!compiler_path(path, err))
        return false;
    pid_t child = fork();
    if (child < 0)
        return err_errno(err, "cannot start the compiler");
    if (child == 0)
        become_compiler(path, argv, source_fd, result_fd, cpu_seconds);
    return wait_for(child, cpu_seconds, err);
}

/* The child's answer: the image in a memfd of its own, checked whole. */
static int take_result(int result_fd, struct err *err)
{
    struct compile_result result;
    struct stat status;
    if (fstat(result_fd, &status) != 0 || pread(result_fd, &result, sizeof result, 0) != sizeof result ||
        result.magic != COMPILE_RESULT_MAGIC)
        return err_set(err, ERR_SYSTEM, "the compiler ended without an answer") - 1;
    result.err.message[sizeof result.err.message - 1] = '\0';
    result.err.remedy[sizeof result.err.remedy - 1] = '\0';
    if (!result.done) {
        if (err)
            *err = result.err;
        return -1;
    }
    uint64_t size = (uint64_t)status.st_size - sizeof result;
    uint8_t *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, result_fd, 0);
    int image_fd = memfd_create("mayfly-image", MFD_CLOEXEC);
    bool done = bytes != MAP_FAILED && image_fd >= 0;
    if (!done)
        err_errno(err, "cannot take the compiler's answer");
    done = done && image_check(bytes + sizeof result, size, err);
    if (done && write(image_fd, bytes + sizeof result, size) != (ssize_t)size)
        done = err_errno(err, "cannot copy the image");
    if (bytes != MAP_FAILED)
        munmap(bytes, (size_t)status.st_size);
    if (!done && image_fd >= 0)
        close(image_fd);
    return done ? image_fd : -1;
}

int compile_run(int source_fd, const struct compile_options *options, struct err *err)
{
    int result_fd = memfd_create("mayfly-result", MFD_CLOEXEC);
    if (result_fd < 0) {
        err_errno(err, "cannot make a file in memory");
        return -1;
    }
    int image_fd = spawn(source_fd, result_fd, options, err) ? take_result(result_fd, err) : -1;
    close(result_fd);
    return image_fd;
}

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
