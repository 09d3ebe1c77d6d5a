/* See address.h. */
#include "io/address.h"

#include <arpa/inet.h>
#include <stdio.h>

static unsigned bytes_of(const struct ip_address *address)
{
    return address->v6 ? 16 : 4;
}

static struct str without_brackets(struct str text)
{
    bool in = text.len > 2 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']';
    return in ? str_slice(text, 1, text.len - 1) : text;
}

bool ip_parse(struct str text, struct ip_address *ret)
{
    char host[INET6_ADDRSTRLEN];
    struct ip_address address = {0};
    bool bracketed = text.len && text.ptr[0] == '[';
    text = without_brackets(text);
    if (text.len >= sizeof host || memchr(text.ptr, 0, text.len))
        return false;
    memcpy(host, text.ptr, text.len);
    host[text.len] = '\0';
    address.v6 = str_find(text, ':') < text.len;
    if (bracketed && !address.v6)
        return false;
    if (inet_pton(address.v6 ? AF_INET6 : AF_INET, host, address.bytes) != 1)
        return false;
    *ret = address;
    return true;
}

static bool parse_bits(struct str text, unsigned max, unsigned *ret_bits)
{
    unsigned bits = 0;
    if (text.len == 0 || text.len > 3)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        bits = bits * 10 + (unsigned)(text.ptr[i] - '0');
    }
    *ret_bits = bits;
    return bits <= max;
}

static void clear_behind(struct ip_address *address, unsigned bits)
{
    for (unsigned i = 0; i < bytes_of(address); i++) {
        unsigned kept = bits > 8 * i ? bits - 8 * i : 0;
        address->bytes[i] &= kept >= 8 ? 0xff : (uint8_t)(0xff00 >> kept);
    }
}

bool ip_parse_range(struct str text, struct ip_range *ret)
{
    struct ip_range range;
    size_t slash;
    text = str_find(text, '/') < str_find(text, ']') ? without_brackets(text) : text;
    slash = str_find(text, '/');
    if (!ip_parse(str_slice(text, 0, slash), &range.base))
        return false;
    range.bits = 8 * bytes_of(&range.base);
    if (slash < text.len && !parse_bits(str_slice(text, slash + 1, text.len), range.bits, &range.bits))
        return false;
    clear_behind(&range.base, range.bits);
    *ret = range;
    return true;
}

void ip_text(const struct ip_address *address, char ret_text[IP_TEXT_MAX])
{
    inet_ntop(address->v6 ? AF_INET6 : AF_INET, address->bytes, ret_text, IP_TEXT_MAX);
}

void ip_endpoint_text(const struct ip_endpoint *endpoint, char ret_text[IP_TEXT_MAX])
{
    char host[INET6_ADDRSTRLEN] = "?";
    inet_ntop(endpoint->address.v6 ? AF_INET6 : AF_INET, endpoint->address.bytes, host, sizeof host);
    snprintf(ret_text, IP_TEXT_MAX, endpoint->address.v6 ? "[%s]:%u" : "%s:%u", host, endpoint->port);
}

bool ip_same(const struct ip_address *a, const struct ip_address *b)
{
    return a->v6 == b->v6 && memcmp(a->bytes, b->bytes, bytes_of(a)) == 0;
}

bool ip_in_range(const struct ip_address *address, const struct ip_range *range)
{
    struct ip_address cut = *address;
    if (address->v6 != range->base.v6)
        return false;
    clear_behind(&cut, range->bits);
    return ip_same(&cut, &range->base);
}

bool ip_is_any(const struct ip_address *address)
{
    static const uint8_t zero[16];
    return memcmp(address->bytes, zero, bytes_of(address)) == 0;
}

static bool in_any(const struct ip_address *address, const struct ip_range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (ip_in_range(address, &ranges[i]))
            return true;
    return false;
}

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define V4(bits, ...) {{false, {__VA_ARGS__}}, bits}
#define V6(bits, ...) {{true, {__VA_ARGS__}}, bits}

bool ip_is_loopback(const struct ip_address *address)
{
    static const struct ip_range ranges[] = {V4(8, 127), V6(128, [15] = 1)};
    return in_any(address, ranges, COUNT(ranges));
}

