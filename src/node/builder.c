/* See builder.h. Samples come from workers, which run guests: they choose what is compiled first, and nothing else. */
#include "node/builder.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/vec.h"
#include "node/channel.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SMALL_SOURCE ((uint64_t)128 << 10) /* what is compiled whole in a moment needs no rounds */
#define ROUNDS_MAX 4u
#define SAMPLES_ENOUGH 300u
#define GATHER_NS (4 * NS_PER_S)     /* at most, for a round */
#define LOOK_NS (NS_PER_S / 50)      /* between two looks at the samples */
#define GOOD_SHARE 0.9               /* of the samples in LLVM's code: no further round */
#define CHOSEN_SHARE 0.97            /* what a round aims at */
#define ADDED_MAX 1024u            /* by a round */
#define CHOSEN_MAX ((size_t)1 << 20) /* functions */
#define TELL_NS (10 * NS_PER_S)      /* between two lines on how far a long compile is */

struct builder {
    const struct builder_options *options;
    const char *name; /* of the function */
    int channel;
    int image_fd; /* that is served */
    uint32_t number, last_number;
    VEC(struct codegen_name) chosen; /* sorted */
};

/* ---- what is told ---- */

static bool send_image(struct builder *builder, int image_fd, bool last)
{
    const struct message message = {.kind = MESSAGE_IMAGE, .number = last ? 0 : ++builder->last_number};
    builder->number = message.number;
    if (builder->image_fd >= 0 && builder->image_fd != image_fd)
        close(builder->image_fd);
    builder->image_fd = image_fd;
    return channel_send(builder->channel, &message, image_fd);
}

static void send_failure(const struct builder *builder, const struct err *err)
{
    const struct message message = {.kind = MESSAGE_FAILED, .err = *err};
    channel_send(builder->channel, &message, -1);
}

static void tell_progress(void *arg, const struct codegen_progress *progress)
{
    static uint64_t last_ns;
    const struct builder *builder = arg;
    uint64_t now_ns = clock_now_ns();
    if (last_ns == 0)
        last_ns = now_ns;
    if (now_ns - last_ns < TELL_NS || progress->bytes_total == 0)
        return;
    last_ns = now_ns;
    log_line(LOG_INFO, builder->name, "optimizing: %u of %u functions", progress->done, progress->total);
}

/* ---- a new image ---- */

/* In a process of its own, and in the sandbox of those that serve: loading runs start functions, which are the guest's.
 */
static void try_alone(const struct builder *builder, int image_fd, int channel)
{
    const struct builder_options *options = builder->options;
    struct message message = {.kind = MESSAGE_FAILED};
    struct function function;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    function_init(&function, options->config, options->limits, NULL);
    if (sandbox_enter(options->sandbox, options->config, &message.err) &&
        function_load(&function, image_fd, &message.err))
        message.kind = MESSAGE_READY;
    _exit(channel_send(channel, &message, -1) ? 0 : 1);
}

/* What became of it. */
static bool hear_trial(int channel, struct err *err)
{
    struct message message;
    int fd = -1;
    enum channel_got got = channel_receive(channel, &message, &fd);
    if (fd >= 0)
        close(fd);
    if (got == CHANNEL_MESSAGE && message.kind == MESSAGE_READY)
        return true;
    if (got != CHANNEL_MESSAGE || message.kind != MESSAGE_FAILED)
        return err_set(err, ERR_SYSTEM, "the process that tries the image ended early");
    *err = message.err;
    return false;
}

/* What cannot be served is found here, not by the workers. */
static bool try_image(const struct builder *builder, int image_fd, struct err *err)
{
    int ends[2];
    if (!channel_open(ends, err))
        return false;
    pid_t pid = fork();
    if (pid == 0)
        try_alone(builder, image_fd, ends[1]);
    close(ends[1]);
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    bool done = pid > 0 ? hear_trial(ends[0], err) : err_errno(err, "fork");
    close(ends[0]);
    return done;
}

/* A new image of the file, served from here on. */
static bool renew(struct builder *builder, struct compile_outcome *ret_outcome, struct err *err)
{
    const struct builder_options *options = builder->options;
    int image_fd = compile_open(options->path, &options->first, ret_outcome, err);
    if (image_fd >= 0 && try_image(builder, image_fd, err))
        return send_image(builder, image_fd, !options->improve || ret_outcome->tier == TIER_BEST);
    if (image_fd >= 0)
        close(image_fd);
    return false;
}

