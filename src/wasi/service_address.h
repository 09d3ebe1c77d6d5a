/* Addresses of services: SCHEME://[USER[:PASSWORD]@]HOST[:PORT][/PATH][?QUERY], as guests and configurations write
 * them, and of PostgreSQL also as words: host=HOST port=PORT user=USER password='PASSWORD' dbname=NAME sslmode=MODE.
 * The texts have percent signs and their digits, or quotes and backslashes, resolved. A password is nobody's business:
 * it is never put in a message. */
#ifndef MAYFLY_WASI_SERVICE_ADDRESS_H
#define MAYFLY_WASI_SERVICE_ADDRESS_H

#include "base/err.h"
#include "wasi/grants.h"

#define SERVICE_ADDRESS_MAX 4096u /* bytes of an address */

struct service_address {
    enum grant_scheme scheme; /* rediss and mqtts: over TLS, with a certificate for the host */
    struct str host; /* a name or an address, without brackets */
    uint16_t port;
    struct str user, password, path, query; /* empty when they are not given; the path without its slash */
};

static inline bool service_address_secure(const struct service_address *address)
{
    return address->scheme != grant_protocol(address->scheme);
}

/* `room` has the text's size, and outlives the address. ERR_INVALID: it is none; ERR_UNSUPPORTED: a scheme that is
 * known and not offered. The message holds nothing of the text but its scheme. */
bool service_address_parse(struct str text, char *room, struct service_address *ret, struct err *err);
/* The same of words. */
bool service_address_words(struct str text, char *room, struct service_address *ret, struct err *err);

#endif
