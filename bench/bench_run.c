/* Runs a program of bench/programs, compiled to an image: the guest's side of bench/code.py.
 *
 *     bench-run IMAGE N          bench(N) in a fresh instance; prints the checksum
 *     bench-run IMAGE N calls    the same, then N calls of the export `echo`; prints nanoseconds of processor
 *                                time per call from the guest to the host and from the host to the guest
 *     bench-run IMAGE N perf     the same for `perf record`: writes /tmp/perf-PID.map
 *
 * The host offers `echo`; every other import is answered with "bad descriptor" (8 in WASI 0.1), which the C libraries
 * of programs that only compute take well.
 */
#include "compile/client.h"
#include "runtime/call.h"
#include "runtime/program.h"
#include "runtime/symbols.h"
#include "runtime/task.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BAD_DESCRIPTOR 8

struct work {
    const struct program *program;
    uint32_t n;
    bool calls, perf, done;
    uint64_t sum;
    double host_ns, guest_ns;
};

static bool echo(struct store *store, const void *env, union cell *v)
{
    (void)store, (void)env;
    v[0].u32 += 1;
    return true;
}

static bool refuse(struct store *store, const void *env, union cell *v)
{
    (void)store, (void)env;
    v[0].u64 = BAD_DESCRIPTOR;
    return true;
}

static bool resolve(void *arg, const struct image *image, const struct image_import *import, host_fn **ret_fn,
                    const void **ret_env, struct err *err)
{
    (void)arg, (void)err;
    *ret_fn = str_eq(image_str(image, import->name), STR("echo")) ? echo : refuse;
    *ret_env = NULL;
    return true;
}

static double now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static bool call(struct task *task, const char *name, union cell *v)
{
    const struct work *work = task->arg;
    const struct image_export *row = program_export(work->program, STR(""), str_of(name));
    const uint8_t *types = row ? image_bytes(&work->program->image) + row->types_first : NULL;
    return row && guest_call(task->slot->store, row->funcref, types, row->param_count, row->result_count, v);
}

static bool call_echo(struct task *task, uint32_t n)
{
    struct work *work = task->arg;
    const struct image_export *row = program_export(work->program, STR(""), STR("echo"));
    uint64_t value = 0;
    for (uint32_t i = 0; row && i < n; i++)
        if (!guest_call_ints(task->slot->store, row->funcref, &value, 1, &value))
            return false;
    return row && (uint32_t)value == n;
}

static void body(struct task *task)
{
    struct work *work = task->arg;
    union cell v[1] = {{.u32 = work->n}};
    if (program_export(work->program, STR(""), STR("_initialize")) && !call(task, "_initialize", NULL))
        return;
    double start = now_ns();
    work->done = call(task, "bench", v);
    work->host_ns = (now_ns() - start) / work->n;
    work->sum = v[0].u64;
    start = now_ns();
    if (work->calls)
        work->done = work->done && call_echo(task, work->n);
    work->guest_ns = (now_ns() - start) / work->n;
}

static bool run(const char *path, struct work *work, struct err *err)
{
    struct task task;
    struct slot *slot = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "cannot open the image");
    struct program *program = program_load(fd, "bench", resolve, NULL, err);
    work->program = program;
    if (program && work->perf && !symbols_for_perf(program, err))
        return false;
    if (!program || !(slot = slot_acquire(program, err)) || !task_start(&task, slot, body, work, NULL, err))
        return false;
    if (!work->done)
        return err_set(err, ERR_SYSTEM, "trap: %s", trap_text(task.report.trap));
    return true;
}

int main(int argc, char **argv)
{
    struct err err = {0};
    struct work work = {.n = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0,
                        .calls = argc > 3 && !strcmp(argv[3], "calls"),
                        .perf = argc > 3 && !strcmp(argv[3], "perf")};
    if (argc < 3 || !trap_install(&err) || !run(argv[1], &work, &err)) {
        fprintf(stderr, "bench-run: %s\n", argc < 3 ? "usage: bench-run IMAGE N [calls|perf]" : err.message);
        return 1;
    }
    if (work.calls)
        printf("%.2f %.2f\n", work.host_ns, work.guest_ns);
    else
        printf("%" PRIu64 "\n", work.sum);
    return 0;
}
