/* A SQLite database for statements that guests write.
 *
 * Each session has a connection of its own, so that transactions, row numbers and counts are its own. A statement
 * reaches this database and nothing else: no other file, no extension, no setting that would outlive it or weaken the
 * file (database.c has the list). It has a time, and what it answers a size. The library runs in a process of its own
 * (engine.h), because it is a large program that strangers feed. */
#ifndef MAYFLY_SERVICES_DATABASE_H
#define MAYFLY_SERVICES_DATABASE_H

#include "base/err.h"
#include "services/frame.h"

#define DATABASE_SESSIONS_MAX 64u
#define DATABASE_STATEMENT_MAX 1000000 /* bytes */

struct database;

struct database_settings {
    uint64_t bytes_max;      /* of the file, without what is not written back yet */
    uint32_t statement_ms;   /* a statement runs so long at most */
    /* Asked now and then while a statement runs: whether anybody still wants it. */
    bool (*wanted)(void *arg);
    void *arg;
};

/* `folder` is there, and stays the caller's. */
struct database *database_open(const char *folder, const struct database_settings *settings, struct err *err);
/* NULL is fine. */
void database_close(struct database *database);

/* Do an operation (wasi/storage.h) of values as a worker sent them. *ret_busy: another session or process has the
 * database locked, nothing happened, and the same later may do. */
enum storage_status database_do(struct database *database, uint32_t operation, const struct storage_value *values,
                                size_t count, struct frame_writer *answer, bool *ret_busy, struct err *err);

#endif
