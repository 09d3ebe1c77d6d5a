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

/* Whether the bytes are well-formed UTF-8 (Unicode 15, table 3-7). */
bool utf8_valid(const void *bytes, size_t size);
/* Bytes of the well-formed sequence at `p`, of which `left` (at least 1) may be read, or 0. */
size_t utf8_sequence(const uint8_t *p, size_t left);

#endif
