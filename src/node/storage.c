/* See storage.h. */
#include "node/storage.h"

#include "base/alloc.h"
#include "base/log.h"
#include "services/service.h"
#include "services/sqlite.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define BINDING 1u /* there is one function */

void node_storage_init(struct node_storage *storage, const char *folder)
{
    *storage = (struct node_storage){.folder = folder, .channel = -1};
    storage->grants.face = &storage_client_face;
    storage->grants.client = &storage->client;
    for (unsigned kind = 0; kind < STORAGE_LABELED; kind++)
        storage->grants.labels[kind] = storage->labels[kind];
}

static bool has_label(const struct node_storage *storage, enum storage_kind kind, struct str label)
{
    for (size_t i = 0; i < storage->grants.counts[kind]; i++)
        if (str_eq(storage->labels[kind][i], label))
            return true;
    return false;
}

bool node_storage_add(struct node_storage *storage, enum storage_kind kind, struct str text, struct err *err)
{
    if (has_label(storage, kind, text))
        return true;
    if (text.len == 0 || text.len > NODE_LABEL_MAX || !utf8_valid(text.ptr, text.len))
        return err_set(err, ERR_USAGE, "a label of a store or database has 1 to %u bytes of UTF-8", NODE_LABEL_MAX);
    if (storage->grants.counts[kind] == NODE_LABELS_MAX)
        return err_set(err, ERR_USAGE, "more than %u stores or databases", NODE_LABELS_MAX);
    storage->labels[kind][storage->grants.counts[kind]++] = text;
    return true;
}

void node_storage_place(struct node_storage *storage, enum storage_kind kind, struct str label, const char *folder)
{
    for (size_t i = 0; i < storage->grants.counts[kind]; i++)
        if (str_eq(storage->labels[kind][i], label))
            storage->places[kind][i] = folder;
}

bool node_storage_serve(struct node_storage *storage, struct str label, const char *address, struct err *err)
{
    if (!remote_is_address(address)) {
        err_set(err, ERR_INVALID, "the key-value store %.*s: nothing that mayfly knows keeps stores there",
                STR_ARG(label));
        return err_remedy(err, "write the address as redis://HOST[:PORT][/NUMBER], or rediss://... over TLS");
    }
    if (!remote_check_store(address, err) || strlen(address) > PATH_MAX / 8)
        return err && err->kind
                   ? err_within(err, "the key-value store %.*s", STR_ARG(label))
                   : err_set(err, ERR_USAGE, "the address of the key-value store %.*s is too long", STR_ARG(label));
    node_storage_place(storage, STORAGE_STORE, label, address);
    return true;
}

bool node_storage_reach(struct node_storage *storage, const struct grants *grants, uint32_t *ret_net, struct err *err)
{
    struct remote_nets *reach = &storage->reach;
    if (!grants_any(grants, GRANT_SERVICE))
        return true;
    const struct grants **nets = mem_resize(storage->nets, reach->count + 1, sizeof *nets);
    if (!nets)
        return err_memory(err);
    storage->nets = nets;
    nets[reach->count] = grants;
    *ret_net = (uint32_t)reach->count++;
    reach->items = nets;
    return true;
}

/* ---- sockets ---- */

static void close_end(int *end)
{
    if (*end >= 0)
        close(*end);
    *end = -1;
}

static bool paths_fit(const struct node_storage *storage)
{
    bool fit = strlen(storage->folder) <= PATH_MAX / 8;
    for (unsigned kind = 0; kind < STORAGE_LABELED; kind++)
        for (size_t i = 0; i < storage->grants.counts[kind]; i++)
            fit = fit && (!storage->places[kind][i] || strlen(storage->places[kind][i]) <= PATH_MAX / 8);
    return fit;
}

/* Those that are sure to be needed; others are loaded when somebody reaches for them. */
static bool load_libraries(const struct node_storage *storage, struct err *err)
{
    bool files = storage->grants.counts[STORAGE_DATABASE] != 0, servers = false;
    for (size_t i = 0; i < storage->grants.counts[STORAGE_STORE]; i++) {
        const char *place = storage->places[STORAGE_STORE][i];
        bool served = place && remote_is_address(place);
        servers |= served;
        files |= !served;
    }
    return (!files || sqlite_load(err)) && (!servers || remote_load(STORAGE_STORE, err));
}

