/* What the interfaces of services share: connections that a guest opens to servers by their addresses.
 *
 * A connection is a session in the process that talks to servers for this worker (services/remote.h). It ends with its
 * handle or its activity. Whether the function may reach the server is decided here by its address, and again there by
 * what its host leads to. */
#ifndef MAYFLY_WASI_SERVICE_H
#define MAYFLY_WASI_SERVICE_H

#include "wasi/service_address.h"
#include "wasi/storage_call.h"

struct service_session {
    struct host_node node;
    struct host_closer closer;
    struct host *host;
    enum storage_kind kind;
    int64_t number;
};

enum service_opening {
    SERVICE_OPEN,
    SERVICE_INVALID, /* the address is none */
    SERVICE_DENIED,  /* it is not granted, which is logged */
    SERVICE_CROWDED,
    SERVICE_FAILED, /* it cannot be reached */
};

struct service_opened {
    enum service_opening opening;
    struct service_session *session; /* when it is open */
    struct str message;              /* else; scratch memory or constant */
};

/* Open one to `address`, whose scheme must be `scheme`. `written`: what the guest is told of it if it is denied; empty:
 * its host and port. `size`: of what the interface has as a connection, which begins
 * with the session. False: trap. */
bool service_open(struct host *h, enum storage_kind kind, const struct service_address *address, struct str written,
                  size_t size, struct service_opened *ret);
/* The same for an address as it is written. */
bool service_open_text(struct host *h, enum storage_kind kind, struct str text, size_t size,
                       struct service_opened *ret);
/* Its handle is gone. */
void service_drop(struct host *h, struct service_session *session);
/* An operation: `values` have room for the session's number in front, which is filled in here. False: trap. */
bool service_ask(struct host *h, const struct service_session *session, enum storage_operation operation,
                 struct storage_value *values, size_t count, struct storage_answer *ret);

#endif
