/* The runtime configuration file of Spin: what whoever runs an application decides, not who wrote it. Where its
 * variables come from, where stores and databases lie, which networks nobody reaches.
 *
 * It is read as a manifest is (app/manifest.h): all mistakes at once, each with its place and what to do. What Spin has
 * and mayfly does not is an error that names it. Texts are secrets, some of them: what is said of mistakes has keys and
 * types in it, and no values but names of types, addresses and paths. */
#ifndef MAYFLY_APP_RUNTIME_CONFIG_H
#define MAYFLY_APP_RUNTIME_CONFIG_H

#include "app/manifest.h"
#include "io/address.h"

#define RUNTIME_PROVIDERS_MAX 16u
#define RUNTIME_STORES_MAX 64u /* of a kind */
#define RUNTIME_BLOCKED_MAX 1024u

/* A provider of variables, in the order of the file: the first that has a value gives it. */
enum runtime_provider_type { RUNTIME_STATIC, RUNTIME_ENVIRONMENT, RUNTIME_VAULT, RUNTIME_PROVIDER_TYPES };

struct runtime_provider {
    enum runtime_provider_type type;
    struct manifest_place at;
    struct manifest_pairs values; /* STATIC */
    struct manifest_text prefix; /* ENVIRONMENT: of names of variables; VAULT: of names of secrets. Perhaps not given */
    struct manifest_text dotenv_path; /* ENVIRONMENT, perhaps not given */
    struct manifest_text url, token, mount; /* VAULT */
};

/* What stands behind a label of a store or database. */
/* A folder of this machine, of which nobody else knows; or a Redis server. */
enum runtime_store_type { RUNTIME_SPIN, RUNTIME_REDIS };

struct runtime_store {
    enum runtime_store_type type;
    struct manifest_text label;
    struct manifest_text path; /* SPIN */
    struct manifest_text url; /* REDIS */
};

struct runtime_stores {
    struct runtime_store *items;
    uint32_t count;
};

struct runtime_config {
    struct manifest_text state_dir, log_dir; /* of what components print; empty: nowhere */
    struct manifest_amount max_instance_memory; /* bytes */
    struct runtime_provider *providers;
    uint32_t provider_count;
    struct runtime_stores key_value_stores, sqlite_databases;
    bool block_private; /* all networks that are not the public one */
    struct ip_range *blocked;
    uint32_t blocked_count;
    /* Private: */
    struct arena arena;
};

/* As manifest_read. */
bool runtime_config_read(struct runtime_config *ret, struct str text, struct manifest_problems *problems,
                         struct err *err);
/* The same of a file. ERR_SYSTEM when it cannot be read. */
bool runtime_config_load(struct runtime_config *ret, const char *path, struct manifest_problems *problems,
                         struct err *err);
/* A zeroed one is fine. */
void runtime_config_free(struct runtime_config *config);

#endif
