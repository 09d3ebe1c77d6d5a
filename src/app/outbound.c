/* See outbound.h. */
#include "app/outbound.h"

#include "base/buf.h"
#include "io/idna.h"
#include "io/resolve.h"

#define CHAIN GRANT_INSIDE_SUFFIX

static struct str trim(struct str text)
{
    while (text.len && text.ptr[0] == ' ')
        text = str_slice(text, 1, text.len);
    while (text.len && text.ptr[text.len - 1] == ' ')
        text.len--;
    return text;
}

static bool ends_with(struct str text, struct str end)
{
    return text.len > end.len && str_eq(str_slice(text, text.len - end.len, text.len), end);
}

static bool wrong(struct err *err, const char *what, const char *remedy)
{
    err_set(err, ERR_INVALID, "%s", what);
    return err_remedy(err, "%s", remedy);
}

static bool wrong_form(struct err *err)
{
    return wrong(err, "not SCHEME://HOST[:PORT]",
                 "write it as https://api.example.com, redis://10.0.0.1:6379 or *://*.example.com:443");
}

/* ---- ports ---- */

static const struct {
    struct str scheme;
    uint16_t port;
} usual[] = {{{"http", 4}, 80},    {{"https", 5}, 443},  {{"postgres", 8}, 5432},
             {{"mysql", 5}, 3306}, {{"redis", 5}, 6379}, {{"mqtt", 4}, 1883}};

static bool usual_port(struct outbound *outbound, struct err *err)
{
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++)
        if (str_eq(outbound->scheme, usual[i].scheme)) {
            outbound->low = outbound->high = usual[i].port;
            return true;
        }
    return wrong(err, "a scheme that has no port of its own, and none is given",
                 "write the port behind the host, or :* for all");
}

static bool number(struct str text, uint32_t *ret)
{
    uint32_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        value = value * 10 + (uint32_t)(text.ptr[i] - '0');
        if (value > 65535)
            return false;
    }
    *ret = value;
    return text.len > 0;
}

static bool read_port(struct str text, struct outbound *outbound, struct err *err)
{
    uint32_t low = 0, end = 65536;
    size_t dots = str_find(text, '.');
    bool range = dots + 1 < text.len && text.ptr[dots + 1] == '.';
    if (text.len == 0)
        return usual_port(outbound, err);
    bool good = str_eq(text, STR("*"));
    if (!good && range)
        good = number(str_slice(text, 0, dots), &low) && number(str_slice(text, dots + 2, text.len), &end) && low < end;
    else if (!good) {
        good = number(text, &low);
        end = low + 1;
    }
    if (!good)
        return wrong(err, "not a port", "a port is a number up to 65535, A..B (without B), or *");
    outbound->low = (uint16_t)low;
    outbound->high = (uint16_t)(end - 1);
    return true;
}

/* ---- hosts ---- */

static bool is_ascii(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] >= 0x80)
            return false;
    return true;
}

/* Names in Unicode are looked at when they are granted. */
static bool name_valid(struct str name)
{
    if (is_ascii(name))
        return io_name_valid(name);
    bool good = utf8_valid(name.ptr, name.len) && name.len <= IO_NAME_MAX;
    for (size_t i = 0; good && i < name.len; i++)
        good = (unsigned char)name.ptr[i] > 0x20 && !strchr("/:?#[]@\\*%<>^|\x7f", name.ptr[i]);
    return good;
}

static bool read_name(struct str host, struct outbound *outbound, struct err *err)
{
    bool below = str_starts(host, STR("*."));
    outbound->name = below ? str_slice(host, 2, host.len) : host;
    outbound->kind = below ? OUTBOUND_SUFFIX : OUTBOUND_NAME;
    if (str_eq(host, STR("*" CHAIN))) {
        outbound->kind = OUTBOUND_COMPONENT;
        outbound->name.len = 0;
        return true;
    }
    if (!below && ends_with(host, STR(CHAIN))) {
        outbound->kind = OUTBOUND_COMPONENT;
        outbound->name.len -= sizeof CHAIN - 1;
    }
    if (str_find(host, '/') < host.len)
        return wrong(err, "a path behind the host",
                     "name the host only; a function that may reach it may ask for all of its paths");
    return name_valid(outbound->name) ||
           wrong(err, "not a host", "a host is a name, *.NAME, an address, ADDRESS/BITS or *");
}

static bool read_host(struct str host, struct outbound *outbound, struct err *err)
{
    if (str_eq(host, STR("*"))) {
        outbound->kind = OUTBOUND_ANY;
        return true;
    }
    if (str_eq(host, STR("self")) || str_eq(host, STR("self.alt"))) {
        outbound->kind = OUTBOUND_SELF;
        return true;
    }
    if (ip_parse_range(host, &outbound->range)) {
        outbound->kind = OUTBOUND_RANGE;
        return true;
    }
    return read_name(host, outbound, err);
}

/* The last colon that is not inside brackets; text.len when there is none. */
static size_t port_colon(struct str text)
{
    for (size_t i = text.len; i > 0 && text.ptr[i - 1] != ']'; i--)
        if (text.ptr[i - 1] == ':')
            return i - 1;
    return text.len;
}

