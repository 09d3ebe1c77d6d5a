/* The inside of the server, shared by its files. From below:
 *
 *   transport   a socket, or TLS over it (secure.c): connection_receive and output.c, the same for every protocol
 *   connection  events, timer, closing (connection.c)
 *   protocol    what is spoken on it: the handshake of TLS, HTTP/1.1 (h1*.c), HTTP/2 (h2*.c), or nothing any more
 *   exchange    what the service sees of a request, with the operations of its protocol (struct http_exchange_ops)
 */
#ifndef MAYFLY_HTTP_CONNECTION_H
#define MAYFLY_HTTP_CONNECTION_H

#include "http/server.h"
#include "io/net.h"

#define INPUT_SIZE ((size_t)32768)  /* of an input buffer: a head and a small body */
#define OUTPUT_SIZE ((size_t)65536) /* of the worker's output buffer */
#define STREAM_ROOM ((size_t)65536) /* what a streaming answer may pile up before it is told to wait */
#define KEEP_CAPACITY ((size_t)65536) /* buffers up to this size are kept for the next use */
#define BODY_WINDOW (2 * INPUT_SIZE) /* of a body that comes while it is read */
#define BODY_SKIP ((size_t)262144) /* of a body that nobody wants: read, to keep the connection, or the stream */
#define POOL_KEEP 64                /* free objects kept of each kind */
#define BODY_KEEP 8                 /* of free exchanges, those that keep the buffer of their body */

struct h2;
struct h2_stream;
struct h2_shared;
struct tls;

struct input {
    struct input *next;
    size_t used;
    char bytes[INPUT_SIZE];
};

struct protocol {
    /* There may be input, room or work: go on as far as possible, and settle. May free the connection. */
    void (*run)(struct connection *c);
    /* The connection's timer. May free the connection. */
    void (*timeout)(struct connection *c);
    /* Optional. The client is told to begin no further request. May free the connection. */
    void (*retire)(struct connection *c);
    /* No further request is taken. May free the connection. */
    void (*drain)(struct connection *c);
    /* The connection ends: the service is told of what it still has, and the protocol gives back what it holds. */
    void (*end)(struct connection *c);
};

enum phase { /* of HTTP/1.1 */
             PHASE_HEAD,   /* waiting for a request, or inside its head */
             PHASE_BODY,   /* inside its body, which will be handed over whole */
             PHASE_ANSWER, /* the service has it; its body may still be coming */
             PHASE_SKIP,   /* it is answered; the rest of its body is dropped */
             PHASE_LEFT,   /* another protocol has taken over */
             PHASE_COUNT
};

/* Invariants: `in` is NULL unless it holds bytes at or behind `at`, or the exchange's request. `x` is NULL
 * between requests. A connection is freed only at the end of `run`, `timeout` and `drain` of its protocol, never inside
 * a step; `doomed` asks for it. */
struct connection {
    struct io_watch watch;
    struct io_timer timer;
    struct io_post post;
    struct http_server *server;
    const struct protocol *protocol;
    struct tls *tls; /* NULL: the socket is the transport */
    struct connection *next, *previous;
    struct input *in;
    size_t at; /* start of the bytes that belong to no finished request */
    struct http_exchange *x; /* of HTTP/1.1: one at a time */
    struct h2 *h2;           /* of HTTP/2 */
    struct buf pending; /* output that the kernel did not take yet, from pending_at on */
    size_t pending_at;
    size_t discarded;
    enum phase phase;
    bool readable;  /* there may be input: no notification will come for it */
    bool ending;    /* the peer said that it sends no more, the end may not have been read yet */
    bool ended;     /* its end was read */
    bool last;      /* no further request is taken from it */
    bool unread;    /* the client may be sending what belongs to a request that is answered */
    bool doomed;    /* to be closed as soon as control is back here */
    bool running;   /* inside `run`, which settles what happens meanwhile */
    bool head_timed;
    bool begun;     /* it had a request of HTTP/1.1 */
};

