/* Key-value stores: every operation, in one process. What survives what is in test_service.c. */
#include "services/harness.h"

#include "base/alloc.h"
#include "services/sqlite.h"
#include "services/store.h"

static struct store *store;
static struct buf out;
static struct storage_value answer[1200];
static uint32_t answered;
static struct err err;

/* An operation; its answer is in `answer`, whose bytes last until the next one. */
static enum storage_status act(uint32_t operation, const struct storage_value *values, size_t count)
{
    struct frame_writer writer;
    struct frame_reader reader = {.max = FRAME_ANSWER_MAX};
    struct frame frame;
    err = (struct err){0};
    out.size = 0;
    frame_begin(&writer, &out, FRAME_ANSWER_MAX);
    enum storage_status status = store_do(store, operation, values, count, &writer, &err);
    if (status != STORAGE_DONE) {
        frame_cancel(&writer);
        assert_true(err.kind != ERR_NONE);
        return status;
    }
    assert_true(frame_end(&writer, STORAGE_DONE, 1));
    reader.bytes = out.data;
    reader.end = reader.capacity = out.size;
    assert_int_equal(frame_next(&reader, &frame), FRAME_WHOLE);
    assert_true(frame.count <= sizeof answer / sizeof *answer);
    assert_true(frame_values(&frame, answer));
    answered = frame.count;
    return status;
}

#define ACT(operation, ...)                                                                                            \
    act(operation, (const struct storage_value[]){__VA_ARGS__},                                                        \
        sizeof((const struct storage_value[]){__VA_ARGS__}) / sizeof(struct storage_value))

static struct storage_value key(const char *text)
{
    return storage_text(str_of(text));
}

static struct storage_value blob(const char *text)
{
    return storage_blob(str_of(text));
}

static int open_store(void **state)
{
    if (harness_open(state) || !sqlite_load(&err))
        return 1;
    buf_init(&out, FRAME_ANSWER_MAX + 4096);
    store = store_open(harness_folder, (uint64_t)1 << 26, &err);
    return store ? 0 : 1;
}

static int close_store(void **state)
{
    store_close(store);
    buf_free(&out);
    return harness_close(state);
}

static void set_to(const char *name, const char *value)
{
    assert_int_equal(ACT(STORAGE_SET, key(name), blob(value)), STORAGE_DONE);
    assert_int_equal(answered, 0);
}

static int64_t version(const char *name)
{
    assert_int_equal(ACT(STORAGE_VERSION, key(name)), STORAGE_DONE);
    assert_int_equal(answered, 1);
    return answer[0].integer;
}

static void test_versions(void **state)
{
    assert_true(version("v") == 0);
    set_to("v", "1");
    int64_t first = version("v");
    assert_true(first != 0);
    set_to("v", "1"); /* the same value, set again */
    int64_t second = version("v");
    assert_true(second != 0 && second != first);
    assert_int_equal(ACT(STORAGE_GET, key("v")), STORAGE_DONE);
    assert_true(answer[1].integer == second && str_eq(answer[0].bytes, STR("1")));
    assert_int_equal(ACT(STORAGE_DELETE, key("v")), STORAGE_DONE);
    assert_true(version("v") == 0);
}

static void test_swap(void **state)
{
    assert_int_equal(ACT(STORAGE_SWAP, key("s"), storage_integer(0), blob("first")), STORAGE_DONE);
    assert_true(answer[0].integer == 1);
    int64_t now = answer[1].integer;
    assert_int_equal(ACT(STORAGE_SWAP, key("s"), storage_integer(0), blob("no")), STORAGE_DONE);
    assert_true(answer[0].integer == 0 && answer[1].integer == now);
    assert_int_equal(ACT(STORAGE_SWAP, key("s"), storage_integer(now), blob("second")), STORAGE_DONE);
    assert_true(answer[0].integer == 1 && answer[1].integer != now);
    set_to("s", "other");
    set_to("s", "second"); /* changed, and changed back */
    assert_int_equal(ACT(STORAGE_SWAP, key("s"), storage_integer(answer[1].integer), blob("third")), STORAGE_DONE);
    assert_true(answer[0].integer == 0);
    assert_int_equal(ACT(STORAGE_GET, key("s")), STORAGE_DONE);
    assert_true(str_eq(answer[0].bytes, STR("second")));
}

