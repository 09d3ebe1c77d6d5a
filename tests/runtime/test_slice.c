/* Guests that never end take turns with one that does, wherever they are: in their own code, in helpers, in a guest
 * that host code called, in a task that host code started. No test depends on how long anything takes: who must be
 * preempted here would otherwise never give up the thread. */
#include "runtime/slice.h"

#include "runtime/call.h"
#include "runtime/task.h"
#include "support/load.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define FOREVER (UINT64_C(1) << 62)
#define MANY 200000000 /* counted in more than a slice */

static struct program *program;

#define OK(expression, err)                                                                                            \
    do {                                                                                                               \
        if (!(expression))                                                                                             \
            fail_msg("%s: %s", #expression, (err).message);                                                            \
    } while (0)

struct run {
    struct task task;
    struct slot *slot;
    const char *name;
    union cell v[1];
    bool returned;
    unsigned turns;
};

static void body(struct task *task)
{
    struct run *run = task->arg;
    const struct image_export *row = program_export(program, STR(""), str_of(run->name));
    assert_non_null(row);
    run->returned = guest_call(run->slot->store, row->funcref, image_bytes(&program->image) + row->types_first,
                               row->param_count, row->result_count, run->v);
}

/* ---- the host: a task of the same store that counts, or a guest called from here ---- */

static struct run inner;

static bool host_count_in_task(struct store *store, const void *env, union cell *v)
{
    struct err err = {0};
    inner = (struct run){.slot = task_current->slot, .name = "count", .v = {{.u32 = MANY}}};
    OK(task_spawn(&inner.task, inner.slot, body, &inner, &err), err);
    assert_int_equal(inner.task.state, TASK_DONE); /* nobody between the two sees a preemption */
    assert_true(inner.returned);
    return true;
}

static bool host_call_spin(struct store *store, const void *env, union cell *v)
{
    const uint64_t none = 0;
    uint64_t result;
    return guest_call_ints(store, program_export(program, STR(""), STR("spin"))->funcref, &none, 0, &result);
}

static bool resolve(void *arg, const struct image *image, const struct image_import *import, host_fn **ret_fn,
                    const void **ret_env, struct err *err)
{
    *ret_fn = str_eq(image_str(image, import->name), STR("wait")) ? host_count_in_task : host_call_spin;
    *ret_env = NULL;
    return true;
}

static int load(void **state)
{
    struct err err = {0};
    program = load_fixture(SOURCE_DIR "/tests/runtime/fixtures/deadline.wasm", resolve);
    OK(slice_open(&err), err);
    return 0;
}

static int unload(void **state)
{
    slice_close();
    program_unload(program);
    stack_drain();
    return 0;
}

static void begin(struct run *run, const char *name, uint32_t argument, uint64_t allowance_ns)
{
    struct err err = {0};
    OK(trap_install(&err), err); /* the test framework put its own handlers in place */
    *run = (struct run){.name = name, .v = {{.u32 = argument}}};
    OK(run->slot = slot_acquire(program, &err), err);
    slice_enter(allowance_ns);
    OK(task_start(&run->task, run->slot, body, run, NULL, &err), err);
    slice_leave();
}

static void turn(struct run *run, uint64_t allowance_ns)
{
    assert_int_equal(run->task.state, TASK_PREEMPTED);
    run->turns++;
    slice_enter(allowance_ns);
    task_resume(&run->task);
    slice_leave();
}

static void end(struct run *run)
{
    if (run->task.state != TASK_DONE)
        task_abandon(&run->task);
    slot_release(run->slot);
}

/* ---- the tests ---- */

static void turns(void **state)
{
    static const char *const endless[] = {"spin", "copy", "churn", "nested"};
    enum { COUNT = sizeof endless / sizeof *endless };
    static struct run others[COUNT], counter;
    for (size_t i = 0; i < COUNT; i++)
        begin(&others[i], endless[i], 0, FOREVER);
    begin(&counter, "count", MANY, FOREVER);
    for (unsigned round = 0; counter.task.state != TASK_DONE || round < 10; round++) {
        if (counter.task.state != TASK_DONE)
            turn(&counter, FOREVER);
        for (size_t i = 0; i < COUNT; i++)
            turn(&others[i], FOREVER);
    }
    assert_true(counter.returned);
    assert_int_equal(counter.v[0].u32, MANY);
    for (size_t i = 0; i < COUNT; i++)
        end(&others[i]);
    end(&counter);
}

static void tasks_that_nest(void **state)
{
    static struct run outer;
    begin(&outer, "wait", 0, FOREVER);
    for (int i = 0; i < 20; i++) /* "wait" calls the host again and again */
        turn(&outer, FOREVER);
    task_abandon(&outer.task);
    if (inner.task.state != TASK_DONE)
        task_abandon(&inner.task);
    slot_release(outer.slot);
}

static void allowance(void **state)
{
    static const char *const endless[] = {"spin", "copy", "churn", "nested"};
    static struct run run;
    for (size_t i = 0; i < sizeof endless / sizeof *endless; i++) {
        begin(&run, endless[i], 0, 0);
        assert_int_equal(run.task.state, TASK_DONE);
        assert_int_equal(run.task.report.trap, TRAP_DEADLINE);
        end(&run);
        begin(&run, endless[i], 0, FOREVER);
        turn(&run, FOREVER);
        turn(&run, 0);
        assert_int_equal(run.task.state, TASK_DONE);
        assert_false(run.returned);
        assert_int_equal(run.task.report.trap, TRAP_DEADLINE);
        end(&run);
        begin(&run, "count", 1000, FOREVER); /* and the next one begins anew */
        assert_true(run.returned);
        end(&run);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(turns),
        cmocka_unit_test(tasks_that_nest),
        cmocka_unit_test(allowance),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
