/* The interfaces of key-value stores and databases, as a guest calls them, over a real service process: every function
 * of every version, what is denied, what is full, and what ends with its activity. */
#include "services/harness.h"

#include "component/handles.h"
#include "runtime/trap.h"
#include "wasi/gen/fermyon_spin.h"
#include "wasi/gen/fermyon_spin_2.h"
#include "wasi/gen/spin_sqlite.h"
#include "wasi/gen/wasi_keyvalue.h"
#include "wasi/storage_call.h"

#include <fcntl.h>

static struct engine_settings settings;
static struct service_process service;
static struct storage_client *client;
static struct store store;
static struct host_pool *pool;
static struct host *h;
static const struct str stores[] = {{"default", 7}, {"absent", 6}}, databases[] = {{"default", 7}, {"absent", 6}};
static struct storage_grants grants = {{stores, databases}, {2, 2}, &storage_client_face, NULL, 0};
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

static void begin_activity(void)
{
    memset(&store, 0, sizeof store);
    h = host_begin(pool, &config, &store, NULL);
    assert_non_null(h);
}

static void end_activity(void)
{
    assert_int_equal(store.trap, TRAP_NONE);
    host_end(h, false);
}

static int begin_all(void **state)
{
    const struct host_runtime runtime = {suspend, resume};
    settings = service_settings_default;
    settings.statement_ms = 500;
    settings.bytes_max = 1 << 20;
    if (harness_open(state))
        return 1;
    service = start_service(&settings);
    client = new_client();
    grants.client = (void *const *)&client;
    pool = host_pool_new(harness_loop, &runtime, &harness_err);
    grant(&service, 1, STORAGE_STORE, "default", "kv");
    grant(&service, 1, STORAGE_DATABASE, "default", "db");
    connect_client(client, &service, 1);
    return pool ? 0 : 1;
}

static int end_all(void **state)
{
    host_pool_free(pool);
    storage_client_free(client);
    stop_service(&service);
    return harness_close(state);
}

static int begin_one(void **state)
{
    begin_activity();
    return 0;
}

static int end_one(void **state)
{
    end_activity();
    return 0;
}

static struct list_u8 bytes(const char *text)
{
    return (struct list_u8){(const uint8_t *)text, strlen(text)};
}

#define EQUALS(list, text) str_eq((struct str){(const char *)(list).ptr, (list).len}, str_of(text))

/* What `act` writes to the log. */
static const char *logged(void (*act)(void))
{
    static char text[2000];
    char path[] = "/tmp/mayfly-services-log-XXXXXX";
    int file = mkstemp(path), kept = dup(STDERR_FILENO);
    assert_true(file >= 0 && kept >= 0);
    fflush(stderr);
    dup2(file, STDERR_FILENO);
    act();
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    ssize_t size = pread(file, text, sizeof text - 1, 0);
    text[size > 0 ? size : 0] = '\0';
    close(file);
    close(kept);
    unlink(path);
    return text;
}

/* ---- fermyon:spin/key-value@2.0.0 ---- */

static struct fermyon_spin_2_store *open_store(const char *label)
{
    struct result_fermyon_spin_2_store_fermyon_spin_2_key_value_error opened = {0};
    assert_true(fermyon_spin_2_key_value_store_open(h, str_of(label), &opened));
    assert_false(opened.err);
    return opened.ok;
}

