/* The HTTP/1.1 client of a worker: outgoing exchanges on the loop, plain or TLS, one at a time on a connection.
 *
 * A connection whose response came whole, with an end that the response itself told and nothing behind it, is kept for
 * a moment and used again, for the same origin and tenant, by a request without a body. When the peer has meanwhile
 * ended it, before a byte of the response, that request goes out once more on a new one.
 *
 * It is used through `http_client_face` (wasi/outbound.h, where the contract stands). It follows no redirects, knows no
 * proxies, caches nothing and reads no environment: a call goes where its request says and nowhere else, to addresses
 * that its owner permitted one by one.
 *
 * Bounded: calls at once, the response's head, trailers and informational responses, bytes waiting in both directions
 * (a reader that does not read stops the peer), time for each phase. */
#ifndef MAYFLY_HTTP_CLIENT_H
#define MAYFLY_HTTP_CLIENT_H

#include "io/loop.h"
#include "wasi/outbound.h"

#define HTTP_CALLS_MAX                                                                                                 \
    4096u /* under way at once, or fewer where descriptors are few; beyond: connection-limit-reached */
#define HTTP_RESPONSE_HEAD ((size_t)32768) /* bytes of a response's head, and of its trailers */
#define HTTP_INFORMATIONAL_MAX 16u        /* 1xx responses before the final one */
#define HTTP_CALL_ROOM ((size_t)65536)    /* bytes that wait in one direction before that direction stops */

#define HTTP_IDLE_MAX 64u             /* connections kept */
#define HTTP_IDLE_US UINT64_C(5000000) /* for how long */

#define HTTP_CONNECT_US UINT64_C(30000000)    /* looking up, connecting and the TLS handshake together */
#define HTTP_FIRST_BYTE_US UINT64_C(60000000) /* from the last byte sent to the end of the response's head */
#define HTTP_BETWEEN_US UINT64_C(60000000)    /* between bytes of the response's body, while its reader reads */

struct http_client;

/* From now on this process ignores SIGPIPE. NULL when out of memory. */
struct http_client *http_client_new(struct io_loop *loop, struct err *err);
/* Requests by https will be made: load what that takes now; later the process may no longer be able to. What fails is
 * logged, and tried again. */
void http_client_prepare_tls(struct http_client *client);
/* All calls must have been dropped. NULL is fine. */
void http_client_free(struct http_client *client);

extern const struct outbound_face http_client_face;

#endif
