/* What the parent's side of compiling promises: the same bytes every time, an image that does not fit is refused with
 * the reason and in the cache made again, and a compile that takes too long ends with a message that says so. */
#include "compile/cache.h"
#include "compile/child.h"
#include "compile/client.h"
#include "compile/job.h"

#include "image/format.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SOURCE SOURCE_DIR "/tests/codegen/fixtures/mixed.wasm"
#define IMAGE_MAX (1u << 20)

static char folder[] = "/tmp/mayfly-client-XXXXXX";
static const struct compile_options plain = {.opt_level = 1, .open = true};
static struct err err;

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) && setenv("XDG_CACHE_HOME", folder, 1) == 0 ? 0 : -1;
}

static int remove_folder(void **state)
{
    char command[sizeof folder + 16];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static size_t read_image(int fd, uint8_t *bytes)
{
    ssize_t size = pread(fd, bytes, IMAGE_MAX, 0);
    assert_true(size > 0);
    close(fd);
    return (size_t)size;
}

static int open_image(const char *path, bool *ret_cached)
{
    err = (struct err){0};
    struct compile_outcome outcome;
    int fd = compile_open(path, &plain, &outcome, &err);
    if (fd >= 0 && ret_cached)
        *ret_cached = outcome.cached;
    if (fd < 0)
        print_message("%s: %s\n", path, err.message);
    return fd;
}

static void the_same_source_gives_the_same_image(void **state)
{
    (void)state;
    static uint8_t one[IMAGE_MAX], other[IMAGE_MAX];
    struct compiler compiler = {0};
    for (int level = 0; level <= 3; level++) {
        struct compile_options options = {.opt_level = level, .open = true};
        struct compiler another = {0};
        int source = open(SOURCE, O_RDONLY);
        size_t size = read_image(compiler_run(&compiler, source, &options, NULL, &err), one);
        assert_int_equal(read_image(compiler_run(&another, source, &options, NULL, &err), other), size);
        compiler_stop(&another);
        assert_memory_equal(one, other, size);
        assert_int_equal(((struct image_header *)one)->options, compile_options_word(&options));
        close(source);
    }
    compiler_stop(&compiler);
}

/* The one image in the cache. */
static void cached_path(char path[256])
{
    char command[128];
    snprintf(command, sizeof command, "ls %s/mayfly/*.image", folder);
    FILE *list = popen(command, "r");
    assert_non_null(list);
    assert_non_null(fgets(path, 256, list));
    assert_int_equal(fgetc(list), EOF);
    pclose(list);
    path[strcspn(path, "\n")] = '\0';
}

static void flip(const char *path, size_t offset)
{
    uint8_t byte;
    assert_int_equal(chmod(path, 0600), 0);
    int fd = open(path, O_RDWR);
    assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
    close(fd);
}

static void the_cache_makes_bad_images_again(void **state)
{
    (void)state;
    static uint8_t first[IMAGE_MAX], again[IMAGE_MAX];
    bool cached = true;
    char path[256];
    size_t size = read_image(open_image(SOURCE, &cached), first);
    assert_false(cached);
    read_image(open_image(SOURCE, &cached), again);
    assert_true(cached);
    cached_path(path);
    flip(path, offsetof(struct image_header, engine));
    assert_int_equal(read_image(open_image(SOURCE, &cached), again), size);
    assert_false(cached);
    assert_memory_equal(first, again, size);
    flip(path, size / 2);
    assert_int_equal(read_image(open_image(SOURCE, &cached), again), size);
    assert_false(cached);
    assert_memory_equal(first, again, size);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(truncate(path, (off_t)size - 4096), 0);
    assert_int_equal(read_image(open_image(SOURCE, &cached), again), size);
    assert_false(cached);
    assert_memory_equal(first, again, size);
}

static void refused(const char *path, const char *words)
{
    assert_int_equal(open_image(path, NULL), -1);
    assert_int_equal(err.kind, ERR_MALFORMED);
    if (!strstr(err.message, words))
        fail_msg("\"%s\" does not say \"%s\"", err.message, words);
}

static void a_given_image_is_refused_with_the_reason(void **state)
{
    (void)state;
    static uint8_t bytes[IMAGE_MAX];
    char path[64];
    size_t size = read_image(open_image(SOURCE, NULL), bytes);
    snprintf(path, sizeof path, "%s/given.image", folder);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(write(fd, bytes, size), (ssize_t)size);
    close(fd);
    close(open_image(path, NULL));
    flip(path, size / 2);
    refused(path, "damaged");
    flip(path, size / 2);
    flip(path, offsetof(struct image_header, engine));
    refused(path, "another version");
    flip(path, offsetof(struct image_header, engine));
    assert_int_equal(truncate(path, (off_t)size - 1), 0);
    refused(path, "size");
}

static void put_leb(struct buf *out, uint32_t value)
{
    uint8_t bytes[5];
    for (unsigned i = 0; i < 5; i++)
        bytes[i] = (uint8_t)((value >> 7 * i & 0x7f) | (i < 4 ? 0x80 : 0));
    buf_append(out, bytes, sizeof bytes);
}

/* (module (memory 1) (func (param i32) ...)): a body that takes LLVM minutes, `count` times x = load(x) + x. Loops that
 * are none keep it from being left to the other generator, which looks for long runs. */
static int long_source(uint32_t count)
{
    static const uint8_t loop[] = {0x03, 0x40, 0x0b};
    uint32_t loops = count / 1000, size;
    static const uint8_t head[] = {0, 'a', 's', 'm', 1, 0, 0, 0, 1, 5, 1, 0x60, 1, 0x7f, 0, 3, 2, 1, 0, 5, 3, 1, 0, 1};
    static const uint8_t step[] = {0x20, 0, 0x28, 2, 0, 0x20, 0, 0x6a, 0x21, 0};
    struct buf out;
    buf_init(&out, (size_t)16 << 20);
    buf_append(&out, head, sizeof head);
    size = 2 + count * (uint32_t)sizeof step + loops * (uint32_t)sizeof loop;
    buf_append(&out, "\x0a", 1);
    put_leb(&out, 1 + 5 + size);
    buf_append(&out, "\x01", 1);
    put_leb(&out, size);
    buf_append(&out, "\0", 1);
    for (uint32_t i = 0; i < count; i++) {
        buf_append(&out, step, sizeof step);
        if (i % 1000 == 999)
            buf_append(&out, loop, sizeof loop);
    }
    buf_append(&out, "\x0b", 1);
    int fd = memfd_create("source", MFD_CLOEXEC);
    assert_false(out.failed);
    assert_int_equal(write(fd, out.data, out.size), (ssize_t)out.size);
    buf_free(&out);
    return fd;
}

static void too_long_a_compile_says_so(void **state)
{
    (void)state;
    struct compile_options options = {.opt_level = 2, .cpu_seconds = 1};
    int source = long_source(600000);
    err = (struct err){0};
    struct compiler compiler = {0};
    assert_int_equal(compiler_run(&compiler, source, &options, NULL, &err), -1);
    if (err.kind != ERR_LIMIT || !strstr(err.message, "more than 1 seconds"))
        fail_msg("\"%s\"", err.message);
    close(source);
    source = open(SOURCE, O_RDONLY);
    int image = compiler_run(&compiler, source, &plain, NULL, &err); /* the next job has a new child */
    assert_true(image >= 0);
    close(image);
    close(source);
    compiler_stop(&compiler);
}

extern void __asan_init(void) __attribute__((weak));

static void too_much_memory_says_so(void **state)
{
    (void)state;
    struct compile_options options = {.opt_level = 2, .memory_bytes = (uint64_t)300 << 20};
    struct compiler compiler = {0};
    if (__asan_init) {
        print_message("AddressSanitizer reserves more than any limit: not limited here\n");
        return;
    }
    int source = long_source(600000);
    err = (struct err){0};
    assert_int_equal(compiler_run(&compiler, source, &options, NULL, &err), -1);
    if (err.kind != ERR_LIMIT || !strstr(err.message, "more than 300 MiB of memory"))
        fail_msg("\"%s\"", err.message);
    close(source);
    compiler_stop(&compiler);
}

static void put_aged(const char *name, size_t size, time_t used)
{
    char path[128];
    const struct timespec times[] = {{used, 0}, {used, 0}};
    snprintf(path, sizeof path, "%s/mayfly/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    assert_int_equal(futimens(fd, times), 0);
    close(fd);
}

static bool is_there(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/mayfly/%s", folder, name);
    return access(path, F_OK) == 0;
}

static void what_was_not_used_for_longest_goes_first(void **state)
{
    (void)state;
    close(open_image(SOURCE, NULL));
    put_aged("a", 1 << 20, 1000);
    put_aged("b", 1 << 20, 3000);
    put_aged("c", 1 << 20, 2000);
    cache_trim((3 << 20) + (1 << 19));
    assert_true(is_there("a") && is_there("b") && is_there("c"));
    cache_trim((2 << 20) + (1 << 19));
    assert_true(!is_there("a") && is_there("b") && is_there("c"));
    cache_trim((1 << 20) + (1 << 19));
    assert_true(!is_there("c") && is_there("b"));
    cache_trim(1 << 20);
    assert_false(is_there("b"));
    bool cached = false;
    close(open_image(SOURCE, &cached));
    assert_true(cached);
}

static int source_of(const void *bytes, size_t size)
{
    int fd = memfd_create("source", MFD_CLOEXEC);
    assert_int_equal(write(fd, bytes, size), (ssize_t)size);
    return fd;
}

static void one_child_takes_many_jobs(void **state)
{
    (void)state;
    static uint8_t bytes[IMAGE_MAX];
    struct compiler compiler = {0};
    int good = source_of("\0asm\1\0\0\0", 8), bad = source_of("\0asm\1\0\0\0\1", 9), empty = source_of("", 0);
    read_image(compiler_run(&compiler, good, &plain, NULL, &err), bytes);
    pid_t child = compiler.pid;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(compiler_run(&compiler, i % 2 ? bad : empty, &plain, NULL, &err), -1);
        assert_int_equal(err.kind, ERR_MALFORMED);
        read_image(compiler_run(&compiler, good, &plain, NULL, &err), bytes);
    }
    assert_int_equal(compiler.pid, child);
    compiler_stop(&compiler);
    assert_int_equal(compiler.pid, 0);
    close(good);
    close(bad);
    close(empty);
}

/* Whoever may rename the user's files must not decide what runs: neither of two images, nor in a folder that others
 * may write. */
static void the_cache_takes_only_what_belongs_there(void **state)
{
    (void)state;
    static uint8_t bytes[IMAGE_MAX];
    char path[256], command[640];
    bool cached = false;
    close(open_image(SOURCE, NULL));
    cached_path(path);
    snprintf(command, sizeof command, "mv %s %s/aside", path, folder);
    assert_int_equal(system(command), 0);
    int other = source_of("\0asm\1\0\0\0", 8), image = compile_run(other, &plain, &err);
    assert_true(image >= 0);
    size_t size = read_image(image, bytes);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0400);
    assert_int_equal(write(fd, bytes, size), (ssize_t)size);
    close(fd), close(other);
    close(open_image(SOURCE, &cached));
    assert_false(cached);
    close(open_image(SOURCE, &cached));
    assert_true(cached);
    snprintf(path, sizeof path, "%s/mayfly", folder);
    assert_int_equal(chmod(path, 0722), 0);
    close(open_image(SOURCE, &cached));
    assert_false(cached);
    assert_int_equal(chmod(path, 0700), 0);
}

