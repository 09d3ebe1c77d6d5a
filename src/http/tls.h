/* TLS: OpenSSL, loaded when it is first needed, so that who needs none links and pays nothing.
 *
 * Every outgoing connection checks the peer's certificate against the system's store (OpenSSL's default places;
 * SSL_CERT_FILE and SSL_CERT_DIR name others) and its name or address; there is no way to leave that out. TLS 1.2 at
 * least. */
#ifndef MAYFLY_HTTP_TLS_H
#define MAYFLY_HTTP_TLS_H

#include "base/err.h"
#include "base/str.h"

#include <sys/types.h>

struct io_loop;
struct io_watch;
struct tls_context;
struct tls;

/* The library is loaded. */
bool tls_prepare(struct err *err);
/* For outgoing connections. `authorities`: a file of certificates that are trusted instead of the system's, or NULL. */
struct tls_context *tls_context_new(const char *authorities, struct err *err);
/* Connections keep it alive. NULL is fine. */
void tls_context_free(struct tls_context *context);

/* A client on a connected, non-blocking descriptor, which stays the caller's. `host`: the name or numeric address that
 * the certificate must be for. `protocol`: what ALPN offers, as it is sent ("\x08http/1.1"), or NULL. NULL when out of
 * memory, or when the host cannot be checked. */
struct tls *tls_open(struct tls_context *context, int fd, struct str host, const char *protocol);
/* Says goodbye if that is possible at once. NULL is fine. */
void tls_close(struct tls *tls);
/* The same, and the connection stays. */
void tls_goodbye(struct tls *tls);

/* What a server shows: its certificate, with those of its issuers behind it, and its key, both PEM (RFC 7468). */
struct tls_identity {
    struct str certificate, key;
    const char *certificate_name, *key_name; /* what errors call them */
};
/* For a server. Nothing of the identity is needed afterwards: for a new one make a new context. Opens no file once TLS
 * and HTTP/2 are loaded, so a sandbox may be around it. Errors name the part and what to do. ALPN offers h2 (when
 * nghttp2 is there) and http/1.1. TLS 1.2 at least, with forward secrecy and authenticated encryption only, which is
 * what HTTP/2 permits (RFC 9113, appendix A). */
struct tls_context *tls_server_context_new(const struct tls_identity *identity, struct err *err);
/* A server's side of a connection that the loop watches; bytes go through io_recv and io_send. NULL when out of memory.
 */
struct tls *tls_serve(struct tls_context *context, struct io_loop *loop, struct io_watch *watch);
/* Whether ALPN chose HTTP/2. */
bool tls_speaks_h2(const struct tls *tls);
/* The loop said that bytes came: what is read from the buffer of earlier ones does not tell whether the socket has any.
 */
void tls_arrived(struct tls *tls);
/* Whether a read may find more without a new notification: of a server. */
bool tls_readable(const struct tls *tls);

/* What a step came to, besides a number of bytes: */
enum {
    TLS_AGAIN = -1, /* wait until the descriptor is ready again */
    TLS_FAILED = -2, /* see tls_failure */
    TLS_CUT = -3, /* the peer ended the connection without saying so */
};

/* 0 when it is done. */
int tls_handshake(struct tls *tls);
/* Bytes, 0 at the peer's end, or a code above. */
ssize_t tls_read(struct tls *tls, void *ret_bytes, size_t size);
ssize_t tls_write(struct tls *tls, const void *bytes, size_t size);

/* Bytes of the peer are here that were not read. */
bool tls_pending(const struct tls *tls);

struct tls_failure {
    bool certificate; /* the peer's was not accepted */
    int alert; /* that the peer sent, or -1 */
    char text[120];
};
void tls_failure(const struct tls *tls, struct tls_failure *ret);

#endif
