/* See url.h. */
#include "deploy/url.h"

#include <stdio.h>

/* Up to the first of these bytes, or the end. */
static size_t find_any(struct str text, const char *bytes)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] && strchr(bytes, text.ptr[i]))
            return i;
    return text.len;
}

static bool is_plain(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] <= ' ' || text.ptr[i] == 0x7f)
            return false;
    return true;
}

static bool read_authority(struct url *url)
{
    struct str all = url->authority;
    struct ip_address address;
    bool bracket = all.len && all.ptr[0] == '[';
    size_t end = str_find(all, bracket ? ']' : ':');
    if (bracket && end == all.len)
        return false;
    struct str port = str_slice(all, bracket ? end + 1 : end, all.len);
    url->host = str_slice(all, bracket, end);
    url->port = url->secure ? 443 : 80;
    if (port.len && (port.ptr[0] != ':' || !str_port(str_slice(port, 1, port.len), &url->port)))
        return false;
    return ip_parse(url->host, &address) || (!bracket && io_name_valid(url->host));
}

bool url_parse(struct str text, struct url *ret)
{
    struct url url = {.secure = str_starts(text, STR("https://"))};
    if (!url.secure && !str_starts(text, STR("http://")))
        return false;
    text = str_slice(text, url.secure ? 8 : 7, text.len);
    size_t end = find_any(text, "/?#");
    url.authority = str_slice(text, 0, end);
    url.rest = str_slice(text, end, text.len);
    if (!read_authority(&url) || !is_plain(url.rest))
        return false;
    *ret = url;
    return true;
}

bool url_target(const struct url *url, struct buf *ret)
{
    struct str target = str_slice(url->rest, 0, str_find(url->rest, '#'));
    buf_free(ret);
    buf_printf(ret, target.len && target.ptr[0] == '/' ? "" : "/");
    for (size_t i = 0; i < target.len; i++)
        buf_printf(ret, (unsigned char)target.ptr[i] < 0x80 ? "%c" : "%%%02X", (unsigned char)target.ptr[i]);
    return !ret->failed;
}

/* ---- where an answer leads ---- */

/* "file:", "https:": letters, digits, '+', '-' and '.' before a colon. */
static bool has_scheme(struct str text)
{
    size_t colon = find_any(text, ":/?#");
    return colon > 0 && colon < text.len && text.ptr[colon] == ':';
}

/* Without its last segment, but not less than `from`. */
static void step_up(struct buf *out, size_t from)
{
    bool stepped = false;
    while (!stepped && out->size > from) {
        out->size--;
        stepped = out->data[out->size] == '/';
    }
}

/* Segments of a path, where "." and ".." are steps. */
static void put_path(struct buf *out, size_t from, struct str path)
{
    for (size_t at = 0; at < path.len && !out->failed;) {
        size_t end = at + 1;
        while (end < path.len && path.ptr[end] != '/')
            end++;
        struct str segment = str_slice(path, at + 1, end);
        bool up = str_eq(segment, STR("..")), stays = up || str_eq(segment, STR("."));
        if (up)
            step_up(out, from);
        if (!stays)
            buf_append(out, path.ptr + at, end - at);
        else if (end == path.len)
            buf_append(out, "/", 1);
        at = end;
    }
}

/* The path that a link without a scheme means: its own, or one beside the base's, or the base's. */
static void merge_paths(struct buf *out, struct str base, struct str path)
{
    while (path.len && base.len && base.ptr[base.len - 1] != '/')
        base.len--;
    if (!path.len || path.ptr[0] != '/')
        buf_printf(out, "%.*s", base.len ? (int)base.len : 1, base.len ? base.ptr : "/");
    buf_printf(out, "%.*s", STR_ARG(path));
}

