/* See mysql.h.
 *
 * A call of the library that would wait says for what, and is gone on with when that may be there: a line is in one
 * such call at a time, and each has what follows it. Statements are prepared, so that parameters are never part of
 * their text. A column's type is told by the number that the host functions have for it (enum storage_column); integers
 * and reals come as such, all else as bytes. */
#include "services/mysql.h"

#include "base/alloc.h"
#include "services/mysql_line.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define COLUMNS_MAX 4096u
#define PARAMETERS_MAX 65535u

void mysql_break(struct mysql_line *line, const char *text)
{
    err_set(&line->line.err, ERR_SYSTEM, "%.300s", *text ? text : "the server ended the connection");
    line_break(&line->line);
}

/* ---- answers ---- */

static void add(struct mysql_line *line, struct storage_value value)
{
    frame_add(&line->line.answer, &value);
}

static void add_text(struct mysql_line *line, const char *text)
{
    struct str bytes = str_of(text);
    add(line, storage_text(utf8_valid(bytes.ptr, bytes.len) ? bytes : STR("?")));
}

static void begin_answer(struct mysql_line *line, int64_t kind)
{
    struct line *base = &line->line;
    base->room.size = 0;
    frame_begin(&base->answer, &base->room, FRAME_ANSWER_MAX);
    add(line, storage_integer(kind));
}

static void free_statement_memory(struct mysql_line *line)
{
    mem_free(line->binds);
    mem_free(line->parameters);
    mem_free(line->columns);
    mem_free(line->values);
    line->binds = line->parameters = NULL;
    line->columns = NULL;
    line->values = NULL;
    line->column_count = 0;
}

static int go_on_closing(struct mysql_line *line, int events)
{
    return my.mysql_stmt_close_cont(&line->closed, line->statement, events);
}

static void closed(struct mysql_line *line)
{
    line->statement = NULL;
    free_statement_memory(line);
    line_answer(&line->line, STORAGE_DONE);
}

static void close_statement(struct mysql_line *line)
{
    line->go_on = go_on_closing;
    line->then = closed;
    mysql_went(line, my.mysql_stmt_close_start(&line->closed, line->statement));
}

/* The server's error is an answer; one of the library (2000 and more) is the end. */
static void refused(struct mysql_line *line)
{
    unsigned code = my.mysql_stmt_errno(line->statement);
    if (code >= 2000 && code < 3000) {
        mysql_break(line, my.mysql_stmt_error(line->statement));
        return;
    }
    begin_answer(line, STORAGE_QUERY_ERROR);
    add_text(line, "ERROR");
    add_text(line, my.mysql_stmt_sqlstate(line->statement));
    add_text(line, my.mysql_stmt_error(line->statement));
    add(line, storage_null());
    close_statement(line);
}

/* ---- rows ---- */

static void too_large(struct mysql_line *line)
{
    err_set(&line->line.err, ERR_LIMIT, STORAGE_EXCEEDS " of %zu bytes or %u values", FRAME_ANSWER_MAX,
            FRAME_VALUES_MAX);
    line_break(&line->line); /* the rest of it is not waited for */
}

static bool is_integer(enum storage_column type)
{
    return type >= STORAGE_COLUMN_INT8 && type <= STORAGE_COLUMN_UINT64;
}

static bool is_real(enum storage_column type)
{
    return type == STORAGE_COLUMN_FLOATING32 || type == STORAGE_COLUMN_FLOATING64;
}

/* Bytes are fetched when their number is known. False: no memory. */
static bool add_bytes(struct mysql_line *line, unsigned at)
{
    struct column *column = &line->columns[at];
    char *bytes = mem_alloc(1, column->length + 1);
    my_bool null = 0;
    unsigned long length = 0;
    MYSQL_BIND bind = {.buffer_type = MYSQL_TYPE_BLOB, .buffer = bytes, .buffer_length = column->length};
    bind.length = &length;
    bind.is_null = &null;
    if (bytes && column->length)
        my.mysql_stmt_fetch_column(line->statement, &bind, at, 0);
    if (bytes)
        add(line, storage_blob((struct str){bytes, column->length}));
    mem_free(bytes);
    return bytes != NULL;
}

