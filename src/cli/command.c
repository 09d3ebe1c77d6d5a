/* See command.h. */
#include "cli/command.h"

#include "base/clock.h"

#include <string.h>
#include <unistd.h>

const struct image_export *command_entry(const struct program *program, struct err *err)
{
    const struct image_export *entry = program_export(program, STR("wasi:cli/run@0.2*"), STR("run"));
    if (entry && entry->param_count == 0 && entry->result_count == 1)
        return entry;
    err_set(err, ERR_LINK, "the component does not export wasi:cli/run@0.2 (run)");
    err_remedy(err, program_export(program, STR("wasi:http/incoming-handler@0.2*"), STR("handle"))
                        ? "it handles HTTP requests: serve it with 'mayfly up'"
                        : "build it for the wasi:cli/command world");
    return NULL;
}

/* ---- its life ---- */

static void suspend(struct host *host)
{
    (void)host;
    task_suspend();
}

static void resume(struct host *host)
{
    struct command *command = host_user(host);
    struct task *task = command->task;
    task_resume(task);
    if (task->state == TASK_DONE)
        io_stop(command->loop);
}

static void timed_out(struct io_timer *timer)
{
    host_interrupt(IO_OWNER(timer, struct command, timer)->host, TRAP_DEADLINE);
}

static void set_timer(struct command *command, uint64_t timeout_ns)
{
    command->timer.fired = timed_out;
    io_timer_set(command->loop, &command->timer, (clock_now_ns() + timeout_ns) / 1000u);
}

/* With a service process of its own, and one socket to it. */
static bool reach_storage(struct command *command, struct node_storage *storage, const char *name_servers,
                          struct err *err)
{
    command->storage = storage;
    return node_storage_open(storage, 1, name_servers, err) && node_storage_start(storage, err) &&
           node_storage_join(storage, 0, command->loop, err);
}

bool command_begin(struct command *command, const struct host_config *config, struct node_storage *storage,
                   const char *name_servers, struct slot *slot, uint64_t timeout_ns, struct err *err)
{
    static const struct host_runtime runtime = {suspend, resume};
    struct host_services services = {.name_servers = name_servers, .outbound = &http_client_face};
    command->config = *config;
    command->config.direct = true;
    for (int fd = 0; fd < 3; fd++)
        command->config.terminal[fd] = isatty(fd);
    command->loop = io_loop_new(err);
    command->client = command->loop ? http_client_new(command->loop, err) : NULL;
    command->pool = command->client ? host_pool_new(command->loop, &runtime, err) : NULL;
    if (!command->pool || !reach_storage(command, storage, name_servers, err))
        return false;
    services.outbound_client = command->client;
    host_pool_serve(command->pool, &services);
    command->host = host_begin(command->pool, &command->config, slot->store, command);
    if (!command->host)
        return err_memory(err);
    if (timeout_ns != UINT64_MAX)
        set_timer(command, timeout_ns);
    return true;
}

bool command_run(struct command *command, struct task *task, struct slot *slot, void (*body)(struct task *task),
                 void *arg, struct err *err)
{
    command->task = task;
    if (!task_start(task, slot, body, arg, command->host, err))
        return false;
    if (task->state == TASK_DONE || io_run(command->loop, err))
        return true;
    task_abandon(task);
    return false;
}

void command_end(struct command *command, bool trapped)
{
    if (command->loop)
        io_timer_stop(command->loop, &command->timer);
    if (command->host)
        host_end(command->host, trapped);
    host_pool_free(command->pool);
    http_client_free(command->client);
    if (command->storage)
        node_storage_leave(command->storage);
    io_loop_free(command->loop);
}
