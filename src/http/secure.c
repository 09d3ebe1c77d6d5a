/* TLS under a connection: the handshake, after which ALPN says what is spoken (RFC 9113 section 3.2), and the transport
 * from then on. The handshake has the time of a request's head. */
#include "http/connection.h"

#include "http/tls.h"

#include <errno.h>
#include <sys/uio.h>

bool secure_begin(struct connection *c)
{
    c->tls = tls_serve(c->server->tls, c->server->loop, &c->watch);
    return c->tls != NULL;
}

/* ---- the handshake ---- */

static void handshake_run(struct connection *c)
{
    int code = c->doomed ? TLS_CUT : tls_handshake(c->tls);
    if (code == TLS_AGAIN)
        return;
    bool h2 = code == 0 && tls_speaks_h2(c->tls);
    if (code != 0 || (h2 && !h2_begin(c))) {
        connection_end(c);
        return;
    }
    if (!h2)
        c->protocol = &h1_protocol;
    c->readable = true; /* what followed the handshake may have come with it */
    c->protocol->run(c);
}

static void handshake_end(struct connection *c)
{
}

const struct protocol handshake_protocol = {handshake_run, connection_end, NULL, connection_end, handshake_end};

/* ---- the transport ---- */

size_t secure_receive(struct connection *c, void *bytes, size_t room)
{
    ssize_t n = tls_read(c->tls, bytes, room);
    c->readable = n > 0 && (c->ending || tls_readable(c->tls));
    c->ended |= n == 0 || n == TLS_CUT;
    c->doomed |= n == TLS_FAILED;
    return n > 0 ? (size_t)n : 0;
}

ssize_t secure_send(struct connection *c, const void *bytes, size_t size)
{
    size_t sent = 0;
    while (sent < size) { /* a record at a time */
        ssize_t n = tls_write(c->tls, (const char *)bytes + sent, size - sent);
        if (n == TLS_AGAIN)
            break;
        if (n <= 0)
            return -ECONNRESET;
        sent += (size_t)n;
    }
    return sent || size == 0 ? (ssize_t)sent : -EAGAIN;
}

ssize_t secure_sendv(struct connection *c, const struct iovec *parts, int count)
{
    size_t sent = 0;
    for (int i = 0; i < count; i++) {
        ssize_t n = secure_send(c, parts[i].iov_base, parts[i].iov_len);
        if (n < 0 && n != -EAGAIN)
            return n;
        sent += n > 0 ? (size_t)n : 0;
        if (n < (ssize_t)parts[i].iov_len)
            break;
    }
    return sent ? (ssize_t)sent : -EAGAIN;
}
