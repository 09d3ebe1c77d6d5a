/* See store.h. */
#include "services/store.h"

#include "base/alloc.h"
#include "services/sqlite.h"

#define WAIT_MS 2000 /* for another process that has the store */
#define PAGE_BYTES_MAX ((size_t)1 << 20)

/* The statements, which are made once. */
#define STATEMENTS(X)                                                                                                  \
    X(get, "SELECT value, version FROM entry WHERE key = ?1")                                                          \
    X(version, "SELECT version FROM entry WHERE key = ?1")                                                             \
    X(set, "INSERT INTO entry (key, version, value) VALUES (?1, ?2, ?3) "                                              \
           "ON CONFLICT (key) DO UPDATE SET version = ?2, value = ?3")                                                 \
    X(delete, "DELETE FROM entry WHERE key = ?1")                                                                      \
    X(first, "SELECT key FROM entry WHERE key >= ?1 ORDER BY key LIMIT ?2")                                            \
    X(after, "SELECT key FROM entry WHERE key > ?1 ORDER BY key LIMIT ?2")                                             \
    X(begin, "BEGIN IMMEDIATE")                                                                                        \
    X(commit, "COMMIT")                                                                                                \
    X(rollback, "ROLLBACK")

static const char schema[] = "CREATE TABLE IF NOT EXISTS entry ("
                             "key TEXT PRIMARY KEY NOT NULL, version INTEGER NOT NULL, value BLOB NOT NULL)";

struct store {
    sqlite3 *db;
#define FIELD(name, text) sqlite3_stmt *name;
    STATEMENTS(FIELD)
#undef FIELD
    bool changed; /* since the last commit */
};

/* ---- life ---- */

static bool prepare(struct store *store, struct err *err)
{
#define PREPARE(name, text) sqlite_prepare(store->db, text, &store->name, err) &&
    return STATEMENTS(PREPARE) true;
#undef PREPARE
}

struct store *store_open(const char *folder, uint64_t bytes_max, struct err *err)
{
    struct store *store = mem_alloc(1, sizeof *store);
    if (!store) {
        err_memory(err);
        return NULL;
    }
    if (!sqlite_open(folder, bytes_max, &store->db, err)) {
        mem_free(store);
        return NULL;
    }
    sqlite.busy_timeout(store->db, WAIT_MS);
    if (sqlite_run(store->db, schema, err) && prepare(store, err))
        return store;
    store_close(store);
    return NULL;
}

void store_close(struct store *store)
{
    if (!store)
        return;
#define FINALIZE(name, text) sqlite.finalize(store->name);
    STATEMENTS(FINALIZE)
#undef FINALIZE
    sqlite.close_v2(store->db);
    mem_free(store);
}

/* ---- statements ---- */

/* What went wrong in the library; it may have taken back the whole transaction. */
static enum storage_status fault(struct store *store, struct err *err)
{
    int code = sqlite.extended_errcode(store->db) & 0xff;
    sqlite_fail(store->db, err);
    return code == SQLITE_FULL ? STORAGE_FULL : STORAGE_FAILED;
}

static void bind(sqlite3_stmt *statement, int place, const struct storage_value *value)
{
    const char *bytes = value->bytes.len ? value->bytes.ptr : "";
    if (value->type == STORAGE_INTEGER)
        sqlite.bind_int64(statement, place, value->integer);
    else if (value->type == STORAGE_TEXT)
        sqlite.bind_text64(statement, place, bytes, value->bytes.len, SQLITE_STATIC, SQLITE_UTF8);
    else
        sqlite.bind_blob64(statement, place, bytes, value->bytes.len, SQLITE_STATIC);
}

/* One row at most; *ret_row tells. The statement must be reset. */
static enum storage_status step(struct store *store, sqlite3_stmt *statement, bool *ret_row, struct err *err)
{
    int code = sqlite.step(statement);
    *ret_row = code == SQLITE_ROW;
    return code == SQLITE_ROW || code == SQLITE_DONE ? STORAGE_DONE : fault(store, err);
}

