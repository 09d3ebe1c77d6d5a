/* See template.h. */
#include "app/template.h"

/* Where `what`, two equal bytes, first stands; text.len when it does not. */
static size_t find_pair(struct str text, char what)
{
    for (size_t i = 0; i + 1 < text.len; i++)
        if (text.ptr[i] == what && text.ptr[i + 1] == what)
            return i;
    return text.len;
}

static struct str trim(struct str text)
{
    while (text.len && (text.ptr[0] == ' ' || text.ptr[0] == '\t'))
        text = str_slice(text, 1, text.len);
    while (text.len && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
        text.len--;
    return text;
}

bool template_next_part(struct str *left, struct template_part *ret)
{
    if (left->len == 0)
        return false;
    size_t open = find_pair(*left, '{');
    if (open > 0) {
        *ret = (struct template_part){.text = str_slice(*left, 0, open)};
        *left = str_slice(*left, open, left->len);
        return true;
    }
    struct str inside = str_slice(*left, 2, left->len);
    size_t close = find_pair(inside, '}');
    *ret = (struct template_part){.text = trim(str_slice(inside, 0, close)), .variable = true};
    *left = close < inside.len ? str_slice(inside, close + 2, inside.len) : str_slice(inside, close, close);
    return true;
}

bool template_is_literal(struct str text)
{
    return find_pair(text, '{') == text.len;
}

static bool check_braces(struct str text, struct err *err)
{
    for (size_t open; (open = find_pair(text, '{')) < text.len;) {
        text = str_slice(text, open + 2, text.len);
        size_t close = find_pair(text, '}');
        if (close == text.len) {
            err_set(err, ERR_INVALID, "a '{{' has no '}}' behind it");
            return err_remedy(err, "write a variable as {{ name }}");
        }
        text = str_slice(text, close + 2, text.len);
    }
    return true;
}

bool template_check(struct str text, template_resolve *resolve, void *arg, struct err *err)
{
    struct template_part part;
    struct str value;
    if (!check_braces(text, err))
        return false;
    while (resolve && template_next_part(&text, &part))
        if (part.variable && !resolve(arg, part.text, &value, err))
            return false;
    return true;
}

bool template_expand(struct str text, template_resolve *resolve, void *arg, struct buf *out, struct err *err)
{
    struct template_part part;
    if (!check_braces(text, err))
        return false;
    while (template_next_part(&text, &part)) {
        struct str value = part.text;
        if (part.variable && !resolve(arg, part.text, &value, err))
            return false;
        if (value.len && !buf_append(out, value.ptr, value.len))
            return out->full ? err_set(err, ERR_LIMIT, "the text is longer than %zu bytes with its variables", out->max)
                             : err_memory(err);
    }
    return true;
}
