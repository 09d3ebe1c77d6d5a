/* See tls.h. This file: the library, clients, and what clients and servers share. */
#include "http/tls_library.h"

#include "base/alloc.h"
#include "base/library.h"
#include "io/address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tls_library ssl;

bool tls_load(struct err *err)
{
#define SYMBOL(name) {#name, (void **)&ssl.name},
    static const struct library_symbol symbols[] = {TLS_FUNCTIONS(SYMBOL)};
#undef SYMBOL
    static const struct library library = {"libssl.so.3", "no TLS", "install OpenSSL 3 (Debian: libssl3)", symbols,
                                           sizeof symbols / sizeof *symbols};
    return ssl.loaded || (ssl.loaded = library_load(&library, err));
}

bool tls_prepare(struct err *err)
{
    return tls_load(err);
}

/* ---- contexts ---- */

static bool set_up(SSL_CTX *context, const char *authorities)
{
    long modes = SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS;
    ssl.SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    ssl.SSL_CTX_ctrl(context, SSL_CTRL_MODE, modes, NULL);
    return ssl.SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_2_VERSION, NULL) == 1 &&
           (authorities ? ssl.SSL_CTX_load_verify_locations(context, authorities, NULL)
                        : ssl.SSL_CTX_set_default_verify_paths(context)) == 1;
}

struct tls_context *tls_context_new(const char *authorities, struct err *err)
{
    if (!tls_load(err))
        return NULL;
    struct tls_context *context = mem_alloc(1, sizeof *context);
    if (context)
        context->context = ssl.SSL_CTX_new(ssl.TLS_client_method());
    if (context && context->context && set_up(context->context, authorities))
        return context;
    tls_context_free(context);
    err_set(err, ERR_SYSTEM, "OpenSSL cannot begin, or read the certificates of authorities in %s",
            authorities ? authorities : "its places");
    return NULL;
}

void tls_context_free(struct tls_context *context)
{
    if (context && context->context)
        ssl.SSL_CTX_free(context->context);
    mem_free(context);
}

/* ---- connections ---- */

/* Who the peer must be: names are also told to it (SNI, RFC 6066), addresses are not. */
bool tls_set_host(SSL *connection, struct str host)
{
    struct ip_address address;
    char name[256];
    if (ip_parse(host, &address))
        return ssl.X509_VERIFY_PARAM_set1_ip(ssl.SSL_get0_param(connection), address.bytes, address.v6 ? 16 : 4) == 1;
    if (host.len && host.ptr[host.len - 1] == '.') /* certificates have no root's dot */
        host.len--;
    if (host.len == 0 || host.len >= sizeof name)
        return false;
    memcpy(name, host.ptr, host.len);
    name[host.len] = '\0';
    ssl.SSL_set_hostflags(connection, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    return ssl.SSL_set1_host(connection, name) == 1 &&
           ssl.SSL_ctrl(connection, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name) == 1;
}

struct tls *tls_open(struct tls_context *context, int fd, struct str host, const char *protocol)
{
    struct tls *tls = mem_alloc(1, sizeof *tls);
    if (tls)
        tls->ssl = ssl.SSL_new(context->context);
    if (tls && tls->ssl && tls_set_host(tls->ssl, host) && ssl.SSL_set_fd(tls->ssl, fd) == 1 &&
        (!protocol ||
         ssl.SSL_set_alpn_protos(tls->ssl, (const unsigned char *)protocol, (unsigned)strlen(protocol)) == 0)) {
        ssl.SSL_set_connect_state(tls->ssl);
        return tls;
    }
    tls_close(tls);
    return NULL;
}

void tls_goodbye(struct tls *tls)
{
    if (!tls || !tls->open)
        return;
    ssl.ERR_clear_error();
    ssl.SSL_shutdown(tls->ssl);
    tls->open = false;
}

void tls_close(struct tls *tls)
{
    if (!tls)
        return;
    tls_goodbye(tls);
    if (tls->ssl)
        ssl.SSL_free(tls->ssl);
    mem_free(tls);
}

/* What OpenSSL's answer means; 0: the peer's end. */
static int code_of(struct tls *tls, int result)
{
    switch (ssl.SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: return TLS_AGAIN;
    case SSL_ERROR_ZERO_RETURN: return 0;
    case SSL_ERROR_SYSCALL: tls->open = false; return TLS_CUT;
    default: break;
    }
    tls->error = ssl.ERR_peek_error();
    tls->open = false;
    return ERR_GET_REASON(tls->error) == SSL_R_UNEXPECTED_EOF_WHILE_READING ? TLS_CUT : TLS_FAILED;
}

int tls_handshake(struct tls *tls)
{
    ssl.ERR_clear_error();
    int result = ssl.SSL_do_handshake(tls->ssl);
    tls->open = result == 1;
    if (result == 1)
        return 0;
    int code = code_of(tls, result);
    return code == 0 ? TLS_CUT : code;
}

ssize_t tls_read(struct tls *tls, void *ret_bytes, size_t size)
{
    ssl.ERR_clear_error();
    int result = ssl.SSL_read(tls->ssl, ret_bytes, size > INT32_MAX ? INT32_MAX : (int)size);
    return result > 0 ? result : code_of(tls, result);
}

ssize_t tls_write(struct tls *tls, const void *bytes, size_t size)
{
    ssl.ERR_clear_error();
    int result = ssl.SSL_write(tls->ssl, bytes, size > INT32_MAX ? INT32_MAX : (int)size);
    if (result > 0)
        return result;
    int code = code_of(tls, result);
    return code == 0 ? TLS_CUT : code;
}

bool tls_pending(const struct tls *tls)
{
    return ssl.SSL_has_pending(tls->ssl) != 0;
}

/* Alerts that were received have reasons of their own (openssl/sslerr.h). */
void tls_failure(const struct tls *tls, struct tls_failure *ret)
{
    long verified = ssl.SSL_get_verify_result(tls->ssl);
    int reason = ERR_GET_REASON(tls->error);
    const char *text = ssl.ERR_reason_error_string(tls->error);
    ret->certificate = verified != X509_V_OK;
    ret->alert =
        reason > SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256 ? reason - SSL_AD_REASON_OFFSET : -1;
    if (ret->certificate)
        text = ssl.X509_verify_cert_error_string(verified);
    else if (ret->alert >= 0)
        text = ssl.SSL_alert_desc_string_long(ret->alert);
    snprintf(ret->text, sizeof ret->text, "%s", text ? text : "unknown");
}
