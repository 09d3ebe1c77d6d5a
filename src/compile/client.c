/* See client.h. */
#include "compile/client.h"

#include "base/alloc.h"
#include "base/sha256.h"
#include "compile/child.h"
#include "image/format.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOURCE_SIZE_MAX ((off_t)1 << 30)

/* One file on its way to an image. */
struct source {
    const char *path;
    int fd;
    uint64_t size;
    const struct compile_options *options;
    struct compile_outcome *outcome;
};

/* The image is undamaged, and was made from a source with this hash by this engine. */
static bool is_of(int image_fd, const uint8_t digest[32])
{
    struct stat status;
    if (fstat(image_fd, &status) != 0 || status.st_size <= 0)
        return false;
    size_t size = (size_t)status.st_size;
    void *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, image_fd, 0);
    bool good = bytes != MAP_FAILED && image_check_digest(bytes, size, NULL) &&
                memcmp(((const struct image_header *)bytes)->source, digest, 32) == 0;
    if (bytes != MAP_FAILED)
        munmap(bytes, size);
    return good;
}

/* A cached image that is as it was stored, or -1. */
static int open_cached(const struct cache_name *name, const uint8_t digest[32])
{
    int fd = cache_open(name);
    if (fd < 0 || is_of(fd, digest))
        return fd;
    close(fd);
    cache_remove(name);
    return -1;
}

int compile_run(int source_fd, const struct compile_options *options, struct err *err)
{
    struct compiler compiler = {0};
    int image_fd = compiler_run(&compiler, source_fd, options, NULL, err);
    compiler_stop(&compiler);
    return image_fd;
}

/* With the functions that an earlier compile of this path left; it leaves its own. */
static int run_kept(const struct source *source, struct compiler *compiler, const struct cache_name *functions,
                    struct err *err)
{
    struct compile_kept kept = {.old_fd = cache_open(functions)};
    int image_fd = compiler_run(compiler, source->fd, source->options, &kept, err);
    if (image_fd >= 0) {
        cache_store(kept.new_fd, functions);
        close(kept.new_fd);
    }
    if (kept.old_fd >= 0)
        close(kept.old_fd);
    return image_fd;
}

/* What the fast generator makes takes longer to keep than to make again. */
static int compile_now(const struct source *source, bool keep, struct err *err)
{
    const struct compile_options *options = source->options;
    struct cache_name functions;
    struct err no_cache;
    struct compiler compiler = {0};
    struct compile_options best = *options; /* what is kept is LLVM's */
    best.tier = TIER_BEST;
    best.mix_seed = 0;
    keep = keep && (options->tier == TIER_BEST || options->chosen) &&
           cache_functions(source->path, &best, &functions, &no_cache);
    int image_fd =
        keep ? run_kept(source, &compiler, &functions, err) : compiler_run(&compiler, source->fd, options, NULL, err);
    source->outcome->counts = compiler.counts;
    source->outcome->undigested = options->undigested;
    compiler_stop(&compiler);
    return image_fd;
}

static bool changed(struct err *err)
{
    err_set(err, ERR_SYSTEM, "the file changed while it was read");
    return err_remedy(err, "try again when whoever writes it is done");
}

/* The compiler reads the file itself, after it was hashed. */
static int unchanged(int image_fd, const uint8_t digest[32], struct err *err)
{
    struct image_header header;
    if (image_fd < 0 || (pread(image_fd, &header, sizeof header, 0) == (ssize_t)sizeof header &&
                         memcmp(header.source, digest, 32) == 0))
        return image_fd;
    close(image_fd);
    return changed(err) - 1;
}

static int open_best(const struct source *source, const uint8_t digest[32])
{
    struct compile_options best = *source->options;
    struct cache_name image;
    best.tier = TIER_BEST;
    int image_fd = cache_image(digest, &best, &image, NULL) ? open_cached(&image, digest) : -1;
    if (image_fd >= 0)
        source->outcome->tier = TIER_BEST;
    return image_fd;
}