bool node_storage_open(struct node_storage *storage, uint32_t workers, const char *name_servers, struct err *err)
{
    if (!node_storage_any(storage))
        return true;
    if (!paths_fit(storage))
        return err_set(err, ERR_USAGE, "the path of the folder of stores and databases is too long");
    storage->reach.name_servers = name_servers;
    storage->ends = mem_alloc(workers, sizeof *storage->ends);
    if (!storage->ends)
        return err_memory(err);
    for (; storage->workers < workers; storage->workers++) {
        int ends[2];
        if (!packet_pair(SOCK_SEQPACKET, ends, err))
            return false;
        storage->ends[storage->workers].worker = ends[0];
        storage->ends[storage->workers].service = ends[1];
    }
    return load_libraries(storage, err);
}

void node_storage_close(struct node_storage *storage)
{
    for (uint32_t i = 0; i < storage->workers; i++) {
        close_end(&storage->ends[i].worker);
        close_end(&storage->ends[i].service);
    }
    mem_free(storage->ends);
    storage->ends = NULL;
    storage->workers = 0;
    mem_free(storage->nets);
    storage->nets = NULL;
    storage->reach.count = 0;
    if (storage->process == 0)
        return;
    close_end(&storage->channel);
    waitpid(storage->process, NULL, 0);
    storage->process = 0;
}

/* ---- the service process ---- */

/* A name for a folder: letters, digits and hyphens as they are. */
static void encode(struct str label, char name[3 * NODE_LABEL_MAX + 1])
{
    size_t at = 0;
    for (size_t i = 0; i < label.len; i++) {
        uint8_t c = (uint8_t)label.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
        at += (size_t)snprintf(name + at, 4, plain ? "%c" : "%%%02x", c);
    }
}

static bool permit_all(const struct node_storage *storage, struct service *service)
{
    static const char *const folders[STORAGE_LABELED] = {[STORAGE_STORE] = "key-value", [STORAGE_DATABASE] = "sqlite"};
    char name[3 * NODE_LABEL_MAX + 1], label[NODE_LABEL_MAX + 1], path[PATH_MAX];
    for (unsigned kind = 0; kind < STORAGE_LABELED; kind++)
        for (size_t i = 0; i < storage->grants.counts[kind]; i++) {
            struct str text = storage->labels[kind][i];
            encode(text, name);
            snprintf(label, sizeof label, "%.*s", STR_ARG(text));
            if (storage->places[kind][i])
                snprintf(path, sizeof path, "%s", storage->places[kind][i]);
            else
                snprintf(path, sizeof path, "%s/%s/%s", storage->folder, folders[kind], name);
            if (!service_permit(service, BINDING, (enum storage_kind)kind, label, path))
                return false;
        }
    return true;
}

static bool serve(struct node_storage *storage, struct service *service, struct err *err)
{
    if (!service)
        return false;
    for (uint32_t i = 0; i < storage->workers; i++) {
        close_end(&storage->ends[i].worker); /* or it would never see a worker's end */
        if (!service_attach(service, BINDING, storage->ends[i].service))
            return err_memory(err);
        storage->ends[i].service = -1;
    }
    if (storage->reach.count)
        service_reach(service, &storage->reach);
    return permit_all(storage, service) ? service_run(service, err) : err_memory(err);
}

int node_storage_work(struct node_storage *storage, int channel)
{
    struct err err = {0};
    struct service *service = service_new(&service_settings_default, channel, &err);
    bool done = serve(storage, service, &err);
    if (!done)
        log_line(LOG_ERROR, NULL, "no key-value stores and no databases: %s", err.message);
    service_free(service);
    close(channel);
    return done ? 0 : 1;
}

bool node_storage_start(struct node_storage *storage, struct err *err)
{
    int ends[2];
    if (!node_storage_any(storage))
        return true;
    if (!packet_pair(SOCK_SEQPACKET, ends, err))
        return false;
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ends[0]);
        _exit(getppid() == parent ? node_storage_work(storage, ends[1]) : 1);
    }
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return err_errno(err, "fork");
    }
    storage->process = pid;
    storage->channel = ends[0];
    return true;
}

/* ---- a worker ---- */

bool node_storage_join(struct node_storage *storage, uint32_t seat, struct io_loop *loop, struct err *err)
{
    if (!storage->workers)
        return true;
    int own = storage->ends[seat].worker;
    storage->ends[seat].worker = -1;
    for (uint32_t i = 0; i < storage->workers; i++) { /* those of others are none of its business */
        close_end(&storage->ends[i].worker);
        close_end(&storage->ends[i].service);
    }
    struct storage_client *client = storage_client_new(loop, err);
    if (!client) {
        close(own);
        return false;
    }
    storage->client = client;
    return storage_client_connect(client, own, err);
}

void node_storage_leave(struct node_storage *storage)
{
    storage_client_free(storage->client);
    storage->client = NULL;
}
