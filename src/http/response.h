/* Writing heads of responses and requests (RFC 9112 sections 3 and 4, RFC 9110 section 6). */
#ifndef MAYFLY_HTTP_RESPONSE_H
#define MAYFLY_HTTP_RESPONSE_H

#include "wasi/message.h"

/* A piece of memory being filled; never grows. */
struct http_out {
    char *data;
    size_t size, capacity;
};

#define HTTP_DATE_SIZE 29

/* The date field's value, made anew when the second changes. */
struct http_date {
    int64_t second; /* since 1970; 0: not made yet */
    char text[HTTP_DATE_SIZE];
};
void http_date_update(struct http_date *date, int64_t now_s);

enum http_framing {
    HTTP_FRAME_NONE,    /* the message has no content and says nothing about it */
    HTTP_FRAME_LENGTH,  /* content-length */
    HTTP_FRAME_CHUNKED, /* transfer-encoding: chunked */
    HTTP_FRAME_CLOSE,   /* content up to the end of the connection */
};

struct http_head {
    unsigned status;
    const struct http_field *fields;
    size_t count;
    enum http_framing framing;
    uint64_t length; /* for HTTP_FRAME_LENGTH */
    bool close;      /* say that the connection ends here */
    bool keep;       /* say that it does not, to a client of HTTP/1.0 */
};

/* Append the head with its empty line. Fields of the connection and content-length are left out, date is
 * added unless given. False, and nothing appended, when a name or value is not fit for a field or the
 * head does not fit. */
bool http_head_write(struct http_out *out, const struct http_head *head, const struct http_date *date);

struct http_request_head {
    struct str method, target, authority; /* method a token, the others without spaces or controls */
    const struct http_field *fields;
    size_t count;
    enum http_framing framing;
    uint64_t length;
    bool close;
};

/* The same for a request: host first; host fields among the given ones are left out too. */
bool http_request_head_write(struct http_out *out, const struct http_request_head *head);

/* Whether `name` (lower case) belongs to the connection, not to the message (RFC 9110 section 7.6.1). */
bool http_is_hop_field(struct str name);
/* The same, in any case. */
bool http_is_hop_name(struct str name);

/* Whether a field may stand in a trailer section: fit for a field, and nothing that says how the message is to be read
 * (RFC 9110 section 6.5.1), which a peer that joins trailers to the fields would believe. */
bool http_is_trailer(const struct http_field *field);

/* Reason phrase of a status, or an empty string. */
struct str http_reason(unsigned status);

bool http_out_append(struct http_out *out, const void *bytes, size_t size);
bool http_out_number(struct http_out *out, uint64_t number, unsigned base);

/* What stands before a chunk of `size` bytes (RFC 9112 section 7.1), written into `room`. */
#define HTTP_CHUNK_LINE 32u
struct str http_chunk_line(char room[HTTP_CHUNK_LINE], uint64_t size);

#endif
