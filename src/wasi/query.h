/* What the interfaces of database servers share: a statement in a connection, and what came of it. */
#ifndef MAYFLY_WASI_QUERY_H
#define MAYFLY_WASI_QUERY_H

#include "wasi/service.h"

enum query_fault {
    QUERY_SOUND,
    QUERY_NOT_CONNECTED,
    QUERY_BAD_PARAMETER,
    QUERY_FAILED,
    QUERY_NOT_CONVERTED,
    QUERY_OTHER
};

struct query_outcome {
    enum query_fault fault;
    struct str message; /* when it is not sound */
    const struct storage_value *error; /* the server's: severity, code, message, detail, pairs; or NULL */
    size_t error_count;
    /* When it is sound: a name and the number of a type for each column, and the values row by row. */
    const struct storage_value *columns, *cells;
    size_t column_count, row_count;
    uint64_t changes;
};

/* `values`: room for the session's number and the statement, then the parameters. False: trap. */
bool query_run(struct host *h, const struct service_session *session, struct str statement,
               struct storage_value *values, size_t count, struct query_outcome *ret);
/* Room for these. NULL: trap. */
struct storage_value *query_room(struct host *h, size_t parameters);

/* The outcome is a fault, with a message that is a constant. */
void query_fail(struct query_outcome *outcome, enum query_fault fault, const char *message);
/* A text of digits and such, in scratch memory. False: trap. */
bool query_text(struct host *h, struct storage_value *ret, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
