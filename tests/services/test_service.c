/* A service process with its engines, as workers use it: what was answered is there whatever is killed; who was granted
 * what; what holds whom; and what comes when a process is gone. */
#include "services/harness.h"

#include "base/clock.h"
#include "services/frame.h"
#include "services/store.h"
#include "support/descriptors.h"

#include <errno.h>
#include <sys/mount.h>
#include <sys/resource.h>

static struct engine_settings settings;
static struct service_process service;
static struct storage_client *client;

static int begin_all(void **state)
{
    settings = service_settings_default;
    settings.statement_ms = 700;
    if (harness_open(state))
        return 1;
    service = start_service(&settings);
    client = new_client();
    grant(&service, 1, STORAGE_STORE, "default", "kv");
    grant(&service, 1, STORAGE_DATABASE, "default", "db");
    grant(&service, 2, STORAGE_STORE, "default", "other-kv");
    grant(&service, 2, STORAGE_STORE, "shared", "kv");
    connect_client(client, &service, 1);
    return 0;
}

static int end_all(void **state)
{
    storage_client_free(client);
    assert_int_equal(stop_service(&service), 0);
    return harness_close(state);
}

/* ---- what they do ---- */

static void test_values(void **state)
{
    assert_int_equal(status_of(do_call(client, STORAGE_STORE, "default", STORAGE_OPEN, NULL, 0)), STORAGE_DONE);
    expect_stored(client, "default", "a", NULL);
    assert_int_equal(set(client, "default", "a", STR("1")), STORAGE_DONE);
    assert_int_equal(set(client, "default", "", STR("")), STORAGE_DONE);
    assert_int_equal(set(client, "default", "a", STR("2")), STORAGE_DONE);
    expect_stored(client, "default", "a", "2");
    expect_stored(client, "default", "", "");
    const struct storage_value key = storage_text(STR("a"));
    assert_int_equal(status_of(do_call(client, STORAGE_STORE, "default", STORAGE_DELETE, &key, 1)), STORAGE_DONE);
    assert_int_equal(status_of(do_call(client, STORAGE_STORE, "default", STORAGE_DELETE, &key, 1)), STORAGE_DONE);
    expect_stored(client, "default", "a", NULL);
}

/* A value of the largest size goes and comes; a byte more is refused by name. */
static void test_large(void **state)
{
    char *bytes = test_malloc(STORE_VALUE_MAX + 1);
    for (size_t i = 0; i <= STORE_VALUE_MAX; i++)
        bytes[i] = (char)(i * 2654435761u >> 13);
    assert_int_equal(set(client, "default", "large", (struct str){bytes, STORE_VALUE_MAX}), STORAGE_DONE);
    struct storage_call *call = get(client, "default", "large");
    assert_int_equal(call->status, STORAGE_DONE);
    assert_true(str_eq(call->values[0].bytes, (struct str){bytes, STORE_VALUE_MAX}));
    drop_call(call);
    const struct storage_value values[] = {storage_text(STR("large")),
                                           storage_blob((struct str){bytes, STORE_VALUE_MAX + 1})};
    call = do_call(client, STORAGE_STORE, "default", STORAGE_SET, values, 2);
    assert_int_equal(call->status, STORAGE_FAILED);
    assert_true(str_starts(call->message, STR("a value has 8388609 bytes, more than 8388608")));
    drop_call(call);
    test_free(bytes);
}

/* Many at once come to their ends, in whatever order. */
static void test_many(void **state)
{
    static struct storage_call *calls[2000];
    for (size_t i = 0; i < 2000; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%zu", i % 500);
        const struct storage_value values[] = {storage_text(str_of(key)), storage_blob(str_of(key))};
        calls[i] =
            begin_call(client, STORAGE_STORE, "default", i % 2 ? STORAGE_GET : STORAGE_SET, values, i % 2 ? 1 : 2);
    }
    for (size_t i = 0; i < 2000; i += 3) { /* some are not waited for */
        drop_call(calls[i]);
        calls[i] = NULL;
    }
    for (size_t i = 0; i < 2000; i++) {
        if (!calls[i])
            continue;
        wait_call(calls[i]);
        assert_int_equal(calls[i]->status, STORAGE_DONE);
        drop_call(calls[i]);
    }
    expect_stored(client, "default", "k498", "k498");
}