static bool read_scheme(struct str scheme, struct outbound *outbound, struct err *err)
{
    bool good = scheme.len > 0;
    for (size_t i = 0; good && i < scheme.len; i++)
        good = (scheme.ptr[i] | 0x20) >= 'a' && (scheme.ptr[i] | 0x20) <= 'z';
    outbound->scheme = scheme;
    return good || str_eq(scheme, STR("*")) ||
           wrong(err, "a scheme that is not all letters", "write http, https, redis, ..., or * for all of them");
}

static size_t find_separator(struct str text)
{
    for (size_t i = 0; i + 3 <= text.len; i++)
        if (memcmp(text.ptr + i, "://", 3) == 0)
            return i;
    return text.len;
}

bool outbound_parse(struct str text, struct outbound *ret, struct err *err)
{
    struct outbound outbound = {0};
    struct ip_range range;
    text = trim(text);
    size_t separator = find_separator(text);
    if (separator == text.len)
        return wrong_form(err);
    struct str rest = str_slice(text, separator + 3, text.len);
    if (rest.len && rest.ptr[rest.len - 1] == '/')
        rest.len--;
    size_t colon = ip_parse_range(rest, &range) ? rest.len : port_colon(rest);
    struct str port = colon < rest.len ? str_slice(rest, colon + 1, rest.len) : (struct str){NULL, 0};
    if (!read_scheme(str_slice(text, 0, separator), &outbound, err) ||
        !read_host(str_slice(rest, 0, colon), &outbound, err) || !read_port(port, &outbound, err))
        return false;
    *ret = outbound;
    return true;
}

bool outbound_is_empty(struct str text)
{
    return text.len == 0 || str_eq(text, STR("http://")) || str_eq(text, STR("https://"));
}

/* ---- grants ---- */

static bool ascii_name(const struct outbound *outbound, char ret[IO_NAME_MAX + 2], struct err *err)
{
    enum io_idna done = io_idna(outbound->name, ret);
    if (done == IO_IDNA_DONE)
        return true;
    err_set(err, done == IO_IDNA_MISSING ? ERR_UNSUPPORTED : ERR_INVALID, "not a host: %.*s", STR_ARG(outbound->name));
    return err_remedy(err, "%s",
                      done == IO_IDNA_MISSING ? "install libidn2, or write the name in ASCII (xn--...)"
                                              : "write the name as name servers know it");
}

static bool print_host(struct buf *out, const struct outbound *outbound, struct err *err)
{
    char text[IP_TEXT_MAX], name[IO_NAME_MAX + 2];
    switch (outbound->kind) {
    case OUTBOUND_ANY: return buf_printf(out, "*") || err_memory(err);
    case OUTBOUND_SELF: return buf_printf(out, "self") || err_memory(err);
    case OUTBOUND_COMPONENT:
        return buf_printf(out, "%.*s" CHAIN, outbound->name.len ? (int)outbound->name.len : 1,
                          outbound->name.len ? outbound->name.ptr : "*") ||
               err_memory(err);
    case OUTBOUND_RANGE:
        ip_text(&outbound->range.base, text);
        return buf_printf(out, outbound->range.base.v6 ? "[%s]/%u" : "%s/%u", text, outbound->range.bits) ||
               err_memory(err);
    default: break;
    }
    return ascii_name(outbound, name, err) &&
           (buf_printf(out, "%s%s", outbound->kind == OUTBOUND_SUFFIX ? "*." : "", name) || err_memory(err));
}

/* HOST:PORTS, as the rules of grants have it, behind `scheme`. */
static bool add(const struct outbound *outbound, enum grant_kind kind, struct str scheme, struct grants *grants,
                struct err *err)
{
    struct buf rule;
    buf_init(&rule, 1024);
    bool done = scheme.len == 0 || buf_printf(&rule, "%.*s://", STR_ARG(scheme)) || err_memory(err);
    done = done && print_host(&rule, outbound, err) &&
           (buf_printf(&rule, ":%u..%u", outbound->low, outbound->high + 1u) || err_memory(err)) &&
           grants_add(grants, kind, (struct str){(const char *)rule.data, rule.size}, err);
    buf_free(&rule);
    return done;
}

bool outbound_grant(const struct outbound *outbound, struct grants *grants, struct err *err)
{
    bool all = str_eq(outbound->scheme, STR("*"));
    bool http = all || str_eq(outbound->scheme, STR("http")) || str_eq(outbound->scheme, STR("https"));
    bool inside = outbound->kind == OUTBOUND_SELF || outbound->kind == OUTBOUND_COMPONENT;
    enum grant_scheme scheme;
    uint16_t port;
    if (!http && (inside || !grant_scheme_of(outbound->scheme, &scheme, &port)))
        return true;
    return add(outbound, GRANT_OUTBOUND, outbound->scheme, grants, err) &&
           (!all || inside || add(outbound, GRANT_NET, (struct str){NULL, 0}, grants, err));
}
