/* Key-value stores, databases and services of a node: what its functions may open and reach, the service process
 * (services/service.h), and workers' sockets to it.
 *
 * The sockets are made before any process, one for each worker's seat, and both of their ends are kept by the
 * supervisor: a worker or a service process that takes another's place goes on with the same ones, and what was asked
 * meanwhile waits in them. */
#ifndef MAYFLY_NODE_STORAGE_H
#define MAYFLY_NODE_STORAGE_H

#include "io/loop.h"
#include "services/client.h"
#include "services/remote.h"

#include <sys/types.h>

#define NODE_LABEL_MAX 64u /* bytes */
#define NODE_LABELS_MAX 64u /* stores, and databases */

struct node_storage {
    const char *folder; /* where they are kept */
    struct str labels[STORAGE_LABELED][NODE_LABELS_MAX];
    /* the folder of each, or of a store the address of the server that keeps it; NULL: beneath `folder` */
    const char *places[STORAGE_LABELED][NODE_LABELS_MAX];
    const struct grants **nets; /* of the functions that reach services, by their numbers */
    struct remote_nets reach;
    struct storage_grants grants; /* of all of it: for a function's configuration */
    void *client; /* of this process, for grants */
    uint32_t workers;
    struct {
        int worker, service; /* -1: closed */
    } *ends;
    pid_t process; /* of node_storage_start; 0: none */
    int channel;
};

/* Nothing yet. Texts are the caller's. */
void node_storage_init(struct node_storage *storage, const char *folder);
/* Once or more often. ERR_USAGE: it is too long, no UTF-8, or one too many. */
bool node_storage_add(struct node_storage *storage, enum storage_kind kind, struct str label, struct err *err);
/* What that label names, if anything does, is kept in this folder. The text is the caller's. */
void node_storage_place(struct node_storage *storage, enum storage_kind kind, struct str label, const char *folder);
/* The same of a key-value store that the server of an address keeps (redis://...). ERR_USAGE: it is too long;
 * ERR_INVALID, ERR_UNSUPPORTED: nothing keeps stores there. */
bool node_storage_serve(struct node_storage *storage, struct str label, const char *address, struct err *err);
/* A function whose grants of the network, which are the caller's, may name services; *ret_net is their number, for its
 * storage_grants. Without a service among them it is none. */
bool node_storage_reach(struct node_storage *storage, const struct grants *grants, uint32_t *ret_net, struct err *err);
static inline bool node_storage_any(const struct node_storage *storage)
{
    return storage->grants.counts[STORAGE_STORE] || storage->grants.counts[STORAGE_DATABASE] || storage->reach.count;
}
/* The sockets of so many workers; nothing where there is nothing to open. `name_servers`: see io_resolver_new.
 * ERR_UNSUPPORTED: a library that stores need is missing. */
bool node_storage_open(struct node_storage *storage, uint32_t workers, const char *name_servers, struct err *err);
/* In the service process: serve until `channel` ends. Returns the process's status. */
int node_storage_work(struct node_storage *storage, int channel);
/* In the worker of that seat: from here on its functions reach what they may open. The service keeps to what some
 * function of the node may open; which of them, the worker knows (wasi/storage.h). */
bool node_storage_join(struct node_storage *storage, uint32_t seat, struct io_loop *loop, struct err *err);
/* The same undone, when nothing calls any more and the loop is still there. */
void node_storage_leave(struct node_storage *storage);
/* Without a supervisor: a service process of our own; node_storage_close ends it. */
bool node_storage_start(struct node_storage *storage, struct err *err);
/* In any process, in any state. */
void node_storage_close(struct node_storage *storage);

#endif