static void test_too_many(void **state)
{
    static struct storage_call *calls[STORAGE_CALLS_MAX + 1];
    const struct storage_value key = storage_text(STR("k"));
    for (size_t i = 0; i <= STORAGE_CALLS_MAX; i++)
        calls[i] = begin_call(client, STORAGE_STORE, "default", STORAGE_GET, &key, 1);
    for (size_t i = 0; i <= STORAGE_CALLS_MAX; i++) {
        wait_call(calls[i]);
        assert_int_equal(calls[i]->status, i < STORAGE_CALLS_MAX ? STORAGE_DONE : STORAGE_CROWDED);
    }
    for (size_t i = 0; i <= STORAGE_CALLS_MAX; i++)
        drop_call(calls[i]);
}

/* ---- who may ---- */

static void test_bindings(void **state)
{
    struct storage_client *other = new_client();
    connect_client(other, &service, 2);
    assert_int_equal(set(client, "default", "whose", STR("first")), STORAGE_DONE);
    expect_stored(other, "default", "whose", NULL); /* the same label, another store */
    expect_stored(other, "shared", "whose", "first"); /* another label, the same store */
    struct storage_call *call = get(client, "shared", "whose");
    assert_int_equal(call->status, STORAGE_NO_SUCH);
    drop_call(call);
    assert_int_equal(open_session(other, "default", 1), STORAGE_NO_SUCH); /* a store, no database */
    call = get(client,
               "no such label, and much longer than labels are: "
               "................................................................................",
               "k");
    assert_int_equal(call->status, STORAGE_NO_SUCH);
    drop_call(call);
    storage_client_free(other);
}

/* A binding that nothing was told of opens nothing, whatever it sends. */
static void test_strangers(void **state)
{
    struct parcel parcel = {.what = PARCEL_OPEN, .kind = STORAGE_STORE, .number = 1};
    struct parcel answer;
    int stranger = service_connect(service.control, 77, &harness_err), fd;
    parcel_label(&parcel, STR("default"));
    assert_true(parcel_send(stranger, &parcel, -1));
    enum packet_got got;
    while ((got = parcel_receive(stranger, &answer, &fd)) == PACKET_NOTHING)
        usleep(1000);
    assert_int_equal(got, PACKET_HERE);
    assert_int_equal(answer.status, STORAGE_NO_SUCH);
    /* What only the supervisor says ends the connection, and changes nothing. */
    parcel.what = PARCEL_GRANT;
    parcel.number = 77;
    parcel_text(&parcel, folder_of("kv"));
    assert_true(parcel_send(stranger, &parcel, -1));
    while ((got = parcel_receive(stranger, &answer, &fd)) == PACKET_NOTHING)
        usleep(1000);
    assert_int_equal(got, PACKET_CLOSED);
    close(stranger);
    expect_stored(client, "default", "whose", "first");
}

/* Who opens again and again is told to wait; others are not. */
static void test_credit(void **state)
{
    struct parcel parcel = {.what = PARCEL_OPEN, .kind = STORAGE_STORE}, answer;
    int greedy = service_connect(service.control, 1, &harness_err), fd;
    unsigned done = 0, crowded = 0;
    parcel_label(&parcel, STR("default"));
    for (unsigned i = 0; i < 100; i++) {
        enum packet_got got;
        assert_true(parcel_send(greedy, &parcel, -1));
        while ((got = parcel_receive(greedy, &answer, &fd)) == PACKET_NOTHING)
            usleep(200);
        assert_int_equal(got, PACKET_HERE);
        done += answer.status == STORAGE_DONE;
        crowded += answer.status == STORAGE_CROWDED;
        if (fd >= 0)
            close(fd);
    }
    assert_int_equal(done + crowded, 100);
    assert_in_range(done, 64, 70);
    close(greedy);
    assert_int_equal(set(client, "default", "still", STR("served")), STORAGE_DONE);
}