/* A job for a child that somebody owns: it says `words`, and stays. */
static void owned_child(const char *words, uint32_t wall_seconds)
{
    int sockets[2], source = open(SOURCE, O_RDONLY);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
    struct compiler compiler = {
        .pid = fork(), .socket = sockets[0], .cpu_seconds = 1, .wall_seconds = wall_seconds, .memory_bytes = 1 << 20};
    if (compiler.pid == 0) {
        if (*words)
            send(sockets[1], words, strlen(words), 0);
        for (;;)
            pause();
    }
    err = (struct err){0};
    assert_int_equal(compiler_run(&compiler, source, &plain, NULL, &err), -1);
    assert_int_equal(compiler.pid, 0);
    close(sockets[1]), close(source);
}

static void a_child_that_babbles_is_ended(void **state)
{
    (void)state;
    owned_child("??", 60);
    assert_int_equal(err.kind, ERR_SYSTEM);
}

static void a_child_that_sleeps_is_ended(void **state)
{
    (void)state;
    owned_child("", 1);
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_non_null(strstr(err.message, "more than 1 seconds"));
}

/* A hostile child keeps a way to write the image that it says is done. */
static void child_that_keeps_writing(int socket)
{
    struct compile_job job;
    union compile_job_control control;
    struct iovec part = {&job, sizeof job};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    const struct compile_result result = {.magic = COMPILE_RESULT_MAGIC, .done = 1};
    int fds[COMPILE_OLD_PACK];
    if (recvmsg(socket, &message, 0) < 0)
        _exit(1);
    memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fds);
    if (ftruncate(fds[COMPILE_IMAGE], 4096) != 0 ||
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fds[COMPILE_IMAGE], 0) == MAP_FAILED)
        _exit(1);
    send(socket, &result, sizeof result, 0);
    for (;;)
        pause();
}