static int compile_or_cached(const struct source *source, const uint8_t digest[32], struct err *err)
{
    const struct compile_options *options = source->options;
    struct compile_outcome *outcome = source->outcome;
    struct cache_name image;
    outcome->tier = options->tier;
    if (options->chosen || options->dump || !cache_image(digest, options, &image, NULL))
        return unchanged(compile_now(source, options->chosen != NULL, err), digest, err);
    int image_fd = options->best_if_kept ? open_best(source, digest) : -1;
    image_fd = image_fd >= 0 ? image_fd : open_cached(&image, digest);
    outcome->cached = image_fd >= 0;
    if (image_fd >= 0)
        return image_fd;
    image_fd = unchanged(compile_now(source, true, err), digest, err);
    if (image_fd >= 0 && options->undigested)
        outcome->keep = image;
    else if (image_fd >= 0)
        cache_store(image_fd, &image);
    return image_fd;
}

void compile_keep(int image_fd, const struct compile_outcome *outcome)
{
    struct stat status;
    struct image_header header;
    if (!outcome->keep.path[0] || fstat(image_fd, &status) != 0)
        return;
    size_t size = (size_t)status.st_size;
    const uint8_t *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, image_fd, 0);
    if (bytes == MAP_FAILED)
        return;
    memcpy(&header, bytes, sizeof header);
    image_digest(bytes, size, header.digest);
    cache_store_image(image_fd, &header, &outcome->keep);
    munmap((void *)bytes, size);
}

/* Read, not mapped: a file that somebody cuts meanwhile is an error then, not a signal. */
static bool hash_file(const struct source *source, uint8_t ret_digest[32], struct err *err)
{
    static const size_t room = 65536;
    struct sha256 hash;
    uint8_t *bytes = mem_alloc(room, 1);
    uint64_t at = 0;
    sha256_init(&hash);
    for (ssize_t size; bytes && at < source->size; at += (uint64_t)size) {
        uint64_t left = source->size - at;
        size = pread(source->fd, bytes, left < room ? left : room, (off_t)at);
        if (size <= 0)
            break;
        sha256_add(&hash, bytes, (size_t)size);
    }
    mem_free(bytes);
    if (!bytes)
        return err_memory(err);
    sha256_finish(&hash, ret_digest);
    return at == source->size || changed(err);
}

static int open_given(const struct source *source, struct err *err)
{
    uint8_t *bytes = mmap(NULL, source->size, PROT_READ, MAP_PRIVATE, source->fd, 0);
    if (bytes == MAP_FAILED)
        return err_errno(err, "cannot read the file") - 1;
    source->outcome->cached = true;
    int image_fd = image_check(bytes, source->size, err) ? dup(source->fd) : -1;
    munmap(bytes, source->size);
    return image_fd;
}

static int open_source(const struct source *source, struct err *err)
{
    uint8_t digest[32];
    uint64_t magic = 0;
    if (pread(source->fd, &magic, sizeof magic, 0) < 0)
        return err_errno(err, "cannot read the file") - 1;
    if (magic == IMAGE_MAGIC)
        return open_given(source, err);
    return hash_file(source, digest, err) ? compile_or_cached(source, digest, err) : -1;
}

static int open_regular(struct source *source, struct err *err)
{
    struct stat status, image;
    if (source->fd < 0 || fstat(source->fd, &status) != 0)
        return err_errno(err, "cannot open the file") - 1;
    if (!S_ISREG(status.st_mode))
        return err_set(err, ERR_SYSTEM, "not a regular file") - 1;
    if (status.st_size > SOURCE_SIZE_MAX)
        return err_set(err, ERR_LIMIT, "the file is larger than 1 GiB") - 1;
    source->size = source->outcome->source_bytes = (uint64_t)status.st_size;
    int image_fd = open_source(source, err);
    if (image_fd >= 0 && fstat(image_fd, &image) == 0)
        source->outcome->image_bytes = (uint64_t)image.st_size;
    return image_fd;
}

int compile_open(const char *path, const struct compile_options *options, struct compile_outcome *ret_outcome,
                 struct err *err)
{
    struct compile_outcome outcome = {0};
    struct source source = {
        .path = path, .fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), .options = options, .outcome = &outcome};
    int image_fd = open_regular(&source, err);
    if (source.fd >= 0)
        close(source.fd);
    if (image_fd >= 0 && ret_outcome)
        *ret_outcome = outcome;
    return image_fd;
}
