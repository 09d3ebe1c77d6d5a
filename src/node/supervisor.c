/* See supervisor.h. One loop around poll: signals, and a channel per child. */
#include "node/supervisor.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "node/channel.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define SETTLED_NS NS_PER_S             /* a worker that lived so long was no false start */
#define PAUSE_FIRST_NS (NS_PER_S / 100) /* after a false start, doubled up to the last */
#define PAUSE_LAST_NS NS_PER_S
#define POLLED_FIRST 4u /* of the workers, among what is polled */
#define KILL_NS NS_PER_S /* what does not end at once when it is told to is killed after this */

/* A process of ours and the way to it. */
struct child {
    pid_t pid;   /* 0: there is none */
    int channel; /* -1: there is none, or it was closed */
    bool ready;  /* it said so; the certifier: it said something */
    uint64_t told; /* a worker: the image generation up to which it knows them */
    uint32_t asked; /* a worker: certificates that it was sent, and has not answered yet whether it took */
    uint64_t born_ns;
};

struct supervisor {
    const struct supervisor_options *options;
    struct child *workers, builder, teller, keeper, certifier;
    struct pollfd *polled; /* signals, the builder, the certifier, the parent, the workers */
    struct supervisor_image *images;
    int signal_fd;
    int parent; /* a channel, or -1 */
    uint32_t last_number; /* of an image */
    sigset_t signals, before; /* that are read from signal_fd; what was blocked when we came */
    uint64_t pause_ns, spawn_ns; /* after false starts: how long to wait, until when */
    uint64_t kill_ns; /* when those that are left are killed, or 0 */
    bool serving, draining, improve, rebuild; /* the last two: a builder is to be started */
    bool anew; /* the builder's first image is a new one */
    bool certify; /* a certifier is to be started */
    bool refused; /* the certificate, by some worker */
    struct err *err;
    bool failed;
};

uint32_t supervisor_processors(void)
{
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return count > 0 ? (uint32_t)count : 1;
}

/* ---- children ---- */

static void close_channel(struct child *child)
{
    if (child->channel >= 0)
        close(child->channel);
    child->channel = -1;
}

/* In a child: what belongs to the supervisor alone is closed, and signals are as they were. */
static void become_child(struct supervisor *supervisor, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(1);
    for (uint32_t i = 0; i < supervisor->options->workers; i++)
        close_channel(&supervisor->workers[i]);
    close_channel(&supervisor->builder);
    close_channel(&supervisor->teller);
    close_channel(&supervisor->keeper);
    close_channel(&supervisor->certifier);
    if (supervisor->parent >= 0)
        close(supervisor->parent);
    close(supervisor->signal_fd);
    mem_free(supervisor->workers);
    mem_free(supervisor->polled);
    sigprocmask(SIG_SETMASK, &supervisor->before, NULL);
}

static bool spawn(struct supervisor *supervisor, struct child *child,
                  int (*run)(void *arg, const struct supervisor_seat *seat), struct err *err)
{
    struct supervisor_seat seat = {
        .images = supervisor->images, .last_number = supervisor->last_number, .anew = supervisor->anew};
    if (child >= supervisor->workers && child < supervisor->workers + supervisor->options->workers)
        seat.index = (uint32_t)(child - supervisor->workers);
    int ends[2];
    pid_t parent = getpid();
    if (!channel_open(ends, err))
        return false;
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        become_child(supervisor, parent);
        seat.channel = ends[1];
        exit(run(supervisor->options->arg, &seat));
    }
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return err_errno(err, "fork");
    }
    *child = (struct child){.pid = pid, .channel = ends[0], .born_ns = clock_now_ns()};
    child->told = counter_read(&supervisor->options->metrics->node->generation);
    return true;
}

static bool fail(struct supervisor *supervisor, const struct err *err)
{
    if (!supervisor->failed)
        *supervisor->err = *err;
    supervisor->failed = true;
    return false;
}