/* ---- what holds whom ---- */

static const char endless[] = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

static void test_slow_statement(void **state)
{
    uint64_t begin_ns = clock_now_ns();
    unsigned served = 0;
    assert_int_equal(open_session(client, "default", 1), STORAGE_DONE);
    const struct storage_value values[] = {storage_integer(1), storage_text(STR(endless))};
    struct storage_call *slow = begin_call(client, STORAGE_DATABASE, "default", STORAGE_EXECUTE, values, 2);
    while (slow->status == STORAGE_WAITING) {
        assert_int_equal(set(client, "default", "meanwhile", STR("done")), STORAGE_DONE);
        served++;
    }
    uint64_t took_ms = (clock_now_ns() - begin_ns) / 1000000;
    assert_int_equal(slow->status, STORAGE_FAILED);
    assert_true(str_eq(slow->message, STR("the statement ran for more than 700 ms")));
    drop_call(slow);
    printf("%u key-value writes in the %u ms of a statement\n", served, (unsigned)took_ms);
    assert_in_range(took_ms, 690, 3000);
    assert_true(served > 3);
    expect_done(client, "default", 1, "SELECT 1"); /* the session goes on */
}

/* A worker that is gone needs no answer: its process ends, though a statement runs. */
static void test_gone(void **state)
{
    struct storage_client *other = new_client();
    connect_client(other, &service, 1);
    assert_int_equal(open_session(other, "default", 1), STORAGE_DONE);
    expect_done(other, "default", 1, "CREATE TABLE IF NOT EXISTS held (x)");
    expect_done(other, "default", 1, "BEGIN IMMEDIATE");
    storage_client_free(other);
    assert_int_equal(open_session(client, "default", 2), STORAGE_DONE);
    expect_done(client, "default", 2, "INSERT INTO held VALUES (1)"); /* what it had locked is free */
}

/* Of two sessions in one worker one waits while the other has the database, and neither blocks the loop. */
static void test_locks(void **state)
{
    assert_int_equal(open_session(client, "default", 11), STORAGE_DONE);
    assert_int_equal(open_session(client, "default", 12), STORAGE_DONE);
    expect_done(client, "default", 11, "CREATE TABLE locks (x)");
    expect_done(client, "default", 11, "BEGIN IMMEDIATE");
    expect_done(client, "default", 11, "INSERT INTO locks VALUES (1)");
    const struct storage_value values[] = {storage_integer(12), storage_text(STR("INSERT INTO locks VALUES (2)"))};
    struct storage_call *waits = begin_call(client, STORAGE_DATABASE, "default", STORAGE_EXECUTE, values, 2);
    expect_done(client, "default", 11, "INSERT INTO locks VALUES (3)");
    assert_int_equal(waits->status, STORAGE_WAITING);
    expect_done(client, "default", 11, "COMMIT");
    wait_call(waits);
    assert_int_equal(waits->status, STORAGE_DONE);
    drop_call(waits);
    /* One that has it for too long fails the other, which says why. */
    expect_done(client, "default", 11, "BEGIN IMMEDIATE");
    waits = begin_call(client, STORAGE_DATABASE, "default", STORAGE_EXECUTE, values, 2);
    wait_call(waits);
    assert_int_equal(waits->status, STORAGE_FAILED);
    assert_true(str_eq(waits->message, STR("the database is locked")));
    drop_call(waits);
    expect_done(client, "default", 11, "ROLLBACK");
    expect_done(client, "default", 12, "INSERT INTO locks VALUES (4)");
    struct storage_call *call =
        execute(client, "default", 12, "SELECT group_concat(x) FROM (SELECT x FROM locks ORDER BY x)");
    assert_int_equal(call->status, STORAGE_DONE);
    assert_true(str_eq(call->values[2].bytes, STR("1,2,3,4")));
    drop_call(call);
}

