/* What the files of `mayfly up` share: what one process of it has, from its options to its sockets. A fork has all of
 * it, and closes what it has no need of (up_process.c). */
#ifndef MAYFLY_CLI_UP_H
#define MAYFLY_CLI_UP_H

#include "cli/cli.h"
#include "deploy/deploy.h"
#include "io/net.h"
#include "node/sandbox.h"
#include "node/supervisor.h"

struct samples;

struct up {
    const struct cli_options *options;
    struct compile_options compile;
    bool improve; /* begin with what is there or made fast, and make it better */
    struct deploy_reading *reading; /* of the manifest, before there was a node: for the first one; or NULL */
    struct deploy deploy;
    struct supervisor_image *images; /* of each function */
    struct compile_outcome *outcomes;
    const char **names;
    uint32_t image_count; /* so many are open */
    struct samples *samples; /* of each worker, shared by all processes */
    struct host_denials *denials; /* likewise, of all workers */
    int64_t *fired; /* likewise, of the workers of all nodes: when timers did (node/worker.h); or NULL */
    struct function_limits limits;
    struct sandbox_options sandbox;
    struct metrics metrics;
    uint32_t workers;
    int listen_fd, admin_fd, access_fd; /* -1: not open; nothing listens where no trigger of type http is */
    int parent; /* of a node: the channel to who began it; else -1 */
    bool again; /* others served before: it has been said where */
};

/* What Spin takes from the environment where an option is not given (up_take.c). */
void up_take_environment(struct cli_options *options);
/* What options mean (up_take.c). CLI_DONE, or CLI_USAGE after an error. */
int up_take(struct up *up);

/* The processes of a node (up_process.c); `arg` is the struct up. Each returns its exit status. */
int up_work(void *arg, const struct supervisor_seat *seat);
int up_tell(void *arg, const struct supervisor_seat *seat);
int up_keep(void *arg, const struct supervisor_seat *seat);
int up_certify(void *arg, const struct supervisor_seat *seat);
int up_build(void *arg, const struct supervisor_seat *seat);
/* All that it has. */
void up_forget(struct up *up);

/* Where it serves, and what (up_say.c). */
void up_say(const struct up *up);
/* "http://127.0.0.1:3000"; empty: nothing listens. */
#define UP_URL_MAX (NET_ADDRESS_MAX + sizeof "https://")
void up_url(const struct up *up, char ret_url[UP_URL_MAX]);

#endif