static void later(struct supervisor *supervisor)
{
    uint64_t pause_ns = supervisor->pause_ns ? 2 * supervisor->pause_ns : PAUSE_FIRST_NS;
    supervisor->pause_ns = pause_ns < PAUSE_LAST_NS ? pause_ns : PAUSE_LAST_NS;
    supervisor->spawn_ns = clock_now_ns() + supervisor->pause_ns;
}

static struct metrics_place *place_of(const struct supervisor *supervisor, const struct child *worker)
{
    return &supervisor->options->metrics->node->places[worker - supervisor->workers];
}

static bool spawn_worker(struct supervisor *supervisor, struct child *worker, struct err *err)
{
    if (!spawn(supervisor, worker, supervisor->options->work, err))
        return false;
    counter_set(&place_of(supervisor, worker)->pid, (uint64_t)worker->pid);
    counter_add(&place_of(supervisor, worker)->births, 1);
    return true;
}

/* One that there is once, if at all, as long as there are workers. */
static bool spawn_once(struct supervisor *supervisor, struct child *child,
                       int (*run)(void *arg, const struct supervisor_seat *seat), struct err *err)
{
    return !run || child->pid || spawn(supervisor, child, run, err);
}

static void certify_failed(const struct err *err)
{
    log_line(LOG_ERROR, NULL, "certificate not renewed: %s; %s%ssend SIGHUP again", err->message, err->remedy,
             err->remedy[0] ? ", and " : "");
}

/* Fill the empty places, unless the last ones that stood there failed a moment ago. */
static void spawn_missing(struct supervisor *supervisor)
{
    struct err err = {0};
    if (supervisor->draining || supervisor->failed || clock_now_ns() < supervisor->spawn_ns)
        return;
    bool done = spawn_once(supervisor, &supervisor->keeper, supervisor->options->keep, &err) &&
                spawn_once(supervisor, &supervisor->teller, supervisor->options->tell, &err);
    for (uint32_t i = 0; done && i < supervisor->options->workers; i++)
        done = supervisor->workers[i].pid || spawn_worker(supervisor, &supervisor->workers[i], &err);
    if (done)
        return;
    log_line(LOG_ERROR, NULL, "a process is missing: %s", err.message);
    later(supervisor);
}

static void start_build(struct supervisor *supervisor)
{
    struct err err = {0};
    supervisor->anew = supervisor->rebuild;
    supervisor->rebuild = supervisor->improve = false;
    if (supervisor->anew)
        log_line(LOG_INFO, NULL, "reloading");
    if (!spawn(supervisor, &supervisor->builder, supervisor->options->build, &err))
        log_line(LOG_ERROR, NULL, "%s: %s", supervisor->anew ? "not reloaded" : "not improved", err.message);
}

/* One that makes an old image better gives way to one that makes a new one. */
static void build(struct supervisor *supervisor)
{
    bool busy = supervisor->builder.pid != 0;
    if (supervisor->draining || !supervisor->serving)
        return;
    if (busy && supervisor->rebuild && !supervisor->anew)
        kill(supervisor->builder.pid, SIGKILL);
    if (!busy && (supervisor->rebuild || supervisor->improve))
        start_build(supervisor);
}

/* One that reads the files gives way: they may have changed behind it. */
static void certify(struct supervisor *supervisor)
{
    struct err err = {0};
    if (supervisor->draining || !supervisor->serving || !supervisor->certify)
        return;
    if (supervisor->certifier.pid) {
        kill(supervisor->certifier.pid, SIGKILL);
        return;
    }
    supervisor->certify = false;
    if (!spawn(supervisor, &supervisor->certifier, supervisor->options->certify, &err))
        certify_failed(&err);
}

static void signal_workers(const struct supervisor *supervisor, int number)
{
    for (uint32_t i = 0; i < supervisor->options->workers; i++)
        if (supervisor->workers[i].pid)
            kill(supervisor->workers[i].pid, number);
}

