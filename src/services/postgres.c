/* See postgres.h.
 *
 * Values come in the server's binary forms, with the numbers of their types: what they mean is for the host functions
 * (wasi/postgres.c). Parameters go as texts, whose types the server infers, and bytes as bytes. Rows are taken one by
 * one, so that an answer which is too large is noticed while it comes. */
#include "services/postgres.h"

#include "base/alloc.h"
#include "base/library.h"
#include "services/confine.h"
#include "services/secure.h"

#include <errno.h>
#include <postgresql/libpq-fe.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define PARAMETERS_MAX 65535u
#define NO_FILE "/dev/null/none" /* neither the operator's passwords nor certificate */

#define FUNCTIONS(X)                                                                                                   \
    X(PQclear)                                                                                                         \
    X(PQcmdTuples)                                                                                                     \
    X(PQconnectPoll)                                                                                                   \
    X(PQconnectStartParams)                                                                                            \
    X(PQconsumeInput)                                                                                                  \
    X(PQerrorMessage)                                                                                                  \
    X(PQfinish)                                                                                                        \
    X(PQflush)                                                                                                         \
    X(PQfname)                                                                                                         \
    X(PQftype)                                                                                                         \
    X(PQgetResult)                                                                                                     \
    X(PQgetisnull)                                                                                                     \
    X(PQgetlength)                                                                                                     \
    X(PQgetvalue)                                                                                                      \
    X(PQisBusy)                                                                                                        \
    X(PQnfields)                                                                                                       \
    X(PQntuples)                                                                                                       \
    X(PQresultErrorField)                                                                                              \
    X(PQresultErrorMessage)                                                                                            \
    X(PQresultStatus)                                                                                                  \
    X(PQsendQuery)                                                                                                     \
    X(PQsendQueryParams)                                                                                               \
    X(PQsetNoticeProcessor)                                                                                            \
    X(PQsetSingleRowMode)                                                                                              \
    X(PQsetnonblocking)                                                                                                \
    X(PQsocket)                                                                                                        \
    X(PQstatus)                                                                                                        \
    X(PQtransactionStatus)

static struct {
#define FIELD(name) __typeof__(&name) name;
    FUNCTIONS(FIELD)
#undef FIELD
    bool loaded;
} pq;

static bool load(struct err *err)
{
#define SYMBOL(name) {#name, (void **)&pq.name},
    static const struct library_symbol symbols[] = {FUNCTIONS(SYMBOL)};
#undef SYMBOL
    static const struct library library = {"libpq.so.5", "no PostgreSQL", "install libpq 15 (Debian: libpq5)", symbols,
                                           sizeof symbols / sizeof *symbols};
    if (pq.loaded)
        return true;
    secure_prepare();
    pq.loaded = library_load(&library, err);
    return pq.loaded;
}

struct postgres_line {
    struct line line;
    PGconn *connection;
    bool columns;  /* of the answer at hand are told */
    bool failed;   /* the answer is an error */
    bool resets;   /* what comes is the answer to that */
};

static struct postgres_line *postgres_of(struct line *line)
{
    return IO_OWNER(line, struct postgres_line, line);
}

/* The library's words, as one line. */
static void say_why(struct line *line, const char *text)
{
    char *at = line->err.message;
    size_t size = strcspn(text, "\n");
    if (!size)
        err_set(&line->err, ERR_SYSTEM, "the server ended the connection");
    else
        err_set(&line->err, ERR_SYSTEM, "%.*s", (int)(size < 300 ? size : 300), text);
    for (; *at; at++)
        if (*at == '\n')
            *at = ' ';
}

static void fail(struct postgres_line *line)
{
    say_why(&line->line, pq.PQerrorMessage(line->connection));
    line_break(&line->line);
}

/* ---- answers ---- */

static void add_text(struct line *line, const char *text)
{
    struct str bytes = str_of(text ? text : "");
    const struct storage_value value = !text                              ? storage_null()
                                       : utf8_valid(bytes.ptr, bytes.len) ? storage_text(bytes)
                                                                          : storage_text(STR("?"));
    frame_add(&line->answer, &value);
}

static void add_number(struct line *line, int64_t number)
{
    const struct storage_value value = storage_integer(number);
    frame_add(&line->answer, &value);
}

static void begin_answer(struct line *line, int64_t kind)
{
    line->answer.out->size = line->answer.start;
    frame_begin(&line->answer, &line->room, FRAME_ANSWER_MAX);
    add_number(line, kind);
}