static bool add_row(struct mysql_line *line)
{
    bool done = true;
    for (unsigned i = 0; done && i < line->column_count; i++) {
        const struct column *column = &line->columns[i];
        if (column->null)
            add(line, storage_null());
        else if (is_integer(column->type))
            add(line, storage_integer(column->integer));
        else if (is_real(column->type))
            add(line, (struct storage_value){.type = STORAGE_REAL, .real = column->real});
        else if (column->length > FRAME_ANSWER_MAX)
            done = false;
        else
            done = add_bytes(line, i);
    }
    return done && !line->line.answer.failed;
}

static int go_on_fetching(struct mysql_line *line, int events)
{
    return my.mysql_stmt_fetch_cont(&line->result, line->statement, events);
}

/* Rows that are there are taken without a wait; a loop, because there may be many. */
static void fetched(struct mysql_line *line)
{
    while (line->waits == 0) {
        if (line->result == MYSQL_NO_DATA) {
            add(line, storage_integer(0));
            close_statement(line);
            return;
        }
        if (line->result != 0 && line->result != MYSQL_DATA_TRUNCATED) {
            refused(line);
            return;
        }
        if (!add_row(line)) {
            too_large(line);
            return;
        }
        line->waits = my.mysql_stmt_fetch_start(&line->result, line->statement);
    }
}

static void fetch(struct mysql_line *line)
{
    line->go_on = go_on_fetching;
    line->then = fetched;
    mysql_went(line, my.mysql_stmt_fetch_start(&line->result, line->statement));
}

/* ---- columns ---- */

static const struct {
    enum enum_field_types type;
    enum storage_column is, is_unsigned; /* or, of texts, when it is binary */
} types[] = {
    {MYSQL_TYPE_TINY, STORAGE_COLUMN_INT8, STORAGE_COLUMN_UINT8},
    {MYSQL_TYPE_SHORT, STORAGE_COLUMN_INT16, STORAGE_COLUMN_UINT16},
    {MYSQL_TYPE_INT24, STORAGE_COLUMN_INT32, STORAGE_COLUMN_UINT32},
    {MYSQL_TYPE_LONG, STORAGE_COLUMN_INT32, STORAGE_COLUMN_UINT32},
    {MYSQL_TYPE_LONGLONG, STORAGE_COLUMN_INT64, STORAGE_COLUMN_UINT64},
    {MYSQL_TYPE_FLOAT, STORAGE_COLUMN_FLOATING32, STORAGE_COLUMN_FLOATING32},
    {MYSQL_TYPE_DOUBLE, STORAGE_COLUMN_FLOATING64, STORAGE_COLUMN_FLOATING64},
    {MYSQL_TYPE_BLOB, STORAGE_COLUMN_STR, STORAGE_COLUMN_BINARY},
    {MYSQL_TYPE_TINY_BLOB, STORAGE_COLUMN_STR, STORAGE_COLUMN_BINARY},
    {MYSQL_TYPE_MEDIUM_BLOB, STORAGE_COLUMN_STR, STORAGE_COLUMN_BINARY},
    {MYSQL_TYPE_LONG_BLOB, STORAGE_COLUMN_STR, STORAGE_COLUMN_BINARY},
    {MYSQL_TYPE_STRING, STORAGE_COLUMN_STR, STORAGE_COLUMN_BINARY},
    {MYSQL_TYPE_VAR_STRING, STORAGE_COLUMN_STR, STORAGE_COLUMN_BINARY},
};

static enum storage_column type_of(const MYSQL_FIELD *field)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (types[i].type != field->type)
            continue;
        bool other =
            types[i].is == STORAGE_COLUMN_STR ? (field->flags & BINARY_FLAG) != 0 : (field->flags & UNSIGNED_FLAG) != 0;
        return other ? types[i].is_unsigned : types[i].is;
    }
    return STORAGE_COLUMN_OTHER;
}

static void bind_column(MYSQL_BIND *bind, struct column *column)
{
    bind->is_null = &column->null;
    bind->length = &column->length;
    if (is_integer(column->type)) {
        bind->buffer_type = MYSQL_TYPE_LONGLONG;
        bind->buffer = &column->integer;
        bind->buffer_length = sizeof column->integer;
        bind->is_unsigned = column->type >= STORAGE_COLUMN_UINT8;
    } else if (is_real(column->type)) {
        bind->buffer_type = MYSQL_TYPE_DOUBLE;
        bind->buffer = &column->real;
        bind->buffer_length = sizeof column->real;
    } else {
        bind->buffer_type = MYSQL_TYPE_BLOB;
    }
}

