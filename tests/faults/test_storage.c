/* Key-value stores and databases while memory runs out, on either side: each allocation of a session fails once, alone
 * and with all behind it, in the worker, in the service process, or in its engines. A guest may trap or be told of an
 * error; nothing hangs, nothing is left over, and the same session, tried again, succeeds. */
#include "services/harness.h"

#include "base/alloc.h"
#include "runtime/trap.h"
#include "support/descriptors.h"
#include "wasi/gen/fermyon_spin_2.h"
#include "wasi/gen/wasi_keyvalue.h"
#include "wasi/storage_call.h"

static struct engine_settings settings;
static struct service_process service;
static struct storage_client *client;
static struct store store;
static struct host_pool *pool;
static struct host *h;
static const struct str labels[] = {{"default", 7}};
static struct storage_grants grants = {.labels = {labels, labels}, .counts = {1, 1}, .face = &storage_client_face};
static struct host_config config = {.name = "guest", .storage = &grants};

/* Waiting without a second stack, as in tests/wasi/test_waits.c. */
static void suspend(struct host *host)
{
    io_run(harness_loop, NULL);
}

static void resume(struct host *host)
{
    io_stop(harness_loop);
}

/* ---- sessions: false when something failed ---- */

static bool use_store(void)
{
    struct result_wasi_keyvalue_bucket_wasi_keyvalue_store_error opened = {0};
    struct result_void_wasi_keyvalue_store_error done = {0};
    struct result_list_tuple_str_option_list_u8_wasi_keyvalue_store_error got = {0};
    struct result_wasi_keyvalue_cas_wasi_keyvalue_store_error cas = {0};
    const struct str keys[] = {{"k", 1}, {"none", 4}};
    static const uint8_t large[100000];
    if (!wasi_keyvalue_store_open(h, STR("default"), &opened) || opened.err)
        return false;
    if (!wasi_keyvalue_store_bucket_set(h, opened.ok, STR("k"), (struct list_u8){large, sizeof large}, &done) ||
        done.err)
        return false;
    if (!wasi_keyvalue_batch_get_many(h, opened.ok, (struct list_str){keys, 2}, &got) || got.err)
        return false;
    if (!wasi_keyvalue_atomics_cas_new(h, opened.ok, STR("k"), &cas) || cas.err)
        return false;
    wasi_keyvalue_cas_drop(h, cas.ok);
    wasi_keyvalue_bucket_drop(h, opened.ok);
    return got.ok.len == 2 && got.ok.ptr[0].f1.value.len == sizeof large;
}

static bool use_database(void)
{
    struct result_fermyon_spin_2_connection_fermyon_spin_2_sqlite_error opened = {0};
    struct result_fermyon_spin_2_sqlite_query_result_fermyon_spin_2_sqlite_error result = {0};
    const struct fermyon_spin_2_sqlite_value value = {.tag = FERMYON_SPIN_2_SQLITE_VALUE_TEXT, .text = {"text", 4}};
    if (!fermyon_spin_2_sqlite_connection_open(h, STR("default"), &opened) || opened.err)
        return false;
    bool done = fermyon_spin_2_sqlite_connection_execute(h, opened.ok, STR("SELECT ?, 1"),
                                                         (struct list_fermyon_spin_2_sqlite_value){&value, 1}, &result);
    fermyon_spin_2_connection_drop(h, opened.ok);
    return done && !result.err && result.ok.rows.len == 1;
}

static bool use_both(void)
{
    memset(&store, 0, sizeof store);
    h = host_begin(pool, &config, &store, NULL);
    if (!h)
        return false;
    bool done = use_store() && use_database();
    host_end(h, store.trap != TRAP_NONE);
    return done && store.trap == TRAP_NONE;
}

/* ---- processes ---- */

static void start(void)
{
    service = start_service(&settings);
    grant(&service, 1, STORAGE_STORE, "default", "kv");
    grant(&service, 1, STORAGE_DATABASE, "default", "db");
}

static void open_client(void)
{
    client = new_client();
    grants.client = (void *const *)&client;
    connect_client(client, &service, 1);
}

static int begin_all(void **state)
{
    const struct host_runtime runtime = {suspend, resume};
    settings = service_settings_default;
    if (harness_open(state))
        return 1;
    start();
    open_client();
    pool = host_pool_new(harness_loop, &runtime, &harness_err);
    return pool && use_both() ? 0 : 1;
}

static int end_all(void **state)
{
    host_pool_free(pool);
    storage_client_free(client);
    stop_service(&service);
    return harness_close(state);
}

/* ---- in the worker ---- */

static void fail_worker(void (*set_failure)(uint64_t nth))
{
    for (uint64_t nth = 1, completed = 0; !completed && nth < 10000; nth++) {
        storage_client_free(client); /* one that has nothing open yet */
        open_client();
        uint64_t live = mem_live();
        unsigned descriptors = open_descriptors();
        set_failure(nth);
        completed = use_both();
        set_failure(0);
        host_pool_free(pool); /* which keeps hosts */
        storage_client_free(client);
        const struct host_runtime runtime = {suspend, resume};
        open_client();
        pool = host_pool_new(harness_loop, &runtime, &harness_err);
        assert_true(mem_live() <= live + 1);
        assert_in_range(open_descriptors(), descriptors - 2, descriptors + 2);
    }
    assert_true(use_both());
}

static void test_worker_once(void **state)
{
    fail_worker(mem_fail_once);
}

static void test_worker_from(void **state)
{
    fail_worker(mem_fail_at);
}

/* ---- in the service process and its engines ---- */

/* Whether it lives, and knows what is granted. A process that cannot begin ends at once. */
static bool is_there(void)
{
    bool told = service_grant(service.control, 1, STORAGE_STORE, STR("default"), folder_of("kv")) &&
                service_grant(service.control, 1, STORAGE_DATABASE, STR("default"), folder_of("db"));
    usleep(20000);
    return waitpid(service.pid, NULL, WNOHANG) == 0 && told;
}

/* The process and its engines inherit when an allocation fails; here nothing is allocated meanwhile. */
static void test_service(void **state)
{
    unsigned failed = 0, ended = 0;
    for (uint64_t nth = 1; nth < 60; nth++) {
        kill_service(&service);
        storage_client_free(client);
        mem_fail_once(nth);
        service = start_service(&settings);
        mem_fail_once(0);
        bool there = is_there();
        int fd = there ? service_connect(service.control, 1, &harness_err) : -1;
        if (fd >= 0) {
            client = new_client();
            assert_true(storage_client_connect(client, fd, &harness_err));
            failed += !use_both();
            continue;
        }
        if (there) /* it has just ended */
            waitpid(service.pid, NULL, 0);
        close(service.control);
        start();
        open_client();
        ended++;
    }
    printf("of 59 failures %u reached a guest, and %u the beginning of the process\n", failed, ended);
    kill_service(&service);
    storage_client_free(client);
    start();
    open_client();
    assert_true(use_both());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_worker_once),
        cmocka_unit_test(test_worker_from),
        cmocka_unit_test(test_service),
    };
    return cmocka_run_group_tests(tests, begin_all, end_all);
}
