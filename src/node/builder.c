/* See builder.h. Samples come from workers, which run guests: they choose what is compiled first, and nothing else. */
#include "node/builder.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/vec.h"
#include "node/channel.h"
#include "node/function.h"
#include "runtime/slice.h"

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
#define KEEP_NICE 10
#define TELL_NS (10 * NS_PER_S)      /* between two lines on how far a long compile is */

/* A function's image. */
struct product {
    const struct deployed *deployed;
    int fd;
    uint32_t number; /* its name in samples; 0: there is no better one */
    struct compile_outcome outcome;
    VEC(struct codegen_name) chosen; /* what LLVM makes in rounds, sorted */
    bool fresh; /* of this reload, and not told of yet */
    bool failed; /* to become better: that of the first of its file is for all */
};

struct builder {
    const struct builder_options *options;
    int channel;
    uint32_t last_number;
    uint32_t count;
    struct product *products; /* of each function */
};

/* ---- what is told ---- */

static void replace_fd(struct product *product, int fd)
{
    if (product->fd >= 0 && product->fd != fd)
        close(product->fd);
    product->fd = fd;
}

static uint32_t new_number(struct builder *builder, bool last)
{
    return last ? 0 : ++builder->last_number;
}

/* The product's image. */
static bool send_image(const struct builder *builder, struct product *product, uint32_t number)
{
    const struct message message = {
        .kind = MESSAGE_IMAGE, .function = (uint32_t)(product - builder->products), .number = number};
    product->number = number;
    return channel_send_all(builder->channel, &message, product->fd);
}

/* The one whose image this one has too: itself or another. */
static struct product *first_of(const struct builder *builder, const struct product *product)
{
    return &builder->products[product->deployed->image_of];
}

/* Of many functions it says which. */
static void send_failure(const struct builder *builder, const struct product *product, const struct err *err)
{
    struct message message = {.kind = MESSAGE_FAILED, .err = *err};
    if (builder->count > 1)
        err_within(&message.err, "%s", product->deployed->name);
    channel_send_all(builder->channel, &message, -1);
}

static void tell_progress(void *arg, const struct codegen_progress *progress)
{
    static uint64_t last_ns;
    const struct product *product = arg;
    uint64_t now_ns = clock_now_ns();
    if (last_ns == 0)
        last_ns = now_ns;
    if (now_ns - last_ns < TELL_NS || progress->bytes_total == 0)
        return;
    last_ns = now_ns;
    log_line(LOG_INFO, product->deployed->name, "optimizing: %u of %u functions", progress->done, progress->total);
}

/* ---- new images ---- */

/* In a process of its own, and in the sandbox of those that serve: loading runs start functions, which are the guest's.
 * They have as long as a request. */
static void try_alone(const struct builder *builder, const struct product *product, int image_fd, int channel)
{
    const struct builder_options *options = builder->options;
    struct message message = {.kind = MESSAGE_FAILED};
    struct function function;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    function_init(&function, product->deployed);
    if (slice_open(&message.err) && sandbox_enter(options->sandbox, options->deployment, &message.err) &&
        function_load(&function, image_fd, &message.err))
        message.kind = MESSAGE_READY;
    _exit(channel_send(channel, &message, -1) ? 0 : 1);
}

/* What became of it. */
static bool hear_trial(int channel, struct err *err)
{
    struct message message;
    int fd = -1;
    enum packet_got got = channel_receive(channel, &message, &fd);
    if (fd >= 0)
        close(fd);
    if (got == PACKET_HERE && message.kind == MESSAGE_READY)
        return true;
    if (got != PACKET_HERE || message.kind != MESSAGE_FAILED)
        return err_set(err, ERR_SYSTEM, "the process that tries the image ended early");
    *err = message.err;
    return false;
}

