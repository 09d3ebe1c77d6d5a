/* See json_read.h. By recursive descent; `path` holds where it is. */
#include "base/json_read.h"

struct reader {
    const char *at, *end;
    void (*found)(void *arg, const struct json_read_value *value);
    void *arg;
    uint32_t depth;
    size_t path_size, text_size, text_room;
    char path[JSON_READ_PATH], *text;
};

static bool read_value(struct reader *reader);

static void skip_blanks(struct reader *reader)
{
    while (reader->at < reader->end && memchr(" \t\r\n", *reader->at, 4))
        reader->at++;
}

static bool take(struct reader *reader, char c)
{
    if (reader->at == reader->end || *reader->at != c)
        return false;
    reader->at++;
    return true;
}

static bool take_word(struct reader *reader, struct str word)
{
    struct str rest = {reader->at, (size_t)(reader->end - reader->at)};
    if (!str_starts(rest, word))
        return false;
    reader->at += word.len;
    return true;
}

static void tell(struct reader *reader, struct json_read_value value)
{
    value.path = (struct str){reader->path, reader->path_size};
    reader->found(reader->arg, &value);
}

/* ---- the path ---- */

static bool enter(struct reader *reader, struct str part)
{
    if (part.len > sizeof reader->path - reader->path_size)
        return false;
    if (part.len)
        memcpy(reader->path + reader->path_size, part.ptr, part.len);
    reader->path_size += part.len;
    return true;
}

/* ---- strings (section 7) ---- */

static void keep(struct reader *reader, unsigned char c)
{
    if (reader->text_size < reader->text_room)
        reader->text[reader->text_size++] = (char)c;
}

static void keep_point(struct reader *reader, uint32_t point)
{
    unsigned bytes = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    static const uint8_t leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    if (bytes > reader->text_room - reader->text_size)
        return;
    keep(reader, (unsigned char)(leads[bytes] | point >> (6 * (bytes - 1))));
    while (--bytes)
        keep(reader, (unsigned char)(0x80 | (point >> (6 * (bytes - 1)) & 0x3f)));
}

static bool read_hex(struct reader *reader, uint32_t *ret_unit)
{
    uint32_t unit = 0;
    if (reader->end - reader->at < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        char c = *reader->at++, lower = (char)(c | 0x20);
        bool digit = c >= '0' && c <= '9', letter = lower >= 'a' && lower <= 'f';
        if (!digit && !letter)
            return false;
        unit = unit << 4 | (uint32_t)(digit ? c - '0' : lower - 'a' + 10);
    }
    *ret_unit = unit;
    return true;
}

/* Behind "\u". A half of a pair that stands alone becomes U+FFFD. */
static bool read_unit(struct reader *reader)
{
    uint32_t unit, low;
    if (!read_hex(reader, &unit))
        return false;
    if (unit >= 0xd800 && unit < 0xdc00) {
        const char *before = reader->at;
        if (take_word(reader, STR("\\u")) && read_hex(reader, &low) && low >= 0xdc00 && low < 0xe000)
            unit = 0x10000 + ((unit - 0xd800) << 10 | (low - 0xdc00));
        else
            reader->at = before;
    }
    keep_point(reader, unit >= 0xd800 && unit < 0xe000 ? 0xfffd : unit);
    return true;
}

static bool read_escape(struct reader *reader)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    if (reader->at == reader->end)
        return false;
    char c = *reader->at++;
    if (c == 'u')
        return read_unit(reader);
    const char *found = memchr(names, c, sizeof names - 1);
    if (found)
        keep(reader, (unsigned char)values[found - names]);
    return found != NULL;
}

/* Into reader->text. */
static bool read_string(struct reader *reader)
{
    reader->text_size = 0;
    if (!take(reader, '"'))
        return false;
    while (reader->at < reader->end) {
        unsigned char c = (unsigned char)*reader->at++;
        if (c == '"')
            return true;
        if (c < 0x20 || (c == '\\' && !read_escape(reader)))
            return false;
        if (c != '\\')
            keep(reader, c);
    }
    return false;
}

