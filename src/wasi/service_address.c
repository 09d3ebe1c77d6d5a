/* See service_address.h. */
#include "wasi/service_address.h"

#include "io/resolve.h"

/* Schemes that mean another, and those that are not offered. */
static const struct {
    struct str name, means; /* means nothing: it is not offered */
    const char *why;
} aliases[] = {
    {STR("postgresql"), STR("postgres"), NULL},
    {STR("redis+unix"), STR(""), "sockets of this host are not for guests"},
    {STR("unix"), STR(""), "sockets of this host are not for guests"},
};

static bool wrong(struct err *err, const char *what)
{
    return err_set(err, ERR_INVALID, "the address %s", what);
}

static size_t find_separator(struct str text)
{
    for (size_t i = 0; i + 3 <= text.len; i++)
        if (memcmp(text.ptr + i, "://", 3) == 0)
            return i;
    return text.len;
}

static bool read_scheme(struct str name, struct service_address *address, struct err *err)
{
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++) {
        if (!str_eq(name, aliases[i].name))
            continue;
        if (aliases[i].why)
            return err_set(err, ERR_UNSUPPORTED, "%.*s: %s", STR_ARG(name), aliases[i].why);
        name = aliases[i].means;
    }
    return grant_scheme_of(name, &address->scheme, &address->port) || wrong(err, "has a scheme that is not known");
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

/* `*room` moves on. False: a percent sign without two digits, or a byte that ends texts in C. */
static bool resolve(struct str text, char **room, struct str *ret)
{
    size_t size = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%') {
            int high = i + 2 < text.len ? digit(text.ptr[i + 1]) : -1, low = high < 0 ? -1 : digit(text.ptr[i + 2]);
            if (low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (c == '\0')
            return false;
        (*room)[size++] = c;
    }
    *ret = (struct str){*room, size};
    *room += size;
    return utf8_valid(ret->ptr, size);
}

/* HOST[:PORT]; IPv6 in brackets. */
static bool read_host(struct str text, struct service_address *address)
{
    struct ip_address numeric;
    bool brackets = text.len && text.ptr[0] == '[';
    size_t end = brackets ? str_find(text, ']') : str_find(text, ':');
    if (brackets && end == text.len)
        return false;
    struct str host = str_slice(text, brackets ? 1 : 0, end);
    struct str rest = str_slice(text, end + (brackets ? 1 : 0), text.len);
    address->host = host;
    bool good = ip_parse(host, &numeric) ? numeric.v6 == brackets : !brackets && io_name_valid(host);
    return good && (rest.len == 0 || (rest.ptr[0] == ':' && str_port(str_slice(rest, 1, rest.len), &address->port)));
}

/* The last one, for passwords are written as they are. */
static size_t find_at(struct str text)
{
    for (size_t i = text.len; i > 0; i--)
        if (text.ptr[i - 1] == '@')
            return i - 1;
    return text.len;
}

static bool read_user(struct str text, char **room, struct service_address *address)
{
    size_t colon = str_find(text, ':');
    struct str password = colon < text.len ? str_slice(text, colon + 1, text.len) : (struct str){text.ptr, 0};
    return resolve(str_slice(text, 0, colon), room, &address->user) && resolve(password, room, &address->password);
}

