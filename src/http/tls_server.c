/* TLS for those who call: contexts, and connections whose bytes move through the loop, so that whatever the
 * loop does to receive and to send (backends, signals) holds for them too. */
#include "http/tls_library.h"

#include "base/alloc.h"
#include "base/log.h"
#include "http/h2_library.h"
#include "io/loop.h"

#include <errno.h>

/* ---- bytes ---- */

static int bio_result(BIO *bio, ssize_t n, int retry)
{
    ssl.BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
    if (n == -EAGAIN)
        ssl.BIO_set_flags(bio, retry | BIO_FLAGS_SHOULD_RETRY);
    return n < 0 ? -1 : (int)n;
}

static int bio_read(BIO *bio, char *bytes, int size)
{
    struct tls *tls = ssl.BIO_get_data(bio);
    ssize_t n = io_recv(tls->loop, tls->watch, bytes, (size_t)size);
    tls->dry = n < size;
    return bio_result(bio, n, BIO_FLAGS_READ);
}

static int bio_write(BIO *bio, const char *bytes, int size)
{
    const struct tls *tls = ssl.BIO_get_data(bio);
    return bio_result(bio, io_send(tls->loop, tls->watch, bytes, (size_t)size), BIO_FLAGS_WRITE);
}

static long bio_ctrl(BIO *bio, int what, long number, void *pointer)
{
    return what == BIO_CTRL_FLUSH; /* nothing is held back here */
}

/* One for the process; it lives as long. */
static BIO_METHOD *bio_method(void)
{
    static BIO_METHOD *method;
    if (!method && (method = ssl.BIO_meth_new(BIO_TYPE_SOURCE_SINK, "loop"))) {
        ssl.BIO_meth_set_read(method, bio_read);
        ssl.BIO_meth_set_write(method, bio_write);
        ssl.BIO_meth_set_ctrl(method, bio_ctrl);
    }
    return method;
}

/* ---- contexts ---- */

/* What is spoken here, best first; without nghttp2, from the second on. */
static const struct str protocols[] = {{"h2", 2}, {"http/1.1", 8}};

/* RFC 7301 section 3.2. The server's order counts. `arg` points into the list: a connection may outlive what was made
 * for its context. */
static int choose_protocol(SSL *connection, const unsigned char **ret_name, unsigned char *ret_size,
                           const unsigned char *offered, unsigned size, void *arg)
{
    const struct str *end = protocols + sizeof protocols / sizeof protocols[0];
    (void)connection;
    for (const struct str *name = arg; name < end; name++)
        for (unsigned at = 0; at < size && offered[at] < size - at; at += 1u + offered[at])
            if (str_eq(*name, (struct str){(const char *)offered + at + 1, offered[at]})) {
                *ret_name = offered + at + 1;
                *ret_size = offered[at];
                return SSL_TLSEXT_ERR_OK;
            }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static bool set_up(SSL_CTX *context)
{
    long modes = SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS;
    ssl.SSL_CTX_ctrl(context, SSL_CTRL_MODE, modes, NULL);
    ssl.SSL_CTX_ctrl(context, SSL_CTRL_SET_READ_AHEAD, 1, NULL);
    /* Tickets hold the sessions; a cache here would only grow. */
    ssl.SSL_CTX_ctrl(context, SSL_CTRL_SET_SESS_CACHE_MODE, SSL_SESS_CACHE_OFF, NULL);
    ssl.SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                         SSL_OP_PRIORITIZE_CHACHA);
    return ssl.SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_2_VERSION, NULL) == 1 &&
           ssl.SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1;
}

/* ---- what the server shows ---- */

static bool refuse(const char *name, const char *what, unsigned long error, const char *remedy, struct err *err)
{
    const char *why = ssl.ERR_reason_error_string(error);
    err_set(err, ERR_MALFORMED, "%s: %s (%s)", name, what, why ? why : "OpenSSL does not say why");
    return err_remedy(err, "%s", remedy);
}

static BIO *open_pem(struct str pem, struct err *err)
{
    BIO *bio = pem.len <= INT32_MAX ? ssl.BIO_new_mem_buf(pem.ptr, (int)pem.len) : NULL;
    ssl.ERR_clear_error();
    if (!bio)
        err_memory(err);
    return bio;
}

