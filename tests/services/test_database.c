/* Databases: statements, their parameters and results, and all that a statement may not. */
#include "services/harness.h"

#include "base/clock.h"
#include "services/database.h"
#include "services/sqlite.h"

static struct database *database;
static struct buf out;
static struct storage_value answer[3000];
static uint32_t answered;
static struct err err;
static bool busy, unwanted;

static bool is_wanted(void *arg)
{
    return !unwanted;
}

static enum storage_status act(uint32_t operation, const struct storage_value *values, size_t count)
{
    struct frame_writer writer;
    struct frame_reader reader = {.max = FRAME_ANSWER_MAX};
    struct frame frame;
    err = (struct err){0};
    out.size = 0;
    frame_begin(&writer, &out, FRAME_ANSWER_MAX);
    enum storage_status status = database_do(database, operation, values, count, &writer, &busy, &err);
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

static enum storage_status begin(int64_t number)
{
    const struct storage_value value = storage_integer(number);
    return act(STORAGE_SESSION, &value, 1);
}

static void finish(int64_t number)
{
    const struct storage_value value = storage_integer(number);
    act(STORAGE_SESSION_END, &value, 1);
}

static enum storage_status run(int64_t session, const char *statement)
{
    const struct storage_value values[] = {storage_integer(session), storage_text(str_of(statement))};
    return act(STORAGE_EXECUTE, values, 2);
}

static void done(int64_t session, const char *statement)
{
    if (run(session, statement) != STORAGE_DONE)
        fail_msg("%s: %s", statement, err.message);
}

static void refused(int64_t session, const char *statement, const char *why)
{
    if (run(session, statement) == STORAGE_DONE)
        fail_msg("%s: is done", statement);
    if (!strstr(err.message, why))
        fail_msg("%s: %s", statement, err.message);
}

static int open_database(void **state)
{
    const struct database_settings settings = {
        .bytes_max = (uint64_t)1 << 26, .statement_ms = 400, .wanted = is_wanted};
    if (harness_open(state) || !sqlite_load(&err))
        return 1;
    buf_init(&out, FRAME_ANSWER_MAX + 4096);
    database = database_open(harness_folder, &settings, &err);
    return database && begin(1) == STORAGE_DONE ? 0 : 1;
}

static int close_database(void **state)
{
    database_close(database);
    buf_free(&out);
    return harness_close(state);
}

/* ---- what they do ---- */

static void test_results(void **state)
{
    done(1, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, data BLOB, size REAL)");
    assert_int_equal(answered, 3);
    done(1, "INSERT INTO t (name, data, size) VALUES ('one', x'00ff', 1.5), ('two', NULL, -2)");
    assert_true(answer[0].integer == 0 && answer[1].integer == 2 && answer[2].integer == 2); /* changed, last row */
    done(1, "SELECT id, name AS \"the name\", data, size FROM t ORDER BY id; -- and no more");
    assert_int_equal(answered, 1 + 4 + 8 + 2);
    assert_true(answer[0].integer == 4 && str_eq(answer[2].bytes, STR("the name")));
    assert_true(answer[5].integer == 1 && str_eq(answer[6].bytes, STR("one")));
    assert_true(answer[7].type == STORAGE_BLOB && str_eq(answer[7].bytes, (struct str){"\0\xff", 2}));
    assert_true(answer[8].real == 1.5 && answer[11].type == STORAGE_NULL && answer[12].real == -2);
    assert_true(answer[13].integer == 2); /* of the last change */
    done(1, "UPDATE t SET name = 'both'");
    assert_true(answer[1].integer == 2);
    done(1, "SELECT 1 WHERE 0");
    assert_true(answered == 4 && str_eq(answer[1].bytes, STR("1"))); /* columns without rows */
    done(1, "");
    done(1, " -- nothing\n ;");
    assert_int_equal(answered, 3);
}

static void test_parameters(void **state)
{
    const struct storage_value values[] = {storage_integer(1),
                                           storage_text(STR("SELECT ?1, ?2, typeof(?3), ?4, typeof(?5)")),
                                           storage_integer(-7),
                                           storage_text(STR("it's")),
                                           storage_null(),
                                           storage_blob((struct str){"\0x", 2}),
                                           {.type = STORAGE_REAL, .real = 2.5}};
    assert_int_equal(act(STORAGE_EXECUTE, values, 7), STORAGE_DONE);
    assert_true(answer[6].integer == -7 && str_eq(answer[7].bytes, STR("it's")) &&
                str_eq(answer[8].bytes, STR("null")));
    assert_true(str_eq(answer[9].bytes, (struct str){"\0x", 2}) && str_eq(answer[10].bytes, STR("real")));
    assert_int_equal(act(STORAGE_EXECUTE, values, 6), STORAGE_FAILED);
    assert_string_equal(err.message, "the statement has 5 parameters, and 4 are given");
}

static void test_errors(void **state)
{
    refused(1, "SELEC 1", "syntax error");
    refused(1, "SELECT * FROM nowhere", "no such table");
    refused(1, "SELECT 1; SELECT 2", "one at a time");
    refused(1, "SELECT CAST(x'ff' AS TEXT)", "not UTF-8");
    refused(1, "SELECT zeroblob(20000000)", "too big");
    refused(
        1, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 40) SELECT randomblob(1000000) FROM n",
        "query result exceeds limit of 33554432 bytes");
    done(1, "CREATE TABLE once (x UNIQUE)");
    done(1, "INSERT INTO once VALUES (1)");
    refused(1, "INSERT INTO once VALUES (1)", "UNIQUE constraint failed");
    const struct storage_value zero[] = {storage_integer(1), storage_text((struct str){"SELECT 1\0, 2", 12})};
    assert_int_equal(act(STORAGE_EXECUTE, zero, 2), STORAGE_FAILED);
    done(1, "SELECT 'still there'");
}

