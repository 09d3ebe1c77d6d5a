/* The host's side of one activity: everything that an instance has made or been given outside its own memory.
 *
 * A worker keeps a pool of hosts. One is taken when an activity (a request, a command) begins and given back
 * when it ends; host objects live in its arena and die with it, so nothing outlives the activity and a warm
 * host allocates nothing. Everything is bounded: the arena by `memory_max`, objects by it and by the handle
 * table, fields, bodies and streams by limits of their own.
 *
 * How a request goes:
 *     h = host_begin(pool, &config, store)
 *     host_take_request(h, request, sink, exchange)
 *     host_give_request(h, handles, &request_handle, &outparam_handle)    arguments of `handle`
 *     ... the guest runs; store->host is h ...
 *     host_end(h, ...)                                                    answers what is not answered
 *
 * The response goes out in one piece when the guest returns; it becomes a stream only when it outgrows
 * HOST_STREAM_BYTES or when the guest waits for something.
 */
#ifndef MAYFLY_WASI_HOST_H
#define MAYFLY_WASI_HOST_H

#include "base/arena.h"
#include "base/err.h"
#include "component/handles.h"
#include "io/files.h"
#include "io/loop.h"
#include "wasi/grants.h"
#include "wasi/message.h"

struct host;
struct host_pool;
struct outbound_face;
struct storage_grants;

#define HOST_MEMORY_DEFAULT ((size_t)64 << 20)
#define HOST_BODY_DEFAULT ((size_t)32 << 20)
#define HOST_STREAM_BYTES ((size_t)65536)  /* of a response body that are kept back to learn its length */
#define HOST_FIELDS_MAX 1000u              /* in one `fields` */
#define HOST_FIELDS_BYTES ((size_t)131072) /* names and values of one `fields` */
#define HOST_RANDOM_MAX ((uint64_t)1 << 24) /* bytes of one get-random-bytes */

struct host_variable {
    struct str name, value;
};

/* A granted directory and the name under which the guest finds it. */
struct host_directory {
    struct files_dir dir;
    struct str name;
};

enum host_stream { HOST_STDOUT, HOST_STDERR };

/* What a function was granted: the same for all its activities, which it outlives. */
struct host_config {
    const char *name; /* for logs */
    const char *manifest; /* that grants all this, and the line in it where that begins; NULL: options do */
    unsigned manifest_line;
    const struct host_variable *environment;
    size_t environment_count;
    const struct host_variable *variables; /* what wasi/variables.c shows */
    size_t variable_count;
    const struct str *arguments;
    size_t argument_count;
    const struct host_directory *directories;
    size_t directory_count;
    size_t memory_max; /* of the arena; 0: HOST_MEMORY_DEFAULT */
    size_t body_max;   /* of a response body that nobody reads yet; 0: HOST_BODY_DEFAULT */
    uint64_t clock_resolution_ns; /* of guest clocks; 0 and 1: as fine as the machine's */
    const struct grants *grants; /* of the network; NULL: nothing */
    const struct storage_grants *storage; /* of key-value stores and databases; NULL: nothing */
    int text_fds[2];   /* HOST_STDOUT, HOST_STDERR: where it goes beside the log; 0: nowhere */
    bool unlogged;     /* and not to the log */
    const struct str *wagi_argv; /* a command that answers requests (wasi/wagi.h): its arguments; NULL: it is none */
    bool direct;       /* a command: standard streams are the process's own */
    bool terminal[3];  /* stdin, stdout, stderr: the guest may know that it is a terminal */
};

/* Hashes of what was denied and logged; zeroed: nothing. */
#define HOST_DENIAL_PARTS 16u /* a function has one of these */
#define HOST_DENIALS_MAX 64u  /* different ones in a part that are logged */
struct host_denials {
    uint64_t hashes[HOST_DENIAL_PARTS][HOST_DENIALS_MAX];
};

/* How host functions give up the processor. */
struct host_runtime {
    /* Inside the task: return to the loop until `resume`. NULL: nobody can wait (only timers, when direct). */
    void (*suspend)(struct host *h);
    /* In the loop, never inside the task: what it waited for has happened. */
    void (*resume)(struct host *h);
};