static void an_image_that_can_still_be_written_is_refused(void **state)
{
    (void)state;
    int sockets[2], source = open(SOURCE, O_RDONLY);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
    struct compiler compiler = {
        .pid = fork(), .socket = sockets[0], .cpu_seconds = 1, .wall_seconds = 60, .memory_bytes = 1 << 20};
    if (compiler.pid == 0)
        child_that_keeps_writing(sockets[1]);
    err = (struct err){0};
    assert_int_equal(compiler_run(&compiler, source, &plain, NULL, &err), -1);
    if (!strstr(err.message, "seal"))
        fail_msg("\"%s\"", err.message);
    compiler_stop(&compiler);
    close(sockets[1]), close(source);
}

static void each_tier_has_its_child(void **state)
{
    (void)state;
    static uint8_t bytes[IMAGE_MAX], again[IMAGE_MAX];
    const struct compile_options fast = {.tier = TIER_FAST, .open = true};
    struct compiler compiler = {0};
    int source = open(SOURCE, O_RDONLY);
    size_t size = read_image(compiler_run(&compiler, source, &fast, NULL, &err), bytes);
    pid_t child = compiler.pid;
    assert_int_equal(((struct image_header *)bytes)->options, compile_options_word(&fast));
    assert_int_equal(read_image(compiler_run(&compiler, source, &fast, NULL, &err), again), size);
    assert_memory_equal(bytes, again, size);
    assert_int_equal(compiler.pid, child);
    read_image(compiler_run(&compiler, source, &plain, NULL, &err), bytes);
    assert_int_not_equal(compiler.pid, child);
    assert_int_equal(((struct image_header *)bytes)->options, compile_options_word(&plain));
    close(source);
    compiler_stop(&compiler);
}