/* ---- where guests spend their time ---- */

static int by_name(const void *a, const void *b)
{
    const struct codegen_name *left = a, *right = b;
    if (left->unit != right->unit)
        return left->unit < right->unit ? -1 : 1;
    return (left->func > right->func) - (left->func < right->func);
}

static bool is_chosen(const struct builder *builder, const struct image_func *func)
{
    const struct codegen_name name = {func->unit, func->func};
    return func->kind != IMAGE_FUNC || /* LLVM makes those anyway */
           (builder->chosen.count &&
            bsearch(&name, builder->chosen.items, builder->chosen.count, sizeof name, by_name) != NULL);
}

struct profile {
    struct image image;
    size_t size; /* of the mapping */
    uint32_t *counts; /* samples by row of the image's functions */
    uint32_t *order; /* rows, the most sampled first */
    uint32_t total, good; /* samples in functions; in those that are LLVM's */
};

static bool profile_open(struct profile *profile, int image_fd, struct err *err)
{
    struct stat status;
    *profile = (struct profile){0};
    if (fstat(image_fd, &status) != 0)
        return err_errno(err, "cannot read the image");
    void *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, image_fd, 0);
    if (bytes == MAP_FAILED)
        return err_errno(err, "cannot map the image");
    profile->image = (struct image){bytes, bytes};
    profile->size = (size_t)status.st_size;
    profile->counts = mem_alloc(image_funcs_count(&profile->image) + 1, sizeof *profile->counts);
    profile->order = mem_alloc(image_funcs_count(&profile->image) + 1, sizeof *profile->order);
    return (profile->counts && profile->order) || err_memory(err);
}

static void profile_close(struct profile *profile)
{
    if (profile->size)
        munmap((void *)profile->image.base, profile->size);
    mem_free(profile->counts);
    mem_free(profile->order);
}

static void count_ring(const struct builder *builder, const struct samples *samples, struct profile *profile)
{
    uint32_t written = __atomic_load_n(&samples->count, __ATOMIC_ACQUIRE);
    const struct image_func *funcs = image_funcs(&profile->image);
    for (uint32_t i = 0; i < SAMPLE_ROOM && i < written; i++) {
        uint64_t row = __atomic_load_n(&samples->rows[i], __ATOMIC_RELAXED);
        const struct image_func *func =
            row >> 32 == builder->number ? image_find_func(&profile->image, (uint32_t)row) : NULL;
        if (!func)
            continue;
        profile->counts[func - funcs]++;
        profile->total++;
        profile->good += is_chosen(builder, func);
    }
}

static void count_samples(const struct builder *builder, struct profile *profile)
{
    memset(profile->counts, 0, image_funcs_count(&profile->image) * sizeof *profile->counts);
    profile->total = profile->good = 0;
    for (uint32_t i = 0; i < builder->options->workers; i++)
        count_ring(builder, &builder->options->samples[i], profile);
}

/* Enough to know where the time goes, or all that there is after a while. */
static void gather(const struct builder *builder, struct profile *profile)
{
    const struct timespec pause = {.tv_nsec = LOOK_NS};
    uint64_t began_ns = clock_now_ns();
    for (;;) {
        count_samples(builder, profile);
        if (profile->total >= SAMPLES_ENOUGH || clock_now_ns() - began_ns >= GATHER_NS)
            return;
        nanosleep(&pause, NULL);
    }
}

static int by_count(const void *a, const void *b, void *arg)
{
    const uint32_t *counts = arg;
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    if (counts[left] != counts[right])
        return counts[left] < counts[right] ? 1 : -1;
    return (left > right) - (left < right);
}

