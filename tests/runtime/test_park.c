/* Instances that are put aside and brought back, in every order, find all that they left and nothing of each other.
 * PARK_SEED repeats a run. */
#include "runtime/park.h"

#include "base/alloc.h"
#include "runtime/call.h"
#include "runtime/slice.h"
#include "support/load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define FOREVER (UINT64_C(1) << 62)
#define RUNS 40

#define OK(expression, err)                                                                                            \
    do {                                                                                                               \
        if (!(expression))                                                                                             \
            fail_msg("%s: %s", #expression, (err).message);                                                            \
    } while (0)

static struct program *program;
static uint64_t seed;

struct run {
    struct task task;
    struct slot *slot;
    struct parked *parked;
    union cell v[3];
    bool returned, live;
};

static void body(struct task *task)
{
    struct run *run = task->arg;
    const struct image_export *row = program_export(program, STR(""), STR("run"));
    assert_non_null(row);
    run->returned = guest_call(run->slot->store, row->funcref, image_bytes(&program->image) + row->types_first,
                               row->param_count, row->result_count, run->v);
}

static bool host_wait(struct store *store, const void *env, union cell *v)
{
    task_suspend();
    return true;
}

static bool resolve(void *arg, const struct image *image, const struct image_import *import, host_fn **ret_fn,
                    const void **ret_env, struct err *err)
{
    *ret_fn = host_wait;
    *ret_env = NULL;
    return true;
}

static int load(void **state)
{
    program = load_fixture(SOURCE_DIR "/tests/runtime/fixtures/park.wasm", resolve);
    const char *given = getenv("PARK_SEED");
    seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    print_message("PARK_SEED=%llu\n", (unsigned long long)seed);
    return 0;
}

static int unload(void **state)
{
    program_unload(program);
    stack_drain();
    return 0;
}

static uint32_t chance(uint32_t below)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33) % below;
}

static void begin(struct run *run, uint64_t number, uint32_t ways, uint32_t depth)
{
    struct err err = {0};
    OK(trap_install(&err), err); /* the test framework put its own handlers in place */
    *run = (struct run){.v = {{.u64 = number}, {.u32 = ways}, {.u32 = depth}}, .live = true};
    OK(run->slot = slot_acquire(program, &err), err);
    OK(task_start(&run->task, run->slot, body, run, NULL, &err), err);
    assert_int_equal(run->task.state, TASK_SUSPENDED);
}

static void put_aside(struct run *run)
{
    assert_true(slot_can_park(run->slot));
    run->parked = slot_park(run->slot);
    assert_non_null(run->parked);
}

static void bring_back(struct run *run)
{
    struct slot *slot = run->slot;
    if (!run->parked)
        return;
    if (slot->tasks)
        put_aside(slot->tasks->arg);
    assert_true(slot_unpark(run->parked));
    run->parked = NULL;
}

static void go_on(struct run *run)
{
    bring_back(run);
    task_resume(&run->task);
    assert_int_equal(run->task.state, TASK_DONE);
    assert_true(run->returned);
    assert_int_equal(run->v[0].u32, 0);
    slot_release(run->slot);
    run->live = false;
}

static void give_up(struct run *run)
{
    if (run->parked) {
        parked_drop(run->parked);
        run->parked = NULL;
    } else {
        task_abandon(&run->task);
        slot_release(run->slot);
    }
    run->live = false;
}

/* ---- the tests ---- */

static void each_way_alone(void **state)
{
    static struct run first, second;
    for (uint32_t ways = 0; ways < 32; ways++) {
        begin(&first, ways + 100, ways, ways);
        put_aside(&first);
        begin(&second, ~(uint64_t)ways, 31 - ways, 31 - ways);
        assert_ptr_equal(first.slot, second.slot);
        go_on(&first);
        go_on(&second);
    }
    assert_int_equal(program->slot_count, 1);
}

/* What is put aside is what was written, not what could have been. */
static void small(void **state)
{
    static struct run run;
    begin(&run, 7, 8, 0);
    put_aside(&run);
    assert_in_range(parked_bytes(run.parked), 1, 4096);
    go_on(&run);
}

static void any_order(void **state)
{
    static struct run runs[RUNS];
    for (uint32_t step = 0; step < 20000; step++) {
        struct run *run = &runs[chance(RUNS)];
        uint32_t what = chance(16);
        if (!run->live)
            begin(run, (uint64_t)seed, chance(32), chance(60));
        else if (what == 0)
            give_up(run);
        else if (what < 5 && !run->parked)
            put_aside(run);
        else if (what < 8)
            go_on(run);
        else
            bring_back(run);
    }
    for (uint32_t i = 0; i < RUNS; i++)
        if (runs[i].live)
            go_on(&runs[i]);
}

/* A slot that another instance wrote too much in is made anew, at the addresses of those that are put aside. */
static void made_anew(void **state)
{
    static struct run first, second;
    begin(&first, 11, 31, 20);
    put_aside(&first);
    begin(&second, 12, 31, 20);
    assert_ptr_equal(first.slot, second.slot);
    second.slot->overflowed = true;
    assert_false(slot_can_park(second.slot));
    assert_false(slot_unpark(first.parked));
    task_resume(&second.task);
    assert_true(second.returned);
    slot_release(second.slot);
    go_on(&first);
    begin(&second, 12, 31, 20);
    second.slot->overflowed = true;
    give_up(&second);
}

/* One that computes can be put aside as well as one that waits. */
static void not_while_it_runs(void **state)
{
    static struct run run;
    begin(&run, 1, 1, 1);
    run.task.state = TASK_RUNNING;
    assert_false(slot_can_park(run.slot));
    run.task.state = TASK_SUSPENDED;
    assert_true(slot_can_park(run.slot));
    go_on(&run);
    assert_false(slot_can_park(run.slot));
}

static void without_memory(void **state)
{
    static struct run run;
    begin(&run, 3, 31, 9);
    mem_fail_at(1);
    struct parked *none = slot_park(run.slot);
    mem_fail_at(0);
    if (none) /* builds that cannot fail an allocation */
        run.parked = none;
    go_on(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_way_alone),    cmocka_unit_test(small),
        cmocka_unit_test(any_order),         cmocka_unit_test(made_anew),
        cmocka_unit_test(not_while_it_runs), cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