struct http_server {
    struct io_loop *loop;
    struct http_service service;
    struct http_limits limits;
    struct net_acceptor acceptor;
    bool accepting, retiring, draining; /* `retiring`: every answer is the last one of its connection */
    int listen_fd;
    struct tls_context *tls; /* for connections to come; NULL: they are plain */
    struct h2_shared *h2;    /* made for the first connection of HTTP/2 */
    struct connection *open; /* all of them */
    uint32_t open_count;
    void (*drained)(void *arg);
    void *drained_arg;
    struct io_timer patience; /* while retiring: then what is idle ends */
    struct http_date date;
    struct http_out out; /* output of `out_owner` that is not sent yet */
    struct connection *out_owner;
    struct connection *free_connections;
    struct http_exchange *free_exchanges;
    struct input *free_inputs;
    uint32_t free_connection_count, free_exchange_count, free_input_count;
};

/* The service is told that its server answers with this status, without it. */
static inline void server_refuses(const struct http_server *server, const struct http_exchange *x, unsigned status)
{
    if (server->service.refused)
        server->service.refused(server->service.arg, x, status);
}

/* A body is to be read: how much of it there may be. */
static inline void server_bounds_body(const struct http_server *server, struct http_exchange *x)
{
    uint64_t most = server->limits.body_bytes;
    uint64_t asked = server->service.body_max ? server->service.body_max(server->service.arg, x) : most;
    x->body_max = asked < most ? asked : most;
}

/* ---- connection.c ---- */

void connection_begin(struct connection *c);
/* Close now. The service is told when it still has an exchange. */
void connection_end(struct connection *c);
/* After the last answer: at once if the client has nothing under way, else shut our side only and read on for a moment,
 * because a reset would take the answer from the client's buffer. To be followed by connection_end if doomed, or `run`.
 */
void connection_close(struct connection *c);
/* Read into memory of the caller: the number of bytes, 0 when there is nothing now. */
size_t connection_receive(struct connection *c, void *bytes, size_t room);
/* Give the input buffer back when nothing in it is used. */
void connection_give_input(struct connection *c);

/* ---- secure.c: TLS as transport; connection_begin and output.c choose ---- */

extern const struct protocol handshake_protocol;
/* False: no memory. */
bool secure_begin(struct connection *c);
size_t secure_receive(struct connection *c, void *bytes, size_t room);
/* As io_send and io_sendv. */
ssize_t secure_send(struct connection *c, const void *bytes, size_t size);
ssize_t secure_sendv(struct connection *c, const struct iovec *parts, int count);

/* ---- the protocols ---- */

extern const struct protocol h1_protocol;
extern const struct protocol h2_protocol;
/* Turn a connection on which nothing was answered into one of HTTP/2; what is in its input buffer comes first. False:
 * it cannot be had here, and nothing has changed. To be followed by `run`. */
bool h2_begin(struct connection *c);
void h2_shared_free(struct h2_shared *shared);

/* ---- output.c. False when the connection is lost; it is then doomed. ---- */

bool output_append(struct connection *c, const void *bytes, size_t size);
/* At least `size` bytes free in server->out, which then belongs to `c`. */
bool output_reserve(struct connection *c, size_t size);
bool output_flush(struct connection *c);
/* Send pending output; true when none is left. */
bool output_resume(struct connection *c);
size_t output_pending(const struct connection *c);

/* ---- exchange.c: answers, the same for both versions ---- */

/* Whether a response with this status has content (RFC 9110 section 6.4.1). */
bool exchange_has_content(const struct http_exchange *x, unsigned status);
/* Whether there is one content-length among the fields, and what it says. */
bool exchange_declared(const struct http_field *fields, size_t count, uint64_t *ret_length);
/* What the head of a response without content says of its length, `body` bytes being left out. */
void exchange_frame_nothing(struct http_head *head, size_t body);
/* The plain answer with this status; `room` holds its body. */
#define EXCHANGE_PLAIN_SIZE 64
struct str exchange_plain(unsigned status, char room[EXCHANGE_PLAIN_SIZE], struct http_head *ret_head);

/* ---- server.c: pools ---- */

struct input *input_take(struct http_server *server);
void input_give(struct http_server *server, struct input *in);
struct http_exchange *exchange_take(struct connection *c);
void exchange_give(struct http_server *server, struct http_exchange *x);
void connection_give(struct connection *c);

#endif
