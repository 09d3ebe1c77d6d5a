/* See json.h. */
#include "base/json.h"

#include <inttypes.h>

static void text(struct json *json, const char *value)
{
    buf_append(json->out, value, strlen(value));
}

static void new_line(struct json *json)
{
    static const char blanks[2 * JSON_DEPTH + 2] = "\n                                ";
    buf_append(json->out, blanks, 1 + (size_t)2 * json->depth);
}

static bool escape(struct json *json, unsigned char c)
{
    switch (c) {
    case '"': text(json, "\\\""); return true;
    case '\\': text(json, "\\\\"); return true;
    case '\n': text(json, "\\n"); return true;
    case '\t': text(json, "\\t"); return true;
    default: return (c < 0x20 || c == 0x7f) && buf_printf(json->out, "\\u%04x", c);
    }
}

static void quoted(struct json *json, struct str value)
{
    bool valid = utf8_valid(value.ptr, value.len);
    text(json, "\"");
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        if (c >= 0x80 && !valid)
            text(json, "\\ufffd");
        else if (c == 0xc2 && (unsigned char)value.ptr[i + 1] < 0xa0) /* control characters of Latin 1 */
            buf_printf(json->out, "\\u%04x", (unsigned char)value.ptr[++i]);
        else if (!escape(json, c))
            buf_append(json->out, &c, 1);
    }
    text(json, "\"");
}

/* What stands before a value. */
static void lead(struct json *json, const char *key)
{
    if (json->depth) {
        text(json, json->filled[json->depth - 1] ? "," : "");
        json->filled[json->depth - 1] = true;
        new_line(json);
    }
    if (key) {
        quoted(json, str_of(key));
        text(json, ": ");
    }
}

static void begin(struct json *json, const char *key, const char *opening, char closing)
{
    lead(json, key);
    text(json, opening);
    if (json->depth == JSON_DEPTH) {
        json->out->failed = true;
        return;
    }
    json->closing[json->depth] = closing;
    json->filled[json->depth++] = false;
}

void json_object(struct json *json, const char *key)
{
    begin(json, key, "{", '}');
}

void json_array(struct json *json, const char *key)
{
    begin(json, key, "[", ']');
}

void json_end(struct json *json)
{
    json->depth--;
    if (json->filled[json->depth])
        new_line(json);
    buf_append(json->out, &json->closing[json->depth], 1);
    if (!json->depth)
        text(json, "\n");
}

void json_string(struct json *json, const char *key, struct str value)
{
    lead(json, key);
    quoted(json, value);
}

void json_number(struct json *json, const char *key, uint64_t value)
{
    lead(json, key);
    buf_printf(json->out, "%" PRIu64, value);
}

void json_bool(struct json *json, const char *key, bool value)
{
    lead(json, key);
    text(json, value ? "true" : "false");
}

void json_null(struct json *json, const char *key)
{
    lead(json, key);
    text(json, "null");
}
