/* What of the network a function may use: nothing but what a rule permits. One structure for all versions of WASI,
 * filled by the command line now and by anything that reads the same forms later.
 *
 *     net       HOST:PORT            connect to (TCP), send to and hear from (UDP), look up HOST
 *     listen    ADDRESS:PORT         bind to (TCP and UDP), and accept connections
 *     outbound  SCHEME://HOST[:PORT] requests by wasi:http/outgoing-handler, and services (wasi/service.h)
 *
 * HOST is a name, *.NAME, an address, ADDRESS/BITS, or *; IPv6 stands in brackets. PORT is a number, A..B (without B)
 * or *; without a port the scheme's own. SCHEME is http, https, redis, rediss, postgres, mysql, mqtt, mqtts or *.
 * Outbound, `self` is the application itself and ID.spin.internal, or *.spin.internal, its components.
 *
 * Names never lead to private addresses (io/address.h: this host, private networks, link-local, ...): neither do a
 * name, *.NAME and *, whatever the name system answers. Only an address or a range reaches them, and `localhost`,
 * which means the loopback addresses and nothing else. An address that a name led to is permitted for that name's
 * ports, to the activity that looked it up. So a grant means the same on every network, unless who runs it all says
 * otherwise (names_reach_private). */
#ifndef MAYFLY_WASI_GRANTS_H
#define MAYFLY_WASI_GRANTS_H

#include "base/err.h"
#include "io/address.h"

#define GRANT_RULES_MAX 1024u /* of one kind */

/* GRANT_SERVICE is filled by rules of the form outbound whose scheme is a service's. */
enum grant_kind { GRANT_NET, GRANT_LISTEN, GRANT_OUTBOUND, GRANT_SERVICE, GRANT_KINDS };

/* Hosts that no name system knows: the application itself, and its components. */
#define GRANT_SELF_HOST "self.alt"
#define GRANT_INSIDE_SUFFIX ".spin.internal"

/* SELF and INSIDE: of outbound requests only, and nothing of them ever leaves the process. */
enum grant_host { GRANT_ANY, GRANT_NAME, GRANT_SUFFIX, GRANT_LOCALHOST, GRANT_RANGE, GRANT_SELF, GRANT_INSIDE };
enum grant_scheme {
    GRANT_HTTP = 1,
    GRANT_HTTPS = 2,
    GRANT_REDIS = 4,
    GRANT_POSTGRES = 8,
    GRANT_MYSQL = 16,
    GRANT_MQTT = 32,
    GRANT_REDISS = 64, /* the same over TLS: another scheme, which another grant permits */
    GRANT_MQTTS = 128,
};

struct grant_rule {
    enum grant_host host;
    struct str name; /* GRANT_NAME; GRANT_SUFFIX: with its dot; GRANT_INSIDE: either; in lower case */
    struct ip_range range;
    uint16_t low, high; /* both permitted */
    uint16_t secure_low, secure_high; /* GRANT_OUTBOUND with https: its own when the port is not said */
    unsigned schemes;
    bool usual; /* GRANT_SERVICE: the port is not said, and so the scheme's own */
};

struct grant_list {
    struct grant_rule *items;
    size_t count, capacity;
};

/* Networks that are out of reach whatever the rules say. Whoever filled it keeps the ranges. */
struct grant_blocked {
    const struct ip_range *ranges;
    uint32_t count;
    bool private; /* all that ip_is_private says is one */
    bool names_reach_private; /* the other way round: names and * lead there, too */
};

struct grants {
    struct grant_list lists[GRANT_KINDS];
    struct grant_blocked blocked;
};

/* The scheme of that name and its port; false: none is. */
bool grant_scheme_of(struct str name, enum grant_scheme *ret_scheme, uint16_t *ret_port);
uint16_t grant_usual_port(enum grant_scheme scheme);
const char *grant_scheme_name(enum grant_scheme scheme);
/* What the scheme speaks, whether over TLS or not: redis of rediss. */
enum grant_scheme grant_protocol(enum grant_scheme scheme);

/* A zeroed struct grants nothing. The text is copied. ERR_USAGE, with the form in the remedy, when it is no rule. */
bool grants_add(struct grants *grants, enum grant_kind kind, struct str text, struct err *err);
void grants_free(struct grants *grants);

/* ---- questions; `grants` may be NULL: nothing ---- */

/* The address is out of reach, whatever is granted; the questions below answer so by themselves. */
bool grants_blocked(const struct grants *grants, const struct ip_address *address);
#define GRANT_UNBLOCK "take its network out of block_networks in the runtime configuration"
/* The rule is for what stays inside of the application. */
static inline bool grant_is_inside(const struct grant_rule *rule)
{
    return rule->host == GRANT_SELF || rule->host == GRANT_INSIDE;
}
/* Any rule of the kind that leads out of the application. */
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
/* Outbound: a request to the application itself, whoever of it answers. */
bool grants_self(const struct grants *grants);
/* The host is a name for a component of the application. */
bool grants_inside(struct str host);
/* Outbound: what the host of that origin led to. */
bool grants_origin_address(const struct grants *grants, bool secure, struct str host, const struct ip_endpoint *to);
/* Service: the server, host as in a URI. */
bool grants_service(const struct grants *grants, enum grant_scheme scheme, struct str host, uint16_t port);
/* Service: what the host of that server led to. */
bool grants_service_address(const struct grants *grants, enum grant_scheme scheme, struct str host,
                            const struct ip_endpoint *to);

#endif