static void test_spin_store(void **state)
{
    struct fermyon_spin_2_store *kv = open_store("default");
    struct result_option_list_u8_fermyon_spin_2_key_value_error got = {0};
    struct result_void_fermyon_spin_2_key_value_error done = {0};
    struct result_bool_fermyon_spin_2_key_value_error there = {0};
    struct result_list_str_fermyon_spin_2_key_value_error keys = {0};
    assert_true(fermyon_spin_2_key_value_store_get(h, kv, STR("k"), &got) && !got.err && !got.ok.some);
    assert_true(fermyon_spin_2_key_value_store_set(h, kv, STR("k"), bytes("value"), &done) && !done.err);
    assert_true(fermyon_spin_2_key_value_store_set(h, kv, STR("l"), bytes(""), &done) && !done.err);
    assert_true(fermyon_spin_2_key_value_store_get(h, kv, STR("k"), &got) && got.ok.some &&
                EQUALS(got.ok.value, "value"));
    assert_true(fermyon_spin_2_key_value_store_get(h, kv, STR("l"), &got) && got.ok.some && got.ok.value.len == 0);
    assert_true(fermyon_spin_2_key_value_store_exists(h, kv, STR("k"), &there) && there.ok);
    assert_true(fermyon_spin_2_key_value_store_exists(h, kv, STR("m"), &there) && !there.ok);
    assert_true(fermyon_spin_2_key_value_store_get_keys(h, kv, &keys) && !keys.err && keys.ok.len == 2);
    assert_true(str_eq(keys.ok.ptr[0], STR("k")) && str_eq(keys.ok.ptr[1], STR("l")));
    assert_true(fermyon_spin_2_key_value_store_delete(h, kv, STR("k"), &done) && !done.err);
    assert_true(fermyon_spin_2_key_value_store_delete(h, kv, STR("k"), &done) && !done.err);
    assert_true(fermyon_spin_2_key_value_store_exists(h, kv, STR("k"), &there) && !there.ok);
    fermyon_spin_2_store_drop(h, kv);
}

/* What one activity set another one finds. */
static void test_spin_kept(void **state)
{
    struct result_void_fermyon_spin_2_key_value_error done = {0};
    struct result_option_list_u8_fermyon_spin_2_key_value_error got = {0};
    struct fermyon_spin_2_store *kv = open_store("default");
    assert_true(fermyon_spin_2_key_value_store_set(h, kv, STR("kept"), bytes("1"), &done));
    end_activity(); /* which still holds it */
    begin_activity();
    kv = open_store("default");
    assert_true(fermyon_spin_2_key_value_store_get(h, kv, STR("kept"), &got) && got.ok.some &&
                EQUALS(got.ok.value, "1"));
}

static enum fermyon_spin_2_key_value_error_tag refused_store(const char *label)
{
    struct result_fermyon_spin_2_store_fermyon_spin_2_key_value_error opened = {0};
    assert_true(fermyon_spin_2_key_value_store_open(h, str_of(label), &opened));
    assert_true(opened.err);
    return opened.error.tag;
}

static void open_denied(void)
{
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(refused_store("sec\"ret\x1b"), FERMYON_SPIN_2_KEY_VALUE_ERROR_ACCESS_DENIED);
}

static void open_denied_by_manifest(void)
{
    config.manifest = "app/spin.toml";
    config.manifest_line = 7;
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(refused_store("o\\\"ne\x1b"), FERMYON_SPIN_2_KEY_VALUE_ERROR_ACCESS_DENIED);
    config.manifest = NULL;
}

/* What is said is quoted for a shell, or for the manifest: nothing of the label ends it. */
static void test_denied(void **state)
{
    const char *log = logged(open_denied);
    const char *line = strstr(log, "denied: opening the key-value store");
    assert_non_null(line);
    assert_non_null(strstr(line, "to permit it: --key-value-store 'sec\"ret\\x1b'\n"));
    assert_null(strstr(line + 1, "denied:")); /* once */
    assert_null(strchr(log, '\x1b'));
    log = logged(open_denied_by_manifest);
    line = strstr(log, "denied: opening the key-value store");
    assert_non_null(line);
    assert_non_null(
        strstr(line, "add \"o\\\\\\\"ne\\u001b\" to key_value_stores of component \"guest\" (app/spin.toml:7)\n"));
    assert_null(strstr(line + 1, "denied:"));
    assert_null(strchr(log, '\x1b'));
    assert_int_equal(refused_store("absent"), FERMYON_SPIN_2_KEY_VALUE_ERROR_NO_SUCH_STORE);
    assert_int_equal(refused_store(""), FERMYON_SPIN_2_KEY_VALUE_ERROR_ACCESS_DENIED);
    for (unsigned i = 0; i < STORAGE_OPENED_MAX; i++)
        open_store("default");
    assert_int_equal(refused_store("default"), FERMYON_SPIN_2_KEY_VALUE_ERROR_STORE_TABLE_FULL);
}

