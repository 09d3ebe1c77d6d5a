/* See routes.h. */
#include "support/routes.h"

/* One letter for each decision of a match, the better the lower: what is written out, a parameter up to a dot, one for
 * a segment, the end, the rest. */
struct decisions {
    char letters[2 * ROUTE_TEXT_MAX];
    size_t count;
};

static struct str without_slashes(struct str text)
{
    while (text.len && *text.ptr == '/')
        text = str_slice(text, 1, text.len);
    while (text.len && text.ptr[text.len - 1] == '/')
        text.len--;
    return text;
}

static void decide(struct decisions *decisions, char letter)
{
    decisions->letters[decisions->count++] = letter;
}

/* A segment against one of a pattern, part by part between the pattern's dots. */
static bool segment_matches(struct str pattern, struct str segment, struct decisions *decisions)
{
    for (;;) {
        size_t dot = str_find(pattern, '.'), here = str_find(segment, '.');
        bool last = dot == pattern.len, parameter = pattern.len && *pattern.ptr == ':';
        if (parameter && last) {
            decide(decisions, 'c');
            return segment.len > 0;
        }
        if (last != (here == segment.len))
            return false;
        if (parameter ? here == 0 : !str_eq(str_slice(pattern, 0, dot), str_slice(segment, 0, here)))
            return false;
        decide(decisions, parameter ? 'b' : 'a');
        if (last)
            return true;
        pattern = str_slice(pattern, dot + 1, pattern.len);
        segment = str_slice(segment, here + 1, segment.len);
    }
}

static struct str take_segment(struct str *text)
{
    size_t end = str_find(*text, '/');
    struct str segment = str_slice(*text, 0, end);
    *text = end < text->len ? str_slice(*text, end + 1, text->len) : (struct str){NULL, 0};
    return segment;
}

static struct str skip_slashes(struct str text)
{
    while (text.len && *text.ptr == '/')
        text = str_slice(text, 1, text.len);
    return text;
}

static bool matches(struct str pattern, struct str path, struct decisions *decisions)
{
    pattern = without_slashes(pattern);
    path = without_slashes(path);
    bool more = path.len > 0;
    decisions->count = 0;
    while (pattern.len) {
        struct str wanted = take_segment(&pattern);
        pattern = skip_slashes(pattern);
        if (pattern.len == 0 && (str_eq(wanted, STR("...")) || str_eq(wanted, STR("*")))) {
            decide(decisions, 'e');
            return true;
        }
        if (!more || !segment_matches(wanted, take_segment(&path), decisions))
            return false;
        more = path.ptr != NULL;
    }
    decide(decisions, 'd');
    return !more;
}

static int compare(const struct decisions *a, const struct decisions *b)
{
    size_t common = a->count < b->count ? a->count : b->count;
    int order = memcmp(a->letters, b->letters, common);
    return order ? order : (a->count > b->count) - (a->count < b->count);
}

int routes_reference(const struct route_spec *specs, size_t count, struct str target)
{
    struct decisions best = {.count = 0}, now;
    int found = -1;
    struct str path = str_slice(target, 0, str_find(target, '?'));
    if (path.len == 0 || path.ptr[0] != '/')
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (specs[i].is_private || !matches(specs[i].pattern, path, &now))
            continue;
        if (found < 0 || compare(&now, &best) <= 0) {
            found = (int)i;
            best = now;
        }
    }
    return found;
}

/* The path that the route and its captures make, without the rest. */
static bool rebuild(const struct route *route, const struct route_match *match, char *ret, size_t *ret_size)
{
    struct str left = without_slashes(route->raw);
    size_t n = 0;
    uint32_t capture = 0;
    bool begins = true;
    for (size_t i = 0; i < left.len;) {
        if (begins && (left.ptr[i] == '*' || str_eq(str_slice(left, i, left.len), STR("..."))))
            break;
        if (begins && left.ptr[i] == ':') {
            if (capture == match->capture_count)
                return false;
            memcpy(ret + n, match->captures[capture].ptr, match->captures[capture].len);
            n += match->captures[capture++].len;
            while (i < left.len && left.ptr[i] != '/' && left.ptr[i] != '.')
                i++;
            begins = false;
            continue;
        }
        bool again = left.ptr[i] == '/' && n && ret[n - 1] == '/';
        begins = left.ptr[i] == '/' || left.ptr[i] == '.';
        if (!again)
            ret[n++] = left.ptr[i];
        i++;
    }
    *ret_size = n;
    return capture == match->capture_count;
}

static const char *check_path(const struct route *route, const struct route_match *match)
{
    static char built[1 << 20];
    size_t size = 0;
    struct str matched = without_slashes(match->matched);
    if (match->path.len + ROUTE_TEXT_MAX > sizeof built)
        return NULL;
    if (!rebuild(route, match, built, &size))
        return "as many captures as names";
    if (!str_eq(without_slashes((struct str){built, size}), matched))
        return "the path that was matched is not that of the route";
    if (!route->wildcard && match->trailing.len)
        return "a rest without a wildcard";
    if (match->trailing.len && match->trailing.ptr[0] != '/')
        return "a rest without its slash";
    if (!route->wildcard && !str_eq(match->matched, match->path))
        return "not the whole path";
    return NULL;
}

const char *routes_check(const struct router *router, struct str target, const struct route_match *match)
{
    if (match->route >= router->count)
        return "a route that there is not";
    const struct route *route = &router->routes[match->route];
    if (match->capture_count != route->name_count)
        return "as many captures as names";
    for (uint32_t i = 0; i < match->capture_count; i++)
        if (match->captures[i].ptr < target.ptr || match->captures[i].len == 0 ||
            match->captures[i].ptr + match->captures[i].len > target.ptr + target.len)
            return "a capture outside of the path";
    return check_path(route, match);
}