static void reset(sqlite3_stmt *statement)
{
    sqlite.reset(statement);
    sqlite.clear_bindings(statement);
}

static enum storage_status run(struct store *store, sqlite3_stmt *statement, struct err *err)
{
    bool row;
    enum storage_status status = step(store, statement, &row, err);
    reset(statement);
    return status;
}

static struct str column(sqlite3_stmt *statement, int place)
{
    const void *bytes = sqlite.column_blob(statement, place);
    return (struct str){bytes, (size_t)sqlite.column_bytes(statement, place)};
}

/* ---- the transaction ---- */

static bool is_lost(const struct store *store)
{
    return store->changed && sqlite.get_autocommit(store->db);
}

static enum storage_status say_lost(struct err *err)
{
    err_set(err, ERR_LIMIT, "the store is full, or its file cannot be written");
    return STORAGE_FULL;
}

static enum storage_status begin(struct store *store, struct err *err)
{
    if (is_lost(store))
        return say_lost(err);
    enum storage_status status = store->changed ? STORAGE_DONE : run(store, store->begin, err);
    store->changed |= status == STORAGE_DONE;
    return status;
}

bool store_changed(const struct store *store)
{
    return store->changed;
}

enum storage_status store_commit(struct store *store, struct err *err)
{
    bool lost = is_lost(store); /* taken back by the library when something failed */
    store->changed = false;
    if (lost)
        return say_lost(err);
    enum storage_status status = run(store, store->commit, err);
    if (status != STORAGE_DONE && !sqlite.get_autocommit(store->db)) {
        struct err ignored = {0};
        run(store, store->rollback, &ignored);
    }
    return status;
}

/* ---- operations ---- */

struct request {
    struct store *store;
    const struct storage_value *values;
    size_t count;
    struct frame_writer *answer;
    struct err *err;
};

static enum storage_status get_one(struct request *r, const struct storage_value *key, bool with_version)
{
    sqlite3_stmt *statement = r->store->get;
    bool row;
    bind(statement, 1, key);
    enum storage_status status = step(r->store, statement, &row, r->err);
    struct storage_value value = row ? storage_blob(column(statement, 0)) : storage_null();
    struct storage_value version = storage_integer(row ? sqlite.column_int64(statement, 1) : 0);
    if (status == STORAGE_DONE)
        frame_add(r->answer, &value);
    if (status == STORAGE_DONE && with_version)
        frame_add(r->answer, &version);
    reset(statement);
    return status;
}

static enum storage_status version_of(struct request *r, int64_t *ret_version)
{
    sqlite3_stmt *statement = r->store->version;
    bool row;
    bind(statement, 1, &r->values[0]);
    enum storage_status status = step(r->store, statement, &row, r->err);
    *ret_version = row ? sqlite.column_int64(statement, 0) : 0;
    reset(statement);
    return status;
}

/* Never 0, and practically never the same twice. */
static int64_t new_version(void)
{
    int64_t version;
    sqlite.randomness(sizeof version, &version);
    return (version & INT64_MAX) | 1;
}

static enum storage_status set_one(struct request *r, const struct storage_value *key,
                                   const struct storage_value *value, int64_t *ret_version)
{
    sqlite3_stmt *statement = r->store->set;
    const struct storage_value version = storage_integer(new_version());
    bind(statement, 1, key);
    bind(statement, 2, &version);
    bind(statement, 3, value);
    *ret_version = version.integer;
    return run(r->store, statement, r->err);
}

static enum storage_status delete_one(struct request *r, const struct storage_value *key)
{
    bind(r->store->delete, 1, key);
    return run(r->store, r->store->delete, r->err);
}

static enum storage_status do_get(struct request *r)
{
    return get_one(r, &r->values[0], true);
}