static void the_fast_tier_has_limits_too(void **state)
{
    (void)state;
    const struct compile_options options = {.tier = TIER_FAST, .memory_bytes = (uint64_t)8 << 20};
    struct compiler compiler = {0};
    if (__asan_init)
        return;
    int source = long_source(600000);
    err = (struct err){0};
    assert_int_equal(compiler_run(&compiler, source, &options, NULL, &err), -1);
    if (err.kind != ERR_LIMIT || !strstr(err.message, "more than 8 MiB of memory"))
        fail_msg("\"%s\"", err.message);
    close(source);
    compiler_stop(&compiler);
}

static void open_fast(struct compile_outcome *ret_outcome, bool keep)
{
    const struct compile_options options = {
        .tier = TIER_FAST, .opt_level = 1, .open = true, .undigested = true, .best_if_kept = true};
    int fd = compile_open(SOURCE, &options, ret_outcome, &err);
    assert_true(fd >= 0);
    if (keep)
        compile_keep(fd, ret_outcome);
    close(fd);
}

static void an_image_is_kept_when_there_is_time(void **state)
{
    (void)state;
    struct compile_outcome outcome;
    cache_trim(0);
    open_fast(&outcome, false);
    assert_true(!outcome.cached && outcome.tier == TIER_FAST && outcome.counts.made > 0);
    open_fast(&outcome, true);
    assert_false(outcome.cached);
    open_fast(&outcome, false);
    assert_true(outcome.cached && outcome.tier == TIER_FAST);
    close(open_image(SOURCE, NULL));
    open_fast(&outcome, false);
    assert_true(outcome.cached && outcome.tier == TIER_BEST);
}