/* ---- numbers (section 6) ---- */

static size_t skip_digits(struct reader *reader)
{
    const char *from = reader->at;
    while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9')
        reader->at++;
    return (size_t)(reader->at - from);
}

static uint64_t value_of(const char *digits, size_t count)
{
    uint64_t value = 0;
    for (size_t i = 0; i < count; i++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(digits[i] - '0'), &value))
            return 0;
    return value;
}

static bool read_number(struct reader *reader)
{
    bool plain = !take(reader, '-');
    const char *digits = reader->at;
    size_t count = skip_digits(reader);
    if (count == 0 || (count > 1 && *digits == '0'))
        return false;
    if (take(reader, '.')) {
        plain = false;
        if (!skip_digits(reader))
            return false;
    }
    if (take(reader, 'e') || take(reader, 'E')) {
        plain = false;
        if (!take(reader, '+'))
            take(reader, '-');
        if (!skip_digits(reader))
            return false;
    }
    tell(reader, (struct json_read_value){.kind = JSON_READ_NUMBER, .number = plain ? value_of(digits, count) : 0});
    return true;
}

/* ---- values ---- */

static bool read_member(struct reader *reader)
{
    size_t before = reader->path_size;
    skip_blanks(reader);
    if (!read_string(reader) || (before && !enter(reader, STR("."))) ||
        !enter(reader, (struct str){reader->text, reader->text_size}))
        return false;
    skip_blanks(reader);
    bool done = take(reader, ':') && read_value(reader);
    reader->path_size = before;
    return done;
}

static bool read_element(struct reader *reader)
{
    size_t before = reader->path_size;
    if (!enter(reader, STR("[]")))
        return false;
    tell(reader, (struct json_read_value){.kind = JSON_READ_ELEMENT});
    bool done = read_value(reader);
    reader->path_size = before;
    return done;
}

/* Behind the opening bracket. */
static bool read_list(struct reader *reader, char close, bool (*item)(struct reader *reader))
{
    if (reader->depth == JSON_READ_DEPTH)
        return false;
    reader->depth++;
    skip_blanks(reader);
    bool closed = take(reader, close), done = true;
    while (done && !closed) {
        done = item(reader);
        closed = take(reader, close);
        done = done && (closed || take(reader, ','));
    }
    reader->depth--;
    return done;
}

static bool read_scalar(struct reader *reader)
{
    if (take_word(reader, STR("null")))
        tell(reader, (struct json_read_value){.kind = JSON_READ_NULL});
    else if (take_word(reader, STR("true")))
        tell(reader, (struct json_read_value){.kind = JSON_READ_BOOL, .truth = true});
    else if (take_word(reader, STR("false")))
        tell(reader, (struct json_read_value){.kind = JSON_READ_BOOL});
    else
        return read_number(reader);
    return true;
}

static bool read_text(struct reader *reader)
{
    if (!read_string(reader))
        return false;
    tell(reader, (struct json_read_value){.kind = JSON_READ_STRING, .text = {reader->text, reader->text_size}});
    return true;
}

static bool read_value(struct reader *reader)
{
    skip_blanks(reader);
    bool string = reader->at < reader->end && *reader->at == '"', done;
    if (string)
        done = read_text(reader);
    else if (take(reader, '{'))
        done = read_list(reader, '}', read_member);
    else if (take(reader, '['))
        done = read_list(reader, ']', read_element);
    else
        done = read_scalar(reader);
    skip_blanks(reader);
    return done;
}

bool json_read_whole(struct str text, char *room, size_t size,
                     void (*found)(void *arg, const struct json_read_value *value), void *arg)
{
    struct reader reader = {
        .at = text.ptr, .end = text.ptr + text.len, .found = found, .arg = arg, .text = room, .text_room = size};
    return text.len && read_value(&reader) && reader.at == reader.end;
}

bool json_read(struct str text, void (*found)(void *arg, const struct json_read_value *value), void *arg)
{
    char room[JSON_READ_TEXT];
    return json_read_whole(text, room, sizeof room, found, arg);
}