/* Of a table whose name or columns are hostile, too. */
static void test_other_operations(void **state)
{
    const struct storage_value key = storage_text(STR("k"));
    assert_int_equal(act(STORAGE_GET, &key, 1), STORAGE_FAILED);
    assert_int_equal(act(STORAGE_SESSION, &key, 1), STORAGE_FAILED);
    assert_int_equal(act(STORAGE_EXECUTE, &key, 1), STORAGE_FAILED);
    assert_int_equal(act(1000, NULL, 0), STORAGE_FAILED);
    assert_int_equal(act(STORAGE_OPEN, NULL, 0), STORAGE_DONE);
    assert_int_equal(run(999, "SELECT 1"), STORAGE_INVALID);
}

/* ---- what they may not ---- */

static void test_files(void **state)
{
    char statement[400];
    snprintf(statement, sizeof statement, "ATTACH '%s' AS other", folder_of("other.sqlite"));
    refused(1, statement, "not authorized: ATTACH of a file, or VACUUM INTO, is not permitted");
    snprintf(statement, sizeof statement, "VACUUM INTO '%s'", folder_of("copy.sqlite"));
    refused(1, statement, "not authorized: ATTACH of a file, or VACUUM INTO, is not permitted");
    refused(1, "ATTACH 'file::memory:?cache=shared' AS shared", "is not permitted");
    refused(1, "ATTACH ':MEMORY:' AS file", "is not permitted");
    assert_int_equal(run(1, "ATTACH '' AS temporary"), STORAGE_DONE);
    assert_int_equal(run(1, "ATTACH ':memory:' AS memory"), STORAGE_DONE);
    assert_int_equal(run(1, "CREATE TABLE memory.own AS SELECT 1 AS one"), STORAGE_DONE);
    assert_int_equal(run(1, "VACUUM"), STORAGE_DONE);
    assert_int_equal(run(1, "ATTACH '' AS third"), STORAGE_DONE);
    assert_int_equal(run(1, "ATTACH '' AS fourth"), STORAGE_DONE);
    refused(1, "ATTACH '' AS fifth", "too many attached databases");
    assert_int_equal(run(1, "DETACH third"), STORAGE_DONE);
    assert_int_equal(run(1, "DETACH fourth"), STORAGE_DONE);
    refused(1, "ATTACH (SELECT 'x') AS later", "is not permitted");
    assert_int_equal(access(folder_of("other.sqlite"), F_OK), -1);
    assert_int_equal(access(folder_of("copy.sqlite"), F_OK), -1);
    refused(1, "SELECT load_extension('x')", "not authorized to use function: load_extension");
    refused(1, "SELECT readfile('/etc/passwd')", "no such function");
    refused(1, "SELECT writefile('/tmp/x', 'y')", "no such function");
    refused(1, "SELECT edit('x')", "no such function");
    refused(1, "SELECT fts3_tokenizer('x', x'00')", "");
    refused(1, "CREATE VIRTUAL TABLE v USING csv(filename='/etc/passwd')", "a virtual table of csv is not permitted");
    refused(1, "CREATE VIRTUAL TABLE v USING dbstat", "a virtual table of dbstat is not permitted");
    done(1, "VACUUM"); /* which attaches on its own */
}

