/* Byte strings that do not own their bytes and need no terminator. */
#ifndef MAYFLY_BASE_STR_H
#define MAYFLY_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *ptr;
    size_t len;
};

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})
/* For printf("%.*s", STR_ARG(s)). */
#define STR_ARG(s) (int)(s).len, (s).ptr

static inline struct str str_of(const char *text)
{
    return (struct str){text, strlen(text)};
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool str_starts(struct str s, struct str prefix)
{
    return s.len >= prefix.len && memcmp(s.ptr, prefix.ptr, prefix.len) == 0;
}

/* Index of `c` in `s`, or `s.len`. */
static inline size_t str_find(struct str s, char c)
{
    const char *at = s.len ? memchr(s.ptr, c, s.len) : NULL;
    return at ? (size_t)(at - s.ptr) : s.len;
}

static inline struct str str_slice(struct str s, size_t from, size_t to)
{
    return (struct str){s.ptr + from, to - from};
}

/* A number without sign, of one to `digits` decimal digits, at most 9. False: it is something else. */
static inline bool str_number(struct str s, size_t digits, uint32_t *ret)
{
    uint32_t number = 0;
    if (s.len == 0 || s.len > digits)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        number = number * 10 + (uint32_t)(s.ptr[i] - '0');
    }
    *ret = number;
    return true;
}

/* A port that one can connect to. */
static inline bool str_port(struct str s, uint16_t *ret)
{
    uint32_t port;
    if (!str_number(s, 5, &port) || port == 0 || port > UINT16_MAX)
        return false;
    *ret = (uint16_t)port;
    return true;
}

/* Whether the bytes are well-formed UTF-8 (Unicode 15, table 3-7). */
bool utf8_valid(const void *bytes, size_t size);
/* Bytes of the well-formed sequence at `p`, of which `left` (at least 1) may be read, or 0. */
size_t utf8_sequence(const uint8_t *p, size_t left);

#endif