/* ---- what children say ---- */

static void tell_parent(const struct supervisor *supervisor, enum message_kind kind)
{
    const struct message message = {.kind = kind};
    if (supervisor->parent >= 0)
        channel_send_all(supervisor->parent, &message, -1);
}

static void worker_ready(struct supervisor *supervisor, struct child *worker)
{
    worker->ready = true;
    counter_set(&place_of(supervisor, worker)->ready, 1);
    for (uint32_t i = 0; i < supervisor->options->workers; i++)
        if (!supervisor->workers[i].ready)
            return;
    if (!supervisor->serving) {
        supervisor->options->serving(supervisor->options->arg);
        tell_parent(supervisor, MESSAGE_READY);
    }
    supervisor->serving = true;
}

static void worker_failed(struct supervisor *supervisor, const struct child *worker, const struct err *err)
{
    if (!supervisor->serving)
        fail(supervisor, err);
    else
        log_line(LOG_ERROR, NULL, "worker %d: %s%s%s", (int)worker->pid, err->message, err->remedy[0] ? "; " : "",
                 err->remedy);
}

/* So many answers are left to come from this worker. The last one of all speaks for all. */
static void certify_answered(struct supervisor *supervisor, struct child *worker, uint32_t left)
{
    bool last = worker->asked != 0;
    worker->asked = left;
    for (uint32_t i = 0; i < supervisor->options->workers; i++)
        last &= supervisor->workers[i].asked == 0;
    if (last && !supervisor->refused && !supervisor->draining)
        log_line(LOG_INFO, NULL, "certificate renewed");
}

static void certify_refused(struct supervisor *supervisor, const struct child *worker, const struct err *err)
{
    supervisor->refused = true;
    log_line(LOG_ERROR, NULL, "worker %d shows the old certificate on: %s; send SIGHUP again", (int)worker->pid,
             err->message);
}

static void worker_secured(struct supervisor *supervisor, struct child *worker, const struct err *err)
{
    if (worker->asked == 0)
        return;
    if (err->kind)
        certify_refused(supervisor, worker, err);
    certify_answered(supervisor, worker, worker->asked - 1);
}

static void hear_worker(struct supervisor *supervisor, struct child *worker)
{
    struct message message;
    int fd;
    enum packet_got got;
    while (worker->channel >= 0 && (got = channel_receive(worker->channel, &message, &fd)) != PACKET_NOTHING) {
        if (got == PACKET_CLOSED)
            close_channel(worker);
        else if (message.kind == MESSAGE_READY)
            worker_ready(supervisor, worker);
        else if (message.kind == MESSAGE_FAILED)
            worker_failed(supervisor, worker, &message.err);
        else if (message.kind == MESSAGE_SECURED)
            worker_secured(supervisor, worker, &message.err);
        else
            close(fd);
    }
}

/* Whether the builder may make a better one of some image. */
static bool any_numbered(const struct supervisor *supervisor)
{
    for (uint32_t i = 0; i < supervisor->options->function_count; i++)
        if (supervisor->images[i].number)
            return true;
    return false;
}

/* Of all images, and of this one, which is new. */
static void tell_tier(const struct supervisor *supervisor, const struct supervisor_image *image)
{
    const struct metrics *metrics = supervisor->options->metrics;
    enum metrics_tier improving = supervisor->anew ? METRICS_TIER_FAST : METRICS_TIER_MIXED;
    counter_set(&metrics->node->tier, any_numbered(supervisor) ? improving : supervisor->options->tier);
    metrics_tiers(metrics)[image - supervisor->images] =
        (uint8_t)(image->number ? improving : supervisor->options->tier);
}

/* The oldest image that the worker does not know yet. NULL: it knows all. */
static struct supervisor_image *next_news(const struct supervisor *supervisor, const struct child *worker)
{
    struct supervisor_image *news = NULL;
    for (uint32_t i = 0; i < supervisor->options->function_count; i++) {
        struct supervisor_image *image = &supervisor->images[i];
        if (image->generation > worker->told && (!news || image->generation < news->generation))
            news = image;
    }
    return news;
}