static void test_pragmas(void **state)
{
    static const char *const no[] = {"PRAGMA writable_schema = ON",
                                     "PRAGMA temp_store_directory = '/tmp'",
                                     "PRAGMA data_store_directory = '/tmp'",
                                     "PRAGMA journal_mode = OFF",
                                     "PRAGMA synchronous = OFF",
                                     "PRAGMA locking_mode = EXCLUSIVE",
                                     "PRAGMA max_page_count = 100000000",
                                     "PRAGMA trusted_schema = ON",
                                     "PRAGMA hard_heap_limit = 0",
                                     "PRAGMA threads = 8",
                                     "PRAGMA secure_delete = ON",
                                     "PRAGMA wal_autocheckpoint(0); SELECT 1",
                                     "PRAGMA schema_version = 9",
                                     "SELECT * FROM pragma_writable_schema"};
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        refused(1, no[i], "");
    refused(1, "PRAGMA journal_mode = DELETE", "PRAGMA journal_mode is not permitted");
    done(1, "PRAGMA journal_mode");
    assert_true(str_eq(answer[2].bytes, STR("wal")));
    done(1, "PRAGMA synchronous");
    assert_true(answer[2].integer == 2);
    done(1, "PRAGMA foreign_keys = ON");
    done(1, "PRAGMA foreign_keys");
    assert_true(answer[2].integer == 1);
    done(1, "PRAGMA user_version = 7");
    done(1, "PRAGMA table_info(t)");
    assert_true(answer[0].integer == 6);
    /* What is the host's to choose changes nothing, and fails nothing. */
    done(1, "PRAGMA journal_mode = WAL");
    done(1, "PRAGMA busy_timeout = 60000");
    done(1, "PRAGMA wal_checkpoint(TRUNCATE)");
    done(1, "PRAGMA busy_timeout = 60000");
}

static void test_time(void **state)
{
    static const char endless[] =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
    uint64_t begin_ns = clock_now_ns();
    refused(1, endless, "ran for more than 400 ms");
    assert_in_range(clock_now_ns() - begin_ns, UINT64_C(390000000), UINT64_C(3000000000));
    unwanted = true;
    begin_ns = clock_now_ns();
    refused(1, endless, "interrupted");
    assert_in_range(clock_now_ns() - begin_ns, 0, UINT64_C(300000000));
    unwanted = false;
    done(1, "SELECT 1");
}

/* Memory of the library has a limit; reaching it is an error like others. */
static void test_memory(void **state)
{
    begin(5);
    refused(5, "SELECT length(group_concat(hex(randomblob(1000000)))) FROM t, t AS u, t AS v, t AS w, t AS x, t AS y",
            "");
    done(5, "SELECT 1");
    finish(5);
}

static void test_depth(void **state)
{
    static char text[40000];
    memset(text, '(', 15000);
    memcpy(text, "SELECT ", 7);
    refused(1, text, "");
    strcpy(text, "SELECT 1");
    for (unsigned i = 0; i < 2000; i++)
        strcat(text, "+1");
    refused(1, text, "depth");
    strcpy(text, "SELECT 1");
    for (unsigned i = 0; i < 300; i++)
        strcat(text, " UNION SELECT 1");
    refused(1, text, "compound");
}

/* ---- sessions ---- */

static void test_sessions(void **state)
{
    assert_int_equal(begin(2), STORAGE_DONE);
    assert_int_equal(begin(2), STORAGE_INVALID);
    done(2, "BEGIN");
    done(2, "INSERT INTO t (name) VALUES ('mine')");
    done(1, "SELECT count(*) FROM t WHERE name = 'mine'");
    assert_true(answer[2].integer == 0);
    assert_int_equal(run(1, "INSERT INTO t (name) VALUES ('yours')"), STORAGE_FAILED);
    assert_true(busy);
    done(2, "COMMIT");
    done(1, "INSERT INTO t (name) VALUES ('yours')");
    assert_false(busy);
    done(2, "CREATE TEMP TABLE secret AS SELECT 42 AS x");
    finish(2);
    assert_int_equal(begin(2), STORAGE_DONE);
    refused(2, "SELECT * FROM secret", "no such table"); /* nothing of the one before */
    done(2, "SELECT 1");
    assert_true(answer[3].integer == 0 && answer[4].integer == 0);
    finish(2);
    for (int64_t i = 100; i < 100 + (int64_t)DATABASE_SESSIONS_MAX - 1; i++)
        assert_int_equal(begin(i), STORAGE_DONE);
    assert_int_equal(begin(99), STORAGE_CROWDED);
    for (int64_t i = 100; i < 100 + (int64_t)DATABASE_SESSIONS_MAX - 1; i++)
        finish(i);
    assert_int_equal(begin(99), STORAGE_DONE);
    finish(99);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results),  cmocka_unit_test(test_parameters),       cmocka_unit_test(test_errors),
        cmocka_unit_test(test_files),    cmocka_unit_test(test_other_operations), cmocka_unit_test(test_pragmas),
        cmocka_unit_test(test_time),     cmocka_unit_test(test_memory),           cmocka_unit_test(test_depth),
        cmocka_unit_test(test_sessions),
    };
    return cmocka_run_group_tests(tests, open_database, close_database);
}