/* Nothing is granted, and nobody could be reached. */
static void test_nothing_granted(void **state)
{
    struct result_fermyon_spin_2_connection_fermyon_spin_2_sqlite_error opened = {0};
    config.storage = NULL;
    assert_int_equal(refused_store("default"), FERMYON_SPIN_2_KEY_VALUE_ERROR_ACCESS_DENIED);
    assert_true(fermyon_spin_2_sqlite_connection_open(h, STR("default"), &opened) && opened.err);
    assert_int_equal(opened.error.tag, FERMYON_SPIN_2_SQLITE_ERROR_ACCESS_DENIED);
    const struct storage_grants unreachable = {{stores, databases}, {2, 2}, NULL, NULL, 0};
    config.storage = &unreachable;
    assert_int_equal(refused_store("default"), FERMYON_SPIN_2_KEY_VALUE_ERROR_NO_SUCH_STORE);
    config.storage = &grants;
}

static void test_limits(void **state)
{
    struct fermyon_spin_2_store *kv = open_store("default");
    struct result_void_fermyon_spin_2_key_value_error done = {0};
    char *large = test_calloc(1, ((size_t)8 << 20) + 1);
    assert_true(fermyon_spin_2_key_value_store_set(h, kv, STR("k"),
                                                   (struct list_u8){(uint8_t *)large, ((size_t)8 << 20) + 1}, &done));
    assert_true(done.err && done.error.tag == FERMYON_SPIN_2_KEY_VALUE_ERROR_OTHER);
    assert_true(str_starts(done.error.other, STR("a value has 8388609 bytes")));
    assert_true(fermyon_spin_2_key_value_store_set(h, kv, STR("k"), (struct list_u8){(uint8_t *)large, (size_t)2 << 20},
                                                   &done));
    assert_true(done.err);
    if (!str_eq(done.error.other, STR("the store is full, or its file cannot be written")))
        fail_msg("%.*s", STR_ARG(done.error.other));
    test_free(large);
}

/* ---- without a version ---- */

static void test_old_store(void **state)
{
    struct result_u32_fermyon_spin_key_value_error opened = {0};
    struct result_list_u8_fermyon_spin_key_value_error got = {0};
    struct result_void_fermyon_spin_key_value_error done = {0};
    struct result_bool_fermyon_spin_key_value_error there = {0};
    struct result_list_str_fermyon_spin_key_value_error keys = {0};
    assert_true(fermyon_spin_key_value_open(h, STR("secret"), &opened) && opened.err);
    assert_int_equal(opened.error.tag, FERMYON_SPIN_KEY_VALUE_ERROR_ACCESS_DENIED);
    assert_true(fermyon_spin_key_value_open(h, STR("absent"), &opened) && opened.err);
    assert_int_equal(opened.error.tag, FERMYON_SPIN_KEY_VALUE_ERROR_NO_SUCH_STORE);
    assert_true(fermyon_spin_key_value_open(h, STR("default"), &opened) && !opened.err);
    uint32_t kv = opened.ok;
    assert_true(fermyon_spin_key_value_get(h, kv, STR("none"), &got) && got.err);
    assert_int_equal(got.error.tag, FERMYON_SPIN_KEY_VALUE_ERROR_NO_SUCH_KEY);
    assert_true(fermyon_spin_key_value_set(h, kv, STR("old"), bytes("v"), &done) && !done.err);
    assert_true(fermyon_spin_key_value_get(h, kv, STR("old"), &got) && !got.err && EQUALS(got.ok, "v"));
    assert_true(fermyon_spin_key_value_exists(h, kv, STR("old"), &there) && there.ok);
    assert_true(fermyon_spin_key_value_get_keys(h, kv, &keys) && !keys.err && keys.ok.len >= 1);
    assert_true(fermyon_spin_key_value_delete(h, kv, STR("old"), &done) && !done.err);
    assert_true(fermyon_spin_key_value_exists(h, kv, STR("old"), &there) && !there.err && !there.ok);
    static const uint32_t wrong[] = {0, 2, 256, 257, UINT32_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_true(fermyon_spin_key_value_get(h, wrong[i], STR("old"), &got) && got.err);
        assert_int_equal(got.error.tag, FERMYON_SPIN_KEY_VALUE_ERROR_INVALID_STORE);
        assert_true(fermyon_spin_key_value_close(h, wrong[i]));
    }
    assert_true(fermyon_spin_key_value_close(h, kv));
    assert_true(fermyon_spin_key_value_exists(h, kv, STR("old"), &there) && there.err);
    assert_int_equal(there.error.tag, FERMYON_SPIN_KEY_VALUE_ERROR_INVALID_STORE);
}

