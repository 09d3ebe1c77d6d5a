/* OpenSSL as it is loaded: the functions that the files of TLS call (tls.c, tls_server.c), and what a connection is. */
#ifndef MAYFLY_HTTP_TLS_LIBRARY_H
#define MAYFLY_HTTP_TLS_LIBRARY_H

#include "http/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#define TLS_FUNCTIONS(F)                                                                                               \
    F(BIO_clear_flags)                                                                                                 \
    F(BIO_free)                                                                                                        \
    F(BIO_get_data)                                                                                                    \
    F(BIO_meth_new)                                                                                                    \
    F(BIO_meth_set_ctrl)                                                                                               \
    F(BIO_meth_set_read)                                                                                               \
    F(BIO_meth_set_write)                                                                                              \
    F(BIO_new)                                                                                                         \
    F(BIO_new_mem_buf)                                                                                                 \
    F(BIO_set_data)                                                                                                    \
    F(BIO_set_flags)                                                                                                   \
    F(BIO_set_init)                                                                                                    \
    F(ERR_clear_error)                                                                                                 \
    F(ERR_peek_error)                                                                                                  \
    F(ERR_peek_last_error)                                                                                             \
    F(ERR_reason_error_string)                                                                                         \
    F(EVP_PKEY_free)                                                                                                   \
    F(PEM_read_bio_PrivateKey)                                                                                         \
    F(PEM_read_bio_X509)                                                                                               \
    F(PEM_read_bio_X509_AUX)                                                                                           \
    F(SSL_CTX_ctrl)                                                                                                    \
    F(SSL_CTX_free)                                                                                                    \
    F(SSL_CTX_load_verify_locations)                                                                                   \
    F(SSL_CTX_new)                                                                                                     \
    F(SSL_CTX_set_alpn_select_cb)                                                                                      \
    F(SSL_CTX_set_cipher_list)                                                                                         \
    F(SSL_CTX_set_default_verify_paths)                                                                                \
    F(SSL_CTX_set_info_callback)                                                                                       \
    F(SSL_CTX_set_options)                                                                                             \
    F(SSL_CTX_set_verify)                                                                                              \
    F(SSL_CTX_use_PrivateKey)                                                                                          \
    F(SSL_CTX_use_certificate)                                                                                         \
    F(SSL_alert_desc_string_long)                                                                                      \
    F(SSL_ctrl)                                                                                                        \
    F(SSL_do_handshake)                                                                                                \
    F(SSL_free)                                                                                                        \
    F(SSL_get0_alpn_selected)                                                                                          \
    F(SSL_get0_param)                                                                                                  \
    F(SSL_get_error)                                                                                                   \
    F(SSL_get_verify_result)                                                                                           \
    F(SSL_has_pending)                                                                                                 \
    F(SSL_is_init_finished)                                                                                            \
    F(SSL_new)                                                                                                         \
    F(SSL_read)                                                                                                        \
    F(SSL_set1_host)                                                                                                   \
    F(SSL_set_accept_state)                                                                                            \
    F(SSL_set_alpn_protos)                                                                                             \
    F(SSL_set_bio)                                                                                                     \
    F(SSL_set_connect_state)                                                                                           \
    F(SSL_set_fd)                                                                                                      \
    F(SSL_set_hostflags)                                                                                               \
    F(SSL_shutdown)                                                                                                    \
    F(SSL_write)                                                                                                       \
    F(TLS_client_method)                                                                                               \
    F(TLS_server_method)                                                                                               \
    F(X509_VERIFY_PARAM_set1_ip)                                                                                       \
    F(X509_check_private_key)                                                                                          \
    F(X509_free)                                                                                                       \
    F(X509_verify_cert_error_string)

struct tls_library {
#define MEMBER(name) __typeof__(&name) name;
    TLS_FUNCTIONS(MEMBER)
#undef MEMBER
    bool loaded;
};
extern struct tls_library ssl;
bool tls_load(struct err *err);
/* Who the peer must be; names are also told to it. */
bool tls_set_host(SSL *connection, struct str host);

struct tls_context {
    SSL_CTX *context;
};

struct tls {
    SSL *ssl;
    unsigned long error; /* of the last failure */
    bool open; /* the handshake is done, and nothing failed since */
    bool dry; /* of a server: the last read took all that the socket had, and nothing came since */
    struct io_loop *loop; /* of a server: it reads and writes through the loop */
    struct io_watch *watch;
};

#endif
