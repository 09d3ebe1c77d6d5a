/* See glob.h. Characters are bytes but for '?' and sets, which take a whole one of UTF-8. Where a star took too little,
 * the last one takes one more: nothing is tried twice for stars before it, since what they could take the last can. So
 * it is with the names of a path and `**`, too, because every other name of a pattern stands for exactly one: the time
 * is bounded by the product of both lengths. */
#include "app/glob.h"

#include <string.h>

/* ---- within a name ---- */

bool glob_is_pattern(struct str text)
{
    return str_find(text, '*') < text.len || str_find(text, '?') < text.len || str_find(text, '[') < text.len;
}

/* One character, in bytes and as a number. Malformed UTF-8 is a byte. */
static size_t take_char(struct str text, size_t at, uint32_t *ret)
{
    uint8_t first = (uint8_t)text.ptr[at];
    size_t size = first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    uint32_t value = size == 1 ? first : first & (0x7fu >> size);
    for (size_t i = 1; i < size; i++) {
        if (at + i == text.len || ((uint8_t)text.ptr[at + i] & 0xc0) != 0x80) {
            *ret = first;
            return 1;
        }
        value = value << 6 | ((uint8_t)text.ptr[at + i] & 0x3f);
    }
    *ret = value;
    return size;
}

/* A set, `at` behind its bracket; moves behind the closing one. False: it is not closed, and stands for itself. */
static bool match_set(struct str pattern, size_t *at, uint32_t wanted, bool escapes, bool *ret_found)
{
    size_t i = *at;
    bool negated = i < pattern.len && (pattern.ptr[i] == '!' || (escapes && pattern.ptr[i] == '^'));
    bool found = false, first = true;
    for (i += negated; i < pattern.len && (first || pattern.ptr[i] != ']'); first = false) {
        uint32_t low, high;
        i += take_char(pattern, i, &low);
        high = low;
        if (i + 1 < pattern.len && pattern.ptr[i] == '-' && pattern.ptr[i + 1] != ']')
            i += 1 + take_char(pattern, i + 1, &high);
        found |= low <= wanted && wanted <= high;
    }
    *at = i + 1;
    *ret_found = found != negated;
    return i < pattern.len;
}

/* One character of the pattern that is no star. */
static bool match_one(struct str pattern, size_t *p, struct str text, size_t *t, bool escapes)
{
    uint32_t wanted;
    size_t behind = *p + 1;
    bool found;
    if (*t == text.len)
        return false;
    size_t size = take_char(text, *t, &wanted);
    if (pattern.ptr[*p] == '[' && match_set(pattern, &behind, wanted, escapes, &found)) {
        *p = behind;
        *t += size;
        return found;
    }
    bool any = pattern.ptr[*p] == '?';
    size_t escape = escapes && pattern.ptr[*p] == '\\' && *p + 1 < pattern.len;
    if (!any && pattern.ptr[*p + escape] != text.ptr[*t])
        return false;
    *p += 1 + escape;
    *t += any ? size : 1;
    return true;
}

/* `escapes`: a backslash is in front of what stands for itself, and '^' negates a set as '!' does. */
static bool match(struct str pattern, struct str text, bool escapes)
{
    size_t p = 0, t = 0, star = SIZE_MAX, taken = 0;
    while (t < text.len || p < pattern.len) {
        if (p < pattern.len && pattern.ptr[p] == '*') {
            star = ++p;
            taken = t;
            continue;
        }
        if (p < pattern.len && match_one(pattern, &p, text, &t, escapes))
            continue;
        if (star == SIZE_MAX || taken == text.len)
            return false;
        p = star;
        t = ++taken;
    }
    return true;
}

bool glob_match_name(struct str pattern, struct str name)
{
    return match(pattern, name, false);
}

/* ---- whole paths, in which stars stand for slashes, too ---- */

/* Folders of "**" may be none: then one of the slashes beside it is none either. */
static bool match_from(struct str pattern, struct str path, unsigned depth)
{
    for (size_t i = 0; depth && i + 3 <= pattern.len; i++)
        if (memcmp(pattern.ptr + i, "**/", 3) == 0 && (i == 0 || pattern.ptr[i - 1] == '/')) {
            char room[1024];
            size_t rest = pattern.len - i - 3;
            if (i + rest > sizeof room)
                break;
            if (i)
                memcpy(room, pattern.ptr, i);
            if (rest)
                memcpy(room + i, pattern.ptr + i + 3, rest);
            if (match_from((struct str){room, i + rest}, path, depth - 1))
                return true;
        }
    return match(pattern, path, false);
}

bool glob_match_path(struct str pattern, struct str path)
{
    return match_from(pattern, path, 4);
}

/* ---- paths name by name ---- */

static struct str first_name(struct str path)
{
    return str_slice(path, 0, str_find(path, '/'));
}

static struct str behind_name(struct str path)
{
    size_t end = str_find(path, '/');
    return str_slice(path, end < path.len ? end + 1 : end, path.len);
}

static bool is_wild(struct str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (strchr("*?[\\", name.ptr[i]))
            return true;
    return false;
}