static void test_sessions(void **state)
{
    const struct storage_value number = storage_integer(21);
    assert_int_equal(open_session(client, "default", 21), STORAGE_DONE);
    assert_int_equal(open_session(client, "default", 21), STORAGE_INVALID);
    expect_done(client, "default", 21, "CREATE TABLE IF NOT EXISTS kept (x)");
    expect_done(client, "default", 21, "BEGIN");
    expect_done(client, "default", 21, "INSERT INTO kept VALUES (1)");
    drop_call(begin_call(client, STORAGE_DATABASE, "default", STORAGE_SESSION_END, &number, 1));
    struct storage_call *call = execute(client, "default", 21, "SELECT 1");
    assert_int_equal(call->status, STORAGE_INVALID);
    drop_call(call);
    assert_int_equal(open_session(client, "default", 22), STORAGE_DONE);
    call = execute(client, "default", 22, "SELECT count(*) FROM kept"); /* what was not committed is gone */
    assert_int_equal(call->values[2].integer, 0);
    drop_call(call);
}

/* ---- what was answered is there ---- */

/* Pids of the engines: children of the service. */
static pid_t some_engine(void)
{
    char path[64], text[256] = "";
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", service.pid, service.pid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char *got = fgets(text, sizeof text, file);
    fclose(file);
    return got ? (pid_t)atoi(text) : 0;
}

static uint32_t random_state = 1;

static uint32_t random_below(uint32_t limit)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)random_state * limit >> 32);
}

static void restart(void)
{
    kill_service(&service);
    service = start_service(&settings);
    grant(&service, 1, STORAGE_STORE, "default", "kv");
    grant(&service, 1, STORAGE_DATABASE, "default", "db");
    connect_client(client, &service, 1);
}

#define WRITERS 32
#define KEYS 16

/* Writers that count up, each in keys of its own; whichever process is killed, a key holds what was answered last or
 * what was asked for behind that. */
static void test_killed(void **state)
{
    static struct {
        struct storage_call *call;
        unsigned key, asked[KEYS], answered[KEYS];
    } writers[WRITERS];
    unsigned rounds = getenv("MAYFLY_TEST_FULL") ? 200 : 25, acknowledged = 0;
    char key[32], value[32];
    for (unsigned round = 0; round < rounds; round++) {
        unsigned turns = 1 + random_below(400);
        for (unsigned turn = 0; turn < turns; turn++) {
            unsigned i = random_below(WRITERS);
            if (writers[i].call) {
                wait_call(writers[i].call);
                if (writers[i].call->status == STORAGE_DONE) {
                    writers[i].answered[writers[i].key] = writers[i].asked[writers[i].key];
                    acknowledged++;
                }
                drop_call(writers[i].call);
            }
            writers[i].key = random_below(KEYS);
            snprintf(key, sizeof key, "w%u-%u", i, writers[i].key);
            snprintf(value, sizeof value, "%u", ++writers[i].asked[writers[i].key]);
            const struct storage_value values[] = {storage_text(str_of(key)), storage_blob(str_of(value))};
            writers[i].call = begin_call(client, STORAGE_STORE, "default", STORAGE_SET, values, 2);
        }
        pid_t engine = some_engine();
        if (round % 2 && engine)
            kill(engine, SIGKILL);
        else
            restart();
        for (unsigned i = 0; i < WRITERS; i++) {
            if (!writers[i].call)
                continue;
            wait_call(writers[i].call);
            if (writers[i].call->status == STORAGE_DONE) {
                writers[i].answered[writers[i].key] = writers[i].asked[writers[i].key];
                acknowledged++;
            }
            drop_call(writers[i].call);
            writers[i].call = NULL;
        }
        for (unsigned i = 0; i < WRITERS; i++)
            for (unsigned k = 0; k < KEYS; k++) {
                snprintf(key, sizeof key, "w%u-%u", i, k);
                struct storage_call *call = get(client, "default", key);
                if (call->status != STORAGE_DONE) { /* the end of the engine reached this one */
                    drop_call(call);
                    call = get(client, "default", key);
                }
                assert_int_equal(call->status, STORAGE_DONE);
                unsigned found = 0;
                for (size_t at = 0; call->values[0].type == STORAGE_BLOB && at < call->values[0].bytes.len; at++)
                    found = found * 10 + (unsigned)(call->values[0].bytes.ptr[at] - '0');
                drop_call(call);
                assert_in_range(found, writers[i].answered[k], writers[i].asked[k]);
                writers[i].answered[k] = found; /* later ones may not be older */
            }
    }
    printf("%u writes were answered around %u kills\n", acknowledged, rounds);
    assert_true(acknowledged > rounds);
}