static bool has_news(const struct supervisor *supervisor, const struct child *worker)
{
    return worker->channel >= 0 && worker->told < counter_read(&supervisor->options->metrics->node->generation);
}

/* As much as it takes now; the rest follows when there is room. */
static void tell_news(const struct supervisor *supervisor, struct child *worker)
{
    const struct supervisor_image *news;
    while (has_news(supervisor, worker) && (news = next_news(supervisor, worker))) {
        const struct message message = {.kind = MESSAGE_IMAGE,
                                        .function = (uint32_t)(news - supervisor->images),
                                        .number = news->number,
                                        .generation = news->generation};
        if (!channel_send(worker->channel, &message, news->fd))
            return;
        worker->told = news->generation;
    }
}

/* From here on this image is served, and by those that begin. */
static void take_image(struct supervisor *supervisor, const struct message *message, int fd)
{
    struct metrics_node *node = supervisor->options->metrics->node;
    struct supervisor_image *image = &supervisor->images[message->function];
    close(image->fd);
    counter_add(&node->generation, 1);
    *image = (struct supervisor_image){fd, message->number, counter_read(&node->generation)};
    if (message->number > supervisor->last_number) /* functions that share an image share its number */
        supervisor->last_number = message->number;
    tell_tier(supervisor, image);
    for (uint32_t i = 0; i < supervisor->options->workers; i++)
        tell_news(supervisor, &supervisor->workers[i]);
}

static void reloaded(struct supervisor *supervisor)
{
    if (supervisor->anew)
        log_line(LOG_INFO, NULL, "reloaded");
    supervisor->anew = false;
}

/* The descriptor is in the supervisor for this moment only, and what it holds never is in its memory. One that takes no
 * message is busy or at its end: to end it for that would cost connections. */
static void take_certificate(struct supervisor *supervisor, const struct message *message, int fd)
{
    struct err err = {0};
    err_set(&err, ERR_SYSTEM, "it does not take messages");
    supervisor->refused = false;
    for (uint32_t i = 0; i < supervisor->options->workers; i++) {
        struct child *worker = &supervisor->workers[i];
        if (worker->pid && channel_send(worker->channel, message, fd))
            worker->asked++;
        else if (worker->pid)
            certify_refused(supervisor, worker, &err);
    }
    close(fd);
}

static void builder_failed(struct supervisor *supervisor, const struct err *err)
{
    log_line(LOG_ERROR, NULL, "%s: %s%s%s", supervisor->anew ? "not reloaded" : "not improved", err->message,
             err->remedy[0] ? "; " : "", err->remedy);
    supervisor->anew = false;
}

static void hear_builder(struct supervisor *supervisor)
{
    struct child *builder = &supervisor->builder;
    struct message message;
    int fd;
    enum packet_got got;
    while (builder->channel >= 0 && (got = channel_receive(builder->channel, &message, &fd)) != PACKET_NOTHING) {
        if (got == PACKET_CLOSED)
            close_channel(builder);
        else if (message.kind == MESSAGE_IMAGE && message.function < supervisor->options->function_count)
            take_image(supervisor, &message, fd);
        else if (message.kind == MESSAGE_RELOADED)
            reloaded(supervisor);
        else if (message.kind == MESSAGE_FAILED)
            builder_failed(supervisor, &message.err);
        else if (fd >= 0)
            close(fd);
    }
}

static void builder_ended(struct supervisor *supervisor)
{
    struct err err = {0};
    hear_builder(supervisor);
    close_channel(&supervisor->builder);
    supervisor->builder.pid = 0;
    err_set(&err, ERR_SYSTEM, "the process that builds ended early");
    if (supervisor->anew && !supervisor->draining)
        builder_failed(supervisor, &err);
}

