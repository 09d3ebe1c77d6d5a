/* See freeze.h. */
#include "node/freeze.h"

#include "base/clock.h"
#include "runtime/slice.h"
#include "runtime/task.h"

static void run_starts(struct task *task)
{
    bool *returned = task->arg;
    *returned = program_start(task->slot);
}

static void go_on(struct task *task, uint64_t began_ns, uint64_t allowance_ns)
{
    uint64_t past_ns = clock_now_ns() - began_ns;
    slice_enter(past_ns < allowance_ns ? allowance_ns - past_ns : 0);
    task_resume(task);
    slice_leave();
}

static bool ended_well(const struct task *task, bool returned, uint64_t allowance_ns, struct err *err)
{
    const struct trap_report *report = &task->report;
    if (task->state != TASK_DONE)
        return err_set(err, ERR_UNSUPPORTED, "they wait for something");
    if (returned)
        return true;
    if (report->trap == TRAP_DEADLINE)
        return err_set(err, ERR_LIMIT, "they take longer than a request may, %.3g s", (double)allowance_ns / NS_PER_S);
    return err_set(err, ERR_TRAP, "they trap: %s%s%s", trap_text(report->trap), report->message[0] ? ": " : "",
                   report->message);
}

/* To their end, or to where they wait. */
static bool run(struct slot *slot, struct host *host, uint64_t allowance_ns, struct err *err)
{
    struct task task = {0};
    bool returned = false;
    uint64_t began_ns = clock_now_ns();
    slice_enter(allowance_ns);
    bool started = task_start(&task, slot, run_starts, &returned, host, err);
    slice_leave();
    if (!started)
        return false;
    while (task.state == TASK_PREEMPTED)
        go_on(&task, began_ns, allowance_ns);
    bool done = ended_well(&task, returned, allowance_ns, err);
    if (task.state != TASK_DONE)
        task_abandon(&task);
    return done;
}

static bool run_in(struct program *program, struct slot *slot, struct host *host, uint64_t allowance_ns,
                   struct host_frozen *ret_frozen, struct err *err)
{
    struct host_frozen frozen;
    if (!run(slot, host, allowance_ns, err) || !host_freeze(host, &program->image, &frozen, err) ||
        !program_freeze(program, slot, err))
        return false;
    *ret_frozen = frozen;
    return true;
}

bool program_run_once(struct program *program, struct host_pool *hosts, const struct host_config *config,
                      uint64_t allowance_ns, struct host_frozen *ret_frozen, struct err *err)
{
    struct slot *slot = slot_acquire(program, err);
    if (!slot)
        return false;
    struct host *host = host_begin(hosts, config, slot->store, NULL);
    bool done = host ? run_in(program, slot, host, allowance_ns, ret_frozen, err) : err_memory(err);
    if (host)
        host_end(host, !done);
    slot_destroy(slot);
    return done;
}
