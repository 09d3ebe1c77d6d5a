/* See database.h. */
#include "services/database.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "services/sqlite.h"

#include <stdio.h>

#define HEAP_MAX_BYTES ((int64_t)256 << 20) /* of the library, in this process */
#define STEPS_UNSEEN 1000 /* of the library's machine, between two looks at the clock */
#define WANTED_EVERY 64u  /* looks at the clock between two questions whether it is wanted */

struct session {
    struct database *database;
    int64_t number;
    sqlite3 *db;             /* NULL: the place is free */
    bool late, unwanted;
    uint64_t end_ns;         /* of the statement's time */
    unsigned looks;
    char denied[160];        /* what the statement asked for and may not */
};

struct database {
    const char *folder;
    struct database_settings settings;
    struct session sessions[DATABASE_SESSIONS_MAX];
};

/* ---- what a statement may ---- */

/* Settings that only tell, or hold for the session only. The others concern the file's safety, other files, or memory.
 */
static const char *const pragmas[] = {
    "application_id",    "case_sensitive_like", "collation_list",     "compile_options",
    "count_changes",     "data_version",        "defer_foreign_keys", "encoding",
    "foreign_key_check", "foreign_key_list",    "foreign_keys",       "freelist_count",
    "function_list",     "index_info",          "index_list",         "index_xinfo",
    "integrity_check",   "legacy_alter_table",  "optimize",           "page_count",
    "pragma_list",       "quick_check",         "recursive_triggers", "reverse_unordered_selects",
    "table_info",        "table_list",          "table_xinfo",        "user_version",
};
/* These may be asked and not set. */
static const char *const told[] = {"journal_mode", "max_page_count", "page_size", "schema_version", "synchronous"};
/* What they would set is the host's to choose: these are passed over. */
static const char *const passed_over[] = {"busy_timeout", "cache_size", "cache_spill",        "journal_size_limit",
                                          "mmap_size",    "temp_store", "wal_autocheckpoint", "wal_checkpoint"};
/* One loads code, the other tells and takes addresses of it. */
static const char *const unsafe[] = {"load_extension", "fts3_tokenizer"};
static const char *const modules[] = {"fts3", "fts4", "fts5", "rtree", "rtree_i32", "geopoly"};

static bool is_in(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (name && strcasecmp(names[i], name) == 0)
            return true;
    return false;
}
#define IS_IN(names, name) is_in(names, sizeof(names) / sizeof *(names), name)

static int deny(struct session *session, const char *what, const char *name)
{
    snprintf(session->denied, sizeof session->denied, "not authorized: %s%s%.100s is not permitted", what,
             name ? " " : "", name ? name : "");
    return SQLITE_DENY;
}

/* Of this session alone, and gone with it. VACUUM attaches one without a name, too, while it runs. */
static bool is_in_memory(const char *file)
{
    return file && (file[0] == '\0' || strcmp(file, ":memory:") == 0);
}

static int authorize_pragma(struct session *session, const char *name, const char *value)
{
    if (IS_IN(pragmas, name) || (!value && IS_IN(told, name)))
        return SQLITE_OK;
    bool same = value && strcasecmp(name, "journal_mode") == 0 && strcasecmp(value, "wal") == 0;
    return same || IS_IN(passed_over, name) ? SQLITE_IGNORE : deny(session, "PRAGMA", name);
}

static int authorize(void *arg, int action, const char *first, const char *second, const char *schema,
                     const char *trigger)
{
    struct session *session = arg;
    switch (action) {
    case SQLITE_ATTACH:
        return is_in_memory(first) ? SQLITE_OK : deny(session, "ATTACH of a file, or VACUUM INTO,", NULL);
    case SQLITE_PRAGMA: return authorize_pragma(session, first, second);
    case SQLITE_CREATE_VTABLE: return IS_IN(modules, second) ? SQLITE_OK : deny(session, "a virtual table of", second);
    case SQLITE_FUNCTION: return second && IS_IN(unsafe, second) ? deny(session, second, NULL) : SQLITE_OK;
    default: return SQLITE_OK;
    }
}

/* ---- how long ---- */

