/* See service.h. */
#include "services/service.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/vec.h"
#include "io/loop.h"
#include "services/sqlite.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define OPENS_PER_TURN 32u /* of one worker */
#define OWNED_MAX 24u      /* engines of one worker */
/* A worker opens what it needs once, and again when an engine ended; one that opens more often was taken over. */
#define OPEN_COST_US UINT64_C(1000000)
#define OPEN_CREDIT_US (64 * OPEN_COST_US)

const struct engine_settings service_settings_default = {.bytes_max = UINT64_C(1) << 30,
                                                         .statement_ms = 5000,
                                                         .idle_ms = 30000,
                                                         .connect_ms = 5000,
                                                         .answer_ms = 25000,
                                                         .confined = true};

/* What a binding may open. */
struct grant {
    uint64_t binding;
    enum storage_kind kind;
    const char *label, *folder; /* or the address of the server that keeps the store */
};

struct engine_process {
    struct engine_process *next, **link;
    struct service *service;
    struct worker_link *owner; /* of one that serves one worker; NULL: gone, or it serves all */
    struct io_watch control; /* to it; the end tells that it is gone */
    pid_t pid;
    enum storage_kind kind;
    char *folder;
};

struct worker_link {
    struct worker_link *next, **link;
    struct service *service;
    struct io_watch watch;
    uint64_t binding;
    uint64_t paid_us; /* until then its opens are paid for */
    unsigned engine_count;
};

struct service {
    struct engine_settings settings;
    struct io_loop *loop;
    struct io_watch control;
    VEC(struct grant) grants;
    const struct remote_nets *nets; /* or NULL */
    struct engine_process *engines;
    struct worker_link *workers;
    unsigned engine_count, worker_count;
};

#define LIST_ADD(list, item)                                                                                           \
    do {                                                                                                               \
        (item)->next = *(list);                                                                                        \
        (item)->link = (list);                                                                                         \
        if ((item)->next)                                                                                              \
            (item)->next->link = &(item)->next;                                                                        \
        *(list) = (item);                                                                                              \
    } while (0)
#define LIST_LEAVE(item)                                                                                               \
    do {                                                                                                               \
        *(item)->link = (item)->next;                                                                                  \
        if ((item)->next)                                                                                              \
            (item)->next->link = (item)->link;                                                                         \
    } while (0)

static char *copy_text(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = mem_alloc(size, 1);
    if (copy)
        memcpy(copy, text, size);
    return copy;
}

/* ---- engines ---- */

static bool is_remote(const struct grant *grant)
{
    return grant->kind >= STORAGE_LABELED || remote_is_address(grant->folder);
}

/* A store in a folder is one for all workers; whatever else there is, a worker has of its own. */
static bool is_shared(const struct grant *grant)
{
    return grant->kind == STORAGE_STORE && !is_remote(grant);
}

static void forget_engine(struct engine_process *engine)
{
    LIST_LEAVE(engine);
    if (engine->owner)
        engine->owner->engine_count--;
    io_unwatch(engine->service->loop, &engine->control);
    close(engine->control.fd);
    engine->service->engine_count--;
    mem_free(engine->folder);
    mem_free(engine);
}

/* It says nothing: it is gone. */
static void on_engine(struct io_watch *watch, unsigned events)
{
    struct engine_process *engine = IO_OWNER(watch, struct engine_process, control);
    pid_t pid = engine->pid;
    forget_engine(engine);
    kill(pid, SIGKILL); /* it is our child as long as we have not waited for it */
    waitpid(pid, NULL, 0);
}

/* In the child: only `control` and the standard streams stay open. */
static _Noreturn void be_engine(const struct service *service, const struct grant *grant, int control, pid_t parent)
{
    const struct engine_settings *settings = &service->settings;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || dup2(control, STDERR_FILENO + 1) < 0)
        _exit(1);
    close_range(STDERR_FILENO + 2, ~0u, 0);
    _exit(is_remote(grant)
              ? remote_work(grant->kind, grant->label, grant->folder, settings, service->nets, STDERR_FILENO + 1)
              : engine_work(grant->kind, grant->label, grant->folder, settings, STDERR_FILENO + 1));
}

