/* What a node serves: functions, each with what it is given and may take, and which path leads to which of them.
 *
 * Made before any process of the node is, and read-only from then on: all of them have the same, and name a function by
 * its index. The images are not part of it, because they come and go (node/supervisor.h).
 */
#ifndef MAYFLY_NODE_DEPLOYMENT_H
#define MAYFLY_NODE_DEPLOYMENT_H

#include "app/cron.h"
#include "app/route.h"
#include "compose/compose.h"
#include "wasi/host.h"
#include "wasi/message.h"
#include "wasi/service_address.h"
#include "wasi/storage.h"

#define DEPLOYMENT_FUNCTIONS_MAX 65536u

struct function_limits {
    uint64_t wall_ns, cpu_ns; /* of a request, from its dispatch; beyond: 504 */
    uint64_t memory_bytes;    /* of an instance; beyond, growing fails */
    uint64_t body_bytes;      /* of a request's body; beyond: 413 */
    uint64_t stack_bytes;     /* of each task; beyond: a trap. The same for all functions */
    uint32_t handles;         /* of each component instance at once; beyond: a trap. Likewise */
    uint32_t instances;       /* at once, in each worker; beyond: 503 */
};
extern const struct function_limits function_limits_default;

/* Texts as people wrote them, to be shown. */
struct deployed_texts {
    const struct str *items;
    uint32_t count;
};

/* What calls a function: a set of these. */
enum deployed_trigger { DEPLOYED_HTTP = 1, DEPLOYED_CRON = 2, DEPLOYED_COMMAND = 4, DEPLOYED_REDIS = 8 };

struct deployed {
    const char *name; /* for logs and metrics; also the configuration's */
    const char *path; /* of its source */
    const struct composition *composition; /* of what else it is made (compose/compose.h), or NULL */
    uint32_t image_of; /* the first function of the same file, itself or another, which has the same image */
    struct str description; /* or nothing */
    struct deployed_texts hosts, listens; /* what config.grants was made of: where it may go, where it may listen */
    struct host_config config;
    struct function_limits limits;
    unsigned triggers; /* enum deployed_trigger */
    bool snapshot; /* start functions run once, not in every instance: node/freeze.h */
};

/* An answer that needs no function. */
struct deployed_answer {
    unsigned status;
    const struct http_field *fields;
    size_t field_count;
    struct str body;
};

/* An answer below ROUTE_RESERVED, which goes before all routes. */
struct deployed_own {
    struct str path;
    struct deployed_answer answer;
};

/* What a route leads to. */
struct deployed_route {
    uint32_t function; /* its index */
    const struct deployed_answer *answer; /* NULL: the function answers */
};

/* When a function is called without a client. */
struct deployed_timer {
    uint32_t function; /* its index */
    struct cron cron;
    struct str text; /* as the manifest says it */
};

/* A server whose channels are listened to. */
struct deployed_subscription {
    const char *shown; /* without user and password, and without values of variables */
    struct service_address address;
    struct storage_grants storage; /* who reaches it, with what */
};

/* What is called with the messages of one of its channels. */
struct deployed_listener {
    uint32_t subscription, function; /* their indices */
    struct str channel, shown; /* `shown`: as the manifest says it */
};

struct deployment {
    const struct deployed *functions;
    uint32_t function_count; /* 0: all routes are answers */
    const struct router *router; /* NULL: all paths lead to the first function */
    const struct deployed_route *routes; /* as the router numbers them */
    const struct deployed_own *own; /* beside a router; the other paths there are nobody's */
    uint32_t own_count;
    const struct deployed_timer *timers;
    uint32_t timer_count;
    const struct deployed_subscription *subscriptions;
    const struct deployed_listener *listeners;
    uint32_t subscription_count, listener_count;
    struct str name, version, description; /* of an application; else nothing */
    const char *manifest; /* likewise, its file */
};

#endif