/* Without a service calls wait for the next one, and not for ever. */
static void test_without(void **state)
{
    assert_int_equal(set(client, "default", "before", STR("1")), STORAGE_DONE);
    kill_service(&service);
    const struct storage_value key = storage_text(STR("before"));
    struct storage_call *lost = do_call(client, STORAGE_STORE, "default", STORAGE_GET, &key, 1);
    assert_int_equal(lost->status, STORAGE_FAILED); /* it went to the engine that was killed with it, or waited */
    drop_call(lost);
    struct storage_call *waits = begin_call(client, STORAGE_STORE, "default", STORAGE_GET, &key, 1);
    service = start_service(&settings);
    grant(&service, 1, STORAGE_STORE, "default", "kv");
    grant(&service, 1, STORAGE_DATABASE, "default", "db");
    connect_client(client, &service, 1);
    wait_call(waits);
    assert_int_equal(waits->status, STORAGE_DONE);
    assert_true(str_eq(waits->values[0].bytes, STR("1")));
    drop_call(waits);
}

/* A session ends with its engine, and is not another one's afterwards. */
static void test_session_lost(void **state)
{
    assert_int_equal(open_session(client, "default", 31), STORAGE_DONE);
    restart();
    struct storage_call *call = execute(client, "default", 31, "SELECT 1");
    if (call->status == STORAGE_FAILED) { /* this one met the end itself */
        drop_call(call);
        call = execute(client, "default", 31, "SELECT 1");
    }
    assert_int_equal(call->status, STORAGE_INVALID);
    drop_call(call);
}

/* ---- full ---- */

static void fill(const char *label, enum storage_status wanted)
{
    static char bytes[65536];
    enum storage_status status = STORAGE_DONE;
    unsigned filled = 0;
    char key[32];
    memset(bytes, 'x', sizeof bytes);
    while (status == STORAGE_DONE && filled < 1000) {
        snprintf(key, sizeof key, "fill%u", filled);
        status = set(client, label, key, (struct str){bytes, sizeof bytes});
        filled += status == STORAGE_DONE;
    }
    assert_int_equal(status, wanted);
    assert_in_range(filled, 5, 999);
    for (unsigned i = 0; i < filled; i++) { /* what was answered is there, and nothing is broken */
        snprintf(key, sizeof key, "fill%u", i);
        struct storage_call *call = get(client, label, key);
        assert_int_equal(call->status, STORAGE_DONE);
        assert_int_equal(call->values[0].bytes.len, sizeof bytes);
        drop_call(call);
    }
}

static void delete_filled(const char *label)
{
    char key[32];
    for (unsigned i = 0; i < 200; i++) {
        snprintf(key, sizeof key, "fill%u", i);
        const struct storage_value value = storage_text(str_of(key));
        assert_int_equal(status_of(do_call(client, STORAGE_STORE, label, STORAGE_DELETE, &value, 1)), STORAGE_DONE);
    }
}

/* Its own limit is reached: what is deleted makes room again. */
static void test_store_full(void **state)
{
    struct engine_settings small = settings;
    small.bytes_max = 1 << 20;
    kill_service(&service);
    service = start_service(&small);
    grant(&service, 3, STORAGE_STORE, "small", "small-kv");
    grant(&service, 3, STORAGE_DATABASE, "small", "small-db");
    connect_client(client, &service, 3);
    fill("small", STORAGE_FULL);
    delete_filled("small");
    assert_int_equal(set(client, "small", "room", STR("again")), STORAGE_DONE);
    assert_int_equal(open_session(client, "small", 41), STORAGE_DONE);
    expect_done(client, "small", 41, "CREATE TABLE t (x)");
    struct storage_call *call = execute(client, "small", 41, "INSERT INTO t VALUES (randomblob(2000000))");
    assert_int_equal(call->status, STORAGE_FULL);
    drop_call(call);
    expect_done(client, "small", 41, "INSERT INTO t VALUES (randomblob(2000))");
}