/* ---- wasi:keyvalue ---- */

static struct wasi_keyvalue_bucket *open_bucket(void)
{
    struct result_wasi_keyvalue_bucket_wasi_keyvalue_store_error opened = {0};
    assert_true(wasi_keyvalue_store_open(h, STR("default"), &opened) && !opened.err);
    return opened.ok;
}

static void put(struct wasi_keyvalue_bucket *bucket, struct str key, const char *value)
{
    struct result_void_wasi_keyvalue_store_error done = {0};
    assert_true(wasi_keyvalue_store_bucket_set(h, bucket, key, bytes(value), &done) && !done.err);
}

static void test_bucket(void **state)
{
    struct wasi_keyvalue_bucket *bucket = open_bucket();
    struct result_option_list_u8_wasi_keyvalue_store_error got = {0};
    struct result_bool_wasi_keyvalue_store_error there = {0};
    struct result_void_wasi_keyvalue_store_error done = {0};
    struct result_wasi_keyvalue_bucket_wasi_keyvalue_store_error opened = {0};
    put(bucket, STR("b"), "bucket");
    assert_true(wasi_keyvalue_store_bucket_get(h, bucket, STR("b"), &got) && got.ok.some &&
                EQUALS(got.ok.value, "bucket"));
    assert_true(wasi_keyvalue_store_bucket_exists(h, bucket, STR("b"), &there) && there.ok);
    assert_true(wasi_keyvalue_store_bucket_delete(h, bucket, STR("b"), &done) && !done.err);
    assert_true(wasi_keyvalue_store_bucket_get(h, bucket, STR("b"), &got) && !got.ok.some);
    assert_true(wasi_keyvalue_store_open(h, STR("secret"), &opened) && opened.err);
    assert_int_equal(opened.error.tag, WASI_KEYVALUE_STORE_ERROR_ACCESS_DENIED);
    assert_true(wasi_keyvalue_store_open(h, STR("absent"), &opened) && opened.err);
    assert_int_equal(opened.error.tag, WASI_KEYVALUE_STORE_ERROR_NO_SUCH_STORE);
    wasi_keyvalue_bucket_drop(h, bucket);
}

static void test_pages(void **state)
{
    struct wasi_keyvalue_bucket *bucket = open_bucket();
    struct result_wasi_keyvalue_store_key_response_wasi_keyvalue_store_error page = {0};
    char key[16], after[16] = "p-";
    for (unsigned i = 0; i < 1500; i++) {
        snprintf(key, sizeof key, "p-%04u", i);
        put(bucket, str_of(key), "");
    }
    unsigned count = 0, pages = 0;
    struct option_str cursor = {.some = true, .value = str_of(after)};
    for (; cursor.some && pages < 5; pages++) {
        assert_true(wasi_keyvalue_store_bucket_list_keys(h, bucket, &cursor, &page) && !page.err);
        for (size_t i = 0; i < page.ok.keys.len && str_starts(page.ok.keys.ptr[i], STR("p-")); i++)
            count++;
        cursor.some = page.ok.cursor.some;
        if (cursor.some) {
            snprintf(after, sizeof after, "%.*s", STR_ARG(page.ok.cursor.value));
            cursor.value = str_of(after);
        }
    }
    assert_int_equal(count, 1500);
    assert_int_equal(pages, 2);
}

