/* A guest whose time is over ends, in its own code, in helpers, in the collector and in host functions; the next
 * instance finds nothing of it; and a deadline that was cleared or lies ahead does nothing. No test depends on how long
 * anything takes: what must end here would otherwise never end. */
#include "runtime/deadline.h"

#include "runtime/backtrace.h"
#include "runtime/bulk.h"
#include "runtime/call.h"
#include "runtime/machine.h"
#include "runtime/task.h"
#include "support/load.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/time.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define FAR (DEADLINE_NS_MAX / 2)
#define LIST 200000

static struct program *program;
static struct slot *slot;
static struct task task;

#define OK(expression, err)                                                                                            \
    do {                                                                                                               \
        if (!(expression))                                                                                             \
            fail_msg("%s: %s", #expression, (err).message);                                                            \
    } while (0)

/* ---- the host: waits for ever, or calls the guest again ---- */

static bool host_wait(struct store *store, const void *env, union cell *v)
{
    struct timespec second = {1, 0};
    while (guest_goes_on(store))
        nanosleep(&second, NULL);
    return false;
}

static bool host_call_spin(struct store *store, const void *env, union cell *v)
{
    const uint64_t none = 0;
    uint64_t result;
    assert_false(guest_call_ints(store, program_export(program, STR(""), STR("spin"))->funcref, &none, 0, &result));
    return false;
}

static bool resolve(void *arg, const struct image *image, const struct image_import *import, host_fn **ret_fn,
                    const void **ret_env, struct err *err)
{
    *ret_fn = str_eq(image_str(image, import->name), STR("wait")) ? host_wait : host_call_spin;
    *ret_env = NULL;
    return true;
}

static int load(void **state)
{
    struct err err = {0};
    program = load_fixture(SOURCE_DIR "/tests/runtime/fixtures/deadline.wasm", resolve);
    OK(slot = slot_acquire(program, &err), err);
    return 0;
}

static int unload(void **state)
{
    deadline_clear();
    slot_destroy(slot);
    program_unload(program);
    stack_drain();
    return 0;
}

struct run {
    const char *name;
    union cell v[1];
    bool returned;
};

static void body(struct task *task)
{
    struct run *run = task->arg;
    const struct image_export *row = program_export(program, STR(""), str_of(run->name));
    assert_non_null(row);
    run->returned = guest_call(slot->store, row->funcref, image_bytes(&program->image) + row->types_first,
                               row->param_count, row->result_count, run->v);
}

static struct run call(const char *name, int64_t argument)
{
    struct err err = {0};
    struct run run = {.name = name, .v = {{.i64 = argument}}};
    OK(trap_install(&err), err); /* the test framework put its own handlers in place */
    OK(task_start(&task, slot, body, &run, NULL, &err), err);
    assert_int_equal(task.state, TASK_DONE);
    return run;
}

static void returns(const char *name, int64_t argument, int64_t expected)
{
    struct run run = call(name, argument);
    if (!run.returned)
        fail_msg("%s: %s %s", name, trap_text(task.report.trap), task.report.message);
    assert_int_equal(run.v[0].u32, expected);
}

static void is_over(const char *name)
{
    assert_false(call(name, 0).returned);
    assert_int_equal(task.report.trap, TRAP_DEADLINE);
    assert_true(task.report.frame_count > 0);
}

/* Twice: the second instance begins when the time is over already. */
static void ends(const char *name, uint64_t after_ns)
{
    struct err err = {0};
    OK(deadline_set(after_ns, &err), err);
    for (int i = 0; i < 2; i++) {
        is_over(name);
        slot_release(slot);
        OK(slot = slot_acquire(program, &err), err);
    }
    deadline_clear();
}

/* ---- the tests ---- */

static void everywhere(void **state)
{
    static const char *const names[] = {"spin", "wait", "nested", "copy", "churn"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (uint64_t after_ns = 0; after_ns <= 10000000; after_ns = after_ns * 10 + 1000) {
            ends(names[i], after_ns);
            returns("count", 1000, 1000);
        }
}

static void names_the_guest(void **state)
{
    char line[200];
    ends("spin", 10000000);
    assert_int_equal(task.report.frame_count, 1);
    ends("nested", 10000000);
    assert_true(task.report.frame_count >= 2);
    trap_describe_frame(&task.report, 0, line, sizeof line);
    assert_non_null(strstr(line, " spin "));
}

/* Never in the guest's own code, where the instance may be in the middle of anything. */
static void on_tick_in_host(int number, siginfo_t *info, void *raw)
{
    const ucontext_t *context = raw;
    if (!program_of(machine_pc(context)))
        slot->store->interrupt = TRAP_DEADLINE;
}

static void collector_stays_sound(void **state)
{
    struct sigaction action = {.sa_sigaction = on_tick_in_host, .sa_flags = SA_SIGINFO | SA_ONSTACK}, old;
    const struct itimerval none = {0};
    const uint32_t sum = (uint32_t)((uint64_t)LIST * (LIST - 1) / 2);
    assert_true(call("build", LIST).returned);
    assert_int_equal(sigaction(SIGALRM, &action, &old), 0);
    for (int i = 1; i < 40; i++) {
        const struct itimerval ticks = {{0, 300 + i * 53}, {0, 300 + i * 53}};
        setitimer(ITIMER_REAL, &ticks, NULL);
        is_over("churn");
        setitimer(ITIMER_REAL, &none, NULL);
        returns("sum", 0, sum);
        uint64_t collections = slot->gc.collections;
        assert_true(call("scrap", LIST * 10).returned);
        assert_true(slot->gc.collections > collections);
        returns("sum", 0, sum);
    }
    sigaction(SIGALRM, &old, NULL);
}

static void only_when_asked(void **state)
{
    struct err err = {0};
    struct timespec moment = {0, 3000000};
    OK(deadline_set(1000000, &err), err);
    deadline_clear();
    deadline_clear();
    nanosleep(&moment, NULL);
    returns("count", 10000000, 10000000);
    OK(deadline_set(0, &err), err);
    OK(deadline_set(FAR, &err), err); /* replaces it */
    raise(TRAP_CLOCK_SIGNAL);         /* somebody else's */
    returns("count", 10000000, 10000000);
    deadline_clear();
    raise(TRAP_CLOCK_SIGNAL);
    returns("count", 1000, 1000);
}

/* The time of this thread counts, not that of the world. */
static void by_processor_time(void **state)
{
    struct err err = {0};
    struct timespec moment = {0, 3000000};
    OK(deadline_set_cpu(FAR, &err), err);
    returns("count", 1000, 1000);
    assert_false(deadline_cpu_is_over());
    OK(deadline_set(FAR, &err), err); /* beside it */
    OK(deadline_set_cpu(2000000, &err), err);
    assert_false(deadline_cpu_is_over());
    nanosleep(&moment, NULL); /* takes none */
    is_over("spin");
    assert_true(deadline_cpu_is_over());
    deadline_clear();
    assert_false(deadline_cpu_is_over());
    slot_release(slot);
    OK(slot = slot_acquire(program, &err), err);
    returns("count", 1000, 1000);
}

/* ---- moving and filling in chunks ---- */

#define BYTES (3 * BULK_CHUNK + 777)

static void moves_like_memmove(void **state)
{
    static uint8_t bytes[BYTES + 4096], expected[sizeof bytes];
    static struct store store;
    static const uint64_t sizes[] = {0, 1, BULK_SHORT, BULK_SHORT + 1, BULK_CHUNK, BULK_CHUNK + 1, BYTES};
    static const uint64_t places[] = {0, 1, 16, 4096};
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 2654435761u >> 13);
    memcpy(expected, bytes, sizeof bytes);
    for (size_t i = 0; i < 7 * 4 * 4; i++) {
        uint64_t size = sizes[i % 7], to = places[i / 7 % 4], from = places[i / 28];
        memmove(expected + to, expected + from, size);
        assert_true(bulk_move(&store, bytes + to, bytes + from, size));
        assert_memory_equal(bytes, expected, sizeof bytes);
        memset(expected + to, (int)i, size / 2);
        assert_true(bulk_fill(&store, bytes + to, (uint8_t)i, size / 2));
        assert_memory_equal(bytes, expected, sizeof bytes);
    }
    store.interrupt = TRAP_DEADLINE;
    assert_false(bulk_move(&store, bytes + 1, bytes, BYTES));
    assert_int_equal(store.trap, TRAP_DEADLINE);
    assert_false(bulk_fill(&store, bytes, 1, BYTES));
    assert_memory_equal(bytes, expected, sizeof bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(everywhere, load, unload),
        cmocka_unit_test_setup_teardown(names_the_guest, load, unload),
        cmocka_unit_test_setup_teardown(collector_stays_sound, load, unload),
        cmocka_unit_test_setup_teardown(only_when_asked, load, unload),
        cmocka_unit_test_setup_teardown(by_processor_time, load, unload),
        cmocka_unit_test(moves_like_memmove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
