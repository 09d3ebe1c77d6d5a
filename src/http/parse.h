/* The parser of HTTP/1.1 heads, of requests and of responses (RFC 9112, RFC 9110).
 *
 * Incremental over one contiguous buffer: call again with the same buffer when it holds more bytes.
 * Nothing is copied: the strings are views into the buffer. Field names are turned to lower
 * case in place. Work is linear in the bytes, however they arrive: finished lines are
 * not read again, and an unfinished one only when its end has come.
 *
 * Strict where two readers could disagree about where a message ends: bare CR or LF, folded lines,
 * space before the colon, repeated or mixed lengths, unknown codings are refused.
 */
#ifndef MAYFLY_HTTP_PARSE_H
#define MAYFLY_HTTP_PARSE_H

#include "wasi/message.h"

#define HTTP_MAX_FIELDS 100     /* RFC 9110 section 5.4 leaves the number to us */
#define HTTP_FEW_FIELDS 20      /* for which a parser has room in itself: what waits is small */
#define HTTP_MAX_METHOD 32      /* bytes */
#define HTTP_MAX_CHUNK_LINE 256 /* bytes of a chunk's size line, extensions included */

enum http_body_kind { HTTP_BODY_NONE, HTTP_BODY_LENGTH, HTTP_BODY_CHUNKED };

struct http_parser {
    size_t at;      /* start of the first line that is not parsed */
    size_t scanned; /* from `at` up to here there is no line feed */
    unsigned minor; /* 0 or 1, of the version */
    bool in_fields; /* the first line is parsed */
    bool response;  /* what is read is one; then `status` is its own, and `request` holds its fields only */
    unsigned status;
    bool keep_alive, expect_continue;
    bool seen_host, seen_close, seen_keep_alive, host_from_target;
    enum http_body_kind body;
    uint64_t length; /* of the body, for HTTP_BODY_LENGTH */
    struct http_request request;
    /* From here on not cleared by http_parse_begin: */
    struct http_field *many; /* HTTP_MAX_FIELDS, once a head had more than a few; NULL before. Owned */
    struct http_field few[HTTP_FEW_FIELDS];
};

#define HTTP_PARSE_DONE 0
#define HTTP_PARSE_MORE (-1)

/* Where the fields of the head are, or will be. */
static inline struct http_field *http_parse_fields(struct http_parser *parser)
{
    return parser->many ? parser->many : parser->few;
}

/* The place of one more field, behind request.field_count. NULL: *ret_status is 431, there are as many as there may be,
 * or 500, there is no memory. Fields may move: addresses of earlier ones are void. */
struct http_field *http_parse_room(struct http_parser *parser, int *ret_status);
/* The memory of its own, if it has some. */
void http_parse_free(struct http_parser *parser);

/* Forget the last message; the next one, a request or a response, starts at `start` of the buffer. */
void http_parse_begin(struct http_parser *parser, size_t start);
void http_parse_begin_response(struct http_parser *parser, size_t start);

/* Parse what `buffer[0..size)` holds from parser->at on. HTTP_PARSE_DONE: the head is complete and
 * parser->at is its end. HTTP_PARSE_MORE: it is not; how many bytes that may go on is the caller's
 * decision. Else the status to refuse the request with; for a response only a sign of what is wrong with it. A response
 * says with parser->body what it declares; whether it has content also depends on its status and the request. */
int http_parse_head(struct http_parser *parser, char *buffer, size_t size);

/* One field line without its line end, as in a trailer section: 0, or the status to refuse with.
 * Name in lower case, in place. */
int http_parse_field(char *line, size_t size, struct http_field *ret_field);

/* What a field says about how the message is to be read, if it is one of those that do (host, content-length, expect,
 * ...): 0, or the status to refuse with. */
int http_parse_known(struct http_parser *parser, const struct http_field *field);

/* uri-host [":" port] (RFC 9110 section 7.2), or nothing. */
bool http_is_host(struct str host);
/* Only bytes that a request's target may hold. */
bool http_is_target(struct str text);

/* The line that starts a chunk, at `bytes`: its length with the line end in *ret_line, the size of the
 * chunk in *ret_size (section 7.1). HTTP_PARSE_MORE, or a status, as above. */
int http_parse_chunk(const char *bytes, size_t size, size_t *ret_line, uint64_t *ret_size);

#endif
