/* The inside of the server, shared by its files. */
#ifndef MAYFLY_HTTP_CONNECTION_H
#define MAYFLY_HTTP_CONNECTION_H

#include "http/server.h"
#include "io/net.h"

#define INPUT_SIZE ((size_t)32768)  /* of an input buffer: a head and a small body */
#define OUTPUT_SIZE ((size_t)65536) /* of the worker's output buffer */
#define STREAM_ROOM ((size_t)65536) /* what a streaming answer may pile up before it is told to wait */
#define KEEP_CAPACITY ((size_t)65536) /* buffers up to this size are kept for the next use */
#define BODY_WINDOW (2 * INPUT_SIZE) /* of a body that comes while it is read */
#define BODY_SKIP ((size_t)262144) /* of a body that nobody wants: read, to keep the connection */
#define POOL_KEEP 64                /* free objects kept of each kind */

struct input {
    struct input *next;
    size_t used;
    char bytes[INPUT_SIZE];
};

enum phase {
    PHASE_HEAD,    /* waiting for a request, or inside its head */
    PHASE_BODY,    /* inside its body, which will be handed over whole */
    PHASE_ANSWER,  /* the service has it; its body may still be coming */
    PHASE_SKIP,    /* it is answered; the rest of its body is dropped */
    PHASE_DISCARD, /* our side is shut; what the client still sends is dropped */
    PHASE_COUNT
};

/* Invariants: `in` is NULL unless it holds bytes at or behind `at`, or the exchange's request. `x` is NULL
 * between requests. A connection is freed only by connection_settle and connection_end, never inside a
 * step; `doomed` asks for it. */
struct connection {
    struct io_watch watch;
    struct io_timer timer;
    struct io_post post;
    struct http_server *server;
    struct connection *next, *previous;
    struct input *in;
    size_t at; /* start of the bytes that belong to no finished request */
    struct http_exchange *x;
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
    bool running;   /* inside connection_run */
    bool head_timed;
};

struct http_server {
    struct io_loop *loop;
    struct http_service service;
    struct http_limits limits;
    struct net_acceptor acceptor;
    bool accepting, draining;
    int listen_fd;
    struct connection *open; /* all of them */
    uint32_t open_count;
    void (*drained)(void *arg);
    void *drained_arg;
    struct http_date date;
    struct http_out out; /* output of `out_owner` that is not sent yet */
    struct connection *out_owner;
    struct connection *free_connections;
    struct http_exchange *free_exchanges;
    struct input *free_inputs;
    uint32_t free_connection_count, free_exchange_count, free_input_count;
};

/* connection.c */
void connection_begin(struct connection *c);
void connection_run(struct connection *c);
/* What follows when a step or a late answer is done: flush, timers, closing. May free the connection. */
void connection_settle(struct connection *c);
/* Close now. The service is told when it still has the exchange. */
void connection_end(struct connection *c);

/* Read into memory of the caller: the number of bytes, 0 when there is nothing now. */
size_t connection_receive(struct connection *c, void *bytes, size_t room);
/* The service began to wait: time counts from now. */
void connection_wait(struct connection *c);

/* exchange.c: the exchange is answered: what follows is the rest of its body, then the next request. */
void exchange_end(struct http_exchange *x, bool keep);
/* Nothing of it is left to read: give it back. */
void exchange_close(struct connection *c);

/* body.c */
/* The head is read: take what came of the body. 0, or the status to refuse the request with. */
int body_begin(struct connection *c);
/* Read more of it into the window, or see its end; false when nothing changed. */
bool body_receive(struct connection *c);
/* No more of it will come, for this reason. Without effect when all of it came. */
void body_break(struct http_exchange *x, enum http_body_fault fault);
/* Tell a client that waits for it to send the body. */
void body_continue(struct connection *c);
/* Drop some of it; false when nothing came or it is longer than BODY_SKIP. */
bool body_skip(struct connection *c);

/* output.c. False when the connection is lost; it is then doomed. */
bool output_append(struct connection *c, const void *bytes, size_t size);
/* An interim answer (RFC 9110 section 15.2.1). */
bool output_continue(struct connection *c);
/* At least `size` bytes free in server->out, which then belongs to `c`. */
bool output_reserve(struct connection *c, size_t size);
bool output_flush(struct connection *c);
/* Send pending output; true when none is left. */
bool output_resume(struct connection *c);
size_t output_pending(const struct connection *c);

/* server.c: pools. */
struct input *input_take(struct http_server *server);
void input_give(struct http_server *server, struct input *in);
struct http_exchange *exchange_take(struct connection *c);
void exchange_give(struct http_server *server, struct http_exchange *x);
void connection_give(struct connection *c);

#endif
