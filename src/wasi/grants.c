/* See grants.h. */
#include "wasi/grants.h"

#include "base/alloc.h"
#include "base/vec.h"
#include "io/resolve.h"

static const char *const forms[] = {
    [GRANT_NET] = "write it as HOST:PORT, for example api.example.com:443, *.example.com:80..90 or '10.0.0.0/8:*'",
    [GRANT_LISTEN] = "write it as ADDRESS:PORT, for example 127.0.0.1:8080, [::1]:0 or '0.0.0.0:*'",
    [GRANT_OUTBOUND] = "write it as SCHEME://HOST[:PORT], for example https://api.example.com or 'http://*:8080'",
};

static char lower_of(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool same_name(struct str a, struct str lower)
{
    if (a.len && a.ptr[a.len - 1] == '.') /* the root's dot changes nothing */
        a.len--;
    if (a.len != lower.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower_of(a.ptr[i]) != lower.ptr[i])
            return false;
    return true;
}

static bool ends_in(struct str name, struct str suffix)
{
    if (name.len && name.ptr[name.len - 1] == '.')
        name.len--;
    return name.len > suffix.len && same_name(str_slice(name, name.len - suffix.len, name.len), suffix);
}

/* ---- reading rules ---- */

static bool read_number(struct str text, uint32_t *ret)
{
    return str_number(text, 5, ret) && *ret <= 65536;
}

/* N, A..B (B is not part of it) or "*". */
static bool read_ports(struct str text, struct grant_rule *rule)
{
    uint32_t low = 0, end = 65536;
    size_t dot = str_find(text, '.');
    bool all = str_eq(text, STR("*")), range = dot + 1 < text.len && text.ptr[dot + 1] == '.';
    if (!all && !read_number(str_slice(text, 0, dot), &low))
        return false;
    if (!all && !range)
        end = low + 1;
    if (range && !read_number(str_slice(text, dot + 2, text.len), &end))
        return false;
    if (low >= end || end > 65536 || (!all && !range && dot < text.len))
        return false;
    rule->low = rule->secure_low = (uint16_t)low;
    rule->high = rule->secure_high = (uint16_t)(end - 1);
    return true;
}

static bool copy_lower(struct str text, struct str *ret)
{
    char *copy = mem_alloc(text.len ? text.len : 1, 1);
    if (!copy)
        return false;
    for (size_t i = 0; i < text.len; i++)
        copy[i] = lower_of(text.ptr[i]);
    *ret = (struct str){copy, text.len};
    return true;
}

static bool read_name(struct str text, struct grant_rule *rule, struct err *err)
{
    bool suffix = str_starts(text, STR("*."));
    if (text.len && text.ptr[text.len - 1] == '.')
        text.len--;
    if (!io_name_valid(suffix ? str_slice(text, 2, text.len) : text))
        return false;
    if (same_name(text, STR("localhost"))) {
        rule->host = GRANT_LOCALHOST;
        return true;
    }
    rule->host = suffix ? GRANT_SUFFIX : GRANT_NAME;
    return copy_lower(suffix ? str_slice(text, 1, text.len) : text, &rule->name) || err_memory(err);
}

static bool read_host(struct str text, struct grant_rule *rule, struct err *err)
{
    if (str_eq(text, STR("*"))) {
        rule->host = GRANT_ANY;
        return true;
    }
    if (ip_parse_range(text, &rule->range)) {
        rule->host = GRANT_RANGE;
        return !rule->range.base.v6 || text.ptr[0] == '[';
    }
    return read_name(text, rule, err);
}

/* The colon before the port: the last one that is not inside brackets; text.len when there is none. */
static size_t port_colon(struct str text)
{
    size_t at = text.len;
    for (size_t i = text.len; i > 0 && text.ptr[i - 1] != ']'; i--)
        if (text.ptr[i - 1] == ':')
            at = i - 1;
    return at;
}

static bool read_host_port(struct str text, struct grant_rule *rule, struct err *err)
{
    size_t colon = port_colon(text);
    return colon < text.len && read_ports(str_slice(text, colon + 1, text.len), rule) &&
           read_host(str_slice(text, 0, colon), rule, err);
}

static bool read_listen(struct str text, struct grant_rule *rule, struct err *err)
{
    return read_host_port(text, rule, err) && (rule->host == GRANT_RANGE || rule->host == GRANT_LOCALHOST);
}

#define SCHEMES_HTTP (unsigned)(GRANT_HTTP | GRANT_HTTPS)
#define SCHEMES_SERVICE (unsigned)(GRANT_REDIS | GRANT_REDISS | GRANT_POSTGRES | GRANT_MYSQL | GRANT_MQTT | GRANT_MQTTS)

static const struct {
    struct str name;
    unsigned schemes;
    uint16_t port;
} schemes[] = {
    {{"http", 4}, GRANT_HTTP, 80},
    {{"https", 5}, GRANT_HTTPS, 443},
    {{"redis", 5}, GRANT_REDIS, 6379},
    {{"rediss", 6}, GRANT_REDISS, 6379},
    {{"postgres", 8}, GRANT_POSTGRES, 5432},
    {{"mysql", 5}, GRANT_MYSQL, 3306},
    {{"mqtt", 4}, GRANT_MQTT, 1883},
    {{"mqtts", 5}, GRANT_MQTTS, 8883},
    {{"*", 1}, SCHEMES_HTTP | SCHEMES_SERVICE, 0},
};
#define SCHEME_COUNT (sizeof schemes / sizeof schemes[0])

bool grant_scheme_of(struct str name, enum grant_scheme *ret_scheme, uint16_t *ret_port)
{
    for (size_t i = 0; i + 1 < SCHEME_COUNT; i++)
        if (same_name(name, schemes[i].name)) {
            *ret_scheme = (enum grant_scheme)schemes[i].schemes;
            *ret_port = schemes[i].port;
            return true;
        }
    return false;
}

uint16_t grant_usual_port(enum grant_scheme scheme)
{
    for (size_t i = 0; i < SCHEME_COUNT; i++)
        if (schemes[i].schemes == scheme)
            return schemes[i].port;
    return 0;
}

const char *grant_scheme_name(enum grant_scheme scheme)
{
    for (size_t i = 0; i < SCHEME_COUNT; i++)
        if (schemes[i].schemes == scheme)
            return schemes[i].name.ptr;
    return "*";
}

enum grant_scheme grant_protocol(enum grant_scheme scheme)
{
    return scheme == GRANT_REDISS ? GRANT_REDIS : scheme == GRANT_MQTTS ? GRANT_MQTT : scheme;
}

static bool read_outbound(struct str text, struct grant_rule *rule, struct err *err)
{
    size_t scheme = str_find(text, ':'), colon;
    for (size_t i = 0; i < SCHEME_COUNT; i++)
        if (same_name(str_slice(text, 0, scheme), schemes[i].name))
            rule->schemes = schemes[i].schemes;
    text = str_slice(text, scheme, text.len);
    if (!rule->schemes || !str_starts(text, STR("://")))
        return false;
    text = str_slice(text, 3, text.len);
    if (text.len && text.ptr[text.len - 1] == '/' && str_find(text, '/') == text.len - 1)
        text.len--;
    colon = port_colon(text);
    rule->usual = colon == text.len;
    rule->low = rule->high = 80;
    rule->secure_low = rule->secure_high = 443;
    return (colon == text.len || read_ports(str_slice(text, colon + 1, text.len), rule)) &&
           read_host(str_slice(text, 0, colon), rule, err);
}

bool grants_inside(struct str host)
{
    return ends_in(host, STR(GRANT_INSIDE_SUFFIX));
}

static void turn_inside(struct grant_rule *rule)
{
    bool name = rule->host == GRANT_NAME;
    if (name && (same_name(rule->name, STR("self")) || same_name(rule->name, STR(GRANT_SELF_HOST))))
        rule->host = GRANT_SELF;
    else if ((name && grants_inside(rule->name)) ||
             (rule->host == GRANT_SUFFIX && same_name(rule->name, STR(GRANT_INSIDE_SUFFIX))))
        rule->host = GRANT_INSIDE;
}

/* What the text grants by those schemes, into the list of that kind. `form`: how it is read. */
static bool add_some(struct grants *grants, enum grant_kind form, enum grant_kind kind, unsigned some, struct str text,
                     struct err *err)
{
    static bool (*const readers[])(struct str text, struct grant_rule *rule, struct err *err) = {
        [GRANT_NET] = read_host_port, [GRANT_LISTEN] = read_listen, [GRANT_OUTBOUND] = read_outbound};
    struct grant_rule rule = {0};
    struct err inner = {0};
    if (!readers[form](text, &rule, &inner)) {
        mem_free((void *)rule.name.ptr);
        if (inner.kind)
            return err_memory(err);
        err_set(err, ERR_USAGE, "\"%.*s\" grants nothing that is known", (int)(text.len < 100 ? text.len : 100),
                text.ptr);
        return err_remedy(err, "%s", forms[form]);
    }
    if (form == GRANT_OUTBOUND)
        turn_inside(&rule);
    bool inside = kind == GRANT_SERVICE && grant_is_inside(&rule); /* where no service is */
    bool wanted = form != GRANT_OUTBOUND || ((rule.schemes & some) && !inside);
    struct grant_rule *place = wanted ? VEC_PUSH(&grants->lists[kind], GRANT_RULES_MAX) : NULL;
    rule.schemes &= some;
    if (place)
        *place = rule;
    else
        mem_free((void *)rule.name.ptr);
    return place || !wanted || err_set(err, ERR_LIMIT, "more than %u grants of a kind, or no memory", GRANT_RULES_MAX);
}

bool grants_add(struct grants *grants, enum grant_kind kind, struct str text, struct err *err)
{
    return add_some(grants, kind, kind, SCHEMES_HTTP, text, err) &&
           (kind != GRANT_OUTBOUND || add_some(grants, kind, GRANT_SERVICE, SCHEMES_SERVICE, text, err));
}

void grants_free(struct grants *grants)
{
    for (int kind = 0; kind < GRANT_KINDS; kind++) {
        struct grant_list *list = &grants->lists[kind];
        for (size_t i = 0; i < list->count; i++)
            mem_free((void *)list->items[i].name.ptr);
        VEC_FREE(list);
    }
}

/* ---- questions ---- */

static bool has_port(const struct grant_rule *rule, uint16_t port)
{
    return port >= rule->low && port <= rule->high;
}

static bool names(const struct grant_rule *rule, struct str name)
{
    switch (rule->host) {
    case GRANT_ANY: return true;
    case GRANT_NAME: return same_name(name, rule->name);
    case GRANT_SUFFIX: return ends_in(name, rule->name);
    case GRANT_LOCALHOST: return same_name(name, STR("localhost"));
    case GRANT_INSIDE: return rule->name.ptr[0] == '.' ? ends_in(name, rule->name) : same_name(name, rule->name);
    default: return false;
    }
}

/* The kernel takes a mapped address for the one in it, and so does a range, but one of mapped addresses. */
static bool in_range(const struct ip_address *address, const struct ip_range *range)
{
    struct ip_address inner = *address;
    if (!ip_unmap(&inner) || (range->base.v6 && ip_is_mapped(&range->base)))
        return ip_in_range(address, range);
    return ip_in_range(&inner, range);
}

/* Names and * lead there. */
static bool is_open(const struct grants *grants, const struct ip_address *address)
{
    return grants->blocked.names_reach_private || !ip_is_private(address);
}

/* The rule covers the address without any name. */
static bool covers(const struct grants *grants, const struct grant_rule *rule, const struct ip_address *address)
{
    switch (rule->host) {
    case GRANT_ANY: return is_open(grants, address);
    case GRANT_LOCALHOST: return ip_is_loopback(address);
    case GRANT_RANGE: return in_range(address, &rule->range);
    default: return false;
    }
}

/* The rule covers the address, to which `name` led. */
static bool covers_named(const struct grants *grants, const struct grant_rule *rule, struct str name,
                         const struct ip_address *address)
{
    bool reaches = rule->host != GRANT_LOCALHOST && names(rule, name) && is_open(grants, address);
    return reaches || covers(grants, rule, address);
}

static bool in_blocked(const struct grant_blocked *blocked, const struct ip_address *address)
{
    for (uint32_t i = 0; i < blocked->count; i++)
        if (ip_in_range(address, &blocked->ranges[i]))
            return true;
    return blocked->private && ip_is_private(address);
}

/* As itself and as what it reaches; who connects to no address in particular reaches this host. */
bool grants_blocked(const struct grants *grants, const struct ip_address *address)
{
    struct ip_address reached;
    if (!grants || (!grants->blocked.count && !grants->blocked.private))
        return false;
    if (in_blocked(&grants->blocked, address))
        return true;
    if (ip_is_any(address)) {
        reached = (struct ip_address){.v6 = address->v6};
        reached.bytes[0] = address->v6 ? 0 : 127;
        reached.bytes[address->v6 ? 15 : 3] = 1;
        return in_blocked(&grants->blocked, &reached);
    }
    return ip_carried(address, &reached) && in_blocked(&grants->blocked, &reached);
}

static const struct grant_list none;

static const struct grant_list *list_of(const struct grants *grants, enum grant_kind kind)
{
    return grants ? &grants->lists[kind] : &none;
}

bool grants_any(const struct grants *grants, enum grant_kind kind)
{
    const struct grant_list *list = list_of(grants, kind);
    for (size_t i = 0; i < list->count; i++)
        if (!grant_is_inside(&list->items[i]))
            return true;
    return false;
}

bool grants_names(const struct grants *grants)
{
    for (int kind = GRANT_NET; kind <= GRANT_OUTBOUND; kind++) {
        const struct grant_list *list = list_of(grants, (enum grant_kind)kind);
        for (size_t i = 0; kind != GRANT_LISTEN && i < list->count; i++)
            if (list->items[i].host != GRANT_RANGE && !grant_is_inside(&list->items[i]))
                return true;
    }
    return false;
}

bool grants_tls(const struct grants *grants)
{
    const struct grant_list *list = list_of(grants, GRANT_OUTBOUND);
    for (size_t i = 0; i < list->count; i++)
        if ((list->items[i].schemes & GRANT_HTTPS) && !grant_is_inside(&list->items[i]))
            return true;
    return false;
}

bool grants_connect(const struct grants *grants, const struct ip_endpoint *to)
{
    const struct grant_list *list = list_of(grants, GRANT_NET);
    if (grants_blocked(grants, &to->address))
        return false;
    for (size_t i = 0; i < list->count; i++)
        if (has_port(&list->items[i], to->port) && covers(grants, &list->items[i], &to->address))
            return true;
    return false;
}

bool grants_lookup(const struct grants *grants, struct str name)
{
    const struct grant_list *list = list_of(grants, GRANT_NET);
    for (size_t i = 0; i < list->count; i++)
        if (names(&list->items[i], name))
            return true;
    return false;
}

bool grants_connect_named(const struct grants *grants, struct str name, const struct ip_endpoint *to)
{
    const struct grant_list *list = list_of(grants, GRANT_NET);
    if (grants_blocked(grants, &to->address))
        return false;
    for (size_t i = 0; i < list->count; i++)
        if (has_port(&list->items[i], to->port) && covers_named(grants, &list->items[i], name, &to->address))
            return true;
    return false;
}

bool grants_reach(const struct grants *grants, struct str name, const struct ip_address *address)
{
    const struct grant_list *list = list_of(grants, GRANT_NET);
    if (grants_blocked(grants, address))
        return false;
    for (size_t i = 0; i < list->count; i++)
        if (covers_named(grants, &list->items[i], name, address))
            return true;
    return false;
}

bool grants_listen(const struct grants *grants, const struct ip_endpoint *at)
{
    const struct grant_list *list = list_of(grants, GRANT_LISTEN);
    for (size_t i = 0; i < list->count; i++)
        if (has_port(&list->items[i], at->port) && covers(grants, &list->items[i], &at->address))
            return true;
    return false;
}

static bool has_origin_port(const struct grant_rule *rule, bool secure, uint16_t port)
{
    if (!(rule->schemes & (secure ? GRANT_HTTPS : GRANT_HTTP)))
        return false;
    return secure ? port >= rule->secure_low && port <= rule->secure_high : has_port(rule, port);
}

bool grants_origin(const struct grants *grants, bool secure, struct str host, uint16_t port)
{
    const struct grant_list *list = list_of(grants, GRANT_OUTBOUND);
    struct ip_address address;
    bool numeric = ip_parse(host, &address);
    if (numeric && grants_blocked(grants, &address))
        return false;
    for (size_t i = 0; i < list->count; i++)
        if (has_origin_port(&list->items[i], secure, port) &&
            (numeric ? covers(grants, &list->items[i], &address) : names(&list->items[i], host)))
            return true;
    return false;
}

bool grants_origin_address(const struct grants *grants, bool secure, struct str host, const struct ip_endpoint *to)
{
    const struct grant_list *list = list_of(grants, GRANT_OUTBOUND);
    if (grants_blocked(grants, &to->address))
        return false;
    for (size_t i = 0; i < list->count; i++)
        if (has_origin_port(&list->items[i], secure, to->port) &&
            covers_named(grants, &list->items[i], host, &to->address))
            return true;
    return false;
}

bool grants_self(const struct grants *grants)
{
    const struct grant_list *list = list_of(grants, GRANT_OUTBOUND);
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].host == GRANT_SELF || list->items[i].host == GRANT_ANY)
            return true;
    return false;
}

static bool has_service_port(const struct grant_rule *rule, enum grant_scheme scheme, uint16_t port)
{
    return (rule->schemes & scheme) && (rule->usual ? port == grant_usual_port(scheme) : has_port(rule, port));
}

bool grants_service(const struct grants *grants, enum grant_scheme scheme, struct str host, uint16_t port)
{
    const struct grant_list *list = list_of(grants, GRANT_SERVICE);
    struct ip_address address;
    bool numeric = ip_parse(host, &address);
    if (numeric && grants_blocked(grants, &address))
        return false;
    for (size_t i = 0; i < list->count; i++)
        if (has_service_port(&list->items[i], scheme, port) &&
            (numeric ? covers(grants, &list->items[i], &address) : names(&list->items[i], host)))
            return true;
    return false;
}

bool grants_service_address(const struct grants *grants, enum grant_scheme scheme, struct str host,
                            const struct ip_endpoint *to)
{
    const struct grant_list *list = list_of(grants, GRANT_SERVICE);
    if (grants_blocked(grants, &to->address))
        return false;
    for (size_t i = 0; i < list->count; i++)
        if (has_service_port(&list->items[i], scheme, to->port) &&
            covers_named(grants, &list->items[i], host, &to->address))
            return true;
    return false;
}
