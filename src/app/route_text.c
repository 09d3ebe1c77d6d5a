/* See route_text.h. What is refused here Spin's router would never match, or stop at. */
#include "app/route_text.h"

#include "base/text.h"

static struct str trim(struct str text)
{
    while (text.len && text.ptr[0] == '/')
        text = str_slice(text, 1, text.len);
    while (text.len && text.ptr[text.len - 1] == '/')
        text.len--;
    return text;
}

static bool ends_with(struct str text, struct str end)
{
    return text.len >= end.len && memcmp(text.ptr + text.len - end.len, end.ptr, end.len) == 0;
}

/* The last segment is `mark`, which is cut off. */
static bool cut_last(struct str *text, struct str mark)
{
    size_t before = text->len - (text->len < mark.len ? text->len : mark.len);
    if (!ends_with(*text, mark) || (before > 0 && text->ptr[before - 1] != '/'))
        return false;
    *text = trim(str_slice(*text, 0, before));
    return true;
}

struct route_text route_text_of(struct str pattern)
{
    struct route_text text = {.left = trim(pattern)};
    text.wildcard = cut_last(&text.left, STR("...")) || cut_last(&text.left, STR("*"));
    return text;
}

bool route_text_next(struct route_text *text, struct route_piece *ret)
{
    size_t end = 0;
    while (!text->more && text->left.len && text->left.ptr[0] == '/') /* an empty segment is none */
        text->left = str_slice(text->left, 1, text->left.len);
    if (text->left.len == 0 && !text->more)
        return false;
    while (end < text->left.len && text->left.ptr[end] != '/' && text->left.ptr[end] != '.')
        end++;
    ret->text = str_slice(text->left, 0, end);
    ret->parameter = end > 0 && text->left.ptr[0] == ':';
    if (ret->parameter)
        ret->text = str_slice(ret->text, 1, ret->text.len);
    text->more = ret->dot = end < text->left.len && text->left.ptr[end] == '.';
    text->left = str_slice(text->left, end + (end < text->left.len), text->left.len);
    return true;
}

/* ---- checks ---- */

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

/* Names become parts of header names, where case and the two dashes are one. */
static char folded(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c == '_' ? '-' : c;
}

static bool same_name(struct str a, struct str b)
{
    bool same = a.len == b.len;
    for (size_t i = 0; same && i < a.len; i++)
        same = folded(a.ptr[i]) == folded(b.ptr[i]);
    return same;
}

static bool check_name(struct str name, const struct str *names, size_t count, struct err *err)
{
    bool good = name.len > 0;
    for (size_t i = 0; good && i < name.len; i++)
        good = is_name_byte(name.ptr[i]);
    if (!good) {
        err_set(err, ERR_INVALID, "the route has a ':' without a name behind it");
        return err_remedy(err, "name what stands there, with letters, digits, '-' and '_': /users/:id");
    }
    for (size_t i = 0; i < count; i++)
        if (same_name(names[i], name)) {
            err_set(err, ERR_INVALID, "the route has ':%.*s' twice", STR_ARG(name));
            return err_remedy(err, "give each its own name; case and '-' or '_' make no difference");
        }
    return true;
}

static bool misplaced_wildcard(struct err *err)
{
    err_set(err, ERR_INVALID, "the route has a wildcard that is not its last segment");
    return err_remedy(err, "write the wildcard at the end, behind a slash: /files/...");
}

/* Wildcards that route_text_of has not taken off. */
static bool check_wildcards(struct str left, struct err *err)
{
    bool begins = true;
    for (size_t i = 0; i < left.len; i++) {
        bool ends = i + 1 == left.len || left.ptr[i + 1] == '/';
        if ((begins && left.ptr[i] == '*') || (ends && i >= 2 && memcmp(left.ptr + i - 2, "...", 3) == 0))
            return misplaced_wildcard(err);
        begins = left.ptr[i] == '/' || left.ptr[i] == '.';
    }
    return true;
}

static bool check_pieces(struct route_text text, struct err *err)
{
    struct str names[ROUTE_CAPTURES_MAX];
    struct route_piece piece;
    size_t name_count = 0, pieces = 0;
    while (route_text_next(&text, &piece)) {
        if (++pieces > ROUTE_PIECES_MAX)
            return err_set(err, ERR_LIMIT, "the route has more than %u parts between slashes and dots",
                           ROUTE_PIECES_MAX);
        if (!piece.parameter)
            continue;
        if (name_count == ROUTE_CAPTURES_MAX)
            return err_set(err, ERR_LIMIT, "the route captures more than %u segments", ROUTE_CAPTURES_MAX);
        if (!check_name(piece.text, names, name_count, err))
            return false;
        names[name_count++] = piece.text;
    }
    return true;
}

bool route_check(struct str pattern, struct err *err)
{
    if (pattern.len > ROUTE_TEXT_MAX)
        return err_set(err, ERR_LIMIT, "the route is longer than %u bytes", ROUTE_TEXT_MAX);
    for (size_t i = 0; i < pattern.len; i++) {
        unsigned char c = (unsigned char)pattern.ptr[i];
        char shown[TEXT_SHOWN];
        if (c > 0x20 && c != 0x7f && c != '?' && c != '#')
            continue;
        text_next(pattern, i, shown);
        err_set(err, ERR_INVALID, "the route has '%s' in it, which no path has", shown);
        return err_remedy(err, "a route is a path without a query; write what must be escaped as it comes: %%20");
    }
    struct route_text text = route_text_of(pattern);
    return check_wildcards(text.left, err) && check_pieces(text, err);
}

bool route_reserved(struct str pattern)
{
    struct str reserved = STR(ROUTE_RESERVED);
    if (pattern.len && pattern.ptr[0] != '/')
        reserved = str_slice(reserved, 1, reserved.len);
    return str_starts(pattern, reserved);
}