/* What PostgreSQL tells of an error beside its text, by the names that guests know. */
static const struct {
    const char *name;
    int field;
} extras[] = {
    {"column", PG_DIAG_COLUMN_NAME}, {"constraint", PG_DIAG_CONSTRAINT_NAME}, {"routine", PG_DIAG_SOURCE_FUNCTION},
    {"hint", PG_DIAG_MESSAGE_HINT},  {"table", PG_DIAG_TABLE_NAME},           {"datatype", PG_DIAG_DATATYPE_NAME},
    {"schema", PG_DIAG_SCHEMA_NAME}, {"file", PG_DIAG_SOURCE_FILE},           {"line", PG_DIAG_SOURCE_LINE},
    {"where_", PG_DIAG_CONTEXT},
};

static void take_error(struct postgres_line *line, const PGresult *result)
{
    struct line *base = &line->line;
    const char *code = pq.PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *severity = pq.PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *message = pq.PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    line->failed = true;
    begin_answer(base, STORAGE_QUERY_ERROR);
    if (!message) { /* the library's own */
        say_why(base, pq.PQresultErrorMessage(result));
        message = base->err.message;
    }
    add_text(base, severity ? severity : "ERROR");
    add_text(base, code ? code : "");
    add_text(base, message);
    add_text(base, pq.PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL));
    for (size_t i = 0; i < sizeof extras / sizeof *extras; i++) {
        const char *value = pq.PQresultErrorField(result, extras[i].field);
        if (value) {
            add_text(base, extras[i].name);
            add_text(base, value);
        }
    }
}

static void take_columns(struct postgres_line *line, const PGresult *result)
{
    int count = pq.PQnfields(result);
    if (line->columns)
        return;
    line->columns = true;
    add_number(&line->line, count);
    for (int i = 0; i < count; i++) {
        add_text(&line->line, pq.PQfname(result, i));
        add_number(&line->line, pq.PQftype(result, i));
    }
}

static void take_row(struct postgres_line *line, const PGresult *result, int row)
{
    for (int i = 0; i < pq.PQnfields(result); i++) {
        struct str bytes = {pq.PQgetvalue(result, row, i), (size_t)pq.PQgetlength(result, row, i)};
        const struct storage_value value = pq.PQgetisnull(result, row, i) ? storage_null() : storage_blob(bytes);
        frame_add(&line->line.answer, &value);
    }
}

static void take_changes(struct postgres_line *line, PGresult *result)
{
    long long changes = 0;
    const char *text = pq.PQcmdTuples(result);
    for (; *text >= '0' && *text <= '9'; text++)
        changes = changes * 10 + (*text - '0');
    if (!line->columns)
        take_columns(line, result);
    add_number(&line->line, changes);
}

static void take_result(struct postgres_line *line, PGresult *result)
{
    if (line->resets && pq.PQresultStatus(result) != PGRES_COMMAND_OK)
        line_break(&line->line);
    if (line->failed || line->resets)
        return;
    switch (pq.PQresultStatus(result)) {
    case PGRES_SINGLE_TUPLE:
        take_columns(line, result);
        for (int i = 0; i < pq.PQntuples(result); i++)
            take_row(line, result, i);
        break;
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
    case PGRES_EMPTY_QUERY: take_changes(line, result); break;
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH:
        err_set(&line->line.err, ERR_UNSUPPORTED, "COPY is not offered");
        line_break(&line->line);
        break;
    default: take_error(line, result); break;
    }
    if (line->line.answer.failed) { /* the rest of it is not waited for */
        err_set(&line->line.err, ERR_LIMIT, STORAGE_EXCEEDS " of %zu bytes or %u values", FRAME_ANSWER_MAX,
                FRAME_VALUES_MAX);
        line_break(&line->line);
    }
}

static void finish(struct postgres_line *line)
{
    if (line->line.state != LINE_BUSY)
        return;
    PGTransactionStatusType status = pq.PQtransactionStatus(line->connection);
    if (status == PQTRANS_UNKNOWN)
        fail(line);
    else
        line_answer(&line->line, STORAGE_DONE);
    line->line.touched &= !line->resets;
    line->resets = false;
}