/* ---- large files, which are hashed while they are compiled ---- */

#define LARGE_BYTES ((size_t)3 << 20)

/* A module that is a custom section, and a function whose number makes it another file. */
static void write_large(const char *path, uint8_t number)
{
    static uint8_t bytes[LARGE_BYTES];
    static const uint8_t head[] = "\0asm\1\0\0\0\1\5\1\x60\0\1\x7f\3\2\1\0\x0a\6\1\4\0\x41";
    uint8_t *at = memcpy(bytes, head, sizeof head - 1);
    at += sizeof head - 1;
    *at++ = number;
    *at++ = 0x0b;
    *at++ = 0; /* custom: its size in four bytes, the name "x", and what is there already */
    uint32_t size = (uint32_t)(bytes + LARGE_BYTES - at - 4);
    for (int i = 0; i < 4; i++)
        *at++ = (uint8_t)((size >> 7 * i & 0x7f) | (i < 3 ? 0x80 : 0));
    *at++ = 1;
    *at++ = 'x';
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(fd, bytes, sizeof bytes), (ssize_t)sizeof bytes);
    close(fd);
}

static size_t open_large(const char *path, bool ahead, struct compile_outcome *ret_outcome, uint8_t *bytes)
{
    const struct compile_options options = {.tier = TIER_FAST, .open = true, .undigested = ahead};
    err = (struct err){0};
    int fd = compile_open(path, &options, ret_outcome, &err);
    if (fd < 0)
        fail_msg("%s", err.message);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left, neither of a job nor of one in vain */
    compile_keep(fd, ret_outcome);
    return read_image(fd, bytes);
}

static void a_large_file_is_compiled_while_it_is_hashed(void **state)
{
    (void)state;
    static uint8_t ahead[IMAGE_MAX], plainly[IMAGE_MAX], kept[IMAGE_MAX];
    struct compile_outcome outcome;
    char path[64];
    snprintf(path, sizeof path, "%s/large.wasm", folder);
    for (uint8_t number = 0; number < 2; number++) { /* the second file under the name of the first */
        cache_trim(0);
        write_large(path, number);
        size_t size = open_large(path, true, &outcome, ahead);
        assert_true(!outcome.cached && outcome.counts.made == 1);
        assert_int_equal(open_large(path, true, &outcome, kept), size); /* in vain: it is there */
        assert_true(outcome.cached && image_check_digest(kept, size, NULL));
        cache_trim(0);
        assert_int_equal(open_large(path, false, &outcome, plainly), size);
        assert_false(outcome.cached);
        assert_memory_equal(kept, plainly, size);
        memset(((struct image_header *)kept)->digest, 0, 32);
        assert_memory_equal(kept, ahead, size);
    }
}