static enum storage_status do_version(struct request *r)
{
    int64_t version;
    enum storage_status status = version_of(r, &version);
    const struct storage_value value = storage_integer(version);
    if (status == STORAGE_DONE)
        frame_add(r->answer, &value);
    return status;
}

static enum storage_status do_get_many(struct request *r)
{
    enum storage_status status = STORAGE_DONE;
    for (size_t i = 0; status == STORAGE_DONE && i < r->count && !r->answer->failed; i++)
        status = get_one(r, &r->values[i], false);
    return status;
}

static enum storage_status do_set(struct request *r)
{
    enum storage_status status = begin(r->store, r->err);
    int64_t version;
    for (size_t i = 0; status == STORAGE_DONE && i < r->count; i += 2)
        status = set_one(r, &r->values[i], &r->values[i + 1], &version);
    return status;
}

static enum storage_status do_delete(struct request *r)
{
    enum storage_status status = begin(r->store, r->err);
    for (size_t i = 0; status == STORAGE_DONE && i < r->count; i++)
        status = delete_one(r, &r->values[i]);
    return status;
}

/* A page ends when it has `limit` keys, or many bytes. */
static enum storage_status do_keys(struct request *r)
{
    bool whole = r->values[1].integer == 0, from_start = r->values[0].type == STORAGE_NULL, row = false;
    int64_t limit = r->values[1].integer < STORE_PAGE_KEYS && !whole ? r->values[1].integer : STORE_PAGE_KEYS,
            count = 0;
    sqlite3_stmt *statement = from_start ? r->store->first : r->store->after;
    const struct storage_value empty = storage_text(STR("")), one_more = storage_integer(whole ? -1 : limit + 1);
    bind(statement, 1, from_start ? &empty : &r->values[0]);
    bind(statement, 2, &one_more);
    enum storage_status status = step(r->store, statement, &row, r->err);
    size_t start = r->answer->out->size;
    while (row && !r->answer->failed && (whole || (count < limit && r->answer->out->size - start < PAGE_BYTES_MAX))) {
        const struct storage_value key = storage_text(column(statement, 0));
        frame_add(r->answer, &key);
        count++;
        status = step(r->store, statement, &row, r->err);
    }
    const struct storage_value more = storage_integer(row);
    frame_add(r->answer, &more);
    reset(statement);
    return status;
}

/* The number that a value is: the eight bytes of a signed integer, the lowest first. */
static bool number_of(sqlite3_stmt *statement, int64_t *ret_number)
{
    struct str bytes = column(statement, 0);
    uint64_t number = 0;
    for (size_t i = 0; i < bytes.len && i < 8; i++)
        number |= (uint64_t)(uint8_t)bytes.ptr[i] << 8 * i;
    *ret_number = (int64_t)number;
    return bytes.len == 8;
}

static enum storage_status read_number(struct request *r, int64_t *ret_number)
{
    sqlite3_stmt *statement = r->store->get;
    bool row;
    bind(statement, 1, &r->values[0]);
    enum storage_status status = step(r->store, statement, &row, r->err);
    *ret_number = 0;
    if (row && !number_of(statement, ret_number)) {
        err_set(r->err, ERR_INVALID, "the value is no number to be incremented, which has 8 bytes");
        status = STORAGE_FAILED;
    }
    reset(statement);
    return status;
}

static enum storage_status do_increment(struct request *r)
{
    int64_t number, version;
    char bytes[8];
    enum storage_status status = begin(r->store, r->err);
    if (status == STORAGE_DONE)
        status = read_number(r, &number);
    if (status != STORAGE_DONE)
        return status;
    if (__builtin_add_overflow(number, r->values[1].integer, &number)) {
        err_set(r->err, ERR_INVALID, "the sum does not fit into a signed number of 64 bits");
        return STORAGE_FAILED;
    }
    for (unsigned i = 0; i < 8; i++)
        bytes[i] = (char)((uint64_t)number >> 8 * i);
    const struct storage_value value = storage_blob((struct str){bytes, 8}), sum = storage_integer(number);
    frame_add(r->answer, &sum);
    return set_one(r, &r->values[0], &value, &version);
}