bool service_address_parse(struct str text, char *room, struct service_address *ret, struct err *err)
{
    struct service_address address = {0};
    size_t separator = find_separator(text);
    if (text.len > SERVICE_ADDRESS_MAX)
        return wrong(err, "is too long");
    if (separator == text.len)
        return wrong(err, "has no scheme: write it as SCHEME://HOST[:PORT]");
    if (!read_scheme(str_slice(text, 0, separator), &address, err))
        return false;
    struct str rest = str_slice(text, separator + 3, text.len);
    size_t end = 0;
    while (end < rest.len && rest.ptr[end] != '/' && rest.ptr[end] != '?' && rest.ptr[end] != '#')
        end++;
    struct str authority = str_slice(rest, 0, end), path = str_slice(rest, end, rest.len);
    path.len = str_find(path, '#');
    size_t query = str_find(path, '?'), at = find_at(authority);
    struct str behind = query < path.len ? str_slice(path, query + 1, path.len) : (struct str){path.ptr, 0};
    struct str inside =
        query > 0 && path.len && path.ptr[0] == '/' ? str_slice(path, 1, query) : (struct str){path.ptr, 0};
    if (at < authority.len && !read_user(str_slice(authority, 0, at), &room, &address))
        return wrong(err, "has a user or password that is not well-formed");
    if (!read_host(at < authority.len ? str_slice(authority, at + 1, authority.len) : authority, &address))
        return wrong(err, "has no host, or one with a port that is none");
    if (!resolve(inside, &room, &address.path))
        return wrong(err, "has a path that is not well-formed");
    address.query = behind;
    *ret = address;
    return true;
}

/* ---- words ---- */

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void skip_spaces(struct str *text)
{
    while (text->len && is_space(text->ptr[0]))
        *text = str_slice(*text, 1, text->len);
}

/* A value, quoted or not, of which backslashes protect a byte. False: its quote does not end. */
static bool read_value(struct str *text, char **room, struct str *ret)
{
    bool quoted = text->len && text->ptr[0] == '\'';
    size_t size = 0, i = quoted;
    for (; i < text->len && (quoted ? text->ptr[i] != '\'' : !is_space(text->ptr[i])); i++) {
        if (text->ptr[i] == '\\' && i + 1 < text->len)
            i++;
        (*room)[size++] = text->ptr[i];
    }
    if ((quoted && i == text->len) || memchr(*room, '\0', size))
        return false;
    *ret = (struct str){*room, size};
    *room += size;
    *text = str_slice(*text, i + quoted, text->len);
    return true;
}

/* NAME = VALUE */
static bool read_word(struct str *text, char **room, struct str *ret_name, struct str *ret_value)
{
    size_t end = 0;
    while (end < text->len && text->ptr[end] != '=' && !is_space(text->ptr[end]))
        end++;
    *ret_name = str_slice(*text, 0, end);
    *text = str_slice(*text, end, text->len);
    skip_spaces(text);
    if (!text->len || text->ptr[0] != '=')
        return false;
    *text = str_slice(*text, 1, text->len);
    skip_spaces(text);
    return read_value(text, room, ret_value);
}

/* As it is in a query, however many spaces and quotes were around it; there is room, for the word was longer. */
static struct str query_of_mode(struct str value, char **room)
{
    static const struct str name = STR("sslmode=");
    char *start = *room - value.len;
    memmove(start + name.len, start, value.len);
    memcpy(start, name.ptr, name.len);
    *room += name.len;
    return (struct str){start, name.len + value.len};
}

bool service_address_words(struct str text, char *room, struct service_address *ret, struct err *err)
{
    struct service_address address = {.scheme = GRANT_POSTGRES, .port = grant_usual_port(GRANT_POSTGRES)};
    struct str port = {NULL, 0}, mode = {NULL, 0}, name, value;
    struct ip_address numeric;
    const struct {
        struct str name;
        struct str *to;
    } words[] = {{STR("host"), &address.host},         {STR("port"), &port},           {STR("user"), &address.user},
                 {STR("password"), &address.password}, {STR("dbname"), &address.path}, {STR("sslmode"), &mode}};
    if (text.len > SERVICE_ADDRESS_MAX)
        return wrong(err, "is too long");
    for (skip_spaces(&text); text.len; skip_spaces(&text)) {
        if (!read_word(&text, &room, &name, &value))
            return wrong(err, "is not made of words NAME=VALUE");
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            if (str_eq(name, words[i].name)) {
                *words[i].to = value;
                if (words[i].to == &mode)
                    address.query = query_of_mode(value, &room);
            }
    }
    if (!address.host.len || !(ip_parse(address.host, &numeric) || io_name_valid(address.host)) ||
        (port.len && !str_port(port, &address.port)))
        return wrong(err, "has no host, or one with a port that is none");
    *ret = address;
    return true;
}
