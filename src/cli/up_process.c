/* What each process of a node does for `mayfly up`: a worker, the one that tells, the one that keeps stores, the one
 * that reads certificates, the builder. All are forks of the supervisor; each closes what it has no need of. */
#include "cli/up.h"

#include "node/admin.h"
#include "node/builder.h"
#include "node/process.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static enum io_kind io_kind(const char *name)
{
    if (!name || strcmp(name, "epoll") == 0)
        return IO_EPOLL;
    return strcmp(name, "uring") == 0 ? IO_URING : IO_AUTO;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* For processes that need no images. */
static void close_seat(const struct up *up, const struct supervisor_seat *seat)
{
    for (uint32_t i = 0; i < up->deploy.deployment.function_count; i++)
        close(seat->images[i].fd);
}

static void forget_workers(struct up *up)
{
    if (up->denials)
        munmap(up->denials, sizeof *up->denials);
    if (up->fired)
        munmap(up->fired, sizeof *up->fired);
    up->denials = NULL;
    up->fired = NULL;
}

void up_forget(struct up *up)
{
    if (up->samples)
        munmap(up->samples, up->workers * sizeof *up->samples);
    up->samples = NULL;
    forget_workers(up);
    deploy_close(&up->deploy);
    mem_free(up->images);
    mem_free(up->outcomes);
    mem_free(up->names);
    metrics_close(&up->metrics);
    close_fd(&up->listen_fd);
    close_fd(&up->admin_fd);
    close_fd(&up->access_fd);
}

static bool prepare(void *arg, struct err *err)
{
    const struct up *up = arg;
    return !up->options->perf || symbols_prepare_perf(err);
}

static bool loaded(void *arg, struct program *program, struct err *err)
{
    const struct up *up = arg;
    return cli_symbols(program, up->options, err);
}

int up_work(void *arg, const struct supervisor_seat *seat)
{
    struct up *up = arg;
    close_fd(&up->admin_fd);
    const struct process_options process = {
        .deployment = &up->deploy.deployment,
        .worker = {.stats = up->options->stats != NULL,
                   .access_fd = up->access_fd,
                   .fired = up->fired,
                   .samples = &up->samples[seat->index],
                   .services = {.name_servers = up->options->dns, .denials = up->denials},
                   .loaded = loaded,
                   .arg = up},
        .files = {up->options->tls_cert, up->options->tls_key},
        .sandbox = up->sandbox,
        .storage = &up->deploy.given.storage,
        .listen_fd = up->listen_fd,
        .io = io_kind(up->options->io),
        .prepare = prepare,
        .metrics = &up->metrics,
        .arg = up,
    };
    int status = process_work(&process, seat);
    up_forget(up);
    return status;
}

int up_tell(void *arg, const struct supervisor_seat *seat)
{
    struct up *up = arg;
    char url[UP_URL_MAX];
    close_seat(up, seat);
    deploy_close_dirs(&up->deploy);
    up_url(up, url);
    close_fd(&up->listen_fd);
    close_fd(&up->access_fd);
    const struct admin_options admin = {.metrics = &up->metrics,
                                        .deployment = &up->deploy.deployment,
                                        .url = url,
                                        .names = up->options->known_as.items,
                                        .name_count = up->options->known_as.count};
    int status = admin_work(&admin, up->admin_fd, seat->channel);
    up_forget(up);
    return status;
}

int up_keep(void *arg, const struct supervisor_seat *seat)
{
    struct up *up = arg;
    close_seat(up, seat);
    close_fd(&up->listen_fd);
    close_fd(&up->admin_fd);
    close_fd(&up->access_fd);
    metrics_close(&up->metrics);
    int status = node_storage_work(&up->deploy.given.storage, seat->channel);
    up_forget(up);
    return status;
}

int up_certify(void *arg, const struct supervisor_seat *seat)
{
    struct up *up = arg;
    const struct certificate_files files = {up->options->tls_cert, up->options->tls_key};
    close_seat(up, seat);
    up_forget(up);
    return certificate_work(&files, seat->channel);
}

int up_build(void *arg, const struct supervisor_seat *seat)
{
    struct up *up = arg;
    struct builder_options builder = {.deployment = &up->deploy.deployment,
                                      .first = up->compile,
                                      .best = up->compile,
                                      .improve = up->improve,
                                      .served = up->outcomes,
                                      .sandbox = &up->sandbox,
                                      .samples = up->samples,
                                      .workers = up->workers};
    close_fd(&up->listen_fd);
    close_fd(&up->admin_fd);
    close_fd(&up->access_fd);
    node_storage_close(&up->deploy.given.storage);
    metrics_close(&up->metrics); /* compilers are forks of this process, and might be a hostile module's */
    forget_workers(up);
    builder.best.tier = TIER_BEST;
    builder.best.undigested = builder.best.best_if_kept = false;
    int status = builder_work(&builder, seat);
    up_forget(up);
    return status;
}