static enum storage_status do_swap(struct request *r)
{
    int64_t version;
    enum storage_status status = begin(r->store, r->err);
    if (status == STORAGE_DONE)
        status = version_of(r, &version);
    if (status != STORAGE_DONE)
        return status;
    bool swapped = version == r->values[1].integer;
    if (swapped)
        status = set_one(r, &r->values[0], &r->values[2], &version);
    const struct storage_value did = storage_integer(swapped), now = storage_integer(version);
    frame_add(r->answer, &did);
    frame_add(r->answer, &now);
    return status;
}

static enum storage_status do_nothing(struct request *r)
{
    return STORAGE_DONE;
}

/* What each takes, in letters: key, value, integer, n key or null; a '*' repeats what is before it. */
static const struct operation {
    enum storage_status (*run)(struct request *r);
    const char *takes;
} operations[STORAGE_OPERATIONS] = {
    [STORAGE_OPEN] = {do_nothing, ""},
    [STORAGE_GET] = {do_get, "k"},
    [STORAGE_SET] = {do_set, "kv"},
    [STORAGE_DELETE] = {do_delete, "k"},
    [STORAGE_VERSION] = {do_version, "k"},
    [STORAGE_KEYS] = {do_keys, "ni"},
    [STORAGE_GET_MANY] = {do_get_many, "k*"},
    [STORAGE_SET_MANY] = {do_set, "kv*"},
    [STORAGE_DELETE_MANY] = {do_delete, "k*"},
    [STORAGE_INCREMENT] = {do_increment, "ki"},
    [STORAGE_SWAP] = {do_swap, "kiv"},
};

static bool fits(const struct storage_value *value, char letter)
{
    switch (letter) {
    case 'k': return value->type == STORAGE_TEXT;
    case 'v': return value->type == STORAGE_BLOB;
    case 'i': return value->type == STORAGE_INTEGER;
    default: return value->type == STORAGE_TEXT || value->type == STORAGE_NULL;
    }
}

static bool takes(const struct operation *operation, const struct storage_value *values, size_t count)
{
    size_t letters = strcspn(operation->takes, "*");
    bool repeats = operation->takes[letters] == '*';
    if (repeats ? count % letters != 0 : count != letters)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!fits(&values[i], operation->takes[i % letters]))
            return false;
    return true;
}

static bool is_small(const struct storage_value *values, size_t count, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        if (values[i].type == STORAGE_TEXT && values[i].bytes.len > STORE_KEY_MAX)
            return err_set(err, ERR_LIMIT, "a key has %zu bytes, more than %u", values[i].bytes.len, STORE_KEY_MAX);
        if (values[i].type == STORAGE_BLOB && values[i].bytes.len > STORE_VALUE_MAX)
            return err_set(err, ERR_LIMIT, "a value has %zu bytes, more than %zu", values[i].bytes.len,
                           STORE_VALUE_MAX);
    }
    return true;
}

bool store_check(uint32_t operation, const struct storage_value *values, size_t count, struct err *err)
{
    const struct operation *row = operation < STORAGE_OPERATIONS ? &operations[operation] : NULL;
    if (!row || !row->run || !takes(row, values, count))
        return err_set(err, ERR_INVALID, "this is nothing that a key-value store does");
    return is_small(values, count, err);
}

enum storage_status store_do(struct store *store, uint32_t operation, const struct storage_value *values, size_t count,
                             struct frame_writer *answer, struct err *err)
{
    struct request request = {store, values, count, answer, err};
    return store_check(operation, values, count, err) ? operations[operation].run(&request) : STORAGE_FAILED;
}
