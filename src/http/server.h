/* The HTTP server of a worker: connections on the loop, plain or over TLS, and exchanges on them: of HTTP/1.1 one at a
 * time, of HTTP/2 many at once. A plain connection speaks HTTP/2 when it begins with its preface, a secure one when
 * ALPN says so.
 *
 * A service gets requests and answers each through its exchange: at once, inside `handle` (the hot path: the response
 * is written to the worker's output buffer and leaves with one system call, together with those of other requests of
 * the same read), or later, when it has suspended the work.
 *
 * A request whose body fits behind its head into the input buffer is handed over when all of it is there; so a slow
 * client holds no instance. Of a longer one, or one of unknown length, the service gets the head at once and the body
 * through a window of fixed size: what the service does not take, the server does not read, and the client waits.
 *
 * Bounded: header bytes and fields, body, connections, time for each phase; see struct http_limits.
 * Nothing is allocated per request in the steady state: exchanges and input buffers come from pools, and
 * a connection that waits for its next request holds neither.
 */
#ifndef MAYFLY_HTTP_SERVER_H
#define MAYFLY_HTTP_SERVER_H

#include "http/chunks.h"
#include "http/response.h"
#include "io/loop.h"
#include "io/net.h"

struct connection;
struct http_server;
struct tls_context;

struct http_limits {
    size_t head_bytes;      /* of a request's head; beyond: 431, or 414 within the request line */
    uint64_t body_bytes;    /* of a request's body; beyond: 413, or a fault of the body once the service has it */
    size_t output_bytes;    /* of answers that a slow client lets pile up; beyond: the connection ends */
    uint32_t connections;   /* open at once; beyond: accepting waits */
    uint64_t head_us;       /* from a request's first byte to the end of its head; beyond: 408 */
    uint64_t body_us;       /* without progress in a body that is waited for; beyond: 408, or a fault */
    uint64_t idle_us;       /* between requests */
    uint64_t write_us;      /* without progress in writing */
    uint64_t accept_pause_us; /* as net_acceptor.pause_us */
};
extern const struct http_limits http_limits_default;
#define HTTP_HEAD_BYTES_MAX ((size_t)16384) /* the most that http_limits.head_bytes may say */

enum http_answer { HTTP_UNANSWERED, HTTP_STREAMING, HTTP_ANSWERED };

struct http_exchange;

/* What can be done with an exchange depends on the version of HTTP. */
struct http_exchange_ops {
    struct http_face face;
    void (*fail)(struct http_exchange *x, unsigned status);
};

struct http_exchange {
    struct connection *connection; /* NULL: it has none */
    void *user; /* the service's; NULL when `handle` is called */
    const struct http_exchange_ops *ops;
    /* Private: */
    struct http_exchange *next;
    enum http_answer answer;
    enum http_framing framing;
    bool content;    /* the response carries content (not for HEAD, 204, 304) */
    bool wants_room; /* was told of less room than there can be: `ready` follows */
    bool wants_body; /* asked for more of the body than there was: `ready` follows */
    bool owes_continue; /* the client sends its body only when told to (RFC 9110 section 10.1.1) */
    uint64_t left; /* bytes that content-length still promises */
    size_t start, end; /* of the request in the input buffer */
    struct buf body; /* the window: what came of a body that is not in the input buffer */
    size_t taken;    /* of the window */
    uint64_t body_left; /* bytes of a body of known length that did not come yet */
    uint64_t body_max;  /* bytes of a body, once it was begun */
    size_t skipped;  /* of the body, behind the answer */
    struct http_parser parser;
    struct http_chunks chunks;
};