bool ip_is_unicast(const struct ip_address *address)
{
    static const struct ip_range ranges[] = {V4(4, 224), V4(32, 255, 255, 255, 255), V6(8, 0xff)};
    return !in_any(address, ranges, COUNT(ranges));
}

static const struct ip_range mapped = V6(96, [10] = 0xff, [11] = 0xff);

bool ip_is_mapped(const struct ip_address *address)
{
    return ip_in_range(address, &mapped);
}

bool ip_unmap(struct ip_address *address)
{
    struct ip_address inner = {0};
    if (!ip_is_mapped(address))
        return false;
    memcpy(inner.bytes, address->bytes + 12, 4);
    *address = inner;
    return true;
}

static const struct ip_range private_ranges[] = {
    V4(8, 0),
    V4(8, 10),
    V4(10, 100, 64),
    V4(8, 127),
    V4(16, 169, 254),
    V4(12, 172, 16),
    V4(24, 192, 0, 0),
    V4(16, 192, 168),
    V4(15, 198, 18),
    V4(4, 224),
    V4(4, 240),
    V6(8, 0),                              /* unspecified, loopback, IPv4-compatible */
    V6(48, 0x00, 0x64, 0xff, 0x9b, 0, 1),  /* translation within a site */
    V6(64, 0x01, 0x00),                    /* discard */
    V6(32, 0x20, 0x01, 0, 0),              /* Teredo */
    V6(48, 0x20, 0x01, 0, 2),              /* benchmarks */
    V6(16, 0x5f, 0x00),                    /* segments of routes */
    V6(7, 0xfc),                           /* unique local */
    V6(10, 0xfe, 0x80),                    /* link-local */
    V6(10, 0xfe, 0xc0),                    /* site-local, deprecated */
    V6(8, 0xff),                           /* multicast */
};

/* IPv6 ranges that carry an IPv4 address from byte `at` on. */
static const struct {
    struct ip_range range;
    unsigned at;
} carriers[] = {
    {V6(96, [10] = 0xff, [11] = 0xff), 12},
    {V6(96, 0x00, 0x64, 0xff, 0x9b), 12},
    {V6(16, 0x20, 0x02), 2},
};

bool ip_carried(const struct ip_address *address, struct ip_address *ret)
{
    for (size_t i = 0; i < COUNT(carriers); i++)
        if (ip_in_range(address, &carriers[i].range)) {
            struct ip_address inner = {0};
            memcpy(inner.bytes, address->bytes + carriers[i].at, 4);
            *ret = inner;
            return true;
        }
    return false;
}

bool ip_is_private(const struct ip_address *address)
{
    struct ip_address inner = *address;
    ip_carried(address, &inner);
    return in_any(&inner, private_ranges, COUNT(private_ranges));
}

socklen_t ip_to_sockaddr(const struct ip_endpoint *endpoint, union ip_sockaddr *ret)
{
    memset(ret, 0, sizeof *ret);
    if (!endpoint->address.v6) {
        ret->v4.sin_family = AF_INET;
        ret->v4.sin_port = htons(endpoint->port);
        memcpy(&ret->v4.sin_addr, endpoint->address.bytes, 4);
        return sizeof ret->v4;
    }
    ret->v6.sin6_family = AF_INET6;
    ret->v6.sin6_port = htons(endpoint->port);
    ret->v6.sin6_flowinfo = htonl(endpoint->flow);
    ret->v6.sin6_scope_id = endpoint->scope;
    memcpy(&ret->v6.sin6_addr, endpoint->address.bytes, 16);
    return sizeof ret->v6;
}

bool ip_from_sockaddr(const union ip_sockaddr *from, struct ip_endpoint *ret)
{
    struct ip_endpoint endpoint = {0};
    if (from->any.sa_family == AF_INET) {
        endpoint.port = ntohs(from->v4.sin_port);
        memcpy(endpoint.address.bytes, &from->v4.sin_addr, 4);
    } else if (from->any.sa_family == AF_INET6) {
        endpoint.address.v6 = true;
        endpoint.port = ntohs(from->v6.sin6_port);
        endpoint.flow = ntohl(from->v6.sin6_flowinfo);
        endpoint.scope = from->v6.sin6_scope_id;
        memcpy(endpoint.address.bytes, &from->v6.sin6_addr, 16);
    } else {
        return false;
    }
    *ret = endpoint;
    return true;
}
