/* The functions of SQLite that are called, loaded when they are first needed (base/library.h). */
#ifndef MAYFLY_SERVICES_SQLITE_H
#define MAYFLY_SERVICES_SQLITE_H

#include "base/err.h"
#include "base/str.h"

#include <sqlite3.h>

#define SQLITE_FUNCTIONS(X)                                                                                            \
    X(bind_blob64)                                                                                                     \
    X(bind_double)                                                                                                     \
    X(bind_int64)                                                                                                      \
    X(bind_null)                                                                                                       \
    X(bind_parameter_count)                                                                                            \
    X(bind_text64)                                                                                                     \
    X(busy_timeout)                                                                                                    \
    X(changes64)                                                                                                       \
    X(clear_bindings)                                                                                                  \
    X(close_v2)                                                                                                        \
    X(column_blob)                                                                                                     \
    X(column_bytes)                                                                                                    \
    X(column_count)                                                                                                    \
    X(column_double)                                                                                                   \
    X(column_int64)                                                                                                    \
    X(column_name)                                                                                                     \
    X(column_type)                                                                                                     \
    X(complete)                                                                                                        \
    X(db_config)                                                                                                       \
    X(errmsg)                                                                                                          \
    X(exec)                                                                                                            \
    X(extended_errcode)                                                                                                \
    X(finalize)                                                                                                        \
    X(get_autocommit)                                                                                                  \
    X(hard_heap_limit64)                                                                                               \
    X(initialize)                                                                                                      \
    X(last_insert_rowid)                                                                                               \
    X(limit)                                                                                                           \
    X(open_v2)                                                                                                         \
    X(prepare_v2)                                                                                                      \
    X(progress_handler)                                                                                                \
    X(randomness)                                                                                                      \
    X(reset)                                                                                                           \
    X(set_authorizer)                                                                                                  \
    X(step)

struct sqlite_library {
#define FIELD(name) __typeof__(&sqlite3_##name) name;
    SQLITE_FUNCTIONS(FIELD)
#undef FIELD
    bool loaded;
};

extern struct sqlite_library sqlite;

/* ERR_UNSUPPORTED: it is not installed. Afterwards the library needs no file but those that it is told to open. */
bool sqlite_load(struct err *err);

/* `folder` is made if it is not there; the file in it is a database that stands every loss of power: what was committed
 * is on the disk. Its pages are at most `bytes_max` together. */
bool sqlite_open(const char *folder, uint64_t bytes_max, sqlite3 **ret_db, struct err *err);
/* A statement of ours. */
bool sqlite_prepare(sqlite3 *db, const char *text, sqlite3_stmt **ret_statement, struct err *err);
bool sqlite_run(sqlite3 *db, const char *text, struct err *err);
/* What the library says is wrong. */
bool sqlite_fail(sqlite3 *db, struct err *err);

#endif
