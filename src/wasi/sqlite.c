/* fermyon:spin/sqlite, with handles that are resources (2.0.0) and with such that are numbers (no version), and
 * spin:sqlite (3). They differ in their handles only; the generator makes types of each.
 *
 * A connection is a session of its own in the process of the database, and ends there with its handle or its activity:
 * what it did not commit is taken back. */
#include "wasi/gen/fermyon_spin.h"
#include "wasi/gen/fermyon_spin_2.h"
#include "wasi/gen/spin_sqlite.h"
#include "wasi/storage_call.h"

struct storage_session {
    struct host_node node;
    struct host_closer closer;
    struct host *host;
    struct str label; /* memory of its own */
    int64_t number, changes, last_rowid;
};

struct fermyon_spin_2_connection {
    struct storage_session session;
};

struct spin_sqlite_connection {
    struct storage_session session;
};

/* The errors, which all versions have in this order. */
enum fault { NO_SUCH_DATABASE, ACCESS_DENIED, INVALID_CONNECTION, DATABASE_FULL, IO, SOUND };

_Static_assert((int)IO == FERMYON_SPIN_SQLITE_ERROR_IO && (int)IO == FERMYON_SPIN_2_SQLITE_ERROR_IO &&
                   (int)IO == SPIN_SQLITE_SQLITE_ERROR_IO,
               "errors of all versions have the same numbers");

/* What a statement gave. */
struct outcome {
    enum fault fault;
    struct str message; /* of IO */
    size_t columns, rows;
    const struct storage_value *values; /* the names of the columns, then row by row */
};

static void fault_of(const struct storage_answer *answer, struct outcome *ret)
{
    static const enum fault faults[STORAGE_STATUSES] = {
        [STORAGE_WAITING] = IO,         [STORAGE_DONE] = SOUND, [STORAGE_NO_SUCH] = NO_SUCH_DATABASE,
        [STORAGE_FULL] = DATABASE_FULL, [STORAGE_CROWDED] = IO, [STORAGE_INVALID] = INVALID_CONNECTION,
        [STORAGE_DENIED] = IO,          [STORAGE_FAILED] = IO,
    };
    *ret = (struct outcome){.fault = faults[answer->status], .message = answer->message};
}

/* ---- sessions ---- */

static struct storage_ask ask_of(const struct storage_session *session, enum storage_operation operation,
                                 const struct storage_value *values, size_t count)
{
    return (struct storage_ask){STORAGE_DATABASE, session->label, operation, values, count};
}

static void end_session(struct storage_session *session)
{
    const struct storage_value number = storage_integer(session->number);
    const struct storage_ask ask = ask_of(session, STORAGE_SESSION_END, &number, 1);
    host_disown(&session->closer);
    storage_tell(session->host, &ask);
}

static void close_session(struct host *h, struct host_closer *closer)
{
    end_session(IO_OWNER(closer, struct storage_session, closer));
}

static void drop_session(struct host *h, struct storage_session *session)
{
    if (!host_release(h, &session->node, "connection"))
        return;
    end_session(session);
    h->session_count--;
    host_text_give(h, session->label);
    host_node_free(h, &session->node);
}

static struct storage_session *new_session(struct host *h, struct str label)
{
    struct storage_session *session = HOST_NEW(h, struct storage_session, NULL);
    if (!session)
        return NULL;
    session->host = h;
    session->label = host_text_take(h, label);
    if (!session->label.ptr)
        return NULL;
    session->number = ++h->pool->last_session;
    session->closer.close = close_session;
    host_own(h, &session->closer); /* before it waits: it may be made and the activity end */
    h->session_count++;
    return session;
}

/* *ret_session when the outcome is sound. False: trap. */
static bool open_session(struct host *h, struct str label, struct storage_session **ret_session, struct outcome *ret)
{
    struct storage_answer answer;
    *ret = (struct outcome){.fault = ACCESS_DENIED};
    if (!storage_granted(h, STORAGE_DATABASE, label))
        return true;
    *ret = (struct outcome){.fault = IO, .message = STR("too many connections are open")};
    if (h->session_count == STORAGE_SESSIONS_MAX)
        return true;
    struct storage_session *session = new_session(h, label);
    if (!session)
        return false;
    const struct storage_value number = storage_integer(session->number);
    const struct storage_ask ask = ask_of(session, STORAGE_SESSION, &number, 1);
    if (!storage_ask(h, &ask, &answer))
        return false;
    fault_of(&answer, ret);
    if (ret->fault == SOUND)
        *ret_session = session;
    else
        drop_session(h, session);
    return true;
}

/* ---- statements ---- */

/* Columns, names, values, changes, the last row's number. False: it is not that. */
static bool read_outcome(struct storage_session *session, const struct storage_answer *answer, struct outcome *ret)
{
    const struct storage_value *values = answer->values;
    if (answer->count < 3 || values[0].type != STORAGE_INTEGER || values[0].integer < 0)
        return false;
    uint64_t columns = (uint64_t)values[0].integer, rest = answer->count - 3;
    if (columns > rest || (columns ? rest % columns != 0 : rest != 0))
        return false;
    for (uint64_t i = 1; i <= columns; i++)
        if (values[i].type != STORAGE_TEXT)
            return false;
    const struct storage_value *last = &values[answer->count - 1];
    if (last[-1].type != STORAGE_INTEGER || last[0].type != STORAGE_INTEGER)
        return false;
    session->changes = last[-1].integer;
    session->last_rowid = last[0].integer;
    ret->columns = columns;
    ret->rows = columns ? rest / columns - 1 : 0;
    ret->values = values + 1;
    return true;
}

