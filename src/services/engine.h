/* The process of one store or one database: the only code that touches its file. The service process (service.h) forks
 * it when somebody opens what it has, and hands over a socket of each who may.
 *
 * A store's engine serves all workers. It takes what they ask for in turns; the changes of one turn are one
 * transaction, and nothing of the turn is answered before that is on the disk. So the price of durability is shared by
 * those who wait for it, and what was answered is there.
 *
 * A database's engine serves one worker: statements are strangers' programs, and a long one holds nobody else. What
 * finds the database locked waits aside, so that whoever has it locked can go on.
 *
 * It is confined to its folder (confine.h), and ends with its parent, when nobody is left, or when a statement does not
 * end though its time is over. */
#ifndef MAYFLY_SERVICES_ENGINE_H
#define MAYFLY_SERVICES_ENGINE_H

#include "wasi/storage.h"

#include <stdbool.h>

struct engine_settings {
    uint64_t bytes_max;    /* of a file */
    uint32_t statement_ms; /* a statement runs, and waits for others, so long at most */
    uint32_t idle_ms;      /* it ends when nobody was there for so long; a connection to a server is kept so long */
    uint32_t connect_ms, answer_ms; /* a server has so long to take a connection, and to answer */
    bool confined;
};

/* Serve until the end; `control` gives descriptors (PARCEL_CHANNEL). Returns the process's status. SQLite is loaded. */
int engine_work(enum storage_kind kind, const char *label, const char *folder, const struct engine_settings *settings,
                int control);

#endif