static int look(void *arg)
{
    struct session *session = arg;
    const struct database_settings *settings = &session->database->settings;
    session->late = clock_now_ns() > session->end_ns;
    session->unwanted = ++session->looks % WANTED_EVERY == 0 && settings->wanted && !settings->wanted(settings->arg);
    return session->late || session->unwanted;
}

/* ---- sessions ---- */

static void set_limits(sqlite3 *db)
{
    static const struct {
        int what, most;
    } limits[] = {
        {SQLITE_LIMIT_LENGTH, 16 << 20},
        {SQLITE_LIMIT_SQL_LENGTH, DATABASE_STATEMENT_MAX},
        {SQLITE_LIMIT_COLUMN, 500},
        {SQLITE_LIMIT_EXPR_DEPTH, 200},
        {SQLITE_LIMIT_COMPOUND_SELECT, 100},
        {SQLITE_LIMIT_VDBE_OP, 1000000},
        {SQLITE_LIMIT_FUNCTION_ARG, 100},
        {SQLITE_LIMIT_ATTACHED, 4},
        {SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1000},
        {SQLITE_LIMIT_TRIGGER_DEPTH, 50},
        {SQLITE_LIMIT_WORKER_THREADS, 0},
    };
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        sqlite.limit(db, limits[i].what, limits[i].most);
}

static struct session *find(struct database *database, int64_t number)
{
    for (size_t i = 0; i < DATABASE_SESSIONS_MAX; i++)
        if (database->sessions[i].db && database->sessions[i].number == number)
            return &database->sessions[i];
    return NULL;
}

static struct session *free_place(struct database *database)
{
    for (size_t i = 0; i < DATABASE_SESSIONS_MAX; i++)
        if (!database->sessions[i].db)
            return &database->sessions[i];
    return NULL;
}

static enum storage_status begin_session(struct database *database, int64_t number, struct err *err)
{
    struct session *session = free_place(database);
    sqlite3 *db;
    if (find(database, number)) {
        err_set(err, ERR_INVALID, "there is such a session already");
        return STORAGE_INVALID;
    }
    if (!session) {
        err_set(err, ERR_LIMIT, "more than %u connections at once", DATABASE_SESSIONS_MAX);
        return STORAGE_CROWDED;
    }
    if (!sqlite_open(database->folder, database->settings.bytes_max, &db, err))
        return STORAGE_FAILED;
    *session = (struct session){.database = database, .number = number, .db = db};
    set_limits(db);
    sqlite.set_authorizer(db, authorize, session);
    sqlite.progress_handler(db, STEPS_UNSEEN, look, session);
    return STORAGE_DONE;
}

/* What it did not commit is taken back. */
static void end_session(struct session *session)
{
    sqlite.close_v2(session->db);
    session->db = NULL;
}

struct database *database_open(const char *folder, const struct database_settings *settings, struct err *err)
{
    struct database *database = mem_alloc(1, sizeof *database);
    sqlite3 *db;
    if (!database) {
        err_memory(err);
        return NULL;
    }
    database->folder = folder;
    database->settings = *settings;
    sqlite.hard_heap_limit64(HEAP_MAX_BYTES);
    if (!sqlite_open(folder, settings->bytes_max, &db, err)) {
        mem_free(database);
        return NULL;
    }
    sqlite.close_v2(db);
    return database;
}

void database_close(struct database *database)
{
    for (size_t i = 0; database && i < DATABASE_SESSIONS_MAX; i++)
        if (database->sessions[i].db)
            end_session(&database->sessions[i]);
    mem_free(database);
}

/* ---- statements ---- */

struct execution {
    struct session *session;
    sqlite3_stmt *statement; /* NULL: there is nothing in the text */
    struct frame_writer *answer;
    struct err *err;
};

static enum storage_status fail(struct err *err, enum err_kind kind, const char *text)
{
    err_set(err, kind, "%s", text);
    return STORAGE_FAILED;
}

