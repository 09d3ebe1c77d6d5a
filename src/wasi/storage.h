/* Key-value stores, databases and services of the network as both sides see them: the client that reaches their
 * processes and the host functions that a guest calls. Neither side knows more of the other than this page.
 *
 * A call is an operation with values, answered by values or by why not. What is passed to `begin` is taken over before
 * it returns, so it may lie in guest memory; an answer's values are the call's and last until it is dropped. */
#ifndef MAYFLY_WASI_STORAGE_H
#define MAYFLY_WASI_STORAGE_H

#include "base/str.h"

enum storage_type { STORAGE_NULL, STORAGE_INTEGER, STORAGE_REAL, STORAGE_TEXT, STORAGE_BLOB };

struct storage_value {
    enum storage_type type;
    union {
        int64_t integer;
        double real;
        struct str bytes; /* of a text, which is UTF-8, or a blob */
    };
};

/* Stores and databases are opened by labels. A service has none: its sessions have addresses. */
enum storage_kind {
    STORAGE_STORE,
    STORAGE_DATABASE,
    STORAGE_REDIS,
    STORAGE_POSTGRES,
    STORAGE_MYSQL,
    STORAGE_MQTT,
    STORAGE_SUBSCRIPTION, /* channels of Redis: of the worker itself, no guest asks for it */
    STORAGE_KINDS
};
#define STORAGE_LABELED STORAGE_REDIS /* kinds below have labels */

/* What it takes -> what it answers. Keys are texts, values blobs, and a null stands for one that is not there. A
 * version is another number after every change of a key's value, and 0 while the key is not there. A session is a
 * number that whoever opens it chooses, never the same again. */
enum storage_operation {
    STORAGE_OPEN, /* -> nothing: whether it can be reached */
    STORAGE_GET, /* key -> value, version */
    STORAGE_SET, /* key, value -> nothing */
    STORAGE_DELETE, /* key -> nothing */
    STORAGE_VERSION, /* key -> version */
    STORAGE_KEYS, /* key behind which it goes on or null, integer: at most so many, 0: all -> keys in order,
                     integer: there are more */
    STORAGE_GET_MANY, /* keys -> values, in their order */
    STORAGE_SET_MANY, /* key, value, ... -> nothing */
    STORAGE_DELETE_MANY, /* keys -> nothing */
    STORAGE_INCREMENT, /* key, integer -> integer */
    STORAGE_SWAP, /* key, version that it must have, value -> integer: whether it had, version */
    STORAGE_SESSION, /* session -> nothing */
    STORAGE_EXECUTE, /* session, text of a statement, its parameters -> integer: columns, their names, values row by
                        row, integer: rows changed, integer: last row id */
    STORAGE_SESSION_END, /* session -> no answer */
    STORAGE_LINK, /* session, integer: whose grants, host, integer: port, user, password, path, query,
                     integer: over TLS -> nothing */
    STORAGE_COMMAND, /* session, integer: it leaves nothing behind in the connection, words (blobs, integers) -> the
                        reply, lists flattened: integers, blobs, texts for statuses, nulls */
    STORAGE_QUERY, /* session, text of a statement, its parameters -> integer: an enum
                      storage_query, and what stands there */
    STORAGE_PUBLISH, /* session, topic, message (a blob), integer: how surely it comes -> nothing */
    STORAGE_LISTEN, /* session, the first time channels (blobs) -> channel and message, ..., once there is one, or
                       nothing after a while */
    STORAGE_LINK_END, /* session -> no answer */
    STORAGE_OPERATIONS
};

enum storage_query {
    STORAGE_QUERY_ROWS, /* integer: columns, for each its name and the number of its type, values row by row, integer:
                           rows changed */
    STORAGE_QUERY_ERROR, /* the server's: severity, code, message, detail or null, and pairs of names and texts */
};

/* The numbers of types, where a server's own mean nothing to who asks. */
enum storage_column {
    STORAGE_COLUMN_BOOLEAN,
    STORAGE_COLUMN_INT8,
    STORAGE_COLUMN_INT16,
    STORAGE_COLUMN_INT32,
    STORAGE_COLUMN_INT64,
    STORAGE_COLUMN_UINT8,
    STORAGE_COLUMN_UINT16,
    STORAGE_COLUMN_UINT32,
    STORAGE_COLUMN_UINT64,
    STORAGE_COLUMN_FLOATING32,
    STORAGE_COLUMN_FLOATING64,
    STORAGE_COLUMN_STR,
    STORAGE_COLUMN_BINARY,
    STORAGE_COLUMN_OTHER,
};

/* How the message begins of an answer that is too long: in Spin's words, and an error of its own kind. */
#define STORAGE_EXCEEDS "query result exceeds limit"

enum storage_status {
    STORAGE_WAITING, /* no answer yet */
    STORAGE_DONE,
    STORAGE_NO_SUCH, /* nothing is set up under this label */
    STORAGE_INVALID, /* there is no such session any more */
    STORAGE_FULL,
    STORAGE_CROWDED, /* too many calls or sessions at once */
    STORAGE_DENIED, /* the host leads to an address that is not granted: the message is that */
    STORAGE_FAILED,
    STORAGE_STATUSES
};

/* The part of a call that its owner reads. */
struct storage_call {
    enum storage_status status;
    const struct storage_value *values; /* when it is done */
    uint32_t count;
    struct str message; /* when it is not: why; maybe empty */
    /* It is not waiting any more: from the loop only, never from inside a function of the face. The call may be dropped
     * in it. */
    void (*changed)(struct storage_call *call);
    void *owner;
};

struct storage_request {
    enum storage_kind kind;
    struct str label;
    enum storage_operation operation;
    const struct storage_value *values;
    size_t count;
    void (*changed)(struct storage_call *call);
    void *owner;
};

struct storage_face {
    /* NULL: no memory. A call that cannot even begin has failed already. */
    struct storage_call *(*begin)(void *client, const struct storage_request *request);
    /* Ends the call in any state; what it asked for may happen all the same. */
    void (*drop)(struct storage_call *call);
};

/* What a function may open, and who reaches it. */
struct storage_grants {
    const struct str *labels[STORAGE_KINDS];
    size_t counts[STORAGE_KINDS];
    const struct storage_face *face;
    void *const *client; /* at NULL: nobody, now */
    uint32_t net; /* the number of the function's grants of the network, as the service knows them */
};

static inline struct storage_value storage_null(void)
{
    return (struct storage_value){.type = STORAGE_NULL};
}

static inline struct storage_value storage_integer(int64_t number)
{
    return (struct storage_value){.type = STORAGE_INTEGER, .integer = number};
}

static inline struct storage_value storage_text(struct str text)
{
    return (struct storage_value){.type = STORAGE_TEXT, .bytes = text};
}

static inline struct storage_value storage_blob(struct str bytes)
{
    return (struct storage_value){.type = STORAGE_BLOB, .bytes = bytes};
}

#endif
