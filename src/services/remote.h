/* The process that talks to servers over the network for one worker: to those of one kind of service, or to the server
 * that keeps a key-value store. The service process (service.h) forks it as it does engines of files.
 *
 *     worker -- sessions: a session is a guest's connection, and has a line of its own (line.h)
 *            -- or operations of a store, which take any line of a few
 *
 * All of it is one loop, and no call blocks: a server that does not answer holds nobody but who waits for it.
 * Everything that is waited for has an end, after which the call fails and its line is closed, for nobody knows what is
 * still to come on it. Lines that were given back clean are kept for a while, for the same target and the same
 * function.
 *
 * One function's servers may all be silent: it has a share of sessions and lines, and the others find room.
 *
 * What a host leads to is looked up here, and held against the grants of the function that asks, as outgoing requests
 * of HTTP do. It is confined (confine.h): it opens no file but those of the name system, and connects to no TCP port
 * but those that some function was granted. It ends with its worker's channel. */
#ifndef MAYFLY_SERVICES_REMOTE_H
#define MAYFLY_SERVICES_REMOTE_H

#include "services/engine.h"
#include "wasi/grants.h"

#define REMOTE_SESSIONS_MAX 4096u
#define REMOTE_LINES_MAX 512u
#define REMOTE_TARGET_LINES_MAX 64u /* to one target */
#define REMOTE_STORE_LINES_MAX 16u
#define REMOTE_KEPT_MAX 64u /* lines that nobody has */
#define REMOTE_SHARES 4u    /* of several functions, none has more than this part of all sessions and lines */

/* What functions may reach, by the number that a worker says. All of it outlives the process's forks. */
struct remote_nets {
    const struct grants *const *items;
    size_t count;
    const char *name_servers; /* see io_resolver_new */
};

/* Whether a store's place is an address, and so a server's. */
bool remote_is_address(const char *place);
/* ERR_INVALID, ERR_UNSUPPORTED: nothing keeps stores there. */
bool remote_check_store(const char *place, struct err *err);
/* The libraries that it takes are loaded. */
bool remote_load(enum storage_kind kind, struct err *err);
/* As engine_work. `place`: of a store, its address; else without meaning. `nets` may be NULL: nothing is granted. */
int remote_work(enum storage_kind kind, const char *label, const char *place, const struct engine_settings *settings,
                const struct remote_nets *nets, int control);

#endif
