/* The inside of HTTP/1.1, shared by its files: h1.c reads requests, h1_body.c their bodies, h1_exchange.c answers. */
#ifndef MAYFLY_HTTP_H1_H
#define MAYFLY_HTTP_H1_H

#include "http/connection.h"

extern const struct http_exchange_ops h1_exchange_ops;

/* The service began to wait: time counts from now. */
void h1_wait(struct connection *c);

/* ---- h1_exchange.c ---- */

/* The exchange is answered: what follows is the rest of its body, then the next request. */
void exchange_end(struct http_exchange *x, bool keep);
/* Nothing of it is left to read: give it back. */
void exchange_close(struct connection *c);
/* An interim answer (RFC 9110 section 15.2.1). */
bool h1_continue(struct connection *c);

/* ---- h1_body.c ---- */

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
/* Operations of the exchange. */
void h1_want(void *exchange);
void h1_take(void *exchange, size_t size);

#endif