/* The disk is full: what cannot be written is not answered as done. */
static void test_disk_full(void **state)
{
    char folder[256];
    snprintf(folder, sizeof folder, "%s", folder_of("disk"));
    mkdir(folder, 0700);
    if (mount("tmpfs", folder, "tmpfs", 0, "size=2m") != 0) {
        printf("skipped: no disk of 2 MiB can be made here\n");
        return;
    }
    kill_service(&service);
    service = start_service(&settings);
    grant(&service, 4, STORAGE_STORE, "disk", "disk/kv");
    connect_client(client, &service, 4);
    fill("disk", STORAGE_FULL);
    expect_stored(client, "disk", "fill100000", NULL);
    kill_service(&service);
    service = start_service(&settings);
    grant(&service, 1, STORAGE_STORE, "default", "kv");
    grant(&service, 1, STORAGE_DATABASE, "default", "db");
    connect_client(client, &service, 1);
    for (unsigned tries = 0; umount(folder) != 0 && tries < 100; tries++)
        usleep(20000); /* the engine is just ending */
}

/* ---- malformed ---- */

/* Whatever comes over a socket to an engine ends that socket only. */
static void test_malformed(void **state)
{
    struct parcel parcel = {.what = PARCEL_OPEN, .kind = STORAGE_STORE}, answer;
    parcel_label(&parcel, STR("default"));
    for (unsigned i = 0; i < 60; i++) {
        int hostile = service_connect(service.control, 1, &harness_err), fd = -1;
        uint8_t bytes[200];
        enum packet_got got;
        assert_true(parcel_send(hostile, &parcel, -1));
        while ((got = parcel_receive(hostile, &answer, &fd)) == PACKET_NOTHING)
            usleep(200);
        assert_true(got == PACKET_HERE && fd >= 0);
        for (size_t at = 0; at < sizeof bytes; at++)
            bytes[at] = (uint8_t)random_below(random_below(2) ? 4 : 256);
        assert_true(send(fd, bytes, sizeof bytes, MSG_NOSIGNAL) > 0);
        shutdown(fd, SHUT_WR);
        char byte;
        ssize_t read_size;
        while ((read_size = recv(fd, &byte, 1, 0)) > 0 || (read_size < 0 && errno == EAGAIN))
            continue;
        close(fd);
        close(hostile);
    }
    assert_int_equal(set(client, "default", "after", STR("all that")), STORAGE_DONE);
}

/* Nothing is left open on this side. */
static void test_descriptors(void **state)
{
    struct storage_client *first = new_client();
    connect_client(first, &service, 1);
    assert_int_equal(set(first, "default", "d", STR("1")), STORAGE_DONE);
    storage_client_free(first);
    unsigned before = open_descriptors();
    for (unsigned i = 0; i < 5; i++) {
        struct storage_client *other = new_client();
        connect_client(other, &service, 1);
        assert_int_equal(set(other, "default", "d", STR("1")), STORAGE_DONE);
        storage_client_free(other);
    }
    assert_int_equal(open_descriptors(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),    cmocka_unit_test(test_large),          cmocka_unit_test(test_many),
        cmocka_unit_test(test_too_many),  cmocka_unit_test(test_bindings),       cmocka_unit_test(test_strangers),
        cmocka_unit_test(test_credit),    cmocka_unit_test(test_slow_statement), cmocka_unit_test(test_gone),
        cmocka_unit_test(test_locks),     cmocka_unit_test(test_sessions),       cmocka_unit_test(test_killed),
        cmocka_unit_test(test_without),   cmocka_unit_test(test_session_lost),   cmocka_unit_test(test_store_full),
        cmocka_unit_test(test_disk_full), cmocka_unit_test(test_malformed),      cmocka_unit_test(test_descriptors),
    };
    return cmocka_run_group_tests(tests, begin_all, end_all);
}