/* Why the library did not go on. */
static enum storage_status fault(struct session *session, bool *ret_busy, struct err *err)
{
    int code = sqlite.extended_errcode(session->db), primary = code & 0xff;
    *ret_busy = primary == SQLITE_BUSY && code != SQLITE_BUSY_SNAPSHOT;
    if (primary == SQLITE_AUTH && session->denied[0])
        return fail(err, ERR_INVALID, session->denied);
    if (primary == SQLITE_INTERRUPT && session->late)
        err_set(err, ERR_LIMIT, "the statement ran for more than %u ms", session->database->settings.statement_ms);
    else
        err_set(err, ERR_SYSTEM, "%s", sqlite.errmsg(session->db));
    return primary == SQLITE_FULL ? STORAGE_FULL : STORAGE_FAILED;
}

/* Behind the first statement there may be blanks and comments. */
static bool is_blank(struct session *session, const char *tail, size_t size)
{
    sqlite3_stmt *more = NULL;
    bool blank = sqlite.prepare_v2(session->db, tail, (int)size, &more, NULL) == SQLITE_OK && !more;
    sqlite.finalize(more);
    return blank;
}

static enum storage_status read_statement(struct execution *x, struct str text, bool *ret_busy)
{
    const char *tail, *start = text.len ? text.ptr : "";
    if (text.len > DATABASE_STATEMENT_MAX || str_find(text, '\0') < text.len)
        return fail(x->err, ERR_LIMIT, "a statement has a million bytes at most, and no zero among them");
    if (sqlite.prepare_v2(x->session->db, start, (int)text.len, &x->statement, &tail) != SQLITE_OK)
        return fault(x->session, ret_busy, x->err);
    size_t left = text.len - (size_t)(tail - start);
    if (left && !is_blank(x->session, tail, left))
        return fail(x->err, ERR_INVALID, "there is something behind the statement: execute one at a time");
    return STORAGE_DONE;
}

static void bind(sqlite3_stmt *statement, int place, const struct storage_value *value)
{
    const char *bytes = value->type >= STORAGE_TEXT && value->bytes.len ? value->bytes.ptr : "";
    switch (value->type) {
    case STORAGE_NULL: sqlite.bind_null(statement, place); break;
    case STORAGE_INTEGER: sqlite.bind_int64(statement, place, value->integer); break;
    case STORAGE_REAL: sqlite.bind_double(statement, place, value->real); break;
    case STORAGE_TEXT: sqlite.bind_text64(statement, place, bytes, value->bytes.len, SQLITE_STATIC, SQLITE_UTF8); break;
    case STORAGE_BLOB: sqlite.bind_blob64(statement, place, bytes, value->bytes.len, SQLITE_STATIC); break;
    }
}

static enum storage_status bind_all(struct execution *x, const struct storage_value *values, size_t count)
{
    size_t wanted = x->statement ? (size_t)sqlite.bind_parameter_count(x->statement) : 0;
    if (count != wanted) {
        err_set(x->err, ERR_INVALID, "the statement has %zu parameters, and %zu are given", wanted, count);
        return STORAGE_FAILED;
    }
    for (size_t i = 0; i < count; i++)
        bind(x->statement, (int)i + 1, &values[i]);
    return STORAGE_DONE;
}

static void add_names(struct execution *x, int columns)
{
    const struct storage_value count = storage_integer(columns);
    frame_add(x->answer, &count);
    for (int i = 0; i < columns; i++) {
        const char *name = sqlite.column_name(x->statement, i);
        struct storage_value value = storage_text(str_of(name ? name : ""));
        if (!utf8_valid(value.bytes.ptr, value.bytes.len))
            value.bytes = STR("?");
        frame_add(x->answer, &value);
    }
}

static struct str bytes_of(sqlite3_stmt *statement, int column)
{
    const void *bytes = sqlite.column_blob(statement, column);
    return (struct str){bytes, (size_t)sqlite.column_bytes(statement, column)};
}

