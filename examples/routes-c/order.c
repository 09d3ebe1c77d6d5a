#include "order.h"

#include <string.h>

#define DEPTH_MAX 64

struct reader {
    const char *at;
    const char *end;
};

struct string {
    const char *start; /* the quote */
    size_t length;     /* with both quotes */
};

static void skip_space(struct reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r'))
        r->at++;
}

static bool take(struct reader *r, char what)
{
    skip_space(r);
    if (r->at == r->end || *r->at != what)
        return false;
    r->at++;
    return true;
}

static bool is_digit(const struct reader *r)
{
    return r->at < r->end && *r->at >= '0' && *r->at <= '9';
}

static bool take_escape(struct reader *r)
{
    if (r->at == r->end || *r->at == '\0' || !strchr("\"\\/bfnrtu", *r->at))
        return false;
    if (*r->at++ != 'u')
        return true;
    for (int i = 0; i < 4; i++, r->at++)
        if (r->at == r->end || *r->at == '\0' || !strchr("0123456789abcdefABCDEF", *r->at))
            return false;
    return true;
}

static bool take_string(struct reader *r, struct string *ret)
{
    if (!take(r, '"'))
        return false;
    ret->start = r->at - 1;
    while (r->at < r->end && *r->at != '"') {
        if ((unsigned char)*r->at < ' ')
            return false;
        if (*r->at++ == '\\' && !take_escape(r))
            return false;
    }
    ret->length = (size_t)(r->at + 1 - ret->start);
    return take(r, '"');
}

static bool take_natural(struct reader *r, uint64_t *ret)
{
    skip_space(r);
    const char *start = r->at;
    for (*ret = 0; is_digit(r); r->at++) {
        uint64_t digit = (uint64_t)(*r->at - '0');
        if (__builtin_mul_overflow(*ret, 10, ret) || __builtin_add_overflow(*ret, digit, ret))
            return false;
    }
    bool more = r->at < r->end && strchr(".eE", *r->at) != NULL;
    return r->at > start && !more && (*start != '0' || r->at == start + 1);
}

static bool skip_digits(struct reader *r)
{
    const char *start = r->at;
    while (is_digit(r))
        r->at++;
    return r->at > start;
}

static bool skip_number(struct reader *r)
{
    if (*r->at == '-')
        r->at++;
    bool zero = r->at < r->end && *r->at == '0';
    const char *start = r->at;
    if (!skip_digits(r) || (zero && r->at > start + 1))
        return false;
    if (r->at < r->end && *r->at == '.' && (r->at++, !skip_digits(r)))
        return false;
    if (r->at == r->end || (*r->at != 'e' && *r->at != 'E'))
        return true;
    r->at++;
    if (r->at < r->end && (*r->at == '+' || *r->at == '-'))
        r->at++;
    return skip_digits(r);
}

static bool skip_word(struct reader *r, const char *word)
{
    size_t length = strlen(word);
    if ((size_t)(r->end - r->at) < length || memcmp(r->at, word, length) != 0)
        return false;
    r->at += length;
    return true;
}

/* Reads one value of a list, or of an object under a key; `context` is the caller's. */
typedef bool read_member(struct reader *r, const struct string *key, void *context, int depth);

static bool take_members(struct reader *r, bool keys, read_member *read, void *context, int depth)
{
    char close = keys ? '}' : ']';
    if (depth == DEPTH_MAX || !take(r, keys ? '{' : '['))
        return false;
    if (take(r, close))
        return true;
    do {
        struct string key = {0};
        if (keys && (!take_string(r, &key) || !take(r, ':')))
            return false;
        if (!read(r, &key, context, depth + 1))
            return false;
    } while (take(r, ','));
    return take(r, close);
}

static bool skip_value(struct reader *r, const struct string *key, void *context, int depth)
{
    (void)key;
    struct string text;
    skip_space(r);
    if (r->at == r->end)
        return false;
    switch (*r->at) {
    case '{':
    case '[': return take_members(r, *r->at == '{', skip_value, context, depth);
    case '"': return take_string(r, &text);
    case 't': return skip_word(r, "true");
    case 'f': return skip_word(r, "false");
    case 'n': return skip_word(r, "null");
    default: return skip_number(r);
    }
}

static bool is_key(const struct string *key, const char *name)
{
    size_t length = strlen(name);
    return key->length == length + 2 && memcmp(key->start + 1, name, length) == 0;
}

struct item {
    uint64_t count, cents;
    bool has_count, has_cents;
};

static bool read_item_member(struct reader *r, const struct string *key, void *context, int depth)
{
    struct item *item = context;
    if (is_key(key, "count"))
        return item->has_count = take_natural(r, &item->count);
    if (is_key(key, "cents"))
        return item->has_cents = take_natural(r, &item->cents);
    return skip_value(r, key, NULL, depth);
}

static uint64_t add(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static bool read_item(struct reader *r, const struct string *key, void *context, int depth)
{
    (void)key;
    struct order *order = context;
    struct item item = {0};
    uint64_t cents;
    if (!take_members(r, true, read_item_member, &item, depth) || !item.has_count || !item.has_cents)
        return false;
    if (__builtin_mul_overflow(item.count, item.cents, &cents))
        cents = UINT64_MAX;
    order->pieces = add(order->pieces, item.count);
    order->cents = add(order->cents, cents);
    return true;
}

struct parts {
    struct order *order;
    bool has_items;
};

static bool read_order_member(struct reader *r, const struct string *key, void *context, int depth)
{
    struct parts *parts = context;
    if (is_key(key, "customer")) {
        struct string customer;
        if (!take_string(r, &customer))
            return false;
        parts->order->customer = customer.start;
        parts->order->customer_length = customer.length;
        return true;
    }
    if (is_key(key, "items")) {
        parts->order->pieces = parts->order->cents = 0;
        return parts->has_items = take_members(r, false, read_item, parts->order, depth);
    }
    return skip_value(r, key, NULL, depth);
}

bool order_parse(const char *text, size_t length, struct order *ret)
{
    struct reader r = {text, text + length};
    struct parts parts = {.order = ret};
    *ret = (struct order){0};
    if (!take_members(&r, true, read_order_member, &parts, 0))
        return false;
    skip_space(&r);
    return r.at == r.end && ret->customer && parts.has_items;
}