struct http_service {
    /* A request. True: answered, or to be answered later. False: failed; the client gets a 500 if nothing was sent,
     * else the connection ends. */
    bool (*handle)(void *arg, struct http_exchange *x);
    /* Optional. What the service waits for may be there: room (http_room), or more of the body or its end (http_want).
     * It is told once and asks again. */
    void (*ready)(void *arg, struct http_exchange *x);
    /* Optional. The connection broke before the answer was complete: the exchange is gone after this. */
    void (*gone)(void *arg, struct http_exchange *x);
    /* Optional. How long the body of this request may be, limits.body_bytes at most; asked once, before it is read. */
    uint64_t (*body_max)(void *arg, const struct http_exchange *x);
    /* Optional. The server answers with this status itself; of the request there is what was read of it. */
    void (*refused)(void *arg, const struct http_exchange *x, unsigned status);
    void *arg;
    /* Optional. Where the number of open connections is kept for others to read (base/counter.h). */
    uint64_t *connections;
};

/* `limits` NULL: the defaults. Both are copied. */
struct http_server *http_server_new(struct io_loop *loop, const struct http_service *service,
                                    const struct http_limits *limits, struct err *err);
/* Load what connections may need later from files: nghttp2. Without it there is no HTTP/2, and nothing else changes.
 * For a process that can open none later. */
void http_server_prepare(void);
/* Ends all connections. NULL is fine. */
void http_server_free(struct http_server *server);
/* Accept from a listening socket, which stays the caller's. */
bool http_server_listen(struct http_server *server, int fd, struct err *err);
/* Serve one connected, non-blocking socket; takes it over. False (and closed) when there is no room. */
bool http_server_adopt(struct http_server *server, int fd);
/* Connections from now on are secured with this context (tls_server_context_new), which stays the caller's and must
 * live until another takes its place or the server ends; those that there are keep what they began with. NULL: they are
 * plain. */
void http_server_set_tls(struct http_server *server, struct tls_context *context);
/* Accept no more; the next answer on each connection says that it is the last. After `patience_us` drain. */
void http_server_retire(struct http_server *server, uint64_t patience_us, void (*done)(void *arg), void *arg);
/* Accept no more, end idle connections, finish the others; then call `done`. */
void http_server_drain(struct http_server *server, void (*done)(void *arg), void *arg);
uint32_t http_server_connections(const struct http_server *server);

static inline const struct http_request *http_request(const struct http_exchange *x)
{
    return &x->parser.request;
}

/* ---- bodies and answers ----
 * Contracts as in struct http_face (wasi/message.h). The exchange is gone after `respond` returned true and
 * after `finish` and `fail`. When `respond` or `start` return false (a field is unfit, or the connection
 * broke), it is still there, to be answered otherwise or failed. */

/* Who sent it, as ADDRESS:PORT, or [ADDRESS]:PORT of IPv6; 0.0.0.0:0 of what came from inside (http/local.h). */
void http_peer(const struct http_exchange *x, char ret_text[NET_ADDRESS_MAX]);

/* For who answers it through struct http_face. */
static inline const struct http_face *http_face(const struct http_exchange *x)
{
    return &x->ops->face;
}

static inline void http_want(struct http_exchange *x)
{
    x->ops->face.want(x);
}

static inline void http_take(struct http_exchange *x, size_t size)
{
    x->ops->face.take(x, size);
}

static inline bool http_respond(struct http_exchange *x, unsigned status, const struct http_field *fields, size_t count,
                                struct str body)
{
    return x->ops->face.respond(x, status, fields, count, body);
}

static inline bool http_start(struct http_exchange *x, unsigned status, const struct http_field *fields, size_t count)
{
    return x->ops->face.start(x, status, fields, count);
}

static inline bool http_write(struct http_exchange *x, struct str bytes)
{
    return x->ops->face.write(x, bytes);
}

static inline size_t http_room(struct http_exchange *x)
{
    return x->ops->face.room(x);
}

/* False when fewer bytes were written than content-length promised: the connection, or the stream of it, ends. */
static inline bool http_finish(struct http_exchange *x, const struct http_field *trailers, size_t count)
{
    return x->ops->face.finish(x, trailers, count);
}

/* A plain answer with the status and its reason as body; ends the connection, or the stream of it, if the head was
 * sent. */
static inline void http_fail(struct http_exchange *x, unsigned status)
{
    x->ops->fail(x, status);
}

#endif