static bool fork_engine(struct service *service, struct engine_process *engine, const struct grant *grant,
                        struct err *err)
{
    int ends[2];
    pid_t parent = getpid();
    if (!(is_remote(grant) ? remote_load(grant->kind, err) : sqlite_load(err)) ||
        !packet_pair(SOCK_SEQPACKET, ends, err))
        return false;
    engine->control = (struct io_watch){.fd = ends[0], .ready = on_engine};
    engine->pid = fork();
    if (engine->pid == 0)
        be_engine(service, grant, ends[1], parent);
    close(ends[1]);
    bool done = engine->pid > 0 ? io_watch_level(service->loop, &engine->control, err) : err_errno(err, "fork");
    if (!done && engine->pid > 0) {
        kill(engine->pid, SIGKILL);
        waitpid(engine->pid, NULL, 0);
    }
    if (!done)
        close(ends[0]);
    return done;
}

static struct engine_process *start_engine(struct service *service, const struct grant *grant, struct err *err)
{
    struct engine_process *engine = NULL;
    if (service->engine_count == SERVICE_ENGINES_MAX) {
        err_set(err, ERR_LIMIT, "more than %u stores and databases at once", SERVICE_ENGINES_MAX);
        return NULL;
    }
    engine = mem_alloc(1, sizeof *engine);
    char *folder = copy_text(grant->folder);
    if (!engine || !folder) {
        err_memory(err);
    } else {
        engine->service = service;
        engine->kind = grant->kind;
        engine->folder = folder;
        if (fork_engine(service, engine, grant, err)) {
            LIST_ADD(&service->engines, engine);
            service->engine_count++;
            return engine;
        }
    }
    mem_free(folder);
    mem_free(engine);
    return NULL;
}

/* Stores are shared: by their folder, whoever they are granted to. */
static struct engine_process *engine_of(struct service *service, const struct grant *grant, struct err *err)
{
    for (struct engine_process *engine = service->engines; engine && is_shared(grant); engine = engine->next)
        if (engine->kind == STORAGE_STORE && strcmp(engine->folder, grant->folder) == 0)
            return engine;
    return start_engine(service, grant, err);
}

static void own_engine(struct worker_link *worker, struct engine_process *engine, const struct grant *grant)
{
    if (is_shared(grant))
        return;
    engine->owner = worker;
    worker->engine_count++;
}

/* One end goes to the engine, the other is returned; -1: not. An engine that is just ending does not take it. */
static int join(struct worker_link *worker, const struct grant *grant, struct err *err)
{
    struct service *service = worker->service;
    struct parcel parcel = {.what = PARCEL_CHANNEL};
    int ends[2], end = -1;
    if (!packet_pair(SOCK_STREAM, ends, err))
        return -1;
    for (unsigned tries = 0; tries < 2 && end < 0; tries++) {
        struct engine_process *engine = engine_of(service, grant, err);
        if (!engine)
            break;
        own_engine(worker, engine, grant);
        if (parcel_send(engine->control.fd, &parcel, ends[1]))
            end = ends[0];
        else
            on_engine(&engine->control, IO_ERROR);
    }
    if (end < 0 && !err->kind)
        err_set(err, ERR_SYSTEM, "the engine does not answer");
    if (end < 0)
        close(ends[0]);
    close(ends[1]);
    return end;
}

/* ---- workers ---- */

static void close_worker(struct worker_link *worker)
{
    LIST_LEAVE(worker);
    for (struct engine_process *engine = worker->service->engines; engine; engine = engine->next)
        if (engine->owner == worker)
            engine->owner = NULL;
    io_unwatch(worker->service->loop, &worker->watch);
    close(worker->watch.fd);
    worker->service->worker_count--;
    mem_free(worker);
}

