/* A command component (wasi:cli/command) as a process: what `mayfly run` does for WASI 0.2 where wasi/preview1.h does
 * it for modules. The guest runs as a task over a loop: what it waits for, the loop waits for, and so a deadline ends
 * it there too. */
#ifndef MAYFLY_CLI_COMMAND_H
#define MAYFLY_CLI_COMMAND_H

#include "http/client.h"
#include "node/storage.h"
#include "runtime/program.h"
#include "runtime/task.h"
#include "wasi/host.h"
#include "wasi/link.h"

struct command {
    struct wasi_link link; /* the caller's: wasi_link_init before anything is resolved, wasi_link_free in the end */
    struct host_config config;
    struct io_loop *loop;
    struct host_pool *pool;
    struct http_client *client;
    struct host *host;
    struct task *task;     /* while it runs */
    struct node_storage *storage;
    struct io_timer timer; /* of the deadline */
};

/* The export to call: wasi:cli/run@0.2.x, `run`. ERR_LINK: there is none. */
const struct image_export *command_entry(const struct program *program, struct err *err);
/* Make the host's side of the process, which has what `config` and `storage` give, and needs that as long as it lives;
 * its standard streams are this process's. `timeout_ns` from now on the guest ends where it waits (UINT64_MAX: never).
 */
bool command_begin(struct command *command, const struct host_config *config, struct node_storage *storage,
                   const char *name_servers, struct slot *slot, uint64_t timeout_ns, struct err *err);
/* Run `body` to its end as `task`. */
bool command_run(struct command *command, struct task *task, struct slot *slot, void (*body)(struct task *task),
                 void *arg, struct err *err);
/* Closes what is open. */
void command_end(struct command *command, bool trapped);

#endif
