/* Requests that stay inside: what one function of a worker asks of another, without a socket between them.
 *
 * Both ends in one. For who asks it is a client (wasi/outbound.h), for who answers a server: the service gets an
 * exchange like any other (http/server.h) and cannot tell the difference, but for the questions below. Bodies go
 * through windows of HTTP_LOCAL_ROOM in both directions at the same time: who does not read makes the other wait.
 *
 * Neither end ever runs inside of the other. What one does is told to the other from the loop, so a guest that asks
 * must wait before the guest that answers begins.
 *
 * A request ends when its caller drops it: then the service is told that the exchange is gone, as of a client that went
 * away. So a caller's limit on time holds for all that is done for it. */
#ifndef MAYFLY_HTTP_LOCAL_H
#define MAYFLY_HTTP_LOCAL_H

#include "http/server.h"
#include "wasi/outbound.h"

#define HTTP_LOCAL_MAX 4096u                /* under way at once; beyond: connection-limit-reached */
#define HTTP_LOCAL_ROOM ((size_t)65536)     /* bytes that wait in one direction before that direction stops */
#define HTTP_LOCAL_BYTES ((size_t)64 << 20) /* of a body that was written before anybody could read it */
#define HTTP_LOCAL_HELD ((size_t)256 << 20) /* of all bodies together; beyond, what is written fails its request */

struct http_local;

/* `service`: who answers; it outlives what is made here. NULL when out of memory. */
struct http_local *http_local_new(struct io_loop *loop, const struct http_service *service, struct err *err);
/* Nothing more is answered: the service is told that its exchanges are gone, and callers find their calls failed. */
void http_local_close(struct http_local *local);
/* All calls must have been dropped. NULL is fine. */
void http_local_free(struct http_local *local);

/* `client` is a struct http_local. Of a request it needs no host, port and resolver. */
extern const struct outbound_face http_local_face;

/* What the exchange was begun with (struct outbound_request): `to`, `function` and `user`, which is still there while
 * the exchange is. NULL: it came from outside. */
struct http_local_origin {
    enum outbound_to to;
    uint32_t function;
    void *user;
};
const struct http_local_origin *http_local_origin(const struct http_exchange *x);

#endif
