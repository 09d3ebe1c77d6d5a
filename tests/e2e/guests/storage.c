/* Does what the path says with stores and databases, and answers with the outcome. Words of the path stand between
 * slashes, with %XX and + as in a query:
 *
 *     /kv/LABEL/get|set|delete|exists/KEY[/VALUE]   /kv/LABEL/keys
 *     /old/LABEL/get/KEY                             with handles that are numbers
 *     /add/LABEL/KEY/NUMBER                          wasi:keyvalue/atomics
 *     /sql/LABEL/STATEMENT[/STATEMENT...]            in one connection
 *
 * It speaks the canonical ABI itself, with nothing between it and the host: results lie at the offsets written here. */
#define RET_BYTES 64
#define WORDS 32
#define BLANK '+'
#include "service.h"

#define KV "fermyon:spin/key-value@2.0.0"
#define OLD "fermyon:spin/key-value"
#define SQL "fermyon:spin/sqlite@2.0.0"
#define STORE "wasi:keyvalue/store@0.2.0-draft2"
#define ATOMICS "wasi:keyvalue/atomics@0.2.0-draft2"

IMPORT(KV, "[static]store.open") void kv_open(text_t label, size_t size, void *ret);
IMPORT(KV, "[method]store.get") void kv_get(int store, text_t key, size_t size, void *ret);
IMPORT(KV, "[method]store.set")
void kv_set(int store, text_t key, size_t size, text_t value, size_t value_size, void *ret);
IMPORT(KV, "[method]store.delete") void kv_delete(int store, text_t key, size_t size, void *ret);
IMPORT(KV, "[method]store.exists") void kv_exists(int store, text_t key, size_t size, void *ret);
IMPORT(KV, "[method]store.get-keys") void kv_keys(int store, void *ret);
IMPORT(KV, "[resource-drop]store") void kv_drop(int store);
IMPORT(OLD, "open") void old_open(text_t label, size_t size, void *ret);
IMPORT(OLD, "get") void old_get(int store, text_t key, size_t size, void *ret);
IMPORT(SQL, "[static]connection.open") void sql_open(text_t label, size_t size, void *ret);
IMPORT(SQL, "[method]connection.execute")
void sql_execute(int connection, text_t statement, size_t size, const void *parameters, size_t count, void *ret);
IMPORT(STORE, "open") void bucket_open(text_t label, size_t size, void *ret);
IMPORT(ATOMICS, "increment") void bucket_add(int bucket, text_t key, size_t size, int64_t delta, void *ret);

/* An error's name, and the text of the last one; `at`: the variant. True: it was one. */
static bool is_error(const uint8_t *at, const text_t *names, unsigned last)
{
    if (!ret[0])
        return false;
    status = 500;
    say(names[at[0]]);
    if (at[0] == last) {
        say(": ");
        say_string(at + 4);
    }
    say("\n");
    return true;
}

static const text_t kv_errors[] = {"store-table-full", "no-such-store", "access-denied", "other"};
static const text_t old_errors[] = {"store-table-full", "no-such-store", "access-denied",
                                    "invalid-store",    "no-such-key",   "io"};
static const text_t bucket_errors[] = {"no-such-store", "access-denied", "other"};
static const text_t sql_errors[] = {"no-such-database", "access-denied", "invalid-connection", "database-full", "io"};

/* ---- what it does ---- */

static void say_keys(int store)
{
    kv_keys(store, ret);
    if (is_error(ret + 4, kv_errors, 3))
        return;
    for (uint32_t i = 0; i < word(ret + 8); i++) {
        say_string((uint8_t *)word(ret + 4) + 8 * i);
        say("\n");
    }
}

static void do_kv(void)
{
    kv_open(WORD(1), ret);
    if (is_error(ret + 4, kv_errors, 3))
        return;
    int store = (int)word(ret + 4);
    if (is(2, "keys")) {
        say_keys(store);
    } else if (is(2, "get")) {
        kv_get(store, WORD(3), ret);
        if (!is_error(ret + 4, kv_errors, 3) && ret[4])
            say_string(ret + 8);
        else if (!ret[0])
            status = 404;
    } else if (is(2, "set")) {
        kv_set(store, WORD(3), WORD(4), ret);
        if (!is_error(ret + 4, kv_errors, 3))
            say("done\n");
    } else if (is(2, "delete")) {
        kv_delete(store, WORD(3), ret);
        if (!is_error(ret + 4, kv_errors, 3))
            say("done\n");
    } else {
        kv_exists(store, WORD(3), ret);
        if (!is_error(ret + 4, kv_errors, 3))
            say(ret[4] ? "yes\n" : "no\n");
    }
    kv_drop(store);
}

static void do_old(void)
{
    old_open(WORD(1), ret);
    if (is_error(ret + 4, old_errors, 5))
        return;
    old_get((int)word(ret + 4), WORD(3), ret);
    if (!is_error(ret + 4, old_errors, 5))
        say_string(ret + 4);
}

static void do_add(void)
{
    int64_t delta = 0;
    bool minus = words[3].size && words[3].text[0] == '-';
    for (size_t i = minus; i < words[3].size; i++)
        delta = delta * 10 + (words[3].text[i] - '0');
    bucket_open(WORD(1), ret);
    if (is_error(ret + 4, bucket_errors, 2))
        return;
    bucket_add((int)word(ret + 4), WORD(2), minus ? -delta : delta, ret);
    if (is_error(ret + 8, bucket_errors, 2))
        return;
    int64_t sum;
    __builtin_memcpy(&sum, ret + 8, 8);
    say_number(sum);
}

static void say_value(const uint8_t *value)
{
    int64_t integer;
    double real;
    __builtin_memcpy(&integer, value + 8, 8);
    __builtin_memcpy(&real, value + 8, 8);
    switch (value[0]) {
    case 0: say_number(integer); break;
    case 1:
        say_number((int64_t)(real * 1000));
        say("/1000");
        break;
    case 4: say("null"); break;
    default: say_string(value + 8);
    }
}

static void say_rows(void)
{
    const uint8_t *rows = (uint8_t *)word(ret + 12);
    for (uint32_t i = 0; i < word(ret + 8); i++) {
        say_string((uint8_t *)word(ret + 4) + 8 * i);
        say(i + 1 < word(ret + 8) ? "|" : "\n");
    }
    for (uint32_t row = 0, count = word(ret + 16); row < count; row++) {
        uint32_t values = word(rows + 8 * row), size = word(rows + 8 * row + 4);
        for (uint32_t i = 0; i < size; i++) {
            say_value((uint8_t *)values + 16 * i);
            say(i + 1 < size ? "|" : "\n");
        }
    }
}

static void do_sql(void)
{
    sql_open(WORD(1), ret);
    if (is_error(ret + 4, sql_errors, 4))
        return;
    int connection = (int)word(ret + 4);
    for (size_t i = 2; i < count && status == 200; i++) {
        sql_execute(connection, WORD(i), NULL, 0, ret);
        if (!is_error(ret + 4, sql_errors, 4))
            say_rows();
    }
}

static void act(void)
{
    if (is(0, "kv"))
        do_kv();
    else if (is(0, "old"))
        do_old();
    else if (is(0, "add"))
        do_add();
    else if (is(0, "sql"))
        do_sql();
    else
        status = 404;
}
