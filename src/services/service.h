/* The service process of a node: it opens stores, databases and ways to servers for workers, and does nothing else.
 *
 *     supervisor ── service: knows which worker may open what; reads no value and no statement
 *                     ├─ engine of a store       one for all workers (engine.h)
 *                     ├─ engine of a database    one for each worker that opened it
 *                     └─ of a kind of server     likewise (remote.h)
 *     worker ─── engine: frames (frame.h), once it has a descriptor
 *
 * What a worker may open is told by the supervisor and bound to the worker's descriptor: nothing in what the worker
 * sends says who it is. A worker that a guest has taken over reaches what its own functions were granted, and neither a
 * label, a path nor a process of anybody else. An engine that a statement has taken over has its own folder, and
 * sockets of those who may use it anyway. This process parses messages of one size, and forks.
 *
 * When it ends its engines end with it; what was answered is on the disk. Who starts it again tells it the bindings
 * again and gives workers new descriptors. */
#ifndef MAYFLY_SERVICES_SERVICE_H
#define MAYFLY_SERVICES_SERVICE_H

#include "services/parcel.h"
#include "services/remote.h"

#define SERVICE_BINDINGS_MAX 65536u
#define SERVICE_ENGINES_MAX 512u
#define SERVICE_WORKERS_MAX 4096u

extern const struct engine_settings service_settings_default;

/* The service itself, in a process that is a fork with one thread. `control`: to whoever started it; the service ends
 * when that is closed. */
struct service *service_new(const struct engine_settings *settings, int control, struct err *err);
/* NULL is fine. */
void service_free(struct service *service);
/* All bindings reach servers as `nets` says, which outlives the service. */
void service_reach(struct service *service, const struct remote_nets *nets);
/* Binding `binding` may open this, in that folder (which is the store's own), or on the server of that address. False:
 * no memory. */
bool service_permit(struct service *service, uint64_t binding, enum storage_kind kind, const char *label,
                    const char *folder);
/* The other end of `fd` is a worker's of that binding. False: no memory, or too many; the descriptor stays the
 * caller's. */
bool service_attach(struct service *service, uint64_t binding, int fd);
bool service_run(struct service *service, struct err *err);
/* All of it, told what to do by the functions below; returns the process's status. */
int service_work(const struct engine_settings *settings, int control);

/* ---- over the other end of `control` ---- */

/* As service_permit. False: the process is gone or behind. */
bool service_grant(int control, uint64_t binding, enum storage_kind kind, struct str label, const char *folder);
/* A socket for a worker of that binding, to be given to its client (client.h); -1: the process is gone or behind. */
int service_connect(int control, uint64_t binding, struct err *err);

#endif
