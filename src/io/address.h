/* IP addresses as values: text, ranges, what the kernel takes; and which of them are not the public internet.
 *
 * An IPv4 address that is written inside an IPv6 one (mapped, translated, 6to4) is judged by what it reaches. */
#ifndef MAYFLY_IO_ADDRESS_H
#define MAYFLY_IO_ADDRESS_H

#include "base/str.h"

#include <netinet/in.h>
#include <sys/socket.h>

struct ip_address {
    bool v6;
    uint8_t bytes[16]; /* in network order; the first four of IPv4 */
};

struct ip_range {
    struct ip_address base;
    unsigned bits; /* of the prefix */
};

/* With a port, and for IPv6 with flow and scope as in struct sockaddr_in6 (in the host's order). */
struct ip_endpoint {
    struct ip_address address;
    uint16_t port;
    uint32_t flow, scope;
};

union ip_sockaddr {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_storage storage;
};

#define IP_TEXT_MAX 64 /* bytes of an endpoint as text, with terminator */

/* "192.0.2.1" or "2001:db8::1", also in brackets. */
bool ip_parse(struct str text, struct ip_address *ret);
/* The same with "/BITS" behind it, inside brackets or out; without, one address. Bits behind the prefix are zero. */
bool ip_parse_range(struct str text, struct ip_range *ret);
/* "192.0.2.1", "2001:db8::1" */
void ip_text(const struct ip_address *address, char ret_text[IP_TEXT_MAX]);
/* "192.0.2.1:80", "[2001:db8::1]:80" */
void ip_endpoint_text(const struct ip_endpoint *endpoint, char ret_text[IP_TEXT_MAX]);

bool ip_same(const struct ip_address *a, const struct ip_address *b);
bool ip_in_range(const struct ip_address *address, const struct ip_range *range);
bool ip_is_any(const struct ip_address *address);      /* 0.0.0.0 or :: */
bool ip_is_loopback(const struct ip_address *address); /* 127.0.0.0/8 or ::1 */
bool ip_is_unicast(const struct ip_address *address);  /* neither multicast nor broadcast */
bool ip_is_mapped(const struct ip_address *address);   /* IPv4 in ::ffff:0:0/96 */
bool ip_unmap(struct ip_address *address);             /* make that IPv4's own; false: it is none */
/* The IPv4 address inside of an IPv6 one (mapped, translated, 6to4). False: there is none. */
bool ip_carried(const struct ip_address *address, struct ip_address *ret);
/* Not an address of the public internet: this host, private networks, link-local, shared, multicast, reserved (the
 * registries of special-purpose addresses that RFC 6890 founds). Ranges for documentation count as public. */
bool ip_is_private(const struct ip_address *address);

socklen_t ip_to_sockaddr(const struct ip_endpoint *endpoint, union ip_sockaddr *ret);
/* False: neither IPv4 nor IPv6. */
bool ip_from_sockaddr(const union ip_sockaddr *from, struct ip_endpoint *ret);

#endif