static void test_batch(void **state)
{
    struct wasi_keyvalue_bucket *bucket = open_bucket();
    const struct tuple_str_list_u8 pairs[] = {{{"x", 1}, bytes("1")}, {{"y", 1}, bytes("2")}};
    const struct str keys[] = {{"y", 1}, {"none", 4}, {"x", 1}};
    struct result_void_wasi_keyvalue_store_error done = {0};
    struct result_list_tuple_str_option_list_u8_wasi_keyvalue_store_error got = {0};
    assert_true(wasi_keyvalue_batch_set_many(h, bucket, (struct list_tuple_str_list_u8){pairs, 2}, &done) && !done.err);
    assert_true(wasi_keyvalue_batch_get_many(h, bucket, (struct list_str){keys, 3}, &got) && !got.err);
    assert_int_equal(got.ok.len, 3);
    assert_true(str_eq(got.ok.ptr[0].f0, STR("y")) && EQUALS(got.ok.ptr[0].f1.value, "2"));
    assert_true(str_eq(got.ok.ptr[1].f0, STR("none")) && !got.ok.ptr[1].f1.some);
    assert_true(got.ok.ptr[2].f1.some && EQUALS(got.ok.ptr[2].f1.value, "1"));
    assert_true(wasi_keyvalue_batch_delete_many(h, bucket, (struct list_str){keys, 3}, &done) && !done.err);
    assert_true(wasi_keyvalue_batch_get_many(h, bucket, (struct list_str){keys, 1}, &got) && !got.ok.ptr[0].f1.some);
    assert_true(wasi_keyvalue_batch_get_many(h, bucket, (struct list_str){keys, 0}, &got) && !got.err &&
                got.ok.len == 0);
}

static struct wasi_keyvalue_cas *new_cas(struct wasi_keyvalue_bucket *bucket, const char *key)
{
    struct result_wasi_keyvalue_cas_wasi_keyvalue_store_error made = {0};
    assert_true(wasi_keyvalue_atomics_cas_new(h, bucket, str_of(key), &made) && !made.err);
    return made.ok;
}

static void test_atomics(void **state)
{
    struct wasi_keyvalue_bucket *bucket = open_bucket();
    struct result_s64_wasi_keyvalue_store_error sum = {0};
    struct result_void_wasi_keyvalue_atomics_cas_error swapped = {0};
    struct result_option_list_u8_wasi_keyvalue_store_error current = {0};
    assert_true(wasi_keyvalue_atomics_increment(h, bucket, STR("n"), 5, &sum) && !sum.err && sum.ok == 5);
    assert_true(wasi_keyvalue_atomics_increment(h, bucket, STR("n"), -7, &sum) && !sum.err && sum.ok == -2);
    put(bucket, STR("text"), "text");
    assert_true(wasi_keyvalue_atomics_increment(h, bucket, STR("text"), 1, &sum) && sum.err);
    assert_int_equal(sum.error.tag, WASI_KEYVALUE_STORE_ERROR_OTHER);
    /* Of a key that is not there, and is still not there. */
    struct wasi_keyvalue_cas *first = new_cas(bucket, "c"), *second = new_cas(bucket, "c");
    assert_true(wasi_keyvalue_atomics_swap(h, first, bytes("1"), &swapped) && !swapped.err);
    /* The other one is late; it comes back with what there is, and does it then. */
    assert_true(wasi_keyvalue_atomics_swap(h, second, bytes("2"), &swapped) && swapped.err);
    assert_int_equal(swapped.error.tag, WASI_KEYVALUE_ATOMICS_CAS_ERROR_CAS_FAILED);
    struct wasi_keyvalue_cas *again = swapped.error.cas_failed;
    assert_true(wasi_keyvalue_atomics_cas_current(h, again, &current) && EQUALS(current.ok.value, "1"));
    put(bucket, STR("c"), "3");
    assert_true(wasi_keyvalue_atomics_swap(h, again, bytes("2"), &swapped) && swapped.err);
    assert_true(wasi_keyvalue_atomics_swap(h, swapped.error.cas_failed, bytes("2"), &swapped) && !swapped.err);
    struct wasi_keyvalue_cas *left = new_cas(bucket, "c");
    wasi_keyvalue_bucket_drop(h, bucket); /* one does not need the other */
    assert_true(wasi_keyvalue_atomics_cas_current(h, left, &current) && EQUALS(current.ok.value, "2"));
    wasi_keyvalue_cas_drop(h, left);
}