static const struct grant *find_grant(const struct service *service, uint64_t binding, uint32_t kind, const char *label)
{
    static struct grant remote[STORAGE_KINDS];
    if (kind >= STORAGE_LABELED && service->nets) {
        remote[kind] = (struct grant){binding, (enum storage_kind)kind, "", ""};
        return &remote[kind];
    }
    for (size_t i = 0; i < service->grants.count; i++) {
        const struct grant *grant = &service->grants.items[i];
        if (grant->binding == binding && grant->kind == kind && strcmp(grant->label, label) == 0)
            return grant;
    }
    return NULL;
}

/* Whether the worker may open something now. */
static bool may_open(struct worker_link *worker, const struct grant *grant)
{
    uint64_t now_us = io_now_us(worker->service->loop);
    if (worker->paid_us < now_us)
        worker->paid_us = now_us;
    if (worker->paid_us - now_us > OPEN_CREDIT_US || (!is_shared(grant) && worker->engine_count == OWNED_MAX))
        return false;
    worker->paid_us += OPEN_COST_US;
    return true;
}

/* False: the worker is gone. */
static bool open_for(struct worker_link *worker, const struct parcel *asked)
{
    struct parcel answer = {.what = PARCEL_OPENED, .kind = asked->kind, .number = asked->number};
    const struct grant *grant = find_grant(worker->service, worker->binding, asked->kind, asked->label);
    struct err err = {0};
    bool may = grant && may_open(worker, grant);
    int fd = may ? join(worker, grant, &err) : -1;
    answer.status = !grant ? STORAGE_NO_SUCH : !may ? STORAGE_CROWDED : fd < 0 ? STORAGE_FAILED : STORAGE_DONE;
    parcel_label(&answer, str_of(asked->label));
    if (may && fd < 0)
        log_line(LOG_ERROR, asked->label[0] ? asked->label : NULL, "cannot be opened: %s%s%s", err.message,
                 err.remedy[0] ? "; " : "", err.remedy);
    bool sent = parcel_send(worker->watch.fd, &answer, fd);
    if (fd >= 0)
        close(fd);
    return sent;
}

static void on_worker(struct io_watch *watch, unsigned events)
{
    struct worker_link *worker = IO_OWNER(watch, struct worker_link, watch);
    for (unsigned i = 0; i < OPENS_PER_TURN; i++) {
        struct parcel parcel;
        int fd;
        enum packet_got got = parcel_receive(watch->fd, &parcel, &fd);
        if (got == PACKET_NOTHING)
            return;
        if (got == PACKET_HERE && fd >= 0)
            close(fd);
        if (got == PACKET_CLOSED || parcel.what != PARCEL_OPEN || !open_for(worker, &parcel)) {
            close_worker(worker);
            return;
        }
    }
}

bool service_attach(struct service *service, uint64_t binding, int fd)
{
    struct worker_link *worker = service->worker_count < SERVICE_WORKERS_MAX ? mem_alloc(1, sizeof *worker) : NULL;
    if (!worker)
        return false;
    *worker = (struct worker_link){.service = service, .binding = binding, .watch = {.fd = fd, .ready = on_worker}};
    if (!io_watch_level(service->loop, &worker->watch, NULL)) {
        mem_free(worker);
        return false;
    }
    LIST_ADD(&service->workers, worker);
    service->worker_count++;
    return true;
}

/* ---- the supervisor ---- */

void service_reach(struct service *service, const struct remote_nets *nets)
{
    service->nets = nets;
}