/* There is one message. */
static void hear_certifier(struct supervisor *supervisor)
{
    struct child *certifier = &supervisor->certifier;
    struct message message;
    int fd;
    enum packet_got got = certifier->channel < 0 ? PACKET_NOTHING : channel_receive(certifier->channel, &message, &fd);
    if (got == PACKET_NOTHING)
        return;
    certifier->ready = got == PACKET_HERE;
    if (got == PACKET_HERE && message.kind == MESSAGE_CERTIFICATE)
        take_certificate(supervisor, &message, fd);
    else if (got == PACKET_HERE && message.kind == MESSAGE_FAILED)
        certify_failed(&message.err);
    close_channel(certifier);
}

/* One that was ended for another, or with the rest, owes no word. */
static void certifier_ended(struct supervisor *supervisor)
{
    struct err err = {0};
    hear_certifier(supervisor);
    close_channel(&supervisor->certifier);
    supervisor->certifier.pid = 0;
    err_set(&err, ERR_SYSTEM, "the process that reads it ended early");
    if (!supervisor->certifier.ready && !supervisor->certify && !supervisor->draining && !supervisor->failed)
        certify_failed(&err);
}

/* ---- signals ---- */

static void describe_end(int status, char text[64])
{
    if (WIFSIGNALED(status))
        snprintf(text, 64, "signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(text, 64, "status %d", WEXITSTATUS(status));
}

static void worker_ended(struct supervisor *supervisor, struct child *worker, int status)
{
    char how[64];
    struct err err = {0};
    bool false_start = !worker->ready || clock_now_ns() - worker->born_ns < SETTLED_NS;
    pid_t pid = worker->pid;
    hear_worker(supervisor, worker);
    close_channel(worker);
    certify_answered(supervisor, worker, 0); /* another takes its place, and reads the files itself */
    worker->pid = 0;
    worker->ready = false;
    counter_set(&place_of(supervisor, worker)->pid, 0);
    counter_set(&place_of(supervisor, worker)->ready, 0);
    describe_end(status, how);
    if (supervisor->draining || supervisor->failed)
        return;
    if (!supervisor->serving) {
        err_set(&err, ERR_SYSTEM, "a worker ended before it began, with %s", how);
        fail(supervisor, &err);
        return;
    }
    log_line(LOG_ERROR, NULL, "worker %d ended with %s; another takes its place", (int)pid, how);
    if (false_start)
        later(supervisor);
    else
        supervisor->pause_ns = 0;
}

static void once_ended(struct supervisor *supervisor, struct child *child, const char *what, int status)
{
    char how[64];
    bool false_start = clock_now_ns() - child->born_ns < SETTLED_NS;
    close_channel(child);
    child->pid = 0;
    if (supervisor->draining || supervisor->failed)
        return;
    describe_end(status, how);
    log_line(LOG_ERROR, NULL, "the process that %s ended with %s", what, how);
    if (false_start)
        later(supervisor);
}

static void collect(struct supervisor *supervisor)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (uint32_t i = 0; i < supervisor->options->workers; i++)
            if (supervisor->workers[i].pid == pid)
                worker_ended(supervisor, &supervisor->workers[i], status);
        if (supervisor->builder.pid == pid)
            builder_ended(supervisor);
        if (supervisor->teller.pid == pid)
            once_ended(supervisor, &supervisor->teller, "tells of the others", status);
        if (supervisor->keeper.pid == pid)
            once_ended(supervisor, &supervisor->keeper, "keeps stores and databases", status);
        if (supervisor->certifier.pid == pid)
            certifier_ended(supervisor);
    }
}

/* It was needed to the last, and has nothing to finish. */
static void end_once(struct child *child)
{
    close_channel(child);
    if (!child->pid)
        return;
    kill(child->pid, SIGKILL);
    waitpid(child->pid, NULL, 0);
    child->pid = 0;
}