static void test_increment(void **state)
{
    static const char low[] = {1, 2, 0, 0, 0, 0, 0, 0};
    assert_int_equal(ACT(STORAGE_INCREMENT, key("i"), storage_integer(5)), STORAGE_DONE);
    assert_true(answer[0].integer == 5);
    assert_int_equal(ACT(STORAGE_INCREMENT, key("i"), storage_integer(-12)), STORAGE_DONE);
    assert_true(answer[0].integer == -7);
    assert_int_equal(ACT(STORAGE_SET, key("i"), storage_blob((struct str){low, 8})), STORAGE_DONE);
    assert_int_equal(ACT(STORAGE_INCREMENT, key("i"), storage_integer(0)), STORAGE_DONE);
    assert_true(answer[0].integer == 513); /* the lowest byte first */
    assert_int_equal(ACT(STORAGE_INCREMENT, key("i"), storage_integer(INT64_MAX)), STORAGE_FAILED);
    assert_non_null(strstr(err.message, "64 bits"));
    set_to("text", "12");
    assert_int_equal(ACT(STORAGE_INCREMENT, key("text"), storage_integer(1)), STORAGE_FAILED);
    assert_non_null(strstr(err.message, "8 bytes"));
    assert_int_equal(ACT(STORAGE_GET, key("i")), STORAGE_DONE);
    assert_int_equal(answer[0].bytes.len, 8);
}

static void test_batches(void **state)
{
    assert_int_equal(ACT(STORAGE_SET_MANY, key("b1"), blob("1"), key("b2"), blob("2"), key("b1"), blob("3")),
                     STORAGE_DONE);
    assert_int_equal(ACT(STORAGE_GET_MANY, key("b2"), key("none"), key("b1"), key("b2")), STORAGE_DONE);
    assert_int_equal(answered, 4);
    assert_true(str_eq(answer[0].bytes, STR("2")) && str_eq(answer[2].bytes, STR("3")));
    assert_true(answer[1].type == STORAGE_NULL && str_eq(answer[3].bytes, STR("2")));
    assert_int_equal(ACT(STORAGE_DELETE_MANY, key("b1"), key("none"), key("b2")), STORAGE_DONE);
    assert_int_equal(ACT(STORAGE_GET_MANY, key("b1"), key("b2")), STORAGE_DONE);
    assert_true(answer[0].type == STORAGE_NULL && answer[1].type == STORAGE_NULL);
    assert_int_equal(act(STORAGE_GET_MANY, NULL, 0), STORAGE_DONE);
    assert_int_equal(answered, 0);
}

/* All keys by pages are all keys at once, in order, each once. */
static void test_keys(void **state)
{
    char name[16];
    struct buf seen;
    buf_init(&seen, 1 << 20);
    for (unsigned i = 0; i < 1100; i++) {
        snprintf(name, sizeof name, "key-%04u", i * 7 % 1100);
        set_to(name, "");
    }
    assert_int_equal(ACT(STORAGE_KEYS, storage_text(STR("key-")), storage_integer(3)), STORAGE_DONE);
    assert_int_equal(answered, 4);
    assert_true(str_eq(answer[0].bytes, STR("key-0000")) && str_eq(answer[2].bytes, STR("key-0002")));
    assert_true(answer[3].integer == 1);
    char after[16] = "key-";
    unsigned count = 0;
    for (bool more = true; more;) {
        assert_int_equal(ACT(STORAGE_KEYS, key(after), storage_integer(500)), STORAGE_DONE);
        more = answer[answered - 1].integer;
        for (uint32_t i = 0; i + 1 < answered; i++)
            if (str_starts(answer[i].bytes, STR("key-"))) {
                snprintf(name, sizeof name, "key-%04u", count++);
                assert_true(str_eq(answer[i].bytes, str_of(name)));
                snprintf(after, sizeof after, "%s", name);
            } else {
                more = false;
            }
    }
    assert_int_equal(count, 1100);
    assert_int_equal(ACT(STORAGE_KEYS, storage_null(), storage_integer(0)), STORAGE_DONE);
    assert_true(answered > 1100 && answer[answered - 1].integer == 0);
    for (uint32_t i = 1; i + 1 < answered; i++)
        assert_true(memcmp(answer[i - 1].bytes.ptr, answer[i].bytes.ptr, 4) <= 0);
    buf_free(&seen);
}

