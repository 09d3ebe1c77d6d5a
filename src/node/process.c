/* See process.h. */
#include "node/process.h"

#include "base/log.h"
#include "http/tls.h"
#include "node/channel.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

struct process {
    const struct process_options *options;
    struct io_loop *loop;
    struct io_signals signals;
    struct io_watch channel;
    struct function function;
    struct worker *worker;
    struct metrics_worker *metrics;
    uint64_t generation; /* of the image that comes next */
    struct tls_context *tls;
    bool draining;
};

static void drained(void *arg)
{
    struct process *process = arg;
    io_stop(process->loop);
}

static void drain(struct process *process)
{
    if (process->draining)
        io_stop(process->loop);
    process->draining = true;
    worker_drain(process->worker, drained, process);
}

static void on_signal(struct io_signals *signals, int number)
{
    (void)number;
    drain(IO_OWNER(signals, struct process, signals));
}

static void report(const struct process *process, enum message_kind kind, const struct err *err)
{
    struct message message = {.kind = kind};
    if (err)
        message.err = *err;
    channel_send(process->channel.fd, &message, -1);
}

static bool sample(const struct process *process, uint32_t number, struct err *err)
{
    process->function.current->program->sample_number = number;
    if (number)
        return sample_open(process->options->samples, err);
    sample_close();
    return true;
}

static bool load(struct process *process, int image_fd, uint32_t number, struct err *err)
{
    const struct process_options *options = process->options;
    if (!function_load(&process->function, image_fd, err) || !sample(process, number, err))
        return false;
    counter_set(&process->metrics->functions[0].generation, process->generation++);
    return !options->loaded || options->loaded(options->arg, process->function.current->program, err);
}

static void replace(struct process *process, int image_fd, uint32_t number)
{
    struct err err = {0};
    bool done = load(process, image_fd, number, &err);
    close(image_fd);
    report(process, done ? MESSAGE_READY : MESSAGE_FAILED, done ? NULL : &err);
}

/* For connections to come: those that there are keep the old context alive as long as they need it. */
static void renew(struct process *process, int fd, uint32_t certificate_size)
{
    struct message answer = {.kind = MESSAGE_SECURED};
    struct tls_context *tls = certificate_context(&process->options->files, fd, certificate_size, &answer.err);
    close(fd);
    if (tls) {
        worker_set_tls(process->worker, tls);
        tls_context_free(process->tls);
        process->tls = tls;
    }
    channel_send(process->channel.fd, &answer, -1);
}

static void on_channel(struct io_watch *watch, unsigned events)
{
    struct process *process = IO_OWNER(watch, struct process, channel);
    struct message message;
    int fd = -1;
    enum channel_got got = channel_receive(watch->fd, &message, &fd);
    if (got == CHANNEL_CLOSED) {
        io_unwatch(process->loop, watch);
        drain(process);
    } else if (got == CHANNEL_MESSAGE && message.kind == MESSAGE_IMAGE) {
        replace(process, fd, message.number);
    } else if (got == CHANNEL_MESSAGE && message.kind == MESSAGE_CERTIFICATE) {
        renew(process, fd, message.number);
    }
}

/* Compilers are forks of the supervisor, and a hostile module may own its compiler: the key is no business of theirs.
 */
static bool secure(struct process *process, struct err *err)
{
    const struct certificate_files *files = &process->options->files;
    return !files->certificate || (process->tls = certificate_read(files, err)) != NULL;
}

static bool start(struct process *process, const struct supervisor_seat *seat, struct err *err)
{
    static const int numbers[] = {SIGTERM};
    const struct process_options *options = process->options;
    struct worker_options worker = options->worker;
    process->generation = seat->generation;
    worker.metrics = process->metrics = metrics_keep(options->metrics, seat->index);
    worker.tick_factor = metrics_tick_factor(options->metrics);
    function_init(&process->function, options->config, options->limits, &process->metrics->functions[0]);
    process->loop = io_loop_open(options->io, err);
    if (!process->loop || !io_signals_open(process->loop, &process->signals, numbers, 1, err))
        return false;
    process->signals.raised = on_signal;
    process->channel.ready = on_channel;
    if (!io_watch_level(process->loop, &process->channel, err) || !secure(process, err))
        return false;
    worker.tls = process->tls;
    process->worker = worker_new(process->loop, &process->function, options->listen_fd, &worker, err);
    if (process->worker && options->snapshot)
        process->function.freezing = worker_hosts(process->worker);
    if (!process->worker || (options->prepare && !options->prepare(options->arg, err)))
        return false;
    return sandbox_enter(&options->sandbox, options->config, err) &&
           load(process, seat->image_fd, seat->image_number, err);
}

static void log_stats(const struct process *process)
{
    struct buf text;
    buf_init(&text, 65536);
    worker_stats(process->worker, &text);
    fprintf(stderr, "start-stats: %.*s\n", (int)text.size, (const char *)text.data);
    buf_free(&text);
}

static void finish(struct process *process)
{
    sample_close();
    worker_free(process->worker);
    tls_context_free(process->tls);
    function_end(&process->function);
    if (process->signals.raised)
        io_signals_close(process->loop, &process->signals);
    io_loop_free(process->loop);
    close(process->channel.fd);
}

int process_work(const struct process_options *options, const struct supervisor_seat *seat)
{
    struct process process = {.options = options, .channel.fd = seat->channel};
    struct err err = {0};
    function_limit_process(options->limits);
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    bool done = start(&process, seat, &err);
    close(seat->image_fd);
    report(&process, done ? MESSAGE_READY : MESSAGE_FAILED, done ? NULL : &err);
    if (done && !io_run(process.loop, &err)) {
        log_line(LOG_ERROR, NULL, "a worker ends: %s", err.message);
        done = false;
    }
    if (done && options->worker.stats)
        log_stats(&process);
    finish(&process);
    return done ? 0 : 1;
}