static void end(struct supervisor *supervisor)
{
    if (supervisor->draining)
        supervisor->kill_ns = clock_now_ns() + KILL_NS;
    supervisor->draining = true;
    counter_set(&supervisor->options->metrics->node->draining, 1);
    signal_workers(supervisor, SIGTERM);
}

/* As `end`, but clients that are between two requests have a moment for the next one, which they are told is the last;
 * and nobody asks here any more how it goes. */
static void retire(struct supervisor *supervisor)
{
    const struct message message = {.kind = MESSAGE_RETIRE};
    if (supervisor->draining)
        return;
    supervisor->draining = true;
    counter_set(&supervisor->options->metrics->node->draining, 1);
    end_once(&supervisor->teller);
    for (uint32_t i = 0; i < supervisor->options->workers; i++) {
        struct child *worker = &supervisor->workers[i];
        if (worker->pid && (!worker->ready || !channel_send(worker->channel, &message, -1)))
            kill(worker->pid, SIGTERM);
    }
}

static void hear_parent(struct supervisor *supervisor)
{
    struct message message;
    int fd;
    enum packet_got got;
    while (supervisor->parent >= 0 && (got = channel_receive(supervisor->parent, &message, &fd)) != PACKET_NOTHING) {
        if (got == PACKET_HERE && message.kind == MESSAGE_RETIRE) {
            retire(supervisor);
        } else if (got == PACKET_CLOSED) {
            close(supervisor->parent);
            supervisor->parent = -1;
            if (!supervisor->draining)
                end(supervisor);
        } else if (fd >= 0) {
            close(fd);
        }
    }
}

static void renew(struct supervisor *supervisor)
{
    const struct supervisor_options *options = supervisor->options;
    if (supervisor->parent >= 0 && options->changed && options->changed(options->arg)) {
        tell_parent(supervisor, MESSAGE_CHANGED);
        return;
    }
    supervisor->rebuild = true;
    supervisor->certify = supervisor->options->certify != NULL;
}

static void on_signal(struct supervisor *supervisor)
{
    struct signalfd_siginfo info;
    while (read(supervisor->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGHUP)
            renew(supervisor);
        else if (info.ssi_signo == SIGTERM || (info.ssi_signo == SIGINT && supervisor->options->parent < 0))
            end(supervisor);
    }
    collect(supervisor);
}

/* ---- life ---- */

static bool open_signals(struct supervisor *supervisor, struct err *err)
{
    sigemptyset(&supervisor->signals);
    sigaddset(&supervisor->signals, SIGINT);
    sigaddset(&supervisor->signals, SIGTERM);
    sigaddset(&supervisor->signals, SIGHUP);
    sigaddset(&supervisor->signals, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &supervisor->signals, &supervisor->before) != 0)
        return err_errno(err, "sigprocmask");
    supervisor->signal_fd = signalfd(-1, &supervisor->signals, SFD_NONBLOCK | SFD_CLOEXEC);
    return supervisor->signal_fd >= 0 || err_errno(err, "signalfd");
}

static bool any_child(const struct supervisor *supervisor)
{
    if (supervisor->builder.pid || supervisor->certifier.pid)
        return true;
    for (uint32_t i = 0; i < supervisor->options->workers; i++)
        if (supervisor->workers[i].pid)
            return true;
    return false;
}

static int patience_ms(const struct supervisor *supervisor)
{
    uint64_t now = clock_now_ns(), until = supervisor->draining ? supervisor->kill_ns : supervisor->spawn_ns;
    if (until <= now)
        return -1;
    return (int)((until - now) / (NS_PER_S / 1000)) + 1;
}

static void kill_late(struct supervisor *supervisor)
{
    bool late = supervisor->kill_ns && clock_now_ns() >= supervisor->kill_ns;
    if (late || supervisor->failed)
        signal_workers(supervisor, SIGKILL);
    if (supervisor->builder.pid && (supervisor->draining || supervisor->failed))
        kill(supervisor->builder.pid, SIGKILL);
    if (supervisor->certifier.pid && (supervisor->draining || supervisor->failed))
        kill(supervisor->certifier.pid, SIGKILL);
    if (late)
        supervisor->kill_ns = 0;
}

