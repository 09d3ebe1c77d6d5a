/* See client.h. */
#include "compile/client.h"

#include "base/alloc.h"
#include "base/phase.h"
#include "base/sha256.h"
#include "compile/child.h"
#include "image/format.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOURCE_SIZE_MAX ((off_t)1 << 30)
#define LARGE_SOURCE ((uint64_t)1 << 20) /* hashing takes long enough that it is not waited for */

/* One file on its way to an image. */
struct source {
    const char *path;
    int fd;
    uint64_t size;
    struct stat status; /* before it was read */
    const struct compile_options *options;
    struct compile_outcome *outcome;
    struct compiler ahead; /* it compiles while the file is hashed, or no child runs */
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
static int run_kept(const struct source *source, struct compiler *compiler, const struct compile_options *options,
                    const struct cache_name *functions, struct err *err)
{
    struct compile_kept kept = {.old_fd = cache_open(functions)};
    int image_fd = compiler_run(compiler, source->fd, options, &kept, err);
    if (image_fd >= 0) {
        cache_store(kept.new_fd, functions);
        close(kept.new_fd);
    }
    if (kept.old_fd >= 0)
        close(kept.old_fd);
    return image_fd;
}

/* What the fast generator makes takes longer to keep than to make again. */
static int compile_now(struct source *source, const uint8_t digest[32], bool keep, struct err *err)
{
    struct compile_options hashed = *source->options;
    const struct compile_options *options = &hashed;
    struct cache_name functions;
    struct err no_cache;
    struct compiler *compiler = &source->ahead;
    struct compile_options best = *options; /* what is kept is LLVM's */
    best.tier = TIER_BEST;
    best.mix_seed = 0;
    hashed.source = digest;
    hashed.source_later = compiler->pid != 0;
    keep = keep && (options->tier == TIER_BEST || options->chosen) &&
           cache_functions(source->path, &best, &functions, &no_cache);
    int image_fd = compiler->pid ? compiler_end(compiler, options, NULL, err)
                   : keep        ? run_kept(source, compiler, options, &functions, err)
                                 : compiler_run(compiler, source->fd, options, NULL, err);
    source->outcome->counts = compiler->counts;
    source->outcome->undigested = options->undigested;
    compiler_stop(compiler);
    return image_fd;
}

static bool changed(struct err *err)
{
    err_set(err, ERR_SYSTEM, "the file changed while it was read");
    return err_remedy(err, "try again when whoever writes it is done");
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

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* The compiler read the file itself, while it was hashed or behind that: it must not have changed since before that.
 * Where it was touched only, its bytes decide. */
static bool is_unchanged(const struct source *source, const uint8_t digest[32], struct err *err)
{
    const struct stat *before = &source->status;
    struct stat now;
    uint8_t again[32];
    if (fstat(source->fd, &now) != 0 || now.st_size != before->st_size)
        return changed(err);
    if (same_time(now.st_mtim, before->st_mtim) && same_time(now.st_ctim, before->st_ctim))
        return true;
    return hash_file(source, again, err) && (memcmp(again, digest, sizeof again) == 0 || changed(err));
}

static int unchanged(int image_fd, const struct source *source, const uint8_t digest[32], struct err *err)
{
    if (image_fd < 0 || is_unchanged(source, digest, err))
        return image_fd;
    close(image_fd);
    return -1;
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

/* Whether the cache is asked for the image of a file; what is printed, and what depends on samples, is made each time.
 */
static bool is_cacheable(const struct compile_options *options)
{
    return !options->chosen && !options->dump;
}

/* What the cache has of the source with this hash, or -1. */
static int open_kept(const struct source *source, const uint8_t digest[32])
{
    const struct compile_options *options = source->options;
    struct cache_name image;
    source->outcome->tier = options->tier;
    if (!is_cacheable(options))
        return -1;
    int image_fd = options->best_if_kept ? open_best(source, digest) : -1;
    if (image_fd < 0 && cache_image(digest, options, &image, NULL))
        image_fd = open_cached(&image, digest);
    source->outcome->cached = image_fd >= 0;
    return image_fd;
}

static int compile_and_keep(struct source *source, const uint8_t digest[32], struct err *err)
{
    const struct compile_options *options = source->options;
    struct cache_name image;
    struct cache_key key;
    bool keep =
        is_cacheable(options) && cache_image_key(digest, options, &key, NULL) && cache_image_of(&key, &image, NULL);
    int image_fd = unchanged(compile_now(source, digest, keep || options->chosen, err), source, digest, err);
    source->outcome->kept_later = image_fd >= 0 && keep && options->undigested;
    if (source->outcome->kept_later)
        source->outcome->key = key;
    else if (image_fd >= 0 && keep)
        cache_store(image_fd, &image);
    return image_fd;
}

int compile_open_again(int image_fd, const struct compile_outcome *outcome, struct compile_outcome *ret_outcome,
                       struct err *err)
{
    int fd = fcntl(image_fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (fd < 0)
        err_errno(err, "cannot open an image once more");
    if (ret_outcome) {
        *ret_outcome = *outcome;
        ret_outcome->kept_later = false;
    }
    return fd;
}

void compile_keep(int image_fd, const struct compile_outcome *outcome)
{
    struct stat status;
    struct image_header header;
    struct cache_name name;
    if (!outcome->kept_later || !cache_image_of(&outcome->key, &name, NULL) || fstat(image_fd, &status) != 0)
        return;
    size_t size = (size_t)status.st_size;
    const uint8_t *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, image_fd, 0);
    if (bytes == MAP_FAILED)
        return;
    memcpy(&header, bytes, sizeof header);
    image_digest(bytes, size, header.digest);
    cache_store_image(image_fd, &header, &name);
    munmap((void *)bytes, size);
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

/* A file that is the one that was hashed before, to all that the file system says, and whose image the cache has. */
static int open_recalled(const struct source *source)
{
    uint8_t digest[32];
    if (source->size < LARGE_SOURCE || !cache_recall(source->path, &source->status, digest))
        return -1;
    return open_kept(source, digest);
}

/* The fast generator begins before it is known whether there is something to do: a second processor has nothing else to
 * do meanwhile. What cannot begin is tried again by who knows what to say. */
static void begin_ahead(struct source *source)
{
    struct compile_options options = *source->options;
    struct err ignored;
    options.source_later = true;
    if (source->size >= LARGE_SOURCE && options.tier == TIER_FAST && options.undigested && is_cacheable(&options) &&
        !compiler_begin(&source->ahead, source->fd, &options, NULL, &ignored))
        compiler_stop(&source->ahead);
}

static int open_hashed(struct source *source, struct err *err)
{
    uint8_t digest[32];
    if (!hash_file(source, digest, err))
        return -1;
    phase_end("file hashed");
    int image_fd = open_kept(source, digest);
    phase_end("cache asked");
    image_fd = image_fd >= 0 ? image_fd : compile_and_keep(source, digest, err);
    if (image_fd >= 0 && source->size >= LARGE_SOURCE)
        cache_remember(source->path, source->fd, &source->status, digest);
    return image_fd;
}

static int open_source(struct source *source, struct err *err)
{
    uint64_t magic = 0;
    if (pread(source->fd, &magic, sizeof magic, 0) < 0)
        return err_errno(err, "cannot read the file") - 1;
    if (magic == IMAGE_MAGIC)
        return open_given(source, err);
    int image_fd = open_recalled(source);
    if (image_fd >= 0)
        return image_fd;
    begin_ahead(source);
    image_fd = open_hashed(source, err);
    compiler_stop(&source->ahead);
    return image_fd;
}

static int open_regular(struct source *source, struct err *err)
{
    struct stat image;
    const struct stat *status = &source->status;
    if (source->fd < 0 || fstat(source->fd, &source->status) != 0)
        return err_errno(err, "cannot open the file") - 1;
    if (!S_ISREG(status->st_mode))
        return err_set(err, ERR_SYSTEM, "not a regular file") - 1;
    if (status->st_size > SOURCE_SIZE_MAX)
        return err_set(err, ERR_LIMIT, "the file is larger than 1 GiB") - 1;
    source->size = source->outcome->source_bytes = (uint64_t)status->st_size;
    int image_fd = open_source(source, err);
    if (image_fd >= 0 && fstat(image_fd, &image) == 0)
        source->outcome->image_bytes = (uint64_t)image.st_size;
    return image_fd;
}

int compile_open_at(int fd, const char *name, const struct compile_options *options,
                    struct compile_outcome *ret_outcome, struct err *err)
{
    struct compile_outcome outcome = {0};
    struct source source = {.path = name, .fd = fd, .options = options, .outcome = &outcome};
    int image_fd = open_regular(&source, err);
    phase_end("image there");
    if (image_fd >= 0 && ret_outcome)
        *ret_outcome = outcome;
    return image_fd;
}

int compile_open(const char *path, const struct compile_options *options, struct compile_outcome *ret_outcome,
                 struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int image_fd = compile_open_at(fd, path, options, ret_outcome, err);
    if (fd >= 0)
        close(fd);
    return image_fd;
}