static bool take_columns(struct mysql_line *line)
{
    MYSQL_RES *head = my.mysql_stmt_result_metadata(line->statement);
    const MYSQL_FIELD *fields = head ? my.mysql_fetch_fields(head) : NULL;
    unsigned count = my.mysql_stmt_field_count(line->statement);
    bool good = fields && count <= COLUMNS_MAX;
    line->columns = good ? mem_alloc(count, sizeof *line->columns) : NULL;
    line->binds = good ? mem_alloc(count, sizeof *line->binds) : NULL;
    good = line->columns && line->binds;
    add(line, storage_integer(count));
    for (unsigned i = 0; good && i < count; i++) {
        line->columns[i].type = type_of(&fields[i]);
        bind_column(&line->binds[i], &line->columns[i]);
        add_text(line, fields[i].name);
        add(line, storage_integer(line->columns[i].type));
    }
    line->column_count = good ? count : 0;
    if (head)
        my.mysql_free_result(head);
    return good && my.mysql_stmt_bind_result(line->statement, line->binds) == 0;
}

static void executed(struct mysql_line *line)
{
    if (line->result != 0) {
        refused(line);
    } else if (my.mysql_stmt_field_count(line->statement) == 0) {
        add(line, storage_integer(0));
        add(line, storage_integer((int64_t)my.mysql_stmt_affected_rows(line->statement)));
        close_statement(line);
    } else if (take_columns(line)) {
        fetch(line);
    } else {
        mysql_break(line, "no memory for the answer, or more columns than 4096");
    }
}

static int go_on_executing(struct mysql_line *line, int events)
{
    return my.mysql_stmt_execute_cont(&line->result, line->statement, events);
}

/* ---- statements ---- */

/* They lie behind the statement's text: `line->values` has all of it. */
static bool bind_parameters(struct mysql_line *line, const struct storage_value *values, size_t count)
{
    line->parameters = mem_alloc(count + 1, sizeof *line->parameters);
    for (size_t i = 0; line->parameters && i < count; i++) {
        MYSQL_BIND *bind = &line->parameters[i];
        bind->buffer_type = values[i].type == STORAGE_NULL      ? MYSQL_TYPE_NULL
                            : values[i].type == STORAGE_INTEGER ? MYSQL_TYPE_LONGLONG
                            : values[i].type == STORAGE_REAL    ? MYSQL_TYPE_DOUBLE
                            : values[i].type == STORAGE_TEXT    ? MYSQL_TYPE_STRING
                                                                : MYSQL_TYPE_BLOB;
    }
    return line->parameters != NULL;
}

/* Copies of the statement and of the parameters, which the server gets later. */
static bool copy_values(struct mysql_line *line, const struct storage_value *values, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += 8 + (values[i].type >= STORAGE_TEXT ? (values[i].bytes.len + 7) / 8 * 8 : 0);
    line->values = mem_alloc(1, size + 8);
    if (!line->values || !bind_parameters(line, values + 1, count - 1))
        return false;
    char *at = line->values;
    for (size_t i = 0; i < count; i++) {
        size_t length = values[i].type >= STORAGE_TEXT ? values[i].bytes.len : 8;
        const void *from = values[i].type >= STORAGE_TEXT ? (const void *)values[i].bytes.ptr : &values[i].integer;
        if (length)
            memcpy(at, from, length);
        if (i) {
            line->parameters[i - 1].buffer = at;
            line->parameters[i - 1].buffer_length = length;
        }
        at += 8 + (values[i].type >= STORAGE_TEXT ? (length + 7) / 8 * 8 : 0);
    }
    return true;
}

static void prepared(struct mysql_line *line)
{
    if (line->result == 0 && my.mysql_stmt_bind_param(line->statement, line->parameters) == 0) {
        line->go_on = go_on_executing;
        line->then = executed;
        mysql_went(line, my.mysql_stmt_execute_start(&line->result, line->statement));
        return;
    }
    refused(line);
}