static bool wait_for_news(struct supervisor *supervisor)
{
    struct pollfd *polled = supervisor->polled;
    uint32_t workers = supervisor->options->workers;
    struct err err = {0};
    polled[0] = (struct pollfd){supervisor->signal_fd, POLLIN, 0};
    polled[1] = (struct pollfd){supervisor->builder.channel, POLLIN, 0};
    polled[2] = (struct pollfd){supervisor->certifier.channel, POLLIN, 0};
    polled[3] = (struct pollfd){supervisor->parent, POLLIN, 0};
    for (uint32_t i = 0; i < workers; i++)
        polled[POLLED_FIRST + i] =
            (struct pollfd){supervisor->workers[i].channel,
                            has_news(supervisor, &supervisor->workers[i]) ? POLLIN | POLLOUT : POLLIN, 0};
    if (poll(polled, POLLED_FIRST + workers, patience_ms(supervisor)) < 0 && errno != EINTR) {
        err_errno(&err, "poll");
        return fail(supervisor, &err);
    }
    return true;
}

/* Until all children are gone, which is when a signal asked for it or nothing else is possible. */
static void run(struct supervisor *supervisor)
{
    spawn_missing(supervisor);
    while (any_child(supervisor) || !(supervisor->draining || supervisor->failed)) {
        if (!wait_for_news(supervisor))
            break;
        for (uint32_t i = 0; i < supervisor->options->workers; i++) {
            hear_worker(supervisor, &supervisor->workers[i]);
            tell_news(supervisor, &supervisor->workers[i]);
        }
        hear_builder(supervisor);
        hear_certifier(supervisor);
        hear_parent(supervisor);
        on_signal(supervisor);
        kill_late(supervisor);
        build(supervisor);
        certify(supervisor);
        spawn_missing(supervisor);
    }
}

static void finish(struct supervisor *supervisor)
{
    for (uint32_t i = 0; supervisor->workers && i < supervisor->options->workers; i++)
        close_channel(&supervisor->workers[i]);
    close_channel(&supervisor->builder);
    close_channel(&supervisor->certifier);
    if (supervisor->parent >= 0)
        close(supervisor->parent);
    end_once(&supervisor->teller);
    end_once(&supervisor->keeper);
    if (supervisor->signal_fd >= 0)
        close(supervisor->signal_fd);
    for (uint32_t i = 0; i < supervisor->options->function_count; i++)
        close(supervisor->images[i].fd);
    mem_free(supervisor->workers);
    mem_free(supervisor->polled);
}

bool supervise(const struct supervisor_options *options, struct err *err)
{
    struct supervisor supervisor = {.options = options,
                                    .builder.channel = -1,
                                    .teller.channel = -1,
                                    .keeper.channel = -1,
                                    .certifier.channel = -1,
                                    .images = options->images,
                                    .signal_fd = -1,
                                    .parent = options->parent,
                                    .err = err};
    supervisor.improve = options->improve || options->cache;
    for (uint32_t i = 0; i < options->function_count; i++)
        if (options->images[i].number > supervisor.last_number)
            supervisor.last_number = options->images[i].number;
    supervisor.workers = mem_alloc(options->workers, sizeof *supervisor.workers);
    supervisor.polled = mem_alloc(options->workers + POLLED_FIRST, sizeof *supervisor.polled);
    supervisor.failed = !supervisor.workers || !supervisor.polled;
    for (uint32_t i = 0; !supervisor.failed && i < options->workers; i++)
        supervisor.workers[i].channel = -1;
    if (supervisor.failed)
        err_memory(err);
    else
        supervisor.failed = !open_signals(&supervisor, err);
    if (!supervisor.failed)
        run(&supervisor);
    finish(&supervisor);
    return !supervisor.failed;
}