static void put_relative(struct buf *out, const struct url *base, struct str link)
{
    struct str path = str_slice(link, 0, str_find(link, '?')), query = str_slice(link, path.len, link.len);
    size_t end = find_any(base->rest, "?#");
    struct str behind = str_slice(base->rest, end, end + str_find(str_slice(base->rest, end, base->rest.len), '#'));
    struct buf merged;
    buf_init(&merged, URL_MAX);
    merge_paths(&merged, str_slice(base->rest, 0, end), path);
    buf_printf(out, "%s://%.*s", base->secure ? "https" : "http", STR_ARG(base->authority));
    put_path(out, out->size, (struct str){(const char *)merged.data, merged.size});
    buf_printf(out, "%.*s", link.len ? (int)query.len : (int)behind.len, link.len ? query.ptr : behind.ptr);
    out->failed |= merged.failed;
    buf_free(&merged);
}

bool url_join(const struct url *base, struct str location, struct buf *ret)
{
    struct str link = str_slice(location, 0, str_find(location, '#'));
    buf_free(ret);
    if (has_scheme(link))
        buf_append(ret, link.ptr, link.len);
    else if (str_starts(link, STR("//")))
        buf_printf(ret, "%s:%.*s", base->secure ? "https" : "http", STR_ARG(link));
    else
        put_relative(ret, base, link);
    return !ret->failed;
}

void url_escape(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i], lower = (char)(c | 0x20);
        bool plain = (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || (c && strchr("-._~/", c));
        buf_printf(out, plain ? "%c" : "%%%02X", (unsigned char)c);
    }
}

/* ---- what is said ---- */

/* What stands in front of "//" and behind a user. */
static struct str skip_user(struct str url, struct str *ret_scheme)
{
    size_t slash = str_find(url, '/'), begin = slash + 2 < url.len && url.ptr[slash + 1] == '/' ? slash + 2 : 0;
    struct str rest = str_slice(url, begin, url.len);
    size_t end = find_any(rest, "/"), behind = 0;
    for (size_t i = 0; i < end; i++)
        behind = rest.ptr[i] == '@' ? i + 1 : behind;
    *ret_scheme = str_slice(url, 0, begin);
    return str_slice(rest, behind, rest.len);
}

const char *url_shown(struct str url, char room[URL_SHOWN])
{
    struct str scheme, rest = skip_user(str_slice(url, 0, find_any(url, "?#")), &scheme);
    char text[2 * URL_SHOWN];
    int size = snprintf(text, sizeof text, "%.*s%.*s", scheme.len < 16 ? (int)scheme.len : 0, scheme.ptr,
                        rest.len < URL_SHOWN ? (int)rest.len : (int)URL_SHOWN, rest.ptr);
    bool cut = size > (int)URL_SHOWN - 4;
    snprintf(room, URL_SHOWN, "%.*s%s", cut ? (int)URL_SHOWN - 4 : size, text, cut ? "..." : "");
    return room;
}

#define CODE(name) WASI_HTTP_TYPES_ERROR_CODE_##name

const char *url_failure(const struct outbound_call *call)
{
    static const struct {
        enum wasi_http_types_error_code_tag tag;
        const char *what;
    } rows[] = {
        {CODE(DNS_TIMEOUT), "no name server answers"},
        {CODE(DNS_ERROR), "its name leads nowhere"},
        {CODE(DESTINATION_NOT_FOUND), "its name leads nowhere"},
        {CODE(DESTINATION_IP_PROHIBITED), "its address is a private one"},
        {CODE(DESTINATION_IP_UNROUTABLE), "there is no way to its address"},
        {CODE(CONNECTION_REFUSED), "it refuses connections"},
        {CODE(CONNECTION_TIMEOUT), "it does not answer"},
        {CODE(CONNECTION_READ_TIMEOUT), "it does not answer"},
        {CODE(HTTP_RESPONSE_TIMEOUT), "it does not answer"},
        {CODE(TLS_CERTIFICATE_ERROR), "its certificate is not one that is trusted here"},
        {CODE(TLS_PROTOCOL_ERROR), "there is no TLS with it"},
    };
    const char *what = "the connection broke, or it does not speak HTTP";
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].tag == call->error.tag)
            what = rows[i].what;
    return what;
}