/* Of each part of what the file system says, another one is another file. */
static void what_a_file_was_hashed_to_is_recalled_of_that_file_only(void **state)
{
    (void)state;
    uint8_t digest[32], other[32] = {0};
    struct stat status, changed;
    int fd = open(SOURCE, O_RDONLY);
    assert_int_equal(fstat(fd, &status), 0);
    memset(digest, 7, sizeof digest);
    assert_false(cache_recall(SOURCE, &status, other));
    cache_remember(SOURCE, fd, &status, digest);
    assert_true(cache_recall(SOURCE, &status, other));
    assert_memory_equal(digest, other, sizeof digest);
    assert_true(cache_recall(SOURCE_DIR "/tests/../tests/codegen/fixtures/mixed.wasm", &status, other));
    assert_false(cache_recall(SOURCE_DIR "/tests/codegen/fixtures/nothing.wasm", &status, other));
#define DIFFERS(field)                                                                                                 \
    (changed = status, changed.field++, assert_false(cache_recall(SOURCE, &changed, other)),                           \
     cache_remember(SOURCE, fd, &changed, other), assert_true(cache_recall(SOURCE, &status, other)))
    DIFFERS(st_dev), DIFFERS(st_ino), DIFFERS(st_size), DIFFERS(st_mtim.tv_sec), DIFFERS(st_mtim.tv_nsec);
    DIFFERS(st_ctim.tv_sec), DIFFERS(st_ctim.tv_nsec);
#undef DIFFERS
    close(fd);
}

static void nothing_is_remembered_of_a_file_that_just_changed(void **state)
{
    (void)state;
    uint8_t digest[32] = {1}, other[32];
    struct stat status;
    char path[64];
    const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    snprintf(path, sizeof path, "%s/new.wasm", folder);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(futimens(fd, old), 0); /* its writer may say what it likes */
    assert_int_equal(fstat(fd, &status), 0);
    cache_remember(path, fd, &status, digest);
    assert_false(cache_recall(path, &status, other));
    close(fd);
}

static void a_damaged_memory_is_none(void **state)
{
    (void)state;
    uint8_t digest[32] = {2}, other[32];
    struct stat status;
    char path[256], command[128];
    int fd = open(SOURCE, O_RDONLY);
    assert_int_equal(fstat(fd, &status), 0);
    cache_remember(SOURCE, fd, &status, digest);
    snprintf(command, sizeof command, "ls %s/mayfly/*.hashed", folder);
    FILE *list = popen(command, "r");
    assert_non_null(fgets(path, sizeof path, list));
    assert_int_equal(fgetc(list), EOF);
    pclose(list);
    path[strcspn(path, "\n")] = '\0';
    struct stat size;
    assert_int_equal(stat(path, &size), 0);
    for (size_t i = 0; i < (size_t)size.st_size; i++) {
        flip(path, i);
        assert_false(cache_recall(SOURCE, &status, other));
        flip(path, i);
    }
    assert_int_equal(chmod(path, 0400), 0);
    assert_true(cache_recall(SOURCE, &status, other));
    assert_int_equal(truncate(path, size.st_size - 1), 0);
    assert_false(cache_recall(SOURCE, &status, other));
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_source_gives_the_same_image),
        cmocka_unit_test(the_cache_makes_bad_images_again),
        cmocka_unit_test(a_given_image_is_refused_with_the_reason),
        cmocka_unit_test(too_long_a_compile_says_so),
        cmocka_unit_test(too_much_memory_says_so),
        cmocka_unit_test(what_was_not_used_for_longest_goes_first),
        cmocka_unit_test(one_child_takes_many_jobs),
        cmocka_unit_test(the_cache_takes_only_what_belongs_there),
        cmocka_unit_test(a_child_that_babbles_is_ended),
        cmocka_unit_test(a_child_that_sleeps_is_ended),
        cmocka_unit_test(an_image_that_can_still_be_written_is_refused),
        cmocka_unit_test(each_tier_has_its_child),
        cmocka_unit_test(the_fast_tier_has_limits_too),
        cmocka_unit_test(an_image_is_kept_when_there_is_time),
        cmocka_unit_test(a_large_file_is_compiled_while_it_is_hashed),
        cmocka_unit_test(what_a_file_was_hashed_to_is_recalled_of_that_file_only),
        cmocka_unit_test(nothing_is_remembered_of_a_file_that_just_changed),
        cmocka_unit_test(a_damaged_memory_is_none),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
