/* URLs of servers that are asked while the table of functions is made, by processes of their own (vault.h, fetch.h);
 * and what is said of one that does not answer. */
#ifndef MAYFLY_DEPLOY_URL_H
#define MAYFLY_DEPLOY_URL_H

#include "base/buf.h"
#include "wasi/outbound.h"

#define URL_MAX ((size_t)8192) /* bytes of one that a server leads to */

struct url {
    bool secure;                 /* https, else http */
    struct str authority, host;  /* views; the host without brackets: a name, or an address */
    uint16_t port;
    struct str rest; /* from its path on; may be empty, or begin with '?' or '#' */
};

/* False: it is none that can be asked. There is no place for a user's name and password. */
bool url_parse(struct str text, struct url *ret);
/* What a request for it asks the server for. */
bool url_target(const struct url *url, struct buf *ret);
/* Where `location` in an answer of `base` leads (RFC 3986, section 5.2), whatever its scheme. */
bool url_join(const struct url *base, struct str location, struct buf *ret);
/* Append a text as part of a path or a query; slashes stay. */
void url_escape(struct buf *out, struct str text);

/* For messages: without a user and what is behind '?', which may be secrets, and cut. */
#define URL_SHOWN 112u
const char *url_shown(struct str url, char room[URL_SHOWN]);
/* Why there is no answer. */
const char *url_failure(const struct outbound_call *call);

#endif