/* ---- databases ---- */

static struct fermyon_spin_2_connection *open_connection(void)
{
    struct result_fermyon_spin_2_connection_fermyon_spin_2_sqlite_error opened = {0};
    assert_true(fermyon_spin_2_sqlite_connection_open(h, STR("default"), &opened));
    if (opened.err)
        fail_msg("%.*s", STR_ARG(opened.error.io));
    return opened.ok;
}

static struct result_fermyon_spin_2_sqlite_query_result_fermyon_spin_2_sqlite_error query(
    struct fermyon_spin_2_connection *connection, const char *statement)
{
    struct result_fermyon_spin_2_sqlite_query_result_fermyon_spin_2_sqlite_error result = {0};
    const struct list_fermyon_spin_2_sqlite_value none = {NULL, 0};
    assert_true(fermyon_spin_2_sqlite_connection_execute(h, connection, str_of(statement), none, &result));
    return result;
}

static void test_connection(void **state)
{
    struct fermyon_spin_2_connection *connection = open_connection();
    struct result_fermyon_spin_2_sqlite_query_result_fermyon_spin_2_sqlite_error result;
    const struct fermyon_spin_2_sqlite_value values[] = {
        {.tag = FERMYON_SPIN_2_SQLITE_VALUE_INTEGER, .integer = INT64_MIN},
        {.tag = FERMYON_SPIN_2_SQLITE_VALUE_REAL, .real = 0.25},
        {.tag = FERMYON_SPIN_2_SQLITE_VALUE_TEXT, .text = {"it's", 4}},
        {.tag = FERMYON_SPIN_2_SQLITE_VALUE_BLOB, .blob = bytes("blob")},
        {.tag = FERMYON_SPIN_2_SQLITE_VALUE_NULL},
    };
    assert_false(query(connection, "CREATE TABLE v (i, r, t, b, n)").err);
    assert_true(fermyon_spin_2_sqlite_connection_execute(h, connection, STR("INSERT INTO v VALUES (?, ?, ?, ?, ?)"),
                                                         (struct list_fermyon_spin_2_sqlite_value){values, 5},
                                                         &result));
    assert_false(result.err);
    assert_int_equal(result.ok.rows.len, 0);
    query(connection, "INSERT INTO v (i) VALUES (2)");
    result = query(connection, "SELECT * FROM v ORDER BY i");
    assert_int_equal(result.ok.columns.len, 5);
    assert_true(str_eq(result.ok.columns.ptr[2], STR("t")));
    assert_int_equal(result.ok.rows.len, 2);
    const struct fermyon_spin_2_sqlite_value *row = result.ok.rows.ptr[0].values.ptr;
    assert_int_equal(result.ok.rows.ptr[0].values.len, 5);
    assert_true(row[0].tag == FERMYON_SPIN_2_SQLITE_VALUE_INTEGER && row[0].integer == INT64_MIN);
    assert_true(row[1].tag == FERMYON_SPIN_2_SQLITE_VALUE_REAL && row[1].real == 0.25);
    assert_true(row[2].tag == FERMYON_SPIN_2_SQLITE_VALUE_TEXT && str_eq(row[2].text, STR("it's")));
    assert_true(row[3].tag == FERMYON_SPIN_2_SQLITE_VALUE_BLOB && EQUALS(row[3].blob, "blob"));
    assert_true(row[4].tag == FERMYON_SPIN_2_SQLITE_VALUE_NULL);
    assert_true(result.ok.rows.ptr[1].values.ptr[0].integer == 2);
    result = query(connection, "SELECT nowhere");
    assert_true(result.err && result.error.tag == FERMYON_SPIN_2_SQLITE_ERROR_IO);
    if (!str_eq(result.error.io, STR("no such column: nowhere")))
        fail_msg("%.*s", STR_ARG(result.error.io));
    result = query(connection, "INSERT INTO v (b) VALUES (randomblob(3000000))");
    assert_true(result.err && result.error.tag == FERMYON_SPIN_2_SQLITE_ERROR_DATABASE_FULL);
    fermyon_spin_2_connection_drop(h, connection);
}

