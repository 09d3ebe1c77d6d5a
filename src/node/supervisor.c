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
#define POLLED_FIRST 3u /* of the workers, among what is polled */
#define KILL_NS NS_PER_S /* what does not end at once when it is told to is killed after this */

/* A process of ours and the way to it. */
struct child {
    pid_t pid;   /* 0: there is none */
    int channel; /* -1: there is none, or it was closed */
    bool ready;  /* it said so; the certifier: it said something */
    uint32_t asked; /* a worker: certificates that it was sent, and has not answered yet whether it took */
    uint64_t born_ns;
};

struct supervisor {
    const struct supervisor_options *options;
    struct child *workers, builder, teller, certifier;
    struct pollfd *polled; /* signals, the builder, the certifier, the workers */
    int image_fd, signal_fd;
    uint32_t image_number, last_number; /* of the image; the last one given */
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
    close_channel(&supervisor->certifier);
    close(supervisor->signal_fd);
    mem_free(supervisor->workers);
    mem_free(supervisor->polled);
    sigprocmask(SIG_SETMASK, &supervisor->before, NULL);
}

static bool spawn(struct supervisor *supervisor, struct child *child,
                  int (*run)(void *arg, const struct supervisor_seat *seat), struct err *err)
{
    struct supervisor_seat seat = {.image_fd = supervisor->image_fd,
                                   .image_number = supervisor->image_number,
                                   .generation = counter_read(&supervisor->options->metrics->node->generation),
                                   .last_number = supervisor->last_number,
                                   .anew = supervisor->anew};
    if (child != &supervisor->builder && child != &supervisor->teller && child != &supervisor->certifier)
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

static bool spawn_teller(struct supervisor *supervisor, struct err *err)
{
    return !supervisor->options->tell || supervisor->teller.pid ||
           spawn(supervisor, &supervisor->teller, supervisor->options->tell, err);
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
    bool done = spawn_teller(supervisor, &err);
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

static void worker_ready(struct supervisor *supervisor, struct child *worker)
{
    worker->ready = true;
    counter_set(&place_of(supervisor, worker)->ready, 1);
    for (uint32_t i = 0; i < supervisor->options->workers; i++)
        if (!supervisor->workers[i].ready)
            return;
    if (!supervisor->serving)
        supervisor->options->serving(supervisor->options->arg);
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
    enum channel_got got;
    while (worker->channel >= 0 && (got = channel_receive(worker->channel, &message, &fd)) != CHANNEL_NOTHING) {
        if (got == CHANNEL_CLOSED)
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

static void tell_image(const struct supervisor *supervisor, uint32_t number)
{
    struct metrics_node *node = supervisor->options->metrics->node;
    enum metrics_tier improving = supervisor->anew ? METRICS_TIER_FAST : METRICS_TIER_MIXED;
    counter_add(&node->generation, 1);
    counter_set(&node->tier, number ? improving : supervisor->options->tier);
}

/* From here on this image is served, and by those that begin. One that cannot take it does not go on with the old one.
 */
static void take_image(struct supervisor *supervisor, const struct message *message, int fd)
{
    close(supervisor->image_fd);
    supervisor->image_fd = fd;
    supervisor->image_number = message->number;
    if (message->number)
        supervisor->last_number = message->number;
    tell_image(supervisor, message->number);
    for (uint32_t i = 0; i < supervisor->options->workers; i++) {
        const struct child *worker = &supervisor->workers[i];
        if (worker->pid && !channel_send(worker->channel, message, fd))
            kill(worker->pid, SIGTERM);
    }
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
    enum channel_got got;
    while (builder->channel >= 0 && (got = channel_receive(builder->channel, &message, &fd)) != CHANNEL_NOTHING) {
        if (got == CHANNEL_CLOSED)
            close_channel(builder);
        else if (message.kind == MESSAGE_IMAGE)
            take_image(supervisor, &message, fd);
        else if (message.kind == MESSAGE_FAILED)
            builder_failed(supervisor, &message.err);
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
    enum channel_got got =
        certifier->channel < 0 ? CHANNEL_NOTHING : channel_receive(certifier->channel, &message, &fd);
    if (got == CHANNEL_NOTHING)
        return;
    certifier->ready = got == CHANNEL_MESSAGE;
    if (got == CHANNEL_MESSAGE && message.kind == MESSAGE_CERTIFICATE)
        take_certificate(supervisor, &message, fd);
    else if (got == CHANNEL_MESSAGE && message.kind == MESSAGE_FAILED)
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

static void teller_ended(struct supervisor *supervisor, int status)
{
    char how[64];
    bool false_start = clock_now_ns() - supervisor->teller.born_ns < SETTLED_NS;
    close_channel(&supervisor->teller);
    supervisor->teller.pid = 0;
    if (supervisor->draining || supervisor->failed)
        return;
    describe_end(status, how);
    log_line(LOG_ERROR, NULL, "the process that tells of the others ended with %s", how);
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
            teller_ended(supervisor, status);
        if (supervisor->certifier.pid == pid)
            certifier_ended(supervisor);
    }
}

static void end(struct supervisor *supervisor)
{
    if (supervisor->draining)
        supervisor->kill_ns = clock_now_ns() + KILL_NS;
    supervisor->draining = true;
    counter_set(&supervisor->options->metrics->node->draining, 1);
    signal_workers(supervisor, SIGTERM);
}

static void renew(struct supervisor *supervisor)
{
    supervisor->rebuild = true;
    supervisor->certify = supervisor->options->certify != NULL;
}

static void on_signal(struct supervisor *supervisor)
{
    struct signalfd_siginfo info;
    while (read(supervisor->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGHUP)
            renew(supervisor);
        else if (info.ssi_signo != SIGCHLD)
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
    for (uint32_t i = 0; i < workers; i++)
        polled[POLLED_FIRST + i] = (struct pollfd){supervisor->workers[i].channel, POLLIN, 0};
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
        for (uint32_t i = 0; i < supervisor->options->workers; i++)
            hear_worker(supervisor, &supervisor->workers[i]);
        hear_builder(supervisor);
        hear_certifier(supervisor);
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
    close_channel(&supervisor->teller);
    close_channel(&supervisor->certifier);
    if (supervisor->teller.pid) { /* it told of the workers to the last, and has nothing to finish */
        kill(supervisor->teller.pid, SIGKILL);
        waitpid(supervisor->teller.pid, NULL, 0);
    }
    if (supervisor->signal_fd >= 0)
        close(supervisor->signal_fd);
    close(supervisor->image_fd);
    mem_free(supervisor->workers);
    mem_free(supervisor->polled);
}

bool supervise(const struct supervisor_options *options, struct err *err)
{
    struct supervisor supervisor = {.options = options,
                                    .builder.channel = -1,
                                    .teller.channel = -1,
                                    .certifier.channel = -1,
                                    .image_fd = options->image_fd,
                                    .signal_fd = -1,
                                    .err = err};
    supervisor.improve = options->improve;
    supervisor.image_number = supervisor.last_number = options->improve ? 1 : 0;
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
