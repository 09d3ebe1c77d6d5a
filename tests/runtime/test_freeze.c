/* Instances that begin behind start functions which asked the host: all begin alike, whatever others did and whichever
 * way they end, and what cannot be a template is refused. */
#include "runtime/park.h"
#include "runtime/snapshot.h"

#include "base/alloc.h"
#include "support/load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { GROW = 1, MANY = 2, TABLES = 4, OBJECTS = 8, TRAP = 16, GROW_MUCH = 32, THROW = 64 };

#define NUMBER UINT64_C(0x1234567800000000)

static struct program *program;
static uint32_t way, numbers; /* what start functions do; how often they asked */

static bool host_way(struct store *store, const void *env, union cell *v)
{
    v->u32 = way;
    return true;
}

static bool host_number(struct store *store, const void *env, union cell *v)
{
    v->u64 = NUMBER + numbers++;
    return true;
}

static bool host_wait(struct store *store, const void *env, union cell *v)
{
    task_suspend();
    return true;
}

static bool resolve(void *arg, const struct image *image, const struct image_import *import, host_fn **ret_fn,
                    const void **ret_env, struct err *err)
{
    struct str name = image_str(image, import->name);
    *ret_fn = str_eq(name, STR("way")) ? host_way : str_eq(name, STR("number")) ? host_number : host_wait;
    *ret_env = NULL;
    return true;
}

static void starts(struct task *task)
{
    *(bool *)task->arg = program_start(task->slot);
}

static void load(uint32_t chosen)
{
    struct err err = {0};
    program = load_fixture(SOURCE_DIR "/tests/runtime/fixtures/freeze.wasm", resolve);
    assert_true(program->start_each_time);
    assert_true(trap_install(&err));
    way = chosen;
    numbers = 0;
}

/* Run start functions in a slot, and freeze it; the allocation `failing`, if not 0, fails. */
static bool freeze(uint64_t failing, struct err *err)
{
    struct task task = {0};
    bool returned = false;
    struct slot *slot = slot_acquire(program, err);
    assert_non_null(slot);
    assert_true(task_start(&task, slot, starts, &returned, NULL, err));
    assert_int_equal(task.state, TASK_DONE);
    assert_true(returned);
    mem_fail_at(failing);
    bool done = program_freeze(program, slot, err);
    mem_fail_at(0);
    slot_destroy(slot);
    return done;
}

struct run {
    struct task task;
    struct slot *slot;
    struct parked *parked;
    uint64_t mine;
    union cell v[1];
    bool returned;
};

static bool call(struct slot *slot, struct str name, union cell *v)
{
    const struct image_export *row = program_export(program, STR(""), name);
    return guest_call(slot->store, row->funcref, image_bytes(&program->image) + row->types_first, row->param_count,
                      row->result_count, v);
}

static void body(struct task *task)
{
    struct run *run = task->arg;
    if (program->start_each_time && !program_start(task->slot))
        return;
    assert_true(call(run->slot, STR("begun"), run->v));
    if (!program->start_each_time)
        assert_int_equal(run->v->u64, NUMBER);
    run->v->u64 = run->mine;
    run->returned = call(run->slot, STR("run"), run->v);
}

static void begin(struct run *run, uint64_t mine)
{
    struct err err = {0};
    assert_true(trap_install(&err));
    *run = (struct run){.mine = mine};
    run->slot = slot_acquire(program, &err);
    assert_non_null(run->slot);
    assert_true(task_start(&run->task, run->slot, body, run, NULL, &err));
    assert_int_equal(run->task.state, TASK_SUSPENDED);
}

static void put_aside(struct run *run)
{
    assert_true(slot_can_park(run->slot));
    run->parked = slot_park(run->slot);
    assert_non_null(run->parked);
}

static void go_on(struct run *run)
{
    if (run->parked)
        assert_true(slot_unpark(run->parked));
    task_resume(&run->task);
    assert_int_equal(run->task.state, TASK_DONE);
    assert_true(run->returned);
    assert_int_equal(run->v->u32, 0);
    slot_release(run->slot);
}

static void give_up(struct run *run)
{
    task_abandon(&run->task);
    slot_release(run->slot);
}

/* ---- the tests ---- */

static void end_program(void)
{
    program_unload(program);
    stack_drain();
}

static void check_way(uint32_t chosen)
{
    static struct run first, second;
    struct err err = {0};
    load(chosen);
    if (!freeze(0, &err))
        fail_msg("%u: %s", chosen, err.message);
    assert_false(program->start_each_time);
    for (uint64_t i = 1; i < 4; i++) {
        begin(&first, i << 40);
        begin(&second, i << 48);
        go_on(&second);
        give_up(&first);
    }
    begin(&first, 1);
    put_aside(&first);
    begin(&second, UINT64_C(1) << 50);
    assert_ptr_equal(first.slot, second.slot);
    go_on(&second);
    go_on(&first);
    assert_int_equal(numbers, 1);
    end_program();
}

static void all_begin_alike(void **state)
{
    for (uint32_t chosen = 0; chosen < TRAP; chosen++)
        check_way(chosen);
}

/* What one instance has from the start counts as if it had grown by it, and no more may be had. */
static void memory_counts(void **state)
{
    static struct run run;
    struct err err = {0};
    uint64_t initial = (70 + 1 + 2 + 3) * 65536 + 10 * sizeof(struct table_entry) + HEAP_FIRST;
    load(GROW);
    assert_true(freeze(0, &err));
    begin(&run, 5);
    assert_int_equal(run.slot->initial, initial);
    go_on(&run);
    assert_false(slot_limit(program, initial - 1, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_true(slot_limit(program, initial, &err));
    end_program();
}

static void expect_refusal(uint32_t chosen, const char *why)
{
    static struct run run;
    struct err err = {0};
    load(chosen);
    assert_false(freeze(0, &err));
    assert_non_null(strstr(err.message, why));
    assert_true(program->start_each_time);
    assert_null(program->snapshot);
    way = GROW | OBJECTS;
    for (uint64_t i = 1; i < 3; i++) {
        begin(&run, i << 40);
        go_on(&run);
    }
    assert_int_equal(numbers, 3);
    end_program();
}

static void what_no_template_holds(void **state)
{
    expect_refusal(GROW_MUCH, "grow by more than 64 MiB");
    expect_refusal(THROW, "exceptions");
}

/* As if it had not been: the next instances start by themselves. */
static void undone(void **state)
{
    static struct run run;
    struct err err = {0};
    load(GROW | MANY | OBJECTS);
    assert_true(freeze(0, &err));
    program_unfreeze(program);
    assert_true(program->start_each_time);
    for (uint64_t i = 1; i < 3; i++) {
        begin(&run, i << 40);
        go_on(&run);
    }
    assert_int_equal(numbers, 3);
    end_program();
}

static void no_memory(void **state)
{
    static struct run run;
    struct err err = {0};
    uint64_t failing = 1;
    load(GROW | OBJECTS);
    for (; !freeze(failing, &err); failing++) {
        assert_int_equal(err.kind, ERR_MEMORY);
        assert_true(program->start_each_time);
        begin(&run, failing << 40);
        go_on(&run);
        while (program->free_slots) {
            struct slot *slot = program->free_slots;
            program->free_slots = slot->next;
            slot_destroy(slot);
        }
    }
    assert_int_equal(failing, 4); /* sizes, rows of pages, pages */
    end_program();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_begin_alike), cmocka_unit_test(memory_counts), cmocka_unit_test(what_no_template_holds),
        cmocka_unit_test(undone),          cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
