/* What the interfaces of key-value stores and databases share: what is granted, and calls that wait for their answer.
 */
#ifndef MAYFLY_WASI_STORAGE_CALL_H
#define MAYFLY_WASI_STORAGE_CALL_H

#include "wasi/object.h"
#include "wasi/storage.h"

#define STORAGE_SESSIONS_MAX 64u /* connections to databases of an activity */
#define STORAGE_OPENED_MAX 256u /* stores of an activity */

struct storage_answer {
    enum storage_status status;
    const struct storage_value *values; /* these and the message are scratch memory */
    uint32_t count;
    struct str message; /* when it is not done: never empty */
};

struct storage_ask {
    enum storage_kind kind;
    struct str label;
    enum storage_operation operation;
    const struct storage_value *values; /* may lie in guest memory, with what they point to */
    size_t count;
};

/* Whether the function may open it; if not, that is logged once with what would permit it. */
bool storage_granted(struct host *h, enum storage_kind kind, struct str label);
/* Ask, and wait for the answer, whose values are of the types that the operation has. False: trap. */
bool storage_ask(struct host *h, const struct storage_ask *ask, struct storage_answer *ret_answer);
/* Ask for what has no answer. */
void storage_tell(struct host *h, const struct storage_ask *ask);

/* An open key-value store. There is nothing behind it but its name. */
struct storage_store {
    struct host_node node;
    struct str label; /* memory of its own */
};

enum storage_opening { OPENING_DONE, OPENING_DENIED, OPENING_TABLE_FULL, OPENING_FAILED };

/* `*ret_store` when it is done, an answer when it failed. False: trap. */
bool storage_store_open(struct host *h, struct str label, enum storage_opening *ret_opening,
                        struct storage_store **ret_store, struct storage_answer *ret_answer);
/* Its handle is gone. */
void storage_store_drop(struct host *h, struct storage_store *store, const char *what);
/* An operation on it. */
bool storage_store_ask(struct host *h, const struct storage_store *store, enum storage_operation operation,
                       const struct storage_value *values, size_t count, struct storage_answer *ret_answer);
/* The same, where a result's error is what `error_of` of the file makes of the answer; then, and with a trap, it
 * returns. */
#define STORAGE_ASK(h, self, operation, values, count, answer, ret)                                                    \
    do {                                                                                                               \
        if (!storage_store_ask(h, &(self)->store, operation, values, count, &(answer)))                                \
            return false;                                                                                              \
        (ret)->err = (answer).status != STORAGE_DONE;                                                                  \
        if ((ret)->err) {                                                                                              \
            (ret)->error = error_of(&(answer));                                                                        \
            return true;                                                                                               \
        }                                                                                                              \
    } while (0)
/* Whose handles are numbers: by those, which begin at 1. */
struct storage_tables {
    struct storage_store *stores[STORAGE_OPENED_MAX];
    struct storage_session *sessions[STORAGE_SESSIONS_MAX];
};
/* NULL: trap. */
struct storage_tables *storage_tables(struct host *h);

/* The texts that values are. NULL: trap. */
const struct str *storage_texts(struct host *h, const struct storage_value *values, size_t count);

static inline struct storage_value storage_bytes(struct list_u8 list)
{
    return storage_blob((struct str){(const char *)list.ptr, list.len});
}

static inline struct list_u8 storage_list(const struct storage_value *blob)
{
    return (struct list_u8){(const uint8_t *)blob->bytes.ptr, blob->bytes.len};
}

#endif
