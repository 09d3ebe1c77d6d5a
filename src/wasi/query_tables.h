/* What the versions of the interfaces of MySQL and PostgreSQL have in common but for the names of the generated types:
 * tables, runs of statements, connections that are resources, and calls with an address instead. Only their files
 * include it. */
#ifndef MAYFLY_WASI_QUERY_TABLES_H
#define MAYFLY_WASI_QUERY_TABLES_H

#include "wasi/query.h"

/* `name`: of the types in C, which has
 *     name_type(int64_t type)          the interface's number of a column's type
 *     name_give(cell, type)            a value from the storage's; what cannot be read is not supported
 *     name_take(h, value, ret, outcome)  and into it. False: trap or, with the outcome a fault, one that cannot be */
#define QUERY_TABLES(name)                                                                                             \
    static bool name##_rows(struct host *h, const struct query_outcome *outcome, struct name##_row_set *ret)           \
    {                                                                                                                  \
        size_t count = outcome->column_count, rows = outcome->row_count;                                               \
        struct name##_column *columns = ARENA_ARRAY(&h->scratch, struct name##_column, count);                         \
        struct list_##name##_db_value *lines = ARENA_ARRAY(&h->scratch, struct list_##name##_db_value, rows);          \
        struct name##_db_value *cells = ARENA_ARRAY(&h->scratch, struct name##_db_value, rows * count);                \
        if (!columns || !lines || !cells)                                                                              \
            return host_no_memory(h);                                                                                  \
        for (size_t i = 0; i < count; i++)                                                                             \
            columns[i] = (struct name##_column){outcome->columns[2 * i].bytes,                                         \
                                                name##_type(outcome->columns[2 * i + 1].integer)};                     \
        for (size_t i = 0; i < rows * count; i++)                                                                      \
            cells[i] = name##_give(&outcome->cells[i], outcome->columns[2 * (i % count) + 1].integer);                 \
        for (size_t i = 0; i < rows; i++)                                                                              \
            lines[i] = (struct list_##name##_db_value){cells + i * count, count};                                      \
        ret->columns = (struct list_##name##_column){columns, count};                                                  \
        ret->rows = (struct list_list_##name##_db_value){lines, rows};                                                 \
        return true;                                                                                                   \
    }                                                                                                                  \
    static bool name##_run(struct host *h, const struct service_session *session, struct str statement,                \
                           struct list_##name##_parameter_value parameters, struct query_outcome *ret)                 \
    {                                                                                                                  \
        struct storage_value *values = query_room(h, parameters.len);                                                  \
        *ret = (struct query_outcome){0};                                                                              \
        for (size_t i = 0; values && i < parameters.len; i++)                                                          \
            if (!name##_take(h, &parameters.ptr[i], &values[i + 2], ret))                                              \
                return ret->fault != QUERY_SOUND; /* or a trap */                                                      \
        return values && query_run(h, session, statement, values, parameters.len + 2, ret);                            \
    }

/* QUERY_NOT_CONNECTED, ... are the errors' order. */
#define QUERY_FAULT(outcome) ((int)(outcome).fault - (int)QUERY_NOT_CONNECTED)

/* What `execute` gives: nothing, or how many rows it changed. */
#define QUERY_GIVES_NOTHING(ret, outcome)
#define QUERY_GIVES_CHANGES(ret, outcome) (ret)->ok = (outcome).changes;

/* `name` of the functions, `types` of the types, `connection` of the resource, which is defined here; `KIND`: the
 * service; `executed` and `GIVES`: what `execute` returns. */
#define QUERY_CONNECTIONS(name, types, connection, KIND, executed, GIVES)                                              \
    struct connection {                                                                                                \
        struct service_session session;                                                                                \
    };                                                                                                                 \
    static struct types##_error name##_error_of(int fault, struct str message)                                         \
    {                                                                                                                  \
        return (struct types##_error){.tag = (enum types##_error_tag)fault, .connection_failed = message};             \
    }                                                                                                                  \
    bool name##_connection_open(struct host *h, struct str address, struct result_##connection##_##types##_error *ret) \
    {                                                                                                                  \
        struct service_opened opened;                                                                                  \
        if (!service_open_text(h, KIND, address, HOST_SIZE_OF(struct connection), &opened))                            \
            return false;                                                                                              \
        ret->err = opened.opening != SERVICE_OPEN;                                                                     \
        if (ret->err)                                                                                                  \
            ret->error = name##_error_of(0, opened.message);                                                           \
        else                                                                                                           \
            ret->ok = (struct connection *)opened.session;                                                             \
        return true;                                                                                                   \
    }                                                                                                                  \
    bool name##_connection_query(struct host *h, struct connection *self, struct str statement,                        \
                                 struct list_##types##_parameter_value params,                                         \
                                 struct result_##types##_row_set_##types##_error *ret)                                 \
    {                                                                                                                  \
        struct query_outcome outcome;                                                                                  \
        if (!types##_run(h, &self->session, statement, params, &outcome))                                              \
            return false;                                                                                              \
        ret->err = outcome.fault != QUERY_SOUND;                                                                       \
        if (ret->err)                                                                                                  \
            ret->error = name##_error_of(QUERY_FAULT(outcome), outcome.message);                                       \
        return ret->err || types##_rows(h, &outcome, &ret->ok);                                                        \
    }                                                                                                                  \
    bool name##_connection_execute(struct host *h, struct connection *self, struct str statement,                      \
                                   struct list_##types##_parameter_value params,                                       \
                                   struct result_##executed##_##types##_error *ret)                                    \
    {                                                                                                                  \
        struct query_outcome outcome;                                                                                  \
        if (!types##_run(h, &self->session, statement, params, &outcome))                                              \
            return false;                                                                                              \
        ret->err = outcome.fault != QUERY_SOUND;                                                                       \
        if (ret->err)                                                                                                  \
            ret->error = name##_error_of(QUERY_FAULT(outcome), outcome.message);                                       \
        else {                                                                                                         \
            GIVES(ret, outcome)                                                                                        \
        }                                                                                                              \
        return true;                                                                                                   \
    }                                                                                                                  \
    void connection##_drop(struct host *h, struct connection *self)                                                    \
    {                                                                                                                  \
        service_drop(h, &self->session);                                                                               \
    }

/* The same with an address for each call, whose connection ends with it; `failure`: of the errors, whose numbers are
 * those of faults. */
#define QUERY_ADDRESSES(name, types, failure, KIND, executed, GIVES)                                                   \
    struct name##_connection {                                                                                         \
        struct service_session session;                                                                                \
    };                                                                                                                 \
    static struct failure name##_error_of(const struct query_outcome *outcome)                                         \
    {                                                                                                                  \
        return (struct failure){.tag = (enum failure##_tag)outcome->fault, .connection_failed = outcome->message};     \
    }                                                                                                                  \
    /* False: trap. */                                                                                                 \
    static bool name##_run_alone(struct host *h, struct str address, struct str statement,                             \
                                 struct list_##types##_parameter_value params, struct query_outcome *ret)              \
    {                                                                                                                  \
        struct service_opened opened;                                                                                  \
        if (!service_open_text(h, KIND, address, HOST_SIZE_OF(struct name##_connection), &opened))                     \
            return false;                                                                                              \
        *ret = (struct query_outcome){.fault = QUERY_NOT_CONNECTED, .message = opened.message};                        \
        if (opened.opening != SERVICE_OPEN)                                                                            \
            return true;                                                                                               \
        bool done = types##_run(h, opened.session, statement, params, ret);                                            \
        if (done)                                                                                                      \
            service_drop(h, opened.session);                                                                           \
        return done;                                                                                                   \
    }                                                                                                                  \
    bool name##_query(struct host *h, struct str address, struct str statement,                                        \
                      struct list_##types##_parameter_value params, struct result_##types##_row_set_##failure *ret)    \
    {                                                                                                                  \
        struct query_outcome outcome;                                                                                  \
        if (!name##_run_alone(h, address, statement, params, &outcome))                                                \
            return false;                                                                                              \
        ret->err = outcome.fault != QUERY_SOUND;                                                                       \
        if (ret->err)                                                                                                  \
            ret->error = name##_error_of(&outcome);                                                                    \
        return ret->err || types##_rows(h, &outcome, &ret->ok);                                                        \
    }                                                                                                                  \
    bool name##_execute(struct host *h, struct str address, struct str statement,                                      \
                        struct list_##types##_parameter_value params, struct result_##executed##_##failure *ret)       \
    {                                                                                                                  \
        struct query_outcome outcome;                                                                                  \
        if (!name##_run_alone(h, address, statement, params, &outcome))                                                \
            return false;                                                                                              \
        ret->err = outcome.fault != QUERY_SOUND;                                                                       \
        if (ret->err)                                                                                                  \
            ret->error = name##_error_of(&outcome);                                                                    \
        else {                                                                                                         \
            GIVES(ret, outcome)                                                                                        \
        }                                                                                                              \
        return true;                                                                                                   \
    }

#endif
