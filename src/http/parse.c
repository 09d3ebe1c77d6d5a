/* See parse.h. Lines are parsed in one forward pass, tables deciding about each byte; a line that turns
 * out to be unfinished is parsed again from its start once its line feed has come. */
#include "http/parse.h"

#include "base/alloc.h"

#include <string.h>

/* What a byte may be part of. */
enum { IN_TARGET = 1, IN_HOST = 2 };

/* IN_HOST: reg-name, IP-literal, port (RFC 3986 section 3.2). IN_TARGET: every printable byte but those
 * that no URI may hold and that would need care when quoted; braces and bars are let through because
 * clients send them. */
static const uint8_t byte_class[256] = {
    ['a' ... 'z'] = IN_TARGET | IN_HOST,
    ['A' ... 'Z'] = IN_TARGET | IN_HOST,
    ['0' ... '9'] = IN_TARGET | IN_HOST,
    ['-'] = IN_TARGET | IN_HOST,
    ['.'] = IN_TARGET | IN_HOST,
    ['_'] = IN_TARGET | IN_HOST,
    ['~'] = IN_TARGET | IN_HOST,
    ['!'] = IN_TARGET | IN_HOST,
    ['$'] = IN_TARGET | IN_HOST,
    ['&'] = IN_TARGET | IN_HOST,
    ['\''] = IN_TARGET | IN_HOST,
    ['('] = IN_TARGET | IN_HOST,
    [')'] = IN_TARGET | IN_HOST,
    ['*'] = IN_TARGET | IN_HOST,
    ['+'] = IN_TARGET | IN_HOST,
    [','] = IN_TARGET | IN_HOST,
    [';'] = IN_TARGET | IN_HOST,
    ['='] = IN_TARGET | IN_HOST,
    ['%'] = IN_TARGET | IN_HOST,
    [':'] = IN_TARGET | IN_HOST,
    ['['] = IN_TARGET | IN_HOST,
    [']'] = IN_TARGET | IN_HOST,
    ['/'] = IN_TARGET,
    ['?'] = IN_TARGET,
    ['@'] = IN_TARGET,
    ['{'] = IN_TARGET,
    ['}'] = IN_TARGET,
    ['|'] = IN_TARGET,
};

static const char *skip_class(const char *p, const char *end, uint8_t class)
{
    while (p < end && byte_class[(uint8_t)*p] & class)
        p++;
    return p;
}

bool http_is_target(struct str text)
{
    return text.len && skip_class(text.ptr, text.ptr + text.len, IN_TARGET) == text.ptr + text.len;
}

static const char *skip_token(const char *p, const char *end)
{
    while (p < end && http_token_lower[(uint8_t)*p])
        p++;
    return p;
}