/* A transaction that an activity leaves open is taken back when it ends, and holds nobody. */
static void test_left_open(void **state)
{
    struct fermyon_spin_2_connection *connection = open_connection();
    assert_false(query(connection, "CREATE TABLE IF NOT EXISTS left_open (x)").err);
    assert_false(query(connection, "BEGIN IMMEDIATE").err);
    assert_false(query(connection, "INSERT INTO left_open VALUES (1)").err);
    end_activity();
    begin_activity();
    connection = open_connection();
    assert_false(query(connection, "INSERT INTO left_open VALUES (2)").err);
    struct result_fermyon_spin_2_sqlite_query_result_fermyon_spin_2_sqlite_error result =
        query(connection, "SELECT sum(x) FROM left_open");
    assert_true(result.ok.rows.ptr[0].values.ptr[0].integer == 2);
}

static void test_connections_refused(void **state)
{
    struct result_fermyon_spin_2_connection_fermyon_spin_2_sqlite_error opened = {0};
    assert_true(fermyon_spin_2_sqlite_connection_open(h, STR("secret"), &opened) && opened.err);
    assert_int_equal(opened.error.tag, FERMYON_SPIN_2_SQLITE_ERROR_ACCESS_DENIED);
    assert_true(fermyon_spin_2_sqlite_connection_open(h, STR("absent"), &opened) && opened.err);
    assert_int_equal(opened.error.tag, FERMYON_SPIN_2_SQLITE_ERROR_NO_SUCH_DATABASE);
    for (unsigned i = 0; i < STORAGE_SESSIONS_MAX; i++)
        open_connection();
    assert_true(fermyon_spin_2_sqlite_connection_open(h, STR("default"), &opened) && opened.err);
    assert_true(opened.error.tag == FERMYON_SPIN_2_SQLITE_ERROR_IO && str_find(opened.error.io, 'm') == 4);
}

static void test_third(void **state)
{
    struct result_spin_sqlite_connection_spin_sqlite_sqlite_error opened = {0};
    struct result_spin_sqlite_sqlite_query_result_spin_sqlite_sqlite_error result = {0};
    const struct list_spin_sqlite_sqlite_value none = {NULL, 0};
    int64_t row = -1;
    uint64_t changes = 99;
    assert_true(spin_sqlite_sqlite_connection_open(h, STR("absent"), &opened) && opened.err);
    assert_true(spin_sqlite_sqlite_connection_open(h, STR("default"), &opened) && !opened.err);
    struct spin_sqlite_connection *connection = opened.ok;
    assert_true(spin_sqlite_sqlite_connection_last_insert_rowid(h, connection, &row) && row == 0);
    assert_true(spin_sqlite_sqlite_connection_changes(h, connection, &changes) && changes == 0);
    static const char *const statements[] = {"CREATE TABLE third (x)", "INSERT INTO third VALUES (1), (2), (3)",
                                             "SELECT x FROM third"};
    for (unsigned i = 0; i < 3; i++)
        assert_true(spin_sqlite_sqlite_connection_execute(h, connection, str_of(statements[i]), none, &result) &&
                    !result.err);
    assert_int_equal(result.ok.rows.len, 3);
    assert_true(spin_sqlite_sqlite_connection_last_insert_rowid(h, connection, &row) && row == 3);
    assert_true(spin_sqlite_sqlite_connection_changes(h, connection, &changes) && changes == 3);
    spin_sqlite_connection_drop(h, connection);
}

