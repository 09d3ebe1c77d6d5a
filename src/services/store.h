/* A key-value store: a SQLite database of one table.
 *
 * What was committed stays, whatever is killed afterwards, and what was not was never answered: several operations are
 * done in one transaction, and their answers sent when that is on the disk (engine.h). One process has a store at a
 * time; two are safe, and wait for each other. */
#ifndef MAYFLY_SERVICES_STORE_H
#define MAYFLY_SERVICES_STORE_H

#include "base/err.h"
#include "services/frame.h"

#define STORE_KEY_MAX 4096u               /* bytes of a key */
#define STORE_VALUE_MAX ((size_t)8 << 20) /* bytes of a value */
#define STORE_PAGE_KEYS 1000              /* of an answer that is not all keys */

struct store;

/* `folder` is there. `bytes_max`: of the file, without what is not written back yet. */
struct store *store_open(const char *folder, uint64_t bytes_max, struct err *err);
/* NULL is fine. */
void store_close(struct store *store);

/* Whether the values are such as the operation takes, each within its limits. Stores that others keep take the same. */
bool store_check(uint32_t operation, const struct storage_value *values, size_t count, struct err *err);
/* Do an operation (wasi/storage.h) of values as a worker sent them, in the transaction that it opens if it changes
 * something. The answer's values are added to `answer`; other statuses come with `err`. */
enum storage_status store_do(struct store *store, uint32_t operation, const struct storage_value *values, size_t count,
                             struct frame_writer *answer, struct err *err);
/* There are changes that are not committed, or were and are lost: commit tells. */
bool store_changed(const struct store *store);
/* STORAGE_DONE: all changes are on the disk; else none of those since the last commit are there. */
enum storage_status store_commit(struct store *store, struct err *err);

#endif