static struct str between(const char *from, const char *to)
{
    return (struct str){from, (size_t)(to - from)};
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct str trim(struct str text)
{
    while (text.len && is_blank(text.ptr[text.len - 1]))
        text.len--;
    while (text.len && is_blank(text.ptr[0]))
        text = str_slice(text, 1, text.len);
    return text;
}

/* The next element of a comma-separated list (RFC 9110 section 5.6.1); false at the end. */
static bool next_element(struct str *list, struct str *ret_element)
{
    while (list->len) {
        size_t comma = str_find(*list, ',');
        struct str element = trim(str_slice(*list, 0, comma));
        *list = str_slice(*list, comma < list->len ? comma + 1 : comma, list->len);
        if (element.len == 0)
            continue;
        *ret_element = element;
        return true;
    }
    return false;
}

/* ---- fields that say how the message is to be read ---- */

static bool valid_port(struct str port)
{
    for (size_t i = 0; i < port.len; i++)
        if (port.ptr[i] < '0' || port.ptr[i] > '9')
            return false;
    return port.len <= 5;
}

/* uri-host [":" port]: an address in brackets or a name without colons. */
bool http_is_host(struct str host)
{
    const char *end = host.ptr + host.len;
    if (host.len == 0)
        return true;
    if (skip_class(host.ptr, end, IN_HOST) != end)
        return false;
    size_t close = host.ptr[0] == '[' ? str_find(host, ']') : 0;
    if (close == host.len || (close && close < 3))
        return false;
    size_t colon = close ? close + 1 : str_find(host, ':');
    if (!close && (str_find(host, '[') < host.len || str_find(host, ']') < host.len))
        return false;
    return colon == host.len || (host.ptr[colon] == ':' && valid_port(str_slice(host, colon + 1, host.len)));
}

static int take_host(struct http_parser *parser, struct str value)
{
    if (parser->seen_host || !http_is_host(value))
        return 400;
    parser->seen_host = true;
    if (!parser->host_from_target) /* RFC 9112 section 3.2.2: the target's authority wins */
        parser->request.authority = value;
    return 0;
}

static int take_connection(struct http_parser *parser, struct str value)
{
    struct str option;
    while (next_element(&value, &option)) {
        if (!http_is_token(option))
            return 400;
        parser->seen_close |= http_is_same(option, STR("close"));
        parser->seen_keep_alive |= http_is_same(option, STR("keep-alive"));
    }
    return 0;
}

static int take_length(struct http_parser *parser, struct str value)
{
    uint64_t length = 0;
    if (parser->body != HTTP_BODY_NONE || value.len == 0)
        return 400;
    for (size_t i = 0; i < value.len; i++) {
        unsigned digit = (unsigned)(uint8_t)value.ptr[i] - '0';
        if (digit > 9)
            return 400;
        if (__builtin_mul_overflow(length, 10, &length) || __builtin_add_overflow(length, digit, &length))
            return 413;
    }
    parser->body = HTTP_BODY_LENGTH;
    parser->length = length;
    return 0;
}

static int take_coding(struct http_parser *parser, struct str value)
{
    if (parser->body != HTTP_BODY_NONE || parser->minor == 0)
        return 400;
    if (!http_is_same(value, STR("chunked")))
        return 501;
    parser->body = HTTP_BODY_CHUNKED;
    return 0;
}

static int take_expect(struct http_parser *parser, struct str value)
{
    if (!http_is_same(value, STR("100-continue")))
        return 417;
    parser->expect_continue = parser->minor == 1;
    return 0;
}

/* The fields above, by the length of their names, which happen to differ. */
static const struct known {
    struct str name;
    int (*take)(struct http_parser *parser, struct str value);
    bool of_request; /* means nothing in a response */
} known_fields[] = {
    [4] = {{"host", 4}, take_host, true},
    [6] = {{"expect", 6}, take_expect, true},
    [10] = {{"connection", 10}, take_connection},
    [14] = {{"content-length", 14}, take_length},
    [17] = {{"transfer-encoding", 17}, take_coding},
};

int http_parse_known(struct http_parser *parser, const struct http_field *field)
{
    if (field->name.len >= sizeof known_fields / sizeof known_fields[0])
        return 0;
    const struct known *known = &known_fields[field->name.len];
    if (!known->take || (parser->response && known->of_request) ||
        memcmp(known->name.ptr, field->name.ptr, field->name.len) != 0)
        return 0;
    return known->take(parser, field->value);
}

/* ---- lines ---- */

/* Name, colon, value, up to the line end, which is left. HTTP_PARSE_MORE at the end of the bytes. */
static int parse_field(char **at, char *end, struct http_field *ret_field)
{
    char *p = *at;
    uint8_t lower;
    while (p < end && (lower = http_token_lower[(uint8_t)*p]) != 0)
        *p++ = (char)lower;
    struct str name = between(*at, p);
    if (p == end)
        return HTTP_PARSE_MORE;
    if (*p != ':' || name.len == 0)
        return 400;
    p++;
    while (p < end && is_blank(*p))
        p++;
    const char *stop = http_skip_value(p, end);
    ret_field->name = name;
    ret_field->value = between(p, stop);
    while (ret_field->value.len && is_blank(ret_field->value.ptr[ret_field->value.len - 1]))
        ret_field->value.len--;
    *at = (char *)stop;
    return 0;
}

/* CR LF: 0 and past it, MORE when it may still come, 400 when something else is there. */
static int parse_line_end(char **at, const char *end)
{
    char *p = *at;
    if (p < end && *p != '\r')
        return 400;
    if (end - p < 2)
        return HTTP_PARSE_MORE;
    if (p[1] != '\n')
        return 400;
    *at = p + 2;
    return 0;
}

struct http_field *http_parse_room(struct http_parser *parser, int *ret_status)
{
    uint32_t count = parser->request.field_count;
    *ret_status = count == HTTP_MAX_FIELDS ? 431 : 500;
    if (count == HTTP_MAX_FIELDS)
        return NULL;
    if (count == HTTP_FEW_FIELDS && !parser->many) {
        parser->many = mem_resize(NULL, HTTP_MAX_FIELDS, sizeof *parser->many);
        if (!parser->many)
            return NULL;
        memcpy(parser->many, parser->few, sizeof parser->few);
    }
    return &http_parse_fields(parser)[count];
}

void http_parse_free(struct http_parser *parser)
{
    mem_free(parser->many);
    parser->many = NULL;
}

static int field_line(struct http_parser *parser, char **at, char *end)
{
    uint32_t count = parser->request.field_count;
    bool fits = count < (parser->many ? HTTP_MAX_FIELDS : HTTP_FEW_FIELDS);
    struct http_field spare, *field = fits ? &http_parse_fields(parser)[count] : &spare;
    int lacking;
    char *p = *at;
    int status = parse_field(&p, end, field);
    if (status == 0)
        status = parse_line_end(&p, end);
    if (status != 0)
        return status;
    if (!fits && !(field = http_parse_room(parser, &lacking)))
        return lacking;
    if (!fits)
        *field = spare;
    parser->request.field_count++;
    *at = p;
    return http_parse_known(parser, field);
}

int http_parse_field(char *line, size_t size, struct http_field *ret_field)
{
    struct http_field field;
    char *at = line;
    if (parse_field(&at, line + size, &field) != 0 || at != line + size)
        return 400;
    *ret_field = field;
    return 0;
}

/* absolute-form: the authority is taken over; a query without a path gets its slash by moving the
 * authority over the second slash before it. */
static int absolute_target(struct http_parser *parser, struct str target)
{
    size_t colon = str_find(target, ':');
    struct str scheme = str_slice(target, 0, colon);
    bool secure = http_is_same(scheme, STR("https"));
    if ((!secure && !http_is_same(scheme, STR("http"))) ||
        !str_starts(str_slice(target, colon, target.len), STR("://")))
        return 400;
    struct str rest = str_slice(target, colon + 3, target.len);
    size_t host_end = str_find(rest, '/'), query = str_find(rest, '?');
    struct str host = str_slice(rest, 0, query < host_end ? query : host_end);
    if (host.len == 0 || !http_is_host(host))
        return 400;
    struct str path = str_slice(rest, host.len, rest.len);
    if (path.len && path.ptr[0] == '?') {
        memmove((char *)host.ptr - 1, host.ptr, host.len);
        host.ptr--;
        path = (struct str){path.ptr - 1, path.len + 1};
        *(char *)path.ptr = '/';
    }
    if (path.len == 0)
        path = str_eq(parser->request.method, STR("OPTIONS")) ? STR("*") : STR("/");
    parser->request.scheme = secure ? STR("https") : STR("http");
    parser->request.authority = host;
    parser->request.target = path;
    parser->host_from_target = true;
    return 0;
}

/* The four forms of RFC 9112 section 3.2. */
static int take_target(struct http_parser *parser, struct str target)
{
    struct http_request *request = &parser->request;
    request->target = target;
    if (str_eq(request->method, STR("CONNECT"))) {
        request->authority = target;
        parser->host_from_target = true;
        return http_is_host(target) && str_find(target, ':') < target.len ? 0 : 400;
    }
    if (target.ptr[0] == '/')
        return 0;
    if (str_eq(target, STR("*")))
        return str_eq(request->method, STR("OPTIONS")) ? 0 : 400;
    return absolute_target(parser, target);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int take_version(struct http_parser *parser, const char *version)
{
    if (memcmp(version, "HTTP/", 5) != 0 || !is_digit(version[5]) || version[6] != '.' || !is_digit(version[7]))
        return 400;
    if (version[5] != '1')
        return 505;
    parser->minor = version[7] != '0'; /* a later minor version is read as 1.1 (RFC 9110 section 2.5) */
    return 0;
}

#define VERSION_SIZE 8

static int request_line(struct http_parser *parser, char **at, char *end)
{
    const char *method = *at, *method_end = skip_token(method, end);
    if (method_end - method > HTTP_MAX_METHOD)
        return 501;
    if (method_end == end)
        return HTTP_PARSE_MORE;
    if (*method_end != ' ' || method_end == method)
        return 400;
    const char *target = method_end + 1, *target_end = skip_class(target, end, IN_TARGET);
    if (target_end == end)
        return HTTP_PARSE_MORE;
    if (*target_end != ' ' || target_end == target)
        return 400;
    char *version = (char *)target_end + 1, *p = version + VERSION_SIZE;
    if (end - version < VERSION_SIZE)
        return HTTP_PARSE_MORE;
    int status = take_version(parser, version);
    if (status == 0)
        status = parse_line_end(&p, end);
    if (status != 0)
        return status;
    parser->in_fields = true;
    parser->request.method = between(method, method_end);
    *at = p;
    return take_target(parser, between(target, target_end));
}

#define STATUS_SIZE 13 /* "HTTP/1.1 200 " */

/* RFC 9112, section 4; the space behind the code may be missing with the reason. */
static int status_line(struct http_parser *parser, char **at, char *end)
{
    char *line = *at, *p = line + STATUS_SIZE - 1;
    if (end - line < STATUS_SIZE)
        return HTTP_PARSE_MORE;
    int status = take_version(parser, line);
    if (status != 0 || line[8] != ' ' || line[9] < '1' || !is_digit(line[9]) || !is_digit(line[10]) ||
        !is_digit(line[11]) || (*p != ' ' && *p != '\r'))
        return status ? status : 400;
    p = (char *)http_skip_value(p, end);
    status = parse_line_end(&p, end);
    if (status != 0)
        return status;
    parser->status = (unsigned)(line[9] - '0') * 100 + (unsigned)(line[10] - '0') * 10 + (unsigned)(line[11] - '0');
    parser->in_fields = true;
    *at = p;
    return 0;
}

/* ---- the head ---- */

static int finish_head(struct http_parser *parser)
{
    if (parser->minor == 1 && !parser->seen_host && !parser->response)
        return 400;
    parser->keep_alive = !parser->seen_close && (parser->minor == 1 || parser->seen_keep_alive);
    parser->request.fields = http_parse_fields(parser);
    return HTTP_PARSE_DONE;
}

/* Parse lines from *at on; *at is then the first line that was not finished, or the end of the head. */
static int parse_lines(struct http_parser *parser, char **at, char *end)
{
    int status = 0;
    if (!parser->in_fields && parser->response)
        status = status_line(parser, at, end);
    while (!parser->in_fields && status == 0) {
        bool empty = *at < end && **at == '\r'; /* RFC 9112 section 2.2: ignore empty lines before */
        status = empty ? parse_line_end(at, end) : request_line(parser, at, end);
    }
    while (status == 0) {
        if (*at < end && **at == '\r') {
            status = parse_line_end(at, end);
            return status ? status : finish_head(parser);
        }
        status = field_line(parser, at, end);
    }
    return status;
}

void http_parse_begin(struct http_parser *parser, size_t start)
{
    memset(parser, 0, offsetof(struct http_parser, many));
    parser->at = parser->scanned = start;
    parser->request.scheme = STR("http");
}

void http_parse_begin_response(struct http_parser *parser, size_t start)
{
    http_parse_begin(parser, start);
    parser->response = true;
}

int http_parse_head(struct http_parser *parser, char *buffer, size_t size)
{
    char *at = buffer + parser->at, *end = buffer + size;
    bool again = parser->scanned > parser->at;
    if (again && !memchr(buffer + parser->scanned, '\n', size - parser->scanned)) {
        parser->scanned = size;
        return HTTP_PARSE_MORE;
    }
    int status = parse_lines(parser, &at, end);
    parser->at = (size_t)(at - buffer);
    parser->scanned = size;
    /* A line that has its line feed and still wants more is not a line. */
    if (status == HTTP_PARSE_MORE && memchr(at, '\n', (size_t)(end - at)))
        return 400;
    return status;
}

/* ---- chunks ---- */

static int hex_digit(char c)
{
    if (is_digit(c))
        return c - '0';
    int lower = c | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* chunk-ext, which nobody here understands and which is skipped (RFC 9112 section 7.1.1). */
static int skip_extensions(const char **at, const char *end)
{
    const char *p = *at;
    while (p < end && is_blank(*p))
        p++;
    if (p < end && *p != ';')
        return 400;
    *at = http_skip_value(p, end);
    return 0;
}

int http_parse_chunk(const char *bytes, size_t size, size_t *ret_line, uint64_t *ret_size)
{
    const char *p = bytes, *end = bytes + (size < HTTP_MAX_CHUNK_LINE ? size : HTTP_MAX_CHUNK_LINE);
    uint64_t chunk = 0;
    for (; p < end && hex_digit(*p) >= 0; p++) {
        if (chunk >> 60)
            return 413;
        chunk = chunk << 4 | (uint64_t)hex_digit(*p);
    }
    if (p == bytes && p < end)
        return 400;
    int status = p < end && *p != '\r' ? skip_extensions(&p, end) : 0;
    char *line_end = (char *)p;
    if (status == 0)
        status = parse_line_end(&line_end, end);
    if (status == HTTP_PARSE_MORE && size >= HTTP_MAX_CHUNK_LINE)
        return 400;
    if (status != 0)
        return status;
    *ret_line = (size_t)(line_end - bytes);
    *ret_size = chunk;
    return 0;
}