/* False: a text is none. */
static bool take_column(sqlite3_stmt *statement, int column, struct storage_value *ret_value)
{
    switch (sqlite.column_type(statement, column)) {
    case SQLITE_INTEGER: *ret_value = storage_integer(sqlite.column_int64(statement, column)); return true;
    case SQLITE_FLOAT:
        *ret_value = (struct storage_value){.type = STORAGE_REAL, .real = sqlite.column_double(statement, column)};
        return true;
    case SQLITE_TEXT:
        *ret_value = storage_text(bytes_of(statement, column));
        return utf8_valid(ret_value->bytes.ptr, ret_value->bytes.len);
    case SQLITE_BLOB: *ret_value = storage_blob(bytes_of(statement, column)); return true;
    default: *ret_value = storage_null(); return true;
    }
}

static enum storage_status add_row(struct execution *x, int columns)
{
    for (int i = 0; i < columns; i++) {
        struct storage_value value;
        if (!take_column(x->statement, i, &value)) {
            err_set(x->err, ERR_INVALID, "the text in column %d is not UTF-8: select it as CAST(... AS BLOB)", i + 1);
            return STORAGE_FAILED;
        }
        frame_add(x->answer, &value);
    }
    if (!x->answer->failed)
        return STORAGE_DONE;
    err_set(x->err, ERR_LIMIT, STORAGE_EXCEEDS " of %zu bytes or %u values", x->answer->max, FRAME_VALUES_MAX);
    return STORAGE_FAILED;
}

static enum storage_status run(struct execution *x, bool *ret_busy)
{
    int columns = x->statement ? sqlite.column_count(x->statement) : 0, code = SQLITE_DONE;
    enum storage_status status = STORAGE_DONE;
    add_names(x, columns);
    while (x->statement && status == STORAGE_DONE && (code = sqlite.step(x->statement)) == SQLITE_ROW)
        status = add_row(x, columns);
    if (status == STORAGE_DONE && code != SQLITE_DONE)
        status = fault(x->session, ret_busy, x->err);
    return status;
}

static void add_counts(struct execution *x)
{
    const struct storage_value changed = storage_integer(sqlite.changes64(x->session->db)),
                               last = storage_integer(sqlite.last_insert_rowid(x->session->db));
    frame_add(x->answer, &changed);
    frame_add(x->answer, &last);
}

static enum storage_status execute(struct session *session, const struct storage_value *values, size_t count,
                                   struct frame_writer *answer, bool *ret_busy, struct err *err)
{
    struct execution x = {session, NULL, answer, err};
    session->late = session->unwanted = false;
    session->denied[0] = '\0';
    session->end_ns = clock_now_ns() + session->database->settings.statement_ms * UINT64_C(1000000);
    enum storage_status status = read_statement(&x, values[0].bytes, ret_busy);
    if (status == STORAGE_DONE)
        status = bind_all(&x, values + 1, count - 1);
    if (status == STORAGE_DONE)
        status = run(&x, ret_busy);
    if (status == STORAGE_DONE)
        add_counts(&x);
    sqlite.finalize(x.statement);
    return status;
}

/* ---- operations ---- */

static bool takes(uint32_t operation, const struct storage_value *values, size_t count)
{
    bool numbered = count && values[0].type == STORAGE_INTEGER;
    switch (operation) {
    case STORAGE_OPEN: return count == 0;
    case STORAGE_SESSION:
    case STORAGE_SESSION_END: return count == 1 && numbered;
    case STORAGE_EXECUTE: return count >= 2 && numbered && values[1].type == STORAGE_TEXT;
    default: return false;
    }
}

enum storage_status database_do(struct database *database, uint32_t operation, const struct storage_value *values,
                                size_t count, struct frame_writer *answer, bool *ret_busy, struct err *err)
{
    *ret_busy = false;
    if (!takes(operation, values, count))
        return fail(err, ERR_INVALID, "this is nothing that a database does");
    if (operation == STORAGE_OPEN)
        return STORAGE_DONE;
    if (operation == STORAGE_SESSION)
        return begin_session(database, values[0].integer, err);
    struct session *session = find(database, values[0].integer);
    if (!session) {
        err_set(err, ERR_INVALID, "the connection is gone: its process ended");
        return STORAGE_INVALID;
    }
    if (operation == STORAGE_EXECUTE)
        return execute(session, values + 1, count - 1, answer, ret_busy, err);
    end_session(session);
    return STORAGE_DONE;
}
