/* See text.h. */
#include "base/text.h"

#include <stdio.h>

/* Format characters, variation selectors, fillers, separators of lines: what shows nothing of its own. */
static const struct {
    uint32_t first, last;
} hidden[] = {
    {0x80, 0x9f},       {0xad, 0xad},       {0x34f, 0x34f},     {0x600, 0x605},     {0x61c, 0x61c},
    {0x6dd, 0x6dd},     {0x70f, 0x70f},     {0x890, 0x891},     {0x8e2, 0x8e2},     {0x115f, 0x1160},
    {0x17b4, 0x17b5},   {0x180b, 0x180f},   {0x200b, 0x200f},   {0x2028, 0x202e},   {0x2060, 0x206f},
    {0x3164, 0x3164},   {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},   {0xffa0, 0xffa0},   {0xfff0, 0xfffb},
    {0x110bd, 0x110bd}, {0x110cd, 0x110cd}, {0x13430, 0x1343f}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a},
    {0xe0000, 0xe0fff},
};

static bool is_hidden(uint32_t c)
{
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        if (c >= hidden[i].first && c <= hidden[i].last)
            return true;
    return false;
}

/* The number of a well-formed sequence. */
static uint32_t decode(const uint8_t *p, size_t size)
{
    static const uint8_t masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t c = p[0] & masks[size];
    for (size_t i = 1; i < size; i++)
        c = c << 6 | (p[i] & 0x3f);
    return c;
}

size_t text_next(struct str text, size_t at, char ret_shown[TEXT_SHOWN])
{
    const uint8_t *p = (const uint8_t *)text.ptr + at;
    size_t size = utf8_sequence(p, text.len - at);
    if (size == 0 || p[0] < 0x20 || p[0] == 0x7f) {
        snprintf(ret_shown, TEXT_SHOWN, "\\x%02x", p[0]);
        return 1;
    }
    uint32_t c = decode(p, size);
    if (is_hidden(c))
        snprintf(ret_shown, TEXT_SHOWN, "\\u{%x}", c);
    else
        snprintf(ret_shown, TEXT_SHOWN, "%.*s", (int)size, (const char *)p);
    return size;
}

bool text_show_some(struct buf *out, struct str text, size_t max)
{
    char shown[TEXT_SHOWN];
    size_t at = 0;
    while (at < text.len && at < max && !out->failed) {
        at += text_next(text, at, shown);
        buf_append(out, shown, strlen(shown));
    }
    return at == text.len ? !out->failed : buf_printf(out, "... (%zu bytes)", text.len);
}

bool text_show(struct buf *out, struct str text)
{
    return text_show_some(out, text, text.len);
}

bool text_quote(struct buf *out, struct str text)
{
    char shown[TEXT_SHOWN];
    size_t at = 0;
    buf_append(out, "\"", 1);
    while (at < text.len && at < TEXT_NAME_MAX && !out->failed) {
        at += text_next(text, at, shown);
        if (strcmp(shown, "\"") == 0 || strcmp(shown, "\\") == 0)
            buf_append(out, "\\", 1);
        buf_append(out, shown, strlen(shown));
    }
    buf_append(out, "\"", 1);
    return at == text.len ? !out->failed : buf_printf(out, "... (%zu bytes)", text.len);
}
