/* See response.h. */
#include "http/response.h"

#include "http/parse.h"

#include <stdio.h>
#include <time.h>

bool http_out_append(struct http_out *out, const void *bytes, size_t size)
{
    if (size > out->capacity - out->size)
        return false;
    if (size)
        memcpy(out->data + out->size, bytes, size);
    out->size += size;
    return true;
}

static bool append_str(struct http_out *out, struct str text)
{
    return http_out_append(out, text.ptr, text.len);
}

bool http_out_number(struct http_out *out, uint64_t number, unsigned base)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number);
    return http_out_append(out, digits + at, sizeof digits - at);
}

struct str http_chunk_line(char room[HTTP_CHUNK_LINE], uint64_t size)
{
    struct http_out out = {room, 0, HTTP_CHUNK_LINE};
    http_out_number(&out, size, 16);
    http_out_append(&out, "\r\n", 2);
    return (struct str){room, out.size};
}

void http_date_update(struct http_date *date, int64_t now_s)
{
    struct tm utc;
    char text[HTTP_DATE_SIZE + 1];
    time_t now = (time_t)now_s;
    static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    if (date->second == now_s)
        return;
    gmtime_r(&now, &utc);
    int size = snprintf(text, sizeof text, "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT", days + 3 * utc.tm_wday,
                        (unsigned)utc.tm_mday % 100u, months + 3 * utc.tm_mon, (unsigned)(utc.tm_year + 1900) % 10000u,
                        (unsigned)utc.tm_hour % 100u, (unsigned)utc.tm_min % 100u, (unsigned)utc.tm_sec % 100u);
    if (size != HTTP_DATE_SIZE)
        return;
    memcpy(date->text, text, HTTP_DATE_SIZE);
    date->second = now_s;
}

/* ---- the status line ---- */

struct status_line {
    unsigned status;
    struct str line, reason;
};

static const struct status_line status_lines[] = {
#define STATUS(number, reason)                                                                                         \
    {number,                                                                                                           \
     {"HTTP/1.1 " #number " " reason "\r\n", sizeof("HTTP/1.1 " #number " " reason "\r\n") - 1},                       \
     {reason, sizeof(reason) - 1}},
#include "http/statuses.def"
#undef STATUS
};

static const struct status_line *find_status(unsigned status)
{
    for (size_t i = 0; i < sizeof status_lines / sizeof status_lines[0]; i++)
        if (status_lines[i].status == status)
            return &status_lines[i];
    return NULL;
}

struct str http_reason(unsigned status)
{
    const struct status_line *line = find_status(status);
    return line ? line->reason : STR("");
}

static bool write_status(struct http_out *out, unsigned status)
{
    const struct status_line *line = find_status(status);
    if (line)
        return append_str(out, line->line);
    return status >= 200 && status <= 999 && append_str(out, STR("HTTP/1.1 ")) && http_out_number(out, status, 10) &&
           append_str(out, STR(" \r\n"));
}

/* ---- fields ---- */

static const struct str hop_fields[] = {
#define NAME(text) {text, sizeof(text) - 1}
    NAME("connection"), NAME("keep-alive"), NAME("proxy-connection"), NAME("transfer-encoding"), NAME("upgrade"),
#undef NAME
};

bool http_is_hop_field(struct str name)
{
    for (size_t i = 0; i < sizeof hop_fields / sizeof hop_fields[0]; i++)
        if (str_eq(name, hop_fields[i]))
            return true;
    return false;
}

bool http_is_hop_name(struct str name)
{
    for (size_t i = 0; i < sizeof hop_fields / sizeof hop_fields[0]; i++)
        if (http_is_same(name, hop_fields[i]))
            return true;
    return false;
}

bool http_is_trailer(const struct http_field *field)
{
    return !http_is_hop_name(field->name) && !http_is_same(field->name, STR("content-length")) &&
           !http_is_same(field->name, STR("host")) && http_is_token(field->name) && http_is_value(field->value);
}

/* The name in lower case, at the end of `out`; its length, 0 when it is no token or does not fit. */
static size_t write_name(struct http_out *out, struct str name)
{
    char *to = out->data + out->size;
    if (name.len > out->capacity - out->size)
        return 0;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t lower = http_token_lower[(uint8_t)name.ptr[i]];
        if (!lower)
            return 0;
        to[i] = (char)lower;
    }
    return name.len;
}

static bool write_field(struct http_out *out, const struct http_field *field, bool *ret_date)
{
    size_t length = write_name(out, field->name);
    struct str name = {out->data + out->size, length};
    if (length == 0 || !http_is_value(field->value))
        return false;
    if (http_is_hop_field(name) || str_eq(name, STR("content-length")))
        return true;
    *ret_date |= str_eq(name, STR("date"));
    memcpy(out->data + out->size, field->name.ptr, length); /* as it was given */
    out->size += length;
    return append_str(out, STR(": ")) && append_str(out, field->value) && append_str(out, STR("\r\n"));
}

static bool write_framing(struct http_out *out, enum http_framing framing, uint64_t length)
{
    if (framing == HTTP_FRAME_CHUNKED)
        return append_str(out, STR("transfer-encoding: chunked\r\n"));
    if (framing != HTTP_FRAME_LENGTH)
        return true;
    return append_str(out, STR("content-length: ")) && http_out_number(out, length, 10) && append_str(out, STR("\r\n"));
}

static bool write_date(struct http_out *out, const struct http_date *date)
{
    return append_str(out, STR("date: ")) && http_out_append(out, date->text, HTTP_DATE_SIZE) &&
           append_str(out, STR("\r\n"));
}

static bool write_all(struct http_out *out, const struct http_head *head, const struct http_date *date)
{
    bool dated = false;
    if (!write_status(out, head->status))
        return false;
    for (size_t i = 0; i < head->count; i++)
        if (!write_field(out, &head->fields[i], &dated))
            return false;
    if (!dated && !write_date(out, date))
        return false;
    if (head->close && !append_str(out, STR("connection: close\r\n")))
        return false;
    if (head->keep && !append_str(out, STR("connection: keep-alive\r\n")))
        return false;
    return write_framing(out, head->framing, head->length) && append_str(out, STR("\r\n"));
}

bool http_head_write(struct http_out *out, const struct http_head *head, const struct http_date *date)
{
    size_t before = out->size;
    if (write_all(out, head, date))
        return true;
    out->size = before;
    return false;
}

static bool write_request(struct http_out *out, const struct http_request_head *head)
{
    bool ignored = false;
    if (!append_str(out, head->method) || !append_str(out, STR(" ")) || !append_str(out, head->target) ||
        !append_str(out, STR(" HTTP/1.1\r\nhost: ")) || !append_str(out, head->authority) ||
        !append_str(out, STR("\r\n")))
        return false;
    for (size_t i = 0; i < head->count; i++)
        if (!http_is_same(head->fields[i].name, STR("host")) && !write_field(out, &head->fields[i], &ignored))
            return false;
    if (head->close && !append_str(out, STR("connection: close\r\n")))
        return false;
    return write_framing(out, head->framing, head->length) && append_str(out, STR("\r\n"));
}

bool http_request_head_write(struct http_out *out, const struct http_request_head *head)
{
    size_t before = out->size;
    if (write_request(out, head))
        return true;
    out->size = before;
    return false;
}
