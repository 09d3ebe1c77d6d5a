/* See process.h. */
#include "node/process.h"

#include "base/log.h"
#include "base/phase.h"
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
    struct worker *worker;
    struct metrics_worker *metrics;
    struct tls_context *tls;
    bool begun; /* it reported for the first time */
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

static void retire(struct process *process)
{
    if (!process->draining)
        worker_retire(process->worker, drained, process);
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

/* An image took the place of another, or could not. */
static void replaced(void *arg, const struct function *function, const struct err *err)
{
    struct process *process = arg;
    if (!err)
        counter_set(&process->metrics->generation, function->image_generation);
    if (!process->begun)
        return;
    report(process, err ? MESSAGE_FAILED : MESSAGE_READY, err);
}

static bool loaded(void *arg, struct program *program, struct err *err)
{
    const struct process *process = arg;
    const struct worker_options *worker = &process->options->worker;
    return !worker->loaded || worker->loaded(worker->arg, program, err);
}

static void take_image(struct process *process, const struct message *message, int fd)
{
    const struct worker_image image = {fd, message->number, message->generation};
    if (message->function < process->options->deployment->function_count)
        worker_serve(process->worker, message->function, &image);
    else
        close(fd);
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
    enum packet_got got = channel_receive(watch->fd, &message, &fd);
    if (got == PACKET_CLOSED) {
        io_unwatch(process->loop, watch);
        drain(process);
    } else if (got == PACKET_HERE && message.kind == MESSAGE_IMAGE) {
        take_image(process, &message, fd);
    } else if (got == PACKET_HERE && message.kind == MESSAGE_CERTIFICATE) {
        renew(process, fd, message.number);
    } else if (got == PACKET_HERE && message.kind == MESSAGE_RETIRE) {
        retire(process);
    }
}

/* Compilers are forks of the supervisor, and a hostile module may own its compiler: the key is no business of theirs.
 */
static bool secure(struct process *process, struct err *err)
{
    const struct certificate_files *files = &process->options->files;
    return !files->certificate || (process->tls = certificate_read(files, err)) != NULL;
}

/* Each worker has descriptors of its own, so that it can close them. */
static bool take_images(struct process *process, const struct supervisor_seat *seat, struct err *err)
{
    const struct deployment *deployment = process->options->deployment;
    for (uint32_t i = 0; i < deployment->function_count; i++) {
        const struct supervisor_image *image = &seat->images[i];
        const struct worker_image taken = {image->fd, image->number, image->generation};
        worker_serve(process->worker, i, &taken);
    }
    return deployment->function_count != 1 || worker_load(process->worker, 0, err);
}

static bool open_worker(struct process *process, const struct supervisor_seat *seat, struct err *err)
{
    const struct process_options *options = process->options;
    struct worker_options worker = options->worker;
    worker.alone = options->metrics->worker_count == 1;
    worker.metrics = process->metrics = metrics_keep(options->metrics, seat->index);
    worker.incidents = metrics_incidents(options->metrics, worker.metrics);
    worker.tick_factor = metrics_tick_factor(options->metrics);
    worker.tls = process->tls;
    worker.fires = seat->index == 0;
    worker.loaded = loaded;
    worker.replaced = replaced;
    worker.arg = process;
    process->worker = worker_new(process->loop, options->deployment, options->listen_fd, &worker, err);
    return process->worker != NULL;
}

static bool start(struct process *process, const struct supervisor_seat *seat, struct err *err)
{
    static const int numbers[] = {SIGTERM};
    const struct process_options *options = process->options;
    process->loop = io_loop_open(options->io, err);
    if (!process->loop || !io_signals_open(process->loop, &process->signals, numbers, 1, err))
        return false;
    process->signals.raised = on_signal;
    if (!node_storage_join(options->storage, seat->index, process->loop, err))
        return false;
    process->channel.ready = on_channel;
    if (!io_watch_level(process->loop, &process->channel, err) || !secure(process, err) ||
        !open_worker(process, seat, err))
        return false;
    phase_end("worker's loop and server");
    if ((options->prepare && !options->prepare(options->arg, err)) ||
        !sandbox_enter(&options->sandbox, options->deployment, err))
        return false;
    phase_end("worker in its sandbox");
    bool done = take_images(process, seat, err);
    phase_end("image loaded");
    return done;
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
    worker_free(process->worker);
    node_storage_leave(process->options->storage);
    tls_context_free(process->tls);
    if (process->signals.raised)
        io_signals_close(process->loop, &process->signals);
    io_loop_free(process->loop);
    close(process->channel.fd);
}

int process_work(const struct process_options *options, const struct supervisor_seat *seat)
{
    struct process process = {.options = options, .channel.fd = seat->channel};
    struct err err = {0};
    if (options->deployment->function_count)
        function_limit_process(&options->deployment->functions[0].limits);
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    bool done = start(&process, seat, &err);
    process.begun = true;
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
