/* Secrets of a HashiCorp Vault (KV engine, version 2) as values of variables.
 *
 * They are read by a process of its own, with the client that guests' requests go out with: what comes from the network
 * is parsed where nothing else is, and the supervisor gets values of known sizes over a pipe. It has a minute for all
 * of them. Certificates are checked as guests' are: against the system's store, or SSL_CERT_FILE and SSL_CERT_DIR. */
#ifndef MAYFLY_DEPLOY_VAULT_H
#define MAYFLY_DEPLOY_VAULT_H

#include "app/runtime_config.h"

struct vault_secret {
    struct str name;
    struct str value; /* in the arena; no pointer: Vault has none of that name */
};

/* The text "value" of the secret MOUNT/[PREFIX/]NAME, for each. What goes wrong with one is an error for all, and says
 * neither a value nor the token. */
bool vault_read(const struct runtime_provider *provider, struct vault_secret *secrets, uint32_t count,
                struct arena *arena, struct err *err);

/* ---- in its process (vault_ask.c) ---- */

#define VAULT_BODY_MAX ((size_t)1 << 20) /* bytes of an answer */

/* The url of a provider. */
struct vault_server {
    bool secure;
    struct str authority, host, base; /* views; the host without brackets, the base without a slash at its end */
    uint16_t port;
};
/* ERR_INVALID: it is none that can be asked. */
bool vault_parse(struct str url, struct vault_server *ret, struct err *err);

struct vault_client;
struct vault_client *vault_client_new(const struct runtime_provider *provider, const struct vault_server *server,
                                      struct err *err);
/* NULL is fine. */
void vault_client_free(struct vault_client *client);
/* `*ret_value` lasts until the next call; no pointer: there is none. */
bool vault_ask(struct vault_client *client, struct str name, struct str *ret_value, struct err *err);

#endif
