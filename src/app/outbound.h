/* Entries of allowed_outbound_hosts: SCHEME://HOST[:PORT], as Spin reads them, and what of them is a grant.
 *
 *     SCHEME   letters, or * for all
 *     HOST     a name, *.NAME, an address, ADDRESS/BITS (IPv6 with brackets or, for a range, without), *, self (this
 *              application), ID.spin.internal (a component of it) or *.spin.internal
 *     PORT     a number, A..B (without B), *; left out where the scheme has one of its own
 *
 * wasi/grants.h knows http, https, services and sockets. Other schemes are for those who serve them;
 * outbound_grant passes over these. What a grant leads to is decided there: names and * never lead to private
 * addresses, which Spin forbids only on request. */
#ifndef MAYFLY_APP_OUTBOUND_H
#define MAYFLY_APP_OUTBOUND_H

#include "base/err.h"
#include "io/address.h"
#include "wasi/grants.h"

enum outbound_kind {
    OUTBOUND_ANY,
    OUTBOUND_NAME,
    OUTBOUND_SUFFIX, /* all below a name */
    OUTBOUND_RANGE,
    OUTBOUND_SELF,
    OUTBOUND_COMPONENT, /* of this application; all of them without a name */
};

struct outbound {
    struct str scheme; /* views of the text */
    enum outbound_kind kind;
    struct str name; /* NAME; SUFFIX: without "*."; COMPONENT: its id or empty */
    struct ip_range range;
    uint16_t low, high; /* both permitted */
};

/* ERR_INVALID when it is no entry. Templates must be expanded. */
bool outbound_parse(struct str text, struct outbound *ret, struct err *err);

/* What an entry becomes when its variables are empty; such an entry grants nothing and is no mistake. */
bool outbound_is_empty(struct str text);

/* Add what it grants by wasi/grants.h, if anything. */
bool outbound_grant(const struct outbound *outbound, struct grants *grants, struct err *err);

#endif