/* Odd keys are keys. */
static void test_odd_keys(void **state)
{
    static const char zero[] = "a\0b", long_key[STORE_KEY_MAX + 1] = {'k'};
    assert_int_equal(ACT(STORAGE_SET, storage_text((struct str){zero, 3}), blob("zero")), STORAGE_DONE);
    assert_int_equal(ACT(STORAGE_SET, key("a"), blob("other")), STORAGE_DONE);
    assert_int_equal(ACT(STORAGE_GET, storage_text((struct str){zero, 3})), STORAGE_DONE);
    assert_true(str_eq(answer[0].bytes, STR("zero")));
    assert_int_equal(ACT(STORAGE_SET, storage_text((struct str){long_key, STORE_KEY_MAX}), blob("long")), STORAGE_DONE);
    assert_int_equal(ACT(STORAGE_SET, storage_text((struct str){long_key, STORE_KEY_MAX + 1}), blob("")),
                     STORAGE_FAILED);
    assert_string_equal(err.message, "a key has 4097 bytes, more than 4096");
}

static void test_refused(void **state)
{
    assert_int_equal(ACT(STORAGE_SET, key("a")), STORAGE_FAILED);
    assert_int_equal(ACT(STORAGE_SET, key("a"), key("b")), STORAGE_FAILED);
    assert_int_equal(ACT(STORAGE_GET, blob("a")), STORAGE_FAILED);
    assert_int_equal(ACT(STORAGE_GET, storage_null()), STORAGE_FAILED);
    assert_int_equal(ACT(STORAGE_SET_MANY, key("a"), blob("b"), key("c")), STORAGE_FAILED);
    assert_int_equal(ACT(STORAGE_EXECUTE, storage_integer(1), key("SELECT 1")), STORAGE_FAILED);
    assert_int_equal(act(99, NULL, 0), STORAGE_FAILED);
    assert_int_equal(act(UINT32_MAX, NULL, 0), STORAGE_FAILED);
}

/* What was committed is what another process sees. */
static void test_committed(void **state)
{
    err = (struct err){0};
    assert_true(store_changed(store));
    assert_int_equal(store_commit(store, &err), STORAGE_DONE);
    assert_false(store_changed(store));
    struct store *first = store;
    set_to("seen", "no");
    store = store_open(harness_folder, (uint64_t)1 << 26, &err);
    assert_non_null(store);
    assert_true(version("seen") == 0 && version("text") != 0);
    store_close(store);
    store = first;
    assert_int_equal(store_commit(store, &err), STORAGE_DONE);
}

/* A file that is none of ours, or damaged, is refused, not repaired. */
static void test_damaged(void **state)
{
    char path[300];
    const char *folder = folder_of("damaged");
    assert_int_equal(mkdir(folder, 0700), 0);
    snprintf(path, sizeof path, "%s/data.sqlite", folder);
    FILE *file = fopen(path, "w");
    for (unsigned i = 0; i < 10000; i++)
        fputs("not a database ", file);
    fclose(file);
    err = (struct err){0};
    assert_null(store_open(folder, 1 << 20, &err));
    assert_non_null(strstr(err.message, "not a database"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions), cmocka_unit_test(test_swap),      cmocka_unit_test(test_increment),
        cmocka_unit_test(test_batches),  cmocka_unit_test(test_keys),      cmocka_unit_test(test_odd_keys),
        cmocka_unit_test(test_refused),  cmocka_unit_test(test_committed), cmocka_unit_test(test_damaged),
    };
    return cmocka_run_group_tests(tests, open_store, close_store);
}