/* Nothing is there to be received: neither bytes nor the end. */
static bool is_dry(const struct postgres_line *line)
{
    char byte;
    return recv(pq.PQsocket(line->connection), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

/* What has come; events are edges, so until nothing is there. */
static void receive(struct postgres_line *line)
{
    do {
        if (!pq.PQconsumeInput(line->connection)) {
            fail(line);
            return;
        }
        while (line->line.state == LINE_BUSY && !pq.PQisBusy(line->connection)) {
            PGresult *result = pq.PQgetResult(line->connection);
            if (!result) {
                finish(line);
                return;
            }
            take_result(line, result);
            pq.PQclear(result);
        }
    } while (line->line.state == LINE_BUSY && !is_dry(line));
    if (line->line.state == LINE_READY && pq.PQstatus(line->connection) != CONNECTION_OK)
        fail(line);
}

/* ---- the beginning ---- */

static void ignore_notice(void *arg, const char *message)
{
}

/* The value of NAME=VALUE in the address's query. */
static bool option(struct str query, struct str name, char *room, size_t size)
{
    while (query.len) {
        size_t end = str_find(query, '&'), equals = str_find(str_slice(query, 0, end), '=');
        if (str_eq(str_slice(query, 0, equals), name) && equals < end) { /* what is cut off was no value anyway */
            snprintf(room, size, "%.*s", (int)(end - equals - 1), query.ptr + equals + 1);
            return true;
        }
        query = str_slice(query, end < query.len ? end + 1 : end, query.len);
    }
    return false;
}

/* The socket may be another one after each step. */
static bool watch(struct postgres_line *line)
{
    struct line *base = &line->line;
    if (base->watch.fd >= 0)
        io_unwatch(base->loop, &base->watch);
    base->watch.fd = pq.PQsocket(line->connection);
    if (base->watch.fd < 0)
        return err_set(&base->err, ERR_SYSTEM, "the server cannot be reached");
    if (io_watch(base->loop, &base->watch, &base->err))
        return true;
    base->watch.fd = -1;
    return false;
}

static void connect_step(struct postgres_line *line)
{
    struct line *base = &line->line;
    if (base->watch.fd >= 0)
        io_unwatch(base->loop, &base->watch); /* the library may close it */
    base->watch.fd = -1;
    switch (pq.PQconnectPoll(line->connection)) {
    case PGRES_POLLING_FAILED: fail(line); return;
    case PGRES_POLLING_OK:
        base->reached = true;
        if (pq.PQsetnonblocking(line->connection, 1) != 0)
            fail(line);
        else
            line_answer(base, STORAGE_DONE);
        break;
    default: break;
    }
    if (base->state != LINE_BROKEN && !watch(line))
        line_break(base);
}

static void text_copy(char *room, size_t size, struct str text)
{
    snprintf(room, size, "%.*s", STR_ARG(text));
}

static void open_line(struct line *base, const struct ip_endpoint *to)
{
    struct postgres_line *line = postgres_of(base);
    const struct target *target = base->target;
    char address[IP_TEXT_MAX], port[8], host[256], user[1024], password[4096], database[1024], mode[32];
    ip_text(&to->address, address);
    snprintf(port, sizeof port, "%u", to->port);
    text_copy(host, sizeof host, target->host);
    text_copy(user, sizeof user, target->user);
    text_copy(password, sizeof password, target->password);
    text_copy(database, sizeof database, target->path.len ? target->path : target->user);
    if (!option(target->query, STR("sslmode"), mode, sizeof mode))
        snprintf(mode, sizeof mode, "prefer");
    if (strcmp(mode, "require") == 0) /* of the server that is meant, as guests of Spin have it */
        snprintf(mode, sizeof mode, "verify-full");
    bool verifies = strncmp(mode, "verify-", 7) == 0; /* with authorities at hand, libpq would try in any mode */
    const char *const names[] = {"host",       "hostaddr",        "port",        "user",     "password",
                                 "dbname",     "sslmode",         "sslrootcert", "passfile", "sslcert",
                                 "gssencmode", "client_encoding", NULL};
    const char *const values[] = {
        host,    address, port,      user,   password, database, mode, verifies ? confine_authorities() : "",
        NO_FILE, NO_FILE, "disable", "UTF8", NULL};
    base->state = LINE_OPENING;
    line->connection = pq.PQconnectStartParams(names, values, 0);
    explicit_bzero(password, sizeof password);
    if (!line->connection) {
        err_memory(&base->err);
        line_break(base);
        return;
    }
    pq.PQsetNoticeProcessor(line->connection, ignore_notice, NULL);
    if (pq.PQstatus(line->connection) == CONNECTION_BAD)
        fail(line);
    else if (!watch(line))
        line_break(base);
}

static void step(struct line *base, unsigned events)
{
    struct postgres_line *line = postgres_of(base);
    if (base->state == LINE_OPENING) {
        connect_step(line);
        return;
    }
    if (pq.PQflush(line->connection) < 0)
        fail(line);
    else
        receive(line);
}

static void close_line(struct line *base)
{
    struct postgres_line *line = postgres_of(base);
    if (line->connection)
        pq.PQfinish(line->connection);
    line->connection = NULL;
    base->watch.fd = -1;
}

/* ---- statements ---- */

struct parameters {
    const char **value;
    int *length, *format;
    char *bytes; /* texts with their ends */
};

static bool make_parameters(struct parameters *ret, const struct storage_value *values, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += values[i].type >= STORAGE_TEXT ? values[i].bytes.len + 1 : 1;
    ret->value = mem_alloc(count + 1, sizeof *ret->value);
    ret->length = mem_alloc(count + 1, sizeof *ret->length);
    ret->format = mem_alloc(count + 1, sizeof *ret->format);
    char *at = ret->bytes = mem_alloc(1, size + 1);
    if (!ret->value || !ret->length || !ret->format || !at)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (values[i].type < STORAGE_TEXT)
            continue; /* NULL */
        if (values[i].bytes.len)
            memcpy(at, values[i].bytes.ptr, values[i].bytes.len);
        ret->value[i] = at;
        ret->length[i] = (int)values[i].bytes.len;
        ret->format[i] = values[i].type == STORAGE_BLOB;
        at += values[i].bytes.len + 1;
    }
    return true;
}

static void free_parameters(struct parameters *parameters)
{
    mem_free(parameters->value);
    mem_free(parameters->length);
    mem_free(parameters->format);
    mem_free(parameters->bytes);
}

static void refuse(struct line *line, const char *why)
{
    err_set(&line->err, ERR_INVALID, "%s", why);
    line_answer(line, STORAGE_FAILED);
}

static bool is_query(uint32_t operation, const struct storage_value *values, size_t count)
{
    bool good = operation == STORAGE_QUERY && count >= 1 && count <= PARAMETERS_MAX && values[0].type == STORAGE_TEXT;
    for (size_t i = 0; good && i < count; i++) /* texts end at their end */
        good = values[i].type != STORAGE_TEXT || str_find(values[i].bytes, '\0') == values[i].bytes.len;
    return good;
}

static void ask(struct line *base, uint32_t operation, const struct storage_value *values, size_t count)
{
    struct postgres_line *line = postgres_of(base);
    struct parameters parameters = {0};
    if (!is_query(operation, values, count)) {
        refuse(base, "a statement and its texts hold no zero byte, and there are at most 65534 parameters");
        return;
    }
    char *statement = mem_alloc(1, values[0].bytes.len + 1);
    bool made = statement && make_parameters(&parameters, values + 1, count - 1);
    if (made) {
        memcpy(statement, values[0].bytes.ptr, values[0].bytes.len);
        begin_answer(base, STORAGE_QUERY_ROWS);
        line->columns = line->failed = false;
        base->touched = true; /* settings, locks, tables: nobody knows what a statement leaves behind */
        base->state = LINE_BUSY;
        bool sent = pq.PQsendQueryParams(line->connection, statement, (int)count - 1, NULL, parameters.value,
                                         parameters.length, parameters.format, 1) &&
                    pq.PQsetSingleRowMode(line->connection) && pq.PQflush(line->connection) >= 0;
        if (!sent)
            fail(line);
    } else {
        refuse(base, "out of memory");
    }
    mem_free(statement);
    free_parameters(&parameters);
}

/* What is in a transaction ends with its line. */
static bool reset(struct line *base)
{
    struct postgres_line *line = postgres_of(base);
    if (pq.PQtransactionStatus(line->connection) != PQTRANS_IDLE || !pq.PQsendQuery(line->connection, "DISCARD ALL") ||
        pq.PQflush(line->connection) < 0)
        return false;
    line->resets = true;
    base->state = LINE_BUSY;
    return true;
}

const struct protocol postgres_protocol = {.size = sizeof(struct postgres_line),
                                           .load = load,
                                           .open = open_line,
                                           .step = step,
                                           .ask = ask,
                                           .reset = reset,
                                           .close = close_line};
