/* How fast the fast generator is, by itself: the file is in memory, nothing is started or written to a disk.
 *
 *     bench-generate FILE [ROUNDS]
 *
 * Prints for one thread and for one per processor, each round new: the rate of the generator alone in MB of code
 * section per second of processor time, and the milliseconds until the whole image is in a memfd, the least and the
 * median of the rounds; then the bytes of machine code and of the image beside the Wasm. */
#include "base/arena.h"
#include "codegen/codegen.h"
#include "compile/build.h"
#include "compile/sink.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS_MAX 1000

/* Of the round at hand. */
static struct {
    unsigned threads;
    uint64_t bodies, code;
    double seconds; /* of processor time, in the generator */
} round_;

static double now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void count(const struct unit *units, uint32_t unit_count, const struct code *code)
{
    round_.bodies = round_.code = 0;
    for (uint32_t i = 0; i < unit_count; i++)
        for (uint32_t f = units[i].module->imported_funcs; f < units[i].module->func_count; f++)
            round_.bodies += units[i].module->funcs[f].size;
    for (size_t i = 0; i < code->parts.count; i++)
        round_.code += code->parts.items[i].size;
}

static bool generate(const struct unit *units, uint32_t unit_count, const struct codegen_options *options,
                     struct code *ret_code, struct err *err)
{
    struct codegen_options here = *options;
    here.threads = round_.threads;
    double start = now(CLOCK_PROCESS_CPUTIME_ID);
    bool done = codegen_fast(units, unit_count, &here, ret_code, err);
    round_.seconds = now(CLOCK_PROCESS_CPUTIME_ID) - start;
    if (done)
        count(units, unit_count, ret_code);
    return done;
}

/* Milliseconds, and the bytes of the image. */
static double build(const uint8_t *source, size_t size, uint64_t *ret_image)
{
    static const struct compile_options options = {.tier = TIER_FAST, .undigested = true};
    struct err err = {0};
    struct file_sink file;
    struct stat status;
    int fd = memfd_create("image", MFD_CLOEXEC);
    const struct image_sink sink = file_sink_open(&file, fd, 0, false);
    double start = now(CLOCK_MONOTONIC);
    if (fd < 0 || !compile_to(source, size, &options, generate, &sink, &err) || fstat(fd, &status) != 0) {
        fprintf(stderr, "bench-generate: %s\n", err.message);
        exit(1);
    }
    double taken = now(CLOCK_MONOTONIC) - start;
    *ret_image = (uint64_t)status.st_size;
    close(fd);
    return taken * 1e3;
}

static int by_value(const void *a, const void *b)
{
    double one = *(const double *)a, other = *(const double *)b;
    return (one > other) - (one < other);
}

static void measure(const uint8_t *source, size_t size, unsigned threads, unsigned rounds)
{
    static double rates[ROUNDS_MAX], times[ROUNDS_MAX];
    uint64_t image = 0;
    round_.threads = threads;
    for (unsigned i = 0; i < rounds; i++) {
        times[i] = build(source, size, &image);
        rates[i] = (double)round_.bodies / 1e6 / round_.seconds;
    }
    qsort(rates, rounds, sizeof *rates, by_value);
    qsort(times, rounds, sizeof *times, by_value);
    printf("%u thread%s: %.1f MB/s and core (median %.1f), image after %.1f ms (median %.1f)\n", threads,
           threads == 1 ? "" : "s", rates[rounds - 1], rates[rounds / 2], times[0], times[rounds / 2]);
    if (threads == 1)
        printf("code %.2f times the Wasm, image %.2f times the file\n", (double)round_.code / (double)round_.bodies,
               (double)image / (double)size);
}

int main(int argc, char **argv)
{
    struct stat status;
    unsigned rounds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 9;
    int fd = argc > 1 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0 || fstat(fd, &status) != 0 || rounds == 0 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "usage: bench-generate FILE [ROUNDS]\n");
        return 2;
    }
    void *source = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (source == MAP_FAILED) {
        perror(argv[1]);
        return 1;
    }
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    measure(source, (size_t)status.st_size, 1, rounds);
    if (processors > 1)
        measure(source, (size_t)status.st_size, (unsigned)processors, rounds);
    return 0;
}