/* What cannot be served is found here, not by the workers. */
static bool try_image(const struct builder *builder, const struct product *product, int image_fd, struct err *err)
{
    int ends[2];
    if (!channel_open(ends, err))
        return false;
    pid_t pid = fork();
    if (pid == 0)
        try_alone(builder, product, image_fd, ends[1]);
    close(ends[1]);
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    bool done = pid > 0 ? hear_trial(ends[0], err) : err_errno(err, "fork");
    close(ends[0]);
    return done;
}

static bool same_source(int a, int b)
{
    struct image_header one, other;
    return pread(a, &one, sizeof one, 0) == (ssize_t)sizeof one &&
           pread(b, &other, sizeof other, 0) == (ssize_t)sizeof other &&
           memcmp(one.source, other.source, sizeof one.source) == 0;
}

static int open_product(const struct product *product, const struct compile_options *options,
                        struct compile_outcome *ret_outcome, struct err *err)
{
    const struct deployed *deployed = product->deployed;
    return compose_open(deployed->path, deployed->composition, options, ret_outcome, err);
}

/* As its file is now. */
static int open_anew(const struct builder *builder, const struct product *product, struct compile_outcome *ret_outcome,
                     struct err *err)
{
    const struct product *first = first_of(builder, product);
    if (first == product)
        return open_product(product, &builder->options->first, ret_outcome, err);
    return compile_open_again(first->fd, &first->outcome, ret_outcome, err);
}

/* Of many functions those whose files are as they were keep their images. */
static bool renew_one(struct builder *builder, struct product *product, struct err *err)
{
    struct compile_outcome outcome = {0};
    int fd = open_anew(builder, product, &outcome, err);
    if (fd < 0)
        return false;
    product->fresh = builder->count == 1 || !same_source(fd, product->fd);
    if (product->fresh && try_image(builder, product, fd, err)) {
        replace_fd(product, fd);
        product->outcome = outcome;
        product->number = 0;
        return true;
    }
    close(fd);
    return !product->fresh;
}

/* New images of the files, served from here on if all of them can be. */
static bool renew(struct builder *builder)
{
    struct message message = {.kind = MESSAGE_RELOADED};
    struct err err = {0};
    for (uint32_t i = 0; i < builder->count; i++)
        if (!renew_one(builder, &builder->products[i], &err)) {
            send_failure(builder, &builder->products[i], &err);
            return false;
        }
    for (uint32_t i = 0; i < builder->count; i++) {
        struct product *product = &builder->products[i], *first = first_of(builder, product);
        bool last = !builder->options->improve || product->outcome.tier == TIER_BEST;
        if (product->fresh &&
            !send_image(builder, product, first == product ? new_number(builder, last) : first->number))
            return false;
    }
    return channel_send_all(builder->channel, &message, -1);
}

/* ---- where guests spend their time ---- */

static int by_name(const void *a, const void *b)
{
    const struct codegen_name *left = a, *right = b;
    if (left->unit != right->unit)
        return left->unit < right->unit ? -1 : 1;
    return (left->func > right->func) - (left->func < right->func);
}