/* Up to the end of the text, which is an error of this kind to who looks for one more. */
static bool read_issuers(SSL_CTX *context, BIO *bio)
{
    X509 *issuer;
    while ((issuer = ssl.PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
        if (ssl.SSL_CTX_ctrl(context, SSL_CTRL_CHAIN_CERT, 0, issuer) != 1) { /* which else is the context's */
            ssl.X509_free(issuer);
            return false;
        }
    unsigned long error = ssl.ERR_peek_last_error();
    return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

/* The order of RFC 8446 section 4.4.2: the server's own, then each issuer. Returns the former, the caller's, or NULL.
 */
static X509 *use_certificate(SSL_CTX *context, const struct tls_identity *identity, struct err *err)
{
    BIO *bio = open_pem(identity->certificate, err);
    if (!bio)
        return NULL;
    X509 *own = ssl.PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL);
    bool done = own && ssl.SSL_CTX_use_certificate(context, own) == 1 && read_issuers(context, bio);
    ssl.BIO_free(bio);
    if (done)
        return own;
    refuse(identity->certificate_name, "no certificate can be read from it", ssl.ERR_peek_error(),
           "give a PEM file with the server's certificate first and those of its issuers behind it", err);
    ssl.X509_free(own);
    return NULL;
}

/* A key under a pass phrase would make OpenSSL ask on the terminal. */
static int no_pass_phrase(char *phrase, int size, int writing, void *arg)
{
    return -1;
}

/* OpenSSL compares a key with a certificate of the same kind only, unless it is asked. */
static bool use_key(SSL_CTX *context, const struct tls_identity *identity, const X509 *certificate, struct err *err)
{
    BIO *bio = open_pem(identity->key, err);
    if (!bio)
        return false;
    EVP_PKEY *key = ssl.PEM_read_bio_PrivateKey(bio, NULL, no_pass_phrase, NULL);
    bool done =
        key && ssl.X509_check_private_key(certificate, key) == 1 && ssl.SSL_CTX_use_PrivateKey(context, key) == 1;
    ssl.EVP_PKEY_free(key);
    ssl.BIO_free(bio);
    return done ||
           refuse(identity->key_name, "no key of this certificate can be read from it", ssl.ERR_peek_error(),
                  "give the PEM file of the certificate's own key, without a pass phrase (openssl pkey -in)", err);
}

static bool use_identity(SSL_CTX *context, const struct tls_identity *identity, struct err *err)
{
    X509 *certificate = use_certificate(context, identity, err);
    bool done = certificate && use_key(context, identity, certificate, err);
    ssl.X509_free(certificate);
    return done;
}

/* It is missed once: for later contexts a sandbox may be the reason. */
static bool has_http2(void)
{
    static bool missed;
    struct err err = {0};
    bool there = !missed && h2_load(&err);
    if (!there && !missed)
        log_line(LOG_WARN, NULL, "%s; %s", err.message, err.remedy);
    missed = !there;
    return there;
}

struct tls_context *tls_server_context_new(const struct tls_identity *identity, struct err *err)
{
    if (!tls_load(err))
        return NULL;
    struct tls_context *context = mem_alloc(1, sizeof *context);
    bool made = context && (context->context = ssl.SSL_CTX_new(ssl.TLS_server_method())) && set_up(context->context);
    if (!made)
        err_set(err, ERR_MEMORY, "OpenSSL cannot begin");
    if (made && use_identity(context->context, identity, err)) {
        ssl.SSL_CTX_set_alpn_select_cb(context->context, choose_protocol, (void *)(protocols + !has_http2()));
        return context;
    }
    tls_context_free(context);
    return NULL;
}

/* ---- connections ---- */

struct tls *tls_serve(struct tls_context *context, struct io_loop *loop, struct io_watch *watch)
{
    struct tls *tls = mem_alloc(1, sizeof *tls);
    BIO *bio = tls && bio_method() ? ssl.BIO_new(bio_method()) : NULL;
    if (bio)
        tls->ssl = ssl.SSL_new(context->context);
    if (!bio || !tls->ssl) {
        mem_free(tls);
        return NULL;
    }
    tls->loop = loop;
    tls->watch = watch;
    ssl.BIO_set_data(bio, tls);
    ssl.BIO_set_init(bio, 1);
    ssl.SSL_set_bio(tls->ssl, bio, bio);
    ssl.SSL_set_accept_state(tls->ssl);
    return tls;
}

bool tls_speaks_h2(const struct tls *tls)
{
    const unsigned char *name = NULL;
    unsigned size = 0;
    ssl.SSL_get0_alpn_selected(tls->ssl, &name, &size);
    return size == 2 && memcmp(name, "h2", 2) == 0;
}

void tls_arrived(struct tls *tls)
{
    tls->dry = false;
}

bool tls_readable(const struct tls *tls)
{
    return !tls->dry || tls_pending(tls);
}
