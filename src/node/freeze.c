/* See freeze.h. */
#include "node/freeze.h"

#include "base/clock.h"

static void run_starts(struct task *task)
{
    struct freezing *freezing = task->arg;
    freezing->returned = program_start(task->slot);
}

bool freeze_begin(struct freezing *ret, struct program *program, struct host_pool *hosts,
                  const struct host_config *config, uint64_t allowance_ns, struct err *err)
{
    *ret = (struct freezing){.program = program, .allowance_ns = allowance_ns};
    ret->slot = slot_acquire(program, err);
    if (!ret->slot)
        return false;
    ret->host = host_begin(hosts, config, ret->slot->store, NULL);
    if (ret->host)
        return true;
    slot_destroy(ret->slot);
    return err_memory(err);
}

static bool ended_well(const struct freezing *freezing, struct err *err)
{
    const struct trap_report *report = &freezing->task.report;
    if (freezing->task.state != TASK_DONE)
        return err_set(err, ERR_UNSUPPORTED, "they wait for something");
    if (freezing->returned)
        return true;
    if (report->trap == TRAP_DEADLINE)
        return err_set(err, ERR_LIMIT, "they take longer than a request may, %.3g s",
                       (double)freezing->allowance_ns / NS_PER_S);
    return err_set(err, ERR_TRAP, "they trap: %s%s%s", trap_text(report->trap), report->message[0] ? ": " : "",
                   report->message);
}

static void end(struct freezing *freezing, bool broken)
{
    if (freezing->task.state != TASK_IDLE && freezing->task.state != TASK_DONE)
        task_abandon(&freezing->task);
    host_end(freezing->host, broken);
    slot_destroy(freezing->slot);
}

enum program_step freeze_step(struct freezing *freezing, struct host_frozen *ret_frozen, struct err *err)
{
    struct task *task = &freezing->task;
    struct host_frozen frozen;
    bool done = true;
    if (task->state == TASK_IDLE)
        done = task_start(task, freezing->slot, run_starts, freezing, freezing->host, err);
    else
        task_resume(task);
    if (done && task->state == TASK_PREEMPTED)
        return PROGRAM_GOES_ON;
    done = done && ended_well(freezing, err) && host_freeze(freezing->host, &freezing->program->image, &frozen, err) &&
           program_freeze(freezing->program, freezing->slot, err);
    end(freezing, !done);
    if (done)
        *ret_frozen = frozen;
    return done ? PROGRAM_READY : PROGRAM_FAILED;
}

void freeze_abandon(struct freezing *freezing)
{
    end(freezing, true);
}