static bool is_chosen(const struct product *product, const struct image_func *func)
{
    const struct codegen_name name = {func->unit, func->func};
    return func->kind != IMAGE_FUNC || /* LLVM makes those anyway */
           (product->chosen.count &&
            bsearch(&name, product->chosen.items, product->chosen.count, sizeof name, by_name) != NULL);
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

static void count_ring(const struct product *product, const struct samples *samples, struct profile *profile)
{
    uint32_t written = __atomic_load_n(&samples->count, __ATOMIC_ACQUIRE);
    const struct image_func *funcs = image_funcs(&profile->image);
    for (uint32_t i = 0; i < SAMPLE_ROOM && i < written; i++) {
        uint64_t row = __atomic_load_n(&samples->rows[i], __ATOMIC_RELAXED);
        const struct image_func *func =
            row >> 32 == product->number ? image_find_func(&profile->image, (uint32_t)row) : NULL;
        if (!func)
            continue;
        profile->counts[func - funcs]++;
        profile->total++;
        profile->good += is_chosen(product, func);
    }
}

static void count_samples(const struct builder *builder, const struct product *product, struct profile *profile)
{
    memset(profile->counts, 0, image_funcs_count(&profile->image) * sizeof *profile->counts);
    profile->total = profile->good = 0;
    for (uint32_t i = 0; i < builder->options->workers; i++)
        count_ring(product, &builder->options->samples[i], profile);
}

/* Enough to know where the time goes, or all that there is after a while. */
static void gather(const struct builder *builder, const struct product *product, struct profile *profile)
{
    const struct timespec pause = {.tv_nsec = LOOK_NS};
    uint64_t began_ns = clock_now_ns();
    for (;;) {
        count_samples(builder, product, profile);
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
static bool choose(struct product *product, const struct profile *profile, struct err *err)
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
        if (is_chosen(product, func))
            continue;
        good += profile->counts[profile->order[i]];
        added[added_count++] = (struct codegen_name){func->unit, func->func};
    }
    for (uint32_t i = 0; i < added_count; i++) {
        struct codegen_name *name = VEC_PUSH(&product->chosen, CHOSEN_MAX);
        if (!name)
            return err_memory(err);
        *name = added[i];
    }
    qsort(product->chosen.items, product->chosen.count, sizeof *product->chosen.items, by_name);
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

/* For the product and all others that have the same image now. The descriptor is the product's from here on. */
static bool hand_over(struct builder *builder, struct product *product, int image_fd, bool last, struct err *err)
{
    uint32_t before = product->number, number = new_number(builder, last);
    replace_fd(product, image_fd);
    for (uint32_t i = 0; i < builder->count; i++) {
        struct product *at = &builder->products[i];
        if (first_of(builder, at) != first_of(builder, product) || at->number != before)
            continue;
        int fd = at == product ? image_fd : compile_open_again(image_fd, NULL, NULL, err);
        if (fd < 0)
            return false;
        replace_fd(at, fd);
        if (!send_image(builder, at, number))
            return false;
    }
    return true;
}

/* Compile again and hand it over, unless it is another file by now. */
static bool better(struct builder *builder, struct product *product, struct compile_options *compile, bool last,
                   struct err *err)
{
    compile->progress = tell_progress;
    compile->progress_arg = product;
    int image_fd = open_product(product, compile, NULL, err);
    if (image_fd < 0)
        return false;
    if (same_source(image_fd, product->fd))
        return hand_over(builder, product, image_fd, last, err);
    close(image_fd);
    err_set(err, ERR_SYSTEM, "the file is another one by now");
    return err_remedy(err, "send SIGHUP to serve it");
}

/* False: that was the last round. */
static bool improve_sampled(struct builder *builder, struct product *product, struct err *err)
{
    struct compile_options compile = builder->options->best;
    struct profile profile;
    bool done = profile_open(&profile, product->fd, err), enough = true;
    if (done) {
        gather(builder, product, &profile);
        enough = profile.good >= GOOD_SHARE * profile.total;
        if (profile.total)
            log_line(LOG_INFO, product->deployed->name, "%.0f %% of %u samples are in optimized code",
                     100.0 * profile.good / profile.total, profile.total);
    }
    if (done && !enough)
        done = choose(product, &profile, err);
    profile_close(&profile);
    compile.tier = TIER_MIXED;
    compile.chosen = product->chosen.items;
    compile.chosen_count = (uint32_t)product->chosen.count;
    return done && !enough && better(builder, product, &compile, false, err);
}

static bool improve(struct builder *builder, struct product *product, struct err *err)
{
    struct compile_options best = builder->options->best;
    uint64_t began_ns = clock_now_ns();
    if (product->outcome.source_bytes > SMALL_SOURCE)
        for (uint32_t i = 0; i < ROUNDS_MAX && improve_sampled(builder, product, err); i++)
            continue;
    if (err->kind || !better(builder, product, &best, true, err))
        return false;
    log_line(LOG_INFO, product->deployed->name, "all functions are optimized, after %.1f s",
             (double)(clock_now_ns() - began_ns) / NS_PER_S);
    return true;
}

/* ---- many functions ---- */

/* Samples of each product, in the order of products. */
static void count_products(const struct builder *builder, uint32_t *counts)
{
    for (uint32_t i = 0; i < builder->options->workers; i++) {
        const struct samples *samples = &builder->options->samples[i];
        uint32_t written = __atomic_load_n(&samples->count, __ATOMIC_ACQUIRE);
        for (uint32_t k = 0; k < SAMPLE_ROOM && k < written; k++) {
            uint32_t number = (uint32_t)(__atomic_load_n(&samples->rows[k], __ATOMIC_RELAXED) >> 32);
            for (uint32_t at = 0; number && at < builder->count; at++)
                counts[at] += builder->products[at].number == number;
        }
    }
}

/* The one with the most samples; of those without any the smallest. NULL: none is left. */
static struct product *busiest(const struct builder *builder, uint32_t *counts)
{
    struct product *best = NULL;
    memset(counts, 0, builder->count * sizeof *counts);
    if (builder->count > 1)
        count_products(builder, counts);
    for (uint32_t i = 0; i < builder->count; i++) {
        struct product *at = &builder->products[i];
        if (at->number == 0 || first_of(builder, at)->failed)
            continue;
        uint32_t more = counts[i], most = best ? counts[best - builder->products] : 0;
        if (!best || more > most || (more == most && at->outcome.source_bytes < best->outcome.source_bytes))
            best = at;
    }
    return best;
}

/* It takes a moment, and the next start has it: requests go first, but a busy machine shall get there. */
static void keep_all(const struct builder *builder)
{
    for (uint32_t i = 0; i < builder->count; i++) {
        const struct product *product = &builder->products[i];
        if (!product->outcome.kept_later)
            continue;
        setpriority(PRIO_PROCESS, 0, KEEP_NICE);
        compile_keep(product->fd, &product->outcome);
    }
}

static void improve_all(struct builder *builder)
{
    uint32_t *counts = mem_alloc(builder->count, sizeof *counts);
    struct product *product;
    stand_back();
    while (counts && (product = busiest(builder, counts))) {
        struct err err = {0};
        bool done = improve(builder, product, &err);
        first_of(builder, product)->failed = !done;
        if (err.kind)
            send_failure(builder, product, &err);
        else if (!done) /* the supervisor does not listen any more */
            break;
    }
    mem_free(counts);
}

/* ---- life ---- */

static bool take_products(struct builder *builder, const struct supervisor_seat *seat)
{
    builder->count = builder->options->deployment->function_count;
    builder->products = mem_alloc(builder->count, sizeof *builder->products);
    if (!builder->products)
        return false;
    for (uint32_t i = 0; i < builder->count; i++) {
        struct product *product = &builder->products[i];
        product->deployed = &builder->options->deployment->functions[i];
        product->fd = seat->images[i].fd;
        product->number = seat->images[i].number;
        product->outcome = builder->options->served[i];
        if (seat->anew) /* it may be a better one by now, and the first was kept */
            product->outcome.kept_later = false;
    }
    return true;
}

static void drop_products(struct builder *builder)
{
    for (uint32_t i = 0; i < builder->count; i++) {
        close(builder->products[i].fd);
        VEC_FREE(&builder->products[i].chosen);
    }
    mem_free(builder->products);
}

int builder_work(const struct builder_options *options, const struct supervisor_seat *seat)
{
    struct builder builder = {.options = options, .channel = seat->channel, .last_number = seat->last_number};
    bool done = take_products(&builder, seat) && (!seat->anew || renew(&builder));
    if (done)
        keep_all(&builder);
    if (done && options->improve)
        improve_all(&builder);
    close(builder.channel);
    if (builder.products)
        drop_products(&builder);
    return done ? 0 : 1;
}
