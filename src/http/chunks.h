/* Decoder of the chunked transfer coding (RFC 9112 section 7.1), incremental. */
#ifndef MAYFLY_HTTP_CHUNKS_H
#define MAYFLY_HTTP_CHUNKS_H

#include "base/buf.h"
#include "http/parse.h"

#define HTTP_MAX_TRAILERS 32

enum chunks_state { CHUNKS_SIZE, CHUNKS_DATA, CHUNKS_DATA_END, CHUNKS_TRAILERS };

struct http_chunks {
    enum chunks_state state;
    uint64_t left;  /* bytes of the current chunk still to come */
    uint64_t total; /* of the data, as far as chunks are announced */
    uint32_t trailer_count;
    struct http_field *trailers; /* HTTP_MAX_TRAILERS, once there was one; NULL before. Owned; not cleared by _begin */
};

void http_chunks_begin(struct http_chunks *chunks);
/* The place of one more trailer. NULL: *ret_status is 431, there are as many as there may be, or 500, there is no
 * memory. */
struct http_field *http_chunks_room(struct http_chunks *chunks, int *ret_status);
/* The memory of its own, if it has some. */
void http_chunks_free(struct http_chunks *chunks);

/* Decode `bytes[0..size)` and append the data to `body`; `max` bytes are the most of all calls. *ret_used gets the
 * number of bytes that are done with; the caller offers the others again, with more behind them.
 * HTTP_PARSE_DONE at the end; trailers are then views into `bytes`, names in lower case.
 * HTTP_PARSE_MORE, or the status to refuse the request with (500: out of memory). */
int http_chunks_decode(struct http_chunks *chunks, char *bytes, size_t size, uint64_t max, struct buf *body,
                       size_t *ret_used);

#endif
