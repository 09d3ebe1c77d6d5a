/* The worker's side of key-value stores and databases: a client per set of grants, on the worker's loop.
 *
 * It opens what calls name through the socket that the supervisor gave it (service.h), keeps one stream to each store
 * and database, and has any number of calls on their way in it. Answers come in any order and find their call by a
 * number that is never used again; what answers a call that was dropped is dropped.
 *
 * A stream that breaks, because its engine ended, fails the calls whose requests went into it: nobody knows whether
 * they were done. The next call opens it anew. Without a service process calls wait a while for the next one. */
#ifndef MAYFLY_SERVICES_CLIENT_H
#define MAYFLY_SERVICES_CLIENT_H

#include "io/loop.h"
#include "wasi/storage.h"

struct storage_client;

#define STORAGE_CALLS_MAX 4096u          /* of one client */
#define STORAGE_OPEN_US UINT64_C(5000000)  /* a call waits so long for what it names to be opened */
#define STORAGE_CALL_US UINT64_C(30000000) /* and for its answer */

/* `loop` outlives it. */
struct storage_client *storage_client_new(struct io_loop *loop, struct err *err);
/* All calls must have been dropped. NULL is fine. */
void storage_client_free(struct storage_client *client);
/* The socket to the service process, from service_connect; again with each new process. The client has it from here on,
 * also when this fails. */
bool storage_client_connect(struct storage_client *client, int fd, struct err *err);

extern const struct storage_face storage_client_face;

#endif