/* Folders that nobody means who writes a wildcard. */
static bool is_hidden(struct str name)
{
    return (name.len && name.ptr[0] == '.') || str_eq(name, STR("target")) || str_eq(name, STR("node_modules"));
}

/* Whether a wildcard may stand for all of it. */
static bool all_plain(struct str path, bool folder)
{
    for (; path.len; path = behind_name(path))
        if ((folder || behind_name(path).len) && is_hidden(first_name(path)))
            return false;
    return true;
}

/* `folder`: all names of the path are folders, and it is enough that a longer path may match. */
static bool matches(struct str pattern, struct str path, bool folder)
{
    struct str again_pattern = {0}, again_path = {0}; /* behind the last `**`, and where to try it next */
    bool starred = false;
    while (path.len) {
        struct str want = first_name(pattern), name = first_name(path), rest = behind_name(path);
        bool inner = folder || rest.len;
        if (!pattern.len && !starred)
            return true; /* the pattern named a folder that this is in */
        if (str_eq(want, STR("**"))) {
            starred = true;
            again_pattern = pattern = behind_name(pattern);
            again_path = path;
            if (!pattern.len)
                return all_plain(path, folder);
            continue;
        }
        if (pattern.len && match(want, name, true) && !(inner && is_wild(want) && is_hidden(name))) {
            pattern = behind_name(pattern);
            path = rest;
            continue;
        }
        if (!starred || is_hidden(first_name(again_path)) || (!folder && !behind_name(again_path).len))
            return false;
        pattern = again_pattern;
        again_path = path = behind_name(again_path);
    }
    return folder || !pattern.len || str_eq(pattern, STR("**"));
}

bool glob_matches(struct str pattern, struct str path)
{
    return matches(pattern, path, false);
}

bool glob_leads(struct str pattern, struct str folder)
{
    return matches(pattern, folder, true);
}

/* ---- forms ---- */

const char *glob_normal(struct arena *arena, struct str path)
{
    char *text = arena_alloc(arena, path.len + 2);
    size_t used = 0;
    if (!text)
        return NULL;
    if (path.len && path.ptr[0] == '/')
        text[used++] = '/';
    size_t start = used;
    for (size_t base = start; path.len; path = behind_name(path)) {
        struct str name = first_name(path);
        if (!name.len || str_eq(name, STR(".")))
            continue;
        if (str_eq(name, STR("..")) && used > base) {
            do
                used--;
            while (used > base && text[used - 1] != '/');
            used -= used > base;
            continue;
        }
        if (used > start)
            text[used++] = '/';
        memcpy(text + used, name.ptr, name.len);
        used += name.len;
        if (str_eq(name, STR("..")))
            base = used; /* it stays */
    }
    text[used] = '\0';
    return text;
}

/* The braces that open first: their parts are between `open` and `close`. False: there are none. */
static bool find_braces(struct str text, size_t *ret_open, size_t *ret_close)
{
    size_t open = str_find(text, '{'), depth = 0;
    for (size_t i = open; i < text.len; i++) {
        depth += text.ptr[i] == '{';
        depth -= text.ptr[i] == '}';
        if (depth == 0) {
            *ret_open = open;
            *ret_close = i;
            return true;
        }
    }
    return false;
}

/* The part that begins at `at` ends at the comma, or at the closing brace. */
static size_t part_end(struct str text, size_t at, size_t close)
{
    size_t depth = 0;
    for (; at < close; at++) {
        depth += text.ptr[at] == '{';
        depth -= text.ptr[at] == '}';
        if (depth == 0 && text.ptr[at] == ',')
            return at;
    }
    return close;
}

const struct str *glob_alternatives(struct arena *arena, struct str pattern, uint32_t *ret_count)
{
    struct str *all = ARENA_ARRAY(arena, struct str, GLOB_ALTERNATIVES_MAX);
    uint32_t count = 1, next = 0;
    if (!all)
        return NULL;
    all[0] = pattern;
    while (next < count) {
        struct str text = all[next];
        size_t open, close;
        uint32_t parts = 0;
        if (!find_braces(text, &open, &close)) {
            next++;
            continue;
        }
        for (size_t at = open + 1; at <= close; at = part_end(text, at, close) + 1)
            parts++;
        if (count + parts - 1 > GLOB_ALTERNATIVES_MAX) {
            next++;
            continue;
        }
        for (size_t at = open + 1; at <= close; at = part_end(text, at, close) + 1) {
            struct str part = str_slice(text, at, part_end(text, at, close));
            size_t behind = text.len - close - 1;
            char *made = arena_alloc(arena, open + part.len + behind + 1);
            if (!made)
                return NULL;
            memcpy(made, text.ptr, open);
            memcpy(made + open, part.ptr, part.len);
            memcpy(made + open + part.len, text.ptr + close + 1, behind);
            struct str one = {made, open + part.len + behind};
            if (at == open + 1)
                all[next] = one;
            else
                all[count++] = one;
        }
    }
    *ret_count = count;
    return all;
}