/* `values`: the session's number, the statement, its parameters; the first two are filled in here. False: trap. */
static bool execute(struct host *h, struct storage_session *session, struct str statement, struct storage_value *values,
                    size_t count, struct outcome *ret)
{
    struct storage_answer answer;
    values[0] = storage_integer(session->number);
    values[1] = storage_text(statement);
    const struct storage_ask ask = ask_of(session, STORAGE_EXECUTE, values, count);
    if (!storage_ask(h, &ask, &answer))
        return false;
    fault_of(&answer, ret);
    if (ret->fault == SOUND && !read_outcome(session, &answer, ret))
        *ret = (struct outcome){.fault = IO, .message = STR("the answer makes no sense")};
    return true;
}

/* NULL: trap. */
static struct storage_value *room_for(struct host *h, size_t parameters)
{
    struct storage_value *values = ARENA_ARRAY(&h->scratch, struct storage_value, parameters + 2);
    if (!values)
        host_no_memory(h);
    return values;
}

/* Values of one version from and to values of the storage, and results. `NAME`, `name`: of the interface in C. */
#define VERSION(name, NAME)                                                                                            \
    static struct storage_value name##_take(const struct name##_value *value)                                          \
    {                                                                                                                  \
        switch (value->tag) {                                                                                          \
        case NAME##_VALUE_INTEGER: return storage_integer(value->integer);                                             \
        case NAME##_VALUE_REAL: return (struct storage_value){.type = STORAGE_REAL, .real = value->real};              \
        case NAME##_VALUE_TEXT: return storage_text(value->text);                                                      \
        case NAME##_VALUE_BLOB: return storage_bytes(value->blob);                                                     \
        default: return storage_null();                                                                                \
        }                                                                                                              \
    }                                                                                                                  \
    static struct name##_value name##_give(const struct storage_value *value)                                          \
    {                                                                                                                  \
        switch (value->type) {                                                                                         \
        case STORAGE_INTEGER: return (struct name##_value){.tag = NAME##_VALUE_INTEGER, .integer = value->integer};    \
        case STORAGE_REAL: return (struct name##_value){.tag = NAME##_VALUE_REAL, .real = value->real};                \
        case STORAGE_TEXT: return (struct name##_value){.tag = NAME##_VALUE_TEXT, .text = value->bytes};               \
        case STORAGE_BLOB: return (struct name##_value){.tag = NAME##_VALUE_BLOB, .blob = storage_list(value)};        \
        default: return (struct name##_value){.tag = NAME##_VALUE_NULL};                                               \
        }                                                                                                              \
    }                                                                                                                  \
    static struct name##_error name##_fault(const struct outcome *outcome)                                             \
    {                                                                                                                  \
        return (struct name##_error){.tag = (enum name##_error_tag)outcome->fault, .io = outcome->message};            \
    }                                                                                                                  \
    static bool name##_rows(struct host *h, const struct outcome *outcome, struct name##_query_result *ret)            \
    {                                                                                                                  \
        size_t columns = outcome->columns, rows = outcome->rows;                                                       \
        struct name##_row_result *lines = ARENA_ARRAY(&h->scratch, struct name##_row_result, rows);                    \
        struct name##_value *cells = ARENA_ARRAY(&h->scratch, struct name##_value, rows * columns);                    \
        ret->columns.len = columns;                                                                                    \
        ret->columns.ptr = storage_texts(h, outcome->values, columns);                                                 \
        if (!lines || !cells || !ret->columns.ptr)                                                                     \
            return host_no_memory(h);                                                                                  \
        for (size_t i = 0; i < rows * columns; i++)                                                                    \
            cells[i] = name##_give(&outcome->values[columns + i]);                                                     \
        for (size_t i = 0; i < rows; i++)                                                                              \
            lines[i].values = (struct list_##name##_value){cells + i * columns, columns};                              \
        ret->rows = (struct list_##name##_row_result){lines, rows};                                                    \
        return true;                                                                                                   \
    }                                                                                                                  \
    static bool name##_run(struct host *h, struct storage_session *session, struct str statement,                      \
                           struct list_##name##_value parameters,                                                      \
                           struct result_##name##_query_result_##name##_error *ret)                                    \
    {                                                                                                                  \
        struct storage_value *values = room_for(h, parameters.len);                                                    \
        struct outcome outcome;                                                                                        \
        for (size_t i = 0; values && i < parameters.len; i++)                                                          \
            values[i + 2] = name##_take(&parameters.ptr[i]);                                                           \
        if (!values || !execute(h, session, statement, values, parameters.len + 2, &outcome))                          \
            return false;                                                                                              \
        ret->err = outcome.fault != SOUND;                                                                             \
        if (ret->err)                                                                                                  \
            ret->error = name##_fault(&outcome);                                                                       \
        return ret->err || name##_rows(h, &outcome, &ret->ok);                                                         \
    }

VERSION(fermyon_spin_sqlite, FERMYON_SPIN_SQLITE)
VERSION(fermyon_spin_2_sqlite, FERMYON_SPIN_2_SQLITE)
VERSION(spin_sqlite_sqlite, SPIN_SQLITE_SQLITE)
#undef VERSION

/* ---- 2.0.0 ---- */

bool fermyon_spin_2_sqlite_connection_open(struct host *h, struct str database,
                                           struct result_fermyon_spin_2_connection_fermyon_spin_2_sqlite_error *ret)
{
    struct storage_session *session = NULL;
    struct outcome outcome;
    if (!open_session(h, database, &session, &outcome))
        return false;
    ret->err = outcome.fault != SOUND;
    if (ret->err)
        ret->error = fermyon_spin_2_sqlite_fault(&outcome);
    else
        ret->ok = (struct fermyon_spin_2_connection *)session;
    return true;
}

bool fermyon_spin_2_sqlite_connection_execute(
    struct host *h, struct fermyon_spin_2_connection *self, struct str statement,
    struct list_fermyon_spin_2_sqlite_value parameters,
    struct result_fermyon_spin_2_sqlite_query_result_fermyon_spin_2_sqlite_error *ret)
{
    return fermyon_spin_2_sqlite_run(h, &self->session, statement, parameters, ret);
}

void fermyon_spin_2_connection_drop(struct host *h, struct fermyon_spin_2_connection *self)
{
    drop_session(h, &self->session);
}

/* ---- spin:sqlite ---- */

bool spin_sqlite_sqlite_connection_open(struct host *h, struct str database,
                                        struct result_spin_sqlite_connection_spin_sqlite_sqlite_error *ret)
{
    struct storage_session *session = NULL;
    struct outcome outcome;
    if (!open_session(h, database, &session, &outcome))
        return false;
    ret->err = outcome.fault != SOUND;
    if (ret->err)
        ret->error = spin_sqlite_sqlite_fault(&outcome);
    else
        ret->ok = (struct spin_sqlite_connection *)session;
    return true;
}

bool spin_sqlite_sqlite_connection_execute(struct host *h, struct spin_sqlite_connection *self, struct str statement,
                                           struct list_spin_sqlite_sqlite_value parameters,
                                           struct result_spin_sqlite_sqlite_query_result_spin_sqlite_sqlite_error *ret)
{
    return spin_sqlite_sqlite_run(h, &self->session, statement, parameters, ret);
}

bool spin_sqlite_sqlite_connection_last_insert_rowid(struct host *h, struct spin_sqlite_connection *self, int64_t *ret)
{
    *ret = self->session.last_rowid;
    return true;
}

bool spin_sqlite_sqlite_connection_changes(struct host *h, struct spin_sqlite_connection *self, uint64_t *ret)
{
    *ret = (uint64_t)self->session.changes;
    return true;
}

void spin_sqlite_connection_drop(struct host *h, struct spin_sqlite_connection *self)
{
    drop_session(h, &self->session);
}

/* ---- without a version ---- */

/* NULL: there is none. */
static struct storage_session *find(const struct host *h, uint32_t number)
{
    return h->tables && number - 1 < STORAGE_SESSIONS_MAX ? h->tables->sessions[number - 1] : NULL;
}

static uint32_t take_number(struct storage_tables *tables, struct storage_session *session)
{
    uint32_t at = 0;
    while (tables->sessions[at]) /* there is room: sessions are counted */
        at++;
    tables->sessions[at] = session;
    return at + 1;
}

bool fermyon_spin_sqlite_open(struct host *h, struct str database, struct result_u32_fermyon_spin_sqlite_error *ret)
{
    struct storage_session *session = NULL;
    struct storage_tables *tables = storage_tables(h);
    struct outcome outcome;
    if (!tables || !open_session(h, database, &session, &outcome))
        return false;
    ret->err = outcome.fault != SOUND;
    if (ret->err)
        ret->error = fermyon_spin_sqlite_fault(&outcome);
    else
        ret->ok = take_number(tables, session);
    return true;
}

bool fermyon_spin_sqlite_execute(struct host *h, uint32_t conn, struct str statement,
                                 struct list_fermyon_spin_sqlite_value parameters,
                                 struct result_fermyon_spin_sqlite_query_result_fermyon_spin_sqlite_error *ret)
{
    struct storage_session *session = find(h, conn);
    const struct outcome none = {.fault = INVALID_CONNECTION};
    if (session)
        return fermyon_spin_sqlite_run(h, session, statement, parameters, ret);
    ret->err = true;
    ret->error = fermyon_spin_sqlite_fault(&none);
    return true;
}

bool fermyon_spin_sqlite_close(struct host *h, uint32_t conn)
{
    struct storage_session *session = find(h, conn);
    if (!session)
        return true;
    h->tables->sessions[conn - 1] = NULL;
    drop_session(h, session);
    return true;
}