bool service_permit(struct service *service, uint64_t binding, enum storage_kind kind, const char *label,
                    const char *folder)
{
    char *own_label = copy_text(label), *own_folder = copy_text(folder);
    struct grant *grant = own_label && own_folder ? VEC_PUSH(&service->grants, SERVICE_BINDINGS_MAX) : NULL;
    if (!grant) {
        mem_free(own_label);
        mem_free(own_folder);
        return false;
    }
    *grant = (struct grant){binding, kind, own_label, own_folder};
    return true;
}

static void on_control(struct io_watch *watch, unsigned events)
{
    struct service *service = IO_OWNER(watch, struct service, control);
    for (;;) {
        struct parcel parcel;
        int fd;
        enum packet_got got = parcel_receive(watch->fd, &parcel, &fd);
        if (got == PACKET_NOTHING)
            return;
        if (got == PACKET_CLOSED) {
            io_stop(service->loop);
            return;
        }
        if (parcel.what == PARCEL_GRANT &&
            !service_permit(service, parcel.number, (enum storage_kind)parcel.kind, parcel.label, parcel.text))
            log_line(LOG_ERROR, NULL, "no memory for the grant of %s", parcel.label);
        bool taken = parcel.what == PARCEL_CONNECT && service_attach(service, parcel.number, fd);
        if (fd >= 0 && !taken)
            close(fd);
    }
}

/* ---- life ---- */

struct service *service_new(const struct engine_settings *settings, int control, struct err *err)
{
    struct service *service = mem_alloc(1, sizeof *service);
    if (!service) {
        err_memory(err);
        return NULL;
    }
    service->settings = *settings;
    service->control = (struct io_watch){.fd = control, .ready = on_control};
    service->loop = io_loop_new(err);
    if (service->loop && io_watch_level(service->loop, &service->control, err))
        return service;
    service_free(service);
    return NULL;
}

void service_free(struct service *service)
{
    if (!service)
        return;
    while (service->workers)
        close_worker(service->workers);
    while (service->engines)
        on_engine(&service->engines->control, IO_END);
    for (size_t i = 0; i < service->grants.count; i++) {
        mem_free((void *)service->grants.items[i].label);
        mem_free((void *)service->grants.items[i].folder);
    }
    VEC_FREE(&service->grants);
    io_loop_free(service->loop);
    mem_free(service);
}

/* Signals that a terminal or an init system sends to all processes are for whoever started this one: workers that
 * finish their requests need it to the last. */
bool service_run(struct service *service, struct err *err)
{
    static const int others[] = {SIGINT, SIGHUP, SIGTERM, SIGPIPE};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        signal(others[i], SIG_IGN);
    signal(SIGALRM, SIG_DFL); /* which ends an engine */
    return io_run(service->loop, err);
}

int service_work(const struct engine_settings *settings, int control)
{
    struct err err = {0};
    struct service *service = service_new(settings, control, &err);
    bool done = service && service_run(service, &err);
    if (!done)
        log_line(LOG_ERROR, NULL, "no key-value stores and no databases: %s", err.message);
    service_free(service);
    close(control);
    return done ? 0 : 1;
}

/* ---- the other end ---- */

bool service_grant(int control, uint64_t binding, enum storage_kind kind, struct str label, const char *folder)
{
    struct parcel parcel = {.what = PARCEL_GRANT, .kind = kind, .number = binding};
    if (label.len > PARCEL_LABEL_MAX || strlen(folder) > PARCEL_TEXT_MAX)
        return false;
    parcel_label(&parcel, label);
    parcel_text(&parcel, folder);
    return parcel_send(control, &parcel, -1);
}

int service_connect(int control, uint64_t binding, struct err *err)
{
    const struct parcel parcel = {.what = PARCEL_CONNECT, .number = binding};
    int ends[2];
    if (!packet_pair(SOCK_SEQPACKET, ends, err))
        return -1;
    bool sent = parcel_send(control, &parcel, ends[1]);
    close(ends[1]);
    if (sent)
        return ends[0];
    err_errno(err, "the service process");
    close(ends[0]);
    return -1;
}
