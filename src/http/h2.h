/* The inside of HTTP/2 (RFC 9113), shared by its files: h2.c is a connection's life and its limits, h2_request.c makes
 * requests of what nghttp2 reads, h2_answer.c gives it answers to send.
 *
 * Invariants:
 *   - nghttp2 reads and sends only inside `run` of the connection. Its callbacks and the operations of exchanges only
 *     note what happened and what is to be sent; the list of work is where the service is called, and where streams
 *     are freed, one stream at a time.
 *   - A stream's object lives from its first header frame until nghttp2 has closed it, which may be long after the
 *     service has lost the exchange in it.
 *   - What is kept for a connection is bounded: streams at once, bytes and fields of heads, the window of each body,
 *     bytes of answers, and what nghttp2 queues (it is asked for more to send only while the client takes it, and its
 *     own limits hold for what it has to confirm).
 */
#ifndef MAYFLY_HTTP_H2_H
#define MAYFLY_HTTP_H2_H

#include "http/connection.h"
#include "http/h2_library.h"

#define H2_STREAMS 100u                 /* of a client at once (RFC 9113 section 5.1.2) */
#define H2_WINDOW ((int32_t)BODY_WINDOW) /* of a stream: what comes of a body that nobody takes */
#define H2_CONNECTION_WINDOW (1 << 20)  /* for what is under way; what came counts only for its stream */
#define H2_GATHER INPUT_SIZE            /* bodies up to this size are handed over whole */
#define H2_POOL_KEEP 256u
#define H2_KEEP_CAPACITY ((size_t)16384) /* of each buffer of a stream in the pool */
/* A client may break off, or send what nghttp2 must refuse, so often at once, and so often in a second. */
#define H2_FAULTS 200u
#define H2_FAULTS_PER_SECOND 20u

enum h2_stage {
    H2_HEAD,   /* its header block is coming */
    H2_GATHER_BODY, /* its body is, to be handed over whole */
    H2_READY,  /* to be handed to the service, or refused */
    H2_SERVED, /* was handed over, or answered here */
};

enum h2_pseudo { H2_METHOD, H2_PATH, H2_SCHEME, H2_AUTHORITY, H2_PSEUDO_COUNT };

struct h2_stream {
    struct http_exchange x;
    struct h2 *h2;
    struct h2_stream *next, **link; /* among those of the connection, or in the pool */
    struct h2_stream *later;        /* in the list of work */
    struct io_timer timer;          /* for the body that is waited for, and for the client to take the answer */
    uint64_t body_us, out_us;       /* since when */
    uint64_t received;              /* of the body */
    size_t unread;                  /* of it, for which the window was not opened again */
    size_t skipped;                 /* of it, behind the answer */
    int32_t id;
    enum h2_stage stage;
    int refused;     /* the status to refuse it with, or 0 */
    bool listed;     /* there is work */
    bool given;      /* the service was given it */
    bool closed;     /* nghttp2 knows it no more */
    bool reset;      /* by us: nothing of it matters any more */
    bool deferred;   /* nghttp2 found nothing to send and waits to be told */
    bool whole;      /* all of the answer is here, or sent */
    bool skips;      /* the answer is sent; what still comes of the body is dropped */
    /* The request: bytes of pseudo-fields and fields in a row, then of trailers. Sizes only, until all are there. */
    struct buf head, tail;
    struct {
        size_t at, size;
        bool there;
    } pseudo[H2_PSEUDO_COUNT];
    size_t fields_at; /* of the first field in `head` */
    size_t list_size; /* as RFC 9113 section 6.5.2 counts it; of trailers too */
    /* The answer. */
    struct buf out; /* what is to be sent of its content, from out_at on */
    size_t out_at;
    struct buf end; /* trailers: two sizes, then name and value, of each */
};

struct h2 {
    nghttp2_session *session;
    struct connection *connection;
    struct h2_stream *streams;
    uint32_t stream_count;
    struct h2_stream *work, **work_end;
    size_t queued; /* bytes of answers in all streams */
    size_t unsent; /* of the connection's output, when it was looked at last */
    uint64_t idle_us, head_us, unsent_us; /* since when: no stream, inside a header block, no progress of output */
    uint64_t fault_us; /* when `faults` was right */
    uint32_t faults;
    int32_t before_last_id, last_id; /* of the streams that the client began */
    bool in_head;
    bool calmed; /* the client was told to go, for its faults */
};

/* What all connections of a server share. */
struct h2_shared {
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    struct buf fields; /* of the answer that is submitted */
    struct h2_stream *free;
    uint32_t free_count;
};

extern const struct http_exchange_ops h2_exchange_ops;

static inline struct h2_stream *h2_stream_of(void *x)
{
    return IO_OWNER((struct http_exchange *)x, struct h2_stream, x);
}

/* ---- h2.c ---- */

struct h2_stream *h2_stream_new(struct h2 *h2, int32_t id);
/* There is something to do for it when nghttp2 is done. */
void h2_list(struct h2_stream *s);
/* What was submitted is to be sent: now, if that is possible. */
void h2_poke(struct h2 *h2);
/* The stream breaks off. The service is told if it has the exchange, unless the exchange is answered. */
void h2_reset(struct h2_stream *s, uint32_t code);
/* A client did what costs more than it brings. */
void h2_fault(struct h2 *h2);
void h2_set_timer(struct h2_stream *s);
uint64_t h2_now_us(const struct h2 *h2);
/* Whether the service may still do something with the exchange. */
bool h2_usable(const struct h2_stream *s);

/* ---- h2_request.c ---- */

void h2_request_callbacks(nghttp2_session_callbacks *callbacks);
/* An interim answer, if the client waits for one before it sends its body (RFC 9113 section 8.1). */
void h2_continue(struct h2_stream *s);
/* No more of its body will come. Without effect when all of it came. */
void h2_break_body(struct h2_stream *s, enum http_body_fault fault);
/* The answer is sent, and the request is not whole: the rest is dropped, up to BODY_SKIP, and then the stream ends
 * (RFC 9113 section 8.1). */
void h2_skip_body(struct h2_stream *s);
/* Whether what the service waits for of a body is there. */
bool h2_body_ready(const struct h2_stream *s);
/* Operations of the exchange. */
void h2_want(void *x);
void h2_take(void *x, size_t size);

/* ---- h2_answer.c ---- */

void h2_answer_callbacks(nghttp2_session_callbacks *callbacks);
void h2_fail(struct http_exchange *x, unsigned status);
/* Nothing of its content is sent any more. */
void h2_drop_output(struct h2_stream *s);

#endif