/* What the world gives to all activities of a pool. */
struct host_services {
    const char *name_servers; /* see io_resolver_new */
    const struct outbound_face *outbound; /* how requests go out (wasi/outbound.h); NULL: they do not */
    void *outbound_client;
    struct host_denials *denials; /* shared with other processes, or NULL */
    /* Optional. Something was denied for the first time, and what would permit it. */
    void (*denied)(void *arg, const struct host_config *config, const char *what, const char *remedy);
    void *arg;
};

/* `loop` may be NULL where nothing waits. */
struct host_pool *host_pool_new(struct io_loop *loop, const struct host_runtime *runtime, struct err *err);
void host_pool_serve(struct host_pool *pool, const struct host_services *services);
/* Names will be looked up: load what that takes now; later the process may no longer be able to. What fails is logged,
 * for the function `name`, and tried again. */
void host_pool_prepare_names(struct host_pool *pool, const char *name);
/* All hosts must have ended. NULL is fine. */
void host_pool_free(struct host_pool *pool);

/* NULL when out of memory. `user`: the caller's, see host_user. The caller sets store->host. */
struct host *host_begin(struct host_pool *pool, const struct host_config *config, struct store *store, void *user);
void *host_user(const struct host *h);

/* The request and where its response goes. They stay until host_end or host_gone. */
void host_take_request(struct host *h, const struct http_request *request, const struct http_face *face,
                       void *exchange);
/* Make own handles of `incoming-request` and `response-outparam`. False: no memory or no room. */
bool host_give_request(struct host *h, struct handles *handles, uint32_t *ret_request, uint32_t *ret_outparam);

/* Standard streams that start functions hold, by the place of their handles from the slot base. */
struct host_frozen_stream {
    uint64_t place, permit;
    enum host_stream text; /* of an output */
    bool is_input, closed;
};
#define HOST_FROZEN_MAX 16u
struct host_frozen {
    struct host_frozen_stream streams[HOST_FROZEN_MAX];
    uint32_t count;
};

struct image;
/* The activity has run the start functions of an instance that is to be the template of others (node/freeze.h): take
 * what is the host's out of its handles. False: it holds more than standard streams, and `err` says what. */
bool host_freeze(struct host *h, const struct image *image, struct host_frozen *ret_frozen, struct err *err);
/* Inside a task of such an instance, first of all: streams of this activity take their places. False: trap. */
bool host_thaw(struct host *h, const struct host_frozen *frozen);

/* The exchange is gone, and with it the request's bytes. The guest must end, with TRAP_CANCELLED: resumes one that
 * waits; until it ends it finds the request empty and its response closed. */
void host_gone(struct host *h);
/* The same of one that will not run again: host_end follows. */
void host_gone_aside(struct host *h);
/* There is room again in the exchange, or more of the request's body: resumes a guest that waits. */
void host_ready(struct host *h);
/* From the loop: the guest must end with this trap (runtime/trap.h). Resumes one that waits. */
void host_interrupt(struct host *h, enum trap trap);
/* The guest is about to wait: send the head of its response, if it was set, and what there is of the body. Where that
 * is all, the exchange is over, and the activity goes on without. */
void host_yielding(struct host *h);

enum host_outcome {
    HOST_ANSWERED,   /* the response is complete, or the exchange was gone, or there was none */
    HOST_UNANSWERED, /* nothing was sent: the caller answers, or fails the exchange */
    HOST_BROKEN,     /* the response was begun and cannot be completed: fail the exchange */
};

/* End the activity. `trapped`: the guest did not return, and the caller says why; otherwise what is wrong with
 * the response is logged here. A response that was complete before the trap is sent all the same. The exchange is gone
 * when the outcome is HOST_ANSWERED. */
enum host_outcome host_end(struct host *h, bool trapped);

/* After TRAP_EXIT: the status that the guest gave. */
bool host_exited(const struct host *h, uint8_t *ret_status);

#endif
