/* The inside of the client, shared by its files. */
#ifndef MAYFLY_HTTP_CALL_H
#define MAYFLY_HTTP_CALL_H

#include "http/chunks.h"
#include "http/client.h"
#include "http/response.h"
#include "http/tls.h"

struct http_idle;

/* Of a response's body: what waits when reading goes on, what is taken and still lies before it, and one read. */
#define HTTP_CALL_BODY (HTTP_CALL_ROOM + HTTP_CALL_ROOM / 2 + HTTP_RESPONSE_HEAD)

struct http_client {
    struct io_loop *loop;
    struct http_idle *idle, **idle_tail; /* connections kept, the oldest first */
    uint32_t idle_count;
    struct tls_context *tls; /* made with the first connection that needs it */
    uint32_t count;          /* of calls that have a connection or want one */
    uint32_t max;            /* HTTP_CALLS_MAX, or a quarter of the descriptors that this process may have */
};

enum call_phase {
    CALL_LOOKUP,
    CALL_CONNECT,
    CALL_HANDSHAKE,
    CALL_OPEN, /* sends and receives */
    CALL_OVER, /* there is no connection any more */
};

enum call_input { INPUT_HEAD, INPUT_LENGTH, INPUT_CHUNKED, INPUT_CLOSE };

/* Invariants: `face` is the first member. `face.state` is DONE or FAILED exactly when the phase is OVER. Nothing is
 * reported to the owner but by `changed`, last of all in a callback of the loop. */
struct http_call {
    struct outbound_call face;
    struct http_client *client;
    enum call_phase phase;
    struct io_watch watch;
    struct io_timer timer;
    struct io_lookup lookup;
    uint32_t tried; /* of lookup.addresses */
    bool watched, secure;
    bool (*permits)(void *owner, const struct ip_endpoint *to);
    struct str host; /* memory of its own */
    uint16_t port;
    struct tls *tls;
    const void *tenant;
    struct io_resolver *resolver;
    bool kept; /* its connection has served another call before: then `out` stays whole */
    uint64_t connect_us, first_byte_us, between_us;
    uint64_t began_us, moved_us; /* when it began; when bytes of the request or of the response's body last moved */
    /* The request. */
    bool of_head, sent, closed; /* HEAD; its end is written; the peer takes no more */
    enum outbound_body framing;
    struct buf out; /* to be sent, from out_at on */
    size_t out_at;
    /* The response. */
    enum call_input input;
    uint64_t left; /* INPUT_LENGTH */
    unsigned informational;
    bool heard; /* a byte of it came */
    char *raw;  /* HTTP_RESPONSE_HEAD bytes, of which raw_used are read and not understood */
    size_t raw_used;
    char *head, *tail; /* of which face.fields and face.trailers are views */
    struct buf body;   /* from body_at on not taken */
    size_t body_at;
    struct http_parser parser;
    struct http_chunks chunks;
};

/* client.c */
void call_fail(struct http_call *call, enum wasi_http_types_error_code_tag tag);
void call_done(struct http_call *call);
void call_fail_tls(struct http_call *call);
void call_set_timer(struct http_call *call);

/* A kept connection turned out to be at its end: begin again with a new one. */
void call_again(struct http_call *call);

/* idle.c */
/* Take the connection away from a call whose response is complete, and keep it if it is fit for that. */
void idle_keep(struct http_call *call);
/* Give the call a connection that was kept. False: there is none for it. */
bool idle_take(struct http_call *call);
void idle_end_all(struct http_client *client);

/* call.c: sending and receiving */
/* Bytes, or -EAGAIN, or another negated errno; 0: the end. -EPROTO: TLS failed. -ECONNRESET: the end was not told. */
ssize_t call_read(struct http_call *call, void *ret_bytes, size_t size);
void call_send(struct http_call *call);
void call_receive(struct http_call *call);
size_t call_room(struct outbound_call *face);
bool call_write(struct outbound_call *face, struct str bytes);
void call_finish(struct outbound_call *face, const struct http_field *trailers, size_t count);
void call_take(struct outbound_call *face, size_t size);

#endif