/* Add functions with most of the samples that LLVM has not. */
static bool choose(struct builder *builder, const struct profile *profile, struct err *err)
{
    const struct image_func *funcs = image_funcs(&profile->image);
    uint32_t count = (uint32_t)image_funcs_count(&profile->image), good = profile->good;
    struct codegen_name added[ADDED_MAX];
    uint32_t added_count = 0;
    for (uint32_t i = 0; i < count; i++)
        profile->order[i] = i;
    qsort_r(profile->order, count, sizeof *profile->order, by_count, profile->counts);
    for (uint32_t i = 0; i < count && added_count < ADDED_MAX && good < CHOSEN_SHARE * profile->total; i++) {
        const struct image_func *func = &funcs[profile->order[i]];
        if (is_chosen(builder, func))
            continue;
        good += profile->counts[profile->order[i]];
        added[added_count++] = (struct codegen_name){func->unit, func->func};
    }
    for (uint32_t i = 0; i < added_count; i++) {
        struct codegen_name *name = VEC_PUSH(&builder->chosen, CHOSEN_MAX);
        if (!name)
            return err_memory(err);
        *name = added[i];
    }
    qsort(builder->chosen.items, builder->chosen.count, sizeof *builder->chosen.items, by_name);
    return true;
}

/* ---- better images ---- */

/* The lowest priority, for this process and its compilers. */
static void stand_back(void)
{
    const struct sched_param param = {0};
    setpriority(PRIO_PROCESS, 0, 19);
    sched_setscheduler(0, SCHED_IDLE, &param);
}

static bool same_source(int a, int b)
{
    struct image_header one, other;
    return pread(a, &one, sizeof one, 0) == (ssize_t)sizeof one &&
           pread(b, &other, sizeof other, 0) == (ssize_t)sizeof other &&
           memcmp(one.source, other.source, sizeof one.source) == 0;
}

/* Compile again and hand it over, unless it is another file by now. */
static bool better(struct builder *builder, struct compile_options *compile, bool last, struct err *err)
{
    compile->progress = tell_progress;
    compile->progress_arg = builder;
    int image_fd = compile_open(builder->options->path, compile, NULL, err);
    if (image_fd < 0)
        return false;
    if (same_source(image_fd, builder->image_fd))
        return send_image(builder, image_fd, last);
    close(image_fd);
    err_set(err, ERR_SYSTEM, "the file is another one by now");
    return err_remedy(err, "send SIGHUP to serve it");
}

/* False: that was the last round. */
static bool improve_sampled(struct builder *builder, struct err *err)
{
    struct compile_options compile = builder->options->best;
    struct profile profile;
    bool done = profile_open(&profile, builder->image_fd, err), enough = true;
    if (done) {
        gather(builder, &profile);
        enough = profile.good >= GOOD_SHARE * profile.total;
        if (profile.total)
            log_line(LOG_INFO, builder->name, "%.0f %% of %u samples are in optimized code",
                     100.0 * profile.good / profile.total, profile.total);
    }
    if (done && !enough)
        done = choose(builder, &profile, err);
    profile_close(&profile);
    compile.tier = TIER_MIXED;
    compile.chosen = builder->chosen.items;
    compile.chosen_count = (uint32_t)builder->chosen.count;
    return done && !enough && better(builder, &compile, false, err);
}

static bool improve(struct builder *builder, const struct compile_outcome *served, struct err *err)
{
    struct compile_options best = builder->options->best;
    uint64_t began_ns = clock_now_ns();
    stand_back();
    compile_keep(builder->image_fd, served);
    if (served->source_bytes > SMALL_SOURCE)
        for (uint32_t i = 0; i < ROUNDS_MAX && improve_sampled(builder, err); i++)
            continue;
    if (err->kind || !better(builder, &best, true, err))
        return false;
    log_line(LOG_INFO, builder->name, "all functions are optimized, after %.1f s",
             (double)(clock_now_ns() - began_ns) / NS_PER_S);
    return true;
}

int builder_work(const struct builder_options *options, const struct supervisor_seat *seat)
{
    struct builder builder = {.options = options,
                              .name = options->config->name,
                              .channel = seat->channel,
                              .image_fd = seat->image_fd,
                              .number = seat->image_number,
                              .last_number = seat->last_number};
    struct compile_outcome outcome = {0};
    struct err err = {0};
    bool done = !seat->anew || renew(&builder, &outcome, &err);
    const struct compile_outcome *served = seat->anew ? &outcome : options->served;
    if (done && options->improve && served->tier != TIER_BEST)
        done = improve(&builder, served, &err);
    if (!done && err.kind)
        send_failure(&builder, &err);
    close(builder.channel);
    close(builder.image_fd);
    VEC_FREE(&builder.chosen);
    return done ? 0 : 1;
}
