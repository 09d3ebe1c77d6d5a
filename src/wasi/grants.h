/* What of the network a function may use: nothing but what a rule permits. One structure for all versions of WASI,
 * filled by the command line now and by anything that reads the same forms later.
 *
 *     net       HOST:PORT            connect to (TCP), send to and hear from (UDP), look up HOST
 *     listen    ADDRESS:PORT         bind to (TCP and UDP), and accept connections
 *     outbound  SCHEME://HOST[:PORT] requests by wasi:http/outgoing-handler
 *
 * HOST is a name, *.NAME, an address, ADDRESS/BITS, or *; IPv6 stands in brackets. PORT is a number, A..B (without B)
 * or *; without a port the scheme's own. SCHEME is http, https or *.
 *
 * Names never lead to private addresses (io/address.h: this host, private networks, link-local, ...): neither do a
 * name, *.NAME and *, whatever the name system answers. Only an address or a range reaches them, and `localhost`,
 * which means the loopback addresses and nothing else. An address that a name led to is permitted for that name's
 * ports, to the activity that looked it up. So a grant means the same on every network. */
#ifndef MAYFLY_WASI_GRANTS_H
#define MAYFLY_WASI_GRANTS_H

#include "base/err.h"
#include "io/address.h"

#define GRANT_RULES_MAX 1024u /* of one kind */

enum grant_kind { GRANT_NET, GRANT_LISTEN, GRANT_OUTBOUND, GRANT_KINDS };

enum grant_host { GRANT_ANY, GRANT_NAME, GRANT_SUFFIX, GRANT_LOCALHOST, GRANT_RANGE };
enum grant_scheme { GRANT_HTTP = 1, GRANT_HTTPS = 2 };

struct grant_rule {
    enum grant_host host;
    struct str name; /* GRANT_NAME; GRANT_SUFFIX: with its dot; in lower case */
    struct ip_range range;
    uint16_t low, high; /* both permitted */
    uint16_t secure_low, secure_high; /* GRANT_OUTBOUND with https: its own when the port is not said */
    unsigned schemes;
};

struct grant_list {
    struct grant_rule *items;
    size_t count, capacity;
};

struct grants {
    struct grant_list lists[GRANT_KINDS];
};

/* A zeroed struct grants nothing. The text is copied. ERR_USAGE, with the form in the remedy, when it is no rule. */
bool grants_add(struct grants *grants, enum grant_kind kind, struct str text, struct err *err);
void grants_free(struct grants *grants);

/* ---- questions; `grants` may be NULL: nothing ---- */

/* Any rule of the kind. */
bool grants_any(const struct grants *grants, enum grant_kind kind);
/* Some name may be looked up, for whatever kind. */
bool grants_names(const struct grants *grants);
/* Outbound: some origin may be reached by https. */
bool grants_tls(const struct grants *grants);
/* Net: the address itself is granted, without a name. */
bool grants_connect(const struct grants *grants, const struct ip_endpoint *to);
/* Net: the name may be looked up. */
bool grants_lookup(const struct grants *grants, struct str name);
/* Net: `to` is an address that `name` led to. */
bool grants_connect_named(const struct grants *grants, struct str name, const struct ip_endpoint *to);
/* Net: some port of `address` could be reached after `name` led to it. */
bool grants_reach(const struct grants *grants, struct str name, const struct ip_address *address);
bool grants_listen(const struct grants *grants, const struct ip_endpoint *at);
/* Outbound: the origin, host as in a URI (a name or an address, perhaps in brackets). */
bool grants_origin(const struct grants *grants, bool secure, struct str host, uint16_t port);
/* Outbound: what the host of that origin led to. */
bool grants_origin_address(const struct grants *grants, bool secure, struct str host, const struct ip_endpoint *to);

#endif