static int go_on_preparing(struct mysql_line *line, int events)
{
    return my.mysql_stmt_prepare_cont(&line->result, line->statement, events);
}

/* How many there are is known when it is prepared. */
static void check_count(struct mysql_line *line)
{
    if (line->result == 0 && my.mysql_stmt_param_count(line->statement) != line->given) {
        begin_answer(line, STORAGE_QUERY_ERROR);
        add_text(line, "ERROR");
        add_text(line, "07001");
        add_text(line, "the statement has another number of parameters");
        add(line, storage_null());
        close_statement(line);
        return;
    }
    prepared(line);
}

static void refuse(struct line *line, const char *why)
{
    err_set(&line->err, ERR_INVALID, "%s", why);
    line_answer(line, STORAGE_FAILED);
}

static void ask(struct line *base, uint32_t operation, const struct storage_value *values, size_t count)
{
    struct mysql_line *line = mysql_of(base);
    if (operation != STORAGE_QUERY || count < 1 || count > PARAMETERS_MAX || values[0].type != STORAGE_TEXT) {
        refuse(base, "this is no statement");
        return;
    }
    line->statement = my.mysql_stmt_init(line->mysql);
    if (!line->statement || !copy_values(line, values, count)) {
        mysql_break(line, "out of memory");
        return;
    }
    base->touched = true; /* settings, transactions, tables: nobody knows what a statement leaves behind */
    base->state = LINE_BUSY;
    line->given = count - 1;
    begin_answer(line, STORAGE_QUERY_ROWS);
    line->go_on = go_on_preparing;
    line->then = check_count;
    mysql_went(line, my.mysql_stmt_prepare_start(&line->result, line->statement, line->values, values[0].bytes.len));
}

/* Nothing was asked: it ended, or says that it will. */
static void step_idle(struct mysql_line *line)
{
    char byte;
    if (recv(line->line.watch.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN)
        mysql_break(line, "");
}

static void step(struct line *base, unsigned events)
{
    struct mysql_line *line = mysql_of(base);
    int found = ((events & (IO_IN | IO_END | IO_ERROR)) ? MYSQL_WAIT_READ : 0) |
                ((events & (IO_OUT | IO_ERROR)) ? MYSQL_WAIT_WRITE : 0);
    if (base->state == LINE_READY)
        step_idle(line);
    else if (!(found & line->waits))
        return;
    else if (base->state == LINE_OPENING)
        mysql_step_opening(line, found & line->waits);
    else
        mysql_went(line, line->go_on(line, found & line->waits));
}

/* ---- the end ---- */

/* The library would say goodbye to the server and wait until it is heard: by then the socket is shut. */
static void close_line(struct line *base)
{
    struct mysql_line *line = mysql_of(base);
    mysql_stop_opening(line);
    if (line->mysql && (int)my.mysql_get_socket(line->mysql) >= 0)
        shutdown((int)my.mysql_get_socket(line->mysql), SHUT_RDWR);
    if (line->mysql)
        my.mysql_close(line->mysql); /* its statements are without it afterwards */
    if (line->statement)
        my.mysql_stmt_close(line->statement);
    line->mysql = NULL;
    line->statement = NULL;
    free_statement_memory(line);
    explicit_bzero(line->password, sizeof line->password);
    base->watch.fd = -1;
}

static void reset_done(struct mysql_line *line)
{
    if (line->result != 0) {
        mysql_break(line, my.mysql_error(line->mysql));
        return;
    }
    line->line.touched = false;
    line_answer(&line->line, STORAGE_DONE);
}

static int go_on_resetting(struct mysql_line *line, int events)
{
    return my.mysql_reset_connection_cont(&line->result, line->mysql, events);
}

static bool reset(struct line *base)
{
    struct mysql_line *line = mysql_of(base);
    base->state = LINE_BUSY;
    line->go_on = go_on_resetting;
    line->then = reset_done;
    mysql_went(line, my.mysql_reset_connection_start(&line->result, line->mysql));
    return base->state != LINE_BROKEN;
}

const struct protocol mysql_protocol = {.size = sizeof(struct mysql_line),
                                        .load = mysql_load,
                                        .open = mysql_open,
                                        .step = step,
                                        .ask = ask,
                                        .reset = reset,
                                        .close = close_line};
