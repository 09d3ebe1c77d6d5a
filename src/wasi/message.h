/* An HTTP message as both sides see it: the server that reads it from a connection and the host
 * functions that show it to a guest. Neither side knows more of the other than this page.
 *
 * All strings are views whose bytes live as long as the exchange. Field names of messages that came in are in lower
 * case.
 */
#ifndef MAYFLY_WASI_MESSAGE_H
#define MAYFLY_WASI_MESSAGE_H

#include "base/arena.h"
#include "base/str.h"

struct http_field {
    struct str name, value;
};

/* What became of a body that did not come whole. */
enum http_body_fault {
    HTTP_BODY_SOUND,
    HTTP_BODY_CUT,       /* the peer ended before it */
    HTTP_BODY_LATE,      /* no byte came for too long */
    HTTP_BODY_MALFORMED, /* its coding is wrong */
    HTTP_BODY_TOO_LONG,
    HTTP_BODY_NO_MEMORY,
    HTTP_BODY_FAULT_COUNT
};

struct http_request {
    struct str method;    /* as sent; case matters */
    struct str target;    /* path and query, or "*" (OPTIONS), or host and port (CONNECT) */
    struct str scheme;    /* "http" or "https" */
    struct str authority; /* of the target or the host field; may be empty */
    struct http_field *fields, *trailers; /* trailers are there once nothing of the body is coming */
    uint32_t field_count, trailer_count;
    struct str body; /* what is here of it and was not taken */
    bool coming;     /* more of it follows; until then its bytes move whenever some are taken or waited for */
    enum http_body_fault fault;
};

/* Fields that whoever has the exchange adds to a request's own. */
#define HTTP_ADDED_MAX 24u
struct http_added {
    struct http_field items[HTTP_ADDED_MAX];
    uint32_t count;
    struct arena *arena; /* the reader's, for texts */
};

/* An exchange, `x`, for who answers it.
 *
 * The response is either `respond`, or `start`, any number of `write`s and `finish`. Statuses are 200..999; names and
 * values are checked: false, with nothing sent, when one is not fit for a field, or when the connection is gone. Fields
 * that belong to the connection (connection, transfer-encoding, ...) are left out; content-length is kept only by
 * `start`. What nobody took of the request's body is dropped behind the response. */
struct http_face {
    /* The reader wants more of the body than is here: it will be told. Without effect when nothing is coming. */
    void (*want)(void *x);
    /* The first `size` bytes of the request's body are done with; others may be in their place at once. */
    void (*take)(void *x, size_t size);
    bool (*respond)(void *x, unsigned status, const struct http_field *fields, size_t count, struct str body);
    bool (*start)(void *x, unsigned status, const struct http_field *fields, size_t count);
    bool (*write)(void *x, struct str bytes);
    /* How many bytes `write` takes now without piling them up in memory. */
    size_t (*room)(void *x);
    bool (*finish)(void *x, const struct http_field *trailers, size_t count);
    /* Optional. What is added to the request's fields; a field of the client that has the name of one is not shown.
     * Values are parts of the request's target, or texts that do not go with the exchange, as names are. False: no
     * memory. */
    bool (*added)(void *x, struct http_added *ret);
    /* Optional. The end of the response comes next, and then who answers goes on without the exchange: it has a copy of
     * the request. False: it may not. */
    bool (*part)(void *x);
};

/* ---- the form of names and values (RFC 9110, 5.1, 5.5 and 5.6.2) ---- */

/* The lower case of a byte that may stand in a token, else 0. */
extern const uint8_t http_token_lower[256];
bool http_is_token(struct str name);
bool http_is_value(struct str value);
/* The first byte in [p, end) that no value may hold, or `end`. */
const char *http_skip_value(const char *p, const char *end);
/* A content-length (RFC 9110, 8.6): one number, digits only. */
bool http_read_length(struct str value, uint64_t *ret_length);
/* Tokens equal but for the case of ASCII letters. `lower` is in lower case. */
bool http_is_same(struct str text, struct str lower);

#endif
