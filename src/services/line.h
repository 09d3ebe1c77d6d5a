/* A connection to a server, whatever the two speak: what the process of services (remote.h) and the protocols (redis.h)
 * know of each other.
 *
 * A protocol never blocks. It is told of events, and says by the state how far it is; who runs the loop looks at that
 * after each call. A request's answer grows in the line's own buffer, so that lines do not get into each other's way.
 */
#ifndef MAYFLY_SERVICES_LINE_H
#define MAYFLY_SERVICES_LINE_H

#include "base/err.h"
#include "io/address.h"
#include "io/loop.h"
#include "services/frame.h"

enum line_state {
    LINE_CLOSED,
    LINE_OPENING,
    LINE_READY, /* nothing was asked, or it is answered: `status` says how */
    LINE_BUSY,
    LINE_BROKEN, /* `err` says why; nothing more comes */
};

/* Where a line leads. Two with the same texts lead to the same place with the same rights. */
struct target {
    int64_t net; /* whose grants permit it; -1: the operator's word */
    uint16_t port;
    bool secure; /* over TLS, as its scheme says; of databases their query does */
    struct str host, user, password, path, query;
    char text[]; /* of them */
};

struct line {
    const struct protocol *protocol;
    struct io_loop *loop;
    struct io_watch watch; /* fd -1: there is no socket */
    enum line_state state;
    const struct target *target;
    void *owner; /* of who runs the loop */
    struct buf room; /* of the answer */
    struct frame_writer answer;
    enum storage_status status;
    struct err err; /* of the answer, or of the end */
    bool reached; /* the server took the connection: another address of it would do no better */
    bool touched; /* something was left behind in it: it is no other's */
};

struct protocol {
    size_t size; /* of its lines, which begin with struct line */
    bool (*load)(struct err *err);
    /* The rest of a zeroed line whose first fields are set: begin to connect to `to`, and watch the socket. */
    void (*open)(struct line *line, const struct ip_endpoint *to);
    /* The socket may have become ready, or there is more to do. */
    void (*step)(struct line *line, unsigned events);
    /* Of a line that is ready; `values` are as a worker sent them, without their session, and need to last only for the
     * call. */
    void (*ask)(struct line *line, uint32_t operation, const struct storage_value *values, size_t count);
    /* Optional. Of a line that is ready and touched: begin to make it as it was, busy until then, and untouched after.
     * False: that cannot be. */
    bool (*reset)(struct line *line);
    /* Release what the protocol has, the socket too. */
    void (*close)(struct line *line);
};

/* The line is broken, for that reason; `err` is set already. */
static inline void line_break(struct line *line)
{
    line->state = LINE_BROKEN;
}

/* The request is answered: done, or with a failure that leaves the line sound. */
static inline void line_answer(struct line *line, enum storage_status status)
{
    line->status = status;
    line->state = LINE_READY;
}

#endif