static void test_old_database(void **state)
{
    struct result_u32_fermyon_spin_sqlite_error opened = {0};
    struct result_fermyon_spin_sqlite_query_result_fermyon_spin_sqlite_error result = {0};
    const struct list_fermyon_spin_sqlite_value none = {NULL, 0};
    assert_true(fermyon_spin_sqlite_open(h, STR("secret"), &opened) && opened.err);
    assert_true(fermyon_spin_sqlite_open(h, STR("default"), &opened) && !opened.err);
    assert_true(fermyon_spin_sqlite_execute(h, opened.ok, STR("SELECT 7"), none, &result) && !result.err);
    assert_true(result.ok.rows.ptr[0].values.ptr[0].integer == 7);
    static const uint32_t wrong[] = {0, 2, 64, 65, UINT32_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_true(fermyon_spin_sqlite_execute(h, wrong[i], STR("SELECT 7"), none, &result) && result.err);
        assert_int_equal(result.error.tag, FERMYON_SPIN_SQLITE_ERROR_INVALID_CONNECTION);
        assert_true(fermyon_spin_sqlite_close(h, wrong[i]));
    }
    assert_true(fermyon_spin_sqlite_close(h, opened.ok));
    assert_true(fermyon_spin_sqlite_execute(h, opened.ok, STR("SELECT 7"), none, &result) && result.err);
}

/* ---- the end of a process ---- */

static void test_service_killed(void **state)
{
    struct fermyon_spin_2_store *kv = open_store("default");
    struct fermyon_spin_2_connection *connection = open_connection();
    struct result_option_list_u8_fermyon_spin_2_key_value_error got = {0};
    kill_service(&service);
    assert_true(fermyon_spin_2_key_value_store_get(h, kv, STR("kept"), &got) && got.err);
    assert_int_equal(got.error.tag, FERMYON_SPIN_2_KEY_VALUE_ERROR_OTHER);
    service = start_service(&settings);
    grant(&service, 1, STORAGE_STORE, "default", "kv");
    grant(&service, 1, STORAGE_DATABASE, "default", "db");
    connect_client(client, &service, 1);
    assert_true(fermyon_spin_2_key_value_store_get(h, kv, STR("kept"), &got) && !got.err && got.ok.some);
    assert_true(query(connection, "SELECT 1").err); /* met the end, or is of before it */
    assert_int_equal(query(connection, "SELECT 1").error.tag, FERMYON_SPIN_2_SQLITE_ERROR_INVALID_CONNECTION);
    connection = open_connection();
    assert_false(query(connection, "SELECT 1").err);
}

/* A guest that is ended while it waits leaves nothing behind. */
static void interrupt(struct io_timer *timer)
{
    host_interrupt(h, TRAP_DEADLINE);
}

static void test_interrupted(void **state)
{
    struct io_timer timer = {.fired = interrupt};
    struct result_fermyon_spin_2_sqlite_query_result_fermyon_spin_2_sqlite_error result = {0};
    const struct list_fermyon_spin_2_sqlite_value none = {NULL, 0};
    struct fermyon_spin_2_connection *connection = open_connection();
    io_timer_set(harness_loop, &timer, io_now_us(harness_loop) + 20000);
    assert_false(fermyon_spin_2_sqlite_connection_execute(
        h, connection, STR("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"),
        none, &result));
    assert_int_equal(store.trap, TRAP_DEADLINE);
    host_end(h, true);
    begin_activity();
    connection = open_connection(); /* waits until the statement's time is over */
    assert_false(query(connection, "SELECT 1").err);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_one, end_one)
    const struct CMUnitTest tests[] = {
        TEST(test_spin_store),
        TEST(test_spin_kept),
        TEST(test_denied),
        TEST(test_nothing_granted),
        TEST(test_limits),
        TEST(test_old_store),
        TEST(test_bucket),
        TEST(test_pages),
        TEST(test_batch),
        TEST(test_atomics),
        TEST(test_connection),
        TEST(test_left_open),
        TEST(test_connections_refused),
        TEST(test_third),
        TEST(test_old_database),
        TEST(test_service_killed),
        TEST(test_interrupted),
    };
    return cmocka_run_group_tests(tests, begin_all, end_all);
}
